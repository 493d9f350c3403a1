# SPDX-License-Identifier: MIT
#
# One kernel per flavour: release leaves out what only a shell or a person reads.

KERNEL := build/kernel-$(FLAVOUR)
kernel_fragments := kernel-config/vtl2.config
ifeq ($(FLAVOUR),debug)
kernel_fragments += kernel-config/debug.config
endif

$(KERNEL)/bzImage: $(kernel_fragments) kernel-config/build kernel-config/verify \
		rootfs/sources/table build/.kernel-source | $(ready)
	$(call step,KERNEL,kernel-config/build $(@D) $(kernel_fragments))

$(LIB)/musl/linux/.done: build/.kernel-source

# Changes when another KERNEL_SRC is given.
build/.kernel-source: compare-again
	@mkdir -p $(@D)
	@echo '$(KERNEL_SRC)' | cmp -s - $@ || echo '$(KERNEL_SRC)' >$@

.PHONY: compare-again
