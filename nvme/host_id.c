/* SPDX-License-Identifier: MIT */
/*
 * Host Identifier, theory of operation
 *
 * Reservations are between hosts; what makes us one is the Host Identifier,
 * feature 81h of the controller (NVM Express Base Specification 2.0,
 * 5.27.1.25). It is lost with every reset of the controller, which the kernel's
 * driver may do at any time, and which it announces when it is over. So it is
 * set more than once:
 *
 *	nvme_open()              libnvme, waiting
 *	NVME_EVENT=connected     io_uring, not waiting
 *	such an event may have   the same, if the controller is live; else the
 *	been missed              event is still to come
 *
 * Missed: events were lost, the disk was opened before it heard of any, or a
 * command ended by the reset, and that may be told after the event.
 *
 * In between the controller takes us for somebody else, and what we have
 * reserved shuts us out: such conflicts are tried again (passthrough.c).
 *
 * Threads: all but the first are on the reactor of events. The command has
 * memory of its own, so that the disk may be closed meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <pv/log.h>
#include <pv/uring.h>

#include "command.h"
#include "namespace.h"
#include "status.h"

LOG_MODULE("nvme");

struct renewal {
	struct uring_op op; /* first */
	int fd;
	struct uevent_source *source; /* of a disk that may be closed */
	char name[NVME_NAME_SIZE];
	_Alignas(16) uint8_t id[16];
};

int host_id_set(struct namespace *ns, const uint8_t id[16])
{
	int err;

	memcpy(ns->host_id, id, sizeof(ns->host_id));
	err = nvme_set_features_host_id(ns->fd, true, false, ns->host_id);
	if (err)
		memset(ns->host_id, 0, sizeof(ns->host_id));
	return err < 0 ? -errno : err;
}

static void known_again(struct uevent_source *source)
{
	struct namespace *ns = (struct namespace *)((char *)source -
		offsetof(struct namespace, ring.source));

	atomic_store(&ns->host_id_lost, false);
}

static void renewed(struct uring_op *op, int32_t res, uint64_t extra)
{
	struct renewal *r = (struct renewal *)op;

	(void)extra;
	if (res)
		log_err("%s: Host Identifier after a reset: %s", r->name,
			nvme_result_text(res));
	/* Conflicts are conflicts from now on, whatever came of it. */
	uevent_visit(r->source, known_again);
	close(r->fd);
	free(r);
}

/* The controller's own device: the namespace's takes no admin command. */
static int open_controller(const struct namespace *ns)
{
	char file[64];
	int fd;

	if (snprintf(file, sizeof(file), "/dev%s",
		     strrchr(ns->controller, '/')) >= (int)sizeof(file))
		return -ENAMETOOLONG;
	fd = open(file, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

void host_id_renew(struct namespace *ns, struct reactor *reactor)
{
	struct renewal *r = calloc(1, sizeof(*r));
	struct io_uring_sqe *sqe = NULL;

	if (!r)
		goto out_log;
	*r = (struct renewal){ .op.done = renewed, .source = &ns->ring.source };
	memcpy(r->id, ns->host_id, sizeof(r->id));
	memcpy(r->name, ns->ring.name, sizeof(r->name));
	r->fd = open_controller(ns);
	if (r->fd >= 0)
		sqe = uring_sqe(reactor, &r->op);
	if (sqe) {
		atomic_store(&ns->host_id_lost, true);
		command_host_id(sqe, r->fd, r->id);
		return;
	}
	if (r->fd >= 0)
		close(r->fd);
	free(r);
out_log:
	log_err("%s: Host Identifier after a reset: not set", ns->ring.name);
	atomic_store(&ns->host_id_lost, false);
}
