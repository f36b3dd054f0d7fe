# SPDX-License-Identifier: GPL-2.0
"""The roots that clients run in, programs for them, and the boots of a suite: one with each driver."""

import json
import re
import subprocess
from dataclasses import dataclass

import client
from checklib import build, ktap
from checklib.build import VM
from vmlib import buildroot, cache as caching, initramfs, kernels

from . import programs, suites

OURS, THEIRS = "udmabuf_rs", "udmabuf"
DRIVERS = {OURS: ["--replace-c"], THEIRS: ["--no-module"]}
# For all clients: the harness is in Python, and helper programs are compiled in the root.
COMMON = ("python3", "mount", "procps", "kmod", "gcc", "libc6-dev")
SIZE = {"trixie": 3000, "forky": 6000}  # MiB that a root takes while it is made
SECONDS = 3000
IMPORTER = "udmabuf_importer.ko"


@dataclass
class Row:
    """How a trial went with a driver."""

    client: str
    trial: str
    version: str
    how: str          # passed, failed or skipped
    sentence: str     # result of the comparison, or the error
    buffers: int      # that were made
    seconds: float


def root(release):
    """The root of a release, with the packages of all its clients."""
    packages = set(COMMON).union(*(each.packages for each in suites.release_of(release)))
    kind = buildroot.Kind(tuple(sorted(packages)), ("/usr/bin/python3",), suite=release, size=SIZE[release],
                          more="trixie-backports" if release == "trixie" else "", prefer=release == "trixie")
    return buildroot.obtain_kind(caching.Cache(), f"clients-{release}", kind)


class Suite:
    """A suite, ready to boot."""

    def __init__(self, name, clients, show):
        self._name, self._clients, self._show = name, clients, show
        release = suites.SUITES[name]
        self._root = root(release)
        self._programs = programs.make(self._root, release)

    def run(self, driver):
        """Runs its clients with a driver, one boot for each kind of machine. Returns rows, and the results."""
        rows, results = [], []
        for arguments, clients in suites.machines(self._clients).items():
            more = self._boot(driver, arguments, clients)
            rows += more[0]
            results += more[1]
        return rows, results

    def _boot(self, driver, arguments, clients):
        machine = next(iter(clients))[0]
        self._show.heading(f"clients of {self._name}, driver {driver}" + (f", {machine}" if machine else ""))
        where = re.sub(r"\W+", "-", f"clients-{self._name}-{driver}-{machine}").strip("-")
        log = caching.Cache().log(where)
        memory = [] if any(each.startswith("--mem") for each in arguments) else [suites.MEMORY]
        add = [f"--add={suites.HERE}=/clients", f"--add={programs.archive(self._programs)}=/clients.tar"]
        if any(each.importer for _, each in clients):
            add.append(f"--add={build.module(IMPORTER)}=/importer.ko")
        for _, each in clients:
            add += self._guest(each.guest)
        command = [VM / "run", *DRIVERS[driver], f"--log={log}", f"--root={self._root.path}", f"--timeout={SECONDS}", *memory,
                   *arguments, *add, "--", "sh", "-c",
                   '[ ! -e /importer.ko ] || insmod /importer.ko; exec chroot /mnt env PYTHONPATH=/mnt/clients '
                   'python3 -B -m clientlib.guest.main "$@"', "sh",
                   driver, self._name, machine, *(each.name for _, each in clients)]
        parser, rows = ktap.Parser(f"{self._name}, {driver}"), []
        mark = "# row: "
        with client.started(command, stdout=subprocess.PIPE, text=True, errors="replace") as child:
            for line in child.stdout:
                line = line.rstrip("\r\n")
                if line.startswith(mark):
                    rows.append(Row(**json.loads(line[len(mark):])))
                else:
                    self._show.ktap(line, parser.line(line), None)
        return rows, parser.end(child.returncode)

    def _guest(self, guest):
        """Arguments that bring kernel and initramfs of a guest into the VM."""
        if not guest:
            return []
        command, modules = guest
        kernel = kernels.obtain(caching.Cache())
        archive = build.cache_folder() / "clients-guest"
        initramfs.write(archive, kernel, command, [(self._programs / command[0].strip("/"), command[0])], modules, calls=True,
                        root=kernel.root)
        return [f"--add={kernel.image}=/guest/kernel", f"--add={archive}=/guest/initramfs"]
