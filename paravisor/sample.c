// SPDX-License-Identifier: MIT
/*
 * Samples of a VP, theory of operation
 *
 *	who asks                 the VP's thread
 *	posts a call ----------> poll file: VTL0 is left
 *	waits                    reactor_pass(): the call reads RIP and activity
 *	   <-------------------- answered; VTL0 goes on
 *
 * VTL0 is left as for any work, so what is read is where it would go on: the
 * instruction that was next, or the one behind HLT. A VP that does not come
 * back in time is answered for by who asked. The call stays posted then; when
 * it runs at last, its answer is for whatever was asked by that time.
 *
 * Threads: any number may ask. Nothing is held while the VP is in VTL0.
 */
#include <errno.h>
#include <time.h>

#include <pv/inspect.h>

#include "partition.h"
#include "sample.h"
#include "vp.h"

static enum sample_state look(struct vp *vp, uint64_t *rip)
{
	struct vp_register activity = { .name = HV_REG_INTERNAL_ACTIVITY };

	*rip = 0;
	if (!partition_running(vp->partition))
		return SAMPLE_STOPPED;
	if (mshv_vp_get_register(&vp->hw, &activity) ||
	    mshv_vp_get_rip(&vp->hw, rip))
		return SAMPLE_FAILED;
	if (activity.low & HV_ACTIVITY_STARTUP_SUSPEND)
		return SAMPLE_WAITING;
	return activity.low & HV_ACTIVITY_HALT_SUSPEND ? SAMPLE_HALTED :
							 SAMPLE_RUNNING;
}

static void answer(struct reactor_call *call)
{
	struct sample *s = (struct sample *)((char *)call -
					     offsetof(struct sample, call));
	uint64_t rip, tsc = __builtin_ia32_rdtsc();
	enum sample_state state = look(s->vp, &rip);

	pthread_mutex_lock(&s->lock);
	s->state = state;
	s->rip = rip;
	s->tsc = tsc;
	s->answered = s->asked;
	pthread_cond_broadcast(&s->answered_changed);
	pthread_mutex_unlock(&s->lock);
}

void sample_init(struct sample *s, struct vp *vp)
{
	pthread_condattr_t attributes;

	*s = (struct sample){ .vp = vp, .call.fn = answer };
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&s->answered_changed, &attributes);
	pthread_condattr_destroy(&attributes);
}

static struct timespec deadline(void)
{
	struct timespec t;
	uint64_t ns;

	clock_gettime(CLOCK_MONOTONIC, &t);
	ns = (uint64_t)t.tv_nsec + SAMPLE_DEADLINE_NS;
	t.tv_sec += (time_t)(ns / 1000000000);
	t.tv_nsec = (long)(ns % 1000000000);
	return t;
}

void sample_take(struct sample *s)
{
	struct timespec until = deadline();
	uint64_t number;
	int ret = 0;

	pthread_mutex_lock(&s->lock);
	number = ++s->asked;
	pthread_mutex_unlock(&s->lock);
	reactor_post(s->vp->reactor, &s->call);
	pthread_mutex_lock(&s->lock);
	while (s->answered < number && ret != ETIMEDOUT)
		ret = pthread_cond_timedwait(&s->answered_changed, &s->lock,
					     &until);
	if (s->answered < number) {
		s->answered = number;
		s->state = SAMPLE_STUCK;
		s->rip = 0;
		s->tsc = __builtin_ia32_rdtsc();
	}
	pthread_mutex_unlock(&s->lock);
}

void sample_inspect(struct sample *s, struct inspect *out)
{
	static const char *const name[] = { "none", "running", "halted",
					    "waiting", "stopped", "stuck",
					    "failed" };
	enum sample_state state;
	uint64_t number, rip, tsc;

	pthread_mutex_lock(&s->lock);
	number = s->answered;
	state = s->state;
	rip = s->rip;
	tsc = s->tsc;
	pthread_mutex_unlock(&s->lock);
	inspect_u64(out, "number", number);
	inspect_text(out, "state", name[state]);
	inspect_hex(out, "rip", rip);
	inspect_u64(out, "tsc", tsc);
}
