/* SPDX-License-Identifier: MIT */
/*
 * One side of a pair of VMBus rings.
 *
 * The memory is shared with somebody who may be hostile: every index and
 * descriptor is loaded once, checked, and only the copy is used. A peer that
 * breaks a rule gets -EPROTO, with the rule in ring->broken; the owner closes
 * the channel. The code is the same for the server's and the client's side.
 *
 * Signals, the contract (all three must hold at once):
 *  - After a batch of writes the peer is signalled if it had not masked
 *    interrupts and the ring was empty before the batch: ring_write_end().
 *  - A reader that goes idle unmasks, then looks again: ring_read_end().
 *  - A reader that made room signals a writer waiting for room when the room
 *    crosses what the writer asked for: also ring_read_end().
 * Both ends fence between their store and their load of the peer's word.
 *
 * Threads: one thread at a time per struct ring (the channel's reactor).
 * Nothing blocks or allocates after ring_init().
 */
#ifndef RELAY_RING_H
#define RELAY_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pv/guest_memory.h>

/* The biggest packet we accept or write: descriptor, headers and payload. */
#define RING_MAX_PACKET 16384u

/* One direction: holds of one page each, [0] is the control page. The array
 * and the holds stay the caller's and outlive the ring. */
struct ring_half {
	const struct guest_hold *pages;
	uint32_t size; /* data bytes: one page less than there are */
};

struct ring_counters {
	uint64_t packets_in, packets_out;
	uint64_t signals_sent, signals_suppressed;
	uint64_t full; /* a write found no room */
};

struct ring {
	struct ring_half in, out; /* in: we read; out: we write */
	/* The rest is private but for `broken` and `count`. */
	uint32_t read_index;	  /* ours; published by ring_read_end() */
	uint32_t read_published;
	uint32_t read_limit;	  /* peer's write index, loaded and checked */
	uint32_t write_index;	  /* ours; published by ring_write_end() */
	uint32_t write_published;
	uint32_t write_limit;	  /* peer's read index, loaded and checked */
	bool masked;		  /* we told the peer not to signal us */
	bool waiting;		  /* we told the peer to signal us room */
	bool signal_due;	  /* for what was published before the batch ended */
	const char *broken; /* rule the peer broke, its id; NULL = healthy */
	uint32_t broken_value;
	struct ring_counters count;
};

/* A packet, wholly in private memory. */
struct ring_packet {
	uint16_t type;
	bool wants_completion;
	uint64_t transaction;
	const uint8_t *header; /* between descriptor and payload */
	uint32_t header_size;
	const uint8_t *payload;
	uint32_t payload_size;
};

/*
 * Both halves must have at least one data page (a bug of ours if not). Takes
 * over the indexes found there; our own features word is set. 0, or -EPROTO
 * when an index found is outside its ring or no multiple of 8.
 */
int ring_init(struct ring *ring, struct ring_half in, struct ring_half out);

/*
 * Reading. ring_read() copies the next packet into `buffer` (8-byte aligned;
 * RING_MAX_PACKET bytes take any) and describes it in *packet, whose pointers
 * go into the buffer: 0, -EAGAIN (empty), -EPROTO (also: bigger than `size`).
 * The packet is consumed at once; the peer may reuse its room only after
 * ring_read_end(), which publishes, and returns whether the peer must be
 * signalled. *more: packets are waiting, because the caller stopped early or
 * they came in the meantime. The peer will not signal for those, so the caller
 * shall read on, now or when it can. *more is never set on a broken ring.
 */
int ring_read(struct ring *ring, void *buffer, uint32_t size,
	      struct ring_packet *packet);
bool ring_read_end(struct ring *ring, bool *more);
/* The same for a caller that comes back by itself before long: the peer is
 * told not to signal until a ring_read_end(). */
bool ring_read_pause(struct ring *ring);
/* The peer was told to signal what it puts into the ring, which was empty. */
static inline bool ring_is_signalled(const struct ring *ring)
{
	return !ring->masked;
}

/*
 * Writing. A packet is header (the words before the payload, a multiple of 8;
 * none for in-band packets and completions), then payload; either may be
 * empty. ring_write_end() publishes the batch and returns whether to signal.
 * -EAGAIN: no room; what was written is published, and the peer has been asked
 * to signal when there is. -EMSGSIZE: bigger than this ring or RING_MAX_PACKET.
 * -EPROTO: the ring is broken.
 */
int ring_write(struct ring *ring, uint16_t type, uint16_t flags,
	       uint64_t transaction, const void *header, uint32_t header_size,
	       const void *payload, uint32_t payload_size);
bool ring_write_end(struct ring *ring);

/* Bytes ring_write() needs for header and payload of this size. */
uint32_t ring_packet_space(uint32_t header_size, uint32_t payload_size);
/* The peer was asked for room, and whoever needed it did not find it yet. */
static inline bool ring_waits(const struct ring *ring)
{
	return ring->waiting;
}

/* Is there room for so many bytes? Asks for a signal if not, in vain if it is
 * more than the ring can ever have; if there is, the peer is asked for none any
 * more, also who lacks more room than that. False on a broken ring. */
bool ring_has_room(struct ring *ring, uint32_t space);

#endif
