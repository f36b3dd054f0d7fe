# SPDX-License-Identifier: GPL-2.0
"""Tests of vmlib.qemu: the command line of QEMU."""

import unittest
from pathlib import Path
from types import SimpleNamespace

from vmlib import kernels, qemu


def command(arch=kernels.AMD64, **options):
    """The command line for a machine with these options."""
    machine = qemu.Machine(SimpleNamespace(arch=arch, image="vmlinuz"), Path("initramfs"), **options)
    return list(map(str, machine.command(["-accel", "tcg"], Path("/run"))))


def value(argv, option):
    """What follows this option."""
    return argv[argv.index(option) + 1]


class CommandLine(unittest.TestCase):
    """What differs between architectures, and between runs."""

    def test_amd64(self):
        argv = command()
        self.assertEqual(("qemu-system-x86_64", "pc"), (argv[0], value(argv, "-machine")))
        self.assertRegex(value(argv, "-append"), "^console=ttyS0 ")

    def test_arm64(self):
        argv = command(kernels.ARM64)
        self.assertEqual(("qemu-system-aarch64", "virt,gic-version=3"), (argv[0], value(argv, "-machine")))
        self.assertRegex(value(argv, "-append"), "^console=ttyAMA0 ")

    def test_ours_come_last(self):
        argv = command(append="quiet", arguments=["-vga", "std"])
        self.assertEqual(["-vga", "std"], argv[-2:])
        self.assertRegex(value(argv, "-append"), " quiet$")


if __name__ == "__main__":
    unittest.main()
