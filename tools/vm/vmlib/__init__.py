# SPDX-License-Identifier: GPL-2.0
"""The rooms behind tools/vm: build root, kernel, modules, initramfs, QEMU.

cache       entries on disk which are either complete or made again
disk        room for all that, and its lack
privilege   root rights: ours, or by sudo
guard       how every program ends: one sentence, one status
process     starting commands such that they can be ended
host        what the machine we run on must offer: a few packages
progress    long steps that say what they do and how far they are
buildroot   the pinned Debian system in which everything is built and run
kernels     the kernels to choose from, and how each is made
debian      what Debian publishes for them: versions, headers, image, modules, sources
dates       suites of Debian's that are past their date
versions    which version of them is used: the one in the cache, a newer one, or what can be had
artefacts   its headers with the Rust artefacts that they lack
debugkernel those that look for mistakes: configuration, build, what is kept
modules     building out-of-tree modules against one of them
initramfs   the file system of the VM, packed anew for every run
libraries   loader and libraries of programs that are put into it
elf         what a program needs of those
kernellog   finding warnings, oopses and other reports in a kernel log
qemu        one run of the VM: channels, time limit
accelerator KVM where it works, emulation elsewhere
terminal    the user's, for a shell in the VM
qmp         what QEMU itself can be asked to do
verdict     what a run amounts to: exit status, and the lines that say why
commands    the command lines of tools/vm/{run,module,root,kernel}
"""
