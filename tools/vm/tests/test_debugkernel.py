# SPDX-License-Identifier: GPL-2.0
"""Tests of vmlib.debugkernel: options asked for and got, changed sources, and the files kept of a build tree."""

import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from vmlib import debugkernel
from vmlib.errors import Failure

FRAGMENT = """\
# Comment
CONFIG_RUST=y
CONFIG_KCOV_INSTRUMENT_ALL=n
CONFIG_FRAME_WARN=4096
"""

CONFIG = """\
#
# Automatically generated file; DO NOT EDIT.
CONFIG_CC_VERSION_TEXT="a=b"
CONFIG_RUST=y
# CONFIG_KCOV_INSTRUMENT_ALL is not set
CONFIG_FRAME_WARN=4096
"""


class Unmet(unittest.TestCase):
    """allnoconfig drops what it cannot have without a word."""

    def test_all_met(self):
        self.assertEqual([], debugkernel.unmet(FRAGMENT, CONFIG))

    def test_not_there_and_not_set(self):
        self.assertEqual(["CONFIG_RUST=y"], debugkernel.unmet(FRAGMENT, CONFIG.replace("CONFIG_RUST=y\n", "")))
        self.assertEqual(["CONFIG_RUST=y"],
                         debugkernel.unmet(FRAGMENT, CONFIG.replace("CONFIG_RUST=y", "# CONFIG_RUST is not set")))

    def test_other_values(self):
        config = CONFIG.replace("4096", "2048").replace("# CONFIG_KCOV_INSTRUMENT_ALL is not set",
                                                        "CONFIG_KCOV_INSTRUMENT_ALL=y")
        self.assertEqual(["CONFIG_KCOV_INSTRUMENT_ALL=n", "CONFIG_FRAME_WARN=4096"],
                         debugkernel.unmet(FRAGMENT, config))

    def test_comments_are_no_options(self):
        self.assertEqual({"CONFIG_RUST": "y", "CONFIG_FRAME_WARN": "4096"}, debugkernel.options(FRAGMENT))

    def test_each_option_once(self):
        for name, design in debugkernel.DESIGNS.items():
            with self.subTest(name):
                lines = [line for line in design.fragment.splitlines() if line and line[0] != "#"]
                self.assertEqual(len(lines), len({line.split("=")[0] for line in lines}))


class Designs(unittest.TestCase):
    """The inputs of a kernel."""

    def test_entries_differ(self):
        designs = debugkernel.DESIGNS.values()
        self.assertEqual(len(designs), len({(design.name, design.arch) for design in designs}))

    def test_patch_is_among_the_inputs(self):
        self.assertIn("patch", debugkernel.DESIGNS["kcsan"].inputs())
        self.assertNotIn("patch", debugkernel.DESIGNS["debug"].inputs())


class Run:
    """A build root whose commands run here, or print a text."""

    def __init__(self, output=None):
        self.output = output

    def run(self, argv, cwd=None, **_where):
        if self.output is not None:
            return self.output
        return subprocess.run([str(word) for word in argv], cwd=cwd, check=True, stdout=subprocess.PIPE, text=True).stdout


PATCH = """\
--- a/scripts/mod/Makefile
+++ b/scripts/mod/Makefile
@@ -1 +1 @@
-old
+new
"""


class Patched(unittest.TestCase):
    """A source tree with changes."""

    @unittest.skipUnless(shutil.which("patch"), "there is no patch(1) here; the build root has it")
    def test_the_changed_file_alone(self):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            source, patch = folder / "source", folder / "a.patch"
            for path in ("Makefile", "scripts/Kbuild", "scripts/mod/Makefile", "mm/slub.c"):
                (source / path).parent.mkdir(parents=True, exist_ok=True)
                (source / path).write_text("old\n")
            patch.write_text(PATCH)
            tree = debugkernel.patched(Run(), source, folder / "tree", patch, None)
            self.assertEqual("new\n", (tree / "scripts/mod/Makefile").read_text())
            self.assertEqual("old\n", (source / "scripts/mod/Makefile").read_text())
            self.assertEqual("old\n", (tree / "mm/slub.c").read_text())
            self.assertTrue((tree / "mm").is_symlink() and (tree / "scripts/Kbuild").is_symlink())


NM = """\
/a/main.o: 0000000000000000 T init_module
/a/main.o:                  U __tsan_read8
/a/shim.o: 0000000000000000 T shim_read
/a/shim.o:                  U memcpy
/a/shim.o: 0000000000000000 t tsan.module_ctor
/a/shim.o:                  U __tsan_init
/a/version.o: 0000000000000000 R version
/a/version.o: 0000000000000000 t tsan.module_ctor
/a/version.o:                  U __tsan_init
"""


class Instrumented(unittest.TestCase):
    """Objects that call the functions of a sanitizer."""

    def check(self, *names):
        debugkernel.check_instrumented(Run(NM), "__tsan_", [Path("/a") / name for name in names])

    def test_code_that_calls_it(self):
        self.check("main.o")

    def test_code_that_does_not(self):
        with self.assertRaisesRegex(Failure, "/a/shim.o is not instrumented: it calls no __tsan_"):
            self.check("main.o", "shim.o")

    def test_no_code(self):
        self.check("version.o")


class Trim(unittest.TestCase):
    """Modules need little of a build tree."""

    def test_trim(self):
        with tempfile.TemporaryDirectory() as folder:
            build = Path(folder) / "build"
            for name in ["rust/libkernel.rmeta", "rust/kernel.o", "rust/.kernel.o.cmd", "include/generated/autoconf.h",
                         "arch/x86/include/generated/asm.h", "arch/x86/kernel/cpu.c", "mm/slub.o", "vmlinux",
                         "scripts/mod/modpost", "tools/objtool/objtool", ".config", "Makefile", "Module.symvers",
                         "modules.builtin"]:
                (build / name).parent.mkdir(parents=True, exist_ok=True)
                (build / name).touch()
            (build / "source").symlink_to("/usr")
            debugkernel.trim(build, debugkernel.DESIGNS["debug"].kept)
            left = {os.path.relpath(os.path.join(place, name), build)
                    for place, _, files in os.walk(build) for name in files}
            self.assertEqual({"rust/libkernel.rmeta", "include/generated/autoconf.h",
                              "arch/x86/include/generated/asm.h", "scripts/mod/modpost", "tools/objtool/objtool",
                              ".config", "Makefile", "Module.symvers", "modules.builtin"}, left)
            self.assertEqual("/usr", os.readlink(build / "source"))


if __name__ == "__main__":
    unittest.main()
