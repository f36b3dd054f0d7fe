# SPDX-License-Identifier: GPL-2.0
"""Capture by V4L2 into buffers: uapi/linux/videodev2.h, as far as vivid needs it."""

import ctypes
import fcntl
import os
import select
from pathlib import Path

from .trial import Wrong

CAPTURE, MEMORY_DMABUF = 1, 4
YUYV = int.from_bytes(b"YUYV", "little")
WIDTH, HEIGHT = 640, 480
SIZE = WIDTH * HEIGHT * 2


class _Time(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("micros", ctypes.c_long)]


class _Timecode(ctypes.Structure):
    _fields_ = [("type", ctypes.c_uint32), ("flags", ctypes.c_uint32), ("fields", ctypes.c_uint8 * 4), ("user", ctypes.c_uint8 * 4)]


class _Memory(ctypes.Union):
    _fields_ = [("offset", ctypes.c_uint32), ("userptr", ctypes.c_ulong), ("fd", ctypes.c_int32)]


class _Buffer(ctypes.Structure):
    _fields_ = [("index", ctypes.c_uint32), ("type", ctypes.c_uint32), ("bytesused", ctypes.c_uint32), ("flags", ctypes.c_uint32),
                ("field", ctypes.c_uint32), ("timestamp", _Time), ("timecode", _Timecode), ("sequence", ctypes.c_uint32),
                ("memory", ctypes.c_uint32), ("m", _Memory), ("length", ctypes.c_uint32), ("reserved2", ctypes.c_uint32),
                ("request", ctypes.c_int32)]


class _Request(ctypes.Structure):
    _fields_ = [("count", ctypes.c_uint32), ("type", ctypes.c_uint32), ("memory", ctypes.c_uint32),
                ("capabilities", ctypes.c_uint32), ("flags", ctypes.c_uint8), ("reserved", ctypes.c_uint8 * 3)]


class _Pixels(ctypes.Structure):
    _fields_ = [("width", ctypes.c_uint32), ("height", ctypes.c_uint32), ("format", ctypes.c_uint32), ("field", ctypes.c_uint32),
                ("line", ctypes.c_uint32), ("size", ctypes.c_uint32), ("more", ctypes.c_uint32 * 6)]


class _Raw(ctypes.Union):
    _fields_ = [("pixels", _Pixels), ("raw", ctypes.c_uint8 * 200), ("aligned", ctypes.c_void_p)]


class _Format(ctypes.Structure):
    _fields_ = [("type", ctypes.c_uint32), ("as_", _Raw)]


def _code(number, size, write=True):
    return (3 if write else 1) << 30 | size << 16 | ord("V") << 8 | number


REQBUFS, QBUF, DQBUF = [_code(number, ctypes.sizeof(kind)) for number, kind in ((8, _Request), (15, _Buffer), (17, _Buffer))]
S_FMT = _code(5, ctypes.sizeof(_Format))
STREAMON, STREAMOFF = _code(18, 4, write=False), _code(19, 4, write=False)


def devices(driver):
    """Nodes of capture devices of a driver, in order."""
    found = []
    for folder in Path("/sys/class/video4linux").glob("video*"):
        if (folder / "name").read_text().startswith(driver) and "vid-cap" in (folder / "name").read_text():
            found.append((int(folder.name[len("video"):]), Path("/dev") / folder.name))
    return [path for _, path in sorted(found)]


def capture(device, buffers, frames):
    """Captures so many frames into the buffers in turn, and returns the numbers of the buffers as they came back.

    Raises OSError where the device does not take them.
    """
    video = os.open(device, os.O_RDWR)
    try:
        wanted = _Format(type=CAPTURE)
        wanted.as_.pixels = _Pixels(width=WIDTH, height=HEIGHT, format=YUYV, field=1)
        fcntl.ioctl(video, S_FMT, wanted)
        if wanted.as_.pixels.size != SIZE:
            raise Wrong(f"frames of {wanted.as_.pixels.size} bytes, not {SIZE}")
        fcntl.ioctl(video, REQBUFS, _Request(count=len(buffers), type=CAPTURE, memory=MEMORY_DMABUF))
        for number, buffer in enumerate(buffers):
            _queue(video, number, buffer)
        fcntl.ioctl(video, STREAMON, ctypes.c_int32(CAPTURE))
        came = []
        while len(came) < frames:
            if not select.select([video], [], [], 30)[0]:
                raise Wrong("no frame within 30 s")
            done = _Buffer(type=CAPTURE, memory=MEMORY_DMABUF)
            fcntl.ioctl(video, DQBUF, done)
            came.append(done.index)
            if len(came) < frames:
                _queue(video, done.index, buffers[done.index])
        fcntl.ioctl(video, STREAMOFF, ctypes.c_int32(CAPTURE))
        return came
    finally:
        os.close(video)


def _queue(video, number, buffer):
    one = _Buffer(index=number, type=CAPTURE, memory=MEMORY_DMABUF, length=SIZE)
    one.m.fd = buffer
    fcntl.ioctl(video, QBUF, one)
