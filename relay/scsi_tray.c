/* SPDX-License-Identifier: MIT */
/*
 * The tray of a DVD drive, theory of operation
 *
 * A drive has one disc for its life, or none. It lies in the closed tray, or
 * the tray is open; client and host both push the button:
 *
 *	        eject                       eject
 *	LOADED -------> OPEN        EMPTY -------> OPEN
 *	       <-------                   <-------
 *	        insert                      insert	(a drive without a disc)
 *
 * While the tray is open, or empty, commands that need a disc find none; those
 * under way end as they would have. A disc that comes back is announced twice:
 * by a unit attention, and as an event to clients that poll (MMC-6, 6.6).
 *
 * A client that mounted the disc locks the tray (PREVENT ALLOW MEDIUM REMOVAL).
 * Then its own eject fails, and the host's becomes a request to it.
 *
 * Threads: any. Tray, event and lock are atomic one by one: an event is the
 * last that happened, and two that meet leave the tray as one of them wanted.
 *
 * Failure answers: MEDIUM NOT PRESENT, with or without TRAY OPEN; MEDIUM
 * REMOVAL PREVENTED; events of which nobody can be told as they come (they are
 * not polled) INVALID FIELD IN CDB.
 */
#include <errno.h>
#include <string.h>

#include <pv/log.h>

#include "scsi_command.h"
#include "scsi_mmc_reg.h"

LOG_MODULE("scsi");

bool scsi_medium_present(struct scsi_task *task)
{
	const struct scsi_lun *lun = task->nexus->lun;

	if (!lun->dvd)
		return true;
	switch (atomic_load(&lun->tray)) {
	case SCSI_TRAY_LOADED:
		return true;
	case SCSI_TRAY_OPEN:
		scsi_check(task, SCSI_NOT_READY, SCSI_ASC_NO_MEDIUM_OPEN);
		return false;
	default:
		scsi_check(task, SCSI_NOT_READY, SCSI_ASC_NO_MEDIUM_CLOSED);
		return false;
	}
}

static void open_tray(struct scsi_lun *lun)
{
	if (atomic_exchange(&lun->tray, SCSI_TRAY_OPEN) == SCSI_TRAY_LOADED)
		atomic_store(&lun->media_event, MMC_MEDIUM_REMOVAL);
}

static void close_tray(struct scsi_lun *lun)
{
	uint8_t closed = lun->disk ? SCSI_TRAY_LOADED : SCSI_TRAY_EMPTY;

	if (atomic_exchange(&lun->tray, closed) == SCSI_TRAY_OPEN &&
	    lun->disk) {
		atomic_store(&lun->media_event, MMC_NEW_MEDIUM);
		scsi_attend(lun, SCSI_MEDIUM_CHANGED);
	}
}

/* The host. */

int scsi_lun_eject(struct scsi_lun *lun)
{
	if (!lun->dvd)
		return -EINVAL;
	if (atomic_load(&lun->locked)) {
		atomic_store(&lun->media_event, MMC_EJECT_REQUEST);
		return -EBUSY;
	}
	open_tray(lun);
	log_info("LUN %u: ejected", lun->number);
	return 0;
}

int scsi_lun_insert(struct scsi_lun *lun)
{
	if (!lun->dvd)
		return -EINVAL;
	close_tray(lun);
	if (!lun->disk)
		return -ENOENT;
	log_info("LUN %u: inserted", lun->number);
	return 0;
}

/* The client. */

/* START STOP UNIT; the disc spins whenever it is there. */
bool scsi_load_eject(struct scsi_task *task)
{
	struct scsi_lun *lun = task->nexus->lun;
	bool start = task->cdb[4] & SCSI_CDB_START;

	if (!(task->cdb[4] & SCSI_CDB_LOEJ)) {
		if (start && !scsi_medium_present(task))
			return true;
		return scsi_good(task);
	}
	if (start) {
		close_tray(lun);
		return scsi_good(task);
	}
	if (atomic_load(&lun->locked))
		return scsi_refuse(task, SCSI_ASC_REMOVAL_PREVENTED);
	open_tray(lun);
	return scsi_good(task);
}

/* The persistent kind locks the button on the drive alone; there is none. */
bool scsi_prevent_allow(struct scsi_task *task)
{
	if (!(task->cdb[4] & MMC_CDB_PERSISTENT))
		atomic_store(&task->nexus->lun->locked,
			     task->cdb[4] & MMC_CDB_PREVENT);
	return scsi_good(task);
}

bool scsi_get_event_status(struct scsi_task *task)
{
	struct scsi_lun *lun = task->nexus->lun;
	struct mmc_event_header header = {
		.supported = 1 << MMC_EVENT_CLASS_MEDIA,
	};
	struct mmc_media_event event = { 0 };
	uint8_t data[sizeof(header) + sizeof(event)];
	uint32_t size = sizeof(header), most = scsi_get16(task->cdb + 7);
	uint8_t tray = atomic_load(&lun->tray);

	if (!(task->cdb[1] & MMC_CDB_POLLED))
		return scsi_refuse_cdb(task, 1, 0);
	if (!(task->cdb[4] & header.supported)) {
		header.notification = MMC_EVENT_NONE;
	} else {
		header.notification = MMC_EVENT_CLASS_MEDIA;
		size = sizeof(data);
		/* Told is what the client has room for. */
		if (most >= size && task->length >= size)
			event.event = atomic_exchange(&lun->media_event,
						      MMC_NO_CHANGE);
		event.status = tray == SCSI_TRAY_LOADED ? MMC_MEDIUM_PRESENT :
			       tray == SCSI_TRAY_OPEN ? MMC_TRAY_OPEN : 0;
	}
	scsi_put16(header.size, (uint16_t)(size - sizeof(header.size)));
	memcpy(data, &header, sizeof(header));
	memcpy(data + sizeof(header), &event, sizeof(event));
	return scsi_return(task, data, size, most);
}

bool scsi_mechanism_status(struct scsi_task *task)
{
	struct mmc_mechanism_status data = { 0 };

	if (atomic_load(&task->nexus->lun->tray) == SCSI_TRAY_OPEN)
		data.state |= MMC_DOOR_OPEN;
	return scsi_return(task, &data, sizeof(data),
			   scsi_get16(task->cdb + 8));
}
