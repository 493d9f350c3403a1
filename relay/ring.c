/* SPDX-License-Identifier: MIT */
/*
 * VMBus ring, theory of operation
 *
 * Owns nothing but private copies of indexes. Each direction has two indexes
 * in shared memory, one written by the producer, one by the consumer; of the
 * two that are ours the private copy is the truth and the shared one is only
 * ever stored, so that a peer who overwrites it misleads nobody. The two of
 * the peer are loaded rarely: a batch reads up to the `read_limit` seen last
 * and writes up to the `write_limit` seen last, and only then looks again.
 *
 *	        read_published    read_index     read_limit
 *	in:  ---------|++++++++++++++++|++++++++++++++|-------
 *	              done, the peer    to be read     empty, or not yet
 *	              does not know                    looked at
 *
 *	        write_published   write_index
 *	out: +++++++++|++++++++++++++++|----------------------
 *	     peer may  written, the peer  free up to 8 bytes before write_limit:
 *	     read it   does not know      full is never equal to empty
 *
 * Signals need a full fence between storing what the peer waits for and
 * loading whether it waits, at both ends; otherwise each side can miss the
 * other's store and both sleep. The same pairing once more decides who sees
 * a packet that comes while we go idle (store mask, fence, load index) and
 * room that comes while we ask for it (store size, fence, load index).
 *
 * Threads: the channel's reactor only.
 *
 * Failure answers: a broken rule is remembered in `broken`; from then on every
 * call fails and nothing in shared memory is touched any more.
 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include <pv/log.h>

#include "ring.h"
#include "ring_reg.h"

#define DESCRIPTOR_SIZE ((uint32_t)sizeof(struct ring_descriptor))
#define FOOTER_SIZE ((uint32_t)sizeof(struct ring_footer))
/* A writer that waits asks for at least this share of the ring, so that it is
 * not woken for every packet. */
#define WAIT_SHARE 4

static uint32_t load_word(const struct ring_half *half, uint32_t offset)
{
	le32 word;

	guest_hold_read(&half->pages[0], offset, &word, sizeof(word));
	return le32_to_cpu(word);
}

static void store_word(const struct ring_half *half, uint32_t offset,
		       uint32_t value)
{
	le32 word = cpu_to_le32(value);

	guest_hold_write(&half->pages[0], offset, &word, sizeof(word));
}

/* The offset `len` bytes, at most the ring's size, behind another one. */
static uint32_t advance(const struct ring_half *half, uint32_t offset,
			uint32_t len)
{
	offset += len;
	return offset < half->size ? offset : offset - half->size;
}

/* Data area; `offset` may be anywhere in it, copies wrap. Most lie in a page:
 * that case is small enough to become part of its callers. */

static void read_pages(const struct ring_half *half, uint32_t offset, void *to,
		       uint32_t len)
{
	uint8_t *out = to;

	while (len) {
		uint32_t at = offset % RING_PAGE_SIZE;
		uint32_t n = RING_PAGE_SIZE - at;

		if (n > len)
			n = len;
		guest_hold_read(&half->pages[1 + offset / RING_PAGE_SIZE], at,
				out, n);
		out += n;
		len -= n;
		offset = advance(half, offset, n);
	}
}

static inline void data_read(const struct ring_half *half, uint32_t offset,
			     void *to, uint32_t len)
{
	uint32_t at = offset % RING_PAGE_SIZE;

	if (len <= RING_PAGE_SIZE - at)
		guest_hold_read(&half->pages[1 + offset / RING_PAGE_SIZE], at,
				to, len);
	else
		read_pages(half, offset, to, len);
}

static void write_pages(const struct ring_half *half, uint32_t offset,
			const void *from, uint32_t len)
{
	const uint8_t *in = from;

	while (len) {
		uint32_t at = offset % RING_PAGE_SIZE;
		uint32_t n = RING_PAGE_SIZE - at;

		if (n > len)
			n = len;
		guest_hold_write(&half->pages[1 + offset / RING_PAGE_SIZE], at,
				 in, n);
		in += n;
		len -= n;
		offset = advance(half, offset, n);
	}
}

/* Returns the offset behind what was written. */
static inline uint32_t data_write(const struct ring_half *half, uint32_t offset,
				  const void *from, uint32_t len)
{
	uint32_t at = offset % RING_PAGE_SIZE;

	if (len <= RING_PAGE_SIZE - at)
		guest_hold_write(&half->pages[1 + offset / RING_PAGE_SIZE], at,
				 from, len);
	else
		write_pages(half, offset, from, len);
	return advance(half, offset, len);
}

/* Bytes from one index forward to another. */
static uint32_t distance(const struct ring_half *half, uint32_t from,
			 uint32_t to)
{
	return to >= from ? to - from : half->size - from + to;
}

static int break_ring(struct ring *ring, uint32_t value, const char *rule)
{
	ring->broken = rule;
	ring->broken_value = value;
	return -EPROTO;
}

/* Loads an index of the peer into *index. */
static int load_index(struct ring *ring, const struct ring_half *half,
		      uint32_t offset, uint32_t *index)
{
	uint32_t value = load_word(half, offset);

	if (value >= half->size)
		return break_ring(ring, value, "ring.index.range");
	if (value % RING_ALIGNMENT)
		return break_ring(ring, value, "ring.index.aligned");
	*index = value;
	return 0;
}

int ring_init(struct ring *ring, struct ring_half in, struct ring_half out)
{
	pv_bug(!in.size || in.size % RING_PAGE_SIZE, in.size, 0);
	pv_bug(!out.size || out.size % RING_PAGE_SIZE, out.size, 0);
	memset(ring, 0, sizeof(*ring));
	ring->in = in;
	ring->out = out;
	if (load_index(ring, &in, RING_IN, &ring->read_limit) ||
	    load_index(ring, &in, RING_OUT, &ring->read_index) ||
	    load_index(ring, &out, RING_IN, &ring->write_index) ||
	    load_index(ring, &out, RING_OUT, &ring->write_limit))
		return -EPROTO;
	ring->read_published = ring->read_index;
	ring->write_published = ring->write_index;
	store_word(&out, RING_FEATURES, RING_FEATURE_PENDING_SEND_SIZE);
	return 0;
}

/* Reading. */

/* A new write index must not lie between what we told the peer to be free
 * and what we read: that would be data behind us. */
static int load_read_limit(struct ring *ring)
{
	uint32_t limit;
	int err = load_index(ring, &ring->in, RING_IN, &limit);

	if (err)
		return err;
	if (distance(&ring->in, ring->read_published, limit) <
	    distance(&ring->in, ring->read_published, ring->read_limit))
		return break_ring(ring, limit, "ring.index.backwards");
	ring->read_limit = limit;
	return 0;
}

static void set_mask(struct ring *ring, bool masked)
{
	if (ring->masked == masked)
		return;
	store_word(&ring->in, RING_INTERRUPT_MASK, masked);
	ring->masked = masked;
}

static int check_descriptor(struct ring *ring,
			    const struct ring_descriptor *d, uint32_t available,
			    uint32_t size)
{
	uint32_t offset = le16_to_cpu(d->offset8) * RING_ALIGNMENT;
	uint32_t length = le16_to_cpu(d->length8) * RING_ALIGNMENT;

	if (offset < DESCRIPTOR_SIZE)
		return break_ring(ring, offset, "ring.packet.offset");
	if (length < offset)
		return break_ring(ring, length, "ring.packet.length");
	if (length > available - FOOTER_SIZE)
		return break_ring(ring, length, "ring.packet.beyond");
	if (length > size)
		return break_ring(ring, length, "ring.packet.size");
	return 0;
}

int ring_read(struct ring *ring, void *buffer, uint32_t size,
	      struct ring_packet *packet)
{
	struct ring_descriptor d;
	uint32_t available, offset, length;
	uint8_t *bytes = buffer;
	int err;

	if (ring->broken)
		return -EPROTO;
	set_mask(ring, true);
	if (ring->read_index == ring->read_limit) {
		err = load_read_limit(ring);
		if (err)
			return err;
	}
	available = distance(&ring->in, ring->read_index, ring->read_limit);
	if (!available)
		return -EAGAIN;
	if (available < DESCRIPTOR_SIZE + FOOTER_SIZE)
		return break_ring(ring, available, "ring.packet.short");
	data_read(&ring->in, ring->read_index, &d, sizeof(d));
	err = check_descriptor(ring, &d, available, size);
	if (err)
		return err;
	offset = le16_to_cpu(d.offset8) * RING_ALIGNMENT;
	length = le16_to_cpu(d.length8) * RING_ALIGNMENT;
	memcpy(bytes, &d, sizeof(d));
	data_read(&ring->in,
		  advance(&ring->in, ring->read_index, DESCRIPTOR_SIZE),
		  bytes + DESCRIPTOR_SIZE, length - DESCRIPTOR_SIZE);

	packet->type = le16_to_cpu(d.type);
	packet->wants_completion =
		le16_to_cpu(d.flags) & RING_FLAG_COMPLETION_REQUESTED;
	packet->transaction = le64_to_cpu(d.transaction);
	packet->header = bytes + DESCRIPTOR_SIZE;
	packet->header_size = offset - DESCRIPTOR_SIZE;
	packet->payload = bytes + offset;
	packet->payload_size = length - offset;

	ring->read_index = advance(&ring->in, ring->read_index,
				   length + FOOTER_SIZE);
	ring->count.packets_in++;
	return 0;
}

/* The peer waits for `pending` free bytes in the ring it writes: did the
 * `taken` bytes of this batch bring them? Full is 8 bytes less than all. */
static bool crosses(const struct ring *ring, uint32_t pending, uint32_t taken)
{
	uint32_t used = distance(&ring->in, ring->read_index,
				 ring->read_limit);
	uint32_t now = ring->in.size - RING_ALIGNMENT - used;

	/* Some guests ask for one byte less than they need. */
	pending -= pending % RING_ALIGNMENT;
	return pending <= now && (taken >= now || pending > now - taken);
}

/* Gives back what was read; the bytes of it. */
static uint32_t publish_read(struct ring *ring)
{
	uint32_t taken = distance(&ring->in, ring->read_published,
				  ring->read_index);

	if (taken)
		store_word(&ring->in, RING_OUT, ring->read_index);
	ring->read_published = ring->read_index;
	return taken;
}

/* After `taken` bytes became room, and a fence: does the peer wait for it? */
static bool wanted_room(struct ring *ring, uint32_t pending, uint32_t taken)
{
	bool signal;

	if (!pending || !taken)
		return false;
	signal = crosses(ring, pending, taken);
	ring->count.signals_sent += signal;
	ring->count.signals_suppressed += !signal;
	return signal;
}

bool ring_read_end(struct ring *ring, bool *more)
{
	bool signal;
	uint32_t pending, taken;

	*more = false;
	if (ring->broken)
		return false;
	taken = publish_read(ring);
	if (ring->read_index == ring->read_limit)
		set_mask(ring, false);
	atomic_thread_fence(memory_order_seq_cst);
	pending = load_word(&ring->in, RING_PENDING_SEND_SIZE);
	if (load_read_limit(ring))
		return false;
	signal = wanted_room(ring, pending, taken);
	*more = ring->read_index != ring->read_limit;
	set_mask(ring, *more);
	return signal;
}

bool ring_read_pause(struct ring *ring)
{
	uint32_t taken;

	if (ring->broken)
		return false;
	taken = publish_read(ring);
	set_mask(ring, true);
	atomic_thread_fence(memory_order_seq_cst);
	/* crosses() counts up to what the peer has written by now. */
	if (!taken || load_read_limit(ring))
		return false;
	return wanted_room(ring, load_word(&ring->in, RING_PENDING_SEND_SIZE),
			   taken);
}

/* Writing. */

uint32_t ring_packet_space(uint32_t header_size, uint32_t payload_size)
{
	uint32_t payload = (payload_size + RING_ALIGNMENT - 1) /
			   RING_ALIGNMENT * RING_ALIGNMENT;

	return DESCRIPTOR_SIZE + header_size + payload + FOOTER_SIZE;
}

/* The peer's read index cannot pass what it was given, nor go back. */
static int load_write_limit(struct ring *ring)
{
	uint32_t limit;
	int err = load_index(ring, &ring->out, RING_OUT, &limit);

	if (err)
		return err;
	if (distance(&ring->out, ring->write_limit, limit) >
	    distance(&ring->out, ring->write_limit, ring->write_published))
		return break_ring(ring, limit, "ring.read-index");
	ring->write_limit = limit;
	return 0;
}

static uint32_t room(const struct ring *ring)
{
	return ring->out.size - RING_ALIGNMENT -
	       distance(&ring->out, ring->write_limit, ring->write_index);
}

static void ask_for_room(struct ring *ring, uint32_t space)
{
	uint32_t most = ring->out.size - RING_ALIGNMENT;
	uint32_t wanted = ring->out.size / WAIT_SHARE;

	if (wanted < space)
		wanted = space;
	if (wanted > most)
		wanted = most;
	store_word(&ring->out, RING_PENDING_SEND_SIZE, wanted);
	ring->waiting = true;
}

/* Shows the peer what was written. It is to be signalled for that if it had
 * read all there was before; ring_write_end() says so. */
static int publish_write(struct ring *ring)
{
	uint32_t before = ring->write_published;
	bool signal;

	if (ring->write_index == before)
		return 0;
	store_word(&ring->out, RING_IN, ring->write_index);
	ring->write_published = ring->write_index;
	atomic_thread_fence(memory_order_seq_cst);
	signal = !load_word(&ring->out, RING_INTERRUPT_MASK);
	if (load_write_limit(ring))
		return -EPROTO;
	ring->signal_due |= signal && ring->write_limit == before;
	return 0;
}

/*
 * Looks whether the peer made room, and if not asks it to. What was written is
 * shown first: the peer signals room when it crosses what we ask for, so it
 * must count as we do. Packets it does not know of would be room to it, and
 * the crossing would be behind it before it happens.
 */
static __attribute__((noinline)) bool find_room(struct ring *ring,
						uint32_t space)
{
	if (load_write_limit(ring))
		return false;
	if (room(ring) >= space)
		return true;
	if (publish_write(ring))
		return false;
	ask_for_room(ring, space);
	atomic_thread_fence(memory_order_seq_cst);
	if (load_write_limit(ring))
		return false;
	if (room(ring) >= space)
		return true;
	ring->count.full++;
	return false;
}

static inline bool has_room(struct ring *ring, uint32_t space)
{
	if (ring->broken || (room(ring) < space && !find_room(ring, space)))
		return false;
	if (ring->waiting) {
		store_word(&ring->out, RING_PENDING_SEND_SIZE, 0);
		ring->waiting = false;
	}
	return true;
}

bool ring_has_room(struct ring *ring, uint32_t space)
{
	return has_room(ring, space);
}

int ring_write(struct ring *ring, uint16_t type, uint16_t flags,
	       uint64_t transaction, const void *header, uint32_t header_size,
	       const void *payload, uint32_t payload_size)
{
	static const uint8_t zero[RING_ALIGNMENT];
	uint32_t start = ring->write_index, at = start;
	struct ring_footer footer = { .start = cpu_to_le32(start) };
	struct ring_descriptor d;
	uint32_t space, length;

	pv_bug(header_size % RING_ALIGNMENT, header_size, type);
	if (header_size > RING_MAX_PACKET || payload_size > RING_MAX_PACKET)
		return -EMSGSIZE;
	space = ring_packet_space(header_size, payload_size);
	length = space - FOOTER_SIZE;
	if (length > RING_MAX_PACKET ||
	    space > ring->out.size - RING_ALIGNMENT)
		return -EMSGSIZE;
	if (!has_room(ring, space))
		return ring->broken ? -EPROTO : -EAGAIN;

	d = (struct ring_descriptor){
		.type = cpu_to_le16(type),
		.offset8 = cpu_to_le16((DESCRIPTOR_SIZE + header_size) /
				       RING_ALIGNMENT),
		.length8 = cpu_to_le16(length / RING_ALIGNMENT),
		.flags = cpu_to_le16(flags),
		.transaction = cpu_to_le64(transaction),
	};
	at = data_write(&ring->out, at, &d, sizeof(d));
	if (header_size)
		at = data_write(&ring->out, at, header, header_size);
	if (payload_size)
		at = data_write(&ring->out, at, payload, payload_size);
	if (payload_size % RING_ALIGNMENT)
		at = data_write(&ring->out, at, zero, RING_ALIGNMENT -
				payload_size % RING_ALIGNMENT);
	at = data_write(&ring->out, at, &footer, sizeof(footer));
	ring->write_index = at;
	ring->count.packets_out++;
	return 0;
}

bool ring_write_end(struct ring *ring)
{
	bool any = ring->signal_due || ring->write_index !=
					       ring->write_published;
	bool signal;

	if (ring->broken || publish_write(ring))
		return false;
	signal = ring->signal_due;
	ring->signal_due = false;
	ring->count.signals_sent += signal;
	ring->count.signals_suppressed += any && !signal;
	return signal;
}
