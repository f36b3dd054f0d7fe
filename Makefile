# SPDX-License-Identifier: GPL-2.0
#
# Read twice: by the kernel's build system, which wants to know what the module
# is made of, and by people, for whom it has targets (make help).

# Kbuild names the directory of objects in every target. KERNELRELEASE says
# nothing: dkms passes it to a plain make as well.
ifneq ($(obj),)

# In a kernel tree Kconfig decides; out of one there is nothing to decide.
ifdef KBUILD_EXTMOD
CONFIG_UDMABUF_RS := m
endif

obj-$(CONFIG_UDMABUF_RS) += udmabuf_rs.o

include $(src)/ffi/version.mk

# The crate root may not be an object of the module's name, so it gets another.
udmabuf_rs-y := udmabuf_rs_main.o ffi/shim.o ffi/compound.o ffi/runs.o uapi/check.o version.o
udmabuf_rs-$(CONFIG_TRACEPOINTS) += ffi/trace.o

# The header of tracepoints is included from the kernel's own.
CFLAGS_ffi/trace.o := -I$(src)/ffi

# Each basic block calls ffi/coverage.c: see tools/testing/fuzz. Lines are looked up in debug
# information, which kernels are built without at times.
ifneq ($(CONFIG_UDMABUF_RS_COVERAGE),)
udmabuf_rs-y += ffi/coverage.o
RUSTFLAGS_udmabuf_rs_main.o += -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=3
RUSTFLAGS_udmabuf_rs_main.o += -Cllvm-args=-sanitizer-coverage-trace-pc
RUSTFLAGS_udmabuf_rs_main.o += -Cllvm-args=-sanitizer-coverage-prune-blocks=0 -Cdebuginfo=1
CFLAGS_ffi/shim.o := -fsanitize-coverage=trace-pc -g
CFLAGS_ffi/compound.o := -fsanitize-coverage=trace-pc -g
CFLAGS_ffi/runs.o := -fsanitize-coverage=trace-pc -g
# It is called where checks that a compiler adds would call something not allowed there.
UBSAN_SANITIZE_ffi/coverage.o := n
KASAN_SANITIZE_ffi/coverage.o := n
endif

CFLAGS_version.o := -DUDMABUF_RS_VERSION='"$(call read-file,$(src)/VERSION)"'

$(obj)/udmabuf_rs_main.o: $(src)/udmabuf_rs.rs FORCE
	+$(call if_changed_rule,rustc_o_rs)

else

# The names that dkms, Yocto and Buildroot know it by. dkms passes the release.
KDIR ?= $(or $(KERNEL_SRC),$(KERNEL_DIR),/lib/modules/$(or $(KERNELRELEASE),$(shell uname -r))/build)
here := $(patsubst %/,%,$(dir $(realpath $(lastword $(MAKEFILE_LIST)))))

# make splits paths at spaces, and the kernel's build system cannot have colons.
ifneq ($(words $(here)),1)
$(error udmabuf_rs cannot be built in '$(CURDIR)': a path with spaces is none to make; move it)
endif
ifneq ($(words $(KDIR)),1)
$(error udmabuf_rs cannot be built against '$(KDIR)': a path with spaces is none to make; pass another as KDIR)
endif
ifneq ($(findstring :,$(here)),)
$(error udmabuf_rs cannot be built in '$(here)': the kernel's build system takes no path with a colon; move it)
endif

# The tools that the kernel was built with, unless others are asked for.
toolchain = $(shell LLVM='$(LLVM)' RUSTC='$(RUSTC)' "$(here)"/tools/kbuild/toolchain "$(or $(O),$(KDIR))")

.DEFAULT_GOAL := modules

## modules          build udmabuf_rs.ko against KDIR (default: the running kernel)
## modules_install  install it under /lib/modules
modules: precheck
modules_install: precheck-install
modules modules_install:
	+$(MAKE) -C "$(KDIR)" M="$(here)" $(toolchain) $@

## clean            remove what 'make modules' has left here
clean:
	+$(MAKE) -C "$(KDIR)" M="$(here)" $(toolchain) $@

# With O=, KDIR has the sources, and O what was built of them.
precheck:
	@"$(here)"/tools/kbuild/precheck "$(or $(O),$(KDIR))"

precheck-install:
	@"$(here)"/tools/kbuild/precheck --install "$(or $(O),$(KDIR))" "$(or $(MO),$(here))"

# Where make was started, which -C leaves in PWD; without -C, PWD may be older than that.
moved = $(shell tr '\0' '\n' < /proc/$$PPID/cmdline | grep -E '^(-[[:alpha:]]*C|--directory)')
caller = $(or $(if $(moved),$(PWD)),$(CURDIR))
quoted = '$(subst ','\'',$(1))'

## demo             show a picture through a dma-buf, in a virtual machine: demo.png, or OUTPUT=
demo:
	@$(if $(OUTPUT),cd $(call quoted,$(caller)) &&) "$(here)"/tools/demo/demo $(if $(OUTPUT),--output $(call quoted,$(OUTPUT)))

## check            run all tests, in virtual machines
check:
	@"$(here)"/tools/testing/check

## check-debug      run them on a kernel that looks at everything, with unit tests
check-debug:
	@"$(here)"/tools/testing/check --debug

## check-coherence  who sees which bytes, on seven kinds of machines: a table
check-coherence:
	@"$(here)"/tools/testing/check --coherence

## check-all        the three above, with one sum
check-all:
	@"$(here)"/tools/testing/check --all

## faults           fail each allocation, copy and charge of every operation: a table
faults:
	@"$(here)"/tools/testing/check --faults

## check-install    install the Debian packages in a virtual machine, and remove them
check-install:
	@"$(here)"/tools/testing/install/check

## check-clients    run programs of others with this driver and the C driver, and compare what they show: a table
check-clients:
	@"$(here)"/tools/testing/clients/check

## check-c          run them against the C driver, to see what it gets wrong
check-c:
	@"$(here)"/tools/testing/check --c-driver

## stress SECONDS=  buffers, devices, limits and scarce memory all at once, and every byte known:
##                  on the stock kernel, with bounce buffers, on the debug kernel, and with KCSAN
stress:
	@"$(here)"/tools/testing/check --stress $(or $(SECONDS),60)

## fuzz SECONDS=    programs that a fuzzer makes up, on the same machines: how much of the code they reach;
##                  KEEP=1 makes the best of them the corpus. REPLAY=FILE runs one again; BOOT= names a machine
fuzz:
	@"$(here)"/tools/testing/check $(if $(REPLAY),--replay $(call quoted,$(REPLAY)),--fuzz $(or $(SECONDS),60) \
		$(if $(filter-out 0,$(KEEP)),--keep)) $(if $(BOOT),--boot $(call quoted,$(BOOT)))

## check-mutants    run tests with drivers that have one mistake each: they must find them
check-mutants:
	@"$(here)"/tools/testing/check --mutants

## mutants SAMPLE=  make so many mistakes in the driver, one at a time: a score of what tests find
mutants:
	@"$(here)"/tools/testing/check --score $(or $(SAMPLE),0) $(if $(SEED),--seed $(SEED))

## check-trace      run tools/trace with perf and bpftrace, in a virtual machine, and judge the reports
check-trace:
	@"$(here)"/tools/testing/check --trace

## neighbours       what an unprivileged user can cost others, with either driver: a table
neighbours:
	@"$(here)"/tools/testing/neighbours

## matrix           build it for every kernel that Debian has, boot and test each: a table
matrix:
	@"$(here)"/tools/testing/check --kernels

## bench            measure it beside the C driver, into bench/; ICOUNT=1 counts instructions
## bench SCALE=1    the same with 1 to 10,000 buffers, mappings or processes alive
## bench LATENCY=1  the longest page fault, and how long locks are held and a signal waits
bench:
ifneq ($(filter-out 0,$(SCALE)),)
	@"$(here)"/tools/bench/scale
else ifneq ($(filter-out 0,$(LATENCY)),)
	@"$(here)"/tools/bench/latency
else
	@"$(here)"/tools/bench/bench $(if $(filter-out 0,$(ICOUNT)),--icount)
endif

## lint             rustfmt, clippy, checkpatch, comments of unsafe code
lint:
	@"$(here)"/tools/lint/lint

## unsafe           write Documentation/unsafe.md: what unsafe code relies on
unsafe:
	@"$(here)"/tools/lint/unsafe

## deb              make the Debian packages, into dist/
deb:
	@"$(here)"/tools/packaging/deb

## dist             make udmabuf_rs-VERSION.tar.gz of the last commit
dist:
	@"$(here)"/tools/packaging/dist

help:
	@sed -n 's/^## /  make /p' $(here)/Makefile

.PHONY: modules modules_install clean precheck precheck-install demo bench lint unsafe help
.PHONY: check check-debug faults check-coherence check-all check-c check-mutants mutants stress fuzz matrix check-trace check-clients \
	neighbours deb dist check-install

endif
