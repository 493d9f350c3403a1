/* SPDX-License-Identifier: MIT */
/*
 * OIDs, theory of operation
 *
 * What a client asks of the adapter and sets. Most answers are a word; the
 * table has who fills in each. Objects about offloads and RSS are in
 * rndis_offload.c.
 *
 * Threads: the primary's reactor; the backend's info and statistics are any
 * thread's. Failure answers: the status of the answer; what breaks a rule also
 * a record. An OID that is not known is not supported, which clients expect.
 */
#include <string.h>

#include "netvsp_state.h"

#define LINK_SPEED_UNIT 100u /* bit/s */
#define MULTICAST_LIST 32u

static const char vendor[] = "Paravisor synthetic NIC";

/* Queries. */

static uint64_t statistic(struct netvsp *netvsp, uint32_t oid)
{
	struct nic_stats stats;

	netvsp->nic->ops->stats(netvsp->nic, &stats);
	switch (oid) {
	case OID_XMIT_OK:
		return stats.tx_frames;
	case OID_RCV_OK:
		return stats.rx_frames;
	case OID_XMIT_ERROR:
		return stats.tx_failed;
	case OID_RCV_NO_BUFFER:
		return stats.rx_dropped;
	}
	return 0;
}

static uint32_t link_speed(struct netvsp *netvsp)
{
	struct nic_info info;
	uint64_t units;

	netvsp->nic->ops->info(netvsp->nic, &info);
	units = info.link_bps / LINK_SPEED_UNIT;
	return units < UINT32_MAX ? (uint32_t)units : UINT32_MAX;
}

static uint32_t mac_options(const struct netvsp *netvsp)
{
	uint32_t options = RNDIS_MAC_COPY_LOOKAHEAD | RNDIS_MAC_NO_LOOPBACK;

	if (netvsp->tx_can & NIC_VLAN)
		options |= RNDIS_MAC_8021P | RNDIS_MAC_8021Q;
	return options;
}

/* Answers that are a word; false: another kind, or not known. */
static bool query_word(struct netvsp *netvsp, uint32_t oid, uint32_t *word)
{
	const struct netvsp_control *control = &netvsp->control;
	uint32_t frame = control->mtu + NIC_ETHERNET_HEADER;

	switch (oid) {
	case OID_HARDWARE_STATUS: /* ready */
	case OID_MEDIA_SUPPORTED:
	case OID_MEDIA_IN_USE:
	case OID_PHYSICAL_MEDIUM:
	case OID_802_3_MAC_OPTIONS:
	case OID_802_3_RCV_ERROR_ALIGNMENT:
	case OID_802_3_XMIT_ONE_COLLISION:
	case OID_802_3_XMIT_MORE_COLLISIONS:
		*word = 0;
		return true;
	case OID_MAXIMUM_LOOKAHEAD:
	case OID_MAXIMUM_FRAME_SIZE:
		*word = control->mtu;
		return true;
	case OID_CURRENT_LOOKAHEAD:
		*word = control->lookahead ? control->lookahead : control->mtu;
		return true;
	case OID_MAXIMUM_TOTAL_SIZE:
	case OID_TRANSMIT_BLOCK_SIZE:
	case OID_RECEIVE_BLOCK_SIZE:
		*word = frame;
		return true;
	case OID_TRANSMIT_BUFFER_SPACE:
		*word = netvsp->send.nr * NETVSP_SECTION;
		return true;
	case OID_RECEIVE_BUFFER_SPACE:
		*word = netvsp->receive.nr * netvsp->slot_size;
		return true;
	case OID_LINK_SPEED:
	case OID_MAX_LINK_SPEED:
		*word = link_speed(netvsp);
		return true;
	case OID_VENDOR_ID:
		*word = 0xffffff; /* none of the registered */
		return true;
	case OID_CURRENT_PACKET_FILTER:
		*word = control->filter;
		return true;
	case OID_VENDOR_DRIVER_VERSION:
		*word = 0x10000;
		return true;
	case OID_MAC_OPTIONS:
		*word = mac_options(netvsp);
		return true;
	case OID_MEDIA_CONNECT_STATUS:
		*word = control->link_up ? RNDIS_MEDIA_CONNECTED :
					   RNDIS_MEDIA_DISCONNECTED;
		return true;
	case OID_MAXIMUM_SEND_PACKETS:
		*word = NETVSP_PACKET_FRAMES;
		return true;
	case OID_802_3_MAXIMUM_LIST_SIZE:
		*word = MULTICAST_LIST;
		return true;
	}
	return false;
}

static uint32_t put(uint8_t *info, uint32_t *size, const void *what,
		    uint32_t len)
{
	if (*size < len)
		return RNDIS_STATUS_INVALID_LENGTH;
	memcpy(info, what, len);
	*size = len;
	return RNDIS_STATUS_SUCCESS;
}

static uint32_t put_list(uint8_t *info, uint32_t *size)
{
	static const uint32_t supported[] = {
		OID_SUPPORTED_LIST, OID_HARDWARE_STATUS, OID_MEDIA_SUPPORTED,
		OID_MEDIA_IN_USE, OID_MAXIMUM_LOOKAHEAD, OID_MAXIMUM_FRAME_SIZE,
		OID_LINK_SPEED, OID_TRANSMIT_BUFFER_SPACE,
		OID_RECEIVE_BUFFER_SPACE, OID_TRANSMIT_BLOCK_SIZE,
		OID_RECEIVE_BLOCK_SIZE, OID_VENDOR_ID, OID_VENDOR_DESCRIPTION,
		OID_CURRENT_PACKET_FILTER, OID_CURRENT_LOOKAHEAD,
		OID_DRIVER_VERSION, OID_MAXIMUM_TOTAL_SIZE, OID_MAC_OPTIONS,
		OID_MEDIA_CONNECT_STATUS, OID_MAXIMUM_SEND_PACKETS,
		OID_VENDOR_DRIVER_VERSION, OID_NETWORK_LAYER_ADDRESSES,
		OID_PHYSICAL_MEDIUM, OID_RECEIVE_SCALE_CAPABILITIES,
		OID_RECEIVE_SCALE_PARAMETERS, OID_MAX_LINK_SPEED,
		OID_LINK_STATE, OID_RNDIS_CONFIG_PARAMETER, OID_XMIT_OK,
		OID_RCV_OK, OID_XMIT_ERROR, OID_RCV_ERROR, OID_RCV_NO_BUFFER,
		OID_FRIENDLY_NAME, OID_802_3_PERMANENT_ADDRESS,
		OID_802_3_CURRENT_ADDRESS, OID_802_3_MULTICAST_LIST,
		OID_802_3_MAXIMUM_LIST_SIZE, OID_802_3_MAC_OPTIONS,
		OID_802_3_RCV_ERROR_ALIGNMENT, OID_802_3_XMIT_ONE_COLLISION,
		OID_802_3_XMIT_MORE_COLLISIONS, OID_OFFLOAD_ENCAPSULATION,
		OID_TCP_OFFLOAD_CURRENT_CONFIG, OID_TCP_OFFLOAD_PARAMETERS,
		OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES,
	};
	uint32_t nr = sizeof(supported) / sizeof(supported[0]);

	if (*size < nr * sizeof(le32))
		return RNDIS_STATUS_INVALID_LENGTH;
	for (uint32_t i = 0; i < nr; i++) {
		le32 oid = cpu_to_le32(supported[i]);

		memcpy(info + i * sizeof(oid), &oid, sizeof(oid));
	}
	*size = nr * (uint32_t)sizeof(le32);
	return RNDIS_STATUS_SUCCESS;
}

/* A name in UTF-16. */
static uint32_t put_name(uint8_t *info, uint32_t *size)
{
	for (uint32_t i = 0; i < sizeof(vendor); i++) {
		info[2 * i] = (uint8_t)vendor[i];
		info[2 * i + 1] = 0;
	}
	*size = 2 * sizeof(vendor);
	return RNDIS_STATUS_SUCCESS;
}

static uint32_t put_link_state(struct netvsp *netvsp, uint8_t *info,
			       uint32_t *size)
{
	struct nic_info nic;
	struct ndis_link_state state = {
		.header.type = NDIS_OBJECT_DEFAULT,
		.header.revision = 1,
		.header.size = cpu_to_le16(sizeof(state)),
		.duplex = cpu_to_le32(2),
	};

	netvsp->nic->ops->info(netvsp->nic, &nic);
	state.connect_state = cpu_to_le32(netvsp->control.link_up ? 1 : 2);
	state.tx_speed = state.rx_speed = cpu_to_le64(nic.link_bps);
	return put(info, size, &state, sizeof(state));
}

static uint32_t put_rss_capabilities(const struct netvsp *netvsp, uint8_t *info,
				     uint32_t *size)
{
	struct ndis_rss_capabilities rss = {
		.header.type = NDIS_OBJECT_RSS_CAPABILITIES,
		.header.revision = 2,
		.header.size = cpu_to_le16(sizeof(rss)),
		.flags = cpu_to_le32(NDIS_RSS_TOEPLITZ | NDIS_RSS_CAN_TCP_IP4 |
				     NDIS_RSS_CAN_TCP_IP6),
		.nr_interrupts = cpu_to_le32(netvsp->usable_queues),
		.nr_queues = cpu_to_le32(netvsp->usable_queues),
		.nr_entries = cpu_to_le16(NIC_RSS_TABLE),
	};

	return put(info, size, &rss, sizeof(rss));
}

uint32_t rndis_query(struct netvsp *netvsp, uint32_t oid, const uint8_t *asked,
		     uint32_t asked_size, uint8_t *info, uint32_t *size)
{
	uint32_t word;
	le64 count;
	le32 value;

	(void)asked;
	if (query_word(netvsp, oid, &word)) {
		value = cpu_to_le32(word);
		return put(info, size, &value, sizeof(value));
	}
	switch (oid) {
	case OID_SUPPORTED_LIST:
		return put_list(info, size);
	case OID_DRIVER_VERSION: {
		le16 version = cpu_to_le16(0x0100);

		return put(info, size, &version, sizeof(version));
	}
	case OID_VENDOR_DESCRIPTION:
		return put(info, size, vendor, sizeof(vendor));
	case OID_FRIENDLY_NAME:
		return put_name(info, size);
	case OID_802_3_PERMANENT_ADDRESS:
	case OID_802_3_CURRENT_ADDRESS:
		return put(info, size, netvsp->mac, sizeof(netvsp->mac));
	case OID_802_3_MULTICAST_LIST:
		*size = 0;
		return RNDIS_STATUS_SUCCESS;
	case OID_LINK_STATE:
		return put_link_state(netvsp, info, size);
	case OID_RECEIVE_SCALE_CAPABILITIES:
		return put_rss_capabilities(netvsp, info, size);
	case OID_TCP_OFFLOAD_CURRENT_CONFIG:
	case OID_TCP_OFFLOAD_HARDWARE_CAPABILITIES:
		rndis_offload(netvsp, oid == OID_TCP_OFFLOAD_CURRENT_CONFIG,
			      asked_size, info, size);
		return RNDIS_STATUS_SUCCESS;
	case OID_XMIT_OK:
	case OID_RCV_OK:
	case OID_XMIT_ERROR:
	case OID_RCV_ERROR:
	case OID_RCV_NO_BUFFER:
		count = cpu_to_le64(statistic(netvsp, oid));
		return put(info, size, &count, sizeof(count));
	}
	return RNDIS_STATUS_NOT_SUPPORTED;
}

/* Sets. */

static uint32_t refuse(struct refusal *no, size_t offset, uint64_t value,
		       const char *rule)
{
	*no = (struct refusal){ (uint32_t)offset, value, rule };
	return RNDIS_STATUS_INVALID_DATA;
}

static uint32_t set_filter(struct netvsp *netvsp, const uint8_t *info,
			   uint32_t size, struct refusal *no)
{
	le32 filter;

	if (size < sizeof(filter))
		return refuse(no, 0, size, "rndis.oid.filter");
	memcpy(&filter, info, sizeof(filter));
	netvsp->control.filter = le32_to_cpu(filter);
	/* Frames to send do not keep it running alone once it had a filter. */
	netvsp->control.sent = false;
	netvsp_control_want(netvsp);
	return RNDIS_STATUS_SUCCESS;
}

static uint32_t set_lookahead(struct netvsp *netvsp, const uint8_t *info,
			      uint32_t size, struct refusal *no)
{
	le32 lookahead;

	if (size < sizeof(lookahead))
		return refuse(no, 0, size, "rndis.oid.lookahead");
	memcpy(&lookahead, info, sizeof(lookahead));
	netvsp->control.lookahead = le32_to_cpu(lookahead);
	return RNDIS_STATUS_SUCCESS;
}

static uint32_t set_config(const uint8_t *info, uint32_t size,
			   struct refusal *no)
{
	struct rndis_config_parameter parameter;
	uint32_t at, len;

	if (size < sizeof(parameter))
		return refuse(no, 0, size, "rndis.oid.parameter");
	memcpy(&parameter, info, sizeof(parameter));
	at = le32_to_cpu(parameter.name_offset);
	len = le32_to_cpu(parameter.name_size);
	if (at > size || len > size - at)
		return refuse(no, 0, at, "rndis.oid.parameter-name");
	at = le32_to_cpu(parameter.value_offset);
	len = le32_to_cpu(parameter.value_size);
	if (at > size || len > size - at)
		return refuse(no, offsetof(struct rndis_config_parameter,
					   value_offset), at,
			      "rndis.oid.parameter-value");
	/* The one that clients know is the address, which is the host's. */
	return RNDIS_STATUS_NOT_SUPPORTED;
}

uint32_t rndis_set(struct netvsp *netvsp, uint32_t oid, const uint8_t *info,
		   uint32_t size, struct refusal *no)
{
	switch (oid) {
	case OID_CURRENT_PACKET_FILTER:
		return set_filter(netvsp, info, size, no);
	case OID_CURRENT_LOOKAHEAD:
		return set_lookahead(netvsp, info, size, no);
	case OID_802_3_MULTICAST_LIST:
		if (size % 6)
			return refuse(no, 0, size, "rndis.oid.addresses");
		return RNDIS_STATUS_SUCCESS; /* all of them come */
	case OID_RNDIS_CONFIG_PARAMETER:
		return set_config(info, size, no);
	case OID_RECEIVE_SCALE_PARAMETERS:
		return rndis_set_rss(netvsp, info, size, no);
	case OID_TCP_OFFLOAD_PARAMETERS:
		return rndis_set_offload(netvsp, info, size, no);
	case OID_OFFLOAD_ENCAPSULATION:
	case OID_NETWORK_LAYER_ADDRESSES:
		return RNDIS_STATUS_SUCCESS;
	}
	return RNDIS_STATUS_NOT_SUPPORTED;
}
