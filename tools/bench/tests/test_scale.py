# SPDX-License-Identifier: GPL-2.0
"""Tests of benchlib.scale and counted: the script, what is read of its output, growth, files."""

import contextlib
import io
import subprocess
import tempfile
import unittest
from collections import Counter
from pathlib import Path
from unittest import mock

from benchlib import build, counted, profile, scale


def samples(operation="create", thing="buffers", machine="plain", rust=(10, 10), c=(20, 20), alive=(1, 10000)):
    """Those of one operation, one of each driver and number."""
    return [(machine, thing, operation, number, driver, value)
            for driver, values in (("rust", rust), ("c", c)) for number, value in zip(alive, values)]


def report_of(*lines):
    """What these lines of output amount to, and what was shown of them."""
    report, shown = scale.Report(), []
    for line in lines:
        scale.take_line(line.split(), "plain", report, shown.append)
    return report, shown


class Script(unittest.TestCase):
    def test_is_shell(self):
        calls = [["--alive=1"], ["--alive=2"]]
        text = counted.script("udmabuf_scale", calls, scale.MACHINES["plain"].boot, symbols=True)
        subprocess.run(["sh", "-n"], input=text, text=True, check=True)
        self.assertIn("/bench/udmabuf_scale --driver=c=/dev/udmabuf --driver=rust=/dev/udmabuf_rs --alive=2 || status=1",
                      text)
        self.assertIn("pid_max", text)

    def test_levels(self):
        self.assertEqual(sorted(scale.LEVELS), list(scale.LEVELS))
        self.assertEqual(1, scale.LEVELS[0])

    def test_names_agree_with_the_program(self):
        source = (build.BENCH / "udmabuf_scale.c").read_text()
        for name in [*scale.OPERATIONS, *scale.THINGS]:
            self.assertIn(f'"{name}"', source)

    def test_a_clock_that_counts_something_else(self):
        self.assertEqual("", counted.check_clock(1000007))
        self.assertIn("counts 2000000", counted.check_clock(2e6))
        self.assertEqual("nothing was measured", counted.check_clock(None))


class Output(unittest.TestCase):
    def test_lines(self):
        report, shown = report_of("fact million_instructions 1000007", "sample buffers 10 create c 5000",
                                  "marked 7 buffers 10 create c", "symbol ffffffff81000000 first",
                                  "begin buffers", "insmod: no")
        self.assertEqual([("plain", "buffers", "create", 10, "c", 5000)], report.samples)
        self.assertEqual(1000007, report.million)
        self.assertEqual([(7, "buffers", 10, "create", "c")], report.marked)
        self.assertEqual([(0xFFFFFFFF81000000, "first")], report.symbols)
        self.assertEqual(["a device that reaches all memory: live buffers", "insmod: no"], shown)

    def test_failures_once(self):
        report, _ = report_of(*["failed buffers 1000 create rust Too many open files"] * 2)
        self.assertEqual(["plain, 1000 buffers: create by rust: Too many open files"], report.problems)


class Growth(unittest.TestCase):
    def test_the_median_counts(self):
        line, = scale.lines_of([("plain", "buffers", "create", 1, "rust", value) for value in (7, 5, 900)])
        self.assertEqual({1: 7}, line.costs["rust"])

    def test_flat(self):
        line, = scale.lines_of(samples(rust=(100, 130), c=(100, 131)))
        self.assertEqual(1.3, line.growth("rust"))
        self.assertFalse(line.grows("rust"))
        self.assertTrue(line.grows("c"))

    def test_exponent_is_that_of_the_last_step(self):
        line, = scale.lines_of(samples(rust=(5, 10, 100), c=(5, 5, 5), alive=(1, 100, 1000)))
        self.assertAlmostEqual(1, line.exponent("rust"))
        self.assertEqual(0, line.exponent("c"))

    def test_unknown(self):
        line = scale.Line("plain", "buffers", "create")
        self.assertIsNone(line.growth("c"))
        self.assertIsNone(line.exponent("c"))
        self.assertFalse(line.grows("c"))
        line.costs["c"] = {1: 0, 10: 5}
        self.assertIsNone(line.growth("c"))

    def test_order_is_that_of_the_plan(self):
        lines = scale.lines_of(samples("map", "mappings", "iommu") + samples("close") + samples("create"))
        self.assertEqual(["create", "close", "map"], [line.operation for line in lines])


class Tables(unittest.TestCase):
    def test_row(self):
        text = "\n".join(scale.table(scale.lines_of(samples(rust=(1000, 20000), c=(1000, 10000)))))
        self.assertIn("== live buffers; a device that reaches all memory", text)
        self.assertRegex(text, r"create +1,000 +20,000 +20 +10,000 +10 +2\.00")

    def test_summary_names_what_grows(self):
        lines = scale.lines_of(samples("fork", rust=(1, 40), c=(1, 41)) + samples("mmap", rust=(1, 2)) + samples())
        first, _, mmap, fork = scale.summary(lines)
        self.assertIn("1 of 3", first)
        self.assertRegex(mmap, r"mmap x2\.00 .*C driver x1\.00: no reason is known")
        self.assertRegex(fork, r"fork x40 .*C driver x41: dup_fd\(\)")

    def test_every_reason_is_about_something(self):
        for machine, thing, operation in scale.REASONS:
            self.assertIn(thing, scale.MACHINES[machine].things)
            self.assertIn(operation, scale.OPERATIONS)

    def test_profile_has_what_grows_most_first(self):
        found = {("c", 1): Counter(a=1), ("c", 10000): Counter(a=2),
                 ("rust", 1): Counter(a=50, b=1), ("rust", 10000): Counter(a=51, b=40)}
        with mock.patch.object(profile, "demangled", lambda names: {name: f"<{name}>" for name in names}):
            text = list(scale.profile_lines(found, 2))
        self.assertEqual(["<b>", "<a>"], [line.split()[-1] for line in text[2:]])


class Files(unittest.TestCase):
    def test_what_was_written_is_read(self):
        lines = scale.lines_of(samples() + samples("unmap", "mappings", "bounce", c=()))
        with tempfile.TemporaryDirectory() as name:
            path = Path(name) / "new" / "scale.csv"
            scale.write(path, lines)
            self.assertEqual(lines, scale.read(path))


class CommandLine(unittest.TestCase):
    def refused(self, *arguments):
        """What the command line says of these arguments."""
        with contextlib.redirect_stderr(io.StringIO()) as said, self.assertRaises(SystemExit):
            scale.main(arguments)
        return said.getvalue()

    def test_unknown_names(self):
        self.assertIn("invalid choice: 'cats'", self.refused("--thing", "cats"))

    def test_a_profile_is_of_one_thing(self):
        with self.assertRaisesRegex(build.BenchError, "add one --thing"):
            scale.main(["--profile", "mmap"])
        with self.assertRaisesRegex(build.BenchError, "forks are not counted on the machine 'iommu'"):
            scale.main(["--profile", "mmap", "--thing", "forks", "--machine", "iommu"])
        with self.assertRaisesRegex(build.BenchError, "the machine 'incoherent' has no profiles"):
            scale.main(["--profile", "map", "--thing", "mappings", "--machine", "incoherent"])


if __name__ == "__main__":
    unittest.main()
