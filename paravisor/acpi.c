/* SPDX-License-Identifier: MIT */
/*
 * ACPI tables, theory of operation
 *
 * A writer with a bound appends tables to one block; addresses are known as it
 * goes, because the block's place is known beforehand:
 *
 *	RSDP -> XSDT -> FADT -> DSDT
 *	             |       `-> FACS
 *	             `-> MADT
 *
 * so they are written from the leaves up, after room was left for the RSDP.
 * A block that is too small is found at the end, once; until then writes that
 * do not fit are only counted.
 *
 * The DSDT, as ASL:
 *
 *	Scope (\_SB) {
 *		Device (VMOD) {
 *			_HID "ACPI0004", _UID 0
 *			_CRS QWordMemory for each aperture
 *			Device (VMBS) { _HID "VMBus", _ADR 0, _DDN "VMBUS",
 *					_UID 0, _STA 15, _CRS nothing }
 *		}
 *		Device (UAR1) { _HID PNP0501, _UID 1, _CRS IO 0x3f8, IRQ 4 }
 *		Device (UAR2) { ... }
 *		Device (RTC0) { _HID PNP0B00, _CRS IO 0x70 }
 *	}
 *	Name (\_S5, Package { 5, 5, 0, 0 })
 *
 * Lengths of AML packages are written as two bytes always, and filled in when
 * the package ends.
 */
#include <errno.h>
#include <string.h>

#include "acpi.h"
#include "acpi_reg.h"
#include "chipset/ioapic.h"
#include "chipset/pm.h"
#include "chipset/rtc.h"

struct block {
	uint8_t *out;
	size_t size, at;
};

#define TABLE_ALIGNMENT 64u /* what the FACS needs */
#define OEM_ID "PVISOR"
#define OEM_TABLE_ID "PARAVISR"
#define CREATOR_ID "PVSR"
#define LOCAL_APIC_ADDRESS 0xfee00000u
#define RTC_CENTURY_INDEX 0x32u

static void put(struct block *b, const void *bytes, size_t n)
{
	if (b->at <= b->size && n <= b->size - b->at)
		memcpy(b->out + b->at, bytes, n);
	b->at += n;
}

static void put_byte(struct block *b, uint8_t byte)
{
	put(b, &byte, 1);
}

/* Starts a new table; returns its offset. */
static size_t align(struct block *b)
{
	while (b->at % TABLE_ALIGNMENT)
		put_byte(b, 0);
	return b->at;
}

static bool fits(const struct block *b)
{
	return b->at <= b->size;
}

static uint8_t checksum(const uint8_t *bytes, size_t n)
{
	uint8_t sum = 0;

	while (n--)
		sum += *bytes++;
	return -sum;
}

static struct acpi_header header(const char *signature, uint8_t revision)
{
	struct acpi_header h = {
		.revision = revision,
		.oem_revision = cpu_to_le32(1),
		.creator_revision = cpu_to_le32(1),
	};

	memcpy(h.signature, signature, sizeof(h.signature));
	memcpy(h.oem_id, OEM_ID, sizeof(h.oem_id));
	memcpy(h.oem_table_id, OEM_TABLE_ID, sizeof(h.oem_table_id));
	memcpy(h.creator_id, CREATOR_ID, sizeof(h.creator_id));
	return h;
}

/* Ends the table that began at `start`: length and checksum. */
static void end_table(struct block *b, size_t start)
{
	struct acpi_header *h = (struct acpi_header *)(b->out + start);

	if (!fits(b))
		return;
	h->length = cpu_to_le32(b->at - start);
	h->checksum = 0;
	h->checksum = checksum(b->out + start, b->at - start);
}

/* ------------------------------------------------------------------------
 * AML.
 */

static void aml_name_seg(struct block *b, const char *name)
{
	put(b, name, 4);
}

/* What began with aml_begin() ends with aml_end(). */
static size_t aml_begin(struct block *b)
{
	size_t at = b->at;

	put(b, "\0\0", 2);
	return at;
}

/* The bound holds because the DSDT has a fixed number of devices. */
static void aml_end(struct block *b, size_t at)
{
	size_t length = b->at - at;

	if (!fits(b))
		return;
	b->out[at] = AML_LENGTH_2 | (length & 0x0f);
	b->out[at + 1] = length >> 4;
}

static size_t aml_scope(struct block *b, const char *root_name)
{
	size_t at;

	put_byte(b, AML_SCOPE);
	at = aml_begin(b);
	put_byte(b, '\\');
	aml_name_seg(b, root_name);
	return at;
}

static size_t aml_device(struct block *b, const char *name)
{
	size_t at;

	put_byte(b, AML_EXT);
	put_byte(b, AML_EXT_DEVICE);
	at = aml_begin(b);
	aml_name_seg(b, name);
	return at;
}

static void aml_integer(struct block *b, uint32_t value)
{
	le32 wire = cpu_to_le32(value);

	if (value <= 1) {
		put_byte(b, value ? AML_ONE : AML_ZERO);
	} else if (value <= 0xff) {
		put_byte(b, AML_BYTE);
		put(b, &wire, 1);
	} else {
		put_byte(b, AML_DWORD);
		put(b, &wire, 4);
	}
}

static void aml_named_integer(struct block *b, const char *name,
			      uint32_t value)
{
	put_byte(b, AML_NAME);
	aml_name_seg(b, name);
	aml_integer(b, value);
}

static void aml_named_string(struct block *b, const char *name,
			     const char *value)
{
	put_byte(b, AML_NAME);
	aml_name_seg(b, name);
	put_byte(b, AML_STRING);
	put(b, value, strlen(value) + 1);
}

/* "PNP0501": three letters of five bits each and four hexadecimal digits, the
 * most significant byte first (ACPI 6.4, 19.3.4, EISAID). */
static void aml_eisa_id(struct block *b, const char *name, const char *vendor,
			uint16_t product)
{
	uint16_t letters = (vendor[0] - '@') << 10 | (vendor[1] - '@') << 5 |
			   (vendor[2] - '@');
	uint8_t id[4] = { letters >> 8, letters, product >> 8, product };

	put_byte(b, AML_NAME);
	aml_name_seg(b, name);
	put_byte(b, AML_DWORD);
	put(b, id, sizeof(id));
}

/* Name (_CRS, Buffer { resources, end tag }); the end tag's checksum of 0
 * means that nobody checks. */
static void aml_resources(struct block *b, const void *resources, uint8_t n)
{
	const uint8_t size[] = { AML_BYTE, n + 2 };
	const uint8_t end[] = { ACPI_RESOURCE_END, 0 };
	size_t at;

	put_byte(b, AML_NAME);
	aml_name_seg(b, "_CRS");
	put_byte(b, AML_BUFFER);
	at = aml_begin(b);
	put(b, size, sizeof(size));
	put(b, resources, n);
	put(b, end, sizeof(end));
	aml_end(b, at);
}

static struct acpi_resource_io io_ports(uint16_t port, uint8_t n)
{
	return (struct acpi_resource_io){
		.tag = ACPI_RESOURCE_IO,
		.decode = ACPI_IO_DECODE_16,
		.minimum = cpu_to_le16(port),
		.maximum = cpu_to_le16(port),
		.alignment = 1,
		.length = n,
	};
}

/* ------------------------------------------------------------------------
 * DSDT.
 */

static void vmbus_device(struct block *b, const struct acpi_machine *machine)
{
	struct acpi_resource_qword crs[ACPI_MAX_MMIO];
	size_t module = aml_device(b, "VMOD"), bus;

	for (unsigned int i = 0; i < machine->nr_mmio; i++) {
		const struct acpi_mmio *m = &machine->mmio[i];

		crs[i] = (struct acpi_resource_qword){
			.tag = ACPI_RESOURCE_QWORD,
			.length = cpu_to_le16(sizeof(crs[i]) - 3),
			.type = ACPI_ADDRESS_MEMORY,
			.flags = ACPI_ADDRESS_FIXED,
			.type_flags = ACPI_MEMORY_WRITABLE,
			.minimum = cpu_to_le64(m->gpa),
			.maximum = cpu_to_le64(m->gpa + m->bytes - 1),
			.size = cpu_to_le64(m->bytes),
		};
	}
	aml_named_string(b, "_HID", "ACPI0004");
	aml_named_integer(b, "_UID", 0);
	aml_resources(b, crs, machine->nr_mmio * sizeof(crs[0]));
	bus = aml_device(b, "VMBS");
	aml_named_integer(b, "_ADR", 0);
	aml_named_string(b, "_DDN", "VMBUS");
	aml_named_string(b, "_HID", "VMBus");
	aml_named_integer(b, "_UID", 0);
	aml_named_integer(b, "_STA", 15);
	/* Linux looks for apertures above a bus only if it has a _CRS. */
	aml_resources(b, crs, 0);
	aml_end(b, bus);
	aml_end(b, module);
}

static void uart_device(struct block *b, const char *name, unsigned int uid,
			uint16_t port, unsigned int irq)
{
	struct {
		struct acpi_resource_io io;
		struct acpi_resource_irq irq;
	} __packed crs = {
		.io = io_ports(port, 8),
		.irq = {
			.tag = ACPI_RESOURCE_IRQ_FLAGS,
			.mask = cpu_to_le16(1u << irq),
			.flags = ACPI_IRQ_EDGE,
		},
	};
	size_t device = aml_device(b, name);

	aml_eisa_id(b, "_HID", "PNP", 0x0501);
	aml_named_integer(b, "_UID", uid);
	aml_resources(b, &crs, sizeof(crs));
	aml_end(b, device);
}

static void rtc_device(struct block *b)
{
	struct acpi_resource_io crs = io_ports(RTC_PORT, RTC_PORTS);
	size_t device = aml_device(b, "RTC0");

	aml_eisa_id(b, "_HID", "PNP", 0x0b00);
	aml_resources(b, &crs, sizeof(crs));
	aml_end(b, device);
}

/* \_S5: sleep types for PM1a and PM1b, two reserved. */
static void s5_package(struct block *b)
{
	size_t at;

	put_byte(b, AML_NAME);
	put_byte(b, '\\');
	aml_name_seg(b, "_S5_");
	put_byte(b, AML_PACKAGE);
	at = aml_begin(b);
	put_byte(b, 4);
	aml_integer(b, PM_SLEEP_TYPE_S5);
	aml_integer(b, PM_SLEEP_TYPE_S5);
	aml_integer(b, 0);
	aml_integer(b, 0);
	aml_end(b, at);
}

static size_t dsdt(struct block *b, const struct acpi_machine *machine)
{
	struct acpi_header h = header("DSDT", 2);
	size_t start = align(b), scope;

	put(b, &h, sizeof(h));
	scope = aml_scope(b, "_SB_");
	vmbus_device(b, machine);
	if (machine->com1)
		uart_device(b, "UAR1", 1, 0x3f8, 4);
	if (machine->com2)
		uart_device(b, "UAR2", 2, 0x2f8, 3);
	rtc_device(b);
	aml_end(b, scope);
	s5_package(b);
	end_table(b, start);
	return start;
}

/* ------------------------------------------------------------------------
 * The other tables.
 */

static size_t facs(struct block *b)
{
	struct acpi_facs table = {
		.signature = { 'F', 'A', 'C', 'S' },
		.length = cpu_to_le32(sizeof(table)),
		.version = 2,
	};
	size_t start = align(b);

	put(b, &table, sizeof(table));
	return start;
}

static struct acpi_gas io_gas(uint16_t port, uint8_t bytes, uint8_t access)
{
	return (struct acpi_gas){
		.space = ACPI_SPACE_IO,
		.bit_width = 8 * bytes,
		.access_size = access,
		.address = cpu_to_le64(port),
	};
}

/* Both forms of each address: revision 1 readers take the first, later ones
 * the second. */
static size_t fadt(struct block *b, uint32_t dsdt_gpa, uint32_t facs_gpa)
{
	const uint16_t event = PM_BASE + PM_EVENT_OFFSET;
	const uint16_t control = PM_BASE + PM_CONTROL_OFFSET;
	const uint16_t timer = PM_BASE + PM_TIMER_OFFSET;
	struct acpi_fadt table = {
		.header = header("FACP", 6),
		.firmware_ctrl = cpu_to_le32(facs_gpa),
		.dsdt = cpu_to_le32(dsdt_gpa),
		.sci_int = cpu_to_le16(PM_SCI),
		.pm1a_evt_blk = cpu_to_le32(event),
		.pm1a_cnt_blk = cpu_to_le32(control),
		.pm_tmr_blk = cpu_to_le32(timer),
		.pm1_evt_len = PM_EVENT_SIZE,
		.pm1_cnt_len = PM_CONTROL_SIZE,
		.pm_tmr_len = PM_TIMER_SIZE,
		.p_lvl2_lat = cpu_to_le16(FADT_NO_C2),
		.p_lvl3_lat = cpu_to_le16(FADT_NO_C3),
		.century = RTC_CENTURY_INDEX,
		.iapc_boot_arch = cpu_to_le16(FADT_BOOT_NO_VGA),
		.flags = cpu_to_le32(FADT_WBINVD | FADT_PROC_C1 |
				     FADT_SLP_BUTTON | FADT_FIX_RTC |
				     FADT_TMR_VAL_EXT | FADT_RESET_REG_SUP),
		.reset_reg = io_gas(PM_RESET_PORT, 1, 1),
		.reset_value = PM_RESET_VALUE,
		.x_dsdt = cpu_to_le64(dsdt_gpa),
		.x_pm1a_evt_blk = io_gas(event, PM_EVENT_SIZE, 2),
		.x_pm1a_cnt_blk = io_gas(control, PM_CONTROL_SIZE, 2),
		.x_pm_tmr_blk = io_gas(timer, PM_TIMER_SIZE, 3),
	};
	size_t start = align(b);

	put(b, &table, sizeof(table));
	end_table(b, start);
	return start;
}

static void madt_processor(struct block *b, uint32_t uid, uint32_t id)
{
	struct acpi_madt_local_apic apic = {
		.type = MADT_LOCAL_APIC,
		.length = sizeof(apic),
		.processor_uid = uid,
		.apic_id = id,
		.flags = cpu_to_le32(MADT_ENABLED),
	};
	struct acpi_madt_local_x2apic x2apic = {
		.type = MADT_LOCAL_X2APIC,
		.length = sizeof(x2apic),
		.apic_id = cpu_to_le32(id),
		.flags = cpu_to_le32(MADT_ENABLED),
		.processor_uid = cpu_to_le32(uid),
	};

	if (id < MADT_FIRST_X2APIC && uid < MADT_FIRST_X2APIC)
		put(b, &apic, sizeof(apic));
	else
		put(b, &x2apic, sizeof(x2apic));
}

static size_t madt(struct block *b, const struct acpi_machine *machine)
{
	struct acpi_madt table = {
		.header = header("APIC", 5),
		.local_apic_address = cpu_to_le32(LOCAL_APIC_ADDRESS),
	};
	struct acpi_madt_io_apic io = {
		.type = MADT_IO_APIC,
		.length = sizeof(io),
		.address = cpu_to_le32(IOAPIC_BASE),
	};
	struct acpi_madt_override sci = {
		.type = MADT_OVERRIDE,
		.length = sizeof(sci),
		.source = PM_SCI,
		.gsi = cpu_to_le32(PM_SCI),
		.flags = cpu_to_le16(MADT_ACTIVE_HIGH | MADT_LEVEL),
	};
	struct acpi_madt_local_nmi nmi = {
		.type = MADT_LOCAL_NMI,
		.length = sizeof(nmi),
		.processor_uid = 0xff,
		.lint = 1,
	};
	size_t start = align(b);

	put(b, &table, sizeof(table));
	for (uint32_t vp = 0; vp < machine->nr_vps; vp++)
		madt_processor(b, vp, machine->apic_ids ?
					      machine->apic_ids[vp] : vp);
	put(b, &io, sizeof(io));
	put(b, &sci, sizeof(sci));
	put(b, &nmi, sizeof(nmi));
	end_table(b, start);
	return start;
}

static size_t xsdt(struct block *b, uint32_t fadt_gpa, uint32_t madt_gpa)
{
	struct acpi_header h = header("XSDT", 1);
	le64 entries[] = { cpu_to_le64(fadt_gpa), cpu_to_le64(madt_gpa) };
	size_t start = align(b);

	put(b, &h, sizeof(h));
	put(b, entries, sizeof(entries));
	end_table(b, start);
	return start;
}

static void rsdp(uint8_t *out, uint32_t xsdt_gpa)
{
	struct acpi_rsdp table = {
		.signature = { 'R', 'S', 'D', ' ', 'P', 'T', 'R', ' ' },
		.revision = 2,
		.length = cpu_to_le32(sizeof(table)),
		.xsdt_address = cpu_to_le64(xsdt_gpa),
	};

	memcpy(table.oem_id, OEM_ID, sizeof(table.oem_id));
	table.checksum = checksum((uint8_t *)&table, ACPI_RSDP_FIRST_PART);
	table.extended_checksum = checksum((uint8_t *)&table, sizeof(table));
	memcpy(out, &table, sizeof(table));
}

int acpi_build(const struct acpi_machine *machine, uint32_t gpa, void *out,
	       size_t size)
{
	struct block b = { .out = out, .size = size };
	size_t dsdt_at, facs_at, fadt_at, madt_at, xsdt_at;

	if (!machine->nr_vps || machine->nr_mmio > ACPI_MAX_MMIO ||
	    gpa % TABLE_ALIGNMENT)
		return -EINVAL;
	b.at = sizeof(struct acpi_rsdp);
	dsdt_at = dsdt(&b, machine);
	facs_at = facs(&b);
	fadt_at = fadt(&b, gpa + dsdt_at, gpa + facs_at);
	madt_at = madt(&b, machine);
	xsdt_at = xsdt(&b, gpa + fadt_at, gpa + madt_at);
	if (!fits(&b))
		return -ENOSPC;
	rsdp(out, gpa + xsdt_at);
	return b.at;
}
