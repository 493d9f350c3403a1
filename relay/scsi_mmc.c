/* SPDX-License-Identifier: MIT */
/*
 * What a DVD drive says of itself and its disc, theory of operation
 *
 * A drive that reads DVD-ROM and nothing else (MMC-6). The disc is its disk,
 * cut to whole blocks of 2048 bytes: complete, one session, one data track from
 * block 0 to the end. Everything is built anew from its size; nothing is kept.
 *
 * Threads: the reactor of the nexus; what may change meanwhile is atomic.
 *
 * Failure answers: formats that this disc has no data for are INVALID FIELD IN
 * CDB; without a disc scsi.c answers before any of this is asked, but for GET
 * CONFIGURATION, which then says that there is no current profile.
 */
#include <string.h>

#include "scsi_command.h"
#include "scsi_mmc_reg.h"

static uint32_t blocks_of(const struct scsi_task *task)
{
	uint64_t blocks = atomic_load(&task->nexus->lun->blocks);

	return blocks < UINT32_MAX ? (uint32_t)blocks : UINT32_MAX;
}

/* Table of contents. */

static void put_address(uint8_t *to, uint32_t lba, bool msf)
{
	uint32_t frame = lba + MMC_FIRST_FRAME;

	if (!msf) {
		scsi_put32(to, lba);
		return;
	}
	/* Discs that are too long for minutes end at the last one. */
	if (frame > 256 * 60 * MMC_FRAMES_PER_SECOND - 1)
		frame = 256 * 60 * MMC_FRAMES_PER_SECOND - 1;
	to[0] = 0;
	to[1] = (uint8_t)(frame / MMC_FRAMES_PER_SECOND / 60);
	to[2] = (uint8_t)(frame / MMC_FRAMES_PER_SECOND % 60);
	to[3] = (uint8_t)(frame % MMC_FRAMES_PER_SECOND);
}

static uint8_t *put_track(uint8_t *to, uint8_t number, uint32_t lba, bool msf)
{
	struct mmc_toc_track track = {
		.control = MMC_DATA_TRACK, .number = number,
	};

	put_address(track.address, lba, msf);
	memcpy(to, &track, sizeof(track));
	return to + sizeof(track);
}

bool scsi_read_toc(struct scsi_task *task)
{
	struct mmc_toc_header header = { .first = 1, .last = 1 };
	uint8_t data[sizeof(header) + 2 * sizeof(struct mmc_toc_track)];
	uint8_t *to = data + sizeof(header);
	uint8_t format = task->cdb[2] & MMC_CDB_TOC_FORMAT_MASK;
	uint8_t first = task->cdb[6];
	bool msf = task->cdb[1] & MMC_CDB_MSF;

	/* Linux still asks in the old way. */
	if (!format)
		format = task->cdb[9] >> MMC_CDB_TOC_OLD_FORMAT_SHIFT;
	switch (format) {
	case MMC_TOC_TRACKS:
		if (first > 1 && first != MMC_LEAD_OUT)
			return scsi_refuse_cdb(task, 6, 7);
		if (first <= 1)
			to = put_track(to, 1, 0, msf);
		to = put_track(to, MMC_LEAD_OUT, blocks_of(task), msf);
		break;
	case MMC_TOC_SESSIONS:
		to = put_track(to, 1, 0, msf);
		break;
	default:
		return scsi_refuse_cdb(task, 2, 3);
	}
	scsi_put16(header.size,
		   (uint16_t)(to - data - (int)sizeof(header.size)));
	memcpy(data, &header, sizeof(header));
	return scsi_return(task, data, (uint32_t)(to - data),
			   scsi_get16(task->cdb + 7));
}

/* Features. */

static const struct feature {
	uint16_t code;
	uint8_t version, size;
	bool always; /* else while there is a disc */
	uint8_t data[8];
} features[] = { /* ascending */
	{ 0x0000, 0, 4, true, /* profiles: one, current with a disc */
	  { MMC_PROFILE_DVD_ROM >> 8, MMC_PROFILE_DVD_ROM & 0xff } },
	{ 0x0001, 1, 8, true, { 0, 0, 0, 1 } }, /* core: the SCSI family */
	{ 0x0002, 0, 4, true, { 0 } },		/* morphing, polled */
	{ 0x0003, 0, 4, true,			/* removable medium */
	  { MMC_LOADING_TRAY | MMC_CAN_LOAD | MMC_CAN_EJECT | MMC_CAN_LOCK } },
	{ 0x0010, 0, 8, false, /* random readable, by 16 blocks */
	  { 0, 0, MMC_BLOCK_SIZE >> 8, 0, 0, 16 } },
	{ 0x001f, 0, 0, false, { 0 } }, /* reads DVDs */
};
#define NR_FEATURES (sizeof(features) / sizeof(features[0]))

static uint8_t *put_feature(uint8_t *to, const struct feature *f, bool loaded)
{
	struct mmc_feature head = { .size = f->size };

	scsi_put16(head.code, f->code);
	head.flags = (uint8_t)(f->version << MMC_FEATURE_VERSION_SHIFT);
	if (f->always)
		head.flags |= MMC_FEATURE_PERSISTENT | MMC_FEATURE_CURRENT;
	else if (loaded)
		head.flags |= MMC_FEATURE_CURRENT;
	memcpy(to, &head, sizeof(head));
	to += sizeof(head);
	memcpy(to, f->data, f->size);
	if (!f->code && loaded)
		to[2] |= MMC_FEATURE_CURRENT; /* the profile */
	return to + f->size;
}

bool scsi_get_configuration(struct scsi_task *task)
{
	struct mmc_configuration head = { 0 };
	uint8_t data[sizeof(head) +
		     NR_FEATURES * (sizeof(struct mmc_feature) + 8)];
	uint8_t *to = data + sizeof(head);
	uint8_t which = task->cdb[1] & MMC_CDB_FEATURES_MASK;
	uint16_t from = scsi_get16(task->cdb + 2);
	bool loaded = atomic_load(&task->nexus->lun->tray) ==
		      SCSI_TRAY_LOADED;

	if (which > MMC_FEATURES_ONE)
		return scsi_refuse_cdb(task, 1, 1);
	for (unsigned int i = 0; i < NR_FEATURES; i++) {
		const struct feature *f = &features[i];

		if (f->code < from ||
		    (which == MMC_FEATURES_ONE && f->code != from) ||
		    (which == MMC_FEATURES_CURRENT && !f->always && !loaded))
			continue;
		to = put_feature(to, f, loaded);
	}
	scsi_put16(head.profile,
		   loaded ? MMC_PROFILE_DVD_ROM : MMC_PROFILE_NONE);
	scsi_put32(head.size,
		   (uint32_t)(to - data) - (uint32_t)sizeof(head.size));
	memcpy(data, &head, sizeof(head));
	return scsi_return(task, data, (uint32_t)(to - data),
			   scsi_get16(task->cdb + 7));
}

/* The disc. */

bool scsi_read_disc_information(struct scsi_task *task)
{
	struct mmc_disc_information data = {
		.status = MMC_DISC_COMPLETE,
		.first_track = 1, .sessions = 1,
		.first_in_last = 1, .last_in_last = 1,
		.flags = MMC_DISC_UNRESTRICTED,
	};

	if (task->cdb[1] & MMC_CDB_DISC_INFORMATION_MASK)
		return scsi_refuse_cdb(task, 1, 2);
	/* Nothing can be added to it. */
	memset(data.lead_in, 0xff, sizeof(data.lead_in));
	memset(data.lead_out, 0xff, sizeof(data.lead_out));
	scsi_put16(data.size, sizeof(data) - sizeof(data.size));
	return scsi_return(task, &data, sizeof(data),
			   scsi_get16(task->cdb + 7));
}

bool scsi_read_dvd_structure(struct scsi_task *task)
{
	struct mmc_dvd_physical data = {
		.book = MMC_BOOK_DVD_ROM_1,
		.rate = MMC_RATE_10_MBPS,
		.layer = MMC_LAYER_EMBOSSED,
	};
	uint32_t last = MMC_DVD_FIRST_SECTOR + blocks_of(task) - 1;

	if (task->cdb[1] & 0x0f) /* a medium of another kind */
		return scsi_refuse_cdb(task, 1, 3);
	if (task->cdb[6]) /* there is one layer */
		return scsi_refuse_cdb(task, 6, 7);
	if (task->cdb[7] != MMC_DVD_PHYSICAL)
		return scsi_refuse_cdb(task, 7, 7);
	scsi_put32(data.first_sector, MMC_DVD_FIRST_SECTOR);
	scsi_put32(data.last_sector, last & 0xffffff);
	scsi_put16(data.size, sizeof(data) - sizeof(data.size));
	return scsi_return(task, &data, sizeof(data),
			   scsi_get16(task->cdb + 8));
}
