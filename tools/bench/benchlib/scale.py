# SPDX-License-Identifier: GPL-2.0
"""tools/bench/scale: what each operation takes while more and more of one thing are alive."""

import argparse
import csv
import math
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import client

from . import build, counted, plan, profile
from .build import CHECKOUT, VM, BenchError

RESULTS = CHECKOUT / "bench"
PLOT = Path(__file__).resolve().parent / "scaleplot.py"
PROGRAM = "udmabuf_scale"
LEVELS = (1, 10, 100, 1000, 10000)
# What costs more than this many times as much with the most alive as with one has grown.
FLAT = 1.3
COLUMNS = ["machine", "thing", "operation", "alive", *plan.DRIVERS]

# What 10,000 child processes need.
ROOM = ["echo 65536 > /proc/sys/kernel/pid_max", "echo 100000 > /proc/sys/kernel/threads-max"]


@dataclass(frozen=True)
class Machine:
    """A machine, and the things that are counted there."""

    title: str
    things: tuple
    boot: counted.Machine
    words: tuple = ()       # of the program


THINGS = {
    "buffers": "live buffers",
    "mappings": "live mappings of one buffer for one device",
    "attachments": "live attachments of one buffer, each mapped",
    "mmaps": "live mmaps of one buffer in one process",
    "forks": "child processes that share an mmap of the buffer",
}
OPERATIONS = {
    "create": "create",
    "mmap": "mmap",
    "touch": "first touch of all pages",
    "sync": "SYNC pair",
    "munmap": "munmap",
    "map": "attach and map",
    "unmap": "unmap and detach",
    "unmap_old": "unmap and detach an old one",
    "close": "close",
    "fork": "fork",
    "exit": "kill a child and wait for it",
}
IMPORTED = ("mappings", "attachments")
MACHINES = {
    "plain": Machine("a device that reaches all memory", tuple(THINGS), counted.Machine("4G", setup=ROOM)),
    "iommu": Machine("a device behind an IOMMU, unmapped at once", IMPORTED,
                     counted.Machine("4G", options=["--iommu", "--edu=0xffffffff"]), ("--edu",)),
    # The C driver has a bounce buffer for each mapping: 10,000 of 64 KiB are 625 MiB.
    "bounce": Machine("every DMA mapping bounces", IMPORTED, counted.Machine("5G", append="swiotlb=524288,force")),
    "incoherent": Machine("a device that is not coherent, arm64", IMPORTED, counted.Machine("3G", kernel="arm64")),
}

# Where the growth is, as --profile shows it.
REASONS = {
    ("plain", "buffers", "fork"): "dup_fd() copies the table of descriptors",
    ("plain", "buffers", "exit"): "the child closes its descriptors, one by one",
    ("plain", "mmaps", "mmap"): "finding free addresses: mas_empty_area_rev() goes through a deeper tree",
    ("plain", "mmaps", "fork"): "dup_mmap() copies each area and its page table",
    ("plain", "mmaps", "exit"): "exit_mmap() removes each area",
    ("iommu", "mappings", "unmap_old"): "the test importer's list of resources, newest first (devres)",
    ("iommu", "attachments", "unmap_old"): "the test importer's list of resources, newest first (devres)",
}


@dataclass
class Line:
    """One operation while things are alive: instructions by their number, of each driver."""

    machine: str
    thing: str
    operation: str
    costs: dict = field(default_factory=lambda: {name: {} for name in plan.DRIVERS})

    @property
    def key(self):
        """What it is about."""
        return self.machine, self.thing, self.operation

    def growth(self, driver):
        """How many times as much it takes with the most alive as with the fewest; None where that is unknown."""
        costs = self.costs[driver]
        if len(costs) < 2 or not costs[min(costs)]:
            return None
        return costs[max(costs)] / costs[min(costs)]

    def exponent(self, driver):
        """By which power of the number it grows at the end; None where that is unknown."""
        costs = self.costs[driver]
        if len(costs) < 2:
            return None
        before, last = sorted(costs)[-2:]
        if not costs[before] or not costs[last]:
            return None
        return math.log(costs[last] / costs[before]) / math.log(last / before)

    def grows(self, driver):
        """Whether it is not flat."""
        growth = self.growth(driver)
        return growth is not None and growth > FLAT


def lines_of(samples):
    """Lines of medians. Samples are (machine, thing, operation, alive, driver, value)."""
    table = defaultdict(lambda: defaultdict(list))
    for machine, thing, operation, alive, driver, value in samples:
        table[machine, thing, operation][driver, alive].append(value)
    lines = []
    for key in sorted(table, key=_place):
        line = Line(*key)
        for (driver, alive), values in sorted(table[key].items()):
            line.costs[driver][alive] = statistics.median(values)
        lines.append(line)
    return lines


def _place(key):
    return tuple(list(names).index(name) for names, name in zip((MACHINES, THINGS, OPERATIONS), key))


# Files

def write(path, lines):
    """All lines in a CSV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for line in lines:
            for alive in sorted({alive for costs in line.costs.values() for alive in costs}):
                values = (line.costs[name].get(alive) for name in plan.DRIVERS)
                writer.writerow([*line.key, alive, *("" if value is None else f"{value:.0f}" for value in values)])


def read(path):
    """Lines from such a file."""
    samples = []
    with open(path, newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            samples += [(row["machine"], row["thing"], row["operation"], int(row["alive"]), name, float(row[name]))
                        for name in plan.DRIVERS if row[name]]
    return lines_of(samples)


# For people

def table(lines):
    """A table of all lines, by machine and thing."""
    levels = sorted({alive for line in lines for alive in line.costs["rust"]})
    wide = max(len(OPERATIONS[line.operation]) for line in lines)
    heading = f"{'alive':{wide}}" + "".join(f"{alive:>12,}" for alive in levels)
    heading += f"{'growth':>9}{'C driver, most':>18}{'growth':>9}{'ratio':>9}"
    place = None
    for line in lines:
        if (line.machine, line.thing) != place:
            place = line.machine, line.thing
            yield from ["", f"== {THINGS[line.thing]}; {MACHINES[line.machine].title}", heading]
        yield _row(line, levels, wide)


def _row(line, levels, wide):
    rust, c = line.costs["rust"], line.costs["c"]
    text = f"{OPERATIONS[line.operation]:{wide}}" + "".join(f"{_number(rust.get(alive)):>12}" for alive in levels)
    last = max([*rust, *c], default=0)
    ratio = f"{rust[last] / c[last]:.2f}" if c.get(last) and last in rust else ""
    return text + (f"{_growth(line, 'rust'):>9}{_number(c.get(last)):>18}{_growth(line, 'c'):>9}{ratio:>9}")


def _number(value):
    return "-" if value is None else f"{value:,.0f}"


def _growth(line, driver):
    growth = line.growth(driver)
    return "-" if growth is None else f"{growth:.2f}" if growth < 10 else f"{growth:.0f}"


def summary(lines):
    """What is not flat, and why."""
    grown = [line for line in lines if line.grows("rust") or line.grows("c")]
    flat = len(lines) - len(grown)
    yield f"{flat} of {len(lines)} operations are flat: with the most alive at most {FLAT} times what they take with one."
    if grown:
        yield "The others:"
    for line in grown:
        exponent = line.exponent("rust")
        yield (f"  {line.machine}, {line.thing}: {OPERATIONS[line.operation]} x{_growth(line, 'rust')}"
               + (f" (exponent {exponent:.2f} in the last step)" if exponent is not None else "")
               + f", C driver x{_growth(line, 'c')}: {REASONS.get(line.key, 'no reason is known')}")


# Measuring

@dataclass
class Report:
    """What the boots brought."""

    samples: list = field(default_factory=list)
    problems: list = field(default_factory=list)
    marked: list = field(default_factory=list)      # (number, thing, alive, operation, driver)
    symbols: list = field(default_factory=list)
    million: float = None


def take_line(words, machine, report, show):
    """One line of the guest's output."""
    if words[0] == "sample" and len(words) == 6:
        _, thing, alive, operation, driver, value = words
        report.samples.append((machine, thing, operation, int(alive), driver, int(value)))
    elif words[0] == "failed" and len(words) > 5:
        problem = f"{machine}, {words[2]} {words[1]}: {words[3]} by {words[4]}: {' '.join(words[5:])}"
        if problem not in report.problems:
            report.problems.append(problem)
    elif words[0] == "fact" and words[1:2] == ["million_instructions"]:
        report.million = float(words[2])
    elif words[0] == "marked" and len(words) == 6:
        report.marked.append((int(words[1]), words[2], int(words[3]), words[4], words[5]))
    elif words[0] == "symbol" and len(words) == 3:
        report.symbols.append((int(words[1], 16), words[2]))
    elif words[0] == "begin":
        show(f"{MACHINES[machine].title}: {THINGS[words[1]]}")
    else:
        show(" ".join(words))


def measure(machine, things, levels=LEVELS, show=lambda text: None, plugin=""):
    """One boot."""
    report = Report()
    chosen = MACHINES[machine]
    words = [f"--thing={thing}" for thing in things] + [f"--alive={level}" for level in levels]
    words += [*chosen.words, *(["--marks", "--repeats=3"] if plugin else [])]
    counted.run(PROGRAM, [words], chosen.boot, lambda words: take_line(words, machine, report, show), plugin,
                symbols=bool(plugin))
    problem = counted.check_clock(report.million)
    report.problems += [problem] if problem else []
    return report


def parser():
    """The command line."""
    parse = argparse.ArgumentParser(
        prog="tools/bench/scale", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Counts the guest instructions of each operation while 1, 10, 100, 1,000 and 10,000 buffers, "
                    "mappings,\nattachments, mmaps or child processes are alive, for udmabuf_rs and the C driver in "
                    "one boot, and prints what grows.",
        epilog="What is written: scale.csv and scale.png. A run that is limited to a part writes nothing, unless told\n"
               "where to. The exit status is 0 when all was measured, whatever grows.")
    parse.add_argument("--machine", action="append", default=[], choices=MACHINES, metavar="NAME",
                       help=f"only this machine: {', '.join(MACHINES)}; may be repeated, as the next")
    parse.add_argument("--thing", action="append", default=[], choices=THINGS, metavar="NAME",
                       help=f"only many of these: {', '.join(THINGS)}")
    parse.add_argument("--output", type=Path, metavar="DIR", help="where to write the files (default: bench/)")
    parse.add_argument("--profile", choices=OPERATIONS, metavar="OP",
                       help="show where the instructions of this operation go with the fewest and the most alive; takes one "
                            f"--thing, and writes nothing: {', '.join(OPERATIONS)}")
    parse.add_argument("--top", type=int, default=15, metavar="N", help="lines of a profile (default: %(default)s)")
    parse.add_argument("--show", nargs="?", const=RESULTS / "scale.csv", type=Path, metavar="CSV",
                       help="print the table of the results in that file (default: bench/scale.csv); measure nothing")
    parse.add_argument("--plot", type=Path, metavar="CSV",
                       help="draw the results in that file into a .png beside it; measure nothing")
    return parse


def enter():
    """main(), guarded."""
    return client.guarded("scale", main, failed=1)


def main(arguments=None):
    """Do what was asked for; returns the exit status."""
    options = parser().parse_args(arguments)
    if options.show:
        return show(read(options.show))
    if options.plot:
        return plot(options.plot)
    if options.profile:
        return print_profile(options)
    return run(options)


def show(lines):
    """Print what was found."""
    if not lines:
        raise BenchError("there are no results")
    print("\n".join([*table(lines), "", *summary(lines)]))
    return 0


def run(options):
    """Measure, print, write."""
    started = time.monotonic()
    say = lambda text: print(f"scale: {text}", file=sys.stderr, flush=True)  # noqa: E731
    folder = options.output or (None if options.machine or options.thing else RESULTS)
    client.require()
    samples, problems = [], []
    for machine in options.machine or MACHINES:
        things = [thing for thing in options.thing or THINGS if thing in MACHINES[machine].things]
        if things:
            report = measure(machine, things, show=say)
            samples += report.samples
            problems += report.problems
    lines = lines_of(samples)
    show(lines)
    for problem in problems:
        say(problem)
    if folder and not problems:
        path = folder / "scale.csv"
        write(path, lines)
        plot(path)
        say(f"wrote {path} and {path.with_suffix('.png').name}")
    say(f"{len(lines)} operations in {time.monotonic() - started:.0f} s")
    return 1 if problems else 0


def plot(path):
    """Draw the picture, in the build root: that has what is needed."""
    path = path.resolve()
    build.run([VM / "root", "--", "python3", "-B", PLOT, path, path.with_suffix(".png")], "drawing the plot")
    return 0


def print_profile(options):
    """Print where the instructions go, with the fewest and the most alive."""
    if len(options.thing) != 1 or len(options.machine) > 1:
        raise BenchError("a profile is of one thing on one machine: add one --thing, as in --thing mmaps")
    thing, machine = options.thing[0], (options.machine or ["plain"])[0]
    if thing not in MACHINES[machine].things:
        raise BenchError(f"{thing} are not counted on the machine '{machine}'")
    if MACHINES[machine].boot.kernel != "stock":
        raise BenchError(f"the machine '{machine}' has no profiles: the plugin knows x86 alone")
    client.require()
    with tempfile.TemporaryDirectory(prefix="udmabuf-profile-") as name:
        counts = Path(name) / "counts"
        report = measure(machine, [thing], (LEVELS[0], LEVELS[-1]), plugin=f"{profile.plugin()},out={counts}")
        if report.problems:
            raise BenchError("; ".join(report.problems))
        stretches = profile.read(counts)
    symbols = profile.Symbols(report.symbols)
    found = {(driver, alive): symbols.by_function(stretches[number])
             for number, _, alive, operation, driver in report.marked if operation == options.profile}
    if not found:
        raise BenchError(f"{options.profile} is not measured with many {thing}")
    print("\n".join(profile_lines(found, options.top)))
    return 0


def profile_lines(found, top):
    """A table of functions: those first that grow most for udmabuf_rs."""
    columns = sorted(found)
    rust = [key for key in columns if key[0] == "rust"]
    growth = lambda name: found[rust[-1]][name] - found[rust[0]][name]  # noqa: E731
    names = sorted({name for counts in found.values() for name in counts}, key=growth, reverse=True)[:top]
    shown = profile.demangled(names)
    titles = {"c": "C driver", "rust": "udmabuf_rs"}
    yield "".join(f"{titles[driver] + ', ' + format(alive, ','):>20}" for driver, alive in columns) + "  function"
    yield "".join(f"{sum(found[key].values()):20,}" for key in columns) + "  all"
    for name in names:
        yield "".join(f"{found[key][name]:20,}" for key in columns) + f"  {shown[name]}"
