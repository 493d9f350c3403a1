// SPDX-License-Identifier: MIT
/*
 * The arithmetic of pvctl top, theory of operation
 *
 *	path, value --> part (a VP; a LUN or NIC by one channel) --> reading
 *	two readings --> changes of each part --> rows, parts summed up
 *
 * Changes are taken of each part and not of sums: when one channel of a disk
 * closes, the sum goes backwards although nothing began anew. Every part has
 * the time when it was read, since the tree is asked for in several calls.
 *
 * The tree comes in order, so the part that is looked for is nearly always the
 * last one, and in the other reading the one of the same place.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "pvctl_top.h"

#define MAX_PARTS 65536u /* a tree has at most some thousand */

const char *const top_reason[TOP_REASONS] = {
	"port", "msr", "memory", "hypercall", "cpuid", "sint", "eoi", "fault",
	"other",
};

static const char *const vp_counter[TOP_VP_EXITS] = {
	"entries", "interrupts", "syscalls",
};
const char *const top_disk_counter[TOP_DISK_LATENCY] = {
	"reads", "writes", "flushes", "discards", "other", "bytes_read",
	"bytes_written", "failed",
};
const char *const top_nic_counter[TOP_NIC_END] = {
	"rx_frames", "tx_frames", "rx_bytes", "tx_bytes", "rx_dropped",
	"tx_failed",
};
static const unsigned int nr_counters[TOP_KINDS] = {
	TOP_VP_END, TOP_DISK_END, TOP_NIC_END,
};

/* ---- readings ---- */

void top_forget(struct top_reading *r)
{
	free(r->part);
	free(r->backend);
	*r = (struct top_reading){ 0 };
}

static bool same(struct top_name a, struct top_name b)
{
	return a.kind == b.kind && a.channel == b.channel && a.lun == b.lun;
}

/* Looks at `hint' first, then at all. */
static struct top_part *find(const struct top_reading *r, struct top_name name,
			     unsigned int sub, unsigned int hint)
{
	for (unsigned int i = 0; i < r->nr; i++) {
		struct top_part *part = &r->part[(hint + i) % r->nr];

		if (part->sub == sub && same(part->name, name))
			return part;
	}
	return NULL;
}

static struct top_part *part_of(struct top_reading *r, struct top_name name,
				unsigned int sub)
{
	struct top_part *part = find(r, name, sub, r->nr ? r->nr - 1 : 0);

	if (part)
		return part;
	if (r->nr == r->room) {
		unsigned int room = r->room ? 2 * r->room : 16;

		part = room > MAX_PARTS ? NULL :
			realloc(r->part, room * sizeof(*part));
		if (!part) {
			r->short_of_memory = true;
			return NULL;
		}
		r->part = part;
		r->room = room;
	}
	part = &r->part[r->nr++];
	*part = (struct top_part){ .name = name, .sub = sub, .ns = r->ns };
	return part;
}

/* Names of ours, but the other end may be anybody: what they are drawn with
 * shall need no escape, on a terminal or in JSON. */
static void copy_name(char *to, size_t size, const char *text, size_t len)
{
	size_t i;

	for (i = 0; i < len && i < size - 1; i++)
		to[i] = text[i] < ' ' || text[i] > '~' || text[i] == '"' ||
			text[i] == '\\' ? '.' : text[i];
	to[i] = '\0';
}

static void take_backend(struct top_reading *r, struct top_name name,
			 const char *text, size_t len)
{
	struct top_backend *more;

	for (unsigned int i = r->nr_backends; i-- > 0;)
		if (same(r->backend[i].name, name))
			return;
	more = r->nr_backends == MAX_PARTS ? NULL :
		realloc(r->backend, (r->nr_backends + 1) * sizeof(*more));
	if (!more) {
		r->short_of_memory = true;
		return;
	}
	r->backend = more;
	more += r->nr_backends++;
	*more = (struct top_backend){ .name = name };
	copy_name(more->text, sizeof(more->text), text, len);
}

static int index_of(const char *const *names, int nr, const char *name)
{
	for (int i = 0; i < nr; i++)
		if (!strcmp(names[i], name))
			return i;
	return -1;
}

/* "PREFIX<number>REST": the number, and the rest in *rest. */
static bool numbered(const char *path, const char *prefix, unsigned int *number,
		     const char **rest)
{
	size_t len = strlen(prefix);
	char *end;
	unsigned long n;

	if (strncmp(path, prefix, len) || path[len] < '0' || path[len] > '9')
		return false;
	n = strtoul(path + len, &end, 10);
	*number = (unsigned int)n;
	*rest = end;
	return n <= 0xffff;
}

static void count(struct top_reading *r, struct top_name name,
		  unsigned int sub, int counter, uint64_t value)
{
	struct top_part *part = counter < 0 ? NULL : part_of(r, name, sub);

	if (part)
		part->counter[counter] = value;
}

static void take_vp(struct top_reading *r, unsigned int vp, const char *name,
		    uint64_t value)
{
	struct top_name of = { TOP_VP, vp, 0 };
	int i;

	if (!strncmp(name, "exits/", 6)) {
		i = index_of(top_reason, TOP_REASONS, name + 6);
		count(r, of, 0, i < 0 ? i : TOP_VP_EXITS + i, value);
	} else if (!strncmp(name, "exit_ns/", 8)) {
		i = index_of(top_reason, TOP_REASONS, name + 8);
		count(r, of, 0, i < 0 ? i : TOP_VP_NS + i, value);
	} else {
		count(r, of, 0, index_of(vp_counter, TOP_VP_EXITS, name),
		      value);
	}
}

static void take_lun(struct top_reading *r, struct top_name of,
		     unsigned int sub, const char *name, uint64_t value)
{
	struct top_part *part;
	const char *rest;
	unsigned int n;

	if (numbered(name, "latency/", &n, &rest)) {
		if (!*rest && n < TOP_BUCKETS)
			count(r, of, sub, TOP_DISK_LATENCY + (int)n, value);
	} else if (!strcmp(name, "latency/ticks_per_ms")) {
		part = part_of(r, of, sub);
		if (part)
			part->ticks_per_ms = value;
	} else if (!strcmp(name, "in_flight")) {
		part = part_of(r, of, sub);
		if (part)
			part->now = value;
	} else {
		count(r, of, sub, index_of(top_disk_counter, TOP_DISK_LATENCY,
					   name), value);
	}
}

/* Below vmbus/channels/<n>. Directories without a number are backends. */
static void take_channel(struct top_reading *r, unsigned int channel,
			 const char *path, uint64_t value)
{
	struct top_name nic = { TOP_NIC, channel, 0 };
	struct top_name disk = { TOP_DISK, channel, 0 };
	struct top_part *part;
	const char *rest, *end;
	unsigned int sub;

	if (numbered(path, "channel", &sub, &rest) && *rest == '/') {
		if (numbered(rest + 1, "lun", &disk.lun, &end) && *end == '/') {
			take_lun(r, disk, sub, end + 1, value);
		} else if (!strcmp(rest, "/tx_in_flight")) {
			part = part_of(r, nic, sub);
			if (part)
				part->now = value;
		} else {
			count(r, nic, sub, index_of(top_nic_counter, TOP_NIC_END,
						    rest + 1), value);
		}
	} else if (numbered(path, "lun", &disk.lun, &rest) && *rest == '/') {
		end = strchr(rest + 1, '/');
		if (end)
			take_backend(r, disk, rest + 1,
				     (size_t)(end - rest - 1));
	} else {
		end = strchr(path, '/');
		if (end)
			take_backend(r, nic, path, (size_t)(end - path));
	}
}

static void take_text(struct top_reading *r, const char *path, const char *text)
{
	static const struct {
		const char *path;
		size_t offset, size;
	} taken[] = {
#define TAKEN(p, member) { p, offsetof(struct top_reading, member), \
			   sizeof(((struct top_reading *)0)->member) }
		TAKEN("build/boot_id", boot),
		TAKEN("build/version", version),
		TAKEN("build/flavour", flavour),
		TAKEN("partition/state", state),
#undef TAKEN
	};

	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
		if (!strcmp(path, taken[i].path))
			copy_name((char *)r + taken[i].offset, taken[i].size,
				  text, strlen(text));
}

void top_take(struct top_reading *r, const char *path, uint64_t value,
	      const char *text)
{
	const char *rest;
	unsigned int n;

	if (numbered(path, "vmbus/channels/", &n, &rest) && *rest == '/')
		take_channel(r, n, rest + 1, value);
	else if (text)
		take_text(r, path, text);
	else if (numbered(path, "vp", &n, &rest) && *rest == '/')
		take_vp(r, n, rest + 1, value);
	else if (!strcmp(path, "partition/vps"))
		r->vps = value;
	else if (!strcmp(path, "partition/paused"))
		r->paused = value;
	else if (!strcmp(path, "violations/total"))
		r->violations = value;
}

/* ---- rates ---- */

static bool went_back(const struct top_part *before, const struct top_part *now)
{
	for (unsigned int i = 0; i < nr_counters[now->name.kind]; i++)
		if (now->counter[i] < before->counter[i])
			return true;
	return false;
}

static const char *backend_of(const struct top_reading *r, struct top_name name)
{
	for (unsigned int i = 0; i < r->nr_backends; i++)
		if (same(r->backend[i].name, name))
			return r->backend[i].text;
	return "";
}

static struct top_row *row_of(struct top_rates *rates,
			      const struct top_reading *now,
			      struct top_name name)
{
	struct top_row *row;

	for (unsigned int i = rates->nr; i-- > 0;)
		if (same(rates->row[i].name, name))
			return &rates->row[i];
	row = &rates->row[rates->nr++];
	*row = (struct top_row){ .name = name,
				 .backend = backend_of(now, name) };
	return row;
}

static void add_part(struct top_rates *rates, const struct top_reading *before,
		     const struct top_reading *now, unsigned int n)
{
	const struct top_part *part = &now->part[n];
	const struct top_part *old = rates->anew ? NULL :
		find(before, part->name, part->sub, n);
	struct top_row *row = row_of(rates, now, part->name);
	uint64_t since = old ? old->ns : before->ns;
	double seconds = part->ns > since ?
		(double)(part->ns - since) / 1e9 : 0;

	if (old && went_back(old, part))
		old = NULL;
	if (seconds > rates->seconds)
		rates->seconds = seconds;
	row->now += part->now;
	if (part->ticks_per_ms)
		row->ticks_per_ms = part->ticks_per_ms;
	for (unsigned int i = 0; i < nr_counters[part->name.kind]; i++)
		if (seconds > 0)
			row->rate[i] += (double)(part->counter[i] -
				(old ? old->counter[i] : 0)) / seconds;
}

void top_rates(struct top_rates *out, const struct top_reading *before,
	       const struct top_reading *now)
{
	*out = (struct top_rates){ .anew = strcmp(before->boot, now->boot) };
	out->row = calloc(now->nr + 1, sizeof(*out->row));
	if (!out->row) {
		out->short_of_memory = true;
		return;
	}
	for (enum top_kind kind = TOP_VP; kind < TOP_KINDS; kind++)
		for (unsigned int i = 0; i < now->nr; i++)
			if (now->part[i].name.kind == kind)
				add_part(out, before, now, i);
}

void top_rates_forget(struct top_rates *rates)
{
	free(rates->row);
	*rates = (struct top_rates){ 0 };
}

/* ---- what follows from a row ---- */

static double sum(const double *rate, unsigned int nr)
{
	double all = 0;

	for (unsigned int i = 0; i < nr; i++)
		all += rate[i];
	return all;
}

double top_exits(const struct top_row *vp)
{
	return sum(vp->rate + TOP_VP_EXITS, TOP_REASONS);
}

double top_busy(const struct top_row *vp)
{
	double share = sum(vp->rate + TOP_VP_NS, TOP_REASONS) / 1e9;

	/* An exit is accounted for when it ends. */
	return share < 1 ? share : 1;
}

double top_exit_ns(const struct top_row *vp)
{
	double exits = top_exits(vp);

	return exits > 0 ? sum(vp->rate + TOP_VP_NS, TOP_REASONS) / exits : 0;
}

double top_iops(const struct top_row *disk)
{
	return sum(disk->rate, TOP_DISK_BYTES_READ);
}

/* The lower end of a bucket, in ns. */
static double bound(const struct top_row *disk, unsigned int bucket)
{
	return 1e6 * (double)(1ull << bucket) / (double)disk->ticks_per_ms;
}

double top_latency(const struct top_row *disk, double share)
{
	const double *rate = disk->rate + TOP_DISK_LATENCY;
	double all = sum(rate, TOP_BUCKETS), so_far = 0;

	if (!disk->ticks_per_ms || all <= 0)
		return 0;
	for (unsigned int i = 0; i < TOP_BUCKETS; i++) {
		so_far += rate[i];
		if (rate[i] > 0 && so_far >= all * share)
			return bound(disk, i + 1);
	}
	/* Sums of fractions may miss the whole by a little. */
	for (unsigned int i = TOP_BUCKETS; i-- > 0;)
		if (rate[i] > 0)
			return bound(disk, i + 1);
	return 0;
}

double top_between(const struct top_row *disk, double from, double to)
{
	double all = 0;

	if (!disk->ticks_per_ms)
		return 0;
	for (unsigned int i = 0; i < TOP_BUCKETS; i++) {
		double low = bound(disk, i), width = low, high = 2 * low;

		low = low > from ? low : from;
		high = high < to ? high : to;
		if (high > low)
			all += disk->rate[TOP_DISK_LATENCY + i] *
			       (high - low) / width;
	}
	return all;
}
