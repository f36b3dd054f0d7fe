# SPDX-License-Identifier: GPL-2.0
"""One run of the VM: channels, time limit, exit status.

The guest's half of the protocol is tools/vm/init. A program that wants more
than tools/vm/run offers calls run_vm() with handlers: where the command in the
VM writes a line "@@vm:NAME ARGUMENT" to its stdout, the handler of that NAME is
called, and the line it returns is written to the command's stdin.
"""

import contextlib
import os
import selectors
import shutil
import socket
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Dict, List, Optional

from . import accelerator, process
from .errors import Failure
from .kernellog import find_reports
from .progress import Waiting, say
from .qmp import QMP
from .terminal import LEAVE

CALL = b"@@vm:"
FOLDER = "udmabuf_rs-vm-"    # in /tmp, followed by our process id
BOOT = 120.0         # seconds for it to boot where nothing else runs; it takes 5 to 30
POLL = 0.2           # seconds between two looks at QEMU and the clock
LAST_WORDS = 5       # seconds for a VM to say what it hangs in
POWER_OFF = 30       # seconds for it to shut down

# The panic of a kernel that was kept waiting by the host, where no argument keeps it from looking.
TIMER = "IO-APIC + timer doesn't work"

# Every message reaches the log, and a kernel that is broken ends the run.
# A busy host starves the VM at times; that is no stall and no lockup of its own. These are the longest
# times that the kernel takes: a lockup is one after 120 s.
KERNEL_ARGUMENTS = ("ignore_loglevel printk.devkmsg=on log_buf_len=4M panic=-1 oops=panic "
                    "rcupdate.rcu_cpu_stall_timeout=300 watchdog_thresh=60")
# Every device gets a domain of its own, and what is unmapped is out of reach at once. Arm ignores the first word.
IOMMU_ARGUMENTS = "intel_iommu=on iommu.passthrough=0 iommu.strict=1"


@dataclass
class Machine:
    """What to boot, and on what."""

    kernel: object                      # a kernels.Kernel
    initramfs: Path
    memory: str = "3G"
    processors: int = 2
    append: str = ""                    # more kernel arguments
    arguments: List[str] = field(default_factory=list)  # more QEMU arguments
    iommu: bool = False                 # whether devices are behind one
    edu: List[str] = field(default_factory=list)        # a DMA mask for each, or nothing: QEMU's own choice
    icount: bool = False                # whether its clock counts instructions
    shell: bool = False                 # whether it has a console for people

    def command(self, acceleration, folder):
        """QEMU's command line; its sockets lie in `folder`."""
        arch = self.kernel.arch
        argv = [arch.emulator, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
                *(arch.iommu if self.iommu else arch.machine), *acceleration,
                "-m", self.memory, "-smp", str(self.processors),
                "-kernel", self.kernel.image, "-initrd", self.initramfs,
                "-append", " ".join(self._append()),
                "-serial", f"file:{folder}/kernel.log", "-device", "virtio-serial-pci"]
        for name in PORTS:
            argv += ["-chardev", f"socket,id={name},path={folder}/{name}",
                     "-device", f"virtserialport,chardev={name},name=vm.{name}"]
        if self.shell:
            argv += ["-chardev", f"socket,id={SHELL},path={folder}/{SHELL}", "-device", f"virtconsole,chardev={SHELL}"]
        for mask in self.edu:
            argv += ["-device", f"edu,dma_mask={mask}" if mask else "edu"]
        return argv + ["-chardev", f"socket,id=qmp,path={folder}/qmp", "-mon", "chardev=qmp,mode=control",
                       *self.arguments]

    def _append(self):
        parts = [f"console={self.kernel.arch.console}", KERNEL_ARGUMENTS, self.kernel.arch.append, self.kernel.append,
                 IOMMU_ARGUMENTS if self.iommu else "", self.append.strip()]
        return [part for part in parts if part]


# What the distribution has as modules for a directory of ours, and the name by which init knows it.
SHARING, SHARED = ["9p", "9pnet_virtio"], "root"


def shared(path):
    """QEMU arguments that show a directory to the VM, read-only."""
    return ["-fsdev", f"local,id={SHARED},path={path},security_model=none,readonly=on",
            "-device", f"virtio-9p-pci,fsdev={SHARED},mount_tag={SHARED}"]


PORTS = ["control", "stdin", "stdout", "stderr"]
SHELL = "shell"
KEYS = "keys"        # what the user presses, among the channels that are waited for


@dataclass
class Outcome:
    """How a run went."""

    status: Optional[int] = None     # of the command, if it came that far
    error: str = ""                  # what kept it from coming that far
    running: bool = False            # whether init had begun its work
    timed_out: bool = False
    by_load: bool = False            # whether it did not boot for a reason that may be gone the next time
    log: str = ""                    # the kernel log


class VM:
    """A running VM, and the channels to it."""

    def __init__(self, folder, handlers, terminal=None):
        self.folder = folder
        self.handlers = handlers
        self.terminal = terminal  # a terminal.Terminal for the shell, if there is one
        self.left = False         # whether the user has left it
        self.outcome = Outcome()
        self.ending = None        # when we stop waiting for a VM that has nothing left to do
        self.expected = None      # bytes that the guest says it sent, per channel
        self.received = {"stdout": 0, "stderr": 0}
        self.pending = b""        # of a line on stdout that may be a call
        self.control = b""        # of a line on the control port
        self.selector = selectors.DefaultSelector()
        self.connections = {}
        self.child = None
        self.qmp = None

    def start(self, root, machine):
        """Start QEMU, and take up its end of all channels."""
        channels = [*PORTS, "qmp", *([SHELL] if self.terminal else [])]
        listeners = {name: _listen(self.folder / name) for name in channels}
        try:
            acceleration = (accelerator.counting(machine.kernel) if machine.icount
                            else accelerator.arguments(root, machine.kernel))
            argv = machine.command(acceleration, self.folder)
            with open(self.folder / "qemu.err", "wb") as errors:
                self.child = process.start(root.command(argv, paths=[self.folder]), stdout=errors, stderr=errors)
            for name, listener in listeners.items():
                self.connections[name] = self._accept(listener)
        finally:
            for listener in listeners.values():
                listener.close()
        try:
            self.qmp = QMP(self.connections["qmp"])
        except (Failure, ConnectionError):
            # It has looked at its devices last.
            raise Failure("QEMU did not start: " + self._complaint()) from None
        for name in ("control", "stdout", "stderr", *([SHELL] if self.terminal else [])):
            self.selector.register(self.connections[name], selectors.EVENT_READ, name)

    def _accept(self, listener):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                return listener.accept()[0]
            except socket.timeout:
                if self.child.poll() is not None:
                    break
        raise Failure("QEMU did not start: " + self._complaint())

    def _complaint(self):
        text = (self.folder / "qemu.err").read_text(errors="replace").strip()
        return text or "it said nothing"

    def run(self, seconds, boot_seconds=BOOT):
        """Pass everything through until the VM ends, or the time does."""
        deadline = time.monotonic() + seconds
        booting = Booting(boot_seconds, self._kernel_log)
        while self._is_open() or self.child.poll() is None:
            for key, _ in self.selector.select(POLL):
                self._read(key.data, key.fileobj)
            now = time.monotonic()
            if self.outcome.running or self.outcome.error:
                booting.done()
                self._give_terminal()
            elif booting.too_long():
                self.outcome.error = booting.hung()
                self.outcome.by_load = True
                break
            if now > deadline and not self.ending:
                self.outcome.timed_out = True
                self._send("control", b"blocked\n")
                self.ending = now + LAST_WORDS
            if (self.ending and now > self.ending) or self.left:
                break
        booting.done()
        self.stop()
        self._flush_pending()
        self.outcome.log = self._kernel_log()
        if self.outcome.status is None and not self.outcome.error and not self.outcome.timed_out:
            self.outcome.error = "the VM ended before the command did; QEMU: " + self._complaint()
        if not (self.outcome.running or self.outcome.timed_out):
            self.outcome.by_load |= self._died_by_load()
        return self.outcome

    def _died_by_load(self):
        """Whether the kernel reported nothing before it ended, or only the timer panic of a busy host."""
        return bool(self.outcome.log) and all(TIMER in report.text for report in find_reports(self.outcome.log))

    def stop(self):
        """End QEMU if it has not ended by itself."""
        if self.child:
            process.stop(self.child)
            self.child = None
        for connection in self.connections.values():
            connection.close()
        if self.terminal:
            self.terminal.leave()

    def _is_open(self):
        """Whether the VM may still say something."""
        return any(key.data != KEYS for key in self.selector.get_map().values())

    def _give_terminal(self):
        """Pass the user's keys on from now on."""
        if self.terminal and not self.terminal.saved and not self.outcome.error and not self.ending:
            self.terminal.enter()
            self.selector.register(self.terminal.keys, selectors.EVENT_READ, KEYS)

    def _read_keys(self):
        data = self.terminal.read()
        self._send(SHELL, data.partition(LEAVE)[0])
        if not data or LEAVE in data:
            self.left = True
            self.outcome.status = 0

    def _kernel_log(self):
        log = self.folder / "kernel.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def _read(self, name, connection):
        if name == KEYS:
            self._read_keys()
            return
        try:
            data = connection.recv(1 << 16)
        except ConnectionError:
            data = b""
        if not data:
            self.selector.unregister(connection)
        elif name == "control":
            self._read_control(data)
        elif name == SHELL:
            self.terminal.write(data)
        else:
            self.received[name] += len(data)
            self._pass_on(name, data)
        self._say_bye()

    def _read_control(self, data):
        *lines, self.control = (self.control + data).split(b"\n")
        for line in lines:
            word, _, rest = line.decode(errors="replace").partition(" ")
            if word == "running":
                self.outcome.running = True
            elif word == "error":
                self.outcome.error = rest
                self.expected = {}
            elif word == "status":
                status, out, err = map(int, rest.split())
                self.outcome.status = status
                self.expected = {"stdout": out, "stderr": err}

    def _say_bye(self):
        """Let the guest power off once everything it sent is here."""
        if self.expected is None or self.ending:
            return
        if all(self.received[name] >= count for name, count in self.expected.items()):
            self.ending = time.monotonic() + POWER_OFF
            self._send("control", b"bye\n")

    def _send(self, name, data):
        with contextlib.suppress(OSError):
            self.connections[name].sendall(data)

    def _pass_on(self, name, data):
        if name == "stdout" and self.handlers:
            data = self._take_calls(data)
        stream = getattr(sys, name).buffer
        stream.write(data)
        stream.flush()

    def _take_calls(self, data):
        """What is left of the data after calls to the handlers were answered."""
        lines = (self.pending + data).splitlines(keepends=True)
        self.pending = b""
        if lines and not lines[-1].endswith(b"\n") and _may_be_call(lines[-1]):
            self.pending = lines.pop()
        kept = []
        for line in lines:
            if line.startswith(CALL):
                self._send("stdin", self._answer(line).encode() + b"\n")
            else:
                kept.append(line)
        return b"".join(kept)

    def _answer(self, line):
        name, _, argument = line[len(CALL):].decode(errors="replace").strip().partition(" ")
        handler = self.handlers.get(name)
        if not handler:
            return f"error: there is no {name} here"
        try:
            return handler(self, argument) or "ok"
        except (Failure, OSError) as error:
            return f"error: {error}"

    def _flush_pending(self):
        if self.pending:
            sys.stdout.buffer.write(self.pending)
            sys.stdout.buffer.flush()

    def screendump(self, path):
        """Save what the first display shows as a PNG file on the host."""
        picture = self.folder / "screen.png"
        self.qmp.command("screendump", filename=str(picture), format="png")
        shutil.move(str(picture), path)


class Booting:
    """Limit and progress of the boot, which ends with the first mark of init."""

    def __init__(self, seconds, kernel_log):
        self.seconds = seconds       # on a host that does nothing else; 0: no limit
        self.kernel_log = kernel_log
        self.started = self.last = time.monotonic()
        self.waiting = Waiting("the VM boots")

    def too_long(self):
        """Whether it is time to give up. Called every moment, or else the host has stood still meanwhile."""
        now = time.monotonic()
        self.started += max(0.0, now - self.last - 10 * POLL)
        self.last = now
        self.waiting.update(self._last_words)
        return self.seconds > 0 and now - self.started > self.seconds * self._load()

    def hung(self):
        """The sentence for the user after too_long()."""
        return (f"the VM did not boot within {self.last - self.started:.0f} s; "
                f"last kernel message: {self._last_words() or 'none'}")

    def done(self):
        """The VM has booted, or ended."""
        self.waiting.done()

    def _last_words(self):
        lines = self.kernel_log().strip().splitlines()
        return lines[-1].strip() if lines else ""

    @staticmethod
    def _load():
        """The load per processor, at least 1: a factor for the limit."""
        return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def _may_be_call(text):
    return text.startswith(CALL) or CALL.startswith(text)


def _listen(path):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(1)
    listener.settimeout(POLL)
    return listener


Handler = Callable[[VM, str], Optional[str]]


@contextlib.contextmanager
def run_folder():
    """A directory for the sockets and files of one run; their paths must be short."""
    for left in Path("/tmp").glob(FOLDER + "*"):
        owner = left.name[len(FOLDER):].split("-")[0]
        if owner.isdigit() and not os.path.exists(f"/proc/{owner}"):
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{FOLDER}{os.getpid()}-", dir="/tmp") as folder:
        yield Path(folder)


def run_vm(root, machine, folder, seconds, handlers: Optional[Dict[str, Handler]] = None, boot_seconds=BOOT,
           terminal=None):
    """Boot the machine, run its command to the end, and tell how it went.

    A boot that hangs, or dies without a report of its own, is repeated once.
    """
    outcome = _run_once(root, machine, folder / "1", seconds, handlers, boot_seconds, terminal)
    if not outcome.by_load:
        return outcome
    log = root.cache.run_log()
    log.write_text(outcome.log)
    say(f"{outcome.error}; booting it once more (the kernel log so far is {log})")
    return _run_once(root, machine, folder / "2", seconds, handlers, boot_seconds, terminal)


def _run_once(root, machine, folder, seconds, handlers, boot_seconds, terminal):
    started = time.monotonic()
    folder.mkdir()
    vm = VM(folder, handlers or {}, terminal)
    try:
        vm.start(root, machine)
        return vm.run(seconds, boot_seconds)
    finally:
        vm.stop()
        if os.environ.get("UDMABUF_RS_TIMES"):
            say(f"the VM ran for {time.monotonic() - started:.1f} s")
