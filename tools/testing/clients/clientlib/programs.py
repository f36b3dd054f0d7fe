# SPDX-License-Identifier: GPL-2.0
"""Helper programs of clients: our own, and selftests of the kernel."""

import shutil
from pathlib import Path

from checklib import build
from checklib.build import HARNESS, VM

from . import suites

HERE = suites.HERE / "programs"
FLAGS = ["-std=gnu11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Werror", "-Wno-missing-field-initializers"]


def make(place, release):
    """A folder with all that the clients of a release want, made in their root."""
    wanted = {name: libraries for each in suites.release_of(release) for name, libraries in each.programs.items()}
    folder = build.cache_folder() / f"clients-{release}.d"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, libraries in wanted.items():
        OF_THE_KERNEL.get(name, _ours)(place, folder, name, libraries)
    return folder


def archive(folder):
    """Packs the folder: tools/vm/run would add libraries of the build root to loose programs."""
    return shutil.make_archive(folder.with_suffix(""), "tar", folder)


def _ours(place, folder, name, libraries):
    place.run(["gcc", *FLAGS, "-o", folder / name, HERE / f"{name}.c", *libraries], cwd=folder, paths=[folder])


def _kselftest(_place, folder, name, _libraries):
    shutil.copy2(build.programs() / "upstream", folder / name)


def _dmabuf_iter(place, folder, name, libraries):
    """The BPF program as it is, and the test that loads it, in a harness of ours."""
    source = build.facts("stock")[0] / HARNESS / "bpf"
    vmlinux = Path(build.output_of([VM / "kernel", "build"])) / "vmlinux"
    made = folder.with_name(f"{folder.name}-bpf")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir()

    def bpftool(to, *words):
        (made / to).write_text(place.run(["bpftool", *words], cwd=made, paths=[made]))

    bpftool("vmlinux.h", "btf", "dump", "file", vmlinux, "format", "c")
    # clang is in the build root, libbpf's headers are in the clients' root.
    build.in_root(["clang", "-target", "bpf", "-D__TARGET_ARCH_x86", "-O2", "-g", "-I", made, "-I", place.path / "usr/include",
                   "-c", source / "progs" / f"{name}.c", "-o", made / f"{name}.o"])
    bpftool(f"{name}.skel.h", "gen", "skeleton", made / f"{name}.o", "name", name)
    place.run(["gcc", "-D_GNU_SOURCE", "-O2", "-I", HERE / "bpf", "-I", made, "-o", folder / name,
               source / "prog_tests" / f"{name}.c", HERE / "bpf/main.c", *libraries], cwd=made, paths=[made, folder])


# Names of programs that are made otherwise.
OF_THE_KERNEL = {"kselftest": _kselftest, "dmabuf_iter": _dmabuf_iter}
