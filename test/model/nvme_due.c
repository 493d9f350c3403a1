// SPDX-License-Identifier: MIT
/*
 * What the NVMe model does later, theory of operation
 *
 * Owns a list of dues, in no order: there are few. The controller's thread
 * meets those whose time has come in each of its turns, and waits for work no
 * longer than until the first. An answer whose completion queue is full is due
 * a millisecond later. A reset of the controller forgets them, but for the end
 * of a time off the bus.
 *
 * The controller's thread only.
 */
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "nvme_controller.h"

#define MS 1000000ull

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 * MS + (uint64_t)t.tv_nsec;
}

struct nvme_due *nvme_due_add(struct nvme_controller *c,
			      enum nvme_due_kind kind, uint32_t delay_ms)
{
	struct nvme_due *due;

	if (c->fault.nr_due == NVME_MAX_DUE)
		return NULL;
	due = &c->fault.due[c->fault.nr_due++];
	*due = (struct nvme_due){ .kind = kind, .at = now() + delay_ms * MS };
	return due;
}

void nvme_due_answer(struct nvme_controller *c, unsigned int id,
		     const struct nvme_answer *answer, uint32_t delay_ms)
{
	struct nvme_due *due = nvme_due_add(c, NVME_DUE_ANSWER, delay_ms);

	if (!due)
		return;
	due->queue = id;
	due->answer = *answer;
}

uint64_t nvme_due_next(const struct nvme_controller *c)
{
	uint64_t next = 0;

	for (unsigned int i = 0; i < c->fault.nr_due; i++)
		if (!next || c->fault.due[i].at < next)
			next = c->fault.due[i].at;
	return next;
}

bool nvme_due_is_now(const struct nvme_controller *c)
{
	uint64_t next = nvme_due_next(c);

	return next && next <= now();
}

/* False: not yet, its completion queue is full. */
static bool meet_due(struct nvme_controller *c, struct nvme_due *due)
{
	const struct nvme_sq *sq = &c->sq[due->queue];
	struct nvme_answer answer;

	switch (due->kind) {
	case NVME_DUE_ANSWER:
	case NVME_DUE_COMMAND:
		if (!sq->entries)
			return true;
		if (nvme_cq_full(&c->cq[sq->cq]))
			return false;
		answer = due->answer;
		if (due->kind == NVME_DUE_ANSWER ||
		    nvme_execute(c, due->queue, &due->cmd, &answer))
			nvme_post(c, due->queue, &answer);
		break;
	case NVME_DUE_EFFECT:
		nvme_execute(c, due->queue, &due->cmd, &answer);
		break;
	case NVME_DUE_REST:
		memcpy(due->entry, &due->completion,
		       offsetof(struct nvme_completion, status));
		break;
	case NVME_DUE_READY:
		nvme_set_csts(c, 0, NVME_CSTS_RDY);
		break;
	case NVME_DUE_ALIVE:
		if (c->fault.unpowered)
			nvme_power_up(c);
		c->fault.unpowered = false;
		atomic_store(&c->fault.dead, false);
		break;
	}
	return true;
}

void nvme_due_meet(struct nvme_controller *c)
{
	uint64_t until = now();

	for (unsigned int i = 0; i < c->fault.nr_due;) {
		struct nvme_due due = c->fault.due[i];

		if (due.at > until) {
			i++;
			continue;
		}
		memmove(&c->fault.due[i], &c->fault.due[i + 1],
			(--c->fault.nr_due - i) * sizeof(due));
		if (!meet_due(c, &due)) {
			due.at = until + MS;
			c->fault.due[c->fault.nr_due++] = due;
			i = 0;
		}
	}
}

void nvme_due_rest(struct nvme_controller *c, struct nvme_completion *entry,
		     const struct nvme_completion *whole, uint32_t delay_ms)
{
	struct nvme_due *due = nvme_due_add(c, NVME_DUE_REST, delay_ms);

	if (!due)
		return;
	due->entry = entry;
	due->completion = *whole;
}

void nvme_due_forget(struct nvme_controller *c, bool bus)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < c->fault.nr_due; i++)
		if ((c->fault.due[i].kind == NVME_DUE_ALIVE) != bus)
			c->fault.due[kept++] = c->fault.due[i];
	c->fault.nr_due = kept;
}
