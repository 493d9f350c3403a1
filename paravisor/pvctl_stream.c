// SPDX-License-Identifier: MIT
/*
 * What pvctl reads from a data connection: the log, and files.
 *
 * A record of the log is "PRIORITY,SEQUENCE,MICROSECONDS,FLAGS;TEXT\n", with
 * more lines behind that start with a blank, and a NUL
 * (https://docs.kernel.org/admin-guide/abi-dev-kmsg.html). It is printed as the
 * kernel's console prints it.
 *
 * With -r a lost connection is made again for as long as it takes. The same
 * kernel then starts from its first record, of which those that were printed
 * are passed over; another kernel is another log. Which it is, build/boot_id
 * says.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "pvctl.h"

#define RECORD_MAX 2048 /* of the protocol, with its NUL */

struct kmsg {
	struct pvctl *p;
	char boot[40]; /* which kernel speaks */
	bool any;
	uint64_t last; /* sequence number of the newest record printed */
};

/* ---- records ---- */

static bool take_record(char *record, unsigned int *priority,
			uint64_t *sequence, uint64_t *us, char **text)
{
	char *end;

	*text = strchr(record, ';');
	if (!*text || sscanf(record, "%u,%" SCNu64 ",%" SCNu64, priority,
			     sequence, us) != 3)
		return false;
	end = strchr(++*text, '\n');
	if (end)
		*end = '\0';
	return true;
}

static void print_record(struct kmsg *k, char *record)
{
	unsigned int priority;
	uint64_t sequence, us;
	char *text;

	if (!take_record(record, &priority, &sequence, &us, &text)) {
		pvctl_fail(k->p, PVCTL_FAILED, "not a record: %.80s", record);
		return;
	}
	if (k->any && sequence <= k->last)
		return;
	k->any = true;
	k->last = sequence;
	if (!k->p->json) {
		printf("[%5" PRIu64 ".%06" PRIu64 "] %s\n", us / 1000000,
		       us % 1000000, text);
		return;
	}
	pvctl_begin_json(k->p);
	printf(",\"priority\":%u,\"facility\":%u,\"sequence\":%" PRIu64
	       ",\"us\":%" PRIu64 ",\"text\":", priority & 7, priority >> 3,
	       sequence, us);
	pvctl_put_json_text(text, strlen(text));
	printf("}\n");
}

/* Until the connection ends: records. */
static int read_records(struct kmsg *k, int fd)
{
	char bytes[2 * RECORD_MAX];
	size_t len = 0;

	for (;;) {
		char *end;
		ssize_t n = read(fd, bytes + len, sizeof(bytes) - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return PVCTL_OK;
		len += (size_t)n;
		while ((end = memchr(bytes, '\0', len))) {
			print_record(k, bytes);
			len -= (size_t)(end + 1 - bytes);
			memmove(bytes, end + 1, len);
		}
		fflush(stdout);
		if (len == sizeof(bytes))
			return pvctl_fail(k->p, PVCTL_FAILED,
					  "a record of more than %d bytes",
					  RECORD_MAX);
	}
}

/* ---- the connection ---- */

/* Claims a data connection by a KmsgRequest or FileRequest. */
static int open_stream(struct pvctl *p, const char *method, bool follow,
		       const char *path, int *fd)
{
	struct ttrpc_response response;
	uint8_t bytes[PVCTL_REQUEST_MAX];
	struct pb_writer w;
	uint64_t id;
	int status = pvctl_open_data(p, &id, fd);

	if (status)
		return status;
	pb_write(&w, bytes, sizeof(bytes));
	pb_uint(&w, 1, follow);
	pb_uint(&w, 2, id);
	if (path)
		pb_text(&w, 3, path);
	status = pvctl_call(p, PVCTL_UNDERHILL, method, &w, &response);
	if (status)
		close(*fd);
	return status;
}

/* The kernel is another one: so is its log. */
static int look_at_boot(struct kmsg *k)
{
	struct pb_field node;
	char boot[40];
	int status = pvctl_ask_node(k->p, "build", UINT32_MAX, &node);

	if (status)
		return status;
	if (!pvctl_node_text(&node, "boot_id", boot, sizeof(boot)))
		return pvctl_fail(k->p, PVCTL_FAILED, "build has no boot_id");
	if (*k->boot && strcmp(k->boot, boot)) {
		fprintf(stderr, "pvctl: kmsg: VTL2 has been started again\n");
		k->any = false;
	}
	strcpy(k->boot, boot);
	return PVCTL_OK;
}

static int read_once(struct kmsg *k, bool follow, bool reconnect)
{
	int fd, status = reconnect ? look_at_boot(k) : PVCTL_OK;

	if (!status)
		status = open_stream(k->p, "Kmsg", follow, NULL, &fd);
	if (status)
		return status;
	/* From here on nothing is asked: somebody else may need the place. */
	status = read_records(k, fd);
	close(fd);
	pvctl_close(k->p);
	return status;
}

int pvctl_do_kmsg(struct pvctl *p, int argc, char **argv)
{
	static const struct timespec second = { 1, 0 };
	struct kmsg k = { .p = p };
	bool follow = false, reconnect = false;
	int option, status;

	while ((option = getopt(argc, argv, "fr")) >= 0)
		if (option == 'f')
			follow = true;
		else if (option == 'r')
			follow = reconnect = true;
		else
			return pvctl_usage(p);
	if (optind < argc)
		return pvctl_usage(p);
	for (;;) {
		status = read_once(&k, follow, reconnect);
		fflush(stdout);
		if (!reconnect || status == PVCTL_NOT_IN_FLAVOUR ||
		    status == PVCTL_FAILED)
			return status;
		/* Said once, tried for ever. */
		p->quiet = true;
		nanosleep(&second, NULL);
	}
}

int pvctl_do_file(struct pvctl *p, int argc, char **argv)
{
	bool follow = false;
	char bytes[4096];
	int option, fd, status;
	ssize_t n;

	while ((option = getopt(argc, argv, "f")) >= 0)
		if (option == 'f')
			follow = true;
		else
			return pvctl_usage(p);
	if (optind + 1 != argc)
		return pvctl_usage(p);
	status = open_stream(p, "ReadFile", follow, argv[optind], &fd);
	if (status)
		return status;
	while ((n = read(fd, bytes, sizeof(bytes))) > 0)
		if (fwrite(bytes, 1, (size_t)n, stdout) != (size_t)n ||
		    (follow && fflush(stdout)))
			break;
	close(fd);
	return n < 0 ? pvctl_fail(p, PVCTL_NO_CONNECTION, "%s",
				  strerror(errno)) : PVCTL_OK;
}
