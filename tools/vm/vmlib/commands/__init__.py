# SPDX-License-Identifier: GPL-2.0
"""The command lines of tools/vm."""

from .. import cache, buildroot, guard, kernels


def enter(name, main):
    """Run one tool's main(), and turn what goes wrong into a sentence and a status."""
    return guard.guarded(f"tools/vm/{name}", main)


def add_kernel(parser):
    """The option that every tool has."""
    parser.add_argument("--kernel", default="stock", metavar="NAME",
                        help="which kernel: " + ", ".join(sorted(kernels.FLAVOURS)) + " (default: %(default)s)")


def prepare(kernel_name, update=False):
    """The cache, the build root and the kernel, made first where they are missing."""
    kernels.check(kernel_name)
    top = cache.Cache()
    root = buildroot.obtain(top)
    return top, root, kernels.obtain(top, kernel_name, update)


CACHE_NOTE = (f"Everything made is kept in {cache.default_top()}, and is safe to delete at any time"
              " (with sudo, unless you are root); it is then made again.")
