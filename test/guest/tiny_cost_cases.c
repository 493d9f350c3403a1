// SPDX-License-Identifier: MIT
/*
 * What an exit costs, by who answers it: KVM, the host, or VTL2. Not a test of
 * anything but that each operation does its work; run only by name.
 *
 *	cost-count=N	how often an operation is repeated, 1000 if not given
 *
 * One line for each case: `# cost NAME N NS', NS for all N by the reference
 * counter. The two NOPs around the loop are where test/bench/instructions.c
 * starts and stops counting.
 */
#include "tiny_hv.h"

#define MARK_START "1"
#define MARK_STOP "2"
#define MARK(id)                                                            \
	__asm__ volatile(".byte 0x0f, 0x1f, 0x80, " id ", 0x5a, 0x5a, 0x5a"  \
			 : : : "memory")

#define NS_PER_TICK (1000000000u / HV_REF_TIME_HZ)
#define NO_CONNECTION 0x123456u
#define POST_PORT 0x80
#define IPI_LOWEST_VECTOR 0x10
#define IOAPIC_SELECT ((volatile uint32_t *)0xfec00000)
#define IOAPIC_WINDOW ((volatile uint32_t *)0xfec00010)
#define IOAPIC_VERSION 1

/* How many of `n` went well. The function stays unknown to the compiler, so
 * that the loop costs every operation the same. */
static __attribute__((noinline)) uint64_t repeat(bool (*operation)(void),
						 uint64_t n)
{
	uint64_t good = 0;

	__asm__("" : "+r"(operation));
	while (n--)
		good += operation();
	return good;
}

static void measure(const char *name, bool (*operation)(void))
{
	uint64_t n = option_number("cost-count", 1000), good, start, end;

	CHECK(operation());
	start = hv_time();
	MARK(MARK_START);
	good = repeat(operation, n);
	MARK(MARK_STOP);
	end = hv_time();
	CHECK_IS(good, n);
	print("# cost %s %lu %lu\n", name, n, (end - start) * NS_PER_TICK);
}

/* ---- no exit, and exits that VTL2 does not see ---- */

static bool nothing(void)
{
	return true;
}

static bool leaf(void)
{
	return cpuid(HV_CPUID_INTERFACE, 0).eax == HV_INTERFACE_HV1;
}

static bool host_msr(void)
{
	uint64_t time;

	return msr_read(HV_MSR_TIME_REF_COUNT, &time);
}

/* An interrupt for no VP. */
static bool host_hypercall(void)
{
	return !(hv_call(HV_CALL_SEND_SYNTHETIC_CLUSTER_IPI | HV_CONTROL_FAST,
			 IPI_LOWEST_VECTOR, 0) & HV_RESULT_STATUS_MASK);
}

/* ---- exits that VTL2 answers ---- */

/* Nobody is behind the port, so what is left is the way there and back. */
static bool round_trip(void)
{
	outb(POST_PORT, 0);
	return true;
}

static bool port(void)
{
	acpi_timer();
	return true;
}

static bool msr(void)
{
	uint64_t value;

	return msr_read(HV_MSR_CRASH_P0, &value);
}

static bool mmio(void)
{
	return *IOAPIC_WINDOW != UINT32_MAX;
}

static bool hypercall(void)
{
	return hv_signal(NO_CONNECTION, 0) == HV_STATUS_INVALID_CONNECTION_ID;
}

/* ---- cases ---- */

static void b_nothing(void) { measure("nothing", nothing); }
static void b_cpuid(void) { measure("cpuid", leaf); }
static void b_host_msr(void) { measure("host-msr", host_msr); }
static void b_host_call(void) { measure("host-hypercall", host_hypercall); }
static void b_round_trip(void) { measure("round-trip", round_trip); }
static void b_port(void) { measure("port", port); }
static void b_msr(void) { measure("msr", msr); }
static void b_hypercall(void) { measure("hypercall", hypercall); }

static void b_mmio(void)
{
	*IOAPIC_SELECT = IOAPIC_VERSION;
	measure("mmio", mmio);
}

const struct tiny_case cost_cases[] = {
	{ "B-nothing", "the loop alone", b_nothing, NULL },
	{ "B-cpuid", "CPUID", b_cpuid, NULL },
	{ "B-host-msr", "an MSR of the host", b_host_msr, NULL },
	{ "B-host-hypercall", "a hypercall to the host", b_host_call, NULL },
	{ "B-round-trip", "VTL0 to VTL2 and back", b_round_trip, NULL },
	{ "B-port", "a port of VTL2's", b_port, NULL },
	{ "B-msr", "an MSR of VTL2's", b_msr, NULL },
	{ "B-mmio", "a device register of VTL2's", b_mmio, NULL },
	{ "B-hypercall", "a hypercall to VTL2", b_hypercall, NULL },
	{ 0 },
};
