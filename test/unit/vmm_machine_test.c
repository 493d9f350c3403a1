/* SPDX-License-Identifier: MIT */
/* SOURCES: test/vmm/machine.c */
/*
 * How a machine ends, without KVM: VPs are threads of this file.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "stderr_capture.h"
#include "test/vmm/vp.h"

/* ---- VPs ---- */

static sem_t asked[2];	  /* to stop */
static sem_t let_go;	  /* one that did not stop may now */
static unsigned int deaf; /* a bit for each VP that does not hear */

static void *vp_thread(void *opaque)
{
	struct vp *vp = opaque;

	while (sem_wait(&asked[vp->index]))
		;
	while (deaf & 1u << vp->index && sem_wait(&let_go))
		;
	return NULL;
}

int vp_start_thread(struct vp *vp)
{
	return pthread_create(&vp->thread, NULL, vp_thread, vp);
}

void vp_request(struct vp *vp, uint32_t request)
{
	if (request & VP_REQUEST_STOP)
		sem_post(&asked[vp->index]);
}

/* Time is up for who does not end at once. */
int pthread_timedjoin_np(pthread_t thread, void **result,
			 const struct timespec *until)
{
	(void)until;
	for (unsigned int i = 0; i < 2000; i++) {
		if (!pthread_tryjoin_np(thread, result))
			return 0;
		usleep(1000);
		if (deaf)
			i += 20;
	}
	return ETIMEDOUT;
}

/* What machine.c asks of KVM: nobody calls it here. */

int kvm_open(void)
{
	return -ENODEV;
}

int vm_create(struct vm *vm, int kvm, bool irqchip)
{
	(void)vm;
	(void)kvm;
	(void)irqchip;
	return -ENODEV;
}

void vm_destroy(struct vm *vm)
{
	(void)vm;
}

int vm_add_memory(struct vm *vm, uint64_t gpa, uint64_t size, void *host)
{
	(void)vm;
	(void)gpa;
	(void)size;
	(void)host;
	return -ENODEV;
}

int vm_signal_msi(struct vm *vm, uint64_t address, uint32_t data)
{
	(void)vm;
	(void)address;
	(void)data;
	return -ENODEV;
}

int vm_route_level(struct vm *vm, uint64_t address, uint32_t data)
{
	(void)vm;
	(void)address;
	(void)data;
	return -ENODEV;
}

int vcpu_ioctl(struct vcpu *vcpu, unsigned long request, void *arg,
	       const char *name)
{
	(void)vcpu;
	(void)request;
	(void)arg;
	(void)name;
	return -ENODEV;
}

int vp_create(struct vp *vp, struct machine *m, unsigned int index)
{
	(void)vp;
	(void)m;
	(void)index;
	return -ENODEV;
}

void vp_destroy(struct vp *vp)
{
	(void)vp;
}

int vp_prepare_signals(void)
{
	return 0;
}

bool lapic_nmi_pending(const struct lapic *l)
{
	(void)l;
	return false;
}

void pause_forget(struct machine *m)
{
	(void)m;
}

uint16_t register_set(struct vp *vp, enum vtl vtl, uint32_t name,
		      const struct hv_register_value *value)
{
	(void)vp;
	(void)vtl;
	(void)name;
	(void)value;
	return 1;
}

/* ---- cases ---- */

static struct machine *machine;

static int setup(void **state)
{
	(void)state;
	deaf = 0;
	machine = calloc(1, sizeof(*machine));
	machine->config.vps = 2;
	machine->vps = calloc(2, sizeof(machine->vps[0]));
	atomic_store(&machine->status, -1);
	sem_init(&let_go, 0, 0);
	for (unsigned int i = 0; i < 2; i++) {
		sem_init(&asked[i], 0, 0);
		machine->vps[i].index = i;
		machine->vps[i].m = machine;
	}
	capture_stderr();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	captured_stderr();
	free(machine->vps);
	free(machine);
	return 0;
}

static void *stop_thread(void *status)
{
	machine_stop(machine, *(int *)status, "%s", "for a reason");
	return NULL;
}

static enum vmm_status run_and_stop(int status)
{
	enum vmm_status ended;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, stop_thread, &status), 0);
	ended = machine_run(machine);
	pthread_join(thread, NULL);
	return ended;
}

static void ends_with_its_vps(void **state)
{
	(void)state;
	assert_int_equal(run_and_stop(VMM_GUEST_CRASHED), VMM_GUEST_CRASHED);
	assert_false(machine_left(machine));
}

/* A VP that does not stop is left: who called ends the process, after it has
 * written what it owes. No start follows. */
static void leaves_a_vp_that_does_not_stop(void **state)
{
	static const int statuses[][2] = {
		{ VMM_VP_STUCK, VMM_VP_STUCK },
		{ VMM_RESET, VMM_HOST_CANNOT },
	};

	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		deaf = 2;
		atomic_store(&machine->status, -1);
		assert_int_equal(run_and_stop(statuses[i][0]), statuses[i][1]);
		assert_true(machine_left(machine));
		assert_non_null(strstr(captured_stderr(), "VP 1"));
		capture_stderr();
		sem_post(&let_go);
		pthread_join(machine->vps[1].thread, NULL);
	}
}

/* All of a line that a paravisor of ours gives as the reason. */
static void says_why(void **state)
{
	char why[256];

	(void)state;
	memset(why, 'w', sizeof(why) - 1);
	why[sizeof(why) - 1] = '\0';
	machine_stop(machine, VMM_BAD_INPUT, "VTL2 could not start VTL0: %s",
		     why);
	assert_non_null(strstr(captured_stderr(), why));
	capture_stderr();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(ends_with_its_vps, setup,
						teardown),
		cmocka_unit_test_setup_teardown(leaves_a_vp_that_does_not_stop,
						setup, teardown),
		cmocka_unit_test_setup_teardown(says_why, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
