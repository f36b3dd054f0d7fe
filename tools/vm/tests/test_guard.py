# SPDX-License-Identifier: GPL-2.0
"""Tests of vmlib.guard and client: how programs end that start each other."""

import errno
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

from vmlib import guard, privilege
from vmlib.errors import Failure

VM = Path(__file__).resolve().parents[1]

# A program of ours that starts another one, which starts one that is none of ours.
INNER = """
import client, sys, time
def work():
    with client.started(["sh", "-c", "echo $$; exec sleep 60"]) as child:
        child.wait()
sys.exit(client.guarded("inner", work))
"""
OUTER = """
import client, sys
def work():
    with client.pool(2) as pool:
        for each in [pool.submit(client.run, [sys.executable, "-c", sys.argv[1]]) for _ in range(3)]:
            each.result()
sys.exit(client.guarded("outer", work))
"""


def environment():
    """One in which nothing of ours is running yet."""
    kept = {name: value for name, value in os.environ.items() if name != guard.INNER}
    return dict(kept, PYTHONPATH=str(VM), PYTHONDONTWRITEBYTECODE="1")


def alive(pid):
    """Whether a process is there, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Interrupted(unittest.TestCase):
    """One line, status 130, and nothing left."""

    def interrupt(self, argv, programs, whole_group, number=signal.SIGINT):
        """The status and stderr of a command that is interrupted, and its children's children that live on."""
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
                              start_new_session=True) as child:
            started = [int(child.stdout.readline()) for _ in range(programs)]
            (os.killpg if whole_group else os.kill)(child.pid, number)
            said = child.stderr.read()
            status = child.wait(20)
        time.sleep(0.1)
        return status, said, [pid for pid in started if alive(pid)]

    def test_alone(self):
        self.assertEqual((130, "inner: interrupted\n", []), self.interrupt([sys.executable, "-c", INNER], 1, False))

    def test_by_a_terminal(self):
        argv = [sys.executable, "-c", OUTER, INNER]
        self.assertEqual((130, "outer: interrupted\n", []), self.interrupt(argv, 2, True))

    def test_outermost_alone(self):
        argv = [sys.executable, "-c", OUTER, INNER]
        self.assertEqual((130, "outer: interrupted\n", []), self.interrupt(argv, 2, False))

    def test_terminated(self):
        argv = [sys.executable, "-c", OUTER, INNER]
        self.assertEqual((143, "", []), self.interrupt(argv, 2, False, signal.SIGTERM))

    def test_what_was_started_is_interrupted_alone(self):
        work = ("import client, sys\n"
                "def work(): client.run([sys.executable, '-c', 'raise SystemExit(130)'])\n"
                "sys.exit(client.guarded('outer', work))\n")
        done = subprocess.run([sys.executable, "-c", work], env=environment(), capture_output=True, text=True,
                              check=False)
        self.assertEqual((130, "outer: interrupted\n"), (done.returncode, done.stderr))


class Rights(unittest.TestCase):
    """Without root rights there is one sentence, which says what to do."""

    def refused(self, sudo, statuses):
        """What is said where sudo is there or not, and ends with these statuses."""
        done = [subprocess.CompletedProcess([], status) for status in statuses]
        with mock.patch.object(privilege.os, "geteuid", lambda: 1000), \
                mock.patch.object(privilege.shutil, "which", lambda _name: sudo), \
                mock.patch.object(privilege.subprocess, "run", side_effect=done), \
                mock.patch.object(privilege.sys, "stderr"), self.assertRaises(Failure) as caught:
            privilege.as_root(["true"])
        return str(caught.exception)

    def test_no_sudo(self):
        self.assertRegex(self.refused(None, []), "^root rights are needed .*install sudo")

    def test_sudo_refuses(self):
        self.assertRegex(self.refused("/usr/bin/sudo", [1, 1]), "^root rights are needed .* sudo refused .*run this as")

    def test_every_command(self):
        """All commands of the README that need rights say so in one line, with no traceback."""
        top = VM.parents[1]
        program = ("import os, runpy, shutil, sys; os.geteuid = lambda: 1000; shutil.which = lambda *_, **__: None; "
                   "sys.argv[:] = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')")
        for words in (["tools/testing/check"], ["tools/bench/bench"], ["tools/bench/profile", "create"],
                      ["tools/demo/demo", "--output", os.devnull], ["tools/lint/lint"]):
            with self.subTest(words[0]):
                done = subprocess.run([sys.executable, "-c", program, *words], cwd=top, env=environment(),
                                      capture_output=True, text=True, check=False)
                self.assertRegex(done.stderr, r"\A\w+: root rights are needed .*\n\Z")
                self.assertEqual(("", 125), (done.stdout, done.returncode))

    def test_what_belongs_to_another(self):
        with tempfile.NamedTemporaryFile() as file, mock.patch.object(guard.os, "geteuid", lambda: os.getuid() + 1):
            said = guard.sentence(PermissionError(errno.EACCES, "Permission denied", file.name))
            self.assertRegex(said, f"^{file.name}: Permission denied; it belongs to another user: .* chown")
        self.assertEqual("x: Is a directory", guard.sentence(IsADirectoryError(errno.EISDIR, "Is a directory", "x")))


if __name__ == "__main__":
    unittest.main()
