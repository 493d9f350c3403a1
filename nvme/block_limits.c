/* SPDX-License-Identifier: MIT */
/*
 * Block devices in sysfs, theory of operation
 *
 * A disk is known by the VMBus instance of its SCSI controller and its LUN,
 * because that is what a host can promise:
 *
 *	/sys/bus/vmbus/devices/GUID/	the VMBus device
 *	   hostN/			the SCSI host
 *	      targetN:0:0/
 *	         N:0:0:LUN/		the logical unit: vpd_pg80, vpd_pg83
 *	            block/sdX/		the block device: size, ro, queue/
 *
 * Limits are those of the block layer (Documentation/ABI/stable/sysfs-block):
 * it splits what the device can not take at once, so that only alignment and
 * gaps matter to us.
 */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block_limits.h"

#define MAX_TRANSFER (1u << 20)
#define MAX_RANGES 257 /* of whole pages, with ragged ends */
#define SECTOR 512u    /* of `size`, whatever the block */

/* VPD pages. */
#define VPD_HEADER 4u
#define VPD_SERIAL 0x80
#define VPD_IDENTIFICATION 0x83
#define DESIGNATOR_HEADER 4u
#define DESIGNATOR_TYPE_MASK 0x0f
#define DESIGNATOR_OF_UNIT_MASK 0x30 /* 0: of the logical unit */
#define DESIGNATOR_EUI64 2
#define DESIGNATOR_NAA 3

/* Appends the logical unit's entry, host:channel:target:LUN, of the target's
 * directory. */
static int descend_to_lun(char *path, uint32_t lun)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	int err = -ENOENT;

	if (!dir)
		return -errno;
	while (err == -ENOENT && (entry = readdir(dir))) {
		const char *last = strrchr(entry->d_name, ':');
		char *end;

		if (!last || !last[1] || strtoul(last + 1, &end, 10) != lun ||
		    *end)
			continue;
		err = sysfs_descend(path, entry->d_name);
	}
	closedir(dir);
	return err;
}

int block_find(const char *root, const struct guid *controller, uint32_t lun,
	       char *path)
{
	int err = sysfs_vmbus_device(root, controller, path);

	if (!err)
		err = sysfs_descend(path, "host");
	if (!err)
		err = sysfs_descend(path, "target");
	if (!err)
		err = descend_to_lun(path, lun);
	if (!err)
		err = sysfs_descend(path, "block");
	if (!err)
		err = sysfs_descend(path, "sd");
	return err;
}

/* ---- limits ---- */

struct attributes {
	uint64_t size, read_only, block, physical, gaps, alignment, rotational;
	uint64_t discard, granularity, offset, zeroes, optimal;
	char cache[16];
};

static const char *read_attributes(const char *path, struct attributes *a)
{
	const struct {
		const char *name;
		uint64_t *value;
	} number[] = {
		{ "size", &a->size },
		{ "ro", &a->read_only },
		{ "discard_alignment", &a->offset },
		{ "queue/logical_block_size", &a->block },
		{ "queue/physical_block_size", &a->physical },
		{ "queue/virt_boundary_mask", &a->gaps },
		{ "queue/dma_alignment", &a->alignment },
		{ "queue/rotational", &a->rotational },
		{ "queue/discard_max_bytes", &a->discard },
		{ "queue/discard_granularity", &a->granularity },
		{ "queue/write_zeroes_max_bytes", &a->zeroes },
		{ "queue/optimal_io_size", &a->optimal },
	};

	for (size_t i = 0; i < sizeof(number) / sizeof(number[0]); i++)
		if (sysfs_number(path, number[i].name, number[i].value))
			return number[i].name;
	return sysfs_text(path, "queue/write_cache", a->cache,
			  sizeof(a->cache)) ? "queue/write_cache" : NULL;
}

static bool power_of_two(uint64_t v)
{
	return v && !(v & (v - 1));
}

/* The unit of discards, and the first one's beginning: `discard_alignment`
 * is by how much the device begins inside of one. */
static void set_discard(const struct attributes *a, struct disk_info *info)
{
	uint64_t unit = a->granularity / info->block_size;
	uint64_t inside = a->offset / info->block_size;

	if (!a->discard)
		return;
	unit = !unit ? 1 : unit > UINT32_MAX ? UINT32_MAX : unit;
	info->discard_granularity = (uint32_t)unit;
	info->discard_alignment = (uint32_t)((unit - inside % unit) % unit);
}

const char *block_limits(const char *path, struct disk_info *info)
{
	struct attributes a;
	const char *wrong = read_attributes(path, &a);

	if (wrong)
		return wrong;
	if (!power_of_two(a.block) || a.block < 512 || a.block > 4096)
		return "queue/logical_block_size";
	if (!a.size || a.size > UINT64_MAX / SECTOR ||
	    a.size * SECTOR % a.block)
		return "size";
	if (!power_of_two(a.alignment + 1) || a.alignment >= 4096)
		return "queue/dma_alignment";
	if (a.gaps > UINT32_MAX || a.gaps & (a.gaps + 1))
		return "queue/virt_boundary_mask";
	*info = (struct disk_info){
		.blocks = a.size * SECTOR / a.block,
		.block_size = (uint32_t)a.block,
		.physical_block_size = (uint32_t)a.block,
		.max_transfer = MAX_TRANSFER,
		.max_ranges = MAX_RANGES,
		.gap_mask = (uint32_t)a.gaps,
		.range_alignment = (uint32_t)a.alignment + 1,
		.read_only = a.read_only,
		.rotational = a.rotational,
		.write_cache = !strcmp(a.cache, "write back"),
		/* Of a device without it the kernel flushes the cache. */
		.fua = true,
		/* Of one that can not, the kernel writes them. */
		.write_zeroes = true,
		.write_zeroes_unmap = a.zeroes,
	};
	if (power_of_two(a.physical) && a.physical >= a.block &&
	    a.physical <= MAX_TRANSFER)
		info->physical_block_size = (uint32_t)a.physical;
	if (a.optimal <= MAX_TRANSFER && a.optimal % a.block == 0)
		info->optimal_transfer = (uint32_t)a.optimal;
	set_discard(&a, info);
	return NULL;
}

/* ---- identity ---- */

/* The page's bytes behind its header, as many as there are; NULL: it is not
 * that page. */
static const uint8_t *page_body(const uint8_t *page, size_t *len, uint8_t code)
{
	size_t said;

	if (*len < VPD_HEADER || page[1] != code)
		return NULL;
	said = (size_t)page[2] << 8 | page[3];
	*len -= VPD_HEADER;
	if (*len > said)
		*len = said;
	return page + VPD_HEADER;
}

void vpd_serial(const uint8_t *page, size_t len, char serial[21])
{
	const uint8_t *text = page_body(page, &len, VPD_SERIAL);

	serial[0] = '\0';
	if (!text)
		return;
	/* Padded with blanks on either side. */
	for (; len && (*text == ' ' || !*text); text++)
		len--;
	while (len && (text[len - 1] == ' ' || !text[len - 1]))
		len--;
	if (len > 20)
		len = 20;
	for (size_t i = 0; i < len; i++)
		serial[i] = text[i] > ' ' && text[i] < 0x7f ? (char)text[i] :
							      '_';
	serial[len] = '\0';
}

/* Eight bytes are an EUI-64; sixteen are what a registry makes unique, like
 * an NGUID: EUI-64 based ones, and NAA type 6. */
static void take_designator(struct disk_info *info, uint8_t type,
			    const uint8_t *id, size_t len)
{
	if (type == DESIGNATOR_EUI64 && len == sizeof(info->eui64))
		memcpy(info->eui64, id, len);
	else if ((type == DESIGNATOR_EUI64 || type == DESIGNATOR_NAA) &&
		 len == sizeof(info->nguid))
		memcpy(info->nguid, id, len);
}

void vpd_identifiers(const uint8_t *page, size_t len, struct disk_info *info)
{
	const uint8_t *at = page_body(page, &len, VPD_IDENTIFICATION);

	while (at && len >= DESIGNATOR_HEADER) {
		size_t size = at[3];

		len -= DESIGNATOR_HEADER;
		if (size > len)
			return;
		if (!(at[1] & DESIGNATOR_OF_UNIT_MASK))
			take_designator(info, at[1] & DESIGNATOR_TYPE_MASK,
					at + DESIGNATOR_HEADER, size);
		at += DESIGNATOR_HEADER + size;
		len -= size;
	}
}

void block_identity(const char *path, struct disk_info *info)
{
	uint8_t page[1024];
	long n = sysfs_bytes(path, "device/vpd_pg80", page, sizeof(page));

	if (n > 0)
		vpd_serial(page, (size_t)n, info->serial);
	n = sysfs_bytes(path, "device/vpd_pg83", page, sizeof(page));
	if (n > 0)
		vpd_identifiers(page, (size_t)n, info);
}
