/* SPDX-License-Identifier: MIT */
/* SOURCES: test/vmm/host_bus.c relay/host_relay.c relay/host_bus.c relay/host_bus_post.c relay/host_offer.c relay/host_gpadl.c relay/server.c relay/connection.c relay/channel.c relay/channel_messages.c relay/offer.c relay/relayed.c relay/gpadl_messages.c relay/gpadl.c relay/ring.c paravisor/guest_memory.c paravisor/log.c paravisor/violation.c paravisor/inspect.c include/guid.c test/unit/reactor_inline.c test/unit/relay_world.c test/guest_driver/guest_driver.c test/guest_driver/guest_channel.c */
/*
 * The buses of the host: whose message goes where when VTL2's kernel and its
 * relay post to one connection, and a guest that works through the relay. The
 * machine is a stand-in that notes what it is told.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <hv_reg.h>

#include "relay/host_relay.h"
#include "test/unit/reactor_inline.h"
#include "test/unit/relay_world.h"
#include "test/vmm/host_bus.h"

#define MB (1u << 20)

static struct guest_driver *g;
static struct message_port *ports[4];
static struct event_port *events[2];
static unsigned int nr_ports, nr_events;
static struct host_bus *vtl2, *vtl0;
static struct host_relay *relay;
static struct reactor *loop;
static int started, stopped;
static unsigned int interrupts; /* of VTL0 */

/* What VTL2 heard last, but for what the relay did. */
static struct {
	unsigned int vp, sint, count;
	struct vmbus_version_response_features response;
} kernel;

/* ---- the machine ---- */

void *machine_ram(struct machine *m, enum vtl vtl, uint64_t gpa, size_t size)
{
	(void)m;
	(void)vtl;
	assert_true(gpa + size <= (uint64_t)RAM_PAGES * GUEST_PAGE_SIZE);
	return g->ram + gpa;
}

void machine_add_message_port(struct machine *m, struct message_port *port)
{
	(void)m;
	assert_in_range(nr_ports, 0, 3);
	ports[nr_ports++] = port;
}

void machine_add_event_port(struct machine *m, struct event_port *port)
{
	(void)m;
	assert_in_range(nr_events, 0, 1);
	events[nr_events++] = port;
}

int synic_post(struct machine *m, enum vtl vtl, unsigned int vp,
	       unsigned int sint, uint32_t type, const void *payload,
	       size_t size)
{
	(void)m;
	/* VTL0's client is in VTL2. */
	assert_int_equal(vtl, VTL2);
	assert_int_equal(type, VMBUS_MESSAGE_TYPE);
	if (sint == VMBUS_REDIRECT_SINT && relay) {
		assert_int_equal(vp, 0);
		host_relay_message(relay, payload, size);
		return 0;
	}
	kernel.vp = vp;
	kernel.sint = sint;
	kernel.count++;
	memcpy(&kernel.response, payload, size < sizeof(kernel.response) ?
						  size :
						  sizeof(kernel.response));
	return 0;
}

void synic_signal(struct machine *m, enum vtl vtl, unsigned int vp,
		  unsigned int sint, unsigned int flag)
{
	(void)m;
	(void)vp;
	assert_int_equal(vtl, VTL0);
	assert_int_equal(sint, VMBUS_SINT);
	assert_int_equal(flag, 1);
	interrupts++;
}

/* HvPostMessage of VTL2. */
static uint16_t post(uint32_t connection, const void *payload, size_t size)
{
	for (unsigned int i = 0; i < nr_ports; i++)
		if (ports[i]->connection == connection)
			return ports[i]->post(ports[i]->opaque, 0,
					      VMBUS_MESSAGE_TYPE, payload,
					      size);
	return HV_STATUS_INVALID_CONNECTION_ID;
}

static int to_host(void *opaque, uint32_t connection, const void *payload,
		   size_t size)
{
	(void)opaque;
	switch (post(connection, payload, size)) {
	case HV_STATUS_SUCCESS:
		return 0;
	case HV_STATUS_INSUFFICIENT_BUFFERS:
		return -EAGAIN;
	default:
		return -EIO;
	}
}

static void on_started(void *opaque, int err)
{
	(void)opaque;
	started = err;
}

static void on_stopped(void *opaque)
{
	(void)opaque;
	stopped++;
}

static void start(void *arg)
{
	(void)arg;
	host_relay_start(relay);
}

static void stop(void *arg)
{
	(void)arg;
	host_relay_stop(relay, on_stopped, NULL);
}

static void reset_done(void *opaque)
{
	(void)opaque;
}

static void reset(void *arg)
{
	vmbus_server_reset(arg, reset_done, NULL);
}

static int setup(void **state)
{
	static const struct memory_range ranges[] = {
		{ 0, 4 * MB, VTL0 }, { 4 * MB, 2 * MB, VTL2 },
	};
	const struct machine_config config = {
		.vps = 4,
		.has_vtl2 = true,
		.ranges = ranges,
		.nr_ranges = 2,
	};

	(void)state;
	nr_ports = nr_events = interrupts = 0;
	memset(&kernel, 0, sizeof(kernel));
	relay = NULL;
	started = 1;
	stopped = 0;
	g = guest_driver_create(RAM_PAGES, 4, 0);
	g->free_pages = 4 * MB / GUEST_PAGE_SIZE;
	loop = reactor_inline_create();
	vtl2 = host_bus_create(NULL, VTL2, &config, loop);
	vtl0 = host_bus_create_redirected(NULL, &config, loop, vtl2);
	return vtl2 && vtl0 ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	reactor_run(loop, reset, host_bus_server(vtl0));
	reactor_run(loop, reset, host_bus_server(vtl2));
	reactor_inline_drain();
	host_bus_destroy(vtl0);
	host_bus_destroy(vtl2);
	guest_driver_destroy(g);
	reactor_inline_destroy(loop);
	return 0;
}

static void contact(uint32_t connection, uint8_t vtl)
{
	struct vmbus_initiate_contact message = {
		.header.type = cpu_to_le32(VMBUS_INITIATE_CONTACT),
		.version = cpu_to_le32(VMBUS_VERSION_COPPER),
		.sint = VMBUS_SINT,
		.vtl = vtl,
		.features = cpu_to_le32(VMBUS_FEATURE_SIGNAL_PARAMETERS),
	};

	kernel.count = 0;
	assert_int_equal(post(connection, &message, sizeof(message)),
			 HV_STATUS_SUCCESS);
	reactor_inline_drain();
	assert_int_equal(kernel.count, 1);
	assert_int_equal(kernel.response.response.supported, 1);
	assert_int_equal(kernel.response.response.status, 0);
}

static uint32_t told_connection(void)
{
	return le32_to_cpu(kernel.response.response.version_or_connection);
}

/* Both say their first word at one place. */
static void two_clients(void **state)
{
	(void)state;
	contact(VMBUS_REDIRECT_CONNECTION, 2);
	assert_int_equal(kernel.sint, VMBUS_SINT);
	assert_int_equal(told_connection(), 4);
	contact(VMBUS_REDIRECT_CONNECTION, 0);
	assert_int_equal(kernel.sint, VMBUS_REDIRECT_SINT);
	assert_int_equal(kernel.vp, 0);
	assert_int_equal(told_connection(), VMBUS_REDIRECT_CONNECTION);
	assert_int_equal(le32_to_cpu(kernel.response.features),
			 VMBUS_FEATURE_SIGNAL_PARAMETERS);
	/* As ever. */
	contact(4, 2);
	assert_int_equal(kernel.sint, VMBUS_SINT);
	assert_int_equal(told_connection(), 4);
}

static void signals_are_of_their_vtl(void **state)
{
	(void)state;
	assert_int_equal(nr_events, 2);
	assert_int_equal(events[0]->vtl, VTL2);
	assert_int_equal(events[0]->connection, 0x22000);
	assert_int_equal(events[1]->vtl, VTL0);
	assert_int_equal(events[1]->connection, 0x2000);
	/* Nobody's: VTL2 gets it, as an intercept. */
	assert_int_equal(events[1]->signal(events[1]->opaque, 0x2001, 0),
			 HV_STATUS_INVALID_CONNECTION_ID);
}

static void take_back(void *arg)
{
	vmbus_revoke(arg);
}

static void a_guest_works(void **state)
{
	static const struct bus_client_transport_ops ops = { .post = to_host };
	struct echo echo = echo_device(1);
	struct vmbus_offer_channel offer;
	struct guest_channel ch;
	unsigned int nr_offers;

	(void)state;
	assert_int_equal(vmbus_offer(host_bus_server(vtl0), &echo.dev), 0);
	relay = host_relay_create(&(struct host_relay_config){
		.server = g->server,
		.reactor = g->reactor[0],
		.transport = &ops,
		.connection = VMBUS_REDIRECT_CONNECTION,
		.started = on_started,
	});
	assert_non_null(relay);
	reactor_run(g->reactor[0], start, NULL);
	reactor_inline_drain();
	assert_int_equal(started, 0);
	assert_int_equal(guest_contact(g, VMBUS_VERSION_IRON, 0, 0), 0);
	assert_int_equal(guest_request_offers(g, &nr_offers, &offer, 1), 0);
	assert_int_equal(nr_offers, 1);
	assert_memory_equal(&offer.instance, &echo.dev.instance, 16);

	g->host = host_bus_server(vtl0);
	assert_int_equal(guest_open(g, &offer, 4, 2, &ch), 0);
	expect_echo(&ch, 1);
	assert_int_equal(interrupts, 1);
	assert_int_equal(events[1]->signal(events[1]->opaque, ch.connection, 0),
			 HV_STATUS_SUCCESS);
	reactor_inline_drain();
	assert_int_equal(guest_shut(&ch), 0);
	assert_int_equal(events[1]->signal(events[1]->opaque, ch.connection, 0),
			 HV_STATUS_INVALID_CONNECTION_ID);

	reactor_run(g->reactor[0], stop, NULL);
	reactor_inline_drain();
	assert_int_equal(stopped, 1);
	reactor_run(loop, take_back, &echo.dev);
	host_relay_destroy(relay);
	relay = NULL;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(two_clients),
		TEST(signals_are_of_their_vtl),
		TEST(a_guest_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
