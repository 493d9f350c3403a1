/* SPDX-License-Identifier: MIT */
/*
 * A channel of the host's VMBus that this process owns, through the kernel's
 * uio_hv_generic driver: two rings in memory, a way to signal the host, and a
 * descriptor that becomes readable when the host signals.
 *
 * What runs over the rings is somebody else's business (main.c puts a message
 * pipe on them).
 *
 * Source: Linux drivers/uio/uio_hv_generic.c and Documentation/driver-api/
 * uio-howto.rst, "Generic Hyper-V UIO driver".
 */
#ifndef HOST_CHANNEL_H
#define HOST_CHANNEL_H

#include <stdint.h>

#include <guid.h>
#include <pv/guest_memory.h>
#include <pv/reactor.h>

struct host_channel {
	const char *name; /* for logs; not owned */
	int fd;
	uint8_t *rings;	   /* our outgoing ring, then our incoming one */
	uint64_t ring_size; /* bytes of each, control page included */
	/* One pointer per page of each ring; [0] is the control page. */
	void __guest **out_pages, **in_pages;
	uint32_t nr_pages; /* of each */
	/* Set by the owner before host_channel_watch(). */
	void (*signalled)(void *opaque);
	void (*gone)(void *opaque); /* rescinded by the host; once */
	void *opaque;
	struct reactor_watch watch;
	struct reactor *reactor; /* NULL while not watched */
};

/*
 * Takes the device: binds its interface to the driver, opens it (which opens
 * the channel) and maps its rings. `root` is "" except in tests.
 * 0; -ENOENT when the host offers no such device; or -errno, with one line.
 * The owner's fields are zero afterwards.
 */
int host_channel_open(struct host_channel *hc, const char *root,
		      const char *name, const struct guid *interface,
		      const struct guid *instance);

/* Lets the host's signals run signalled() on the reactor. Its own thread.
 * 0 or -errno. Unmasks, so that signals sent before are not lost. */
int host_channel_watch(struct host_channel *hc, struct reactor *reactor);

/* Signals the host. Any thread. */
void host_channel_signal(struct host_channel *hc);

/* Unmaps and closes; the kernel closes the channel. Reactor's own thread. */
void host_channel_close(struct host_channel *hc);

#endif
