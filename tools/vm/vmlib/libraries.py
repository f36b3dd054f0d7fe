# SPDX-License-Identifier: GPL-2.0
"""The loader and the libraries of dynamic programs that are put into the VM.

They are copied from this machine, or from the build root if a library is missing
or too old here. All programs get theirs from one of the two, because a loader
works only with its own C library.
"""

import glob
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List

from . import elf
from .errors import Failure
from .progress import say

TRIPLETS = {3: "i386-linux-gnu", 40: "arm-linux-gnueabihf", 62: "x86_64-linux-gnu", 183: "aarch64-linux-gnu"}
RUNS = {"amd64": (62, 3), "arm64": (183, 40)}
FOLDERS = ["lib64", "usr/lib64", "lib", "usr/lib", "usr/local/lib", "lib32", "usr/lib32"]
# What the C library loads by itself, when a thread is cancelled.
ALSO = {"libc.so.6": ["libgcc_s.so.1"]}


@dataclass
class Place:
    """A system that has libraries."""

    name: str
    top: Path
    ours: bool = False       # whether absolute paths in programs, and the environment, are meant for it

    def folders(self, machine):
        """Where its loader would look."""
        triplet = TRIPLETS.get(machine, "")
        own = [each for each in os.environ.get("LD_LIBRARY_PATH", "").split(":") if each] if self.ours else []
        folders = [*self._configured("etc/ld.so.conf"), f"lib/{triplet}", f"usr/lib/{triplet}", *FOLDERS]
        return own + [str(self.top / each.lstrip("/")) for each in folders]

    def _configured(self, name):
        try:
            lines = (self.top / name.lstrip("/")).read_text(errors="replace").splitlines()
        except OSError:
            return
        for line in lines:
            words = line.split("#")[0].split()
            if words[:1] == ["include"]:
                for path in sorted(glob.glob(str(self.top / words[1].lstrip("/")))):
                    yield from self._configured(os.path.relpath(path, self.top))
            elif words:
                yield words[0]


@dataclass
class Found:
    """What a program needs, as one place has it."""

    files: Dict[str, str] = field(default_factory=dict)   # in the VM -> where they are
    missing: List[str] = field(default_factory=list)


def places(root, arch):
    """Where to look, in this order."""
    found = [] if arch.cross else [Place("this machine", Path("/"), True)]
    if root:
        found.append(Place("the build root", root.path))
        if arch.cross:
            found.insert(0, Place("the build root", root.path / "usr" / arch.cross.rstrip("-")))
    return found


def needed(added, arch, where):
    """The files that the programs in `added` need beside themselves: path in the VM -> path here.

    `added` are pairs of a path on the host and one in the VM. Fails if a program
    named there lacks a library; for one in a folder, only warns.
    """
    present = dict(_files(added))
    named = {destination.strip("/") for _, destination in added}
    objects = {name: elf.read(path) for name, path in present.items()}
    objects = {name: each for name, each in objects.items() if each and (each.interpreter or each.needed)}
    files = {}
    for kind in sorted({each.kind for each in objects.values()}):
        files.update(_of_kind({name: each for name, each in objects.items() if each.kind == kind},
                              named, present, arch, where))
    return {name: path for name, path in files.items() if name not in present}


def _of_kind(objects, named, present, arch, where):
    """The same for those of one kind of processor."""
    machine = next(iter(objects.values())).machine
    if machine not in RUNS[arch.debian]:
        for name in sorted(set(objects) & named):
            say(f"--add: {name} is made for {elf.MACHINES.get(machine, 'another processor')}, "
                f"and the VM is {arch.debian}")
        return {}
    # What is no program is loaded by one.
    loader = next((each.interpreter for each in objects.values() if each.interpreter), "")
    for each in objects.values():
        each.loader = each.interpreter or loader
    tried = [{name: _resolve(each, place, present) for name, each in objects.items()} for place in where]
    best = min(tried, key=lambda found: sum(len(each.missing) for each in found.values()))
    files = {}
    for name, found in best.items():
        program = bool(objects[name].interpreter)
        if found.missing and program:
            _complain(name, found.missing, name in named, where)
        if not (found.missing and program):
            files.update(found.files)
    return files


def _complain(name, missing, fail, where):
    names = " or ".join(dict.fromkeys(place.name for place in where))
    text = (f"--add: {name} needs {', '.join(missing)}, not found on {names}; link it statically, or pass the library "
            "with another --add")
    if fail:
        raise Failure(text)
    say(text)


def _files(added):
    """Path in the VM and path here of all that is added."""
    for source, destination in added:
        yield from _tree(destination.strip("/"), os.path.realpath(source))


def _tree(name, path):
    mode = os.lstat(path).st_mode
    if stat.S_ISDIR(mode):
        for each in sorted(os.listdir(path)):
            yield from _tree(f"{name}/{each}" if name else each, os.path.join(path, each))
    elif stat.S_ISREG(mode) or stat.S_ISLNK(mode):
        yield name, path


def _resolve(program, place, present):
    """All that a program or library needs."""
    found = Found()
    folder = _loader(program, place, found)
    brought = {os.path.basename(name): path for name, path in present.items()}
    libraries, queue = {}, [program]
    while queue:
        each = queue.pop(0)
        for name in [*each.needed, *(also for needed in each.needed for also in ALSO.get(needed, []))]:
            if name in libraries or name == os.path.basename(program.loader):
                continue
            library = _search(name, each, program, place, brought)
            libraries[name] = library
            if library:
                queue.append(library)
                if name not in brought:
                    found.files[f"{folder}/{name}"] = library.path
            elif name in each.needed:
                found.missing.append(name)
        for name, versions in each.versions.items():
            if libraries.get(name):
                found.missing += _lacking(libraries[name], versions)
    return found


def _loader(program, place, found):
    """Note the loader; returns the folder beside it, where any loader looks."""
    name = program.loader.lstrip("/")
    path = os.path.realpath(place.top / name) if name else ""
    if name and not os.path.isfile(path):
        found.missing.append(program.loader)
    if not os.path.isfile(path):
        return f"lib/{TRIPLETS.get(program.machine, '')}".rstrip("/")
    found.files[name] = path
    return os.path.relpath(os.path.dirname(path), os.path.realpath(place.top))


def _search(name, each, program, place, brought):
    """The library of that name, or None."""
    if name in brought:
        return elf.read(brought[name])
    folders = place.folders(program.machine)
    for owner in (program, each):
        origin = os.path.dirname(os.path.realpath(owner.path))
        own = [folder.replace("$ORIGIN", origin).replace("${ORIGIN}", origin) for folder in owner.search]
        folders = [folder for folder in own if place.ours or folder.startswith(origin)] + folders
    for folder in folders:
        library = elf.read(os.path.join(folder, name))
        if library and library.kind == program.kind:
            return library
    return None


def _lacking(library, versions):
    """Those of the versions that a library does not have."""
    data = Path(library.path).read_bytes()
    return [f"{os.path.basename(library.path)} with {version}" for version in versions
            if version.encode() + b"\0" not in data]
