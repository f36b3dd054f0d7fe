# SPDX-License-Identifier: GPL-2.0
"""Clients that die or stand still in the middle of a bracket: others go on."""

import os
import random
import signal
import time

from clientlib.guest import trial
from clientlib.guest.buffers import END, READ, WRITE, bracket, create, mapped, memfd

TITLE = "Producers and consumers"
PACKAGES = ()
SIZE = 1 << 20
TIMES = 100
PATIENCE = 5


def _in_bracket(buffer):
    """A process that writes the buffer in a bracket, and stays in it. Returns it, and the bytes that it has written."""
    picture = random.Random(os.getpid()).randbytes(SIZE)
    ready, go = os.pipe()
    producer = os.fork()
    if not producer:
        bracket(buffer, WRITE)
        memory = mapped(buffer, SIZE)
        memory[:] = picture
        os.write(go, b"x")
        signal.pause()
    os.read(ready, 1)
    return producer, picture


def _consume(buffer, picture):
    """Reads in a bracket, which must not have to wait."""
    began = time.monotonic()
    bracket(buffer, READ)
    waited = time.monotonic() - began
    with mapped(buffer, SIZE) as memory:
        trial.equal(memory[:], picture, "bytes")
    bracket(buffer, READ | END)
    if waited > PATIENCE:
        raise trial.Wrong(f"START took {waited:.0f} s")


def _killed(_driver):
    for _ in range(TIMES):
        file = memfd(SIZE)
        buffer = create([(file, 0, SIZE)])
        producer, picture = _in_bracket(buffer)
        os.kill(producer, signal.SIGKILL)
        os.waitpid(producer, 0)
        _consume(buffer, picture)
        os.close(buffer)
        os.close(file)
    return f"{TIMES} producers killed; every byte of their last frames"


def _stopped(_driver):
    file = memfd(SIZE)
    buffer = create([(file, 0, SIZE)])
    producer, picture = _in_bracket(buffer)
    os.kill(producer, signal.SIGSTOP)
    os.waitpid(producer, os.WUNTRACED)
    for _ in range(TIMES):
        _consume(buffer, picture)
    os.kill(producer, signal.SIGKILL)
    os.waitpid(producer, 0)
    return f"{TIMES} frames read beside a producer that stands still"


TRIALS = {"killed in a bracket": _killed, "stopped in a bracket": _stopped}
