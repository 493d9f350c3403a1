// SPDX-License-Identifier: MIT
/*
 * The synthetic interrupt controller (TLFS, "Inter-Partition Communication").
 *
 * Owns, per VP and VTL, the SynIC registers and one bounded queue of messages
 * per SINT. The message page and the event-flags page are the guest's memory.
 *
 *	synic_post()   queue -> slot in the message page -> interrupt
 *	                  ^            |
 *	                  |            v guest empties the slot, then writes EOM
 *	                  `-- waits while the slot is full, the SINT masked or
 *	                      the page or the SynIC off; tried again at EOM and
 *	                      when one of those registers changes
 *
 * A full slot gets its "pending" flag, which makes the guest write EOM. The
 * guest may be emptying the slot at that moment, so after setting the flag the
 * slot is looked at once more: either the guest sees the flag or we see the
 * empty slot (both sides have a full barrier between store and load).
 *
 * synic_signal() sets a bit in the flags page and interrupts only if it was
 * clear. Flags that came while the SINT was masked interrupt when it is
 * unmasked: once more than needed, never once less.
 *
 * HvCallPostMessageDirect never queues: a full slot is the caller's to retry.
 * VTL2 may ask to be told when the slot is free (synic_want()).
 *
 * Threads: any; one lock per VP and VTL, held for a copy at most. Failures:
 * -EAGAIN for a full queue; a signal while the SynIC is off is dropped, as the
 * TLFS has it.
 */
#include <errno.h>
#include <string.h>

#include "vp.h"

void synic_init(struct synic *s)
{
	memset(s, 0, sizeof(*s));
	pthread_mutex_init(&s->lock, NULL);
	for (unsigned int i = 0; i < HV_SINT_COUNT; i++)
		s->sint[i] = HV_SINT_RESET;
}

void synic_destroy(struct synic *s)
{
	pthread_mutex_destroy(&s->lock);
}

void synic_reset(struct vp_vtl *vv)
{
	struct synic *s = &vv->synic;

	pthread_mutex_lock(&s->lock);
	s->control = s->siefp = s->simp = 0;
	s->wanted = s->deliverable = 0;
	for (unsigned int i = 0; i < HV_SINT_COUNT; i++) {
		s->sint[i] = HV_SINT_RESET;
		s->queue[i].count = 0;
	}
	pthread_mutex_unlock(&s->lock);
}

static struct hv_message *slot(struct vp_vtl *vv, unsigned int sint)
{
	struct synic *s = &vv->synic;
	uint8_t *page;

	if (!(s->control & HV_SCONTROL_ENABLE) ||
	    !(s->simp & HV_MSR_PAGE_ENABLE))
		return NULL;
	page = machine_ram(vv->vp->m, vv->vtl, s->simp & HV_PAGE_MASK,
			   HV_PAGE_SIZE);
	return page ? (struct hv_message *)page + sint : NULL;
}

static uint8_t *flags(struct vp_vtl *vv, unsigned int sint)
{
	struct synic *s = &vv->synic;
	uint8_t *page;

	if (!(s->control & HV_SCONTROL_ENABLE) ||
	    !(s->siefp & HV_MSR_PAGE_ENABLE))
		return NULL;
	page = machine_ram(vv->vp->m, vv->vtl, s->siefp & HV_PAGE_MASK,
			   HV_PAGE_SIZE);
	return page ? page + sint * HV_EVENT_FLAGS_BYTES : NULL;
}

static void interrupt(struct vp_vtl *vv, unsigned int sint)
{
	uint64_t reg = vv->synic.sint[sint];

	if (!(reg & (HV_SINT_MASKED | HV_SINT_POLLING)))
		vp_interrupt(vv->vp->m, vv->vtl, vv->vp->index,
			     (uint8_t)(reg & HV_SINT_VECTOR_MASK));
}

/* The type is a slot's first word, which the guest changes while we look. */
static uint32_t slot_type(struct hv_message *m)
{
	return atomic_load(guest_word(m));
}

/* True if the slot is empty; else the guest will write EOM when it is. */
static bool slot_free(struct hv_message *m)
{
	if (slot_type(m) == HV_MESSAGE_NONE)
		return true;
	atomic_fetch_or((_Atomic uint8_t *)&m->header.flags,
			HV_MESSAGE_PENDING);
	return slot_type(m) == HV_MESSAGE_NONE;
}

static void slot_fill(struct hv_message *m, const struct hv_message *from,
		      bool more)
{
	m->header.payload_size = from->header.payload_size;
	m->header.flags = more ? HV_MESSAGE_PENDING : 0;
	m->header.reserved = cpu_to_le16(0);
	m->header.sender = from->header.sender;
	memcpy(m->payload, from->payload, sizeof(m->payload));
	atomic_store(guest_word(m),
		     le32_to_cpu(from->header.type));
}

/* Moves the head of the queue to the slot if that is possible. */
static void deliver(struct vp_vtl *vv, unsigned int sint)
{
	struct synic *s = &vv->synic;
	struct hv_message *m = slot(vv, sint);
	unsigned int head = s->queue[sint].head;

	if (!m || !s->queue[sint].count || (s->sint[sint] & HV_SINT_MASKED) ||
	    !slot_free(m))
		return;
	s->queue[sint].head = (head + 1) % SYNIC_QUEUE;
	s->queue[sint].count--;
	slot_fill(m, &s->queue[sint].message[head], s->queue[sint].count != 0);
	interrupt(vv, sint);
}

int synic_post(struct machine *m, enum vtl vtl, unsigned int vp,
	       unsigned int sint, uint32_t type, const void *payload,
	       size_t size)
{
	struct vp_vtl *vv;
	struct synic *s;
	struct hv_message *message;
	int ret = 0;

	if (vp >= m->config.vps || sint >= HV_SINT_COUNT ||
	    size > HV_MESSAGE_PAYLOAD_SIZE)
		return -EINVAL;
	vv = vp_in(&m->vps[vp], vtl);
	s = &vv->synic;

	pthread_mutex_lock(&s->lock);
	if (s->queue[sint].count == SYNIC_QUEUE) {
		ret = -EAGAIN;
		goto out_unlock;
	}
	message = &s->queue[sint].message[(s->queue[sint].head +
					   s->queue[sint].count++) %
					  SYNIC_QUEUE];
	memset(message, 0, sizeof(*message));
	message->header.type = cpu_to_le32(type);
	message->header.payload_size = (uint8_t)size;
	memcpy(message->payload, payload, size);
	deliver(vv, sint);
out_unlock:
	pthread_mutex_unlock(&s->lock);
	return ret;
}

uint16_t synic_signal_direct(struct vp_vtl *vv, unsigned int sint,
			     unsigned int flag, bool *newly)
{
	uint16_t status = HV_STATUS_SUCCESS;
	uint8_t bit = (uint8_t)(1u << (flag % 8));
	uint8_t *bytes;

	*newly = false;
	if (sint >= HV_SINT_COUNT || flag >= HV_EVENT_FLAGS_PER_SINT)
		return HV_STATUS_INVALID_PARAMETER;
	pthread_mutex_lock(&vv->synic.lock);
	bytes = flags(vv, sint);
	if (!bytes) {
		status = HV_STATUS_INVALID_SYNIC_STATE;
		goto out_unlock;
	}
	if (atomic_fetch_or((_Atomic uint8_t *)&bytes[flag / 8], bit) & bit)
		goto out_unlock;
	*newly = true;
	interrupt(vv, sint);
out_unlock:
	pthread_mutex_unlock(&vv->synic.lock);
	return status;
}

void synic_signal(struct machine *m, enum vtl vtl, unsigned int vp,
		  unsigned int sint, unsigned int flag)
{
	bool newly;

	if (vp < m->config.vps)
		synic_signal_direct(vp_in(&m->vps[vp], vtl), sint, flag,
				    &newly);
}

uint16_t synic_post_direct(struct vp_vtl *vv, unsigned int sint,
			   const struct hv_message *message)
{
	struct synic *s = &vv->synic;
	uint16_t status = HV_STATUS_SUCCESS;
	struct hv_message *m;

	if (sint >= HV_SINT_COUNT ||
	    message->header.payload_size > HV_MESSAGE_PAYLOAD_SIZE)
		return HV_STATUS_INVALID_PARAMETER;
	pthread_mutex_lock(&s->lock);
	m = slot(vv, sint);
	if (!m || (s->sint[sint] & HV_SINT_MASKED)) {
		status = HV_STATUS_INVALID_SYNIC_STATE;
	} else if (slot_type(m) != HV_MESSAGE_NONE || s->queue[sint].count) {
		status = HV_STATUS_OBJECT_IN_USE;
	} else {
		slot_fill(m, message, false);
		interrupt(vv, sint);
	}
	pthread_mutex_unlock(&s->lock);
	return status;
}

/* Which of the SINTs that VTL2 asked about are free now? */
static void note_deliverable(struct vp_vtl *vv)
{
	struct synic *s = &vv->synic;

	for (unsigned int i = 0; i < HV_SINT_COUNT; i++) {
		struct hv_message *m;

		if (!(s->wanted >> i & 1))
			continue;
		m = slot(vv, i);
		if (!m || s->queue[i].count || !slot_free(m))
			continue;
		s->wanted &= (uint16_t)~(1u << i);
		s->deliverable |= (uint16_t)(1u << i);
	}
}

void synic_want(struct vp_vtl *vv, uint16_t sints)
{
	pthread_mutex_lock(&vv->synic.lock);
	vv->synic.wanted = sints;
	vv->synic.deliverable = 0;
	note_deliverable(vv);
	pthread_mutex_unlock(&vv->synic.lock);
}

uint16_t synic_take_deliverable(struct vp_vtl *vv)
{
	struct synic *s = &vv->synic;
	uint16_t sints;

	pthread_mutex_lock(&s->lock);
	sints = s->deliverable;
	s->deliverable = 0;
	pthread_mutex_unlock(&s->lock);
	return sints;
}

void synic_end_of_message(struct vp_vtl *vv)
{
	pthread_mutex_lock(&vv->synic.lock);
	for (unsigned int i = 0; i < HV_SINT_COUNT; i++)
		deliver(vv, i);
	note_deliverable(vv);
	pthread_mutex_unlock(&vv->synic.lock);
}

void synic_write_control(struct vp_vtl *vv, uint64_t value)
{
	pthread_mutex_lock(&vv->synic.lock);
	vv->synic.control = value;
	pthread_mutex_unlock(&vv->synic.lock);
	synic_end_of_message(vv);
}

/* A page that is switched on starts out empty (TLFS, "SIMP Register"). */
static void clear_page(struct vp_vtl *vv, uint64_t old, uint64_t value)
{
	void *page;

	if (!(value & HV_MSR_PAGE_ENABLE) || old == value)
		return;
	page = machine_ram(vv->vp->m, vv->vtl, value & HV_PAGE_MASK,
			   HV_PAGE_SIZE);
	if (page)
		memset(page, 0, HV_PAGE_SIZE);
}

void synic_write_siefp(struct vp_vtl *vv, uint64_t value)
{
	pthread_mutex_lock(&vv->synic.lock);
	clear_page(vv, vv->synic.siefp, value);
	vv->synic.siefp = value;
	pthread_mutex_unlock(&vv->synic.lock);
}

void synic_write_simp(struct vp_vtl *vv, uint64_t value)
{
	pthread_mutex_lock(&vv->synic.lock);
	clear_page(vv, vv->synic.simp, value);
	vv->synic.simp = value;
	if (!(value & HV_MSR_PAGE_ENABLE))
		for (unsigned int i = 0; i < HV_SINT_COUNT; i++)
			vv->synic.queue[i].count = 0;
	pthread_mutex_unlock(&vv->synic.lock);
	synic_end_of_message(vv);
}

static bool any_flag(const uint8_t *bytes)
{
	for (unsigned int i = 0; i < HV_EVENT_FLAGS_BYTES; i++)
		if (bytes[i])
			return true;
	return false;
}

void synic_write_sint(struct vp_vtl *vv, unsigned int sint, uint64_t value)
{
	struct synic *s = &vv->synic;
	uint8_t *bytes;
	uint64_t old;

	pthread_mutex_lock(&s->lock);
	old = s->sint[sint];
	s->sint[sint] = value;
	if ((old & HV_SINT_MASKED) && !(value & HV_SINT_MASKED)) {
		bytes = flags(vv, sint);
		if (bytes && any_flag(bytes))
			interrupt(vv, sint);
		deliver(vv, sint);
	}
	pthread_mutex_unlock(&s->lock);
}
