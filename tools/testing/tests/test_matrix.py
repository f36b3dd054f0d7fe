# SPDX-License-Identifier: GPL-2.0
"""From results to the cells of the coherence matrix, and what a table must not hide."""

import contextlib
import io
import re
import unittest
from pathlib import Path

from checklib import ktap, matrix, plan, report


def result(name, status, reason=""):
    """A test as the harness names it."""
    return ktap.Result("coherence", f"coherence.{name}", status, reason, boot="bounce")


def quietly(call, *arguments):
    """What the call returns, and what it prints."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        return call(*arguments), text.getvalue()


def whole(status=ktap.PASSED, **others):
    """A column where every row came to `status`, but some: r04=ktap.FAILED."""
    return [result(f"r{row:02}_x", others.get(f"r{row:02}", status)) for row in matrix.ROWS]


BOUNCE = next(column for column in plan.COLUMNS if column.name == "bounce")


class Cells(unittest.TestCase):
    def test_one_failed_test_fails_the_cell(self):
        results = [result("r04_a", ktap.PASSED), result("r04_b", ktap.FAILED), result("r04_c", ktap.SKIPPED)]
        self.assertEqual(matrix.cells(results)[4].status, ktap.FAILED)

    def test_skipped_in_part_has_passed_and_says_why(self):
        cell = matrix.cells([result("r04_a", ktap.PASSED), result("r04_b", ktap.SKIPPED, "why")])[4]
        self.assertEqual((cell.status, cell.reasons), (ktap.PASSED, ["why"]))

    def test_all_skipped_is_missing(self):
        cell = matrix.cells([result("r04_a", ktap.SKIPPED, "why")])[4]
        self.assertEqual((cell.status, cell.reasons), (ktap.SKIPPED, ["why"]))

    def test_no_test_is_missing(self):
        cell = matrix.cells([])[4]
        self.assertEqual((cell.status, cell.reasons), (ktap.SKIPPED, ["no test of it ran"]))

    def test_every_row_has_a_test_in_the_sources(self):
        folder = Path(__file__).resolve().parents[1] / "selftests/udmabuf_rs"
        text = "".join(file.read_text() for file in folder.glob("*.c"))
        self.assertEqual({int(row) for row in re.findall(r", r(\d\d)_", text)}, set(matrix.ROWS))


class Table(unittest.TestCase):
    def statuses(self, ours, theirs=None):
        results, _ = quietly(report.coherence, [(BOUNCE, ours)], [(BOUNCE, theirs)] if theirs else [])
        return [result.status for result in results]

    def test_cells_are_counted(self):
        counted = self.statuses(whole(r04=ktap.FAILED, r05=ktap.SKIPPED))
        self.assertEqual([counted.count(status) for status in (ktap.PASSED, ktap.FAILED, ktap.SKIPPED)],
                         [len(matrix.ROWS) - 2, 1, 1])

    def test_boot_that_failed_counts_beside_the_cells(self):
        boot = ktap.Result("bounce", "boot bounce", ktap.FAILED, boot="bounce")
        self.assertEqual(self.statuses(whole() + [boot]).count(ktap.FAILED), 1)

    def test_other_driver_does_not_count(self):
        self.assertEqual(self.statuses(whole(), whole(ktap.FAILED)), [ktap.PASSED] * (len(matrix.ROWS) + 1))

    def test_other_driver_that_passes_makes_the_matrix_suspect(self):
        self.assertEqual(self.statuses(whole(), whole()).count(ktap.FAILED), 1)

    def test_fits_and_is_aligned(self):
        columns = [(column, whole(r04=ktap.FAILED)) for column in plan.COLUMNS]
        _, text = quietly(report.coherence, columns, [])
        table = [line for line in text.splitlines() if line.startswith("|")]
        self.assertEqual(len({len(line) for line in table}), 1)
        self.assertLessEqual(len(table[0]), 120)
        self.assertEqual(len({line.count("|") for line in table}), 1)
