/* SPDX-License-Identifier: MIT */
/*
 * INQUIRY, theory of operation
 *
 * Standard data and vital product data of a logical unit (SPC-4, 6.6 and 7.8;
 * SBC-3, 6.5), each built anew from the disk's figures; nothing is kept.
 *
 * What is listed in page 00h is there. A disk's block device characteristics
 * always are: without them a client takes it for a rotating one.
 *
 * Names: the NAA designator of page 83h is a globally unique identifier, folded
 * into the 12 bytes that a registered extended name leaves to its owner: the
 * one that was configured, else the disk's own, else one made from where the
 * unit is. It depends on nothing else, so it survives every restart.
 *
 * Failure answers: an unknown page is INVALID FIELD IN CDB. A logical unit
 * that is not there answers standard data with peripheral qualifier 3.
 */
#include <string.h>

#include "scsi_command.h"

/* The first four bytes of names of Hyper-V's disks: NAA 6, Microsoft's OUI. */
static const uint8_t naa_prefix[4] = {
	SCSI_NAA_REGISTERED_EXTENDED << 4, 0x02, 0x24, 0x80
};

static bool any(const uint8_t *bytes, unsigned int size)
{
	while (size--)
		if (bytes[size])
			return true;
	return false;
}

void scsi_name(struct scsi_lun *lun, const struct guid *otherwise)
{
	const struct disk_info *info = &lun->info;
	uint8_t id[16] = { 0 };

	if (any(lun->identity.id.b, sizeof(id)))
		memcpy(id, lun->identity.id.b, sizeof(id));
	else if (any(info->nguid, sizeof(info->nguid)))
		memcpy(id, info->nguid, sizeof(id));
	else if (any(info->eui64, sizeof(info->eui64)))
		memcpy(id + 8, info->eui64, sizeof(info->eui64));
	else
		memcpy(id, otherwise->b, sizeof(id));
	for (unsigned int i = 0; i < sizeof(naa_prefix); i++)
		id[4 + i] ^= id[i];
	memcpy(id, naa_prefix, sizeof(naa_prefix));
	memcpy(lun->name, id, sizeof(id));
}

/* Left-aligned, filled with spaces (SPC-4, 4.4.1). */
static void put_text(uint8_t *field, unsigned int size, const char *text)
{
	size_t len = strlen(text);

	memset(field, ' ', size);
	memcpy(field, text, len < size ? len : size);
}

static uint8_t peripheral(const struct scsi_lun *lun)
{
	return lun->dvd ? SCSI_PERIPHERAL_DVD : SCSI_PERIPHERAL_DISK;
}

static bool standard(struct scsi_task *task)
{
	const struct scsi_lun *lun;
	struct scsi_inquiry data = {
		.peripheral = SCSI_PERIPHERAL_NONE,
		.version = SCSI_INQUIRY_SPC3,
		.format = SCSI_INQUIRY_FORMAT,
		.additional_size = sizeof(data) - 5,
	};

	put_text(data.vendor, sizeof(data.vendor), "");
	put_text(data.product, sizeof(data.product), "");
	put_text(data.revision, sizeof(data.revision), "");
	if (task->nexus) {
		lun = task->nexus->lun;
		data.peripheral = peripheral(lun);
		data.removable = lun->dvd ? SCSI_INQUIRY_REMOVABLE : 0;
		data.flags7 = SCSI_INQUIRY_CMDQUE;
		put_text(data.vendor, sizeof(data.vendor),
			 lun->identity.vendor);
		put_text(data.product, sizeof(data.product),
			 lun->identity.product);
		put_text(data.revision, sizeof(data.revision),
			 lun->identity.revision);
	}
	return scsi_return(task, &data, sizeof(data),
			   scsi_get16(task->cdb + 3));
}

/* Vital product data. Each fills in `page` and returns its size, header
 * included; 0: this logical unit does not have the page. */

#define VPD_MAX 128

static unsigned int serial(const struct scsi_lun *lun, uint8_t *page)
{
	static const char digits[] = "0123456789abcdef";
	const char *text = lun->identity.serial;
	uint8_t *to = page + sizeof(struct scsi_vpd_header);
	unsigned int size = (unsigned int)strlen(text);

	memcpy(to, text, size);
	if (!size) {
		/* The disk's own serial number may be its controller's, and
		 * the same for others: the name is not. */
		for (unsigned int i = 0; i < sizeof(lun->name); i++) {
			to[size++] = (uint8_t)digits[lun->name[i] >> 4];
			to[size++] = (uint8_t)digits[lun->name[i] & 15];
		}
	}
	return (unsigned int)sizeof(struct scsi_vpd_header) + size;
}

static uint8_t *put_designator(uint8_t *to, uint8_t code_set, uint8_t type,
			       const void *value, uint8_t size)
{
	struct scsi_designator head = {
		.code_set = code_set, .type = type, .size = size,
	};

	memcpy(to, &head, sizeof(head));
	memcpy(to + sizeof(head), value, size);
	return to + sizeof(head) + size;
}

static unsigned int identification(const struct scsi_lun *lun, uint8_t *page)
{
	uint8_t *to = page + sizeof(struct scsi_vpd_header);
	uint8_t text[VPD_MAX], number[VPD_MAX];
	unsigned int size;

	to = put_designator(to, SCSI_CODE_SET_BINARY, SCSI_DESIGNATOR_NAA,
			    lun->name, sizeof(lun->name));
	size = serial(lun, number) - (unsigned int)sizeof(struct
							  scsi_vpd_header);
	put_text(text, 8, lun->identity.vendor);
	memcpy(text + 8, number + sizeof(struct scsi_vpd_header), size);
	to = put_designator(to, SCSI_CODE_SET_ASCII, SCSI_DESIGNATOR_T10, text,
			    (uint8_t)(8 + size));
	return (unsigned int)(to - page);
}

/* In blocks, whole physical ones: what the disk likes best, else the most that
 * a command can move. 0: nothing. */
static uint32_t optimal_transfer(const struct disk_info *info)
{
	uint32_t bytes = info->optimal_transfer;

	if (!bytes || bytes > SCSI_MAX_TRANSFER)
		bytes = SCSI_MAX_TRANSFER;
	return bytes / info->physical_block_size *
	       (info->physical_block_size / info->block_size);
}

static unsigned int block_limits(const struct scsi_lun *lun, uint8_t *page)
{
	const struct disk_info *info = &lun->info;
	struct scsi_block_limits limits = { .wsnz = 1 };
	uint32_t granularity = info->discard_granularity;

	if (lun->dvd)
		return 0;
	scsi_put16(limits.transfer_granularity,
		   (uint16_t)(info->physical_block_size / info->block_size));
	scsi_put32(limits.max_transfer, SCSI_MAX_TRANSFER / info->block_size);
	scsi_put32(limits.optimal_transfer, optimal_transfer(info));
	scsi_put64(limits.max_write_same,
		   SCSI_MAX_WRITE_SAME / info->block_size);
	if (granularity) {
		scsi_put32(limits.max_unmap, UINT32_MAX);
		scsi_put32(limits.max_unmap_descriptors,
			   SCSI_MAX_UNMAP_DESCRIPTORS);
		scsi_put32(limits.unmap_granularity, granularity);
		scsi_put32(limits.unmap_alignment, SCSI_UGAVALID |
			   info->discard_alignment % granularity);
	}
	memcpy(page, &limits, sizeof(limits));
	return sizeof(limits);
}

static unsigned int characteristics(const struct scsi_lun *lun, uint8_t *page)
{
	struct scsi_characteristics data = { 0 };

	if (lun->dvd)
		return 0;
	scsi_put16(data.rotation_rate, lun->rotation);
	memcpy(page, &data, sizeof(data));
	return sizeof(data);
}

static unsigned int provisioning(const struct scsi_lun *lun, uint8_t *page)
{
	struct scsi_provisioning data = { .type = SCSI_PROVISIONING_THIN };

	if (!scsi_thin(lun))
		return 0;
	if (scsi_can_unmap(lun))
		data.flags |= SCSI_LBPU;
	if (lun->info.write_zeroes_unmap)
		data.flags |= SCSI_LBPWS | SCSI_LBPWS10;
	if (scsi_reads_zeroes(lun))
		data.flags |= SCSI_PROVISIONING_LBPRZ;
	memcpy(page, &data, sizeof(data));
	return sizeof(data);
}

static unsigned int supported(const struct scsi_lun *lun, uint8_t *page);

static const struct {
	uint8_t code;
	unsigned int (*build)(const struct scsi_lun *lun, uint8_t *page);
} pages[] = { /* ascending */
	{ SCSI_VPD_SUPPORTED, supported },
	{ SCSI_VPD_SERIAL, serial },
	{ SCSI_VPD_IDENTIFICATION, identification },
	{ SCSI_VPD_BLOCK_LIMITS, block_limits },
	{ SCSI_VPD_CHARACTERISTICS, characteristics },
	{ SCSI_VPD_PROVISIONING, provisioning },
};
#define NR_PAGES (sizeof(pages) / sizeof(pages[0]))

static unsigned int supported(const struct scsi_lun *lun, uint8_t *page)
{
	unsigned int size = sizeof(struct scsi_vpd_header);
	uint8_t scratch[VPD_MAX];

	for (unsigned int i = 0; i < NR_PAGES; i++)
		if (pages[i].build == supported ||
		    pages[i].build(lun, scratch))
			page[size++] = pages[i].code;
	return size;
}

static bool vital(struct scsi_task *task)
{
	struct scsi_vpd_header header = {
		.peripheral = peripheral(task->nexus->lun),
		.page = task->cdb[2],
	};
	uint8_t page[VPD_MAX] = { 0 };
	unsigned int size = 0;

	for (unsigned int i = 0; i < NR_PAGES; i++)
		if (pages[i].code == task->cdb[2])
			size = pages[i].build(task->nexus->lun, page);
	if (!size)
		return scsi_refuse_cdb(task, 2, 7);
	scsi_put16(header.size, (uint16_t)(size - sizeof(header)));
	memcpy(page, &header, sizeof(header));
	return scsi_return(task, page, size, scsi_get16(task->cdb + 3));
}

bool scsi_inquiry(struct scsi_task *task)
{
	if (task->cdb[1] & SCSI_CDB_EVPD) {
		if (task->nexus)
			return vital(task);
		return scsi_refuse_cdb(task, 1, 0);
	}
	if (task->cdb[2])
		return scsi_refuse_cdb(task, 2, 7);
	return standard(task);
}
