// SPDX-License-Identifier: MIT
/*
 * Isolation: VTL2's memory, tried from VTL0 by every way there is.
 *
 *	CPU read, write, execute	all ones or a fault
 *	GPADL, ring			refused
 *	page list of a SCSI request	refused, nothing moved either way
 *	hypercall input, and the pages	refused or without effect
 *	that an MSR places
 *
 * Two ranges: VTL2's RAM (vtl2=BASE vtl2-size=BYTES on the command line) and
 * the kernel and initrd that VTL2 keeps for VTL0's next start (files=BASE).
 * Without them there is nothing to try, and the cases fail. After each one the
 * paravisor must still do verified I/O. That what was written did no harm is
 * for the outside to see.
 */
#include "tiny_hv.h"
#include "tiny_vmbus.h"

#define STEP (1u << 20)
#define RING_PAGES 4u
#define BLOCK_OF_RANGES 1024u
#define PATTERN 0xd15c0000d15c0000ull

struct range {
	uint64_t base, size;
};

static void get_ranges(struct range r[2])
{
	r[0].base = option_number("vtl2", 0);
	r[0].size = option_number("vtl2-size", 0);
	r[1].base = option_number("files", 0);
	r[1].size = option_number("files-size", 0x5000);
	for (int i = 0; i < 2; i++)
		if (r[i].base >> 32)
			map_gib(r[i].base);
}

/* Calls `probe` with addresses in every MiB of both ranges, and their edges. */
static bool everywhere(bool (*probe)(uint64_t gpa))
{
	struct range r[2];

	get_ranges(r);
	for (int i = 0; i < 2; i++) {
		uint64_t end = r[i].base + r[i].size;

		NEED(r[i].base && r[i].size >= TINY_PAGE);
		for (uint64_t at = r[i].base; at < end; at += STEP)
			if (!probe(at) || !probe(at + TINY_PAGE - 8))
				return false;
		if (!probe(end - 8))
			return false;
	}
	return true;
}

/* Verified I/O; also what shows that the paravisor lives. */
static void alive(void)
{
	uint8_t *data = pages(2);
	struct channel ch;

	vmbus_reset();
	CHECK(scsi_open(RING_PAGES, &ch));
	memset(data, (int)(ticks() & 0x7f) + 1, TINY_PAGE);
	CHECK(scsi_write(&ch, 8, 8, data));
	CHECK(scsi_read(&ch, 8, 8, data + TINY_PAGE));
	CHECK(!memcmp(data, data + TINY_PAGE, TINY_PAGE));
	CHECK(channel_close(&ch));
}

/* ---- by the CPU ---- */

static bool all_ones(uint64_t gpa)
{
	uint64_t value;

	if (!try_read(gpa, &value) || value == ~0ull)
		return true;
	print("# at %#lx\n", gpa);
	case_failed(__FILE__, __LINE__, "content of VTL2", value, ~0ull);
	return false;
}

static void by_read(void)
{
	CHECK(everywhere(all_ones));
	alive();
}

static bool write_lost(uint64_t gpa)
{
	try_write(gpa, PATTERN);
	return all_ones(gpa);
}

static void by_write(void)
{
	CHECK(everywhere(write_lost));
	alive();
}

static bool faults(uint64_t gpa)
{
	if (!try_execute(gpa))
		return true;
	case_failed(__FILE__, __LINE__, "executed at", gpa, 0);
	return false;
}

static void by_execute(void)
{
	CHECK(everywhere(faults));
	alive();
}

/* Locked and string instructions, and an operand that begins in RAM. */
static void by_others(void)
{
	uint64_t base = option_number("vtl2", 0), value = PATTERN;
	uint8_t *page = pages(1);
	uint64_t from = base, to = (uint64_t)page, n = 64;

	CHECK(base);
	if (try_read(base - 4, &value))
		CHECK_IS(value >> 32, 0xffffffff);
	__asm__ volatile("1: rep movsb\n2:\n" RECOVERY
			 : "+S"(from), "+D"(to), "+c"(n) : : "memory");
	CHECK(bytes_are(page, 0xff, 64 - n));
	CHECK(bytes_are(page + 64 - n, 0, n));
	value = 1;
	__asm__ volatile("1: lock xadd %0, (%1)\n2:\n" RECOVERY
			 : "+r"(value) : "r"(base) : "memory", "cc");
	CHECK(value == 1 || value == ~0ull);
	alive();
}

/* ---- by VMBus ---- */

static uint32_t channel_id(void)
{
	return le32_to_cpu(scsi_offer(0)->channel);
}

/* A GPADL of one page of ours and one of VTL2's. */
static bool gpadl_refused(uint64_t gpa)
{
	uint32_t id = gpadl_new_id();
	uint64_t words[] = { 2 * TINY_PAGE, (uint64_t)hv_input() / TINY_PAGE,
			     gpa / TINY_PAGE };

	return gpadl_post_words(channel_id(), id, words, 3, 1) &&
	       gpadl_created(id, VMBUS_STATUS_UNSUCCESSFUL);
}

static void by_gpadl(void)
{
	CHECK(vmbus_connect(VMBUS_VERSION_COPPER));
	CHECK(scsi_offer(0));
	CHECK(everywhere(gpadl_refused));
	alive();
}

static struct channel ranges_channel;

static bool no_data(struct scsi_request *r)
{
	struct vstor_packet answer;

	if (!scsi_do(&ranges_channel, r, &answer))
		return false;
	NEED(answer.srb.srb_status != VSTOR_SRB_SUCCESS);
	NEED(!le32_to_cpu(answer.srb.data_size));
	return true;
}

static bool range_refused(uint64_t gpa)
{
	uint64_t page = gpa & ~(uint64_t)(TINY_PAGE - 1);
	struct scsi_request r;

	scsi_fill_rw(&r, true, BLOCK_OF_RANGES, 8, (void *)page);
	if (!no_data(&r))
		return false;
	scsi_fill_rw(&r, false, BLOCK_OF_RANGES, 8, (void *)page);
	return no_data(&r);
}

static void by_range(void)
{
	uint8_t *data = pages(2), *back = data + TINY_PAGE;
	struct channel *ch = &ranges_channel;
	struct scsi_request r;

	CHECK(scsi_open(RING_PAGES, ch));
	memset(data, 0x6b, TINY_PAGE);
	CHECK(scsi_write(ch, BLOCK_OF_RANGES, 8, data));
	CHECK(everywhere(range_refused));
	/* From our last page on into VTL2's first. */
	if (ram_end() == option_number("vtl2", 0)) {
		scsi_fill_rw(&r, true, BLOCK_OF_RANGES, 16,
			     (void *)(ram_end() - TINY_PAGE));
		CHECK(no_data(&r));
	}
	CHECK(scsi_read(ch, BLOCK_OF_RANGES, 8, back));
	CHECK(!memcmp(data, back, TINY_PAGE));
	CHECK(channel_close(ch));
	alive();
}

/* ---- by the hypervisor ---- */

static bool input_refused(uint64_t gpa)
{
	uint64_t page = gpa & ~(uint64_t)(TINY_PAGE - 1);
	uint64_t calls[] = {
		HV_CALL_POST_MESSAGE, HV_CALL_SIGNAL_EVENT,
		HV_CALL_SEND_SYNTHETIC_CLUSTER_IPI,
		HV_CALL_RETARGET_DEVICE_INTERRUPT,
	};

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		NEED(hv_call(calls[i], page, page) & HV_RESULT_STATUS_MASK);
	return true;
}

/* Pages that the hypervisor writes to: it must not, there. */
static bool page_ignored(uint64_t gpa)
{
	static const uint32_t msrs[] = { HV_MSR_HYPERCALL, HV_MSR_SIMP,
					 HV_MSR_SIEFP, HV_MSR_REFERENCE_TSC,
					 HV_MSR_VP_ASSIST_PAGE };
	uint64_t page = gpa & HV_PAGE_MASK, old;

	for (size_t i = 0; i < sizeof(msrs) / sizeof(msrs[0]); i++) {
		if (!msr_read(msrs[i], &old) ||
		    !msr_write(msrs[i], page | HV_MSR_PAGE_ENABLE))
			continue;
		msr_write(msrs[i], old);
	}
	return all_ones(gpa);
}

static void by_hypercall(void)
{
	CHECK(everywhere(input_refused));
	CHECK(everywhere(page_ignored));
	hv_synic_on();
	alive();
}

const struct tiny_case isolation_cases[] = {
	{ "X-09", "VTL2's memory reads as all ones", by_read, NULL },
	{ "I-write", "writes to VTL2's memory are lost", by_write, NULL },
	{ "I-execute", "VTL2's memory does not execute", by_execute, NULL },
	{ "I-others", "nor by string, locked or crossing access", by_others,
	  NULL },
	{ "I-gpadl", "a GPADL with a page of VTL2's is refused", by_gpadl,
	  NULL },
	{ "I-range", "a page list with a page of VTL2's moves nothing",
	  by_range, NULL },
	{ "I-hypercall", "nor is VTL2's memory input or output of a hypercall",
	  by_hypercall, NULL },
	{ 0 },
};
