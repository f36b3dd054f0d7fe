# SPDX-License-Identifier: GPL-2.0
"""From raw samples to cells: medians, ratios, spread."""

import statistics
from collections import defaultdict
from dataclasses import dataclass
from typing import Optional

from . import plan


@dataclass(frozen=True)
class Sample:
    """One line of the guest's program."""

    memory: str
    size: int
    operation: str
    subject: str
    round: int
    value: float


@dataclass
class Cell:
    """One line of the table. What was not measured is None."""

    memory: str
    size: int
    operation: str
    c: Optional[float] = None
    rust: Optional[float] = None
    floor: Optional[float] = None
    ratio: Optional[float] = None     # Rust/C: the median of those of the rounds
    low: Optional[float] = None       # half of the rounds lie between these two
    high: Optional[float] = None
    above: Optional[float] = None     # Rust/floor
    heap: Optional[float] = None
    memfd: Optional[float] = None
    to_heap: Optional[float] = None   # Rust/heap, as the ratio
    to_memfd: Optional[float] = None

    @property
    def key(self):
        """What it is about."""
        return self.memory, self.size, self.operation


def cells(samples):
    """The cells that samples make up, in the order of the plan."""
    table = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for sample in samples:
        key = sample.memory, sample.size, sample.operation
        table[key][sample.subject][sample.round].append(sample.value)
    # A round of an operation that is repeated in it counts once.
    rounds = {key: {subject: {number: statistics.median(values) for number, values in each.items()}
                    for subject, each in subjects.items()} for key, subjects in table.items()}
    _add_net(rounds)
    return [_cell(key, rounds[key]) for key in sorted(rounds, key=_place)]


def _add_net(rounds):
    """Operations less what zeroing takes, which is the floor's part of them."""
    for net, whole in plan.NET.items():
        for memory, size, operation in list(rounds):
            zeroing = rounds[memory, size, operation].get(plan.FLOOR, {}) if operation == whole else {}
            if zeroing:
                least = statistics.median(zeroing.values())
                rounds[memory, size, net] = {
                    subject: {number: max(value - least, 0) for number, value in each.items()}
                    for subject, each in rounds[memory, size, whole].items() if subject != plan.FLOOR}


def _place(key):
    memory, size, operation = key
    return list(plan.MEMORIES).index(memory), list(plan.OPERATIONS).index(operation), size


def _cell(key, rounds):
    c, rust, floor = (rounds.get(subject, {}) for subject in ("c", "rust", plan.FLOOR))
    cell = Cell(*key, _median(c.values()), _median(rust.values()), _median(floor.values()))
    if cell.operation == "memory" and cell.floor is not None:
        # What an empty export takes is not the driver's.
        c, rust = ({number: max(value - cell.floor, 0) for number, value in each.items()} for each in (c, rust))
        cell.c, cell.rust = _median(c.values()), _median(rust.values())
    elif cell.floor and cell.rust is not None:
        cell.above = cell.rust / cell.floor
    ratios = _ratios(rust, c)
    if ratios and plan.OPERATIONS[cell.operation].compared:
        cell.ratio = statistics.median(ratios)
        cell.low, cell.high = _quartiles(ratios)
    for name in plan.PEERS:
        peer = rounds.get(name, {})
        setattr(cell, name, _median(peer.values()))
        setattr(cell, f"to_{name}", _median(_ratios(rust, peer)))
    return cell


def _ratios(these, those):
    """Of each round in which both were measured."""
    return sorted(these[number] / those[number] for number in these if those.get(number))


def _median(values):
    values = list(values)
    return statistics.median(values) if values else None


def _quartiles(values):
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high


def worst_difference(before, after):
    """How much what does not change between two runs did: (part, key, subject), or None where nothing is common.

    That is the C driver and the floor.
    """
    known, worst = {cell.key: cell for cell in before}, None
    for cell in after:
        if cell.key not in known or plan.OPERATIONS[cell.operation].unit != plan.COST:
            continue
        for subject in ("c", plan.FLOOR):
            old, new = getattr(known[cell.key], subject), getattr(cell, subject)
            if old and new:
                part = abs(new - old) / old
                if worst is None or part > worst[0]:
                    worst = part, cell.key, subject
    return worst
