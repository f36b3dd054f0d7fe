# SPDX-License-Identifier: GPL-2.0
"""Tests of checklib.cost."""

import unittest
from unittest import mock

from checklib import cost, ktap

BOUND = cost.Bound("create", 100, "pinning a folio")
MORE = (cost.LARGE - cost.SMALL) // cost.FOLIO


def judged(small, large):
    cells = {(cost.MEMORY, size, "create"): value for size, value in ((cost.SMALL, small), (cost.LARGE, large))}
    return cost.judge(BOUND, cells, mock.Mock()).status


class Judge(unittest.TestCase):
    def test_what_a_huge_page_more_costs_counts(self):
        self.assertEqual(judged(10 ** 9, 10 ** 9 + 100 * MORE), ktap.PASSED)

    def test_more_than_the_bound_fails(self):
        self.assertEqual(judged(5000, 5000 + 101 * MORE), ktap.FAILED)

    def test_a_loop_over_small_pages_fails_every_bound(self):
        for bound in cost.BOUNDS:
            self.assertLess(bound.most, 512 * 14, bound.operation)

    def test_what_was_not_measured_fails(self):
        self.assertEqual(judged(None, 5000), ktap.FAILED)
        self.assertEqual(cost.judge(BOUND, {}, mock.Mock()).status, ktap.FAILED)


class Run(unittest.TestCase):
    def test_a_problem_of_the_measurement_fails(self):
        report = mock.Mock(problems=["nothing was measured"], samples=[])
        with mock.patch.object(cost.guest, "measure", return_value=report):
            self.assertEqual([result.status for result in cost.run(mock.Mock())], [ktap.FAILED])


if __name__ == "__main__":
    unittest.main()
