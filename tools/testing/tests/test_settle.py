# SPDX-License-Identifier: GPL-2.0
"""Tests of checklib.settle and its mutants."""

import re
import unittest

from checklib import ktap, settle
from checklib.settle_mutants import MUTANTS


class Show:
    """Says nothing."""

    def line(self, text):
        """Drop a line."""


class Mutants(unittest.TestCase):
    def test_each_replaces_one_place_of_the_file(self):
        source = settle.SOURCE.read_text()
        for mutant in MUTANTS:
            if not mutant.mistake:
                self.assertEqual(source.count(mutant.old), 1, mutant.name)
                self.assertNotEqual(mutant.old, mutant.new, mutant.name)

    def test_the_model_makes_each_mistake_that_it_knows(self):
        program = (settle.MODEL / "src/program.rs").read_text()
        known = re.search(r"pub enum Mistake \{(.*?)\n\}", program, re.DOTALL).group(1)
        self.assertEqual(sorted(re.findall(r"^    (\w+),$", known, re.MULTILINE)),
                         sorted(mutant.mistake for mutant in MUTANTS if mutant.mistake))

    def test_names_differ(self):
        self.assertEqual(len({mutant.name for mutant in MUTANTS}), len(MUTANTS))


class Verdicts(unittest.TestCase):
    def test_a_mutant_is_found_by_what_is_lost(self):
        self.assertEqual(self.status("ok 1 a\nlost b: byte 1, after 2 steps\n    thread 0: lock\n", 1), ktap.PASSED)

    def test_a_mutant_that_loses_nothing_is_not_found(self):
        self.assertEqual(self.status("ok 1 a\nstates 5 5\n", 0), ktap.FAILED)

    def test_a_mutant_that_does_not_compile_is_not_found(self):
        self.assertEqual(self.status("does not compile:\nerror\n", 1), ktap.FAILED)
        self.assertEqual(self.status("matches 2 times", None), ktap.FAILED)

    @staticmethod
    def status(output, status):
        return settle._verdict(MUTANTS[0], (output, status), Show()).status  # pylint: disable=protected-access
