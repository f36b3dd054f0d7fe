# SPDX-License-Identifier: GPL-2.0
"""Tests of benchlib.peers: where a peer is faster, and whether there is a reason."""

import unittest

from benchlib import cli, peers, plan, results
from benchlib.stats import Cell

HEAD = "| operation | size | memory | peer | why no faster |\n|---|---|---|---|---|\n"
SLOW = Cell("4k-fragmented", 64 * plan.MIB, "close", 10, 12, None, 1.2, 1.2, 1.2)


def lines_of(*cells, text=""):
    """Those of the table, with the rules of such a text."""
    return peers.faster(cells, peers.rules(HEAD + text))


class Faster(unittest.TestCase):
    """Which cells are listed."""

    def test_more_than_the_noise(self):
        for ratio, listed in ((1.0049, 0), (1.0051, 1), (0.5, 0), (None, 0)):
            self.assertEqual(listed, len(lines_of(Cell("shmem-2m", 4096, "close", 100, 101, ratio=ratio))), ratio)

    def test_each_peer(self):
        cell = Cell("shmem-2m", 4096, "map", 10, 40, ratio=4.0, heap=20, to_heap=2.0, memfd=50, to_memfd=0.8)
        self.assertEqual([("c", 4.0, 30), ("heap", 2.0, 20)],
                         [(line.peer, line.ratio, line.more) for line in lines_of(cell)])

    def test_what_is_no_cost_is_not_compared(self):
        self.assertEqual([], lines_of(Cell("shmem-2m", 4096, "entries", 1, 2, ratio=2.0),
                                      Cell("shmem-2m", 4096, "pin", 1, 2, ratio=2.0)))

    def test_report(self):
        text = peers.report([Cell("shmem-2m", 4096, "close", 10, 10, ratio=1.0)])
        self.assertEqual(["no peer is faster anywhere"], text)
        text = peers.report([Cell("4k", 8192, "map_unmap", 10, 12, ratio=1.2)])
        self.assertRegex(text[0], "1 cells, [01] of them for no reason known")
        self.assertEqual(text[:3], peers.report([Cell("4k", 8192, "map_unmap", 10, 12, ratio=1.2)], complete=False))
        self.assertRegex(text[2], r"^c +map_unmap +8 KiB +4k +1\.20 +2  ")


class Reasons(unittest.TestCase):
    """Which rule is about which line."""

    def reason(self, rule, cell=SLOW):
        """What is said of a cell by one rule."""
        line, = lines_of(cell, text=rule)
        return line.reason

    def test_names_lists_and_patterns(self):
        for rule in ("| close | 64M | 4k-fragmented | c | so |", "| clo* | * | * | * | so |",
                     "| map, close | 4K, 64M | shmem-2m, 4k-* | heap, c | so |", "| `close` | * | * | c | so |"):
            self.assertEqual("so", self.reason(rule), rule)
        for rule in ("| map | * | * | * | so |", "| close | 4K | * | * | so |", "| close | * | shmem-* | * | so |",
                     "| close | * | * | heap | so |"):
            self.assertEqual(peers.UNKNOWN, self.reason(rule), rule)

    def test_bounds(self):
        for sizes, reason in (("<= 64M", "so"), (">= 64M", "so"), ("<= 1M", peers.UNKNOWN), (">= 65M", peers.UNKNOWN),
                              ("4K, >= 1M", "so")):
            self.assertEqual(reason, self.reason(f"| close | {sizes} | * | * | so |"), sizes)

    def test_the_first_that_fits(self):
        self.assertEqual("one", self.reason("| close | * | * | c | one |\n| * | * | * | * | other |"))

    def test_only_the_table(self):
        self.assertEqual([], peers.rules("| a | b |\n|---|---|\n| close | * |\n"))
        self.assertEqual(1, len(peers.rules(f"text\n\n{HEAD}| close | * | * | c | so |\n\n| map | * | * | c | no |\n")))

    def test_nonsense_is_refused(self):
        for rule in ("| clsoe | * | * | c | so |", "| close | * | 8k | c | so |", "| close | * | * | d | so |",
                     "| close | big | * | c | so |", "| close | * | * | c | |", "| close | * | c | so |"):
            with self.assertRaises(ValueError, msg=rule):
                peers.rules(HEAD + rule)

    def test_unused(self):
        rules = peers.rules(f"{HEAD}| close | * | * | c | one |\n| close | 64M | * | c | two |\n| map | * | * | c | three |")
        self.assertEqual(["two", "three"], [rule.reason for rule in peers.unused(rules, lines_of(SLOW))])


class Committed(unittest.TestCase):
    """The instructions that are in the repository."""

    def test_each_cell_has_a_reason(self):
        lines = peers.faster(results.read(cli.RESULTS / "icount.csv")[0], peers.reasons())
        unknown = [f"{line.operation}, {plan.show_size(line.size)}, {line.memory}: {line.peer} is faster, {line.ratio:.2f}"
                   for line in lines if line.reason == peers.UNKNOWN]
        self.assertFalse(unknown, "Documentation/cost.md does not say why:\n" + "\n".join(unknown))


if __name__ == "__main__":
    unittest.main()
