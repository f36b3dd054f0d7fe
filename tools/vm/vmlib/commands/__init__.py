# SPDX-License-Identifier: GPL-2.0
"""The command lines of tools/vm."""

import os
import signal
import sys

from .. import cache, buildroot, kernels
from ..errors import Failure, TOOL_FAILED


def enter(name, main):
    """Run one tool's main(), and turn what goes wrong into a sentence and a status."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _terminate)
    try:
        return main()
    except Failure as failure:
        print(f"tools/vm/{name}: {failure}", file=sys.stderr)
        return failure.status
    except KeyboardInterrupt:
        print(f"\ntools/vm/{name}: interrupted", file=sys.stderr)
        return 128 + signal.SIGINT
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except OSError as error:
        print(f"tools/vm/{name}: {error}", file=sys.stderr)
        return TOOL_FAILED


def _terminate(number, _frame):
    raise SystemExit(128 + number)


def add_kernel(parser):
    """The option that every tool has."""
    parser.add_argument("--kernel", default="stock", metavar="NAME",
                        help="which kernel: " + ", ".join(sorted(kernels.FLAVOURS)) + " (default: %(default)s)")


def prepare(kernel_name):
    """The cache, the build root and the kernel, made first where they are missing."""
    kernels.check(kernel_name)
    top = cache.Cache()
    root = buildroot.obtain(top)
    return top, root, kernels.obtain(top, kernel_name)


CACHE_NOTE = (f"Everything made is kept in {cache.default_top()}, and is safe to delete at any time"
              " (with sudo, unless you are root); it is then made again.")
