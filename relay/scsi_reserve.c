/* SPDX-License-Identifier: MIT */
/*
 * Persistent reservations, theory of operation
 *
 * PERSISTENT RESERVE IN and OUT (SPC-4, 5.13, 6.15 and 6.16) are the disk's:
 * who registered and who holds what is known there, and shared with other
 * hosts. A command becomes one request:
 *
 *	OUT	list fetched and checked -> action of the disk -> its status
 *	IN	DISK_REPORT -> its registrants, as the service action has them
 *
 * All channels of a controller are one initiator, and a disk knows us as one
 * registrant. Whoever has the reservation is enforced by the disk: it ends a
 * read or write that conflicts in DISK_CONFLICT.
 *
 * A registrant's TransportID is made of the 16 bytes that a disk names a host
 * by: there is no transport in between whose address it would have, so it is
 * written as an iSCSI name, which holds all of them. At most
 * DISK_MAX_REGISTRANTS are listed.
 *
 * Threads: the reactor of the nexus. Failure answers: SPC-4's; a disk that
 * refuses what we took for legal decides in the end.
 */
#include <string.h>

#include "scsi_command.h"

bool scsi_can_reserve(const struct scsi_lun *lun)
{
	return lun->info.reservation_types;
}

/* Types: SCSI's numbers, and the bits of REPORT CAPABILITIES that stand for
 * them (SPC-4, 6.15.4), by the disk's. */
static const struct {
	uint8_t code;
	uint16_t mask;
} types[] = {
	[DISK_WRITE_EXCLUSIVE] = { 1, 0x0200 },
	[DISK_EXCLUSIVE_ACCESS] = { 3, 0x0800 },
	[DISK_WRITE_EXCLUSIVE_REGISTRANTS] = { 5, 0x2000 },
	[DISK_EXCLUSIVE_ACCESS_REGISTRANTS] = { 6, 0x4000 },
	[DISK_WRITE_EXCLUSIVE_ALL] = { 7, 0x8000 },
	[DISK_EXCLUSIVE_ACCESS_ALL] = { 8, 0x0001 },
};
#define NR_TYPES (sizeof(types) / sizeof(types[0]))

static uint8_t type_of(const struct disk_reservation *r)
{
	return r->type < NR_TYPES ? types[r->type].code : 0;
}

static bool for_all(const struct disk_reservation *r)
{
	return r->type == DISK_WRITE_EXCLUSIVE_ALL ||
	       r->type == DISK_EXCLUSIVE_ACCESS_ALL;
}

static unsigned int nr_registrants(const struct disk_reservation *r)
{
	return r->nr_registrants < DISK_MAX_REGISTRANTS ?
		       r->nr_registrants : DISK_MAX_REGISTRANTS;
}

/* PERSISTENT RESERVE IN. */

static bool return_list(struct scsi_task *task, uint8_t *data, uint8_t *end)
{
	struct scsi_reserve_header header = { 0 };
	uint32_t size = (uint32_t)(end - data);

	scsi_put32(header.generation, task->reservation.generation);
	scsi_put32(header.size, size - (uint32_t)sizeof(header));
	memcpy(data, &header, sizeof(header));
	return scsi_return(task, data, size, scsi_get16(task->cdb + 7));
}

static bool return_keys(struct scsi_task *task)
{
	const struct disk_reservation *r = &task->reservation;
	uint8_t data[sizeof(struct scsi_reserve_header) +
		     DISK_MAX_REGISTRANTS * 8];
	uint8_t *to = data + sizeof(struct scsi_reserve_header);

	for (unsigned int i = 0; i < nr_registrants(r); i++, to += 8)
		scsi_put64(to, r->registrant[i].key);
	return return_list(task, data, to);
}

static bool return_reservation(struct scsi_task *task)
{
	const struct disk_reservation *r = &task->reservation;
	uint8_t data[sizeof(struct scsi_reserve_header) +
		     sizeof(struct scsi_reservation)];
	uint8_t *to = data + sizeof(struct scsi_reserve_header);
	struct scsi_reservation one = { .type = type_of(r) };

	if (!one.type)
		return return_list(task, data, to);
	/* All registrants hold it: no key is the holder's. */
	for (unsigned int i = 0; !for_all(r) && i < nr_registrants(r); i++)
		if (r->registrant[i].holder)
			scsi_put64(one.key, r->registrant[i].key);
	memcpy(to, &one, sizeof(one));
	return return_list(task, data, to + sizeof(one));
}

static bool return_capabilities(struct scsi_task *task)
{
	const struct disk_info *info = &task->nexus->lun->info;
	struct scsi_reserve_capabilities data = {
		.flags = info->reservation_persist ? SCSI_RESERVE_PTPL_C : 0,
		.persists = SCSI_RESERVE_TMV,
	};
	uint16_t mask = 0;

	if (task->reservation.persists)
		data.persists |= SCSI_RESERVE_PTPL_A;
	for (unsigned int i = 0; i < NR_TYPES; i++)
		if (info->reservation_types >> i & 1)
			mask |= types[i].mask;
	scsi_put16(data.types, mask);
	scsi_put16(data.size, sizeof(data));
	return scsi_return(task, &data, sizeof(data),
			   scsi_get16(task->cdb + 7));
}

static void name_host(struct scsi_transport_id *id, const uint8_t host[16])
{
	static const char digits[] = "0123456789abcdef";
	uint8_t *to = id->name;

	id->protocol = SCSI_PROTOCOL_ISCSI;
	scsi_put16(id->size, sizeof(id->name));
	memcpy(to, "naa.", 4);
	to += 4;
	for (unsigned int i = 0; i < 16; i++) {
		*to++ = (uint8_t)digits[host[i] >> 4];
		*to++ = (uint8_t)digits[host[i] & 15];
	}
}

static bool return_full_status(struct scsi_task *task)
{
	const struct disk_reservation *r = &task->reservation;
	uint8_t data[sizeof(struct scsi_reserve_header) +
		     DISK_MAX_REGISTRANTS *
			     (sizeof(struct scsi_full_status) +
			      sizeof(struct scsi_transport_id))];
	uint8_t *to = data + sizeof(struct scsi_reserve_header);

	for (unsigned int i = 0; i < nr_registrants(r); i++) {
		struct scsi_full_status one = { .port = { 0, 1 } };
		struct scsi_transport_id id = { 0 };

		scsi_put64(one.key, r->registrant[i].key);
		if (type_of(r) && (r->registrant[i].holder || for_all(r))) {
			one.flags = SCSI_FULL_STATUS_HOLDER;
			one.type = type_of(r);
		}
		scsi_put32(one.size, sizeof(id));
		name_host(&id, r->registrant[i].host);
		memcpy(to, &one, sizeof(one));
		memcpy(to + sizeof(one), &id, sizeof(id));
		to += sizeof(one) + sizeof(id);
	}
	return return_list(task, data, to);
}

static bool reported(struct scsi_task *task, enum disk_status status)
{
	if (status != DISK_OK)
		return false;
	switch (task->cdb[1] & SCSI_SERVICE_ACTION_MASK) {
	case SCSI_READ_KEYS:
		return return_keys(task);
	case SCSI_READ_RESERVATION:
		return return_reservation(task);
	case SCSI_REPORT_CAPABILITIES:
		return return_capabilities(task);
	default:
		return return_full_status(task);
	}
}

bool scsi_reserve_in(struct scsi_task *task)
{
	task->reservation = (struct disk_reservation){ .action = DISK_REPORT };
	return scsi_transfer_reservation(task, reported);
}

/* PERSISTENT RESERVE OUT. */

/* No key becomes no key: good for who is not registered (SPC-4, table 75). */
static bool nothing_registered(struct scsi_task *task, enum disk_status status)
{
	const struct disk_reservation *r = &task->reservation;

	if (status != DISK_OK)
		return false;
	for (unsigned int i = 0; i < nr_registrants(r); i++)
		if (r->registrant[i].self)
			return scsi_conflict(task);
	return scsi_good(task);
}

static bool done_out(struct scsi_task *task, enum disk_status status)
{
	const struct disk_reservation *r = &task->reservation;
	bool refused = status == DISK_INVALID || status == DISK_UNSUPPORTED;

	/* To take back a key that is not there is no mistake. */
	if (status == DISK_CONFLICT && r->action == DISK_UNREGISTER &&
	    r->ignore_key)
		return scsi_good(task);
	if (refused && r->action == DISK_RELEASE)
		return scsi_refuse(task, SCSI_ASC_INVALID_RELEASE);
	if (refused && (r->action == DISK_PREEMPT ||
			r->action == DISK_PREEMPT_AND_ABORT))
		return scsi_refuse_list(task, 8, 7);
	if (refused && r->set_persist)
		return scsi_refuse_list(task, 20, 0);
	return false;
}

/* The type of the CDB in *type; false: the result is set. */
static bool take_type(struct scsi_task *task, uint8_t *type)
{
	uint16_t offered = task->nexus->lun->info.reservation_types;
	uint8_t code = task->cdb[2] & SCSI_RESERVE_TYPE_MASK;

	if (task->cdb[2] & SCSI_RESERVE_SCOPE_MASK) {
		scsi_refuse_cdb(task, 2, 7);
		return false;
	}
	for (unsigned int i = DISK_WRITE_EXCLUSIVE; i < NR_TYPES; i++) {
		if (types[i].code == code && offered >> i & 1) {
			*type = (uint8_t)i;
			return true;
		}
	}
	scsi_refuse_cdb(task, 2, 3);
	return false;
}

static bool change_registration(struct scsi_task *task, uint8_t flags,
				bool ignore)
{
	const struct disk_info *info = &task->nexus->lun->info;
	struct disk_reservation *r = &task->reservation;

	if (flags & SCSI_RESERVE_ALL_TG_PT)
		return scsi_refuse_list(task, 20, 2);
	if (flags & SCSI_RESERVE_APTPL && !info->reservation_persist)
		return scsi_refuse_list(task, 20, 0);
	r->set_persist = info->reservation_persist;
	r->persist = flags & SCSI_RESERVE_APTPL;
	r->ignore_key = ignore;
	if (ignore) {
		r->key = 0;
		r->action = r->new_key ? DISK_REPLACE : DISK_UNREGISTER;
	} else if (r->key) {
		r->action = r->new_key ? DISK_REPLACE : DISK_UNREGISTER;
	} else if (r->new_key) {
		r->action = DISK_REGISTER;
	} else {
		*r = (struct disk_reservation){ .action = DISK_REPORT };
		return scsi_transfer_reservation(task, nothing_registered);
	}
	return scsi_transfer_reservation(task, done_out);
}

bool scsi_reserve_out(struct scsi_task *task)
{
	static const uint8_t actions[] = {
		[SCSI_RESERVE] = DISK_RESERVE,
		[SCSI_RELEASE] = DISK_RELEASE,
		[SCSI_CLEAR] = DISK_CLEAR,
		[SCSI_PREEMPT] = DISK_PREEMPT,
		[SCSI_PREEMPT_AND_ABORT] = DISK_PREEMPT_AND_ABORT,
	};
	uint8_t action = task->cdb[1] & SCSI_SERVICE_ACTION_MASK;
	struct disk_reservation *r = &task->reservation;
	struct scsi_reserve_list list;

	if (!scsi_writable(task))
		return true;
	if (scsi_get32(task->cdb + 5) != sizeof(list))
		return scsi_refuse(task, SCSI_ASC_PARAMETER_LIST_LENGTH);
	if (!scsi_fetch(task, &list, sizeof(list)))
		return true;
	if (list.flags & SCSI_RESERVE_SPEC_I_PT)
		return scsi_refuse_list(task, 20, 3);
	*r = (struct disk_reservation){ .key = scsi_get64(list.key) };
	if (action == SCSI_REGISTER || action == SCSI_REGISTER_AND_IGNORE) {
		r->new_key = scsi_get64(list.action_key);
		return change_registration(task, list.flags,
					   action == SCSI_REGISTER_AND_IGNORE);
	}
	r->action = actions[action];
	if (r->action == DISK_PREEMPT || r->action == DISK_PREEMPT_AND_ABORT)
		r->new_key = scsi_get64(list.action_key);
	if (r->action != DISK_CLEAR && !take_type(task, &r->type))
		return true;
	return scsi_transfer_reservation(task, done_out);
}
