# SPDX-License-Identifier: GPL-2.0
"""The kernels to choose from, and how each is made.

A flavour is a function that returns a complete Kernel. All start from the
files that Debian publishes for one version; to add a flavour, write such a
function and register it in FLAVOURS.
"""

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Tuple

from . import debugkernel
from .errors import Failure
from .progress import apt_status, checkpoints, count_lines, marks, run_step

SERIES = "7.3"
# There is no vmlinux to make BTF from, and each module would say so.
NO_BTF = "CONFIG_DEBUG_INFO_BTF_MODULES="

FILES_RECIPE = 2  # raise it when _make_files changes
SOURCE_RECIPE = 1  # raise it when _make_source changes
STOCK_RECIPE = 1  # raise it when _make_stock changes


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


AMD64 = Arch(debian="amd64", cross="", make=(),
             emulator="qemu-system-x86_64", cpu="max", machine=("-machine", "pc"),
             iommu=("-machine", "q35", "-device", "intel-iommu,intremap=off"), console="ttyS0")
# Signing pointers the way the architecture says takes half of the time when emulated.
ARM64 = Arch(debian="arm64", cross="aarch64-linux-gnu-", make=("ARCH=arm64", "CROSS_COMPILE=aarch64-linux-gnu-"),
             emulator="qemu-system-aarch64", cpu="max,pauth-impdef=on", machine=("-machine", "virt,gic-version=3"),
             iommu=("-machine", "virt,gic-version=3,iommu=smmuv3"), console="ttyAMA0")


@dataclass(frozen=True)
class Kernel:
    """A kernel that can be booted, and built against."""

    flavour: str
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


@dataclass(frozen=True)
class Choice:
    """One version for which Debian has everything that is needed."""

    debian: str   # the version of the packages, as in 7.3.4-1~bpo13+1
    release: str  # as in 7.3.4+deb13-amd64
    abi: str      # the release without the architecture

    def packages(self):
        """What to download, as apt wants it named; the sources come first."""
        return [f"{name}={self.debian}" for name in needed(self.release, self.abi)]


def needed(release, abi):
    """The packages that make up one kernel."""
    return [f"linux-source-{SERIES}", f"linux-headers-{release}", f"linux-headers-{abi}-common",
            f"linux-binary-unsigned-{release}", f"linux-modules-{release}"]


def choose(available, arch, series=SERIES):
    """The newest version for which all packages agree.

    `available` maps names of packages to the set of their versions. `arch` is
    what names of kernels end in: amd64, arm64-16k. Returns None where there is
    no such version.
    """
    pattern = re.compile(rf"linux-headers-({re.escape(series)}\.\d+[^-]*)-{re.escape(arch)}")
    choices = []
    for name, versions in available.items():
        match = pattern.fullmatch(name)
        if not match:
            continue
        release = f"{match[1]}-{arch}"
        for version in versions:
            if all(version in available.get(other, ()) for other in needed(release, match[1])):
                choices.append(Choice(version, release, match[1]))
    return max(choices, key=lambda choice: _numbers(choice.debian), default=None)


def _numbers(version):
    return [int(number) for number in re.findall(r"\d+", version)]


def parse_madison(text):
    """Names and versions from the output of apt-cache madison."""
    available = {}
    for line in text.splitlines():
        fields = [field.strip() for field in line.split("|")]
        if len(fields) == 3 and fields[2].endswith("Packages"):
            available.setdefault(fields[0], set()).add(fields[1])
    return available


# What Debian publishes

def _files(cache, root, arch, name):
    """The entry with Debian's files for the kernel of that name: headers, image, modules; and a link to the sources.

    What these links lead to is an entry as well, which the architectures share.
    """
    inputs = {"series": SERIES, "name": name, "recipe": FILES_RECIPE, "place": str(cache.top)}
    essential = ["source/.complete", f"source/linux-source-{SERIES}/Makefile", "headers/.config",
                 "headers/Module.symvers", "image/vmlinuz", "image/modules.dep", "unpacked/usr/bin/busybox"]
    return cache.obtain(f"debian-linux-{SERIES}-{name}", inputs,
                        lambda path, lock: _make_files(cache, root, arch, name, path, lock), essential)


def _make_files(cache, root, arch, name, path, lock):
    log = cache.log(f"debian-linux-{SERIES}-{name}")
    apt = _private_apt(path / "apt", arch)
    where = {"cwd": path}
    run_step("kernel: package lists", root.command(["apt-get", *apt, "-q", "update"], **where), log, "10 s",
             count_lines(30), locks=[lock])
    choice = _newest(root, apt, name, where)
    source, *packages = choice.packages()
    inputs = {"series": SERIES, "debian": choice.debian, "recipe": SOURCE_RECIPE, "place": str(cache.top)}
    sources = cache.obtain(f"debian-linux-{SERIES}-source", inputs,
                           lambda path, lock: _make_source(cache, root, [*apt, "download", source], path, lock),
                           [f"linux-source-{SERIES}/Makefile"])
    _download(root, f"Linux {choice.release} (130 MB)", [*apt, "download", *packages, "busybox-static"],
              log, path, lock)
    _arrange(path, choice, sources)
    root.run(["sh", "-ec", f"ln -s usr/lib unpacked/lib; depmod -b unpacked {choice.release}"], cwd=path, locks=[lock])
    return {"debian": choice.debian, "release": choice.release, "version": choice.abi.split("+")[0]}


def _make_source(cache, root, apt, path, lock):
    log = cache.log(f"debian-linux-{SERIES}-source")
    _download(root, f"the sources of Linux {SERIES} (170 MB)", apt, log, path, lock)
    archive = path / f"unpacked/usr/src/linux-source-{SERIES}.tar.xz"
    run_step("kernel: unpacking the sources",
             root.command(["tar", "-xf", archive, "--checkpoint=2000", "--checkpoint-action=echo=%u"], cwd=path),
             log, "20 s", checkpoints(168000), locks=[lock])
    shutil.rmtree(path / "unpacked")
    return {}


def _download(root, what, apt, log, path, lock):
    """Have apt download packages, and unpack them into path/unpacked."""
    debs = path / "debs"
    debs.mkdir()
    run_step(f"kernel: downloading {what}",
             root.command(["apt-get", "-q", "-o", "APT::Status-Fd=1", *apt], cwd=debs),
             log, "10 s to 2 min", apt_status, locks=[lock])
    run_step("kernel: unpacking the packages",
             root.command(["sh", "-ec", 'for deb in *.deb; do echo "$deb"; dpkg-deb -x "$deb" ../unpacked; done'],
                          cwd=debs),
             log, "10 s", count_lines(5), locks=[lock])
    shutil.rmtree(debs)


def _private_apt(folder, arch):
    """Options that let apt work on lists of its own, without root rights, for any architecture."""
    for sub in ("lists/partial", "cache/archives/partial", "log"):
        (folder / sub).mkdir(parents=True)
    settings = {"Dir::State::Lists": folder / "lists", "Dir::Cache": folder / "cache", "Dir::Log": folder / "log",
                "APT::Architecture": arch.debian, "APT::Architectures": arch.debian,
                "APT::Sandbox::User": "root" if os.getuid() == 0 else "", "Acquire::Retries": "5",
                "Debug::NoLocking": "true"}
    return [word for name, value in settings.items() if value for word in ("-o", f"{name}={value}")]


def _newest(root, apt, name, where):
    names = [each for each in root.run(["apt-cache", *apt, "pkgnames", "linux-"], **where).split()
             if each.startswith((f"linux-source-{SERIES}", f"linux-headers-{SERIES}.",
                                 f"linux-binary-unsigned-{SERIES}.", f"linux-modules-{SERIES}."))]
    text = root.run(["apt-cache", *apt, "madison", *names], **where) if names else ""
    choice = choose(parse_madison(text), name)
    if not choice:
        raise Failure(f"Debian's backports have no Linux {SERIES}.x for {name} whose source, headers, image "
                      "and modules are of one version just now; try again in a few hours")
    return choice


def _arrange(path, choice, sources):
    """Short names for the parts, and away with what is no longer needed."""
    modules = f"unpacked/usr/lib/modules/{choice.release}"
    (path / "source").symlink_to(sources.path)
    (path / "headers").symlink_to(f"unpacked/usr/src/linux-headers-{choice.release}")
    (path / "image").symlink_to(modules)
    (path / modules / "vmlinuz").symlink_to("vmlinuz.unsigned")
    shutil.rmtree(path / "apt")


def _source(files):
    """The source tree, at its own place."""
    return (files.path / "source").resolve() / f"linux-source-{SERIES}"


# The flavours

def _stock(cache, root, flavour, arch, name):
    """Debian's own kernel of that name, unmodified, with the Rust artefacts made again."""
    files = _files(cache, root, arch, name)
    inputs = {"files": files.path.name, "debian": files.info["debian"], "toolchain": root.toolchain,
              "recipe": STOCK_RECIPE}
    essential = ["build/Module.symvers", "build/include/generated/rustc_cfg", "build/scripts/module.lds",
                 "build/rust/libkernel.rmeta", "build/rust/libmacros.so"]
    entry = cache.obtain(f"kernel-stock-{name}", inputs,
                         lambda path, lock: _make_stock(cache, root, arch, files, path, lock), essential)
    version, release = files.info["version"], files.info["release"]
    localversion = release[len(version):]
    return Kernel(flavour=flavour, arch=arch, version=version, localversion=localversion,
                  source=_source(files), build=entry.path / "build",
                  image=files.path / "image" / "vmlinuz", busybox=files.path / "unpacked/usr/bin/busybox",
                  modules=files.path / "image", make=(*arch.make, f"LOCALVERSION={localversion}", NO_BTF))


def _make_stock(cache, root, arch, files, path, lock):
    build = path / "build"
    build.mkdir()
    for name in (".config", "Module.symvers"):
        shutil.copy(files.path / "headers" / name, build)
    release = files.info["release"]
    make = ["make", "-C", _source(files), f"O={build}", *arch.make,
            f"LOCALVERSION={release[len(files.info['version']):]}"]
    root.run([*make, "olddefconfig"], cwd=path, locks=[lock])
    run_step(f"kernel: Rust artefacts of Linux {release}",
             root.command([*make, f"-j{os.cpu_count()}", "modules_prepare"], cwd=path),
             cache.log(f"kernel-stock-{arch.debian}"), "2 to 4 min on two cores", marks(MILESTONES), locks=[lock])
    return {"release": release, "debian": files.info["debian"]}


# Where modules_prepare is, in percent of its time, when it says this.
MILESTONES = {"HOSTCC": 2, "rust/core.o": 15, "bindings_generated.rs": 17, "host/libsyn.rlib": 35,
              "rust/zerocopy.o": 50, "rust/libmacros.so": 55, "rust/bindings.o": 65, "rust/kernel.o": 80,
              "exports_kernel_generated.h": 98}


def _debug(cache, root):
    """A kernel of the same sources that looks for mistakes while it runs."""
    files = _files(cache, root, AMD64, "amd64")
    source, version = _source(files), files.info["version"]
    inputs = {"source": str(source), "options": debugkernel.options(debugkernel.FRAGMENT.read_text()),
              "toolchain": root.toolchain, "recipe": debugkernel.RECIPE}
    entry = cache.obtain("kernel-debug-amd64", inputs,
                         lambda path, lock: debugkernel.make(cache, root, source, path, lock),
                         ["bzImage", *(f"build/{name}" for name in debugkernel.KEPT), "build/rust/libkernel.rmeta"])
    return Kernel(flavour="debug", arch=AMD64, version=version, localversion=debugkernel.LOCALVERSION,
                  source=source, build=entry.path / "build", image=entry.path / "bzImage",
                  busybox=files.path / "unpacked/usr/bin/busybox", modules=None,
                  make=debugkernel.MAKE, append=debugkernel.APPEND)


FLAVOURS = {
    "debug": _debug,
    "stock": lambda cache, root: _stock(cache, root, "stock", AMD64, "amd64"),
    "arm64": lambda cache, root: _stock(cache, root, "arm64", ARM64, "arm64"),
    "arm64-16k": lambda cache, root: _stock(cache, root, "arm64-16k", ARM64, "arm64-16k"),
}


def obtain(cache, root, name="stock"):
    """The kernel of that name, made first where there is none."""
    check(name)
    return FLAVOURS[name](cache, root)


def check(name):
    """Refuse the name of a kernel that is not there."""
    if name not in FLAVOURS:
        raise Failure(f"there is no kernel '{name}'; known are: {', '.join(sorted(FLAVOURS))}")
