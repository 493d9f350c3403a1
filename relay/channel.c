/* SPDX-License-Identifier: MIT */
/*
 * An open channel, theory of operation
 *
 * Owns what exists between OPEN_CHANNEL and CLOSE_CHANNEL: the mapped ring,
 * the entry in the table of signals, and the walk between two reactors. The
 * server's reactor owns the state; the device is called on the reactor of the
 * VP the client chose. Each arrow that crosses is one posted call:
 *
 *	          server's reactor              channel's reactor
 *
 *	CLOSED
 *	  | OPEN: ring mapped, signals on
 *	OPENING ------------------ open_call --------> open() of the device
 *	  | <--------------------- opened_call -----------'
 *	  | OPEN_RESULT
 *	OPEN --------------------- run_call ---------> run(), and from now on
 *	  |                                            for every signal
 *	  | CLOSE, revoke, disconnect, violation
 *	  | signals off
 *	CLOSING ------------------ close_call -------> close() of the device
 *	  | <--------------------- closed_call ----------... when it let go
 *	  | ring unmapped, teardowns answered
 *	CLOSED, or STOPPED until the client closes too
 *
 * An open that fails goes straight back to CLOSED. An OPENING channel that
 * shall close waits in `abandon`; its client gets no OPEN_RESULT, since it
 * gets, or knows, something stronger. OPEN during CLOSING is kept and replayed
 * when the device let go.
 *
 * A signal may be late: the table entry is gone, but a thread has read it.
 * Structures live as long as the server and run_call checks, on arrival, that
 * it is on the right reactor and that the channel is running.
 *
 * MODIFY_CHANNEL changes the VP that is interrupted. The reactor stays: what
 * the device has in flight completes there.
 *
 * Failure answers: a wrong OPEN gets a failed OPEN_RESULT, a wrong MODIFY a
 * failed response (5.3 and later); CLOSE has no answer. All are recorded.
 */
#include <errno.h>
#include <string.h>

#include <pv/log.h>
#include <pv/violation.h>

#include "vmbus_state.h"

LOG_MODULE("vmbus");

/* Some clients lose interrupts that come before they saw OPEN_RESULT. */
#define KICK_DELAY_NS 100000000ull

static void send_open_result(struct vmbus_server *server, uint32_t id,
			     uint32_t open_id, uint32_t status)
{
	struct vmbus_open_result result = {
		.channel = cpu_to_le32(id),
		.open_id = cpu_to_le32(open_id),
		.status = cpu_to_le32(status),
	};

	server_send(server, VMBUS_OPEN_RESULT, &result, sizeof(result));
}

/* The channel's reactor. */

static void channel_kick(struct reactor_timer *timer)
{
	struct vmbus_channel_state *st = channel_of(timer, kick_timer);

	if (st->running)
		vmbus_channel_signal(&st->ch);
}

static void channel_open(struct reactor_call *call)
{
	struct vmbus_channel_state *st = channel_of(call, open_call);
	struct vmbus_device *dev = st->ch.device;

	st->open_error = dev->ops->open(dev, &st->ch);
	st->running = !st->open_error;
	st->kick = st->running;
	reactor_post(st->server->config.reactor, &st->opened_call);
}

static void channel_run(struct reactor_call *call)
{
	struct vmbus_channel_state *st = channel_of(call, run_call);
	struct reactor *reactor =
		atomic_load_explicit(&st->reactor, memory_order_acquire);

	if (!reactor)
		return;
	if (!reactor_is_current(reactor)) {
		reactor_post(reactor, call);
		return;
	}
	if (!st->running)
		return;
	if (st->kick) {
		st->kick = false;
		reactor_timer_arm(reactor, &st->kick_timer,
				  reactor_now() + KICK_DELAY_NS);
	}
	st->ch.device->ops->run(&st->ch);
}

static void channel_close(struct reactor_call *call)
{
	struct vmbus_channel_state *st = channel_of(call, close_call);

	st->running = false;
	reactor_timer_cancel(st->ch.reactor, &st->kick_timer);
	st->ch.device->ops->close(&st->ch);
}

void vmbus_channel_signal(struct vmbus_channel *ch)
{
	struct vmbus_channel_state *st = ch->state;
	const struct vmbus_server_config *config = &st->server->config;
	uint32_t vp = atomic_load_explicit(&st->vp, memory_order_relaxed);

	if (vp == VMBUS_NO_VP)
		return;
	atomic_fetch_add_explicit(&st->signals_out, 1, memory_order_relaxed);
	config->transport->signal(config->opaque, vp, VMBUS_SINT, ch->id);
}

void vmbus_channel_violation(struct vmbus_channel *ch, uint32_t type,
			     uint32_t offset, uint64_t value, const char *rule)
{
	struct vmbus_channel_state *st = ch->state;

	violation_record(ch->device->ops->name, ch->id, type, offset, value,
			 rule);
	st->running = false;
	reactor_post(st->server->config.reactor, &st->broken_call);
}

void vmbus_channel_closed(struct vmbus_channel *ch)
{
	reactor_post(ch->state->server->config.reactor,
		     &ch->state->closed_call);
}

int vmbus_server_signal(struct vmbus_server *server, uint32_t connection,
			uint16_t flag)
{
	uint32_t id = connection & VMBUS_CONNECTION_CHANNEL_MASK;
	uint32_t rest = VMBUS_SINT << VMBUS_CONNECTION_SINT_SHIFT |
			(uint32_t)server->config.vtl
				<< VMBUS_CONNECTION_VTL_SHIFT;
	struct vmbus_channel_state *st;
	struct reactor *reactor;

	if (id > VMBUS_MAX_CHANNELS || connection != (rest | id))
		return -ENOENT;
	st = atomic_load_explicit(&server->signal[id], memory_order_acquire);
	if (!st)
		return -ENOENT;
	if (flag)
		return -EINVAL;
	reactor = atomic_load_explicit(&st->reactor, memory_order_acquire);
	if (!reactor)
		return -ENOENT;
	atomic_fetch_add_explicit(&st->signals_in, 1, memory_order_relaxed);
	reactor_post(reactor, &st->run_call);
	return 0;
}

/* The server's reactor. */

static void signals_on(struct vmbus_channel_state *st)
{
	atomic_store_explicit(&st->reactor, st->ch.reactor,
			      memory_order_release);
	atomic_store_explicit(&st->server->signal[st->ch.id], st,
			      memory_order_release);
}

static void signals_off(struct vmbus_channel_state *st)
{
	atomic_store_explicit(&st->server->signal[st->ch.id], NULL,
			      memory_order_release);
	atomic_store_explicit(&st->reactor, NULL, memory_order_release);
}

static void set_state(struct vmbus_channel_state *st, enum channel_state state)
{
	log_debug("channel %u: state %d -> %d", st->ch.id, st->state, state);
	st->state = state;
}

/* Maps the ring of an OPEN; 0, or -errno with *refusal filled. */
static int attach_ring(struct vmbus_channel_state *st,
		       const struct vmbus_open_channel *open,
		       struct refusal *refusal)
{
	struct guest_memory *memory = st->server->config.memory;
	uint32_t id = le32_to_cpu(open->gpadl);
	struct gpadl *gpadl = gpadl_find(&st->gpadls, id);
	struct ring *ring = &st->ch.ring;
	int err;

	if (!gpadl || !gpadl->complete || gpadl->teardown || gpadl->users) {
		*refusal = (struct refusal){
			offsetof(struct vmbus_open_channel, gpadl), id,
			"ring GPADL complete, of this channel and unused",
		};
		return -ENOENT;
	}
	err = gpadl_map_ring(gpadl, memory, le32_to_cpu(open->downstream_page),
			     &st->ring, refusal);
	if (err)
		return err;
	err = ring_init(ring, st->ring.first, st->ring.second);
	if (err) {
		*refusal = (struct refusal){ 0, ring->broken_value,
					     ring->broken };
		gpadl_unmap_ring(&st->ring, memory);
	}
	return err;
}

static void open_failed(struct vmbus_channel_state *st, uint32_t open_id)
{
	send_open_result(st->server, st->ch.id, open_id,
			 VMBUS_STATUS_UNSUCCESSFUL);
}

static void open_begin(struct vmbus_channel_state *st,
		       const struct vmbus_open_channel *open)
{
	const struct vmbus_server_config *config = &st->server->config;
	uint32_t vp = le32_to_cpu(open->vp);
	uint32_t vp_at = offsetof(struct vmbus_open_channel, vp);
	struct refusal refusal;
	struct reactor *reactor = NULL;

	/* Without interrupts any VP will do; the one of messages exists. */
	if (vp == VMBUS_NO_VP || vp < config->nr_vps)
		reactor = config->transport->reactor(config->opaque,
				vp == VMBUS_NO_VP ? st->server->vp : vp);
	if (!reactor) {
		server_refuse(st->server, st->ch.id, VMBUS_OPEN_CHANNEL, vp_at,
			      vp, "VP exists");
		open_failed(st, le32_to_cpu(open->open_id));
		return;
	}
	if (attach_ring(st, open, &refusal)) {
		server_refuse_for(st->server, st->ch.id, VMBUS_OPEN_CHANNEL,
				  &refusal);
		open_failed(st, le32_to_cpu(open->open_id));
		return;
	}
	memcpy(st->open_user_data, open->user_data, VMBUS_USER_DATA_SIZE);
	st->open_id = le32_to_cpu(open->open_id);
	st->ch.vp = vp;
	st->ch.reactor = reactor;
	st->ch.opaque = NULL;
	st->abandon = false;
	st->client_closed = false;
	atomic_store(&st->vp, vp);
	atomic_store(&st->subchannels_wanted, 0);
	st->nr_subchannels = 0;
	st->server->nr_busy++;
	set_state(st, CHANNEL_OPENING);
	signals_on(st);
	reactor_post(reactor, &st->open_call);
}

/* The device holds nothing any more. */
static void become_closed(struct vmbus_channel_state *st)
{
	struct vmbus_server *server = st->server;
	struct vmbus_open_channel open;

	gpadl_unmap_ring(&st->ring, server->config.memory);
	set_state(st, st->client_closed ? CHANNEL_CLOSED : CHANNEL_STOPPED);
	server->nr_busy--;
	gpadl_answer_teardowns(st);
	if (st->reopen) {
		st->reopen = false;
		open = st->reopen_message;
		open_begin(st, &open);
		return;
	}
	/* Either may free the channel's device. */
	if (server->state == DISCONNECTING)
		connection_channel_idle(server);
	else
		offer_channel_idle(st);
}

static void close_begin(struct vmbus_channel_state *st)
{
	signals_off(st);
	set_state(st, CHANNEL_CLOSING);
	if (!st->ch.sub_index)
		offer_revoke_subchannels(st->ch.device);
	reactor_post(st->ch.reactor, &st->close_call);
}

void channel_stop(struct vmbus_channel_state *st)
{
	st->reopen = false;
	if (st->state == CHANNEL_OPENING) {
		st->abandon = true;
	} else if (st->state == CHANNEL_OPEN) {
		/* Whoever stops it takes care that the client learns of it. */
		st->client_closed = true;
		close_begin(st);
	} else if (st->state == CHANNEL_CLOSING) {
		st->client_closed = true;
	}
}

static void channel_opened(struct reactor_call *call)
{
	struct vmbus_channel_state *st = channel_of(call, opened_call);

	if (st->open_error) {
		log_warn_limited("channel %u: %s cannot open: %s", st->ch.id,
				 st->ch.device->ops->name,
				 strerror(-st->open_error));
		signals_off(st);
		if (!st->abandon)
			open_failed(st, st->open_id);
		st->client_closed = true;
		become_closed(st);
		return;
	}
	set_state(st, CHANNEL_OPEN);
	if (st->abandon) {
		channel_stop(st);
		return;
	}
	send_open_result(st->server, st->ch.id, st->open_id,
			 VMBUS_STATUS_SUCCESS);
	reactor_post(st->ch.reactor, &st->run_call);
}

static void channel_closed(struct reactor_call *call)
{
	struct vmbus_channel_state *st = channel_of(call, closed_call);

	pv_bug(st->state != CHANNEL_CLOSING, st->state, st->ch.id);
	become_closed(st);
}

static void channel_broken(struct reactor_call *call)
{
	struct vmbus_channel_state *st = channel_of(call, broken_call);

	/* Else it is being closed for another reason already. */
	if (st->state == CHANNEL_OPEN)
		close_begin(st);
}

void channel_init(struct vmbus_channel_state *st)
{
	st->ch.state = st;
	st->ch.open_user_data = st->open_user_data;
	st->kick_timer.fn = channel_kick;
	st->open_call.fn = channel_open;
	st->run_call.fn = channel_run;
	st->close_call.fn = channel_close;
	st->opened_call.fn = channel_opened;
	st->closed_call.fn = channel_closed;
	st->broken_call.fn = channel_broken;
	st->subchannels_call.fn = offer_subchannels;
}

/* Messages. */

void handle_open_channel(struct vmbus_server *server, const void *message,
			 size_t size)
{
	const struct vmbus_open_channel *open = message;
	uint32_t id = le32_to_cpu(open->channel);
	struct vmbus_channel_state *st =
		server_channel(server, id, VMBUS_OPEN_CHANNEL);

	(void)size;
	if (!st) {
		send_open_result(server, id, le32_to_cpu(open->open_id),
				 VMBUS_STATUS_UNSUCCESSFUL);
	} else if (st->revoked) {
		/* RESCIND is, or will be, the answer. */
		log_debug("channel %u: OPEN crossed RESCIND", id);
	} else if (st->state == CHANNEL_CLOSED) {
		open_begin(st, open);
	} else if (st->state == CHANNEL_CLOSING && st->client_closed &&
		   !st->reopen) {
		st->reopen = true;
		st->reopen_message = *open;
	} else {
		server_refuse(server, id, VMBUS_OPEN_CHANNEL,
			      offsetof(struct vmbus_open_channel, channel), id,
			      "channel not open yet");
		send_open_result(server, id, le32_to_cpu(open->open_id),
				 VMBUS_STATUS_UNSUCCESSFUL);
	}
}

void handle_close_channel(struct vmbus_server *server, const void *message,
			  size_t size)
{
	const struct vmbus_channel_message *close = message;
	uint32_t id = le32_to_cpu(close->channel);
	struct vmbus_channel_state *st =
		server_channel(server, id, VMBUS_CLOSE_CHANNEL);

	(void)size;
	if (!st)
		return;
	if (st->state == CHANNEL_OPEN) {
		st->client_closed = true;
		close_begin(st);
	} else if (st->state == CHANNEL_CLOSING && !st->client_closed) {
		st->client_closed = true;
	} else if (st->state == CHANNEL_STOPPED) {
		set_state(st, CHANNEL_CLOSED);
	} else if (!st->revoked) {
		server_refuse(server, id, VMBUS_CLOSE_CHANNEL,
			      offsetof(struct vmbus_channel_message, channel),
			      id, "channel open");
	}
}

static void send_modify_response(struct vmbus_server *server, uint32_t id,
				 uint32_t status)
{
	struct vmbus_modify_channel_response response = {
		.channel = cpu_to_le32(id),
		.status = cpu_to_le32(status),
	};

	if (server->version >= VMBUS_VERSION_IRON)
		server_send(server, VMBUS_MODIFY_CHANNEL_RESPONSE, &response,
			    sizeof(response));
}

void handle_modify_channel(struct vmbus_server *server, const void *message,
			   size_t size)
{
	const struct vmbus_modify_channel *modify = message;
	uint32_t id = le32_to_cpu(modify->channel);
	uint32_t vp = le32_to_cpu(modify->vp);
	uint32_t status = VMBUS_STATUS_UNSUCCESSFUL;
	uint32_t vp_at = offsetof(struct vmbus_modify_channel, vp);
	struct vmbus_channel_state *st =
		server_channel(server, id, VMBUS_MODIFY_CHANNEL);

	(void)size;
	if (!st) {
		/* Recorded. */
	} else if (st->state != CHANNEL_OPEN ||
		   atomic_load(&st->vp) == VMBUS_NO_VP) {
		if (!st->revoked)
			server_refuse(server, id, VMBUS_MODIFY_CHANNEL,
				      offsetof(struct vmbus_modify_channel,
					       channel),
				      id, "channel open, with interrupts");
	} else if (vp >= server->config.nr_vps) {
		server_refuse(server, id, VMBUS_MODIFY_CHANNEL, vp_at, vp,
			      "VP exists");
	} else {
		atomic_store(&st->vp, vp);
		status = VMBUS_STATUS_SUCCESS;
	}
	send_modify_response(server, id, status);
}
