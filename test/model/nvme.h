/* SPDX-License-Identifier: MIT */
/*
 * An NVMe controller with up to NVME_MAX_NAMESPACES namespaces, as a PCI
 * function. Namespaces come, go and change their size while it runs; the host
 * is told by an asynchronous event if it asked for those.
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
#define NVME_MAX_NAMESPACES 8 /* identifiers 1 to 8 */

/* A medium may be in several namespaces, of this controller and of others:
 * its reservations are between all of them. */
struct nvme_namespace_config {
	struct medium *medium; /* not owned */
	bool read_only;
	uint32_t block_size;	      /* 512 or 4096; 0 = 512 */
	/* A power of two from block_size to 64 KiB; 0 = block_size. */
	uint32_t physical_block_size;
	uint8_t nguid[16];
};

struct nvme_config {
	/* Namespace 1, as in struct nvme_namespace_config; without a medium
	 * there is none at first. */
	struct medium *medium;
	bool read_only;
	uint32_t block_size, physical_block_size;
	bool sgl;		/* else PRPs only */
	unsigned int mdts;	/* data of a command: at most 4 KiB << mdts;
				 * 1 to NVME_MAX_MDTS */
	unsigned int io_queues; /* 1 to NVME_MAX_IO_QUEUES */
	const char *serial;	/* at most 20 characters, copied */
	uint8_t nguid[16];
};

struct nvme_controller;

/* NULL with errno: EINVAL for what struct nvme_config forbids. The thread
 * starts with the first register access. */
struct nvme_controller *nvme_create(const struct nvme_config *config);
/* When nobody accesses the function any more. NULL is harmless. */
void nvme_destroy(struct nvme_controller *c);

struct pci_function *nvme_function(struct nvme_controller *c);

/*
 * Any thread but the controller's; they return when the controller has done
 * it. The caller closes a medium after the last namespace of it was detached
 * or its controller destroyed.
 */
/* -EEXIST: the identifier is taken; -EINVAL: it is 0, or a field of `config`
 * is against the rule, or the medium is not whole blocks; -ENOSPC: it is above
 * NVME_MAX_NAMESPACES. */
int nvme_namespace_attach(struct nvme_controller *c, uint32_t nsid,
			  const struct nvme_namespace_config *config);
/* -ENOENT. */
int nvme_namespace_detach(struct nvme_controller *c, uint32_t nsid);
/* The medium gets this many bytes, and all namespaces of this controller that
 * have it. -ENOENT; -EINVAL: not whole blocks, or as medium_resize(). */
int nvme_namespace_resize(struct nvme_controller *c, uint32_t nsid,
			  uint64_t size);

/*
 * Counters, by name in --stats. Data pieces are what PRPs or SGLs of I/O
 * commands point to; `outside` is how many of them are not wholly VTL0's RAM.
 */
#define NVME_COUNTERS(X)                                                 \
	X(admin) X(bad_dma) X(blocks_lost) X(bytes_outside) X(bytes_read) \
	X(bytes_written)                                                 \
	X(compares) X(discards) X(doorbells) X(errors) X(faults)          \
	X(flushes)                                                        \
	X(interrupts) X(pieces) X(pieces_outside) X(prp_commands)         \
	X(reads) X(reservations) X(resets) X(sgl_commands) X(verifies)    \
	X(write_zeroes) X(writes)
#define NVME_COUNTER_FIELD(name) uint64_t name;
struct nvme_counters {
	NVME_COUNTERS(NVME_COUNTER_FIELD)
};
/* A snapshot; any thread. */
void nvme_counters(struct nvme_controller *c, struct nvme_counters *out);
/* One JSON object. Any thread. */
void nvme_print_stats(struct nvme_controller *c, FILE *out);

#endif
