# SPDX-License-Identifier: GPL-2.0
"""Mistakes that no test finds, and why that is so. mutation.py lists them in Documentation/proven.md."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Argument:
    """Why a mistake survives. If it is equivalent, no test could find it: the driver does the same."""

    why: str
    equivalent: bool = False


# By the names of sites.
ARGUED = {
}
