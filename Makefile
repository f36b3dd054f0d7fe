# SPDX-License-Identifier: GPL-2.0
#
# Read twice: by the kernel's build system, which wants to know what the module
# is made of, and by people, for whom it has targets (make help).

# Either is set by the kernel's Makefile, and KERNELRELEASE not by every target.
ifneq ($(KERNELRELEASE)$(srctree),)

# In a kernel tree Kconfig decides; out of one there is nothing to decide.
ifdef KBUILD_EXTMOD
CONFIG_UDMABUF_RS := m
endif

obj-$(CONFIG_UDMABUF_RS) += udmabuf_rs.o

# The crate root may not be an object of the module's name, so it gets another.
udmabuf_rs-y := udmabuf_rs_main.o ffi/shim.o ffi/compound.o ffi/runs.o uapi/check.o

$(obj)/udmabuf_rs_main.o: $(src)/udmabuf_rs.rs FORCE
	+$(call if_changed_rule,rustc_o_rs)

else

KDIR ?= /lib/modules/$(shell uname -r)/build
here := $(patsubst %/,%,$(dir $(realpath $(lastword $(MAKEFILE_LIST)))))

.DEFAULT_GOAL := modules

## modules          build udmabuf_rs.ko against KDIR (default: the running kernel)
## modules_install  install it under /lib/modules
modules: precheck
modules modules_install:
	+$(MAKE) -C $(KDIR) M=$(here) $@

## clean            remove what 'make modules' has left here
clean:
	+$(MAKE) -C $(KDIR) M=$(here) $@

precheck:
	@$(here)/tools/kbuild/precheck $(KDIR)

# Where make was started, which -C leaves in PWD; without -C, PWD may be older than that.
moved = $(shell tr '\0' '\n' < /proc/$$PPID/cmdline | grep -E '^(-[[:alpha:]]*C|--directory)')
caller = $(or $(if $(moved),$(PWD)),$(CURDIR))
quoted = '$(subst ','\'',$(1))'

## demo             show a picture through a dma-buf, in a virtual machine: demo.png, or OUTPUT=
demo:
	@$(if $(OUTPUT),cd $(call quoted,$(caller)) &&) $(here)/tools/demo/demo $(if $(OUTPUT),--output $(call quoted,$(OUTPUT)))

## check            run all tests, in virtual machines
check:
	@$(here)/tools/testing/check

## check-debug      run them on a kernel that looks at everything, with unit tests
check-debug:
	@$(here)/tools/testing/check --debug

## check-coherence  who sees which bytes, on seven kinds of machines: a table
check-coherence:
	@$(here)/tools/testing/check --coherence

## check-all        the three above, with one sum
check-all:
	@$(here)/tools/testing/check --all

## check-c          run them against the C driver, to see what it gets wrong
check-c:
	@$(here)/tools/testing/check --c-driver

## check-mutants    run the stress test of settling with drivers that lose bytes: it must find them
check-mutants:
	@$(here)/tools/testing/check --mutants

## matrix           build it for every kernel that Debian has, boot and test each: a table
matrix:
	@$(here)/tools/testing/check --kernels

## bench            measure it beside the C driver, into bench/; ICOUNT=1 counts instructions
bench:
	@$(here)/tools/bench/bench $(if $(filter-out 0,$(ICOUNT)),--icount)

## lint             rustfmt, clippy, checkpatch
lint:
	@$(here)/tools/lint/lint

help:
	@sed -n 's/^## /  make /p' $(here)/Makefile

.PHONY: modules modules_install clean precheck demo bench lint help
.PHONY: check check-debug check-coherence check-all check-c check-mutants matrix

endif
