# SPDX-License-Identifier: GPL-2.0
"""The files that Debian publishes for a kernel: headers, image, modules, sources."""

import contextlib
import os
import re
import shutil
from dataclasses import dataclass

from . import dates
from .errors import Unavailable
from .progress import StepFailed, apt_status, checkpoints, count_lines, run_step

FILES_RECIPE = 4  # raise it when _make_files changes
SOURCE_RECIPE = 1  # raise it when _make_source changes

# MiB that making them takes, with what is downloaded.
FILES_SIZE, SOURCE_SIZE = 400, 2100

HOST = "amd64"  # the architecture of the build roots


@dataclass(frozen=True)
class Suite:
    """A suite of Debian that has kernels of a series, and the build root that has their tools."""

    name: str
    root: str
    mark: str  # what its releases have after the version
    series: str = "7.3"


BACKPORTS = Suite("trixie-backports", "root", "+deb13")
BACKPORTS_BEFORE = Suite("trixie-backports", "root", "+deb13", "7.2")
FORKY = Suite("forky", "root-forky", "+deb14", "7.2")
EXPERIMENTAL = Suite("experimental", "root-forky", "")


@dataclass(frozen=True)
class Choice:
    """One version for which Debian has everything that is needed."""

    debian: str   # the version of the packages, as in 7.3.4-1~bpo13+1
    release: str  # as in 7.3.4+deb13-amd64
    abi: str      # the release without the architecture
    series: str   # as in 7.3

    def packages(self, arch=HOST):
        """What to download, as apt wants it named; the sources come first."""
        foreign = "" if arch == HOST else f":{arch}"
        return [f"{name}{foreign if name.endswith(self.release) else ''}={self.debian}"
                for name in needed(self.release, self.abi, self.series)]


def needed(release, abi, series):
    """The packages that make up one kernel. Those of programs that headers call are the build root's."""
    return [f"linux-source-{series}", f"linux-headers-{release}", f"linux-headers-{abi}-common", f"linux-kbuild-{abi}",
            f"linux-binary-unsigned-{release}", f"linux-modules-{release}"]


def choices(available, arch, series=BACKPORTS.series):
    """All versions for which all packages agree, the newest first.

    `available` maps names of packages to the set of their versions. `arch` is
    what names of kernels end in: amd64, arm64-16k.
    """
    pattern = re.compile(rf"linux-headers-({re.escape(series)}(?:\.\d+)?(?:\+[^-]*)?)-{re.escape(arch)}")
    found = []
    for name, versions in available.items():
        match = pattern.fullmatch(name)
        if not match:
            continue
        release = f"{match[1]}-{arch}"
        for version in versions:
            if all(version in available.get(other, ()) for other in needed(release, match[1], series)):
                found.append(Choice(version, release, match[1], series))
    return sorted(found, key=lambda choice: order(choice.debian), reverse=True)


def order(version):
    """The numbers of a version, to sort by: what follows a tilde comes before it."""
    return [-1 if each == "~" else int(each) for each in re.findall(r"~|\d+", version)]


def parse_madison(text):
    """Names and versions from the output of apt-cache madison; names of another architecture are without it."""
    available = {}
    for line in text.splitlines():
        fields = [field.strip() for field in line.split("|")]
        if len(fields) == 3 and fields[2].endswith("Packages"):
            available.setdefault(fields[0].split(":")[0], set()).add(fields[1])
    return available


# What is in the cache

def _essential(suite):
    return ["source/.complete", f"source/linux-source-{suite.series}/Makefile", "headers/.config", "headers/Module.symvers",
            "headers/scripts/mod/modpost", "image/vmlinuz", "image/modules.dep", "unpacked/usr/bin/busybox"]


def _kind(name, suite):
    return f"debian-linux-{suite.series}-{name}"


def _inputs(cache, name, suite, version):
    return {"series": suite.series, "name": name, "suite": suite.name, "debian": version, "recipe": FILES_RECIPE,
            "place": str(cache.top)}


def kept(cache, name, suite=BACKPORTS):
    """The complete entries with files for the kernel of that name, the newest version first."""
    found = [entry for entry in cache.entries(_kind(name, suite), _essential(suite))
             if entry.inputs == _inputs(cache, name, suite, entry.info["debian"])]
    return sorted(found, key=lambda entry: order(entry.info["debian"]), reverse=True)


def source_tree(entry):
    """The source tree of an entry of files, at its own place."""
    series = ".".join(entry.info["version"].split(".")[:2])
    return (entry.path / "source").resolve() / f"linux-source-{series}"


# What is in the archive

class Archive:
    """A suite, as apt sees it by lists of its own: which kernels of one name it has.

    Its methods raise Unavailable where apt fails.
    """

    def __init__(self, cache, root, arch, name, suite, folder, lock):
        self.cache, self.root, self.arch, self.name, self.suite = cache, root, arch, name, suite
        self.folder, self.locks = folder, [lock]
        self.apt = _private_apt(folder, arch.debian, root.sources(*dict.fromkeys((suite.name, root.suite))))

    def choices(self):
        """The versions to be had, the newest first; there is at least one."""
        self._update()
        series = self.suite.series
        prefixes = tuple(f"linux-{part}-{series}" for part in ("source", "headers", "kbuild", "binary-unsigned", "modules"))
        names = [each for each in self._cache("pkgnames", "linux-").split() if each.startswith(prefixes)]
        found = choices(parse_madison(self._cache("madison", *names)) if names else {}, self.name, series)
        if not found:
            raise Unavailable(f"{self.suite.name} has no Linux {series} for {self.name} whose source, headers, image and "
                              "modules are of one version just now")
        return found

    def obtain(self, choice):
        """The entry with Debian's files for one version: headers, image, modules; and a link to the sources.

        What these links lead to is an entry as well, which the architectures share.
        """
        return self.cache.obtain(_kind(self.name, self.suite), _inputs(self.cache, self.name, self.suite, choice.debian),
                                 lambda path, lock: self._make_files(choice, path, lock), _essential(self.suite),
                                 FILES_SIZE)

    def _cache(self, *words):
        return self.root.run(["apt-cache", *self.apt, *words], cwd=self.folder)

    def _update(self):
        try:
            dates.despite(self._lists)
        except StepFailed as failure:
            raise Unavailable(f"apt cannot read the lists of {self.suite.name} ({failure.lines('E: ')[0]})")

    def _lists(self, dated):
        # The roots may be without that check.
        self.apt += ["-o", f"{dates.CHECK}={'true' if dated else 'false'}"]
        run_step("kernel: package lists", self.root.command(["apt-get", *self.apt, "-q", "update"], cwd=self.folder),
                 self.cache.log(_kind(self.name, self.suite)), "10 s", count_lines(30), locks=self.locks)

    def _make_files(self, choice, path, lock):
        log, series = self.cache.log(_kind(self.name, self.suite)), self.suite.series
        source, *packages = choice.packages(self.arch.debian)
        inputs = {"series": series, "debian": choice.debian, "recipe": SOURCE_RECIPE, "place": str(self.cache.top)}
        sources = self.cache.obtain(f"debian-linux-{series}-source", inputs,
                                    lambda path, lock: self._make_source(source, path, lock),
                                    [f"linux-source-{series}/Makefile"], SOURCE_SIZE)
        busybox = "busybox-static" if self.arch.debian == HOST else f"busybox-static:{self.arch.debian}"
        self._download(f"Linux {choice.release} (130 MB)", [*packages, busybox], log, path, lock)
        _arrange(path, choice, sources)
        self.root.run(["sh", "-ec", f"ln -s usr/lib unpacked/lib; depmod -b unpacked {choice.release}"], cwd=path,
                      locks=[lock])
        return {"debian": choice.debian, "release": choice.release, "version": choice.abi.split("+")[0]}

    def _make_source(self, package, path, lock):
        series = self.suite.series
        log = self.cache.log(f"debian-linux-{series}-source")
        self._download(f"the sources of Linux {series} (170 MB)", [package], log, path, lock)
        archive = path / f"unpacked/usr/src/linux-source-{series}.tar.xz"
        run_step("kernel: unpacking the sources",
                 self.root.command(["tar", "-xf", archive, "--checkpoint=2000", "--checkpoint-action=echo=%u"], cwd=path),
                 log, "20 s", checkpoints(168000), locks=[lock])
        shutil.rmtree(path / "unpacked")
        return {}

    def _download(self, what, packages, log, path, lock):
        """Have apt download packages, and unpack them into path/unpacked."""
        debs = path / "debs"
        debs.mkdir()
        try:
            self._fetch(what, packages, log, debs, lock)
        except StepFailed as failure:
            raise Unavailable(f"{self.suite.name} lists {what.partition(' (')[0]}, but apt cannot get it "
                              f"({failure.lines('E: ')[0]})")
        shutil.rmtree(debs)

    def _fetch(self, what, packages, log, debs, lock):
        run_step(f"kernel: downloading {what}",
                 self.root.command(["apt-get", "-q", "-o", "APT::Status-Fd=1", *self.apt, "download", *packages], cwd=debs),
                 log, "10 s to 2 min", apt_status, locks=[lock])
        run_step("kernel: unpacking the packages",
                 self.root.command(["sh", "-ec", 'for deb in *.deb; do echo "$deb"; dpkg-deb -x "$deb" ../unpacked; done'],
                                   cwd=debs),
                 log, "10 s", count_lines(5), locks=[lock])


@contextlib.contextmanager
def archive(cache, root, arch, name, suite=BACKPORTS):
    """An Archive; its lists are gone in the end."""
    folder = cache.top / f"apt-{suite.name}-{suite.series}-{name}"
    with cache.lock(folder.name) as lock:
        try:
            shutil.rmtree(folder, ignore_errors=True)
            yield Archive(cache, root, arch, name, suite, folder, lock)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _private_apt(folder, arch, sources):
    """Options that let apt work on lists of its own, without root rights, for an architecture beside the root's."""
    for sub in ("lists/partial", "cache/archives/partial", "log"):
        (folder / sub).mkdir(parents=True)
    (folder / "sources.list").write_text(sources)
    settings = {"Dir::Etc::SourceList": folder / "sources.list", "Dir::Etc::SourceParts": "/dev/null",
                "APT::Update::Error-Mode": "any", "Acquire::Languages": "none",
                "Dir::State::Lists": folder / "lists", "Dir::Cache": folder / "cache", "Dir::Log": folder / "log",
                "APT::Architecture": HOST, "APT::Architectures": ",".join(dict.fromkeys([HOST, arch])),
                "APT::Sandbox::User": "root" if os.getuid() == 0 else "", "Acquire::Retries": "5",
                "Debug::NoLocking": "true"}
    return [word for name, value in settings.items() if value for word in ("-o", f"{name}={value}")]


def _arrange(path, choice, sources):
    """Short names for the parts."""
    modules = f"unpacked/usr/lib/modules/{choice.release}"
    (path / "source").symlink_to(sources.path)
    (path / "headers").symlink_to(f"unpacked/usr/src/linux-headers-{choice.release}")
    (path / "image").symlink_to(modules)
    (path / modules / "vmlinuz").symlink_to("vmlinuz.unsigned")
