# SPDX-License-Identifier: GPL-2.0
"""The kernel that looks for mistakes: its configuration, its build, what is kept of it.

All that it has beyond allnoconfig is in tools/vm/debug.config.
"""

import os
import re
import shutil
from pathlib import Path

from .errors import Failure
from .progress import count_lines, run_step

FRAGMENT = Path(__file__).resolve().parents[1] / "debug.config"
LOCALVERSION = "+debug"
MAKE = ("LLVM=1", f"LOCALVERSION={LOCALVERSION}")  # Rust has no KASAN where C is compiled by gcc
# It counts every mapping, and KASAN complains at boot where there are five levels of page tables.
APPEND = "dma_debug_entries=200000 no5lvl"

IMAGE = "arch/x86/boot/bzImage"
RECIPE = 1  # raise it when make() or what is kept changes
LINES = 2110  # of output
SIZE = 1500  # MiB that building it takes

# What modules are built with; the rest of the build tree is gone in the end.
KEPT = [".config", "Makefile", "Module.symvers", "modules.builtin", "source", "include", "arch/x86/include", "rust",
        "scripts", "tools"]
OBJECTS = (".o", ".a", ".cmd")


def options(text):
    """The options in a .config or a part of one: name -> value, where n is none."""
    found = {}
    for line in text.splitlines():
        match = re.fullmatch(r"(CONFIG_\w+)=(.*)", line)
        if match and match[2] != "n":
            found[match[1]] = match[2]
    return found


def unmet(fragment, config):
    """What a fragment asks for and a configuration has otherwise, as a fragment would say it."""
    got = options(config)
    asked = re.findall(r"^(CONFIG_\w+)=(.*)$", fragment, re.MULTILINE)
    return [f"{name}={value}" for name, value in asked if got.get(name, "n") != value]


def make(cache, root, source, path, lock):
    """Build the kernel into path/build, and what can be booted into path/bzImage."""
    build = path / "build"
    build.mkdir()
    argv = ["make", "-C", source, f"O={build}", *MAKE]
    root.run([*argv, f"KCONFIG_ALLCONFIG={FRAGMENT}", "allnoconfig"], cwd=path, locks=[lock])
    missing = unmet(FRAGMENT.read_text(), (build / ".config").read_text())
    if missing:
        raise Failure(f"these options of {FRAGMENT} need others, or are none of this kernel's: {', '.join(missing)}")
    run_step("kernel: the debug kernel",
             root.command([*argv, f"-j{os.cpu_count()}", "bzImage", "modules_prepare"], cwd=path),
             cache.log("kernel-debug"), "15 to 20 min on two cores", count_lines(LINES), locks=[lock])
    os.replace(build / IMAGE, path / "bzImage")
    os.replace(build / "vmlinux.symvers", build / "Module.symvers")
    trim(build)


def trim(build):
    """Keep of a build tree what modules are built with."""
    whole = build.with_name("whole")
    build.rename(whole)
    for name in KEPT:
        (build / name).parent.mkdir(parents=True, exist_ok=True)
        (whole / name).rename(build / name)
    shutil.rmtree(whole)
    for folder, _, files in os.walk(build):
        for name in files:
            if name.endswith(OBJECTS):
                os.unlink(os.path.join(folder, name))
