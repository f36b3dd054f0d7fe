# SPDX-License-Identifier: GPL-2.0
"""Tests of benchlib.results, table and cli: files, and what people see."""

import tempfile
import unittest
from pathlib import Path

from benchlib import cli, plan, results, table
from benchlib.stats import Cell

CELLS = [
    Cell("4k-fragmented", 64 * plan.MIB, "create", 5e6, 6e6, 4e6, 1.2, 1.19, 1.21, 1.5),
    Cell("4k-fragmented", 64 * plan.MIB, "entries", 16384, 16384, 16384, 1.0, 1.0, 1.0, 1.0),
    Cell("hugetlb-2m", 64 * plan.MIB, "create", 2e5, 8e3, None, 0.04, 0.04, 0.04),
    Cell("hugetlb-2m", 64 * plan.MIB, "pin", None, None, 7e3),
    Cell("hugetlb-2m", 64 * plan.MIB, "touch_all", None, 8e3, heap=4e3, to_heap=2.0, memfd=1e4, to_memfd=0.8),
]


class Files(unittest.TestCase):
    """CSV."""

    def test_there_and_back(self):
        for icount in (False, True):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "new" / "results.csv"
                results.write(path, CELLS, icount)
                self.assertEqual((CELLS, icount), results.read(path))

    def test_files_without_peers_can_be_read(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "old.csv"
            path.write_text("memory,size,operation,unit,c,rust,floor,ratio,low,high,above,target\n"
                            "shmem-2m,4096,create,instructions,2,3,,1.5,1.5,1.5,,\n")
            self.assertEqual(([Cell("shmem-2m", 4096, "create", 2, 3, None, 1.5, 1.5, 1.5)], True), results.read(path))


class Tables(unittest.TestCase):
    """Terminal and Markdown."""

    def test_lines(self):
        text = table.lines(CELLS, True)
        self.assertTrue(text[0].startswith("operation"))
        self.assertIn("== hugetlb, 2 MiB pages", text)
        row = next(line for line in text if line.startswith("create"))
        self.assertRegex(row, r"64 MiB +5,000,000 +6,000,000 +1\.20 +1\.19\.\.1\.21 +4,000,000 +1\.50 +<= 1\.00: MISSED")
        row = next(line for line in text if line.startswith("touch all"))
        self.assertRegex(row, r"64 MiB +8,000 +4,000 +2\.00 +10,000 +0\.80$")

    def test_units(self):
        text = "\n".join(table.lines(CELLS, False))
        self.assertRegex(text, r"create +64 MiB +5 ms +6 ms")
        self.assertRegex(text, r"entries +64 MiB +16,384 ")

    def test_summary(self):
        text = table.summary(CELLS, True)
        self.assertEqual("targets: 1 of 3 met, missed:", text[0])
        self.assertEqual(3, len(text))

    def test_markdown(self):
        text = table.markdown(CELLS, True)
        self.assertEqual("| operation | size | shmem, 4 KiB pages, fragmented | hugetlb, 2 MiB pages |", text[0])
        self.assertIn("| create | 64 MiB | **1.20** (<= 1.00) | 0.0400 |", text)
        self.assertFalse(any("entries" in line for line in text))
        every = table.markdown(CELLS, True, every=True)
        self.assertIn("| page table entries | 64 MiB | 1.00 |  |", every)
        self.assertFalse(any("pin" in line for line in every))

    def test_sizes(self):
        self.assertEqual(["4 KiB", "1 MiB", "512 MiB", "2 GiB", "31.25 MiB"],
                         [plan.show_size(size) for size in (4096, 1 << 20, 512 << 20, 2 << 30, 8000 * 4096)])
        self.assertEqual([4096, 512 << 20, 2 << 30], [plan.parse_size(text) for text in ("4K", "512M", "2G")])


class CommandLine(unittest.TestCase):
    """What options mean."""

    def test_rounds(self):
        for argv, rounds in (([], 7), (["--icount"], 3), (["--icount", "--rounds", "9"], 9)):
            self.assertEqual(rounds, cli.request_of(cli.parser().parse_args(argv)).rounds)

    def test_a_part_is_not_written(self):
        self.assertEqual(cli.RESULTS, cli._folder(cli.parser().parse_args([])))
        self.assertIsNone(cli._folder(cli.parser().parse_args(["--size", "4K"])))
        self.assertEqual(Path("x"), cli._folder(cli.parser().parse_args(["--size", "4K", "--output", "x"])))


if __name__ == "__main__":
    unittest.main()
