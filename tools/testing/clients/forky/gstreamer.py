# SPDX-License-Identifier: GPL-2.0
"""GStreamer's allocator of buffers."""

import random

from clientlib.guest import trial
from clientlib.guest.buffers import END, READ, bracket, mapped

TITLE = "GStreamer, udmabuf allocator"
PACKAGES = ("gir1.2-gstreamer-1.0", "gir1.2-gst-plugins-base-1.0", "python3-gi", "gstreamer1.0-plugins-base")
VERSION_OF = "gir1.2-gst-plugins-base-1.0"
SIZES = (1, 4096, 640 * 480 * 4, (5 << 20) + 4)


def _allocate(_driver):
    import gi

    gi.require_version("Gst", "1.0")
    gi.require_version("GstAllocators", "1.0")
    from gi.repository import Gst, GstAllocators

    Gst.init(None)
    allocator = GstAllocators.UdmabufAllocator.get()
    if not allocator:
        raise trial.Wrong("GStreamer has no such allocator")
    pixels = 0
    for number, size in enumerate(SIZES):
        memory = Gst.Allocator.alloc(allocator, size, None)
        picture = random.Random(number).randbytes(size)
        buffer = Gst.Buffer.new()
        buffer.append_memory(memory)
        buffer.fill(0, picture)
        trial.equal(buffer.extract_dup(0, size), picture, "bytes as GStreamer reads them")
        file = GstAllocators.dmabuf_memory_get_fd(memory)
        bracket(file, READ)
        with mapped(file, size) as shown:
            trial.equal(shown[:size], picture, "bytes as the buffer has them")
        bracket(file, READ | END)
        pixels += size
    return f"{len(SIZES)} buffers, {pixels} bytes"


TRIALS = {"memory of all sizes": _allocate}
