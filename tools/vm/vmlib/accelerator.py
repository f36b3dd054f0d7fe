# SPDX-License-Identifier: GPL-2.0
"""KVM where it works, software emulation elsewhere.

/dev/kvm may exist and be useless, on a machine that is itself a VM without
hardware support: QEMU starts, and the guest hangs. So a kernel without a root
file system is booted first; where it comes as far as its panic, KVM works.
What was found is remembered until the machine is booted again.
"""

import os
import re
import subprocess
import tempfile
from pathlib import Path

from . import process

EMULATION = ["-accel", "tcg,thread=multi"]
# A nanosecond of the guest is an instruction, and a sleep takes no time of ours. It has no other clock.
COUNTING = ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off", "-rtc", "clock=vm"]
KVM = ["-accel", "kvm", "-cpu", "host"]
TRIAL = 20  # seconds


def arguments(root, kernel):
    """The QEMU arguments for the best that works here; another architecture is emulated."""
    emulation = [*EMULATION, "-cpu", kernel.arch.cpu]
    if kernel.arch.cross or not _offered():
        return emulation
    memory = root.cache.top / "kvm-works"
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    try:
        remembered, works = memory.read_text().split()
    except (OSError, ValueError):
        remembered = works = ""
    if remembered != boot:
        works = "yes" if boots(root, kernel, KVM) else "no"
        memory.write_text(f"{boot} {works}\n")
    return KVM if works == "yes" else emulation


def counting(kernel):
    """The QEMU arguments for a machine whose clock counts its instructions."""
    return [*COUNTING, "-cpu", kernel.arch.cpu]


def _offered():
    """Whether the processor has it, and the device may be opened."""
    if not re.search(r"^flags\s*:.*\b(vmx|svm)\b", Path("/proc/cpuinfo").read_text(), re.MULTILINE):
        return False
    return os.access("/dev/kvm", os.R_OK | os.W_OK)


def boots(root, kernel, acceleration, seconds=TRIAL):
    """Whether a bare kernel comes up as far as it can."""
    with tempfile.TemporaryDirectory(prefix="udmabuf_rs-", dir="/tmp") as folder:
        log = Path(folder) / "log"
        argv = [kernel.arch.emulator, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                *acceleration, "-m", "512M", "-kernel", kernel.image, "-serial", f"file:{log}",
                "-append", f"console={kernel.arch.console} panic=-1 {kernel.arch.append}"]
        child = process.start(root.command(argv, paths=[folder]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        finally:
            process.stop(child)
        return log.exists() and "Kernel panic" in log.read_text(errors="replace")
