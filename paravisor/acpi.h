/* SPDX-License-Identifier: MIT */
/*
 * The guest's ACPI tables: RSDP, XSDT, FADT, FACS, MADT and DSDT.
 *
 * Linked into the daemon and into vmm (guests booted directly); depends on
 * nothing but the chipset's addresses.
 */
#ifndef ACPI_H
#define ACPI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ACPI_MAX_MMIO 4u

struct acpi_mmio {
	uint64_t gpa, bytes;
};

struct acpi_machine {
	unsigned int nr_vps;
	const uint32_t *apic_ids; /* of the VPs; NULL: their numbers */
	/* Apertures that VMBus devices may place registers in; at least one, or
	 * Linux finds no room for them. */
	struct acpi_mmio mmio[ACPI_MAX_MMIO];
	unsigned int nr_mmio;
	bool com1, com2;
};

/* Where the RSDP has to lie for a guest that searches for it. */
#define ACPI_RSDP_ADDRESS 0xe0000u
#define ACPI_SIZE_MAX 0x20000u

/*
 * Writes all tables to `out`, as they have to lie at guest address `gpa` (a
 * multiple of 64), the RSDP first. Returns the bytes used, or -ENOSPC, or
 * -EINVAL when the machine has no VP or too many apertures. Any thread.
 */
int acpi_build(const struct acpi_machine *machine, uint32_t gpa, void *out,
	       size_t size);

#endif
