# SPDX-License-Identifier: GPL-2.0
"""A compositor as far as pictures go: programs/viewer.c, which has Vulkan read a buffer."""

import contextlib
import subprocess

from . import trial


class Viewer:
    """Reads a buffer of `size` bytes by lavapipe, in a process of its own."""

    def __init__(self, buffer, size):
        self._buffer, self._size = buffer, size
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        self._child = self._stack.enter_context(trial.started(
            trial.PROGRAMS / "viewer", self._buffer, self._size, environment={"VK_LOADER_DRIVERS_SELECT": "*lvp*"},
            pass_fds=[self._buffer], stdin=subprocess.PIPE))
        return self

    def __exit__(self, *_):
        self._child.stdin.close()
        self._stack.close()

    def look(self):
        """Returns the bytes that the device sees now."""
        self._child.stdin.write(b"\n")
        self._child.stdin.flush()
        shown = self._child.stdout.read(self._size)
        if len(shown) != self._size:
            raise trial.Wrong(f"the viewer ended: {shown.decode(errors='replace')}")
        return shown
