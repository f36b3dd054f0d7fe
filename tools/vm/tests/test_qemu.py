# SPDX-License-Identifier: GPL-2.0
"""Tests of vmlib.qemu: the command line of QEMU, and what happens where the VM does not boot."""

import contextlib
import io
import os
import pty
import subprocess
import sys
import tempfile
import termios
import threading
import time
import unittest
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from vmlib import accelerator, kernels, progress, qemu, terminal
from vmlib.errors import Failure

FAKE = Path(__file__).with_name("fake_qemu.py")


def command(arch=kernels.AMD64, needs="", **options):
    """The command line for a machine with these options."""
    machine = qemu.Machine(SimpleNamespace(arch=arch, image="vmlinuz", append=needs), Path("initramfs"), **options)
    return list(map(str, machine.command(["-accel", "tcg"], Path("/run"))))


def value(argv, option):
    """What follows this option."""
    return argv[argv.index(option) + 1]


class RunFolder(unittest.TestCase):
    """What a run finds in /tmp that others have left, or are using."""

    def left(self, name):
        """Whether a folder whose name begins like this is still there after a run."""
        with tempfile.TemporaryDirectory(prefix=name, dir="/tmp", ignore_cleanup_errors=True) as folder:
            with qemu.run_folder():
                return Path(folder).exists()

    def test_of_a_run_that_is_no_more(self):
        with subprocess.Popen(["true"]) as ended:
            ended.wait()
        self.assertFalse(self.left(f"{qemu.FOLDER}{ended.pid}-"))

    def test_of_a_run_that_goes_on(self):
        self.assertTrue(self.left(f"{qemu.FOLDER}1-"))

    def test_of_another_program(self):
        self.assertTrue(self.left("udmabuf_rs-lint-"))
        self.assertTrue(self.left(f"{qemu.FOLDER}tools-"))


class CommandLine(unittest.TestCase):
    """What differs between architectures, and between runs."""

    def test_shared_folder_cannot_be_written_to(self):
        argv = command(arguments=qemu.shared("/root-of-tracing"))
        self.assertIn("path=/root-of-tracing,", value(argv, "-fsdev"))
        self.assertIn("readonly=on", value(argv, "-fsdev"))

    def test_amd64(self):
        argv = command()
        self.assertEqual(("qemu-system-x86_64", "pc"), (argv[0], value(argv, "-machine")))
        self.assertRegex(value(argv, "-append"), "^console=ttyS0 .* no_timer_check")

    def test_arm64(self):
        argv = command(kernels.ARM64)
        self.assertEqual(("qemu-system-aarch64", "virt,gic-version=3"), (argv[0], value(argv, "-machine")))
        self.assertRegex(value(argv, "-append"), "^console=ttyAMA0 ")

    def test_iommu(self):
        argv = command(iommu=True)
        self.assertEqual("q35", value(argv, "-machine"))
        self.assertLess(argv.index("intel-iommu,intremap=off"), argv.index("virtio-serial-pci"))
        self.assertIn("iommu.strict=1", value(argv, "-append").split())
        self.assertNotIn("iommu.strict=1", value(command(), "-append").split())
        self.assertIn("iommu=smmuv3", value(command(kernels.ARM64, iommu=True), "-machine"))

    def test_edu(self):
        argv = command(edu=["", "0xffffffff"])
        self.assertIn("edu", argv)
        self.assertIn("edu,dma_mask=0xffffffff", argv)

    def test_counting(self):
        argv = accelerator.counting(SimpleNamespace(arch=kernels.AMD64))
        self.assertEqual(("shift=0,sleep=off", "max"), (value(argv, "-icount"), value(argv, "-cpu")))
        self.assertIn("thread=single", value(argv, "-accel"))

    def test_ours_come_last(self):
        argv = command(needs="no5lvl", append="quiet", arguments=["-vga", "std"])
        self.assertEqual(["-vga", "std"], argv[-2:])
        self.assertRegex(value(argv, "-append"), " no5lvl quiet$")


class Shell(unittest.TestCase):
    """The terminal is the shell's until it ends, or the user leaves it."""

    def run_shell(self, typed):
        """The outcome, the screen, and whether the terminal is as before."""
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        self.addCleanup(os.close, theirs)
        before = termios.tcgetattr(theirs)
        screen = bytearray()

        def user():
            while termios.tcgetattr(theirs)[3] & termios.ICANON:
                time.sleep(0.02)
            os.write(ours, typed)

        with tempfile.TemporaryDirectory(dir="/tmp") as name:
            root = SimpleNamespace(command=lambda argv, paths: argv)
            machine = SimpleNamespace(icount=False, kernel=None, command=lambda _acceleration, folder:
                                      [sys.executable, str(FAKE), str(folder), "shell"])
            shown = terminal.Terminal(theirs, theirs)
            with mock.patch.object(accelerator, "arguments", lambda *_: []), \
                    mock.patch.object(shown, "write", screen.extend):
                hands = threading.Thread(target=user, daemon=True)
                hands.start()
                outcome = qemu.run_vm(root, machine, Path(name), 20, boot_seconds=10, terminal=shown)
                hands.join()
        return outcome.status, bytes(screen), termios.tcgetattr(theirs) == before

    def test_exit(self):
        self.assertEqual((3, b"\x03LS\rEXIT\r", True), self.run_shell(b"\x03ls\rexit\r"))

    def test_left(self):
        status, _, restored = self.run_shell(b"ls\r\x1d")
        self.assertEqual((0, True), (status, restored))

    def test_no_terminal(self):
        with open(os.devnull, "rb") as null, self.assertRaisesRegex(Failure, "^--shell needs a terminal"):
            terminal.Terminal(null.fileno(), null.fileno())

    def test_command_line(self):
        self.assertIn("virtconsole,chardev=shell", command(shell=True))
        self.assertNotIn("virtconsole,chardev=shell", command())


class Boot(unittest.TestCase):
    """A VM that does not boot is booted once more, if its host may be the reason."""

    def boot(self, *behaviours, seconds=1.2):
        """The outcome of VMs that behave like this one after the other, what was said, and how many there were."""
        with tempfile.TemporaryDirectory(dir="/tmp") as name:
            top, started = Path(name), []

            def fake(folder):
                started.append(behaviours[len(started)])
                return [sys.executable, str(FAKE), str(folder), started[-1]]

            root = SimpleNamespace(command=lambda argv, paths: argv,
                                   cache=SimpleNamespace(run_log=lambda: top / "first.log"))
            machine = SimpleNamespace(icount=False, kernel=None, command=lambda _acceleration, folder: fake(folder))
            said = io.StringIO()
            stdout = SimpleNamespace(buffer=io.BytesIO())
            # Only what is to hang is in a hurry.
            interval = 0.3 if "hang" in behaviours else 100
            with mock.patch.object(accelerator, "arguments", lambda *_: []), contextlib.redirect_stderr(said), \
                    mock.patch.object(qemu.os, "getloadavg", lambda: (0.0 if started[-1] == "hang" else 1e6,)), \
                    mock.patch.object(qemu.sys, "stdout", stdout), \
                    mock.patch.object(progress, "PLAIN_INTERVAL", interval):
                outcome = qemu.run_vm(root, machine, top, 20, boot_seconds=seconds)
        return outcome, said.getvalue(), len(started)

    def test_boots(self):
        outcome, said, count = self.boot("boot", seconds=10)
        self.assertEqual((7, "", 1), (outcome.status, said, count))

    def test_hangs_once(self):
        outcome, said, count = self.boot("hang", "boot")
        self.assertEqual((7, 2), (outcome.status, count))
        self.assertRegex(said, r"the VM boots: \d+ s; \[    1.000000\] something\n")
        self.assertRegex(said, r"did not boot within \d+ s; last kernel message: .* something; booting")

    def test_hangs_twice(self):
        outcome, _, count = self.boot("hang", "hang")
        self.assertEqual((None, False, 2), (outcome.status, outcome.timed_out, count))
        self.assertIn("did not boot within", outcome.error)

    def test_dies_of_the_timer(self):
        outcome, said, count = self.boot("timer", "boot", seconds=10)
        self.assertEqual((7, 2), (outcome.status, count))
        self.assertIn("booting it once more", said)

    def test_dies_of_something_else(self):
        for behaviour in ("panic", "refuse"):
            outcome, said, count = self.boot(behaviour, seconds=10)
            self.assertEqual((None, "", 1), (outcome.status, said, count))

    def test_no_limit(self):
        booting = qemu.Booting(0, lambda: "")
        booting.started -= 1e6
        self.assertFalse(booting.too_long())

    def test_load_and_standing_still_count(self):
        booting = qemu.Booting(10, lambda: "")
        booting.started -= 15
        with mock.patch.object(qemu.os, "getloadavg", lambda: (2.0 * os.cpu_count(), 0, 0)):
            self.assertFalse(booting.too_long())
        with mock.patch.object(qemu.os, "getloadavg", lambda: (0.0, 0, 0)):
            self.assertTrue(booting.too_long())
            booting.started, booting.last = booting.started - 100, booting.last - 100
            booting.started += 10
            self.assertFalse(booting.too_long())


if __name__ == "__main__":
    unittest.main()
