/* SPDX-License-Identifier: MIT */
/*
 * NICs of VTL0: what settings say, made of backends and synthetic NICs. Part of
 * the composition root.
 */
#ifndef MAIN_NIC_H
#define MAIN_NIC_H

#include <pv/guest_memory.h>
#include <pv/reactor.h>

#include "settings.h"

struct capture;
struct vmbus_server;
struct nics;
struct nics_change;

/* For a function of the host's, and its driver, to be there when settings
 * change; the first that is not refuses them. */
#define NICS_DEVICE_SECONDS 10
/* For a NIC that changed to have stopped (NETVSP_RETIRE_NS), and come anew. */
#define NICS_SUCCESSOR_SECONDS 25

struct nics_config {
	struct guest_memory *memory;
	struct vmbus_server *server;
	struct reactor *reactor; /* the server's; runs already */
	unsigned int nr_vps;
};

/* Has no NIC yet. NULL: no memory. Lives as long as the daemon. */
struct nics *nics_create(const struct nics_config *config);

/*
 * Makes ready for the NICs that settings describe; waits for devices. Nothing
 * has changed then, or when it fails: 0 and a change for one of the functions
 * below, until when the caller keeps *settings and `error`, and no other change
 * can be prepared; or -errno, and the reason with its JSON pointer in `error`
 * (SETTINGS_ERROR_SIZE bytes) and in the log. Any thread but a reactor's.
 */
int nics_prepare(struct nics *nics, const struct settings *settings,
		 char *error, struct nics_change **change);

/*
 * Makes it so: what is not in the settings any more is taken from the guest,
 * its backend closed when it has stopped; what is new is offered; what is as it
 * was is left alone. A NIC that changed is taken away and comes anew. Ends the
 * change. Waits for backends to stop, some seconds.
 *
 * 0; or, with a line in `error`, -EINPROGRESS: a NIC that changed has not
 * stopped yet, and the new one comes when it has; -ENOMEM and the like: in part.
 */
int nics_commit(struct nics_change *change);

/* Leaves all as it was, and ends the change. */
void nics_abandon(struct nics_change *change);

/* How many there are now; and listens to the n-th, in the order that they came,
 * as netvsp_capture() does. -ENODEV: there is none. Any thread but another
 * reactor's. */
unsigned int nics_count(struct nics *nics);
int nics_capture(struct nics *nics, unsigned int n, uint32_t snaplen,
		 struct capture **out);

#endif
