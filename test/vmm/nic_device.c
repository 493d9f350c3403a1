// SPDX-License-Identifier: MIT
/*
 * The host's synthetic NIC, theory of operation
 *
 * Owns a back-end as a NIC (net_nic.c), which stays, and the adapter in front of
 * it (relay/netvsp.c):
 *
 *	offered --unplug--> leaving --the client let go--> unplugged
 *	   ^                                                  |
 *	   +----------------------- plug ---------------------+
 *
 * Plugged in again it is another adapter of the same instance and address.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include <pv/log.h>

#include "net_nic.h"
#include "nic_device.h"
#include "relay/netvsp.h"

struct nic_device {
	struct nic_device_config config;
	struct nic *nic;
	struct netvsp *netvsp; /* NULL: not offered */
	bool leaving;	       /* the client has not let go of it yet */
	uint16_t queues;
};

/* As many as there are VPs, but a power of two. */
static uint16_t queues_of(unsigned int vps)
{
	unsigned int queues = 1;

	while (2 * queues <= vps && 2 * queues <= NIC_MAX_QUEUES)
		queues *= 2;
	return (uint16_t)queues;
}

static int offer(struct nic_device *nd)
{
	struct netvsp_config config = {
		.instance = nd->config.instance,
		.order = nd->config.order,
		.queues = nd->queues,
		.offloads = true,
		.memory = nd->config.memory,
		.reactor = nd->config.loop,
		.nic = nd->nic,
	};

	return netvsp_create(nd->config.server, &config, &nd->netvsp);
}

int nic_device_create(const struct nic_device_config *config,
		      struct nic_device **out)
{
	struct nic_device *nd = calloc(1, sizeof(*nd));
	struct net_nic_config nic = {
		.memory = config->memory,
		.loop = config->loop,
		.back = config->back,
		.max_queues = queues_of(config->vps),
	};
	int err;

	if (!nd)
		return -ENOMEM;
	for (unsigned int i = 0; i < sizeof(nic.mac); i++)
		nic.mac[i] = config->mac[i];
	nd->config = *config;
	nd->queues = nic.max_queues;
	nd->nic = net_nic_open(&nic);
	err = nd->nic ? offer(nd) : -ENOMEM;
	if (!err) {
		*out = nd;
		return 0;
	}
	if (nd->nic)
		nd->nic->ops->close(nd->nic);
	free(nd);
	return err;
}

static void revoked(void *opaque)
{
	struct nic_device *nd = opaque;

	nd->netvsp = NULL;
	nd->leaving = false;
}

const char *nic_device_unplug(struct nic_device *nd)
{
	if (nd->leaving)
		return "device: it is being unplugged";
	if (!nd->netvsp)
		return "device: it is unplugged";
	nd->leaving = true;
	netvsp_retire(nd->netvsp, revoked, nd);
	return NULL;
}

const char *nic_device_plug(struct nic_device *nd)
{
	if (nd->leaving)
		return "device: the guest has not let go of it yet";
	if (nd->netvsp)
		return "device: it is plugged in";
	return offer(nd) ? "device: cannot be offered" : NULL;
}

void nic_device_destroy(struct nic_device *nd)
{
	if (!nd)
		return;
	if (nd->netvsp)
		netvsp_destroy(nd->netvsp, revoked, nd);
	pv_bug(nd->netvsp != NULL, nd->leaving, false);
	nd->nic->ops->close(nd->nic);
	free(nd);
}

void nic_device_print_stats(struct nic_device *nd, FILE *out)
{
	struct nic_stats stats;

	nd->nic->ops->stats(nd->nic, &stats);
	fprintf(out, "{\"rx_bytes\":%llu,\"rx_dropped\":%llu,"
		     "\"rx_frames\":%llu,\"tx_bytes\":%llu,"
		     "\"tx_failed\":%llu,\"tx_frames\":%llu}",
		(unsigned long long)stats.rx_bytes,
		(unsigned long long)stats.rx_dropped,
		(unsigned long long)stats.rx_frames,
		(unsigned long long)stats.tx_bytes,
		(unsigned long long)stats.tx_failed,
		(unsigned long long)stats.tx_frames);
}
