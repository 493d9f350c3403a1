/* SPDX-License-Identifier: MIT */
/*
 * Messages and events from VTL2 to VTL0, one object per VP (TLFS,
 * "Inter-Partition Communication").
 */
#ifndef SYNIC_H
#define SYNIC_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hv_reg.h>
#include <pv/reactor.h>

#include "mshv.h"

struct inspect;

#define SYNIC_QUEUE 32u

struct synic_message {
	uint8_t sint;
	struct hv_message message;
};

struct synic {
	struct mshv_vp *hw;
	struct reactor *reactor; /* of the VP */
	/* There is room again after a refusal. The VP's thread. */
	void (*room)(void *opaque);
	void *opaque;

	pthread_mutex_t lock; /* of what follows, up to the calls */
	struct synic_message queue[SYNIC_QUEUE];
	unsigned int queued; /* the oldest first */
	bool refused;	     /* somebody waits for room() */

	struct reactor_call drain;
	struct reactor_timer retry;
	uint16_t wanted; /* SINTs whose free slot we asked to be told of */

	uint64_t messages, deferred, dropped; /* the VP's thread */
	uint64_t actions, signals;
};

/* Everything is zeroed before; `hw`, `reactor`, `room` and `opaque` are
 * the caller's to set. */
void synic_init(struct synic *s);

/*
 * Posts a message of `size` <= 240 bytes to a SINT of this VP, in the order of
 * the calls. 0: it will arrive, unless the guest's SynIC is off; -EAGAIN:
 * queue full, room() follows. Any thread.
 */
int synic_post(struct synic *s, uint8_t sint, uint32_t type,
	       const void *payload, size_t size);

/* Sets an event flag of this VP: on its own thread with its next return to
 * VTL0, else by hypercall. Any thread. */
void synic_signal(struct synic *s, uint8_t sint, uint16_t flag);

/* The hypervisor says that slots of these SINTs are free. VP's thread. */
void synic_deliverable(struct synic *s, uint16_t sints);

/* The guest starts anew: forgets what it has not got. VP's thread. */
void synic_reset(struct synic *s);

void synic_inspect(struct synic *s, struct inspect *out);

#endif
