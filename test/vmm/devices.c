// SPDX-License-Identifier: MIT
/*
 * Devices, theory of operation
 *
 * Owns the bus of the host and all that is on it:
 *
 *	--disk                see disks.c
 *	--net                 see nets.c
 *	--vmbus-redirect      a bus of VTL0, with VTL2 as its client
 *	--com1, --com2        stream <- VMBus serial port of VTL2, or without
 *	                      VTL2 <- UART of the guest's chipset
 *	always with VTL2      guest emulation transport
 *	without VTL2, or with	integration services of the guest
 *	--vmbus-redirect
 *	--vtl2-vsock-path     sockets
 *
 * Life: opened before the machine exists, so that a mistake of the user's is
 * found early; attached to it; stopped when its VPs have stopped, or reset when
 * they are to run again; closed when the loop has ended. Whatever is NULL was
 * not made and is passed over.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "chipset.h"
#include "devices.h"
#include "disks.h"
#include "get_device.h"
#include "host_bus.h"
#include "integration.h"
#include "msi.h"
#include "nets.h"
#include "relay/channel.h"
#include "serial_device.h"
#include "vsock.h"

#define NR_COMS 2
#define IC_DEPTH 2

struct devices {
	const struct vmm_options *options;
	struct reactor *loop;
	struct host_bus *bus;
	struct host_bus *guest_bus; /* redirected */
	struct msi_router *msi;
	struct disks *disks;
	struct nets *nets;
	struct serial_back *back[NR_COMS];
	struct serial_device *serial[NR_COMS];
	struct get_device *get;
	struct vtl0_chipset *chipset;
	struct vsock *vsock, *guest_vsock; /* VTL2's, VTL0's */
	struct integration *integration; /* NULL: the guest has no bus of ours */
};

/* ---- opening ---- */

static int open_serial(struct devices *d)
{
	static const char *const names[NR_COMS] = { "com1", "com2" };
	const struct serial_spec *specs[NR_COMS] = { &d->options->com1,
						     &d->options->com2 };

	for (unsigned int i = 0; i < NR_COMS; i++) {
		d->back[i] = serial_back_open(names[i], specs[i], d->loop);
		if (!d->back[i])
			return -EINVAL;
	}
	return 0;
}

struct devices *devices_open(const struct vmm_options *options,
			     struct reactor *loop)
{
	struct devices *d = calloc(1, sizeof(*d));

	if (!d) {
		fputs("vmm: out of memory\n", stderr);
		return NULL;
	}
	d->options = options;
	d->loop = loop;
	d->disks = disks_open(options);
	if (!d->disks)
		goto out_close;
	d->nets = nets_open(options, loop);
	if (!d->nets)
		goto out_close;
	if (open_serial(d))
		goto out_close;
	if (options->vtl2_vsock) {
		d->vsock = vsock_open("--vtl2-vsock-path", options->vtl2_vsock,
				      loop);
		if (!d->vsock)
			goto out_close;
	}
	if (options->vsock) {
		d->guest_vsock = vsock_open("--vsock-path", options->vsock,
					    loop);
		if (!d->guest_vsock)
			goto out_close;
	}
	return d;

out_close:
	devices_close(d);
	return NULL;
}

/* ---- attaching ---- */

static int offer(struct devices *d, struct vmbus_device *device)
{
	return vmbus_offer(host_bus_server(d->bus), device);
}

static int attach_vtl2(struct devices *d, struct machine *m)
{
	int err;

	for (unsigned int i = 0; i < NR_COMS; i++) {
		d->serial[i] = serial_device_create(i + 1, d->back[i]);
		if (!d->serial[i])
			return -ENOMEM;
		err = offer(d, serial_device_offer(d->serial[i]));
		if (err)
			return err;
	}
	d->get = get_device_create(m, d->loop);
	return d->get ? offer(d, get_device_offer(d->get)) : -ENOMEM;
}

static int attach_integration(struct devices *d, struct machine *m,
			      enum vtl vtl)
{
	struct host_bus *bus = vtl == VTL0 ? d->bus : d->guest_bus;

	if (!bus)
		return 0;
	d->integration = integration_create(m, d->loop);
	return d->integration ? integration_offer(d->integration,
						  host_bus_server(bus)) :
				-ENOMEM;
}

static int attach_chipset(struct devices *d, struct machine *m)
{
	d->chipset = vtl0_chipset_create(m, d->back[0], d->back[1]);
	return d->chipset ? 0 : -ENOMEM;
}

int devices_attach(struct devices *d, struct machine *m, enum vtl vtl,
		   const struct machine_config *config)
{
	struct host_bus *guests;
	int err = -ENOMEM;

	d->bus = host_bus_create(m, vtl, config, d->loop);
	if (!d->bus)
		return err;
	if (vtl == VTL2 && d->options->vmbus_redirect) {
		d->guest_bus = host_bus_create_redirected(m, config, d->loop,
							  d->bus);
		if (!d->guest_bus)
			return err;
	}
	guests = vtl == VTL0 ? d->bus : d->guest_bus;
	d->msi = msi_create(m, vtl);
	if (!d->msi)
		goto out_say;
	err = vtl == VTL2 ? attach_vtl2(d, m) : attach_chipset(d, m);
	if (err)
		goto out_say;
	err = disks_attach(d->disks, &(struct disks_host){
		.machine = m,
		.vtl = vtl,
		.vps = config->vps,
		.msi = d->msi,
		.server = host_bus_server(d->bus),
		.memory = host_bus_memory(d->bus),
		.guest_server = guests ? host_bus_server(guests) : NULL,
		.guest_memory = guests ? host_bus_memory(guests) : NULL,
		.loop = d->loop,
	});
	if (err)
		goto out_say;
	err = nets_attach(d->nets, &(struct nets_host){
		.machine = m,
		.vtl = vtl,
		.vps = config->vps,
		.msi = d->msi,
		.server = host_bus_server(d->bus),
		.guest_server = guests ? host_bus_server(guests) : NULL,
		.guest_memory = guests ? host_bus_memory(guests) : NULL,
		.loop = d->loop,
	});
	if (err)
		goto out_say;
	err = attach_integration(d, m, vtl);
	if (err)
		goto out_say;
	if (d->vsock)
		vsock_attach(d->vsock, host_bus_server(d->bus));
	if (d->guest_vsock)
		vsock_attach(d->guest_vsock, host_bus_server(guests));
	return 0;

out_say:
	fprintf(stderr, "vmm: devices: %s\n", strerror(-err));
	return err;
}

/* ---- ending ---- */

static void revoke(struct vmbus_device *device)
{
	/* Not offered, or taken back already. */
	if (device->server)
		vmbus_revoke(device);
}

static void revoke_all(struct devices *d)
{
	disks_revoke(d->disks);
	nets_revoke(d->nets);
	for (unsigned int i = 0; i < NR_COMS; i++)
		if (d->serial[i])
			revoke(serial_device_offer(d->serial[i]));
	if (d->get)
		revoke(get_device_offer(d->get));
	if (d->integration)
		integration_revoke(d->integration);
	if (d->vsock)
		vsock_revoke(d->vsock);
	if (d->guest_vsock)
		vsock_revoke(d->guest_vsock);
}

bool devices_stop(struct devices *d)
{
	return (!d->guest_bus || host_bus_stop(d->guest_bus)) &&
	       (!d->bus || host_bus_stop(d->bus));
}

bool devices_reset(struct devices *d)
{
	if (!devices_stop(d))
		return false;
	if (d->chipset)
		vtl0_chipset_reset(d->chipset);
	return true;
}

void devices_drain(struct devices *d)
{
	for (unsigned int i = 0; i < NR_COMS; i++)
		serial_back_drain(d->back[i]);
}

void devices_close(struct devices *d)
{
	if (!d)
		return;
	if (d->bus)
		revoke_all(d);
	host_bus_destroy(d->guest_bus);
	host_bus_destroy(d->bus);
	disks_close(d->disks);
	nets_close(d->nets);
	msi_destroy(d->msi);
	vtl0_chipset_destroy(d->chipset);
	for (unsigned int i = 0; i < NR_COMS; i++) {
		serial_device_destroy(d->serial[i]);
		if (d->back[i])
			serial_back_close(d->back[i]);
	}
	get_device_destroy(d->get);
	integration_destroy(d->integration);
	vsock_close(d->vsock);
	vsock_close(d->guest_vsock);
	free(d);
}

/* ---- statistics ---- */

static void print_serial(struct devices *d, unsigned int i, FILE *out)
{
	fprintf(out, "\"com%u\":{\"back\":", i + 1);
	serial_back_print_stats(d->back[i], out);
	fputs(",\"vmbus\":", out);
	if (d->serial[i])
		serial_device_print_stats(d->serial[i], out);
	else
		fputs("null", out);
	fputs("},", out);
}

void devices_print_stats(struct devices *d, FILE *out)
{
	for (unsigned int i = 0; i < NR_COMS; i++)
		print_serial(d, i, out);
	fputs("\"disks\":", out);
	disks_print_stats(d->disks, out);
	fputs(",\"mana\":", out);
	nets_print_stats(d->nets, out);
	fputs(",\"nics\":", out);
	nets_print_nics(d->nets, out);
	fputs(",", out);
	if (d->get) {
		fputs("\"get\":", out);
		get_device_print_stats(d->get, out);
		fputs(",", out);
	}
	if (d->chipset) {
		fputs("\"chipset\":", out);
		vtl0_chipset_print_stats(out);
		fputs(",", out);
	}
	if (d->msi)
		fprintf(out, "\"msi_strays\":%llu,",
			(unsigned long long)msi_strays(d->msi));
	if (d->integration) {
		fputs("\"ic\":", out);
		if (host_bus_inspect("ic", IC_DEPTH, out))
			fputs("null", out);
		fputs(",", out);
	}
	if (d->bus) {
		fputs("\"vmbus\":", out);
		host_bus_print_stats(d->bus, out);
		fputs(",", out);
	}
	if (d->guest_bus) {
		fputs("\"vmbus_vtl0\":", out);
		host_bus_print_stats(d->guest_bus, out);
		fputs(",", out);
	}
}

/* ---- commands ---- */

int devices_inspect(struct devices *d, const char *path, unsigned int depth,
		    FILE *out)
{
	(void)d;
	return host_bus_inspect(path, depth, out);
}

struct disks *devices_disks(struct devices *d)
{
	return d->disks;
}

struct nets *devices_nets(struct devices *d)
{
	return d->nets;
}

struct integration *devices_integration(struct devices *d)
{
	return d->integration;
}

/* 0 to 7 behind "net"; -1: it is not that. */
static int nic_number(const char *device)
{
	if (strncmp(device, "net", 3) || device[3] < '0' ||
	    device[3] >= '0' + OPTIONS_MAX_NICS || device[4])
		return -1;
	return device[3] - '0';
}

static const char no_device[] = "device: must be scsi, or net and a number "
				"from 0 to 7";

const char *devices_unplug(struct devices *d, const char *device)
{
	int nic = nic_number(device);

	if (!strcmp(device, "scsi"))
		return disks_scsi_unplug(d->disks);
	return nic < 0 ? no_device : nets_unplug(d->nets, (unsigned int)nic);
}

const char *devices_plug(struct devices *d, const char *device)
{
	int nic = nic_number(device);

	if (!strcmp(device, "scsi"))
		return disks_scsi_plug(d->disks);
	return nic < 0 ? no_device : nets_plug(d->nets, (unsigned int)nic);
}

const char *devices_settings(struct devices *d, const char *json, size_t len,
			     get_update_done *done, void *opaque)
{
	if (!d->get)
		return "there is no VTL2 to take them";
	return get_device_settings(d->get, json, len, done, opaque);
}
