# SPDX-License-Identifier: MIT
# Not a program but what QEMU loads: it finds its functions in QEMU.
build/obj/host/test/bench/instructions.o: HOST_CFLAGS += -fPIC
build/host/instructions.so: build/obj/host/test/bench/instructions.o
	$(call step,LD,$(HOST_CC) $(LDFLAGS) -shared -o $@ $<)

# The daemon's own objects, and what plays the guest compiled like them: its
# instructions are what is counted. valgrind.h is not among musl's headers.
bench_native_sources := $(wildcard test/bench/native*.c) $(wildcard relay/*.c) \
	$(wildcard test/guest_driver/*.c) include/guid.c \
	$(patsubst %,paravisor/%.c,disk_memory disk_status guest_memory log nic_loopback \
	violation inspect trace)
build/obj/$(FLAVOUR)/test/bench/%.o: TARGET_CFLAGS += \
	-idirafter /usr/include
build/host/bench_native: $(call object,$(FLAVOUR),$(bench_native_sources))
	$(call step,LD,$(TARGET_CC) $(TARGET_LDFLAGS) -o $@ $^)

# For guests: static.
build/host/mark: $(call object,$(FLAVOUR),test/bench/mark.c)
	$(call step,LD,$(TARGET_CC) $(TARGET_LDFLAGS) -o $@ $^)
