// SPDX-License-Identifier: MIT
/*
 * Direct boot, theory of operation
 *
 * Owns: the guest's command line. The loader itself and the ACPI tables are
 * the daemon's (paravisor/boot_linux.c, paravisor/acpi.c), so a guest finds
 * the same machine with VTL2 and without; here they get this machine's memory:
 *
 *	VTL0 RAM	[0, min(-m, VTL0's low MMIO)), the rest from 4 GiB
 *	VMBus MMIO	both windows of VTL0 (memory_map.h)
 *
 * Threads: none; no VP runs. Failure answers: what can be told from the files
 * alone is refused before anything is started; what only the loader knows (a
 * kernel that does not fit the memory) in linux_boot_place(), by its one line.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hv_reg.h>
#include <linux_boot_reg.h>
#include <pv/guest_memory.h>
#include <pv/log.h>

#include "linux_boot.h"
#include "memory_map.h"
#include "paravisor/boot_linux.h"

static void add_range(struct linux_boot *boot, uint64_t gpa, uint64_t size)
{
	if (size)
		boot->ranges[boot->nr_ranges++] =
			(struct memory_range){ gpa, size, VTL0 };
}

static void lay_out_memory(struct linux_boot *boot)
{
	uint64_t low = boot->memory;

	if (low > VTL0_MMIO_LOW_BASE)
		low = VTL0_MMIO_LOW_BASE;
	boot->nr_ranges = 0;
	add_range(boot, 0, low);
	add_range(boot, HIGH_RAM_BASE, boot->memory - low);
}

static int join_command_line(struct linux_boot *boot)
{
	const char *first = boot->append ? boot->append : "";
	const char *second = boot->vtl0_append ? boot->vtl0_append : "";

	if (asprintf(&boot->command_line, "%s%s%s", first,
		     *first && *second ? " " : "", second) < 0) {
		boot->command_line = NULL;
		fputs("vmm: out of memory\n", stderr);
		return -ENOMEM;
	}
	if (strlen(boot->command_line) <= LINUX_COMMAND_LINE_MAX)
		return 0;
	fprintf(stderr, "vmm: -c and --vtl0-append: a command line of %zu "
		"bytes: at most %u\n", strlen(boot->command_line),
		LINUX_COMMAND_LINE_MAX);
	return -E2BIG;
}

int linux_boot_check(struct linux_boot *boot)
{
	int err = join_command_line(boot);

	if (err)
		return err;
	if (asprintf(&boot->name, "--vtl0-kernel %s", boot->kernel->path) < 0) {
		boot->name = NULL;
		fputs("vmm: out of memory\n", stderr);
		return -ENOMEM;
	}
	lay_out_memory(boot);
	/* Where the kernel went is of no interest here. */
	log_set_level("boot", LOG_WARN);
	return boot_linux_check(boot->name, boot->kernel->bytes,
				boot->kernel->len);
}

void linux_boot_free(struct linux_boot *boot)
{
	free(boot->command_line);
	free(boot->name);
	boot->command_line = boot->name = NULL;
}

int linux_boot_place(const struct linux_boot *boot, struct machine *m)
{
	uint32_t apic_ids[MACHINE_MAX_VPS];
	const struct boot_linux image = {
		.name = boot->name,
		.kernel = boot->kernel->bytes,
		.kernel_size = boot->kernel->len,
		.initrd = boot->initrd->bytes,
		.initrd_size = boot->initrd->len,
		.command_line = boot->command_line,
		.acpi = {
			.nr_vps = boot->vps,
			.apic_ids = apic_ids,
			.mmio = {
				{ VTL0_MMIO_LOW_BASE, VTL0_MMIO_LOW_SIZE },
				{ VTL0_MMIO_HIGH_BASE, VTL0_MMIO_HIGH_SIZE },
			},
			.nr_mmio = 2,
			.com1 = true,
			.com2 = true,
		},
	};
	struct guest_memory memory = { 0 };
	struct boot_registers registers;
	int err = 0;

	for (unsigned int i = 0; i < boot->vps; i++)
		apic_ids[i] = i * (boot->apic_id_step ? boot->apic_id_step : 1);
	for (unsigned int i = 0; !err && i < boot->nr_ranges; i++) {
		const struct memory_range *r = &boot->ranges[i];

		err = guest_memory_add(&memory, r->gpa, r->size,
				       machine_ram(m, VTL0, r->gpa, r->size));
	}
	pv_bug(err, -err, boot->nr_ranges);
	err = boot_linux_load(&image, &memory, &registers);
	for (unsigned int i = 0; !err && i < registers.count; i++) {
		const struct hv_register_assoc *reg = &registers.reg[i];

		err = machine_set_boot_register(
			m, VTL0, le32_to_cpu(reg->name), &reg->value);
		if (err)
			fprintf(stderr, "vmm: register %#x of VP 0 cannot be "
				"set\n", le32_to_cpu(reg->name));
	}
	return err;
}
