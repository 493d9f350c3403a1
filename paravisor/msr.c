// SPDX-License-Identifier: MIT
/*
 * VTL0's MSRs: what the hypervisor does not serve itself comes here.
 *
 * One table says for each register what a read gives, what a write does, and
 * where that is written. A register that is in no row faults, as on a processor
 * without it, and is noted: number, first RIP, counts - so that a row can be
 * written for a guest that needs one. That is said in the log once for each
 * register. The note has room for MSR_UNKNOWN_MAX registers; what does not fit
 * is counted together, and that the note is full is said once.
 *
 * Nested virtualisation is not offered: CPUID shows neither VMX nor SVM, so the
 * registers of both fault, which their rows say so that nobody adds a value.
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

enum read_policy {
	READ_GP,    /* #GP */
	READ_VALUE, /* the row's value */
	READ_CRASH, /* what was written to that crash register */
};

enum write_policy {
	WRITE_GP,
	WRITE_IGNORED,
	WRITE_CRASH,  /* kept */
	WRITE_NOTIFY, /* kept, and the host is told if it says so */
};

static const struct row {
	const char *name; /* in inspect */
	uint32_t first, last;
	enum read_policy read;
	enum write_policy write;
	uint64_t value;
	const char *source;
} rows[] = {
	{ "feature_control", 0x3a, 0x3a, READ_GP, WRITE_GP, 0,
	  "SDM 4, IA32_FEATURE_CONTROL: there with VMX, SMX or SGX only" },
	{ "update_trigger", 0x79, 0x79, READ_VALUE, WRITE_IGNORED, 0,
	  "SDM 4, IA32_BIOS_UPDT_TRIG: microcode is the host's" },
	{ "update_signature", 0x8b, 0x8b, READ_VALUE, WRITE_IGNORED, 0,
	  "SDM 4, IA32_BIOS_SIGN_ID: written with 0 to be read" },
	{ "platform_info", 0xce, 0xce, READ_VALUE, WRITE_GP, 0,
	  "SDM 4, MSR_PLATFORM_INFO: no ratio, no CPUID faulting" },
	{ "vmx", 0x480, 0x491, READ_GP, WRITE_GP, 0,
	  "SDM 4, IA32_VMX_BASIC to IA32_VMX_VMFUNC: there with VMX only" },
	{ "crash_parameters", HV_MSR_CRASH_P0, HV_MSR_CRASH_P4, READ_CRASH,
	  WRITE_CRASH, 0, "TLFS, HV_X64_MSR_CRASH_P0 to P4" },
	/* Reads as what may be written to it. */
	{ "crash_control", HV_MSR_CRASH_CTL, HV_MSR_CRASH_CTL, READ_VALUE,
	  WRITE_NOTIFY, HV_CRASH_NOTIFY | HV_CRASH_NOTIFY_MESSAGE,
	  "TLFS, HV_X64_MSR_CRASH_CTL" },
	{ "smm", 0xc0010112, 0xc0010113, READ_GP, WRITE_GP, 0,
	  "APM 2, SMM_ADDR and SMM_MASK: the guest has no SMM" },
	{ "svm", 0xc0010114, 0xc0010118, READ_GP, WRITE_GP, 0,
	  "APM 2, VM_CR to SVM_KEY: there with SVM only" },
	{ "de_cfg", 0xc0011029, 0xc0011029, READ_VALUE, WRITE_IGNORED, 2,
	  "AMD 56305, DE_CFG: LFENCE serialises" },
};

#define NR_ROWS (sizeof(rows) / sizeof(rows[0]))

static struct {
	_Atomic uint64_t reads, writes;
} hits[NR_ROWS];

static struct unknown {
	_Atomic uint64_t key; /* the register + 1, as there is one 0; 0: free */
	_Atomic uint64_t rip, reads, writes;
} unknowns[MSR_UNKNOWN_MAX];
static _Atomic uint64_t unknown_rest;

static const struct row *find(uint32_t msr, bool write)
{
	for (size_t i = 0; i < NR_ROWS; i++) {
		if (msr < rows[i].first || msr > rows[i].last)
			continue;
		atomic_fetch_add(write ? &hits[i].writes : &hits[i].reads, 1);
		return &rows[i];
	}
	return NULL;
}

/* The register's note, made if need be; NULL: there is no room. */
static struct unknown *note(uint32_t msr, uint64_t rip, bool write)
{
	for (size_t i = 0; i < MSR_UNKNOWN_MAX; i++) {
		struct unknown *u = &unknowns[i];
		uint64_t there = 0;

		if (atomic_compare_exchange_strong(&u->key, &there,
						   msr + 1ull)) {
			u->rip = rip;
			log_info("%#x is nobody's: #GP (first %s at %#llx)",
				 msr, write ? "write" : "read",
				 (unsigned long long)rip);
			return u;
		}
		if (there == msr + 1ull)
			return u;
	}
	return NULL;
}

static enum msr_result unknown(uint32_t msr, uint64_t rip, bool write)
{
	struct unknown *u = note(msr, rip, write);

	if (u)
		atomic_fetch_add(write ? &u->writes : &u->reads, 1);
	else if (!atomic_fetch_add(&unknown_rest, 1))
		log_info("%#x is nobody's, nor are %u others: #GP; more of "
			 "them are only counted", msr, MSR_UNKNOWN_MAX);
	return MSR_FAULT;
}

enum msr_result msr_read(struct msr_crash *crash, uint32_t msr, uint64_t rip,
			 uint64_t *value)
{
	const struct row *row = find(msr, false);

	*value = 0;
	if (!row)
		return unknown(msr, rip, false);
	switch (row->read) {
	case READ_VALUE:
		*value = row->value;
		return MSR_OK;
	case READ_CRASH:
		*value = crash->reg[msr - HV_MSR_CRASH_P0];
		return MSR_OK;
	case READ_GP:
		break;
	}
	return MSR_FAULT;
}

enum msr_result msr_write(struct msr_crash *crash, uint32_t msr, uint64_t rip,
			  uint64_t value)
{
	const struct row *row = find(msr, true);

	if (!row)
		return unknown(msr, rip, true);
	switch (row->write) {
	case WRITE_IGNORED:
		return MSR_OK;
	case WRITE_CRASH:
	case WRITE_NOTIFY:
		crash->reg[msr - HV_MSR_CRASH_P0] = value;
		return row->write == WRITE_NOTIFY && value & HV_CRASH_NOTIFY ?
			       MSR_CRASHED : MSR_OK;
	case WRITE_GP:
		break;
	}
	return MSR_FAULT;
}

/* ---- inspect ---- */

static void describe_row(size_t i, struct inspect *out)
{
	static const char *const read[] = { "#GP", "value", "crash" };
	static const char *const write[] = { "#GP", "ignored", "crash",
					     "notify" };
	const struct row *row = &rows[i];

	inspect_hex(out, "first", row->first);
	inspect_hex(out, "last", row->last);
	inspect_text(out, "read", read[row->read]);
	inspect_text(out, "write", write[row->write]);
	inspect_hex(out, "value", row->value);
	inspect_text(out, "source", row->source);
	inspect_u64(out, "reads", hits[i].reads);
	inspect_u64(out, "writes", hits[i].writes);
}

static void describe_unknown(const struct unknown *u, struct inspect *out)
{
	char name[12];

	snprintf(name, sizeof(name), "0x%x", (uint32_t)(u->key - 1));
	if (!inspect_begin(out, name))
		return;
	inspect_hex(out, "rip", u->rip);
	inspect_u64(out, "reads", u->reads);
	inspect_u64(out, "writes", u->writes);
	inspect_end(out);
}

void msr_inspect(void *nothing, struct inspect *out)
{
	(void)nothing;
	if (inspect_begin(out, "policy")) {
		for (size_t i = 0; i < NR_ROWS; i++) {
			if (!inspect_begin(out, rows[i].name))
				continue;
			describe_row(i, out);
			inspect_end(out);
		}
		inspect_end(out);
	}
	if (inspect_begin(out, "unknown")) {
		for (size_t i = 0; i < MSR_UNKNOWN_MAX; i++)
			if (unknowns[i].key)
				describe_unknown(&unknowns[i], out);
		inspect_end(out);
	}
	inspect_u64(out, "unknown_more", unknown_rest);
}
