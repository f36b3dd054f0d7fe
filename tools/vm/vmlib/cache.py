# SPDX-License-Identifier: GPL-2.0
"""Entries on disk which are either complete or made again.

An entry is a directory named after what it is and a hash of everything that
went into it. It is made in place, under a lock, because kernel build trees
remember their absolute path and could not be moved afterwards; the file
`.complete`, renamed into place as the very last step, is what makes it valid.
Whatever lacks that file, or one of the files its maker called essential, is
what an interrupted build or a partial deletion left: it is removed and made
again. Everything may be deleted at any time.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

from . import disk
from .disk import default_top
from .errors import Failure
from .privilege import remove_tree
from .progress import say

STAMP = ".complete"
LOGS_KEPT = 20


@dataclass(frozen=True)
class Entry:
    """A complete entry: where it is, and what its maker had to say about it."""

    path: Path
    info: dict
    inputs: dict


def key_of(inputs):
    """A short hash of whatever JSON can express."""
    text = json.dumps(inputs, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


class Cache:
    """The directory of all entries."""

    def __init__(self, top=None):
        self.top = Path(top) if top else default_top()
        if re.search(r"[\s:,'\"\\$#%]", str(self.top)):
            raise Failure(f"kernels cannot be built in {self.top}, for the unusual characters in its name; "
                          "set XDG_CACHE_HOME to another directory")
        try:
            self.top.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Failure(f"cannot make the cache directory {self.top}: {error.strerror}; "
                          "set XDG_CACHE_HOME to a directory that you may write to")

    def obtain(self, kind, inputs, make, essential=(), size=0):
        """The entry for `inputs`, made by make(path, lock) where there is none.

        `make` returns a dict that is stored with the entry. `lock` is the
        descriptor to hand to the commands it starts. `essential` names files,
        as patterns relative to the entry, without which it is not complete.
        `size` is the room that making it takes, in MiB.
        """
        path = self.top / f"{kind}-{key_of(inputs)}"
        entry = self._look(path, essential)
        if entry:
            return entry
        with self.lock(path.name) as lock:
            entry = self._look(path, essential)
            if not entry:
                self._clear(path)
                disk.require(self.top, size, f"making '{kind}'")
                path.mkdir(parents=True)
                info = make(path, lock)
                self._stamp(path, inputs, info)
                entry = self._look(path, essential)
        if not entry:
            raise Failure(f"{path} was made, yet lacks one of: {', '.join(essential)}")
        return entry

    def entries(self, kind, essential=()):
        """All complete entries of that kind."""
        found = (self._look(path, essential) for path in sorted(self.top.glob(f"{kind}-*"))
                 if re.fullmatch(r"[0-9a-f]{12}", path.name[len(kind) + 1:]))
        return [entry for entry in found if entry]

    def look(self, kind, inputs, essential=()):
        """The entry for `inputs`, or None where there is none."""
        return self._look(self.top / f"{kind}-{key_of(inputs)}", essential)

    @staticmethod
    def _look(path, essential):
        try:
            stamp = json.loads((path / STAMP).read_text())
        except (OSError, ValueError):
            return None
        if not all(any(path.glob(pattern)) for pattern in essential):
            return None
        return Entry(path, stamp["info"], stamp["inputs"])

    @staticmethod
    def _clear(path):
        with contextlib.suppress(FileNotFoundError):
            (path / STAMP).unlink()
        if path.exists():
            remove_tree(path)

    @staticmethod
    def _stamp(path, inputs, info):
        temporary = path / (STAMP + ".new")
        temporary.write_text(json.dumps({"inputs": inputs, "info": info}, indent=1, default=str) + "\n")
        temporary.rename(path / STAMP)

    @contextlib.contextmanager
    def lock(self, name):
        """Hold the lock of that name; yields its descriptor."""
        path = self.top / "locks" / name
        descriptor = self._take(path)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    @staticmethod
    def _take(path):
        """Take a lock file, also where somebody deletes the cache meanwhile."""
        while True:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            try:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    say(f"waiting for another run that makes {path.name}")
                    fcntl.flock(descriptor, fcntl.LOCK_EX)
                if os.path.exists(path) and os.path.samestat(os.fstat(descriptor), os.stat(path)):
                    return descriptor
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)

    def log(self, name):
        """A fresh log file of that name for a step that makes something."""
        path = self.top / "logs" / f"{name}.log"
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        return path

    def run_log(self):
        """A path for the kernel log of one run; only the last few are kept."""
        folder = self.top / "logs"
        folder.mkdir(parents=True, exist_ok=True)
        for old in sorted(folder.glob("kernel-*.log"))[:-LOGS_KEPT]:
            with contextlib.suppress(FileNotFoundError):
                old.unlink()
        return folder / f"kernel-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
