# SPDX-License-Identifier: GPL-2.0
"""The kernels that look for mistakes: configuration, build, and the files kept of it.

All that one has beyond allnoconfig is in the files of tools/vm/config that its design names.
"""

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Tuple

from .errors import Failure
from .progress import count_lines, run_step

CONFIG = Path(__file__).resolve().parents[1] / "config"

RECIPE = 1  # raise it when make() or what is kept changes
LINES = 2110  # of output
SIZE = 1500  # MiB that building it takes


@dataclass(frozen=True)
class Build:
    """How a kernel for an architecture is built."""

    folder: str             # of arch/
    image: str              # target of make, in arch/*/boot
    make: Tuple[str, ...]   # arguments for make
    tools: Tuple[str, ...]  # needed by modules, beyond the rest
    append: str = ""        # kernel arguments


BUILDS = {
    # KASAN complains at boot where there are five levels of page tables.
    "amd64": Build("x86", "bzImage", (), ("tools",), "no5lvl"),
    "arm64": Build("arm64", "Image", ("ARCH=arm64",), ()),
}


@dataclass(frozen=True)
class Design:
    """One such kernel."""

    name: str                  # ending of its release
    what: str
    arch: str                  # as Debian calls it
    parts: Tuple[str, ...]     # files of CONFIG
    append: str = ""           # kernel arguments
    patch: str = ""            # a file of CONFIG with changes to the sources
    calls: str = ""            # how the functions are called that instrumented code calls, if it is

    @property
    def fragment(self):
        """All that it has beyond allnoconfig."""
        return "\n".join((CONFIG / part).read_text() for part in self.parts)

    @property
    def build(self):
        """Its architecture."""
        return BUILDS[self.arch]

    @property
    def localversion(self):
        """The part of the release behind the version."""
        return f"+{self.name}"

    @property
    def make(self):
        """Arguments for make. Rust has sanitizers only where C is compiled by clang."""
        return ("LLVM=1", f"LOCALVERSION={self.localversion}", *self.build.make)

    @property
    def kept(self):
        """Files that modules are built with. The rest of the build tree is removed."""
        return [".config", "Makefile", "Module.symvers", "modules.builtin", "source", "include",
                f"arch/{self.build.folder}/include", "rust", "scripts", *self.build.tools]

    def inputs(self):
        """Inputs besides sources and tools."""
        found = {"options": options(self.fragment), "recipe": RECIPE}
        if self.patch:
            found["patch"] = (CONFIG / self.patch).read_text()
        return found


# It counts every mapping.
MAPPINGS = "dma_debug_entries=200000"

DESIGNS = {
    "debug": Design("debug", "the debug kernel", "amd64", ("common.config", "amd64.config", "debug.config"), MAPPINGS),
    "debug-arm64": Design("debug", "the debug kernel for arm64", "arm64",
                          ("common.config", "arm64.config", "debug.config"), MAPPINGS),
    # Emulated, it makes a hundredth of the accesses of a real machine: watched are more of them, and for longer.
    "kcsan": Design("kcsan", "the kernel with KCSAN", "amd64", ("common.config", "amd64.config", "kcsan.config"),
                    "kcsan.udelay_task=300 kcsan.skip_watch=300", patch="kcsan.patch", calls="__tsan_"),
}

OBJECTS = (".o", ".a", ".cmd")
CONSTRUCTOR = "tsan.module_ctor"
# The kernel's Rust objects that are instrumented.
RUST = ("rust/core.o", "rust/kernel.o")


def options(text):
    """The options in a .config or a part of one: name -> value, where n is none."""
    found = {}
    for line in text.splitlines():
        match = re.fullmatch(r"(CONFIG_\w+)=(.*)", line)
        if match and match[2] != "n":
            found[match[1]] = match[2]
    return found


def unmet(fragment, config):
    """What a fragment asks for and a configuration has otherwise, as a fragment would say it."""
    got = options(config)
    asked = re.findall(r"^(CONFIG_\w+)=(.*)$", fragment, re.MULTILINE)
    return [f"{name}={value}" for name, value in asked if got.get(name, "n") != value]


def make(cache, root, design, source, path, lock):
    """Build the kernel into path/build, and copy the boot image to path/image."""
    build, fragment = path / "build", path / "fragment.config"
    build.mkdir()
    fragment.write_text(design.fragment)
    if design.patch:
        source = patched(root, source, path / "source", CONFIG / design.patch, lock)
    argv = ["make", "-C", source, f"O={build}", *design.make]
    root.run([*argv, f"KCONFIG_ALLCONFIG={fragment}", "allnoconfig"], cwd=path, locks=[lock])
    missing = unmet(design.fragment, (build / ".config").read_text())
    if missing:
        raise Failure(f"these options of {', '.join(str(CONFIG / part) for part in design.parts)} need others, or are "
                      f"none of this kernel's: {', '.join(missing)}")
    run_step(f"kernel: {design.what}",
             root.command([*argv, f"-j{os.cpu_count()}", design.build.image, "modules_prepare"], cwd=path),
             cache.log(f"kernel-{design.name}-{design.arch}"), "15 to 20 min on two cores", count_lines(LINES),
             locks=[lock])
    if design.calls:
        check_instrumented(root, design.calls, [build / name for name in RUST])
    os.replace(build / "arch" / design.build.folder / "boot" / design.build.image, path / IMAGE)
    os.replace(build / "vmlinux.symvers", build / "Module.symvers")
    trim(build, design.kept)


IMAGE = "bzImage"  # of every kernel, in its entry


def patched(root, source, tree, patch, lock):
    """A source tree with the changes of a patch: links to the other, but for the files that are changed."""
    names = re.findall(r"^\+\+\+ b/(\S+)$", patch.read_text(), re.MULTILINE)
    _link(source, tree, [Path(name).parts for name in names])
    root.run(["patch", "--strip=1", "--fuzz=0", "--force", "--input", patch], cwd=tree, locks=[lock])
    return tree


def _link(source, tree, changed):
    """Make `tree` of links to all in `source`, with folders and copies of their own for the paths that are changed."""
    tree.mkdir()
    for entry in source.iterdir():
        below = [path[1:] for path in changed if path[0] == entry.name]
        if any(below):
            _link(entry, tree / entry.name, below)
        elif below:
            shutil.copy2(entry, tree / entry.name)
        else:
            (tree / entry.name).symlink_to(entry)


def check_instrumented(root, prefix, objects, paths=()):
    """Refuse objects with code that call no function whose name begins with `prefix`.

    The constructor that the compiler adds to any object, and the function that it calls, do not count.
    """
    found = symbols(root.run(["llvm-nm", "--print-file-name", "--quiet", *objects], paths=paths))
    for path in objects:
        has = found.get(str(path), [])
        has_code = any(kind in "tTwW" and name != CONSTRUCTOR for kind, name in has)
        calls = any(kind == "U" and name.startswith(prefix) and name != f"{prefix}init" for kind, name in has)
        if has_code and not calls:
            raise Failure(f"{path} is not instrumented: it calls no {prefix}*")


def symbols(text):
    """The kind and name of each symbol, by object, from the output of nm with names of files."""
    found = {}
    for line in text.splitlines():
        path, _, rest = line.rpartition(": ")
        *_, kind, name = rest.split()
        found.setdefault(path, []).append((kind, name))
    return found


def trim(build, kept):
    """Keep of a build tree what modules are built with."""
    whole = build.with_name("whole")
    build.rename(whole)
    for name in kept:
        (build / name).parent.mkdir(parents=True, exist_ok=True)
        (whole / name).rename(build / name)
    shutil.rmtree(whole)
    for folder, _, files in os.walk(build):
        for name in files:
            if name.endswith(OBJECTS):
                os.unlink(os.path.join(folder, name))
