/* SPDX-License-Identifier: MIT */
/* SOURCES: paravisor/intercept.c paravisor/hypercall.c paravisor/msr.c paravisor/trace.c paravisor/guest_memory.c paravisor/violation.c paravisor/inspect.c paravisor/log.c */
/* Exits of VTL0, message by message: the answer, and what the trace has of it.
 * The VP's registers, the bus and the SynIC are stood in for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "paravisor/chipset/bus.h"
#include "paravisor/intercept.h"
#include "paravisor/intercept_instruction.h"
#include "paravisor/partition.h"
#include "paravisor/vp.h"

#define RAM_BASE 0x100000ull
#define RIP 0xffffffff81000000ull
#define LENGTH 2u

enum { RAX, RCX, RDX, RBX };

static struct {
	uint64_t gp[16], rip;
	unsigned int vector; /* injected */
	unsigned int eoi, deliverable;
	int ended; /* enum partition_end */
	uint64_t bus; /* what its reads give, what was written to it */
	unsigned int memory, strings;
} seen;

static uint8_t ram[4096];
static struct mshv_run run;
static struct trace_ring ring;
static struct partition partition;
static struct vp *const vp = &partition.vp[0];

/* ---- stand-ins ---- */

uint64_t vp_get_gp(struct vp *v, unsigned int n)
{
	(void)v;
	return seen.gp[n];
}

void vp_set_gp(struct vp *v, unsigned int n, uint64_t value)
{
	(void)v;
	seen.gp[n] = value;
}

void vp_set_rip(struct vp *v, uint64_t rip)
{
	(void)v;
	seen.rip = rip;
}

void vp_inject(struct vp *v, unsigned int vector, bool has_code, uint32_t code)
{
	(void)v;
	assert_true(has_code);
	assert_int_equal(code, 0);
	seen.vector = vector;
}

void partition_end(struct partition *p, enum partition_end end,
		   const struct vp *v)
{
	assert_ptr_equal(p, &partition);
	assert_ptr_equal(v, vp);
	seen.ended = (int)end;
}

void partition_crashed(struct partition *p, const struct vp *v)
{
	(void)p;
	(void)v;
	fail();
}

void synic_deliverable(struct synic *synic, uint16_t sints)
{
	(void)synic;
	seen.deliverable = sints;
}

uint64_t bus_read(struct bus *bus, enum bus_space space, uint64_t address,
		  unsigned int size)
{
	(void)bus;
	(void)space;
	(void)address;
	(void)size;
	return seen.bus;
}

void bus_write(struct bus *bus, enum bus_space space, uint64_t address,
	       unsigned int size, uint64_t value)
{
	(void)bus;
	(void)space;
	(void)address;
	(void)size;
	seen.bus = value;
}

void bus_eoi(struct bus *bus, uint8_t vector)
{
	(void)bus;
	seen.eoi = vector;
}

void intercept_memory(struct vp *v, const struct hv_memory_message *m)
{
	(void)m;
	seen.memory++;
	trace_value(&v->trace, 0x77);
}

void intercept_string_port(struct vp *v, const struct hv_io_port_message *m)
{
	(void)v;
	(void)m;
	seen.strings++;
}

static int port_message(void *opaque, uint32_t v, uint32_t connection,
			uint32_t type, const void *payload, size_t size)
{
	(void)opaque;
	(void)v;
	(void)connection;
	(void)type;
	(void)payload;
	(void)size;
	return 0;
}

static int port_signal(void *opaque, uint32_t v, uint32_t connection,
		       uint16_t flag)
{
	(void)opaque;
	(void)v;
	(void)connection;
	(void)flag;
	return 0;
}

static int set_up(void **state)
{
	static const struct hypercall_port_ops ops = { port_message,
						       port_signal };

	(void)state;
	memset(&seen, 0, sizeof(seen));
	seen.ended = -1;
	memset(&partition, 0, sizeof(partition));
	memset(&ring, 0, sizeof(ring));
	memset(&run, 0, sizeof(run));
	memset(ram, 0, sizeof(ram));
	partition.ports = (struct hypercall_ports){ &ops, NULL,
						    &partition.memory };
	vp->partition = &partition;
	vp->hw.run = &run;
	trace_init(&vp->trace, &ring);
	return guest_memory_add(&partition.memory, RAM_BASE, sizeof(ram), ram);
}

/* ---- the hypervisor ---- */

static struct hv_intercept_header header(uint8_t access)
{
	return (struct hv_intercept_header){
		.length_cr8 = LENGTH,
		.access = access,
		.execution_state = cpu_to_le16(HV_EXECUTION_EFER_LMA),
		.cs.attributes = cpu_to_le16(HV_SEGMENT_LONG),
		.rip = cpu_to_le64(RIP),
	};
}

/* The answer, and what the newest record says: true when it is new. */
static struct trace_exit dispatch(uint32_t type, const void *payload,
				  size_t size)
{
	uint64_t before = trace_newest(&ring);
	struct trace_exit e;

	seen.rip = 0;
	seen.vector = 0;
	run.message.header.type = cpu_to_le32(type);
	memcpy(run.message.payload, payload, size);
	intercept_dispatch(vp);
	assert_int_equal(trace_newest(&ring), before + 1);
	assert_int_equal(trace_read(&ring, before + 1, &e), 0);
	assert_true(e.ns > 0);
	return e;
}

static void check(const struct trace_exit *e, enum vp_exit reason,
		  uint64_t qualifier, uint64_t value)
{
	assert_int_equal(e->reason, reason);
	assert_int_equal(e->qualifier, qualifier);
	assert_int_equal(e->value, value);
	assert_int_equal(e->rip, reason == VP_EXIT_EOI ? 0 : RIP);
	assert_int_equal(vp->exits[reason], 1);
}

static struct trace_exit port_access(uint16_t port, uint8_t access,
				     uint8_t info)
{
	struct hv_io_port_message m = {
		.header = header(access),
		.port = cpu_to_le16(port),
		.access_info = info,
	};

	return dispatch(HV_MESSAGE_IO_PORT_INTERCEPT, &m, sizeof(m));
}

static void port_write(void **state)
{
	struct trace_exit e;

	(void)state;
	seen.gp[RAX] = 0x11223344;
	e = port_access(0xcf8, HV_INTERCEPT_ACCESS_WRITE, 2);
	check(&e, VP_EXIT_PORT, 0xcf8, 0x3344);
	assert_int_equal(e.access, HV_INTERCEPT_ACCESS_WRITE);
	assert_int_equal(seen.bus, 0x3344);
	assert_int_equal(seen.rip, RIP + LENGTH);
}

static void port_read(void **state)
{
	struct trace_exit e;

	(void)state;
	seen.gp[RAX] = 0xffff;
	seen.bus = 0x61;
	e = port_access(0x3fd, HV_INTERCEPT_ACCESS_READ, 1);
	check(&e, VP_EXIT_PORT, 0x3fd, 0x61);
	assert_int_equal(e.access, HV_INTERCEPT_ACCESS_READ);
	assert_int_equal(seen.gp[RAX], 0xff61);
}

static void port_refused(void **state)
{
	struct trace_exit e;

	(void)state;
	e = port_access(0x80, HV_INTERCEPT_ACCESS_WRITE, 3);
	check(&e, VP_EXIT_PORT, 0x80, 0);
	assert_int_equal(seen.vector, VP_VECTOR_GP);
	assert_int_equal(seen.rip, 0);
}

static void port_string(void **state)
{
	struct trace_exit e;

	(void)state;
	e = port_access(0x1f0, HV_INTERCEPT_ACCESS_READ,
			1 | HV_IO_ACCESS_STRING);
	check(&e, VP_EXIT_PORT, 0x1f0, 0);
	assert_int_equal(seen.strings, 1);
}

static struct trace_exit msr_access(uint32_t msr, uint8_t access,
				    uint64_t value)
{
	struct hv_msr_message m = {
		.header = header(access),
		.msr = cpu_to_le32(msr),
		.rdx = cpu_to_le64(value >> 32),
		.rax = cpu_to_le64((uint32_t)value),
	};

	return dispatch(HV_MESSAGE_MSR_INTERCEPT, &m, sizeof(m));
}

static void msr_written(void **state)
{
	struct trace_exit e;

	(void)state;
	e = msr_access(HV_MSR_CRASH_P0, HV_INTERCEPT_ACCESS_WRITE,
		       0x123456789abcull);
	check(&e, VP_EXIT_MSR, HV_MSR_CRASH_P0, 0x123456789abcull);
	assert_int_equal(seen.rip, RIP + LENGTH);
	e = msr_access(HV_MSR_CRASH_P0, HV_INTERCEPT_ACCESS_READ, 0);
	assert_int_equal(e.value, 0x123456789abcull);
	assert_int_equal(seen.gp[RAX], 0x56789abc);
	assert_int_equal(seen.gp[RDX], 0x1234);
}

/* Registers of VMX, of SVM, and one that nobody has heard of. */
static void msr_faults(void **state)
{
	static const uint32_t msr[] = { 0x480, 0x491, 0xc0010114, 0xc0010117,
					0xdeadbeef };

	(void)state;
	for (size_t i = 0; i < sizeof(msr) / sizeof(msr[0]); i++) {
		struct trace_exit e = msr_access(msr[i],
						 HV_INTERCEPT_ACCESS_READ, 0);

		assert_int_equal(e.qualifier, msr[i]);
		assert_int_equal(seen.vector, VP_VECTOR_GP);
		assert_int_equal(seen.rip, 0);
	}
}

static struct trace_exit call(uint64_t control, uint64_t in)
{
	struct hv_hypercall_message m = {
		.header = header(HV_INTERCEPT_ACCESS_EXECUTE),
		.rcx = cpu_to_le64(control),
		.rdx = cpu_to_le64(in),
	};

	return dispatch(HV_MESSAGE_HYPERCALL_INTERCEPT, &m, sizeof(m));
}

static void put_message(uint32_t first)
{
	struct hv_input_post_message in = {
		.connection_id = cpu_to_le32(4),
		.message_type = cpu_to_le32(1),
		.payload_size = cpu_to_le32(240),
	};
	le32 wire = cpu_to_le32(first);

	memcpy(in.payload, &wire, sizeof(wire));
	memcpy(ram, &in, sizeof(in));
}

static void post_message(void **state)
{
	struct trace_exit e;

	(void)state;
	put_message(14);
	e = call(HV_CALL_POST_MESSAGE, RAM_BASE);
	check(&e, VP_EXIT_HYPERCALL, HV_CALL_POST_MESSAGE, 4 | 14ull << 32);
	assert_int_equal(seen.gp[RAX], 0);
	/* Not the last one's subject. */
	e = call(HV_CALL_POST_MESSAGE, RAM_BASE + 1);
	assert_int_equal(e.value, 0);
}

static void signal_event(void **state)
{
	struct trace_exit e;

	(void)state;
	e = call(HV_CALL_SIGNAL_EVENT | HV_CONTROL_FAST, 0x2001 | 3ull << 32);
	check(&e, VP_EXIT_HYPERCALL, HV_CALL_SIGNAL_EVENT,
	      0x2001 | 3ull << 32);
}

static void others(void **state)
{
	struct hv_memory_message memory = {
		.header = header(HV_INTERCEPT_ACCESS_READ),
		.gpa = cpu_to_le64(0xfec00010),
	};
	struct hv_cpuid_message cpuid = {
		.header = header(HV_INTERCEPT_ACCESS_EXECUTE),
		.rax = cpu_to_le64(0x40000003), .rcx = cpu_to_le64(1),
		.default_rax = cpu_to_le64(0x2e7f),
	};
	struct hv_sint_deliverable_message sint = {
		.header = header(0), .deliverable_sints = cpu_to_le16(1u << 2),
	};
	struct hv_apic_eoi_message eoi = { .vector = cpu_to_le32(0x31) };
	struct hv_intercept_header fault = header(0);
	struct trace_exit e;

	(void)state;
	e = dispatch(HV_MESSAGE_UNMAPPED_GPA, &memory, sizeof(memory));
	check(&e, VP_EXIT_MEMORY, 0xfec00010, 0x77);
	assert_int_equal(seen.memory, 1);
	e = dispatch(HV_MESSAGE_CPUID_INTERCEPT, &cpuid, sizeof(cpuid));
	check(&e, VP_EXIT_CPUID, 0x40000003 | 1ull << 32, 0x2e7f);
	e = dispatch(HV_MESSAGE_SINT_DELIVERABLE, &sint, sizeof(sint));
	check(&e, VP_EXIT_SINT, 4, 0);
	assert_int_equal(seen.deliverable, 4);
	e = dispatch(HV_MESSAGE_APIC_EOI, &eoi, sizeof(eoi));
	check(&e, VP_EXIT_EOI, 0x31, 0);
	assert_int_equal(seen.eoi, 0x31);
	assert_int_equal(seen.ended, -1);
	e = dispatch(HV_MESSAGE_UNRECOVERABLE_EXCEPTION, &fault,
		     sizeof(fault));
	check(&e, VP_EXIT_FAULT, 0, 0);
	assert_int_equal(seen.ended, PARTITION_TRIPLE_FAULT);
}

static void never_asked_for(void **state)
{
	struct trace_exit e;

	(void)state;
	e = dispatch(0x80001234, "", 0);
	assert_int_equal(e.reason, VP_EXIT_OTHER);
	assert_int_equal(e.qualifier, 0x80001234);
	assert_int_equal(seen.ended, PARTITION_FAILED);
}

/* A guest's first words, in its order. */
static void in_order(void **state)
{
	static const uint64_t qualifier[] = { 0xcf8, HV_CALL_POST_MESSAGE,
					      0x3f8 };
	struct trace_exit e;

	(void)state;
	port_access(0xcf8, HV_INTERCEPT_ACCESS_WRITE, 4);
	put_message(14);
	call(HV_CALL_POST_MESSAGE, RAM_BASE);
	port_access(0x3f8, HV_INTERCEPT_ACCESS_WRITE, 1);
	for (uint64_t i = 0; i < 3; i++) {
		uint64_t time = i ? e.tsc : 0;

		assert_int_equal(trace_read(&ring, i + 1, &e), 0);
		assert_int_equal(e.qualifier, qualifier[i]);
		assert_true(e.tsc > time);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(port_write, set_up),
		cmocka_unit_test_setup(port_read, set_up),
		cmocka_unit_test_setup(port_refused, set_up),
		cmocka_unit_test_setup(port_string, set_up),
		cmocka_unit_test_setup(msr_written, set_up),
		cmocka_unit_test_setup(msr_faults, set_up),
		cmocka_unit_test_setup(post_message, set_up),
		cmocka_unit_test_setup(signal_event, set_up),
		cmocka_unit_test_setup(others, set_up),
		cmocka_unit_test_setup(never_asked_for, set_up),
		cmocka_unit_test_setup(in_order, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
