# SPDX-License-Identifier: GPL-2.0
"""vivid's DMA of 32 bits, into huge pages above 4 GiB, or where every device bounces."""

from trixie import vivid

TITLE = "vivid (V4L2), DMA of 32 bits"
PACKAGES = vivid.PACKAGES
MACHINES = {
    "memory above 4 GiB": ("--mem=6G", "--kmod=vivid", f"--append={vivid.ARGUMENTS}"),
    "swiotlb=force": ("--mem=3G", "--kmod=vivid", f"--append={vivid.ARGUMENTS} swiotlb=force"),
}
C_DRIVER = "the camera does not take them"

TRIALS = {"frames in huge pages": vivid.fill_huge}
