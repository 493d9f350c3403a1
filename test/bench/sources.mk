# SPDX-License-Identifier: MIT
# Not a program but what QEMU loads: it finds its functions in QEMU.
build/obj/host/test/bench/instructions.o: HOST_CFLAGS += -fPIC
build/host/instructions.so: build/obj/host/test/bench/instructions.o
	$(call step,LD,$(HOST_CC) $(LDFLAGS) -shared -o $@ $<)
