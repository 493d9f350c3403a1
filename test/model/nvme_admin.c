// SPDX-License-Identifier: MIT
/*
 * NVMe admin commands: queues, features, asynchronous events, and the way to
 * the data structures of nvme_identify.c.
 *
 * Features are words in a table; a Set Features is checked against the bits
 * that may change. Nothing is saved across a reset.
 *
 * Asynchronous events: up to NVME_MAX_EVENTS requests wait. Of each kind one
 * event can be kept for the next request; after one was told, its kind stays
 * quiet until the host has read the log that belongs to it (base 5.2).
 *
 * The controller's thread only.
 */
#include <string.h>

#include "nvme_controller.h"

struct feature {
	uint32_t writable; /* bits of dword 11 */
	uint32_t reset;
	bool exists;
};

static const struct feature features[NVME_NR_FEATURES] = {
	[NVME_FEATURE_ARBITRATION] = { 0xffffff07, 0x7, true },
	[NVME_FEATURE_POWER] = { 0xe0, 0, true }, /* power state 0 only */
	/* Composite temperature, over: 70 degrees Celsius. */
	[NVME_FEATURE_TEMPERATURE] = { 0xffff, 343, true },
	[NVME_FEATURE_ERROR_RECOVERY] = { 0x1ffff, 0, true },
	[NVME_FEATURE_WRITE_CACHE] = { 0x1, 1, true },
	[NVME_FEATURE_QUEUES] = { 0xffffffff, 0, true },
	[NVME_FEATURE_COALESCING] = { 0xffff, 0, true },
	[NVME_FEATURE_VECTOR] = { 0x1ffff, 0, true },
	[NVME_FEATURE_ATOMICITY] = { 0x1, 0, true },
	[NVME_FEATURE_ASYNC_EVENTS] = { 0xffff, 0, true },
};

void nvme_admin_reset(struct nvme_controller *c)
{
	for (unsigned int i = 0; i < NVME_NR_FEATURES; i++)
		c->feature[i] = features[i].reset;
	c->nr_event_cids = 0;
	memset(c->event, 0, sizeof(c->event));
	memset(c->host_id, 0, sizeof(c->host_id));
	c->changed_ns = 0;
}

/* ---- asynchronous events ---- */

static const struct {
	uint32_t type, log;
	uint32_t asked_by; /* bits of feature 0Bh; 0: always */
} events[NVME_EVENTS] = {
	[NVME_EVENTS_ERROR] = { NVME_EVENT_ERROR, NVME_LOG_ERRORS, 0 },
	[NVME_EVENTS_NAMESPACES] = { NVME_EVENT_NOTICE, NVME_LOG_NAMESPACES,
				     NVME_OAES_NAMESPACES },
};

void nvme_event(struct nvme_controller *c, enum nvme_event_kind kind,
		uint32_t info)
{
	if (c->event[kind].waits || c->event[kind].told)
		return;
	if (events[kind].asked_by &&
	    !(c->feature[NVME_FEATURE_ASYNC_EVENTS] & events[kind].asked_by))
		return;
	c->event[kind].dw0 = events[kind].type |
			     info << NVME_EVENT_INFO_SHIFT |
			     events[kind].log << NVME_EVENT_LOG_SHIFT;
	c->event[kind].waits = true;
}

void nvme_events(struct nvme_controller *c)
{
	for (unsigned int i = 0; i < NVME_EVENTS; i++) {
		if (!c->event[i].waits || !c->nr_event_cids ||
		    nvme_cq_full(&c->cq[0]))
			continue;
		c->event[i].waits = false;
		c->event[i].told = true;
		if (nvme_fault_event(c))
			continue;
		nvme_complete(c, 0, c->event_cid[--c->nr_event_cids],
			      NVME_SUCCESS, c->event[i].dw0);
	}
	if (c->fault.storm)
		nvme_fault_storm(c);
}

/* The host has read a log: news of it may be told again. */
static void log_was_read(struct nvme_controller *c, uint8_t log)
{
	for (unsigned int i = 0; i < NVME_EVENTS; i++)
		if (events[i].log == log)
			c->event[i].told = false;
	if (log == NVME_LOG_NAMESPACES)
		c->changed_ns = 0;
}

/* False: it waits. */
static bool async_event(struct nvme_controller *c,
			const struct nvme_command *cmd, uint16_t *status)
{
	if (c->nr_event_cids == NVME_MAX_EVENTS) {
		*status = NVME_FAIL(NVME_ASYNC_EVENT_LIMIT);
		return true;
	}
	c->event_cid[c->nr_event_cids++] = le16_to_cpu(cmd->cid);
	return false;
}

/* ---- features ---- */

/* Both counts, minus 1, in the two halves of the word. */
static uint32_t queue_counts(const struct nvme_controller *c)
{
	return (c->config.io_queues - 1) * 0x10001u;
}

static uint16_t set_queue_count(struct nvme_controller *c, uint32_t value,
				uint32_t *dw0)
{
	if ((value & 0xffff) == 0xffff || value >> 16 == 0xffff)
		return NVME_FAIL(NVME_INVALID_FIELD);
	for (unsigned int i = 1; i < NVME_QUEUES; i++)
		if (c->cq[i].entries)
			return NVME_FAIL(NVME_COMMAND_SEQUENCE);
	/* What we have, no matter what was asked for. */
	*dw0 = queue_counts(c);
	return NVME_SUCCESS;
}

static const struct feature *find_feature(const struct nvme_command *cmd,
					  unsigned int *id)
{
	*id = le32_to_cpu(cmd->cdw10) & 0xff;
	if (*id >= NVME_NR_FEATURES || !features[*id].exists)
		return NULL;
	return &features[*id];
}

/* 128 bits only: what CTRATT promises, and Report needs. */
static uint16_t host_id(struct nvme_controller *c,
			const struct nvme_command *cmd, bool set)
{
	uint16_t status;

	if (!(le32_to_cpu(cmd->cdw11) & NVME_HOST_ID_EXTENDED))
		return NVME_FAIL(NVME_INVALID_FIELD);
	status = nvme_data_map(c, cmd, sizeof(c->host_id), NVME_DATA_ADMIN);
	if (status)
		return status;
	if (set)
		nvme_data_from_host(c, c->host_id);
	else
		nvme_data_to_host(c, c->host_id);
	return NVME_SUCCESS;
}

/* Does a reservation survive a loss of power? Of one namespace or of all. */
static uint16_t persistence(struct nvme_controller *c,
			    const struct nvme_command *cmd, bool set,
			    uint32_t *dw0)
{
	uint32_t value = le32_to_cpu(cmd->cdw11);
	uint32_t nsid = le32_to_cpu(cmd->nsid);
	bool all = set && nsid == NVME_NSID_ALL;

	if (!all && !nvme_namespace(c, nsid))
		return nvme_namespace_missing(nsid);
	if (set && value > 1)
		return NVME_FAIL(NVME_INVALID_FIELD);
	for (uint32_t i = 1; i <= NVME_MAX_NAMESPACES; i++) {
		struct nvme_namespace *ns = nvme_namespace(c, i);
		struct reservation *r;

		if (!ns || (!all && i != nsid))
			continue;
		r = medium_reservation(ns->config.medium);
		if (set)
			reservation_persist(r, value);
		else
			*dw0 = r->persists;
	}
	return NVME_SUCCESS;
}

static uint16_t set_features(struct nvme_controller *c,
			     const struct nvme_command *cmd, uint32_t *dw0)
{
	uint32_t value = le32_to_cpu(cmd->cdw11);
	unsigned int id;
	const struct feature *f = find_feature(cmd, &id);

	if (le32_to_cpu(cmd->cdw10) & NVME_FEATURE_SAVE)
		return NVME_FAIL(f ? NVME_FEATURE_NOT_SAVEABLE :
				     NVME_INVALID_FIELD);
	if (id == NVME_FEATURE_HOST_ID)
		return host_id(c, cmd, true);
	if (id == NVME_FEATURE_RESERVATION_PERSIST)
		return persistence(c, cmd, true, dw0);
	if (!f)
		return NVME_FAIL(NVME_INVALID_FIELD);
	if (value & ~f->writable)
		return NVME_FAIL(NVME_INVALID_FIELD);
	if (id == NVME_FEATURE_QUEUES)
		return set_queue_count(c, value, dw0);
	if (id == NVME_FEATURE_VECTOR &&
	    (value & NVME_FEATURE_VECTOR_MASK) >= c->function.vectors)
		return NVME_FAIL(NVME_INVALID_FIELD);
	c->feature[id] = value;
	return NVME_SUCCESS;
}

static uint16_t get_features(struct nvme_controller *c,
			     const struct nvme_command *cmd, uint32_t *dw0)
{
	uint32_t select = le32_to_cpu(cmd->cdw10) >> NVME_FEATURE_SELECT_SHIFT &
			  NVME_FEATURE_SELECT_MASK;
	uint32_t argument = le32_to_cpu(cmd->cdw11);
	unsigned int id;
	const struct feature *f = find_feature(cmd, &id);

	if (!select && id == NVME_FEATURE_HOST_ID)
		return host_id(c, cmd, false);
	if (!select && id == NVME_FEATURE_RESERVATION_PERSIST)
		return persistence(c, cmd, false, dw0);
	if (!f || select > NVME_FEATURE_SELECT_SUPPORTED)
		return NVME_FAIL(NVME_INVALID_FIELD);
	if (select == NVME_FEATURE_SELECT_SUPPORTED) {
		*dw0 = NVME_FEATURE_CHANGEABLE;
		return NVME_SUCCESS;
	}
	*dw0 = select ? f->reset : c->feature[id];
	switch (id) {
	case NVME_FEATURE_QUEUES:
		*dw0 = queue_counts(c);
		break;
	case NVME_FEATURE_VECTOR:
		argument &= NVME_FEATURE_VECTOR_MASK;
		if (argument >= c->function.vectors)
			return NVME_FAIL(NVME_INVALID_FIELD);
		*dw0 = argument;
		break;
	case NVME_FEATURE_TEMPERATURE:
		/* Other sensors, and the threshold below, do not exist. */
		if (argument >> 16)
			return NVME_FAIL(NVME_INVALID_FIELD);
		break;
	}
	return NVME_SUCCESS;
}

/* ---- data structures ---- */

static uint16_t identify(struct nvme_controller *c,
			 const struct nvme_command *cmd)
{
	uint8_t page[NVME_IDENTIFY_SIZE] = { 0 };
	uint16_t status = nvme_identify(c, cmd, page);

	if (!status)
		status = nvme_data_map(c, cmd, sizeof(page), NVME_DATA_ADMIN);
	if (!status)
		nvme_data_to_host(c, page);
	return status;
}

static uint16_t get_log_page(struct nvme_controller *c,
			     const struct nvme_command *cmd)
{
	uint8_t page[NVME_IDENTIFY_SIZE] = { 0 };
	uint32_t cdw10 = le32_to_cpu(cmd->cdw10), size = 0;
	uint64_t len = ((uint64_t)(le32_to_cpu(cmd->cdw11) & 0xffff) << 16 |
			cdw10 >> 16) * 4 + 4;
	uint64_t offset = (uint64_t)le32_to_cpu(cmd->cdw13) << 32 |
			  le32_to_cpu(cmd->cdw12);
	uint16_t status = nvme_log(c, (uint8_t)cdw10, page, &size);

	if (status)
		return status;
	if (offset % 4 || offset > size)
		return NVME_FAIL(NVME_INVALID_FIELD);
	/* Behind the end of a log nothing is defined, so nothing is given. */
	if (len > size - offset)
		len = size - offset;
	if (len)
		status = nvme_data_map(c, cmd, (uint32_t)len, NVME_DATA_ADMIN);
	if (status)
		return status;
	if (len)
		nvme_data_to_host(c, page + offset);
	if (!(cdw10 & NVME_LOG_RAE))
		log_was_read(c, (uint8_t)cdw10);
	return NVME_SUCCESS;
}

bool nvme_admin(struct nvme_controller *c, const struct nvme_command *cmd,
		uint16_t *status, uint32_t *dw0)
{
	if (cmd->flags & NVME_FUSE_MASK) {
		*status = NVME_FAIL(NVME_INVALID_FIELD);
		return true;
	}
	switch (cmd->opcode) {
	case NVME_ADMIN_DELETE_SQ:
		*status = nvme_delete_sq(c, cmd);
		break;
	case NVME_ADMIN_CREATE_SQ:
		*status = nvme_create_sq(c, cmd);
		break;
	case NVME_ADMIN_GET_LOG_PAGE:
		*status = get_log_page(c, cmd);
		break;
	case NVME_ADMIN_DELETE_CQ:
		*status = nvme_delete_cq(c, cmd);
		break;
	case NVME_ADMIN_CREATE_CQ:
		*status = nvme_create_cq(c, cmd);
		break;
	case NVME_ADMIN_IDENTIFY:
		*status = identify(c, cmd);
		break;
	case NVME_ADMIN_ABORT:
		/* Whatever it means is done, or an event: not aborted. */
		*status = NVME_SUCCESS;
		*dw0 = 1;
		break;
	case NVME_ADMIN_SET_FEATURES:
		*status = set_features(c, cmd, dw0);
		break;
	case NVME_ADMIN_GET_FEATURES:
		*status = get_features(c, cmd, dw0);
		break;
	case NVME_ADMIN_ASYNC_EVENT:
		return async_event(c, cmd, status);
	default:
		*status = NVME_FAIL(NVME_INVALID_OPCODE);
	}
	return true;
}
