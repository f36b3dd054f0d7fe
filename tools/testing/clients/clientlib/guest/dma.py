# SPDX-License-Identifier: GPL-2.0
"""A device that does DMA: QEMU's edu, driven by the importer of the selftests (udmabuf_importer.h there)."""

import ctypes
import fcntl
import os
import struct

from .trial import Skipped

NODE = "/dev/udmabuf_importer"
FAUX, EDU = 0, 1
BIDIRECTIONAL, TO_DEVICE, FROM_DEVICE = 0, 1, 2
# edu has a buffer of its own of so many bytes.
CHUNK = 4096


def _code(number, size):
    return (1 << 30 if size else 0) | size << 16 | ord("I") << 8 | number


MAP, UNMAP, READ, WRITE, SEGMENTS = _code(2, 16), _code(3, 0), _code(4, 32), _code(5, 32), 3 << 30 | _code(6, 48) & ~(1 << 30)


class Device:
    """The device, for `with`: it has buffers mapped until it is left."""

    def __init__(self, device=EDU):
        self._device = device

    def __enter__(self):
        try:
            self._file = os.open(NODE, os.O_RDWR)
        except FileNotFoundError:
            raise Skipped("the importer's module is not loaded")
        return self

    def __exit__(self, *_):
        os.close(self._file)

    def map(self, slot, buffer, direction=FROM_DEVICE):
        """Maps a buffer. Raises OSError where that fails."""
        fcntl.ioctl(self._file, MAP, struct.pack("<IiII", slot, buffer, direction, self._device))

    def unmap(self, slot):
        """Unmaps it."""
        fcntl.ioctl(self._file, UNMAP, slot)

    def write(self, slot, data, offset=0):
        """The device writes bytes to the buffer."""
        self._transfer(WRITE, slot, offset, ctypes.create_string_buffer(data, len(data)), len(data))

    def read(self, slot, size, offset=0):
        """The device reads bytes of the buffer, which are returned."""
        data = ctypes.create_string_buffer(size)
        self._transfer(READ, slot, offset, data, size)
        return data.raw

    def _transfer(self, code, slot, offset, data, size):
        for at in range(0, size, CHUNK):
            fcntl.ioctl(self._file, code, struct.pack("<IIQQQ", slot, 0, offset + at, min(CHUNK, size - at),
                                                      ctypes.addressof(data) + at))
