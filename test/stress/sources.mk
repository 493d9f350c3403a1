# SPDX-License-Identifier: MIT
#
# The stress of vmm's interrupt handshake: vmm's parts that are no devices.
host_programs += vmm-stress
vmm-stress_sources := test/stress/stress.c $(patsubst %,test/vmm/%.c,cpuid \
	hypercall intercept io kvm lapic machine msr operand pause registers string_io synic \
	timer translate vp vtl)
build/host/vmm-stress: build/obj/host/test/stress/payload.o
build/obj/host/test/stress/payload.o: test/stress/payload.S \
		test/stress/layout.h Makefile
	$(call step,AS,$(HOST_CC) -c -o $@ $<)
