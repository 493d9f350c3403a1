/* SPDX-License-Identifier: MIT */
/*
 * Logical units and nexuses, theory of operation
 *
 * A logical unit is a disk with a face: numbers, identity, and what mode pages
 * can change. It is filled in once and shared. A nexus is one channel's queue
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
		return "block size is 512, 1024, 2048 or 4096";
	if (!info->blocks || info->blocks > UINT64_MAX / info->block_size)
		return "it has blocks, and no more bytes than 64 bits count";
	if (info->physical_block_size < info->block_size ||
	    !power_of_two(info->physical_block_size) ||
	    info->physical_block_size / info->block_size > UINT16_MAX)
		return "physical block size is 2^n blocks";
	if (info->max_transfer < info->block_size ||
	    info->max_transfer % info->block_size)
		return "largest transfer is a multiple of the block size";
	if (!info->max_ranges)
		return "it takes at least one range";
	if (!power_of_two(info->range_alignment))
		return "alignment of ranges is a power of two";
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

int scsi_lun_init(struct scsi_lun *lun, uint8_t number, struct disk *disk,
		  bool read_only, const struct scsi_identity *identity)
{
	struct scsi_identity *id = &lun->identity;
	const char *rule;

	memset(lun, 0, sizeof(*lun));
	if (number >= SCSI_MAX_LUNS) {
		log_err("LUN %u: must be below %u", number, SCSI_MAX_LUNS);
		return -EINVAL;
	}
	lun->number = number;
	lun->disk = disk;
	disk->ops->info(disk, &lun->info);
	rule = unusable(&lun->info);
	if (rule) {
		log_err("LUN %u: disk: %s", number, rule);
		return -EINVAL;
	}
	/* Linux takes WRITE SAME only from a vendor that begins like this. */
	if (!set_text(id->vendor, sizeof(id->vendor), identity->vendor,
		      "Msft") ||
	    !set_text(id->product, sizeof(id->product), identity->product,
		      "Virtual Disk") ||
	    !set_text(id->revision, sizeof(id->revision), identity->revision,
		      "1.0") ||
	    !set_text(id->serial, sizeof(id->serial), identity->serial, "")) {
		log_err("LUN %u: identity is printable ASCII of its length",
			number);
		return -EINVAL;
	}
	id->id = identity->id;
	lun->read_only = read_only || lun->info.read_only;
	atomic_init(&lun->write_cache, lun->info.write_cache);
	atomic_init(&lun->blocks, lun->info.blocks);
	atomic_init(&lun->capacity_changed, false);
	scsi_name(lun);
	return 0;
}

void scsi_lun_changed(struct scsi_lun *lun)
{
	uint64_t before = atomic_load(&lun->blocks);
	struct disk_info info;
	const char *rule;

	lun->disk->ops->info(lun->disk, &info);
	rule = unusable(&info);
	if (!rule && info.block_size != lun->info.block_size)
		rule = "block size stays";
	if (rule) {
		log_err("LUN %u: disk changed: %s; not followed", lun->number,
			rule);
		return;
	}
	if (info.blocks == before)
		return;
	log_info("LUN %u: %llu blocks, now %llu", lun->number,
		 (unsigned long long)before, (unsigned long long)info.blocks);
	atomic_store(&lun->blocks, info.blocks);
	atomic_store(&lun->capacity_changed, true);
}

int scsi_nexus_open(struct scsi_nexus *nexus, struct scsi_lun *lun,
		    struct scsi_bounce_pool *bounce, struct reactor *r,
		    unsigned int tasks)
{
	memset(nexus, 0, sizeof(*nexus));
	nexus->lun = lun;
	nexus->bounce = bounce;
	return lun->disk->ops->queue_open(lun->disk, r, tasks * SCSI_PARTS,
					  &nexus->queue);
}

void scsi_nexus_close(struct scsi_nexus *nexus)
{
	nexus->lun->disk->ops->queue_close(nexus->queue);
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
