# SPDX-License-Identifier: GPL-2.0
"""The selftests, upstream's own and samples, built in the build root.

Everything is made outside the checkout, in a folder of its own for each. make
decides what is out of date by time; what was made of sources with another
content, which may be older, is removed before. A mark is left while it works, so
that what a killed build leaves is not taken for a program.
"""

import fcntl
import functools
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import client

from . import plan

TESTING = Path(__file__).resolve().parent.parent
CHECKOUT = TESTING.parent.parent
SELFTESTS = TESTING / "selftests" / "udmabuf_rs"
VM = CHECKOUT / "tools" / "vm"
HARNESS = Path("tools/testing/selftests")
# The module that stands for a device.
IMPORTER = "udmabuf_importer.ko"
# The modules that tests load, and where their sources are.
MODULES = {
    IMPORTER: SELFTESTS / "importer",
    "rust_dma_buf_importer.ko": CHECKOUT / "samples",
    "rust_dma_buf_exporter.ko": CHECKOUT / "samples",
}


class BuildError(client.Failure):
    """Something could not be built; what was printed says why."""

    def __init__(self, sentence):
        super().__init__(sentence, status=1)


def cache_folder():
    """Where built programs of this checkout are kept between runs."""
    return client.folder("check")


def output_of(command):
    """What a command of tools/vm prints."""
    done = client.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise BuildError(f"{' '.join(str(word) for word in command)}: status {done.returncode}")
    return done.stdout.strip()


def in_root(command):
    """Run a command in the build root; its output is shown when it fails."""
    done = client.run([VM / "root", "--", *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                      errors="replace")
    if done.returncode:
        print(done.stdout)
        raise BuildError(f"{' '.join(str(word) for word in command)}: status {done.returncode}")
    return done.stdout


def facts(kernel):
    """What tools/vm knows of a kernel: where its source is, and what names of its compilers begin with."""
    command = [VM / "kernel", "--kernel", kernel]
    return Path(output_of([*command, "src"])), output_of([*command, "cross"])


@functools.lru_cache(maxsize=None)
def programs(kernel="stock"):
    """Build all for the machine that a kernel is for; returns the folder that holds the programs."""
    source, cross = facts(kernel)
    key = hashlib.sha256(f"{source}\n{cross}".encode()).hexdigest()[:12]
    folder = cache_folder() / f"programs-{key}"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _make_all(folder, source, cross)
    return folder


@functools.lru_cache(maxsize=None)
def module(name, kernel="stock"):
    """Build a module of MODULES, and others beside it; returns its path."""
    built = output_of([VM / "module", "--kernel", kernel, MODULES[name]]).splitlines()
    return next(path for path in map(Path, built) if path.name == name)


def _make_all(folder, source, cross):
    mark, record = folder / ".building", folder / "sources.json"
    contents = sources(SELFTESTS, CHECKOUT / "uapi")
    if mark.exists():
        _clear(folder)
    mark.touch()
    forget_outdated(folder, _recorded(record), contents)
    jobs = f"-j{os.cpu_count() or 2}"
    upstream = folder / "upstream.d"
    upstream.mkdir(exist_ok=True)
    try:
        in_root(["make", "-s", jobs, "-C", SELFTESTS, f"KSRC={source}", f"OUTPUT={folder}", f"CROSS_COMPILE={cross}",
                 "all"])
        in_root(["make", "-s", "-C", source / HARNESS / "drivers/dma-buf", f"OUTPUT={upstream}",
                 f"CROSS_COMPILE={cross}", "USERLDFLAGS=-static", "all"])
        in_root(["make", "-s", "-B", "-C", CHECKOUT / "samples", f"O={folder}", f"CC={cross}gcc",
                 *(folder / name for name in plan.SAMPLES)])
    finally:
        # make removes the target of a failed command; only being killed is different.
        mark.unlink()
    record.write_text(json.dumps(contents, indent=1))
    shutil.copy2(upstream / "udmabuf", folder / "upstream")


def sources(*folders):
    """A hash of each file that the programs are made of, by name."""
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for folder in folders for path in sorted(folder.glob("**/*"))
            if path.is_file() and path.suffix in (".c", ".h", "") and "build" not in path.relative_to(folder).parts}


def forget_outdated(folder, old, new):
    """Remove the programs in `folder` that were made of other contents than these; of other headers, all were."""
    changed = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
    if not all(name.endswith(".c") for name in changed):
        _clear(folder)
    for name in changed:
        for program in (folder / Path(name).stem, folder / f"{Path(name).stem}_32"):
            program.unlink(missing_ok=True)


def _recorded(record):
    try:
        return json.loads(record.read_text())
    except (OSError, ValueError):
        return {}


def _clear(folder):
    mark = folder / ".building"
    shutil.rmtree(folder)
    folder.mkdir()
    mark.touch()
