/* SPDX-License-Identifier: MIT */
/* SOURCES: paravisor/mshv.c paravisor/log.c */
/* Hypercalls against a hypervisor that takes its time: it ends one early, to be
 * called again, or says that it did less than it was asked for. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>

#include <cmocka.h>

#include <linux/mshv.h>

#include "paravisor/mshv.h"
#include "stderr_capture.h"

#define HVCALL_FD 1000

/* What the hypervisor answers, one after the other; the last one for ever. */
static struct {
	uint64_t result[8];
	uint64_t control[8]; /* of the first calls */
	unsigned int nr, calls;
	int error;
} hypervisor;

int ioctl(int fd, unsigned long request, ...)
{
	struct mshv_vtl_hvcall *call;
	unsigned int n = hypervisor.calls++;
	va_list args;

	va_start(args, request);
	call = va_arg(args, struct mshv_vtl_hvcall *);
	va_end(args);
	assert_int_equal(fd, HVCALL_FD);
	assert_int_equal(request, MSHV_HVCALL);
	if (hypervisor.error) {
		errno = hypervisor.error;
		return -1;
	}
	if (n < 8)
		hypervisor.control[n] = call->control;
	if (n >= hypervisor.nr)
		n = hypervisor.nr - 1;
	call->status = hypervisor.result[n];
	return 0;
}

static uint64_t result(uint16_t status, unsigned int done)
{
	return status | (uint64_t)done << HV_RESULT_REPS_SHIFT;
}

static uint64_t control(unsigned int reps, unsigned int start)
{
	return HV_CALL_MODIFY_VTL_PROTECTION_MASK |
	       (uint64_t)reps << HV_CONTROL_REP_COUNT_SHIFT |
	       (uint64_t)start << HV_CONTROL_REP_START_SHIFT;
}

static struct mshv mshv = { .hvcall = HVCALL_FD };
static uint16_t status;

static int protect(unsigned int reps)
{
	static const uint8_t in[HV_PAGE_SIZE];

	return mshv_hypercall(&mshv, HV_CALL_MODIFY_VTL_PROTECTION_MASK,
			      (uint16_t)reps, in, sizeof(in), NULL, 0,
			      &status);
}

static int setup(void **state)
{
	(void)state;
	memset(&hypervisor, 0, sizeof(hypervisor));
	mshv.hypercalls = 0;
	status = 0x5555;
	capture_stderr();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	captured_stderr();
	return 0;
}

static void all_at_once(void **state)
{
	(void)state;
	hypervisor.nr = 1;
	hypervisor.result[0] = result(HV_STATUS_SUCCESS, 500);
	assert_int_equal(protect(500), 0);
	assert_int_equal(status, HV_STATUS_SUCCESS);
	assert_int_equal(hypervisor.calls, 1);
	assert_int_equal(mshv.hypercalls, 1);
	assert_true(hypervisor.control[0] == control(500, 0));
}

/* Each time it goes on behind what is done. */
static void ended_early(void **state)
{
	(void)state;
	hypervisor.nr = 4;
	hypervisor.result[0] = result(HV_STATUS_TIMEOUT, 100);
	hypervisor.result[1] = result(HV_STATUS_TIMEOUT, 100);
	hypervisor.result[2] = result(HV_STATUS_TIMEOUT, 499);
	hypervisor.result[3] = result(HV_STATUS_SUCCESS, 500);
	assert_int_equal(protect(500), 0);
	assert_int_equal(status, HV_STATUS_SUCCESS);
	assert_int_equal(hypervisor.calls, 4);
	assert_int_equal(mshv.hypercalls, 4);
	assert_true(hypervisor.control[0] == control(500, 0));
	assert_true(hypervisor.control[1] == control(500, 100));
	assert_true(hypervisor.control[2] == control(500, 100));
	assert_true(hypervisor.control[3] == control(500, 499));
}

/* A call that has no elements is made again as it was. */
static void ended_early_without_elements(void **state)
{
	(void)state;
	hypervisor.nr = 2;
	hypervisor.result[0] = result(HV_STATUS_TIMEOUT, 0);
	hypervisor.result[1] = result(HV_STATUS_SUCCESS, 0);
	assert_int_equal(protect(0), 0);
	assert_int_equal(status, HV_STATUS_SUCCESS);
	assert_int_equal(hypervisor.calls, 2);
	assert_true(hypervisor.control[1] == control(0, 0));
}

static void never_done(void **state)
{
	(void)state;
	hypervisor.nr = 1;
	hypervisor.result[0] = result(HV_STATUS_TIMEOUT, 100);
	assert_int_equal(protect(500), 0);
	assert_int_equal(status, HV_STATUS_TIMEOUT);
	assert_true(hypervisor.calls > 1000);
}

/* Success that is not all of it is none: pages would be left open. */
static void less_than_asked_for(void **state)
{
	(void)state;
	hypervisor.nr = 1;
	hypervisor.result[0] = result(HV_STATUS_SUCCESS, 100);
	assert_int_equal(protect(500), -EIO);
	assert_true(is_one_line(captured_stderr()));
	capture_stderr();
	hypervisor.result[0] = result(HV_STATUS_SUCCESS, 501);
	assert_int_equal(protect(500), -EIO);
	assert_int_equal(hypervisor.calls, 2);
}

static void refused(void **state)
{
	(void)state;
	hypervisor.nr = 2;
	hypervisor.result[0] = result(HV_STATUS_TIMEOUT, 100);
	hypervisor.result[1] = result(HV_STATUS_ACCESS_DENIED, 300);
	assert_int_equal(protect(500), 0);
	assert_int_equal(status, HV_STATUS_ACCESS_DENIED);
	hypervisor.error = EPERM;
	assert_int_equal(protect(500), -EPERM);
}

static void own_registers(void **state)
{
	uint64_t value;

	(void)state;
	hypervisor.nr = 2;
	hypervisor.result[0] = result(HV_STATUS_TIMEOUT, 0);
	hypervisor.result[1] = result(HV_STATUS_SUCCESS, 1);
	assert_int_equal(mshv_set_own_register(&mshv,
					       HV_REG_VSM_PARTITION_CONFIG, 1),
			 0);
	assert_int_equal(hypervisor.calls, 2);
	hypervisor.nr = 1;
	hypervisor.result[0] = result(HV_STATUS_SUCCESS, 0);
	assert_int_equal(mshv_get_own_register(&mshv, HV_REG_VSM_CAPABILITIES,
					       &value), -EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(all_at_once),
		T(ended_early),
		T(ended_early_without_elements),
		T(never_done),
		T(less_than_asked_for),
		T(refused),
		T(own_registers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
