/* SPDX-License-Identifier: MIT */
/*
 * The commands of the control socket, by name and arguments:
 *
 *	quit  nmi  reset
 *	stats
 *	inspect       path (all), depth (4): the tree of the host's objects
 *	settings      the whole settings of the paravisor, as in --settings
 *	nvme-attach   disk, nsid, back (as --disk: mem:SIZE or file:PATH, then
 *	              any of ro, block=)
 *	nvme-detach   disk, nsid
 *	nvme-resize   disk, nsid, size
 *	scsi-resize   disk, size
 *	fault         disk, fault: what the NVMe controller does wrong, by the
 *	              names of model/nvme_fault.c, such as drop, delay or
 *	              never-ready; "none" ends all that were set. Commands that
 *	              meet it: admin (false), opcode (any), nsid (any), lba
 *	              (any); skip (0) of them pass, then count (1; 0: all)
 *	              meet it; delay_ms (the fault's own)
 *	shutdown      asks the guest to power off; answered when it says that
 *	              it will
 *	time          offset: seconds that the guest's time is ahead of the
 *	              host's; answered when it was told so
 *	kvp-get       key, pool ("auto"): {"value":TEXT}; pools are external,
 *	              guest, auto, auto-external and auto-internal
 *	mana-event    event: link-up, link-down, reset (the device asks for
 *	              one), silent or answer (messages), coalesce or single
 *	              (completions of received frames)
 *
 * In brackets: what it is if it is left out. `disk` counts the --disk options
 * from 0; `size` is text such as "128M".
 * An argument that is missing, wrong or unknown is named in the error.
 */
#ifndef VMM_COMMANDS_H
#define VMM_COMMANDS_H

#include <stdint.h>
#include <stdio.h>

#include "control.h"

struct nvme_fault;

/* Once, with NULL or with what is wrong. */
typedef void command_done(void *request, const char *error);

/*
 * What the commands do. Where a text is returned it is NULL, or which argument
 * breaks which rule (static).
 */
struct command_ops {
	void (*quit)(void *opaque);
	/* An NMI for VP 0 of the guest. */
	void (*nmi)(void *opaque);
	const char *(*reset)(void *opaque);
	/* Writes one JSON object. */
	void (*stats)(void *opaque, FILE *out);
	/* Writes one JSON object, 0; or -ENOENT, -ENOSPC, -ENOMEM. */
	int (*inspect)(void *opaque, const char *path, unsigned int depth,
		       FILE *out);
	/* NULL: done() is called. */
	const char *(*settings)(void *opaque, const char *json, size_t len,
				command_done *done, void *request);
	const char *(*shutdown)(void *opaque, command_done *done,
				void *request);
	const char *(*time)(void *opaque, int64_t offset, command_done *done,
			    void *request);
	const char *(*kvp_get)(void *opaque, const char *pool, const char *key,
			       void (*done)(void *request, const char *error,
					    const char *value),
			       void *request);
	const char *(*nvme_attach)(void *opaque, unsigned int disk,
				   uint32_t nsid, const char *back);
	const char *(*nvme_detach)(void *opaque, unsigned int disk,
				   uint32_t nsid);
	const char *(*nvme_resize)(void *opaque, unsigned int disk,
				   uint32_t nsid, uint64_t size);
	const char *(*scsi_resize)(void *opaque, unsigned int disk,
				   uint64_t size);
	const char *(*fault)(void *opaque, unsigned int disk,
			     const struct nvme_fault *fault);
	const char *(*mana_event)(void *opaque, const char *event);
};

struct command_target {
	const struct command_ops *ops;
	void *opaque;
};

/* For control_open(), whose `opaque` is then a struct command_target. */
extern const struct control_command commands[];

#endif
