# SPDX-License-Identifier: GPL-2.0
"""Building out-of-tree modules, and finding the distribution's own."""

import lzma
import os
import shutil
import sys
from pathlib import Path

from . import cache as caching
from . import debugkernel, process
from .errors import Failure


def build(cache, kernel, folder, out=None, clippy=False, without=(), having=(), anew=False):
    """Build the module(s) in `folder`, and return the paths of the .ko files.

    What the compilers say goes to stderr. Unless told otherwise, everything
    made is put into the cache, where the next build finds it again. Rust code
    sees the configuration options `without` as off, and those `having` as on; make
    sees the latter, too.
    `anew` removes what earlier builds have left in the cache.
    """
    folder = Path(os.path.realpath(folder))
    if not any((folder / name).is_file() for name in ("Makefile", "Kbuild")):
        raise Failure(f"{folder} has no Makefile or Kbuild")
    out = Path(os.path.realpath(out)) if out else _out(cache, kernel, folder, clippy, without, having)
    out.mkdir(parents=True, exist_ok=True)
    argv = ["make", "-s", f"-j{os.cpu_count()}", "-C", kernel.build, f"M={folder}", f"MO={out}", *kernel.make,
            *(["CLIPPY=1"] if clippy else []), *(f"{option}=y" for option in having), "modules"]
    if without or having:
        compiler = _compiler_with(kernel, out, "clippy-driver" if clippy else "rustc", without, having)
        argv.insert(-1, f"RUSTC_OR_CLIPPY={compiler}")
    with cache.lock("module-" + caching.key_of([str(out)])) as lock:
        if anew:
            shutil.rmtree(out)
            out.mkdir()
        child = process.start(kernel.root.command(argv, cwd=folder, paths=[out]), locks=[lock],
                              stdout=sys.stderr.fileno(), stderr=sys.stderr.fileno())
        try:
            status = child.wait()
        except BaseException:
            process.stop(child)
            raise
    if status:
        raise Failure(f"the module in {folder} does not build against Linux {kernel.release} (make: status {status})")
    built = _built(folder, out)
    if kernel.calls:
        debugkernel.check_instrumented(kernel.root, kernel.calls, objects(out), paths=[out])
    return built


def objects(out):
    """The objects of a module's own sources."""
    return [path for path in sorted(out.rglob("*.o")) if not path.name.startswith(".") and not path.name.endswith(".mod.o")]


def _compiler_with(kernel, out, compiler, without, having):
    """A script in `out` that calls the compiler with another configuration."""
    script, kept = out / f"{compiler}-with", out / "rustc_cfg"
    text = configuration_without((kernel.build / "include/generated/rustc_cfg").read_text(), without)
    kept.write_text(text + "".join(f"--cfg={option}\n" for option in having))
    script.write_text("#!/bin/sh\n"
                      "for argument; do\n"
                      "\tshift\n"
                      f"\tcase $argument in @*/rustc_cfg) argument='@{kept}' ;; esac\n"
                      "\tset -- \"$@\" \"$argument\"\n"
                      "done\n"
                      f"exec {compiler} \"$@\"\n")
    script.chmod(0o755)
    return script


def configuration_without(text, options):
    """The compiler's arguments in `text`, one a line, less those that switch on one of the options."""
    off = {f"--cfg={option}" for option in options}
    return "".join(line for line in text.splitlines(keepends=True)
                   if line.strip() not in off and line.rpartition("=")[0] not in off)


def _out(cache, kernel, folder, clippy, without, having):
    """A place in the cache that belongs to this folder and kernel alone."""
    key = caching.key_of([str(folder), str(kernel.build), clippy, *without, *(f"+{option}" for option in having)])
    return cache.top / "modules" / f"{folder.name}-{key}"


def _built(folder, out):
    order = out / "modules.order"
    objects = order.read_text().split() if order.exists() else []
    found = [out / Path(name).with_suffix(".ko") for name in objects]
    if not found or not all(path.is_file() for path in found):
        raise Failure(f"make in {folder} made no module: has its Makefile or Kbuild an obj-m?")
    return found


# The distribution's own

def with_dependencies(kernel, names):
    """Paths of the distribution's modules `names`, each after what it depends on.

    The paths are relative to kernel.modules. A kernel without such a directory
    has all it needs built in.
    """
    if kernel.modules is None:
        _require_built_in(kernel, names)
        return []
    if not names:
        return []
    table = parse_dependencies((kernel.modules / "modules.dep").read_text())
    try:
        return resolve(table, names)
    except KeyError as error:
        raise Failure(f"Linux {kernel.release} has no module '{error.args[0]}' (it may be built in)")


def _require_built_in(kernel, names):
    built_in = {plain_name(path) for path in (kernel.build / "modules.builtin").read_text().split()}
    for name in names:
        if name.replace("-", "_") not in built_in:
            raise Failure(f"the kernel '{kernel.flavour}' has no '{name}', neither as a module nor built in")


def parse_dependencies(text):
    """modules.dep as a dict: path -> paths of all modules it needs."""
    table = {}
    for line in text.splitlines():
        path, _, needs = line.partition(":")
        table[path] = needs.split()
    return table


def resolve(table, names):
    """The modules called `names` in an order in which they can be loaded.

    modules.dep lists the dependencies of a module such that loading them from
    right to left works. Raises KeyError with the first unknown name.
    """
    by_name = {plain_name(path): path for path in table}
    order = []
    for name in names:
        path = by_name[name.replace("-", "_")]
        for each in [*reversed(table[path]), path]:
            if each not in order:
                order.append(each)
    return order


def plain_name(path):
    """The name of a module file, as lsmod shows it."""
    return os.path.basename(path).split(".ko")[0].replace("-", "_")


def content(path):
    """The bytes of a module file, unpacked."""
    data = Path(path).read_bytes()
    if str(path).endswith(".xz"):
        return lzma.decompress(data)
    if not str(path).endswith(".ko"):
        raise Failure(f"do not know how to unpack {path}")
    return data
