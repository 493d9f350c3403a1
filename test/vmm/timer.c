// SPDX-License-Identifier: MIT
/*
 * Time: reference time, its page, and the synthetic timers (TLFS, "Timers").
 *
 * Reference time is the guest's TSC scaled to 100 ns, by the very formula that
 * a guest applies to the reference TSC page: what MSR, page and timers say is
 * one clock. The TSC of every vCPU starts at 0 when the machine is made.
 *
 * Each VP and VTL has four timers. All state is the VP thread's; there is no
 * timer thread and no lock:
 *
 *	written by MSR ---> due ---> vp.c asks timer_expire() before each
 *	                             entry: fires what is due, gives the next
 *	                             deadline ---> timer_arm()
 *
 * timer_arm() sets a POSIX timer whose signal goes to this very thread, so it
 * ends KVM_RUN whichever VTL runs; a parked VP has the deadline as its futex
 * time-out instead. A timer armed too early costs one empty exit and is not
 * moved to a later time for that. The signal is not the one of vp_kick(): of
 * one signal pending twice the second is dropped, and with it the knowledge
 * that the timer has to be armed anew.
 *
 * Slack. Each timer that expires while VTL0 runs ends KVM_RUN, and one of VTL2
 * takes the VP out of VTL0. Where the emulated processor is so slow that the
 * ticks of the kernels would fill it, as in the nested lab, such a timer may be
 * late by timer_slack_ms of its VTL, 0 elsewhere; what ends KVM_RUN before
 * brings it along. Timers of VTL2 while VTL2 runs are never late on purpose.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "vp.h"

#define RETRY_FULL_QUEUE (HV_REF_TIME_HZ / 1000)

uint64_t reference_time(const struct machine *m)
{
	uint64_t tsc = __rdtsc() - atomic_load(&m->tsc_start);

	return (uint64_t)((unsigned __int128)tsc * m->tsc_scale >> 64);
}

void timer_write_page(const struct machine *m, void *page)
{
	struct hv_reference_tsc_page p = {
		.sequence = cpu_to_le32(1),
		.scale = cpu_to_le64(m->tsc_scale),
	};

	memset(page, 0, HV_PAGE_SIZE);
	memcpy(page, &p, sizeof(p));
}

struct timespec timer_to_clock(const struct machine *m, uint64_t ref_time)
{
	uint64_t now = reference_time(m);
	uint64_t ns = ref_time > now ? (ref_time - now) * 100 : 0;
	struct timespec t;

	/* A guest may ask for the end of time: a day will do, then again. */
	if (ns > 86400ull * 1000000000)
		ns = 86400ull * 1000000000;
	clock_gettime(CLOCK_MONOTONIC, &t);
	ns += (uint64_t)t.tv_nsec;
	t.tv_sec += (time_t)(ns / 1000000000);
	t.tv_nsec = (long)(ns % 1000000000);
	return t;
}

int timer_create_vp(struct vp *vp)
{
	struct sigevent event = {
		.sigev_notify = SIGEV_THREAD_ID,
		.sigev_signo = VP_SIGNAL_TIMER,
	};

	event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
	if (timer_create(CLOCK_MONOTONIC, &event, &vp->timer) < 0) {
		fprintf(stderr, "vmm: timer_create: %s\n", strerror(errno));
		return -errno;
	}
	return 0;
}

/* By how much timers of this VTL may be late now. */
static uint64_t slack(const struct vp *vp, enum vtl vtl)
{
	const unsigned int *ms = vp->m->config.timer_slack_ms;

	return vp->active == VTL0 ?
		       ms[vtl_index(vtl)] * (HV_REF_TIME_HZ / 1000) : 0;
}

void timer_arm(struct vp *vp, uint64_t deadline)
{
	struct itimerspec when = { .it_interval = { 0 } };

	uint64_t armed = atomic_load(&vp->timer_armed);

	if (!deadline || (armed && armed <= deadline &&
			  deadline - armed <= slack(vp, VTL2) / 4))
		return;
	when.it_value = timer_to_clock(vp->m, deadline);
	atomic_store(&vp->timer_armed, deadline);
	timer_settime(vp->timer, TIMER_ABSTIME, &when, NULL);
}

static void start(struct vp_vtl *vv, struct stimer *t)
{
	uint64_t now = reference_time(vv->vp->m);

	t->due = 0;
	if (!(t->config & HV_STIMER_ENABLE) || !t->count)
		return;
	if (t->config & HV_STIMER_PERIODIC)
		t->due = now + t->count < now ? UINT64_MAX : now + t->count;
	else
		t->due = t->count;
}

void stimer_reset(struct vp_vtl *vv)
{
	memset(vv->stimers, 0, sizeof(vv->stimers));
}

void stimer_write_config(struct vp_vtl *vv, unsigned int n, uint64_t value)
{
	struct stimer *t = &vv->stimers[n];

	t->config = value & HV_STIMER_VALID;
	/* A message needs a SINT other than 0. */
	if (!(value & HV_STIMER_DIRECT) &&
	    !(value >> HV_STIMER_SINT_SHIFT & HV_STIMER_SINT_MASK))
		t->config &= ~HV_STIMER_ENABLE;
	start(vv, t);
}

void stimer_write_count(struct vp_vtl *vv, unsigned int n, uint64_t value)
{
	struct stimer *t = &vv->stimers[n];

	t->count = value;
	if (!value)
		t->config &= ~HV_STIMER_ENABLE;
	else if (t->config & HV_STIMER_AUTO_ENABLE)
		t->config |= HV_STIMER_ENABLE;
	start(vv, t);
}

/* False if the message found no place and the timer has to come again. */
static bool signal_expiration(struct vp_vtl *vv, unsigned int n, uint64_t now)
{
	struct stimer *t = &vv->stimers[n];
	struct hv_timer_message message = {
		.index = cpu_to_le32(n),
		.expiration_time = cpu_to_le64(t->due),
		.delivery_time = cpu_to_le64(now),
	};
	struct vp *vp = vv->vp;

	COUNT(vp->count.stimers);
	if (t->config & HV_STIMER_DIRECT) {
		vp_interrupt(vp->m, vv->vtl, vp->index,
			     (uint8_t)(t->config >> HV_STIMER_VECTOR_SHIFT));
		return true;
	}
	return synic_post(vp->m, vv->vtl, vp->index,
			  t->config >> HV_STIMER_SINT_SHIFT &
				  HV_STIMER_SINT_MASK,
			  HV_MESSAGE_TIMER_EXPIRED, &message,
			  sizeof(message)) == 0;
}

static void fire(struct vp_vtl *vv, unsigned int n, uint64_t now)
{
	struct stimer *t = &vv->stimers[n];

	if (!signal_expiration(vv, n, now)) {
		t->due = now + RETRY_FULL_QUEUE;
		return;
	}
	if (!(t->config & HV_STIMER_PERIODIC)) {
		t->config &= ~HV_STIMER_ENABLE;
		t->due = 0;
		return;
	}
	/* Missed periods are one expiration; the phase is kept. */
	t->due += t->count;
	if (t->due <= now)
		t->due = now + t->count - (now - t->due) % t->count;
}

bool timer_is_all(const struct vp *vp)
{
	int vector = lapic_only(&vp->lapic);

	if (vector < 0 || lapic_nmi_pending(&vp->lapic))
		return false;
	for (unsigned int n = 0; n < HV_STIMER_COUNT; n++) {
		const struct stimer *t = &vp->vtl[vtl_index(VTL2)].stimers[n];

		if (t->config & HV_STIMER_DIRECT &&
		    (int)(t->config >> HV_STIMER_VECTOR_SHIFT & 0xff) == vector)
			return true;
	}
	return false;
}

static uint64_t at_latest(const struct stimer *t, uint64_t late)
{
	return t->due > UINT64_MAX - late ? UINT64_MAX : t->due + late;
}

uint64_t timer_expire(struct vp *vp)
{
	uint64_t now = reference_time(vp->m);
	uint64_t next = lapic_timer(&vp->lapic, now);

	for (unsigned int i = 0; i < 2; i++) {
		uint64_t late = slack(vp, vp->vtl[i].vtl);

		for (unsigned int n = 0; n < HV_STIMER_COUNT; n++) {
			struct stimer *t = &vp->vtl[i].stimers[n];

			if (t->due && at_latest(t, late) <= now)
				fire(&vp->vtl[i], n, now);
			if (t->due && (!next || at_latest(t, late) < next))
				next = at_latest(t, late);
		}
	}
	return next;
}
