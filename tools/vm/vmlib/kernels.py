# SPDX-License-Identifier: GPL-2.0
"""The kernels to choose from, and how each is made.

A flavour is a function that returns a complete Kernel. All start from the
files that Debian publishes for one version; to add a flavour, write such a
function and register it in FLAVOURS.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Tuple

from . import buildroot, debian, debugkernel
from .errors import Failure
from .progress import marks, run_step

# There is no vmlinux to make BTF from, and each module would say so.
NO_BTF = "CONFIG_DEBUG_INFO_BTF_MODULES="

STOCK_RECIPE = 2  # raise it when _make_stock changes

STOCK_SIZE = 300  # MiB that making it takes


@dataclass(frozen=True)
class Arch:
    """What differs between the architectures that Debian builds for."""

    debian: str               # as apt calls it
    cross: str                # what the names of its compiler and linker begin with; nothing for our own
    make: Tuple[str, ...]     # arguments that make(1) needs in the kernel tree
    emulator: str             # QEMU's name
    cpu: str                  # what it emulates best
    machine: Tuple[str, ...]  # its arguments for an ordinary machine
    iommu: Tuple[str, ...]    # its arguments for one with an IOMMU
    console: str              # the serial line of both
    append: str = ""          # kernel arguments that its machines need


AMD64 = Arch(debian="amd64", cross="", make=(),
             emulator="qemu-system-x86_64", cpu="max", machine=("-machine", "pc"),
             iommu=("-machine", "q35", "-device", "intel-iommu,intremap=off"), console="ttyS0",
             # The kernel panics where the host keeps the VM waiting while it looks whether the timer ticks.
             append="no_timer_check")
# Signing pointers the way the architecture says takes half of the time when emulated.
ARM64 = Arch(debian="arm64", cross="aarch64-linux-gnu-", make=("ARCH=arm64", "CROSS_COMPILE=aarch64-linux-gnu-"),
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

    @property
    def release(self):
        """What uname -r says."""
        return self.version + self.localversion


# The flavours

def _stock(cache, flavour, arch, name, suite=debian.BACKPORTS):
    """Debian's own kernel of that name, unmodified, with the Rust artefacts made again."""
    root = buildroot.obtain(cache, suite.root)
    files = debian.files(cache, root, arch, name, suite)
    inputs = {"files": files.path.name, "debian": files.info["debian"], "toolchain": root.toolchain,
              "recipe": STOCK_RECIPE}
    essential = ["build/Module.symvers", "build/include/generated/rustc_cfg", "build/scripts/module.lds",
                 "build/rust/libkernel.rmeta", "build/rust/libmacros.so"]
    entry = cache.obtain(f"kernel-stock-{name}", inputs,
                         lambda path, lock: _make_stock(cache, root, arch, files, path, lock), essential, STOCK_SIZE)
    version, release = files.info["version"], files.info["release"]
    return Kernel(flavour=flavour, root=root, arch=arch, version=version, localversion=release[len(version):],
                  source=debian.source_tree(files), build=entry.path / "build",
                  image=files.path / "image" / "vmlinuz", busybox=files.path / "unpacked/usr/bin/busybox",
                  modules=files.path / "image", make=(*arch.make, f"KERNELRELEASE={release}", NO_BTF))


def _make_stock(cache, root, arch, files, path, lock):
    build = path / "build"
    build.mkdir()
    for each in (".config", "Module.symvers"):
        shutil.copy(files.path / "headers" / each, build)
    release = files.info["release"]
    # A release candidate is not called what its Makefile says.
    make = ["make", "-C", debian.source_tree(files), f"O={build}", *arch.make, f"KERNELRELEASE={release}"]
    root.run([*make, "olddefconfig"], cwd=path, locks=[lock])
    run_step(f"kernel: Rust artefacts of Linux {release}",
             root.command([*make, f"-j{os.cpu_count()}", "modules_prepare"], cwd=path),
             cache.log(path.name), "2 to 4 min on two cores", marks(MILESTONES), locks=[lock])
    return {"release": release, "debian": files.info["debian"]}


# Where modules_prepare is, in percent of its time, when it says this.
MILESTONES = {"HOSTCC": 2, "rust/core.o": 15, "bindings_generated.rs": 17, "host/libsyn.rlib": 35,
              "rust/zerocopy.o": 50, "rust/libmacros.so": 55, "rust/bindings.o": 65, "rust/kernel.o": 80,
              "exports_kernel_generated.h": 98}


def _debug(cache):
    """A kernel of the same sources that looks for mistakes while it runs."""
    root = buildroot.obtain(cache)
    files = debian.files(cache, root, AMD64, "amd64")
    source, version = debian.source_tree(files), files.info["version"]
    inputs = {"source": str(source), "options": debugkernel.options(debugkernel.FRAGMENT.read_text()),
              "toolchain": root.toolchain, "recipe": debugkernel.RECIPE}
    entry = cache.obtain("kernel-debug-amd64", inputs,
                         lambda path, lock: debugkernel.make(cache, root, source, path, lock),
                         ["bzImage", *(f"build/{name}" for name in debugkernel.KEPT), "build/rust/libkernel.rmeta"],
                         debugkernel.SIZE)
    return Kernel(flavour="debug", root=root, arch=AMD64, version=version, localversion=debugkernel.LOCALVERSION,
                  source=source, build=entry.path / "build", image=entry.path / "bzImage",
                  busybox=files.path / "unpacked/usr/bin/busybox", modules=None,
                  make=debugkernel.MAKE, append=debugkernel.APPEND)


FLAVOURS = {
    "debug": _debug,
    "stock": lambda cache: _stock(cache, "stock", AMD64, "amd64"),
    "cloud": lambda cache: _stock(cache, "cloud", AMD64, "cloud-amd64"),
    "rt": lambda cache: _stock(cache, "rt", AMD64, "rt-amd64"),
    "arm64": lambda cache: _stock(cache, "arm64", ARM64, "arm64"),
    "arm64-16k": lambda cache: _stock(cache, "arm64-16k", ARM64, "arm64-16k"),
    "arm64-cloud": lambda cache: _stock(cache, "arm64-cloud", ARM64, "cloud-arm64"),
    "arm64-rt": lambda cache: _stock(cache, "arm64-rt", ARM64, "rt-arm64"),
    "experimental": lambda cache: _stock(cache, "experimental", AMD64, "amd64", debian.EXPERIMENTAL),
}


def obtain(cache, name="stock"):
    """The kernel of that name, made first where there is none."""
    check(name)
    return FLAVOURS[name](cache)


def check(name):
    """Refuse the name of a kernel that is not there."""
    if name not in FLAVOURS:
        raise Failure(f"there is no kernel '{name}'; known are: {', '.join(sorted(FLAVOURS))}")
