# SPDX-License-Identifier: GPL-2.0
"""Tests of vmlib.debugkernel: options asked for and got, and what is kept of a build tree."""

import os
import tempfile
import unittest
from pathlib import Path

from vmlib import debugkernel

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
        lines = [line for line in debugkernel.FRAGMENT.read_text().splitlines() if line and line[0] != "#"]
        self.assertEqual(len(lines), len({line.split("=")[0] for line in lines}))


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
            debugkernel.trim(build)
            left = {os.path.relpath(os.path.join(place, name), build)
                    for place, _, files in os.walk(build) for name in files}
            self.assertEqual({"rust/libkernel.rmeta", "include/generated/autoconf.h",
                              "arch/x86/include/generated/asm.h", "scripts/mod/modpost", "tools/objtool/objtool",
                              ".config", "Makefile", "Module.symvers", "modules.builtin"}, left)
            self.assertEqual("/usr", os.readlink(build / "source"))


if __name__ == "__main__":
    unittest.main()
