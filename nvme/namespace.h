/* SPDX-License-Identifier: MIT */
/*
 * An NVMe namespace as a disk: what the files about it share.
 */
#ifndef NVME_NAMESPACE_H
#define NVME_NAMESPACE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <nvme/ioctl.h>

#include "controller.h"
#include "nvme.h"
#include "ring_disk.h"

/* Constant after nvme_open(), except for the atomics. */
struct namespace {
	struct ring_disk ring; /* first */
	char controller[SYSFS_PATH_SIZE];
	uint32_t nsid;
	int fd;		     /* generic character device */
	uint16_t crdt[3];    /* Command Retry Delay Times, 100 ms */
	uint8_t host_id[16]; /* Host Identifier; all zero: none set */
	/* The controller was reset: it does not know our host_id now. */
	atomic_bool host_id_lost;
};

/* namespace.c, then passthrough.c: see struct ring_ops. */
void namespace_event(struct ring_disk *disk, const struct uevent *event);
void passthrough_fill(struct ring_disk *disk, struct command *command,
		      struct io_uring_sqe *sqe, uint64_t lba);
struct nvme_verdict passthrough_judge(struct ring_disk *disk,
				      struct command *command, int32_t res);
void passthrough_answer(struct ring_disk *disk, struct command *command);

/* host_id.c: sets ns->host_id in the controller. At open: waits for it; 0,
 * the status or -errno. Later: events' reactor, asynchronous; clears
 * host_id_lost. */
int host_id_set(struct namespace *ns, const uint8_t id[16]);
void host_id_renew(struct namespace *ns, struct reactor *r);

/*
 * What the disk can do, from what the device and the kernel say; checks both.
 * Pure. NULL, or the rule that is broken. Fills info and limits of
 * ns->ring. `nvm` is all zero when the device does not know that structure.
 */
const char *namespace_describe(struct namespace *ns,
			       const struct nvme_id_ctrl *ctrl,
			       const struct nvme_id_ctrl_nvm *nvm,
			       const struct nvme_id_ns *id,
			       const struct queue_limits *limits);

#endif
