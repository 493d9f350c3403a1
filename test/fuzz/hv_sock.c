// SPDX-License-Identifier: MIT
/*
 * Sockets of a guest: what clients say before they are connected, what a guest
 * asks for, and the framing of bytes in its rings. The host's sockets, the bus
 * and the clock are in hv_sock_world.c; the rings are real.
 *
 * Input: steps, each a byte that chooses, one for the connection it is about,
 * and what the step needs.
 *
 * It must hold that bytes come out as they went in, in order, both ways, as
 * long as the guest keeps the rules; that a request of the guest's ends with an
 * offer or with one answer; that nothing spins; that descriptors are closed
 * once, and that nothing is left in the end.
 *
 * A fifth of the usual executions a second: an input clears rings, and each step
 * looks at every byte that came out.
 */
#include <string.h>

#include "test/fuzz/fuzz.h"
#include "test/fuzz/hv_sock_world.h"

#define MAX_STEPS 64

/* "CONNECT", a port and a newline; or what else there is. */
static void client_says(struct fuzz_input *in, struct place *p)
{
	static const char word[] = "CONNECT 99\n";
	uint32_t size = fuzz_number(in, 1) % (sizeof(p->line) - 1);

	if (!p->fd_open || p->said || p->line_size || p->eof)
		return;
	if (!size) {
		size = sizeof(word) - 1;
		memcpy(p->line, word, size);
	} else {
		fuzz_take(in, p->line, size);
	}
	p->line_size = size;
	p->said = memchr(p->line, '\n', size) != NULL;
	/* What follows the line is the guest's: of unknown content. */
	if (p->said && p->line[size - 1] != '\n')
		p->tampered = true;
}

static void guest_writes(struct fuzz_input *in, struct place *p)
{
	uint8_t packet[sizeof(struct hv_sock_header) + 1024];
	struct hv_sock_header header = { cpu_to_le32(HV_SOCK_DATA), 0 };
	uint32_t size = fuzz_number(in, 2) % 1025;

	if (!p->channel_open)
		return;
	for (uint32_t i = 0; i < size; i++)
		packet[sizeof(header) + i] =
			world_byte(p->guest_wrote + i);
	header.size = cpu_to_le32(size);
	memcpy(packet, &header, sizeof(header));
	if (ring_write(&p->guest, RING_PACKET_INBAND, 0, 0, NULL, 0, packet,
		       (uint32_t)sizeof(header) + size))
		return;
	/* More after the end is against the rules. */
	if (p->guest_ended)
		p->tampered = true;
	p->guest_ended |= !size;
	p->guest_wrote += size;
}

static void guest_lies(struct fuzz_input *in, struct place *p)
{
	uint16_t type = (uint16_t)(RING_PACKET_INBAND +
				   (fuzz_number(in, 1) & 1) * 5);
	size_t size;
	const uint8_t *bytes = fuzz_rest(in, 24, &size);

	if (!p->channel_open)
		return;
	p->tampered = true;
	ring_write(&p->guest, type, 0, 0, NULL, 0, bytes, (uint32_t)size);
}

static void guest_reads(struct place *p)
{
	static _Alignas(8) uint8_t buffer[RING_MAX_PACKET];
	struct hv_sock_header header;
	struct ring_packet packet;
	bool more;

	if (!p->channel_open)
		return;
	while (!ring_read(&p->guest, buffer, sizeof(buffer), &packet)) {
		uint32_t size;

		fuzz_expect(packet.type == RING_PACKET_INBAND, packet.type, 0);
		fuzz_expect(packet.payload_size >= sizeof(header),
			    packet.payload_size, 0);
		memcpy(&header, packet.payload, sizeof(header));
		size = le32_to_cpu(header.size);
		fuzz_expect(le32_to_cpu(header.type) == HV_SOCK_DATA,
			    le32_to_cpu(header.type), 0);
		fuzz_expect(size <= packet.payload_size - sizeof(header), size,
			    packet.payload_size);
		fuzz_expect(!p->guest_saw_end, size, 0);
		for (uint32_t i = 0; i < size && !p->tampered; i++)
			fuzz_expect(packet.payload[sizeof(header) + i] ==
				    world_byte(p->guest_read + i),
				    p->guest_read, i);
		p->guest_read += size;
		p->guest_saw_end = !size;
		fuzz_accept();
	}
	fuzz_expect(!p->guest.broken, p->guest.broken_value, 0);
	ring_read_end(&p->guest, &more);
}

static void step(struct fuzz_input *in)
{
	uint8_t what = (uint8_t)fuzz_number(in, 1);
	uint8_t which = (uint8_t)fuzz_number(in, 1);
	struct place *p = &place[which % NR_PLACES];

	switch (what % 13) {
	case 0:
		world_client_comes();
		break;
	case 1:
		client_says(in, p);
		break;
	case 2:
		world_guest_opens(p);
		break;
	case 3:
	case 4:
		guest_writes(in, p);
		break;
	case 5:
		guest_reads(p);
		break;
	case 6: /* the client says so much more */
		if (p->fd_open && p->said && !p->eof)
			p->client_wrote += (uint32_t)fuzz_number(in, 2);
		break;
	case 7:
		p->eof = true;
		break;
	case 8:
		p->eof = p->gone = true;
		break;
	case 9: /* ... and reads so much */
		p->room += (uint32_t)fuzz_number(in, 1) * 16;
		break;
	case 10:
		world_guest_closes(p);
		break;
	case 11:
		world_guest_asks(which & 3, fuzz_number(in, 1),
				 which & 0x80 ? (uint32_t)fuzz_number(in, 1) :
						0);
		break;
	case 12:
		if (which & 1)
			guest_lies(in, p);
		else
			world_time_passes(fuzz_number(in, 1) * 100000000ull);
		break;
	}
	world_refuses(what >> 6);
	if (p->channel_open)
		world_signal(p);
	world_turn();
}

void fuzz_one(struct fuzz_input *in)
{
	world_begin();
	for (unsigned int i = 0; in->left && i < MAX_STEPS; i++)
		step(in);
	world_end();
}
