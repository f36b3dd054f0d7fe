# SPDX-License-Identifier: GPL-2.0
"""Debian's headers with the Rust artefacts that they lack.

They are made by tools/kbuild/artefacts, as on a user's machine.
"""

import contextlib
import os
import re
import shutil

from . import buildroot, debian, disk
from .errors import Failure, Unavailable
from .progress import StepFailed, run_step

PROGRAM = buildroot.CHECKOUT / "tools/kbuild/artefacts"
RECIPE = 1  # raise it when the files that PROGRAM makes change
SIZE = 1000  # MiB that making them takes
ESSENTIAL = ["*/include/generated/rustc_cfg", "*/rust/libkernel.rmeta", "*/rust/libmacros.so"]


def obtain(cache, root, name, files):
    """The build directory that belongs to an entry of Debian's files, made first where there is none.

    Raises Unavailable where it cannot be made.
    """
    entry = cache.obtain(_kind(name), _inputs(root, files), lambda path, lock: _make(cache, root, files, path, lock),
                         ESSENTIAL, SIZE)
    return entry.path / files.info["release"]


def look(cache, root, name, files):
    """The same, or None where there is none."""
    entry = cache.look(_kind(name), _inputs(root, files), ESSENTIAL)
    return entry and entry.path / files.info["release"]


def _kind(name):
    return f"kernel-stock-{name}"


def _inputs(root, files):
    return {"files": files.path.name, "toolchain": root.toolchain, "recipe": RECIPE}


def _make(cache, root, files, path, lock):
    release = files.info["release"]
    command = [PROGRAM, "--top", path, "--headers", files.path / "headers", "--source", debian.source_tree(files), release]
    try:
        run_step(f"kernel: Rust artefacts of Linux {release}", root.command(command, cwd=path), cache.log(path.name),
                 "2 to 4 min on two cores", _percent, locks=[lock])
    except StepFailed as failure:
        raise Unavailable(failure.lines(f"{PROGRAM.name}: ")[-1].rstrip("."))
    return {"release": release, "debian": files.info["debian"]}


def _percent(_number, line):
    """What the program says of how far it is."""
    found = re.search(r": (\d+) %, ", line)
    return int(found[1]) if found else None


# For headers elsewhere

LACKING = ("rust/*.rmeta", "rust/*.so", "scripts/target.json")
COPY_SIZE = 200  # MiB
ANOTHER = "name another directory by --into"


def check_place(into):
    """Refuse a directory in which the files cannot be put."""
    if into.is_dir() and any(into.iterdir()):
        raise Failure(f"{into} is not empty: empty it, or {ANOTHER}")
    if into.exists() and not into.is_dir():
        raise Failure(f"{into} is no directory: {ANOTHER}")
    parent = into
    while not parent.exists():
        parent = parent.absolute().parent
    if not os.access(parent, os.W_OK | os.X_OK) or not parent.is_dir():
        raise Failure(f"{into} cannot be written to: {ANOTHER}")
    if disk.room(into).free < COPY_SIZE * disk.MIB:
        raise Failure(_no_room(into, COPY_SIZE * disk.MIB))


def copy(build, into):
    """Copy what Debian's headers lack from a build directory, to the same places in `into`; returns their names.

    Where that fails, nothing is left.
    """
    sources = [path for pattern in LACKING for path in sorted(build.glob(pattern))]
    names = [str(path.relative_to(build)) for path in sources]
    made = not into.exists()
    try:
        for name in names:
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(build / name, into / name)
    except BaseException as error:
        with contextlib.suppress(OSError):
            for folder in [into] if made else into.iterdir():
                shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError):
            raise Failure(_why(error, into, sum(path.stat().st_size for path in sources)))
        raise
    return names


def _no_room(into, size):
    return f"{disk.room(into)}, and the files take {disk.show(size)}: free some space there, or {ANOTHER}"


def _why(error, into, size):
    if disk.sentence_for(error):
        return _no_room(into, size)
    return f"{error.filename or into}: {error.strerror}; {ANOTHER}"
