# SPDX-License-Identifier: GPL-2.0
#
# Use it in place: add packaging/yocto/udmabuf-rs.bb to BBFILES, or link it from a
# layer. The kernel's recipe needs Rust support (the distro feature rust-kernel).
SUMMARY = "dma-bufs of memfd pages: kernel module in Rust"
LICENSE = "GPL-2.0-only"
LIC_FILES_CHKSUM = "file://COPYING;md5=b234ee4d69f5fce4486a80fdaf4a4263"

inherit module externalsrc features_check
REQUIRED_DISTRO_FEATURES = "rust-kernel"

UDMABUF_RS_TOP = "${@os.path.realpath(os.path.dirname(os.path.realpath(d.getVar('FILE'))) + '/../..')}"
EXTERNALSRC = "${UDMABUF_RS_TOP}"
EXTERNALSRC_BUILD = "${EXTERNALSRC}"
PV = "${@open(d.getVar('UDMABUF_RS_TOP') + '/VERSION').read().strip()}"

# module.bbclass passes KERNEL_SRC, and O with what was built of it.
KERNEL_MODULE_AUTOLOAD += "udmabuf_rs"

do_install:append() {
    install -D -m 644 ${S}/tools/udev/60-udmabuf_rs.rules ${D}${nonarch_base_libdir}/udev/rules.d/60-udmabuf_rs.rules
}

FILES:${PN} += "${nonarch_base_libdir}/udev/rules.d"
