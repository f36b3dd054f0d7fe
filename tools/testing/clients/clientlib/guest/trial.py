# SPDX-License-Identifier: GPL-2.0
"""Outcomes of trials, child processes and comparisons."""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

PROGRAMS = Path("/tmp/programs")  # our own
WORDS = 1500  # characters of a program's output that are quoted


class Wrong(Exception):
    """A wrong result, with a description."""


class Skipped(Exception):
    """The client cannot run here, for this reason."""


def run(*command, seconds=120, environment=None, statuses=(0,)):
    """Runs a program, and returns its output. Raises Wrong on an exit status not in `statuses`."""
    with started(*command, environment=environment) as child:
        try:
            output = child.communicate(timeout=seconds)[0].decode(errors="replace")
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            raise Wrong(f"{command[0]} did not end within {seconds} s: {_end(child.communicate()[0].decode(errors='replace'))}")
    if child.returncode not in statuses:
        raise Wrong(f"{command[0]} ended with status {child.returncode}: {_end(output)}")
    return output


@contextlib.contextmanager
def started(*command, environment=None, **options):
    """A program that is ended with all it has started."""
    for name, default in (("stdin", subprocess.DEVNULL), ("stdout", subprocess.PIPE), ("stderr", subprocess.STDOUT)):
        options.setdefault(name, default)
    child = subprocess.Popen([str(word) for word in command], start_new_session=True, env={**os.environ, **(environment or {})}, **options)
    try:
        yield child
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def wait_for(ready, what, seconds=60, child=None, log=None):
    """Waits until ready() is true. Of a child that ends before that, the end of its log is told."""
    deadline = time.monotonic() + seconds
    while not ready():
        if child and child.poll() is not None:
            said = f"\n{_end(log.read_text(errors='replace'))}" if log else ""
            raise Wrong(f"{child.args[0]} ended with status {child.returncode} before there was {what}{said}")
        if time.monotonic() > deadline:
            raise Wrong(f"no {what} after {seconds} s")
        time.sleep(0.1)


def equal(shown, wanted, what, size=1):
    """Compares bytes, in units of `size`. Raises Wrong."""
    if shown == wanted:
        return
    if len(shown) != len(wanted):
        raise Wrong(f"{len(shown) // size} {what} instead of {len(wanted) // size}")
    wrong = [at for at in range(0, len(wanted), size) if shown[at:at + size] != wanted[at:at + size]]
    raise Wrong(f"{len(wrong)} of {len(wanted) // size} {what} differ, the first at {wrong[0] // size}")


def _end(output):
    return output.strip()[-WORDS:] or "it said nothing"
