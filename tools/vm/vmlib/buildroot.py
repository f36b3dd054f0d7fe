# SPDX-License-Identifier: GPL-2.0
"""The pinned Debian system in which everything is built and run.

A directory made by mmdebstrap. Commands in it run as the calling user, with
the checkout, the cache and /tmp of the host visible at their own paths.
"""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Tuple

from . import dates, disk, host, process
from .errors import Failure
from .privilege import as_root, remove_tree
from .progress import count_lines, run_step

SUITE = "trixie"
MIRROR = "/etc/apt/mirror"
RECIPE = 3  # raise it when the steps below change

# Add here whatever should be at hand in the root; it is then made anew.
PACKAGES = """
    make gcc clang lld llvm libclang-dev gcc-14-multilib libc6-dev
    rustc cargo rust-src bindgen rustfmt rust-clippy
    flex bison bc libelf-dev libssl-dev kmod cpio xz-utils zstd rsync dwarves patch
    python3 python3-matplotlib python3-pil git perl ca-certificates file
    libpng-dev libjpeg-dev zlib1g-dev libdrm-dev
    qemu-system-x86
    gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-system-arm
""".split()

# What kernel modules are built with. For a suite whose tools are newer, this must do.
TOOLS = """
    make gcc clang lld llvm libclang-dev libc6-dev rustc rust-src bindgen
    flex bison bc libelf-dev libssl-dev kmod cpio xz-utils zstd rsync dwarves patch
    python3 perl ca-certificates
""".split()

# A root of its own for those who make packages, so that tests do without these.
PACKAGING = """
    dpkg-dev debhelper dh-dkms lintian apt-utils xz-utils ca-certificates mmdebstrap fakeroot man-db
    kmod e2fsprogs python3 build-essential git shellcheck
""".split()

# A userland for the VM, with the tools that tools/trace has scripts for. perf is of the version of the stock kernel.
BACKPORTS = f"{SUITE}-backports"
TRACING = f"linux-perf/{BACKPORTS} bpftrace".split()

# All that gcc-multilib adds to gcc-14-multilib; it cannot stand beside a cross compiler.
ASM = "/usr/include/asm"

# The packages whose versions decide what a kernel build looks like.
TOOLCHAIN = ["gcc", "gcc-aarch64-linux-gnu", "clang", "rustc", "bindgen", "dwarves"]

CHECKOUT = Path(__file__).resolve().parents[3]
ENTER = Path(__file__).resolve().parent / "enter"

# Environment that commands in the root may see; the rest stays outside.
PASSED_ON = ["HOME", "USER", "LOGNAME", "TERM", "COLORTERM", "NO_COLOR", "XDG_CACHE_HOME",
             "http_proxy", "https_proxy", "no_proxy", "SOURCE_DATE_EPOCH", "UDMABUF_RS_MIRROR"]

# Directories of the root's own that the host's must not cover, and places
# in them that are the user's all the same.
OWN = {"bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "run", "sbin", "sys", "usr", "var"}
BUT_NOT = ("/usr/src/", "/usr/local/src/", "/var/tmp/", "/run/user/")


class Buildroot:
    """A complete build root."""

    def __init__(self, cache, entry):
        self.cache = cache
        self.path = entry.path / "root"
        self.suite = entry.info["suite"]
        self.toolchain = entry.info["toolchain"]

    def version(self, tool):
        """The version of a tool, without what Debian adds to it."""
        return re.match(r"(?:\d+:)?([0-9.]*\d)", self.toolchain[tool])[1]

    def sources(self, *suites):
        """Lines for apt: suites of the mirror that this root is from."""
        mirror = (self.path / MIRROR.lstrip("/")).read_text().strip()
        keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
        return "".join(f"deb [signed-by={keyring}] {mirror} {suite} main\n" for suite in suites)

    def command(self, argv, cwd="/", paths=(), env=None):
        """The command line that runs `argv` in the root.

        `paths` are further directories or files of the host that are to be
        visible, `env` further variables.
        """
        shown = ["/dev", "/proc", "/sys", "/tmp", self.cache.top, CHECKOUT, *paths]
        if may_show(str(cwd)):
            shown.append(cwd)
        variables = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        variables.update(PATH="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL="C")
        variables.update(env or {})
        groups = ",".join(str(group) for group in os.getgroups()) or str(os.getgid())
        enter = ["unshare", "--mount", "--propagation", "private", str(ENTER), str(self.path),
                 str(os.getuid()), str(os.getgid()), groups, *_in_order(shown), "--"]
        assignments = [f"{name}={value}" for name, value in variables.items()]
        return as_root(enter) + ["env", "-i", "-C", str(cwd), *assignments, *map(str, argv)]

    def run(self, argv, locks=(), **where):
        """Run a short command in the root, and return what it printed."""
        child = process.start(self.command(argv, **where), locks=locks, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            output, errors = child.communicate()
        except BaseException:
            process.stop(child)
            raise
        if child.returncode:
            text = errors.decode(errors="replace").strip()
            if disk.is_full(text):
                raise Failure(disk.sentence())
            raise Failure(f"{argv[0]} failed in the build root (status {child.returncode}): {text}")
        return output.decode(errors="replace")


def may_show(path):
    """Whether a directory of the host may stand at its place in the root."""
    top = path.split("/")[1]
    return path.startswith(BUT_NOT) or (top != "" and top not in OWN)


def _in_order(paths):
    """Each path once, and parents before what lies under them."""
    return sorted({os.path.realpath(path) for path in paths})


@dataclass(frozen=True)
class Kind:
    """What a root has in it, and what it is not complete without."""

    packages: Tuple[str, ...]
    essential: Tuple[str, ...]
    suite: str = SUITE
    size: int = 1500  # MiB that making it takes, with the packages that are downloaded
    more: str = ""    # another suite of the mirror, for the packages that name it
    prefer: bool = False  # whether that suite comes first, for all packages


ROOTS = {
    "root": Kind(tuple(PACKAGES), ("/usr/bin/rustc", "/usr/bin/qemu-system-x86_64", "/usr/bin/qemu-system-aarch64", ASM),
                 size=3600),
    # For kernels that are built with the tools of the next release.
    "root-forky": Kind(tuple(TOOLS), ("/usr/bin/rustc",), suite="forky", size=2500),
    "packaging": Kind(tuple(PACKAGING), ("/usr/bin/dpkg-buildpackage", "/usr/bin/dh_dkms", "/usr/bin/lintian")),
    "tracing": Kind(tuple(TRACING), ("/usr/bin/perf", "/usr/bin/bpftrace", "/usr/bin/python3"), size=1000,
                    more=BACKPORTS),
}


def obtain(cache, name="root"):
    """The build root, or another of ROOTS, made first where there is none."""
    return obtain_kind(cache, name, ROOTS[name])


def obtain_kind(cache, name, kind):
    """A root of that kind, made first where there is none."""
    mirror = os.environ.get("UDMABUF_RS_MIRROR", "")
    inputs = {"suite": kind.suite, "packages": sorted(kind.packages), "mirror": mirror, "recipe": RECIPE}
    entry = cache.obtain(name, inputs, lambda path, lock: _make(cache, name, kind, path, lock, mirror),
                         ["root" + path for path in (*kind.essential, MIRROR)], kind.size)
    return Buildroot(cache, entry)


def _make(cache, name, kind, path, lock, mirror):
    log = cache.log(name)
    host.require_tools(log)
    # Kernels come from the mirror that mmdebstrap chose.
    hook = (f"chroot \"$1\" apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' "
            f"'Release: {kind.suite}' | head -n 1 > \"$1{MIRROR}\"; test -s \"$1{MIRROR}\"")
    if ASM in kind.essential:
        hook += f"; ln -s x86_64-linux-gnu/asm \"$1{ASM}\""
    more = ([f"--setup-hook=sed -n 's/ {kind.suite} / {kind.more} /p' \"$1/etc/apt/sources.list\" "
             f"> \"$1/etc/apt/sources.list.d/{kind.more}.list\""] if kind.more else [])
    # The cache may lie where apt's own user cannot look, hence its sandbox is off.
    argv = ["mmdebstrap", "--verbose", "--mode=root", "--variant=apt", "--architectures=amd64",
            "--include=" + ",".join(kind.packages), "--aptopt=APT::Sandbox::User \"root\"",
            "--aptopt=Acquire::Retries \"5\"",
            *([f"--aptopt=APT::Default-Release \"{kind.more}\""] if kind.prefer else []),
            *more, "--customize-hook=" + hook, kind.suite, str(path / "root")]
    # Whatever gets mounted on the way is gone with the command.
    environment = ["unshare", "--mount", "--propagation", "private",
                   "env", "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive"]

    def step(dated):
        remove_tree(path / "root")
        undated = [] if dated else [f"--aptopt={dates.CHECK} \"false\""]
        run_step(f"{_title(name)}: {len(kind.packages)} Debian packages of {kind.suite} and what they need",
                 as_root(environment + argv[:1] + undated + argv[1:] + ([mirror] if mirror else [])),
                 cache.log(name), "1 to 3 min", count_lines(55 * len(kind.packages)), locks=[lock])
    dates.despite(step)
    return {"toolchain": _versions(path / "root", TOOLCHAIN), "suite": kind.suite}


def _title(name):
    return "build root" if name == "root" else f"{name} root"


def _versions(root, packages):
    """The installed versions of some packages, from dpkg's own list."""
    versions, name = {}, None
    with open(root / "var/lib/dpkg/status", encoding="utf-8") as status:
        for line in status:
            if line.startswith("Package: "):
                name = line.split()[1]
            elif line.startswith("Version: ") and name in packages:
                versions[name] = line.split()[1]
    return versions
