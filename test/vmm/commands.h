/* SPDX-License-Identifier: MIT */
/*
 * The commands that vmm takes while the machine runs: one table, by name,
 * arguments and a line of help. It serves the control socket (control.h) and the
 * console (console.h); what it says of itself is `help`, in vmm --help too.
 *
 * Arguments have names, see command_arguments.h. `disk` counts the --disk
 * options from 0; `size` is text such as "128M"; `back` as in --disk, mem:SIZE or
 * file:PATH, then any of ro, block=. An argument that is missing, wrong or
 * unknown is named in the error.
 */
#ifndef VMM_COMMANDS_H
#define VMM_COMMANDS_H

#include <stdint.h>
#include <stdio.h>

#include "command_arguments.h"
#include "json.h"
#include "request.h"

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
	/* No VP runs, and the guest's time stands. NULL: done() is called when
	 * it is so. */
	const char *(*pause)(void *opaque, command_done *done, void *request);
	const char *(*resume)(void *opaque);
	/* Each writes one JSON object. */
	void (*info)(void *opaque, FILE *out);
	void (*disks)(void *opaque, FILE *out);
	void (*stats)(void *opaque, FILE *out);
	/* Writes one JSON object, 0; or -ENOENT, -ENOSPC, -ENOMEM. */
	int (*inspect)(void *opaque, const char *path, unsigned int depth,
		       FILE *out);
	/* `size` bytes of what VTL `vtl` sees. */
	const char *(*read_memory)(void *opaque, unsigned int vtl, uint64_t gpa,
				   uint8_t *data, size_t size);
	/* The socket that leads to ports of VTL `vtl`, see vsock.h; or NULL. */
	const char *(*vsock)(void *opaque, unsigned int vtl);
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
	/* Off its bus, or back. */
	const char *(*nvme_plug)(void *opaque, unsigned int disk, bool in);
	const char *(*scsi_resize)(void *opaque, unsigned int disk,
				   uint64_t size);
	const char *(*fault)(void *opaque, unsigned int disk,
			     const struct nvme_fault *fault);
	const char *(*mana_event)(void *opaque, const char *event);
	/* As mana_fault_set(). */
	const char *(*mana_fault)(void *opaque, const char *fault,
				  uint32_t count, uint32_t skip,
				  uint32_t vport);
	/* A device of the guest's own on the host's bus: "scsi", "net0". */
	const char *(*unplug)(void *opaque, const char *device);
	const char *(*plug)(void *opaque, const char *device);
};

struct command_target {
	const struct command_ops *ops;
	void *opaque;
};

struct command {
	const char *name; /* NULL behind the last */
	struct argument_list arguments;
	const char *help;
	void (*run)(const struct command_target *target,
		    struct request *request, const struct arguments *a);
};

extern const struct command commands[];

/* For control_open(), whose `opaque` is then a struct command_target. */
void command_run(void *opaque, struct request *request, struct json_span name,
		 struct json_span args);

/* "kvp-get KEY [POOL]", and such a line of each with its help. */
void command_print_usage(const struct command *command, FILE *out);
void commands_help(FILE *out);

#endif
