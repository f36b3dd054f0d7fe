# SPDX-License-Identifier: GPL-2.0
"""A Linux guest in the VM, in which programs/draw.c draws, shown in a window of a compositor."""

import contextlib

from . import emulator, trial
from .compositor import Compositor

KERNEL, INITRAMFS = "/mnt/guest/kernel", "/mnt/guest/initramfs"
BOOT, DRAWING = 1500, 300  # seconds
# virtio-serial ports of tools/vm/init, which is the guest's init, too.
PORTS = ("control", "stdin", "stdout", "stderr")
MEMORY = "384M"
ENVIRONMENT = {"GDK_BACKEND": "wayland", **Compositor.ENVIRONMENT}


class Guest:
    """The guest, for `with`, with a display of that size."""

    def __init__(self, width, height):
        self._width, self._height = width, height
        self._stack = contextlib.ExitStack()
        self._folder = self._socket = None

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self._folder, sockets = stack.enter_context(emulator.running(PORTS, self._command_line, ENVIRONMENT))
            # Raw sockets: a file object would read ahead.
            self._to, self._from = sockets["stdin"], sockets["stdout"]
            self._expect("ready", BOOT)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self._stack.close()

    def draw(self, number):
        """Has the guest show the picture of that number. Returns its pixels: red, green and blue of each."""
        self._to.sendall(f"{number}\n".encode())
        self._expect(f"drawn {number}", DRAWING)
        pixels = bytearray()
        for _ in range(self._width * self._height):
            number = (number * 1664525 + 1013904223) & 0xffffffff
            pixels += (number >> 8).to_bytes(3, "big")
        return bytes(pixels)

    def _expect(self, wanted, seconds):
        self._from.settimeout(seconds)
        said = b""
        try:
            while not said.endswith(b"\n"):
                more = self._from.recv(1)
                if not more:
                    break
                said += more
        except TimeoutError:
            pass
        if said.decode(errors="replace").strip() != wanted:
            log = (self._folder / "kernel.log").read_text(errors="replace").splitlines()[-20:]
            raise trial.Wrong("\n".join([f"the guest said {said!r}, not {wanted!r}", emulator.complaint(self._folder), *log]))

    def _command_line(self, folder):
        ports = [word for name in PORTS for word in ("-chardev", f"socket,id={name},path={folder}/{name}",
                                                     "-device", f"virtserialport,chardev={name},name=vm.{name}")]
        return ["-accel", "tcg", "-cpu", "max", "-machine", "pc,memory-backend=ram", "-m", MEMORY,
                "-object", f"memory-backend-memfd,id=ram,share=on,size={MEMORY}",
                "-device", f"virtio-gpu-pci,blob=on,xres={self._width},yres={self._height}",
                "-device", "virtio-serial-pci", *ports,
                "-display", "gtk,gl=off,full-screen=on,show-menubar=off,show-tabs=off,zoom-to-fit=off",
                "-kernel", KERNEL, "-initrd", INITRAMFS, "-serial", f"file:{folder}/kernel.log",
                "-append", "console=ttyS0 no_timer_check ignore_loglevel panic=-1"]
