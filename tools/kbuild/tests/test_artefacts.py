# SPDX-License-Identifier: GPL-2.0
"""tools/kbuild/artefacts: what it refuses, in one sentence, and what it leaves, with sources that are a stand-in."""

import os
import pathlib
import signal
import subprocess
import tarfile
import tempfile
import time
import unittest

PROGRAM = pathlib.Path(__file__).resolve().parents[1] / "artefacts"
RELEASE = "7.3.4+deb13-amd64"
RUSTC = "rustc 1.85.1 (4eb161250 2025-03-15)"
CONFIG = f'CONFIG_RUST=y\nCONFIG_RUSTC_VERSION_TEXT="{RUSTC}"\nCONFIG_PAHOLE_VERSION=130\n'
# Does what the kernel's does, as far as it matters.
MAKEFILE = """VERSION = 7
PATCHLEVEL = 3
SUBLEVEL = {sublevel}

olddefconfig:
	mkdir -p $(O)/include/config
	cp $(O)/.config $(O)/include/config/auto.conf

modules_prepare:
	echo '  RUSTC L rust/core.o'
	sleep {seconds}
	{fails}
	echo $(ARCH) $(CROSS_COMPILE) $(CONFIG_COMPAT_VDSO) >$(O)/arguments
	mkdir -p $(O)/rust $(O)/scripts
	echo $(LOCALVERSION) >$(O)/rust/libkernel.rmeta
	touch $(O)/rust/libmacros.so $(O)/scripts/target.json
	cp $(O)/arguments $(O)/rust/libarguments.rmeta
"""


class Artefacts(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.folder = pathlib.Path(directory.name).resolve()
        self.headers, self.top = self.folder / "headers", self.folder / "top"
        for name in ("include/config", "scripts/mod", "arch"):
            (self.headers / name).mkdir(parents=True)
        for name in ("include/config/auto.conf", ".config"):
            (self.headers / name).write_text(CONFIG)
        (self.headers / "Module.symvers").touch()
        (self.headers / "Makefile").write_text("KBUILD_OUTPUT=/usr/src/headers\ninclude /usr/src/common/Makefile\n")
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        for name in ("flex", "bison", "bc", "bindgen"):
            self.tool(name, "exit 0")
        (self.folder / "sysroot/lib/rustlib/src/rust/library/core/src").mkdir(parents=True)
        (self.folder / "sysroot/lib/rustlib/src/rust/library/core/src/lib.rs").touch()
        self.compiler(RUSTC)
        self.source()

    def tool(self, name, text):
        (self.bin / name).write_text(f"#!/bin/sh\n{text}\n")
        (self.bin / name).chmod(0o755)

    def compiler(self, version):
        self.tool("rustc", f"case $1 in --version) echo '{version}' ;; *) echo {self.folder}/sysroot ;; esac")

    def source(self, sublevel=4, seconds=0, fails=""):
        tree = self.folder / "linux-source-7.3"
        (tree / "drivers").mkdir(parents=True, exist_ok=True)
        (tree / "drivers/unused.c").touch()
        (tree / "Makefile").write_text(MAKEFILE.format(sublevel=sublevel, seconds=seconds, fails=fails))
        with tarfile.open(self.folder / "linux-source-7.3.tar.xz", "w:xz") as archive:
            archive.add(tree, "linux-source-7.3")

    def start(self, *arguments, release=RELEASE, **environment):
        command = [PROGRAM, "--top", self.top, "--headers", self.headers,
                   "--source", self.folder / "linux-source-7.3.tar.xz", *arguments, release]
        return subprocess.Popen(command, env={"PATH": f"{self.bin}:{os.environ['PATH']}", **environment},
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run_it(self, *arguments, **options):
        child = self.start(*arguments, **options)
        child.out, child.err = child.communicate()
        return child

    def assert_refused(self, word):
        done = self.run_it("--quiet")
        self.assertEqual(done.returncode, 1, done.err)
        self.assertIn(word, done.err.splitlines()[-1])
        self.assertFalse((self.top / RELEASE).exists())
        self.assertFalse((self.top / ".work").exists())

    def test_the_result_is_headers_and_artefacts(self):
        done = self.run_it()
        self.assertEqual(done.returncode, 0, done.err)
        made = self.top / RELEASE
        self.assertEqual((made / "rust/libkernel.rmeta").read_text(), "+deb13-amd64\n")
        self.assertTrue((made / "rust/libmacros.so").exists())
        self.assertTrue((made / "scripts/target.json").exists())
        self.assertEqual(os.readlink(made / "scripts/mod"), str(self.headers / "scripts/mod"))
        self.assertEqual(os.readlink(made / "include"), str(self.headers / "include"))
        self.assertEqual((made / "Makefile").read_text(),
                         f"KBUILD_OUTPUT={made}\ninclude /usr/src/common/Makefile\n")
        self.assertFalse((self.top / ".work").exists())
        self.assertIn("minutes", done.err)

    def test_headers_that_are_merely_unpacked_have_the_common_ones_beside_them(self):
        (self.folder / "common").mkdir()
        (self.folder / "common/Makefile").touch()
        self.run_it()
        self.assertIn(f"\ninclude {self.folder}/common/Makefile\n", (self.top / RELEASE / "Makefile").read_text())

    def test_another_architecture_may_be_named(self):
        done = self.run_it(ARCH="arm64", CROSS_COMPILE="aarch64-linux-gnu-", CONFIG_COMPAT_VDSO="y")
        self.assertEqual(done.returncode, 0, done.err)
        self.assertEqual((self.top / RELEASE / "rust/libarguments.rmeta").read_text(), "arm64 aarch64-linux-gnu-\n")

    def test_a_release_candidate_lacks_the_last_number(self):
        self.source(sublevel=0)
        done = self.run_it(release="7.3-amd64")
        self.assertEqual(done.returncode, 0, done.err)
        self.assertTrue((self.top / "7.3-amd64/rust/libkernel.rmeta").exists())

    def test_a_missing_compiler_is_named(self):
        (self.headers / ".kernelvariables").write_text("override CROSS_COMPILE = sparc-linux-gnu-\n"
                                                       "CC = $(if $(CCACHE),ccache) $(CROSS_COMPILE)gcc-14\n")
        self.assert_refused("sparc-linux-gnu-gcc-14 is missing, which Linux 7.3.4+deb13-amd64 is built with; install gcc-14, "
                            "or, on a machine of another architecture, gcc-14-sparc-linux-gnu.")
        self.tool("sparc-linux-gnu-gcc-14", "exit 0")
        self.assertEqual(self.run_it().returncode, 0)

    def test_a_full_disk_is_named(self):
        self.source(fails="echo 'as: rust/core.o: No space left on device'; false")
        self.assert_refused("No space left on device; make room")

    def test_an_error_is_told_from_names_that_resemble_one(self):
        self.source(fails="echo HOSTCC fdt_strerror.o; echo 'sh: 1: arm-gcc: not found'; false")
        self.assert_refused("arm-gcc: not found")

    def test_it_runs_once_a_kernel(self):
        self.run_it()
        (self.bin / "rustc").unlink()
        done = self.run_it()
        self.assertEqual((done.returncode, done.err), (0, ""))

    def test_what_belongs_to_headers_that_are_gone_is_removed(self):
        self.run_it()
        self.run_it("--clean")
        self.assertTrue((self.top / RELEASE).exists())
        (self.headers / "include/config/auto.conf").unlink()
        self.run_it("--clean")
        self.assertFalse((self.top / RELEASE).exists())

    def test_an_interrupt_leaves_nothing(self):
        self.source(seconds=600)
        child = self.start("--quiet")
        deadline = time.monotonic() + 60
        while not (self.top / ".work/build/include").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        child.send_signal(signal.SIGTERM)
        _, errors = child.communicate(timeout=60)
        self.assertEqual(child.returncode, 130)
        self.assertIn("interrupted", errors)
        self.assertEqual(sorted(path.name for path in self.top.iterdir()), [".lock"])

    def test_sources_of_another_version_are_refused(self):
        self.source(sublevel=5)
        self.assert_refused("7.3.5")

    def test_another_compiler_is_refused(self):
        self.compiler("rustc 1.95.0 (59807616e 2026-04-14)")
        self.assert_refused("1.95.0")

    def test_a_missing_tool_is_named(self):
        (self.folder / "sysroot/lib/rustlib/src/rust/library/core/src/lib.rs").unlink()
        self.assert_refused("rust-src")

    def test_other_configurations_are_refused_but_for_versions(self):
        (self.headers / "include/config/auto.conf").write_text(CONFIG.replace("=130", "=0"))
        self.assertEqual(self.run_it().returncode, 0)
        (self.top / RELEASE / "rust/libkernel.rmeta").unlink()
        (self.headers / "include/config/auto.conf").write_text(CONFIG + "CONFIG_CC_HAS_THAT=y\n")
        done = self.run_it("--quiet")
        self.assertEqual(done.returncode, 1)
        self.assertIn("CONFIG_CC_HAS_THAT", done.err)

    def test_a_kernel_without_rust_is_refused(self):
        (self.headers / "include/config/auto.conf").write_text("CONFIG_MMU=y\n")
        self.assert_refused("CONFIG_RUST")

    def test_missing_headers_are_refused(self):
        (self.headers / "include/config/auto.conf").unlink()
        self.assert_refused("headers")


if __name__ == "__main__":
    unittest.main()
