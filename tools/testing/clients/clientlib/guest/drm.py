# SPDX-License-Identifier: GPL-2.0
"""Import by DRM devices, without a library: uapi/drm/drm.h."""

import ctypes
import fcntl
import os
import struct
from pathlib import Path

from .trial import Skipped

_BASE = ord("d") << 8
VERSION = 3 << 30 | 64 << 16 | _BASE
GEM_CLOSE = 1 << 30 | 8 << 16 | _BASE | 0x09
HANDLE_TO_FD, FD_TO_HANDLE = [3 << 30 | 12 << 16 | _BASE | number for number in (0x2d, 0x2e)]


class _Version(ctypes.Structure):
    _fields_ = [("numbers", ctypes.c_int * 3), ("name_len", ctypes.c_size_t), ("name", ctypes.c_char_p),
                ("rest", ctypes.c_size_t * 4)]


def _driver(card):
    """The name of the kernel driver behind an open card."""
    name = ctypes.create_string_buffer(32)
    version = _Version(name_len=len(name), name=ctypes.cast(name, ctypes.c_char_p))
    fcntl.ioctl(card, VERSION, version)
    return name.value.decode()


class Device:
    """The card of a kernel driver, for `with`."""

    def __init__(self, driver):
        self._wanted, self._file = driver, -1

    def __enter__(self):
        for path in sorted(Path("/dev/dri").glob("card*")):
            self._file = os.open(path, os.O_RDWR)
            if _driver(self._file) == self._wanted:
                return self
            os.close(self._file)
        raise Skipped(f"this machine has no device of {self._wanted}")

    def __exit__(self, *_):
        os.close(self._file)

    def handle(self, buffer):
        """Imports a buffer. Raises OSError where the device does not take it."""
        return struct.unpack("<IIi", fcntl.ioctl(self._file, FD_TO_HANDLE, struct.pack("<IIi", 0, 0, buffer)))[0]

    def export(self, handle):
        """Gives a descriptor of the buffer behind a handle."""
        return struct.unpack("<IIi", fcntl.ioctl(self._file, HANDLE_TO_FD, struct.pack("<IIi", handle, os.O_CLOEXEC, -1)))[2]

    def close(self, handle):
        """Gives a handle back."""
        fcntl.ioctl(self._file, GEM_CLOSE, struct.pack("<II", handle, 0))
