# SPDX-License-Identifier: GPL-2.0
"""tools/testing/neighbours: what an unprivileged user can cost others, with either driver, as a table.

The figures are those of neighbour_figures.c. The clock of the VMs counts instructions, so that a figure
does not depend on what else the host does: a microsecond is a thousand instructions of the guest, and the
victim, which has precedence, waits for nothing but what others hold.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import client

from . import build
from .build import VM

PROGRAM = "neighbour_figures"
SECONDS = 1500          # a limit for what hangs
CALLS = {"open": "open of the node", "create": "CREATE", "fault": "first page fault", "start_end": "START and END", "close": "close"}
MEGABYTES = 2048
CALLS_MADE = 1000000

# What a user may be left with: of a machine of 2 GiB.
DESKTOP = {"user_limit_mb": 512, "total_limit_mb": 1024, "staging_limit_mb": 512}
MEMLOCK = {"memlock": 1}
OFF = {"user_limit_mb": 0, "total_limit_mb": 0, "staging_limit_mb": 0, "memlock": 0}


@dataclass(frozen=True)
class Column:
    """A driver and its parameters. Without `all`, only what parameters change is measured."""

    title: str
    ours: bool
    parameters: dict
    all: bool


COLUMNS = {
    "c": Column("C driver", False, {}, True),
    "default": Column("udmabuf_rs", True, {}, True),
    "desktop": Column("the same, " + ", ".join(f"`{name}={value}`" for name, value in DESKTOP.items()), True, DESKTOP, False),
    "memlock": Column("the same, `memlock=1`", True, MEMLOCK, False),
}


# The boots

def script(ours, staged):
    """The lines of shell of a boot: all columns of a driver, on one of the two machines."""
    yield "#!/bin/sh"
    yield "mount -t debugfs none /sys/kernel/debug 2>/dev/null"
    if not ours:
        yield "export UDMABUF_NODE=/dev/udmabuf UDMABUF_MODULE=udmabuf"
    yield "insmod /check/udmabuf_importer.ko || exit 1"
    yield "sleep 2"
    for name, column in COLUMNS.items():
        if column.ours != ours:
            continue
        for parameter, value in {**OFF, **column.parameters}.items() if ours else ():
            yield f"echo {value} > /sys/module/udmabuf_rs/parameters/{parameter}"
        yield f"echo column={name}"
        yield f"/check/{PROGRAM} " + " ".join(parts(column, staged))
    # What may take the machine with it comes last.
    for name, column in COLUMNS.items():
        if column.ours == ours and column.all and not staged:
            yield f"echo column={name}"
            yield f"/check/{PROGRAM} log unload"
    yield "exit 0"


def parts(column, staged):
    """What is measured before that."""
    if staged:
        return ["staging"]
    return ["waits", "memory", "buffers"] if column.all else ["memory", "buffers"]


def measure(ours, staged, figures):
    """One boot: adds to `figures`, which has a dictionary for each column."""
    with tempfile.TemporaryDirectory(prefix="udmabuf-neighbours-") as folder:
        file = Path(folder) / "neighbours.sh"
        file.write_text("\n".join(script(ours, staged)) + "\n")
        append = "init_on_alloc=0" + (" swiotlb=65536,force" if staged else "")
        # The C driver warns of requests that are too large.
        command = [VM / "run", "--icount", f"--timeout={SECONDS}", f"--mem={MEGABYTES}M", f"--append={append}",
                   *(["--replace-c"] if ours else ["--no-module", "--expect-log", "WARNING: .*mm/"]),
                   f"--add={file}=/check/neighbours.sh", f"--add={build.programs() / PROGRAM}=/check/{PROGRAM}",
                   f"--add={build.module(build.IMPORTER)}=/check/{build.IMPORTER}", "--", "sh", "/check/neighbours.sh"]
        with client.started(command, stdout=subprocess.PIPE, text=True, errors="replace") as child:
            take(child.stdout, figures)
    if child.returncode:
        raise build.BuildError(f"the run in the VM failed (status {child.returncode})")


def take(lines, figures):
    """Adds lines of the guest to the column that they name; others are passed on."""
    column = None
    for line in lines:
        key, equals, value = line.strip().partition("=")
        if key == "column":
            column = value
        elif equals and column and key.replace("_", "").isalnum():
            figures[column][key] = value
            print(f"neighbours: {column}: {key}={value}", file=sys.stderr, flush=True)
        elif line.strip():
            print(line.rstrip(), file=sys.stderr, flush=True)


# The table

ENDS = {"stopped": "", "ENOMEM": ", then `ENOMEM`", "EMFILE": ", then `EMFILE`"}


def amount(figures, name, unit=""):
    """An amount, and how it ended: where nothing but the test did, it is a lower bound."""
    if name not in figures:
        return figures.get(f"{name.split('_')[0]}_skipped", "")
    end = figures.get(f"{name.split('_')[0]}_end", "")
    bound = "≥ " if end == "stopped" else ""
    return f"{bound}{int(figures[name]):,}{unit}{ENDS.get(end, f', then `{end}`') if end else ''}"


def waits(figures, call):
    """The median and the 99th percentile of a victim's call, alone and beside the worst attack."""
    alone = figures.get(f"wait_alone_{call}")
    if not alone:
        return ""
    beside = [value for key, value in figures.items() if key.startswith("wait_") and key.endswith(f"_{call}")]
    words = []
    for at in range(2):
        quiet, worst = int(alone.split()[at]), max(int(value.split()[at]) for value in beside)
        words.append(f"{worst / quiet:.1f} ({worst / 1000:,.0f} µs)" if at else f"{worst / quiet:.2f}")
    return ", ".join(words)


def rows(figures):
    """The rows: a title, and what a column has there."""
    yield f"memory one user can pin, MiB of {MEGABYTES:,}; `RLIMIT_MEMLOCK` is 8 MiB", lambda c: amount(c, "pinned_mib")
    yield "buffers one user can hold", lambda c: amount(c, "buffers")
    yield "memory for devices that do not reach buffers, of one user, MiB", lambda c: amount(c, "staging_mib")
    for call, title in CALLS.items():
        yield f"another's {title}, beside attackers to alone: median, 99 % (µs)", lambda c, call=call: waits(c, call)
    yield "lines of the kernel log after so many bad calls", log
    yield "unloads after the attackers are gone, ms", lambda c: amount(c, "unload_ms")


def log(figures):
    """Lines of the log, and the calls that were made in the time."""
    if "log_lines" not in figures:
        return ""
    lines, calls = int(figures["log_lines"]), int(figures["bad_calls"])
    return f"{lines:,} after {calls:,}" + ("" if calls >= CALLS_MADE or not lines else " (measured up to the first)")


def table(figures):
    """The table in Markdown."""
    yield "| what it costs | " + " | ".join(COLUMNS[name].title for name in figures) + " |"
    yield "|---|" + "---:|" * len(figures)
    for title, cell in rows(figures):
        yield f"| {title} | " + " | ".join(cell(column) for column in figures.values()) + " |"


def enter():
    """main(), guarded."""
    return client.guarded("neighbours", main, failed=1)


def main(arguments=None):
    """Measure and print; returns the exit status."""
    parse = argparse.ArgumentParser(
        prog="tools/testing/neighbours",
        description="Measures what a user without privileges who has the node can cost others, with the C driver and with "
                    "udmabuf_rs, in four boots, and prints a table (Markdown). Figures of the boots go to stderr.")
    parse.add_argument("--driver", choices=["c", "rust"], help="only this driver")
    options = parse.parse_args(arguments)
    client.require()
    started = time.monotonic()
    drivers = [ours for ours in (False, True) if not options.driver or ours == (options.driver == "rust")]
    figures = {name: {} for name, column in COLUMNS.items() if column.ours in drivers}
    for ours in drivers:
        for staged in (False, True):
            measure(ours, staged, figures)
    print("\n".join(table(figures)))
    print(f"neighbours: {time.monotonic() - started:.0f} s", file=sys.stderr)
    return 0
