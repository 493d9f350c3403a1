/* SPDX-License-Identifier: MIT */
/*
 * EXECUTE_SRB, theory of operation
 *
 * An SRB becomes a SCSI task and its result an SRB again. The packet is in
 * private memory; what is taken from it is checked here, once:
 *
 *	page list -> ranges of guest RAM, adjacent pages joined
 *	CDB, direction, length -> the task
 *	path, target, LUN -> target and nexus, or their absence
 *
 * One page list holds one range (offset, length, page numbers); more would be
 * another protocol. Length and page numbers must agree before one is used.
 *
 * Threads: the channel's reactor.
 *
 * Failure answers: an SRB that breaks a rule is completed as an invalid request
 * and recorded. A logical unit that is not there is "invalid LUN", for which
 * Linux removes the device of that number; but it takes every target for
 * target 0, so for other targets it is a selection timeout.
 */
#include <string.h>

#include "refusal.h"
#include "ring_reg.h"
#include "storvsp_channel.h"

/* Completion. */

static void complete_srb(struct storvsp_request *req, uint8_t srb_status,
			 uint8_t scsi_status, uint32_t moved)
{
	struct vstor_srb *srb = &req->packet.srb;
	uint32_t status = VSTOR_STATUS_IO_DEVICE_ERROR;

	srb->length = cpu_to_le16(sizeof(*srb));
	srb->srb_status = srb_status;
	srb->scsi_status = scsi_status;
	srb->cdb_size = VSTOR_SRB_CDB_SIZE;
	srb->sense_size = 0;
	srb->data_size = cpu_to_le32(moved);
	memset(srb->sense, 0, sizeof(srb->sense));
	if (scsi_status == SCSI_CHECK_CONDITION) {
		_Static_assert(sizeof(req->task.sense) <= sizeof(srb->sense),
			       "sense data fits");
		srb->sense_size = sizeof(req->task.sense);
		memcpy(srb->sense, &req->task.sense, sizeof(req->task.sense));
	}
	switch (srb_status) {
	case VSTOR_SRB_SUCCESS:
		status = VSTOR_STATUS_SUCCESS;
		break;
	case VSTOR_SRB_INVALID_LUN:
	case VSTOR_SRB_SELECTION_TIMEOUT:
		status = VSTOR_STATUS_DEVICE_DOES_NOT_EXIST;
		break;
	case VSTOR_SRB_DATA_OVERRUN:
		status = VSTOR_STATUS_BUFFER_OVERFLOW;
		break;
	}
	storvsp_complete(req, status);
}

static void task_done(struct scsi_task *task)
{
	struct storvsp_request *req = (struct storvsp_request *)task;
	uint8_t status = VSTOR_SRB_SUCCESS;

	if (task->nexus)
		storvsp_ended(req->channel, req);
	else
		atomic_fetch_add_explicit(&req->channel->storvsp->nobody, 1,
					  memory_order_relaxed);
	switch ((enum scsi_outcome)task->outcome) {
	case SCSI_DELIVERED:
		/* Without the bit Linux takes any other status, such as a
		 * reservation conflict, for a failure of its adapter; no sense
		 * data comes with those. */
		if (task->status != SCSI_GOOD)
			status = VSTOR_SRB_ERROR | VSTOR_SRB_AUTOSENSE_VALID;
		break;
	case SCSI_NO_LUN:
		/* Linux takes INVALID_LUN of any target for target 0's. */
		status = task->target ? VSTOR_SRB_INVALID_LUN :
					VSTOR_SRB_SELECTION_TIMEOUT;
		break;
	case SCSI_OVERRUN:
		storvsp_record(req->channel, VSTOR_EXECUTE_SRB,
			       offsetof(struct vstor_packet, srb.data_size),
			       task->length, "storvsp.srb.buffer");
		status = VSTOR_SRB_DATA_OVERRUN;
		break;
	case SCSI_WRONG_DIRECTION:
		storvsp_record(req->channel, VSTOR_EXECUTE_SRB,
			       offsetof(struct vstor_packet, srb.data_in),
			       task->direction, "storvsp.srb.direction");
		status = VSTOR_SRB_INVALID_REQUEST;
		break;
	}
	complete_srb(req, status, task->status, task->moved);
}

/* EXECUTE_SRB. */

/* Offsets of refusals count in the vstor packet, of the page list in the ring
 * packet. */

/* Adds a page, or part of it, to the task's ranges; false: it is no RAM. */
static bool add_page(struct scsi_task *task, uint64_t gpa, uint32_t len)
{
	struct gpa_range range = { .gpa = gpa, .len = len };

	if (task->nr_ranges) {
		struct gpa_range *last = &task->ranges[task->nr_ranges - 1];
		struct gpa_range joined = { last->gpa, last->len + len };

		if (last->gpa + last->len == gpa &&
		    guest_memory_good(task->memory, joined)) {
			*last = joined;
			return true;
		}
	}
	if (!guest_memory_good(task->memory, range))
		return false;
	task->ranges[task->nr_ranges++] = range;
	return true;
}

/* The first task->length bytes of the packet's page list become the task's
 * ranges. */
static bool take_ranges(struct scsi_task *task,
			const struct ring_packet *packet, struct refusal *no)
{
	const uint32_t list_at = sizeof(struct ring_gpa_direct) +
				 sizeof(struct ring_gpa_range);
	struct ring_gpa_direct direct;
	struct ring_gpa_range range;
	uint32_t offset, bytes, left = task->length;
	uint64_t pages, page;

	no->offset = sizeof(struct ring_descriptor);
	no->value = packet->header_size;
	no->rule = "storvsp.data.pages";
	if (packet->type != RING_PACKET_GPA_DIRECT ||
	    packet->header_size < list_at)
		return false;
	memcpy(&direct, packet->header, sizeof(direct));
	memcpy(&range, packet->header + sizeof(direct), sizeof(range));
	offset = le32_to_cpu(range.byte_offset);
	bytes = le32_to_cpu(range.byte_count);
	no->value = le32_to_cpu(direct.range_count);
	no->rule = "storvsp.data.ranges";
	if (no->value != 1)
		return false;
	no->value = offset;
	no->rule = "storvsp.data.offset";
	if (offset >= GUEST_PAGE_SIZE)
		return false;
	no->value = bytes;
	no->rule = "storvsp.data.length";
	if (bytes < left)
		return false;
	pages = ((uint64_t)offset + bytes + GUEST_PAGE_SIZE - 1) >>
		GUEST_PAGE_SHIFT;
	no->rule = "storvsp.data.page-numbers";
	if (pages > (packet->header_size - list_at) / sizeof(le64))
		return false;

	for (const uint8_t *at = packet->header + list_at; left;
	     at += sizeof(le64), offset = 0) {
		uint32_t len = GUEST_PAGE_SIZE - offset;
		le64 pfn;

		memcpy(&pfn, at, sizeof(pfn));
		page = le64_to_cpu(pfn);
		if (len > left)
			len = left;
		if (page >> (64 - GUEST_PAGE_SHIFT) ||
		    !add_page(task, (page << GUEST_PAGE_SHIFT) + offset, len)) {
			no->offset = (uint32_t)(at - packet->header) +
				     sizeof(struct ring_descriptor);
			no->value = page;
			no->rule = "storvsp.data.page";
			return false;
		}
		left -= len;
	}
	return true;
}

static bool refuse_field(struct refusal *no, size_t srb_offset, uint64_t value,
			 const char *rule)
{
	no->offset = offsetof(struct vstor_packet, srb) + (uint32_t)srb_offset;
	no->value = value;
	no->rule = rule;
	return false;
}

/* In two words, since a copy of some bytes costs more than all the rest here:
 * of a word, the client's bytes are the lower ones. */
static void take_cdb(struct scsi_task *task, const struct vstor_srb *srb)
{
	unsigned int size = srb->cdb_size;
	uint64_t word[2];

	_Static_assert(sizeof(word) == sizeof(srb->cdb) &&
		       sizeof(word) == sizeof(task->cdb), "two words");
	memcpy(word, srb->cdb, sizeof(word));
	if (size < 8) {
		word[0] &= ~(UINT64_MAX << (8 * size));
		word[1] = 0;
	} else if (size < 16) {
		word[1] &= ~(UINT64_MAX << (8 * (size - 8)));
	}
	memcpy(task->cdb, word, sizeof(word));
	task->cdb_size = srb->cdb_size;
}

/* Fills in the task from the SRB; false: *no says why not. */
static bool take_srb(struct storvsp_request *req,
		     const struct ring_packet *packet, struct refusal *no)
{
	const struct vstor_srb *srb = &req->packet.srb;
	struct storvsp_channel *ch = req->channel;
	struct storvsp *storvsp = ch->storvsp;
	struct scsi_task *task = &req->task;
	uint32_t size = le32_to_cpu(srb->data_size);

	if (!srb->cdb_size || srb->cdb_size > VSTOR_SRB_CDB_SIZE)
		return refuse_field(no, offsetof(struct vstor_srb, cdb_size),
				    srb->cdb_size, "storvsp.srb.cdb");
	if (srb->data_in > VSTOR_DATA_NONE)
		return refuse_field(no, offsetof(struct vstor_srb, data_in),
				    srb->data_in, "storvsp.srb.data-in");
	if (size > storvsp->max_transfer)
		return refuse_field(no, offsetof(struct vstor_srb, data_size),
				    size, "storvsp.srb.size");
	if (size && srb->data_in == VSTOR_DATA_NONE)
		return refuse_field(no, offsetof(struct vstor_srb, data_size),
				    size, "storvsp.srb.no-data");
	task->memory = storvsp->memory;
	task->target = srb->path || srb->target ? NULL : &ch->target;
	task->nexus = task->target && srb->lun < SCSI_MAX_LUNS ?
			      task->target->nexus[srb->lun] : NULL;
	if (task->nexus && atomic_load_explicit(&task->nexus->lun->lost,
						memory_order_relaxed))
		task->nexus = NULL;
	take_cdb(task, srb);
	_Static_assert((int)VSTOR_DATA_WRITE == (int)SCSI_DATA_OUT &&
		       (int)VSTOR_DATA_READ == (int)SCSI_DATA_IN &&
		       (int)VSTOR_DATA_NONE == (int)SCSI_DATA_NONE,
		       "directions");
	task->direction = srb->data_in;
	task->length = size;
	task->nr_ranges = 0;
	task->done = task_done;
	return !size || take_ranges(task, packet, no);
}

void storvsp_execute_srb(struct storvsp_request *req,
			 const struct ring_packet *packet)
{
	struct storvsp_channel *ch = req->channel;
	struct refusal no = { 0 };

	ch->count.srbs++;
	req->taken = __builtin_ia32_rdtsc();
	if (packet->payload_size <
	    sizeof(struct vstor_header) + VSTOR_SRB_MIN_SIZE) {
		storvsp_record(ch, VSTOR_EXECUTE_SRB, 0, packet->payload_size,
		       "storvsp.packet.srb");
		storvsp_complete(req, VSTOR_STATUS_INVALID_PARAMETER);
		return;
	}
	if (!take_srb(req, packet, &no)) {
		storvsp_record(ch, VSTOR_EXECUTE_SRB, no.offset, no.value,
			       no.rule);
		complete_srb(req, VSTOR_SRB_INVALID_REQUEST, SCSI_GOOD, 0);
		return;
	}
	if (!req->task.nexus)
		scsi_execute(&req->task);
	else if (!storvsp_start(ch, req))
		complete_srb(req, VSTOR_SRB_ERROR | VSTOR_SRB_AUTOSENSE_VALID,
			     SCSI_TASK_SET_FULL, 0);
}
