// SPDX-License-Identifier: MIT
/*
 * Message pipe devices, theory of operation
 *
 * Owns the pipe from open to close of the channel:
 *
 *	closed --open--> opened() --signals: message_pipe_run()--> ...
 *	   ^                                                        |
 *	   `--------------- closed() <-- message_pipe_close() <-----'
 *
 * A pipe that its peer broke stays open as a channel and moves nothing until
 * the client closes it; message_pipe.c has said why.
 */
#include <le.h>

#include "pipe_device.h"
#include "relay/vmbus_reg.h"

/* In the user data of the offer of a named pipe: message mode. */
#define PIPE_MODE_MESSAGE 4u

static struct pipe_device *of(struct vmbus_device *dev)
{
	return (struct pipe_device *)dev;
}

static void lock(struct pipe_device *pd)
{
	if (pd->ops->lock)
		pd->ops->lock(pd);
}

static void unlock(struct pipe_device *pd)
{
	if (pd->ops->unlock)
		pd->ops->unlock(pd);
}

static void signal_client(void *opaque)
{
	vmbus_channel_signal(opaque);
}

static int channel_open(struct vmbus_device *dev, struct vmbus_channel *ch)
{
	struct pipe_device *pd = of(dev);

	ch->opaque = pd;
	lock(pd);
	message_pipe_init(&pd->pipe, pd->ops->name, &ch->ring,
			  pd->ops->opened(pd), signal_client, ch);
	unlock(pd);
	return 0;
}

static void channel_run(struct vmbus_channel *ch)
{
	struct pipe_device *pd = ch->opaque;

	lock(pd);
	if (message_pipe_run(&pd->pipe))
		vmbus_channel_run_again(ch);
	unlock(pd);
}

static void channel_close(struct vmbus_channel *ch)
{
	struct pipe_device *pd = ch->opaque;

	lock(pd);
	message_pipe_close(&pd->pipe);
	pd->ops->closed(pd);
	unlock(pd);
	vmbus_channel_closed(ch);
}

static const struct vmbus_device_ops ops = {
	.name = "pipe",
	.open = channel_open,
	.run = channel_run,
	.close = channel_close,
};

void pipe_device_init(struct pipe_device *pd,
		      const struct pipe_device_ops *device_ops,
		      const struct guid *interface,
		      const struct guid *instance)
{
	pd->ops = device_ops;
	pd->device = (struct vmbus_device){
		.ops = &ops,
		.interface = *interface,
		.instance = *instance,
		.offer_flags = VMBUS_OFFER_NAMED_PIPE,
		.user_data = { PIPE_MODE_MESSAGE },
	};
}
