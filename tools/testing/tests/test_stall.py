# SPDX-License-Identifier: GPL-2.0
"""When the machine is taken to stand still."""

import unittest

from checklib import ktap, stall


def longest(looks):
    """Of looks at given times, with what was stolen of two processors until then."""
    looks = iter(looks)
    now = None

    def step():
        nonlocal now
        now = next(looks)
        return now[0]

    watch = stall.Watch(step, lambda: now[1])
    watch.look()
    watch.look()
    return watch


class Watch(unittest.TestCase):
    def test_a_machine_that_runs(self):
        self.assertFalse(longest([(5.0, [3.0, 9.0]), (6.1, [3.0, 9.1])]).stood_still)

    def test_a_clock_that_jumped(self):
        watch = longest([(5.0, [0.0, 0.0]), (89.0, [0.0, 0.0])])
        self.assertTrue(watch.stood_still)
        self.assertEqual(watch.longest, 83.0)

    def test_one_processor_was_taken_away(self):
        self.assertTrue(longest([(5.0, [1.0, 1.0]), (6.0, [1.0, 21.0])]).stood_still)

    def test_a_little_stolen_each_second_is_no_standstill(self):
        watch = stall.Watch(iter([1.0, 2.0, 3.0, 4.0]).__next__, iter([[0.0], [4.0], [8.0], [12.0]]).__next__)
        for _ in range(4):
            watch.look()
        self.assertFalse(watch.stood_still)

    def test_it_looks_on_by_itself(self):
        with stall.Watch() as watch:
            self.assertEqual(watch.longest, 0.0)
        self.assertFalse(watch.stood_still)


class MayBeWhy(unittest.TestCase):
    """What a machine that stands still can be blamed for."""

    LOCKUP = ["kernel log: ;watchdog: BUG: soft lockup - CPU#1 stuck for 83s! [kworker/u8:0:12]",
              "import.c:68:x:Expected 0 (0) == kmsg_reports(self->kmsg) (3)"]
    KASAN = ["kernel log: ;BUG: KASAN: slab-use-after-free in x"]

    def judged(self, *failed):
        """The verdict on results that failed, each of them given by its reason and its notes."""
        return stall.may_be_why([ktap.Result("a", "passed", ktap.PASSED)]
                                + [ktap.Result("a", "x", ktap.FAILED, *each) for each in failed])

    def test_a_lockup(self):
        self.assertTrue(self.judged(("", self.LOCKUP), (stall.REPORT,)))

    def test_a_limit_in_time(self):
        self.assertTrue(self.judged(("the program was cut off",), (stall.LATE,)))
        self.assertTrue(self.judged(("the program ended with status 137",)))

    def test_another_report(self):
        self.assertFalse(self.judged(("", self.KASAN), (stall.REPORT,)))
        self.assertFalse(self.judged(("", self.LOCKUP), ("", self.KASAN), (stall.REPORT,)))

    def test_a_report_of_which_nobody_knows(self):
        self.assertFalse(self.judged((stall.REPORT,)))

    def test_a_wrong_answer(self):
        self.assertFalse(self.judged(("", ["import.c:68:x:Expected 0 (0) == 1 (1)"]),))
        self.assertFalse(self.judged(("the program ended with status 1",)))
        self.assertFalse(self.judged(("", [*self.LOCKUP, "import.c:70:x:Expected 0 (0) == 1 (1)"]), (stall.REPORT,)))

    def test_nothing_failed(self):
        self.assertFalse(self.judged())
