/* SPDX-License-Identifier: MIT */
/* SOURCES: nvme/status.c */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "nvme/status.h"

/* Status Field: Base Specification 2.0, 3.3.3.2.1. */
#define SCT(sct, sc) ((sct) << 8 | (sc))
#define CRD(n) ((n) << 11)
#define DNR 0x4000

static const uint16_t crdt[3] = { 2, 0, 50 };

static struct nvme_verdict judge(int32_t res, uint32_t retries, bool copied)
{
	const struct nvme_attempt attempt = { .retries = retries,
					      .copied = copied,
					      .crdt = crdt };

	return nvme_judge(res, &attempt);
}

/* The numbers are the specification's, so that a slip in a name shows. */
static void answers_of_the_device(void **state)
{
	static const struct {
		int32_t res;
		enum disk_status status;
	} cases[] = {
		{ 0, DISK_OK },
		{ SCT(0, 0x01), DISK_UNSUPPORTED },
		{ SCT(0, 0x02), DISK_INVALID },
		{ SCT(0, 0x05), DISK_ABORTED },
		{ SCT(0, 0x0b), DISK_GONE },
		{ SCT(0, 0x0f), DISK_INVALID },
		{ SCT(0, 0x13), DISK_INVALID },
		{ SCT(0, 0x14), DISK_INVALID },
		{ SCT(0, 0x1b), DISK_ABORTED },
		{ SCT(0, 0x1d), DISK_NOT_READY },
		{ SCT(0, 0x20), DISK_READ_ONLY },
		{ SCT(0, 0x80), DISK_OUT_OF_RANGE },
		{ SCT(0, 0x81), DISK_NO_SPACE },
		{ SCT(0, 0x83), DISK_CONFLICT },
		{ SCT(0, 0x84), DISK_NOT_READY },
		{ SCT(1, 0x80), DISK_INVALID },
		{ SCT(1, 0x81), DISK_INVALID },
		{ SCT(1, 0x82), DISK_READ_ONLY },
		{ SCT(2, 0x80), DISK_MEDIUM_WRITE },
		{ SCT(2, 0x81), DISK_MEDIUM_READ },
		{ SCT(2, 0x82), DISK_PROTECTION },
		{ SCT(2, 0x83), DISK_PROTECTION },
		{ SCT(2, 0x84), DISK_PROTECTION },
		{ SCT(2, 0x85), DISK_MISCOMPARE },
		{ SCT(2, 0x87), DISK_MEDIUM_READ },
		{ SCT(7, 0xc0), DISK_ABORTED },	      /* vendor's, may pass */
		{ SCT(7, 0xc0) | DNR, DISK_FAILED },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct nvme_verdict v = judge(cases[i].res, 0, false);

		assert_int_equal(v.status, cases[i].status);
		assert_false(v.retry);
		assert_int_equal(v.gone, cases[i].status == DISK_GONE);
		/* DNR and More change nothing in what it means. */
		if (cases[i].res && (cases[i].res >> 8) < 7)
			assert_int_equal(judge(cases[i].res | DNR | 0x2000, 0,
					       false).status,
					 cases[i].status);
	}
}

/* No errno is that far from 0, and none can be negated. */
static void least_number(void **state)
{
	struct nvme_verdict v = judge(INT32_MIN, 0, false);

	(void)state;
	assert_int_equal(v.status, DISK_FAILED);
	assert_false(v.retry || v.gone);
	assert_non_null(nvme_result_text(INT32_MIN));
}

static void what_may_pass_is_tried_again(void **state)
{
	static const struct {
		int32_t res;
		enum disk_status status;
	} cases[] = {
		{ SCT(0, 0x04), DISK_FAILED },
		{ SCT(0, 0x06), DISK_FAILED },
		{ SCT(0, 0x07), DISK_ABORTED },
		{ SCT(0, 0x08), DISK_ABORTED },
		{ SCT(0, 0x21), DISK_ABORTED },
		{ SCT(0, 0x22), DISK_FAILED },
		{ SCT(0, 0x82), DISK_NOT_READY },
		{ SCT(3, 0x00), DISK_FAILED },
		{ SCT(3, 0x71), DISK_FAILED },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int32_t res = cases[i].res;

		assert_true(judge(res, 0, false).retry);
		assert_true(judge(res, 4, false).retry);
		assert_false(judge(res, 5, false).retry);
		assert_false(judge(res | DNR, 0, false).retry);
		assert_int_equal(judge(res, 5, false).status,
				 cases[i].status);
		assert_false(judge(res, 0, false).copy);
	}
}

static void the_device_chooses_the_delay(void **state)
{
	int32_t res = SCT(0, 0x82);

	(void)state;
	assert_int_equal(judge(res | CRD(1), 0, false).delay_ms, 200);
	assert_int_equal(judge(res | CRD(3), 0, false).delay_ms, 5000);
	/* none chosen; one that the controller does not have */
	assert_in_range(judge(res, 0, false).delay_ms, 1, 10);
	assert_in_range(judge(res | CRD(2), 0, false).delay_ms, 1, 10);
}

static void answers_of_the_kernel(void **state)
{
	struct nvme_verdict v;

	(void)state;
	v = judge(-EINTR, 1000, false); /* bounded by the deadline alone */
	assert_true(v.retry && !v.copy && !v.gone && v.delay_ms == 100);
	assert_int_equal(v.status, DISK_TIMEOUT);
	v = judge(-EAGAIN, 1000, true);
	assert_true(v.retry && !v.copy && v.delay_ms);
	v = judge(-EIO, 0, false);
	assert_true(v.retry && !v.gone && v.delay_ms);
	v = judge(-EIO, 1, false);
	assert_true(!v.retry && !v.gone && v.status == DISK_FAILED);
	v = judge(-ENODEV, 0, false);
	assert_true(!v.retry && v.gone && v.status == DISK_GONE);
}

static void refused_memory_is_copied_once(void **state)
{
	static const int errors[] = { -EFAULT, -EEXIST, -EINVAL };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct nvme_verdict v = judge(errors[i], 0, false);

		assert_true(v.retry && v.copy);
		v = judge(errors[i], 1, true);
		assert_false(v.retry);
		assert_int_equal(v.status, DISK_INVALID);
	}
}

/* What changes reservations is sent again only if nothing can have happened. */
static void once_means_once(void **state)
{
	static const int32_t certain[] = { -EAGAIN, -EBUSY, -ENOMEM,
					   SCT(0, 0x82), SCT(0, 0x82) | CRD(1) };
	struct nvme_attempt attempt = { .once = true, .copied = true,
					.crdt = crdt };
	int32_t res;

	(void)state;
	for (size_t i = 0; i < sizeof(certain) / sizeof(certain[0]); i++)
		assert_true(nvme_judge(certain[i], &attempt).retry);
	for (res = 1; res < 0x800; res++)
		assert_int_equal(nvme_judge(res, &attempt).retry,
				 res == SCT(0, 0x82));
	for (res = 1; res < 200; res++)
		assert_int_equal(nvme_judge(-res, &attempt).retry,
				 res == EAGAIN || res == EBUSY ||
				 res == ENOMEM);
	assert_int_equal(nvme_judge(-EINTR, &attempt).status, DISK_TIMEOUT);
}

static void results_have_words(void **state)
{
	(void)state;
	assert_string_equal(nvme_result_text(-ENODEV), strerror(ENODEV));
	assert_non_null(strstr(nvme_result_text(SCT(0, 0x80)), "LBA"));
	assert_non_null(nvme_result_text(SCT(7, 0xff)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_of_the_device),
		cmocka_unit_test(what_may_pass_is_tried_again),
		cmocka_unit_test(the_device_chooses_the_delay),
		cmocka_unit_test(answers_of_the_kernel),
		cmocka_unit_test(least_number),
		cmocka_unit_test(refused_memory_is_copied_once),
		cmocka_unit_test(once_means_once),
		cmocka_unit_test(results_have_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
