/* SPDX-License-Identifier: MIT */
/*
 * A device of the host's VMBus whose channel is a message pipe
 * (pv/message_pipe.h): the serial ports and the guest emulation transport.
 */
#ifndef VMM_PIPE_DEVICE_H
#define VMM_PIPE_DEVICE_H

#include "relay/channel.h"
#include "relay/message_pipe.h"

struct pipe_device;

struct pipe_device_ops {
	const char *name;
	/* The pipe can be used; returns who uses it. */
	struct pipe_user *(*opened)(struct pipe_device *pd);
	/* The user was told that the pipe is gone. */
	void (*closed)(struct pipe_device *pd);
	/* Around every call into the pipe; NULL: nobody else makes any. */
	void (*lock)(struct pipe_device *pd);
	void (*unlock)(struct pipe_device *pd);
};

/* Embedded in the device's structure. The device thread, and the lock. */
struct pipe_device {
	struct vmbus_device device; /* to be offered */
	const struct pipe_device_ops *ops;
	struct message_pipe pipe;
};

void pipe_device_init(struct pipe_device *pd,
		      const struct pipe_device_ops *ops,
		      const struct guid *interface,
		      const struct guid *instance);

#endif
