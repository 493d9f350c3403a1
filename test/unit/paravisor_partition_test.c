/* SPDX-License-Identifier: MIT */
/* SOURCES: paravisor/partition.c paravisor/msr.c paravisor/trace.c paravisor/guest_memory.c paravisor/inspect.c paravisor/log.c */
/* What VTL2 tells the hypervisor when it starts, on hosts that can do all of it
 * and on hosts that cannot. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "paravisor/blackbox.h"
#include "paravisor/partition.h"
#include "paravisor/reactor.h"
#include "stderr_capture.h"

#define MIB (1ull << 20)

static struct partition partition;

/* ---- the hypervisor ---- */

static struct {
	uint64_t capabilities, config;
	uint64_t hidden; /* the next page, in the order of VTL2's RAM */
	uint64_t fails_at; /* calls that protect pages, until one is refused */
	unsigned int protects, intercepts;
	int closed;
} hypervisor;

int mshv_open(struct mshv *m)
{
	(void)m;
	return 0;
}

void mshv_close(struct mshv *m)
{
	(void)m;
	hypervisor.closed++;
}

int mshv_add_memory(struct mshv *m, uint64_t gpa, uint64_t size)
{
	(void)m;
	assert_int_equal(gpa % (2 * MIB), 0);
	assert_int_equal(size % (2 * MIB), 0);
	return 0;
}

void *mshv_map(struct mshv *m, void *va, uint64_t gpa, uint64_t size)
{
	(void)m;
	(void)gpa;
	return mmap(va, size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

int mshv_get_own_register(struct mshv *m, uint32_t name, uint64_t *value)
{
	(void)m;
	assert_int_equal(name, HV_REG_VSM_CAPABILITIES);
	*value = hypervisor.capabilities;
	return 0;
}

int mshv_set_own_register(struct mshv *m, uint32_t name, uint64_t value)
{
	(void)m;
	assert_int_equal(name, HV_REG_VSM_PARTITION_CONFIG);
	hypervisor.config = value;
	return 0;
}

static int protect(uint16_t reps, const void *in, size_t size,
		   uint16_t *status)
{
	const struct hv_input_modify_protection *header = in;
	const le64 *page = (const le64 *)(header + 1);

	assert_int_equal(size, sizeof(*header) + reps * sizeof(*page));
	assert_int_equal(le32_to_cpu(header->map_flags), 0);
	assert_int_equal(header->target_vtl, HV_INPUT_VTL_USE_TARGET);
	if (hypervisor.protects++ == hypervisor.fails_at) {
		*status = HV_STATUS_ACCESS_DENIED;
		return 0;
	}
	for (unsigned int i = 0; i < reps; i++)
		assert_true(le64_to_cpu(page[i]) == hypervisor.hidden++);
	return 0;
}

int mshv_hypercall(struct mshv *m, uint16_t code, uint16_t reps,
		   const void *in, size_t in_size, void *out, size_t out_size,
		   uint16_t *status)
{
	(void)m;
	(void)out;
	assert_int_equal(out_size, 0);
	*status = HV_STATUS_SUCCESS;
	if (code == HV_CALL_MODIFY_VTL_PROTECTION_MASK)
		return protect(reps, in, in_size, status);
	assert_int_equal(code, HV_CALL_INSTALL_INTERCEPT);
	hypervisor.intercepts++;
	return 0;
}

/* ---- what only a running VTL0 needs ---- */

const struct trace_names vp_exit_names;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#define NOT_CALLED(type, name, ...)                                        \
	type name(__VA_ARGS__)                                             \
	{                                                                  \
		abort();                                                   \
	}
NOT_CALLED(void *, vp_thread, void *arg)
NOT_CALLED(int, vp_reset, struct vp *vp, bool first)
NOT_CALLED(void, vp_publish, struct vp *vp)
NOT_CALLED(void, sample_init, struct sample *s, struct vp *vp)
NOT_CALLED(void, synic_init, struct synic *s)
NOT_CALLED(void, blackbox_names, const char *const *name, unsigned int nr)
NOT_CALLED(void *, blackbox_exits, unsigned int vp)
NOT_CALLED(struct reactor *, reactor_create, unsigned int vp)
NOT_CALLED(void, reactor_wake, struct reactor *r)
NOT_CALLED(void, reactor_post, struct reactor *r, struct reactor_call *call)
NOT_CALLED(void, reactor_run, struct reactor *r, void (*fn)(void *arg),
	   void *arg)
#pragma GCC diagnostic pop

/* ---- the tests ---- */

static int open_partition(uint64_t capabilities)
{
	static const struct dt_range ram = { 0, 64 * MIB };
	static const struct dt_range vtl2 = { 64 * MIB, 4 * MIB };

	memset(&partition, 0, sizeof(partition));
	hypervisor.capabilities = capabilities;
	hypervisor.hidden = vtl2.gpa >> HV_PAGE_SHIFT;
	return partition_open(&partition, &ram, 1, &vtl2);
}

static int setup(void **state)
{
	(void)state;
	memset(&hypervisor, 0, sizeof(hypervisor));
	hypervisor.fails_at = UINT64_MAX;
	capture_stderr();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	captured_stderr();
	return 0;
}

/* A host may refuse what it does not say that it can do. */
static void configuration(void **state)
{
	static const struct {
		uint64_t capability, config;
	} optional[] = {
		{ 1ull << 27, 1ull << 12 }, /* intercept page */
		{ 1ull << 30, 1ull << 14 }, /* not present */
		{ 1ull << 32, 1ull << 15 }, /* system reset */
	};
	const uint64_t always = 0xc3f;

	(void)state;
	assert_int_equal(open_partition(0), 0);
	assert_true(hypervisor.config == always);
	for (size_t i = 0; i < sizeof(optional) / sizeof(optional[0]); i++) {
		assert_int_equal(open_partition(optional[i].capability), 0);
		assert_true(hypervisor.config ==
			    (always | optional[i].config));
	}
	assert_int_equal(open_partition(UINT64_MAX), 0);
	assert_true(hypervisor.config == (always | 0xd000));
	assert_int_equal(hypervisor.closed, 0);
}

static void all_of_vtl2_is_hidden(void **state)
{
	(void)state;
	assert_int_equal(open_partition(UINT64_MAX), 0);
	assert_true(hypervisor.hidden == 68 * MIB >> HV_PAGE_SHIFT);
	assert_int_equal(hypervisor.protects, 3);
	assert_int_equal(hypervisor.intercepts, 4);
}

static void not_hidden_is_not_started(void **state)
{
	(void)state;
	hypervisor.fails_at = 2;
	assert_int_equal(open_partition(UINT64_MAX), -EIO);
	assert_int_equal(hypervisor.intercepts, 0);
	assert_int_equal(hypervisor.closed, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(configuration),
		T(all_of_vtl2_is_hidden),
		T(not_hidden_is_not_started),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
