# SPDX-License-Identifier: GPL-2.0
"""The file system of the VM, packed anew for every run.

A cpio archive in the "newc" format, written here rather than by cpio(1): that
takes no copies on disk, and no root rights for anything.
"""

import os
import shlex
import stat
from pathlib import Path

from . import libraries, modules
from .errors import Failure

INIT = Path(__file__).resolve().parents[1] / "init"
FOLDERS = ["bin", "dev", "etc", "etc/vm", "proc", "root", "run", "sys", "tmp", "usr", "var", "var/tmp", "mnt", "lib"]
LINKS = {"sbin": "bin", "usr/bin": "../bin", "usr/sbin": "../bin", "etc/mtab": "../proc/self/mounts"}
TEXTS = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
}


class Archive:
    """A cpio archive being written."""

    def __init__(self, stream):
        self.stream = stream
        self.inode = 0
        self.folders = set()

    def file(self, name, data, mode=0o644):
        """Add a regular file, and the directories above it."""
        self._parents(name)
        self._entry(name, stat.S_IFREG | mode, data)

    def link(self, name, target):
        """Add a symbolic link, and the directories above it."""
        self._parents(name)
        self._entry(name, stat.S_IFLNK | 0o777, os.fsencode(target))

    def folder(self, name, mode=0o755):
        """Add a directory, and those above it."""
        if name and name not in self.folders and name not in LINKS:
            self._parents(name)
            self.folders.add(name)
            self._entry(name, stat.S_IFDIR | mode, b"")

    def tree(self, name, path):
        """Add a file or a directory of the host, recursively."""
        info = os.lstat(path)
        if stat.S_ISDIR(info.st_mode):
            self.folder(name, stat.S_IMODE(info.st_mode))
            for each in sorted(os.listdir(path)):
                self.tree(f"{name}/{each}" if name else each, os.path.join(path, each))
        elif stat.S_ISLNK(info.st_mode):
            self.link(name, os.readlink(path))
        elif stat.S_ISREG(info.st_mode):
            self.file(name, Path(path).read_bytes(), stat.S_IMODE(info.st_mode))

    def close(self):
        """Write the trailer."""
        self._entry("TRAILER!!!", 0, b"")

    def _parents(self, name):
        self.folder(os.path.dirname(name))

    def _entry(self, name, mode, data):
        self.inode += 1
        raw = os.fsencode(name) + b"\0"
        fields = (self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(raw), 0)
        header = b"070701" + b"".join(b"%08X" % field for field in fields) + raw
        self.stream.write(header + _padding(len(header)) + data + _padding(len(data)))


def _padding(length):
    return bytes(-length % 4)


def write(path, kernel, command, added=(), kmods=(), module=None, calls=False, root=None, mounted=False):
    """Write the initramfs for one run.

    `command` is an argv. `added` are pairs of a path on the host and one in
    the VM. `kmods` are names of the distribution's modules, `module` is the
    .ko to load after them. `calls` says that the command will be answered on
    its stdin, see qemu.py; that is empty otherwise. `mounted` says that there is
    a directory to mount, as by qemu.shared(). Dynamic programs among `added` are
    given their libraries, of this machine or of the build root.
    """
    with open(path, "wb") as stream:
        archive = Archive(stream)
        for name in FOLDERS:
            archive.folder(name)
        for name, target in LINKS.items():
            archive.link(name, target)
        for name, text in TEXTS.items():
            archive.file(name, text.encode())
        archive.file("init", INIT.read_bytes(), 0o755)
        archive.file("bin/busybox", kernel.busybox.read_bytes(), 0o755)
        archive.file("etc/vm/command", b"exec " + os.fsencode(shlex.join(command)) + b"\n")
        _add_kmods(archive, kernel, kmods)
        if calls:
            archive.file("etc/vm/calls", b"")
        if mounted:
            archive.file("etc/vm/root", b"")
        if module:
            archive.file(os.path.basename(module), Path(module).read_bytes())
            archive.file("etc/vm/module", f"/{os.path.basename(module)}\n".encode())
        for name, source in libraries.needed(added, kernel.arch, libraries.places(root, kernel.arch)).items():
            archive.file(name, Path(source).read_bytes(), 0o755)
        for source, destination in added:
            archive.tree(destination.strip("/"), os.path.realpath(source))
        archive.close()


def _add_kmods(archive, kernel, names):
    """The modules, unpacked, and what modprobe needs to know about them."""
    paths = modules.with_dependencies(kernel, names)
    top = f"lib/modules/{kernel.release}"
    table = modules.parse_dependencies((kernel.modules / "modules.dep").read_text()) if paths else {}
    lines = []
    for path in paths:
        archive.file(f"{top}/{_plain(path)}", modules.content(kernel.modules / path))
        lines.append(f"{_plain(path)}: {' '.join(map(_plain, table[path]))}".rstrip() + "\n")
    if paths:
        archive.file(f"{top}/modules.dep", "".join(lines).encode())
    archive.file("etc/vm/kmods", "".join(f"/{top}/{_plain(path)}\n" for path in paths).encode())


def _plain(path):
    return path[:path.index(".ko")] + ".ko"


def parse_added(word):
    """The two paths in FILE or SRC=DEST."""
    source, destination = word, ""
    if not os.path.exists(word) and "=" in word:
        source, _, destination = word.rpartition("=")
    if not os.path.exists(source):
        raise Failure(f"--add {word}: there is no {source}")
    return source, destination or os.path.basename(os.path.abspath(source))
