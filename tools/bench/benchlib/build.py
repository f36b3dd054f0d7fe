# SPDX-License-Identifier: GPL-2.0
"""The guest's program and the modules, built in the build root."""

import subprocess
import sys
from pathlib import Path

import client

BENCH = Path(__file__).resolve().parent.parent
CHECKOUT = BENCH.parent.parent
VM = CHECKOUT / "tools" / "vm"
IMPORTER = CHECKOUT / "tools/testing/selftests/udmabuf_rs/importer"
PROGRAM = "udmabuf_bench"


class BenchError(client.Failure):
    """The benchmark cannot go on; the text says why."""

    def __init__(self, sentence):
        super().__init__(sentence, status=1)


def folder():
    """Where built programs of this checkout are kept between runs."""
    return client.folder("bench")


def run(command, what):
    """Run a command of tools/vm and return what it prints; its progress goes to the terminal."""
    done = client.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode == client.TOOL_FAILED:
        raise client.Said(1)
    if done.returncode:
        sys.stderr.write(done.stdout)
        raise BenchError(f"{what} failed (status {done.returncode})")
    return done.stdout


def program(name=PROGRAM, kernel="stock"):
    """Build a program of the guest, for the machine that a kernel is for; returns its path."""
    cross = run([VM / "kernel", "--kernel", kernel, "cross"], "looking for a compiler").strip()
    path = folder() / cross.rstrip("-") / name
    path.parent.mkdir(parents=True, exist_ok=True)
    run([VM / "root", "--", "make", "-s", "-B", "-C", BENCH, f"CC={cross}gcc", f"OUTPUT={path.parent}", path],
        f"building {name}")
    return path


def module(source, kernel="stock"):
    """Build a module for a kernel; returns its path."""
    return Path(run([VM / "module", "--kernel", kernel, source], f"building the module in {source}").strip())
