# SPDX-License-Identifier: GPL-2.0
"""tools/vm/root: a command inside the build root."""

import argparse
import os
import sys

from . import CACHE_NOTE
from .. import buildroot, cache


def main():
    """Become the command."""
    parser = argparse.ArgumentParser(
        prog="tools/vm/root", epilog=CACHE_NOTE, usage="%(prog)s [-h] [--root NAME] -- COMMAND...",
        description="Runs COMMAND in the build root, as the calling user and in the same directory. The checkout, the "
                    "cache, /tmp and the current directory are visible there; of the environment, only the names of "
                    "user and terminal, proxies, and the like are passed on.")
    parser.add_argument("--root", default="root", choices=sorted(buildroot.ROOTS),
                        help="another root than the one for builds and VMs: packaging has Debian's packaging tools, "
                             "tracing has perf and bpftrace")
    parser.add_argument("command", nargs="+", metavar="COMMAND", help="what to run, and its arguments")
    arguments = parser.parse_args()
    root = buildroot.obtain(cache.Cache(), arguments.root)
    argv = root.command(arguments.command, cwd=os.getcwd())
    sys.stdout.flush()
    os.execvp(argv[0], argv)
