// SPDX-License-Identifier: MIT
/*
 * Messages and events from VTL2 to VTL0.
 *
 * A SINT has one message slot. While the guest has not emptied it, a message
 * waits here:
 *
 *	post --> queue --drain--> HvCallPostMessageDirect
 *	           ^                 | ok: gone
 *	           |                 | slot busy: stays; DeliverabilityNotifications
 *	           `-----------------'   asks for a SintDeliverable intercept
 *	                             | SynIC off, SINT masked: dropped, counted
 *
 * Messages of one SINT keep their order; a busy SINT does not hold up others.
 * Should the hypervisor never tell, a timer looks again.
 *
 * An event flag cannot be busy. On the VP's own thread it is a VTL return
 * action, which costs nothing; elsewhere, or when 16 are waiting already, it is
 * a hypercall. Both do nothing while the guest's SynIC is off, as on hardware.
 *
 * Threads: the queue is filled by any, emptied by the VP's.
 */
#include <errno.h>
#include <string.h>

#include <pv/inspect.h>
#include <pv/log.h>

#include "synic.h"

LOG_MODULE("synic");

#define RETRY_NS 20000000ull

static struct synic *from_drain(struct reactor_call *call)
{
	return (struct synic *)((char *)call - offsetof(struct synic, drain));
}

static struct synic *from_retry(struct reactor_timer *timer)
{
	return (struct synic *)((char *)timer -
				offsetof(struct synic, retry));
}

/* True when the message need not be kept. */
static bool post_direct(struct synic *s, const struct synic_message *m)
{
	struct hv_input_post_message_direct in = {
		.partition_id = cpu_to_le64(HV_PARTITION_SELF),
		.vp_index = cpu_to_le32(s->hw->cpu),
		.sint = m->sint,
		.message = m->message,
	};
	uint16_t status;
	int ret = mshv_hypercall(s->hw->mshv, HV_CALL_POST_MESSAGE_DIRECT, 0,
				 &in, sizeof(in), NULL, 0, &status);

	if (ret) {
		log_err("VP %u: post: %s", s->hw->cpu, strerror(-ret));
		s->dropped++;
		return true;
	}
	switch (status) {
	case HV_STATUS_SUCCESS:
		s->messages++;
		return true;
	case HV_STATUS_OBJECT_IN_USE:
	case HV_STATUS_INSUFFICIENT_BUFFERS:
		s->deferred++;
		return false;
	default:
		log_warn_limited("VP %u: message to SINT %u dropped: status %#x",
				 s->hw->cpu, m->sint, status);
		s->dropped++;
		return true;
	}
}

static void ask_deliverable(struct synic *s, uint16_t busy)
{
	struct vp_register reg = {
		.name = HV_REG_DELIVERABILITY,
		.low = (uint64_t)busy << HV_DELIVERABILITY_SINTS_SHIFT,
	};

	if (busy)
		reactor_timer_arm(s->reactor, &s->retry,
				  reactor_now() + RETRY_NS);
	else
		reactor_timer_cancel(s->reactor, &s->retry);
	if (s->wanted == busy)
		return;
	s->wanted = busy;
	/* A hypervisor without it leaves us the timer. */
	if (mshv_vp_set_register(s->hw, &reg))
		log_warn_limited("VP %u: no deliverability notification",
				 s->hw->cpu);
}

static void drain(struct synic *s)
{
	unsigned int kept = 0;
	uint16_t busy = 0;
	bool room;

	pthread_mutex_lock(&s->lock);
	for (unsigned int i = 0; i < s->queued; i++) {
		uint16_t bit = (uint16_t)(1u << s->queue[i].sint);

		if (!(busy & bit) && post_direct(s, &s->queue[i]))
			continue;
		busy |= bit;
		if (kept != i)
			s->queue[kept] = s->queue[i];
		kept++;
	}
	s->queued = kept;
	room = s->refused && kept < SYNIC_QUEUE;
	if (room)
		s->refused = false;
	pthread_mutex_unlock(&s->lock);
	ask_deliverable(s, busy);
	if (room)
		s->room(s->opaque);
}

static void drain_call(struct reactor_call *call)
{
	drain(from_drain(call));
}

static void retry_timer(struct reactor_timer *timer)
{
	drain(from_retry(timer));
}

void synic_init(struct synic *s)
{
	pthread_mutex_init(&s->lock, NULL);
	s->drain.fn = drain_call;
	s->retry.fn = retry_timer;
}

int synic_post(struct synic *s, uint8_t sint, uint32_t type,
	       const void *payload, size_t size)
{
	struct synic_message *m;

	pv_bug(size > HV_MESSAGE_PAYLOAD_SIZE || sint >= HV_SINT_COUNT, size,
	       sint);
	pthread_mutex_lock(&s->lock);
	if (s->queued == SYNIC_QUEUE) {
		s->refused = true;
		pthread_mutex_unlock(&s->lock);
		return -EAGAIN;
	}
	m = &s->queue[s->queued++];
	memset(m, 0, sizeof(*m));
	m->sint = sint;
	m->message.header.type = cpu_to_le32(type);
	m->message.header.payload_size = (uint8_t)size;
	memcpy(m->message.payload, payload, size);
	pthread_mutex_unlock(&s->lock);
	if (reactor_is_current(s->reactor))
		drain(s);
	else
		reactor_post(s->reactor, &s->drain);
	return 0;
}

void synic_signal(struct synic *s, uint8_t sint, uint16_t flag)
{
	struct hv_input_signal_event_direct in = {
		.partition_id = cpu_to_le64(HV_PARTITION_SELF),
		.vp_index = cpu_to_le32(s->hw->cpu),
		.sint = sint,
		.flag = cpu_to_le16(flag),
	};
	uint8_t newly[8];
	uint16_t status;
	int ret;

	if (reactor_is_current(s->reactor) &&
	    !mshv_vp_push_signal(s->hw, s->hw->cpu, sint, flag)) {
		s->actions++;
		return;
	}
	__atomic_add_fetch(&s->signals, 1, __ATOMIC_RELAXED);
	ret = mshv_hypercall(s->hw->mshv, HV_CALL_SIGNAL_EVENT_DIRECT, 0, &in,
			     sizeof(in), newly, sizeof(newly), &status);
	if (ret || (status && status != HV_STATUS_INVALID_SYNIC_STATE))
		log_warn_limited("VP %u: signal of SINT %u flag %u: %s, "
				 "status %#x", s->hw->cpu, sint, flag,
				 strerror(-ret), status);
}

void synic_deliverable(struct synic *s, uint16_t sints)
{
	/* The hypervisor tells once. */
	s->wanted &= (uint16_t)~sints;
	drain(s);
}

void synic_reset(struct synic *s)
{
	pthread_mutex_lock(&s->lock);
	s->queued = 0;
	s->refused = false;
	pthread_mutex_unlock(&s->lock);
	ask_deliverable(s, 0);
}

void synic_inspect(struct synic *s, struct inspect *out)
{
	inspect_u64(out, "messages", s->messages);
	inspect_u64(out, "deferred", s->deferred);
	inspect_u64(out, "dropped", s->dropped);
	inspect_u64(out, "waiting", s->queued);
	inspect_u64(out, "return_actions", s->actions);
	inspect_u64(out, "signals", s->signals);
	inspect_u64(out, "actions_full", s->hw->actions_full);
}
