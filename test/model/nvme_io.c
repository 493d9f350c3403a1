// SPDX-License-Identifier: MIT
/*
 * Commands of the NVM command set (nvm 3.2), executed against the medium.
 *
 * A command is checked in this order, and the first fault is its status:
 * opcode, fused bits, namespace, reservation, write protection, range, size,
 * data pointer.
 * Data moves straight between the medium and the pieces of host memory.
 *
 * The controller's thread only; it blocks on the medium.
 */
#include <string.h>

#include "nvme_controller.h"

struct blocks {
	uint64_t offset, len; /* bytes */
};

static uint16_t find_blocks(const struct nvme_namespace *ns,
			    const struct nvme_command *cmd, uint64_t max,
			    struct blocks *b)
{
	uint64_t lba = (uint64_t)le32_to_cpu(cmd->cdw11) << 32 |
		       le32_to_cpu(cmd->cdw10);
	uint64_t n = (le32_to_cpu(cmd->cdw12) & NVME_RW_BLOCKS_MASK) + 1ull;

	if (lba >= ns->blocks || n > ns->blocks - lba)
		return NVME_FAIL(NVME_LBA_OUT_OF_RANGE);
	if (n << ns->shift > max)
		return NVME_FAIL(NVME_INVALID_FIELD);
	b->offset = lba << ns->shift;
	b->len = n << ns->shift;
	return NVME_SUCCESS;
}

/* Blocks and data pointer of a command that moves data. */
static uint16_t find_data(struct nvme_controller *c,
			  const struct nvme_namespace *ns,
			  const struct nvme_command *cmd, struct blocks *b)
{
	uint16_t status = find_blocks(ns, cmd, c->max_data, b);

	if (status)
		return status;
	return nvme_data_map(c, cmd, (uint32_t)b->len, NVME_DATA_BLOCKS);
}

static uint16_t check_writable(const struct nvme_namespace *ns)
{
	return ns->config.read_only ? NVME_FAIL(NVME_WRITE_PROTECTED) :
				      NVME_SUCCESS;
}

/* After a change: is it to be durable now? */
static uint16_t settle(struct nvme_controller *c,
		       struct nvme_namespace *ns,
		       const struct nvme_command *cmd, struct blocks b)
{
	bool cached = c->feature[NVME_FEATURE_WRITE_CACHE] & 1;

	if (cached && !(le32_to_cpu(cmd->cdw12) & NVME_RW_FUA))
		return NVME_SUCCESS;
	return medium_settle(ns->config.medium, b.offset, b.len) ?
		       NVME_WRITE_FAULT : NVME_SUCCESS;
}

static uint16_t flush(struct nvme_controller *c, struct nvme_namespace *ns,
		      const struct nvme_command *cmd)
{
	(void)cmd;
	NVME_COUNT(c, flushes, 1);
	return medium_flush(ns->config.medium) ? NVME_WRITE_FAULT :
						 NVME_SUCCESS;
}

static uint16_t read_blocks(struct nvme_controller *c,
			    struct nvme_namespace *ns,
			    const struct nvme_command *cmd)
{
	struct blocks b;
	uint16_t status = find_data(c, ns, cmd, &b);

	if (status)
		return status;
	for (unsigned int i = 0; i < c->nr_pieces; i++) {
		const struct nvme_piece *p = &c->piece[i];

		if (medium_read(ns->config.medium, b.offset, p->host, p->len))
			return NVME_UNRECOVERED_READ;
		b.offset += p->len;
	}
	NVME_COUNT(c, reads, 1);
	NVME_COUNT(c, bytes_read, b.len);
	return NVME_SUCCESS;
}

static uint16_t write_blocks(struct nvme_controller *c,
			     struct nvme_namespace *ns,
			     const struct nvme_command *cmd)
{
	struct blocks b, all;
	uint16_t status = check_writable(ns);

	if (!status)
		status = find_data(c, ns, cmd, &b);
	if (status)
		return status;
	all = b;
	for (unsigned int i = 0; i < c->nr_pieces; i++) {
		const struct nvme_piece *p = &c->piece[i];

		if (medium_write(ns->config.medium, b.offset, p->host, p->len))
			return NVME_WRITE_FAULT;
		b.offset += p->len;
	}
	NVME_COUNT(c, writes, 1);
	NVME_COUNT(c, bytes_written, b.len);
	return settle(c, ns, cmd, all);
}

static uint16_t compare(struct nvme_controller *c,
			struct nvme_namespace *ns,
			const struct nvme_command *cmd)
{
	const uint8_t *at = c->buffer;
	struct blocks b;
	uint16_t status = find_data(c, ns, cmd, &b);

	if (status)
		return status;
	if (medium_read(ns->config.medium, b.offset, c->buffer, b.len))
		return NVME_UNRECOVERED_READ;
	NVME_COUNT(c, compares, 1);
	for (unsigned int i = 0; i < c->nr_pieces; i++) {
		if (memcmp(at, c->piece[i].host, c->piece[i].len))
			return NVME_FAIL(NVME_COMPARE_FAILURE);
		at += c->piece[i].len;
	}
	return NVME_SUCCESS;
}

static uint16_t verify(struct nvme_controller *c,
		       struct nvme_namespace *ns,
		       const struct nvme_command *cmd)
{
	struct blocks b;
	uint16_t status = find_blocks(ns, cmd, c->max_data, &b);

	if (status)
		return status;
	NVME_COUNT(c, verifies, 1);
	if (medium_read(ns->config.medium, b.offset, c->buffer, b.len))
		return NVME_UNRECOVERED_READ;
	return NVME_SUCCESS;
}

static uint16_t write_zeroes(struct nvme_controller *c,
			     struct nvme_namespace *ns,
			     const struct nvme_command *cmd)
{
	struct blocks b;
	uint16_t status = check_writable(ns);

	if (!status)
		status = find_blocks(ns, cmd, UINT64_MAX, &b);
	if (status)
		return status;
	if (medium_zero(ns->config.medium, b.offset, b.len))
		return NVME_WRITE_FAULT;
	NVME_COUNT(c, write_zeroes, 1);
	return settle(c, ns, cmd, b);
}

/* All ranges are checked before the first is discarded. */
static uint16_t discard(struct nvme_controller *c,
			struct nvme_namespace *ns,
			const struct nvme_command *cmd)
{
	struct nvme_dsm_range range[NVME_DSM_MAX_RANGES];
	uint32_t n = (le32_to_cpu(cmd->cdw10) & NVME_DSM_RANGES_MASK) + 1;
	uint16_t status = check_writable(ns);

	if (!status)
		status = nvme_data_map(c, cmd, n * sizeof(range[0]),
				       NVME_DATA_LIST);
	if (status)
		return status;
	nvme_data_from_host(c, range);
	for (uint32_t i = 0; i < n; i++) {
		uint64_t lba = le64_to_cpu(range[i].lba);

		if (lba > ns->blocks ||
		    le32_to_cpu(range[i].blocks) > ns->blocks - lba)
			return NVME_FAIL(NVME_LBA_OUT_OF_RANGE);
	}
	NVME_COUNT(c, discards, 1);
	/* The other attributes are hints. */
	if (!(le32_to_cpu(cmd->cdw11) & NVME_DSM_DEALLOCATE))
		return NVME_SUCCESS;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t len = (uint64_t)le32_to_cpu(range[i].blocks)
			       << ns->shift;

		if (len && medium_zero(ns->config.medium,
				       le64_to_cpu(range[i].lba) << ns->shift,
				       len))
			return NVME_WRITE_FAULT;
	}
	return NVME_SUCCESS;
}

static uint16_t (*const commands[])(struct nvme_controller *c,
				    struct nvme_namespace *ns,
				    const struct nvme_command *cmd) = {
	[NVME_FLUSH] = flush,
	[NVME_WRITE] = write_blocks,
	[NVME_READ] = read_blocks,
	[NVME_COMPARE] = compare,
	[NVME_WRITE_ZEROES] = write_zeroes,
	[NVME_DSM] = discard,
	[NVME_VERIFY] = verify,
	[NVME_RESERVATION_REGISTER] = nvme_reservation_register,
	[NVME_RESERVATION_REPORT] = nvme_reservation_report,
	[NVME_RESERVATION_ACQUIRE] = nvme_reservation_acquire,
	[NVME_RESERVATION_RELEASE] = nvme_reservation_release,
};

/* Each medium once, whatever is reserved: durable hurts nobody. */
static uint16_t flush_all(struct nvme_controller *c)
{
	NVME_COUNT(c, flushes, 1);
	return nvme_namespaces_flush(c) ? NVME_WRITE_FAULT : NVME_SUCCESS;
}

uint16_t nvme_io(struct nvme_controller *c, const struct nvme_command *cmd)
{
	uint32_t nsid = le32_to_cpu(cmd->nsid);
	struct nvme_namespace *ns;
	uint16_t status;

	if (cmd->opcode >= sizeof(commands) / sizeof(commands[0]) ||
	    !commands[cmd->opcode])
		return NVME_FAIL(NVME_INVALID_OPCODE);
	if (cmd->flags & NVME_FUSE_MASK)
		return NVME_FAIL(NVME_INVALID_FIELD);
	if (cmd->opcode == NVME_FLUSH && nsid == NVME_NSID_ALL)
		return flush_all(c);
	ns = nvme_namespace(c, nsid);
	if (!ns)
		return nvme_namespace_missing(nsid);
	status = nvme_reserved(c, ns, cmd->opcode);
	return status ? status : commands[cmd->opcode](c, ns, cmd);
}
