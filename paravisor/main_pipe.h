/* SPDX-License-Identifier: MIT */
/*
 * A channel of the host's bus with a message pipe on it: COM1, COM2, the guest
 * emulation transport. Part of the composition root.
 */
#ifndef MAIN_PIPE_H
#define MAIN_PIPE_H

#include "relay/message_pipe.h"

#include "host_channel.h"

struct host_pipe {
	struct host_channel channel;
	struct guest_hold *pages;
	struct ring ring;
	struct message_pipe pipe;
};

/* Opens it for good; the caller watches the channel. 0 or -errno, logged. At
 * the start: the host is waited for. */
int host_pipe_open(struct host_pipe *hp, const char *name,
		   const struct guid *interface, const struct guid *instance,
		   struct pipe_user *user);

#endif
