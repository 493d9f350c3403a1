// SPDX-License-Identifier: MIT
/*
 * The relay, theory of operation
 *
 * Connects the relay (relay/host_relay.c) to the host's SINT (host_sint.c),
 * to the server for VTL0, and to the settings:
 *
 *	host --SINT 7--> host_sint --> host_relay --> server --> VTL0
 *	     <--0x800074-------------'
 *
 * Threads: all on the server's reactor, but for relay_start(), which waits for
 * it. It lives as long as the daemon: VTL0 comes and goes, the host stays.
 */
#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <pv/inspect.h>
#include <pv/log.h>

#include "relay/host_relay.h"

#include "host_sint.h"
#include "main_relay.h"

LOG_MODULE("relay");

/* Longer than the relay's own deadlines together. */
#define START_SECONDS 20

static struct {
	struct relay_config config;
	struct host_relay_rule rules[SETTINGS_MAX_RELAY_RULES];
	struct host_sint sint;
	struct host_relay *relay;
	struct inspect_entry inspect;
	sem_t started;
	int result; /* of starting on the reactor */
} self;

static int post(void *opaque, uint32_t connection, const void *payload,
		size_t size)
{
	(void)opaque;
	return host_sint_post(&self.sint, connection, payload, size);
}

static const struct bus_client_transport_ops transport = { .post = post };

static void message_came(void *opaque, const void *payload, size_t size)
{
	host_relay_message(opaque, payload, size);
}

static void started(void *opaque, int err)
{
	(void)opaque;
	if (err)
		log_err("nothing of the host is relayed: %s", strerror(-err));
	sem_post(&self.started);
}

static void describe(void *object, struct inspect *out)
{
	inspect_u64(out, "strays", self.sint.strays);
	host_relay_inspect(object, out);
}

static void take_rules(const struct settings *settings)
{
	static const enum host_relay_action actions[] = {
		[SETTINGS_RELAY] = HOST_RELAY,
		[SETTINGS_INTERCEPT] = HOST_INTERCEPT,
		[SETTINGS_HIDE] = HOST_HIDE,
	};

	for (unsigned int i = 0; i < settings->nr_relay_rules; i++)
		self.rules[i] = (struct host_relay_rule){
			settings->relay_rule[i].instance,
			actions[settings->relay_rule[i].action],
		};
}

static int start(void)
{
	const struct host_relay_config config = {
		.server = self.config.server,
		.reactor = self.config.reactor,
		.transport = &transport,
		.connection = VMBUS_REDIRECT_CONNECTION,
		.client = GUID_INIT(0x6b1c0a52, 0x93f7, 0x4d0e, 0xb4, 0x1b,
				    0x70, 0x76, 0x72, 0x65, 0x6c, 0x79),
		.rules = self.rules,
		.nr_rules = self.config.settings->nr_relay_rules,
		.started = started,
	};
	int ret = host_sint_open(&self.sint, self.config.reactor);

	if (ret)
		return ret;
	self.relay = host_relay_create(&config);
	if (!self.relay) {
		ret = -ENOMEM;
		goto out_close;
	}
	ret = host_sint_listen(&self.sint, message_came, self.relay);
	if (ret)
		goto out_destroy;
	self.inspect = (struct inspect_entry){ "relay", describe, self.relay,
					       NULL };
	inspect_register(&self.inspect);
	host_relay_start(self.relay);
	return 0;

out_destroy:
	host_relay_destroy(self.relay);
out_close:
	host_sint_close(&self.sint);
	return ret;
}

static void start_on_reactor(void *arg)
{
	(void)arg;
	self.result = start();
}

void relay_start(const struct relay_config *config)
{
	struct timespec until;

	if (config->connection != VMBUS_REDIRECT_CONNECTION)
		return;
	self.config = *config;
	take_rules(config->settings);
	sem_init(&self.started, 0, 0);
	reactor_run(config->reactor, start_on_reactor, NULL);
	if (self.result) {
		started(NULL, self.result);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += START_SECONDS;
	while (sem_timedwait(&self.started, &until) < 0 && errno == EINTR)
		;
}
