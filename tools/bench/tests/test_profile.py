# SPDX-License-Identifier: GPL-2.0
"""Tests of benchlib.profile."""

import tempfile
import unittest
from collections import Counter
from pathlib import Path
from unittest import mock

from benchlib import profile

KERNEL = 0xFFFFFFFF81000000


class Read(unittest.TestCase):
    def test_blocks_of_a_stretch_are_added_up(self):
        with tempfile.TemporaryDirectory() as name:
            path = Path(name) / "counts"
            path.write_text("stretch 1\nffffffff81000010 4 10\nstretch 2\n40 3 1\n40 2 5\n")
            self.assertEqual(profile.read(path), {1: {KERNEL + 16: 40}, 2: {0x40: 13}})


class Symbols(unittest.TestCase):
    def setUp(self):
        self.symbols = profile.Symbols([(KERNEL + 0x40, "second"), (KERNEL, "first")])

    def test_an_address_belongs_to_the_function_before_it(self):
        self.assertEqual([self.symbols.name(KERNEL + at) for at in (0, 0x3f, 0x40, 0x999)],
                         ["first", "first", "second", "second"])

    def test_what_is_not_the_kernels_is_the_programs(self):
        self.assertEqual(self.symbols.name(0x401000), profile.USER)

    def test_counts_are_added_up(self):
        self.assertEqual(self.symbols.by_function({KERNEL: 2, KERNEL + 4: 3, KERNEL + 0x44: 7}),
                         {"first": 5, "second": 7})


class Lines(unittest.TestCase):
    def test_what_takes_most_comes_first(self):
        found = {"c": Counter(a=1000, b=1), "rust": Counter(b=5, c=2000)}
        with mock.patch.object(profile, "demangled", lambda names: {name: name.upper() for name in names}):
            shown = list(profile.lines(found, 2))
        self.assertEqual([line.split() for line in shown[1:]],
                         [["1,001", "2,005", "all"], ["0", "2,000", "C"], ["1,000", "0", "A"]])


if __name__ == "__main__":
    unittest.main()
