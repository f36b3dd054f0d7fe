# SPDX-License-Identifier: GPL-2.0
"""The part in the VM.

main        all clients, and how each went
trial       outcomes of trials, child processes, comparisons
driver      the driver as seen from outside: parameters, buffers
buffers     creates memfds and buffers
emulator    QEMU, and sockets to it
qtest       QEMU's qtest accelerator
virtio_gpu  a driver for its display
video       capture by V4L2 into buffers
drm         import by DRM devices
dma         a device that does DMA
viewer      reads a buffer by Vulkan
nested      a guest with a display
compositor  weston, and screenshots of it
"""
