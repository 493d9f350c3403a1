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

struct ring_half {
	void __guest **pages; /* [0] = control page; not owned */
	uint32_t nr_pages;
	uint32_t size; /* data bytes */
};

struct ring_counters {
	uint64_t packets_in, packets_out;
	uint64_t signals_sent, signals_suppressed;
	uint64_t full; /* a write found no room */
};

struct ring {
	struct ring_half in, out; /* in: we read; out: we write */
	uint32_t read_index;	  /* ours, not yet published */
	uint32_t write_index;
	uint32_t batch_in_start;  /* `in.in`.. of this batch, see ring.c */
	uint32_t batch_out_start;
	bool reading;
	const char *broken; /* rule the peer broke; NULL = healthy */
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
 * Both halves have been checked to have at least one data page. Takes over
 * the indexes found there; our own features word is set. 0, or -EPROTO when
 * the found indexes are outside the ring.
 */
int ring_init(struct ring *ring, struct ring_half in, struct ring_half out);

/*
 * Reading. ring_read() copies the next packet into `buffer` and describes it
 * in *packet, whose pointers go into the buffer: 0, -EAGAIN (empty), -EPROTO.
 * The packet is consumed at once. ring_read_end() publishes, and returns
 * whether the peer must be signalled; *more tells that packets came in the
 * meantime, so the caller shall read on. *more is never set on a broken ring.
 */
int ring_read(struct ring *ring, void *buffer, uint32_t size,
	      struct ring_packet *packet);
bool ring_read_end(struct ring *ring, bool *more);

/*
 * Writing. The payload is the concatenation of two pieces, either may be
 * empty. -EAGAIN: no room; the peer has been asked to signal at `size` bytes.
 * ring_write_end() publishes the batch; returns whether to signal.
 */
int ring_write(struct ring *ring, uint16_t type, uint16_t flags,
	       uint64_t transaction, const void *header, uint32_t header_size,
	       const void *payload, uint32_t payload_size);
bool ring_write_end(struct ring *ring);

/* Bytes ring_write() needs for header and payload of this size. */
uint32_t ring_packet_space(uint32_t header_size, uint32_t payload_size);
/* Is there room for so many bytes? Asks for a signal if not. */
bool ring_has_room(struct ring *ring, uint32_t space);

#endif
