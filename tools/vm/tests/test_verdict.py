# SPDX-License-Identifier: GPL-2.0
"""Tests of vmlib.verdict."""

import contextlib
import io
import unittest

from vmlib import verdict
from vmlib.qemu import Outcome

WARNING = "[ 1.0] WARNING: foo.c:12 at foo+0x1/0x2\n"


def judge(expected=(), **fields):
    """The verdict, and what was said about it."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        status = verdict.judge(Outcome(**fields), expected, "the-log")
    return status, said.getvalue()


class Judge(unittest.TestCase):
    """Exit statuses, and in which order they count."""

    def test_status_of_the_command(self):
        self.assertEqual((7, ""), judge(status=7))

    def test_report(self):
        status, said = judge(status=0, log=WARNING)
        self.assertEqual(99, status)
        self.assertIn("foo.c:12", said)
        self.assertIn("the-log", said)

    def test_expected_report(self):
        status, said = judge(expected=["foo.c"], status=3, log=WARNING)
        self.assertEqual(3, status)
        self.assertIn("expected in the kernel log: WARNING: foo.c", said)

    def test_expected_report_that_is_not_there(self):
        status, said = judge(expected=["foo.c"], status=0)
        self.assertEqual(0, status)
        self.assertIn("but not there: foo.c", said)

    def test_time_limit(self):
        self.assertEqual(124, judge(timed_out=True, running=True)[0])
        self.assertEqual(99, judge(timed_out=True, running=True, log=WARNING)[0])

    def test_never_came_to_the_command(self):
        status, said = judge(error="cannot load /x.ko")
        self.assertEqual(125, status)
        self.assertIn("cannot load /x.ko", said)


if __name__ == "__main__":
    unittest.main()
