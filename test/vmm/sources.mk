# SPDX-License-Identifier: MIT
# vmm reads images with igvm's own reader and logs as the daemon does.
vmm_sources += paravisor/log.c $(patsubst %,igvm/%.c,read check registers crc32)
