/* SPDX-License-Identifier: MIT */
/*
 * Reservations, theory of operation
 *
 * A registrant of NVM Express is a host, known by its Host Identifier, which
 * all controllers say that the host uses; nvme_open() sets ours. Actions are
 * those of struct disk_reservation one to one:
 *
 *	Register (0Dh)  RREGA 0 register, 1 unregister, 2 replace
 *	Acquire (11h)   RACQA 0 reserve, 1 preempt, 2 preempt and abort
 *	Release (15h)   RRELA 0 release, 1 clear
 *	Report (0Eh)    always the extended data structure: the other one has
 *	                no room for our identifier
 *
 * A report is the device's: counts in it are not believed, reserved bits are
 * not looked at.
 */
#include <string.h>

#include <nvme/types.h>

#include "reservation.h"

#define IGNORE_KEY (1u << 3)  /* dword 10 of all but Report */
#define TYPE_SHIFT 8	      /* dword 10 of Acquire and Release */
#define PERSIST_SHIFT 30      /* dword 10 of Register: CPTPL */
#define EXTENDED (1u << 0)    /* dword 11 of Report */
#define HOLDER (1u << 0)      /* RCSTS */

_Static_assert(sizeof(struct reservation_keys) == 16,
	       "Base Specification 2.0, 7.3");
_Static_assert(sizeof(struct nvme_resv_status) == 64,
	       "Base Specification 2.0, 7.5");
_Static_assert(sizeof(struct nvme_registered_ctrl_ext) == 64,
	       "Base Specification 2.0, 7.5");
_Static_assert((int)NVME_RESERVATION_RTYPE_WE == DISK_WRITE_EXCLUSIVE &&
		       (int)NVME_RESERVATION_RTYPE_EAAR ==
			       DISK_EXCLUSIVE_ACCESS_ALL,
	       "types are numbered alike");

static bool takes_type(uint8_t action)
{
	return action == DISK_RESERVE || action == DISK_PREEMPT ||
	       action == DISK_PREEMPT_AND_ABORT || action == DISK_RELEASE;
}

enum disk_status reservation_check(const struct disk_info *info,
				   const struct disk_reservation *r)
{
	bool registers;

	if (!r || r->action > DISK_REPORT)
		return DISK_INVALID;
	registers = r->action == DISK_REGISTER || r->action == DISK_REPLACE ||
		    r->action == DISK_UNREGISTER;
	if (r->ignore_key && !registers)
		return DISK_INVALID;
	if (r->set_persist && (!registers ||
			       (r->persist && !info->reservation_persist)))
		return DISK_INVALID;
	if (takes_type(r->action) &&
	    (r->type > DISK_EXCLUSIVE_ACCESS_ALL ||
	     !(info->reservation_types >> r->type & 1)))
		return DISK_INVALID;
	return DISK_OK;
}

/* The action of each command; r->action - the first one of the command. */
static const struct {
	uint8_t opcode, code;
} actions[] = {
	[DISK_REGISTER] = { nvme_cmd_resv_register,
			    NVME_RESERVATION_RREGA_REGISTER_KEY },
	[DISK_UNREGISTER] = { nvme_cmd_resv_register,
			      NVME_RESERVATION_RREGA_UNREGISTER_KEY },
	[DISK_REPLACE] = { nvme_cmd_resv_register,
			   NVME_RESERVATION_RREGA_REPLACE_KEY },
	[DISK_RESERVE] = { nvme_cmd_resv_acquire,
			   NVME_RESERVATION_RACQA_ACQUIRE },
	[DISK_PREEMPT] = { nvme_cmd_resv_acquire,
			   NVME_RESERVATION_RACQA_PREEMPT },
	[DISK_PREEMPT_AND_ABORT] = { nvme_cmd_resv_acquire,
				NVME_RESERVATION_RACQA_PREEMPT_AND_ABORT },
	[DISK_RELEASE] = { nvme_cmd_resv_release,
			   NVME_RESERVATION_RRELA_RELEASE },
	[DISK_CLEAR] = { nvme_cmd_resv_release, NVME_RESERVATION_RRELA_CLEAR },
	[DISK_REPORT] = { nvme_cmd_resv_report, 0 },
};

void reservation_encode(const struct disk_reservation *r,
			struct reservation_command *command,
			struct reservation_keys *keys)
{
	*command = (struct reservation_command){
		.opcode = actions[r->action].opcode,
		.cdw10 = actions[r->action].code,
		.bytes = sizeof(*keys),
	};
	keys->key = cpu_to_le64(r->key);
	keys->other = cpu_to_le64(r->new_key);
	switch (command->opcode) {
	case nvme_cmd_resv_register:
		if (r->ignore_key)
			command->cdw10 |= IGNORE_KEY;
		if (r->set_persist)
			command->cdw10 |= (uint32_t)(r->persist ?
				NVME_RESERVATION_CPTPL_PERSIST :
				NVME_RESERVATION_CPTPL_CLEAR) << PERSIST_SHIFT;
		break;
	case nvme_cmd_resv_acquire:
		command->cdw10 |= (uint32_t)r->type << TYPE_SHIFT;
		break;
	case nvme_cmd_resv_release:
		if (r->action == DISK_RELEASE)
			command->cdw10 |= (uint32_t)r->type << TYPE_SHIFT;
		command->bytes = sizeof(keys->key);
		break;
	case nvme_cmd_resv_report:
		command->bytes = RESERVATION_REPORT_SIZE;
		command->cdw10 = RESERVATION_REPORT_SIZE / 4 - 1;
		command->cdw11 = EXTENDED;
		break;
	}
}

void reservation_decode(const uint8_t *report, const uint8_t host[16],
			struct disk_reservation *r)
{
	struct nvme_resv_status head;
	unsigned int n;

	memcpy(&head, report, sizeof(head));
	r->generation = le32_to_cpu((__force le32)head.gen);
	r->type = head.rtype <= DISK_EXCLUSIVE_ACCESS_ALL ? head.rtype :
							    DISK_RESERVED_NONE;
	r->persists = head.ptpls & 1;
	r->nr_registrants = (uint16_t)(head.regctl[0] | head.regctl[1] << 8);
	n = r->nr_registrants < DISK_MAX_REGISTRANTS ? r->nr_registrants :
						       DISK_MAX_REGISTRANTS;
	memset(r->registrant, 0, sizeof(r->registrant));
	for (unsigned int i = 0; i < n; i++) {
		struct nvme_registered_ctrl_ext one;

		memcpy(&one, report + sizeof(head) + i * sizeof(one),
		       sizeof(one));
		r->registrant[i].key = le64_to_cpu((__force le64)one.rkey);
		r->registrant[i].holder = one.rcsts & HOLDER;
		r->registrant[i].self = !memcmp(one.hostid, host, 16);
		memcpy(r->registrant[i].host, one.hostid, 16);
	}
}
