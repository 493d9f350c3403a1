// SPDX-License-Identifier: MIT
/*
 * The host's VMBus, theory of operation
 *
 * Owns the server and what it needs from the machine:
 *
 *	HvPostMessage, ids 1 and 4 -> vmbus_server_message()
 *	HvSignalEvent, ids of channels -> vmbus_server_signal()
 *	messages to the guest -> synic_post()
 *	interrupts of the guest -> synic_signal()
 *
 * Ids 1 and 4 are where a guest's first message goes (Linux: VMBUS_MESSAGE_-
 * CONNECTION_ID and its successor for version 5.0). A guest that is VTL2
 * first tries the id of a host that lets it serve VTL0's VMBus. Without
 * redirection nobody has that one, which is how it learns to use id 4.
 *
 * A redirected bus is VTL0's, but its client is in VTL2:
 *
 *	VTL2's HvPostMessage, 0x800074 -> vmbus_server_message()
 *	messages to the client -> SINT 7 of VTL2's VP 0
 *	VTL0's HvSignalEvent, and interrupts of VTL0: as above
 *
 * VTL2's kernel says its first word there, too. The VTL that a CONTACT is about
 * tells them apart; the answer to the kernel sends it to id 4.
 *
 * When a SINT's queue is full the server is told to try again a little later:
 * the SynIC has no word for "there is room".
 *
 * Threads: hypercalls come on VPs' threads and only hand over; all the rest is
 * the device thread's.
 */
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <hv_reg.h>
#include <pv/inspect.h>

#include "host_bus.h"
#include "relay/server.h"
#include "relay/vmbus_reg.h"

#define CONNECTION_OLD 1u /* before version 5.0 */
#define CONNECTION 4u
#define RETRY_NS 1000000ull
#define STOP_SECONDS 1
#define STATS_SIZE 65536u
#define STATS_DEPTH 4

struct host_bus {
	struct machine *machine;
	enum vtl vtl;
	struct host_bus *redirected_from; /* VTL2's; NULL: not redirected */
	unsigned int nr_vps;
	struct reactor *loop;
	struct guest_memory memory;
	struct vmbus_server *server;
	struct message_port ports[2];
	struct event_port events;
	struct reactor_timer retry;

	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool stopped;
};

/* ---- from the guest ---- */

static uint16_t message_came(void *opaque, unsigned int vp, uint32_t type,
			     const void *payload, size_t size)
{
	struct host_bus *bus = opaque;

	if (type != VMBUS_MESSAGE_TYPE)
		return HV_STATUS_INVALID_PARAMETER;
	return vmbus_server_message(bus->server, vp, payload, size) ?
		       HV_STATUS_INSUFFICIENT_BUFFERS :
		       HV_STATUS_SUCCESS;
}

static uint16_t event_came(void *opaque, uint32_t connection, uint16_t flag)
{
	struct host_bus *bus = opaque;

	switch (vmbus_server_signal(bus->server, connection, flag)) {
	case 0:
		return HV_STATUS_SUCCESS;
	case -EINVAL:
		return HV_STATUS_INVALID_PARAMETER;
	default:
		return HV_STATUS_INVALID_CONNECTION_ID;
	}
}

/* Is it what VTL2's kernel says first? */
static bool is_contact_of(enum vtl vtl, const void *payload, size_t size)
{
	struct vmbus_initiate_contact contact;

	if (size < sizeof(contact))
		return false;
	memcpy(&contact, payload, sizeof(contact));
	return le32_to_cpu(contact.header.type) == VMBUS_INITIATE_CONTACT &&
	       le32_to_cpu(contact.version) >= VMBUS_VERSION_WIN10_RS4 &&
	       contact.vtl == vtl;
}

static uint16_t redirected_message_came(void *opaque, unsigned int vp,
					uint32_t type, const void *payload,
					size_t size)
{
	struct host_bus *bus = opaque;

	if (is_contact_of(bus->redirected_from->vtl, payload, size))
		bus = bus->redirected_from;
	return message_came(bus, vp, type, payload, size);
}

/* ---- to the guest ---- */

static int transport_post(void *opaque, uint32_t vp, uint8_t sint,
			  const void *payload, size_t size)
{
	struct host_bus *bus = opaque;
	int err;

	if (bus->redirected_from)
		err = synic_post(bus->machine, bus->redirected_from->vtl, 0,
				 VMBUS_REDIRECT_SINT, VMBUS_MESSAGE_TYPE,
				 payload, size);
	else
		err = synic_post(bus->machine, bus->vtl, vp, sint,
				 VMBUS_MESSAGE_TYPE, payload, size);

	if (err == -EAGAIN && !bus->retry.armed)
		reactor_timer_arm(bus->loop, &bus->retry,
				  reactor_now() + RETRY_NS);
	return err;
}

static void retry(struct reactor_timer *timer)
{
	struct host_bus *bus = (struct host_bus *)((char *)timer -
						   offsetof(struct host_bus,
							    retry));

	vmbus_server_room(bus->server);
}

static void transport_signal(void *opaque, uint32_t vp, uint8_t sint,
			     uint16_t flag)
{
	struct host_bus *bus = opaque;

	synic_signal(bus->machine, bus->vtl, vp, sint, flag);
}

static struct reactor *transport_reactor(void *opaque, uint32_t vp)
{
	struct host_bus *bus = opaque;

	return vp < bus->nr_vps ? bus->loop : NULL;
}

static const struct vmbus_transport_ops transport = {
	.post = transport_post,
	.signal = transport_signal,
	.reactor = transport_reactor,
};

/* ---- life ---- */

static void describe(void *object, struct inspect *out)
{
	struct host_bus *bus = *(struct host_bus **)object;

	if (bus)
		vmbus_server_inspect(bus->server, out);
}

/* The tree of inspect, which things do not leave: two names for two buses. */
static struct {
	struct host_bus *bus; /* NULL: not now */
	struct inspect_entry entry;
} inspected[] = {
	{ .entry = { .name = "vmbus", .describe = describe } },
	{ .entry = { .name = "vmbus-vtl0", .describe = describe } },
};

static void inspect_as(unsigned int which, struct host_bus *bus)
{
	struct inspect_entry *entry = &inspected[which].entry;

	inspected[which].bus = bus;
	if (entry->object || !bus)
		return;
	entry->object = &inspected[which].bus;
	inspect_register(entry);
}

static int add_memory(struct host_bus *bus, const struct machine_config *config)
{
	for (unsigned int i = 0; i < config->nr_ranges; i++) {
		const struct memory_range *r = &config->ranges[i];
		int err;

		if (r->vtl > bus->vtl)
			continue;
		err = guest_memory_add(&bus->memory, r->gpa, r->size,
				       machine_ram(bus->machine, bus->vtl,
						   r->gpa, r->size));
		if (err)
			return err;
	}
	return 0;
}

static void add_ports(struct host_bus *bus)
{
	static const uint32_t ids[2] = { CONNECTION_OLD, CONNECTION };

	for (unsigned int i = 0; !bus->redirected_from && i < 2; i++) {
		bus->ports[i] = (struct message_port){
			.connection = ids[i],
			.vtl = bus->vtl,
			.post = message_came,
			.opaque = bus,
		};
		machine_add_message_port(bus->machine, &bus->ports[i]);
	}
	if (bus->redirected_from) {
		bus->ports[0] = (struct message_port){
			.connection = VMBUS_REDIRECT_CONNECTION,
			.vtl = bus->redirected_from->vtl,
			.post = redirected_message_came,
			.opaque = bus,
		};
		machine_add_message_port(bus->machine, &bus->ports[0]);
	}
	bus->events = (struct event_port){
		.connection = VMBUS_SINT << VMBUS_CONNECTION_SINT_SHIFT |
			      (uint32_t)bus->vtl << VMBUS_CONNECTION_VTL_SHIFT,
		.count = VMBUS_CONNECTION_CHANNEL_MASK + 1,
		.vtl = bus->vtl,
		.signal = event_came,
		.opaque = bus,
	};
	machine_add_event_port(bus->machine, &bus->events);
}

static struct host_bus *create(struct machine *m, enum vtl vtl,
			       const struct machine_config *config,
			       struct reactor *loop,
			       struct host_bus *redirected_from)
{
	struct host_bus *bus = calloc(1, sizeof(*bus));

	if (!bus)
		goto out_memory;
	bus->machine = m;
	bus->vtl = vtl;
	bus->redirected_from = redirected_from;
	bus->nr_vps = config->vps;
	bus->loop = loop;
	bus->retry.fn = retry;
	if (add_memory(bus, config))
		goto out_free;
	bus->server = vmbus_server_create(&(struct vmbus_server_config){
		.transport = &transport,
		.opaque = bus,
		.memory = &bus->memory,
		.reactor = loop,
		.nr_vps = config->vps,
		.vtl = (uint8_t)vtl,
		.message_connection = redirected_from ?
			VMBUS_REDIRECT_CONNECTION : CONNECTION,
	});
	if (!bus->server)
		goto out_free;
	pthread_mutex_init(&bus->lock, NULL);
	pthread_cond_init(&bus->changed, NULL);
	add_ports(bus);
	inspect_as(redirected_from != NULL, bus);
	return bus;

out_free:
	free(bus);
out_memory:
	fputs("vmm: no memory for the VMBus\n", stderr);
	return NULL;
}

struct host_bus *host_bus_create(struct machine *m, enum vtl vtl,
				 const struct machine_config *config,
				 struct reactor *loop)
{
	return create(m, vtl, config, loop, NULL);
}

struct host_bus *host_bus_create_redirected(struct machine *m,
					    const struct machine_config *config,
					    struct reactor *loop,
					    struct host_bus *vtl2)
{
	return create(m, VTL0, config, loop, vtl2);
}

struct guest_memory *host_bus_memory(struct host_bus *bus)
{
	return &bus->memory;
}

struct vmbus_server *host_bus_server(struct host_bus *bus)
{
	return bus->server;
}

static void reset_done(void *opaque)
{
	struct host_bus *bus = opaque;

	pthread_mutex_lock(&bus->lock);
	bus->stopped = true;
	pthread_cond_broadcast(&bus->changed);
	pthread_mutex_unlock(&bus->lock);
}

static void reset(void *opaque)
{
	struct host_bus *bus = opaque;

	vmbus_server_reset(bus->server, reset_done, bus);
}

bool host_bus_stop(struct host_bus *bus)
{
	struct timespec until;
	bool stopped;

	bus->stopped = false;
	reactor_run(bus->loop, reset, bus);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += STOP_SECONDS;
	pthread_mutex_lock(&bus->lock);
	while (!bus->stopped &&
	       !pthread_cond_timedwait(&bus->changed, &bus->lock, &until))
		;
	stopped = bus->stopped;
	pthread_mutex_unlock(&bus->lock);
	return stopped;
}

void host_bus_destroy(struct host_bus *bus)
{
	if (!bus)
		return;
	inspect_as(bus->redirected_from != NULL, NULL);
	vmbus_server_destroy(bus->server);
	pthread_cond_destroy(&bus->changed);
	pthread_mutex_destroy(&bus->lock);
	free(bus);
}

/* ---- statistics ---- */

int host_bus_inspect(const char *path, unsigned int depth, FILE *out)
{
	char *json = malloc(STATS_SIZE);
	int len;

	if (!json)
		return -ENOMEM;
	len = inspect_render(path, depth, json, STATS_SIZE);
	if (len > 0)
		fputs(json, out);
	free(json);
	return len > 0 ? 0 : len;
}

void host_bus_print_stats(struct host_bus *bus, FILE *out)
{
	const char *name = inspected[bus->redirected_from != NULL].entry.name;

	if (host_bus_inspect(name, STATS_DEPTH, out))
		fputs("null", out);
}
