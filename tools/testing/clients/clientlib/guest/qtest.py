# SPDX-License-Identifier: GPL-2.0
"""QEMU's qtest accelerator: this program accesses devices and memory in place of a CPU.

The protocol is that of QEMU's own tests of devices (docs/devel/testing/qtest.rst).
"""

import base64
import contextlib
import json

from . import emulator
from .trial import Wrong

PATIENCE = 120


class Machine:
    """A running QEMU, for `with`. `arguments` name its memory and devices."""

    def __init__(self, *arguments):
        self._arguments = arguments
        self._stack = contextlib.ExitStack()
        self._folder = self._qtest = self._qmp = None

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self._folder, sockets = stack.enter_context(emulator.running(("qtest", "qmp"), self._command_line))
            for each in sockets.values():
                each.settimeout(PATIENCE)
            self._qtest, self._qmp = [stack.enter_context(sockets[name].makefile("rw", newline="\n"))
                                      for name in ("qtest", "qmp")]
            self._read_json()
            self.qmp("qmp_capabilities")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self._stack.close()

    def _command_line(self, folder):
        return ["-display", "none", "-accel", "qtest", "-machine", "pc,memory-backend=ram", "-qtest", f"unix:{folder}/qtest",
                "-qtest-log", "none", "-qmp", f"unix:{folder}/qmp", *self._arguments]

    # CPU accesses

    def outl(self, port, value):
        self._command(f"outl {port:#x} {value:#x}")

    def inl(self, port):
        return int(self._command(f"inl {port:#x}"), 0)

    def write(self, address, data):
        """Writes bytes to memory."""
        self._command(f"b64write {address:#x} {len(data):#x} {base64.b64encode(data).decode()}")

    def read(self, address, size):
        """Returns bytes of memory."""
        return base64.b64decode(self._command(f"b64read {address:#x} {size:#x}"))

    def store(self, address, value, bits):
        """Writes to a register of 8, 16, 32 or 64 bits."""
        self._command(f"write{_letter(bits)} {address:#x} {value:#x}")

    def load(self, address, bits):
        """Reads a register."""
        return int(self._command(f"read{_letter(bits)} {address:#x}"), 0)

    # Monitor commands

    def qmp(self, command, **arguments):
        """Runs a command of the monitor."""
        self._qmp.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self._qmp.flush()
        answer = self._read_json()
        while "event" in answer:
            answer = self._read_json()
        if "error" in answer:
            raise Wrong(f"QEMU's {command}: {answer['error']['desc']}")
        return answer["return"]

    def screen(self):
        """Takes a screenshot. Returns width, height and packed RGB."""
        path = self._folder / "screen.ppm"
        self.qmp("screendump", filename=str(path), format="ppm")
        magic, size, most, pixels = path.read_bytes().split(b"\n", 3)
        if (magic, most) != (b"P6", b"255"):
            raise Wrong(f"QEMU wrote a picture of another kind: {magic!r}")
        width, height = map(int, size.split())
        return width, height, pixels

    def _command(self, line):
        self._qtest.write(line + "\n")
        self._qtest.flush()
        answer = self._qtest.readline()
        while answer.startswith("IRQ "):
            answer = self._qtest.readline()
        word, _, rest = answer.strip().partition(" ")
        if word != "OK":
            raise Wrong(f"QEMU ended, or did not know {line[:60]!r}: {answer!r}\n{emulator.complaint(self._folder)}")
        return rest

    def _read_json(self):
        line = self._qmp.readline()
        if not line:
            raise Wrong("QEMU ended: " + emulator.complaint(self._folder))
        return json.loads(line)


def _letter(bits):
    return {8: "b", 16: "w", 32: "l", 64: "q"}[bits]
