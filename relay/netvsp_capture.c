/* SPDX-License-Identifier: MIT */
/*
 * Capture, theory of operation
 *
 * What a NIC sends and receives, copied as it passes into a ring of bytes that
 * all its channels write and one reader empties:
 *
 *	writer: room for the whole record, or it is dropped and counted
 *	        --head moved--> reserved --size written, last--> there
 *	reader: takes it --zeroes--> --tail moved--> free
 *
 * A record that would go over the end of the ring begins at its start; what is
 * left before is one to be skipped. A reserved record has no size, at which the
 * reader stops: what is free is zeroes.
 *
 * A frame is copied as the client gave it, before it is cut into segments and
 * its checksums are filled in, or as the client gets it; a tag beside the frame
 * is put into it.
 *
 * The NIC makes this object when it is listened to for the first time and keeps
 * it, so that a writer may look at it at any time; the reader may outlive the
 * NIC. While nobody listens, a channel sees that there is none, or that it is
 * off, and does nothing more.
 *
 * Threads: writers are the channels' reactors, the reader one thread of anybody.
 * None waits for another. Failure answers: none; drops are counted.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <pv/capture.h>
#include <pv/inspect.h>

#include "netvsp_state.h"

#define RING (1u << 20) /* bytes, of records */
#define MAX_SNAP 65535u

/* Of pcap: all in the byte order of who writes. */
#define PCAP_MAGIC 0xa1b2c3d4u /* microseconds */
#define PCAP_ETHERNET 1u

struct pcap_file {
	uint32_t magic;
	uint16_t major, minor;
	uint32_t zone, accuracy, snaplen, link;
};

struct pcap_packet {
	uint32_t seconds, microseconds, included, length;
};

_Static_assert(sizeof(struct pcap_file) == 24 &&
	       sizeof(struct pcap_packet) == 16, "as pcap has it");

/* In the ring, at multiples of its size. */
struct record {
	_Atomic uint32_t size; /* of all of it in the ring; 0: not there yet */
	uint32_t bytes;	       /* for the reader, behind this; 0: skipped */
	uint64_t unused;
};

struct netvsp_capture {
	struct capture capture; /* first */
	atomic_uint users;	/* the NIC, the reader */
	atomic_bool on, gone;
	_Atomic uint32_t snaplen;
	_Atomic uint64_t head, tail; /* bytes, since the beginning */
	_Atomic uint64_t frames, dropped;
	/* The reader's. */
	uint32_t at; /* in the record at the tail */
	uint32_t header_at;
	struct pcap_file header;
	_Alignas(16) uint8_t ring[RING];
};

static void put(struct netvsp_capture *c)
{
	if (atomic_fetch_sub(&c->users, 1) == 1)
		free(c);
}

/* Writers. */

static struct record *record_at(struct netvsp_capture *c, uint64_t at)
{
	return (struct record *)(void *)&c->ring[at % RING];
}

/* NULL: no room. */
static struct record *reserve(struct netvsp_capture *c, uint32_t bytes)
{
	uint32_t size = (uint32_t)sizeof(struct record) +
			((bytes + 15) & ~15u);
	uint64_t head = atomic_load_explicit(&c->head, memory_order_relaxed);
	uint32_t end, skip;

	do {
		end = RING - (uint32_t)(head % RING);
		skip = size > end ? end : 0;
		if (head + skip + size -
		    atomic_load_explicit(&c->tail, memory_order_acquire) > RING)
			return NULL;
	} while (!atomic_compare_exchange_weak_explicit(&c->head, &head,
			head + skip + size, memory_order_relaxed,
			memory_order_relaxed));
	if (skip)
		atomic_store_explicit(&record_at(c, head)->size, skip,
				      memory_order_release);
	record_at(c, head + skip)->bytes = bytes;
	return record_at(c, head + skip);
}

static void publish(struct record *record)
{
	atomic_store_explicit(&record->size, (uint32_t)sizeof(*record) +
			      ((record->bytes + 15) & ~15u),
			      memory_order_release);
}

/* A frame that is being copied. */
struct copy {
	struct record *record;
	uint8_t *at;
	uint32_t left, done; /* bytes to copy; of the frame, copied */
	bool tagged;
	uint16_t tag;
};

static bool copy_begin(struct netvsp_capture *c, struct copy *copy,
		       uint32_t length, bool tagged, uint16_t tag)
{
	uint32_t snaplen = atomic_load_explicit(&c->snaplen,
						memory_order_relaxed);
	struct pcap_packet packet;
	struct timespec now;

	length += tagged ? NETVSP_TAG : 0;
	copy->left = length < snaplen ? length : snaplen;
	copy->record = reserve(c, sizeof(packet) + copy->left);
	atomic_fetch_add_explicit(copy->record ? &c->frames : &c->dropped, 1,
				  memory_order_relaxed);
	if (!copy->record)
		return false;
	clock_gettime(CLOCK_REALTIME, &now);
	packet = (struct pcap_packet){
		(uint32_t)now.tv_sec, (uint32_t)now.tv_nsec / 1000,
		copy->left, length,
	};
	memcpy(copy->record + 1, &packet, sizeof(packet));
	copy->at = (uint8_t *)(copy->record + 1) + sizeof(packet);
	copy->done = 0;
	copy->tagged = tagged;
	copy->tag = tag;
	return true;
}

static void copy_bytes(struct copy *copy, const uint8_t *from, uint32_t len)
{
	if (len > copy->left)
		len = copy->left;
	memcpy(copy->at, from, len);
	copy->at += len;
	copy->left -= len;
}

/* What cannot be read stays zeroes: it has been checked before. */
static void copy_range(const struct netvsp *netvsp, struct copy *copy,
		       struct gpa_range range)
{
	const uint8_t tag[NETVSP_TAG] = { 0x81, 0, (uint8_t)(copy->tag >> 8),
					  (uint8_t)copy->tag };
	uint32_t len;

	while (range.len && copy->left) {
		len = (uint32_t)range.len;
		if (copy->tagged && copy->done < 12 && len > 12 - copy->done)
			len = 12 - copy->done;
		if (len > copy->left)
			len = copy->left;
		guest_memory_read(netvsp->memory, range.gpa, copy->at, len);
		copy->at += len;
		copy->left -= len;
		copy->done += len;
		range.gpa += len;
		range.len -= len;
		if (copy->tagged && copy->done == 12)
			copy_bytes(copy, tag, sizeof(tag));
	}
}

static struct netvsp_capture *listener(const struct netvsp *netvsp)
{
	struct netvsp_capture *c = atomic_load_explicit(&netvsp->capture,
							memory_order_acquire);

	return atomic_load_explicit(&c->on, memory_order_relaxed) ? c : NULL;
}

void netvsp_capture_tx(const struct netvsp *netvsp,
		       const struct nic_frame *frame)
{
	struct netvsp_capture *c = listener(netvsp);
	uint32_t length = 0;
	struct copy copy;

	for (unsigned int i = 0; i < frame->nr_ranges; i++)
		length += (uint32_t)frame->ranges[i].len;
	if (!c || !copy_begin(c, &copy, length, frame->offload & NIC_VLAN,
			      frame->vlan))
		return;
	for (unsigned int i = 0; i < frame->nr_ranges; i++)
		copy_range(netvsp, &copy, frame->ranges[i]);
	publish(copy.record);
}

void netvsp_capture_rx(const struct netvsp *netvsp, uint32_t slot,
		       const struct nic_received *frame)
{
	struct netvsp_capture *c = listener(netvsp);
	uint64_t at = (uint64_t)slot * netvsp->slot_size + NETVSP_SLOT_DATA;
	uint32_t left = frame->len;
	struct copy copy;

	if (!c || !copy_begin(c, &copy, left, frame->good & NIC_VLAN,
			      frame->vlan))
		return;
	while (left) {
		uint32_t len = GUEST_PAGE_SIZE - (uint32_t)
			       (at % GUEST_PAGE_SIZE);

		if (len > left)
			len = left;
		copy_range(netvsp, &copy, (struct gpa_range){
			netvsp_receive_gpa(netvsp, at), len });
		at += len;
		left -= len;
	}
	publish(copy.record);
}

/* The reader. */

static void take_record(struct netvsp_capture *c, struct record *record)
{
	uint32_t size = record->size;

	memset(record, 0, size);
	c->at = 0;
	atomic_store_explicit(&c->tail, c->tail + size, memory_order_release);
}

static struct record *first_record(struct netvsp_capture *c)
{
	for (;;) {
		struct record *record = record_at(c, c->tail);

		if (!atomic_load_explicit(&record->size, memory_order_acquire))
			return NULL;
		if (record->bytes)
			return record;
		take_record(c, record);
	}
}

static int capture_read(struct capture *capture, void *to, size_t size)
{
	struct netvsp_capture *c = (struct netvsp_capture *)capture;
	bool gone = atomic_load(&c->gone);
	uint8_t *at = to;
	struct record *record;

	while (size && c->header_at < sizeof(c->header)) {
		*at++ = ((const uint8_t *)&c->header)[c->header_at++];
		size--;
	}
	while (size && (record = first_record(c))) {
		uint32_t n = record->bytes - c->at;

		if (n > size)
			n = (uint32_t)size;
		memcpy(at, (const uint8_t *)(record + 1) + c->at, n);
		at += n;
		size -= n;
		c->at += n;
		if (c->at == record->bytes)
			take_record(c, record);
	}
	return at != to ? (int)(at - (uint8_t *)to) : gone ? -ENODEV : 0;
}

static void capture_stop(struct capture *capture)
{
	struct netvsp_capture *c = (struct netvsp_capture *)capture;

	atomic_store(&c->on, false);
	put(c);
}

static const struct capture_ops capture_ops = {
	.read = capture_read,
	.stop = capture_stop,
};

/* The NIC: the server's reactor. */

int netvsp_capture(struct netvsp *netvsp, uint32_t snaplen,
		   struct capture **out)
{
	struct netvsp_capture *c = atomic_load(&netvsp->capture);
	struct record *record;

	if (!c) {
		c = calloc(1, sizeof(*c));
		if (!c)
			return -ENOMEM;
		c->capture.ops = &capture_ops;
		atomic_init(&c->users, 1);
		atomic_store_explicit(&netvsp->capture, c,
				      memory_order_release);
	}
	if (atomic_load(&c->users) > 1)
		return -EBUSY;
	/* Of the last time. */
	while ((record = first_record(c)))
		take_record(c, record);
	if (!snaplen || snaplen > MAX_SNAP)
		snaplen = MAX_SNAP;
	c->header = (struct pcap_file){ PCAP_MAGIC, 2, 4, 0, 0, snaplen,
					PCAP_ETHERNET };
	c->header_at = 0;
	atomic_store(&c->snaplen, snaplen);
	atomic_fetch_add(&c->users, 1);
	atomic_store(&c->on, true);
	*out = &c->capture;
	return 0;
}

void netvsp_capture_end(struct netvsp *netvsp)
{
	struct netvsp_capture *c = atomic_load(&netvsp->capture);

	if (!c)
		return;
	atomic_store(&c->gone, true);
	put(c);
}

void netvsp_capture_inspect(const struct netvsp *netvsp, struct inspect *out)
{
	const struct netvsp_capture *c = atomic_load(&netvsp->capture);

	inspect_bool(out, "captures", c && c->on);
	inspect_u64(out, "captured", c ? c->frames : 0);
	inspect_u64(out, "capture_dropped", c ? c->dropped : 0);
}
