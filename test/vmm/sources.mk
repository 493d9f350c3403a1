# SPDX-License-Identifier: MIT
# vmm reads images with igvm's own reader, logs as the daemon does, and serves
# VMBus with relay's server.
vmm_sources += $(patsubst %,igvm/%.c,read check registers \
	crc32) $(patsubst %,paravisor/%.c,guest_memory inspect log violation) \
	$(patsubst %,relay/%.c,channel connection gpadl gpadl_messages message_pipe offer ring \
	serial server)
