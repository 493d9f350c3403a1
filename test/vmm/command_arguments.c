// SPDX-License-Identifier: MIT
/*
 * Arguments of commands, theory of operation
 *
 * One table has each argument's name, kind, and the function that reads it.
 * Whatever can be said of an argument by itself is said here: that it is
 * missing, has the wrong type, is too big, or that nobody knows it. What it
 * means is the command's business. No state, no thread.
 */
#include <errno.h>
#include <string.h>

#include "command_arguments.h"
#include "device_option.h"
#include "options.h"

#define MAX_DEPTH 16
#define DEPTH_UNSAID 4
#define MAX_OFFSET 3155760000ull /* seconds: a century */
#define MAX_GPA ((1ull << 52) - 1)
#define BYTES_UNSAID 64

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

static const char *read_gpa(struct json_span value, struct arguments *to)
{
	_Static_assert(MAX_GPA == 4503599627370495, "the text below says so");
	return json_number(value, MAX_GPA, &to->gpa) ?
		       "must be a number from 0 to 4503599627370495" : NULL;
}

static const char *read_bytes(struct json_span value, struct arguments *to)
{
	_Static_assert(ARGUMENT_MAX_READ == 4096, "the text below says so");
	return json_number(value, ARGUMENT_MAX_READ, &to->bytes) ||
			       !to->bytes ?
		       "must be a number from 1 to 4096" : NULL;
}

static const char *read_port(struct json_span value, struct arguments *to)
{
	return json_number(value, UINT32_MAX - 1, &to->port) ?
		       "must be a number from 0 to 4294967294" : NULL;
}

static const char *read_vtl(struct json_span value, struct arguments *to)
{
	return json_number(value, 2, &to->vtl) || to->vtl == 1 ?
		       "must be 0 or 2" : NULL;
}

static const char *read_fault(struct json_span value, struct arguments *to)
{
	return json_text(value, to->fault, sizeof(to->fault)) ?
		       "must be a text such as drop" : NULL;
}

static const char *read_admin(struct json_span value, struct arguments *to)
{
	to->admin = json_is_literal(value, "true");
	return to->admin || json_is_literal(value, "false") ?
		       NULL : "must be true or false";
}

static const char *read_opcode(struct json_span value, struct arguments *to)
{
	return json_number(value, UINT8_MAX, &to->opcode) ?
		       "must be a number from 0 to 255" : NULL;
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

static const char *read_vport(struct json_span value, struct arguments *to)
{
	_Static_assert(OPTIONS_MAX_NICS == 8, "the text below says so");
	return json_number(value, OPTIONS_MAX_NICS - 1, &to->vport) ?
		       "must be a number from 0 to 7" : NULL;
}

static const char *read_device(struct json_span value, struct arguments *to)
{
	return json_text(value, to->device, sizeof(to->device)) ?
		       "must be a text such as net0" : NULL;
}

static const struct {
	const char *name;
	enum argument_kind kind;
	read_argument *read;
} table[NR_ARGUMENTS] = {
	[ARGUMENT_DISK] = { "disk", ARGUMENT_NUMBER, read_disk },
	[ARGUMENT_NSID] = { "nsid", ARGUMENT_NUMBER, read_nsid },
	[ARGUMENT_BACK] = { "back", ARGUMENT_TEXT, read_back },
	[ARGUMENT_SIZE] = { "size", ARGUMENT_TEXT, read_size },
	[ARGUMENT_PATH] = { "path", ARGUMENT_TEXT, read_path },
	[ARGUMENT_DEPTH] = { "depth", ARGUMENT_NUMBER, read_depth },
	[ARGUMENT_EVENT] = { "event", ARGUMENT_TEXT, read_event },
	[ARGUMENT_OFFSET] = { "offset", ARGUMENT_INTEGER, read_offset },
	[ARGUMENT_KEY] = { "key", ARGUMENT_TEXT, read_key },
	[ARGUMENT_POOL] = { "pool", ARGUMENT_TEXT, read_pool },
	[ARGUMENT_GPA] = { "gpa", ARGUMENT_NUMBER, read_gpa },
	[ARGUMENT_BYTES] = { "bytes", ARGUMENT_NUMBER, read_bytes },
	[ARGUMENT_PORT] = { "port", ARGUMENT_NUMBER, read_port },
	[ARGUMENT_VTL] = { "vtl", ARGUMENT_NUMBER, read_vtl },
	[ARGUMENT_FAULT] = { "fault", ARGUMENT_TEXT, read_fault },
	[ARGUMENT_ADMIN] = { "admin", ARGUMENT_BOOLEAN, read_admin },
	[ARGUMENT_OPCODE] = { "opcode", ARGUMENT_NUMBER, read_opcode },
	[ARGUMENT_LBA] = { "lba", ARGUMENT_NUMBER, read_lba },
	[ARGUMENT_SKIP] = { "skip", ARGUMENT_NUMBER, read_skip },
	[ARGUMENT_COUNT] = { "count", ARGUMENT_NUMBER, read_count },
	[ARGUMENT_DELAY_MS] = { "delay_ms", ARGUMENT_NUMBER, read_delay },
	[ARGUMENT_VPORT] = { "vport", ARGUMENT_NUMBER, read_vport },
	[ARGUMENT_DEVICE] = { "device", ARGUMENT_TEXT, read_device },
	[ARGUMENT_SETTINGS] = { "settings", ARGUMENT_FILE, NULL },
};

const char *argument_name(enum argument argument)
{
	return table[argument].name;
}

enum argument_kind argument_kind(enum argument argument)
{
	return table[argument].kind;
}

/* Its place in the list, or -1: the command does not take it. */
static int find(const struct argument_list *list, struct json_span name)
{
	for (int i = 0; i < list->needed + list->optional; i++)
		if (json_is_string(name, table[list->name[i]].name))
			return i;
	return -1;
}

/* Settings are VTL2's to read, but for what tells that they are some. */
static bool read_settings(struct request *request, struct json_span args,
			  struct arguments *to)
{
	struct json_span version;

	if (!json_member(args, "version", &version)) {
		request_error(request, "/version: is missing");
		return false;
	}
	to->settings = args;
	return true;
}

bool arguments_read(struct request *request, const struct argument_list *list,
		    struct json_span args, struct arguments *to)
{
	struct json_span name, value = { 0 };
	unsigned int seen = 0;

	to->depth = DEPTH_UNSAID;
	to->bytes = BYTES_UNSAID;
	to->vtl = 0;
	to->given = 0;
	to->path[0] = '\0';
	strcpy(to->pool, "auto");
	if (list->needed && list->name[0] == ARGUMENT_SETTINGS)
		return read_settings(request, args, to);
	while (json_next(args, &name, &value)) {
		int i = find(list, name);
		const char *rule;

		if (i < 0) {
			request_error(request, "%.*s: unknown argument",
				      name.len > 34 ? 32 : (int)name.len - 2,
				      name.at + 1);
			return false;
		}
		rule = seen & 1u << i ? "given twice" :
					table[list->name[i]].read(value, to);
		if (rule) {
			request_error(request, "%s: %s",
				      table[list->name[i]].name, rule);
			return false;
		}
		seen |= 1u << i;
		to->given |= 1u << list->name[i];
	}
	for (unsigned int i = 0; i < list->needed; i++) {
		if (seen & 1u << i)
			continue;
		request_error(request, "%s: is missing",
			      table[list->name[i]].name);
		return false;
	}
	return true;
}
