# SPDX-License-Identifier: GPL-2.0
"""Where the instructions of an operation go, function by function."""

import argparse
import bisect
import sys
import tempfile
from collections import Counter
from pathlib import Path

import client

from . import build, cli, guest, plan
from .build import BENCH, VM, BenchError

USER = "(the program)"


def parser():
    """The command line."""
    parse = argparse.ArgumentParser(
        prog="tools/bench/profile",
        description="Counts the guest instructions of one operation by function, for both drivers side by side. An "
                    "emulated processor counts them; an interrupt that comes in between is counted as well.")
    parse.add_argument("operation", choices=plan.OPERATIONS, metavar="OP", help="as tools/bench/bench --list has it")
    parse.add_argument("--memory", default="4k-fragmented", choices=plan.MEMORIES, metavar="KIND",
                       help="kind of memory (default: %(default)s)")
    parse.add_argument("--size", default="64M", metavar="SIZE", type=cli.size,
                       help="size of the buffer (default: %(default)s)")
    parse.add_argument("--top", type=int, default=20, metavar="N", help="lines to print (default: %(default)s)")
    return parse


def enter():
    """Measure and print; returns the exit status."""
    options = parser().parse_args()
    return client.guarded("profile", lambda: profile(options), failed=1)


def profile(options):
    """The profile of the last round."""
    client.require()
    with tempfile.TemporaryDirectory(prefix="udmabuf-profile-") as name:
        counts = Path(name) / "counts"
        request = guest.Request(icount=True, memories=[options.memory], sizes=[options.size],
                                operations=[options.operation], rounds=1,
                                drivers=list(plan.DRIVERS), plugin=f"{plugin()},out={counts}")
        report = guest.measure(request)
        if report.problems:
            raise BenchError("; ".join(report.problems))
        stretches = read(counts)
    symbols = Symbols(report.symbols)
    found = {subject: symbols.by_function(stretches[number])
             for number, operation, subject in report.marked if operation == options.operation and subject in plan.DRIVERS}
    if len(found) < 2:
        raise BenchError("the operation was not marked")
    print("\n".join(lines(found, options.top)))
    return 0


def plugin():
    """Build the plugin; returns its path."""
    made = build.folder() / "profile.so"
    build.run([VM / "root", "--", "gcc", "-O2", "-Wall", "-shared", "-fPIC", "-o", made, BENCH / "profile.c"],
              "building the plugin")
    return made


def read(path):
    """Instructions by address of each stretch, by number."""
    stretches, current = {}, None
    with open(path, encoding="ascii") as stream:
        for words in map(str.split, stream):
            if words[0] == "stretch":
                current = stretches.setdefault(int(words[1]), Counter())
            else:
                current[int(words[0], 16)] += int(words[1]) * int(words[2])
    return stretches


class Symbols:
    """What lies at which address of the kernel."""

    def __init__(self, pairs):
        self.pairs = sorted(pairs)
        self.starts = [start for start, _ in self.pairs]

    def name(self, address):
        """The function, or the program's own code."""
        at = bisect.bisect(self.starts, address) - 1
        return self.pairs[at][1] if at >= 0 and address >> 63 else USER

    def by_function(self, counts):
        """Instructions by function."""
        named = Counter()
        for address, count in counts.items():
            named[self.name(address)] += count
        return named


def lines(found, top):
    """A table: those functions in which the drivers differ most, or spend most."""
    c, rust = found["c"], found["rust"]
    names = sorted({*c, *rust}, key=lambda name: -max(c[name], rust[name]))[:top]
    shown = demangled(names)
    yield f"{'C driver':>14} {'udmabuf_rs':>14}  function"
    yield f"{sum(c.values()):14,} {sum(rust.values()):14,}  all"
    for name in names:
        yield f"{c[name]:14,} {rust[name]:14,}  {shown[name]}"


def demangled(names):
    """Names as people write them."""
    plain = build.run([VM / "root", "--", "c++filt", *names], "translating names").splitlines()
    return dict(zip(names, plain))


if __name__ == "__main__":
    sys.exit(enter())
