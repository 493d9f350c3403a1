// SPDX-License-Identifier: MIT
/*
 * Captures (draft-ietf-opsawg-pcap): a header that says nanoseconds and
 * Ethernet, then a record per frame. Each record is flushed, so that the file
 * is whole whenever somebody looks, or the process dies.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <le.h>

#include "net_capture.h"
#include "net_frame.h"

#define PCAP_NANOSECONDS 0xa1b23c4du
#define PCAP_ETHERNET 1

struct pcap_header {
	le32 magic;
	le16 major, minor;
	le32 reserved[2];
	le32 longest;
	le32 link;
} __packed;
_Static_assert(sizeof(struct pcap_header) == 24, "pcap, section 4");

struct pcap_record {
	le32 seconds, nanoseconds;
	le32 captured, original;
} __packed;
_Static_assert(sizeof(struct pcap_record) == 16, "pcap, section 5");

struct net_capture {
	FILE *file;
	bool failed;
};

static void check(struct net_capture *capture, bool good)
{
	if (capture->failed || good)
		return;
	capture->failed = true;
	fprintf(stderr, "vmm: pcap: %s\n", strerror(errno));
}

static void put(struct net_capture *capture, const void *data, size_t len)
{
	if (!capture->failed)
		check(capture, fwrite(data, 1, len, capture->file) == len);
}

struct net_capture *net_capture_open(const char *path)
{
	const struct pcap_header header = {
		.magic = cpu_to_le32(PCAP_NANOSECONDS),
		.major = cpu_to_le16(2),
		.minor = cpu_to_le16(4),
		.longest = cpu_to_le32(NET_MAX_FRAME),
		.link = cpu_to_le32(PCAP_ETHERNET),
	};
	struct net_capture *capture = calloc(1, sizeof(*capture));

	if (!capture)
		return NULL;
	capture->file = fopen(path, "we");
	if (!capture->file) {
		free(capture);
		return NULL;
	}
	put(capture, &header, sizeof(header));
	check(capture, !fflush(capture->file));
	return capture;
}

void net_capture_frame(struct net_capture *capture, const uint8_t *frame,
		       uint32_t len)
{
	struct pcap_record record = {
		.captured = cpu_to_le32(len),
		.original = cpu_to_le32(len),
	};
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	record.seconds = cpu_to_le32((uint32_t)now.tv_sec);
	record.nanoseconds = cpu_to_le32((uint32_t)now.tv_nsec);
	put(capture, &record, sizeof(record));
	put(capture, frame, len);
	check(capture, !fflush(capture->file));
}

void net_capture_close(struct net_capture *capture)
{
	if (!capture)
		return;
	fclose(capture->file);
	free(capture);
}
