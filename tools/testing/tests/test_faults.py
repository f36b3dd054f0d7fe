# SPDX-License-Identifier: GPL-2.0
"""Tests of checklib.faults: from what the program prints to a table in a document."""

import contextlib
import io
import tempfile
import unittest
from pathlib import Path

from checklib import faults, ktap, plan, section


def result(boot, name, status, *notes):
    """A test of the program."""
    return ktap.Result("faults", name, status, notes=list(notes), boot=boot)


class Faults(unittest.TestCase):
    """The table."""

    def setUp(self):
        self.first, self.second = (boot.name for boot in plan.FAULTS)
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.document = Path(self.folder.name) / "proven.md"
        self.document.write_text("before\n" + "".join(f"{mark}\nold\n{section.END}\nafter\n" for mark in faults.TABLES))

    def results(self, status=ktap.PASSED):
        """Both boots."""
        return [
            result(self.first, "faults.create.a", ktap.PASSED, "faults: create 27 points 19 failed 54 in all"),
            result(self.first, "faults.create.b", ktap.PASSED, "other", "faults: create 2 charges 1 killed"),
            result(self.first, "faults.create.c", ktap.PASSED, "faults: create 9 shortages 8 failed"),
            result(self.second, "faults.create.a", status, "faults: create 30 points 20 failed 60 in all"),
            result(self.second, "faults.map.a", ktap.PASSED, "faults: map 5 points 4 failed 10 in all"),
        ]

    def tell(self, results):
        """Returns what is printed, and the document afterwards."""
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            faults.tell(results, self.document)
        return said.getvalue(), self.document.read_text()

    def test_table(self):
        """Every operation has a row, and numbers of both boots."""
        said, written = self.tell(self.results())
        self.assertIn("| create | 27 | 19 | 8 | 2 | 30 | 20 | 0 | 0 |", said)
        self.assertIn("| map | – | – | – | – | 5 | 4 | 0 | 0 |", said)
        self.assertIn("| **all** | 27 | 19 | 8 | 2 | 35 | 24 | 0 | 0 |", written)
        self.assertEqual(written.count("old"), 1)
        self.assertTrue(written.startswith("before\n") and written.endswith("after\n"))

    def test_again(self):
        """The table is replaced by the next."""
        self.tell(self.results())
        _, written = self.tell(self.results())
        self.assertEqual(written.count("| create |"), 1)

    def test_arm64(self):
        """A table of its own, which leaves the other as it is."""
        name = plan.FAULTS_ARM64.name
        _, written = self.tell([result(name, "faults.create.a", ktap.PASSED, "faults: create 7 points 6 failed 8 in all")])
        first, second = written.split(section.END, 1)
        self.assertIn("old", first)
        self.assertNotIn("old", second)
        self.assertIn(f"| operation | {name}: points", second)
        self.assertIn("| create | 7 | 6 | 0 | 0 |", second)

    def test_part(self):
        """A run of one boot, or one that failed, is not for the document."""
        for results in (self.results()[:3], self.results(ktap.FAILED)):
            said, written = self.tell(results)
            self.assertIn("| create | 27 |", said)
            self.assertIn("old", written)

    def test_none(self):
        """Other runs have no table."""
        self.assertEqual(self.tell([result("main", "faults.create.a", ktap.PASSED)])[0], "")


if __name__ == "__main__":
    unittest.main()
