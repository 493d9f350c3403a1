// SPDX-License-Identifier: MIT
/*
 * The host's SCSI controller, theory of operation
 *
 * Owns a disk per LUN (disk_medium.c) and the controller that serves them
 * (relay/storvsp.c), which is made when all disks are known. It stays until the
 * end, or until it is unplugged, its units first (relay/storvsp_retire.c);
 * plugged in again it is another controller of the same instance with the same
 * disks. A size that changes is told to the
 * client by the controller.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <pv/log.h>

#include "disk_medium.h"
#include "options.h"
#include "relay/storvsp.h"
#include "scsi_device.h"

#define QUEUE_DEPTH 256

struct scsi_device {
	struct guid instance;
	struct guest_memory *memory;
	struct reactor *loop;
	struct vmbus_server *server; /* NULL: never offered */
	struct storvsp *storvsp;     /* NULL: not offered */
	unsigned int vps;
	struct disk *disk[OPTIONS_MAX_DISKS];
	unsigned int nr_disks;
	bool leaving; /* the client has not let go of it yet */
};

const struct guid scsi_device_instance =
	GUID_INIT(0x2c6e83b4, 0x1f0d, 0x4d92, 0xa7, 0x58, 0x76, 0x6d, 0x6d,
		  0x00, 0x00, 0x02);
const struct guid scsi_device_guest_instance =
	GUID_INIT(0x2c6e83b4, 0x1f0d, 0x4d92, 0xa7, 0x58, 0x76, 0x6d, 0x6d,
		  0x00, 0x00, 0x03);

struct scsi_device *scsi_device_create(const struct guid *instance,
				       struct guest_memory *memory,
				       struct reactor *loop)
{
	struct scsi_device *scsi = calloc(1, sizeof(*scsi));

	if (!scsi)
		return NULL;
	scsi->instance = *instance;
	scsi->memory = memory;
	scsi->loop = loop;
	return scsi;
}

int scsi_device_add(struct scsi_device *scsi, struct medium *medium,
		    const struct disk_option *option, unsigned int *lun)
{
	struct disk_medium_config config = {
		.medium = medium,
		.memory = scsi->memory,
		.block_size = option->block_size,
		.physical_block_size = option->physical_block_size,
		.read_only = option->read_only,
	};
	struct guid id = scsi->instance;
	unsigned int of_guest = !guid_equal(&id, &scsi_device_instance);
	char serial[21];
	struct disk *disk;

	snprintf(serial, sizeof(serial), "VMMS%u%03u", of_guest,
		 scsi->nr_disks);
	config.serial = serial;
	id.b[14] = (uint8_t)(scsi->nr_disks + 1);
	memcpy(config.nguid, id.b, sizeof(config.nguid));
	disk = disk_medium_create(&config);
	if (!disk)
		return -ENOMEM;
	*lun = scsi->nr_disks;
	scsi->disk[scsi->nr_disks++] = disk;
	return 0;
}

static int offer(struct scsi_device *scsi)
{
	struct scsi_lun_config luns[OPTIONS_MAX_DISKS];
	struct storvsp_config config = {
		.instance = scsi->instance,
		.queue_depth = QUEUE_DEPTH,
		.max_subchannels = (uint16_t)
			(scsi->vps - 1 < STORVSP_MAX_SUBCHANNELS ?
				 scsi->vps - 1 : STORVSP_MAX_SUBCHANNELS),
		.memory = scsi->memory,
		.reactor = scsi->loop,
		.nr_luns = scsi->nr_disks,
		.luns = luns,
	};

	for (unsigned int i = 0; i < scsi->nr_disks; i++)
		luns[i] = (struct scsi_lun_config){
			.number = (uint8_t)i,
			.disk = scsi->disk[i],
		};
	return storvsp_create(scsi->server, &config, &scsi->storvsp);
}

int scsi_device_offer(struct scsi_device *scsi, struct vmbus_server *server,
		      unsigned int vps)
{
	scsi->server = server;
	scsi->vps = vps;
	return offer(scsi);
}

void scsi_device_resized(struct scsi_device *scsi, unsigned int lun)
{
	disk_medium_resized(scsi->disk[lun]);
	if (scsi->storvsp && !scsi->leaving)
		storvsp_lun_changed(scsi->storvsp, (uint8_t)lun);
}

static void revoked(void *opaque)
{
	struct scsi_device *scsi = opaque;

	scsi->storvsp = NULL;
	scsi->leaving = false;
}

const char *scsi_device_unplug(struct scsi_device *scsi)
{
	if (scsi->leaving)
		return "device: it is being unplugged";
	if (!scsi->storvsp)
		return "device: it is unplugged";
	scsi->leaving = true;
	storvsp_retire(scsi->storvsp, revoked, scsi);
	return NULL;
}

const char *scsi_device_plug(struct scsi_device *scsi)
{
	if (scsi->leaving)
		return "device: the guest has not let go of it yet";
	if (scsi->storvsp)
		return "device: it is plugged in";
	return offer(scsi) ? "device: cannot be offered" : NULL;
}

void scsi_device_destroy(struct scsi_device *scsi)
{
	if (!scsi)
		return;
	/* One that is leaving waits for its units' last commands: there will
	 * be none. */
	if (scsi->storvsp)
		storvsp_destroy(scsi->storvsp, revoked, scsi);
	pv_bug(scsi->storvsp != NULL, scsi->leaving, false);
	for (unsigned int i = 0; i < scsi->nr_disks; i++)
		scsi->disk[i]->ops->close(scsi->disk[i]);
	free(scsi);
}

void scsi_device_print_stats(struct scsi_device *scsi, unsigned int lun,
			     FILE *out)
{
	disk_medium_print_stats(scsi->disk[lun], out);
}
