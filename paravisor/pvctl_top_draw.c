// SPDX-License-Identifier: MIT
/*
 * pvctl top: a round as a block of text, or as members of a JSON object.
 *
 * A bar of exits is the share of time that they took. A bar of latencies has a
 * place for each power of two from 1 us to 1 s; the more of the requests took
 * so long, the darker it is.
 */
#include <inttypes.h>
#include <string.h>

#include "pvctl_top.h"

#define BAR 12
#define DECADES 20 /* places of a latency bar, of a factor of two each */

static const char shade[] = " .:-=+*#%@";
#define SHADES (sizeof(shade) - 2)

static const double share_of[] = { 0.5, 0.99 };

/* ---- text ---- */

static void put_time(FILE *out, double ns)
{
	static const char *const unit[] = { "ns", "us", "ms", "s" };
	unsigned int i = 0;
	char text[16];

	for (; i < 3 && ns >= 999.5; i++)
		ns /= 1000;
	if (ns > 0)
		snprintf(text, sizeof(text), "%.*f%s", ns < 9.95 && i > 0, ns,
			 unit[i]);
	else
		strcpy(text, "-");
	fprintf(out, "%8s", text);
}

static void draw_head(const struct top_reading *now,
		      const struct top_rates *rates, FILE *out)
{
	fprintf(out, "paravisor %s, %s image: VTL0 %s%s, %" PRIu64
		" VPs, %" PRIu64 " violations; over %.1f s%s\n",
		*now->version ? now->version : "?",
		*now->flavour ? now->flavour : "?",
		*now->state ? now->state : "?", now->paused ? ", paused" : "",
		now->vps, now->violations, rates->seconds,
		rates->anew ? "; another VTL2 than before" : "");
}

/* The three reasons that come most often. */
static void draw_reasons(const struct top_row *vp, FILE *out)
{
	double all = top_exits(vp);
	bool shown[TOP_REASONS] = { false };

	for (unsigned int n = 0; n < 3; n++) {
		const double *rate = vp->rate + TOP_VP_EXITS;
		unsigned int most = 0;

		for (unsigned int i = 1; i < TOP_REASONS; i++)
			if (shown[most] || (!shown[i] && rate[i] > rate[most]))
				most = i;
		if (shown[most] || rate[most] <= 0)
			return;
		shown[most] = true;
		fprintf(out, "%s%s %.0f%%", n ? ", " : "  ", top_reason[most],
			100 * rate[most] / all);
	}
}

static void draw_vp(const struct top_row *vp, FILE *out)
{
	static const char full[BAR + 1] = "############";
	double busy = top_busy(vp);

	fprintf(out, "%4u%9.0f%10.0f%9.0f  [%-*.*s]%6.1f%%", vp->name.channel,
		top_exits(vp), vp->rate[TOP_VP_ENTRIES], top_exit_ns(vp), BAR,
		(int)(busy * BAR + 0.5), full, 100 * busy);
	draw_reasons(vp, out);
}

static void draw_latency(const struct top_row *disk, FILE *out)
{
	double at[DECADES], most = 0, low = 0, high = 2000;

	for (unsigned int i = 0; i < DECADES; i++, low = high, high *= 2) {
		at[i] = top_between(disk, low,
				    i == DECADES - 1 ? 1e300 : high);
		if (at[i] > most)
			most = at[i];
	}
	fputs(" [", out);
	for (unsigned int i = 0; i < DECADES; i++) {
		double level = most > 0 ? at[i] / most * SHADES : 0;

		/* One request of many is seen. */
		putc(shade[(unsigned int)level + (level > 0 && level < 1)],
		     out);
	}
	putc(']', out);
}

static void put_name(const struct top_row *row, FILE *out)
{
	char name[40];

	if (row->name.kind == TOP_DISK)
		snprintf(name, sizeof(name), "%u:%u %s", row->name.channel,
			 row->name.lun, row->backend);
	else
		snprintf(name, sizeof(name), "%u %s", row->name.channel,
			 row->backend);
	fprintf(out, "%-11s", name);
}

static void draw_disk(const struct top_row *disk, FILE *out)
{
	put_name(disk, out);
	fprintf(out, "%8.0f%8.1f%8.1f%6" PRIu64, top_iops(disk),
		disk->rate[TOP_DISK_BYTES_READ] / 1e6,
		disk->rate[TOP_DISK_BYTES_WRITTEN] / 1e6, disk->now);
	for (unsigned int i = 0; i < 2; i++)
		put_time(out, top_latency(disk, share_of[i]));
	draw_latency(disk, out);
	if (disk->rate[TOP_DISK_FAILED] > 0)
		fprintf(out, " failed %.1f/s", disk->rate[TOP_DISK_FAILED]);
}

static void draw_nic(const struct top_row *nic, FILE *out)
{
	put_name(nic, out);
	fprintf(out, "%10.0f%10.0f%9.1f%9.1f%9.1f%9" PRIu64,
		nic->rate[TOP_NIC_RX_FRAMES], nic->rate[TOP_NIC_TX_FRAMES],
		nic->rate[TOP_NIC_RX_BYTES] / 1e6,
		nic->rate[TOP_NIC_TX_BYTES] / 1e6,
		nic->rate[TOP_NIC_RX_DROPPED] + nic->rate[TOP_NIC_TX_FAILED],
		nic->now);
}

void top_draw(const struct top_reading *now, const struct top_rates *rates,
	      FILE *out)
{
	static const struct {
		const char *head;
		void (*draw)(const struct top_row *row, FILE *out);
	} table[TOP_KINDS] = {
		{ "  VP  exits/s entries/s  ns/exit  time in exits         "
		  "  reasons", draw_vp },
		{ "DISK           IOPS  r MB/s  w MB/s  busy     p50     p99 "
		  "[1us      1ms     1s]", draw_disk },
		{ "NIC           rx pps    tx pps  rx MB/s  tx MB/s   lost/s "
		  " sending", draw_nic },
	};
	int kind = -1;

	draw_head(now, rates, out);
	for (unsigned int i = 0; i < rates->nr; i++) {
		const struct top_row *row = &rates->row[i];

		if ((int)row->name.kind != kind)
			fprintf(out, "\n%s\n", table[row->name.kind].head);
		kind = (int)row->name.kind;
		table[kind].draw(row, out);
		putc('\n', out);
	}
}

/* ---- JSON ---- */

static void json_vp(const struct top_row *vp, FILE *out)
{
	fprintf(out, "{\"vp\":%u,\"exits\":%.3f,\"entries\":%.3f,"
		"\"interrupts\":%.3f,\"syscalls\":%.3f,\"exit_ns\":%.1f,"
		"\"busy\":%.5f,\"reasons\":{", vp->name.channel,
		top_exits(vp), vp->rate[TOP_VP_ENTRIES],
		vp->rate[TOP_VP_INTERRUPTS], vp->rate[TOP_VP_SYSCALLS],
		top_exit_ns(vp), top_busy(vp));
	for (unsigned int i = 0; i < TOP_REASONS; i++)
		fprintf(out, "%s\"%s\":%.3f", i ? "," : "", top_reason[i],
			vp->rate[TOP_VP_EXITS + i]);
	fputs("}}", out);
}

static void json_latency(const struct top_row *disk, FILE *out)
{
	const char *comma = "";

	if (!disk->ticks_per_ms) {
		fputs(",\"latency\":null", out);
		return;
	}
	fprintf(out, ",\"latency\":{\"p50_ns\":%.0f,\"p99_ns\":%.0f,"
		"\"buckets\":[", top_latency(disk, share_of[0]),
		top_latency(disk, share_of[1]));
	for (unsigned int i = 0; i < TOP_BUCKETS; i++) {
		double rate = disk->rate[TOP_DISK_LATENCY + i];

		if (rate <= 0)
			continue;
		fprintf(out, "%s{\"below_ns\":%.0f,\"rate\":%.3f}", comma,
			1e6 * (double)(2ull << i) /
			(double)disk->ticks_per_ms, rate);
		comma = ",";
	}
	fputs("]}", out);
}

static void json_disk(const struct top_row *disk, FILE *out)
{
	fprintf(out, "{\"channel\":%u,\"lun\":%u,\"backend\":\"%s\","
		"\"in_flight\":%" PRIu64, disk->name.channel, disk->name.lun,
		disk->backend, disk->now);
	for (unsigned int i = 0; i < TOP_DISK_LATENCY; i++)
		fprintf(out, ",\"%s\":%.3f", top_disk_counter[i],
			disk->rate[i]);
	json_latency(disk, out);
	putc('}', out);
}

static void json_nic(const struct top_row *nic, FILE *out)
{
	fprintf(out, "{\"channel\":%u,\"backend\":\"%s\",\"in_flight\":%" PRIu64,
		nic->name.channel, nic->backend, nic->now);
	for (unsigned int i = 0; i < TOP_NIC_END; i++)
		fprintf(out, ",\"%s\":%.3f", top_nic_counter[i],
			nic->rate[i]);
	putc('}', out);
}

void top_draw_json(const struct top_reading *now, const struct top_rates *rates,
		   FILE *out)
{
	static const struct {
		const char *name;
		void (*put)(const struct top_row *row, FILE *out);
	} table[TOP_KINDS] = {
		{ "vps", json_vp }, { "disks", json_disk }, { "nics", json_nic },
	};

	fprintf(out, ",\"seconds\":%.3f,\"anew\":%s,\"state\":\"%s\","
		"\"paused\":%s,\"violations\":%" PRIu64, rates->seconds,
		rates->anew ? "true" : "false", now->state,
		now->paused ? "true" : "false", now->violations);
	for (unsigned int kind = 0; kind < TOP_KINDS; kind++) {
		const char *comma = "";

		fprintf(out, ",\"%s\":[", table[kind].name);
		for (unsigned int i = 0; i < rates->nr; i++) {
			if (rates->row[i].name.kind != kind)
				continue;
			fputs(comma, out);
			table[kind].put(&rates->row[i], out);
			comma = ",";
		}
		putc(']', out);
	}
}
