# SPDX-License-Identifier: MIT
#
# How the image is built from its manifest. A manifest names all files; they
# are given here again so that they are the ones this Makefile has built.

IGVM_BUILD = build/host/igvm-build --build-dir build --set shim=$(OUT)/shim \
	--set kernel=$(KERNEL)/bzImage --set initramfs=$(INITRAMFS) \
	-o $@ --map $@.map $<

igvm-dump_sources := $(wildcard igvm/dump*.c) $(filter-out igvm/dump%.c, \
	$(igvm_library))
igvm-build_sources := igvm/build.c $(filter-out igvm/dump%.c, $(igvm_library))
