# SPDX-License-Identifier: GPL-2.0
"""Tests of benchlib.targets: which holds for what, and whether it is met."""

import unittest

from benchlib import plan, targets
from benchlib.stats import Cell


def verdicts(operation, size, memory="4k-fragmented", icount=True, **values):
    """What is said about a cell, as text."""
    cell = Cell(memory, size, operation, **values)
    return [str(verdict) for verdict in targets.judge(cell, plan.MEMORIES[memory], icount)]


class Judge(unittest.TestCase):
    """Verdicts on cells."""

    def test_with_the_floor(self):
        self.assertEqual(["<= 1.00: met", "<= 1.25 of the floor: MISSED"],
                         verdicts("create", 64 * plan.MIB, ratio=0.9, above=1.3))

    def test_floor_for_huge_pages_begins_later(self):
        self.assertEqual(["<= 0.06: met"], verdicts("create", 64 * plan.MIB, "hugetlb-2m", ratio=0.01, above=9))
        self.assertEqual(2, len(verdicts("create", 512 * plan.MIB, "hugetlb-2m", ratio=0.01, above=9)))
        self.assertEqual(1, len(verdicts("create", 512 * plan.MIB, "hugetlb-1g", ratio=0.01, above=9)))

    def test_as_printed(self):
        self.assertEqual(["<= 1.00: met"], verdicts("munmap", 64 * plan.MIB, ratio=1.0049))
        self.assertEqual(["<= 1.00: MISSED"], verdicts("munmap", 64 * plan.MIB, ratio=1.0051))

    def test_small_ratios_are_printed_more_exactly(self):
        self.assertEqual(["<= 0.06: MISSED"], verdicts("create", 64 * plan.MIB, "hugetlb-2m", ratio=0.0602))
        self.assertEqual(["<= 0.06: met"], verdicts("create", 64 * plan.MIB, "hugetlb-2m", ratio=0.06004))

    def test_what_holds_otherwise(self):
        self.assertEqual(["<= 1.05: MISSED"], verdicts("vmap", plan.MIB, ratio=1.2))
        self.assertEqual(["<= 1.05: met"], verdicts("touch_all", plan.MIB, ratio=1.05))

    def test_nothing_is_excused(self):
        self.assertEqual(["<= 1.05: MISSED"], verdicts("close_clean", plan.MIB, ratio=3.0))

    def test_time(self):
        self.assertEqual(["<= 0.50: met"], verdicts("touch_all", 64 * plan.MIB, icount=False, ratio=0.4))
        self.assertEqual([], verdicts("create", 64 * plan.MIB, icount=False, ratio=4))

    def test_memory_has_no_clock(self):
        for icount in (False, True):
            self.assertEqual(["<= 0.10: MISSED"],
                             verdicts("memory", 512 * plan.MIB, "4k-contiguous", icount, ratio=0.5))

    def test_not_measured(self):
        self.assertEqual([], verdicts("create", 64 * plan.MIB))

    def test_all_are_about_something(self):
        for target in targets.TARGETS:
            self.assertIn(target.operation, plan.OPERATIONS)
            self.assertTrue(any(target.memory(memory) for memory in plan.MEMORIES.values()), target)


if __name__ == "__main__":
    unittest.main()
