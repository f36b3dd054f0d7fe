# SPDX-License-Identifier: GPL-2.0
"""Clients: modules in the folders of suites.

A client has TITLE, PACKAGES and TRIALS: functions by name, called with the driver, that return a sentence on the
comparison, or raise trial.Wrong or trial.Skipped. Optional attributes:

VERSION_OF  the package whose version is told
MACHINES    arguments of tools/vm/run, by a name for the machine; all trials run on each
PROGRAMS    helper programs, by name in programs/, with linker options
GUEST       for a nested guest: its command with arguments, and its kernel modules
IMPORTER    whether it needs the importer's module of the selftests
SECONDS     that a trial may take
C_DRIVER    part of the C driver's expected error message
"""

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, Tuple

HERE = Path(__file__).resolve().parents[1]
# Each with the release of Debian whose packages its clients are.
SUITES = {"trixie": "trixie", "scenes": "trixie", "nested": "trixie", "forky": "forky"}
# They take long, and run when they are named.
SLOW = {"nested"}
MEMORY = "--mem=3400M"


@dataclass(frozen=True)
class Client:
    """One file."""

    name: str
    title: str
    packages: Tuple[str, ...]
    version_of: str
    trials: Dict[str, Callable]
    machines: Dict[str, Tuple[str, ...]]
    programs: Dict[str, list]
    importer: bool
    guest: tuple
    seconds: int
    c_driver: str


def clients(suite, wanted=()):
    """Returns the clients of a suite, sorted by name, or the ones in `wanted`."""
    names = sorted(path.stem for path in (HERE / suite).glob("*.py") if path.stem != "__init__")
    return [_client(suite, name) for name in names if not wanted or name in wanted]


def machines(all_clients):
    """The machines that clients run on, each with its clients: pairs of arguments and a list of pairs of name and client."""
    found = {}
    for each in all_clients:
        for name, arguments in each.machines.items():
            found.setdefault(arguments, []).append((name, each))
    return found


def release_of(release):
    """All clients that share the root of a release of Debian."""
    return [each for suite in SUITES if SUITES[suite] == release for each in clients(suite)]


def _client(suite, name):
    module = importlib.import_module(f"{suite}.{name}")

    def optional(attribute, default):
        return getattr(module, attribute, default)

    return Client(name, module.TITLE, tuple(module.PACKAGES), optional("VERSION_OF", ""), module.TRIALS,
                  optional("MACHINES", {"": (MEMORY,)}), optional("PROGRAMS", {}), optional("IMPORTER", False),
                  optional("GUEST", ()), optional("SECONDS", 240), optional("C_DRIVER", ""))
