// SPDX-License-Identifier: MIT
/*
 * Integration services, theory of operation
 *
 * Owns one of each, and their place in the tree of inspect, "ic". They are
 * offered together to whoever is the guest: by VTL2's relay, or directly.
 *
 * The snapshot service is there because guests have a driver for it; it agrees
 * on a version and makes no request. What a guest asks of it, or of another, is
 * answered "not now" (ic.c).
 */
#include <stdlib.h>

#include "integration.h"
#include "relay/channel.h"

struct integration {
	struct shutdown_service shutdown;
	struct heartbeat_service heartbeat;
	struct time_service time;
	struct kvp_service kvp;
	struct ic vss;
};

static const struct ic_ops vss_ops = {
	.name = "vss",
	.interface = VSS_INTERFACE,
	.instance = VSS_INSTANCE,
	.type = IC_VSS,
	.versions = { IC_VERSION(5, 0) },
};

#define NR_SERVICES 5

static struct ic *service(struct integration *in, unsigned int i)
{
	struct ic *const all[NR_SERVICES] = {
		&in->shutdown.ic, &in->heartbeat.ic, &in->time.ic,
		&in->kvp.ic, &in->vss,
	};

	return all[i];
}

/* The tree of inspect, which things do not leave. */
static struct integration *inspected;

static void describe(void *object, struct inspect *out)
{
	struct integration *in = *(struct integration **)object;

	for (unsigned int i = 0; in && i < NR_SERVICES; i++) {
		struct ic *ic = service(in, i);

		if (!inspect_begin(out, ic->ops->name))
			continue;
		ic_describe(ic, out);
		inspect_end(out);
	}
}

static struct inspect_entry entry = { .name = "ic", .describe = describe };

struct integration *integration_create(const struct machine *machine,
				       struct reactor *loop)
{
	struct integration *in = calloc(1, sizeof(*in));

	if (!in)
		return NULL;
	shutdown_service_init(&in->shutdown, loop);
	heartbeat_service_init(&in->heartbeat, loop);
	time_service_init(&in->time, machine, loop);
	kvp_service_init(&in->kvp, loop);
	ic_init(&in->vss, &vss_ops, loop);
	inspected = in;
	if (!entry.object) {
		entry.object = &inspected;
		inspect_register(&entry);
	}
	return in;
}

int integration_offer(struct integration *in, struct vmbus_server *server)
{
	int err = 0;

	for (unsigned int i = 0; !err && i < NR_SERVICES; i++)
		err = vmbus_offer(server, &service(in, i)->pipe.device);
	return err;
}

void integration_revoke(struct integration *in)
{
	for (unsigned int i = 0; i < NR_SERVICES; i++)
		/* Not offered, or taken back already. */
		if (service(in, i)->pipe.device.server)
			vmbus_revoke(&service(in, i)->pipe.device);
}

void integration_destroy(struct integration *in)
{
	if (!in)
		return;
	inspected = NULL;
	free(in);
}

void integration_pause(struct integration *in, bool paused)
{
	heartbeat_service_pause(&in->heartbeat, paused);
	if (!paused)
		/* Nobody waits for it; a guest that does not listen has no
		 * time to be told. */
		time_service_set(&in->time, in->time.offset, NULL, NULL);
}

const char *integration_shutdown(struct integration *in, ic_done *done,
				 void *opaque)
{
	return shutdown_service_ask(&in->shutdown, done, opaque);
}

const char *integration_time(struct integration *in, int64_t offset,
			     ic_done *done, void *opaque)
{
	return time_service_set(&in->time, offset, done, opaque);
}

const char *integration_kvp_get(struct integration *in, const char *pool,
				const char *key, kvp_done *done, void *opaque)
{
	int number = kvp_pool_of(pool);

	if (number < 0)
		return "pool: must be external, guest, auto, auto-external or "
		       "auto-internal";
	return kvp_service_get(&in->kvp, (uint8_t)number, key, done, opaque);
}
