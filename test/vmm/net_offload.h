/* SPDX-License-Identifier: MIT */
/* The work that a NIC leaves to its back-end, done in software. */
#ifndef VMM_NET_OFFLOAD_H
#define VMM_NET_OFFLOAD_H

#include <stdint.h>

#include "net_frame.h"

/* A finished frame; it is the caller's again when this returns. */
typedef void net_finished(void *opaque, const uint8_t *frame, uint32_t len);

/*
 * Does what `o` asks for: fills checksums in `frame`, or cuts it into segments.
 * `finished` gets each frame in order. 0; or -EINVAL when the frame's headers
 * are not those that `o` says: nothing was given to `finished` then.
 */
int net_offload_finish(uint8_t *frame, uint32_t len,
		       const struct net_offload *o, net_finished *finished,
		       void *opaque);

/* For who cuts himself but wants correct headers: sets the lengths and the IP
 * checksum of the whole frame, and the TCP or UDP checksum field to the sum of
 * the pseudo header. 0 or -EINVAL as above. */
int net_offload_prepare(uint8_t *frame, uint32_t len,
			const struct net_offload *o);

#endif
