# SPDX-License-Identifier: GPL-2.0
"""cargo in the build root. Crates, and what was built of them, are kept between runs."""

import fcntl
import os
import shutil
import ssl

from . import host
from .build import VM, BuildError, cache_folder


def target(name):
    """Where it keeps what was built for a subject."""
    return cache_folder() / f"{name}-target"


def run(name, manifest, folder, *words):
    """Runs cargo on `manifest` for a subject. `folder` is for files of the moment. Returns output and status."""
    command, *options = words
    return _cargo(target(name), folder, command, "--manifest-path", manifest, *options)


def install(name, version, folder):
    """The path of a program of the registry, which is built the first time. `folder` is for files of the moment."""
    root = cache_folder() / f"{name}-{version}"
    program = root / "bin" / name
    with Lock(name):
        if not program.exists():
            output, status = _cargo(target(name), folder, "install", name, f"--version={version}", f"--root={root}")
            if status:
                print(output)
                raise BuildError(f"{name} {version} cannot be built: status {status}")
            shutil.rmtree(target(name))
    return program


def _cargo(built, folder, command, *options):
    environment = [f"CARGO_HOME={cache_folder() / 'cargo'}", f"CARGO_TARGET_DIR={built}", "CARGO_TERM_COLOR=never"]
    # Some networks have certificates of their own, which the host knows.
    certificates = ssl.get_default_verify_paths().cafile
    if certificates:
        shutil.copyfile(certificates, folder / "certificates.pem")
        environment.append(f"CARGO_HTTP_CAINFO={folder / 'certificates.pem'}")
    return host.run([VM / "root", "--", "env", *environment, "cargo", command, "--locked",
                     f"--jobs={os.cpu_count() or 2}", *options])


class Lock:
    """Held while what is built for a subject is in use: another checkout's would take its place."""

    def __init__(self, name):
        self._path = target(name).with_suffix(".lock")
        self._file = None

    def __enter__(self):
        self._file = open(self._path, "w")
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_):
        self._file.close()
