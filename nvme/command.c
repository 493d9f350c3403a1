/* SPDX-License-Identifier: MIT */
/*
 * Commands, theory of operation
 *
 * One command is one SQE of 128 bytes: io_uring's part says where the data
 * are, the last 80 bytes are the NVM command as the kernel's passthrough
 * interface has it (linux/nvme_ioctl.h). The kernel fills PRPs or SGLs itself.
 *
 * Data in one piece go as an address and a length, data in several as an array
 * of iovecs; both may name a registered buffer, whose pages the kernel need
 * not look up again.
 */
#include <linux/io_uring.h>
#include <linux/nvme_ioctl.h>

#include <le.h>

#include "command.h"
#include "reservation.h"

#define EXTENDED_HOST_ID 1u
#define HOST_ID_MS 5000u /* the kernel's own is for data, and longer */
#define CDW12_SHIFT 16 /* libnvme's NVME_IO_ flags are the upper half */

static struct nvme_uring_cmd *prepare(struct io_uring_sqe *sqe,
				      const struct command_target *target,
				      uint8_t opcode)
{
	struct nvme_uring_cmd *cmd = (struct nvme_uring_cmd *)sqe->cmd;

	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = target->fd;
	sqe->cmd_op = NVME_URING_CMD_IO;
	cmd->opcode = opcode;
	cmd->nsid = target->nsid;
	return cmd;
}

static void set_lba(struct nvme_uring_cmd *cmd, uint64_t lba)
{
	cmd->cdw10 = (uint32_t)lba;
	cmd->cdw11 = (uint32_t)(lba >> 32);
}

void command_transfer(struct io_uring_sqe *sqe,
		      const struct command_target *target, enum disk_op op,
		      bool fua, uint64_t lba, uint32_t blocks,
		      const struct command_data *data)
{
	struct nvme_uring_cmd *cmd = prepare(sqe, target,
		op == DISK_READ ? nvme_cmd_read :
		op == DISK_WRITE ? nvme_cmd_write : nvme_cmd_compare);

	set_lba(cmd, lba);
	cmd->cdw12 = blocks - 1;
	if (op == DISK_WRITE && fua)
		cmd->cdw12 |= (uint32_t)NVME_IO_FUA << CDW12_SHIFT;
	if (data->nr == 1) {
		cmd->addr = (uintptr_t)data->iov->iov_base;
		cmd->data_len = (uint32_t)data->iov->iov_len;
	} else {
		sqe->cmd_op = NVME_URING_CMD_IO_VEC;
		cmd->addr = (uintptr_t)data->iov;
		cmd->data_len = data->nr; /* of iovecs */
	}
	if (data->buffer >= 0) {
		sqe->uring_cmd_flags = IORING_URING_CMD_FIXED;
		sqe->buf_index = (uint16_t)data->buffer;
	}
}

void command_flush(struct io_uring_sqe *sqe,
		   const struct command_target *target)
{
	prepare(sqe, target, nvme_cmd_flush);
}

void command_discard(struct io_uring_sqe *sqe,
		     const struct command_target *target,
		     struct nvme_dsm_range *range, uint64_t lba,
		     uint32_t blocks)
{
	struct nvme_uring_cmd *cmd = prepare(sqe, target, nvme_cmd_dsm);

	range->cattr = 0;
	range->nlb = (__force __le32)cpu_to_le32(blocks);
	range->slba = (__force __le64)cpu_to_le64(lba);
	cmd->cdw10 = 0; /* one range: zero-based */
	cmd->cdw11 = NVME_DSMGMT_AD;
	cmd->addr = (uintptr_t)range;
	cmd->data_len = sizeof(*range);
}

void command_zeroes(struct io_uring_sqe *sqe,
		    const struct command_target *target, uint64_t lba,
		    uint32_t blocks, bool unmap)
{
	struct nvme_uring_cmd *cmd = prepare(sqe, target,
					     nvme_cmd_write_zeroes);

	set_lba(cmd, lba);
	cmd->cdw12 = blocks - 1;
	if (unmap)
		cmd->cdw12 |= (uint32_t)NVME_IO_DEAC << CDW12_SHIFT;
}

void command_verify(struct io_uring_sqe *sqe,
		    const struct command_target *target, uint64_t lba,
		    uint32_t blocks)
{
	struct nvme_uring_cmd *cmd = prepare(sqe, target, nvme_cmd_verify);

	set_lba(cmd, lba);
	cmd->cdw12 = blocks - 1;
}

void command_reservation(struct io_uring_sqe *sqe,
			 const struct command_target *target,
			 const struct reservation_command *command,
			 void *data)
{
	struct nvme_uring_cmd *cmd = prepare(sqe, target, command->opcode);

	cmd->cdw10 = command->cdw10;
	cmd->cdw11 = command->cdw11;
	cmd->addr = (uintptr_t)data;
	cmd->data_len = command->bytes;
}

void command_host_id(struct io_uring_sqe *sqe, int fd, uint8_t id[16])
{
	const struct command_target target = { .fd = fd };
	struct nvme_uring_cmd *cmd = prepare(sqe, &target,
					     nvme_admin_set_features);

	sqe->cmd_op = NVME_URING_CMD_ADMIN;
	cmd->addr = (uintptr_t)id;
	cmd->data_len = 16;
	cmd->cdw10 = NVME_FEAT_FID_HOST_ID;
	cmd->cdw11 = EXTENDED_HOST_ID;
	cmd->timeout_ms = HOST_ID_MS;
}
