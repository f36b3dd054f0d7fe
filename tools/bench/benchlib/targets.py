# SPDX-License-Identifier: GPL-2.0
"""What the ratios must be.

Of instructions, unless marked; a ratio counts as it is printed.
"""

from dataclasses import dataclass
from typing import Callable

from .plan import COST, KIB, MIB, OPERATIONS, SIZES

TO_C, TO_FLOOR = "ratio", "above"

FROM_64M = [size for size in SIZES if size >= 64 * MIB]
FROM_256M = [size for size in SIZES if size >= 256 * MIB]
AT_512M = [512 * MIB]

# Ratios below this are printed with four decimals, all others with two.
SMALL = 0.095

# Of what no other target is about.
OTHERWISE = 1.05


@dataclass(frozen=True)
class Target:
    """An upper limit for some cells."""

    operation: str
    limit: float
    memory: Callable[[object], bool]
    sizes: object = None          # any where it is None
    time: bool = False            # whether it is about time; kernel memory is about neither
    of: str = TO_C

    def is_for(self, cell, memory, icount):
        """Whether this is about that cell."""
        in_unit = OPERATIONS[cell.operation].unit != COST or self.time != icount
        return (self.operation == cell.operation and in_unit and self.memory(memory)
                and (self.sizes is None or cell.size in self.sizes))


def small(memory):
    """4 KiB pages."""
    return memory.page == 4 * KIB


def large(memory):
    """2 MiB pages, or larger."""
    return not small(memory)


def two_mib(memory):
    """2 MiB pages, and no larger: of those there are so few that the floor is what any call takes."""
    return memory.folio == 2 * MIB


def anything(_memory):
    """Any."""
    return True


def named(name):
    """One kind of memory, by its name."""
    return lambda memory: memory.name == name


TARGETS = [
    Target("sync", 1.00, anything),
    Target("create", 1.00, small, [4 * KIB]),
    Target("create", 1.00, small, FROM_64M),
    Target("create", 0.06, large, [64 * MIB]),
    Target("create", 0.05, large, FROM_256M),
    Target("create", 1.25, small, FROM_64M, of=TO_FLOOR),
    Target("create", 1.25, two_mib, FROM_256M, of=TO_FLOOR),
    Target("touch_one", 0.02, small, AT_512M),
    Target("touch_one", 0.01, large, AT_512M),
    Target("touch_all", 0.15, small, FROM_64M),
    Target("touch_all", 0.02, large, FROM_64M),
    Target("touch_unaligned", 0.15, small, FROM_64M),
    Target("touch_all", 0.50, small, FROM_64M, time=True),
    Target("touch_all", 0.10, large, FROM_64M, time=True),
    Target("touch_unaligned", 0.50, small, FROM_64M, time=True),
    Target("create_list", 1.00, anything),
    Target("create_turns", 1.00, anything),
    Target("map", 0.75, small, AT_512M),
    Target("map", 0.05, large, AT_512M),
    Target("sync", 1.05, anything),
    Target("munmap", 1.00, small, FROM_64M),
    Target("munmap", 0.05, large, FROM_64M),
    Target("close", 1.05, anything),
    Target("iommu_map", 0.98, named("4k-fragmented"), [64 * MIB]),
    Target("memory", 1.00, named("4k-fragmented"), AT_512M),
    Target("memory", 0.10, named("4k-contiguous"), AT_512M),
    Target("memory", 0.01, large, AT_512M),
]


def printed(ratio):
    """A ratio as people see it."""
    return round(ratio, 4 if ratio < SMALL else 2)


def is_named(operation, size):
    """Whether a target is about such cells in particular; one that is about all sizes is shown by one."""
    return any(target.operation == operation and size in (target.sizes or AT_512M) for target in TARGETS)


@dataclass(frozen=True)
class Verdict:
    """Whether a cell is what it must be."""

    limit: float
    of: str
    met: bool

    def __str__(self):
        what = " of the floor" if self.of == TO_FLOOR else ""
        return f"<= {self.limit:.2f}{what}: {'met' if self.met else 'MISSED'}"


def judge(cell, memory, icount):
    """The verdicts on a cell: of all targets that are about it, or of what holds otherwise."""
    verdicts = []
    for target in TARGETS:
        value = getattr(cell, target.of)
        if value is not None and target.is_for(cell, memory, icount):
            verdicts.append(Verdict(target.limit, target.of, printed(value) <= target.limit))
    operation = OPERATIONS[cell.operation]
    if (not any(verdict.of == TO_C for verdict in verdicts) and icount and operation.unit == COST
            and cell.ratio is not None):
        verdicts.append(Verdict(OTHERWISE, TO_C, printed(cell.ratio) <= OTHERWISE))
    return verdicts
