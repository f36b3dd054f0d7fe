# SPDX-License-Identifier: GPL-2.0
"""A camera with a 32-bit DMA mask films into buffers that stay mapped, as V4L2 buffers do, and a compositor shows them.

The buffers lie above 4 GiB, or swiotlb=force bounces all DMA, as in a guest with encrypted memory. The camera
writes to a copy of the buffer, which has to be synced for each frame.
"""

import random

from clientlib.guest import dma, trial
from clientlib.guest.buffers import END, READ, bracket, create, mapped, memfd
from clientlib.guest.viewer import Viewer

TITLE = "Camera of 32 bits and Mesa, lavapipe"
PACKAGES = ("mesa-vulkan-drivers", "libvulkan1", "libvulkan-dev")
VERSION_OF = "mesa-vulkan-drivers"
PROGRAMS = {"viewer": ["-lvulkan"]}
IMPORTER = True
MACHINES = {
    "memory above 4 GiB": ("--mem=6G", "--edu=0xffffffff"),
    "swiotlb=force": ("--mem=3G", "--edu=0xffffffff", "--append=swiotlb=force"),
}
C_DRIVER = "pixels of frame 0 differ"

SIZE, FRAMES, BUFFERS = 64 << 10, 12, 3
HIGH = 3 << 30


def _film(_driver):
    buffers = []
    for _ in range(BUFFERS):
        file = memfd(SIZE)
        with mapped(file, SIZE) as memory:
            memory[:] = bytes(SIZE)
        buffers.append(create([(file, 0, SIZE)]))
    with dma.Device() as camera, Viewer(buffers[0], SIZE) as first, Viewer(buffers[1], SIZE) as second, \
            Viewer(buffers[2], SIZE) as third:
        viewers = [first, second, third]
        for at, buffer in enumerate(buffers):
            camera.map(at, buffer)
        for frame in range(FRAMES):
            at = frame % BUFFERS
            picture = random.Random(frame).randbytes(SIZE)
            camera.write(at, picture)
            bracket(buffers[at], READ)
            trial.equal(viewers[at].look(), picture, f"pixels of frame {frame}", size=4)
            bracket(buffers[at], READ | END)
    return f"{FRAMES} frames of {SIZE // 4} pixels in {BUFFERS} buffers"


TRIALS = {"frames in buffers that stay mapped": _film}
