/* SPDX-License-Identifier: MIT */
/*
 * StorVSP's channels, theory of operation
 *
 * The loop over the ring, and the packets that are not SCSI commands.
 *
 * The primary channel negotiates, in this order and no other; a step out of
 * order is refused and changes nothing:
 *
 *	BEGIN -> QUERY_VERSION -> QUERY_PROPERTIES -> END -> ready
 *	          ^ again, as long as the version is refused
 *
 * CREATE_SUBCHANNELS may come with or after END. Sub-channels exist only
 * because a primary got that far, so they are ready from the start.
 *
 * Back-pressure: a packet is taken only when a request is free and the ring
 * has room for the completions of all that are under way; otherwise it stays
 * in the ring. So it does, for a moment, when its unit has more than its share
 * of the requests (storvsp_share.c). So a completion always finds room. What
 * ends a shortage calls us again: a completion of ours, or the client's signal
 * that there is room.
 *
 * Completions are written where they arise and published together: at the end
 * of the run they arose in, or in a run that the first of them posts.
 *
 * Threads: the channel's reactor.
 *
 * Failure answers: a packet that is none of the protocol's (no completion
 * asked for, too short for a header, an operation that is not the client's)
 * stops the channel; what is under way ends, and nobody is told.
 */
#include <string.h>

#include <pv/log.h>
#include <pv/violation.h>

#include "ring_reg.h"
#include "storvsp_channel.h"

LOG_MODULE("storvsp");

/* Packets of one run, before others on the reactor have their turn. */
#define RUN_BUDGET 256

/* Violations. */

static void stop(struct storvsp_channel *ch, uint32_t type, uint32_t offset,
		 uint64_t value, const char *rule)
{
	if (ch->stopped)
		return;
	ch->stopped = true;
	vmbus_channel_violation(ch->vmbus, type, offset, value, rule);
}

static void stop_if_broken(struct storvsp_channel *ch)
{
	const struct ring *ring = &ch->vmbus->ring;

	if (ring->broken)
		stop(ch, 0, 0, ring->broken_value, ring->broken);
}

void storvsp_record(struct storvsp_channel *ch, uint32_t operation,
		    size_t offset, uint64_t value, const char *rule)
{
	ch->count.refused++;
	violation_record(ch->vmbus->device->ops->name, ch->vmbus->id,
			 operation, (uint32_t)offset, value, rule);
}

/* Completions. */

void storvsp_complete(struct storvsp_request *req, uint32_t status)
{
	struct storvsp_channel *ch = req->channel;
	struct vstor_packet *packet = &req->packet;
	int err;

	if (!reactor_is_current(ch->vmbus->reactor))
		ch->count.cross_reactor_completions++;
	ch->in_flight--;
	if (ch->run - req->run < STORVSP_YOUNG_RUNS) {
		ch->taken[req->run % STORVSP_YOUNG_RUNS]--;
		ch->young--;
	}
	req->next = ch->free;
	ch->free = req;
	if (!ch->running && !ch->resuming) {
		ch->resuming = true;
		reactor_post(ch->vmbus->reactor, &ch->resume);
	}
	if (ch->stopped || ch->closing)
		return;
	packet->header.operation = cpu_to_le32(VSTOR_COMPLETE_IO);
	packet->header.flags = cpu_to_le32(0);
	packet->header.status = cpu_to_le32(status);
	err = ring_write(&ch->vmbus->ring, RING_PACKET_COMPLETION, 0,
			 req->transaction, NULL, 0, packet, req->reply_size);
	if (err)
		stop_if_broken(ch);
	pv_bug(err && !ch->stopped, -err, ch->in_flight); /* had room */
	ch->count.completions++;
}

/* Negotiation. */

static bool version_known(uint16_t version)
{
	static const uint16_t versions[] = {
		VSTOR_VERSION(2, 0), VSTOR_VERSION(4, 2), VSTOR_VERSION(5, 1),
		VSTOR_VERSION(6, 0), VSTOR_VERSION(6, 2),
	};

	for (unsigned int i = 0; i < sizeof(versions) / sizeof(*versions); i++)
		if (versions[i] == version)
			return true;
	return false;
}

static void query_properties(const struct storvsp_channel *ch,
			     struct vstor_packet *packet)
{
	uint16_t subchannels = ch->storvsp->device.max_subchannels;

	packet->properties = (struct vstor_properties){
		.max_subchannels = cpu_to_le16(subchannels),
		.flags = cpu_to_le32(subchannels ?
					     VSTOR_PROPERTY_MULTI_CHANNEL : 0),
		.max_transfer = cpu_to_le32(ch->storvsp->max_transfer),
	};
}

static uint32_t create_subchannels(struct storvsp_channel *ch,
				   const struct vstor_packet *packet)
{
	uint16_t count = le16_to_cpu(packet->subchannels);

	if (vmbus_offer_subchannels(&ch->storvsp->device, count)) {
		storvsp_record(ch, VSTOR_CREATE_SUBCHANNELS,
			       offsetof(struct vstor_packet, subchannels),
			       count, "storvsp.sub-channels");
		return VSTOR_STATUS_INVALID_PARAMETER;
	}
	return VSTOR_STATUS_SUCCESS;
}

/* A step of the negotiation in its state; others have been sorted out. */
static uint32_t negotiate(struct storvsp_channel *ch, uint32_t operation,
			  struct vstor_packet *packet)
{
	switch (operation) {
	case VSTOR_QUERY_VERSION:
		if (!version_known(le16_to_cpu(packet->version.version)))
			return VSTOR_STATUS_REVISION_MISMATCH;
		log_info("protocol %u.%u",
			 le16_to_cpu(packet->version.version) >> 8,
			 le16_to_cpu(packet->version.version) & 0xff);
		break;
	case VSTOR_QUERY_PROPERTIES:
		query_properties(ch, packet);
		break;
	}
	ch->state++;
	return VSTOR_STATUS_SUCCESS;
}

/* In which states an operation is in order, a bit per state; in none: it is
 * not one that a client may send. */
static const uint8_t operations[] = {
	[VSTOR_BEGIN_INIT] = 1 << WAIT_BEGIN,
	[VSTOR_QUERY_VERSION] = 1 << WAIT_VERSION,
	[VSTOR_QUERY_PROPERTIES] = 1 << WAIT_PROPERTIES,
	[VSTOR_END_INIT] = 1 << WAIT_END,
	[VSTOR_CREATE_SUBCHANNELS] = 1 << WAIT_END | 1 << READY,
	[VSTOR_EXECUTE_SRB] = 1 << READY,
	[VSTOR_RESET_LUN] = 1 << READY,
	[VSTOR_RESET_ADAPTER] = 1 << READY,
	[VSTOR_RESET_BUS] = 1 << READY,
	[VSTOR_FCHBA_DATA] = 1 << READY,
};

static bool clients(uint32_t operation)
{
	return operation < sizeof(operations) / sizeof(operations[0]) &&
	       operations[operation];
}

static void dispatch(struct storvsp_request *req, uint32_t operation,
		     const struct ring_packet *packet)
{
	struct storvsp_channel *ch = req->channel;

	if (!(operations[operation] & 1 << ch->state) ||
	    (operation == VSTOR_CREATE_SUBCHANNELS && ch->vmbus->sub_index)) {
		storvsp_record(ch, operation, 0, ch->state,
		       "storvsp.operation.order");
		storvsp_complete(req, VSTOR_STATUS_INVALID_DEVICE_STATE);
		return;
	}
	switch (operation) {
	case VSTOR_EXECUTE_SRB:
		storvsp_execute_srb(req, packet);
		break;
	case VSTOR_RESET_LUN:
	case VSTOR_RESET_ADAPTER:
	case VSTOR_RESET_BUS:
		/* Clients wait for what is under way: it ends by itself. */
		storvsp_complete(req, VSTOR_STATUS_SUCCESS);
		break;
	case VSTOR_FCHBA_DATA:
		storvsp_complete(req, VSTOR_STATUS_NOT_SUPPORTED);
		break;
	case VSTOR_CREATE_SUBCHANNELS:
		storvsp_complete(req, create_subchannels(ch, &req->packet));
		break;
	default:
		storvsp_complete(req, negotiate(ch, operation, &req->packet));
	}
}

/* Packets. */

static struct storvsp_request *take_request(struct storvsp_channel *ch,
					    const struct ring_packet *packet)
{
	struct storvsp_request *req = ch->free;
	uint32_t size = packet->payload_size < PACKET_SIZE ?
				packet->payload_size : PACKET_SIZE;

	if (req) {
		ch->free = req->next;
	} else {
		req = &ch->requests[ch->nr_requests - ch->fresh--];
		req->channel = ch;
	}
	ch->in_flight++;
	ch->young++;
	ch->taken[ch->run % STORVSP_YOUNG_RUNS]++;
	req->run = ch->run;
	req->transaction = packet->transaction;
	req->reply_size = size;
	if (size == PACKET_SIZE) { /* a constant is copied without a call */
		memcpy(&req->packet, packet->payload, PACKET_SIZE);
	} else {
		memset(&req->packet, 0, sizeof(req->packet));
		memcpy(&req->packet, packet->payload, size);
	}
	return req;
}

static void handle(struct storvsp_channel *ch, const struct ring_packet *packet)
{
	struct vstor_header header;
	uint32_t operation;

	if (packet->type != RING_PACKET_INBAND &&
	    packet->type != RING_PACKET_GPA_DIRECT) {
		stop(ch, 0, 0, packet->type, "storvsp.packet.type");
		return;
	}
	if (packet->payload_size < sizeof(header)) {
		stop(ch, 0, 0, packet->payload_size, "storvsp.packet.header");
		return;
	}
	memcpy(&header, packet->payload, sizeof(header));
	operation = le32_to_cpu(header.operation);
	if (!packet->wants_completion) {
		stop(ch, operation, 0, packet->transaction,
		     "storvsp.packet.completion");
		return;
	}
	if (!clients(operation)) {
		stop(ch, operation, 0, operation, "storvsp.operation.type");
		return;
	}
	dispatch(take_request(ch, packet), operation, packet);
}

/* Can one more packet be taken? */
static bool ready_for_packet(struct storvsp_channel *ch)
{
	uint32_t room = (ch->in_flight + 1) * ch->completion_space;

	if (!ch->free && !ch->fresh) {
		storvsp_no_request(ch);
		return false;
	}
	if (!ring_has_room(&ch->vmbus->ring, room)) {
		ch->count.no_room++;
		return false;
	}
	return true;
}

/* Takes packets until there is none, none can be taken, or the budget is
 * spent. False: none can be taken now; somebody will call again. */
static bool drain(struct storvsp_channel *ch, unsigned int *budget)
{
	struct ring_packet packet;
	bool again = ch->kept;

	while (*budget && !ch->stopped) {
		if (!ready_for_packet(ch))
			return false;
		if (again) {
			packet = ch->kept_packet;
			ch->kept = false;
		} else if (ring_read(&ch->vmbus->ring, ch->packet,
				     sizeof(ch->packet), &packet)) {
			break;
		}
		if (ch->shared_used >= ch->shared &&
		    storvsp_keeps(ch, &packet, again))
			return false;
		again = false;
		--*budget;
		handle(ch, &packet);
	}
	return true;
}

static void submit(struct storvsp_channel *ch)
{
	for (unsigned int i = 0; i < ch->nr_open; i++)
		scsi_nexus_submit(&ch->nexus[ch->open[i]].scsi);
}

/* Tells the client to look for logical units that came or went. Until there is
 * room beside the completions it waits; then we are called again. */
static void announce(struct storvsp_channel *ch)
{
	struct vstor_packet packet = {
		.header.operation = cpu_to_le32(VSTOR_ENUMERATE_BUS),
	};
	uint32_t room = (ch->in_flight + 1) * ch->completion_space;

	if (ch->state != READY || ch->stopped ||
	    !ring_has_room(&ch->vmbus->ring, room) ||
	    !atomic_exchange(&ch->announce, false))
		return;
	if (ring_write(&ch->vmbus->ring, RING_PACKET_INBAND, 0, 0, NULL, 0,
		       &packet, PACKET_SIZE))
		stop_if_broken(ch);
	else
		ch->count.announcements++;
}

/* What the run of so many before took and did not end is not young any more. */
static void begin_run(struct storvsp_channel *ch)
{
	unsigned int turn = ++ch->run % STORVSP_YOUNG_RUNS;

	ch->young -= ch->taken[turn];
	ch->taken[turn] = 0;
	if (!turn)
		storvsp_time_next(ch);
	ch->count.runs++;
	ch->running = true;
}

/* Takes what is in the ring until it is empty, or no more can be taken, or the
 * budget is spent. *more: something is left that can be taken. */
static bool work(struct storvsp_channel *ch, bool *more)
{
	struct ring *ring = &ch->vmbus->ring;
	unsigned int budget = RUN_BUDGET;
	bool signal = false, able, left;

	do {
		if (ch->nr_waiting)
			storvsp_run_waiting(ch);
		able = drain(ch, &budget);
		submit(ch);
		if (atomic_load_explicit(&ch->announce, memory_order_relaxed))
			announce(ch);
		left = false;
		if (ch->stopped)
			break;
		signal |= ring_write_end(ring);
		ch->rests = able && budget &&
			    !company_calm(&ch->company, ch->young) &&
			    storvsp_may_rest(ch);
		if (ch->rests)
			signal |= ring_read_pause(ring);
		else
			signal |= ring_read_end(ring, &left);
		stop_if_broken(ch);
	} while (left && able && budget && !ch->stopped);
	*more = left && able && !budget;
	return signal;
}

void storvsp_run(struct storvsp_channel *ch)
{
	bool more, signal;

	begin_run(ch);
	signal = work(ch, &more);
	ch->running = false;
	if (signal)
		vmbus_channel_signal(ch->vmbus);
	if (more)
		reactor_post(ch->vmbus->reactor, &ch->resume);
}

void storvsp_resume(struct storvsp_channel *ch)
{
	if (!storvsp_need_not_look(ch)) {
		storvsp_run(ch);
		return;
	}
	if (ring_write_end(&ch->vmbus->ring))
		vmbus_channel_signal(ch->vmbus);
	stop_if_broken(ch);
}
