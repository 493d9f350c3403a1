/* SPDX-License-Identifier: MIT */
/*
 * Messages to the host, theory of operation
 *
 * Owns the queue to the host, and the questions that it has not answered.
 *
 *	bus_client_post() ---> posted
 *	      |               ^
 *	      | no room       | 1 ms later, and again
 *	      v               |
 *	    queue ------------+---> 5 s without one that is posted, or 20 s until
 *	                            all are: the connection is no more
 *
 * The order is kept: while anything waits, everything waits behind it. The user
 * is told and asks no more; what it has still to say by then is bounded by its
 * channels and GPADLs. The UNLOAD of a connection that is no more waits alone,
 * without a bound, and is tried less often: nobody waits for it.
 *
 * Questions wait in two lists, by how long the host may take, in the order they
 * were asked; each has one timer for the first of them, armed while there is
 * any. A reactor that was away for long runs its timers before it reads what
 * came: a list whose time is over is judged a while later, when that was read.
 *
 * Threads: the bus's reactor. Failure answers: a message that the host will
 * never take is counted and dropped: the question it was expires.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <pv/log.h>

#include "host_bus_state.h"

LOG_MODULE("host_bus");

#define RETRY_NS 1000000ull
#define LEAVING_RETRY_NS 100000000ull

/* 0: posted, or lost for good. */
static int post(struct bus_client *bus, const void *payload, size_t size)
{
	int err = bus->config.transport->post(bus->config.transport_opaque,
					      bus->connection, payload, size);

	/* The host that named the connection may not be ready for it yet. */
	if (err == -EAGAIN || (err == -ENXIO && bus->phase != BUS_CONTACT))
		return -EAGAIN;
	if (err) {
		bus->count.lost++;
		log_warn_limited("the host refuses a message of %zu bytes: %s",
				 size, strerror(-err));
		return 0;
	}
	bus->count.messages_out++;
	return 0;
}

static void set_busy(struct bus_client *bus, bool busy)
{
	if (bus->busy == busy)
		return;
	bus->busy = busy;
	bus->config.user->busy(bus->config.user_opaque, busy);
}

static void retry_later(struct bus_client *bus)
{
	reactor_timer_arm(bus->config.reactor, &bus->retry,
			  reactor_now() + (bus->phase == BUS_LEAVING ?
					   LEAVING_RETRY_NS : RETRY_NS));
}

static void queue(struct bus_client *bus, const void *message, size_t size)
{
	struct host_message *out = calloc(1, sizeof(*out));
	bool first = !bus->out;

	if (!out) {
		bus->count.lost++;
		log_err("no memory for a message of %zu bytes", size);
		return;
	}
	out->size = (uint32_t)size;
	memcpy(out->payload, message, size);
	*bus->out_last = out;
	bus->out_last = &out->next;
	if (!first)
		return;
	bus->out_since = bus->out_taken = reactor_now();
	retry_later(bus);
	set_busy(bus, bus->phase != BUS_LEAVING);
}

void bus_client_post(struct bus_client *bus, enum vmbus_message_type type,
		     void *message, size_t size)
{
	struct vmbus_header header = { .type = cpu_to_le32(type) };

	memcpy(message, &header, sizeof(header));
	if (bus->out || post(bus, message, size))
		queue(bus, message, size);
}

static void drop_first(struct bus_client *bus)
{
	struct host_message *out = bus->out;

	bus->out = out->next;
	if (!bus->out)
		bus->out_last = &bus->out;
	free(out);
}

/* Nobody waits for the UNLOAD of a lost connection. */
static bool may_wait(const struct bus_client *bus)
{
	uint64_t now = reactor_now();

	return bus->phase == BUS_LEAVING ||
	       (now - bus->out_taken < HOST_BUS_DEADLINE_NS &&
		now - bus->out_since < HOST_BUS_ROOM_NS);
}

static void retry(struct reactor_timer *timer)
{
	struct bus_client *bus = (struct bus_client *)((char *)timer -
					offsetof(struct bus_client, retry));

	while (bus->out && !post(bus, bus->out->payload, bus->out->size)) {
		drop_first(bus);
		bus->out_taken = reactor_now();
	}
	if (!bus->out) {
		set_busy(bus, false);
	} else if (may_wait(bus)) {
		retry_later(bus);
	} else {
		log_err("the host takes no messages");
		bus->count.unanswered++;
		bus_client_end(bus, -ETIMEDOUT);
	}
}

/* ---- questions ---- */

static void arm(struct host_questions *list)
{
	struct reactor *reactor = list->bus->config.reactor;

	if (!list->first)
		reactor_timer_cancel(reactor, &list->timer);
	else if (list->first->deadline > list->expired)
		reactor_timer_arm(reactor, &list->timer,
				  list->first->deadline);
	else
		reactor_timer_arm(reactor, &list->timer,
				  list->expired + HOST_BUS_LOOK_NS);
}

static void ask(struct host_questions *list, struct host_question *question,
		struct host_offer_state *offer)
{
	bool first;

	bus_client_answered(question);
	first = !list->first;
	question->in = list;
	question->offer = offer;
	question->deadline = reactor_now() + list->wait_ns;
	question->next = NULL;
	question->at = list->last;
	*list->last = question;
	list->last = &question->next;
	if (first)
		arm(list);
}

void bus_client_ask(struct bus_client *bus, struct host_question *question,
		    struct host_offer_state *offer)
{
	ask(&bus->answers, question, offer);
}

void bus_client_ask_to_let_go(struct bus_client *bus,
			      struct host_question *question,
			      struct host_offer_state *offer)
{
	ask(&bus->letting_go, question, offer);
}

void bus_client_answered(struct host_question *question)
{
	struct host_questions *list = question->in;
	bool first;

	if (!list)
		return;
	first = list->first == question;
	*question->at = question->next;
	if (question->next)
		question->next->at = question->at;
	else
		list->last = question->at;
	question->in = NULL;
	if (first)
		arm(list);
}

static void expire(struct reactor_timer *timer)
{
	struct host_questions *list =
		(struct host_questions *)((char *)timer -
			offsetof(struct host_questions, timer));
	struct bus_client *bus = list->bus;
	struct host_question *question = list->first;
	struct host_offer_state *offer = question->offer;

	if (question->deadline > list->expired) {
		list->expired = reactor_now();
		arm(list);
		return;
	}
	bus->count.unanswered++;
	bus_client_answered(question);
	if (offer) {
		host_offer_lose(offer);
	} else {
		log_err("the host does not answer");
		bus_client_end(bus, -ETIMEDOUT);
	}
}

static void forget_questions(struct host_questions *list)
{
	while (list->first)
		bus_client_answered(list->first);
}

void bus_client_post_forget(struct bus_client *bus)
{
	while (bus->out)
		drop_first(bus);
	forget_questions(&bus->answers);
	forget_questions(&bus->letting_go);
	reactor_timer_cancel(bus->config.reactor, &bus->retry);
	set_busy(bus, false);
}

static void questions_init(struct bus_client *bus,
			   struct host_questions *list, uint64_t wait_ns)
{
	list->bus = bus;
	list->last = &list->first;
	list->timer.fn = expire;
	list->wait_ns = wait_ns;
}

void bus_client_post_init(struct bus_client *bus)
{
	bus->out_last = &bus->out;
	bus->retry.fn = retry;
	questions_init(bus, &bus->answers, HOST_BUS_DEADLINE_NS);
	questions_init(bus, &bus->letting_go, HOST_BUS_LET_GO_NS);
}
