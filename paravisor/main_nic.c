// SPDX-License-Identifier: MIT
/*
 * NICs of VTL0, theory of operation
 *
 * Two steps, so that a NIC that cannot be takes none with it:
 *
 *	1 open     every backend, on the caller's thread, which waits
 *	2 offer    on the server's reactor: a netvsp device for each
 *
 * What settings left out follows from the backend that is open: the address,
 * the MTU, as many queues as there are VPs.
 *
 * Failure answers: the first backend that does not open, or cannot be what
 * settings ask for, ends it; those that are open are closed.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <pv/log.h>
#include <pv/nic.h>

#include "mana/mana.h"
#include "mana/tap.h"
#include "relay/netvsp.h"

#include "main_nic.h"
#include "nic_loopback.h"

LOG_MODULE("nics");

/* For a function of the host's, and its driver, to be there. */
#define WAIT_MS 30000u

struct opening {
	const struct nics_config *config;
	const struct settings *settings;
	char *error;
	int result;
	struct nic *nic[SETTINGS_MAX_NICS];
	struct netvsp *netvsp[SETTINGS_MAX_NICS];
};

static int wrong(struct opening *o, unsigned int i, const char *key, int err,
		 const char *why)
{
	snprintf(o->error, SETTINGS_ERROR_SIZE, "/nics/%u/%s: %s", i, key,
		 why);
	log_err("%s", o->error);
	return err;
}

/* Backends. */

static int open_loopback(struct opening *o, unsigned int i)
{
	struct nic_loopback_config config = {
		.memory = o->config->memory,
		.reactor = o->config->reactor,
		.mac = { 0x00, 0x15, 0x5d, 0xff, 0xff, (uint8_t)i },
	};

	o->nic[i] = nic_loopback_create(&config);
	return o->nic[i] ? 0 : wrong(o, i, "backend/loopback", -ENOMEM,
				     strerror(ENOMEM));
}

static int open_mana(struct opening *o, unsigned int i)
{
	const struct settings_nic *nic = &o->settings->nic[i];
	struct mana_config config = {
		.device = nic->device,
		.vport = nic->vport,
		.memory = o->config->memory,
		.reactor = o->config->reactor,
		.wait_ms = WAIT_MS,
	};
	int err = mana_vport_open(&config, &o->nic[i]);

	return err ? wrong(o, i, "backend/mana", err, strerror(-err)) : 0;
}

static int open_tap(struct opening *o, unsigned int i)
{
	struct tap_config config = {
		.name = o->settings->nic[i].tap,
		.memory = o->config->memory,
		.reactor = o->config->reactor,
	};
	int err = tap_open(&config, &o->nic[i]);

	return err ? wrong(o, i, "backend/tap", err, strerror(-err)) : 0;
}

static int open_backend(struct opening *o, unsigned int i)
{
	static int (*const open[])(struct opening *o, unsigned int i) = {
		[SETTINGS_MANA] = open_mana,
		[SETTINGS_TAP] = open_tap,
		[SETTINGS_LOOPBACK] = open_loopback,
	};
	const struct settings_nic *nic = &o->settings->nic[i];
	struct nic_info info;
	unsigned int most;
	char why[64];
	int err = open[nic->kind](o, i);

	if (err)
		return err;
	o->nic[i]->ops->info(o->nic[i], &info);
	if (nic->queues > info.max_queues) {
		snprintf(why, sizeof(why), "the backend has %u",
			 info.max_queues);
		return wrong(o, i, "queues", -EINVAL, why);
	}
	most = info.max_frame - NIC_ETHERNET_HEADER;
	if (nic->mtu > most) {
		snprintf(why, sizeof(why), "the backend has %u at most", most);
		return wrong(o, i, "mtu", -EINVAL, why);
	}
	return 0;
}

/* The server's reactor. */

static uint16_t queues_of(const struct opening *o, unsigned int i)
{
	unsigned int queues = o->settings->nic[i].queues;
	struct nic_info info;

	if (queues)
		return (uint16_t)queues;
	o->nic[i]->ops->info(o->nic[i], &info);
	for (queues = 1; 2 * queues <= o->config->nr_vps &&
			 2 * queues <= info.max_queues;)
		queues *= 2;
	return (uint16_t)queues;
}

static void offer(void *arg)
{
	struct opening *o = arg;

	for (unsigned int i = 0; i < o->settings->nr_nics; i++) {
		const struct settings_nic *nic = &o->settings->nic[i];
		struct netvsp_config config = {
			.instance = nic->instance,
			.order = (uint16_t)i,
			.mac = nic->has_mac ? nic->mac : NULL,
			.mtu = nic->mtu,
			.max_version = nic->nvsp,
			.queues = queues_of(o, i),
			.offloads = nic->offloads,
			.memory = o->config->memory,
			.reactor = o->config->reactor,
			.nic = o->nic[i],
		};

		o->result = netvsp_create(o->config->server, &config,
					  &o->netvsp[i]);
		if (!o->result)
			continue;
		wrong(o, i, "instance", o->result, strerror(-o->result));
		/* No guest has seen them: they go at once. */
		while (i-- > 0)
			netvsp_destroy(o->netvsp[i], NULL, NULL);
		return;
	}
}

static void close_all(void *arg)
{
	struct opening *o = arg;

	for (unsigned int i = 0; i < o->settings->nr_nics; i++)
		if (o->nic[i])
			o->nic[i]->ops->close(o->nic[i]);
}

int nics_start(const struct nics_config *config,
	       const struct settings *settings, char *error)
{
	struct opening o = {
		.config = config, .settings = settings, .error = error,
	};

	for (unsigned int i = 0; i < settings->nr_nics && !o.result; i++)
		o.result = open_backend(&o, i);
	if (!o.result)
		reactor_run(config->reactor, offer, &o);
	if (o.result)
		reactor_run(config->reactor, close_all, &o);
	return o.result;
}
