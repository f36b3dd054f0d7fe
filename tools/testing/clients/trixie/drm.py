# SPDX-License-Identifier: GPL-2.0
"""DRM devices import buffers, again and again: nothing is left of them, whatever the device thinks of them."""

import functools
import os

from clientlib.guest import drm, trial
from clientlib.guest.buffers import PAGE, create, mapped, memfd

TITLE = "DRM drivers of the kernel (PRIME import)"
PACKAGES = ()
MACHINES = {"": ("--kmod=vgem", "--kmod=virtio-gpu", "--kmod=bochs", "--qemu=-device virtio-gpu-pci -device bochs-display")}

SIZE, TIMES = 1 << 20, 50


def _import(_driver, device):
    with drm.Device(device) as card:
        taken, refusals = 0, set()
        for at in range(TIMES):
            file = memfd(SIZE)
            pattern = bytes([at + 1]) * SIZE
            with mapped(file, SIZE) as memory:
                memory[:] = pattern
            # Whole, and pages in reverse order.
            items = [(file, 0, SIZE)] if at % 2 else [(file, at, PAGE) for at in reversed(range(0, SIZE, PAGE))]
            buffer = create(items)
            os.close(file)
            try:
                taken += _keep(card, buffer, pattern, at)
            except OSError as error:
                refusals.add(error.strerror)
            os.close(buffer)
        if taken and refusals:
            raise trial.Wrong(f"{taken} of {TIMES} buffers were taken, others not: {refusals}")
    if refusals:
        return f"{TIMES} buffers refused, as by this device always: {' '.join(sorted(refusals))}"
    return f"{TIMES} buffers imported; seen through the device's handle: every byte"


def _keep(card, buffer, pattern, at):
    """Has the device hold the buffer, which is closed meanwhile, and looks at it through the device's handle."""
    handle = card.handle(buffer)
    again = card.export(handle)
    if os.fstat(again).st_ino != os.fstat(buffer).st_ino:
        raise trial.Wrong("the device gives another buffer back")
    with mapped(again, SIZE) as memory:
        trial.equal(memory[:], pattern, "bytes")
    os.close(again)
    # Some are never given back: the device's descriptor is closed with them.
    if at % 5:
        card.close(handle)
    return 1


TRIALS = {f"imported by {device}": functools.partial(_import, device=device) for device in ("vgem", "virtio_gpu", "bochs-drm")}
