/* SPDX-License-Identifier: MIT */
/*
 * MODE SENSE and MODE SELECT, theory of operation
 *
 * Three mode pages: caching (SBC-3, 6.4.5), control and informational
 * exceptions (SPC-4, 7.5.8 and 7.5.11). One bit in them can be changed: WCE,
 * the write cache, where the disk has one. Switching it off does not touch
 * the disk, which may serve others, too: our writes become durable one by one.
 *
 * MODE SELECT takes what MODE SENSE gave, with or without that bit changed,
 * and nothing else; there are no block descriptors and no saved values.
 *
 * Threads: WCE is shared by all channels of the logical unit, hence atomic.
 *
 * Failure answers: unknown pages INVALID FIELD IN CDB, saved values SAVING
 * PARAMETERS NOT SUPPORTED, other values INVALID FIELD IN PARAMETER LIST; then
 * nothing has been changed.
 */
#include <string.h>

#include "scsi_command.h"

#define LIST_MAX 128 /* all pages and a header are less */

struct mode_page {
	uint8_t code, size; /* with its header of two bytes */
	void (*fill)(const struct scsi_lun *lun, bool changeable, uint8_t *page);
};

static void caching(const struct scsi_lun *lun, bool changeable, uint8_t *page)
{
	bool wce = changeable ? lun->info.write_cache :
				atomic_load(&lun->write_cache);

	if (wce)
		page[2] |= SCSI_MODE_CACHING_WCE;
}

static void control(const struct scsi_lun *lun, bool changeable, uint8_t *page)
{
	(void)lun;
	if (!changeable)
		page[3] = SCSI_MODE_CONTROL_QUEUE_UNRESTRICTED;
}

static void exceptions(const struct scsi_lun *lun, bool changeable,
		       uint8_t *page)
{
	(void)lun;
	(void)changeable;
	(void)page;
}

static const struct mode_page pages[] = { /* ascending */
	{ SCSI_MODE_CACHING, SCSI_MODE_CACHING_SIZE, caching },
	{ SCSI_MODE_CONTROL, SCSI_MODE_CONTROL_SIZE, control },
	{ SCSI_MODE_EXCEPTIONS, SCSI_MODE_EXCEPTIONS_SIZE, exceptions },
};
#define NR_PAGES (sizeof(pages) / sizeof(pages[0]))

static void fill(const struct mode_page *page, const struct scsi_lun *lun,
		 bool changeable, uint8_t *to)
{
	memset(to, 0, page->size);
	to[0] = page->code;
	to[1] = page->size - 2;
	page->fill(lun, changeable, to);
}

/* MODE SENSE. */

static bool sense(struct scsi_task *task, unsigned int header_size,
		  uint32_t allocation_size)
{
	const struct scsi_lun *lun = task->nexus->lun;
	uint8_t wanted = task->cdb[2] & SCSI_CDB_MODE_PAGE_MASK;
	uint8_t values = task->cdb[2] >> SCSI_CDB_MODE_CONTROL_SHIFT;
	uint8_t list[LIST_MAX] = { 0 };
	unsigned int size = header_size;
	uint8_t specific = SCSI_MODE_DPOFUA;

	if (values == SCSI_MODE_SAVED)
		return scsi_refuse(task, SCSI_ASC_SAVING_NOT_SUPPORTED);
	if (task->cdb[3] && task->cdb[3] != SCSI_MODE_ALL_SUBPAGES)
		return scsi_refuse(task, SCSI_ASC_INVALID_FIELD_IN_CDB);
	for (unsigned int i = 0; i < NR_PAGES; i++) {
		if (wanted != SCSI_MODE_ALL && wanted != pages[i].code)
			continue;
		fill(&pages[i], lun, values == SCSI_MODE_CHANGEABLE,
		     list + size);
		if (values == SCSI_MODE_DEFAULT && lun->info.write_cache &&
		    pages[i].code == SCSI_MODE_CACHING)
			list[size + 2] |= SCSI_MODE_CACHING_WCE;
		size += pages[i].size;
	}
	if (size == header_size)
		return scsi_refuse(task, SCSI_ASC_INVALID_FIELD_IN_CDB);
	if (lun->read_only)
		specific |= SCSI_MODE_WP;
	if (header_size == sizeof(struct scsi_mode_header_6)) {
		struct scsi_mode_header_6 header = {
			.size = (uint8_t)(size - 1), .device_specific = specific,
		};

		memcpy(list, &header, sizeof(header));
	} else {
		struct scsi_mode_header_10 header = {
			.device_specific = specific,
		};

		scsi_put16(header.size, (uint16_t)(size - 2));
		memcpy(list, &header, sizeof(header));
	}
	return scsi_return(task, list, size, allocation_size);
}

bool scsi_mode_sense_6(struct scsi_task *task)
{
	return sense(task, sizeof(struct scsi_mode_header_6), task->cdb[4]);
}

bool scsi_mode_sense_10(struct scsi_task *task)
{
	return sense(task, sizeof(struct scsi_mode_header_10),
		     scsi_get16(task->cdb + 7));
}

/* MODE SELECT. */

/* Is this a page of ours, with what it holds but for bits that may change? */
static bool acceptable(const struct scsi_lun *lun, const uint8_t *page,
		       unsigned int left)
{
	uint8_t current[SCSI_MODE_CACHING_SIZE];
	uint8_t changeable[SCSI_MODE_CACHING_SIZE];

	for (unsigned int i = 0; i < NR_PAGES; i++) {
		if (pages[i].code != page[0])
			continue;
		if (pages[i].size > left || page[1] != pages[i].size - 2)
			return false;
		fill(&pages[i], lun, false, current);
		fill(&pages[i], lun, true, changeable);
		for (unsigned int at = 2; at < pages[i].size; at++)
			if ((page[at] ^ current[at]) & ~changeable[at])
				return false;
		return true;
	}
	return false;
}

static bool select_pages(struct scsi_task *task, const uint8_t *list,
			 unsigned int at, unsigned int size)
{
	struct scsi_lun *lun = task->nexus->lun;
	bool wce = atomic_load(&lun->write_cache);

	while (at < size) {
		if (size - at < 2)
			return scsi_refuse(task,
					   SCSI_ASC_PARAMETER_LIST_LENGTH);
		if (!acceptable(lun, list + at, size - at))
			return scsi_refuse(
				task, SCSI_ASC_INVALID_FIELD_IN_PARAMETERS);
		if (list[at] == SCSI_MODE_CACHING)
			wce = list[at + 2] & SCSI_MODE_CACHING_WCE;
		at += 2u + list[at + 1];
	}
	if (atomic_exchange(&lun->write_cache, wce) && !wce) {
		task->nexus->count.flushes++;
		return scsi_transfer_flush(task);
	}
	return scsi_good(task);
}

static bool select_list(struct scsi_task *task, unsigned int header_size,
			uint32_t size)
{
	uint8_t list[LIST_MAX];
	unsigned int descriptors;

	if (task->cdb[1] & SCSI_CDB_MODE_SP ||
	    !(task->cdb[1] & SCSI_CDB_MODE_PF))
		return scsi_refuse(task, SCSI_ASC_INVALID_FIELD_IN_CDB);
	if (!size)
		return scsi_good(task);
	if (size < header_size || size > sizeof(list))
		return scsi_refuse(task, SCSI_ASC_PARAMETER_LIST_LENGTH);
	if (!scsi_fetch(task, list, size))
		return true;
	descriptors = header_size == sizeof(struct scsi_mode_header_6) ?
			      list[3] : scsi_get16(list + 6);
	if (descriptors)
		return scsi_refuse(task, SCSI_ASC_INVALID_FIELD_IN_PARAMETERS);
	return select_pages(task, list, header_size, size);
}

bool scsi_mode_select_6(struct scsi_task *task)
{
	return select_list(task, sizeof(struct scsi_mode_header_6),
			   task->cdb[4]);
}

bool scsi_mode_select_10(struct scsi_task *task)
{
	return select_list(task, sizeof(struct scsi_mode_header_10),
			   scsi_get16(task->cdb + 7));
}
