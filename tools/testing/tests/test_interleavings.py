# SPDX-License-Identifier: GPL-2.0
"""Tests of checklib.interleavings and its mutants."""

import contextlib
import io
import unittest

from checklib import interleavings, ktap
from checklib.interleavings_mutants import MUTANTS


class Show:
    """Says nothing."""

    def line(self, text):
        """Drop a line."""


def quietly(judge, *words):
    """Returns the result of `judge`, and drops its output."""
    with contextlib.redirect_stdout(io.StringIO()):
        return judge(*words)


class Mutants(unittest.TestCase):
    def test_each_replaces_one_place_of_its_file(self):
        for mutant in MUTANTS:
            source = interleavings.RECORDS[mutant.record].read_text()
            self.assertEqual(source.count(mutant.old), 1, mutant.name)
            self.assertNotEqual(mutant.old, mutant.new, mutant.name)

    def test_each_record_has_some(self):
        for record in interleavings.RECORDS:
            self.assertGreaterEqual(sum(mutant.record == record for mutant in MUTANTS), 6, record)

    def test_names_differ(self):
        self.assertEqual(len({mutant.name for mutant in MUTANTS}), len(MUTANTS))


class Verdict(unittest.TestCase):
    """A mutant is found by the program, and by nothing else."""

    def verdict(self, output, status):
        return quietly(interleavings._verdict, MUTANTS[0], (output, status), Show()).status  # pylint: disable=protected-access

    def test_lost(self):
        self.assertEqual(self.verdict("explored a: 12\nlost b: deadlock\n", 1), ktap.PASSED)

    def test_nothing_lost(self):
        self.assertEqual(self.verdict("explored a: 12\nall 1 scenarios\n", 0), ktap.FAILED)

    def test_not_compiled(self):
        self.assertEqual(self.verdict("does not compile:\nerror: lost b: type\n", 1), ktap.FAILED)

    def test_not_placed(self):
        self.assertEqual(self.verdict("matches 2 times", None), ktap.FAILED)


class Real(unittest.TestCase):
    """The scenarios of a record pass if all of them came to their end."""

    def statuses(self, output, status):
        results = quietly(interleavings._real, "unbind", (output, status), Show())  # pylint: disable=protected-access
        return [result.status for result in results]

    def test_all(self):
        self.assertEqual(self.statuses("explored a: 12\nexplored b: c: 3\nall 2 scenarios\n", 0), [ktap.PASSED] * 2)

    def test_lost(self):
        self.assertEqual(self.statuses("explored a: 12\nlost b: deadlock\n", 1), [ktap.PASSED, ktap.FAILED])

    def test_ended_early(self):
        for output in ("", "all 0 scenarios\n", "explored a: 12\n", "explored a: 12\nall 2 scenarios\n"):
            self.assertIn(ktap.FAILED, self.statuses(output, 0), output)

    def test_no_interleavings(self):
        self.assertIn(ktap.FAILED, self.statuses("explored a: 0\nall 1 scenarios\n", 0))


if __name__ == "__main__":
    unittest.main()
