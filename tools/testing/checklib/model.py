# SPDX-License-Identifier: GPL-2.0
"""Programs that check the driver's own files in all interleavings: built once, and once more for each mutant."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from . import cargo, host
from .build import VM

# A compiler and a search are busy with one processor for most of the time.
JOBS = 2


@dataclass(frozen=True)
class Built:
    """The program and its library, and where the crates are that it is linked with."""

    program: Path
    library: Path
    crates: Path


def build(name, crate, program, library, folder):
    """Builds program and library, copied to `folder`; returns them, or None, and the compiler's output."""
    release = cargo.target(name) / "release"
    with cargo.Lock(name):
        output, status = cargo.run(name, crate / "Cargo.toml", folder, "build", "--release")
        if status:
            return None, output
        for file in (program, library):
            shutil.copy2(release / file, folder)
    return Built(folder / program, folder / library, release / "deps"), output


def explore(program, *words):
    """Runs a search. Returns its output and status."""
    return host.run([VM / "root", "--", program, *words])
