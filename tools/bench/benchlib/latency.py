# SPDX-License-Identifier: GPL-2.0
"""tools/bench/latency: the longest times, where the other tables have sums."""

import argparse
import csv
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import client

from . import counted, plan
from .build import CHECKOUT, BenchError

RESULTS = CHECKOUT / "bench"
PROGRAM = "udmabuf_latency"
SIZE = 2 * plan.GIB
# Each byte of a staged buffer is looked at several times.
SIZE_STAGED = 512 * plan.MIB
MEMORIES = ["shmem-2m", "4k-contiguous", "4k-fragmented"]
COLUMNS = ["machine", "kind", "operation", "memory", "size", "at", *plan.DRIVERS,
           *(f"{name}_answer" for name in plan.DRIVERS)]


@dataclass(frozen=True)
class Machine:
    """A machine, and what is measured there."""

    title: str
    memories: tuple
    boot: counted.Machine
    size: int
    words: tuple = ()       # of the program


MACHINES = {
    "plain": Machine("a device that reaches all memory", tuple(MEMORIES), counted.Machine("6G"), SIZE),
    # Memory, its copy for the device, and the base that changes are found by.
    "staged": Machine("every DMA mapping bounces: the device has a copy of the buffer", ("shmem-2m",),
                      counted.Machine("4G", append="swiotlb=131072,force"), SIZE_STAGED, ("--staged",)),
}

KINDS = {
    "fault": "longest page fault",
    "inode": "longest hold of the memfd's inode lock",
    "resv": "longest hold of the reservation lock",
    "driver": "longest hold of the driver's own mutex",
    "alive": "longest time from SIGKILL to the end of the task",
    "takes": "the operation as a whole",
}
OPERATIONS = {
    "aligned": "mapping at a multiple of 2 MiB",
    "unaligned": "mapping 20 KiB off",
    "nothing": "no operation: a loop",
    "create": "create",
    "close": "close, the last descriptor",
    "touch": "touch all pages",
    "map": "attach and map",
    "unmap": "unmap and detach",
    "vmap": "vmap",
    "vunmap": "vunmap",
    "start": "SYNC START, the first, no device mapped",
    "start_mapped": "SYNC START, a device mapped",
    "end_mapped": "SYNC END, a device mapped",
}


@dataclass
class Cell:
    """One line of the table: the longest of what was measured at several points, of each driver."""

    machine: str
    kind: str
    operation: str
    memory: str
    size: int
    points: dict = field(default_factory=lambda: {name: {} for name in plan.DRIVERS})
    answers: dict = field(default_factory=dict)     # what an operation that fails answers

    @property
    def key(self):
        """What it is about."""
        return self.machine, self.kind, self.operation, self.memory, self.size

    def longest(self, driver):
        """The maximum, or None where nothing was measured."""
        return max(self.points[driver].values(), default=None)

    @property
    def ratio(self):
        """udmabuf_rs to the C driver, or None where one of them has nothing."""
        c, rust = self.longest("c"), self.longest("rust")
        return rust / c if c and rust is not None else None


class Cells:
    """All lines, in the order of the plan."""

    def __init__(self):
        self.table = {}

    def at(self, *key):
        """The cell about that, which is made if there is none."""
        return self.table.setdefault(key, Cell(*key))

    def add_answer(self, machine, operation, memory, size, driver, text):
        """Note what an operation answers that fails."""
        self.at(machine, "takes", operation, memory, size).answers[driver] = text

    def ordered(self):
        """The cells."""
        orders = MACHINES, KINDS, OPERATIONS, MEMORIES
        return sorted(self.table.values(),
                      key=lambda cell: tuple(list(names).index(name) for names, name in zip(orders, cell.key)))


# Files

def write(path, cells):
    """All cells in a CSV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for cell in cells:
            points = sorted({at for each in cell.points.values() for at in each}) or [0]
            for at in points:
                writer.writerow([*cell.key, at, *(cell.points[name].get(at, "") for name in plan.DRIVERS),
                                 *(cell.answers.get(name, "") for name in plan.DRIVERS)])


def read(path):
    """Cells from such a file."""
    cells = Cells()
    with open(path, newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            cell = cells.at(row["machine"], row["kind"], row["operation"], row["memory"], int(row["size"]))
            for name in plan.DRIVERS:
                if row[name]:
                    cell.points[name][int(row["at"])] = int(row[name])
                if row[f"{name}_answer"]:
                    cell.answers[name] = row[f"{name}_answer"]
    return cells.ordered()


# For people

def table(cells):
    """A table, by machine and memory."""
    place = kind = None
    for cell in cells_by_memory(cells):
        if (cell.machine, cell.memory) != place:
            place, kind = (cell.machine, cell.memory), None
            yield from ["", f"== {plan.show_size(cell.size)} of {plan.MEMORIES[cell.memory].title}; "
                            f"{MACHINES[cell.machine].title}",
                        f"{'':44}{'C driver':>16}{'udmabuf_rs':>16}{'ratio':>9}"]
        if cell.kind != kind:
            kind = cell.kind
            yield KINDS[kind]
        ratio = "" if cell.ratio is None else _ratio(cell.ratio)
        yield (f"  {OPERATIONS[cell.operation]:42}{_value(cell, 'c'):>16}{_value(cell, 'rust'):>16}{ratio:>9}"
               + _answers(cell)).rstrip()


def cells_by_memory(cells):
    """The cells by machine and memory, then by what was measured."""
    return sorted(cells, key=lambda cell: (list(MACHINES).index(cell.machine), MEMORIES.index(cell.memory)))


def markdown(cells):
    """A table in Markdown of the machine 'plain': a line for each operation, a column for each kind of memory."""
    yield "| longest | operation | " + " | ".join(plan.MEMORIES[name].title for name in MEMORIES) + " |"
    yield "|---|---|" + "---:|" * len(MEMORIES)
    found = {cell.key[1:4]: cell for cell in cells if cell.machine == "plain" and cell.kind != "takes"}
    for kind, operation in dict.fromkeys(key[:2] for key in found):
        row = [found.get((kind, operation, memory)) for memory in MEMORIES]
        yield f"| {KINDS[kind].removeprefix('longest ')} | {OPERATIONS[operation]} | " + " | ".join(
            "" if cell is None else _pair(cell) for cell in row) + " |"


def _pair(cell):
    """What both take, in few digits."""
    rust, c = (_short(cell.longest(name)) for name in ("rust", "c"))
    return rust if rust == c == "0" else f"{rust} / {c}"


def _short(value):
    if value is None:
        return "-"
    for unit, letter in ((1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:.3g}{letter}" if value < 999.5 * unit else f"{value / unit:.0f}{letter}"
    return str(value)


def _ratio(value):
    return f"{value:.2f}" if value >= 0.095 else f"{value:.4f}"


def _value(cell, driver):
    value = cell.longest(driver)
    if value is None:
        return "fails" if driver in cell.answers else "-"
    return "not taken" if value == 0 and cell.kind in ("inode", "resv", "driver") else f"{value:,}"


def _answers(cell):
    titles = {"c": "C driver", "rust": "udmabuf_rs"}
    return "".join(f"  {titles[name]}: {text}" for name, text in cell.answers.items())


# Measuring

@dataclass
class Report:
    """What the boots brought."""

    cells: Cells = field(default_factory=Cells)
    million: float = None


def take_line(words, machine, report, show):
    """One line of the guest's output."""
    if words[0] == "sample" and len(words) == 8:
        _, kind, operation, memory, size, driver, at, value = words
        report.cells.at(machine, kind, operation, memory, int(size)).points[driver][int(at)] = int(value)
    elif words[0] == "answer" and len(words) > 5:
        _, operation, memory, size, driver, *text = words
        report.cells.add_answer(machine, operation, memory, int(size), driver, " ".join(text))
    elif words[0] == "fact" and words[1:2] == ["million_instructions"]:
        report.million = float(words[2])
    elif words[0] == "begin":
        show(f"{plan.MEMORIES[words[1]].title}; {MACHINES[machine].title}")
    else:
        show(" ".join(words))


def measure(machine, memories, size, report, show):
    """One boot."""
    chosen = MACHINES[machine]
    calls = [[f"--memory={memory}", f"--size={size}", *chosen.words] for memory in memories]
    counted.run(PROGRAM, calls, chosen.boot, lambda words: take_line(words, machine, report, show))
    problem = counted.check_clock(report.million)
    if problem:
        raise BenchError(problem)


def size_of(text):
    """What was given for a size, in bytes."""
    try:
        size = plan.parse_size(text)
    except ValueError:
        size = 0
    if not 0 < size <= SIZE or size % (2 * plan.MIB):
        raise argparse.ArgumentTypeError(f"a size is a multiple of 2M, up to 2G: {text}")
    return size


def parser():
    """The command line."""
    parse = argparse.ArgumentParser(
        prog="tools/bench/latency", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Counts the guest instructions of the longest page fault, of the longest time that locks are held, "
                    "and\nthat a signal waits, of large buffers, for udmabuf_rs and the C driver in one boot.",
        epilog="What is written: latency.csv. A run that is limited to a part writes nothing, unless told where to. The\n"
               "exit status is 0 when all was measured, whatever the figures are.")
    parse.add_argument("--machine", action="append", default=[], choices=MACHINES, metavar="NAME",
                       help=f"only this machine: {', '.join(MACHINES)}; may be repeated, as the next")
    parse.add_argument("--memory", action="append", default=[], choices=MEMORIES, metavar="KIND",
                       help=f"only this kind of memory: {', '.join(MEMORIES)}")
    parse.add_argument("--size", type=size_of, metavar="SIZE",
                       help="size of the buffer (default: 2G; 512M on the machine 'staged')")
    parse.add_argument("--output", type=Path, metavar="DIR", help="where to write the file (default: bench/)")
    parse.add_argument("--show", nargs="?", const=RESULTS / "latency.csv", type=Path, metavar="CSV",
                       help="print the table of the results in that file (default: bench/latency.csv); measure nothing")
    parse.add_argument("--markdown", nargs="?", const=RESULTS / "latency.csv", type=Path, metavar="CSV",
                       help="print what the machine 'plain' has in Markdown; measure nothing")
    return parse


def enter():
    """main(), guarded."""
    return client.guarded("latency", main, failed=1)


def main(arguments=None):
    """Do what was asked for; returns the exit status."""
    options = parser().parse_args(arguments)
    if options.show or options.markdown:
        cells = read(options.show or options.markdown)
        print("\n".join(table(cells) if options.show else markdown(cells)))
        return 0
    return run(options)


def run(options):
    """Measure, print, write."""
    started = time.monotonic()
    say = lambda text: print(f"latency: {text}", file=sys.stderr, flush=True)  # noqa: E731
    folder = options.output or (None if options.machine or options.memory or options.size else RESULTS)
    client.require()
    report = Report()
    for machine in options.machine or MACHINES:
        memories = [name for name in MACHINES[machine].memories if not options.memory or name in options.memory]
        if memories:
            measure(machine, memories, options.size or MACHINES[machine].size, report, say)
    cells = report.cells.ordered()
    print("\n".join(table(cells)))
    if folder:
        write(folder / "latency.csv", cells)
        say(f"wrote {folder / 'latency.csv'}")
    say(f"{len(cells)} figures in {time.monotonic() - started:.0f} s")
    return 0
