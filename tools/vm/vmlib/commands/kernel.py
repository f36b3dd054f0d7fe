# SPDX-License-Identifier: GPL-2.0
"""tools/vm/kernel: where the kernel is, and what it is called."""

import argparse

from . import CACHE_NOTE, add_kernel, prepare

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


def main():
    """Print one fact about a kernel."""
    parser = argparse.ArgumentParser(
        prog="tools/vm/kernel", description="Prints where a kernel is, or what it is called; makes it first if need be.",
        epilog=CACHE_NOTE, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_kernel(parser)
    parser.add_argument("fact", choices=list(FACTS), metavar="FACT",
                        help="; ".join(f"{name}: {text}" for name, (text, _) in FACTS.items()))
    arguments = parser.parse_args()
    _, _, kernel = prepare(arguments.kernel)
    print(FACTS[arguments.fact][1](kernel))
    return 0
