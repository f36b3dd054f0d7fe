# SPDX-License-Identifier: GPL-2.0
"""tools/vm/run: a command in the VM."""

import argparse
import math
import os
import re
import shlex
import sys

from . import CACHE_NOTE, add_kernel, prepare
from .. import buildroot, initramfs, modules, qemu, terminal, verdict
from ..progress import say

REPLACE_C = "initcall_blacklist=udmabuf_dev_init"

TIMEOUT = 600.0

STATUSES = """
exit status: that of COMMAND, or
   99  the kernel log has a WARN, BUG, Oops, panic, lockdep, KASAN, UBSAN,
       DMA-API or leak report that --expect-log did not announce, or a KCSAN
       report of an access by a module
  124  COMMAND did not end in time
  125  the tool failed: nothing could be built, booted or loaded
"""


def parser():
    """The command line."""
    parse = argparse.ArgumentParser(
        prog="tools/vm/run", usage="%(prog)s [OPTION]... -- COMMAND...\n       %(prog)s [OPTION]... --shell",
        formatter_class=argparse.RawDescriptionHelpFormatter, epilog=STATUSES + "\n" + CACHE_NOTE,
        description="Boots a VM, loads udmabuf_rs.ko, runs COMMAND in it, and passes its output and exit status on.")
    add_kernel(parse)
    parse.add_argument("--append", default="", metavar="ARGS",
                       help="more kernel arguments; those that begin with udmabuf_rs. are parameters of the module")
    parse.add_argument("--mem", default="3G", metavar="SIZE", help="memory of the VM (default: %(default)s)")
    parse.add_argument("--smp", type=int, metavar="N", help="its processors (default: 2; 1 with --icount)")
    parse.add_argument("--icount", action="store_true",
                       help="emulate, and have every clock of the VM go by one nanosecond with each instruction")
    parse.add_argument("--iommu", action="store_true",
                       help="put all devices behind an IOMMU, each in a domain of its own, unmapped at once")
    parse.add_argument("--edu", action="append", nargs="?", const="", default=[], metavar="MASK", type=_mask,
                       help="add QEMU's edu device, a PCI device with a DMA engine; MASK is its DMA mask, as in "
                            "--edu=0xffffffff (QEMU's own choice: 28 bits)")
    parse.add_argument("--qemu", default="", metavar="ARGS", help="more QEMU arguments")
    parse.add_argument("--replace-c", action="store_true",
                       help="keep the C driver from starting, so that the node is /dev/udmabuf")
    parse.add_argument("--with", action="append", default=[], metavar="CONFIG", dest="having",
                       help="build udmabuf_rs.ko as if this option were on")
    parse.add_argument("--no-module", action="store_true", help="neither build nor load udmabuf_rs.ko")
    parse.add_argument("--add", action="append", default=[], metavar="FILE",
                       help="put a file, or a directory with all in it, into /, with the libraries that its programs "
                            "need; SRC=DEST puts it elsewhere")
    parse.add_argument("--kmod", action="append", default=[], metavar="NAME",
                       help="load a module of the distribution first, with all that it needs")
    parse.add_argument("--root", type=_root, dest="mounted", metavar="NAME",
                       help="show one of the roots of tools/vm/root, or a directory with another, at /mnt, read-only: "
                            "'chroot /mnt COMMAND' has its programs, and the VM's own files at /mnt")
    parse.add_argument("--expect-log", action="append", default=[], metavar="REGEX", type=_regex,
                       help="a report in the kernel log that matches is no failure")
    parse.add_argument("--shell", action="store_true",
                       help="in place of COMMAND, a shell on this terminal; 'exit' or Ctrl-] ends it, and the VM")
    parse.add_argument("--timeout", type=float, metavar="SECONDS",
                       help=f"end the VM after this time (default: {TIMEOUT:.0f}; with --shell, never)")
    parse.add_argument("--boot-timeout", default=qemu.BOOT, type=float, metavar="SECONDS",
                       help="take a VM that does not boot in this time as hung, and boot it once more; longer where "
                            "other programs keep the processors busy; 0: wait for ever (default: %(default).0f; 0 "
                            "where --qemu has -S)")
    parse.add_argument("--log", metavar="FILE", help="keep the kernel log in FILE")
    parse.add_argument("--screendump", metavar="FILE",
                       help="where COMMAND prints a line '@@vm:screendump', save the screen as PNG in FILE, and answer "
                            "with a line 'ok' or 'error: ...' on its stdin; needs a display, as by --qemu '-vga std'")
    parse.add_argument("command", nargs="*", metavar="COMMAND", help="what to run, and its arguments")
    return parse


def _regex(text):
    try:
        re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no regular expression: {error}")
    return text


def _mask(text):
    try:
        return text and hex(int(text, 0))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number")


def _root(text):
    """The name of a root, or the path of one."""
    if text in buildroot.ROOTS or (text.startswith("/") and os.path.isdir(text)):
        return text
    raise argparse.ArgumentTypeError(f"{text!r} is neither a directory, by its full path, nor one of "
                                     + ", ".join(sorted(buildroot.ROOTS)))


def bind_values(argv):
    """Have `--qemu -nographic` mean --qemu=-nographic: the values of these options begin with dashes."""
    bound, rest = [], list(argv)
    while rest and rest[0] != "--":
        word = rest.pop(0)
        bound.append(f"{word}={rest.pop(0)}" if word in ("--qemu", "--append") and rest else word)
    return bound + rest


def parse_arguments(argv):
    """The options, with either a command or a shell."""
    parse = parser()
    options = parse.parse_args(bind_values(argv))
    if options.shell and options.command:
        parse.error("--shell takes the place of COMMAND, so give one of them")
    if not options.shell and not options.command:
        parse.error("there is no COMMAND after --, and no --shell")
    if options.timeout is None:
        options.timeout = math.inf if options.shell else TIMEOUT
    return options


def main():
    """Build what is needed, boot it, and judge how it went."""
    options = parse_arguments(sys.argv[1:])
    shell = terminal.Terminal() if options.shell else None
    added = [initramfs.parse_added(word) for word in options.add]
    cache, root, kernel = prepare(options.kernel)
    mounted = options.mounted
    if mounted in buildroot.ROOTS:
        mounted = buildroot.obtain(cache, mounted).path
    kmods = options.kmod + (qemu.SHARING if mounted else [])
    module = None
    if not options.no_module:
        module = modules.build(cache, kernel, buildroot.CHECKOUT, having=options.having)[0]
    with qemu.run_folder() as folder:
        archive = folder / "initramfs"
        handlers = _handlers(options)
        command = shell.command() if shell else options.command
        initramfs.write(archive, kernel, command, added, kmods, module, bool(handlers), root, bool(mounted))
        append = f"{REPLACE_C} {options.append}" if options.replace_c else options.append
        processors = options.smp or (1 if options.icount else 2)
        arguments = shlex.split(options.qemu) + (qemu.shared(mounted) if mounted else [])
        machine = qemu.Machine(kernel, archive, options.mem, processors, append, arguments,
                               options.iommu, options.edu, options.icount, options.shell)
        # With -S a debugger says when to begin.
        boot_seconds = 0 if "-S" in machine.arguments else options.boot_timeout
        if shell:
            say("a shell in the VM follows; 'exit' or Ctrl-] ends it")
        outcome = qemu.run_vm(root, machine, folder, options.timeout, handlers, boot_seconds, shell)
    log = os.path.abspath(options.log) if options.log else cache.run_log()
    with open(log, "w") as stream:
        stream.write(outcome.log)
    return verdict.judge(outcome, options.expect_log, log)


def _handlers(options):
    if not options.screendump:
        return {}
    target = os.path.abspath(options.screendump)
    return {"screendump": lambda vm, _argument: vm.screendump(target)}
