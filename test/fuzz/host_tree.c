// SPDX-License-Identifier: MIT
/*
 * The host's device tree, as the boot shim reads it, and the tree that VTL2's
 * kernel gets.
 *
 * Input: the flattened tree. Its header is made right first (offsets and sizes
 * follow from two 16-bit numbers in front): structure block and strings are
 * what there is to get wrong. With bit 15 of the first number the header is
 * the input's.
 *
 * A refusal names its rule. From what is accepted a sound tree is written, or
 * none because there is no room.
 */
#include <string.h>

#include <libfdt.h>

#include "igvm/shim.h"
#include "test/fuzz/fuzz.h"

#define RAW 0x8000u
#define HEADER 40u
#define RESERVE_MAP 16u
#define TREE_MAX 16384u
#define OUT_SIZE 32768u

static _Alignas(8) uint8_t blob[TREE_MAX], out[OUT_SIZE];
static struct host_tree tree;

static void put(unsigned int field, uint32_t value)
{
	fdt32_t cell = cpu_to_fdt32(value);

	memcpy(blob + 4 * field, &cell, sizeof(cell));
}

/* Structure block of `structure` bytes, the strings behind it. */
static uint32_t seal(uint32_t structure, uint32_t strings)
{
	uint32_t start = HEADER + RESERVE_MAP;
	uint32_t size = start + structure + strings;

	memset(blob, 0, start);
	put(0, FDT_MAGIC);
	put(1, size);
	put(2, start);
	put(3, start + structure);
	put(4, HEADER);
	put(5, 17);
	put(6, 16);
	put(8, strings);
	put(9, structure);
	return size;
}

static uint32_t make_tree(struct fuzz_input *in)
{
	uint32_t strings = (uint32_t)fuzz_number(in, 2);
	const uint8_t *bytes;
	size_t size;

	if (strings & RAW) {
		bytes = fuzz_rest(in, TREE_MAX, &size);
		if (size)
			memcpy(blob, bytes, size);
		return (uint32_t)size;
	}
	bytes = fuzz_rest(in, TREE_MAX - HEADER - RESERVE_MAP, &size);
	if (strings > size)
		strings = (uint32_t)size;
	if (size)
		memcpy(blob + HEADER + RESERVE_MAP, bytes, size);
	return seal((uint32_t)size - strings, strings);
}

static void check_text(const char *text, uint32_t size, uint32_t max)
{
	const uint8_t *at = (const uint8_t *)text;

	if (!text)
		return;
	fuzz_expect(at >= blob && at < blob + size, 0, 0);
	fuzz_expect(strnlen(text, max) < max, max, 0);
}

static void check_accepted(uint32_t size)
{
	fuzz_expect(tree.cpu_count && tree.cpu_count <= HOST_CPUS_MAX,
		    tree.cpu_count, 0);
	fuzz_expect(tree.memory_count <= HOST_MEMORY_MAX, tree.memory_count,
		    0);
	for (uint32_t i = 0; i < tree.memory_count; i++) {
		const struct host_range *m = &tree.memory[i];

		fuzz_expect(m->bytes && m->gpa + m->bytes - 1 >= m->gpa &&
			    !((m->gpa | m->bytes) % 4096), m->gpa, m->bytes);
		for (uint32_t k = 0; k < i; k++)
			fuzz_expect(m->gpa > tree.memory[k].gpa +
					tree.memory[k].bytes - 1 ||
				    tree.memory[k].gpa > m->gpa + m->bytes - 1,
				    m->gpa, tree.memory[k].gpa);
		host_tree_vtl2_ram(&tree, m->gpa, m->bytes);
	}
	fuzz_expect(tree.vmbus_vtl2.present &&
		    tree.vmbus_vtl2.mmio_count <= HOST_MMIO_MAX &&
		    tree.vmbus_vtl0.mmio_count <= HOST_MMIO_MAX,
		    tree.vmbus_vtl2.mmio_count, tree.vmbus_vtl0.mmio_count);
	check_text(tree.bootargs, size, LINUX_COMMAND_LINE_MAX + 1);
	check_text(tree.vtl0_append, size, 2048);
	check_text(tree.settings, size, 64 << 10);
}

void fuzz_one(struct fuzz_input *in)
{
	uint32_t size = make_tree(in);
	struct kernel_tree_parts parts = { .log = "shim: fuzzed\n" };
	int len;

	if (host_tree_parse(&tree, blob, size)) {
		fuzz_expect(tree.rule && *tree.rule, size, tree.value);
		return;
	}
	fuzz_accept();
	check_accepted(size);
	parts.vtl0_kernel = tree.vtl0_kernel;
	parts.vtl0_initrd = tree.vtl0_initrd;
	parts.settings = tree.settings;
	parts.vtl0_command_line = tree.vtl0_append;
	len = kernel_tree_write(out, OUT_SIZE, &tree, &parts);
	fuzz_expect(len <= (int)OUT_SIZE, len, 0);
	fuzz_expect(len < 0 || !fdt_check_full(out, (size_t)len), len, 0);
}
