# SPDX-License-Identifier: GPL-2.0
"""What runs in the VM.

main        all clients, and how each went
trial       what a client says, and how it runs programs
driver      the driver as seen from outside: parameters, buffers
buffers     memfds and buffers of our own
emulator    QEMU, and sockets to it
qtest       QEMU without a processor
virtio_gpu  a driver for its display
video       capture by V4L2 into buffers
drm         import by DRM devices
dma         a device that does DMA
viewer      what a Vulkan device sees of a buffer
nested      a guest with a display
compositor  weston, and pictures of its screen
"""
