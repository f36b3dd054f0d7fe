# SPDX-License-Identifier: GPL-2.0
"""Tests of checklib.compile_fail."""

import unittest

from checklib import compile_fail

MOVED = "error[E0382]: use of moved value: `a`\n --> case.rs:1:1\n\nerror: aborting due to 1 previous error\n"


class Judge(unittest.TestCase):
    def test_the_expected_error_passes(self):
        self.assertEqual(compile_fail.judge(MOVED, "E0382"), "")

    def test_any_other_error_fails(self):
        self.assertIn("E0382", compile_fail.judge(MOVED, "E0505"))
        self.assertIn("no file", compile_fail.judge("error: no file\n" + MOVED, "E0382"))

    def test_a_misuse_that_compiles_fails(self):
        self.assertIn("none", compile_fail.judge("warning: unused\n", "E0382"))

    def test_a_control_case_must_compile(self):
        self.assertEqual(compile_fail.judge("", None), "")
        self.assertIn("E0382", compile_fail.judge(MOVED, None))


class Command(unittest.TestCase):
    def test_source_and_output_are_left_out(self):
        recorded = "A=/b rustc --cfg 'x=\"y z\"' --crate-type rlib --out-dir ./ --emit=obj=a.o --emit=dep-info=a.d a.rs"
        self.assertEqual(compile_fail.command(recorded), ["A=/b", "rustc", "--cfg", "'x=\"y z\"'"])
