// SPDX-License-Identifier: MIT
/*
 * The storage client of the tiny guest; see tiny_vmbus.h. One request after
 * the other unless a case sends more itself.
 */
#include "relay/scsi_reg.h"
#include "tiny_vmbus.h"

#define BLOCK 512u
#define MAX_PAGES 64u

bool vstor_do(struct channel *ch, struct vstor_packet *packet, uint32_t size,
	      uint32_t *status)
{
	uint64_t transaction = ch->next_transaction++;
	struct packet answer;

	if (!ring_send(ch, RING_PACKET_INBAND, transaction, NULL, 0, packet,
		       size))
		return false;
	NEED(ring_wait(ch, &answer, VMBUS_MS));
	NEED(answer.type == RING_PACKET_COMPLETION);
	NEED(answer.transaction == transaction);
	NEED(answer.size == size);
	memcpy(packet, answer.payload, size);
	NEED(le32_to_cpu(packet->header.operation) == VSTOR_COMPLETE_IO);
	*status = le32_to_cpu(packet->header.status);
	return true;
}

static bool step(struct channel *ch, uint32_t operation, uint16_t version)
{
	struct vstor_packet packet = {
		.header.operation = cpu_to_le32(operation),
	};
	uint32_t status;

	if (version)
		packet.version.version = cpu_to_le16(version);
	if (!vstor_do(ch, &packet, sizeof(packet), &status))
		return false;
	NEED(status == VSTOR_STATUS_SUCCESS);
	return true;
}

bool vstor_init(struct channel *ch, uint16_t version)
{
	return step(ch, VSTOR_BEGIN_INIT, 0) &&
	       step(ch, VSTOR_QUERY_VERSION, version) &&
	       step(ch, VSTOR_QUERY_PROPERTIES, 0) &&
	       step(ch, VSTOR_END_INIT, 0);
}

bool scsi_send(struct channel *ch, const struct scsi_request *r,
	       uint64_t transaction)
{
	struct {
		struct ring_gpa_direct direct;
		struct ring_gpa_range range;
		le64 pfn[MAX_PAGES];
	} list;
	uint32_t offset = (uint32_t)(r->gpa % TINY_PAGE);
	uint32_t n = (offset + r->bytes + TINY_PAGE - 1) / TINY_PAGE;
	struct vstor_packet packet = {
		.header.operation = cpu_to_le32(VSTOR_EXECUTE_SRB),
		.header.flags = cpu_to_le32(1),
		.srb = {
			.length = cpu_to_le16(sizeof(packet.srb)),
			.target = r->target,
			.lun = r->lun,
			.cdb_size = r->cdb_size,
			.sense_size = VSTOR_SRB_SENSE_SIZE,
			.data_in = r->direction,
			.data_size = cpu_to_le32(r->bytes),
		},
	};

	NEED(n <= MAX_PAGES);
	memcpy(packet.srb.cdb, r->cdb, sizeof(r->cdb));
	list.direct = (struct ring_gpa_direct){
		.range_count = cpu_to_le32(1),
	};
	list.range.byte_count = cpu_to_le32(r->bytes);
	list.range.byte_offset = cpu_to_le32(offset);
	for (uint32_t i = 0; i < n; i++)
		list.pfn[i] = cpu_to_le64(r->gpa / TINY_PAGE + i);
	return ring_send(ch, r->bytes ? RING_PACKET_GPA_DIRECT :
					RING_PACKET_INBAND,
			 transaction, &list,
			 r->bytes ? sizeof(list.direct) + sizeof(list.range) +
					    n * sizeof(le64) : 0,
			 &packet, sizeof(packet));
}

bool scsi_do(struct channel *ch, const struct scsi_request *r,
	     struct vstor_packet *answer)
{
	uint64_t transaction = ch->next_transaction++;
	struct packet packet;

	if (!scsi_send(ch, r, transaction))
		return false;
	NEED(ring_wait(ch, &packet, 5000));
	NEED(packet.type == RING_PACKET_COMPLETION);
	NEED(packet.transaction == transaction);
	NEED(packet.size == sizeof(*answer));
	memcpy(answer, packet.payload, sizeof(*answer));
	return true;
}

void scsi_fill_rw(struct scsi_request *r, bool write, uint32_t lba,
		  uint32_t blocks, const void *at)
{
	*r = (struct scsi_request){
		.cdb = { write ? SCSI_WRITE_10 : SCSI_READ_10, 0,
			 (uint8_t)(lba >> 24), (uint8_t)(lba >> 16),
			 (uint8_t)(lba >> 8), (uint8_t)lba, 0,
			 (uint8_t)(blocks >> 8), (uint8_t)blocks },
		.cdb_size = 10,
		.direction = write ? VSTOR_DATA_WRITE : VSTOR_DATA_READ,
		.gpa = (uint64_t)at,
		.bytes = blocks * BLOCK,
	};
}

static bool read_write(struct channel *ch, bool write, uint32_t lba,
		       uint32_t blocks, const void *at)
{
	struct scsi_request r;
	struct vstor_packet answer;

	scsi_fill_rw(&r, write, lba, blocks, at);
	if (!scsi_do(ch, &r, &answer))
		return false;
	NEED(answer.srb.srb_status == VSTOR_SRB_SUCCESS);
	NEED(!answer.srb.scsi_status);
	NEED(le32_to_cpu(answer.srb.data_size) == r.bytes);
	return true;
}

bool scsi_read(struct channel *ch, uint32_t lba, uint32_t blocks, void *to)
{
	return read_write(ch, false, lba, blocks, to);
}

bool scsi_write(struct channel *ch, uint32_t lba, uint32_t blocks,
		const void *from)
{
	return read_write(ch, true, lba, blocks, from);
}

/* The first command gets the unit attention of power-on, if there is one. */
static bool clear_attention(struct channel *ch)
{
	struct scsi_request r = {
		.cdb = { SCSI_TEST_UNIT_READY },
		.cdb_size = 6,
		.direction = VSTOR_DATA_NONE,
	};
	struct vstor_packet answer = { .srb.srb_status = 0 };

	for (int i = 0; i < 4; i++) {
		if (!scsi_do(ch, &r, &answer))
			return false;
		if (answer.srb.srb_status == VSTOR_SRB_SUCCESS)
			return true;
	}
	NEED(answer.srb.srb_status == VSTOR_SRB_SUCCESS);
	return true;
}

bool scsi_start(uint32_t n, uint32_t ring_pages, struct channel *ch)
{
	return channel_open(scsi_offer(n), ring_pages, 0, ch) &&
	       vstor_init(ch, VSTOR_VERSION(6, 2)) && clear_attention(ch);
}

bool scsi_open(uint32_t ring_pages, struct channel *ch)
{
	return vmbus_connect(VMBUS_VERSION_COPPER) &&
	       scsi_start(0, ring_pages, ch);
}
