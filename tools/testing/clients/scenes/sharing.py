# SPDX-License-Identifier: GPL-2.0
"""Sharing a picture read-only with another user: F_SEAL_FUTURE_WRITE and a read-only buffer."""

import errno
import fcntl
import os

from clientlib.guest import trial
from clientlib.guest.buffers import END, READ, WRITE, bracket, create_read_only, mapped, memfd

TITLE = "Read-only pictures"
PACKAGES = ()
SIZE = 1 << 20
OTHER = 65534
FUTURE_WRITE = 0x10  # F_SEAL_FUTURE_WRITE, which Python does not name
C_DRIVER = "Inappropriate ioctl"


def _share(_driver):
    file = memfd(SIZE)
    picture = bytes(range(256)) * (SIZE // 256)
    owner = mapped(file, SIZE)
    owner[:] = picture
    fcntl.fcntl(file, fcntl.F_ADD_SEALS, FUTURE_WRITE | fcntl.F_SEAL_SEAL)
    try:
        buffer = create_read_only(file, SIZE)
    except OSError as error:
        raise trial.Wrong(error.strerror) from error
    ready, said = os.pipe()
    reader = os.fork()
    if not reader:
        os.setuid(OTHER)
        os.write(said, _look(buffer, picture).encode())
        os._exit(0)
    os.close(said)
    with open(ready, "rb") as words:
        wrong = words.read().decode()
    os.waitpid(reader, 0)
    if wrong:
        raise trial.Wrong(wrong)
    # The owner goes on drawing.
    owner[:4] = b"next"
    bracket(buffer, READ)
    trial.equal(_map_to_read(buffer)[:4], b"next", "bytes")
    bracket(buffer, READ | END)
    return f"{SIZE} bytes read by another user, who cannot write"


def _map_to_read(buffer):
    import mmap
    return mmap.mmap(buffer, SIZE, mmap.MAP_SHARED, mmap.PROT_READ)


def _look(buffer, picture):
    """Checks as the other user. Returns an error message, or an empty string."""
    if _map_to_read(buffer)[:] != picture:
        return "another user sees another picture"
    try:
        mapped(buffer, SIZE)
        return "another user maps it to write"
    except OSError as error:
        if error.errno != errno.EACCES:
            return f"mapping it to write: {error}, not EACCES"
    try:
        bracket(buffer, WRITE)
        return "another user writes in brackets"
    except OSError:
        return ""


TRIALS = {"read by another user": _share}
