// SPDX-License-Identifier: MIT
/*
 * Disks, theory of operation
 *
 * Owns what --disk names, and which way it goes to the machine:
 *
 *	BACK,uh-nvme   medium <- NVMe controller <- virtual PCI bus
 *	BACK           the same, without VTL2
 *	BACK,uh        medium <- LUN of one SCSI controller (scsi_device.c)
 *	BACK           with VTL2: of another one, on the bus of VTL0
 *	BACK,synthetic without VTL2, too
 *
 * The medium of an option is opened before the machine exists. A namespace that
 * is attached later brings its medium, and every one that is detached takes its
 * medium along.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "disks.h"
#include "json.h"
#include "model/medium.h"
#include "model/nvme.h"
#include "model/nvme_fault.h"
#include "relay/channel.h"
#include "scsi_device.h"
#include "vpci.h"

/* 512 KiB a command, as many drives have it. */
#define NVME_MDTS 7
#define NSID 1u
#define MAX_WHY 160

/* A namespace that came while the machine runs. */
struct added_namespace {
	struct added_namespace *next;
	uint32_t nsid;
	struct medium *medium;
};

struct disk_device {
	const struct disk_option *option;
	struct medium *medium;
	/* NVMe: */
	struct nvme_controller *nvme;
	struct vpci_bus *bus;
	bool unplugged;
	struct added_namespace *added;
	/* SCSI: */
	struct scsi_device *scsi;
	unsigned int lun;
};

struct disks {
	const struct vmm_options *options;
	/* VTL2's, and the guest's; NULL: no disk is its. */
	struct scsi_device *scsi, *guest_scsi;
	struct vmbus_server *server; /* of NVMe controllers */
	struct disk_device disk[OPTIONS_MAX_DISKS];
	char why[MAX_WHY];
};

/* Of disk `n`'s virtual PCI bus: the same at every start. The second field is
 * the PCI domain that Linux gives to it. */
static struct guid disk_instance(unsigned int n)
{
	return (struct guid)GUID_INIT(0x1d0f2a1e, n + 1, 0x4e56, 0x8d, 0x65,
				      0x76, 0x6d, 0x6d, 0x00, 0x00, n);
}

/* The SCSI controller that the guest sees. */
static const struct guid guest_scsi_instance =
	GUID_INIT(0x5ba1c4f0, 0x7d3e, 0x4b6a, 0x9c, 0x21, 0x76, 0x6d, 0x6d,
		  0x00, 0x00, 0x01);

static bool is_guest_scsi(const struct disks *d,
			  const struct disk_device *disk)
{
	return disk->option->owner == OWNER_VTL0 &&
	       (d->options->igvm || disk->option->synthetic);
}

static bool is_scsi(const struct disks *d, const struct disk_device *disk)
{
	return disk->option->owner == OWNER_VTL2_SCSI || is_guest_scsi(d, disk);
}

/* ---- opening ---- */

/* NULL, or why not. */
static const char *open_medium(const struct disk_option *option,
			       struct medium **medium)
{
	int err = option->path ?
		medium_file(option->path, option->read_only, medium) :
		medium_memory(option->size, medium);

	if (err == -EBUSY)
		return "another program has it open";
	if (err == -EINVAL)
		return "the size must be a multiple of 512, and not 0";
	if (err)
		return strerror(-err);
	if (!(medium_size(*medium) % option->block_size)) {
		if (!option->volatile_cache || !medium_cache(*medium))
			return NULL;
		medium_close(*medium);
		*medium = NULL;
		return strerror(ENOMEM);
	}
	medium_close(*medium);
	*medium = NULL;
	return "the size must be a multiple of the block, 4096";
}

struct disks *disks_open(const struct vmm_options *options)
{
	struct disks *d = calloc(1, sizeof(*d));

	if (!d) {
		fputs("vmm: out of memory\n", stderr);
		return NULL;
	}
	d->options = options;
	for (unsigned int i = 0; i < options->nr_disks; i++) {
		struct disk_device *disk = &d->disk[i];
		const char *why;

		disk->option = &options->disks[i];
		why = open_medium(disk->option, &disk->medium);
		if (!why)
			continue;
		fprintf(stderr, "vmm: --disk %s: %s\n", disk->option->text,
			why);
		disks_close(d);
		return NULL;
	}
	return d;
}

/* ---- attaching ---- */

static int attach_nvme(struct disks *d, unsigned int n,
		       const struct disks_host *host)
{
	struct disk_device *disk = &d->disk[n];
	struct guid instance = disk_instance(n);
	struct nvme_config config = {
		.medium = disk->medium,
		.read_only = disk->option->read_only,
		.sgl = !disk->option->no_sgl,
		.mdts = NVME_MDTS,
		.io_queues = host->vps < NVME_MAX_IO_QUEUES ?
				     host->vps : NVME_MAX_IO_QUEUES,
		.block_size = disk->option->block_size,
		.physical_block_size = disk->option->physical_block_size,
	};
	char serial[21];

	snprintf(serial, sizeof(serial), "VMM%05u", n);
	config.serial = serial;
	memcpy(config.nguid, instance.b, sizeof(config.nguid));
	disk->nvme = nvme_create(&config);
	if (!disk->nvme)
		return -ENOMEM;
	disk->bus = vpci_create(host->machine, host->vtl, host->msi, &instance,
				nvme_function(disk->nvme));
	if (!disk->bus)
		return -ENOMEM;
	vpci_device(disk->bus)->order = (uint16_t)n;
	return vmbus_offer(host->server, vpci_device(disk->bus));
}

static int attach_scsi(struct disks *d, struct disk_device *disk,
		       const struct disks_host *host)
{
	bool guest = is_guest_scsi(d, disk);
	struct scsi_device **scsi = guest ? &d->guest_scsi : &d->scsi;

	if (!*scsi)
		*scsi = guest ?
			scsi_device_create(&scsi_device_guest_instance,
					   host->guest_memory, host->loop) :
			scsi_device_create(&scsi_device_instance, host->memory,
					   host->loop);
	if (!*scsi)
		return -ENOMEM;
	disk->scsi = *scsi;
	return scsi_device_add(*scsi, disk->medium, disk->option, &disk->lun);
}

int disks_attach(struct disks *d, const struct disks_host *host)
{
	int err = 0;

	d->server = host->server;
	for (unsigned int i = 0; !err && i < d->options->nr_disks; i++)
		err = is_scsi(d, &d->disk[i]) ?
			      attach_scsi(d, &d->disk[i], host) :
			      attach_nvme(d, i, host);
	if (!err && d->scsi)
		err = scsi_device_offer(d->scsi, host->server, host->vps);
	if (!err && d->guest_scsi)
		err = scsi_device_offer(d->guest_scsi, host->guest_server,
					host->vps);
	return err;
}

/* ---- ending ---- */

void disks_revoke(struct disks *d)
{
	for (unsigned int i = 0; i < OPTIONS_MAX_DISKS; i++)
		/* Not offered, or taken back already. */
		if (d->disk[i].bus && vpci_device(d->disk[i].bus)->server)
			vmbus_revoke(vpci_device(d->disk[i].bus));
	scsi_device_destroy(d->scsi);
	scsi_device_destroy(d->guest_scsi);
	d->scsi = d->guest_scsi = NULL;
}

const char *disks_scsi_unplug(struct disks *d)
{
	return d->guest_scsi ? scsi_device_unplug(d->guest_scsi) :
			       "device: the guest has no such of the host";
}

const char *disks_scsi_plug(struct disks *d)
{
	return d->guest_scsi ? scsi_device_plug(d->guest_scsi) :
			       "device: the guest has no such of the host";
}

void disks_close(struct disks *d)
{
	struct added_namespace *added;

	if (!d)
		return;
	for (unsigned int i = 0; i < OPTIONS_MAX_DISKS; i++) {
		struct disk_device *disk = &d->disk[i];

		vpci_destroy(disk->bus);
		nvme_destroy(disk->nvme);
		medium_close(disk->medium);
		while ((added = disk->added)) {
			disk->added = added->next;
			medium_close(added->medium);
			free(added);
		}
	}
	free(d);
}

/* ---- statistics ---- */

void disks_print_stats(struct disks *d, FILE *out)
{
	const char *comma = "";

	fputs("[", out);
	for (unsigned int i = 0; i < d->options->nr_disks; i++) {
		const struct disk_device *disk = &d->disk[i];

		fprintf(out, "%s{\"%s\":", comma,
			is_scsi(d, disk) ? "scsi" : "nvme");
		if (disk->scsi)
			scsi_device_print_stats(disk->scsi, disk->lun, out);
		else if (disk->nvme)
			nvme_print_stats(disk->nvme, out);
		else
			fputs("null", out);
		fputs("}", out);
		comma = ",";
	}
	fputs("]", out);
}

static void print_namespaces(const struct disk_device *disk, FILE *out)
{
	const char *comma = "";

	fputs(",\"namespaces\":[", out);
	if (disk->medium) {
		fprintf(out, "%u", NSID);
		comma = ",";
	}
	for (const struct added_namespace *a = disk->added; a; a = a->next) {
		fprintf(out, "%s%u", comma, a->nsid);
		comma = ",";
	}
	fputs("]", out);
}

void disks_print(struct disks *d, FILE *out)
{
	fputs("{\"disks\":[", out);
	for (unsigned int i = 0; i < d->options->nr_disks; i++) {
		const struct disk_device *disk = &d->disk[i];

		fprintf(out, "%s{\"disk\":%u,\"option\":", i ? "," : "", i);
		json_write(out, disk->option->text);
		fprintf(out, ",\"owner\":\"%s\",\"device\":\"%s\"",
			disk->option->owner == OWNER_VTL0 ? "vtl0" : "vtl2",
			is_scsi(d, disk) ? "scsi" : "nvme");
		if (is_scsi(d, disk))
			fprintf(out, ",\"lun\":%u", disk->lun);
		else
			print_namespaces(disk, out);
		fputs("}", out);
	}
	fputs("]}", out);
}

/* ---- settings ---- */

static void print_backend(const struct vmm_options *options, unsigned int n,
			  unsigned int scsi_lun, FILE *out)
{
	char guid[GUID_TEXT_SIZE];
	struct guid instance = disk_instance(n);

	if (options->disks[n].owner == OWNER_VTL2_SCSI)
		fprintf(out, "{\"scsi\":{\"device\":\"%s\",\"lun\":%u}}",
			guid_print(&scsi_device_instance, guid), scsi_lun);
	else
		fprintf(out, "{\"nvme\":{\"device\":\"%s\",\"nsid\":%u}}",
			guid_print(&instance, guid), NSID);
}

bool disks_print_settings(const struct vmm_options *options, FILE *out)
{
	unsigned int lun = 0, scsi_lun = 0;
	char guid[GUID_TEXT_SIZE];

	for (unsigned int i = 0; i < options->nr_disks; i++) {
		const struct disk_option *disk = &options->disks[i];

		if (disk->owner != OWNER_VTL2_NVME &&
		    disk->owner != OWNER_VTL2_SCSI)
			continue;
		/* One channel: of several, Linux takes another VP's on purpose,
		 * which costs each command a switch more. */
		if (!lun)
			fprintf(out, "\"storage\":[{\"instance\":\"%s\","
				     "\"luns\":[",
				guid_print(&guest_scsi_instance, guid));
		fprintf(out, "%s{\"lun\":%u,%s\"backend\":",
			lun ? "," : "", lun,
			disk->read_only ? "\"read_only\":true," : "");
		lun++;
		print_backend(options, i, scsi_lun, out);
		scsi_lun += disk->owner == OWNER_VTL2_SCSI;
		fputs("}", out);
	}
	if (lun)
		fputs("]}]", out);
	return lun;
}

/* ---- changes while the machine runs ---- */

static const char *refuse(struct disks *d, const char *argument,
			  const char *rule)
{
	snprintf(d->why, sizeof(d->why), "%s: %s", argument, rule);
	return d->why;
}

/* NULL, with *disk; or what is wrong with the argument `disk`. */
static const char *find_disk(struct disks *d, unsigned int n, bool scsi,
			     struct disk_device **disk)
{
	*disk = &d->disk[n];
	if (n >= d->options->nr_disks)
		return refuse(d, "disk", "there is no such --disk");
	if (is_scsi(d, *disk) != scsi || (!scsi && !(*disk)->nvme))
		return refuse(d, "disk", scsi ? "is no SCSI disk of the host" :
						"is no NVMe disk");
	return NULL;
}

static const char *namespace_error(struct disks *d, int err)
{
	switch (err) {
	case 0:
		return NULL;
	case -EEXIST:
		return refuse(d, "nsid", "there is such a namespace already");
	case -ENOENT:
		return refuse(d, "nsid", "there is no such namespace");
	case -ENOSPC:
		return refuse(d, "nsid", "is too big for this controller");
	case -EINVAL:
		return refuse(d, "nsid", "the controller cannot have it");
	default:
		return refuse(d, "nsid", strerror(-err));
	}
}

static const char *attach(struct disks *d, struct disk_device *disk,
			  uint32_t nsid, const struct disk_option *option)
{
	struct added_namespace *added = calloc(1, sizeof(*added));
	struct guid id = disk_instance((unsigned int)(disk - d->disk));
	struct nvme_namespace_config config = {
		.read_only = option->read_only,
		.block_size = option->block_size,
		.physical_block_size = option->physical_block_size,
	};
	const char *why;

	if (!added)
		return refuse(d, "back", "out of memory");
	why = open_medium(option, &added->medium);
	if (why) {
		free(added);
		return refuse(d, "back", why);
	}
	config.medium = added->medium;
	/* The first namespace has the instance, whose node is "vmm". */
	for (unsigned int i = 0; i < 4; i++)
		id.b[8 + i] ^= (uint8_t)(nsid >> (8 * i));
	memcpy(config.nguid, id.b, sizeof(config.nguid));
	why = namespace_error(d, nvme_namespace_attach(disk->nvme, nsid,
						       &config));
	if (why) {
		medium_close(added->medium);
		free(added);
		return why;
	}
	added->nsid = nsid;
	added->next = disk->added;
	disk->added = added;
	return NULL;
}

const char *disks_nvme_attach(struct disks *d, unsigned int n, uint32_t nsid,
			      const char *back)
{
	struct disk_option option;
	struct disk_device *disk;
	const char *why = find_disk(d, n, false, &disk);

	if (why)
		return why;
	why = disk_option_parse(back, &option);
	if (!why && (option.owner != OWNER_VTL0 || option.no_sgl ||
		     option.synthetic || option.volatile_cache))
		why = "only ro and block= can follow";
	why = why ? refuse(d, "back", why) : attach(d, disk, nsid, &option);
	disk_option_free(&option);
	return why;
}

const char *disks_nvme_detach(struct disks *d, unsigned int n, uint32_t nsid)
{
	struct added_namespace *added, **at;
	struct disk_device *disk;
	const char *why = find_disk(d, n, false, &disk);

	if (!why)
		why = namespace_error(d, nvme_namespace_detach(disk->nvme,
							       nsid));
	if (why)
		return why;
	for (at = &disk->added; *at && (*at)->nsid != nsid;)
		at = &(*at)->next;
	added = *at;
	if (added) {
		*at = added->next;
		medium_close(added->medium);
		free(added);
	} else {
		medium_close(disk->medium);
		disk->medium = NULL;
	}
	return NULL;
}

static const char *size_error(struct disks *d, int err)
{
	if (!err)
		return NULL;
	return refuse(d, "size", err == -EINVAL ?
				 "must be whole blocks that the disk can have" :
				 strerror(-err));
}

const char *disks_nvme_resize(struct disks *d, unsigned int n, uint32_t nsid,
			      uint64_t size)
{
	struct disk_device *disk;
	const char *why = find_disk(d, n, false, &disk);
	int err;

	if (why)
		return why;
	err = nvme_namespace_resize(disk->nvme, nsid, size);
	return err == -ENOENT ? namespace_error(d, err) : size_error(d, err);
}

const char *disks_fault(struct disks *d, unsigned int n,
			const struct nvme_fault *fault)
{
	struct disk_device *disk;
	const char *why = find_disk(d, n, false, &disk);

	return why ? why : nvme_fault_set(disk->nvme, fault);
}

const char *disks_nvme_plug(struct disks *d, unsigned int n, bool in)
{
	struct disk_device *disk;
	const char *why = find_disk(d, n, false, &disk);
	struct vmbus_device *device;

	if (why)
		return why;
	device = vpci_device(disk->bus);
	if (!in && (disk->unplugged || !device->server))
		return refuse(d, "disk", "is not plugged in");
	if (in && !disk->unplugged)
		return refuse(d, "disk", "is plugged in already");
	if (in && device->server)
		return refuse(d, "disk", "its guest has not let go of it yet");
	disk->unplugged = !in;
	if (!in) {
		vmbus_revoke(device);
		return NULL;
	}
	return vmbus_offer(d->server, device) ?
		       refuse(d, "disk", "the bus has no room for it") : NULL;
}

const char *disks_scsi_resize(struct disks *d, unsigned int n, uint64_t size)
{
	struct disk_device *disk;
	const char *why = find_disk(d, n, true, &disk);
	int err;

	if (why)
		return why;
	err = size % disk->option->block_size ? -EINVAL :
						medium_resize(disk->medium,
							      size);
	if (err)
		return size_error(d, err);
	scsi_device_resized(disk->scsi, disk->lun);
	return NULL;
}
