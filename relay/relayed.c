/* SPDX-License-Identifier: MIT */
/*
 * Relayed channels, theory of operation
 *
 * Owns what the server does for a device of another bus: the states of
 * channel.c without a ring, a reactor or a hold. Each arrow to the right is a
 * call of the device's table, each to the left one of its answers:
 *
 *	HEADER, BODY...   words checked --gpadl_create--> asked
 *	GPADL_CREATED     complete, or gone <-------------'
 *	TEARDOWN          ------------------gpadl_teardown-->
 *	GPADL_TORNDOWN    gone <-----------------------------'
 *
 *	CLOSED  --OPEN------------------open--> OPENING
 *	OPENING <-- OPEN_RESULT ----------------'  OPEN, or CLOSED
 *	OPEN    --CLOSE-----------------close--> CLOSED
 *	any     --disconnect, revoke--release--> CLOSING --released--> CLOSED
 *
 * Half a GPADL never leaves the server, so an id that a BODY names is not
 * looked for on two buses, and pages that are not guest RAM are refused before
 * anyone else is told of them: the other side may reach more than the guest.
 *
 * CLOSE has no answer in the protocol, and none is waited for; it ends a MODIFY,
 * which the other side may forget then. A TEARDOWN that follows is answered when
 * the other side let go, and an OPEN that follows opens again there. A
 * disconnect does wait: until the other side has let go of every GPADL, the
 * guest must not use its memory for something else. So a channel with GPADLs
 * there is not the client's to release.
 *
 * While open, the connection id that the client signals stands in the table of
 * signals without a reactor: nobody else gets it, and a signal that does reach
 * us, early or late, is for somebody else.
 *
 * Threads: the server's reactor. Failure answers: as channel.c; how long an
 * answer takes is the relaying side's to bound, which then revokes the device:
 * GPADLs that wait are refused, teardowns answered, an OPEN gets no result.
 */
#include <errno.h>

#include <pv/log.h>

#include "vmbus_state.h"

void relayed_gpadl_create(struct vmbus_channel_state *st, struct gpadl *gpadl)
{
	struct vmbus_device *dev = st->ch.device;
	uint32_t id = gpadl->id;
	int err;

	gpadl->asked = true;
	err = dev->relay->gpadl_create(dev, id, gpadl->range_count,
				       gpadl->word, gpadl->nr_words);
	if (err == -EEXIST)
		server_refuse(st->server, st->ch.id, VMBUS_GPADL_HEADER,
			      offsetof(struct vmbus_gpadl_header, gpadl), id,
			      "vmbus.gpadl.id-in-use");
	if (err)
		vmbus_relay_gpadl_created(dev, id, VMBUS_STATUS_UNSUCCESSFUL);
}

void relayed_gpadl_teardown(struct vmbus_channel_state *st,
			    struct gpadl *gpadl)
{
	struct vmbus_device *dev = st->ch.device;
	uint32_t id = gpadl->id;

	if (gpadl->asked || (gpadl->complete && st->state == CHANNEL_CLOSING)) {
		/* When it is known what becomes of it. */
		gpadl->teardown = true;
	} else if (gpadl->complete && !st->revoked) {
		gpadl->teardown = true;
		dev->relay->gpadl_teardown(dev, id);
	} else {
		gpadl_drop(st, gpadl);
		gpadl_send_torndown(st->server, id);
	}
}

void vmbus_relay_gpadl_created(struct vmbus_device *dev, uint32_t id,
			       uint32_t status)
{
	struct vmbus_channel_state *st = dev->channels;
	struct gpadl *gpadl = gpadl_find(&st->gpadls, id);
	bool teardown;

	if (!gpadl || !gpadl->asked || st->state == CHANNEL_CLOSING)
		return;
	teardown = gpadl->teardown;
	gpadl->asked = false;
	gpadl->complete = true;
	if (status)
		gpadl_drop(st, gpadl);
	gpadl_send_created(st->server, st->ch.id, id, status);
	if (!teardown)
		return;
	if (status)
		gpadl_send_torndown(st->server, id);
	else
		dev->relay->gpadl_teardown(dev, id);
}

void vmbus_relay_gpadl_torndown(struct vmbus_device *dev, uint32_t id)
{
	struct vmbus_channel_state *st = dev->channels;
	struct gpadl *gpadl = gpadl_find(&st->gpadls, id);

	if (!gpadl || !gpadl->teardown || gpadl->asked ||
	    st->state == CHANNEL_CLOSING)
		return;
	gpadl_drop(st, gpadl);
	gpadl_send_torndown(st->server, id);
}

/* ---- open and closed ---- */

static void refuse_modify(struct vmbus_channel_state *st)
{
	if (st->modifying)
		channel_send_modify_response(st->server, st->ch.id,
					     VMBUS_STATUS_UNSUCCESSFUL);
	st->modifying = false;
}

static bool check_gpadl(const struct vmbus_channel_state *st,
			const struct open_request *request,
			struct refusal *refusal)
{
	const struct gpadl *gpadl = gpadl_find(&st->gpadls, request->gpadl);

	*refusal = (struct refusal){
		offsetof(struct vmbus_open_channel, gpadl), request->gpadl,
		"vmbus.open.gpadl",
	};
	return gpadl && gpadl->complete && !gpadl->teardown;
}

void relayed_open(struct vmbus_channel_state *st,
		  const struct open_request *request)
{
	struct vmbus_device *dev = st->ch.device;
	struct vmbus_relay_open open = {
		.gpadl = request->gpadl,
		.split = request->split,
		.vp = request->vp,
		.connection = request->connection,
		.event_flag = request->event_flag,
		.user_data = st->open.user_data,
	};
	struct refusal refusal;

	if (!channel_check_signals(st, request, &refusal) ||
	    !check_gpadl(st, request, &refusal)) {
		server_refuse_for(st->server, st->ch.id, VMBUS_OPEN_CHANNEL,
				  &refusal);
		channel_send_open_result(st->server, st->ch.id, request,
					 VMBUS_STATUS_UNSUCCESSFUL);
		return;
	}
	st->open = *request;
	atomic_store(&st->vp, request->vp);
	st->server->nr_busy++;
	channel_set_state(st, CHANNEL_OPENING);
	channel_enter_signals(st, true);
	dev->relay->open(dev, &open);
}

/* Open, opening or closing no more. */
static void become_closed(struct vmbus_channel_state *st)
{
	channel_enter_signals(st, false);
	st->server->nr_busy--;
	channel_set_state(st, CHANNEL_CLOSED);
}

void vmbus_relay_opened(struct vmbus_device *dev, uint32_t status)
{
	struct vmbus_channel_state *st = dev->channels;

	if (st->state != CHANNEL_OPENING)
		return;
	if (status)
		become_closed(st);
	else
		channel_set_state(st, CHANNEL_OPEN);
	channel_send_open_result(st->server, st->ch.id, &st->open, status);
}

void relayed_close(struct vmbus_channel_state *st)
{
	struct vmbus_device *dev = st->ch.device;

	become_closed(st);
	refuse_modify(st);
	dev->relay->close(dev);
}

void relayed_modify(struct vmbus_channel_state *st, uint32_t vp)
{
	struct vmbus_device *dev = st->ch.device;

	st->modifying = true;
	st->modify_vp = vp;
	dev->relay->modify(dev, vp);
}

void vmbus_relay_modified(struct vmbus_device *dev, uint32_t status)
{
	struct vmbus_channel_state *st = dev->channels;

	if (!st->modifying)
		return;
	st->modifying = false;
	if (!status)
		atomic_store(&st->vp, st->modify_vp);
	channel_send_modify_response(st->server, st->ch.id, status);
}

/* ---- the end ---- */

bool relayed_has_gpadls(const struct vmbus_channel_state *st)
{
	const struct gpadl *gpadl = st->gpadls.first;

	while (gpadl && !gpadl->complete && !gpadl->asked)
		gpadl = gpadl->next;
	return gpadl;
}

/* Nobody will answer what the client waits for. In a disconnect it hears
 * nothing, since it is not connected any more. */
static void answer_waiting(struct vmbus_channel_state *st)
{
	struct vmbus_server *server = st->server;
	struct gpadl *gpadl, *next;

	for (gpadl = st->gpadls.first; gpadl; gpadl = next) {
		bool asked = gpadl->asked, teardown = gpadl->teardown;
		uint32_t id = gpadl->id;

		next = gpadl->next;
		if (!asked && !teardown)
			continue;
		gpadl_drop(st, gpadl);
		if (asked)
			gpadl_send_created(server, st->ch.id, id,
					   VMBUS_STATUS_UNSUCCESSFUL);
		if (teardown)
			gpadl_send_torndown(server, id);
	}
	refuse_modify(st);
}

void relayed_stop(struct vmbus_channel_state *st)
{
	struct vmbus_device *dev = st->ch.device;

	if (st->state == CHANNEL_CLOSING || st->state == CHANNEL_RESCINDED ||
	    (!relayed_has_gpadls(st) && !channel_is_busy(st)))
		return;
	if (!channel_is_busy(st)) {
		st->server->nr_busy++;
		/* It may have been another channel's for a while. */
		st->open.connection = 0;
	}
	channel_set_state(st, CHANNEL_CLOSING);
	dev->relay->release(dev);
}

void relayed_released(struct reactor_call *call)
{
	struct vmbus_channel_state *st = channel_of(call, released_call);
	struct vmbus_server *server = st->server;

	pv_bug(st->state != CHANNEL_CLOSING, st->state, st->ch.id);
	become_closed(st);
	answer_waiting(st);
	/* Either may free the channel's device. */
	if (server->state == DISCONNECTING)
		connection_channel_idle(server);
	else
		offer_channel_idle(st);
}

void vmbus_relay_released(struct vmbus_device *dev)
{
	struct vmbus_channel_state *st = dev->channels;

	/* Never from inside release(): more than one may be stopped. */
	reactor_post(st->server->config.reactor, &st->released_call);
}
