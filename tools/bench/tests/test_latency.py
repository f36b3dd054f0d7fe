# SPDX-License-Identifier: GPL-2.0
"""Tests of benchlib.latency: what is read of the guest's output, tables, files."""

import contextlib
import io
import tempfile
import unittest
from pathlib import Path

from benchlib import build, latency, plan

GIB2 = str(2 * plan.GIB)


def cells_of(*lines, machine="plain"):
    """The cells that these lines of output make up."""
    report = latency.Report()
    for line in lines:
        latency.take_line(line.split(), machine, report, lambda text: None)
    return report.cells.ordered()


class Output(unittest.TestCase):
    def test_the_longest_of_all_points(self):
        cell, = cells_of(*(f"sample alive create shmem-2m {GIB2} {driver} {at} {value}" for driver, at, value in (
            ("rust", 10, 500), ("rust", 250, 700), ("rust", 500, 600), ("c", 10, 1400))))
        self.assertEqual((700, 1400), (cell.longest("rust"), cell.longest("c")))
        self.assertEqual(0.5, cell.ratio)
        self.assertEqual(("plain", "alive", "create", "shmem-2m", 2 * plan.GIB), cell.key)

    def test_what_one_driver_lacks_has_no_ratio(self):
        cell, = cells_of(f"sample resv map shmem-2m {GIB2} rust 0 500")
        self.assertIsNone(cell.ratio)
        self.assertIsNone(cell.longest("c"))

    def test_names_agree_with_the_program(self):
        source = (build.BENCH / "udmabuf_latency.c").read_text()
        for name in [*latency.OPERATIONS, *latency.MEMORIES, *latency.KINDS]:
            self.assertIn(f'"{name}"', source)

    def test_anything_else_is_shown(self):
        shown = []
        latency.take_line("insmod: no".split(), "plain", latency.Report(), shown.append)
        self.assertEqual(["insmod: no"], shown)


class Tables(unittest.TestCase):
    CELLS = (f"sample resv map shmem-2m {GIB2} rust 0 2000", f"sample resv map shmem-2m {GIB2} c 0 8000",
             f"sample resv start shmem-2m {GIB2} c 0 0", f"answer vmap shmem-2m {GIB2} c Cannot allocate memory")

    def test_rows(self):
        text = "\n".join(latency.table(cells_of(*self.CELLS)))
        self.assertIn("== 2 GiB of shmem, 2 MiB pages; a device that reaches all memory", text)
        self.assertRegex(text, r"attach and map +8,000 +2,000 +0\.25\n")
        self.assertRegex(text, r"SYNC START, the first.* not taken +-")
        self.assertRegex(text, r"vmap +fails +- +C driver: Cannot allocate memory")

    def test_markdown(self):
        lines = list(latency.markdown(cells_of(*self.CELLS)))
        self.assertIn("| hold of the reservation lock | attach and map | 2k / 8k |  |  |", lines)

    def test_few_digits(self):
        self.assertEqual(["-", "0", "999", "1k", "12.1k", "999k", "1000k", "1.23M"],
                         [latency._short(value) for value in (None, 0, 999, 1000, 12109, 999_000, 999_900, 1_234_000)])


class Files(unittest.TestCase):
    def test_what_was_written_is_read(self):
        cells = cells_of(*Tables.CELLS, f"sample alive map shmem-2m {GIB2} c 250 7", machine="staged")
        with tempfile.TemporaryDirectory() as name:
            path = Path(name) / "latency.csv"
            latency.write(path, cells)
            self.assertEqual(cells, latency.read(path))


class CommandLine(unittest.TestCase):
    def test_sizes(self):
        for text in ("1M", "4G", "0", "-2M", "much"):
            with contextlib.redirect_stderr(io.StringIO()) as said, self.assertRaises(SystemExit):
                latency.main([f"--size={text}"])
            self.assertIn("a size is a multiple of 2M, up to 2G", said.getvalue())
        self.assertEqual(512 * plan.MIB, latency.size_of("512M"))


if __name__ == "__main__":
    unittest.main()
