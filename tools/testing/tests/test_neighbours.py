# SPDX-License-Identifier: GPL-2.0
"""From lines of the guest to the table of tools/testing/neighbours."""

import contextlib
import io
import unittest

from checklib import neighbours


class Take(unittest.TestCase):
    def test_figures_belong_to_the_column_named_before(self):
        figures = {"c": {}, "default": {}}
        with contextlib.redirect_stderr(io.StringIO()):
            neighbours.take(["column=c\n", "buffers=20\n", "a sentence, with x=1\n", "column=default\n", "buffers=3\n"], figures)
        self.assertEqual(figures, {"c": {"buffers": "20"}, "default": {"buffers": "3"}})


class Cells(unittest.TestCase):
    def test_what_the_test_ended_is_a_lower_bound(self):
        self.assertEqual(neighbours.amount({"buffers": "20000", "buffers_end": "stopped"}, "buffers"), "≥ 20,000")

    def test_what_the_driver_ended_has_an_errno(self):
        self.assertEqual(neighbours.amount({"buffers": "2048", "buffers_end": "ENOMEM"}, "buffers"), "2,048, then `ENOMEM`")

    def test_what_was_not_measured_says_why(self):
        self.assertEqual(neighbours.amount({"unload_skipped": "it is built in"}, "unload_ms"), "it is built in")

    def test_the_worst_attack_counts(self):
        figures = {"wait_alone_close": "1000 2000", "wait_a_close": "1100 9000", "wait_b_close": "1500 3000", "wait_a_open": "9 9"}
        self.assertEqual(neighbours.waits(figures, "close"), "1.50, 4.5 (9 µs)")

    def test_every_row_has_a_cell_for_every_column(self):
        lines = list(neighbours.table({name: {} for name in neighbours.COLUMNS}))
        self.assertEqual({line.count(" | ") for line in lines if "---" not in line}, {len(neighbours.COLUMNS)})


if __name__ == "__main__":
    unittest.main()
