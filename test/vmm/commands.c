// SPDX-License-Identifier: MIT
/*
 * Commands of the control socket, theory of operation
 *
 * Each command reads its arguments into a structure by a table, and calls what
 * does it. Whatever can be said of an argument by itself is said here: that it
 * is missing, has the wrong type, is too big, or that nobody knows it.
 *
 * Threads: the loop's. All are answered before they return, but settings and
 * what the guest is asked for.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "device_option.h"
#include "model/nvme_fault.h"
#include "options.h"

#define MAX_TEXT 4096
#define MAX_DEPTH 16
#define DEPTH_UNSAID 4
#define MAX_OFFSET 3155760000ull /* seconds: a century */

struct arguments {
	uint64_t disk, nsid, size, depth;
	int64_t offset;
	char back[MAX_TEXT], path[MAX_TEXT], event[32];
	char key[MAX_TEXT], pool[32];
	char fault[32];
	uint64_t opcode, lba, skip, count, delay_ms;
	bool admin;
	unsigned int given; /* bits as below */
};

/* Each reads a value; NULL, or the rule that it breaks. */
typedef const char *read_argument(struct json_span value,
				  struct arguments *to);

static const char *read_disk(struct json_span value, struct arguments *to)
{
	_Static_assert(OPTIONS_MAX_DISKS == 16, "the text below says so");
	return json_number(value, OPTIONS_MAX_DISKS - 1, &to->disk) ?
		       "must be a number from 0 to 15" : NULL;
}

static const char *read_nsid(struct json_span value, struct arguments *to)
{
	return json_number(value, UINT32_MAX - 1, &to->nsid) || !to->nsid ?
		       "must be a number from 1 to 4294967294" : NULL;
}

static const char *read_back(struct json_span value, struct arguments *to)
{
	int err = json_text(value, to->back, sizeof(to->back));

	if (err == -ENAMETOOLONG)
		return "is too long";
	return err ? "must be a text such as mem:64M or file:PATH" : NULL;
}

static const char *read_size(struct json_span value, struct arguments *to)
{
	char text[32];

	if (json_text(value, text, sizeof(text)) ||
	    size_parse(text, &to->size) || !to->size)
		return "must be a text such as 64M, and not 0";
	return NULL;
}

static const char *read_path(struct json_span value, struct arguments *to)
{
	int err = json_text(value, to->path, sizeof(to->path));

	if (err == -ENAMETOOLONG)
		return "is too long";
	return err ? "must be a text such as vmbus/channels" : NULL;
}

static const char *read_depth(struct json_span value, struct arguments *to)
{
	_Static_assert(MAX_DEPTH == 16, "the text below says so");
	return json_number(value, MAX_DEPTH, &to->depth) || !to->depth ?
		       "must be a number from 1 to 16" : NULL;
}

static const char *read_event(struct json_span value, struct arguments *to)
{
	return json_text(value, to->event, sizeof(to->event)) ?
		       "must be a text such as link-down" : NULL;
}

static const char *read_offset(struct json_span value, struct arguments *to)
{
	bool behind = *value.at == '-';
	uint64_t seconds;

	_Static_assert(MAX_OFFSET == 3155760000, "the text below says so");
	value.at += behind;
	value.len -= behind;
	if (json_number(value, MAX_OFFSET, &seconds))
		return "must be whole seconds, at most 3155760000 either way";
	to->offset = behind ? -(int64_t)seconds : (int64_t)seconds;
	return NULL;
}

static const char *read_key(struct json_span value, struct arguments *to)
{
	int err = json_text(value, to->key, sizeof(to->key));

	if (err == -ENAMETOOLONG)
		return "is too long";
	return err || !*to->key ? "must be a text such as OSName" : NULL;
}

static const char *read_pool(struct json_span value, struct arguments *to)
{
	return json_text(value, to->pool, sizeof(to->pool)) ?
		       "must be a text such as auto" : NULL;
}

static const char *read_fault(struct json_span value, struct arguments *to)
{
	return json_text(value, to->fault, sizeof(to->fault)) ?
		       "must be a text such as drop" : NULL;
}

static const char *read_opcode(struct json_span value, struct arguments *to)
{
	return json_number(value, UINT8_MAX, &to->opcode) ?
		       "must be a number from 0 to 255" : NULL;
}

static const char *read_admin(struct json_span value, struct arguments *to)
{
	to->admin = json_is_literal(value, "true");
	return to->admin || json_is_literal(value, "false") ?
		       NULL : "must be true or false";
}

static const char *read_lba(struct json_span value, struct arguments *to)
{
	return json_number(value, UINT64_MAX, &to->lba) ?
		       "must be a whole number" : NULL;
}

static const char *read_32(struct json_span value, uint64_t *to)
{
	return json_number(value, UINT32_MAX, to) ?
		       "must be a number from 0 to 4294967295" : NULL;
}

static const char *read_skip(struct json_span value, struct arguments *to)
{
	return read_32(value, &to->skip);
}

static const char *read_count(struct json_span value, struct arguments *to)
{
	return read_32(value, &to->count);
}

static const char *read_delay(struct json_span value, struct arguments *to)
{
	return read_32(value, &to->delay_ms);
}

static const struct argument {
	const char *name;
	read_argument *read;
} argument_table[] = {
	{ "disk", read_disk },
	{ "nsid", read_nsid },
	{ "back", read_back },
	{ "size", read_size },
	{ "path", read_path },
	{ "depth", read_depth },
	{ "event", read_event },
	{ "offset", read_offset },
	{ "key", read_key },
	{ "pool", read_pool },
	{ "fault", read_fault },
	{ "opcode", read_opcode },
	{ "admin", read_admin },
	{ "lba", read_lba },
	{ "skip", read_skip },
	{ "count", read_count },
	{ "delay_ms", read_delay },
};
#define NR_ARGUMENTS (sizeof(argument_table) / sizeof(argument_table[0]))

/* Bits of the table's rows. */
enum {
	DISK = 1,
	NSID = 2,
	BACK = 4,
	SIZE = 8,
	PATH = 16,
	DEPTH = 32,
	EVENT = 64,
	OFFSET = 128,
	KEY = 256,
	POOL = 512,
	FAULT = 1 << 10,
	OPCODE = 1 << 11,
	IS_ADMIN = 1 << 12,
	LBA = 1 << 13,
	SKIP = 1 << 14,
	COUNT = 1 << 15,
	DELAY = 1 << 16,
};

static unsigned int find_argument(struct json_span name)
{
	unsigned int i = 0;

	while (i < NR_ARGUMENTS &&
	       !json_is_string(name, argument_table[i].name))
		i++;
	return i;
}

/* Reads those that are needed, and those that may be there, no others. False:
 * answered. */
static bool read_arguments(struct control_request *request,
			   struct json_span args, unsigned int needed,
			   unsigned int optional, struct arguments *to)
{
	struct json_span name, value = { 0 };
	unsigned int seen = 0;

	while (json_next(args, &name, &value)) {
		unsigned int i = find_argument(name);
		const char *rule;

		if (i == NR_ARGUMENTS ||
		    !((needed | optional) & 1u << i)) {
			control_error(request, "%.*s: unknown argument",
				      name.len > 34 ? 32 : (int)name.len - 2,
				      name.at + 1);
			return false;
		}
		rule = seen & 1u << i ? "given twice" :
					argument_table[i].read(value, to);
		if (rule) {
			control_error(request, "%s: %s",
				      argument_table[i].name, rule);
			return false;
		}
		seen |= 1u << i;
		to->given = seen;
	}
	for (unsigned int i = 0; i < NR_ARGUMENTS; i++) {
		if (!(needed & ~seen & 1u << i))
			continue;
		control_error(request, "%s: is missing",
			      argument_table[i].name);
		return false;
	}
	return true;
}

static void answer(struct control_request *request, const char *rule)
{
	if (rule)
		control_error(request, "%s", rule);
	else
		control_ok(request, "{}");
}

/* ---- the machine ---- */

static void run_quit(void *opaque, struct control_request *request,
		     struct json_span args)
{
	const struct command_target *target = opaque;

	if (!read_arguments(request, args, 0, 0, NULL))
		return;
	target->ops->quit(target->opaque);
	answer(request, NULL);
}

static void run_nmi(void *opaque, struct control_request *request,
		    struct json_span args)
{
	const struct command_target *target = opaque;

	if (!read_arguments(request, args, 0, 0, NULL))
		return;
	target->ops->nmi(target->opaque);
	answer(request, NULL);
}

static void run_reset(void *opaque, struct control_request *request,
		      struct json_span args)
{
	const struct command_target *target = opaque;

	if (read_arguments(request, args, 0, 0, NULL))
		answer(request, target->ops->reset(target->opaque));
}

static void run_stats(void *opaque, struct control_request *request,
		      struct json_span args)
{
	const struct command_target *target = opaque;
	char *text = NULL;
	size_t len;
	FILE *out;

	if (!read_arguments(request, args, 0, 0, NULL))
		return;
	out = open_memstream(&text, &len);
	if (out) {
		target->ops->stats(target->opaque, out);
		fclose(out);
	}
	if (text)
		control_ok(request, text);
	else
		control_error(request, "out of memory");
	free(text);
}

static void run_inspect(void *opaque, struct control_request *request,
			struct json_span args)
{
	const struct command_target *target = opaque;
	struct arguments a = { .depth = DEPTH_UNSAID };
	char *text = NULL;
	int err = -ENOMEM;
	size_t len;
	FILE *out;

	if (!read_arguments(request, args, 0, PATH | DEPTH, &a))
		return;
	out = open_memstream(&text, &len);
	if (out) {
		err = target->ops->inspect(target->opaque, a.path,
					   (unsigned int)a.depth, out);
		fclose(out);
	}
	if (!err && text)
		control_ok(request, text);
	else if (err == -ENOENT)
		control_error(request, "path: there is no such object");
	else if (err == -ENOSPC)
		control_error(request, "depth: the answer is too big");
	else
		control_error(request, "out of memory");
	free(text);
}

/* For what is answered later: settings, and what the guest is asked for. */
static void answer_later(void *request, const char *error)
{
	answer(request, error);
}

/* ---- settings ---- */

/* What the settings mean is VTL2's to judge. */
static void run_settings(void *opaque, struct control_request *request,
			 struct json_span args)
{
	const struct command_target *target = opaque;
	struct json_span version;
	const char *rule = "/version: is missing";

	if (json_member(args, "version", &version))
		rule = target->ops->settings(target->opaque, args.at, args.len,
					     answer_later, request);
	if (rule)
		control_error(request, "%s", rule);
}

/* ---- the guest ---- */

static void run_shutdown(void *opaque, struct control_request *request,
			 struct json_span args)
{
	const struct command_target *target = opaque;
	const char *rule;

	if (!read_arguments(request, args, 0, 0, NULL))
		return;
	rule = target->ops->shutdown(target->opaque, answer_later, request);
	if (rule)
		control_error(request, "%s", rule);
}

static void run_time(void *opaque, struct control_request *request,
		     struct json_span args)
{
	const struct command_target *target = opaque;
	struct arguments a;
	const char *rule;

	if (!read_arguments(request, args, OFFSET, 0, &a))
		return;
	rule = target->ops->time(target->opaque, a.offset, answer_later,
				 request);
	if (rule)
		control_error(request, "%s", rule);
}

static void answer_value(void *request, const char *error, const char *value)
{
	char *text = NULL;
	size_t len;
	FILE *out;

	if (error) {
		control_error(request, "%s", error);
		return;
	}
	out = open_memstream(&text, &len);
	if (out) {
		fputs("{\"value\":", out);
		json_write(out, value);
		fputs("}", out);
		fclose(out);
	}
	if (text)
		control_ok(request, text);
	else
		control_error(request, "out of memory");
	free(text);
}

static void run_kvp_get(void *opaque, struct control_request *request,
			struct json_span args)
{
	const struct command_target *target = opaque;
	struct arguments a = { .pool = "auto" };
	const char *rule;

	if (!read_arguments(request, args, KEY, POOL, &a))
		return;
	rule = target->ops->kvp_get(target->opaque, a.pool, a.key,
				    answer_value, request);
	if (rule)
		control_error(request, "%s", rule);
}

/* ---- media ---- */

static void run_nvme_attach(void *opaque, struct control_request *request,
			    struct json_span args)
{
	const struct command_target *target = opaque;
	struct arguments a;

	if (read_arguments(request, args, DISK | NSID | BACK, 0, &a))
		answer(request, target->ops->nvme_attach(
					target->opaque, (unsigned int)a.disk,
					(uint32_t)a.nsid, a.back));
}

static void run_nvme_detach(void *opaque, struct control_request *request,
			    struct json_span args)
{
	const struct command_target *target = opaque;
	struct arguments a;

	if (read_arguments(request, args, DISK | NSID, 0, &a))
		answer(request, target->ops->nvme_detach(
					target->opaque, (unsigned int)a.disk,
					(uint32_t)a.nsid));
}

static void run_nvme_resize(void *opaque, struct control_request *request,
			    struct json_span args)
{
	const struct command_target *target = opaque;
	struct arguments a;

	if (read_arguments(request, args, DISK | NSID | SIZE, 0, &a))
		answer(request, target->ops->nvme_resize(
					target->opaque, (unsigned int)a.disk,
					(uint32_t)a.nsid, a.size));
}

static void run_scsi_resize(void *opaque, struct control_request *request,
			    struct json_span args)
{
	const struct command_target *target = opaque;
	struct arguments a;

	if (read_arguments(request, args, DISK | SIZE, 0, &a))
		answer(request, target->ops->scsi_resize(
					target->opaque, (unsigned int)a.disk,
					a.size));
}

/* ---- faults ---- */

static void run_fault(void *opaque, struct control_request *request,
		      struct json_span args)
{
	static const struct {
		unsigned int given;
		enum nvme_fault_field field;
	} fields[] = {
		{ OPCODE, NVME_FAULT_OPCODE }, { IS_ADMIN, NVME_FAULT_ADMIN },
		{ NSID, NVME_FAULT_NSID },     { LBA, NVME_FAULT_LBA },
		{ SKIP, NVME_FAULT_SKIP },     { COUNT, NVME_FAULT_COUNT },
		{ DELAY, NVME_FAULT_DELAY },
	};
	const struct command_target *target = opaque;
	struct arguments a = { 0 };
	struct nvme_fault fault = { 0 };

	if (!read_arguments(request, args, DISK | FAULT,
			    OPCODE | IS_ADMIN | NSID | LBA | SKIP | COUNT |
				    DELAY, &a))
		return;
	fault.name = a.fault;
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (a.given & fields[i].given)
			fault.given |= fields[i].field;
	fault.opcode = (uint8_t)a.opcode;
	fault.admin = a.admin;
	fault.nsid = (uint32_t)a.nsid;
	fault.lba = a.lba;
	fault.skip = (uint32_t)a.skip;
	fault.count = (uint32_t)a.count;
	fault.delay_ms = (uint32_t)a.delay_ms;
	answer(request, target->ops->fault(target->opaque,
					   (unsigned int)a.disk, &fault));
}

/* ---- the network ---- */

static void run_mana_event(void *opaque, struct control_request *request,
			   struct json_span args)
{
	const struct command_target *target = opaque;
	struct arguments a;

	if (read_arguments(request, args, EVENT, 0, &a))
		answer(request, target->ops->mana_event(target->opaque,
							a.event));
}

const struct control_command commands[] = {
	{ "quit", run_quit },
	{ "nmi", run_nmi },
	{ "reset", run_reset },
	{ "stats", run_stats },
	{ "inspect", run_inspect },
	{ "settings", run_settings },
	{ "shutdown", run_shutdown },
	{ "time", run_time },
	{ "kvp-get", run_kvp_get },
	{ "nvme-attach", run_nvme_attach },
	{ "nvme-detach", run_nvme_detach },
	{ "nvme-resize", run_nvme_resize },
	{ "scsi-resize", run_scsi_resize },
	{ "mana-event", run_mana_event },
	{ "fault", run_fault },
	{ "pause", NULL },
	{ "resume", NULL },
	{ NULL, NULL },
};
