# SPDX-License-Identifier: GPL-2.0
"""Root rights: ours, or by sudo."""

import os
import shutil
import subprocess
import sys

from .errors import Failure

NEEDED = "root rights are needed for chroot and mount"


def as_root(argv):
    """The command line that runs `argv` as root."""
    if os.geteuid() == 0:
        return list(argv)
    _need_sudo()
    return ["sudo", "--", *argv]


def _need_sudo():
    if not shutil.which("sudo"):
        raise Failure(f"{NEEDED}, and there is no sudo: run this as root, or install sudo and let it make you root")
    if subprocess.run(["sudo", "-n", "true"], stderr=subprocess.DEVNULL).returncode == 0:
        return
    print(f"{NEEDED}; sudo asks:", file=sys.stderr)
    if subprocess.run(["sudo", "-v"]).returncode != 0:
        raise Failure(f"{NEEDED}, and sudo refused them: run this as root, or as a user whom sudo lets become root")


def remove_tree(path):
    """Remove a directory, whoever owns what is in it."""
    command = ["rm", "-rf", "--one-file-system", "--", str(path)]
    if subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 0:
        return
    done = subprocess.run(as_root(command), stderr=subprocess.PIPE)
    if done.returncode:
        raise Failure(f"cannot remove {path}: {done.stderr.decode(errors='replace').strip()}")
