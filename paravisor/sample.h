/* SPDX-License-Identifier: MIT */
/*
 * Samples of a VP: is VTL0 executing there, and where? Each one is asked for,
 * and makes the VP leave VTL0 once.
 */
#ifndef SAMPLE_H
#define SAMPLE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <pv/reactor.h>

struct inspect;
struct vp;

/* How long a VP may take to leave VTL0 and say where it was. */
#define SAMPLE_DEADLINE_NS 1000000000ull

enum sample_state {
	SAMPLE_NONE,	/* nobody asked */
	SAMPLE_RUNNING, /* VTL0 executes, at `rip` */
	SAMPLE_HALTED,	/* waits for an interrupt; the HLT is before `rip` */
	SAMPLE_WAITING, /* an application processor that was not started */
	SAMPLE_STOPPED, /* VTL0 does not run: start, reset, end */
	SAMPLE_STUCK,	/* no answer in time: the VP's thread is somewhere in
			 * VTL2, and the newest exit of its trace says why */
	SAMPLE_FAILED,	/* the hypervisor refused a register */
};

struct sample {
	struct vp *vp;
	struct reactor_call call;
	pthread_mutex_t lock; /* of the rest */
	pthread_cond_t answered_changed;
	uint64_t asked, answered; /* numbers of samples */
	enum sample_state state;
	uint64_t rip, tsc;
};

/* The VP's reactor exists. */
void sample_init(struct sample *s, struct vp *vp);

/* Takes one: waits for it, SAMPLE_DEADLINE_NS at most. Any thread but a
 * reactor's. */
void sample_take(struct sample *s);

/* The last one. Any thread. */
void sample_inspect(struct sample *s, struct inspect *out);

#endif
