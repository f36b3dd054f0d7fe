# SPDX-License-Identifier: GPL-2.0
"""Tests of checklib.cost."""

import unittest
from unittest import mock

from checklib import cost, ktap
from benchlib.stats import Cell

BOUND = cost.Bound("create", 100, "pinning a folio")
RATIO = cost.Ratio("map_beside_c", "map", "shmem-2m", 4096, 1.5, "c")
MORE = (cost.LARGE - cost.SMALL) // cost.FOLIO


def by_size(small, large):
    """The result of the bound, where the two sizes cost so much."""
    cells = {(cost.MEMORY, size, "create"): Cell(cost.MEMORY, size, "create", rust=value)
             for size, value in ((cost.SMALL, small), (cost.LARGE, large))}
    return BOUND.judge(cells, mock.Mock()).status


def beside(ratio, **values):
    """The result of such a ratio, where operations take so much."""
    cells = {(ratio.memory, ratio.size, name): Cell(ratio.memory, ratio.size, name, **each)
             for name, each in values.items()}
    return ratio.judge(cells, mock.Mock()).status


class Bounds(unittest.TestCase):
    """What a huge page more may cost."""

    def test_up_to_the_bound(self):
        self.assertEqual(by_size(5000, 5000 + 100 * MORE), ktap.PASSED)
        self.assertEqual(by_size(5000, 5000 + 101 * MORE), ktap.FAILED)

    def test_a_loop_over_small_pages_fails_any(self):
        for bound in cost.BOUNDS:
            self.assertLess(bound.most, 512 * 14, bound.operation)

    def test_what_was_not_measured_fails(self):
        self.assertEqual(BOUND.judge({}, mock.Mock()).status, ktap.FAILED)
        self.assertEqual(beside(RATIO), ktap.FAILED)
        self.assertEqual(beside(RATIO, map={"rust": 10}), ktap.FAILED)


class Ratios(unittest.TestCase):
    """What an operation may take in parts of another."""

    def test_beside_a_peer(self):
        self.assertEqual(beside(RATIO, map={"c": 100, "rust": 150}), ktap.PASSED)
        self.assertEqual(beside(RATIO, map={"c": 100, "rust": 151}), ktap.FAILED)

    def test_beside_another_operation(self):
        flat = cost.Ratio("flat", "map_10000", "shmem-2m", 4096, 1.5, other="map_1000")
        self.assertEqual(beside(flat, map_1000={"rust": 100}, map_10000={"rust": 150, "c": 1}), ktap.PASSED)
        self.assertEqual(beside(flat, map_1000={"rust": 100}, map_10000={"rust": 1000, "c": 999}), ktap.FAILED)

    def test_all_are_measured(self):
        for ratio in cost.RATIOS:
            self.assertIn(ratio.operation, cost.plan.OPERATIONS)
            groups = [(memory.name, group, size) for request in cost.REQUESTS
                      for _, memory, groups, sizes in request.parts(cost.plan.MACHINES["plain"])
                      for group in groups for size in sizes]
            group = cost.plan.OPERATIONS[ratio.operation].group
            self.assertTrue(any((ratio.memory, group) == each[:2] for each in groups), ratio)


class Run(unittest.TestCase):
    """The measurement itself."""

    def test_a_failed_measurement_fails(self):
        report = mock.Mock(problems=["the run in the VM failed (status 1)"], samples=[])
        with mock.patch.object(cost.guest, "measure", return_value=report):
            self.assertEqual([result.status for result in cost.run(mock.Mock())], [ktap.FAILED])


if __name__ == "__main__":
    unittest.main()
