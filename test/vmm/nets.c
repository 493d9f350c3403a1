// SPDX-License-Identifier: MIT
/*
 * NICs, theory of operation
 *
 * Owns what --net names, and which way it goes to the machine:
 *
 *	uh:BACK        back-end <- vport of one MANA function <- virtual PCI bus
 *	BACK           the same, without VTL2
 *	BACK           with VTL2: back-end <- adapter of VMBus on the bus of VTL0
 *	BACK,synthetic without VTL2, too
 *
 * All NICs but the latter are vports, in the order of the options, of one
 * function. Back-ends are opened before the machine exists; of those of kind
 * `pair` each two that follow each other are wired together.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "model/mana.h"
#include "model/mana_fault.h"
#include "net_back.h"
#include "nets.h"
#include "nic_device.h"
#include "relay/channel.h"
#include "vpci.h"

/* Queues of a vport, beyond one for each VP. */
#define MIN_QUEUES 16u
#define MIN_VECTORS 64u

struct nets {
	const struct vmm_options *options;
	struct net_back *back[OPTIONS_MAX_NICS];
	struct nic_device *synthetic[OPTIONS_MAX_NICS]; /* or NULL */
	struct mana *mana;
	struct vpci_bus *bus;
};

/* Of the function's virtual PCI bus: the same at every start. The second field
 * is the PCI domain that Linux gives to it; disks have 1 to 16. */
static const struct guid mana_instance =
	GUID_INIT(0x1d0f2a1e, 0x0100, 0x4e56, 0x8d, 0x65, 0x76, 0x6d, 0x6d,
		  0x00, 0x01, 0x00);

/* Of a NIC of the guest's on the host's bus. */
static struct guid synthetic_instance(unsigned int n)
{
	return (struct guid)GUID_INIT(0x2c6e83b4, 0x1f0d, 0x4d92, 0xa7, 0x58,
				      0x76, 0x6d, 0x6d, 0x00, 0x01, n);
}

/* Of the NIC that the guest sees. */
static struct guid guest_instance(unsigned int n)
{
	return (struct guid)GUID_INIT(0x5ba1c4f0, 0x7d3e, 0x4b6a, 0x9c, 0x21,
				      0x76, 0x6d, 0x6d, 0x00, 0x01, n);
}

static bool is_synthetic(const struct nets *n, unsigned int i)
{
	const struct net_option *nic = &n->options->nics[i];

	return nic->owner == OWNER_VTL0 && (n->options->igvm || nic->synthetic);
}

/* ---- opening ---- */

static void join_pairs(struct nets *n)
{
	struct net_back *first = NULL;

	for (unsigned int i = 0; i < n->options->nr_nics; i++) {
		if (n->options->nics[i].kind != NET_PAIR)
			continue;
		if (first)
			net_back_join(first, n->back[i]);
		first = first ? NULL : n->back[i];
	}
}

struct nets *nets_open(const struct vmm_options *options,
		       struct reactor *loop)
{
	struct nets *n = calloc(1, sizeof(*n));

	if (!n) {
		fputs("vmm: out of memory\n", stderr);
		return NULL;
	}
	n->options = options;
	for (unsigned int i = 0; i < options->nr_nics; i++) {
		n->back[i] = net_back_open(&options->nics[i], loop);
		if (!n->back[i]) {
			nets_close(n);
			return NULL;
		}
	}
	join_pairs(n);
	return n;
}

/* ---- attaching ---- */

static unsigned int between(unsigned int low, unsigned int value,
			    unsigned int high)
{
	return value < low ? low : value > high ? high : value;
}

/* Microsoft's, and then "vm" and a number. */
static void address_of(unsigned int i, uint8_t mac[6])
{
	const uint8_t address[6] = { 0x00, 0x15, 0x5d, 0x76, 0x6d,
				     (uint8_t)i };

	memcpy(mac, address, sizeof(address));
}

static int attach_synthetic(struct nets *n, unsigned int i,
			    const struct nets_host *host)
{
	struct nic_device_config config = {
		.instance = synthetic_instance(i),
		.order = (uint16_t)i,
		.vps = host->vps,
		.back = n->back[i],
		.server = host->guest_server,
		.memory = host->guest_memory,
		.loop = host->loop,
	};

	address_of(i, config.mac);
	return nic_device_create(&config, &n->synthetic[i]);
}

static int attach_mana(struct nets *n, const struct nets_host *host)
{
	struct mana_config config = {
		.queues = between(MIN_QUEUES, host->vps, MANA_MAX_QUEUES),
		.vectors = between(MIN_VECTORS, host->vps + 1,
				   MANA_MAX_VECTORS),
	};

	for (unsigned int i = 0; i < n->options->nr_nics; i++) {
		if (is_synthetic(n, i))
			continue;
		if (n->options->nics[i].mtu > config.mtu)
			config.mtu = n->options->nics[i].mtu;
		config.vport[config.nr_vports].back = n->back[i];
		address_of(i, config.vport[config.nr_vports].mac);
		config.nr_vports++;
	}
	if (!config.nr_vports)
		return 0;
	n->mana = mana_create(&config);
	if (!n->mana)
		return -errno;
	n->bus = vpci_create(host->machine, host->vtl, host->msi,
			     &mana_instance, mana_function(n->mana));
	if (!n->bus)
		return -ENOMEM;
	vpci_device(n->bus)->order = OPTIONS_MAX_DISKS;
	return vmbus_offer(host->server, vpci_device(n->bus));
}

int nets_attach(struct nets *n, const struct nets_host *host)
{
	int err = attach_mana(n, host);

	for (unsigned int i = 0; !err && i < n->options->nr_nics; i++)
		if (is_synthetic(n, i))
			err = attach_synthetic(n, i, host);
	return err;
}

/* ---- ending ---- */

void nets_revoke(struct nets *n)
{
	/* Not offered, or taken back already. */
	if (n->bus && vpci_device(n->bus)->server)
		vmbus_revoke(vpci_device(n->bus));
	for (unsigned int i = 0; i < OPTIONS_MAX_NICS; i++) {
		nic_device_destroy(n->synthetic[i]);
		n->synthetic[i] = NULL;
	}
}

void nets_close(struct nets *n)
{
	if (!n)
		return;
	vpci_destroy(n->bus);
	mana_destroy(n->mana);
	for (unsigned int i = 0; i < OPTIONS_MAX_NICS; i++)
		net_back_close(n->back[i]);
	free(n);
}

struct mana *nets_mana(struct nets *n)
{
	return n->mana;
}

/* ---- events ---- */

static void set_link(struct mana *m, unsigned int up)
{
	mana_link(m, up);
}

static void ask_for_reset(struct mana *m, unsigned int unused)
{
	(void)unused;
	mana_request_reset(m);
}

static void set_silent(struct mana *m, unsigned int silent)
{
	mana_silence(m, silent);
}

const char *nets_event(struct nets *n, const char *event)
{
	static const struct {
		const char *name;
		void (*fn)(struct mana *m, unsigned int argument);
		unsigned int argument;
	} events[] = {
		{ "link-up", set_link, 1 },
		{ "link-down", set_link, 0 },
		{ "reset", ask_for_reset, 0 },
		{ "silent", set_silent, 1 },
		{ "answer", set_silent, 0 },
		{ "coalesce", mana_coalesce, 4 },
		{ "single", mana_coalesce, 1 },
	};

	if (!n->mana)
		return "event: there is no MANA function";
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		if (strcmp(events[i].name, event))
			continue;
		events[i].fn(n->mana, events[i].argument);
		return NULL;
	}
	return "event: must be link-up, link-down, reset, silent, answer, "
	       "coalesce or single";
}

const char *nets_fault(struct nets *n, const char *fault, uint32_t count,
		       uint32_t skip, uint32_t vport)
{
	return n->mana ? mana_fault_set(n->mana, fault, count, skip, vport) :
			 "fault: there is no MANA function";
}

static struct nic_device *synthetic(struct nets *n, unsigned int nic)
{
	return nic < OPTIONS_MAX_NICS ? n->synthetic[nic] : NULL;
}

const char *nets_unplug(struct nets *n, unsigned int nic)
{
	struct nic_device *nd = synthetic(n, nic);

	return nd ? nic_device_unplug(nd) :
		    "device: the guest has no such of the host";
}

const char *nets_plug(struct nets *n, unsigned int nic)
{
	struct nic_device *nd = synthetic(n, nic);

	return nd ? nic_device_plug(nd) :
		    "device: the guest has no such of the host";
}

/* ---- statistics and settings ---- */

void nets_print_stats(struct nets *n, FILE *out)
{
	if (n->mana)
		mana_print_stats(n->mana, out);
	else
		fputs("null", out);
}

void nets_print_nics(struct nets *n, FILE *out)
{
	fputs("[", out);
	for (unsigned int i = 0; i < n->options->nr_nics; i++) {
		fprintf(out, "%s{\"%s\":", i ? "," : "",
			is_synthetic(n, i) ? "synthetic" : "mana");
		if (n->synthetic[i])
			nic_device_print_stats(n->synthetic[i], out);
		else
			fputs("null", out);
		fputs(",\"back\":", out);
		net_back_print_stats(n->back[i], out);
		fputs("}", out);
	}
	fputs("]", out);
}

bool nets_print_settings(const struct vmm_options *options, FILE *out)
{
	char instance[GUID_TEXT_SIZE], device[GUID_TEXT_SIZE];
	unsigned int vport = 0;

	for (unsigned int i = 0; i < options->nr_nics; i++) {
		struct guid guid = guest_instance(i);

		if (options->nics[i].owner != OWNER_VTL2_MANA)
			continue;
		fprintf(out, "%s{\"instance\":\"%s\",\"backend\":{\"mana\":"
			     "{\"device\":\"%s\",\"vport\":%u}}",
			vport ? "," : "\"nics\":[", guid_print(&guid, instance),
			guid_print(&mana_instance, device), vport);
		if (options->nics[i].mtu)
			fprintf(out, ",\"mtu\":%u", options->nics[i].mtu);
		fputs("}", out);
		vport++;
	}
	if (vport)
		fputs("]", out);
	return vport;
}
