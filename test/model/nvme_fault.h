/* SPDX-License-Identifier: MIT */
/*
 * Faults of the NVMe model, by name: what a controller does wrong, and when.
 * nvme_fault.c has the table, with what each of them is.
 */
#ifndef MODEL_NVME_FAULT_H
#define MODEL_NVME_FAULT_H

#include <stdbool.h>
#include <stdint.h>

struct nvme_controller;

/* Which fields of struct nvme_fault were given; others are any, or the row's. */
enum nvme_fault_field {
	NVME_FAULT_OPCODE = 1,
	NVME_FAULT_ADMIN = 2,
	NVME_FAULT_NSID = 4,
	NVME_FAULT_LBA = 8,
	NVME_FAULT_SKIP = 16,
	NVME_FAULT_COUNT = 32,
	NVME_FAULT_DELAY = 64,
};

#define NVME_FAULT_NONE "none" /* ends all that were set */
#define NVME_MAX_FAULTS 8u     /* at a time */
#define NVME_FAULT_MAX_DELAY 600000u

struct nvme_fault {
	const char *name;
	unsigned int given;
	/* Of the command that meets it: */
	uint8_t opcode;
	bool admin;	   /* else of an I/O queue */
	uint32_t nsid;
	uint64_t lba;	   /* is among its blocks */
	uint32_t skip;	   /* so many that match pass before; 0 */
	uint32_t count;	   /* then so many meet it, 0: all; 1 */
	uint32_t delay_ms; /* at most NVME_FAULT_MAX_DELAY */
};

/* Sets one, beside those that are. NULL; or which field breaks which rule, as
 * text that stays. Any thread but the controller's; returns when it holds. */
const char *nvme_fault_set(struct nvme_controller *c,
			   const struct nvme_fault *fault);

/* Names of the table, in its order; NULL behind the last. */
const char *nvme_fault_name(unsigned int i);

#endif
