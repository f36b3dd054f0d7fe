# SPDX-License-Identifier: GPL-2.0
"""tools/kbuild/precheck names what is missing, in one sentence, and nothing when all is there."""

import pathlib
import subprocess
import tempfile
import unittest

PRECHECK = pathlib.Path(__file__).resolve().parents[1] / "precheck"
VERSION = "rustc 1.85.1 (4eb161250 2025-03-15)"
CONFIG = ("RUST", "MMU", "HAS_DMA", "DMA_SHARED_BUFFER", "MEMFD_CREATE")
ARTEFACTS = ("rust/libcore.rmeta", "rust/libkernel.rmeta", "rust/libmacros.so",
             "include/generated/rustc_cfg")


class Precheck(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.kdir = pathlib.Path(directory.name) / "build"
        self.rustc = pathlib.Path(directory.name) / "rustc"
        for artefact in ARTEFACTS:
            path = self.kdir / artefact
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        self.configure(CONFIG)
        self.compiler(VERSION)

    def configure(self, options):
        path = self.kdir / "include/config/auto.conf"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = [f"CONFIG_{option}=y" for option in options]
        path.write_text("\n".join(lines + [f"CONFIG_RUSTC_VERSION_TEXT={VERSION}", ""]))

    def compiler(self, version):
        self.rustc.write_text(f"#!/bin/sh\necho '{version}'\n")
        self.rustc.chmod(0o755)

    def run_it(self, *arguments):
        return subprocess.run([PRECHECK, *(arguments or [self.kdir])], env={"RUSTC": self.rustc, "PATH": "/usr/bin:/bin"},
                              capture_output=True, text=True, check=False)

    def assert_refused(self, word, *arguments):
        result = self.run_it(*arguments)
        self.assertEqual(result.returncode, 1)
        self.assertIn(word, result.stderr)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)

    def test_a_complete_directory_passes_in_silence(self):
        result = self.run_it()
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, "", ""))

    def test_each_option_is_asked_for(self):
        for option in CONFIG:
            with self.subTest(option):
                self.configure(o for o in CONFIG if o != option)
                self.assert_refused(f"CONFIG_{option}")

    def test_each_artefact_is_asked_for(self):
        for artefact in ARTEFACTS:
            with self.subTest(artefact):
                (self.kdir / artefact).unlink()
                self.assert_refused(artefact)
                (self.kdir / artefact).touch()

    def test_an_older_kernel_is_refused(self):
        release = self.kdir / "include/config/kernel.release"
        for name, taken in (("6.12.118+deb13-amd64", False), ("7.1.12+deb13-amd64", False), ("7.1-rc1", False),
                            ("7.2.12+deb13-amd64", True), ("7.2-amd64", True), ("7.3.4+deb13-amd64", True),
                            ("7.10.1", True), ("10.0.1", True)):
            with self.subTest(name):
                release.write_text(name + "\n")
                if taken:
                    self.assertEqual(self.run_it().returncode, 0)
                else:
                    self.assert_refused(f"Linux {name}")

    def test_the_compiler_of_that_series_is_taken(self):
        folder = self.kdir.parent
        (folder / "rustc-1.85").write_text(f"#!/bin/sh\necho '{VERSION}'\n")
        (folder / "rustc-1.85").chmod(0o755)
        self.compiler("rustc 1.95.0 (59807616e 2026-04-14)")
        path = {"PATH": f"{folder}:/usr/bin:/bin"}
        result = subprocess.run([PRECHECK, self.kdir], env=path, capture_output=True, text=True, check=False)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertEqual(self.toolchain(path), "RUSTC=rustc-1.85")
        self.assertEqual(self.toolchain({**path, "RUSTC": "mine"}), "")
        self.compiler(VERSION)
        self.assertEqual(self.toolchain(path), "")

    def test_a_kernel_of_clang_gets_llvm(self):
        self.configure([*CONFIG, "CC_IS_CLANG"])
        path = {"PATH": f"{self.kdir.parent}:/usr/bin:/bin"}
        self.assertEqual(self.toolchain(path), "LLVM=1")
        self.assertEqual(self.toolchain({**path, "LLVM": "-19"}), "")

    def toolchain(self, environment):
        return subprocess.run([PRECHECK.with_name("toolchain"), self.kdir], env=environment, capture_output=True,
                              text=True, check=True).stdout.strip()

    def test_another_compiler_is_refused(self):
        self.compiler("rustc 1.95.0 (59807616e 2026-04-14)")
        self.assert_refused("1.95.0")

    def test_no_compiler_is_refused(self):
        self.rustc.unlink()
        self.assert_refused("no Rust compiler")

    def test_a_missing_or_foreign_directory_is_refused(self):
        self.kdir = self.kdir / "rust"
        self.assert_refused("auto.conf")
        self.kdir = self.kdir / "nowhere"
        self.assert_refused("no such directory")

    def test_what_was_not_built_is_not_installed(self):
        install = ("--install", self.kdir, self.kdir.parent)
        self.assert_refused("run make first", *install)
        (self.kdir.parent / "modules.order").touch()
        self.rustc.unlink()  # nothing is compiled
        self.assertEqual(self.run_it(*install).returncode, 0)
        self.kdir = self.kdir / "rust"
        self.assert_refused("auto.conf", "--install", self.kdir, self.kdir.parent)


if __name__ == "__main__":
    unittest.main()
