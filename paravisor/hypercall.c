// SPDX-License-Identifier: MIT
/*
 * VTL0's hypercalls that come to VTL2.
 *
 * The hypervisor executes VTL0's hypercalls itself. Two of them name a
 * connection, HvCallPostMessage and HvCallSignalEvent; when nobody owns the
 * connection there, they arrive here as intercepts, with RIP at the call.
 * Anything else is refused as the hypervisor would refuse it.
 *
 * Owns nothing. Runs on the VP's thread. The input block is copied once and
 * judged from the copy. What is refused is a violation of the guest, recorded
 * with the hypervisor's status as its type.
 */
#include <errno.h>
#include <string.h>

#include <pv/inspect.h>
#include <pv/violation.h>

#include "hypercall.h"

#define REPS (((uint64_t)HV_CONTROL_REP_COUNT_MASK                         \
	       << HV_CONTROL_REP_COUNT_SHIFT) |                            \
	      ((uint64_t)HV_CONTROL_REP_START_MASK                         \
	       << HV_CONTROL_REP_START_SHIFT) |                            \
	      ((uint64_t)HV_CONTROL_VARHEAD_MASK                           \
	       << HV_CONTROL_VARHEAD_SHIFT))

bool hypercall_decode(const struct hv_hypercall_message *m,
		      struct hypercall *call)
{
	unsigned int state = le16_to_cpu(m->header.execution_state);
	unsigned int cs = le16_to_cpu(m->header.cs.attributes);

	if (state & HV_EXECUTION_EFER_LMA && cs & HV_SEGMENT_LONG) {
		call->control = le64_to_cpu(m->rcx);
		call->in = le64_to_cpu(m->rdx);
		call->out = le64_to_cpu(m->r8);
		return true;
	}
	/* TLFS, "Hypercall Inputs": EDX:EAX, EBX:ECX, EDI:ESI. */
	call->control = le64_to_cpu(m->rdx) << 32 |
			(uint32_t)le64_to_cpu(m->rax);
	call->in = le64_to_cpu(m->rbx) << 32 | (uint32_t)le64_to_cpu(m->rcx);
	call->out = le64_to_cpu(m->rdi) << 32 | (uint32_t)le64_to_cpu(m->rsi);
	return false;
}

static uint16_t status_of(int ret)
{
	switch (ret) {
	case 0:
		return HV_STATUS_SUCCESS;
	case -ENOENT:
		return HV_STATUS_INVALID_CONNECTION_ID;
	case -ENOSPC:
		return HV_STATUS_INSUFFICIENT_BUFFERS;
	default:
		return HV_STATUS_INVALID_PARAMETER;
	}
}

static uint16_t read_input(const struct hypercall_ports *ports, uint64_t gpa,
			   void *to, size_t size)
{
	if (gpa % 8 || (gpa & ~HV_PAGE_MASK) + size > HV_PAGE_SIZE)
		return HV_STATUS_INVALID_ALIGNMENT;
	if (guest_memory_read(ports->memory, gpa, to, size))
		return HV_STATUS_INVALID_HYPERCALL_INPUT;
	return HV_STATUS_SUCCESS;
}

static uint16_t post_message(const struct hypercall_ports *ports, uint32_t vp,
			     const struct hypercall *call, uint64_t *subject)
{
	struct hv_input_post_message in;
	uint32_t type, size;
	uint16_t status;
	le32 first;

	if (call->control & HV_CONTROL_FAST)
		return HV_STATUS_INVALID_HYPERCALL_INPUT;
	status = read_input(ports, call->in, &in, sizeof(in));
	if (status)
		return status;
	type = le32_to_cpu(in.message_type);
	size = le32_to_cpu(in.payload_size);
	memcpy(&first, in.payload, sizeof(first));
	*subject = le32_to_cpu(in.connection_id) |
		   (uint64_t)le32_to_cpu(first) << 32;
	/* Types with bit 31 set are the hypervisor's own. */
	if (size > HV_MESSAGE_PAYLOAD_SIZE || type >> 31 || !type)
		return HV_STATUS_INVALID_PARAMETER;
	return status_of(ports->ops->message(
		ports->opaque, vp,
		le32_to_cpu(in.connection_id) & HV_CONNECTION_ID_MASK, type,
		in.payload, size));
}

static uint16_t signal_event(const struct hypercall_ports *ports, uint32_t vp,
			     const struct hypercall *call, uint64_t *subject)
{
	uint64_t word = call->in;
	uint16_t status;
	le64 in;

	if (!(call->control & HV_CONTROL_FAST)) {
		status = read_input(ports, call->in, &in, sizeof(in));
		if (status)
			return status;
		word = le64_to_cpu(in);
	}
	*subject = word;
	if (word >> 48)
		return HV_STATUS_INVALID_PARAMETER;
	return status_of(ports->ops->signal(
		ports->opaque, vp, (uint32_t)word & HV_CONNECTION_ID_MASK,
		(uint16_t)(word >> HV_SIGNAL_EVENT_FLAG_SHIFT)));
}

static const char *rule_of(uint16_t status)
{
	switch (status) {
	case HV_STATUS_INVALID_HYPERCALL_CODE:
		return "hypercall.code";
	case HV_STATUS_INVALID_HYPERCALL_INPUT:
		return "hypercall.input";
	case HV_STATUS_INVALID_ALIGNMENT:
		return "hypercall.alignment";
	case HV_STATUS_INVALID_CONNECTION_ID:
		return "hypercall.connection";
	default:
		return "hypercall.parameter";
	}
}

uint64_t hypercall_execute(const struct hypercall_ports *ports, uint32_t vp,
			   const struct hypercall *call,
			   struct hypercall_counters *count)
{
	uint16_t code = call->control & HV_CONTROL_CODE_MASK;
	uint16_t status;

	count->subject = 0;
	if (call->control & (HV_CONTROL_RESERVED | HV_CONTROL_NESTED | REPS)) {
		status = HV_STATUS_INVALID_HYPERCALL_INPUT;
	} else if (code == HV_CALL_POST_MESSAGE) {
		count->messages++;
		status = post_message(ports, vp, call, &count->subject);
	} else if (code == HV_CALL_SIGNAL_EVENT) {
		count->signals++;
		status = signal_event(ports, vp, call, &count->subject);
	} else {
		status = HV_STATUS_INVALID_HYPERCALL_CODE;
	}
	/* Full is no mistake: the guest is asked to wait. */
	if (status && status != HV_STATUS_INSUFFICIENT_BUFFERS) {
		count->refused++;
		violation_record("hypercall", vp, status, 0, call->control,
				 rule_of(status));
	}
	return status;
}

void hypercall_inspect(const struct hypercall_counters *count,
		       struct inspect *out)
{
	inspect_u64(out, "messages", count->messages);
	inspect_u64(out, "signals", count->signals);
	inspect_u64(out, "refused", count->refused);
}
