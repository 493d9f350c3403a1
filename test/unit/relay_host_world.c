/* SPDX-License-Identifier: MIT */
/*
 * Relay with a host, theory of operation
 *
 * The host's messages wait in a queue and come to the relay on the daemon's
 * reactor, one a call, so that they interleave with those of the guest.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/unit/host_bus_time.h"
#include "test/unit/reactor_inline.h"
#include "test/unit/relay_host_world.h"

/* The host's transport. */

static int host_post(void *opaque, uint32_t vp, uint8_t sint,
		     const void *payload, size_t size)
{
	struct host_world *w = opaque;
	struct guest_message *message;

	assert_int_equal(vp, 0);
	assert_int_equal(sint, VMBUS_SINT);
	assert_in_range(w->nr_queue, 0, HOST_QUEUE - 1);
	message = &w->queue[w->nr_queue++];
	message->size = (uint32_t)size;
	memcpy(message->payload, payload, size);
	reactor_post(w->g->reactor[0], &w->deliver_call);
	return 0;
}

static void deliver(struct reactor_call *call)
{
	struct host_world *w = (struct host_world *)((char *)call -
				offsetof(struct host_world, deliver_call));
	struct guest_message message = w->queue[0];

	w->nr_queue--;
	memmove(w->queue, w->queue + 1, w->nr_queue * sizeof(w->queue[0]));
	if (w->nr_queue)
		reactor_post(w->g->reactor[0], call);
	host_relay_message(w->relay, message.payload, message.size);
}

static void host_signal(void *opaque, uint32_t vp, uint8_t sint, uint16_t flag)
{
	struct host_world *w = opaque;

	assert_int_equal(sint, VMBUS_SINT);
	w->signals++;
	w->g->signal_vp = vp;
	w->g->signal_flag = flag;
}

static struct reactor *host_reactor(void *opaque, uint32_t vp)
{
	struct host_world *w = opaque;

	return vp < w->g->nr_vps ? w->host_reactor : NULL;
}

static const struct vmbus_transport_ops host_transport = {
	.post = host_post,
	.signal = host_signal,
	.reactor = host_reactor,
};

/* The relay's. */

static int to_host(void *opaque, uint32_t connection, const void *payload,
		   size_t size)
{
	struct host_world *w = opaque;
	int err;

	assert_int_equal(connection, HOST_CONNECTION);
	if (w->full)
		return w->full;
	if (w->deaf) {
		struct guest_message *message = &w->unheard[w->nr_unheard++];

		assert_in_range(w->nr_unheard, 0, HOST_QUEUE - 1);
		message->size = (uint32_t)size;
		memcpy(message->payload, payload, size);
		return 0;
	}
	err = vmbus_server_message(w->host, 0, payload, size);
	return err == -ENOSPC ? -EAGAIN : err;
}

static const struct bus_client_transport_ops to_host_ops = { .post = to_host };

static void on_started(void *opaque, int err)
{
	((struct host_world *)opaque)->started = err;
}

static void on_stopped(void *opaque)
{
	((struct host_world *)opaque)->stopped++;
}

static void on_intercept(void *opaque, struct host_offer *offer, bool there)
{
	struct host_world *w = opaque;

	assert_memory_equal(&offer->message.instance, &w->a.dev.instance,
			    sizeof(struct guid));
	if (there)
		w->intercepted++;
	else
		w->interceptions_gone++;
}

void host_world_begin(struct host_world *w)
{
	struct vmbus_server_config config = {
		.transport = &host_transport,
		.opaque = w,
		.nr_vps = 4,
		.message_connection = HOST_CONNECTION,
	};

	*w = (struct host_world){ .a = echo_device(1), .b = echo_device(2),
				  .started = 1 };
	w->queue = calloc(HOST_QUEUE, sizeof(w->queue[0]));
	w->unheard = calloc(HOST_QUEUE, sizeof(w->unheard[0]));
	assert_non_null(w->queue);
	assert_non_null(w->unheard);
	w->deliver_call.fn = deliver;
	w->g = guest_driver_create(RAM_PAGES, 4, 0);
	w->host_reactor = reactor_inline_create();
	assert_int_equal(guest_memory_add(&w->memory, 0,
					  (uint64_t)RAM_PAGES * GUEST_PAGE_SIZE,
					  w->g->ram), 0);
	config.memory = &w->memory;
	config.reactor = w->host_reactor;
	w->host = vmbus_server_create(&config);
	assert_non_null(w->host);
	w->g->host = w->host;
	assert_int_equal(vmbus_offer(w->host, &w->a.dev), 0);
	assert_int_equal(vmbus_offer(w->host, &w->b.dev), 0);
}

static void start(void *arg)
{
	host_relay_start(((struct host_world *)arg)->relay);
}

void host_world_start(struct host_world *w, unsigned int rules)
{
	w->relay = host_relay_create(&(struct host_relay_config){
		.server = w->g->server,
		.reactor = w->g->reactor[0],
		.transport = &to_host_ops,
		.transport_opaque = w,
		.connection = HOST_CONNECTION,
		.client = { { 0xc1 } },
		.rules = w->rules,
		.nr_rules = rules,
		.started = on_started,
		.intercept = on_intercept,
		.opaque = w,
	});
	assert_non_null(w->relay);
	reactor_run(w->g->reactor[0], start, w);
	reactor_inline_drain();
}

void host_world_offers(struct host_world *w)
{
	assert_int_equal(guest_request_offers(w->g, &w->nr_offers, w->offer,
					      8), 0);
}

void host_world_connect(struct host_world *w, uint32_t version,
			uint32_t features)
{
	assert_int_equal(guest_contact(w->g, version, 1, features), 0);
	host_world_offers(w);
}

struct echo_step {
	struct host_world *w;
	struct echo *echo;
};

static void do_revoke(void *arg)
{
	vmbus_revoke(&((struct echo_step *)arg)->echo->dev);
}

static void do_offer(void *arg)
{
	struct echo_step *step = arg;

	assert_int_equal(vmbus_offer(step->w->host, &step->echo->dev), 0);
}

static void on_host(struct host_world *w, struct echo *echo,
		    void (*fn)(void *arg))
{
	struct echo_step step = { w, echo };

	reactor_run(w->host_reactor, fn, &step);
	if (!w->g->manual)
		reactor_inline_drain();
}

void host_world_revoke(struct host_world *w, struct echo *echo)
{
	on_host(w, echo, do_revoke);
}

void host_world_offer(struct host_world *w, struct echo *echo)
{
	on_host(w, echo, do_offer);
}

void host_world_say(struct host_world *w, enum vmbus_message_type type,
		    void *message, size_t size)
{
	struct vmbus_header header = { .type = cpu_to_le32(type) };

	memcpy(message, &header, sizeof(header));
	host_post(w, 0, VMBUS_SINT, message, size);
	reactor_inline_drain();
}

void host_world_hear(struct host_world *w)
{
	w->deaf = false;
	for (unsigned int i = 0; i < w->nr_unheard; i++) {
		assert_int_equal(vmbus_server_message(w->host, 0,
					w->unheard[i].payload,
					w->unheard[i].size), 0);
		reactor_inline_drain();
	}
	w->nr_unheard = 0;
}

void host_world_expect_idle(struct host_world *w)
{
	assert_int_equal(w->g->server->nr_busy, 0);
	assert_int_equal(w->g->server->gpadls.count, 0);
	assert_int_equal(w->host->nr_busy, 0);
	assert_int_equal(w->host->gpadls.count, 0);
	assert_int_equal(w->memory.holds, 0);
	assert_int_equal(w->g->memory.holds, 0);
}

static void stop(void *arg)
{
	struct host_world *w = arg;

	host_relay_stop(w->relay, on_stopped, w);
}

static void reset_done(void *opaque)
{
	(void)opaque;
}

static void reset(void *arg)
{
	vmbus_server_reset(arg, reset_done, NULL);
}

static void take_back(void *arg)
{
	struct host_world *w = arg;

	if (w->a.dev.server)
		vmbus_revoke(&w->a.dev);
	if (w->b.dev.server)
		vmbus_revoke(&w->b.dev);
}

void host_world_begin_connected(struct host_world *w, uint32_t features)
{
	host_world_begin(w);
	host_world_start(w, 0);
	assert_int_equal(w->started, 0);
	host_world_connect(w, VMBUS_VERSION_COPPER, features);
	assert_int_equal(w->nr_offers, 2);
}

void host_world_end(struct host_world *w)
{
	w->g->manual = false;
	w->a.slow = w->b.slow = false;
	echo_let_go(&w->a);
	echo_let_go(&w->b);
	if (w->relay) {
		reactor_run(w->g->reactor[0], stop, w);
		reactor_inline_drain();
		/* Whoever does not answer has had the time to. */
		for (int i = 0; i < 4 && !w->stopped; i++)
			host_is_silent(HOST_BUS_LET_GO_NS);
		assert_int_equal(w->stopped, 1);
		host_relay_destroy(w->relay);
	}
	reactor_run(w->g->reactor[0], reset, w->g->server);
	reactor_run(w->host_reactor, reset, w->host);
	reactor_inline_drain();
	reactor_run(w->host_reactor, take_back, w);
	reactor_inline_drain();
	host_world_expect_idle(w);
	vmbus_server_destroy(w->host);
	reactor_inline_destroy(w->host_reactor);
	guest_driver_destroy(w->g);
	free(w->queue);
	free(w->unheard);
}
