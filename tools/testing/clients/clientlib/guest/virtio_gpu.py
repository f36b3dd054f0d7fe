# SPDX-License-Identifier: GPL-2.0
"""A driver for QEMU's virtio-gpu-pci, as far as blob resources and scanout go: chapter 5.7 of the virtio specification."""

import struct

from .trial import Wrong

# Guest-physical addresses of the virtqueue, the command and its response; resources start at MEMORY.
RING, COMMAND, ANSWER = 0x100000, 0x200000, 0x1f0000
MEMORY = 0x400000
# PCI hole of a PC, and the distance of BARs.
HOLE, APART = 0xe0000000, 0x1000000

SLOT = 4
CONFIG_ADDRESS, CONFIG_DATA = 0xcf8, 0xcfc
COMMON, NOTIFY = 1, 2
QUEUE = 64

ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK = 1, 2, 4, 8
FEATURE_BLOB, FEATURE_VERSION_1 = 1 << 3, 1 << 32

RESOURCE_UNREF, FLUSH, CREATE_BLOB, SET_SCANOUT_BLOB = 0x102, 0x104, 0x10c, 0x10d
OK_NODATA = 0x1100
BLOB_MEM_GUEST, USE_SHAREABLE = 1, 2
B8G8R8X8 = 2
HEADER = struct.Struct("<IIQII")
PIXEL = 4


class Refused(Exception):
    """The device has answered a command with an error, whose number this has."""


class Gpu:
    """The device in `machine`, a qtest.Machine with memory of `size` bytes."""

    ARGUMENTS = ("-device", f"virtio-gpu-pci,blob=on,addr={SLOT}")

    def __init__(self, machine):
        self._machine = machine
        self._sent = 0
        regions = self._regions()
        self._common, self._notify = regions[COMMON][0], regions[NOTIFY]
        self._start()

    # Commands

    def create_blob(self, resource, runs):
        """Makes a resource of (address, size) pairs."""
        size = sum(size for _, size in runs)
        entries = b"".join(struct.pack("<QII", *run, 0) for run in runs)
        self._command(CREATE_BLOB, struct.pack("<IIIIQQ", resource, BLOB_MEM_GUEST, USE_SHAREABLE, len(runs), 0, size) + entries)

    def show(self, resource, width, height):
        """Has the display show the resource as a picture of lines of `width` pixels."""
        rect = struct.pack("<IIII", 0, 0, width, height)
        layout = struct.pack("<IIII", width, height, B8G8R8X8, 0) + struct.pack("<8I", width * PIXEL, *[0] * 7)
        self._command(SET_SCANOUT_BLOB, rect + struct.pack("<II", 0, resource) + layout)
        self.flush(resource, width, height)

    def flush(self, resource, width, height):
        """Tells that the resource has other contents now."""
        self._command(FLUSH, struct.pack("<6I", 0, 0, width, height, resource, 0))

    def unref(self, resource):
        """Drops the resource."""
        self._command(RESOURCE_UNREF, struct.pack("<II", resource, 0))

    def _command(self, number, body):
        machine = self._machine
        words = HEADER.pack(number, 0, 0, 0, 0) + body
        machine.write(COMMAND, words)
        machine.write(ANSWER, bytes(HEADER.size))
        descriptors, available, used = RING, RING + 16 * QUEUE, RING + 0x2000
        # The second is written by the device.
        machine.write(descriptors, struct.pack("<QIHHQIHH", COMMAND, len(words), 1, 1, ANSWER, HEADER.size, 2, 0))
        machine.write(available + 4 + 2 * (self._sent % QUEUE), struct.pack("<H", 0))
        self._sent += 1
        machine.write(available + 2, struct.pack("<H", self._sent & 0xffff))
        machine.store(self._notify[0] + self._offset * self._notify[1], 0, 16)
        for _ in range(10_000):
            if struct.unpack("<H", machine.read(used + 2, 2))[0] == self._sent & 0xffff:
                break
        else:
            raise Wrong(f"the device does not answer command {number:#x}")
        answer = HEADER.unpack(machine.read(ANSWER, HEADER.size))[0]
        if answer != OK_NODATA:
            raise Refused(answer)

    # Finding it

    def _config(self, offset):
        self._machine.outl(CONFIG_ADDRESS, 1 << 31 | SLOT << 11 | offset & ~3)
        return self._machine.inl(CONFIG_DATA) >> 8 * (offset & 3)

    def _set_config(self, offset, value):
        self._machine.outl(CONFIG_ADDRESS, 1 << 31 | SLOT << 11 | offset)
        self._machine.outl(CONFIG_DATA, value)

    def _regions(self):
        """Assigns BARs. Returns the address of each virtio structure by type, with its notify_off_multiplier."""
        if self._config(0) & 0xffff != 0x1af4:
            raise Wrong(f"no virtio device in slot {SLOT}")
        bars, bar = {}, 0
        while bar < 6:
            register = 0x10 + 4 * bar
            kind = self._config(register)
            if not kind & 1:
                bars[bar] = HOLE + APART * bar
                self._set_config(register, bars[bar])
            bar += 2 if kind & 7 == 4 else 1
        self._set_config(4, 6)
        regions, at = {}, self._config(0x34) & 0xff
        while at:
            word = self._config(at)
            if word & 0xff == 9:
                address = bars[self._config(at + 4) & 0xff] + self._config(at + 8)
                regions.setdefault(word >> 24 & 0xff, (address, self._config(at + 16)))
            at = word >> 8 & 0xff
        return regions

    def _start(self):
        machine, common = self._machine, self._common
        status = common + 0x14
        machine.store(status, 0, 8)
        machine.store(status, ACKNOWLEDGE | DRIVER, 8)
        wanted = FEATURE_BLOB | FEATURE_VERSION_1
        for half in (0, 1):
            machine.store(common, half, 32)
            offered = machine.load(common + 4, 32) << 32 * half
            missing = wanted & 0xffffffff << 32 * half & ~offered
            if missing:
                raise Wrong(f"the device lacks features {missing:#x}")
            machine.store(common + 8, half, 32)
            machine.store(common + 0xc, wanted >> 32 * half & 0xffffffff, 32)
        machine.store(status, ACKNOWLEDGE | DRIVER | FEATURES_OK, 8)
        machine.store(common + 0x16, 0, 16)
        machine.store(common + 0x18, QUEUE, 16)
        for register, address in ((0x20, RING), (0x28, RING + 16 * QUEUE), (0x30, RING + 0x2000)):
            machine.store(common + register, address, 32)
            machine.store(common + register + 4, 0, 32)
        self._offset = machine.load(common + 0x1e, 16)
        machine.store(common + 0x1c, 1, 16)
        machine.store(status, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK, 8)
