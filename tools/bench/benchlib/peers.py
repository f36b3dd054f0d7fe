# SPDX-License-Identifier: GPL-2.0
"""Where a peer is faster than udmabuf_rs, and why.

Peers are the C driver, the system heap, and a memfd without a dma-buf. The reasons are a table of
Documentation/cost.md, a rule a line:

    | operation | size | memory | peer | why no faster |

The first four cells are lists, separated by commas, of names as tools/bench/bench --list has
them, with * and ? as the shell has them. A size is one, as 64K, or a bound: <= 1M or >= 64M. The
first rule that fits is the reason.
"""

import fnmatch
from dataclasses import dataclass, replace
from typing import Tuple

from . import plan, targets
from .build import CHECKOUT

COST = CHECKOUT / "Documentation" / "cost.md"
HEADING = ["operation", "size", "memory", "peer", "why no faster"]
UNKNOWN = "no reason known"
# Each with the attributes of a cell: what it takes, and the ratio.
PEERS = {"c": ("c", "ratio"), **{name: (name, f"to_{name}") for name in plan.PEERS}}


@dataclass(frozen=True)
class Rule:
    """A reason, and the cells that it is about."""

    operations: Tuple[str, ...]
    sizes: Tuple[str, ...]
    memories: Tuple[str, ...]
    peers: Tuple[str, ...]
    reason: str

    def __str__(self):
        lists = self.operations, self.sizes, self.memories, self.peers
        return " | ".join([*map(", ".join, lists), self.reason])

    def fits(self, line):
        """Whether it is about that line."""
        return (_matches(line.operation, self.operations) and _matches(line.memory, self.memories)
                and _matches(line.peer, self.peers)
                and any(_fits_size(line.size, word) for word in self.sizes))


@dataclass(frozen=True)
class Line:
    """A cell in which a peer is faster."""

    operation: str
    size: int
    memory: str
    peer: str
    ratio: float
    more: float         # than the peer, in the unit of the cell
    reason: str = UNKNOWN


def _matches(name, patterns):
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _fits_size(size, word):
    if word == "*":
        return True
    for sign, holds in (("<=", size.__le__), (">=", size.__ge__)):
        if word.startswith(sign):
            return holds(plan.parse_size(word[2:].strip()))
    return size == plan.parse_size(word)


def _cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")] if line[:1] == "|" else []


def rules(text):
    """Those of a document; ValueError where one is none, or is about nothing that is measured."""
    found, inside = [], False
    for line in text.splitlines():
        cells = _cells(line)
        if cells == HEADING:
            inside = True
        elif not cells:
            inside = False
        elif inside and set(line) - set("|-: "):
            found.append(_rule(cells))
    return found


def _rule(cells):
    if len(cells) != len(HEADING) or not all(cells):
        raise ValueError(f"not a reason: {' | '.join(cells)}")
    *lists, reason = cells
    lists = [tuple(word.strip(" `").replace("\\", "") for word in cell.split(",")) for cell in lists]
    rule = Rule(*lists, reason)
    for patterns, names in ((rule.operations, plan.OPERATIONS), (rule.memories, plan.MEMORIES),
                            (rule.peers, PEERS)):
        for pattern in patterns:
            if not fnmatch.filter(names, pattern):
                raise ValueError(f"there is no {pattern}: {' | '.join(cells)}")
    for word in rule.sizes:
        _fits_size(0, word)
    return rule


def faster(cells, reasons):
    """Lines of all cells in which a peer takes less by more than the noise.

    That is where the ratio is printed as more than 1.00.
    """
    lines = []
    for cell in cells:
        operation = plan.OPERATIONS[cell.operation]
        if operation.unit != plan.COST or not operation.compared:
            continue
        for peer, (value, ratio) in PEERS.items():
            ratio = getattr(cell, ratio)
            if ratio is not None and targets.printed(ratio) > 1:
                line = Line(cell.operation, cell.size, cell.memory, peer, ratio,
                            cell.rust - getattr(cell, value))
                rule = _first(reasons, line)
                lines.append(replace(line, reason=rule.reason) if rule else line)
    peers, operations = list(PEERS), list(plan.OPERATIONS)
    return sorted(lines, key=lambda line: (peers.index(line.peer), operations.index(line.operation)))


def _first(reasons, line):
    return next((rule for rule in reasons if rule.fits(line)), None)


def unused(reasons, lines):
    """Rules that are about none of the lines, or only about those of earlier rules."""
    first = {_first(reasons, line) for line in lines}
    return [rule for rule in reasons if rule not in first]


def reasons():
    """The rules of Documentation/cost.md."""
    return rules(COST.read_text(encoding="utf-8"))


def report(cells, complete=True):
    """The table, as lines of text; with the reasons that no cell needs, where all were measured."""
    known = reasons()
    lines = faster(cells, known)
    if not lines:
        return ["no peer is faster anywhere"]
    unknown = sum(line.reason == UNKNOWN for line in lines)
    rows = [("peer", "operation", "size", "memory", "ratio", "more", "why no faster"),
            *((line.peer, line.operation, plan.show_size(line.size), line.memory,
               f"{targets.printed(line.ratio):.2f}", f"{line.more:,.0f}", line.reason) for line in lines)]
    widths = [max(map(len, column)) for column in zip(*rows)]
    text = [f"where a peer is faster: {len(lines)} cells, {unknown} of them for no reason known"]
    for row in rows:
        text.append("  ".join(word.rjust(width) if i in (2, 4, 5) else word.ljust(width)
                              for i, (word, width) in enumerate(zip(row, widths))).rstrip())
    if complete:
        text += [f"no cell needs this reason: {rule}" for rule in unused(known, lines)]
    return text
