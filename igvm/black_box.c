// SPDX-License-Identifier: MIT
/*
 * The first page of a black box (blackbox_reg.h): what is where. The ramoops
 * zones come first and together, as the kernel wants them
 * (shim_kernel_tree.c).
 */
#include "black_box.h"

#include <string.h>

/* The sections one behind the other, the rings of exits last: as many as there
 * is room for. */
void black_box_fill(struct blackbox_header *h, uint64_t gpa, uint64_t size)
{
	static const struct {
		enum blackbox_kind kind;
		uint32_t bytes, stride;
	} section[] = {
		{ BLACKBOX_RAMOOPS_DUMP, RAMOOPS_DUMPS * RAMOOPS_DUMP_SIZE,
		  RAMOOPS_DUMP_SIZE },
		{ BLACKBOX_RAMOOPS_CONSOLE, RAMOOPS_CONSOLE_SIZE,
		  RAMOOPS_CONSOLE_SIZE },
		{ BLACKBOX_FAILURE, BLACKBOX_FAILURES * BLACKBOX_FAILURE_STRIDE,
		  BLACKBOX_FAILURE_STRIDE },
		{ BLACKBOX_NAMES, BLACKBOX_REASONS * BLACKBOX_NAME_SIZE,
		  BLACKBOX_NAME_SIZE },
		{ BLACKBOX_LOG, 256 * BLACKBOX_LOG_STRIDE,
		  BLACKBOX_LOG_STRIDE },
		{ BLACKBOX_VMBUS, 256 * BLACKBOX_VMBUS_STRIDE,
		  BLACKBOX_VMBUS_STRIDE },
		{ BLACKBOX_EXITS, 0, BLACKBOX_EXITS_STRIDE },
	};
	const uint32_t n = sizeof(section) / sizeof(section[0]);
	uint32_t at = BLACKBOX_PAGE;

	h->magic = cpu_to_le64(BLACKBOX_MAGIC);
	h->version = cpu_to_le32(BLACKBOX_VERSION);
	h->nr_sections = cpu_to_le32(n);
	h->gpa = cpu_to_le64(gpa);
	h->size = cpu_to_le64(size);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t stride = section[i].stride;
		uint32_t room = (uint32_t)size - at;
		uint32_t bytes = section[i].bytes;

		if (!bytes)
			bytes = room - room % stride;
		h->section[i] = (struct blackbox_section){
			cpu_to_le32(section[i].kind), cpu_to_le32(at),
			cpu_to_le32(bytes), cpu_to_le32(stride),
		};
		at += bytes;
		at = (at + 63) & ~63u;
	}
}
