/* SPDX-License-Identifier: MIT */
/* SOURCES: paravisor/acpi.c */
/*
 * ACPI tables: the chain from the RSDP, every checksum, and the AML walked by
 * a second reader; iasl must agree.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "paravisor/acpi.h"
#include "paravisor/acpi_reg.h"

#define BASE ACPI_RSDP_ADDRESS

static uint8_t block[ACPI_SIZE_MAX];
static int used;

static const struct acpi_machine machine = {
	.nr_vps = 3,
	.mmio = { { 0xf8000000, 0x4000000 }, { 0xf00000000, 0x100000000 } },
	.nr_mmio = 2,
	.com1 = true,
	.com2 = true,
};

static int build(void **state)
{
	(void)state;
	memset(block, 0xcc, sizeof(block));
	used = acpi_build(&machine, BASE, block, sizeof(block));
	assert_true(used > 0);
	return 0;
}

static uint8_t sum(const void *bytes, size_t n)
{
	const uint8_t *b = bytes;
	uint8_t s = 0;

	while (n--)
		s += *b++;
	return s;
}

static const void *at(uint64_t gpa, size_t size)
{
	assert_true(gpa >= BASE && gpa - BASE + size <= (uint64_t)used);
	return block + (gpa - BASE);
}

/* A table by address; its signature and checksum are right. */
static const struct acpi_header *table(uint64_t gpa, const char *signature)
{
	const struct acpi_header *h = at(gpa, sizeof(*h));

	assert_memory_equal(h->signature, signature, 4);
	at(gpa, le32_to_cpu(h->length));
	assert_int_equal(sum(h, le32_to_cpu(h->length)), 0);
	return h;
}

static const struct acpi_header *from_xsdt(const char *signature)
{
	const struct acpi_rsdp *rsdp = at(BASE, sizeof(*rsdp));
	const struct acpi_header *xsdt =
		table(le64_to_cpu(rsdp->xsdt_address), "XSDT");
	size_t n = (le32_to_cpu(xsdt->length) - sizeof(*xsdt)) / 8;

	for (size_t i = 0; i < n; i++) {
		le64 entry;
		const struct acpi_header *h;

		memcpy(&entry, (const uint8_t *)(xsdt + 1) + 8 * i, 8);
		h = at(le64_to_cpu(entry), sizeof(*h));
		if (!memcmp(h->signature, signature, 4))
			return table(le64_to_cpu(entry), signature);
	}
	fail_msg("no %s", signature);
	return NULL;
}

static const struct acpi_header *dsdt(void)
{
	const struct acpi_fadt *fadt = (const void *)from_xsdt("FACP");

	return table(le64_to_cpu(fadt->x_dsdt), "DSDT");
}

static void root_pointer(void **state)
{
	const struct acpi_rsdp *rsdp = at(BASE, sizeof(*rsdp));

	(void)state;
	assert_memory_equal(rsdp->signature, "RSD PTR ", 8);
	assert_int_equal(sum(rsdp, 20), 0);
	assert_int_equal(sum(rsdp, 36), 0);
	assert_int_equal(rsdp->revision, 2);
}

static void fixed_hardware(void **state)
{
	const struct acpi_fadt *fadt = (const void *)from_xsdt("FACP");
	const struct acpi_facs *facs;

	(void)state;
	assert_int_equal(le32_to_cpu(fadt->header.length), 276);
	assert_int_equal(fadt->header.revision, 6);
	assert_int_equal(le32_to_cpu(fadt->dsdt), le64_to_cpu(fadt->x_dsdt));
	assert_int_equal(le16_to_cpu(fadt->sci_int), 9);
	assert_int_equal(le32_to_cpu(fadt->smi_cmd), 0);
	assert_int_equal(le32_to_cpu(fadt->pm1a_evt_blk), 0x400);
	assert_int_equal(le32_to_cpu(fadt->pm1a_cnt_blk), 0x404);
	assert_int_equal(le32_to_cpu(fadt->pm_tmr_blk), 0x408);
	assert_int_equal(le64_to_cpu(fadt->x_pm_tmr_blk.address), 0x408);
	assert_int_equal(fadt->x_pm_tmr_blk.bit_width, 32);
	assert_int_equal(le64_to_cpu(fadt->reset_reg.address), 0xcf9);
	assert_int_equal(fadt->reset_value, 6);
	/* Bits by number: a power button in the registers, a reset register,
	 * 32 timer bits, no hardware-reduced ACPI. */
	assert_int_equal(le32_to_cpu(fadt->flags) >> 4 & 1, 0);
	assert_int_equal(le32_to_cpu(fadt->flags) >> 10 & 1, 1);
	assert_int_equal(le32_to_cpu(fadt->flags) >> 8 & 1, 1);
	assert_int_equal(le32_to_cpu(fadt->flags) >> 20 & 1, 0);
	assert_int_equal(le32_to_cpu(fadt->firmware_ctrl) % 64, 0);
	facs = at(le32_to_cpu(fadt->firmware_ctrl), sizeof(*facs));
	assert_memory_equal(facs->signature, "FACS", 4);
	assert_int_equal(le32_to_cpu(facs->length), 64);
}

/* Entries by type; every one has the length its type has. */
static void count_madt(const struct acpi_header *madt, unsigned int count[16])
{
	static const uint8_t length[16] = { [0] = 8, [1] = 12, [2] = 10,
					    [4] = 6, [9] = 16 };
	const uint8_t *p = (const uint8_t *)madt + 44;
	const uint8_t *end = (const uint8_t *)madt + le32_to_cpu(madt->length);

	memset(count, 0, 16 * sizeof(*count));
	for (; p < end; p += p[1]) {
		assert_true(p[0] < 16);
		assert_int_equal(p[1], length[p[0]]);
		if (p[0] == 0)
			assert_int_equal(p[3], count[0]);
		count[p[0]]++;
	}
	assert_ptr_equal(p, end);
}

static void processors(void **state)
{
	struct acpi_machine big = machine;
	unsigned int count[16];

	(void)state;
	count_madt(from_xsdt("APIC"), count);
	assert_int_equal(count[0], 3);
	assert_int_equal(count[1], 1);
	assert_int_equal(count[2], 1);
	assert_int_equal(count[4], 1);
	/* APIC ids from 255 on need the long form. */
	big.nr_vps = 300;
	used = acpi_build(&big, BASE, block, sizeof(block));
	assert_true(used > 0);
	count_madt(from_xsdt("APIC"), count);
	assert_int_equal(count[0], 255);
	assert_int_equal(count[9], 45);
}

/*
 * A reader of the AML that the DSDT may hold: scopes, devices and names of
 * data. Notes each path with its data's first byte.
 */
static char paths[64][32];
static const uint8_t *data[64];
static unsigned int nr_paths;

static const uint8_t *walk(const uint8_t *p, const uint8_t *end,
			   const char *scope);

static uint32_t package_length(const uint8_t **p)
{
	const uint8_t *q = *p;
	unsigned int more = q[0] >> 6;
	uint32_t length = more ? q[0] & 0x0f : q[0] & 0x3f;

	for (unsigned int i = 0; i < more; i++)
		length |= (uint32_t)q[1 + i] << (4 + 8 * i);
	*p += 1 + more;
	return length;
}

static void name(const uint8_t **p, const char *scope, char *path, size_t size)
{
	if (**p == '\\') {
		++*p;
		scope = "";
	}
	snprintf(path, size, "%s/%.4s", scope, (const char *)*p);
	for (int i = 0; i < 4; i++)
		assert_non_null(strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789",
				       (*p)[i]));
	*p += 4;
}

static const uint8_t *skip_data(const uint8_t *p)
{
	const uint8_t *start;
	uint32_t length, elements;

	switch (*p++) {
	case 0x00: case 0x01: return p;
	case 0x0a: return p + 1;
	case 0x0b: return p + 2;
	case 0x0c: return p + 4;
	case 0x0e: return p + 8;
	case 0x0d: return p + strlen((const char *)p) + 1;
	case 0x11: /* buffer: its size is a data object */
		start = p;
		length = package_length(&p);
		assert_int_equal(p[0], 0x0a);
		assert_ptr_equal(p + 2 + p[1], start + length);
		assert_int_equal(p[p[1]], 0x79);
		return start + length;
	case 0x12:
		start = p;
		length = package_length(&p);
		for (elements = *p++; elements; elements--)
			p = skip_data(p);
		assert_ptr_equal(p, start + length);
		return p;
	}
	fail_msg("data of type %#x", p[-1]);
	return NULL;
}

static const uint8_t *walk_inside(const uint8_t *p, const char *scope)
{
	const uint8_t *end = p;
	char path[32];

	end += package_length(&p);
	name(&p, scope, path, sizeof(path));
	snprintf(paths[nr_paths++], sizeof(paths[0]), "%s", path);
	return walk(p, end, path);
}

static const uint8_t *walk(const uint8_t *p, const uint8_t *end,
			   const char *scope)
{
	while (p < end) {
		uint8_t op = *p++;

		assert_true(nr_paths < 60);
		if (op == 0x10) {
			p = walk_inside(p, scope);
		} else if (op == 0x5b) {
			assert_int_equal(*p++, 0x82);
			p = walk_inside(p, scope);
		} else {
			assert_int_equal(op, 0x08);
			name(&p, scope, paths[nr_paths], sizeof(paths[0]));
			data[nr_paths++] = p;
			p = skip_data(p);
		}
	}
	assert_ptr_equal(p, end);
	return p;
}

static void walk_dsdt(void)
{
	const struct acpi_header *h = dsdt();

	nr_paths = 0;
	memset(data, 0, sizeof(data));
	walk((const uint8_t *)(h + 1),
	     (const uint8_t *)h + le32_to_cpu(h->length), "");
}

static const uint8_t *find(const char *path)
{
	for (unsigned int i = 0; i < nr_paths; i++)
		if (!strcmp(paths[i], path))
			return data[i] ? data[i] : (const uint8_t *)"";
	return NULL;
}

static void apic_ids_of_their_own(void **state)
{
	static const uint32_t ids[] = { 0, 6, 300 };
	struct acpi_machine other = machine;
	const struct acpi_madt *madt;
	const struct acpi_madt_local_apic *apic;
	const struct acpi_madt_local_x2apic *x2apic;

	(void)state;
	other.apic_ids = ids;
	used = acpi_build(&other, BASE, block, sizeof(block));
	assert_true(used > 0);
	madt = (const void *)from_xsdt("APIC");
	apic = (const void *)(madt + 1);
	assert_int_equal(apic[1].processor_uid, 1);
	assert_int_equal(apic[1].apic_id, 6);
	x2apic = (const void *)(apic + 2);
	assert_int_equal(x2apic->type, 9);
	assert_int_equal(le32_to_cpu(x2apic->processor_uid), 2);
	assert_int_equal(le32_to_cpu(x2apic->apic_id), 300);
}

static void namespace_of_dsdt(void **state)
{
	const uint8_t *crs;

	(void)state;
	walk_dsdt();
	assert_non_null(find("/_SB_/VMOD/VMBS"));
	assert_string_equal((const char *)find("/_SB_/VMOD/VMBS/_HID") + 1,
			    "VMBus");
	/* Empty, but there: without it Linux finds no apertures above. */
	assert_memory_equal(find("/_SB_/VMOD/VMBS/_CRS") + 5, "\x79\x00", 2);
	/* PNP0501, PNP0B00 in the encoding that the specification prints. */
	assert_memory_equal(find("/_SB_/UAR1/_HID"), "\x0c\x41\xd0\x05\x01", 5);
	assert_memory_equal(find("/_SB_/RTC0/_HID"), "\x0c\x41\xd0\x0b\x00", 5);
	assert_memory_equal(find("/_S5_") + 3, "\x04\x0a\x05\x0a\x05\0\0", 7);
	/* COM1: 16-bit decode at 0x3f8, 8 ports; IRQ 4, edge. */
	crs = find("/_SB_/UAR1/_CRS") + 5;
	assert_memory_equal(crs, "\x47\x01\xf8\x03\xf8\x03\x01\x08"
				 "\x23\x10\x00\x01\x79\x00", 14);
}

static void apertures(void **state)
{
	struct acpi_resource_qword q;
	const uint8_t *crs;

	(void)state;
	walk_dsdt();
	crs = find("/_SB_/VMOD/_CRS") + 5;
	for (unsigned int i = 0; i < machine.nr_mmio; i++) {
		memcpy(&q, crs + i * sizeof(q), sizeof(q));
		assert_int_equal(q.tag, 0x8a);
		assert_int_equal(le16_to_cpu(q.length), 0x2b);
		assert_int_equal(q.type, 0);
		assert_true(le64_to_cpu(q.minimum) == machine.mmio[i].gpa);
		assert_true(le64_to_cpu(q.maximum) ==
			    machine.mmio[i].gpa + machine.mmio[i].bytes - 1);
		assert_true(le64_to_cpu(q.size) == machine.mmio[i].bytes);
	}
}

static void ports_that_are_not_there(void **state)
{
	struct acpi_machine bare = machine;

	(void)state;
	bare.com1 = false;
	bare.com2 = false;
	used = acpi_build(&bare, BASE, block, sizeof(block));
	walk_dsdt();
	assert_null(find("/_SB_/UAR1"));
	assert_null(find("/_SB_/UAR2"));
	assert_non_null(find("/_SB_/RTC0"));
}

static void every_smaller_block_is_refused(void **state)
{
	uint8_t *small;
	int n = used;

	(void)state;
	/* On the heap, where a write behind the end is found. */
	for (int size = 0; size < n; size++) {
		small = malloc(size ? size : 1);
		assert_int_equal(acpi_build(&machine, BASE, small, size),
				 -ENOSPC);
		free(small);
	}
}

static void bad_machines(void **state)
{
	struct acpi_machine bad = machine;

	(void)state;
	bad.nr_vps = 0;
	assert_int_equal(acpi_build(&bad, BASE, block, sizeof(block)), -EINVAL);
	bad = machine;
	bad.nr_mmio = ACPI_MAX_MMIO + 1;
	assert_int_equal(acpi_build(&bad, BASE, block, sizeof(block)), -EINVAL);
	assert_int_equal(acpi_build(&machine, BASE + 8, block, sizeof(block)),
			 -EINVAL);
}

/*
 * iasl disassembles all tables without a word of warning, and compiles what it
 * made of the DSDT. The id "VMBus" is Hyper-V's and breaks a rule of ACPI, so
 * it is replaced before.
 */
static void put_table(const char *directory, const char *name,
		      const void *bytes)
{
	const struct acpi_header *h = bytes;
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s.dat", directory, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(h, le32_to_cpu(h->length), 1, f), 1);
	fclose(f);
}

static void iasl_agrees(void **state)
{
	const struct acpi_rsdp *rsdp = at(BASE, sizeof(*rsdp));
	const struct acpi_fadt *fadt = (const void *)from_xsdt("FACP");
	char directory[] = "/tmp/acpi-test-XXXXXX", command[512];

	(void)state;
	assert_non_null(mkdtemp(directory));
	put_table(directory, "dsdt", dsdt());
	put_table(directory, "fadt", fadt);
	put_table(directory, "madt", from_xsdt("APIC"));
	put_table(directory, "xsdt",
		  table(le64_to_cpu(rsdp->xsdt_address), "XSDT"));
	put_table(directory, "facs", at(le32_to_cpu(fadt->firmware_ctrl), 64));
	snprintf(command, sizeof(command),
		 "cd %s && for t in *.dat; do iasl -d $t || exit 1; done "
		 ">log 2>&1 && ! grep -i 'warning\\|error' log && "
		 "sed -i 's/\"VMBus\"/\"VMBU0000\"/' dsdt.dsl && "
		 "iasl -we -vw 3073 -p again dsdt.dsl >>log 2>&1 || "
		 "{ cat log; false; }", directory);
	assert_int_equal(system(command), 0);
	snprintf(command, sizeof(command), "rm -r %s", directory);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(root_pointer, build),
		cmocka_unit_test_setup(fixed_hardware, build),
		cmocka_unit_test_setup(processors, build),
		cmocka_unit_test_setup(apic_ids_of_their_own, build),
		cmocka_unit_test_setup(namespace_of_dsdt, build),
		cmocka_unit_test_setup(apertures, build),
		cmocka_unit_test_setup(ports_that_are_not_there, build),
		cmocka_unit_test_setup(every_smaller_block_is_refused, build),
		cmocka_unit_test_setup(bad_machines, build),
		cmocka_unit_test_setup(iasl_agrees, build),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
