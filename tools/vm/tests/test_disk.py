# SPDX-License-Identifier: GPL-2.0
"""Tests of vmlib.disk: a file system that is full is named, with what is free and needed."""

import contextlib
import errno
import io
import os
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from vmlib import cache, disk, guard, progress
from vmlib.errors import Failure


def left(free, no_inodes=False):
    """A stand-in for disk.room()."""
    return lambda _path: disk.Room("/full", free, no_inodes)


def said_by(error):
    """What guarded() prints for an exception."""
    def work():
        raise error
    said = io.StringIO()
    with contextlib.redirect_stderr(said), mock.patch.object(guard, "_take_signals"):
        guard.guarded("tool", work)
    return said.getvalue()


class Room(unittest.TestCase):
    """What there is, by path."""

    def test_of_what_is_not_there_yet(self):
        found = disk.room("/proc/self/nowhere/at/all")
        self.assertEqual(("/proc", 0), (found.mount, found.free))

    def test_shown(self):
        self.assertEqual(("0 MB", "999 MB", "3.5 GB"), tuple(map(disk.show, (5, 999 << 20, 3600 << 20))))


class Before(unittest.TestCase):
    """A step that would not fit is not begun."""

    def test_required(self):
        with mock.patch.object(disk, "room", left(1 << 30)):
            disk.require("/x", 1024, "a step")
            said = "^the file system at /full has 1.0 GB free, and a step takes 3.5 GB: free"
            with self.assertRaisesRegex(Failure, said):
                disk.require("/x", 3600, "a step")

    def test_no_inodes(self):
        with mock.patch.object(disk, "room", left(1 << 40, True)):
            with self.assertRaisesRegex(Failure, "has no inodes left"):
                disk.require("/x", 1, "a step")

    def test_entry(self):
        with tempfile.TemporaryDirectory() as top, mock.patch.object(disk, "room", left(1 << 20)):
            with self.assertRaisesRegex(Failure, "has 1 MB free, and making 'thing' takes 2 MB"):
                cache.Cache(top).obtain("thing", 1, self.fail, size=2)


class After(unittest.TestCase):
    """A step that found no room says where."""

    def test_error(self):
        with mock.patch.object(disk, "room", left(0)):
            for name in ("/full/file", None):
                self.assertEqual(f"tool: the file system at /full has 0 MB free: {disk.REMEDY}\n",
                                 said_by(OSError(errno.ENOSPC, "No space left on device", name)))

    def test_error_whose_file_system_is_not_found(self):
        with mock.patch.object(disk, "room", left(1 << 40)):
            said = said_by(OSError(errno.ENOSPC, "No space left on device"))
            self.assertRegex(said, "^tool: a file system is full: ")

    def test_quota(self):
        self.assertRegex(said_by(OSError(errno.EDQUOT, "Disk quota exceeded", "/x")), "^tool: /x does not fit .*quota")

    def test_failure_that_may_come_from_it(self):
        with mock.patch.object(disk, "room", left(1 << 20)):
            said = "tool: no (the file system at /full has 1 MB free, which may be why)\n"
            self.assertEqual(said, said_by(Failure("no")))
        with mock.patch.object(disk, "room", left(1 << 30)):
            self.assertEqual("tool: no\n", said_by(Failure("no")))

    def test_step(self):
        program = "print('tar: x: Cannot write: No space left on device'); raise SystemExit(2)"
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
            with mock.patch.object(disk, "room", left(0)), self.assertRaisesRegex(Failure, "^the file system at /full"):
                progress.run_step("step", [sys.executable, "-c", program], Path(folder) / "log", "",
                                  progress.count_lines(1))

    @unittest.skipUnless(os.path.exists("/dev/full"), "there is no /dev/full")
    def test_real_error(self):
        with self.assertRaises(OSError) as caught, open("/dev/full", "wb", buffering=0) as stream:
            stream.write(b"x")
        self.assertIn("full", disk.sentence_for(caught.exception))


if __name__ == "__main__":
    unittest.main()
