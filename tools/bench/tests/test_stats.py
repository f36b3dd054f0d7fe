# SPDX-License-Identifier: GPL-2.0
"""Tests of benchlib.stats: from samples to cells."""

import unittest

from benchlib import stats
from benchlib.stats import Sample


def samples(operation, subject, *rounds):
    """Samples of one cell: a list of values for each round."""
    return [Sample("hugetlb-2m", 4096, operation, subject, number, value)
            for number, values in enumerate(rounds) for value in values]


class Cells(unittest.TestCase):
    """Medians, ratios, spread."""

    def test_ratio_is_of_rounds(self):
        # The second round was slow for both: that is no difference between them.
        cell, = stats.cells(samples("create", "c", [10], [100], [20]) + samples("create", "rust", [5], [50], [10]))
        self.assertEqual((20, 10), (cell.c, cell.rust))
        self.assertEqual((0.5, 0.5, 0.5), (cell.ratio, cell.low, cell.high))

    def test_spread(self):
        cell, = stats.cells(samples("create", "c", *[[10]] * 5)
                            + samples("create", "rust", [10], [11], [12], [13], [40]))
        self.assertEqual((1.1, 1.2, 1.3), (cell.low, cell.ratio, cell.high))

    def test_repeated_in_a_round(self):
        cell, = stats.cells(samples("sync", "c", [1, 1, 1, 90], [2, 2, 2]))
        self.assertEqual(1.5, cell.c)
        self.assertIsNone(cell.ratio)

    def test_floor(self):
        cell, = stats.cells(samples("create", "rust", [15]) + samples("create", "floor", [10]))
        self.assertEqual(1.5, cell.above)

    def test_memory_is_beyond_an_empty_export(self):
        cell, = stats.cells(samples("memory", "c", [1100]) + samples("memory", "rust", [90])
                            + samples("memory", "floor", [100]))
        self.assertEqual((1000, 0, 0), (cell.c, cell.rust, cell.ratio))
        self.assertIsNone(cell.above)

    def test_nothing_to_divide_by(self):
        cell, = stats.cells(samples("memory", "c", [100]) + samples("memory", "rust", [90])
                            + samples("memory", "floor", [100]))
        self.assertIsNone(cell.ratio)

    def test_peers(self):
        cell, = stats.cells(samples("map", "rust", [10], [30]) + samples("map", "heap", [5], [10])
                            + samples("map", "memfd", [40]))
        self.assertEqual((7.5, 2.5, 40, 0.25), (cell.heap, cell.to_heap, cell.memfd, cell.to_memfd))
        self.assertIsNone(cell.ratio)

    def test_less_zeroing(self):
        life, net = stats.cells(samples("life", "rust", [130], [120]) + samples("life", "c", [110], [120])
                                + samples("life", "memfd", [120], [120]) + samples("life", "floor", [100], [100]))
        self.assertEqual((100, 1.25), (life.floor, life.above))
        self.assertEqual(("life_net", 25, 15, 2.0, 1.25, None),
                         (net.operation, net.rust, net.c, net.ratio, net.to_memfd, net.floor))

    def test_order(self):
        cells = stats.cells(samples("close", "c", [1]) + samples("create", "c", [1]))
        self.assertEqual(["create", "close"], [cell.operation for cell in cells])


class Difference(unittest.TestCase):
    """Of two runs."""

    def test_worst(self):
        before = stats.cells(samples("create", "c", [100]) + samples("close", "c", [100])
                             + samples("create", "rust", [100]))
        after = stats.cells(samples("create", "c", [101]) + samples("close", "c", [97])
                            + samples("create", "rust", [500]))
        part, key, subject = stats.worst_difference(before, after)
        self.assertAlmostEqual(0.03, part)
        self.assertEqual((("hugetlb-2m", 4096, "close"), "c"), (key, subject))

    def test_nothing_in_common(self):
        self.assertIsNone(stats.worst_difference([], stats.cells(samples("create", "c", [1]))))


if __name__ == "__main__":
    unittest.main()
