# SPDX-License-Identifier: GPL-2.0
"""Tests of checklib.properties: each mutant fits a file that the crate is made of, and names its properties."""

import unittest

from checklib import properties
from checklib.build import CHECKOUT


class Mutants(unittest.TestCase):
    """The list."""

    def test_each_fits_its_file(self):
        """A mutant whose text is not there, or twice, would say nothing about the properties."""
        for mutant in properties.MUTANTS:
            with self.subTest(mutant.name):
                self.assertIn(mutant.file, properties.FILES)
                self.assertEqual((CHECKOUT / mutant.file).read_text().count(mutant.old), 1)
                self.assertTrue((properties.CRATE / f"src/tests/{mutant.module}.rs").exists())

    def test_each_module_has_one(self):
        """Properties that find nothing may be none."""
        modules = {path.stem for path in (properties.CRATE / "src/tests").glob("*.rs")} - {"mod"}
        self.assertEqual(modules, {mutant.module for mutant in properties.MUTANTS})


if __name__ == "__main__":
    unittest.main()
