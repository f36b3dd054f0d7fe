# SPDX-License-Identifier: GPL-2.0
"""QEMU as a child process, with sockets."""

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
    """Runs QEMU with a Unix socket for each name.

    `arguments` returns the command line, given the folder of the sockets. Yields the folder and a dict of connections.
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
    """Returns QEMU's error output."""
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
