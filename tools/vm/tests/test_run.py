# SPDX-License-Identifier: GPL-2.0
"""Tests of the command line of tools/vm/run."""

import contextlib
import io
import unittest

from vmlib.commands import run


def parse(*argv):
    """The options on this command line."""
    return run.parse_arguments(argv)


class CommandLine(unittest.TestCase):
    """What belongs to us, and what to COMMAND."""

    def test_command_is_left_alone(self):
        options = parse("--smp", "4", "--", "test", "--smp", "9", "--", "--qemu", "-x")
        self.assertEqual(["test", "--smp", "9", "--", "--qemu", "-x"], options.command)
        self.assertEqual(4, options.smp)

    def test_values_with_dashes(self):
        self.assertEqual("-nographic", parse("--qemu", "-nographic", "--", "true").qemu)
        self.assertEqual("-vga std", parse("--qemu=-vga std", "--", "true").qemu)

    def test_masks(self):
        self.assertEqual([], parse("--", "true").edu)
        self.assertEqual([""], parse("--edu", "--", "true").edu)
        self.assertEqual(["0xffffffff", ""], parse("--edu=0xffffffff", "--edu", "--", "true").edu)
        self.assertEqual(["0x1000"], parse("--edu=4096", "--", "true").edu)

    def test_root(self):
        self.assertIsNone(parse("--", "true").mounted)
        self.assertEqual("tracing", parse("--root", "tracing", "--", "true").mounted)

    def test_icount(self):
        self.assertFalse(parse("--", "true").icount)
        self.assertTrue(parse("--icount", "--", "true").icount)

    def test_shell(self):
        options = parse("--shell")
        self.assertEqual((True, [], float("inf")), (options.shell, options.command, options.timeout))
        self.assertEqual(5, parse("--shell", "--timeout=5").timeout)
        self.assertEqual(600, parse("--", "true").timeout)

    def test_either_shell_or_command(self):
        for argv, said in ((["--shell", "--", "true"], "give one of them"), (["--no-module"], "no COMMAND")):
            with contextlib.redirect_stderr(io.StringIO()) as stderr, self.assertRaises(SystemExit) as caught:
                parse(*argv)
            self.assertEqual(2, caught.exception.code)
            self.assertIn(said, stderr.getvalue())

    def test_many(self):
        options = parse("--add", "a", "--add", "b=c", "--kmod", "bochs", "--", "true")
        self.assertEqual((["a", "b=c"], ["bochs"]), (options.add, options.kmod))


if __name__ == "__main__":
    unittest.main()
