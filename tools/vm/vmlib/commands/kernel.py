# SPDX-License-Identifier: GPL-2.0
"""tools/vm/kernel: where the kernel is, and what it is called; what its headers lack."""

import argparse
from pathlib import Path

from . import CACHE_NOTE, add_kernel, prepare
from .. import artefacts, cache as caching, kernels
from ..progress import say

FACTS = {
    "src": ("the source tree", lambda kernel: kernel.source),
    "build": ("the build tree, as for KDIR=", lambda kernel: kernel.build),
    "image": ("the image that is booted", lambda kernel: kernel.image),
    "modules": ("the directory of the distribution's modules", lambda kernel: kernel.modules or ""),
    "version": ("the version of the sources", lambda kernel: kernel.version),
    "localversion": ("what the release adds to it", lambda kernel: kernel.localversion),
    "release": ("both together, as uname -r says", lambda kernel: kernel.release),
    "arch": ("the architecture, as Debian calls it", lambda kernel: kernel.arch.debian),
    "cross": ("what the names of its compiler begin with, if anything", lambda kernel: kernel.arch.cross),
    "toolchain": ("versions of the tools it and its modules are built with",
                  lambda kernel: ", ".join(f"{name} {kernel.root.version(name)}" for name in ("rustc", "bindgen", "gcc"))),
    "make": ("arguments for make to build against it, one a line", lambda kernel: "\n".join(kernel.make)),
}


ARTEFACTS, UPDATE = "artefacts", "update"


def main():
    """Print one fact about a kernel, or make its artefacts."""
    parser = argparse.ArgumentParser(
        prog="tools/vm/kernel", description="Prints where a kernel is, or what it is called; makes it first if need be.",
        epilog=CACHE_NOTE, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_kernel(parser)
    parser.add_argument("--for", metavar="RELEASE", dest="release",
                        help=f"with {ARTEFACTS}: the kernel, as uname -r prints it, like 7.3.4+deb13-amd64")
    parser.add_argument("--into", metavar="DIR", type=Path, help=f"with {ARTEFACTS}: a directory that is empty or new")
    parser.add_argument("fact", choices=[*FACTS, UPDATE, ARTEFACTS], metavar="FACT",
                        help="; ".join(f"{name}: {text}" for name, (text, _) in FACTS.items())
                        + f"; {UPDATE}: takes the newest version that Debian has, rather than the one that is there, and "
                        "prints the release"
                        + f"; {ARTEFACTS}: makes the files for Rust modules that Debian's headers of a kernel lack, "
                        "and prints their names")
    arguments = parser.parse_args()
    making = arguments.fact == ARTEFACTS
    if making != bool(arguments.release and arguments.into) or not making and (arguments.release or arguments.into):
        parser.error(f"'{ARTEFACTS}' takes --for RELEASE and --into DIR, both, and no other FACT does")
    if making:
        return _make(arguments.release, arguments.into)
    _, _, kernel = prepare(arguments.kernel, arguments.fact == UPDATE)
    print(FACTS["release" if arguments.fact == UPDATE else arguments.fact][1](kernel))
    return 0


def _make(release, into):
    kernels.check_release(release)
    artefacts.check_place(into)
    build, version = kernels.obtain_artefacts(caching.Cache(), release)
    names = artefacts.copy(build, into)
    print("\n".join(names))
    say(f"{len(names)} files for the headers of Linux {release}, {version}, are in {into}")
    return 0
