// SPDX-License-Identifier: MIT
/*
 * NVMe queues: creating and deleting them, fetching commands, posting
 * completions (base 3.3, 5.4 to 5.7).
 *
 * A queue is resolved to host memory once, when it is created; queues are
 * physically contiguous (CAP.CQR). Queue 0 is the admin pair.
 *
 * A command is fetched only while its completion queue has room for one more:
 * that holds a host back which does not take its completions, and it means
 * that nvme_complete() always finds room. Asynchronous events wait for room
 * on their own (nvme_admin.c).
 *
 * The controller's thread only.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "nvme_controller.h"

void nvme_queues_reset(struct nvme_controller *c)
{
	memset(c->sq, 0, sizeof(c->sq));
	memset(c->cq, 0, sizeof(c->cq));
	for (unsigned int i = 0; i < NVME_QUEUES; i++) {
		atomic_store(&c->sq_bell[i].written, false);
		atomic_store(&c->cq_bell[i].written, false);
	}
}

/* Host memory of a queue, or NULL. */
static void *queue_memory(struct nvme_controller *c, uint64_t base,
			  uint32_t size, size_t entry)
{
	if (base % NVME_PAGE)
		return NULL;
	return nvme_dma(c, base, size * entry);
}

int nvme_queues_enable(struct nvme_controller *c, uint32_t aqa, uint64_t asq,
		       uint64_t acq)
{
	uint32_t sq_size = (aqa & NVME_AQA_SIZE_MASK) + 1;
	uint32_t cq_size = (aqa >> NVME_AQA_ACQS_SHIFT & NVME_AQA_SIZE_MASK) +
			   1;

	nvme_queues_reset(c);
	if (sq_size < 2 || cq_size < 2)
		return -EINVAL;
	c->sq[0] = (struct nvme_sq){
		.entries = queue_memory(c, asq, sq_size,
					sizeof(struct nvme_command)),
		.size = sq_size,
	};
	c->cq[0] = (struct nvme_cq){
		.entries = queue_memory(c, acq, cq_size,
					sizeof(struct nvme_completion)),
		.size = cq_size,
		.interrupts = true,
		.phase = 1,
		.users = 1,
	};
	if (c->sq[0].entries && c->cq[0].entries)
		return 0;
	nvme_queues_reset(c);
	return -EFAULT;
}

/* ---- doorbells ---- */

static void take_bell(struct nvme_controller *c, struct nvme_doorbell *bell,
		      bool exists, uint32_t size, uint32_t *index)
{
	uint32_t value;

	if (!atomic_exchange(&bell->written, false))
		return;
	value = atomic_load(&bell->value);
	if (exists && value < size) {
		*index = value;
		return;
	}
	NVME_COUNT(c, errors, 1);
	nvme_event(c, NVME_EVENTS_ERROR,
		   exists ? NVME_EVENT_INVALID_DOORBELL_VALUE :
			    NVME_EVENT_INVALID_DOORBELL);
}

void nvme_queues_bells(struct nvme_controller *c)
{
	/* Disabled: nobody is listening (base 3.1.3.24). */
	if (!c->sq[0].entries)
		return;
	for (unsigned int i = 0; i < NVME_QUEUES; i++) {
		take_bell(c, &c->cq_bell[i], c->cq[i].entries, c->cq[i].size,
			  &c->cq[i].head);
		take_bell(c, &c->sq_bell[i], c->sq[i].entries, c->sq[i].size,
			  &c->sq[i].tail);
	}
	nvme_events(c);
}

/* ---- fetching ---- */

bool nvme_cq_full(const struct nvme_cq *cq)
{
	return (cq->tail + 1) % cq->size == cq->head;
}

bool nvme_execute(struct nvme_controller *c, unsigned int sq,
		  const struct nvme_command *cmd, struct nvme_answer *answer)
{
	if (sq) {
		answer->status = nvme_io(c, cmd);
		return true;
	}
	NVME_COUNT(c, admin, 1);
	return nvme_admin(c, cmd, &answer->status, &answer->dw0);
}

static void serve_one(struct nvme_controller *c, unsigned int id)
{
	struct nvme_sq *sq = &c->sq[id];
	struct nvme_command cmd = sq->entries[sq->head];
	struct nvme_answer answer = { .cid = le16_to_cpu(cmd.cid) };

	sq->head = (sq->head + 1) % sq->size;
	if (nvme_fault_serve(c, id, &cmd) ||
	    !nvme_execute(c, id, &cmd, &answer))
		return;
	if (answer.status)
		NVME_COUNT(c, errors, 1);
	nvme_post(c, id, &answer);
}

bool nvme_queues_serve(struct nvme_controller *c)
{
	bool served = false;

	if (c->fault.halted || atomic_load(&c->fault.dead))
		return false;
	for (unsigned int i = 0; i < NVME_QUEUES; i++) {
		struct nvme_sq *sq = &c->sq[i];

		if (!sq->entries || sq->head == sq->tail ||
		    nvme_cq_full(&c->cq[sq->cq]))
			continue;
		serve_one(c, i);
		served = true;
	}
	return served;
}

/* ---- completing ---- */

void nvme_post(struct nvme_controller *c, unsigned int sq,
	       const struct nvme_answer *answer)
{
	struct nvme_cq *cq = &c->cq[c->sq[sq].cq];
	struct nvme_completion *entry = &cq->entries[cq->tail];
	void *last = (uint8_t *)entry +
		     offsetof(struct nvme_completion, status);
	const struct nvme_completion whole = {
		.dw0 = cpu_to_le32(answer->dw0),
		.sq_head = cpu_to_le16((uint16_t)(c->sq[sq].head +
						  answer->head_off)),
		.sq_id = cpu_to_le16((uint16_t)(sq + answer->sq_off)),
		.cid = cpu_to_le16(answer->cid),
	};

	if (answer->torn_ms)
		nvme_due_rest(c, entry, &whole, answer->torn_ms);
	else
		memcpy(entry, &whole, offsetof(struct nvme_completion, status));
	/* The phase bit makes the entry valid: after all the rest. */
	atomic_store_explicit((_Atomic uint16_t *)last,
			      (uint16_t)(answer->status << 1 |
					 (cq->phase ^ answer->bad_phase)),
			      memory_order_release);
	if (++cq->tail == cq->size) {
		cq->tail = 0;
		cq->phase ^= 1;
	}
	if (!cq->interrupts || answer->no_interrupt)
		return;
	NVME_COUNT(c, interrupts, 1);
	msix_raise(&c->msix, &c->function.host,
		   (cq->vector + answer->next_vector) % c->function.vectors);
}

void nvme_complete(struct nvme_controller *c, unsigned int sq, uint16_t cid,
		   uint16_t status, uint32_t dw0)
{
	const struct nvme_answer answer = { .cid = cid, .status = status,
					    .dw0 = dw0 };

	nvme_post(c, sq, &answer);
}

/* ---- creating and deleting ---- */

/* Queue id and size, checked; `taken` tells whether the id is in use. */
static uint16_t check_create(struct nvme_controller *c,
			     const struct nvme_command *cmd, bool taken,
			     uint32_t *size)
{
	uint32_t cdw10 = le32_to_cpu(cmd->cdw10);
	uint16_t id = (uint16_t)cdw10;

	*size = (cdw10 >> NVME_QUEUE_SIZE_SHIFT) + 1;
	if (!id || id > c->config.io_queues || taken)
		return NVME_FAIL(NVME_INVALID_QUEUE_ID);
	if (*size < 2 || *size > NVME_MAX_ENTRIES)
		return NVME_FAIL(NVME_INVALID_QUEUE_SIZE);
	if (!(le32_to_cpu(cmd->cdw11) & NVME_QUEUE_CONTIGUOUS))
		return NVME_FAIL(NVME_INVALID_FIELD);
	if (le64_to_cpu(cmd->prp1) % NVME_PAGE)
		return NVME_FAIL(NVME_PRP_OFFSET_INVALID);
	return NVME_SUCCESS;
}

/* An id in dword 10 as an index into our arrays; 0 if it is beyond. */
static unsigned int queue_id(const struct nvme_command *cmd)
{
	uint16_t id = (uint16_t)le32_to_cpu(cmd->cdw10);

	return id < NVME_QUEUES ? id : 0;
}

static unsigned int entry_shift(const struct nvme_controller *c,
				unsigned int shift)
{
	return c->cc_done >> shift & NVME_CC_ENTRY_SIZE_MASK;
}

uint16_t nvme_create_cq(struct nvme_controller *c,
			const struct nvme_command *cmd)
{
	unsigned int id = queue_id(cmd);
	uint32_t cdw11 = le32_to_cpu(cmd->cdw11), size;
	uint16_t vector = cdw11 >> NVME_QUEUE_HIGH_SHIFT;
	uint16_t status = check_create(c, cmd, c->cq[id].entries, &size);
	void *memory;

	if (status)
		return status;
	if (entry_shift(c, NVME_CC_IOCQES_SHIFT) != 4)
		return NVME_FAIL(NVME_INVALID_QUEUE_SIZE);
	if (vector >= c->function.vectors)
		return NVME_FAIL(NVME_INVALID_VECTOR);
	memory = queue_memory(c, le64_to_cpu(cmd->prp1), size,
			      sizeof(struct nvme_completion));
	if (!memory)
		return NVME_FAIL(NVME_DATA_TRANSFER_ERROR);
	c->cq[id] = (struct nvme_cq){
		.entries = memory,
		.size = size,
		.vector = vector,
		.interrupts = cdw11 & NVME_QUEUE_INTERRUPTS,
		.phase = 1,
	};
	return NVME_SUCCESS;
}

uint16_t nvme_create_sq(struct nvme_controller *c,
			const struct nvme_command *cmd)
{
	unsigned int id = queue_id(cmd);
	uint16_t cq = le32_to_cpu(cmd->cdw11) >> NVME_QUEUE_HIGH_SHIFT;
	uint32_t size;
	uint16_t status = check_create(c, cmd, c->sq[id].entries, &size);
	void *memory;

	if (status)
		return status;
	if (entry_shift(c, NVME_CC_IOSQES_SHIFT) != 6)
		return NVME_FAIL(NVME_INVALID_QUEUE_SIZE);
	if (!cq || cq >= NVME_QUEUES || !c->cq[cq].entries)
		return NVME_FAIL(NVME_COMPLETION_QUEUE_INVALID);
	memory = queue_memory(c, le64_to_cpu(cmd->prp1), size,
			      sizeof(struct nvme_command));
	if (!memory)
		return NVME_FAIL(NVME_DATA_TRANSFER_ERROR);
	c->cq[cq].users++;
	c->sq[id] = (struct nvme_sq){
		.entries = memory,
		.size = size,
		.cq = cq,
	};
	return NVME_SUCCESS;
}

uint16_t nvme_delete_cq(struct nvme_controller *c,
			const struct nvme_command *cmd)
{
	unsigned int id = queue_id(cmd);

	if (!id || !c->cq[id].entries)
		return NVME_FAIL(NVME_INVALID_QUEUE_ID);
	if (c->cq[id].users)
		return NVME_FAIL(NVME_INVALID_QUEUE_DELETION);
	memset(&c->cq[id], 0, sizeof(c->cq[id]));
	return NVME_SUCCESS;
}

uint16_t nvme_delete_sq(struct nvme_controller *c,
			const struct nvme_command *cmd)
{
	unsigned int id = queue_id(cmd);

	if (!id || !c->sq[id].entries)
		return NVME_FAIL(NVME_INVALID_QUEUE_ID);
	c->cq[c->sq[id].cq].users--;
	memset(&c->sq[id], 0, sizeof(c->sq[id]));
	return NVME_SUCCESS;
}
