/* SPDX-License-Identifier: MIT */
/*
 * Offloads and RSS of RNDIS, theory of operation
 *
 * Says what the backend can do for frames in the words of NDIS, keeps what the
 * client switched on and off, and turns its RSS parameters into the backend's.
 *
 * What is off is not enforced for sending: a client that still asks is served.
 * For receiving it is: the information beside a frame says nothing then.
 *
 * Threads: the primary's reactor. Failure answers: an object that is too short
 * or holds what was not offered is refused as a whole.
 */
#include <string.h>

#include "netvsp_state.h"

#define MIN_SEGMENTS 2

static uint32_t refuse(struct refusal *no, size_t offset, uint64_t value,
		       const char *rule)
{
	*no = (struct refusal){ (uint32_t)offset, value, rule };
	return RNDIS_STATUS_INVALID_DATA;
}

/* Checksums of one IP version. */
static uint32_t checksums(uint32_t can, uint32_t ip, uint32_t tcp, uint32_t udp)
{
	uint32_t bits = 0;

	if (can & ip)
		bits |= NDIS_CHECKSUM_IP | NDIS_CHECKSUM_IP_OPTIONS;
	if (can & tcp)
		bits |= NDIS_CHECKSUM_TCP | NDIS_CHECKSUM_TCP_OPTIONS;
	if (can & udp)
		bits |= NDIS_CHECKSUM_UDP;
	/* Of version 6: the bit means extension headers, which have to be
	 * skipped for either. */
	if (!ip && bits)
		bits |= NDIS_CHECKSUM_IP_OPTIONS;
	return bits;
}

void rndis_offload(const struct netvsp *netvsp, bool current, uint32_t asked,
		   uint8_t *info, uint32_t *size)
{
	uint32_t tx = current ? netvsp->control.tx_enabled : netvsp->tx_can;
	uint32_t rx = current ? netvsp->control.rx_enabled : netvsp->rx_can;
	uint32_t most = netvsp->info.max_lso;
	const le32 encapsulation = cpu_to_le32(NDIS_ENCAPSULATION_802_3);
	struct ndis_offload offload = {
		.header.type = NDIS_OBJECT_OFFLOAD,
		.header.revision = 3,
		.checksum.tx4_encapsulation = encapsulation,
		.checksum.tx4 = cpu_to_le32(checksums(tx, NIC_IP4_CHECKSUM,
						      NIC_TCP4_CHECKSUM,
						      NIC_UDP4_CHECKSUM)),
		.checksum.rx4_encapsulation = encapsulation,
		.checksum.rx4 = cpu_to_le32(checksums(rx, NIC_IP4_CHECKSUM,
						      NIC_TCP4_CHECKSUM,
						      NIC_UDP4_CHECKSUM)),
		.checksum.tx6_encapsulation = encapsulation,
		.checksum.tx6 = cpu_to_le32(checksums(tx, 0, NIC_TCP6_CHECKSUM,
						      NIC_UDP6_CHECKSUM)),
		.checksum.rx6_encapsulation = encapsulation,
		.checksum.rx6 = cpu_to_le32(checksums(rx, 0, NIC_TCP6_CHECKSUM,
						      NIC_UDP6_CHECKSUM)),
	};
	uint32_t len = sizeof(offload);

	if (tx & NIC_LSO4) {
		offload.lso2.encapsulation4 = encapsulation;
		offload.lso2.max_size4 = cpu_to_le32(most);
		offload.lso2.min_segments4 = cpu_to_le32(MIN_SEGMENTS);
	}
	if (tx & NIC_LSO6) {
		offload.lso2.encapsulation6 = encapsulation;
		offload.lso2.max_size6 = cpu_to_le32(most);
		offload.lso2.min_segments6 = cpu_to_le32(MIN_SEGMENTS);
		offload.lso2.options6 = cpu_to_le32(NDIS_CHECKSUM_IP_OPTIONS |
						    NDIS_CHECKSUM_TCP_OPTIONS);
	}
	if (asked && asked < sizeof(offload)) {
		bool second = asked >= NDIS_OFFLOAD_SIZE_2;

		len = second ? NDIS_OFFLOAD_SIZE_2 : NDIS_OFFLOAD_SIZE_1;
		offload.header.revision = second ? 2 : 1;
	}
	offload.header.size = cpu_to_le16((uint16_t)len);
	memcpy(info, &offload, len);
	*size = len;
}

/* One of the parameters: changes the bits that it is about. */
static void enable(struct netvsp_control *control, uint8_t how, uint32_t bits)
{
	if (how == NDIS_OFFLOAD_NO_CHANGE)
		return;
	control->tx_enabled &= ~bits;
	control->rx_enabled &= ~bits;
	if (how == NDIS_OFFLOAD_TX || how == NDIS_OFFLOAD_BOTH)
		control->tx_enabled |= bits;
	if (how == NDIS_OFFLOAD_RX || how == NDIS_OFFLOAD_BOTH)
		control->rx_enabled |= bits;
}

static void enable_lso(struct netvsp_control *control, uint8_t how,
		       uint32_t bit)
{
	if (how == NDIS_OFFLOAD_NO_CHANGE)
		return;
	control->tx_enabled &= ~bit;
	if (how == NDIS_OFFLOAD_LSO_ENABLED)
		control->tx_enabled |= bit;
}

uint32_t rndis_set_offload(struct netvsp *netvsp, const uint8_t *info,
			   uint32_t size, struct refusal *no)
{
	struct netvsp_control *control = &netvsp->control;
	struct ndis_offload_parameters parameters;

	if (size < sizeof(parameters))
		return refuse(no, 0, size, "rndis.offload.complete");
	memcpy(&parameters, info, sizeof(parameters));
	if (parameters.header.type != NDIS_OBJECT_DEFAULT)
		return refuse(no, 0, parameters.header.type,
			      "rndis.offload.object");
	enable(control, parameters.ip4, NIC_IP4_CHECKSUM);
	enable(control, parameters.tcp4, NIC_TCP4_CHECKSUM);
	enable(control, parameters.udp4, NIC_UDP4_CHECKSUM);
	enable(control, parameters.tcp6, NIC_TCP6_CHECKSUM);
	enable(control, parameters.udp6, NIC_UDP6_CHECKSUM);
	enable_lso(control, parameters.lso4, NIC_LSO4);
	enable_lso(control, parameters.lso6, NIC_LSO6);
	control->tx_enabled &= netvsp->tx_can;
	control->rx_enabled &= netvsp->rx_can;
	atomic_store(&netvsp->rx_report, control->rx_enabled);
	control->indicate_offload = true;
	return RNDIS_STATUS_SUCCESS;
}

/* RSS. */

static uint32_t take_table(const struct netvsp *netvsp, const uint8_t *info,
			   uint32_t size,
			   const struct ndis_rss_parameters *parameters,
			   struct nic_rss *rss, struct refusal *no)
{
	uint32_t at = le32_to_cpu(parameters->table_offset);
	uint32_t bytes = le16_to_cpu(parameters->table_size);
	uint32_t nr = bytes / sizeof(le32);
	le32 entry;

	if (!nr || bytes % sizeof(le32) || nr > NIC_RSS_TABLE || nr & (nr - 1))
		return refuse(no, offsetof(struct ndis_rss_parameters,
					   table_size), bytes,
			      "rndis.rss.table-size");
	if (at > size || bytes > size - at)
		return refuse(no, offsetof(struct ndis_rss_parameters,
					   table_offset), at,
			      "rndis.rss.table");
	for (uint32_t i = 0; i < nr; i++) {
		memcpy(&entry, info + at + i * sizeof(entry), sizeof(entry));
		if (le32_to_cpu(entry) >= netvsp->max_queues)
			return refuse(no, at + i * sizeof(entry),
				      le32_to_cpu(entry),
				      "rndis.rss.table-entry");
		rss->table[i] = (uint16_t)le32_to_cpu(entry);
	}
	rss->entries = (uint16_t)nr;
	return RNDIS_STATUS_SUCCESS;
}

static uint32_t take_key(const uint8_t *info, uint32_t size,
			 const struct ndis_rss_parameters *parameters,
			 struct nic_rss *rss, struct refusal *no)
{
	uint32_t at = le32_to_cpu(parameters->key_offset);
	uint32_t bytes = le16_to_cpu(parameters->key_size);

	if (bytes != NIC_RSS_KEY)
		return refuse(no, offsetof(struct ndis_rss_parameters,
					   key_size), bytes,
			      "rndis.rss.key-size");
	if (at > size || bytes > size - at)
		return refuse(no, offsetof(struct ndis_rss_parameters,
					   key_offset), at, "rndis.rss.key");
	memcpy(rss->key, info + at, NIC_RSS_KEY);
	return RNDIS_STATUS_SUCCESS;
}

uint32_t rndis_set_rss(struct netvsp *netvsp, const uint8_t *info,
		       uint32_t size, struct refusal *no)
{
	struct ndis_rss_parameters parameters;
	uint32_t status = RNDIS_STATUS_SUCCESS, flags;
	struct nic_rss rss = netvsp->want.rss;

	if (size < sizeof(parameters))
		return refuse(no, 0, size, "rndis.rss.complete");
	memcpy(&parameters, info, sizeof(parameters));
	if (parameters.header.type != NDIS_OBJECT_RSS_PARAMETERS)
		return refuse(no, 0, parameters.header.type,
			      "rndis.rss.object");
	flags = le16_to_cpu(parameters.flags);
	if (flags & NDIS_RSS_DISABLE) {
		rss.entries = 0;
	} else {
		if (!(flags & NDIS_RSS_KEY_UNCHANGED))
			status = take_key(info, size, &parameters, &rss, no);
		if (!status && !(flags & NDIS_RSS_TABLE_UNCHANGED))
			status = take_table(netvsp, info, size, &parameters,
					    &rss, no);
	}
	if (status)
		return status;
	pthread_mutex_lock(&netvsp->lock);
	netvsp->want.rss = rss;
	pthread_mutex_unlock(&netvsp->lock);
	netvsp_changed(netvsp);
	return RNDIS_STATUS_SUCCESS;
}
