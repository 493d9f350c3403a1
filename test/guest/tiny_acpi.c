// SPDX-License-Identifier: MIT
/*
 * What the tiny guest wants from ACPI: the VPs (MADT), the ports of power
 * management (FADT). RSDP -> XSDT -> both; nothing is trusted to be there, and
 * a table with a wrong checksum is not there.
 */
#include "paravisor/acpi_reg.h"
#include "paravisor/chipset/pm.h"
#include "tiny.h"

#define SLEEP_ENABLE (1u << 13)
#define SLEEP_TYPE_SHIFT 10

static uint16_t control_port = PM_BASE + PM_CONTROL_OFFSET;
static uint16_t timer_port = PM_BASE + PM_TIMER_OFFSET;

static bool sum_is_zero(const uint8_t *bytes, size_t n)
{
	uint8_t sum = 0;

	while (n--)
		sum += *bytes++;
	return !sum;
}

static const void *table(uint64_t xsdt, const char *signature)
{
	const struct acpi_header *h = (const void *)xsdt;
	const le64 *entry = (const le64 *)(h + 1);
	const le64 *end = (const le64 *)(xsdt + le32_to_cpu(h->length));

	for (; entry < end; entry++) {
		const struct acpi_header *t =
			(const void *)le64_to_cpu(*entry);

		if (!memcmp(t->signature, signature, 4) &&
		    sum_is_zero((const uint8_t *)t, le32_to_cpu(t->length)))
			return t;
	}
	return NULL;
}

static void add_vp(uint32_t apic_id, uint32_t flags)
{
	struct tiny_vp *vp;

	if (!(flags & MADT_ENABLED) || nr_vps == TINY_MAX_VPS)
		return;
	vp = vp_at(nr_vps);
	vp->number = nr_vps++;
	vp->apic_id = apic_id;
}

static void read_madt(const struct acpi_madt *madt)
{
	const uint8_t *at = (const uint8_t *)(madt + 1);
	const uint8_t *end =
		(const uint8_t *)madt + le32_to_cpu(madt->header.length);

	for (; end - at >= 2 && at[1] >= 2; at += at[1]) {
		const struct acpi_madt_local_apic *apic = (const void *)at;
		const struct acpi_madt_local_x2apic *x2apic =
			(const void *)at;

		if (at[0] == MADT_LOCAL_APIC)
			add_vp(apic->apic_id, le32_to_cpu(apic->flags));
		else if (at[0] == MADT_LOCAL_X2APIC)
			add_vp(le32_to_cpu(x2apic->apic_id),
			       le32_to_cpu(x2apic->flags));
	}
}

bool acpi_init(uint64_t address)
{
	const struct acpi_rsdp *rsdp = (const void *)address;
	const struct acpi_madt *madt;
	const struct acpi_fadt *fadt;
	uint64_t xsdt;

	if (!address || memcmp(rsdp, "RSD PTR ", 8))
		return false;
	xsdt = le64_to_cpu(rsdp->xsdt_address);
	madt = table(xsdt, "APIC");
	fadt = table(xsdt, "FACP");
	if (!madt || !fadt)
		return false;
	nr_vps = 0;
	read_madt(madt);
	control_port = (uint16_t)le32_to_cpu(fadt->pm1a_cnt_blk);
	timer_port = (uint16_t)le32_to_cpu(fadt->pm_tmr_blk);
	return nr_vps > 0;
}

uint32_t acpi_timer(void)
{
	return inl(timer_port);
}

void power_off(void)
{
	outw(control_port,
	     PM_SLEEP_TYPE_S5 << SLEEP_TYPE_SHIFT | SLEEP_ENABLE);
	for (;;)
		__asm__ volatile("cli; hlt");
}
