# SPDX-License-Identifier: GPL-2.0
"""Memory hot-unplug and memory pressure while buffers are alive."""

import contextlib
import os
import random
from pathlib import Path

from clientlib.guest import trial
from clientlib.guest.buffers import END, READ, bracket, create, mapped, memfd

TITLE = "Memory"
PACKAGES = ()
# The kernel dumps each page that it cannot migrate.
MACHINES = {"movablecore=2G": ("--mem=4G", "--append=movablecore=2G",
                               "--expect-log=page dumped because: (unmovable page|isolation failed)")}
SIZE, FRAMES = 32 << 20, 8
BLOCKS = Path("/sys/devices/system/memory")


def _frames():
    """Buffers with pictures in them."""
    made = []
    for number in range(FRAMES):
        file = memfd(SIZE)
        picture = random.Random(number).randbytes(SIZE)
        with mapped(file, SIZE) as memory:
            memory[:] = picture
        made.append((create([(file, 0, SIZE)]), picture))
    return made


def _compare(frames):
    for number, (buffer, picture) in enumerate(frames):
        bracket(buffer, READ)
        with mapped(buffer, SIZE) as memory:
            trial.equal(memory[:], picture, f"bytes of frame {number}")
        bracket(buffer, READ | END)


def _offline(blocks):
    """Sets memory blocks offline. Returns the ones for which that worked."""
    gone = []
    for block in blocks:
        with contextlib.suppress(OSError):
            (block / "state").write_text("offline")
            gone.append(block)
    return gone


def _online(blocks):
    for block in blocks:
        (block / "state").write_text("online_movable")


def _take_away(_driver):
    """Sets all of ZONE_MOVABLE offline: no pinned page may be left there."""
    blocks = [block for block in sorted(BLOCKS.glob("memory[0-9]*"))
              if (block / "valid_zones").read_text().split()[:1] == ["Movable"]]
    # Blocks with unmovable kernel memory are left out.
    blocks = _offline(blocks)
    _online(blocks)
    if not blocks:
        raise trial.Skipped("this machine has no memory that may be taken away")
    frames = _frames()
    gone = _offline(blocks)
    try:
        _compare(frames)
    finally:
        _online(gone)
    if gone != blocks:
        raise trial.Wrong(f"{len(blocks) - len(gone)} of {len(blocks)} blocks of memory cannot be taken away any more")
    return f"{len(gone)} blocks of memory taken away; {FRAMES} frames of {SIZE >> 20} MiB: every byte"


def _press(_driver):
    """Runs into the OOM killer three times."""
    frames = _frames()
    for _ in range(3):
        hungry = os.fork()
        if not hungry:
            with open("/proc/self/oom_score_adj", "w") as score:
                score.write("1000")
            taken = []
            while True:
                taken.append(bytearray(os.urandom(1 << 20) * 16))
        status = os.waitpid(hungry, 0)[1]
        if not os.WIFSIGNALED(status):
            raise trial.Wrong(f"it was to be killed, and ended with {status}")
        _compare(frames)
    return f"memory ran out 3 times; {FRAMES} frames of {SIZE >> 20} MiB: every byte"


TRIALS = {"memory is taken away": _take_away, "memory runs out": _press}
