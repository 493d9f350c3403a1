/* SPDX-License-Identifier: MIT */
/*
 * Passthrough: requests as NVM commands, and what becomes of those. The way of
 * a request is ring_disk.c's; commands are made in command.c, results judged
 * in status.c. Reactor's thread of the queue.
 */
#include <errno.h>

#include "command.h"
#include "namespace.h"

#define HOST_ID_MS 20

static void fill_reservation(struct command *command, struct io_uring_sqe *sqe,
			     const struct command_target *target)
{
	struct disk_reservation *r = command_request(command)->reservation;
	struct reservation_command what;

	reservation_encode(r, &what, &command->keys);
	command_reservation(sqe, target, &what, r->action == DISK_REPORT ?
			    command->transfer.own[0].iov_base :
			    (void *)&command->keys);
}

void passthrough_fill(struct ring_disk *disk, struct command *command,
		      struct io_uring_sqe *sqe, uint64_t lba)
{
	struct disk_request *req = command_request(command);
	const struct namespace *ns = (struct namespace *)disk;
	const struct command_target target = { .fd = ns->fd,
					       .nsid = ns->nsid };
	const struct command_data data = {
		.iov = command->transfer.iov,
		.nr = command->transfer.nr,
		.buffer = command->transfer.buffer,
	};

	switch (req->op) {
	case DISK_READ:
	case DISK_WRITE:
	case DISK_COMPARE:
		command_transfer(sqe, &target, req->op, req->flags & DISK_FUA,
				 lba, command->blocks, &data);
		break;
	case DISK_FLUSH:
		command_flush(sqe, &target);
		break;
	case DISK_DISCARD:
		command_discard(sqe, &target, &command->range, lba,
				command->blocks);
		break;
	case DISK_WRITE_ZEROES:
		command_zeroes(sqe, &target, lba, command->blocks,
			       req->flags & DISK_UNMAP);
		break;
	case DISK_VERIFY:
		command_verify(sqe, &target, lba, command->blocks);
		break;
	case DISK_RESERVATION:
		fill_reservation(command, sqe, &target);
		break;
	}
}

struct nvme_verdict passthrough_judge(struct ring_disk *disk,
				      struct command *command, int32_t res)
{
	struct namespace *ns = (struct namespace *)disk;
	const struct disk_request *req = command_request(command);
	const struct nvme_attempt attempt = {
		.retries = command->retries,
		.copied = command->transfer.way != TRANSFER_DIRECT,
		.once = req->op == DISK_RESERVATION &&
			req->reservation->action != DISK_REPORT,
		.crdt = ns->crdt,
	};
	struct nvme_verdict verdict = nvme_judge(res, &attempt);

	/* A reset made the controller forget who we are. host_id.c is about to
	 * tell it; or has, if this comes late, and does it again if it looks:
	 * otherwise conflicts would be tried again for ever. */
	if (res == -EINTR && disk->info.reservation_types &&
	    uevent_reactor() && !atomic_exchange(&ns->host_id_lost, true))
		uevent_look(&disk->source);
	if (verdict.status == DISK_CONFLICT &&
	    atomic_load(&ns->host_id_lost)) {
		verdict.retry = true;
		verdict.delay_ms = HOST_ID_MS;
	}
	return verdict;
}

void passthrough_answer(struct ring_disk *disk, struct command *command)
{
	if (command->transfer.way == TRANSFER_SCRATCH)
		reservation_decode(command->transfer.own[0].iov_base,
				   ((struct namespace *)disk)->host_id,
				   command_request(command)->reservation);
}
