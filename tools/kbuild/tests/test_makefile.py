# SPDX-License-Identifier: GPL-2.0
"""The Makefile tells Kbuild from people and dkms, knows all names of the kernel's directory, and paths make cannot take."""

import pathlib
import shutil
import subprocess
import tempfile
import unittest

TOP = pathlib.Path(__file__).resolve().parents[3]


def make(*arguments, folder=TOP):
    done = subprocess.run(["make", "-n", "--no-print-directory", "-C", folder, *arguments], env={"PATH": "/usr/bin:/bin"},
                          capture_output=True, text=True, check=False)
    return done.stdout, done.stderr


class Makefile(unittest.TestCase):
    def test_dkms_is_not_taken_for_kbuild(self):
        out, _ = make("KERNELRELEASE=7.3.4-a", "clean")
        self.assertIn('make -C "/lib/modules/7.3.4-a/build"', out)

    def test_the_kernel_has_many_names(self):
        for name in ("KDIR", "KERNEL_SRC", "KERNEL_DIR"):
            with self.subTest(name):
                out, _ = make(f"{name}=/nowhere/build", "clean")
                self.assertIn('-C "/nowhere/build"', out)

    def test_what_was_built_may_lie_elsewhere(self):
        out, _ = make("KERNEL_SRC=/nowhere/source", "O=/nowhere/build", "modules")
        self.assertIn('precheck "/nowhere/build"', out)
        self.assertIn('-C "/nowhere/source"', out)

    def test_paths_that_make_cannot_take_are_refused_in_a_sentence(self):
        _, errors = make("KDIR=/a path/build", "modules")
        self.assertIn("'/a path/build'", errors)
        self.assertEqual(errors.count("\n"), 1)
        with tempfile.TemporaryDirectory() as folder:
            for name in ("a path", "a:path"):
                place = pathlib.Path(folder) / name
                place.mkdir()
                shutil.copy(TOP / "Makefile", place)
                _, errors = make("modules", folder=place)
                self.assertIn(name, errors)
                self.assertEqual(errors.count("\n"), 1)

    def test_kbuild_is_told_what_there_is(self):
        out, _ = make("obj=.", "src=.", "-p", "-f", "Makefile")
        self.assertIn("udmabuf_rs_main.o ffi/shim.o", out)


if __name__ == "__main__":
    unittest.main()
