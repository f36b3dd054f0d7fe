# SPDX-License-Identifier: GPL-2.0
"""Tests of checklib.mutants: each mutant fits the driver, and names a test that there is."""

import unittest

from checklib import mutants, plan
from checklib.build import CHECKOUT


class Mutants(unittest.TestCase):
    """The list."""

    def test_each_fits_its_file(self):
        """A mutant whose text is not there, or twice, would say nothing about the test."""
        for case in mutants.cases():
            with self.subTest(case.name):
                self.assertEqual((CHECKOUT / case.file).read_text().count(case.old), 1)
                self.assertNotEqual(case.old, case.new)

    def test_each_names_a_program_of_its_boot(self):
        """The driver as it is would not be tried."""
        programs = {boot.name: boot.subjects for boot in [*plan.OURS, plan.FAULTS_FEW, *plan.stress(plan.STRESS_SECONDS)]}
        for case in mutants.cases():
            with self.subTest(case.name):
                self.assertIn(case.program, programs[case.boot])

    def test_names_differ(self):
        """A result is known by the name."""
        names = [(case.program, case.name) for case in mutants.cases()]
        self.assertEqual(len(names), len(set(names)))


if __name__ == "__main__":
    unittest.main()
