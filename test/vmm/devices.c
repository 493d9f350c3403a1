// SPDX-License-Identifier: MIT
/*
 * Devices, theory of operation
 *
 * Owns the bus of the host and all that is on it:
 *
 *	--disk BACK,uh-nvme   medium <- NVMe controller <- virtual PCI bus
 *	--disk BACK           the same, without VTL2
 *	--com1, --com2        stream <- VMBus serial port of VTL2, or without
 *	                      VTL2 <- UART of the guest's chipset
 *	always with VTL2      guest emulation transport
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
#include "get_device.h"
#include "host_bus.h"
#include "model/medium.h"
#include "model/nvme.h"
#include "msi.h"
#include "relay/channel.h"
#include "serial_device.h"
#include "vpci.h"
#include "vsock.h"

#define NR_COMS 2
/* 512 KiB a command, as many drives have it. */
#define NVME_MDTS 7
#define NSID 1u

struct disk_device {
	const struct disk_option *option;
	struct medium *medium;
	struct nvme_controller *nvme;
	struct vpci_bus *bus;
};

struct devices {
	const struct vmm_options *options;
	struct reactor *loop;
	struct host_bus *bus;
	struct msi_router *msi;
	struct disk_device disk[OPTIONS_MAX_DISKS];
	struct serial_back *back[NR_COMS];
	struct serial_device *serial[NR_COMS];
	struct get_device *get;
	struct vtl0_chipset *chipset;
	struct vsock *vsock;
};

/* Of disk `n`'s virtual PCI bus: the same at every start. The second field is
 * the PCI domain that Linux gives to it. */
static struct guid disk_instance(unsigned int n)
{
	return (struct guid)GUID_INIT(0x1d0f2a1e, n + 1, 0x4e56, 0x8d, 0x65,
				      0x76, 0x6d, 0x6d, 0x00, 0x00, n);
}

/* The SCSI controller that the guest sees. */
static const struct guid scsi_instance =
	GUID_INIT(0x5ba1c4f0, 0x7d3e, 0x4b6a, 0x9c, 0x21, 0x76, 0x6d, 0x6d,
		  0x00, 0x00, 0x01);

/* ---- opening ---- */

static int open_disk(struct disk_device *disk, const struct disk_option *option)
{
	const char *why;
	int err;

	disk->option = option;
	err = option->path ? medium_file(option->path, option->read_only,
					 &disk->medium) :
			     medium_memory(option->size, &disk->medium);
	if (!err)
		return 0;
	why = err == -EBUSY ? "another program has it open" :
	      err == -EINVAL ? "the size must be a multiple of 512, and not 0" :
			       strerror(-err);
	fprintf(stderr, "vmm: --disk %s: %s\n", option->text, why);
	return err;
}

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
	for (unsigned int i = 0; i < options->nr_disks; i++)
		if (open_disk(&d->disk[i], &options->disks[i]))
			goto out_close;
	if (open_serial(d))
		goto out_close;
	if (options->vtl2_vsock) {
		d->vsock = vsock_open("--vtl2-vsock-path", options->vtl2_vsock,
				      loop);
		if (!d->vsock)
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

static int attach_disk(struct devices *d, unsigned int n, struct machine *m,
		       enum vtl vtl, unsigned int vps)
{
	struct disk_device *disk = &d->disk[n];
	struct guid instance = disk_instance(n);
	struct nvme_config config = {
		.medium = disk->medium,
		.read_only = disk->option->read_only,
		.sgl = !disk->option->no_sgl,
		.mdts = NVME_MDTS,
		.io_queues = vps < NVME_MAX_IO_QUEUES ? vps :
							NVME_MAX_IO_QUEUES,
	};
	char serial[21];

	snprintf(serial, sizeof(serial), "VMM%05u", n);
	config.serial = serial;
	memcpy(config.nguid, instance.b, sizeof(config.nguid));
	disk->nvme = nvme_create(&config);
	if (!disk->nvme)
		return -ENOMEM;
	disk->bus = vpci_create(m, vtl, d->msi, &instance,
				nvme_function(disk->nvme));
	if (!disk->bus)
		return -ENOMEM;
	vpci_device(disk->bus)->order = (uint16_t)n;
	return offer(d, vpci_device(disk->bus));
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
	d->get = get_device_create(m);
	return d->get ? offer(d, get_device_offer(d->get)) : -ENOMEM;
}

static int attach_chipset(struct devices *d, struct machine *m)
{
	d->chipset = vtl0_chipset_create(m, d->back[0], d->back[1]);
	return d->chipset ? 0 : -ENOMEM;
}

int devices_attach(struct devices *d, struct machine *m, enum vtl vtl,
		   const struct machine_config *config)
{
	int err = -ENOMEM;

	d->bus = host_bus_create(m, vtl, config, d->loop);
	if (!d->bus)
		return err;
	d->msi = msi_create(m, vtl);
	if (!d->msi)
		goto out_say;
	err = vtl == VTL2 ? attach_vtl2(d, m) : attach_chipset(d, m);
	if (err)
		goto out_say;
	for (unsigned int i = 0; i < d->options->nr_disks; i++) {
		err = attach_disk(d, i, m, vtl, config->vps);
		if (err)
			goto out_say;
	}
	if (d->vsock)
		vsock_attach(d->vsock, host_bus_server(d->bus));
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
	for (unsigned int i = 0; i < OPTIONS_MAX_DISKS; i++)
		if (d->disk[i].bus)
			revoke(vpci_device(d->disk[i].bus));
	for (unsigned int i = 0; i < NR_COMS; i++)
		if (d->serial[i])
			revoke(serial_device_offer(d->serial[i]));
	if (d->get)
		revoke(get_device_offer(d->get));
	if (d->vsock)
		vsock_revoke(d->vsock);
}

bool devices_stop(struct devices *d)
{
	return !d->bus || host_bus_stop(d->bus);
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
	host_bus_destroy(d->bus);
	for (unsigned int i = 0; i < OPTIONS_MAX_DISKS; i++) {
		vpci_destroy(d->disk[i].bus);
		nvme_destroy(d->disk[i].nvme);
		medium_close(d->disk[i].medium);
	}
	msi_destroy(d->msi);
	vtl0_chipset_destroy(d->chipset);
	for (unsigned int i = 0; i < NR_COMS; i++) {
		serial_device_destroy(d->serial[i]);
		if (d->back[i])
			serial_back_close(d->back[i]);
	}
	get_device_destroy(d->get);
	vsock_close(d->vsock);
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
	const char *comma = "";

	for (unsigned int i = 0; i < NR_COMS; i++)
		print_serial(d, i, out);
	fputs("\"disks\":[", out);
	for (unsigned int i = 0; i < d->options->nr_disks; i++) {
		fprintf(out, "%s{\"nvme\":", comma);
		if (d->disk[i].nvme)
			nvme_print_stats(d->disk[i].nvme, out);
		else
			fputs("null", out);
		fputs("}", out);
		comma = ",";
	}
	fputs("],", out);
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
	if (d->bus) {
		fputs("\"vmbus\":", out);
		host_bus_print_stats(d->bus, out);
		fputs(",", out);
	}
}

/* ---- settings ---- */

char *devices_settings(const struct vmm_options *options)
{
	char guid[GUID_TEXT_SIZE], *text = NULL;
	const char *comma = "";
	unsigned int lun = 0;
	size_t len;
	FILE *out;

	if (!options->nr_disks)
		return NULL;
	out = open_memstream(&text, &len);
	if (!out)
		return NULL;
	fprintf(out, "{\"version\":1,\"storage\":[{\"instance\":\"%s\","
		     "\"luns\":[", guid_print(&scsi_instance, guid));
	for (unsigned int i = 0; i < options->nr_disks; i++) {
		const struct disk_option *disk = &options->disks[i];
		struct guid instance = disk_instance(i);

		if (disk->owner != OWNER_VTL2_NVME)
			continue;
		fprintf(out, "%s{\"lun\":%u,%s\"backend\":{\"nvme\":"
			     "{\"device\":\"%s\",\"nsid\":%u}}}",
			comma, lun++, disk->read_only ? "\"read_only\":true," :
							"",
			guid_print(&instance, guid), NSID);
		comma = ",";
	}
	fputs("]}]}", out);
	if (fclose(out) || !lun) {
		free(text);
		return NULL;
	}
	return text;
}
