// SPDX-License-Identifier: MIT
/*
 * Cases about the hypervisor's interface (TLFS): leaves, MSRs, hypercalls,
 * time. All of them hold with and without a paravisor.
 */
#include "tiny_hv.h"

#define LEAF1_ECX_VMX (1u << 5)
#define LEAF80000001_ECX_SVM (1u << 2)
#define MSR_EFER 0xc0000080u
#define EFER_SVME (1u << 12)
#define GP 13
#define PM_TIMER_HZ 3579545u

/* A connection that nobody listens on. */
#define NO_CONNECTION 0x123456u

/* ---- O-03 ---- */

static uint16_t call(uint64_t control, const void *in)
{
	return hv_call(control, (uint64_t)in, (uint64_t)in + 2048) &
	       HV_RESULT_STATUS_MASK;
}

static void unknown_calls(void)
{
	static const uint16_t unknown[] = { 0, 0x1ff, 0x7fff, 0xffff };
	static const uint16_t others[] = {
		HV_CALL_MODIFY_VTL_PROTECTION_MASK, HV_CALL_ENABLE_VP_VTL,
		HV_CALL_INSTALL_INTERCEPT, HV_CALL_GET_VP_REGISTERS,
		HV_CALL_SET_VP_REGISTERS, HV_CALL_ASSERT_VIRTUAL_INTERRUPT,
		HV_CALL_START_VIRTUAL_PROCESSOR,
		HV_CALL_GET_VP_INDEX_FROM_APIC_ID,
		HV_CALL_SIGNAL_EVENT_DIRECT, HV_CALL_POST_MESSAGE_DIRECT,
	};

	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		CHECK_IS(call(unknown[i], hv_input()),
			 HV_STATUS_INVALID_HYPERCALL_CODE);
	/* Real ones, but not this guest's to make. */
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		CHECK_IS(call(others[i], hv_input()),
			 HV_STATUS_ACCESS_DENIED);
}

static struct hv_input_post_message *message(void)
{
	struct hv_input_post_message *in = memset(hv_input(), 0, TINY_PAGE);

	in->connection_id = cpu_to_le32(NO_CONNECTION);
	in->message_type = cpu_to_le32(1);
	in->payload_size = cpu_to_le32(8);
	return in;
}

static void post_message_statuses(void)
{
	const uint64_t code = HV_CALL_POST_MESSAGE;
	struct hv_input_post_message *in = message();
	uint8_t *page = hv_input();

	CHECK_IS(call(code, in), HV_STATUS_INVALID_CONNECTION_ID);
	CHECK_IS(call(code, page + 4), HV_STATUS_INVALID_ALIGNMENT);
	CHECK_IS(call(code, page + TINY_PAGE - 8),
		 HV_STATUS_INVALID_ALIGNMENT);
	CHECK_IS(call(code | HV_CONTROL_FAST, in),
		 HV_STATUS_INVALID_HYPERCALL_INPUT);
	CHECK_IS(call(code | 1ull << HV_CONTROL_REP_COUNT_SHIFT, in),
		 HV_STATUS_INVALID_HYPERCALL_INPUT);
	CHECK_IS(call(code | 1ull << 60, in),
		 HV_STATUS_INVALID_HYPERCALL_INPUT);
	in->payload_size = cpu_to_le32(HV_MESSAGE_PAYLOAD_SIZE + 1);
	CHECK_IS(call(code, in), HV_STATUS_INVALID_PARAMETER);
	in->payload_size = cpu_to_le32(0xffffffff);
	CHECK_IS(call(code, in), HV_STATUS_INVALID_PARAMETER);
	in = message();
	in->message_type = cpu_to_le32(HV_MESSAGE_TIMER_EXPIRED);
	CHECK_IS(call(code, in), HV_STATUS_INVALID_PARAMETER);
	in->message_type = cpu_to_le32(0);
	CHECK_IS(call(code, in), HV_STATUS_INVALID_PARAMETER);
}

static void signal_event_statuses(void)
{
	uint64_t *in = memset(hv_input(), 0, TINY_PAGE);

	CHECK_IS(hv_signal(NO_CONNECTION, 0), HV_STATUS_INVALID_CONNECTION_ID);
	*in = NO_CONNECTION;
	CHECK_IS(call(HV_CALL_SIGNAL_EVENT, in),
		 HV_STATUS_INVALID_CONNECTION_ID);
	CHECK_IS(call(HV_CALL_SIGNAL_EVENT, (uint8_t *)in + 1),
		 HV_STATUS_INVALID_ALIGNMENT);
	CHECK_IS(hv_call(HV_CALL_SIGNAL_EVENT | HV_CONTROL_FAST,
			 NO_CONNECTION | 1ull << 48, 0),
		 HV_STATUS_INVALID_PARAMETER);
}

static uint16_t send_ipi(uint64_t vector, uint64_t vtl, uint64_t vps)
{
	return hv_call(HV_CALL_SEND_SYNTHETIC_CLUSTER_IPI | HV_CONTROL_FAST,
		       vector | vtl << 32, vps) & HV_RESULT_STATUS_MASK;
}

static void ipi_statuses(void)
{
	volatile uint64_t *count = &this_vp()->interrupts[0x61];
	uint64_t before = *count, end = deadline(1000);

	CHECK_IS(send_ipi(0x61, 0, 1), HV_STATUS_SUCCESS);
	while (*count == before && !passed(end))
		relax();
	CHECK_IS(*count, before + 1);
	CHECK_IS(send_ipi(15, 0, 1), HV_STATUS_INVALID_PARAMETER);
	CHECK_IS(send_ipi(256, 0, 1), HV_STATUS_INVALID_PARAMETER);
	CHECK_IS(send_ipi(0x61, 0, 1ull << 63), HV_STATUS_INVALID_PARAMETER);
	CHECK_IS(send_ipi(0x61, HV_INPUT_VTL_USE_TARGET | 2, 1),
		 HV_STATUS_ACCESS_DENIED);
	CHECK_IS(*count, before + 1);
}

static void retarget_statuses(void)
{
	struct hv_input_retarget *in = memset(hv_input(), 0, TINY_PAGE);

	in->partition_id = cpu_to_le64(HV_PARTITION_SELF);
	in->source = cpu_to_le32(HV_RETARGET_SOURCE_MSI);
	in->device_id = cpu_to_le64(0x1234);
	in->vector = cpu_to_le32(0x61);
	in->set_format = cpu_to_le64(1);
	CHECK_IS(call(HV_CALL_RETARGET_DEVICE_INTERRUPT, in),
		 HV_STATUS_INVALID_PARAMETER);
}

static void o_03(void)
{
	unknown_calls();
	post_message_statuses();
	signal_event_statuses();
	ipi_statuses();
	retarget_statuses();
}

/* ---- U-07 ---- */

static volatile uint64_t other_time;

static void read_time(void)
{
	other_time = hv_time();
}

/* By the page that the hypervisor writes; see TLFS, "Reference TSC". */
static uint64_t page_time(const uint8_t *at)
{
	const struct hv_reference_tsc_page *page = (const void *)at;

	return (uint64_t)((unsigned __int128)ticks() *
			  le64_to_cpu(page->scale) >> 64) +
	       le64_to_cpu(page->offset);
}

/* In units of the reference time. */
static uint64_t pm_time(uint32_t count)
{
	return (uint64_t)count * HV_REF_TIME_HZ / PM_TIMER_HZ;
}

static void u_07(void)
{
	uint64_t start, end, last = 0, time, least, most;
	uint32_t pm[4];
	uint8_t *page = pages(1);

	/* Two clocks are not read in the same moment, and between two readings
	 * the host may be away for any time: the one is read before and after
	 * the other. */
	pm[0] = acpi_timer();
	start = hv_time();
	pm[1] = acpi_timer();
	delay((uint32_t)option_number("clock-ms", 500));
	pm[2] = acpi_timer();
	end = hv_time();
	pm[3] = acpi_timer();
	least = pm_time(pm[2] - pm[1]);
	most = pm_time(pm[3] - pm[0]);
	/* That long a wait tells a rate that is 1 % off. */
	CHECK(end - start >= least - least / 100);
	CHECK(end - start <= most + most / 100);

	for (int i = 0; i < 50; i++) {
		uint32_t vp = (uint32_t)i % nr_vps;

		CHECK(!vp || vp_run(vp, read_time, 1000));
		time = vp ? other_time : hv_time();
		CHECK(time >= last);
		last = time;
	}

	CHECK(msr_write(HV_MSR_REFERENCE_TSC,
			(uint64_t)page | HV_MSR_PAGE_ENABLE));
	start = hv_time();
	time = page_time(page);
	end = hv_time();
	CHECK(msr_write(HV_MSR_REFERENCE_TSC, 0));
	CHECK(time >= start);
	CHECK(time <= end);
}

/* ---- X-04, X-07 ---- */

static bool faults(uint32_t msr, bool writes)
{
	uint64_t value;

	this_vp()->fault.vector = -1;
	if (msr_read(msr, &value) || this_vp()->fault.vector != GP)
		return false;
	return !writes || !msr_write(msr, 0);
}

static void x_04(void)
{
	uint64_t efer;

	CHECK(!(cpuid(1, 0).ecx & LEAF1_ECX_VMX));
	CHECK(!(cpuid(0x80000001, 0).ecx & LEAF80000001_ECX_SVM));
	CHECK(faults(0x3a, true));
	for (uint32_t msr = 0x480; msr <= 0x491; msr++)
		CHECK(faults(msr, true));
	CHECK(faults(0xc0010114, true));
	CHECK(faults(0xc0010117, true));
	CHECK(msr_read(MSR_EFER, &efer));
	CHECK(!msr_write(MSR_EFER, efer | EFER_SVME));
}

static void x_07(void)
{
	CHECK(!(cpuid(HV_CPUID_FEATURES, 0).ebx & HV_PRIVILEGE_ACCESS_VSM));
	memset(hv_input(), 0, TINY_PAGE);
	CHECK_IS(call(HV_CALL_ENABLE_PARTITION_VTL, hv_input()),
		 HV_STATUS_ACCESS_DENIED);
}

/* ---- X-11 ---- */

static const struct feature {
	char reg; /* of leaf 0x40000003 */
	uint32_t bit, msr;
} features[] = {
	{ 'a', 1u << 0, 0x40000010 }, /* VP_RUNTIME */
	{ 'a', HV_FEATURE_TIME_REF_COUNT, HV_MSR_TIME_REF_COUNT },
	{ 'a', HV_FEATURE_SYNIC, HV_MSR_SCONTROL },
	{ 'a', HV_FEATURE_SYNIC, HV_MSR_SVERSION },
	{ 'a', HV_FEATURE_SYNIC, HV_MSR_SIEFP },
	{ 'a', HV_FEATURE_SYNIC, HV_MSR_SIMP },
	{ 'a', HV_FEATURE_SYNIC, HV_MSR_SINT0 + 15 },
	{ 'a', HV_FEATURE_STIMER, HV_MSR_STIMER0_CONFIG },
	{ 'a', HV_FEATURE_STIMER, HV_MSR_STIMER0_COUNT + 6 },
	{ 'a', HV_FEATURE_APIC_MSRS, HV_MSR_ICR },
	{ 'a', HV_FEATURE_APIC_MSRS, HV_MSR_TPR },
	{ 'a', HV_FEATURE_HYPERCALL_MSRS, HV_MSR_GUEST_OS_ID },
	{ 'a', HV_FEATURE_HYPERCALL_MSRS, HV_MSR_HYPERCALL },
	{ 'a', HV_FEATURE_VP_INDEX, HV_MSR_VP_INDEX },
	{ 'a', 1u << 7, 0x40000003 }, /* RESET */
	{ 'a', HV_FEATURE_REFERENCE_TSC, HV_MSR_REFERENCE_TSC },
	{ 'a', 1u << 10, 0x400000f0 }, /* GUEST_IDLE; a read would idle */
	{ 'a', HV_FEATURE_FREQUENCY_MSRS, HV_MSR_TSC_FREQUENCY },
	{ 'a', HV_FEATURE_FREQUENCY_MSRS, HV_MSR_APIC_FREQUENCY },
	{ 'a', 1u << 13, 0x40000106 }, /* REENLIGHTENMENT_CONTROL */
	{ 'a', HV_FEATURE_TSC_INVARIANT, HV_MSR_TSC_INVARIANT_CONTROL },
	{ 'd', HV_MISC_CRASH_MSRS, HV_MSR_CRASH_P0 },
	{ 'd', HV_MISC_CRASH_MSRS, HV_MSR_CRASH_P4 },
	{ 'd', HV_MISC_CRASH_MSRS, HV_MSR_CRASH_CTL },
};

static void x_11(void)
{
	static const uint32_t unlisted[] = { 0x12345, 0x400000ff, 0x400001ff,
					     0xc0012345, 0xffffffff };
	struct cpuid leaf = cpuid(HV_CPUID_FEATURES, 0);
	uint64_t value;

	for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
		const struct feature *f = &features[i];
		bool there = (f->reg == 'a' ? leaf.eax : leaf.edx) & f->bit;

		this_vp()->fault.vector = -1;
		if (msr_read(f->msr, &value) != there ||
		    (!there && this_vp()->fault.vector != GP)) {
			case_failed(__FILE__, __LINE__, "MSR and its feature",
				    f->msr, there);
			return;
		}
	}
	for (size_t i = 0; i < sizeof(unlisted) / sizeof(unlisted[0]); i++)
		CHECK(faults(unlisted[i], true));
	CHECK(leaf.ebx & HV_PRIVILEGE_POST_MESSAGES);
	CHECK(leaf.ebx & HV_PRIVILEGE_SIGNAL_EVENTS);
	/* What the crash MSRs were given, they give back; the rest of them
	 * would end the guest. */
	CHECK(msr_write(HV_MSR_CRASH_P0 + 2, 0x1122334455667788));
	CHECK(msr_read(HV_MSR_CRASH_P0 + 2, &value));
	CHECK_IS(value, 0x1122334455667788);
	CHECK(msr_write(HV_MSR_CRASH_P0 + 2, 0));
}

/* ---- leaves and overlay ---- */

static void leaves(void)
{
	struct cpuid vendor = cpuid(HV_CPUID_VENDOR, 0);

	CHECK(cpuid(1, 0).ecx >> 31);
	CHECK(vendor.eax >= HV_CPUID_LIMITS);
	CHECK_IS(vendor.ebx, 0x7263694d); /* "Microsoft Hv" */
	CHECK_IS(vendor.ecx, 0x666f736f);
	CHECK_IS(vendor.edx, 0x76482074);
	CHECK_IS(cpuid(HV_CPUID_INTERFACE, 0).eax, HV_INTERFACE_HV1);
	CHECK(cpuid(HV_CPUID_LIMITS, 0).eax >= nr_vps);
	/* An interrupt that ends itself is not for guests to ask for (U-06). */
	CHECK(cpuid(HV_CPUID_ENLIGHTENMENTS, 0).eax &
	      HV_RECOMMEND_NO_AUTO_EOI);
	CHECK(!(cpuid(HV_CPUID_FEATURES, 0).ebx &
		(HV_PRIVILEGE_CREATE_PARTITIONS |
		 HV_PRIVILEGE_ACCESS_VP_REGISTERS | HV_PRIVILEGE_ISOLATION)));
}

/* The hypercall page wherever it is put, and not without an identity. */
static void hypercall_page(void)
{
	uint8_t *page = pages(1);
	uint64_t id;

	CHECK(msr_read(HV_MSR_GUEST_OS_ID, &id));
	CHECK(hv_place_calls(page));
	CHECK(!bytes_are(page, 0, TINY_PAGE));
	CHECK_IS(hv_signal(NO_CONNECTION, 0), HV_STATUS_INVALID_CONNECTION_ID);
	CHECK(msr_write(HV_MSR_GUEST_OS_ID, 0));
	CHECK(!hv_place_calls(page));
	CHECK(msr_write(HV_MSR_GUEST_OS_ID, id));
	CHECK(hv_place_calls(NULL));
	CHECK_IS(hv_signal(NO_CONNECTION, 0), HV_STATUS_INVALID_CONNECTION_ID);
}

const struct tiny_case platform_cases[] = {
	{ "HV-leaves", "CPUID says Hyper-V, and no more than a guest may",
	  leaves, NULL },
	{ "HV-page", "the hypercall page: where the guest puts it, for who "
	  "said its name", hypercall_page, NULL },
	{ "O-03", "each hypercall's statuses", o_03, NULL },
	{ "U-07", "reference time: MSR, page and PM timer agree; monotonic "
	  "across VPs", u_07, NULL },
	{ "X-04", "no nested virtualisation: leaves and MSRs agree", x_04,
	  NULL },
	{ "X-07", "no VTL1 for the guest", x_07, NULL },
	{ "X-11", "each feature: its MSRs work if advertised, fault if not",
	  x_11, NULL },
	{ 0 },
};
