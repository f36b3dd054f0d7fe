# SPDX-License-Identifier: GPL-2.0
"""Free space: checked before large steps, and reported with its file system where it runs out."""

import errno
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .errors import Failure

MIB = 1 << 20
SCARCE = 4 * MIB     # bytes free where a failure may well come from that
FULL = ("No space left on device", "not enough free space", "have enough free space", "Disk quota exceeded")
REMEDY = "free some space there, or set XDG_CACHE_HOME to a directory on another file system"


def default_top():
    """The directory of all that is kept: ${XDG_CACHE_HOME:-$HOME/.cache}/udmabuf_rs."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(os.path.realpath(base)) / "udmabuf_rs"


@dataclass(frozen=True)
class Room:
    """Free space of one file system."""

    mount: str           # where it is mounted
    free: int            # bytes
    no_inodes: bool      # whether no file can be made there, for another reason

    @property
    def scarce(self):
        """Whether a step may have failed for lack of space."""
        return self.free < SCARCE or self.no_inodes

    def __str__(self):
        left = "no inodes left" if self.no_inodes else f"{show(self.free)} free"
        return f"the file system at {self.mount} has {left}"


def room(path):
    """The room on the file system of `path`, or of the directory in which that will be made."""
    path = os.path.realpath(path)
    while not os.path.exists(path):
        path = os.path.dirname(path)
    info = os.statvfs(path)
    while not os.path.ismount(path):
        path = os.path.dirname(path)
    return Room(path, info.f_bavail * info.f_frsize, info.f_files > 0 and info.f_favail == 0)


def show(size):
    """A number of bytes for people."""
    return f"{size / MIB / 1024:.1f} GB" if size >= 1000 * MIB else f"{size // MIB} MB"


def require(path, mib, what):
    """Fail where there is less room than a step takes."""
    found = room(path)
    if found.free < mib * MIB or found.no_inodes:
        raise Failure(f"{found}, and {what} takes {show(mib * MIB)}: {REMEDY}")


def is_full(text):
    """Whether a program says that it found no room."""
    return any(words in text for words in FULL)


def shortage(paths=None):
    """The file system among those of `paths` that has hardly any room; by default, of those that we write to."""
    for path in paths or (default_top(), tempfile.gettempdir()):
        found = room(path)
        if found.scarce:
            return found
    return None


def sentence(paths=None):
    """Which file system is full, in words, after something found no room."""
    found = shortage(paths)
    return f"{found}: {REMEDY}" if found else f"a file system is full: {REMEDY}"


def sentence_for(error):
    """The same for an OSError; empty if that has another reason."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return ""
    if error.errno == errno.EDQUOT:
        return f"{error.filename or 'a file'} does not fit into your disk quota: {REMEDY}"
    return sentence([error.filename] if error.filename else None)
