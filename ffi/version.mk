# SPDX-License-Identifier: GPL-2.0
#
# Included by each Kbuild file of a module that has ffi/ or seam/ in it: tells
# seam/version.rs which kernel it is compiled for.

rustflags-$(if $(filter 7.2,$(VERSION).$(PATCHLEVEL)),y) += --cfg linux_7_2
