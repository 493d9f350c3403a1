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
 *	  |   MODIFY --------------- move_call --------> the other VP, from now on
 *	  | <----------------------- moved_call ---------'
 *	  | CLOSE, revoke, disconnect, violation
 *	  | signals off
 *	CLOSING ------------------ close_call -------> close() of the device
 *	  | <--------------------- closed_call ----------... when it let go
 *	  | a primary: when its sub-channels are closed, too
 *	  | ring unmapped, teardowns answered
 *	CLOSED, or STOPPED until the client closes too
 *
 * An open that fails goes straight back to CLOSED. An OPENING channel that
 * shall close waits in `abandon`; its client gets no OPEN_RESULT, since it
 * gets, or knows, something stronger. OPEN during CLOSING is kept and replayed
 * when the device let go.
 *
 * A primary that closes stops its sub-channels. When it is open again, others
 * are offered with the same indexes, by which the device knows them: so it is
 * busy for as long as one of them is, however that was opened.
 *
 * A reserved channel goes the same way, without interrupts. It may be open when
 * the connection ends; then it keeps its id and its ring, until the client,
 * connected or not, or a reset closes it.
 *
 * A signal may be late: the table entry is gone, but a thread has read it.
 * Structures live as long as the server and run_call checks, on arrival, that
 * it is on the right reactor and that the channel is running.
 *
 * Failure answers: an OPEN of what is no ring gets a failed OPEN_RESULT and is
 * recorded, as is what a device says about its client.
 */
#include <errno.h>
#include <string.h>

#include <pv/log.h>
#include <pv/violation.h>

#include "vmbus_state.h"

LOG_MODULE("vmbus");

/* Some clients lose interrupts that come before they saw OPEN_RESULT. */
#define KICK_DELAY_NS 100000000ull

void channel_send_open_result(struct vmbus_server *server, uint32_t id,
			      const struct open_request *request,
			      uint32_t status)
{
	struct vmbus_open_result result = {
		.channel = cpu_to_le32(id),
		.open_id = cpu_to_le32(request->open_id),
		.status = cpu_to_le32(status),
	};

	if (request->reserved)
		server_send_to(server, request->reply.vp, request->reply.sint,
			       VMBUS_OPEN_RESULT, &result, sizeof(result));
	else
		server_send(server, VMBUS_OPEN_RESULT, &result,
			    sizeof(result));
}

bool channel_is_busy(const struct vmbus_channel_state *st)
{
	return st->state == CHANNEL_OPENING || st->state == CHANNEL_OPEN ||
	       st->state == CHANNEL_CLOSING;
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

void vmbus_channel_run_again(struct vmbus_channel *ch)
{
	reactor_post(ch->reactor, &ch->state->run_call);
}

static void channel_move(struct reactor_call *call)
{
	struct vmbus_channel_state *st = channel_of(call, move_call);

	atomic_store(&st->vp, st->modify_vp);
	reactor_post(st->server->config.reactor, &st->moved_call);
}

void vmbus_channel_signal(struct vmbus_channel *ch)
{
	struct vmbus_channel_state *st = ch->state;
	const struct vmbus_server_config *config = &st->server->config;
	uint32_t vp = atomic_load_explicit(&st->vp, memory_order_relaxed);

	if (vp == VMBUS_NO_VP)
		return;
	atomic_fetch_add_explicit(&st->signals_out, 1, memory_order_relaxed);
	config->transport->signal(config->opaque, vp, VMBUS_SINT,
				  st->open.event_flag);
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
	uint32_t slot = connection_slot(server, connection);
	struct vmbus_channel_state *st;
	struct reactor *reactor;

	/* Slot 0 is nobody's. */
	st = atomic_load_explicit(&server->signal[slot], memory_order_acquire);
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

static void set_signal(struct vmbus_channel_state *st,
		       struct vmbus_channel_state *whose)
{
	struct vmbus_server *server = st->server;
	uint32_t slot = connection_slot(server, st->open.connection);

	atomic_store_explicit(&server->signal[slot], whose,
			      memory_order_release);
}

void channel_enter_signals(struct vmbus_channel_state *st, bool enter)
{
	set_signal(st, enter ? st : NULL);
}

static void signals_on(struct vmbus_channel_state *st)
{
	atomic_store_explicit(&st->reactor, st->ch.reactor,
			      memory_order_release);
	set_signal(st, st);
}

static void signals_off(struct vmbus_channel_state *st)
{
	set_signal(st, NULL);
	atomic_store_explicit(&st->reactor, NULL, memory_order_release);
}

void channel_set_state(struct vmbus_channel_state *st,
		       enum channel_state state)
{
	log_debug("channel %u: state %d -> %d", st->ch.id, st->state, state);
	st->state = state;
}

/* Maps the ring of an OPEN; 0, or -errno with *refusal filled. */
static int attach_ring(struct vmbus_channel_state *st,
		       const struct open_request *request,
		       struct refusal *refusal)
{
	struct guest_memory *memory = st->server->config.memory;
	struct gpadl *gpadl = gpadl_find(&st->gpadls, request->gpadl);
	struct ring *ring = &st->ch.ring;
	int err;

	if (!gpadl || !gpadl->complete || gpadl->teardown || gpadl->users) {
		*refusal = (struct refusal){
			offsetof(struct vmbus_open_channel, gpadl),
			request->gpadl,
			"vmbus.open.gpadl",
		};
		return -ENOENT;
	}
	err = gpadl_map_ring(gpadl, memory, request->split, &st->ring, refusal);
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

bool channel_check_signals(const struct vmbus_channel_state *st,
			   const struct open_request *request,
			   struct refusal *refusal)
{
	uint32_t slot = connection_slot(st->server, request->connection);
	uint32_t vp = request->vp;

	*refusal = (struct refusal){
		offsetof(struct vmbus_open_channel_signal, connection),
		request->connection, "vmbus.open.connection",
	};
	if (!slot || atomic_load(&st->server->signal[slot]))
		return false;
	*refusal = (struct refusal){
		offsetof(struct vmbus_open_channel_signal, event_flag),
		request->event_flag, "vmbus.open.event-flag",
	};
	if (!request->event_flag || request->event_flag > VMBUS_MAX_CHANNELS)
		return false;
	*refusal = (struct refusal){
		offsetof(struct vmbus_open_channel, vp), vp, "vmbus.vp",
	};
	return vp == VMBUS_NO_VP || vp < st->server->config.nr_vps;
}

/* Finds all that an open channel needs: 0, or -errno with *refusal filled. */
static int attach(struct vmbus_channel_state *st,
		  const struct open_request *request, struct reactor **reactor,
		  struct refusal *refusal)
{
	const struct vmbus_server_config *config = &st->server->config;
	uint32_t vp = request->vp;

	if (!channel_check_signals(st, request, refusal))
		return -EINVAL;
	/* Without interrupts any VP will do; the one of messages exists. */
	*reactor = config->transport->reactor(config->opaque,
				vp == VMBUS_NO_VP ? st->server->vp : vp);
	if (!*reactor)
		return -EINVAL;
	return attach_ring(st, request, refusal);
}

void channel_open_begin(struct vmbus_channel_state *st,
			const struct open_request *request)
{
	uint32_t type = request->reserved ? VMBUS_OPEN_RESERVED :
					    VMBUS_OPEN_CHANNEL;
	uint32_t gpadl_at = offsetof(struct vmbus_open_channel, gpadl);
	struct refusal refusal;
	struct reactor *reactor;

	_Static_assert(offsetof(struct vmbus_open_channel, downstream_page) ==
		       offsetof(struct vmbus_open_reserved, downstream_page),
		       "same place");
	if (channel_is_relayed(st)) {
		relayed_open(st, request);
		return;
	}
	if (attach(st, request, &reactor, &refusal)) {
		/* The other field is at the same place in both messages. */
		if (request->reserved && refusal.offset == gpadl_at)
			refusal.offset = offsetof(struct vmbus_open_reserved,
						  gpadl);
		server_refuse_for(st->server, st->ch.id, type, &refusal);
		channel_send_open_result(st->server, st->ch.id, request,
					 VMBUS_STATUS_UNSUCCESSFUL);
		return;
	}
	st->open = *request;
	st->ch.vp = request->vp;
	st->ch.reactor = reactor;
	st->ch.opaque = NULL;
	st->abandon = false;
	st->client_closed = false;
	st->answer_close = false;
	atomic_store(&st->vp, request->vp);
	atomic_store(&st->subchannels_wanted, 0);
	st->nr_subchannels = 0;
	st->server->nr_busy++;
	st->server->nr_reserved += request->reserved;
	channel_set_state(st, CHANNEL_OPENING);
	signals_on(st);
	reactor_post(reactor, &st->open_call);
}

void channel_closed_by_client(struct vmbus_channel_state *st)
{
	channel_set_state(st, CHANNEL_CLOSED);
	if (st->answer_close)
		channel_send_close_response(st->server, st->ch.id,
					    st->close_reply);
	st->answer_close = false;
	st->open.reserved = false;
	if (!st->offered)
		offer_forget(st);
}

static void become_closed(struct vmbus_channel_state *st)
{
	struct vmbus_server *server = st->server;
	struct open_request request;

	gpadl_unmap_ring(&st->ring, server->config.memory);
	server->nr_busy--;
	server->nr_reserved -= st->open.reserved;
	channel_set_state(st, CHANNEL_STOPPED);
	gpadl_answer_teardowns(st);
	if (st->client_closed)
		channel_closed_by_client(st);
	if (st->reopen) {
		st->reopen = false;
		request = st->reopen_request;
		channel_open_begin(st, &request);
		return;
	}
	/* Either may free the channel's device. */
	if (server->state == DISCONNECTING)
		connection_channel_idle(server);
	else
		offer_channel_idle(st);
}

static bool has_busy_subchannel(const struct vmbus_channel_state *primary)
{
	const struct vmbus_channel_state *sub = primary->next;

	while (sub && !channel_is_busy(sub))
		sub = sub->next;
	return sub;
}

/* The device holds nothing of the channel any more. */
static void let_go(struct vmbus_channel_state *st)
{
	struct vmbus_channel_state *primary = st->ch.device->channels;

	if (st != primary) {
		/* The primary is busy: its device stays. */
		become_closed(st);
		if (!primary->awaits_subs)
			return;
	}
	primary->awaits_subs = has_busy_subchannel(primary);
	if (!primary->awaits_subs)
		become_closed(primary);
}

void channel_close_begin(struct vmbus_channel_state *st)
{
	signals_off(st);
	channel_set_state(st, CHANNEL_CLOSING);
	if (!st->ch.sub_index)
		offer_revoke_subchannels(st->ch.device);
	reactor_post(st->ch.reactor, &st->close_call);
}

void channel_stop(struct vmbus_channel_state *st)
{
	st->reopen = false;
	if (channel_is_relayed(st)) {
		relayed_stop(st);
	} else if (st->state == CHANNEL_OPENING) {
		st->abandon = true;
	} else if (st->state == CHANNEL_OPEN) {
		/* Whoever stops it takes care that the client learns of it. */
		st->client_closed = true;
		channel_close_begin(st);
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
			channel_send_open_result(st->server, st->ch.id,
						 &st->open,
						 VMBUS_STATUS_UNSUCCESSFUL);
		st->client_closed = true;
		let_go(st);
		return;
	}
	channel_set_state(st, CHANNEL_OPEN);
	if (st->abandon) {
		channel_stop(st);
		return;
	}
	channel_send_open_result(st->server, st->ch.id, &st->open,
				 VMBUS_STATUS_SUCCESS);
	reactor_post(st->ch.reactor, &st->run_call);
}

static void channel_closed(struct reactor_call *call)
{
	struct vmbus_channel_state *st = channel_of(call, closed_call);

	pv_bug(st->state != CHANNEL_CLOSING, st->state, st->ch.id);
	let_go(st);
}

static void channel_moved(struct reactor_call *call)
{
	struct vmbus_channel_state *st = channel_of(call, moved_call);

	st->modifying = false;
	channel_send_modify_response(st->server, st->ch.id,
				     VMBUS_STATUS_SUCCESS);
}

void channel_modify(struct vmbus_channel_state *st, uint32_t vp)
{
	st->modifying = true;
	st->modify_vp = vp;
	reactor_post(st->ch.reactor, &st->move_call);
}

static void channel_broken(struct reactor_call *call)
{
	struct vmbus_channel_state *st = channel_of(call, broken_call);

	/* Else it is being closed for another reason already. */
	if (st->state == CHANNEL_OPEN)
		channel_close_begin(st);
}

void channel_init(struct vmbus_channel_state *st)
{
	st->ch.state = st;
	st->ch.open_user_data = st->open.user_data;
	st->kick_timer.fn = channel_kick;
	st->open_call.fn = channel_open;
	st->run_call.fn = channel_run;
	st->move_call.fn = channel_move;
	st->close_call.fn = channel_close;
	st->opened_call.fn = channel_opened;
	st->moved_call.fn = channel_moved;
	st->closed_call.fn = channel_closed;
	st->broken_call.fn = channel_broken;
	st->subchannels_call.fn = offer_subchannels;
	st->released_call.fn = relayed_released;
}
