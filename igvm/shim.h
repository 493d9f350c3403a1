/* SPDX-License-Identifier: MIT */
/*
 * The boot shim: from the host's device tree to Linux's boot_params and its
 * device tree.
 *
 * Everything declared here but shim_fail and shim_enter is plain C on memory
 * that the caller gives, without I/O and without allocation, so that it runs
 * natively under tests.
 */
#ifndef SHIM_H
#define SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "linux_boot_reg.h"
#include "shim_reg.h"

/* shim_log.c: the shim's log, kept in memory. */

#define SHIM_LOG_SIZE 2048u

struct shim_log {
	char text[SHIM_LOG_SIZE]; /* always ends with a NUL */
	uint32_t len;
};

/* One line, "shim: TEXT" and newline; what does not fit is cut off. */
void shim_log_line(struct shim_log *log, const char *text);

/* One line, "shim: TEXT 0xVALUE". */
void shim_log_value(struct shim_log *log, const char *text, uint64_t value);

/* Writes `value` in hexadecimal, no prefix; returns the end, a NUL. */
char *shim_hex(char *out, uint64_t value);
#define SHIM_HEX_SIZE 17

/* shim_host_tree.c: what the host says, checked. */

#define HOST_CPUS_MAX 1024u
#define HOST_MEMORY_MAX 64u
#define HOST_MMIO_MAX 8u

struct host_range {
	uint64_t gpa;
	uint64_t bytes;
	uint32_t type; /* IGVM_MEMORY_MAP_* of memory; 0 otherwise */
};

struct host_mmio {
	uint64_t child; /* address on the bus, as the host has it */
	uint64_t gpa;
	uint64_t bytes;
};

struct host_vmbus {
	bool present;
	uint32_t connection_id;
	uint32_t mmio_count;
	struct host_mmio mmio[HOST_MMIO_MAX];
};

/*
 * Strings and *rule point into the parsed tree or are static; absent strings
 * are NULL, absent ranges have no bytes.
 */
struct host_tree {
	uint32_t cpu_count;
	uint32_t cpu[HOST_CPUS_MAX]; /* APIC ids in VP order */
	uint32_t memory_count;
	struct host_range memory[HOST_MEMORY_MAX];
	struct host_vmbus vmbus_vtl0;
	struct host_vmbus vmbus_vtl2;
	const char *bootargs;
	const char *settings;
	const char *vtl0_append;
	struct host_range vtl0_kernel;
	struct host_range vtl0_initrd;
	/* after a failure: what is wrong, and with which number */
	const char *rule;
	uint64_t value;
};

/*
 * Reads the tree of at most `bytes` bytes at `fdt`, 8-byte aligned. Every
 * number of the host is bounded here. Returns 0, or -1 with rule and value set.
 */
int host_tree_parse(struct host_tree *tree, const void *fdt, uint32_t bytes);

/* The VTL2 range that holds all of [gpa, gpa + bytes), or NULL. */
const struct host_range *host_tree_vtl2_ram(const struct host_tree *tree,
					    uint64_t gpa, uint64_t bytes);

/* shim_kernel_tree.c: the tree that Linux and the daemon get. */

/* What of it the host's tree does not have. Strings NULL if absent. */
struct kernel_tree_parts {
	struct host_range vtl2_ram;
	struct host_range vtl0_kernel; /* host's or image's, decided */
	struct host_range vtl0_initrd;
	struct host_range black_box;
	const char *vtl0_command_line;
	const char *settings;
	const char *log;
};

/*
 * Writes a device tree into `bytes` bytes at `out`. Returns its size, or -1
 * if it does not fit. Node and property names: include/vtl0_reg.h.
 */
int kernel_tree_write(void *out, uint32_t bytes, const struct host_tree *host,
		      const struct kernel_tree_parts *parts);

/* shim_boot_params.c: what Linux gets beside the tree. */

/*
 * Appends the host's text (may be NULL) to the command line in a buffer of
 * `size` bytes. Returns 0, or -1 if the sum exceeds LINUX_COMMAND_LINE_MAX.
 */
int command_line_append(char *line, size_t size, const char *text);

/* Fills in what the image left open. `setup_data` is an address. */
void boot_params_fill(struct linux_boot_params *b,
		      const struct shim_info *info,
		      const struct host_range *vtl2_ram, uint64_t setup_data);

/* shim.c */

__attribute__((noreturn))
void shim_main(const struct shim_info *info);

/* shim.S: jumps to Linux's 64-bit entry with RSI = boot_params. */
__attribute__((noreturn))
void shim_enter(uint64_t entry, const struct linux_boot_params *boot_params);

#endif
