/* SPDX-License-Identifier: MIT */
/*
 * pvctl top: what its files share. The arithmetic (pvctl_top_rates.c) knows
 * neither protobuf nor a terminal: it takes values of the daemon's tree by
 * their paths (paravisor/inspect.list) and makes rates of two readings.
 *
 * Units: times in ns, rates per second. Threads: one. Errors: a reading for
 * which there was no memory is `short_of_memory' and means nothing.
 */
#ifndef PVCTL_TOP_H
#define PVCTL_TOP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define TOP_REASONS 9  /* exits, by inspect.list */
#define TOP_BUCKETS 40 /* of latency: request n took 2^n to 2^(n+1) ticks */

enum top_kind { TOP_VP, TOP_DISK, TOP_NIC, TOP_KINDS };

/* Where each kind's counters are in `counter' and `rate'. */
enum {
	TOP_VP_ENTRIES, TOP_VP_INTERRUPTS, TOP_VP_SYSCALLS,
	TOP_VP_EXITS,
	TOP_VP_NS = TOP_VP_EXITS + TOP_REASONS,
	TOP_VP_END = TOP_VP_NS + TOP_REASONS,
};
enum {
	TOP_DISK_READS, TOP_DISK_WRITES, TOP_DISK_FLUSHES, TOP_DISK_DISCARDS,
	TOP_DISK_OTHER, TOP_DISK_BYTES_READ, TOP_DISK_BYTES_WRITTEN,
	TOP_DISK_FAILED, TOP_DISK_LATENCY,
	TOP_DISK_END = TOP_DISK_LATENCY + TOP_BUCKETS,
};
enum {
	TOP_NIC_RX_FRAMES, TOP_NIC_TX_FRAMES, TOP_NIC_RX_BYTES,
	TOP_NIC_TX_BYTES, TOP_NIC_RX_DROPPED, TOP_NIC_TX_FAILED, TOP_NIC_END,
};
#define TOP_COUNTERS TOP_DISK_END /* of the kind that has most */

/* A VP, a NIC, or a LUN of a SCSI controller. */
struct top_name {
	enum top_kind kind;
	unsigned int channel; /* of VMBus: the primary one; of a VP its index */
	unsigned int lun;
};

/* What counts for a name: of a disk or a NIC, each of its channels. */
struct top_part {
	struct top_name name;
	unsigned int sub;
	uint64_t ns; /* when it was read */
	uint64_t counter[TOP_COUNTERS];
	uint64_t now;		/* in flight */
	uint64_t ticks_per_ms;	/* of the latencies; 0: there are none */
};

struct top_backend {
	struct top_name name;
	char text[16];
};

struct top_reading {
	bool short_of_memory;
	uint64_t ns; /* of what is taken next; the caller's */
	char boot[40], version[24], flavour[16], state[16]; /* "": not known */
	uint64_t vps, violations;
	bool paused;
	unsigned int nr, room, nr_backends;
	struct top_part *part;
	struct top_backend *backend;
};

/* Zeroes are an empty one. Frees what it has and makes it one again. */
void top_forget(struct top_reading *r);
/* A value, by its path from the root: a number, or, if `text' is not NULL, a
 * text. What top has no use for is passed over. */
void top_take(struct top_reading *r, const char *path, uint64_t value,
	      const char *text);

struct top_row {
	struct top_name name;
	const char *backend; /* of a disk or a NIC; the reading's, or "" */
	double rate[TOP_COUNTERS];
	uint64_t now;
	uint64_t ticks_per_ms;
};

struct top_rates {
	bool short_of_memory;
	bool anew;	/* it is another VTL2 than before */
	double seconds; /* from the one reading to the other, the longest */
	unsigned int nr;
	struct top_row *row; /* by kind, and within it as the tree has them */
};

/*
 * What changed from `before' to `now', which must both stay as long as *out is
 * used; top_rates_forget() frees it. A counter that went backwards has begun
 * anew, and with it all of its part; so has everything after another boot, and
 * a part that was not there before: what they show now has come since.
 */
void top_rates(struct top_rates *out, const struct top_reading *before,
	       const struct top_reading *now);
void top_rates_forget(struct top_rates *rates);

/* By inspect.list. */
extern const char *const top_reason[TOP_REASONS];
extern const char *const top_disk_counter[TOP_DISK_LATENCY];
extern const char *const top_nic_counter[TOP_NIC_END];

/* Of a VP: all exits; the share of time that they took, 0 to 1; ns of one. */
double top_exits(const struct top_row *vp);
double top_busy(const struct top_row *vp);
double top_exit_ns(const struct top_row *vp);
/* Of a disk. */
double top_iops(const struct top_row *disk);
/* ns within which the given share of requests, above 0, was done: the upper end
 * of its bucket. 0: nothing was, or it is not known. */
double top_latency(const struct top_row *disk, double share);
/* Requests per second that took from `from' to below `to' ns, those of a bucket
 * taken as spread evenly over it. */
double top_between(const struct top_row *disk, double from, double to);

/* ---- pvctl_top_draw.c ---- */

/* A block of lines, printable ASCII, none too long for 80 columns as long as
 * numbers are usual ones. */
void top_draw(const struct top_reading *now, const struct top_rates *rates,
	      FILE *out);
/* What of a round goes into its line of pvctl.schema.json: members, from the
 * first comma on. */
void top_draw_json(const struct top_reading *now, const struct top_rates *rates,
		   FILE *out);

#endif
