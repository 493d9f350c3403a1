// SPDX-License-Identifier: MIT
/*
 * pvctl blackbox: from a file to its report. Needs no machine: all that it
 * says stands in the file.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <pv/log.h>

#include "pvctl_blackbox.h"

enum status { STATUS_OK, STATUS_FAILED, STATUS_USAGE };

#define SHOWN 32u /* exits of a VP, when -n says nothing */

static const char usage[] = "usage: pvctl blackbox FILE [--json] [-n EXITS]\n";

const char *blackbox_access_name(uint32_t access)
{
	static const char *const name[] = { "read", "write", "execute" };

	return access < sizeof(name) / sizeof(name[0]) ? name[access] : "?";
}

const char *blackbox_level_name(uint16_t level)
{
	static const char *const name[] = {
		[LOG_ERR] = "error", [LOG_WARN] = "warn",
		[LOG_INFO] = "info", [LOG_DEBUG] = "debug",
	};

	return level < sizeof(name) / sizeof(name[0]) ? name[level] : "?";
}

/* notes: relay/vmbus_reg.h has the messages; these are their public names. */
const char *blackbox_message_name(uint32_t type)
{
	static const char *const name[] = {
		[1] = "OFFERCHANNEL",
		[2] = "RESCIND_CHANNELOFFER",
		[3] = "REQUESTOFFERS",
		[4] = "ALLOFFERS_DELIVERED",
		[5] = "OPENCHANNEL",
		[6] = "OPENCHANNEL_RESULT",
		[7] = "CLOSECHANNEL",
		[8] = "GPADL_HEADER",
		[9] = "GPADL_BODY",
		[10] = "GPADL_CREATED",
		[11] = "GPADL_TEARDOWN",
		[12] = "GPADL_TORNDOWN",
		[13] = "RELID_RELEASED",
		[14] = "INITIATE_CONTACT",
		[15] = "VERSION_RESPONSE",
		[16] = "UNLOAD",
		[17] = "UNLOAD_RESPONSE",
		[21] = "TL_CONNECT_REQUEST",
		[22] = "MODIFYCHANNEL",
		[23] = "TL_CONNECT_RESULT",
		[24] = "MODIFYCHANNEL_RESPONSE",
	};

	return type < sizeof(name) / sizeof(name[0]) ? name[type] : NULL;
}

static int complain(const char *path, const char *why)
{
	fprintf(stderr, "pvctl: blackbox: %s: %s\n", path, why);
	return STATUS_FAILED;
}

static int report(const char *path, bool json, unsigned int exits)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct blackbox_view view;
	struct stat st;
	const char *why;
	void *bytes;
	int status = STATUS_OK;

	if (fd < 0)
		return complain(path, strerror(errno));
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || !st.st_size ||
	    st.st_size > BLACKBOX_MAX_SIZE) {
		close(fd);
		return complain(path, "must be a file of 1 byte to 16 MiB");
	}
	bytes = malloc((size_t)st.st_size);
	if (!bytes || read(fd, bytes, (size_t)st.st_size) != st.st_size)
		status = complain(path, "cannot be read whole");
	else if (blackbox_view_open(&view, bytes, (size_t)st.st_size, &why))
		status = complain(path, why);
	else if (json)
		blackbox_print_json(&view, exits, stdout);
	else
		blackbox_print_text(&view, exits, stdout);
	free(bytes);
	close(fd);
	if (!status && (fflush(stdout) || ferror(stdout)))
		status = complain("stdout", strerror(errno));
	return status;
}

static bool parse_exits(const char *text, unsigned int *exits)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	*exits = (unsigned int)value;
	return *text >= '0' && *text <= '9' && !*end &&
	       value <= BLACKBOX_EXIT_SLOTS;
}

int pvctl_blackbox(int argc, char **argv, bool json)
{
	static const struct option longs[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	unsigned int exits = SHOWN;
	int c;

	optind = 0;
	while ((c = getopt_long(argc, argv, "jn:h", longs, NULL)) != -1) {
		switch (c) {
		case 'j':
			json = true;
			break;
		case 'n':
			if (parse_exits(optarg, &exits))
				break;
			fputs("pvctl: blackbox: -n: must be a number from 0 "
			      "to 1024\n", stderr);
			return STATUS_USAGE;
		case 'h':
			fputs(usage, stdout);
			return STATUS_OK;
		default:
			fprintf(stderr, "pvctl: blackbox: %s", usage);
			return STATUS_USAGE;
		}
	}
	if (argc - optind != 1) {
		fprintf(stderr, "pvctl: blackbox: %s", usage);
		return STATUS_USAGE;
	}
	return report(argv[optind], json, exits);
}
