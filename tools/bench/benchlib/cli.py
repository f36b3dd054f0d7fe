# SPDX-License-Identifier: GPL-2.0
"""The command line of tools/bench/bench, and the order of things."""

import argparse
import contextlib
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import client

from . import build, guest, peers, plan, results, stats, table
from .build import CHECKOUT, VM

RESULTS = CHECKOUT / "bench"
PLOT = Path(__file__).resolve().parent / "plot.py"
EPILOG = """
What is written: results.csv and results.png, or icount.csv and icount.png with
--icount. A run that is limited to a part writes nothing, unless told where to.
The exit status is 0 when all was measured, whatever the figures are.
"""


def size(text):
    """What was given for a size, in bytes."""
    with contextlib.suppress(ValueError):
        bytes_ = plan.parse_size(text)
        if bytes_ > 0:
            return bytes_
    raise argparse.ArgumentTypeError(f"a size is a whole number, as in 64M: {text}")


def parser():
    """The command line."""
    parse = argparse.ArgumentParser(
        prog="tools/bench/bench", formatter_class=argparse.RawDescriptionHelpFormatter, epilog=EPILOG,
        description="Boots the stock kernel with both drivers, does everything with one and the other in turn, and "
                    "prints medians, and the ratios of udmabuf_rs to the C driver and to its peers.")
    parse.add_argument("--icount", action="store_true",
                       help="count guest instructions instead of taking the time (one emulated processor)")
    parse.add_argument("--rounds", type=int, metavar="N", help="rounds after a warm-up (default: 7; 3 with --icount)")
    parse.add_argument("--only", action="append", default=[], metavar="OP", choices=plan.OPERATIONS,
                       help="measure only this operation; may be repeated, as the next three")
    parse.add_argument("--memory", action="append", default=[], metavar="KIND", choices=plan.MEMORIES,
                       help="only this kind of memory")
    parse.add_argument("--size", action="append", default=[], metavar="SIZE", type=size,
                       help="only this size, as in 64M")
    parse.add_argument("--driver", action="append", default=[], metavar="NAME", choices=plan.SUBJECTS,
                       help="only this driver, or peer: " + ", ".join(plan.SUBJECTS))
    parse.add_argument("--long", action="store_true",
                       help="measure also what takes long and shows nothing new, as touching 2 GiB at random")
    parse.add_argument("--output", type=Path, metavar="DIR", help="where to write the files (default: bench/)")
    parse.add_argument("--list", action="store_true", help="list what there is to measure, and measure nothing")
    parse.add_argument("--markdown", nargs="?", const=RESULTS / "icount.csv", type=Path, metavar="CSV",
                       help="print the results in that file in Markdown (default: bench/icount.csv); measure nothing")
    parse.add_argument("--peers", nargs="?", const=RESULTS / "icount.csv", type=Path, metavar="CSV",
                       help="print where a peer is faster, and why, of the results in that file (default: "
                            "bench/icount.csv); measure nothing")
    parse.add_argument("--every", action="store_true", help="with --markdown: all lines, not only those with targets")
    parse.add_argument("--plot", type=Path, metavar="CSV",
                       help="draw the results in that file into a .png beside it; measure nothing")
    return parse


def enter():
    """main(), guarded."""
    return client.guarded("bench", main, failed=1)


def main(arguments=None):
    """Do what was asked for; returns the exit status."""
    options = parser().parse_args(arguments)
    if options.list:
        return show_list()
    if options.markdown:
        print("\n".join(table.markdown(*results.read(options.markdown), options.every)))
        return 0
    if options.peers:
        print("\n".join(peers.report(results.read(options.peers)[0])))
        return 0
    if options.plot:
        return plot(options.plot)
    return bench(options)


def show_list():
    """What there is to measure."""
    for title, things in (("operations", plan.OPERATIONS), ("kinds of memory", plan.MEMORIES)):
        print(f"{title}:")
        for name, thing in things.items():
            print(f"  {name:18} {thing.title}")
    print("sizes: " + ", ".join(map(plan.show_size, plan.SIZES)))
    return 0


def request_of(options):
    """What the options ask for."""
    request = guest.Request(icount=options.icount, rounds=options.rounds or (3 if options.icount else 7))
    request.memories = options.memory or request.memories
    request.sizes = options.size
    request.operations = options.only
    request.drivers = options.driver or request.drivers
    request.long = options.long
    return request


def bench(options):
    """Measure, print, write."""
    started = time.monotonic()
    client.require()
    say = lambda text: print(f"bench: {text}", file=sys.stderr, flush=True)  # noqa: E731
    folder = _folder(options)
    if not options.icount and os.cpu_count() == 1:
        say("one processor is not enough for times to mean much")
    report = guest.measure(request_of(options), say)
    cells = [cell for cell in stats.cells(report.samples) if not options.only or cell.operation in options.only]
    print("\n".join(table.lines(cells, options.icount)))
    print("\n".join(["", *table.summary(cells, options.icount)]))
    if options.icount:
        print("\n".join(["", *peers.report(cells, not _is_part(options))]))
    for note in report.notes:
        say(f"a peer cannot: {note}")
    for problem in report.problems:
        say(problem)
    if folder and not report.problems:
        _write(folder, cells, options.icount, say)
    say(f"{len(cells)} cells in {time.monotonic() - started:.0f} s")
    return 1 if report.problems else 0


def _folder(options):
    """Where to write: nowhere, when it is a part."""
    return options.output or (None if _is_part(options) else RESULTS)


def _is_part(options):
    """Whether something is left out."""
    return bool(options.only or options.memory or options.size or options.driver)


def _write(folder, cells, icount, say):
    path = folder / ("icount.csv" if icount else "results.csv")
    if icount and path.exists():
        worst = stats.worst_difference(results.read(path)[0], cells)
        if worst:
            part, (memory, size, operation), subject = worst
            say(f"what did not change since the last run differs by {part:.1%} at most "
                f"({operation}, {plan.show_size(size)}, {memory}, {subject})")
    results.write(path, cells, icount)
    plot(path)
    say(f"wrote {path} and {path.with_suffix('.png').name}")


def plot(path):
    """Draw the picture, in the build root: that has what is needed, but not all folders."""
    with tempfile.TemporaryDirectory(prefix="plot-", dir=build.folder()) as name:
        drawn = Path(name) / "drawn.png"
        copy = shutil.copy(path, Path(name) / "drawn.csv")
        build.run([VM / "root", "--", "python3", "-B", PLOT, copy, drawn], "drawing the plot")
        shutil.copy(drawn, path.with_suffix(".png"))
    return 0
