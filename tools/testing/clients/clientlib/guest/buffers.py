# SPDX-License-Identifier: GPL-2.0
"""Memfds, buffers made of them, and brackets around accesses."""

import ctypes
import fcntl
import mmap
import os
import struct

from .driver import NODE

CREATE_LIST = 1 << 30 | 8 << 16 | ord("u") << 8 | 0x43
CREATE_EXT = ord("u") << 8 | 0xe0
READ_ONLY = 2
SYNC = 1 << 30 | 8 << 16 | ord("b") << 8
CLOEXEC = 1
READ, WRITE, END = 1, 2, 4

PAGE = 4096
HUGE = 2 << 20


def memfd(size, huge=False, seals=fcntl.F_SEAL_SHRINK):
    """A memfd of that size, sealed."""
    flags = os.MFD_ALLOW_SEALING | (os.MFD_HUGETLB | os.MFD_HUGE_2MB if huge else 0)
    file = os.memfd_create("client", flags)
    os.truncate(file, size)
    fcntl.fcntl(file, fcntl.F_ADD_SEALS, seals)
    return file


def create(items):
    """A buffer of (memfd, offset, size) items."""
    words = struct.pack("<II", CLOEXEC, len(items)) + b"".join(struct.pack("<IIQQ", file, 0, offset, size)
                                                             for file, offset, size in items)
    with open(NODE, "rb+", buffering=0) as node:
        # Of an immutable argument, the result is the argument.
        return fcntl.ioctl(node, CREATE_LIST, bytearray(words), True)


def create_read_only(file, size):
    """A read-only buffer. Raises OSError: ENOTTY if the driver lacks UDMABUF_CREATE_EXT."""
    item = struct.pack("<IIQQ", file, 0, 0, size)
    at = ctypes.create_string_buffer(item, len(item))
    words = struct.pack("<IIQQIIQ", 40, 0, CLOEXEC | READ_ONLY, ctypes.addressof(at), 1, 0, 0)
    with open(NODE, "rb+", buffering=0) as node:
        return fcntl.ioctl(node, CREATE_EXT, bytearray(words), True)


def mapped(file, size):
    """A shared mapping of a memfd or buffer."""
    return mmap.mmap(file, size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)


def bracket(buffer, flags):
    """DMA_BUF_IOCTL_SYNC."""
    fcntl.ioctl(buffer, SYNC, struct.pack("<Q", flags))
