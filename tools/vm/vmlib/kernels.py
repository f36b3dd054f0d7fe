# SPDX-License-Identifier: GPL-2.0
"""The kernels to choose from, and how each is made.

A flavour is a function that returns a complete Kernel. All start from the
files that Debian publishes for one version; to add a flavour, write such a
function and register it in FLAVOURS; for one more of Debian's own, a line in
STOCK does.
"""

import functools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Tuple

from . import artefacts, buildroot, debian, debugkernel, versions
from .errors import Failure


@dataclass(frozen=True)
class Arch:
    """What differs between the architectures that Debian builds for."""

    debian: str               # as apt calls it
    cross: str                # what the names of its compiler and linker begin with; nothing for our own
    emulator: str             # QEMU's name
    cpu: str                  # what it emulates best
    machine: Tuple[str, ...]  # its arguments for an ordinary machine
    iommu: Tuple[str, ...]    # its arguments for one with an IOMMU
    console: str              # the serial line of both
    append: str = ""          # kernel arguments that its machines need


AMD64 = Arch(debian="amd64", cross="",
             emulator="qemu-system-x86_64", cpu="max", machine=("-machine", "pc"),
             iommu=("-machine", "q35", "-device", "intel-iommu,intremap=off"), console="ttyS0",
             # The kernel panics where the host keeps the VM waiting while it looks whether the timer ticks.
             append="no_timer_check")
# Signing pointers the way the architecture says takes half of the time when emulated.
ARM64 = Arch(debian="arm64", cross="aarch64-linux-gnu-",
             emulator="qemu-system-aarch64", cpu="max,pauth-impdef=on", machine=("-machine", "virt,gic-version=3"),
             iommu=("-machine", "virt,gic-version=3,iommu=smmuv3"), console="ttyAMA0")


@dataclass(frozen=True)
class Kernel:
    """A kernel that can be booted, and built against."""

    flavour: str
    root: buildroot.Buildroot  # where modules for it are built
    arch: Arch
    version: str              # of the sources, as in 7.3.4
    localversion: str         # what the release adds to it, as in +deb13-amd64
    source: Path              # the source tree
    build: Path               # the build tree, with the Rust artefacts
    image: Path               # what the boot loader loads
    busybox: Path             # the userland: one static program
    modules: Optional[Path]   # the directory of modules.dep, where there is one
    make: Tuple[str, ...]     # arguments for make(1) to build against it
    append: str = ""          # kernel arguments that it cannot do without
    calls: str = ""           # how the functions are called that instrumented modules call, if they are

    @property
    def release(self):
        """What uname -r says."""
        return self.version + self.localversion


# The flavours

@dataclass(frozen=True)
class Stock:
    """One of Debian's own kernels."""

    arch: Arch
    name: str  # what the names of its packages end in
    suite: debian.Suite = debian.BACKPORTS


STOCK = {
    "stock": Stock(AMD64, "amd64"),
    "cloud": Stock(AMD64, "cloud-amd64"),
    "rt": Stock(AMD64, "rt-amd64"),
    "arm64": Stock(ARM64, "arm64"),
    "arm64-16k": Stock(ARM64, "arm64-16k"),
    "arm64-cloud": Stock(ARM64, "cloud-arm64"),
    "arm64-rt": Stock(ARM64, "rt-arm64"),
    "stock-7.2": Stock(AMD64, "amd64", debian.BACKPORTS_BEFORE),
    "forky": Stock(AMD64, "amd64", debian.FORKY),
    "experimental": Stock(AMD64, "amd64", debian.EXPERIMENTAL),
}


def _stock(cache, update, flavour):
    """Debian's own kernel, unmodified; modules are built against its headers, as on a user's machine."""
    stock = STOCK[flavour]
    root = buildroot.obtain(cache, stock.suite.root)
    files, build = versions.settle(cache, root, stock, update)
    version, release = files.info["version"], files.info["release"]
    return Kernel(flavour=flavour, root=root, arch=stock.arch, version=version, localversion=release[len(version):],
                  source=debian.source_tree(files), build=build,
                  image=files.path / "image" / "vmlinuz", busybox=files.path / "unpacked/usr/bin/busybox",
                  modules=files.path / "image", make=())


def check_release(release):
    """The one of STOCK whose release that is; refuses what is none of theirs."""
    for stock in STOCK.values():
        suite = stock.suite
        if re.fullmatch(rf"{re.escape(suite.series)}(\.\d+)?{re.escape(suite.mark)}-{stock.name}", release):
            return stock
    names, series = sorted({stock.name for stock in STOCK.values()}), sorted({stock.suite.series for stock in STOCK.values()})
    raise Failure(f"'{release}' is no Linux {' or '.join(series)} of Debian; name it as 'uname -r' prints it there, like "
                  f"{debian.BACKPORTS.series}.4{debian.BACKPORTS.mark}-amd64 (the kernels are {', '.join(names)})")


def obtain_artefacts(cache, release):
    """The build directory for a release of Debian, and the version of its packages."""
    stock = check_release(release)
    root = buildroot.obtain(cache, stock.suite.root)
    files = versions.exactly(cache, root, stock, release)
    return artefacts.obtain(cache, root, stock.name, files), files.info["debian"]


def _checking(cache, update, flavour):
    """A kernel of the same sources that looks for mistakes while it runs."""
    design = debugkernel.DESIGNS[flavour]
    stock = next(stock for stock in STOCK.values() if stock.name == design.arch)
    root = buildroot.obtain(cache)
    files, _ = versions.settle(cache, root, stock, update)
    source, version = debian.source_tree(files), files.info["version"]
    inputs = {"source": str(source), "toolchain": root.toolchain, **design.inputs()}
    entry = cache.obtain(f"kernel-{design.name}-{design.arch}", inputs,
                         lambda path, lock: debugkernel.make(cache, root, design, source, path, lock),
                         [debugkernel.IMAGE, *(f"build/{name}" for name in design.kept), "build/rust/libkernel.rmeta"],
                         debugkernel.SIZE)
    return Kernel(flavour=flavour, root=root, arch=stock.arch, version=version, localversion=design.localversion,
                  source=entry.path / "source" if design.patch else source, build=entry.path / "build",
                  image=entry.path / debugkernel.IMAGE, busybox=files.path / "unpacked/usr/bin/busybox", modules=None,
                  make=design.make, append=f"{design.append} {design.build.append}".strip(), calls=design.calls)


FLAVOURS = {**{flavour: functools.partial(_checking, flavour=flavour) for flavour in debugkernel.DESIGNS},
            **{flavour: functools.partial(_stock, flavour=flavour) for flavour in STOCK}}


def obtain(cache, name="stock", update=False):
    """The kernel of that name, made first where there is none; with `update`, where there is a newer one as well."""
    check(name)
    return FLAVOURS[name](cache, update)


def check(name):
    """Refuse the name of a kernel that is not there."""
    if name not in FLAVOURS:
        raise Failure(f"there is no kernel '{name}'; known are: {', '.join(sorted(FLAVOURS))}")
