/* SPDX-License-Identifier: MIT */
/* SOURCES: paravisor/translate.c paravisor/log.c */
/*
 * Translation of VTL0's addresses, against a hypervisor that answers what the
 * test says: what it is asked, and what becomes of each of its results.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "hv_translate_reg.h"
#include "paravisor/mshv.h"
#include "paravisor/translate.h"

static struct {
	uint32_t result;
	uint64_t page;
	uint16_t status;
	int error;
	unsigned int calls;
	struct hv_input_translate asked;
} host;

static struct mshv mshv;

int mshv_hypercall(struct mshv *m, uint16_t code, uint16_t reps, const void *in,
		   size_t in_size, void *out, size_t out_size, uint16_t *status)
{
	const struct hv_output_translate answer = {
		.result = cpu_to_le32(host.result),
		.gpa_page = cpu_to_le64(host.page),
	};

	assert_ptr_equal(m, &mshv);
	assert_int_equal(code, 0x52);
	assert_int_equal(reps, 0);
	assert_int_equal(in_size, sizeof(host.asked));
	assert_int_equal(out_size, sizeof(answer));
	memcpy(&host.asked, in, in_size);
	host.calls++;
	*status = host.status;
	if (!host.error && !host.status)
		memcpy(out, &answer, sizeof(answer));
	return host.error;
}

static int set_up(void **state)
{
	(void)state;
	memset(&host, 0, sizeof(host));
	return 0;
}

static struct translate_fault fault;

static int translate(uint64_t gva, enum translate_access access,
		     unsigned int cpl, uint64_t *gpa)
{
	return translate_gva(&mshv, gva, access, cpl, gpa, &fault);
}

static void asks_for_vtl0(void **state)
{
	static const struct {
		enum translate_access access;
		uint64_t flags;
	} kinds[] = {
		{ TRANSLATE_READ, 0x1000000000000011 },
		{ TRANSLATE_WRITE, 0x1000000000000012 },
		{ TRANSLATE_EXECUTE, 0x1000000000000014 },
	};
	uint64_t gpa;

	(void)state;
	host.page = 0x123456;
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(translate(0xffff800012345abc, kinds[i].access,
					   0, &gpa), 0);
		assert_true(gpa == 0x123456abc);
		assert_true(le64_to_cpu(host.asked.partition_id) == UINT64_MAX);
		assert_int_equal(le32_to_cpu(host.asked.vp_index), 0xfffffffe);
		assert_true(le64_to_cpu(host.asked.flags) == kinds[i].flags);
		assert_true(le64_to_cpu(host.asked.gva_page) ==
			    0xffff800012345);
	}
}

static void page_faults(void **state)
{
	static const struct {
		uint32_t result;
		enum translate_access access;
		unsigned int cpl;
		uint32_t code;
	} cases[] = {
		{ 1, TRANSLATE_READ, 0, 0 },
		{ 1, TRANSLATE_WRITE, 0, 2 },
		{ 1, TRANSLATE_WRITE, 3, 6 },
		{ 1, TRANSLATE_EXECUTE, 3, 0x14 },
		{ 2, TRANSLATE_READ, 3, 5 },
		{ 2, TRANSLATE_WRITE, 0, 3 },
		{ 2, TRANSLATE_WRITE, 1, 3 },
		{ 3, TRANSLATE_READ, 0, 9 },
		{ 3, TRANSLATE_WRITE, 3, 0xf },
	};
	uint64_t gpa;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		host.result = cases[i].result;
		assert_int_equal(translate(0x1000, cases[i].access,
					   cases[i].cpl, &gpa), -EFAULT);
		assert_true(fault.page_fault);
		assert_int_equal(fault.error_code, cases[i].code);
	}
}

static void other_results(void **state)
{
	uint64_t gpa;

	(void)state;
	host.result = 4; /* nothing there: a device, perhaps */
	host.page = 0xfec00;
	assert_int_equal(translate(0x10, TRANSLATE_READ, 0, &gpa), 0);
	assert_true(gpa == 0xfec00010);
	for (host.result = 5; host.result < 12; host.result++) {
		gpa = 7;
		assert_int_equal(translate(0x10, TRANSLATE_READ, 0, &gpa),
				 -EFAULT);
		assert_false(fault.page_fault);
		assert_true(gpa == 7);
	}
}

static void not_canonical(void **state)
{
	uint64_t gpa;

	(void)state;
	assert_int_equal(translate(0x0100000000000000, TRANSLATE_READ, 0, &gpa),
			 -EFAULT);
	assert_int_equal(translate(0xfe00000000000000, TRANSLATE_READ, 0, &gpa),
			 -EFAULT);
	assert_false(fault.page_fault);
	assert_int_equal(host.calls, 0);
	assert_int_equal(translate(0x00ffffffffffffff, TRANSLATE_READ, 0, &gpa),
			 0);
	assert_int_equal(translate(0xff00000000000000, TRANSLATE_READ, 0, &gpa),
			 0);
}

static void no_answer(void **state)
{
	uint64_t gpa;

	(void)state;
	host.status = HV_STATUS_INVALID_HYPERCALL_CODE;
	assert_int_equal(translate(0x10, TRANSLATE_READ, 0, &gpa), -EIO);
	host.status = 0;
	host.error = -EPERM;
	assert_int_equal(translate(0x10, TRANSLATE_READ, 0, &gpa), -EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(asks_for_vtl0, set_up),
		cmocka_unit_test_setup(page_faults, set_up),
		cmocka_unit_test_setup(other_results, set_up),
		cmocka_unit_test_setup(not_canonical, set_up),
		cmocka_unit_test_setup(no_answer, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
