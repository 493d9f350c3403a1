/* SPDX-License-Identifier: MIT */
/*
 * MODE SENSE and MODE SELECT, theory of operation
 *
 * Of a disk three mode pages: caching (SBC-3, 6.4.5), control and informational
 * exceptions (SPC-4, 7.5.8 and 7.5.11). Of a DVD drive two more, error recovery
 * and capabilities (MMC-6, 7.2), and no caching. One bit in them can be
 * changed: WCE, the write cache, where the unit shows one. Switching it off
 * does not touch the disk, which may serve others, too: our writes become
 * durable one by one. A flush makes those durable that have ended; those under
 * way see at their end that the cache is off. So the bit comes first, then the
 * flush; also where it was off, as that flush may still be under way.
 *
 * A disk's block descriptor (SBC-3, 6.4.2) comes before the pages unless it is
 * declined; the long form if the client takes that. It has no number of blocks
 * of its own: it shows the size.
 *
 * MODE SELECT takes what MODE SENSE gave, with or without that bit changed,
 * and nothing else, and saves nothing. Whoever asks for saved values gets what
 * the unit comes up with, which are the defaults: a refusal would be legal, but
 * Linux's storvsc makes a success without data of it, and sdparm gives up. A
 * block descriptor may leave out either number (0), or must have those there
 * are.
 *
 * Threads: WCE is shared by all channels of the logical unit, hence atomic.
 *
 * Failure answers: unknown pages, and to save, INVALID FIELD IN CDB, a page cut
 * short PARAMETER LIST LENGTH ERROR, other values INVALID FIELD IN PARAMETER
 * LIST with a pointer to the byte; then nothing has been changed.
 */
#include <string.h>

#include "scsi_command.h"
#include "scsi_mmc_reg.h"

#define LIST_MAX 128 /* all pages, a descriptor and a header are less */
#define PAGE_MAX MMC_MODE_CAPABILITIES_SIZE

struct mode_page {
	uint8_t code, size; /* with its header of two bytes */
	uint8_t units;	    /* SCSI_OF_... */
	void (*fill)(const struct scsi_lun *lun, enum scsi_mode_values values,
		     uint8_t *page); /* NULL: zeroes */
};

static void caching(const struct scsi_lun *lun, enum scsi_mode_values values,
		    uint8_t *page)
{
	bool wce = values == SCSI_MODE_CURRENT ?
			   atomic_load(&lun->write_cache) : lun->cached;

	if (wce)
		page[2] |= SCSI_MODE_CACHING_WCE;
}

static void control(const struct scsi_lun *lun, enum scsi_mode_values values,
		    uint8_t *page)
{
	(void)lun;
	if (values != SCSI_MODE_CHANGEABLE)
		page[3] = SCSI_MODE_CONTROL_QUEUE_UNRESTRICTED;
}

static void capabilities(const struct scsi_lun *lun,
			 enum scsi_mode_values values, uint8_t *page)
{
	if (values == SCSI_MODE_CHANGEABLE)
		return;
	page[2] = MMC_READS_DVD_ROM;
	page[6] = MMC_LOADING_TRAY | MMC_CAN_EJECT | MMC_CAN_LOCK;
	if (atomic_load(&lun->locked))
		page[6] |= MMC_IS_LOCKED;
	scsi_put16(page + 8, MMC_SPEED);
	scsi_put16(page + 14, MMC_SPEED);
}

static const struct mode_page pages[] = { /* ascending */
	{ MMC_MODE_RECOVERY, MMC_MODE_RECOVERY_SIZE, SCSI_OF_DVD, NULL },
	{ SCSI_MODE_CACHING, SCSI_MODE_CACHING_SIZE, SCSI_OF_DISK, caching },
	{ SCSI_MODE_CONTROL, SCSI_MODE_CONTROL_SIZE, SCSI_OF_BOTH, control },
	{ SCSI_MODE_EXCEPTIONS, SCSI_MODE_EXCEPTIONS_SIZE, SCSI_OF_BOTH, NULL },
	{ MMC_MODE_CAPABILITIES, MMC_MODE_CAPABILITIES_SIZE, SCSI_OF_DVD,
	  capabilities },
};
#define NR_PAGES (sizeof(pages) / sizeof(pages[0]))

static bool has(const struct scsi_lun *lun, const struct mode_page *page)
{
	return page->units & (lun->dvd ? SCSI_OF_DVD : SCSI_OF_DISK);
}

static void fill(const struct mode_page *page, const struct scsi_lun *lun,
		 enum scsi_mode_values values, uint8_t *to)
{
	memset(to, 0, page->size);
	to[0] = page->code;
	to[1] = page->size - 2;
	if (page->fill)
		page->fill(lun, values, to);
}

/* The block descriptor; its size. */
static unsigned int describe_blocks(const struct scsi_lun *lun, bool long_form,
				    uint8_t *to)
{
	uint64_t blocks = atomic_load(&lun->blocks);
	struct scsi_mode_block_short brief = { 0 };
	struct scsi_mode_block_long full = { 0 };

	if (long_form) {
		scsi_put64(full.blocks, blocks);
		scsi_put32(full.block_size, lun->block_size);
		memcpy(to, &full, sizeof(full));
		return sizeof(full);
	}
	scsi_put32(brief.blocks,
		   blocks < UINT32_MAX ? (uint32_t)blocks : UINT32_MAX);
	scsi_put32(brief.block_size, lun->block_size);
	memcpy(to, &brief, sizeof(brief));
	return sizeof(brief);
}

/* MODE SENSE. */

/* The header in front of `size` bytes, its own included. */
static void put_header(const struct scsi_task *task, uint8_t *list,
		       unsigned int header_size, unsigned int size,
		       unsigned int descriptor, bool long_form)
{
	const struct scsi_lun *lun = task->nexus->lun;
	uint8_t specific = lun->fua && !lun->dvd ? SCSI_MODE_DPOFUA : 0;

	if (lun->read_only && !lun->dvd)
		specific |= SCSI_MODE_WP;
	if (header_size == sizeof(struct scsi_mode_header_6)) {
		struct scsi_mode_header_6 header = {
			.size = (uint8_t)(size - 1),
			.device_specific = specific,
			.descriptors_size = (uint8_t)descriptor,
		};

		memcpy(list, &header, sizeof(header));
	} else {
		struct scsi_mode_header_10 header = {
			.device_specific = specific,
			.longlba = long_form ? SCSI_MODE_LONGLBA : 0,
		};

		scsi_put16(header.size, (uint16_t)(size - 2));
		scsi_put16(header.descriptors_size, (uint16_t)descriptor);
		memcpy(list, &header, sizeof(header));
	}
}

static bool sense(struct scsi_task *task, unsigned int header_size,
		  bool long_form, uint32_t allocation_size)
{
	const struct scsi_lun *lun = task->nexus->lun;
	uint8_t wanted = task->cdb[2] & SCSI_CDB_MODE_PAGE_MASK;
	enum scsi_mode_values values =
		task->cdb[2] >> SCSI_CDB_MODE_CONTROL_SHIFT;
	uint8_t list[LIST_MAX] = { 0 };
	unsigned int size = header_size, descriptor = 0, before;

	if (task->cdb[3] && task->cdb[3] != SCSI_MODE_ALL_SUBPAGES)
		return scsi_refuse_cdb(task, 3, 7);
	if (!lun->dvd && !(task->cdb[1] & SCSI_CDB_MODE_DBD))
		descriptor = describe_blocks(lun, long_form, list + size);
	size += descriptor;
	before = size;
	for (unsigned int i = 0; i < NR_PAGES; i++) {
		if (!has(lun, &pages[i]) ||
		    (wanted != SCSI_MODE_ALL && wanted != pages[i].code))
			continue;
		fill(&pages[i], lun, values, list + size);
		size += pages[i].size;
	}
	if (size == before)
		return scsi_refuse_cdb(task, 2, 5);
	put_header(task, list, header_size, size, descriptor,
		   long_form && descriptor);
	return scsi_return(task, list, size, allocation_size);
}

bool scsi_mode_sense_6(struct scsi_task *task)
{
	return sense(task, sizeof(struct scsi_mode_header_6), false,
		     task->cdb[4]);
}

bool scsi_mode_sense_10(struct scsi_task *task)
{
	return sense(task, sizeof(struct scsi_mode_header_10),
		     task->cdb[1] & SCSI_CDB_MODE_LLBAA,
		     scsi_get16(task->cdb + 7));
}

/* MODE SELECT. */

/* Is there a page of this code, with this size? */
static const struct mode_page *find(const struct scsi_lun *lun,
				    const uint8_t *page)
{
	for (unsigned int i = 0; i < NR_PAGES; i++)
		if (has(lun, &pages[i]) && pages[i].code == page[0])
			return &pages[i];
	return NULL;
}

/* One page, `at` in the list; false: the result is set. */
static bool take_page(struct scsi_task *task, const uint8_t *list,
		      unsigned int at, unsigned int size, bool *wce)
{
	const struct scsi_lun *lun = task->nexus->lun;
	const struct mode_page *page = NULL;
	uint8_t current[PAGE_MAX], changeable[PAGE_MAX];

	if (size - at >= 2)
		page = find(lun, list + at);
	if (size - at < 2 || (page && page->size > size - at)) {
		scsi_refuse(task, SCSI_ASC_PARAMETER_LIST_LENGTH);
		return false;
	}
	if (!page || list[at + 1] != page->size - 2) {
		scsi_refuse_list(task, page ? at + 1 : at, page ? 7 : 5);
		return false;
	}
	fill(page, lun, SCSI_MODE_CURRENT, current);
	fill(page, lun, SCSI_MODE_CHANGEABLE, changeable);
	for (unsigned int i = 2; i < page->size; i++) {
		if ((list[at + i] ^ current[i]) & ~changeable[i]) {
			scsi_refuse_list(task, at + i, 7);
			return false;
		}
	}
	if (page->code == SCSI_MODE_CACHING)
		*wce = list[at + 2] & SCSI_MODE_CACHING_WCE;
	return true;
}

static bool select_pages(struct scsi_task *task, const uint8_t *list,
			 unsigned int at, unsigned int size)
{
	struct scsi_lun *lun = task->nexus->lun;
	bool wce = atomic_load(&lun->write_cache);

	for (; at < size; at += 2u + list[at + 1])
		if (!take_page(task, list, at, size, &wce))
			return true;
	atomic_store(&lun->write_cache, wce);
	if (!wce && lun->info.write_cache) {
		task->nexus->count.flushes++;
		return scsi_transfer_flush(task);
	}
	return scsi_good(task);
}

static bool zero_or_same(const uint8_t *given, const uint8_t *current,
			 unsigned int size)
{
	static const uint8_t zero[8];

	return !memcmp(given, zero, size) || !memcmp(given, current, size);
}

static bool same_blocks(const struct scsi_lun *lun, const uint8_t *given,
			bool long_form)
{
	uint8_t current[sizeof(struct scsi_mode_block_long)];

	describe_blocks(lun, long_form, current);
	if (long_form)
		return zero_or_same(given, current, 8) &&
		       zero_or_same(given + 12, current + 12, 4);
	return zero_or_same(given, current, 4) &&
	       zero_or_same(given + 5, current + 5, 3);
}

static bool select_list(struct scsi_task *task, unsigned int header_size,
			uint32_t size)
{
	const struct scsi_lun *lun = task->nexus->lun;
	uint8_t list[LIST_MAX];
	unsigned int descriptor, expected;

	if (!(task->cdb[1] & SCSI_CDB_MODE_PF))
		return scsi_refuse_cdb(task, 1, 4);
	if (task->cdb[1] & SCSI_CDB_MODE_SP)
		return scsi_refuse_cdb(task, 1, 0);
	if (!size)
		return scsi_good(task);
	if (size < header_size || size > sizeof(list))
		return scsi_refuse(task, SCSI_ASC_PARAMETER_LIST_LENGTH);
	if (!scsi_fetch(task, list, size))
		return true;
	if (header_size == sizeof(struct scsi_mode_header_6)) {
		descriptor = list[3];
		expected = sizeof(struct scsi_mode_block_short);
	} else {
		descriptor = scsi_get16(list + 6);
		expected = list[4] & SCSI_MODE_LONGLBA ?
				   sizeof(struct scsi_mode_block_long) :
				   sizeof(struct scsi_mode_block_short);
	}
	if (descriptor && (descriptor != expected || lun->dvd))
		return scsi_refuse_list(task, header_size == 4 ? 3 : 6, 7);
	if (header_size + descriptor > size)
		return scsi_refuse(task, SCSI_ASC_PARAMETER_LIST_LENGTH);
	if (descriptor &&
	    !same_blocks(lun, list + header_size,
			 expected == sizeof(struct scsi_mode_block_long)))
		return scsi_refuse_list(task, header_size, 7);
	return select_pages(task, list, header_size + descriptor, size);
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
