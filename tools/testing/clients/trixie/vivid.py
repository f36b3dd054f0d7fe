# SPDX-License-Identifier: GPL-2.0
"""vivid, a camera made of software, fills buffers: by the kernel's mapping (vmap), and by DMA."""

import errno
import functools
import os

from clientlib.guest import trial, video
from clientlib.guest.buffers import HUGE, PAGE, create, mapped, memfd

TITLE = "vivid (V4L2)"
PACKAGES = ("v4l-utils",)

# Two of it.
ARGUMENTS = "vivid.n_devs=2 vivid.allocators=0,1"
MACHINES = {"": ("--kmod=vivid", f"--append={ARGUMENTS}")}
VMAP, DMA = 0, 1
BUFFERS, FRAMES = 4, 12
HUGE_PAGES = "/proc/sys/vm/nr_hugepages"


def _camera(which):
    """The node of one, with nothing in its picture that changes; and that picture, as read without buffers."""
    found = video.devices("vivid")
    if len(found) <= which:
        raise trial.Skipped("this machine has no vivid")
    node = found[which]
    trial.run("v4l2-ctl", "-d", node, "-c", "osd_text_mode=2")
    trial.run("v4l2-ctl", "-d", node, f"--set-fmt-video=width={video.WIDTH},height={video.HEIGHT},pixelformat=YUYV",
              "--stream-mmap", "--stream-count=1", "--stream-to=/tmp/vivid.raw")
    with open("/tmp/vivid.raw", "rb") as file:
        picture = file.read()
    os.unlink("/tmp/vivid.raw")
    if len(picture) != video.SIZE or len(set(picture)) < 8:
        raise trial.Wrong(f"the picture has {len(picture)} bytes of {len(set(picture))} values")
    return node, picture


def _scattered(file, size):
    """A buffer of single pages of a memfd, the last one first."""
    return create([(file, at, PAGE) for at in reversed(range(0, size, PAGE))])


def _whole(file, size):
    return create([(file, 0, size)])


def _fill(_driver, which, make, huge=False):
    node, picture = _camera(which)
    size = HUGE if huge else -(-video.SIZE // PAGE) * PAGE
    files = [memfd(size, huge) for _ in range(BUFFERS)]
    buffers = [make(file, size) for file in files]
    try:
        came = video.capture(node, buffers, FRAMES)
    except OSError as error:
        raise trial.Wrong(f"the camera does not take them: {error.strerror}") from error
    for buffer in set(came):
        with mapped(buffers[buffer], size) as shown:
            trial.equal(shown[:video.SIZE], picture, "bytes of a frame")
    return f"{len(set(came))} buffers of {FRAMES} frames: every byte"


def fill_huge(driver):
    """Frames in buffers of a huge page each."""
    with open(HUGE_PAGES, "r+") as pool:
        pool.write(str(BUFFERS))
    try:
        return _fill(driver, DMA, _whole, huge=True)
    finally:
        with open(HUGE_PAGES, "w") as pool:
            pool.write("0")


def _refuse(_driver):
    node, _ = _camera(DMA)
    size = -(-video.SIZE // PAGE) * PAGE
    file = memfd(size)
    try:
        video.capture(node, [_scattered(file, size)], 1)
    except OSError as error:
        if error.errno != errno.EFAULT:
            raise trial.Wrong(f"refused with {error}, not EFAULT")
        return "refused with EFAULT"
    raise trial.Wrong("it takes scattered pages for memory without gaps")


TRIALS = {
    "vmap of a memfd": functools.partial(_fill, which=VMAP, make=_whole),
    "vmap of pages in reverse order": functools.partial(_fill, which=VMAP, make=_scattered),
    "DMA to a huge page": fill_huge,
    "DMA refused where pages are scattered": _refuse,
}
