/* SPDX-License-Identifier: MIT */
/*
 * An NVMe controller with one namespace (id 1), as a PCI function.
 *
 * Every command is executed by the controller's own thread, in turn over the
 * submission queues; each completion raises its interrupt at once, whatever
 * the coalescing feature says.
 */
#ifndef MODEL_NVME_H
#define MODEL_NVME_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "medium.h"
#include "pci_function.h"

#define NVME_MAX_IO_QUEUES 64
#define NVME_MAX_MDTS 10

struct nvme_config {
	struct medium *medium; /* not owned */
	bool read_only;
	bool sgl;		/* else PRPs only */
	unsigned int mdts;	/* data of a command: at most 4 KiB << mdts;
				 * 1 to NVME_MAX_MDTS */
	unsigned int io_queues; /* 1 to NVME_MAX_IO_QUEUES */
	const char *serial;	/* at most 20 characters, copied */
	uint8_t nguid[16];
};

struct nvme_controller;

/* NULL with errno. The thread starts with the first register access. */
struct nvme_controller *nvme_create(const struct nvme_config *config);
/* When nobody accesses the function any more. NULL is harmless. */
void nvme_destroy(struct nvme_controller *c);

struct pci_function *nvme_function(struct nvme_controller *c);

/*
 * Counters, by name in --stats. Data pieces are what PRPs or SGLs of I/O
 * commands point to; `outside` is how many of them are not wholly VTL0's RAM.
 */
#define NVME_COUNTERS(X)                                                 \
	X(admin) X(bad_dma) X(bytes_outside) X(bytes_read) X(bytes_written) \
	X(compares) X(discards) X(doorbells) X(errors) X(flushes)         \
	X(interrupts) X(pieces) X(pieces_outside) X(prp_commands)         \
	X(reads) X(resets) X(sgl_commands) X(verifies) X(write_zeroes)    \
	X(writes)
#define NVME_COUNTER_FIELD(name) uint64_t name;
struct nvme_counters {
	NVME_COUNTERS(NVME_COUNTER_FIELD)
};
/* A snapshot; any thread. */
void nvme_counters(struct nvme_controller *c, struct nvme_counters *out);
/* One JSON object. Any thread. */
void nvme_print_stats(struct nvme_controller *c, FILE *out);

#endif
