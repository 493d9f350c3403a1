/* SPDX-License-Identifier: MIT */
/*
 * Logical units and nexuses, theory of operation
 *
 * A logical unit is a disk with a face: numbers, identity, what of the disk is
 * shown, and what mode pages can change. It is filled in once and shared; what
 * the configuration hides is taken out of its copy of the disk's figures, so
 * that whoever looks there need not ask twice. A nexus is one channel's queue
 * of the disk, with a batch of requests that grows while the channel reads its
 * ring and goes to the disk in one call.
 *
 * Threads: see scsi.h. Failure answers: a disk that no SCSI client could use
 * is refused when the logical unit is made; one that becomes so keeps the size
 * it had, and fails by itself.
 */
#include <errno.h>
#include <string.h>

#include <pv/inspect.h>
#include <pv/log.h>

#include "scsi_command.h"
#include "scsi_mmc_reg.h"

LOG_MODULE("scsi");

static bool power_of_two(uint32_t v)
{
	return v && !(v & (v - 1));
}

/* The rule that the disk's figures break, or NULL. */
static const char *unusable(const struct disk_info *info)
{
	if (!power_of_two(info->block_size) || info->block_size < 512 ||
	    info->block_size > GUEST_PAGE_SIZE)
		return "backend: block size is 512, 1024, 2048 or 4096";
	if (!info->blocks || info->blocks > UINT64_MAX / info->block_size)
		return "backend: has no block, or more bytes than 64 bits count";
	if (info->physical_block_size < info->block_size ||
	    !power_of_two(info->physical_block_size) ||
	    info->physical_block_size / info->block_size > UINT16_MAX)
		return "backend: physical block size is 2^n blocks";
	if (info->max_transfer < info->block_size ||
	    info->max_transfer % info->block_size)
		return "backend: largest transfer is a multiple of the block size";
	if (!info->max_ranges)
		return "backend: takes at least one range";
	if (!power_of_two(info->range_alignment))
		return "backend: alignment of ranges is a power of two";
	return NULL;
}

/* Takes over `text`, or the default if it is empty; false: not printable. */
static bool set_text(char *to, size_t size, const char *text,
		     const char *otherwise)
{
	size_t len = strnlen(text, size);

	if (!len) {
		text = otherwise;
		len = strlen(otherwise);
	}
	if (len >= size)
		return false;
	for (size_t i = 0; i < len; i++)
		if (text[i] < ' ' || text[i] > '~')
			return false;
	memcpy(to, text, len);
	to[len] = '\0';
	return true;
}

/* The rule that the configuration breaks, or NULL. */
static const char *unfit(const struct scsi_lun_config *config,
			 const struct disk_info *info)
{
	uint32_t physical = config->physical_block_size;

	if (config->write_cache > SCSI_ON || config->fua > SCSI_ON ||
	    config->unmap > SCSI_ON)
		return "write_cache, fua, unmap: as the disk, off or on";
	if (config->write_cache == SCSI_ON && !info->write_cache)
		return "write_cache: the disk has none";
	if (config->fua == SCSI_ON && !info->fua)
		return "fua: the disk does not know it";
	if (config->unmap == SCSI_ON && !info->discard_granularity &&
	    !info->write_zeroes_unmap)
		return "unmap: the disk cannot";
	if (config->rotation > SCSI_ROTATION_NONE &&
	    (config->rotation < SCSI_ROTATION_MIN ||
	     config->rotation > SCSI_ROTATION_MAX))
		return "rotation: is 1 or 1025 to 65534";
	if (physical && (!power_of_two(physical) ||
			 physical < info->block_size ||
			 physical / info->block_size > UINT16_MAX))
		return "physical_block_size: is 2^n blocks of the disk";
	return NULL;
}

/* The LBA of a block that begins a physical one. A disk says where it likes to
 * unmap from, which is there if it unmaps whole physical blocks. */
static uint16_t lowest_aligned(const struct disk_info *info)
{
	uint32_t physical = info->physical_block_size / info->block_size;
	uint32_t lowest = info->discard_alignment % physical;

	if (!info->discard_granularity ||
	    info->discard_granularity % physical ||
	    lowest > SCSI_MAX_LOWEST_ALIGNED)
		return 0;
	return (uint16_t)lowest;
}

static void show_disk(struct scsi_lun *lun,
		      const struct scsi_lun_config *config)
{
	struct disk_info *info = &lun->info;

	if (config->physical_block_size)
		info->physical_block_size = config->physical_block_size;
	lun->lowest_aligned = lowest_aligned(info);
	if (config->unmap == SCSI_OFF) {
		info->discard_granularity = 0;
		info->write_zeroes_unmap = false;
	}
	lun->cached = info->write_cache && config->write_cache != SCSI_OFF;
	lun->fua = config->fua != SCSI_OFF;
	lun->rotation = config->rotation ? config->rotation :
			info->rotational ? SCSI_ROTATION_NOT_REPORTED :
					   SCSI_ROTATION_NONE;
	lun->read_only = config->read_only || info->read_only;
	lun->block_size = info->block_size;
	lun->disk_blocks = 1;
}

/* How many blocks a client counts on a disk that says `info`. */
static uint64_t blocks_of(const struct scsi_lun *lun,
			  const struct disk_info *info)
{
	if (lun->dvd)
		return info->blocks * info->block_size / MMC_BLOCK_SIZE;
	return info->blocks;
}

/* False: it is not printable. */
static bool set_identity(struct scsi_lun *lun,
			 const struct scsi_lun_config *config)
{
	const struct scsi_identity *identity = &config->identity;
	struct scsi_identity *id = &lun->identity;

	/* Linux takes WRITE SAME only from a vendor that begins like this. */
	if (!set_text(id->vendor, sizeof(id->vendor), identity->vendor,
		      "Msft") ||
	    !set_text(id->product, sizeof(id->product), identity->product,
		      lun->dvd ? "Virtual DVD-ROM" : "Virtual Disk") ||
	    !set_text(id->revision, sizeof(id->revision), identity->revision,
		      "1.0") ||
	    !set_text(id->serial, sizeof(id->serial), identity->serial, ""))
		return false;
	id->id = identity->id;
	scsi_name(lun, &config->default_id);
	return true;
}

/* Takes the disk's figures. The rule that these or the configuration break, or
 * NULL. */
static const char *take_disk(struct scsi_lun *lun,
			     const struct scsi_lun_config *config)
{
	const char *rule;

	if (!lun->disk && !lun->dvd)
		return "backend: there is no disk";
	if (lun->disk) {
		lun->disk->ops->info(lun->disk, &lun->info);
		rule = unusable(&lun->info);
		if (!rule && !lun->dvd)
			rule = unfit(config, &lun->info);
		if (rule)
			return rule;
	}
	if (!lun->dvd) {
		show_disk(lun, config);
		return NULL;
	}
	lun->read_only = true;
	lun->fua = true; /* of reads; the medium is all there is */
	lun->block_size = MMC_BLOCK_SIZE;
	if (!lun->disk)
		return NULL;
	lun->disk_blocks = MMC_BLOCK_SIZE / lun->info.block_size;
	return blocks_of(lun, &lun->info) ? NULL :
					    "backend: a disc has 2048 bytes";
}

static const char *set_up(struct scsi_lun *lun,
			  const struct scsi_lun_config *config)
{
	const char *rule;

	_Static_assert(SCSI_MAX_LUNS == 64, "the text says so");
	memset(lun, 0, sizeof(*lun));
	if (config->number >= SCSI_MAX_LUNS)
		return "lun: is 0 to 63";
	lun->number = config->number;
	lun->dvd = config->dvd;
	lun->disk = config->disk;
	rule = take_disk(lun, config);
	if (rule)
		return rule;
	atomic_init(&lun->write_cache, lun->cached);
	atomic_init(&lun->blocks, blocks_of(lun, &lun->info));
	atomic_init(&lun->attentions, 0);
	atomic_init(&lun->lost, false);
	atomic_init(&lun->tray, lun->disk ? SCSI_TRAY_LOADED :
					    SCSI_TRAY_EMPTY);
	atomic_init(&lun->media_event, MMC_NO_CHANGE);
	atomic_init(&lun->locked, false);
	return set_identity(lun, config) ? NULL :
		"vendor, product, revision, serial: printable ASCII that fits";
}

const char *scsi_lun_check(const struct scsi_lun_config *config)
{
	struct scsi_lun scratch;

	return set_up(&scratch, config);
}

int scsi_lun_init(struct scsi_lun *lun, const struct scsi_lun_config *config)
{
	const char *rule = set_up(lun, config);

	if (!rule)
		return 0;
	log_err("LUN %u: %s", config->number, rule);
	return -EINVAL;
}

void scsi_attend(struct scsi_lun *lun, enum scsi_attention what)
{
	atomic_fetch_or(&lun->attentions, 1u << what);
}

void scsi_lun_changed(struct scsi_lun *lun)
{
	uint64_t before = atomic_load(&lun->blocks), now;
	struct disk_info info;
	const char *rule;

	if (!lun->disk)
		return;
	lun->disk->ops->info(lun->disk, &info);
	rule = unusable(&info);
	if (!rule && info.block_size != lun->info.block_size)
		rule = "block size stays";
	now = blocks_of(lun, &info);
	if (!rule && !now)
		rule = "a disc has a block of 2048 bytes";
	if (rule) {
		log_err("LUN %u: disk changed: %s; not followed", lun->number,
			rule);
		return;
	}
	if (now == before)
		return;
	log_info("LUN %u: %llu blocks, now %llu", lun->number,
		 (unsigned long long)before, (unsigned long long)now);
	atomic_store(&lun->blocks, now);
	scsi_attend(lun, SCSI_CAPACITY_CHANGED);
}

int scsi_nexus_open(struct scsi_nexus *nexus, struct scsi_lun *lun,
		    struct scsi_bounce_pool *bounce, struct reactor *r,
		    unsigned int tasks)
{
	int err;

	memset(nexus, 0, sizeof(*nexus));
	nexus->lun = lun;
	nexus->bounce = bounce;
	if (!lun->disk)
		return 0;
	err = scsi_bounce_open_own(nexus);
	if (err)
		return err;
	err = lun->disk->ops->queue_open(lun->disk, r, tasks * SCSI_PARTS,
					 &nexus->queue);
	if (err)
		scsi_bounce_close_own(nexus);
	return err;
}

void scsi_nexus_close(struct scsi_nexus *nexus)
{
	if (!nexus->lun->disk)
		return;
	nexus->lun->disk->ops->queue_close(nexus->queue);
	scsi_bounce_close_own(nexus);
}

void scsi_nexus_submit(struct scsi_nexus *nexus)
{
	unsigned int nr = nexus->nr_batch;

	if (!nr)
		return;
	nexus->nr_batch = 0;
	nexus->count.submits++;
	nexus->lun->disk->ops->submit(nexus->queue, nexus->batch, nr);
}

void scsi_nexus_inspect(const struct scsi_nexus *nexus, struct inspect *out)
{
	const struct scsi_counters *count = &nexus->count;

	inspect_u64(out, "reads", count->reads);
	inspect_u64(out, "writes", count->writes);
	inspect_u64(out, "flushes", count->flushes);
	inspect_u64(out, "discards", count->discards);
	inspect_u64(out, "other", count->other);
	inspect_u64(out, "bytes_read", count->bytes_read);
	inspect_u64(out, "bytes_written", count->bytes_written);
	inspect_u64(out, "requests", count->requests);
	inspect_u64(out, "submits", count->submits);
	inspect_u64(out, "refused", count->refused);
	inspect_u64(out, "failed", count->failed);
}
