// SPDX-License-Identifier: MIT
/*
 * Reservation commands of the NVMe model (base 7.2, 7.3, 7.5, 7.6): from and
 * to the table of the medium (reservation.c).
 *
 * A host is the Host Identifier that it set (feature 81h): all controllers
 * with the same one are one registrant. Without one it can not register, and
 * what others have reserved shuts it out. Commands execute one by one, so
 * that "preempt and abort" finds none to abort.
 *
 * The controller's thread only.
 */
#include <string.h>

#include "nvme_controller.h"

#define REPORT_MAX (sizeof(struct nvme_reservation_status) + \
		    RESERVATION_MAX_HOSTS * sizeof(struct nvme_registrant))

uint16_t nvme_reserved(struct nvme_controller *c, struct nvme_namespace *ns,
		       uint8_t opcode)
{
	bool write;

	switch (opcode) {
	case NVME_READ:
	case NVME_COMPARE:
	case NVME_VERIFY:
		write = false;
		break;
	case NVME_WRITE:
	case NVME_WRITE_ZEROES:
	case NVME_DSM:
	case NVME_FLUSH:
		write = true;
		break;
	default: /* reservations see for themselves */
		return NVME_SUCCESS;
	}
	if (reservation_allows(medium_reservation(ns->config.medium),
			       c->host_id, write))
		return NVME_SUCCESS;
	return NVME_FAIL(NVME_RESERVATION_CONFLICT);
}

/* Dword 10, and the keys that the host sent (`size`: of them). */
struct order {
	struct reservation *r;
	unsigned int action;
	bool ignore_key;
	uint8_t type, persist;
	uint64_t key, other;
};

static uint16_t take_order(struct nvme_controller *c,
			   struct nvme_namespace *ns,
			   const struct nvme_command *cmd, uint32_t size,
			   struct order *o)
{
	static const uint8_t nobody[16];
	struct nvme_reservation_keys keys = { 0 };
	uint32_t cdw10 = le32_to_cpu(cmd->cdw10);
	uint16_t status;

	NVME_COUNT(c, reservations, 1);
	if (!memcmp(c->host_id, nobody, sizeof(nobody)))
		return NVME_FAIL(NVME_INVALID_FIELD);
	status = nvme_data_map(c, cmd, size, NVME_DATA_LIST);
	if (status)
		return status;
	nvme_data_from_host(c, &keys);
	*o = (struct order){
		.r = medium_reservation(ns->config.medium),
		.action = cdw10 & NVME_RESERVATION_ACTION_MASK,
		.ignore_key = cdw10 & NVME_RESERVATION_IGNORE_KEY,
		.type = (uint8_t)(cdw10 >> NVME_RESERVATION_TYPE_SHIFT),
		.persist = cdw10 >> NVME_RESERVATION_PERSIST_SHIFT,
		.key = le64_to_cpu(keys.key),
		.other = le64_to_cpu(keys.other),
	};
	return NVME_SUCCESS;
}

static uint16_t execute_register(struct nvme_controller *c,
				 const struct order *o)
{
	struct reservation_host host = { .key = o->other, .controller = 1 };

	memcpy(host.id, c->host_id, sizeof(host.id));
	switch (o->action) {
	case NVME_REGISTER_KEY:
		return reservation_register(o->r, &host, o->ignore_key);
	case NVME_UNREGISTER_KEY:
		return reservation_unregister(o->r, host.id, o->key,
					      o->ignore_key);
	case NVME_REPLACE_KEY:
		return reservation_replace(o->r, &host, o->key,
					   o->ignore_key);
	}
	return NVME_FAIL(NVME_INVALID_FIELD);
}

uint16_t nvme_reservation_register(struct nvme_controller *c,
				   struct nvme_namespace *ns,
				   const struct nvme_command *cmd)
{
	struct order o;
	uint16_t status = take_order(c, ns, cmd,
				     sizeof(struct nvme_reservation_keys), &o);

	if (!status && o.persist == 1) /* reserved */
		status = NVME_FAIL(NVME_INVALID_FIELD);
	if (!status)
		status = execute_register(c, &o);
	if (!status && o.persist != NVME_PERSIST_NO_CHANGE)
		reservation_persist(o.r, o.persist == NVME_PERSIST_SET);
	return status;
}

uint16_t nvme_reservation_acquire(struct nvme_controller *c,
				  struct nvme_namespace *ns,
				  const struct nvme_command *cmd)
{
	struct order o;
	uint16_t status = take_order(c, ns, cmd,
				     sizeof(struct nvme_reservation_keys), &o);

	if (status)
		return status;
	/* Since 1.3 nobody's key is ignored here (RESCAP bit 7). */
	if (o.ignore_key)
		return NVME_FAIL(NVME_INVALID_FIELD);
	switch (o.action) {
	case NVME_ACQUIRE:
		return reservation_acquire(o.r, c->host_id, o.key, o.type);
	case NVME_PREEMPT:
	case NVME_PREEMPT_AND_ABORT:
		return reservation_preempt(o.r, c->host_id, o.key, o.type,
					   o.other);
	}
	return NVME_FAIL(NVME_INVALID_FIELD);
}

uint16_t nvme_reservation_release(struct nvme_controller *c,
				  struct nvme_namespace *ns,
				  const struct nvme_command *cmd)
{
	struct order o;
	uint16_t status = take_order(c, ns, cmd, sizeof(le64), &o);

	if (status)
		return status;
	if (o.ignore_key)
		return NVME_FAIL(NVME_INVALID_FIELD);
	switch (o.action) {
	case NVME_RELEASE:
		return reservation_release(o.r, c->host_id, o.key, o.type);
	case NVME_CLEAR:
		return reservation_clear(o.r, c->host_id, o.key);
	}
	return NVME_FAIL(NVME_INVALID_FIELD);
}

static void fill_report(struct nvme_namespace *ns, uint8_t *report)
{
	struct nvme_reservation_status head = { 0 };
	struct reservation now;

	reservation_snapshot(medium_reservation(ns->config.medium), &now);
	head.generation = cpu_to_le32(now.generation);
	head.type = now.type;
	head.registrants[0] = (uint8_t)now.nr_hosts;
	head.persists = now.persists;
	memcpy(report, &head, sizeof(head));
	for (unsigned int i = 0; i < now.nr_hosts; i++) {
		struct nvme_registrant one = {
			.controller = cpu_to_le16(now.host[i].controller),
			.status = now.host[i].holder ? NVME_REGISTRANT_HOLDS :
						       0,
			.key = cpu_to_le64(now.host[i].key),
		};

		memcpy(one.host, now.host[i].id, sizeof(one.host));
		memcpy(report + sizeof(head) + i * sizeof(one), &one,
		       sizeof(one));
	}
}

uint16_t nvme_reservation_report(struct nvme_controller *c,
				 struct nvme_namespace *ns,
				 const struct nvme_command *cmd)
{
	uint8_t report[REPORT_MAX] = { 0 };
	uint64_t len = (le32_to_cpu(cmd->cdw10) + 1ull) * 4;
	uint16_t status;

	NVME_COUNT(c, reservations, 1);
	/* Identifiers are always as long as this form has room for. */
	if (!(le32_to_cpu(cmd->cdw11) & NVME_RESERVATION_EXTENDED))
		return NVME_FAIL(NVME_HOST_ID_FORMAT);
	/* Behind the end of a report nothing is given. */
	if (len > sizeof(report))
		len = sizeof(report);
	status = nvme_data_map(c, cmd, (uint32_t)len, NVME_DATA_LIST);
	if (status)
		return status;
	fill_report(ns, report);
	nvme_data_to_host(c, report);
	return NVME_SUCCESS;
}
