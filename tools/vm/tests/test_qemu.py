# SPDX-License-Identifier: GPL-2.0
"""Tests of vmlib.qemu: the command line of QEMU."""

import subprocess
import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace

from vmlib import accelerator, kernels, qemu


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

    def test_amd64(self):
        argv = command()
        self.assertEqual(("qemu-system-x86_64", "pc"), (argv[0], value(argv, "-machine")))
        self.assertRegex(value(argv, "-append"), "^console=ttyS0 ")

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


if __name__ == "__main__":
    unittest.main()
