# SPDX-License-Identifier: GPL-2.0
"""Tests of checklib.mutation and mutation_sites: which mistakes there are, and the score."""

import tempfile
import unittest
from pathlib import Path

from checklib import ktap, mutation, mutation_sites, plan, section
from checklib.mutation import KILLED, REJECTED, SAME, SURVIVED, Verdict
from checklib.mutation_sites import Site
from checklib.survivors import ARGUED

RUST = """fn f(&self) -> Result {
    let guard = self.lock();
    self.count.fetch_add(1, Relaxed);
    // self.comment();
    let long = self
        .chained();
    unsafe { ffi::put(self.0) };
    return Err(EINVAL);
}

#[cfg(test)]
mod tests {
    fn g() {
        f();
    }
}
"""

C = """/* a < b */
static bool f(int a)
{
	if (a < 3 && g(a))	/* a < b */
		put(a);
	return true;
}
"""


class Sites(unittest.TestCase):
    """Places for mistakes."""

    def test_a_statement_of_one_line_is_left_out(self):
        """But not one that gives a name, leaves the function, or goes on from the line before."""
        found = mutation_sites.deletions("a.rs", RUST.split("#[cfg")[0])
        self.assertEqual([site.line for site in found], [3, 7])

    def test_unit_tests_are_no_part_of_the_driver(self):
        """A mistake in them says nothing of it."""
        self.assertNotIn("mod tests", mutation_sites._code(RUST))

    def test_operators_of_c(self):
        """Each once, and none of a comment."""
        found = mutation_sites.operators("a.c", C)
        self.assertEqual([site.new.strip() for site in found],
                         ["if (!(a < 3 && g(a)))", "if (a <= 3 && g(a))	/* a < b */", "if (a < 3 || g(a))	/* a < b */",
                          "return false;"])

    def test_a_mutant_has_the_lines_of_the_driver(self):
        """Else every line number behind it would change the module."""
        self.assertEqual(Site("a", 2, 2, "x", "").apply("1\n2\n3\n4"), "1\nx\n\n4")
        self.assertEqual(Site("a", 2, 1, "x\ny", "").apply("1\n2\n3"), "1\nx y\n3")

    def test_a_diff_of_cargo_mutants(self):
        """A hunk is put where it belongs."""
        site = mutation_sites._of_diff({
            "file": "a.rs", "genre": "BinaryOperator", "span": {"start": {"line": 11, "column": 7}},
            "diff": "--- a.rs\n+++ replace < with > in f\n@@ -10,3 +10,3 @@\n x\n-a < b\n+a > /* ~ changed by cargo-mutants ~ */ b\n y\n"})
        self.assertEqual((site.line, site.count, site.new), (11, 1, "a > b"))
        self.assertEqual(site.name, "a.rs: replace < with > in f, column 7 of 'a < b'")


class Score(unittest.TestCase):
    """From verdicts to a score."""

    TRIED = {Site("seam/a.rs", 1, 1, "", f"{status} {at}"): Verdict(status)
             for status, count in ((KILLED, 19), (SURVIVED, 1), (SAME, 5), (REJECTED, 7)) for at in range(count)}

    def test_what_cannot_be_made_does_not_count(self):
        """Nor a mistake that changes nothing."""
        self.assertEqual(mutation.score(self.TRIED), 95)

    def test_no_mutant_is_no_score(self):
        """It must not pass."""
        self.assertEqual(mutation.score({}), 0)

    def test_a_survivor_must_be_argued(self):
        """Even if the score is high enough."""
        results = mutation._results(self.TRIED, _Silent())
        self.assertEqual([result.status for result in results], [ktap.PASSED, ktap.FAILED])

    def test_the_table(self):
        """It has a row for each part, a sum, and the survivors."""
        lines = mutation.table(self.TRIED, 1000, 1)
        self.assertIn("| `seam` | 32 | 7 | 5 | 19 | 1 |", lines)
        self.assertIn("| **all** | 32 | 7 | 5 | 19 | 1 |", lines)
        self.assertEqual(lines[-1], "- `seam/a.rs: survived 0`: not argued yet")


class Plan(unittest.TestCase):
    """The tests that are tried."""

    def test_subjects_run_in_their_boots(self):
        """A name that is wrong would end the run in the middle."""
        columns = [boot for column in plan.COLUMNS for boot in (column.ours,)]
        programs = {boot.name: boot.subjects for boot in [*plan.OURS, *plan.DEBUG, *columns]}
        for boot, subjects in [group for groups in mutation.TRIED.values() for group in groups] + mutation.EVERYTHING:
            for subject in subjects:
                if boot:
                    self.assertIn(subject, programs[boot])
            if boot:
                self.assertIn(boot, programs)

    def test_parts_are_there(self):
        """One that has been renamed would be tried on something else."""
        for part in filter(None, mutation.TRIED):
            self.assertTrue(list(mutation.CHECKOUT.glob(part + "*")), part)

    def test_arguments_are_for_files_that_are_there(self):
        """One for a file that has gone is to be removed."""
        for name in ARGUED:
            self.assertTrue((mutation.CHECKOUT / name.split(": ")[0]).exists(), name)


class Section(unittest.TestCase):
    """Where it is written."""

    def test_only_its_own(self):
        """Other commands write into the same document."""
        with tempfile.TemporaryDirectory() as made:
            document = Path(made) / "a.md"
            document.write_text(f"a\n<b>\nold\n{section.END}\n<c>\nkept\n{section.END}\n")
            section.write("<b>", ["new"], document)
            self.assertEqual(document.read_text(), f"a\n<b>\n\nnew\n\n{section.END}\n<c>\nkept\n{section.END}\n")


class _Silent:
    def line(self, _):
        """Nothing is shown."""


if __name__ == "__main__":
    unittest.main()
