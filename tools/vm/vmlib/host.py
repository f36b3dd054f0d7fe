# SPDX-License-Identifier: GPL-2.0
"""What the machine we run on must offer: a few packages."""

import os
import platform
import shutil

from .errors import Failure
from .privilege import as_root
from .progress import count_lines, run_step

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

# What we call on the host, and the package that has it.
NEEDS = {
    "mmdebstrap": "mmdebstrap",
    "unshare": "util-linux",
    "mount": "mount",
    "chroot": "coreutils",
    KEYRING: "debian-archive-keyring",
}


def require_tools(log):
    """See to it that the host has what NEEDS lists, by apt-get where it can."""
    if platform.machine() != "x86_64":
        raise Failure(f"the build root is made for x86_64, and this machine is {platform.machine()}")
    missing = sorted({package for tool, package in NEEDS.items() if not _have(tool)})
    if not missing:
        return
    if not _is_debian_like():
        raise Failure("this machine lacks " + ", ".join(missing)
                      + "; that is installed by itself on Debian and Ubuntu only, so install it and try again")
    _apt_install(missing, log)


def _have(tool):
    if tool.startswith("/"):
        return os.path.exists(tool)
    return shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is not None


def _is_debian_like():
    fields = {}
    try:
        with open("/etc/os-release") as release:
            for line in release:
                name, _, value = line.strip().partition("=")
                fields[name] = value.strip("\"'")
    except OSError:
        return False
    names = [fields.get("ID", ""), *fields.get("ID_LIKE", "").split()]
    return bool({"debian", "ubuntu"} & set(names)) and _have("apt-get")


def _apt_install(packages, log):
    get = as_root(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y"])
    run_step("this machine: apt-get update", [*get, "update"], log, "10 s", count_lines(20))
    run_step("this machine: apt-get install " + " ".join(packages),
             [*get, "install", "--no-install-recommends", *packages], log, "30 s", count_lines(60))
