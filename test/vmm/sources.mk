# SPDX-License-Identifier: MIT
# vmm reads images with igvm's own reader, logs as the daemon does, and serves
# VMBus with relay's server. A guest without VTL2 gets the daemon's loader, ACPI
# tables and chipset.
vmm_sources += $(patsubst %,igvm/%.c,read check registers \
	crc32) $(patsubst %,paravisor/%.c,guest_memory inspect log \
	reactor_calls reactor_timers violation boot_linux acpi) \
	$(patsubst %,paravisor/chipset/%.c,bus chipset ioapic pm rtc) \
	$(patsubst %,relay/%.c,channel channel_messages connection gpadl \
	gpadl_messages message_pipe offer ring serial_server server)
