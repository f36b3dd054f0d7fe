# SPDX-License-Identifier: GPL-2.0
"""tools/vm/module: building an out-of-tree module."""

import argparse

from . import CACHE_NOTE, add_kernel, prepare
from .. import modules


def main():
    """Build, and print the paths of the .ko files."""
    parser = argparse.ArgumentParser(
        prog="tools/vm/module", epilog=CACHE_NOTE,
        description="Builds the out-of-tree module(s) in DIR, C or Rust, against a kernel of tools/vm/run, and prints "
                    "the path of each .ko on a line.")
    add_kernel(parser)
    parser.add_argument("--clippy", action="store_true", help="have clippy look at Rust code")
    parser.add_argument("--without", metavar="CONFIG", action="append", default=[],
                        help="compile Rust code as if this option of the kernel were off; may be repeated")
    parser.add_argument("--with", metavar="CONFIG", action="append", default=[], dest="having",
                        help="compile Rust code as if this option were on; may be repeated")
    parser.add_argument("--anew", action="store_true", help="remove what earlier builds have left in the cache first")
    parser.add_argument("--out", metavar="DIR", help="where to put what is made (default: the cache)")
    parser.add_argument("folder", metavar="DIR", help="where the module's Makefile or Kbuild is")
    arguments = parser.parse_args()
    if arguments.anew and arguments.out:
        parser.error("--anew is for what lies in the cache, not for --out")
    cache, _, kernel = prepare(arguments.kernel)
    for path in modules.build(cache, kernel, arguments.folder, arguments.out, arguments.clippy,
                              arguments.without, arguments.having, arguments.anew):
        print(path)
    return 0
