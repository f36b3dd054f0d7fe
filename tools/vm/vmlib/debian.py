# SPDX-License-Identifier: GPL-2.0
"""The files that Debian publishes for a kernel: headers, image, modules, sources."""

import os
import re
import shutil
from dataclasses import dataclass

from .errors import Failure
from .progress import apt_status, checkpoints, count_lines, run_step

SERIES = "7.3"

FILES_RECIPE = 3  # raise it when _make_files changes
SOURCE_RECIPE = 1  # raise it when _make_source changes

# MiB that making them takes, with what is downloaded.
FILES_SIZE, SOURCE_SIZE = 400, 2100


@dataclass(frozen=True)
class Suite:
    """A suite of Debian that has kernels, and the build root that has their tools."""

    name: str
    root: str


BACKPORTS = Suite("trixie-backports", "root")
EXPERIMENTAL = Suite("experimental", "root-forky")


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
    pattern = re.compile(rf"linux-headers-({re.escape(series)}(?:\.\d+)?(?:\+[^-]*)?)-{re.escape(arch)}")
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
    """The numbers of a version, to sort by: what follows a tilde comes before it."""
    return [-1 if each == "~" else int(each) for each in re.findall(r"~|\d+", version)]


def parse_madison(text):
    """Names and versions from the output of apt-cache madison."""
    available = {}
    for line in text.splitlines():
        fields = [field.strip() for field in line.split("|")]
        if len(fields) == 3 and fields[2].endswith("Packages"):
            available.setdefault(fields[0], set()).add(fields[1])
    return available


def files(cache, root, arch, name, suite=BACKPORTS):
    """The entry with Debian's files for the kernel of that name: headers, image, modules; and a link to the sources.

    What these links lead to is an entry as well, which the architectures share.
    """
    inputs = {"series": SERIES, "name": name, "suite": suite.name, "recipe": FILES_RECIPE, "place": str(cache.top)}
    essential = ["source/.complete", f"source/linux-source-{SERIES}/Makefile", "headers/.config",
                 "headers/Module.symvers", "image/vmlinuz", "image/modules.dep", "unpacked/usr/bin/busybox"]
    return cache.obtain(f"debian-linux-{SERIES}-{name}", inputs,
                        lambda path, lock: _make_files(cache, root, arch, name, suite, path, lock), essential,
                        FILES_SIZE)


def _make_files(cache, root, arch, name, suite, path, lock):
    log = cache.log(f"debian-linux-{SERIES}-{name}")
    apt = _private_apt(path / "apt", arch, root.sources(suite.name, root.suite))
    where = {"cwd": path}
    run_step("kernel: package lists", root.command(["apt-get", *apt, "-q", "update"], **where), log, "10 s",
             count_lines(30), locks=[lock])
    choice = _newest(root, apt, name, suite, where)
    source, *packages = choice.packages()
    inputs = {"series": SERIES, "debian": choice.debian, "recipe": SOURCE_RECIPE, "place": str(cache.top)}
    sources = cache.obtain(f"debian-linux-{SERIES}-source", inputs,
                           lambda path, lock: _make_source(cache, root, [*apt, "download", source], path, lock),
                           [f"linux-source-{SERIES}/Makefile"], SOURCE_SIZE)
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


def _private_apt(folder, arch, sources):
    """Options that let apt work on lists of its own, without root rights, for any architecture."""
    for sub in ("lists/partial", "cache/archives/partial", "log"):
        (folder / sub).mkdir(parents=True)
    (folder / "sources.list").write_text(sources)
    settings = {"Dir::Etc::SourceList": folder / "sources.list", "Dir::Etc::SourceParts": "/dev/null",
                # The Release file of a suite may be past its date.
                "Acquire::Check-Valid-Until": "false",
                "Dir::State::Lists": folder / "lists", "Dir::Cache": folder / "cache", "Dir::Log": folder / "log",
                "APT::Architecture": arch.debian, "APT::Architectures": arch.debian,
                "APT::Sandbox::User": "root" if os.getuid() == 0 else "", "Acquire::Retries": "5",
                "Debug::NoLocking": "true"}
    return [word for name, value in settings.items() if value for word in ("-o", f"{name}={value}")]


def _newest(root, apt, name, suite, where):
    prefixes = tuple(f"linux-{part}-{SERIES}" for part in ("source", "headers", "binary-unsigned", "modules"))
    names = [each for each in root.run(["apt-cache", *apt, "pkgnames", "linux-"], **where).split()
             if each.startswith(prefixes)]
    text = root.run(["apt-cache", *apt, "madison", *names], **where) if names else ""
    choice = choose(parse_madison(text), name)
    if not choice:
        raise Failure(f"Debian's {suite.name} has no Linux {SERIES} for {name} whose source, headers, image "
                      "and modules are of one version just now; try again in a few hours")
    return choice


def source_tree(entry):
    """The source tree of an entry of files(), at its own place."""
    return (entry.path / "source").resolve() / f"linux-source-{SERIES}"


def _arrange(path, choice, sources):
    """Short names for the parts, and away with what is no longer needed."""
    modules = f"unpacked/usr/lib/modules/{choice.release}"
    (path / "source").symlink_to(sources.path)
    (path / "headers").symlink_to(f"unpacked/usr/src/linux-headers-{choice.release}")
    (path / "image").symlink_to(modules)
    (path / modules / "vmlinuz").symlink_to("vmlinuz.unsigned")
    shutil.rmtree(path / "apt")
