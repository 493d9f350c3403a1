// SPDX-License-Identifier: MIT
/*
 * Rings: a server's end against a peer that writes packets as it should, or
 * whatever it likes into indexes and data.
 *
 * Input: one byte for the size of the rings, then steps, each a byte that
 * chooses and what the step needs.
 *
 * It must hold that a packet handed out lies inside the buffer; that a broken
 * ring stays broken and is not written to any more; and, while the peer keeps
 * the rules, that packets come out as they went in, in order, that no ring
 * breaks, and that a sleeping reader is signalled.
 */
#include <errno.h>
#include <string.h>

#include "relay/ring.h"
#include "relay/ring_reg.h"
#include "test/fuzz/fuzz.h"

#define PAGE RING_PAGE_SIZE
#define MAX_DATA_PAGES 5
#define MAX_STEPS 64

/* Packets on their way, one direction. */
struct line {
	uint64_t sent, received; /* also their transactions */
	uint32_t payload[256];	 /* their sizes */
};

static _Alignas(PAGE) uint8_t ram[2 * (1 + MAX_DATA_PAGES)][PAGE];
static struct guest_hold hold[2 * (1 + MAX_DATA_PAGES)];
static struct ring_half up, down; /* peer to server, server to peer */
static struct ring server, peer;
static struct line to_server, to_peer;
static bool tampered; /* the peer broke a rule, or may have */
static uint8_t bytes[RING_MAX_PACKET];
static _Alignas(8) uint8_t buffer[RING_MAX_PACKET];

static void begin(struct fuzz_input *in)
{
	uint32_t pages = 1 + fuzz_number(in, 1) % MAX_DATA_PAGES;
	uint32_t n = 2 * (1 + pages);

	memset(ram, 0, n * PAGE);
	/* No two pages of a ring follow each other. */
	for (uint32_t i = 0; i < n; i++)
		hold[i] = (struct guest_hold){
			(__guest_force void __guest *)ram[n - 1 - i], PAGE };
	up = (struct ring_half){ hold, pages * PAGE };
	down = (struct ring_half){ hold + 1 + pages, pages * PAGE };
	tampered = false;
	memset(&to_server, 0, sizeof(to_server));
	memset(&to_peer, 0, sizeof(to_peer));
	fuzz_expect(!ring_init(&server, up, down), 0, 0);
	fuzz_expect(!ring_init(&peer, down, up), 0, 0);
}

static uint8_t *control(const struct ring_half *half)
{
	return (__guest_force uint8_t *)half->pages[0].va;
}

static void send(struct fuzz_input *in, struct ring *ring, struct line *line)
{
	uint32_t size = fuzz_number(in, 2) % (RING_MAX_PACKET + 64);
	uint32_t header = fuzz_number(in, 1) % 8 * 8;
	uint64_t transaction = line->sent;
	int err;

	/* Any content will do, as long as it is told from another's. */
	memset(bytes, 0x11 + (uint8_t)transaction,
	       size < sizeof(bytes) ? size : sizeof(bytes));
	if (line->sent - line->received == 256)
		return;
	err = ring_write(ring, RING_PACKET_INBAND, 0, transaction, bytes,
			 header, bytes, size);
	fuzz_expect(!err || err == -EAGAIN || err == -EMSGSIZE ||
		    (err == -EPROTO && ring->broken), err, size);
	fuzz_expect(err != -EMSGSIZE ||
		    ring_packet_space(header, size) >
			    ring->out.size - RING_ALIGNMENT ||
		    ring_packet_space(header, size) > RING_MAX_PACKET,
		    size, header);
	if (!err)
		line->payload[line->sent++ % 256] = size;
}

static void publish(struct ring *ring, struct ring *reader)
{
	bool sleeping = !tampered && !reader->masked &&
			reader->read_published == ring->write_published;
	bool news = ring->write_index != ring->write_published;
	bool signal = ring_write_end(ring);

	fuzz_expect(tampered || !sleeping || !news || signal,
		    ring->write_index, ring->write_published);
}

/* Is the next thing that the ring looks at an index that cannot be? */
static bool about_to_break(const struct ring *ring, uint32_t *index)
{
	memcpy(index, control(&ring->in) + RING_IN, sizeof(*index));
	return !ring->broken && ring->read_index == ring->read_limit &&
	       (*index >= ring->in.size || *index % RING_ALIGNMENT);
}

/* `there`: what the peer has published from the packet on. */
static void check_packet(const struct ring_packet *p, struct line *line,
			 uint32_t there)
{
	uint32_t size = line->payload[line->received % 256];
	uint8_t byte = 0x11 + (uint8_t)line->received;

	fuzz_expect(ring_packet_space(p->header_size, p->payload_size) <=
		    there, p->payload_size, there);
	fuzz_expect(p->header >= buffer &&
		    p->header + p->header_size == p->payload &&
		    p->payload + p->payload_size <= buffer + sizeof(buffer),
		    p->header_size, p->payload_size);
	if (tampered)
		return;
	fuzz_expect(p->transaction == line->received, p->transaction,
		    line->received);
	fuzz_expect(p->payload_size == (size + 7) / 8 * 8, p->payload_size,
		    size);
	fuzz_expect(!size || (p->payload[0] == byte &&
			      p->payload[size - 1] == byte), p->payload[0],
		    byte);
	fuzz_accept();
}

/* Reads up to `budget` packets. */
static void receive(struct ring *ring, struct line *line, unsigned int budget)
{
	uint32_t size = ring->in.size, index;
	bool more, breaks = about_to_break(ring, &index);
	struct ring_packet packet;
	int err = 0;

	while (budget--) {
		uint32_t from = ring->read_index;

		err = ring_read(ring, buffer, sizeof(buffer), &packet);
		if (err)
			break;
		check_packet(&packet, line,
			     (ring->read_limit + size - from) % size);
		line->received++;
	}
	fuzz_expect(!err || err == -EAGAIN ||
		    (err == -EPROTO && ring->broken), err, 0);
	fuzz_expect(!breaks || (ring->broken && ring->broken_value == index),
		    err, index);
	fuzz_expect(tampered || err != -EAGAIN ||
		    line->received <= line->sent, line->received, line->sent);
	ring_read_end(ring, &more);
	fuzz_expect(!more || !ring->broken, more, 0);
}

/* The peer writes into what is shared. */
static void tamper(struct fuzz_input *in, bool indexes)
{
	const struct ring_half *half = fuzz_number(in, 1) % 2 ? &down : &up;
	uint32_t offset = fuzz_number(in, 2) % half->size;
	uint32_t value;

	tampered = true;
	if (indexes) {
		value = (uint32_t)fuzz_number(in, 4);
		memcpy(control(half) + offset % 20 / 4 * 4, &value, 4);
	} else {
		size_t size = 1 + fuzz_number(in, 1) % 64;

		if (size > PAGE - offset % PAGE)
			size = PAGE - offset % PAGE;
		fuzz_take(in, (__guest_force uint8_t *)
			  half->pages[1 + offset / PAGE].va + offset % PAGE,
			  size);
	}
}

/* A raw packet, whole, where the server reads next. */
static void forge(struct fuzz_input *in)
{
	uint8_t word[64];
	size_t size = 8 + fuzz_number(in, 1) % 7 * 8;
	uint32_t at = peer.write_index;

	tampered = true;
	fuzz_take(in, word, size);
	for (size_t i = 0; i < size; i++, at = (at + 1) % up.size)
		((__guest_force uint8_t *)
			 up.pages[1 + at / PAGE].va)[at % PAGE] = word[i];
	at = (peer.write_index + 8 * (uint32_t)fuzz_number(in, 2)) % up.size;
	memcpy(control(&up) + RING_IN, &at, 4);
}

/* Attaches again, to the indexes that are there. */
static void attach(void)
{
	int err = ring_init(&server, up, down);

	fuzz_expect(!err || (err == -EPROTO && server.broken && tampered), err,
		    0);
	tampered = true; /* what was in flight may be seen twice */
}

static void step(struct fuzz_input *in, unsigned int what)
{
	switch (what % 10) {
	case 0:
		send(in, &peer, &to_server);
		break;
	case 1:
		publish(&peer, &server);
		break;
	case 2:
		receive(&server, &to_server, 1 + fuzz_number(in, 1) % 8);
		break;
	case 3:
		send(in, &server, &to_peer);
		break;
	case 4:
		publish(&server, &peer);
		break;
	case 5:
		receive(&peer, &to_peer, 1 + fuzz_number(in, 1) % 8);
		break;
	case 6:
		tamper(in, true);
		break;
	case 7:
		tamper(in, false);
		break;
	case 8:
		forge(in);
		break;
	case 9:
		if (!server.broken)
			attach();
		break;
	}
}

void fuzz_one(struct fuzz_input *in)
{
	begin(in);
	for (unsigned int i = 0; in->left && i < MAX_STEPS; i++) {
		unsigned int what = (unsigned int)fuzz_number(in, 1);
		bool was_broken = server.broken;
		uint8_t before[2][20];
		bool ours = what % 10 >= 2 && what % 10 <= 4;

		memcpy(before[0], control(&up), 20);
		memcpy(before[1], control(&down), 20);
		step(in, what);
		fuzz_expect(tampered || (!server.broken && !peer.broken), what,
			    i);
		/* The server's own steps, on a ring that is broken. */
		if (was_broken && ours)
			fuzz_expect(!memcmp(before[0], control(&up), 20) &&
				    !memcmp(before[1], control(&down), 20),
				    what, i);
	}
}
