/* SPDX-License-Identifier: MIT */
/* SOURCES: paravisor/vp.c paravisor/trace.c paravisor/inspect.c paravisor/log.c */
/* A reset of a VP in place: what is undone of VTL0's, and in what order. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "paravisor/intercept.h"
#include "paravisor/partition.h"
#include "paravisor/reactor.h"
#include "paravisor/vp.h"
#include "stderr_capture.h"

#define MAX_CALLS 64
#define BASE 0xfee00800ull /* enabled, xAPIC */
#define BSP 0x100u

static struct mshv mshv;
static struct mshv_run run;
static struct vp vp;

/* ---- the hypervisor ---- */

enum what { GET, SET, INIT };

static struct {
	uint64_t apic_base;
	uint32_t refused; /* this register */
	bool init_refused;
	unsigned int synic_resets, cleans;
	struct call {
		enum what what;
		uint32_t name;
		uint64_t value;
	} call[MAX_CALLS];
	unsigned int calls;
} hypervisor;

static void called(enum what what, uint32_t name, uint64_t value)
{
	assert_true(hypervisor.calls < MAX_CALLS);
	hypervisor.call[hypervisor.calls++] = (struct call){ what, name,
							     value };
}

int mshv_vp_get_register(struct mshv_vp *hw, struct vp_register *reg)
{
	assert_ptr_equal(hw, &vp.hw);
	called(GET, reg->name, 0);
	assert_int_equal(reg->name, HV_REG_APIC_BASE);
	if (hypervisor.refused == reg->name)
		return -EIO;
	reg->low = hypervisor.apic_base;
	return 0;
}

int mshv_vp_set_register(struct mshv_vp *hw, const struct vp_register *reg)
{
	assert_ptr_equal(hw, &vp.hw);
	called(SET, reg->name, reg->low);
	if (hypervisor.refused == reg->name)
		return -EIO;
	if (reg->name == HV_REG_APIC_BASE)
		hypervisor.apic_base = reg->low;
	return 0;
}

int mshv_hypercall(struct mshv *m, uint16_t code, uint16_t reps,
		   const void *in, size_t in_size, void *out, size_t out_size,
		   uint16_t *status)
{
	const struct hv_input_assert_interrupt *assert = in;

	(void)out;
	assert_ptr_equal(m, &mshv);
	assert_int_equal(code, HV_CALL_ASSERT_VIRTUAL_INTERRUPT);
	assert_int_equal(reps, 0);
	assert_int_equal(in_size, sizeof(*assert));
	assert_int_equal(out_size, 0);
	assert_int_equal(le32_to_cpu(assert->type), HV_INTERRUPT_INIT);
	assert_int_equal(le64_to_cpu(assert->destination), vp.apic_id);
	/* A local APIC that is off takes none. */
	*status = hypervisor.init_refused ? HV_STATUS_INVALID_PARAMETER : 0;
	called(INIT, 0, hypervisor.apic_base);
	return 0;
}

void mshv_vp_clean_page(struct mshv_vp *hw)
{
	assert_ptr_equal(hw, &vp.hw);
	hypervisor.cleans++;
}

void synic_reset(struct synic *s)
{
	assert_ptr_equal(s, &vp.synic);
	hypervisor.synic_resets++;
}

/* ---- what only a running VP needs ---- */

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#define NOT_CALLED(type, name, ...)                                        \
	type name(__VA_ARGS__)                                             \
	{                                                                  \
		abort();                                                   \
	}
NOT_CALLED(int, mshv_vp_open, struct mshv *m, unsigned int cpu,
	   struct mshv_vp *hw)
NOT_CALLED(int, mshv_vp_set_poll_file, struct mshv_vp *hw, int fd)
NOT_CALLED(void, mshv_vp_arm, struct mshv_vp *hw)
NOT_CALLED(int, mshv_vp_run, struct mshv_vp *hw)
NOT_CALLED(int, mshv_vp_set_rip, struct mshv_vp *hw, uint64_t rip)
NOT_CALLED(int, mshv_vp_get_rsp, struct mshv_vp *hw, uint64_t *rsp)
NOT_CALLED(int, mshv_vp_set_rsp, struct mshv_vp *hw, uint64_t rsp)
NOT_CALLED(int, mshv_vp_set_rflags, struct mshv_vp *hw, uint64_t rflags)
NOT_CALLED(int, mshv_vp_get_segment_base, struct mshv_vp *hw, unsigned int n,
	   uint64_t *base)
NOT_CALLED(void, intercept_dispatch, struct vp *v)
NOT_CALLED(bool, partition_running, const struct partition *p)
NOT_CALLED(void, partition_park, struct vp *v)
NOT_CALLED(void, partition_vp_up, struct vp *v, int error)
NOT_CALLED(void, partition_end, struct partition *p, enum partition_end end,
	   const struct vp *v)
NOT_CALLED(int, reactor_open, struct reactor *r,
	   const struct guest_memory *gm, struct reactor *first)
NOT_CALLED(void, reactor_close, struct reactor *r)
NOT_CALLED(int, reactor_poll_fd, const struct reactor *r)
NOT_CALLED(bool, reactor_pass, struct reactor *r)
NOT_CALLED(void, reactor_wait, struct reactor *r, uint64_t deadline)
NOT_CALLED(bool, reactor_stopping, const struct reactor *r)
NOT_CALLED(const struct reactor_counters *, reactor_counters,
	   const struct reactor *r)
NOT_CALLED(void, reactor_describe, void *r, struct inspect *out)
NOT_CALLED(void, hypercall_inspect, const struct hypercall_counters *c,
	   struct inspect *out)
NOT_CALLED(void, synic_inspect, struct synic *s, struct inspect *out)
NOT_CALLED(void, sample_take, struct sample *s)
NOT_CALLED(void, sample_inspect, struct sample *s, struct inspect *out)
#pragma GCC diagnostic pop

/* ---- the tests ---- */

static int setup(void **state)
{
	(void)state;
	memset(&hypervisor, 0, sizeof(hypervisor));
	hypervisor.apic_base = BASE | BSP;
	vp = (struct vp){
		.apic_id = 6,
		.hw = { .mshv = &mshv, .run = &run },
	};
	capture_stderr();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	captured_stderr();
	return 0;
}

/* The place of the only such call; MAX_CALLS: there is none. */
static unsigned int place(enum what what, uint32_t name)
{
	unsigned int found = MAX_CALLS;

	for (unsigned int i = 0; i < hypervisor.calls; i++) {
		if (hypervisor.call[i].what != what ||
		    hypervisor.call[i].name != name)
			continue;
		assert_int_equal(found, MAX_CALLS);
		found = i;
	}
	return found;
}

/* VTL0 has not run: there is nothing to undo. */
static void first_time(void **state)
{
	(void)state;
	assert_int_equal(vp_reset(&vp, true), 0);
	assert_int_equal(place(INIT, 0), MAX_CALLS);
	for (unsigned int i = 0; i < hypervisor.calls; i++)
		assert_int_equal(hypervisor.call[i].what, GET);
	assert_int_equal(hypervisor.synic_resets, 0);
	assert_int_equal(hypervisor.cleans, 1);
	vp.index = 1;
	assert_int_equal(vp_reset(&vp, true), 0);
	assert_true(place(SET, HV_REG_INTERNAL_ACTIVITY) < MAX_CALLS);
}

static void all_is_undone(void **state)
{
	unsigned int init;

	(void)state;
	assert_int_equal(vp_reset(&vp, true), 0);
	hypervisor.calls = 0;
	assert_int_equal(vp_reset(&vp, false), 0);
	init = place(INIT, 0);
	assert_true(init < MAX_CALLS);
	assert_int_equal(hypervisor.synic_resets, 1);
	for (uint32_t i = 0; i < HV_SINT_COUNT; i++)
		assert_true(place(SET, HV_REG_SINT0 + i) > init);
	assert_true(place(SET, HV_REG_GUEST_OS_ID) > init);
	assert_int_equal(place(SET, HV_REG_INTERNAL_ACTIVITY), MAX_CALLS);
}

/*
 * INIT leaves IA32_APIC_BASE as it is, and a local APIC that VTL0 switched off
 * takes none: first the register, then INIT.
 */
static void apic_base_comes_back(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		uint64_t was = BASE | (i ? 0 : BSP);
		unsigned int set, init;

		vp.index = i;
		hypervisor.apic_base = was;
		assert_int_equal(vp_reset(&vp, true), 0);
		for (unsigned int n = 0; n < 3; n++) {
			hypervisor.apic_base = n * 0xa0000000ull;
			hypervisor.calls = 0;
			assert_int_equal(vp_reset(&vp, false), 0);
			set = place(SET, HV_REG_APIC_BASE);
			init = place(INIT, 0);
			assert_true(set < init && init < MAX_CALLS);
			assert_true(hypervisor.call[init].value == was);
		}
	}
}

/* A host that keeps the register to itself: all else is reset. */
static void apic_base_is_refused(void **state)
{
	(void)state;
	hypervisor.refused = HV_REG_APIC_BASE;
	assert_int_equal(vp_reset(&vp, true), 0);
	hypervisor.refused = 0;
	hypervisor.calls = 0;
	assert_int_equal(vp_reset(&vp, false), 0);
	assert_int_equal(place(SET, HV_REG_APIC_BASE), MAX_CALLS);
	assert_true(place(INIT, 0) < MAX_CALLS);

	assert_int_equal(vp_reset(&vp, true), 0);
	hypervisor.refused = HV_REG_APIC_BASE;
	hypervisor.calls = 0;
	assert_int_equal(vp_reset(&vp, false), 0);
	assert_true(place(SET, HV_REG_APIC_BASE) < place(INIT, 0));
	assert_true(place(SET, HV_REG_SIMP) < MAX_CALLS);
}

static void failures(void **state)
{
	(void)state;
	hypervisor.init_refused = true;
	assert_int_equal(vp_reset(&vp, false), -EIO);
	hypervisor.init_refused = false;
	hypervisor.refused = HV_REG_SIMP;
	assert_int_equal(vp_reset(&vp, false), -EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(first_time),
		T(all_is_undone),
		T(apic_base_comes_back),
		T(apic_base_is_refused),
		T(failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
