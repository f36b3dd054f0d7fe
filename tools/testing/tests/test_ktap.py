# SPDX-License-Identifier: GPL-2.0
"""From KTAP to results, above all where a program does not end as it should."""

import unittest

from checklib import ktap


def results(text, status):
    """What a program that wrote `text` and ended with `status` counts as."""
    parser = ktap.Parser("subject")
    for line in text.splitlines():
        parser.line(line)
    return [(result.name, result.status) for result in parser.end(status)]


class Ktap(unittest.TestCase):
    def test_passed_failed_skipped(self):
        text = "TAP version 13\n1..3\nok 1 a.x\n# Expected 1 == 2\nnot ok 2 a.y\nok 3 a.z # SKIP no swap\n"
        self.assertEqual(results(text, 1), [("a.x", "passed"), ("a.y", "failed"), ("a.z", "skipped")])

    def test_reason_of_a_skip(self):
        parser = ktap.Parser("subject")
        parser.line("1..1")
        self.assertEqual(parser.line("ok 1 a.z # SKIP needs swap").reason, "needs swap")

    def test_notes_belong_to_the_next_result(self):
        parser = ktap.Parser("subject")
        for line in ("1..2", "#  RUN           a.x ...", "# x.c:1:x:Expected 1", "not ok 1 a.x", "# later"):
            result = parser.line(line)
            if result:
                self.assertEqual(result.notes, ["x.c:1:x:Expected 1"])
        self.assertEqual(parser.line("ok 2 a.y").notes, ["later"])

    def test_died_in_the_middle(self):
        self.assertEqual([status for _, status in results("1..3\nok 1 a.x\n", 139)], ["passed", "failed", "failed"])

    def test_cut_off(self):
        self.assertEqual([status for _, status in results("1..2\nok 1 a.x\n", None)], ["passed", "failed"])

    def test_no_plan(self):
        self.assertEqual(results("sh: not found\n", 127), [("subject: no plan", "failed")])

    def test_nothing_at_all(self):
        self.assertEqual(results("", 0), [("subject: no plan", "failed")])

    def test_bad_exit_with_no_failed_test(self):
        self.assertEqual(results("1..1\nok 1 a.x\n", 1)[1], ("subject: exit status", "failed"))

    def test_all_skipped_ends_with_4(self):
        self.assertEqual(results("1..1\nok 1 a.x # SKIP why\n", 4), [("a.x", "skipped")])

    def test_skip_that_is_not_ok_has_failed(self):
        self.assertEqual(results("1..1\nnot ok 1 a.x # SKIP why\n", 1), [("a.x", "failed")])

    def test_name_with_a_hash_is_no_directive(self):
        self.assertEqual(results("1..1\nok 1 a.x #1\n", 0), [("a.x #1", "passed")])

    def test_upstream_style(self):
        self.assertEqual(results("1..1\nok 1 drivers/dma-buf/udmabuf: [PASS,test-1]\n", 0),
                         [("drivers/dma-buf/udmabuf: [PASS,test-1]", "passed")])


class KUnit(unittest.TestCase):
    SUITE = ("KTAP version 1\n1..1\n    KTAP version 1\n    # Subtest: {0}\n    1..2\n    ok 1 one\n    {1} 2 two\n"
             "# {0}: pass:2 fail:0 skip:0 total:2\n{1} 1 {0}\n")

    def results(self, text):
        parser = ktap.KUnit("kunit")
        for line in text.splitlines():
            parser.line(line)
        return [(result.name, result.status) for result in parser.end(0)]

    def test_two_suites(self):
        self.assertEqual(self.results(self.SUITE.format("a", "ok") + self.SUITE.format("b", "not ok")),
                         [("a.one", "passed"), ("a.two", "passed"), ("b.one", "passed"), ("b.two", "failed")])

    def test_no_suite_is_a_failure(self):
        for text in ("", "cat: /sys/kernel/debug/kunit/*/results: No such file or directory\n"):
            self.assertEqual([status for _, status in self.results(text)], ["failed"])

    def test_parameters_of_a_test(self):
        text = ("    # Subtest: a\n    1..1\n        KTAP version 1\n        # Subtest: one\n        1..2\n"
                "        ok 1 x\n        ok 2 y\n    ok 1 one\nok 1 a\n")
        self.assertEqual(self.results(text), [("a.one", "passed")])

    def test_suite_that_was_cut_off(self):
        text = "KTAP version 1\n1..1\n    # Subtest: a\n    1..2\n    ok 1 one\n"
        self.assertEqual([status for _, status in self.results(text)], ["passed", "failed"])
