# SPDX-License-Identifier: GPL-2.0
"""The interface of tools/vm for the other programs of the checkout, beside its commands.

They start commands by run() and started(), so that none outlives them, and an
interruption is reported once, by the outermost program.
"""

import contextlib
import shutil
import signal
import subprocess
import threading
from concurrent import futures
from pathlib import Path

from vmlib import cache, privilege, process
from vmlib.errors import Failure, Said, TOOL_FAILED
from vmlib.guard import INTERRUPTED, guarded, uninterrupted

__all__ = ["Failure", "Said", "TOOL_FAILED", "folder", "guarded", "pool", "require", "run", "started"]

VM = Path(__file__).resolve().parent
CHECKOUT = VM.parents[1]
OWNER = "checkout"  # a file with the path of the checkout that a folder belongs to
PATIENCE = 30  # seconds for a command to end what it has started

_lock = threading.Lock()
_children = set()
_ending = False


def require():
    """Fails where commands of tools/vm cannot work on this machine, and makes the build root if there is none."""
    privilege.as_root(["true"])
    status = run([VM / "root", "--", "true"]).returncode
    if status:
        raise Said(status)


def folder(kind, top=None, checkout=CHECKOUT):
    """A directory of that kind in the cache, for this checkout alone. Those of checkouts that are gone are removed."""
    place = (top or cache.default_top()) / kind
    own = place / f"{checkout.name}-{cache.key_of(str(checkout))}"
    for owner in place.glob(f"*/{OWNER}"):
        if not Path(owner.read_text()).exists():
            shutil.rmtree(owner.parent, ignore_errors=True)
    own.mkdir(parents=True, exist_ok=True)
    (own / OWNER).write_text(str(checkout))
    return own


def run(argv, **options):
    """subprocess.run() for a command that is to end with us."""
    with started(argv, **options) as child:
        output, errors = child.communicate()
    return subprocess.CompletedProcess(argv, child.returncode, output, errors)


@contextlib.contextmanager
def started(argv, **options):
    """Start a command, and wait for its end; where we are interrupted, so is it.

    Raises KeyboardInterrupt if the command was interrupted alone.
    """
    child = None
    try:
        with uninterrupted():
            child = _start(argv, options)
        yield child
        child.wait()
    finally:
        if child:
            _finish(child)
    if child.returncode in (INTERRUPTED, -signal.SIGINT):
        raise KeyboardInterrupt


def _start(argv, options):
    with _lock:
        if _ending:
            raise KeyboardInterrupt
        # It has the signal blocked until it is ready for it: see vmlib/guard.py.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            child = subprocess.Popen([str(word) for word in argv], **options)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        _children.add(child)
        return child


def _finish(child):
    process.end([child], PATIENCE)
    _children.discard(child)
    for stream in (child.stdin, child.stdout, child.stderr):
        if stream:
            stream.close()


@contextlib.contextmanager
def pool(workers):
    """Threads that start commands; where we are interrupted, all of these end and no other is started."""
    with futures.ThreadPoolExecutor(workers) as executor:
        try:
            yield executor
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            _end_all()
            raise


def _end_all():
    global _ending
    with _lock:
        _ending = True
        children = list(_children)
    process.end(children, PATIENCE)
