// SPDX-License-Identifier: MIT
/*
 * Pause and resume, theory of operation
 *
 * A machine that is paused has all VPs standing: their threads are parked, and
 * the guest's time does not go on. Time in both VTLs comes from the TSC
 * (timer.c), so it stands when nobody runs who could read it, and goes on from
 * there when every vCPU's offset is moved by what was missed:
 *
 *	running --pause()--> pausing --the last VP stands--> paused
 *	   ^                    |                              |
 *	   `----- resume() -----+------------------------------'
 *	          time went on        time stood: tsc_start moves
 *
 * The asker sets `paused` and then makes every VP look (VP_REQUEST_LOOK), by the
 * protocol drawn in vp.c: a VP either reads `paused` before it enters, or has
 * passed its last look before the request was published, and then comes out.
 * A VP that goes on subtracts itself from `standing` before that last look, so
 * `standing` is never as high as there are VPs while one of them may run.
 *
 * A VP moves its vCPUs' offsets itself, when it is to run and they are not those
 * of the machine. KVM's APIC timers of a guest without VTL2 may be early by the
 * pause, which a guest takes for a spurious interrupt.
 *
 * Threads: pause and resume are the device thread's, stand() the VP's.
 */
#include <errno.h>
#include <x86intrin.h>

#include "vp.h"

static void raise_to(_Atomic uint64_t *to, uint64_t value)
{
	uint64_t now = atomic_load(to);

	while (now < value &&
	       !atomic_compare_exchange_weak(to, &now, value))
		;
}

void machine_pause(struct machine *m)
{
	atomic_store(&m->paused, true);
	for (unsigned int i = 0; i < m->config.vps; i++)
		vp_request(&m->vps[i], VP_REQUEST_LOOK);
}

bool machine_is_paused(const struct machine *m)
{
	return atomic_load(&m->paused) &&
	       atomic_load(&m->standing) == m->config.vps;
}

void machine_resume(struct machine *m)
{
	uint64_t now = __rdtsc();

	if (machine_is_paused(m)) {
		atomic_fetch_add(&m->tsc_start,
				 now - atomic_load(&m->stood_since));
		/* Who is paused again before it ran did not stand since then. */
		atomic_store(&m->stood_since, now);
	}
	atomic_store(&m->paused, false);
	for (unsigned int i = 0; i < m->config.vps; i++)
		vp_request(&m->vps[i], VP_REQUEST_LOOK);
}

bool pause_stand(struct vp *vp)
{
	struct machine *m = vp->m;

	if (atomic_load(&m->paused)) {
		if (!vp->stands) {
			vp->stands = true;
			raise_to(&m->stood_since, __rdtsc());
			atomic_fetch_add(&m->standing, 1);
		}
		return true;
	}
	if (vp->stands) {
		vp->stands = false;
		atomic_fetch_sub(&m->standing, 1);
	}
	return false;
}

int pause_take_time(struct vp *vp)
{
	uint64_t start = atomic_load(&vp->m->tsc_start);
	int ret = 0;

	if (vp->tsc_start == start)
		return 0;
	for (unsigned int i = 0; !ret && i < 2; i++)
		if (vp->vtl[i].vcpu.run)
			ret = vcpu_set_tsc_offset(&vp->vtl[i].vcpu, -start);
	vp->tsc_start = start;
	return ret;
}

void pause_forget(struct machine *m)
{
	atomic_store(&m->paused, false);
	atomic_store(&m->standing, 0);
}
