/* SPDX-License-Identifier: MIT */
/*
 * RNDIS, theory of operation
 *
 * The control messages of a client: each is a copy in our memory, is checked
 * once and answered in another buffer.
 *
 *	uninitialized --INITIALIZE--> operational --HALT--> uninitialized
 *
 * Frames go both ways only in between; HALT stops them, and what was asked and
 * set is forgotten with INITIALIZE, which has an answer as often as it comes.
 *
 * Threads: the primary's reactor. Failure answers: a message that is none, or
 * is not a client's, is refused as a whole. In one that can be understood but
 * not done, the answer's status says why, and a broken rule is recorded.
 */
#include <errno.h>
#include <string.h>

#include <pv/violation.h>

#include "netvsp_state.h"

#define MAJOR_VERSION 1
#define MINOR_VERSION 0
#define ALIGNMENT_SHIFT 3
#define MAX_TRANSFER 0xefffffffu

static int refuse(struct refusal *no, size_t offset, uint64_t value,
		  const char *rule)
{
	*no = (struct refusal){ (uint32_t)offset, value, rule };
	return -EBADMSG;
}

static struct rndis_request answer_to(const struct rndis_request *request,
				      size_t size)
{
	return (struct rndis_request){
		.header.type = cpu_to_le32(le32_to_cpu(request->header.type) |
					   RNDIS_COMPLETE),
		.header.length = cpu_to_le32((uint32_t)size),
		.id = request->id,
	};
}

static int initialize(struct netvsp *netvsp,
		      const struct rndis_request *request)
{
	struct rndis_initialize_complete reply = {
		.request = answer_to(request, sizeof(reply)),
		.major = cpu_to_le32(MAJOR_VERSION),
		.minor = cpu_to_le32(MINOR_VERSION),
		.device_flags = cpu_to_le32(RNDIS_CONNECTIONLESS),
		.medium = cpu_to_le32(RNDIS_MEDIUM_802_3),
		.max_packets = cpu_to_le32(NETVSP_PACKET_FRAMES),
		.max_transfer = cpu_to_le32(MAX_TRANSFER),
		.alignment_shift = cpu_to_le32(ALIGNMENT_SHIFT),
	};
	struct netvsp_control *control = &netvsp->control;

	control->filter = 0;
	control->sent = false;
	/* It asks; from here on it is told of changes. */
	control->link_up = atomic_load(&netvsp->link_up);
	atomic_store(&netvsp->operational, true);
	netvsp_control_want(netvsp);
	memcpy(control->out, &reply, sizeof(reply));
	return sizeof(reply);
}

static int halt(struct netvsp *netvsp)
{
	netvsp->control.filter = 0;
	netvsp->control.sent = false;
	atomic_store(&netvsp->operational, false);
	netvsp_control_want(netvsp);
	netvsp_look_all(netvsp);
	return 0;
}

static int reset(struct netvsp *netvsp)
{
	struct rndis_reset_complete reply = {
		.header.type = cpu_to_le32(RNDIS_RESET | RNDIS_COMPLETE),
		.header.length = cpu_to_le32(sizeof(reply)),
	};

	/* Nothing that a client set is lost. */
	memcpy(netvsp->control.out, &reply, sizeof(reply));
	return sizeof(reply);
}

static int keepalive(struct netvsp *netvsp, const struct rndis_request *request)
{
	struct rndis_set_complete reply = {
		.request = answer_to(request, sizeof(reply)),
	};

	memcpy(netvsp->control.out, &reply, sizeof(reply));
	return sizeof(reply);
}

/* Query and set. */

/* The information of a request, and its size: false, it is not there. */
static bool find_info(const struct rndis_oid_request *request, uint32_t length,
		      uint32_t *offset, uint32_t *size)
{
	*size = le32_to_cpu(request->info_size);
	*offset = le32_to_cpu(request->info_offset);
	if (!*size) {
		*offset = 0;
		return true;
	}
	if (*offset < sizeof(*request) - RNDIS_OFFSET_BASE ||
	    *offset > length - RNDIS_OFFSET_BASE ||
	    *size > length - RNDIS_OFFSET_BASE - *offset)
		return false;
	*offset += RNDIS_OFFSET_BASE;
	return true;
}

static void record(struct netvsp *netvsp, const struct refusal *no,
		   uint32_t oid)
{
	netvsp_record(netvsp_channel(netvsp, 0), oid, no->offset, no->value,
		      no->rule);
}

static int query(struct netvsp *netvsp, const struct rndis_oid_request *request,
		 uint32_t length)
{
	struct netvsp_control *control = &netvsp->control;
	struct rndis_query_complete reply;
	uint32_t oid = le32_to_cpu(request->oid), offset, asked;
	uint32_t size = NETVSP_SLOT - (uint32_t)sizeof(reply), status;

	if (find_info(request, length, &offset, &asked)) {
		status = rndis_query(netvsp, oid, control->in + offset, asked,
				     control->out + sizeof(reply), &size);
	} else {
		struct refusal no = {
			offsetof(struct rndis_oid_request, info_offset),
			le32_to_cpu(request->info_offset),
			"rndis.oid.information",
		};

		record(netvsp, &no, oid);
		status = RNDIS_STATUS_INVALID_DATA;
	}
	if (status)
		size = 0;
	reply = (struct rndis_query_complete){
		.request = answer_to(&request->request, sizeof(reply) + size),
		.status = cpu_to_le32(status),
		.info_size = cpu_to_le32(size),
		.info_offset = cpu_to_le32(size ? sizeof(reply) -
						  RNDIS_OFFSET_BASE : 0),
	};
	memcpy(control->out, &reply, sizeof(reply));
	return (int)(sizeof(reply) + size);
}

static int set(struct netvsp *netvsp, const struct rndis_oid_request *request,
	       uint32_t length)
{
	struct netvsp_control *control = &netvsp->control;
	struct rndis_set_complete reply = {
		.request = answer_to(&request->request, sizeof(reply)),
	};
	uint32_t oid = le32_to_cpu(request->oid), offset, size;
	uint32_t status = RNDIS_STATUS_INVALID_DATA;
	struct refusal no = {
		offsetof(struct rndis_oid_request, info_offset),
		le32_to_cpu(request->info_offset), "rndis.oid.information",
	};

	if (find_info(request, length, &offset, &size)) {
		no.rule = NULL;
		status = rndis_set(netvsp, oid, control->in + offset, size,
				   &no);
	}
	if (no.rule)
		record(netvsp, &no, oid);
	reply.status = cpu_to_le32(status);
	memcpy(control->out, &reply, sizeof(reply));
	return sizeof(reply);
}

int rndis_control(struct netvsp *netvsp, uint32_t size, struct refusal *no)
{
	static const uint8_t needed[] = {
		[RNDIS_INITIALIZE] = sizeof(struct rndis_initialize),
		[RNDIS_HALT] = sizeof(struct rndis_header),
		[RNDIS_QUERY] = sizeof(struct rndis_oid_request),
		[RNDIS_SET] = sizeof(struct rndis_oid_request),
		[RNDIS_RESET] = sizeof(struct rndis_header),
		[RNDIS_KEEPALIVE] = sizeof(struct rndis_request),
	};
	union {
		struct rndis_header header;
		struct rndis_request request;
		struct rndis_oid_request oid;
	} message = { 0 };
	uint32_t type, length;

	if (size < sizeof(message.header))
		return refuse(no, 0, size, "rndis.message.header");
	memcpy(&message, netvsp->control.in,
	       size < sizeof(message) ? size : sizeof(message));
	type = le32_to_cpu(message.header.type);
	length = le32_to_cpu(message.header.length);
	if (type >= sizeof(needed) || !needed[type])
		return refuse(no, 0, type, "rndis.message.type");
	if (length > size || length < needed[type])
		return refuse(no, offsetof(struct rndis_header, length),
			      length, "rndis.message.complete");
	switch (type) {
	case RNDIS_INITIALIZE:
		return initialize(netvsp, &message.request);
	case RNDIS_HALT:
		return halt(netvsp);
	case RNDIS_RESET:
		return reset(netvsp);
	case RNDIS_KEEPALIVE:
		return keepalive(netvsp, &message.request);
	}
	if (!atomic_load(&netvsp->operational))
		return refuse(no, 0, type, "rndis.message.early");
	return type == RNDIS_QUERY ? query(netvsp, &message.oid, length) :
				     set(netvsp, &message.oid, length);
}
