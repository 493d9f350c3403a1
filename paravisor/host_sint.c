// SPDX-License-Identifier: MIT
/*
 * The host's SINT, theory of operation
 *
 * Owns the kernel's device for it. The kernel takes one message out of the
 * message page for each read, which lets the host fill the slot again, and only
 * wakes for a message that came after the last read: so it is read until there
 * is none, or, so that others get their turn, once more later.
 *
 *	readable --> read, read, ... --> none: wait
 *	                 '-- BATCH of them --> posted to itself
 *
 * Threads: the reactor's. Failure: a device that is gone is not watched any
 * more, with one line; whoever waits for an answer has a deadline.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <pv/log.h>

#include "host_sint.h"
#include "mshv.h"

LOG_MODULE("host_sint");

#define BATCH 64
#define VMBUS_TYPE 1u

static void take(struct host_sint *hs)
{
	struct hv_message message;
	size_t size;
	int ret;

	for (unsigned int n = 0; n < BATCH; n++) {
		ret = mshv_sint_read(hs->fd, &message);
		if (ret == -EAGAIN || ret == -EINTR)
			return;
		if (ret) {
			log_err("no more messages: %s", strerror(-ret));
			reactor_watch_remove(hs->reactor, &hs->watch);
			return;
		}
		size = message.header.payload_size;
		if (le32_to_cpu(message.header.type) == VMBUS_TYPE &&
		    size <= sizeof(message.payload))
			hs->message(hs->opaque, message.payload, size);
		else
			hs->strays++;
	}
	reactor_post(hs->reactor, &hs->again);
}

static void readable(struct reactor_watch *watch)
{
	take((struct host_sint *)((char *)watch -
				  offsetof(struct host_sint, watch)));
}

static void again(struct reactor_call *call)
{
	take((struct host_sint *)((char *)call -
				  offsetof(struct host_sint, again)));
}

int host_sint_open(struct host_sint *hs, struct reactor *reactor)
{
	int fd = mshv_sint_open();

	if (fd < 0)
		return fd;
	*hs = (struct host_sint){ .fd = fd, .reactor = reactor };
	hs->watch.fn = readable;
	hs->watch.fd = fd;
	hs->again.fn = again;
	return 0;
}

int host_sint_listen(struct host_sint *hs,
		     void (*message)(void *opaque, const void *payload,
				     size_t size),
		     void *opaque)
{
	int ret;

	hs->message = message;
	hs->opaque = opaque;
	ret = reactor_watch_add(hs->reactor, &hs->watch);
	if (ret)
		log_err("cannot watch: %s", strerror(-ret));
	return ret;
}

void host_sint_close(struct host_sint *hs)
{
	close(hs->fd);
	hs->fd = -1;
}

int host_sint_post(struct host_sint *hs, uint32_t connection,
		   const void *payload, size_t size)
{
	int ret = mshv_sint_post(hs->fd, connection, VMBUS_TYPE, payload,
				 size);

	if (ret == HV_STATUS_INSUFFICIENT_BUFFERS ||
	    ret == HV_STATUS_INSUFFICIENT_MEMORY)
		return -EAGAIN;
	if (ret == HV_STATUS_INVALID_CONNECTION_ID)
		return -ENXIO;
	if (ret <= 0)
		return ret;
	log_warn_limited("message to connection %#x: hypervisor status %#x",
			 connection, (unsigned int)ret);
	return -EIO;
}
