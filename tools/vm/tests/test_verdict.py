# SPDX-License-Identifier: GPL-2.0
"""Tests of vmlib.verdict."""

import contextlib
import io
import unittest

from vmlib import verdict
from vmlib.qemu import Outcome

WARNING = "[ 1.0] WARNING: foo.c:12 at foo+0x1/0x2\n"
RACE = """\
[ 2.0] ==================================================================
[ 2.0] BUG: KCSAN: data-race in foo / foo
[ 2.0] write to 0xffff888003b6e4d8 of 8 bytes by task 117 on cpu 1:
[ 2.0]  foo+0x1/0x2
[ 2.0] ==================================================================
"""


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

    def test_data_race_of_the_kernels_own(self):
        status, said = judge(status=0, log=RACE + RACE)
        self.assertEqual(0, status)
        self.assertIn("2 data race(s) of the kernel's own", said)
        self.assertIn("2 x BUG: KCSAN: data-race in foo / foo", said)

    def test_data_race_with_a_module_in_it(self):
        status, said = judge(status=0, log=RACE + RACE.replace("foo+0x1/0x2", "foo+0x1/0x2 [udmabuf_rs]"))
        self.assertEqual(99, status)
        self.assertIn("1 data race(s) of the kernel's own", said)
        self.assertIn("the kernel log has 1 report(s)", said)

    def test_time_limit(self):
        self.assertEqual(124, judge(timed_out=True, running=True)[0])
        self.assertEqual(99, judge(timed_out=True, running=True, log=WARNING)[0])

    def test_never_came_to_the_command(self):
        status, said = judge(error="cannot load /x.ko")
        self.assertEqual(125, status)
        self.assertIn("cannot load /x.ko", said)


if __name__ == "__main__":
    unittest.main()
