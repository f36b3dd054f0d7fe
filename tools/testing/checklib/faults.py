# SPDX-License-Identifier: GPL-2.0
"""The table of fault injection: how many points each operation has, on each kind of machine.

A point is an allocation or user copy that was made to fail; it counts as failed if the operation
then did. A shortage is an amount of memory after which all allocations failed, and a charge a limit of
the memory cgroup, with which the operation failed. The program `faults` prints them, a line each:

    faults: create 27 points 19 failed 54 in all
    faults: create 30 shortages 28 failed
    faults: create 1 charges 1 killed
"""

import re
from dataclasses import dataclass

from . import ktap, plan, section

# The boots of each table, by the mark that it begins with.
TABLES = {
    "<!-- made by make faults: -->": plan.FAULTS,
    "<!-- made by tools/testing/check --faults --boot faults-arm64: -->": [plan.FAULTS_ARM64],
}
LINE = re.compile(r"^faults: (\S+) (\d+) (points|shortages|charges) (\d+) (?:failed(?: \d+ in all)?|killed)$")
SUBJECT = "faults"


@dataclass
class Numbers:
    """What an operation has come to in one boot."""

    points: int = 0
    failed: int = 0
    shortages: int = 0
    charges: int = 0


def numbers(results):
    """The numbers of each operation, in the order of the results of one boot."""
    found = {}
    for result in results:
        for note in result.notes:
            match = LINE.match(note)
            if not match:
                continue
            name, count, what, rest = match.groups()
            entry = found.setdefault(name, Numbers())
            if what == "points":
                entry.points, entry.failed = int(count), int(rest)
            elif what == "shortages":
                entry.shortages = int(rest)
            else:
                entry.charges = int(count)
    return found


def table(boots):
    """Lines of Markdown; `boots` has the numbers of each boot by its name."""
    names = list(dict.fromkeys(name for found in boots.values() for name in found))
    head = "".join(f" {boot}: points | failed | shortages | charges |" for boot in boots)
    lines = [f"| operation |{head}", "|---|" + "---:|---:|---:|---:|" * len(boots)]
    sums = {boot: Numbers() for boot in boots}
    for name in names:
        line = f"| {name} |"
        for boot, found in boots.items():
            entry, total = found.get(name), sums[boot]
            if not entry:
                line += " – | – | – | – |"
                continue
            line += f" {entry.points} | {entry.failed} | {entry.shortages} | {entry.charges} |"
            total.points += entry.points
            total.failed += entry.failed
            total.shortages += entry.shortages
            total.charges += entry.charges
        lines.append(line)
    totals = "".join(f" {total.points} | {total.failed} | {total.shortages} | {total.charges} |" for total in sums.values())
    return [*lines, f"| **all** |{totals}"]


def by_boot(results, boots):
    """The numbers of each boot that has any."""
    found = {boot.name: numbers([result for result in results if result.boot == boot.name and result.subject == SUBJECT])
             for boot in boots}
    return {name: each for name, each in found.items() if each}


def tell(results, document=section.DOCUMENT):
    """Prints each table that has any rows, and puts it into the document if all its boots ran and nothing has failed."""
    for mark, boots in TABLES.items():
        found = by_boot(results, boots)
        if not found:
            continue
        lines = table(found)
        print("\n" + "\n".join(lines), flush=True)
        if len(found) == len(boots) and all(result.status != ktap.FAILED for result in results):
            section.write(mark, lines, document)
