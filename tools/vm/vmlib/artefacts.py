# SPDX-License-Identifier: GPL-2.0
"""Debian's headers with the Rust artefacts that they lack.

They are made by tools/kbuild/artefacts, as on a user's machine.
"""

import re

from . import buildroot, debian
from .progress import run_step

PROGRAM = buildroot.CHECKOUT / "tools/kbuild/artefacts"
RECIPE = 1  # raise it when the files that PROGRAM makes change
SIZE = 1000  # MiB that making them takes
ESSENTIAL = ["*/include/generated/rustc_cfg", "*/rust/libkernel.rmeta", "*/rust/libmacros.so"]


def obtain(cache, root, name, files):
    """The build directory that belongs to an entry of Debian's files, made first where there is none."""
    entry = cache.obtain(_kind(name), _inputs(root, files), lambda path, lock: _make(cache, root, files, path, lock),
                         ESSENTIAL, SIZE)
    return entry.path / files.info["release"]


def _kind(name):
    return f"kernel-stock-{name}"


def _inputs(root, files):
    return {"files": files.path.name, "toolchain": root.toolchain, "recipe": RECIPE}


def _make(cache, root, files, path, lock):
    release = files.info["release"]
    command = [PROGRAM, "--top", path, "--headers", files.path / "headers", "--source", debian.source_tree(files), release]
    run_step(f"kernel: Rust artefacts of Linux {release}", root.command(command, cwd=path), cache.log(path.name),
             "2 to 4 min on two cores", _percent, locks=[lock])
    return {"release": release, "debian": files.info["debian"]}


def _percent(_number, line):
    """What the program says of how far it is."""
    found = re.search(r": (\d+) %, ", line)
    return int(found[1]) if found else None
