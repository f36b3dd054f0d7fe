# SPDX-License-Identifier: GPL-2.0
"""Tests of vmlib.dates: the check is made first, and left out only where a date was all that was wrong."""

import contextlib
import io
import tempfile
import unittest
from pathlib import Path

from vmlib import dates
from vmlib.progress import StepFailed

EXPIRED = ("E: Release file for http://mirror/debian/dists/{}/InRelease is expired (invalid since 23d 13h 2min 1s). "
           "Updates for this repository will not be applied.\n")


class Despite(unittest.TestCase):
    """One call of apt, or two."""

    def calls(self, *failures):
        """How a step is called that fails with these outputs, one after the other; what is said is in self.said."""
        outputs, calls, said = list(failures), [], io.StringIO()

        def step(dated):
            calls.append(dated)
            if outputs:
                log.write_text(outputs.pop(0))
                raise StepFailed("failed", log)
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(said):
            log = Path(folder) / "log"
            try:
                dates.despite(step)
            except StepFailed:
                calls.append("failed")
        self.said = said.getvalue()
        return calls

    def test_all_is_well(self):
        self.assertEqual([True], self.calls())
        self.assertEqual("", self.said)

    def test_past_its_date(self):
        self.assertEqual([True, False], self.calls("Get:1\n" + EXPIRED.format("forky")))
        self.assertEqual("a Release file is past the date until which it is valid (that of forky for 23d 13h 2min 1s); "
                         "going on without that check\n", self.said)

    def test_two_suites(self):
        self.calls(EXPIRED.format("experimental") + EXPIRED.format("forky"))
        self.assertIn("(that of experimental for 23d 13h 2min 1s and that of forky for 23d 13h 2min 1s)", self.said)

    def test_another_reason(self):
        self.assertEqual([True, "failed"], self.calls("E: Failed to fetch\n"))
        self.assertEqual([True, False, "failed"], self.calls(EXPIRED.format("forky"), "E: Failed to fetch\n"))

    def test_not_valid_yet(self):
        """A clock that is slow is another matter."""
        text = "E: Release file for http://mirror/debian/dists/forky/InRelease is not valid yet (invalid for another 2h)."
        self.assertEqual([True, "failed"], self.calls(text))


if __name__ == "__main__":
    unittest.main()
