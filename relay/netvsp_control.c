/* SPDX-License-Identifier: MIT */
/*
 * NVSP, theory of operation
 *
 * What the client negotiates, on the primary channel: a version, once; then
 * the MTU, two buffers, RNDIS (rndis.c), and sub-channels.
 *
 *	                    101/104        taken
 *	buffer:     none ----------> asked ------> used
 *	             ^                 | no          | 103/106
 *	             |<----------------+             v
 *	             +------------------------- revoked
 *	               the backend is idle: given back
 *
 * While a buffer is asked for or revoked the channel takes no other message:
 * the ring is the queue. A revoked buffer stops the backend, the only user of
 * the client's memory beside us; nobody waits for an answer to that, but the
 * GPADL's teardown is answered after it.
 *
 * Sub-channels: as many as asked for, or fewer: queues are a power of two.
 *
 * Threads: the primary's reactor. Failure answers: a message out of order, too
 * new for the version or on a sub-channel is refused and changes nothing.
 */
#include <string.h>

#include <pv/log.h>

#include "netvsp_state.h"
#include "vmbus_reg.h"

LOG_MODULE("netvsp");

#define MAX_MDL_CHAIN 34
#define MAX_WIRE_MTU 9216 /* with the header: above, clients know not better */

/* Answers. */

static void answer(struct netvsp_channel *ch, const struct ring_packet *packet,
		   const struct nvs_message *message)
{
	if (packet->wants_completion)
		netvsp_complete(ch, packet->transaction, message,
				atomic_load(&ch->netvsp->message_size));
}

static void refuse(struct netvsp_channel *ch, const struct ring_packet *packet,
		   uint32_t type, size_t offset, uint64_t value,
		   const char *rule)
{
	struct refusal no = { (uint32_t)offset, value, rule };

	netvsp_refuse(ch, packet, type, &no);
}

void netvsp_control_want(struct netvsp *netvsp)
{
	const struct netvsp_control *control = &netvsp->control;
	bool up = atomic_load(&netvsp->operational) &&
		  netvsp->receive.state == BUFFER_USED &&
		  netvsp->send.state != BUFFER_REVOKED &&
		  (control->filter || control->sent);
	unsigned int filter = 0;

	if (control->filter & RNDIS_FILTER_DIRECTED)
		filter |= NIC_DIRECTED;
	if (control->filter &
	    (RNDIS_FILTER_MULTICAST | RNDIS_FILTER_ALL_MULTICAST))
		filter |= NIC_MULTICAST;
	if (control->filter & RNDIS_FILTER_BROADCAST)
		filter |= NIC_BROADCAST;
	if (control->filter & RNDIS_FILTER_PROMISCUOUS)
		filter |= NIC_PROMISCUOUS;
	pthread_mutex_lock(&netvsp->lock);
	netvsp->want.up = up;
	netvsp->want.filter = filter;
	pthread_mutex_unlock(&netvsp->lock);
	netvsp_changed(netvsp);
}

/* Negotiation. */

static const struct {
	uint16_t number;
	uint32_t wire;
} versions[] = {
	{ 0x601, NVS_VERSION_61 }, { 0x600, NVS_VERSION_6 },
	{ 0x500, NVS_VERSION_5 }, { 0x400, NVS_VERSION_4 },
	{ 0x200, NVS_VERSION_2 }, { 0x100, NVS_VERSION_1 },
};

uint32_t netvsp_version(uint16_t number)
{
	for (unsigned int i = 0; i < sizeof(versions) / sizeof(*versions); i++)
		if (!number || versions[i].number == number)
			return versions[i].wire;
	return 0;
}

static uint32_t best_version(uint32_t min, uint32_t max)
{
	for (unsigned int i = 0; i < sizeof(versions) / sizeof(*versions); i++)
		if (versions[i].wire >= min && versions[i].wire <= max)
			return versions[i].wire;
	return 0;
}

static void init(struct netvsp_channel *ch, const struct ring_packet *packet,
		 const struct nvs_message *message)
{
	struct netvsp *netvsp = ch->netvsp;
	uint32_t min = le32_to_cpu(message->init.min_version);
	uint32_t max = le32_to_cpu(message->init.max_version);
	uint32_t version = best_version(min, max < netvsp->max_version ?
					     max : netvsp->max_version);
	struct nvs_message reply = {
		.type = cpu_to_le32(NVS_INIT_COMPLETE),
		.init_complete = {
			.version = cpu_to_le32(version == NVS_VERSION_1 ?
					       version : UINT32_MAX),
			.max_mdl_chain = cpu_to_le32(MAX_MDL_CHAIN),
			.status = cpu_to_le32(version ? NVS_STATUS_SUCCESS :
							NVS_STATUS_NONE),
		},
	};
	uint32_t size = packet->payload_size < NVS_SIZE_61 ? NVS_SIZE :
							     NVS_SIZE_61;

	if (netvsp->control.version) {
		refuse(ch, packet, NVS_INIT, 0, netvsp->control.version,
		       "netvsp.version.twice");
		return;
	}
	if (version) {
		log_info_limited("protocol %#x", version);
		netvsp->control.version = version;
		atomic_store(&netvsp->message_size,
			     version >= NVS_VERSION_61 ? NVS_SIZE_61 :
							 NVS_SIZE);
	}
	if (packet->wants_completion)
		netvsp_complete(ch, packet->transaction, &reply, size);
}

static void ndis_version(struct netvsp_channel *ch,
			 const struct ring_packet *packet,
			 const struct nvs_message *message)
{
	struct nvs_message reply = { .type = message->type };

	answer(ch, packet, &reply);
}

static void ndis_config(struct netvsp_channel *ch,
			const struct ring_packet *packet,
			const struct nvs_message *message)
{
	struct netvsp *netvsp = ch->netvsp;
	uint32_t wire = le32_to_cpu(message->ndis_config.mtu), mtu;

	if (netvsp->control.configured ||
	    netvsp->receive.state != BUFFER_NONE) {
		refuse(ch, packet, NVS_NDIS_CONFIG, 0, wire,
		       "netvsp.config.order");
		return;
	}
	if (wire < NIC_ETHERNET_HEADER + NETVSP_MIN_MTU || wire > MAX_WIRE_MTU)
		wire = NIC_ETHERNET_HEADER + 1500;
	mtu = wire - NIC_ETHERNET_HEADER;
	netvsp->control.mtu = mtu < netvsp->max_mtu ? (uint16_t)mtu :
						      netvsp->max_mtu;
	netvsp->control.configured = true;
	ndis_version(ch, packet, message);
}

/* Buffers. */

bool netvsp_asks(const struct netvsp *netvsp)
{
	return netvsp->receive.state == BUFFER_ASKED ||
	       netvsp->send.state == BUFFER_ASKED;
}

static void release(struct netvsp_buffer *buffer, bool all)
{
	if (buffer->state == BUFFER_REVOKED ||
	    (all && buffer->state == BUFFER_USED)) {
		vmbus_give_pages(&buffer->pages);
		buffer->state = BUFFER_NONE;
		buffer->nr = 0;
	}
}

void netvsp_release(struct netvsp *netvsp, bool all)
{
	release(&netvsp->receive, all);
	release(&netvsp->send, all);
}

/* The end of a message that waited for memory. */
static void answer_late(struct netvsp *netvsp, const struct nvs_message *reply)
{
	struct netvsp_channel *ch = netvsp_channel(netvsp, 0);

	if (netvsp->control.wants_completion)
		netvsp_complete(ch, netvsp->control.transaction, reply,
				atomic_load(&netvsp->message_size));
	ch->waiting = false;
	netvsp_resume(ch);
}

/* Divides the receive buffer; false: it is too small. */
static bool divide(struct netvsp *netvsp)
{
	uint32_t slots, queues = netvsp->max_queues;

	netvsp->slot_size = netvsp_slot_size(netvsp->control.mtu);
	slots = netvsp->receive.pages.size / netvsp->slot_size;
	if (slots < NETVSP_CONTROL_SLOTS + NETVSP_MIN_SLOTS)
		return false;
	netvsp->receive.nr = slots;
	netvsp->nr_buffers++;
	slots -= NETVSP_CONTROL_SLOTS;
	while (slots / queues < NETVSP_MIN_SLOTS)
		queues /= 2;
	netvsp->usable_queues = queues;
	netvsp->queue_slots = slots / queues < NETVSP_MAX_SLOTS ?
			      slots / queues : NETVSP_MAX_SLOTS;
	return true;
}

static void receive_taken(struct vmbus_pages *pages, int error)
{
	struct netvsp *netvsp = (struct netvsp *)
		((char *)pages - offsetof(struct netvsp, receive.pages));
	struct netvsp_channel *ch = netvsp_channel(netvsp, 0);
	struct nvs_message reply = {
		.type = cpu_to_le32(NVS_RECEIVE_BUFFER_COMPLETE),
		.receive_buffer_complete.status =
			cpu_to_le32(NVS_STATUS_FAILURE),
	};

	netvsp->receive.state = error ? BUFFER_NONE : BUFFER_USED;
	if (error) {
		netvsp_record(ch, NVS_SEND_RECEIVE_BUFFER,
			      offsetof(struct nvs_message, buffer.gpadl),
			      pages->id, "netvsp.buffer.gpadl");
	} else if (!divide(netvsp)) {
		netvsp_record(ch, NVS_SEND_RECEIVE_BUFFER,
			      offsetof(struct nvs_message, buffer.gpadl),
			      pages->size, "netvsp.receive-buffer.size");
		release(&netvsp->receive, true);
	} else {
		uint32_t nr = netvsp->receive.nr, size = netvsp->slot_size;

		reply.receive_buffer_complete =
			(struct nvs_receive_buffer_complete){
			.status = cpu_to_le32(NVS_STATUS_SUCCESS),
			.nr_sections = cpu_to_le32(1),
			.section[0].slot_size = cpu_to_le32(size),
			.section[0].nr_slots = cpu_to_le32(nr),
			.section[0].end = cpu_to_le32(nr * size),
		};
		netvsp_control_want(netvsp);
	}
	answer_late(netvsp, &reply);
}

static void send_taken(struct vmbus_pages *pages, int error)
{
	struct netvsp *netvsp = (struct netvsp *)
		((char *)pages - offsetof(struct netvsp, send.pages));
	struct netvsp_channel *ch = netvsp_channel(netvsp, 0);
	struct nvs_message reply = {
		.type = cpu_to_le32(NVS_SEND_BUFFER_COMPLETE),
		.send_buffer_complete.status = cpu_to_le32(NVS_STATUS_FAILURE),
	};

	netvsp->send.state = error ? BUFFER_NONE : BUFFER_USED;
	if (error) {
		netvsp_record(ch, NVS_SEND_SEND_BUFFER,
			      offsetof(struct nvs_message, buffer.gpadl),
			      pages->id, "netvsp.buffer.gpadl");
	} else {
		netvsp->send.nr = pages->size / NETVSP_SECTION;
		reply.send_buffer_complete = (struct nvs_send_buffer_complete){
			.status = cpu_to_le32(NVS_STATUS_SUCCESS),
			.section_size = cpu_to_le32(NETVSP_SECTION),
		};
	}
	answer_late(netvsp, &reply);
}

static void take_buffer(struct netvsp_channel *ch,
			const struct ring_packet *packet,
			const struct nvs_message *message)
{
	struct netvsp *netvsp = ch->netvsp;
	uint32_t type = le32_to_cpu(message->type);
	bool receive = type == NVS_SEND_RECEIVE_BUFFER;
	struct netvsp_buffer *buffer = receive ? &netvsp->receive :
						 &netvsp->send;

	if (buffer->state != BUFFER_NONE) {
		refuse(ch, packet, type, 0, buffer->state,
		       "netvsp.buffer.twice");
		return;
	}
	if (receive)
		netvsp->control.receive_id =
			le16_to_cpu(message->buffer.id);
	netvsp->control.transaction = packet->transaction;
	netvsp->control.wants_completion = packet->wants_completion;
	buffer->state = BUFFER_ASKED;
	buffer->pages.taken = receive ? receive_taken : send_taken;
	ch->waiting = true;
	vmbus_take_pages(ch->vmbus, &buffer->pages,
			 le32_to_cpu(message->buffer.gpadl));
}

static void revoke_buffer(struct netvsp_channel *ch,
			  const struct ring_packet *packet,
			  const struct nvs_message *message)
{
	struct netvsp *netvsp = ch->netvsp;
	uint32_t type = le32_to_cpu(message->type);
	struct netvsp_buffer *buffer = type == NVS_REVOKE_RECEIVE_BUFFER ?
				       &netvsp->receive : &netvsp->send;

	if (buffer->state != BUFFER_USED) {
		refuse(ch, packet, type, 0, buffer->state, "netvsp.buffer.none");
		return;
	}
	buffer->state = BUFFER_REVOKED;
	ch->waiting = true;
	netvsp_control_want(netvsp);
	netvsp_leave(ch);
	ndis_version(ch, packet, message);
}

/* The others. */

static void subchannel(struct netvsp_channel *ch,
		       const struct ring_packet *packet,
		       const struct nvs_message *message)
{
	struct netvsp *netvsp = ch->netvsp;
	uint32_t count = le32_to_cpu(message->subchannel.count);
	uint32_t operation = le32_to_cpu(message->subchannel.operation);
	struct nvs_message reply = { .type = cpu_to_le32(NVS_SUBCHANNEL) };
	uint32_t queues = netvsp->usable_queues;

	if (operation != NVS_SUBCHANNEL_ALLOCATE || !count ||
	    count >= netvsp->max_queues || netvsp->want.granted ||
	    netvsp->receive.state != BUFFER_USED) {
		refuse(ch, packet, NVS_SUBCHANNEL,
		       offsetof(struct nvs_message, subchannel.count), count,
		       "netvsp.sub-channels.count");
		return;
	}
	while (queues > count + 1)
		queues /= 2;
	if (queues < 2 || vmbus_offer_subchannels(&netvsp->device,
						  queues - 1)) {
		refuse(ch, packet, NVS_SUBCHANNEL,
		       offsetof(struct nvs_message, subchannel.count), count,
		       "netvsp.sub-channels.slots");
		return;
	}
	pthread_mutex_lock(&netvsp->lock);
	netvsp->want.granted = queues - 1;
	pthread_mutex_unlock(&netvsp->lock);
	reply.subchannel.operation = cpu_to_le32(NVS_STATUS_SUCCESS);
	reply.subchannel.count = cpu_to_le32(queues - 1);
	answer(ch, packet, &reply);
}

/* There is one path. The answer is empty whatever it was that was asked for:
 * some clients take no other, and wait for it without end. */
static void data_path(struct netvsp_channel *ch,
		      const struct ring_packet *packet,
		      const struct nvs_message *message)
{
	uint32_t active = le32_to_cpu(message->data_path.active);

	if (active != NVS_DATA_PATH_SYNTHETIC)
		netvsp_record(ch, NVS_SWITCH_DATA_PATH,
			      offsetof(struct nvs_message, data_path.active),
			      active, "netvsp.data-path");
	if (packet->wants_completion)
		netvsp_complete(ch, packet->transaction, NULL, 0);
}

static void oid_query(struct netvsp_channel *ch,
		      const struct ring_packet *packet,
		      const struct nvs_message *message)
{
	struct nvs_message reply = {
		.type = cpu_to_le32(NVS_OID_QUERY_COMPLETE),
		.complete.status = cpu_to_le32(NVS_NOT_SUPPORTED),
	};

	(void)message;
	answer(ch, packet, &reply);
}

/* RNDIS. */

static void rndis(struct netvsp_channel *ch, const struct ring_packet *packet,
		  const struct nvs_message *message)
{
	struct netvsp *netvsp = ch->netvsp;
	struct netvsp_control *control = &netvsp->control;
	struct refusal no = { 0 };
	struct nvs_message reply = {
		.type = cpu_to_le32(NVS_RNDIS_PACKET_COMPLETE),
		.complete.status = cpu_to_le32(NVS_STATUS_SUCCESS),
	};
	struct gather *gather = &ch->tx.gather;
	int size;

	if (netvsp->receive.state != BUFFER_USED) {
		refuse(ch, packet, NVS_RNDIS_PACKET, 0, netvsp->receive.state,
		       "netvsp.control.no-buffer");
		return;
	}
	if (!control->free_slots) {
		/* A client that reads its answers does not come here. */
		netvsp_record(ch, NVS_RNDIS_PACKET, 0, 0,
			      "netvsp.control.answers");
		reply.complete.status = cpu_to_le32(NVS_STATUS_BUSY);
		answer(ch, packet, &reply);
		return;
	}
	if (!netvsp_gather(ch, packet, &message->rndis, &no)) {
		netvsp_refuse(ch, packet, NVS_RNDIS_PACKET, &no);
		return;
	}
	if (gather->bytes > NETVSP_CONTROL_SIZE) {
		refuse(ch, packet, NVS_RNDIS_PACKET, 0, gather->bytes,
		       "netvsp.control.size");
		return;
	}
	gather_read(gather, (struct gather_at){ 0 }, control->in,
		    gather->bytes);
	size = rndis_control(netvsp, gather->bytes, &no);
	if (size < 0) {
		netvsp_refuse(ch, packet, NVS_RNDIS_PACKET, &no);
		return;
	}
	answer(ch, packet, &reply);
	if (size && !netvsp_send_control(ch, (uint32_t)size))
		netvsp_stop_if_broken(ch);
}

/* Messages. */

static const struct {
	uint32_t type, since;
	void (*fn)(struct netvsp_channel *ch, const struct ring_packet *packet,
		   const struct nvs_message *message);
} messages[] = {
	{ NVS_RNDIS_PACKET, NVS_VERSION_1, rndis },
	{ NVS_INIT, 0, init },
	{ NVS_NDIS_VERSION, NVS_VERSION_1, ndis_version },
	{ NVS_SEND_RECEIVE_BUFFER, NVS_VERSION_1, take_buffer },
	{ NVS_REVOKE_RECEIVE_BUFFER, NVS_VERSION_1, revoke_buffer },
	{ NVS_SEND_SEND_BUFFER, NVS_VERSION_1, take_buffer },
	{ NVS_REVOKE_SEND_BUFFER, NVS_VERSION_1, revoke_buffer },
	{ NVS_NDIS_CONFIG, NVS_VERSION_2, ndis_config },
	{ NVS_SWITCH_DATA_PATH, NVS_VERSION_4, data_path },
	{ NVS_OID_QUERY, NVS_VERSION_5, oid_query },
	{ NVS_SUBCHANNEL, NVS_VERSION_5, subchannel },
};

void netvsp_control(struct netvsp_channel *ch, const struct ring_packet *packet,
		    const struct nvs_message *message)
{
	uint32_t type = le32_to_cpu(message->type);

	if (ch->index) {
		refuse(ch, packet, type, 0, ch->index,
		       "netvsp.control.channel");
		return;
	}
	for (unsigned int i = 0; i < sizeof(messages) / sizeof(*messages);
	     i++) {
		if (messages[i].type != type ||
		    messages[i].since > ch->netvsp->control.version)
			continue;
		messages[i].fn(ch, packet, message);
		return;
	}
	refuse(ch, packet, type, 0, type, "netvsp.message.type");
}

void netvsp_control_open(struct netvsp_channel *ch)
{
	struct netvsp *netvsp = ch->netvsp;
	struct netvsp_control *control = &netvsp->control;

	control->version = 0;
	control->configured = false;
	control->sent = false;
	control->mtu = netvsp->max_mtu < 1500 ? netvsp->max_mtu : 1500;
	control->filter = 0;
	control->lookahead = 0;
	control->tx_enabled = netvsp->tx_can;
	control->rx_enabled = netvsp->rx_can;
	control->free_slots = (1u << NETVSP_CONTROL_SLOTS) - 1;
	control->indicate_offload = false;
	control->link_next = 0;
	atomic_store(&netvsp->operational, false);
	atomic_store(&netvsp->rx_report, netvsp->rx_can);
	atomic_store(&netvsp->message_size, NVS_SIZE);
	atomic_store(&netvsp->tell_table, false);
	pthread_mutex_lock(&netvsp->lock);
	netvsp->want.up = false;
	netvsp->want.granted = 0;
	netvsp->want.filter = 0;
	memset(&netvsp->want.rss, 0, sizeof(netvsp->want.rss));
	pthread_mutex_unlock(&netvsp->lock);
}
