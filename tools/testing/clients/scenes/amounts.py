# SPDX-License-Identifier: GPL-2.0
"""Much of everything: a buffer of 8 GiB, and ten thousand buffers."""

import os
import resource

from clientlib.guest import driver as drivers, trial
from clientlib.guest.buffers import END, PAGE, READ, WRITE, bracket, create, mapped, memfd

TITLE = "Amounts"
PACKAGES = ()
SECONDS = 900
MACHINES = {"12 GiB of memory": ("--mem=12G",)}
GIB = 1 << 30
LARGE, ITEMS = 8 * GIB, 1024
MANY = 10_000


def _large(driver):
    with driver.parameters(size_limit_mb=LARGE >> 20):
        file = memfd(LARGE)
        item = LARGE // ITEMS
        # The last item first.
        buffer = create([(file, at, item) for at in reversed(range(0, LARGE, item))])
        with mapped(buffer, LARGE) as memory, mapped(file, LARGE) as source:
            bracket(buffer, WRITE)
            for at in range(0, LARGE, item):
                memory[at:at + 8] = at.to_bytes(8, "little")
            bracket(buffer, WRITE | END)
            for at in range(0, LARGE, item):
                trial.equal(source[LARGE - item - at:LARGE - item - at + 8], at.to_bytes(8, "little"), "bytes")
        os.close(buffer)
    return f"{ITEMS} items of {item >> 20} MiB, the last first: all there"


def _many(_driver):
    resource.setrlimit(resource.RLIMIT_NOFILE, (3 * MANY, 3 * MANY))
    file = memfd(MANY * PAGE)
    with mapped(file, MANY * PAGE) as memory:
        for at in range(MANY):
            memory[at * PAGE:at * PAGE + 4] = at.to_bytes(4, "little")
    buffers = [create([(file, at * PAGE, PAGE)]) for at in range(MANY)]
    live = drivers.live()
    if live != MANY:
        raise trial.Wrong(f"{live} buffers, not {MANY}")
    for at, buffer in enumerate(buffers):
        bracket(buffer, READ)
        with mapped(buffer, PAGE) as memory:
            trial.equal(memory[:4], at.to_bytes(4, "little"), "bytes")
        bracket(buffer, READ | END)
    return f"{MANY} buffers at once, each with its own page"


TRIALS = {"a buffer of 8 GiB": _large, f"{MANY} buffers": _many}
