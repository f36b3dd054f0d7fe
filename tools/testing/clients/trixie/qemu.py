# SPDX-License-Identifier: GPL-2.0
"""QEMU shows pictures that lie scattered in a guest's memory: virtio-gpu with blob=on, by qtest."""

import contextlib
import functools
import random

from clientlib.guest import driver as drivers, trial
from clientlib.guest.buffers import HUGE, PAGE
from clientlib.guest.qtest import Machine
from clientlib.guest.virtio_gpu import Gpu, MEMORY, PIXEL, Refused

TITLE = "QEMU, virtio-gpu blob=on"
PACKAGES = ("qemu-system-x86",)
VERSION_OF = "qemu-system-x86"
SECONDS = 400

# Width and height by number of runs, each of a page. One run is shown as it is, without a buffer.
PICTURES = {2: (64, 32), 16: (128, 128), 1024: (1024, 1024), 8000: (2560, 3200)}
RAM = 128 << 20
LIMIT = 1024
BLOBS = 40
HUGE_PAGES = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"


@contextlib.contextmanager
def _display(huge):
    """A machine and its display."""
    if huge:
        with open(HUGE_PAGES, "r+") as pool:
            pool.write(str(RAM // HUGE))
        with open(HUGE_PAGES) as pool:
            if int(pool.read()) < RAM // HUGE:
                raise trial.Skipped(f"this machine has no {RAM >> 20} MiB of huge pages to spare")
    pages = ",hugetlb=on,hugetlbsize=2M" if huge else ""
    memory = ["-m", f"{RAM >> 20}M", "-object", f"memory-backend-memfd,id=ram,share=on,size={RAM >> 20}M{pages}"]
    try:
        with Machine(*memory, *Gpu.ARGUMENTS) as machine:
            yield machine, Gpu(machine)
    finally:
        if huge:
            with open(HUGE_PAGES, "w") as pool:
                pool.write("0")


def _scattered(count, first=0):
    """So many pages, none beside the next in memory, and not in order."""
    places = [MEMORY + (first + 2 * at) * PAGE for at in range(count)]
    random.Random(count).shuffle(places)
    return [(place, PAGE) for place in places]


def _draw(machine, runs, seed):
    """Fills a resource, and returns its bytes."""
    picture = random.Random(seed).randbytes(sum(size for _, size in runs))
    at = 0
    for address, size in runs:
        machine.write(address, picture[at:at + size])
        at += size
    return picture


def _compare(machine, picture, width, height):
    """The screen shows that picture, pixel by pixel."""
    wanted = bytearray(3 * width * height)
    for channel in range(3):
        wanted[channel::3] = picture[2 - channel:width * height * PIXEL:PIXEL]
    shown = machine.screen()
    if shown[:2] != (width, height):
        raise trial.Wrong(f"the screen is {shown[0]} by {shown[1]}, not {width} by {height}")
    trial.equal(shown[2], bytes(wanted), "pixels", size=3)


def _picture(driver, count, huge):
    width, height = PICTURES[count]
    with driver.parameters(list_limit=max(count, LIMIT)), _display(huge) as (machine, gpu):
        runs = _scattered(count)
        picture = _draw(machine, runs, 1)
        gpu.create_blob(1, runs)
        gpu.show(1, width, height)
        if drivers.live() != 1:
            raise trial.Wrong(f"{drivers.live()} buffers, where there has to be one")
        _compare(machine, picture, width, height)
        # The guest goes on drawing, and QEMU sees it through the buffer.
        picture = _draw(machine, runs, 2)
        gpu.flush(1, width, height)
        _compare(machine, picture, width, height)
        gpu.unref(1)
        trial.wait_for(lambda: not drivers.live(), "end of the buffer of a resource that is gone")
    return f"{2 * width * height} pixels of 2 pictures"


def _too_many(_driver, huge):
    """More runs than the limit are refused, and the display goes on working."""
    width, height = PICTURES[16]
    with _driver.parameters(list_limit=LIMIT), _display(huge) as (machine, gpu):
        try:
            gpu.create_blob(1, _scattered(LIMIT + 1))
            # QEMU says nothing, and shows nothing of it.
            with contextlib.suppress(Refused):
                gpu.show(1, width, height)
                raise trial.Wrong("it shows a resource of which there is no buffer")
        except Refused:
            pass
        if drivers.live():
            raise trial.Wrong("there is a buffer of a list over the limit")
        runs = _scattered(16)
        picture = _draw(machine, runs, 3)
        gpu.create_blob(2, runs)
        gpu.show(2, width, height)
        _compare(machine, picture, width, height)
    return f"refused; then {width * height} pixels"


def _many(_driver, huge):
    """Resources side by side, each shown, dropped in another order, and made of the same pages again."""
    count = 16
    width, height = PICTURES[count]
    pixels = 0
    with _display(huge) as (machine, gpu):
        for again in range(2):
            all_runs = [_scattered(count, first=2 * count * at) for at in range(BLOBS)]
            pictures = [_draw(machine, runs, 100 * again + at) for at, runs in enumerate(all_runs)]
            for at, runs in enumerate(all_runs):
                gpu.create_blob(1 + at, runs)
            if drivers.live() != BLOBS:
                raise trial.Wrong(f"{drivers.live()} buffers for {BLOBS} resources")
            order = list(range(BLOBS))
            random.Random(again).shuffle(order)
            for at in order:
                gpu.show(1 + at, width, height)
                _compare(machine, pictures[at], width, height)
                pixels += width * height
                gpu.unref(1 + at)
            trial.wait_for(lambda: not drivers.live(), "end of all buffers")
    return f"{pixels} pixels of {2 * BLOBS} pictures"


TRIALS = {}
for _huge, _pages in ((False, "4 KiB"), (True, "2 MiB")):
    for _count in PICTURES:
        TRIALS[f"a picture in {_count} runs, memory in pages of {_pages}"] = functools.partial(_picture, count=_count, huge=_huge)
    TRIALS[f"{LIMIT + 1} runs, one too many, memory in pages of {_pages}"] = functools.partial(_too_many, huge=_huge)
    TRIALS[f"{BLOBS} pictures at once, twice, memory in pages of {_pages}"] = functools.partial(_many, huge=_huge)
