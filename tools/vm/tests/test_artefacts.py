# SPDX-License-Identifier: GPL-2.0
"""Tests of vmlib.artefacts: how far the program says it is, and the files for headers elsewhere."""

import errno
import shutil
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from vmlib import artefacts, disk, kernels
from vmlib.commands import kernel
from vmlib.errors import Failure

FILES = ["rust/libcore.rmeta", "rust/libkernel.rmeta", "rust/libmacros.so", "scripts/target.json"]


class Percent(unittest.TestCase):
    """The gauge."""

    def test_progress_of_the_program(self):
        self.assertEqual(55, artefacts._percent(3, "artefacts: Linux 7.3.4+deb13-amd64: 55 %, compiling"))
        self.assertIsNone(artefacts._percent(1, "artefacts: making the Rust artefacts of Linux 7.3.4+deb13-amd64"))


class Copy(unittest.TestCase):
    """What headers lack, put elsewhere."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.build, self.into = Path(folder.name) / "build", Path(folder.name) / "into"
        for name in [*FILES, "rust/notes", "scripts/mod/modpost", ".config"]:
            (self.build / name).parent.mkdir(parents=True, exist_ok=True)
            (self.build / name).write_text(name)

    def refused(self):
        """What is said of the directory."""
        with self.assertRaises(Failure) as caught:
            artefacts.check_place(self.into)
        return str(caught.exception)

    def test_only_what_is_lacking(self):
        artefacts.check_place(self.into)
        self.assertEqual(FILES, artefacts.copy(self.build, self.into))
        found = sorted(str(path.relative_to(self.into)) for path in self.into.glob("**/*") if path.is_file())
        self.assertEqual(FILES, found)

    def test_target_json_is_for_some_architectures(self):
        (self.build / "scripts/target.json").unlink()
        self.assertEqual(FILES[:-1], artefacts.copy(self.build, self.into))

    def test_place_that_is_not_empty(self):
        self.into.mkdir()
        artefacts.check_place(self.into)
        (self.into / "file").touch()
        self.assertRegex(self.refused(), "into is not empty: empty it, or name another directory by --into$")

    def test_place_that_is_a_file(self):
        self.into.touch()
        self.assertRegex(self.refused(), "into is no directory: name another directory by --into$")

    def test_place_that_cannot_be_written_to(self):
        with mock.patch.object(artefacts.os, "access", return_value=False):
            self.assertRegex(self.refused(), "into cannot be written to: name another directory by --into$")

    def test_place_without_room(self):
        with mock.patch.object(disk, "room", lambda _path: disk.Room("/full", 5 << 20, False)):
            self.assertEqual("the file system at /full has 5 MB free, and the files take 200 MB: free some space there, "
                             "or name another directory by --into", self.refused())

    def full(self):
        """Copies until there is no room."""
        original, copied = shutil.copyfile, []

        def copyfile(source, target):
            if copied:
                raise OSError(errno.ENOSPC, "No space left on device", str(target))
            copied.append(original(source, target))
        with mock.patch.object(artefacts.shutil, "copyfile", copyfile), self.assertRaises(Failure) as caught:
            artefacts.copy(self.build, self.into)
        self.assertRegex(str(caught.exception), "and the files take .*: free some space there, or name another directory")

    def test_full_disk_leaves_nothing(self):
        self.full()
        self.assertFalse(self.into.exists())
        self.into.mkdir()
        self.full()
        self.assertEqual([], list(self.into.iterdir()))


class Releases(unittest.TestCase):
    """Names of kernels, as uname -r prints them."""

    def test_all_of_debian(self):
        for name, flavour in (("amd64", "stock"), ("cloud-amd64", "cloud"), ("rt-amd64", "rt"), ("arm64", "arm64"),
                              ("arm64-16k", "arm64-16k"), ("cloud-arm64", "arm64-cloud"), ("rt-arm64", "arm64-rt")):
            self.assertEqual(kernels.STOCK[flavour], kernels.check_release(f"7.3.4+deb13-{name}"))
        self.assertEqual(kernels.STOCK["experimental"], kernels.check_release("7.3-amd64"))
        self.assertEqual(kernels.STOCK["stock-7.2"], kernels.check_release("7.2.12+deb13-amd64"))

    def test_others(self):
        for release in ("", "7.1.12+deb13-amd64", "7.3.4+deb13-riscv64", "7.3.4-amd64-custom", "7.3.4+deb13-amd64 ",
                        "7x3.4+deb13-amd64", "7.30.4+deb13-amd64"):
            with self.assertRaisesRegex(Failure, "is no Linux 7.2 or 7.3 of Debian; name it as 'uname -r' prints it there"):
                kernels.check_release(release)


class Command(unittest.TestCase):
    """tools/vm/kernel artefacts."""

    def test_release_and_place_are_looked_at_before_anything_is_made(self):
        with mock.patch.object(kernels, "obtain_artefacts", self.fail):
            with self.assertRaisesRegex(Failure, "'foo' is no Linux"):
                kernel._make("foo", Path("/nowhere"))
            with self.assertRaisesRegex(Failure, "is no directory"):
                kernel._make("7.3.4+deb13-amd64", Path(__file__))


if __name__ == "__main__":
    unittest.main()
