/* SPDX-License-Identifier: MIT */
/*
 * Messages between this VTL and its host on a SINT of their own, beside the
 * kernel's VMBus: where the host keeps VTL0's bus for us.
 *
 * Threads: one reactor's, which runs on VP 0's CPU, where these messages come.
 */
#ifndef HOST_SINT_H
#define HOST_SINT_H

#include <stddef.h>
#include <stdint.h>

#include <pv/reactor.h>

struct host_sint {
	int fd;
	struct reactor *reactor;
	struct reactor_watch watch;
	struct reactor_call again;
	void (*message)(void *opaque, const void *payload, size_t size);
	void *opaque;
	uint64_t strays; /* messages of a type that is not VMBus's */
};

/* Opens it; messages come from host_sint_listen() on. 0 or -errno, logged. */
int host_sint_open(struct host_sint *hs, struct reactor *reactor);
/* 0 or -errno, logged. `message` is told of each. */
int host_sint_listen(struct host_sint *hs,
		     void (*message)(void *opaque, const void *payload,
				     size_t size),
		     void *opaque);
void host_sint_close(struct host_sint *hs);

/* Of type 1. 0; -EAGAIN: the host has no room, or no memory, now; -ENXIO: there
 * is no such connection, perhaps not yet; other: never. */
int host_sint_post(struct host_sint *hs, uint32_t connection,
		   const void *payload, size_t size);

#endif
