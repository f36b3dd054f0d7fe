# SPDX-License-Identifier: GPL-2.0
"""What a program or a library says that it needs: the dynamic section of an ELF file."""

import os
import struct
from dataclasses import dataclass, field
from typing import Dict, List

MACHINES = {3: "i386", 40: "arm", 62: "x86-64", 183: "aarch64"}
PROGRAM, SHARED = 2, 3                     # e_type
LOAD, DYNAMIC, INTERPRETER = 1, 2, 3       # p_type
NEEDED, STRINGS, RPATH, RUNPATH, VERSIONS, VERSIONS_COUNT = 1, 5, 15, 29, 0x6ffffffe, 0x6fffffff


@dataclass
class Elf:
    """One program or library."""

    path: str
    machine: int
    bits: int
    interpreter: str = ""      # the loader that the kernel starts
    loader: str = ""           # that, or the one of the programs that a library is for
    needed: List[str] = field(default_factory=list)
    search: List[str] = field(default_factory=list)              # RUNPATH or RPATH
    versions: Dict[str, List[str]] = field(default_factory=dict)  # of libraries that it was linked with

    @property
    def kind(self):
        """What must be the same in a program and its libraries."""
        return self.machine, self.bits


def read(path):
    """The program or library at `path`, or None where that is something else."""
    try:
        with open(path, "rb") as stream:
            head = stream.read(20)
            if len(head) < 20 or head[:4] != b"\x7fELF" or head[5] != 1 or head[4] not in (1, 2):
                return None
            kind, machine = struct.unpack_from("<HH", head, 16)
            if kind not in (PROGRAM, SHARED):
                return None
            return _Reader(path, head + stream.read(), 32 * head[4]).elf(machine)
    except (OSError, struct.error, IndexError, ValueError):
        return None


class _Reader:
    """The bytes of an ELF file, least significant first."""

    def __init__(self, path, data, bits):
        self.path = os.fspath(path)
        self.data = data
        self.bits = bits
        self.segments = list(self._segments())

    def elf(self, machine):
        """All of it."""
        found = Elf(self.path, machine, self.bits)
        for kind, offset, _, size in self.segments:
            if kind == INTERPRETER:
                found.interpreter = self.data[offset:offset + size].rstrip(b"\0").decode()
        entries = list(self._dynamic())
        values = dict(entries)
        if STRINGS in values:
            self.strings = self._offset(values[STRINGS])
            found.needed = [self._string(value) for tag, value in entries if tag == NEEDED]
            found.search = [each for tag, value in entries if tag in (RPATH, RUNPATH)
                            for each in self._string(value).split(":") if each]
            if VERSIONS in values:
                found.versions = dict(self._versions(self._offset(values[VERSIONS]), values.get(VERSIONS_COUNT, 0)))
        return found

    def _segments(self):
        """Kind, offset, address and size in the file of each segment."""
        if self.bits == 64:
            start, = struct.unpack_from("<Q", self.data, 32)
            size, count = struct.unpack_from("<HH", self.data, 54)
        else:
            start, = struct.unpack_from("<I", self.data, 28)
            size, count = struct.unpack_from("<HH", self.data, 42)
        for at in range(start, start + size * count, size):
            if self.bits == 64:
                kind, _, offset, address, _, length = struct.unpack_from("<IIQQQQ", self.data, at)
            else:
                kind, offset, address, _, length = struct.unpack_from("<IIIII", self.data, at)
            yield kind, offset, address, length

    def _dynamic(self):
        """Tag and value of each entry of the dynamic section."""
        layout = "<QQ" if self.bits == 64 else "<II"
        for kind, offset, _, size in self.segments:
            if kind == DYNAMIC:
                yield from struct.iter_unpack(layout, self.data[offset:offset + size - size % struct.calcsize(layout)])

    def _offset(self, address):
        for kind, offset, start, size in self.segments:
            if kind == LOAD and start <= address < start + size:
                return address - start + offset
        raise ValueError("an address in no segment")

    def _string(self, index):
        start = self.strings + index
        return self.data[start:self.data.index(b"\0", start)].decode()

    def _versions(self, at, count):
        """The versions that each library must have."""
        for _ in range(count):
            _, entries, library, first, following = struct.unpack_from("<HHIII", self.data, at)
            names, entry = [], at + first
            for _ in range(entries):
                _, flags, _, name, after = struct.unpack_from("<IHHII", self.data, entry)
                if not flags & 2:   # weak
                    names.append(self._string(name))
                entry += after
            yield self._string(library), names
            at += following
