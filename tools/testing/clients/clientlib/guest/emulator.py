# SPDX-License-Identifier: GPL-2.0
"""QEMU as a child of ours, and sockets to it."""

import contextlib
import socket
import tempfile
from pathlib import Path

from . import trial

EMULATOR = "qemu-system-x86_64"
START = 60  # seconds
ERRORS = "errors"


@contextlib.contextmanager
def running(names, arguments, environment=None):
    """A QEMU with sockets of those names: `arguments` makes its own of the folder that they lie in.

    Yields the folder and a dict of connections.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        listeners = {name: stack.enter_context(_listener(folder / name)) for name in names}
        errors = stack.enter_context(open(folder / ERRORS, "wb"))
        child = stack.enter_context(trial.started(EMULATOR, "-nodefaults", "-no-user-config", *arguments(folder),
                                                  environment=environment, stdout=errors))
        connections = {name: stack.enter_context(_accept(listener, child, folder)) for name, listener in listeners.items()}
        yield folder, connections


def complaint(folder):
    """What it has said."""
    return (folder / ERRORS).read_text(errors="replace").strip() or "it said nothing"


def _listener(path):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(1)
    listener.settimeout(1)
    return listener


def _accept(listener, child, folder):
    for _ in range(START):
        with contextlib.suppress(socket.timeout):
            return listener.accept()[0]
        if child.poll() is not None:
            break
    raise trial.Wrong("QEMU does not start: " + complaint(folder))
