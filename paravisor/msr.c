// SPDX-License-Identifier: MIT
/*
 * VTL0's MSRs: what the hypervisor does not serve itself comes here.
 *
 * One table says for each range of registers what a read gives and what a
 * write does. A register that is in no row faults, as on a processor without
 * it, and is noted: number, first RIP, count - so that a row can be written for
 * a guest that needs one. The note has room for MSR_UNKNOWN_MAX registers;
 * what does not fit is counted together.
 *
 * Threads: any VP's; the notes are lock-free.
 */
#include <stddef.h>
#include <stdio.h>

#include <hv_reg.h>
#include <pv/inspect.h>
#include <pv/log.h>

#include "msr.h"

LOG_MODULE("msr");

#define MSR_UNKNOWN_MAX 32

enum policy {
	FAULT,	/* #GP both ways */
	IGNORE, /* reads as `value`, writes do nothing */
	CONST,	/* reads as `value`, writes fault */
	CRASH,
};

struct row {
	uint32_t first, last;
	enum policy policy;
	uint64_t value;
};

/* Ascending. Sources: Intel SDM volume 4, AMD64 APM volume 2, TLFS. */
static const struct row rows[] = {
	{ 0x03a, 0x03a, FAULT, 0 },   /* FEATURE_CONTROL: no VMX */
	{ 0x079, 0x079, IGNORE, 0 },  /* microcode update */
	{ 0x08b, 0x08b, IGNORE, 0 },  /* microcode revision */
	{ 0x0ce, 0x0ce, CONST, 0 },   /* PLATFORM_INFO */
	{ 0x480, 0x491, FAULT, 0 },   /* VMX capabilities */
	{ HV_MSR_CRASH_P0, HV_MSR_CRASH_CTL, CRASH, 0 },
	{ 0xc0010112, 0xc0010114, FAULT, 0 },  /* SMM, VM_CR: no SVM */
	{ 0xc0010117, 0xc0010117, FAULT, 0 },  /* VM_HSAVE_PA */
	{ 0xc0011029, 0xc0011029, IGNORE, 2 }, /* DE_CFG: LFENCE serialises */
};

static struct unknown {
	atomic_uint msr; /* 0: free; no such register comes here */
	_Atomic uint64_t rip, reads, writes;
} unknowns[MSR_UNKNOWN_MAX];
static _Atomic uint64_t unknown_rest;

static const struct row *find(uint32_t msr)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (msr >= rows[i].first && msr <= rows[i].last)
			return &rows[i];
	return NULL;
}

static enum msr_result unknown(uint32_t msr, uint64_t rip, bool write)
{
	for (size_t i = 0; i < MSR_UNKNOWN_MAX; i++) {
		struct unknown *u = &unknowns[i];
		unsigned int none = 0;

		if (atomic_load(&u->msr) != msr) {
			if (!atomic_compare_exchange_strong(&u->msr, &none,
							    msr) &&
			    none != msr)
				continue;
			if (none == 0) {
				u->rip = rip;
				log_info("%#x is nobody's: #GP (first %s at "
					 "%#llx)", msr,
					 write ? "write" : "read",
					 (unsigned long long)rip);
			}
		}
		atomic_fetch_add(write ? &u->writes : &u->reads, 1);
		return MSR_FAULT;
	}
	atomic_fetch_add(&unknown_rest, 1);
	return MSR_FAULT;
}

enum msr_result msr_read(struct msr_crash *crash, uint32_t msr, uint64_t rip,
			 uint64_t *value)
{
	const struct row *row = find(msr);

	*value = 0;
	if (!row)
		return unknown(msr, rip, false);
	if (row->policy == FAULT)
		return MSR_FAULT;
	*value = row->value;
	/* CTL reads as what may be written to it. */
	if (msr == HV_MSR_CRASH_CTL)
		*value = HV_CRASH_NOTIFY | HV_CRASH_NOTIFY_MESSAGE;
	else if (row->policy == CRASH)
		*value = crash->reg[msr - HV_MSR_CRASH_P0];
	return MSR_OK;
}

enum msr_result msr_write(struct msr_crash *crash, uint32_t msr, uint64_t rip,
			  uint64_t value)
{
	const struct row *row = find(msr);

	if (!row)
		return unknown(msr, rip, true);
	if (row->policy == FAULT || row->policy == CONST)
		return MSR_FAULT;
	if (row->policy == CRASH) {
		crash->reg[msr - HV_MSR_CRASH_P0] = value;
		if (msr == HV_MSR_CRASH_CTL && value & HV_CRASH_NOTIFY)
			return MSR_CRASHED;
	}
	return MSR_OK;
}

void msr_inspect(void *nothing, struct inspect *out)
{
	(void)nothing;
	inspect_u64(out, "not_listed", unknown_rest);
	if (!inspect_begin(out, "unknown"))
		return;
	for (size_t i = 0; i < MSR_UNKNOWN_MAX; i++) {
		const struct unknown *u = &unknowns[i];
		char name[12];

		if (!u->msr)
			continue;
		snprintf(name, sizeof(name), "%#x", u->msr);
		if (!inspect_begin(out, name))
			continue;
		inspect_hex(out, "rip", u->rip);
		inspect_u64(out, "reads", u->reads);
		inspect_u64(out, "writes", u->writes);
		inspect_end(out);
	}
	inspect_end(out);
}
