/* SPDX-License-Identifier: MIT */
/*
 * A frame to send, theory of operation
 *
 * Makes a backend's frame of an RNDIS message that lies somewhere in pieces:
 *
 *	| 44 bytes: where the rest is | information | ... | frame | padding |
 *
 * The header and the information are copied, then checked, then used. The
 * frame is not copied; of it a few bytes are looked at where the backend must
 * know what the client does not say, and for a frame that is a little long.
 *
 * Offloads that the client was not told of, and frames that the backend cannot
 * send, are refused.
 *
 * Threads: the channel's reactor. Failure answers: a refusal, whose offset
 * counts in the message.
 */
#include <string.h>

#include "netvsp_state.h"

#define MAX_PPI 256u /* bytes */
#define MIN_MSS 48u  /* what TCP accepts at least */

#define ETHERTYPE_AT 12
#define ETHERTYPE_VLAN 0x8100
#define ETHERTYPE_IP4 0x0800
#define ETHERTYPE_IP6 0x86dd
#define IP6_HEADER 40u
#define TCP_OFFSET_AT 12 /* the header's length, in the upper half */
#define TCP_HEADER 20u

struct message {
	struct rndis_packet packet;
	const struct gather *gather;
	struct gather_at data_at;
	uint32_t data_offset, data_size; /* from the message's start */
	uint32_t ppi_size;
	_Alignas(4) uint8_t ppi[MAX_PPI];
};

static bool refuse(struct refusal *no, size_t offset, uint64_t value,
		   const char *rule)
{
	*no = (struct refusal){ (uint32_t)offset, value, rule };
	return false;
}

/* Copies the header and checks where everything is. */
static bool take_header(struct message *m, struct gather_at at, uint32_t left,
			uint32_t *length, struct refusal *no)
{
	const struct rndis_packet *packet = &m->packet;
	uint32_t size, offset, ppi_offset;

	if (left < sizeof(*packet))
		return refuse(no, 0, left, "rndis.packet.complete");
	gather_read(m->gather, at, &m->packet, sizeof(m->packet));
	if (le32_to_cpu(packet->header.type) != RNDIS_PACKET)
		return refuse(no, 0, le32_to_cpu(packet->header.type),
			      "rndis.packet.type");
	*length = le32_to_cpu(packet->header.length);
	if (*length < sizeof(*packet) || *length > left)
		return refuse(no, offsetof(struct rndis_packet, header.length),
			      *length, "rndis.packet.complete");
	size = le32_to_cpu(packet->data_size);
	offset = le32_to_cpu(packet->data_offset);
	if (offset < sizeof(*packet) - RNDIS_OFFSET_BASE ||
	    offset > *length - RNDIS_OFFSET_BASE ||
	    size > *length - RNDIS_OFFSET_BASE - offset)
		return refuse(no, offsetof(struct rndis_packet, data_offset),
			      offset, "rndis.packet.data");
	if (le32_to_cpu(packet->oob_size) || le32_to_cpu(packet->oob_count) ||
	    le32_to_cpu(packet->vc_handle))
		return refuse(no, offsetof(struct rndis_packet, oob_size),
			      le32_to_cpu(packet->oob_size),
			      "rndis.packet.out-of-band");
	m->data_offset = offset + RNDIS_OFFSET_BASE;
	m->data_size = size;
	m->data_at = at;
	gather_skip(m->gather, &m->data_at, m->data_offset);
	m->ppi_size = le32_to_cpu(packet->ppi_size);
	if (!m->ppi_size)
		return true;
	ppi_offset = le32_to_cpu(packet->ppi_offset);
	if (ppi_offset < sizeof(*packet) - RNDIS_OFFSET_BASE ||
	    ppi_offset > *length - RNDIS_OFFSET_BASE ||
	    m->ppi_size > *length - RNDIS_OFFSET_BASE - ppi_offset)
		return refuse(no, offsetof(struct rndis_packet, ppi_offset),
			      ppi_offset, "rndis.packet.information");
	if (m->ppi_size > MAX_PPI)
		return refuse(no, offsetof(struct rndis_packet, ppi_size),
			      m->ppi_size, "rndis.packet.information-size");
	gather_skip(m->gather, &at, ppi_offset + RNDIS_OFFSET_BASE);
	gather_read(m->gather, at, m->ppi, m->ppi_size);
	return true;
}

/* What the frame has in it; data_size is at least an Ethernet header. */

static uint16_t be16_at(const uint8_t *bytes)
{
	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static void read_frame(const struct message *m, uint32_t offset, void *to,
		       uint32_t len)
{
	struct gather_at at = m->data_at;

	gather_skip(m->gather, &at, offset);
	gather_read(m->gather, at, to, len);
}

static bool is_tagged(const struct message *m)
{
	uint8_t type[2];

	read_frame(m, ETHERTYPE_AT, type, sizeof(type));
	return be16_at(type) == ETHERTYPE_VLAN;
}

/* Where the header behind IP is, or 0. */
static uint32_t find_l4(const struct message *m)
{
	uint32_t at = NIC_ETHERNET_HEADER;
	uint8_t bytes[2];

	if (is_tagged(m))
		at += NETVSP_TAG;
	if (m->data_size < at + IP6_HEADER)
		return 0;
	read_frame(m, at - 2, bytes, sizeof(bytes));
	if (be16_at(bytes) == ETHERTYPE_IP6)
		return at + IP6_HEADER;
	if (be16_at(bytes) != ETHERTYPE_IP4)
		return 0;
	read_frame(m, at, bytes, 1);
	return at + (bytes[0] & 0xf) * 4u;
}

static bool take_l4(const struct message *m, struct nic_frame *frame,
		    uint32_t told, struct refusal *no)
{
	uint32_t at = told ? told : find_l4(m);
	uint32_t least = frame->offload & (NIC_UDP4_CHECKSUM |
					   NIC_UDP6_CHECKSUM) ? 8 : TCP_HEADER;

	if (at < NIC_ETHERNET_HEADER + 20 || at > m->data_size ||
	    m->data_size - at < least)
		return refuse(no, m->data_offset, at, "rndis.checksum.header");
	frame->l4_offset = (uint16_t)at;
	return true;
}

/* Information. */

static bool take_checksum(const struct message *m, uint32_t word,
			  struct nic_frame *frame, struct refusal *no)
{
	bool ip6 = word & RNDIS_TX_IP6;

	if (word & RNDIS_TX_IP_HEADER && !ip6)
		frame->offload |= NIC_IP4_CHECKSUM;
	if (word & RNDIS_TX_TCP)
		frame->offload |= ip6 ? NIC_TCP6_CHECKSUM : NIC_TCP4_CHECKSUM;
	else if (word & RNDIS_TX_UDP)
		frame->offload |= ip6 ? NIC_UDP6_CHECKSUM : NIC_UDP4_CHECKSUM;
	else
		return true;
	return take_l4(m, frame,
		       word >> RNDIS_TX_L4_SHIFT & RNDIS_TX_L4_MASK, no);
}

static bool take_lso(const struct message *m, uint32_t word,
		     struct nic_frame *frame, struct refusal *no)
{
	uint32_t mss = word & RNDIS_LSO_MSS_MASK, header;
	uint8_t length;

	if (!(word & RNDIS_LSO_VERSION_2))
		return refuse(no, sizeof(struct rndis_packet), word,
			      "rndis.lso.version");
	if (mss < MIN_MSS || mss > UINT16_MAX)
		return refuse(no, sizeof(struct rndis_packet), mss,
			      "rndis.lso.segment");
	frame->offload = (frame->offload & NIC_VLAN) |
			 (word & RNDIS_LSO_IP6 ? NIC_LSO6 : NIC_LSO4);
	frame->mss = (uint16_t)mss;
	if (!take_l4(m, frame, word >> RNDIS_LSO_L4_SHIFT & RNDIS_LSO_L4_MASK,
		     no))
		return false;
	read_frame(m, frame->l4_offset + TCP_OFFSET_AT, &length, 1);
	header = (length >> 4) * 4u;
	if (header < TCP_HEADER || header >= m->data_size - frame->l4_offset)
		return refuse(no, m->data_offset + frame->l4_offset +
			      TCP_OFFSET_AT, length, "rndis.lso.header");
	frame->header_len = (uint16_t)(frame->l4_offset + header);
	return true;
}

static bool take_information(const struct message *m, struct nic_frame *frame,
			     struct refusal *no)
{
	uint32_t left = m->ppi_size, size, offset, word, checksum = 0, lso = 0;
	const uint8_t *at = m->ppi;
	struct rndis_ppi ppi;
	le32 value;

	for (; left; left -= size, at += size) {
		const size_t place = le32_to_cpu(m->packet.ppi_offset) +
				     RNDIS_OFFSET_BASE +
				     (size_t)(at - m->ppi);

		if (left < sizeof(ppi))
			return refuse(no, place, left,
				      "rndis.information.complete");
		memcpy(&ppi, at, sizeof(ppi));
		size = le32_to_cpu(ppi.size);
		offset = le32_to_cpu(ppi.offset);
		if (size < sizeof(ppi) || size > left || offset > size)
			return refuse(no, place, size,
				      "rndis.information.complete");
		if (size - offset < sizeof(value))
			continue;
		memcpy(&value, at + offset, sizeof(value));
		word = le32_to_cpu(value);
		switch (le32_to_cpu(ppi.type)) {
		case RNDIS_PPI_CHECKSUM:
			checksum = word;
			break;
		case RNDIS_PPI_LSO:
			lso = word;
			break;
		case RNDIS_PPI_VLAN:
			frame->offload |= NIC_VLAN;
			frame->vlan = (uint16_t)
				((word & RNDIS_VLAN_PRIORITY_MASK) << 13 |
				 (word >> RNDIS_VLAN_DEI_SHIFT & 1) << 12 |
				 (word >> RNDIS_VLAN_ID_SHIFT &
				  RNDIS_VLAN_ID_MASK));
			break;
		}
	}
	if (lso) /* checksums go with it */
		return take_lso(m, lso, frame, no);
	return take_checksum(m, checksum, frame, no);
}

static bool check_size(const struct netvsp *netvsp, const struct message *m,
		       const struct nic_frame *frame, struct refusal *no)
{
	uint32_t most = netvsp->max_frame;

	if (frame->offload & (NIC_LSO4 | NIC_LSO6))
		most = netvsp->info.max_lso;
	else if (m->data_size > most && is_tagged(m))
		most += NETVSP_TAG;
	if (m->data_size > most)
		return refuse(no, offsetof(struct rndis_packet, data_size),
			      m->data_size, "rndis.frame.maximum");
	return true;
}

bool netvsp_take_frame(struct netvsp_channel *ch, struct gather_at at,
		       uint32_t left, struct nic_frame *frame,
		       struct gpa_range *ranges, uint32_t *length,
		       struct refusal *no)
{
	const struct netvsp *netvsp = ch->netvsp;
	unsigned int most = netvsp->info.max_tx_ranges < NETVSP_FRAME_RANGES ?
			    netvsp->info.max_tx_ranges : NETVSP_FRAME_RANGES;
	struct message m;
	unsigned int nr;

	m.gather = &ch->tx.gather;
	*frame = (struct nic_frame){ .ranges = ranges };
	if (!take_header(&m, at, left, length, no))
		return false;
	if (m.data_size < NIC_ETHERNET_HEADER)
		return refuse(no, offsetof(struct rndis_packet, data_size),
			      m.data_size, "rndis.frame.header");
	if (m.ppi_size && !take_information(&m, frame, no))
		return false;
	if (frame->offload & ~netvsp->tx_can)
		return refuse(no, offsetof(struct rndis_packet, ppi_offset),
			      frame->offload, "rndis.frame.offload");
	if (!check_size(netvsp, &m, frame, no))
		return false;
	nr = gather_ranges(m.gather, m.data_at, m.data_size, ranges, most);
	if (nr > most)
		return refuse(no, offsetof(struct rndis_packet, data_size), nr,
			      "rndis.frame.ranges");
	frame->nr_ranges = (uint16_t)nr;
	ch->count.tx_bytes += m.data_size;
	return true;
}
