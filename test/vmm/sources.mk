# SPDX-License-Identifier: MIT
# vmm reads images with igvm's own reader, logs as the daemon does, and serves
# VMBus, SCSI and NICs with relay's servers. A guest without VTL2 gets the daemon's
# loader, ACPI tables and chipset.
vmm_sources += $(patsubst %,igvm/%.c,read check registers \
	crc32) $(patsubst %,paravisor/%.c,guest_memory inspect log \
	reactor_calls reactor_timers violation boot_linux acpi) \
	$(patsubst %,paravisor/chipset/%.c,bus chipset ioapic pm rtc) \
	$(wildcard relay/storvsp*.c relay/scsi*.c) paravisor/disk_status.c \
	$(wildcard relay/netvsp*.c relay/rndis*.c) relay/gather.c relay/company.c \
	$(patsubst %,relay/%.c,channel channel_messages connection gpadl \
	gpadl_messages message_pipe offer relayed ring serial_server server)

# The user-mode network and the console's lines; Debian has the first as a shared
# library only.
vmm_ldflags += -Wl,--no-as-needed -lslirp -ledit -Wl,--as-needed
