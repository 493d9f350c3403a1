# SPDX-License-Identifier: MIT
#
# The only entry point of the build; `make help` says what it offers.
#
# Every step prints one line; its output goes to build/log/, whose tail is shown
# when the step fails. V=1 prints the commands and their output instead.

FLAVOUR ?= debug
ifneq ($(filter-out debug release,$(FLAVOUR)),)
$(error FLAVOUR=$(FLAVOUR): must be debug or release)
endif
LAB ?= auto
ifneq ($(filter-out auto direct nested,$(LAB)),)
$(error LAB=$(LAB): must be auto, direct or nested)
endif

ifneq ($(KERNEL_SRC),)
ifeq ($(wildcard $(KERNEL_SRC)),)
$(error KERNEL_SRC=$(KERNEL_SRC): no such file or directory)
endif
override KERNEL_SRC := $(abspath $(KERNEL_SRC))
endif
ifneq ($(CACHE),)
override CACHE := $(abspath $(CACHE))
endif

SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -ec
.DELETE_ON_ERROR:
.SECONDARY:
MAKEFLAGS += -rR --no-print-directory
ifeq ($(MAKELEVEL)$(filter -j%,$(MAKEFLAGS)),0)
MAKEFLAGS += -j$(shell nproc)
endif

# One clock and one locale, so that a build can be repeated bit by bit.
export SOURCE_DATE_EPOCH := 0
export LC_ALL := C
export TZ := UTC
export FLAVOUR LAB CACHE KERNEL_SRC NO_APT V T N ACCEPT

OUT := build/$(FLAVOUR)
IGVM := $(OUT)/paravisor-$(FLAVOUR).igvm

# $(call step,LABEL,COMMAND): COMMAND makes $@. It must not hold a bare comma.
comma := ,
ifdef V
step = @mkdir -p $(@D); set -x; $(2)
else
step = @mkdir -p $(@D) build/log; \
	printf '  %-7s %s\n' '$(1)' '$(patsubst build/%,%,$@)'; \
	log=build/log/$(subst /,.,$(patsubst build/%,%,$@)).log; \
	( $(2) ) >$$log 2>&1 || { rc=$$?; tail -n 30 $$log; \
		echo "*** $@ failed; full log: $$log"; exit $$rc; }; \
	test -s $$log || rm $$log
endif

all: $(IGVM) build/host/vmm build/host/pvctl

# --- What the machine must have -----------------------------------------------

ready := build/.packages
$(ready): rootfs/packages.list rootfs/sources/packages
	@mkdir -p $(@D)
	@rootfs/sources/packages rootfs/packages.list
	@touch $@

# --- How things are compiled --------------------------------------------------

CFLAGS := -std=gnu11 -O2 -g -D_GNU_SOURCE
CFLAGS += -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes
CFLAGS += -Wundef -Wvla -Werror
CFLAGS += -fno-common -fstack-protector-strong
# What nothing refers to is left out of the binary.
CFLAGS += -ffunction-sections -fdata-sections
# Paths of the building machine stay out of the binary.
CFLAGS += -ffile-prefix-map=$(CURDIR)=.
LDFLAGS := -Wl,--gc-sections -Wl,--build-id=none -Wl,--fatal-warnings

# For the image: static, and for the first x86-64 CPUs. VTL2 shares XCR0 with
# the guest and runs without XSAVE, so an AVX instruction is a fault at best.
TARGET_CC := musl-gcc
TARGET_CFLAGS := $(CFLAGS) -march=x86-64 -mno-avx -fno-pie
# Nothing unwinds at run time; gdb finds its tables beside the image.
TARGET_CFLAGS += -fno-asynchronous-unwind-tables
# Threads have 128 KiB of stack; a page of data in a frame is as much as a
# function may keep there.
TARGET_CFLAGS += -Wframe-larger-than=6144
TARGET_LDFLAGS := $(LDFLAGS) -static -no-pie -Wl,-z,noexecstack

HOST_CC := gcc
HOST_CFLAGS := $(CFLAGS)
HOST_LDFLAGS := $(LDFLAGS) -pthread
UNIT_CFLAGS := $(CFLAGS) -O1 -fno-omit-frame-pointer \
	-fsanitize=address,undefined -fno-sanitize-recover=all

# --- Foreign libraries, see rootfs/sources/table ------------------------------

LIB := build/lib
TARGET_LIBS := libnvme liburing yyjson libfdt zydis rdma libnl
HOST_LIBS := libnvme liburing yyjson libfdt zydis rdma libnl
lib_stamps = $(patsubst %,$(LIB)/$(1)/%/.done,$(2))
target_ready := $(call lib_stamps,musl,$(TARGET_LIBS) linux)
host_ready := $(call lib_stamps,host,$(HOST_LIBS)) $(LIB)/musl/linux/.done
shim_ready := $(call lib_stamps,shim,libfdt)

$(LIB)/%/.done: rootfs/sources/build rootfs/sources/table | $(ready)
	$(call step,LIB,rootfs/sources/build $* $(@D))

# musl brings no kernel headers.
$(call lib_stamps,musl,$(TARGET_LIBS) busybox): $(LIB)/musl/linux/.done
$(call lib_stamps,musl,busybox): rootfs/busybox.config

# The shell finds the archives: make would remember that they were not there.
archives = $(patsubst %,$(LIB)/$(1)/%/*.a,$(2))

# --- Who may see whom ---------------------------------------------------------
#
# By directory: the include paths, the libraries, and (`wall`) the directories
# of this tree that any file may come from. A file that includes another one,
# by whatever spelling, does not compile. relay/, nvme/ and mana/ know the seams
# in paravisor/include/ and never each other; only the composition root,
# paravisor/main*.c, sees all.

everywhere := include/
inc_include :=
wall_include :=
inc_paravisor := -Iparavisor -Iparavisor/include
wall_paravisor := paravisor/
libs_paravisor := liburing yyjson libfdt zydis
inc_paravisor_main := -I. $(inc_paravisor)
wall_paravisor_main := paravisor/ relay/ nvme/ mana/
inc_relay := -Irelay -Iparavisor/include
wall_relay := relay/ paravisor/include/
inc_nvme := -Invme -Iparavisor/include
wall_nvme := nvme/ paravisor/include/
libs_nvme := liburing libnvme
inc_mana := -Imana -Iparavisor/include
wall_mana := mana/ paravisor/include/
libs_mana := liburing rdma
inc_igvm := -Iigvm
wall_igvm := igvm/
libs_igvm := yyjson libfdt
inc_rootfs := -Irootfs
wall_rootfs := rootfs/
inc_test := -I. -Itest -Iparavisor/include
wall_test := test/ paravisor/ relay/ nvme/ mana/ igvm/ rootfs/
libs_test := $(HOST_LIBS)

# $(call area,FILE.c): whose rules FILE follows.
area = $(if $(filter paravisor/main%.c,$(1)),paravisor_main,$(firstword \
	$(subst /, ,$(1))))
libs_paravisor_main = $(libs_paravisor)
# The kernel's headers come last, after libc's. relay/ knows no kernel.
uapi = $(if $(filter relay,$(1)),,-idirafter $(LIB)/musl/linux/include)
# $(call includes,FILE.c,musl|host|shim)
includes = -Iinclude $(inc_$(call area,$(1))) \
	$(patsubst %,-isystem $(LIB)/$(2)/%/include,$(libs_$(call area,$(1)))) \
	$(call uapi,$(call area,$(1)))
walls = test/check/walls $(@:.o=.d) $(1) $(everywhere) $(wall_$(call area,$(1)))

# $(eval $(call objects,KIND,COMPILER,FLAGS,LIBRARIES,READY))
define objects
build/obj/$(1)/%.o: %.c Makefile test/check/walls $(5) | $(ready)
	$$(call step,CC,$(2) $(3) $$(call includes,$$<,$(4)) -MMD -MP -c -o $$@ \
		$$< && $$(call walls,$$<))
endef
$(eval $(call objects,$(FLAVOUR),$$(TARGET_CC),$$(TARGET_CFLAGS),musl,$$(target_ready)))
$(eval $(call objects,host,$$(HOST_CC),$$(HOST_CFLAGS),host,$$(host_ready)))
$(eval $(call objects,unit,$$(HOST_CC),$$(UNIT_CFLAGS),host,$$(host_ready)))
object = $(patsubst %.c,build/obj/$(1)/%.o,$(2))

# --- The daemon and PID 1 -----------------------------------------------------

# pvctl is the host's.
paravisor_sources := $(filter-out paravisor/pvctl%,$(wildcard include/*.c \
	paravisor/*.c paravisor/*/*.c relay/*.c nvme/*.c mana/*.c))

$(OUT)/paravisor.debug: $(call object,$(FLAVOUR),$(paravisor_sources))
	$(call step,LD,$(TARGET_CC) $(TARGET_LDFLAGS) -Wl$(comma)-Map=$@.map -o $@ \
		$^ $(call archives,musl,$(TARGET_LIBS)))

$(OUT)/init.debug: $(call object,$(FLAVOUR),rootfs/init.c)
	$(call step,LD,$(TARGET_CC) $(TARGET_LDFLAGS) -o $@ $^)

$(OUT)/%: $(OUT)/%.debug
	$(call step,STRIP,strip -o $@ $<)

# --- Programs of the host -----------------------------------------------------
#
# PROGRAM_sources lists a program's files; a directory may bring its own list in
# sources.mk (add to host_programs; PROGRAM_ldflags is optional).

host_programs := vmm igvm-build igvm-dump mkcpio pvctl
vmm_sources := $(wildcard test/vmm/*.c test/model/*.c) include/guid.c \
	paravisor/chipset/uart.c
mkcpio_sources := rootfs/mkcpio.c
pvctl_sources := $(wildcard paravisor/pvctl*.c) paravisor/ttrpc.c \
	paravisor/protobuf.c
igvm_library := $(filter-out igvm/build.c igvm/dump.c igvm/shim%.c, \
	$(wildcard igvm/*.c))
igvm-build_sources := igvm/build.c $(igvm_library)
igvm-dump_sources := igvm/dump.c $(igvm_library)
-include igvm/sources.mk test/vmm/sources.mk test/lab/sources.mk \
	test/stress/sources.mk test/bench/sources.mk

define host_program
build/host/$(1): $(call object,host,$($(1)_sources))
	$$(call step,LD,$$(HOST_CC) $$(HOST_LDFLAGS) $$($(1)_ldflags) -o $$@ $$^ \
		$$(call archives,host,$(HOST_LIBS)))
endef
$(foreach p,$(host_programs),$(eval $(call host_program,$(p))))

# --- The tiny guest -----------------------------------------------------------
#
# A kernel of test cases, packed as a bzImage: freestanding, and no registers
# but the general ones, which interrupts save.

tiny_sources := $(wildcard test/guest/tiny*.c)
TINY_CFLAGS := -ffreestanding -fno-stack-protector -mgeneral-regs-only \
	-mno-red-zone
TINY_LDFLAGS := -nostdlib -static -no-pie -Wl,-z,noexecstack \
	-Wl,-z,max-page-size=4096 -Wl,--no-warn-rwx-segments -Wl,--build-id=none

build/obj/tiny/%.o: %.c Makefile test/check/walls $(LIB)/musl/linux/.done | $(ready)
	$(call step,CC,$(TARGET_CC) $(TARGET_CFLAGS) $(TINY_CFLAGS) \
		$(call includes,$<,musl) -MMD -MP -c -o $@ $< && $(call walls,$<))
build/obj/tiny/%.S.o: %.S Makefile | $(ready)
	$(call step,AS,$(TARGET_CC) $(TINY_CFLAGS) -MMD -MP -c -o $@ $<)
build/guest/tiny.elf: test/guest/tiny.ld $(call object,tiny,$(tiny_sources)) \
		build/obj/tiny/test/guest/tiny_start.S.o
	$(call step,LD,$(TARGET_CC) $(TINY_LDFLAGS) -T $< -o $@ $(filter %.o,$^))
build/guest/tiny: build/guest/tiny.elf
	$(call step,BZIMAGE,objcopy -O binary -j .setup -j .text -j .data $< $@)

# --- Queues and regions of MANA from user space, for a guest or for VTL2 -------

verbs_sources := test/guest/verbs.c test/unit/reactor_inline.c \
	$(patsubst %,mana/%.c,verbs queue tx rx poll) \
	paravisor/guest_memory.c paravisor/log.c

build/guest/verbs: $(call object,$(FLAVOUR),$(verbs_sources))
	$(call step,LD,$(TARGET_CC) $(TARGET_LDFLAGS) -o $@ $^ \
		$(call archives,musl,$(TARGET_LIBS)))

# --- Stamped blocks, for a guest -----------------------------------------------

stamped_sources := test/guest/stamped.c test/guest/stamp.c igvm/crc32.c

build/guest/stamped: $(call object,$(FLAVOUR),$(stamped_sources))
	$(call step,LD,$(TARGET_CC) $(TARGET_LDFLAGS) -o $@ $^)

# --- Another kernel in its own place, for a guest -------------------------------

build/guest/kexec: $(call object,$(FLAVOUR),test/guest/kexec.c)
	$(call step,LD,$(TARGET_CC) $(TARGET_LDFLAGS) -o $@ $^)

# --- Frames in bursts, for a guest ----------------------------------------------

build/guest/bursts: $(call object,$(FLAVOUR),test/guest/bursts.c)
	$(call step,LD,$(TARGET_CC) $(TARGET_LDFLAGS) -o $@ $^)

# --- The image ----------------------------------------------------------------

include kernel-config/kernel.mk

INITRAMFS := $(OUT)/initramfs.cpio.lz4
busybox := $(if $(filter debug,$(FLAVOUR)),$(LIB)/musl/busybox/.done)

# The kernel reads only lz4's legacy format.
$(INITRAMFS): rootfs/$(FLAVOUR).list build/host/mkcpio $(OUT)/init \
		$(OUT)/paravisor $(busybox)
	$(call step,CPIO,build/host/mkcpio $< $(@:.lz4=) && \
		lz4 -l -9 -f -q $(@:.lz4=) $@)

# The boot shim: no libc, no stack protector, no SSE, position independent; it
# runs before anything is set up. libfdt is built the same way.
SHIM_CFLAGS ?= -ffreestanding -fno-stack-protector -mgeneral-regs-only \
	-mno-red-zone -fpie
SHIM_LDFLAGS ?= -nostdlib -static-pie -Wl,--no-dynamic-linker -Wl,-z,norelro \
	-Wl,-z,noexecstack -Wl,--gc-sections -Wl,--build-id=none
shim_objects := $(patsubst %.c,build/obj/shim/%.o,$(wildcard igvm/shim*.c)) \
	$(patsubst %,build/obj/shim/%.o,$(wildcard igvm/shim*.S))

build/obj/shim/%.o: %.c Makefile test/check/walls $(shim_ready) | $(ready)
	$(call step,CC,$(TARGET_CC) $(TARGET_CFLAGS) $(SHIM_CFLAGS) \
		$(call includes,$<,shim) -MMD -MP -c -o $@ $< && $(call walls,$<))
build/obj/shim/%.S.o: %.S Makefile | $(ready)
	$(call step,AS,$(TARGET_CC) $(SHIM_CFLAGS) -Iinclude -Iigvm -MMD -MP -c -o $@ $<)
$(OUT)/shim: igvm/shim.ld $(shim_objects)
	$(call step,LD,$(TARGET_CC) $(SHIM_LDFLAGS) -T igvm/shim.ld -o $@ \
		$(shim_objects) $(call archives,shim,libfdt))

$(IGVM): igvm/manifests/$(FLAVOUR).json build/host/igvm-build $(OUT)/shim \
		$(KERNEL)/bzImage $(INITRAMFS)
	$(call step,IGVM,$(IGVM_BUILD))
IGVM_BUILD ?= build/host/igvm-build igvm/manifests/$(FLAVOUR).json $@

# --- Running and testing ------------------------------------------------------

include test/check/check.mk

# $(call owned,PATH,COMMAND): COMMAND, or one line when PATH is not there.
owned = @if [ -e $(1) ]; then $(2); else \
	echo "make $@: $(1) does not exist in this tree" >&2; exit 2; fi

run: all
	$(call owned,test/run,test/run)
e2e: all $(patsubst %,build/guest/%,tiny stamped kexec verbs bursts) \
		$(patsubst %,build/host/%,$(host_programs))
	$(call owned,test/e2e/run,test/e2e/run $(T))
test:
	@MAKE="$(MAKE)" test/check/test
soak: all build/guest/tiny build/guest/stamped build/guest/kexec \
		$(patsubst %,build/host/%,$(host_programs))
	$(call owned,test/soak/run,test/soak/run $(T))
bench: $(if $(filter native,$(T)),build/host/bench_native,all build/guest/tiny \
	build/host/instructions.so build/host/mark $(patsubst \
	%,build/host/%,$(host_programs)))
bench bench-compare:
	$(call owned,test/bench/run,test/bench/run $@ "$(T)" "$(BASE)")
fuzz:
	$(call owned,test/fuzz/run,test/fuzz/run "$(T)" "$(N)")
mutants:
	$(call owned,test/mutants/run,test/mutants/run)
repro:
	$(call owned,test/check/repro,MAKE="$(MAKE)" test/check/repro)

notices:
	@rootfs/sources/notices

clean:
	rm -rf build

help:
	@sed -n 's/^#: //p' Makefile
#: make all             the image, build/FLAVOUR/paravisor-FLAVOUR.igvm, vmm, pvctl
#: make run             boot it, with an unmodified Linux guest in VTL0
#: make test            check and e2e; of release, the areas about the image
#: make check           compilers, sparse, cppcheck, unit tests, corpora; no VM
#: make e2e [T=AREA]    whole-system cases
#: make soak [T=AREA]   the long ones
#: make bench [T=CASE]  figures; bench-compare BASE=DIR sets two beside each other
#: make fuzz [T=TARGET] [N=RUNS]  no T lists targets; T=coverage: lines reached
#: make size            what the image weighs, against its limits
#: make mutants         small faults that a test must notice
#: make repro           builds twice, compares
#: make notices         licences of all that an image holds
#: make clean           forgets build/; the cache of foreign builds stays
#:
#: FLAVOUR=debug|release  V=1 prints commands  LAB=auto|direct|nested
#: CACHE=DIR  KERNEL_SRC=TREE|TARBALL  NO_APT=1 installs no packages

.PHONY: all run check e2e test soak bench bench-compare fuzz size mutants repro \
	notices help clean

-include $(shell find build/obj -name '*.d' 2>/dev/null)
