/* SPDX-License-Identifier: MIT */
/*
 * Direct boot of Linux: puts a bzImage, an initrd, a command line and ACPI
 * tables into guest memory and says with what registers VP 0 enters it.
 *
 * Linked into the daemon and into vmm.
 */
#ifndef BOOT_LINUX_H
#define BOOT_LINUX_H

#include <stddef.h>
#include <stdint.h>

#include <hv_reg.h>
#include <pv/guest_memory.h>

#include "acpi.h"

struct boot_linux {
	/* What messages call the kernel: a file, a property. */
	const char *name;
	/* Private copies: not in the memory of the guest. */
	const void *kernel;
	size_t kernel_size;
	const void *initrd; /* NULL: none */
	size_t initrd_size;
	const char *command_line;
	struct acpi_machine acpi;
};

/* A page of RAM in the hole of the memory map: no guest is told of it, so that
 * it can be used at any time; but each can look, and write. */
#define BOOT_LINUX_SPARE_PAGE 0xdf000u

#define BOOT_LINUX_MAX_REGISTERS 20

/* In the order in which they should be set. */
struct boot_registers {
	unsigned int count;
	struct hv_register_assoc reg[BOOT_LINUX_MAX_REGISTERS];
};

/*
 * Is that a kernel we can boot? 0, or -ENOEXEC with one line that names the
 * kernel, the field and the rule. Any thread.
 */
int boot_linux_check(const char *name, const void *kernel, size_t size);

/*
 * Checks all, then writes all; guest memory is untouched unless 0 is returned.
 * -ENOEXEC: not such a kernel; -ENOSPC: no room in low memory; -E2BIG: command
 * line too long for this kernel; each with one line. No VP runs the guest.
 */
int boot_linux_load(const struct boot_linux *boot, struct guest_memory *gm,
		    struct boot_registers *registers);

#endif
