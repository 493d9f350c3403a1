/* SPDX-License-Identifier: MIT */
/* SOURCES: paravisor/hypercall.c paravisor/guest_memory.c paravisor/violation.c paravisor/inspect.c paravisor/log.c */
/* Hypercalls of VTL0: both calling conventions, every rule of the input, and
 * what a port's refusal becomes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <hv_reg.h>
#include <pv/violation.h>

#include "paravisor/hypercall.h"

#define RAM_BASE 0x100000ull
#define PAGES 3

static uint8_t ram[PAGES * 4096];
static struct guest_memory memory;

/* The last call that a port saw, and what it answers. */
static struct {
	unsigned int messages, signals;
	uint32_t vp, connection, type;
	uint16_t flag;
	size_t size;
	uint8_t payload[HV_MESSAGE_PAYLOAD_SIZE];
	int answer;
} port;

static int port_message(void *opaque, uint32_t vp, uint32_t connection,
			uint32_t type, const void *payload, size_t size)
{
	assert_ptr_equal(opaque, &port);
	port.messages++;
	port.vp = vp;
	port.connection = connection;
	port.type = type;
	port.size = size;
	memcpy(port.payload, payload, size);
	return port.answer;
}

static int port_signal(void *opaque, uint32_t vp, uint32_t connection,
		       uint16_t flag)
{
	assert_ptr_equal(opaque, &port);
	port.signals++;
	port.vp = vp;
	port.connection = connection;
	port.flag = flag;
	return port.answer;
}

static const struct hypercall_port_ops ops = { port_message, port_signal };
static const struct hypercall_ports ports = { &ops, &port, &memory };
static struct hypercall_counters count;

static int set_up(void **state)
{
	(void)state;
	memset(&port, 0, sizeof(port));
	memset(&count, 0, sizeof(count));
	memset(ram, 0, sizeof(ram));
	memset(&memory, 0, sizeof(memory));
	return guest_memory_add(&memory, RAM_BASE, sizeof(ram), ram);
}

static uint64_t execute(uint64_t control, uint64_t in)
{
	struct hypercall call = { control, in, 0 };

	return hypercall_execute(&ports, 3, &call, &count);
}

static void put_message(uint64_t offset, uint32_t connection, uint32_t type,
			uint32_t size)
{
	struct hv_input_post_message in = {
		.connection_id = cpu_to_le32(connection),
		.message_type = cpu_to_le32(type),
		.payload_size = cpu_to_le32(size),
	};

	for (size_t i = 0; i < sizeof(in.payload); i++)
		in.payload[i] = (uint8_t)(i ^ 0x5a);
	memcpy(ram + offset, &in, sizeof(in));
}

static void message_arrives(void **state)
{
	(void)state;
	put_message(0xf00, 4, 1, 240);
	assert_int_equal(execute(HV_CALL_POST_MESSAGE, RAM_BASE + 0xf00), 0);
	assert_int_equal(port.messages, 1);
	assert_int_equal(port.vp, 3);
	assert_int_equal(port.connection, 4);
	assert_int_equal(port.type, 1);
	assert_int_equal(port.size, 240);
	assert_memory_equal(port.payload, ram + 0xf10, 240);
	assert_int_equal(count.messages, 1);
	assert_int_equal(count.refused, 0);
}

static void signal_arrives(void **state)
{
	le64 word = cpu_to_le64(7ull << HV_SIGNAL_EVENT_FLAG_SHIFT | 0x2001);

	(void)state;
	assert_int_equal(execute(HV_CALL_SIGNAL_EVENT | HV_CONTROL_FAST,
				 le64_to_cpu(word)), 0);
	assert_int_equal(port.connection, 0x2001);
	assert_int_equal(port.flag, 7);
	memcpy(ram + 8, &word, sizeof(word));
	port.flag = 0;
	assert_int_equal(execute(HV_CALL_SIGNAL_EVENT, RAM_BASE + 8), 0);
	assert_int_equal(port.flag, 7);
	assert_int_equal(count.signals, 2);
}

/* One record, whose rule is the status's. */
static void expect_record(uint64_t before, uint16_t status)
{
	static const struct {
		uint16_t status;
		const char *rule;
	} rules[] = {
		{ HV_STATUS_INVALID_HYPERCALL_CODE, "hypercall.code" },
		{ HV_STATUS_INVALID_HYPERCALL_INPUT, "hypercall.input" },
		{ HV_STATUS_INVALID_ALIGNMENT, "hypercall.alignment" },
		{ HV_STATUS_INVALID_PARAMETER, "hypercall.parameter" },
		{ HV_STATUS_INVALID_CONNECTION_ID, "hypercall.connection" },
	};
	struct violation v;
	size_t i = 0;

	while (rules[i].status != status)
		assert_true(++i < sizeof(rules) / sizeof(rules[0]));
	assert_int_equal(violation_count(), before + 1);
	assert_int_equal(violation_get(before + 1, &v), 0);
	assert_string_equal(v.object, "hypercall");
	assert_string_equal(v.rule, rules[i].rule);
}

static void bad_input(void **state)
{
	static const struct {
		uint64_t control, in;
		uint32_t type, size;
		uint16_t status;
	} cases[] = {
		/* unknown call */
		{ HV_CALL_RETARGET_DEVICE_INTERRUPT, RAM_BASE, 1, 8,
		  HV_STATUS_INVALID_HYPERCALL_CODE },
		{ 0, RAM_BASE, 1, 8, HV_STATUS_INVALID_HYPERCALL_CODE },
		/* reserved bits, repetition, variable header, nested */
		{ HV_CALL_POST_MESSAGE | 1ull << 27, RAM_BASE, 1, 8,
		  HV_STATUS_INVALID_HYPERCALL_INPUT },
		{ HV_CALL_POST_MESSAGE | 1ull << 44, RAM_BASE, 1, 8,
		  HV_STATUS_INVALID_HYPERCALL_INPUT },
		{ HV_CALL_POST_MESSAGE | 1ull << 63, RAM_BASE, 1, 8,
		  HV_STATUS_INVALID_HYPERCALL_INPUT },
		{ HV_CALL_POST_MESSAGE | 1ull << 32, RAM_BASE, 1, 8,
		  HV_STATUS_INVALID_HYPERCALL_INPUT },
		{ HV_CALL_SIGNAL_EVENT | 1ull << 48, 1, 1, 8,
		  HV_STATUS_INVALID_HYPERCALL_INPUT },
		{ HV_CALL_POST_MESSAGE | 1ull << 17, RAM_BASE, 1, 8,
		  HV_STATUS_INVALID_HYPERCALL_INPUT },
		{ HV_CALL_POST_MESSAGE | HV_CONTROL_NESTED, RAM_BASE, 1, 8,
		  HV_STATUS_INVALID_HYPERCALL_INPUT },
		/* a message does not fit registers */
		{ HV_CALL_POST_MESSAGE | HV_CONTROL_FAST, RAM_BASE, 1, 8,
		  HV_STATUS_INVALID_HYPERCALL_INPUT },
		/* the address */
		{ HV_CALL_POST_MESSAGE, RAM_BASE + 4, 1, 8,
		  HV_STATUS_INVALID_ALIGNMENT },
		{ HV_CALL_POST_MESSAGE, RAM_BASE + 0xf08, 1, 8,
		  HV_STATUS_INVALID_ALIGNMENT },
		{ HV_CALL_SIGNAL_EVENT, RAM_BASE + 1, 1, 8,
		  HV_STATUS_INVALID_ALIGNMENT },
		{ HV_CALL_POST_MESSAGE, RAM_BASE - 4096, 1, 8,
		  HV_STATUS_INVALID_HYPERCALL_INPUT },
		{ HV_CALL_SIGNAL_EVENT, RAM_BASE + sizeof(ram), 1, 8,
		  HV_STATUS_INVALID_HYPERCALL_INPUT },
		{ HV_CALL_POST_MESSAGE, 0xfffffffffffff000ull, 1, 8,
		  HV_STATUS_INVALID_HYPERCALL_INPUT },
		/* the message */
		{ HV_CALL_POST_MESSAGE, RAM_BASE, 1, 241,
		  HV_STATUS_INVALID_PARAMETER },
		{ HV_CALL_POST_MESSAGE, RAM_BASE, 1, UINT32_MAX,
		  HV_STATUS_INVALID_PARAMETER },
		{ HV_CALL_POST_MESSAGE, RAM_BASE, 0, 8,
		  HV_STATUS_INVALID_PARAMETER },
		{ HV_CALL_POST_MESSAGE, RAM_BASE, 0x80000010, 8,
		  HV_STATUS_INVALID_PARAMETER },
		/* the event */
		{ HV_CALL_SIGNAL_EVENT | HV_CONTROL_FAST, 1ull << 48, 1, 8,
		  HV_STATUS_INVALID_PARAMETER },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t before = violation_count();

		set_up(NULL);
		put_message(0, 4, cases[i].type, cases[i].size);
		assert_int_equal(execute(cases[i].control, cases[i].in),
				 cases[i].status);
		assert_int_equal(port.messages + port.signals, 0);
		assert_int_equal(count.refused, 1);
		expect_record(before, cases[i].status);
	}
}

static void ports_refuse(void **state)
{
	static const struct {
		int answer;
		uint16_t status;
		unsigned int refused;
	} cases[] = {
		{ -ENOENT, HV_STATUS_INVALID_CONNECTION_ID, 1 },
		/* to be tried again: no mistake */
		{ -ENOSPC, HV_STATUS_INSUFFICIENT_BUFFERS, 0 },
		{ -EINVAL, HV_STATUS_INVALID_PARAMETER, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		set_up(NULL);
		port.answer = cases[i].answer;
		put_message(0, 9, 1, 8);
		assert_int_equal(execute(HV_CALL_POST_MESSAGE, RAM_BASE),
				 cases[i].status);
		assert_int_equal(count.refused, cases[i].refused);
		assert_int_equal(execute(HV_CALL_SIGNAL_EVENT |
						 HV_CONTROL_FAST, 9),
				 cases[i].status);
	}
}

static void connection_has_24_bits(void **state)
{
	(void)state;
	execute(HV_CALL_SIGNAL_EVENT | HV_CONTROL_FAST, 0xff002001);
	assert_int_equal(port.connection, 0x2001);
}

static void conventions(void **state)
{
	struct hv_hypercall_message m = {
		.rax = cpu_to_le64(0xaaaaaaaa11111111),
		.rbx = cpu_to_le64(0xaaaaaaaa22222222),
		.rcx = cpu_to_le64(0xaaaaaaaa33333333),
		.rdx = cpu_to_le64(0xaaaaaaaa44444444),
		.rsi = cpu_to_le64(0xaaaaaaaa55555555),
		.rdi = cpu_to_le64(0xaaaaaaaa66666666),
		.r8 = cpu_to_le64(0xaaaaaaaa77777777),
	};
	struct hypercall call;

	(void)state;
	m.header.execution_state = cpu_to_le16(HV_EXECUTION_EFER_LMA);
	m.header.cs.attributes = cpu_to_le16(HV_SEGMENT_LONG);
	assert_true(hypercall_decode(&m, &call));
	assert_int_equal(call.control, 0xaaaaaaaa33333333);
	assert_int_equal(call.in, 0xaaaaaaaa44444444);
	assert_int_equal(call.out, 0xaaaaaaaa77777777);
	/* 32-bit code of a 64-bit kernel */
	m.header.cs.attributes = cpu_to_le16(HV_SEGMENT_DEFAULT);
	assert_false(hypercall_decode(&m, &call));
	assert_int_equal(call.control, 0x4444444411111111);
	assert_int_equal(call.in, 0x2222222233333333);
	assert_int_equal(call.out, 0x6666666655555555);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(message_arrives, set_up),
		cmocka_unit_test_setup(signal_arrives, set_up),
		cmocka_unit_test_setup(bad_input, set_up),
		cmocka_unit_test_setup(ports_refuse, set_up),
		cmocka_unit_test_setup(connection_has_24_bits, set_up),
		cmocka_unit_test(conventions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
