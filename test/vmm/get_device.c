// SPDX-License-Identifier: MIT
/*
 * Guest emulation transport, the host's end: theory of operation
 *
 * Owns the state of one conversation:
 *
 *	channel opened --version accepted--> up --notifications--> machine ends
 *
 * Requests are answered at once; a request that does not fit into the pipe
 * is forgotten, with a line: VTL2 has at most two on their way. What VTL2
 * reports ends the machine: the first report counts (machine_stop()). A change
 * of VTL2's settings is get_update.c's.
 *
 * Failure answers: a message that is short or of an unknown kind is counted
 * and ignored, with one line; nothing is answered that was not asked.
 * Everything runs on the device thread.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <get_reg.h>
#include <pv/log.h>

#include "get_device.h"
#include "pipe_device.h"

LOG_MODULE("get");

struct get_device {
	struct pipe_device pipe;
	struct pipe_user user;
	struct machine *machine;
	struct get_update update;
	bool accepted;
	uint64_t requests, notifications, refused;
};

static struct get_device *of(struct pipe_device *pd)
{
	return (struct get_device *)pd;
}

static struct get_header header_of(enum get_type type, uint16_t id)
{
	return (struct get_header){
		.version = GET_HEADER_VERSION,
		.type = type,
		.id = cpu_to_le16(id),
	};
}

static void refuse(struct get_device *get, const struct get_header *header,
		   size_t size, const char *rule)
{
	get->refused++;
	log_warn_limited("message of type %u, id %u, %zu bytes: %s",
			 header->type, le16_to_cpu(header->id), size, rule);
}

static void respond(struct get_device *get, const void *message, size_t size)
{
	int err = pipe_send(&get->pipe.pipe, message, size);

	if (err)
		log_warn_limited("response lost: %s", strerror(-err));
}

/* ---- requests ---- */

static void version_request(struct get_device *get, const void *message)
{
	struct get_version_request in;
	struct get_version_response out = {
		.header = header_of(GET_HOST_RESPONSE, GET_VERSION),
	};

	memcpy(&in, message, sizeof(in));
	get->accepted = le32_to_cpu(in.version) == GET_PROTOCOL_VERSION;
	out.accepted = get->accepted;
	respond(get, &out, sizeof(out));
}

static void time_request(struct get_device *get, const void *message)
{
	struct get_time_response out = {
		.header = header_of(GET_HOST_RESPONSE, GET_TIME),
	};
	struct timespec now;

	(void)message;
	clock_gettime(CLOCK_MONOTONIC, &now);
	out.vm_reference_time = cpu_to_le64(
		(uint64_t)now.tv_sec * GET_TIME_HZ + (uint64_t)now.tv_nsec / 100);
	clock_gettime(CLOCK_REALTIME, &now);
	out.utc = cpu_to_le64(
		((uint64_t)now.tv_sec + GET_TIME_UNIX_EPOCH) * GET_TIME_HZ +
		(uint64_t)now.tv_nsec / 100);
	respond(get, &out, sizeof(out));
}

/* ---- notifications ---- */

static void power_off(struct get_device *get, const void *message, size_t size)
{
	(void)message;
	(void)size;
	machine_stop(get->machine, VMM_OK, "the guest powered itself off");
}

static void reset(struct get_device *get, const void *message, size_t size)
{
	(void)message;
	(void)size;
	machine_stop(get->machine, VMM_RESET, "VTL2 asked for a reset");
}

static void start_completed(struct get_device *get, const void *message,
			    size_t size)
{
	struct get_start_vtl0_completed in;
	char text[GET_RESULT_MAX + 1];
	size_t len;

	memcpy(&in, message, sizeof(in));
	len = size - sizeof(in);
	if (len > le32_to_cpu(in.result_size))
		len = le32_to_cpu(in.result_size);
	if (len > sizeof(text) - 1)
		len = sizeof(text) - 1;
	memcpy(text, (const char *)message + sizeof(in), len);
	text[len] = '\0';
	for (char *c = text; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	if (le32_to_cpu(in.status))
		machine_stop(get->machine, VMM_BAD_INPUT,
			     "VTL2 could not start VTL0%s%s", *text ? ": " : "",
			     text);
	else
		log_info("VTL0 was started");
}

static void vtl_crash(struct get_device *get, const void *message, size_t size)
{
	struct get_vtl_crash in;

	(void)size;
	memcpy(&in, message, sizeof(in));
	machine_stop(get->machine, VMM_GUEST_CRASHED,
		     "the guest crashed on VP %u in VTL%u: P0 %#llx P1 %#llx "
		     "P2 %#llx P3 %#llx P4 %#llx",
		     le32_to_cpu(in.vp_index), in.last_vtl,
		     (unsigned long long)le64_to_cpu(in.parameters[0]),
		     (unsigned long long)le64_to_cpu(in.parameters[1]),
		     (unsigned long long)le64_to_cpu(in.parameters[2]),
		     (unsigned long long)le64_to_cpu(in.parameters[3]),
		     (unsigned long long)le64_to_cpu(in.parameters[4]));
}

static void triple_fault(struct get_device *get, const void *message,
			 size_t size)
{
	struct get_triple_fault in;

	(void)size;
	memcpy(&in, message, sizeof(in));
	machine_stop(get->machine, VMM_GUEST_CRASHED,
		     "the guest had a triple fault on VP %u",
		     le32_to_cpu(in.vp_index));
}

static void settings_completed(struct get_device *get, const void *message,
			       size_t size)
{
	const char *rule = get_update_completed(&get->update, message, size);

	if (rule) {
		get->refused++;
		log_warn_limited("MODIFY_VTL2_SETTINGS_COMPLETED: %s", rule);
	}
}

/* ---- messages ---- */

static const struct {
	uint16_t id;
	size_t size; /* at least */
	void (*handle)(struct get_device *get, const void *message);
} requests[] = {
	{ GET_VERSION, sizeof(struct get_version_request), version_request },
	{ GET_TIME, sizeof(struct get_header), time_request },
};

static const struct {
	uint16_t id;
	size_t size;
	void (*handle)(struct get_device *get, const void *message,
		       size_t size);
} notifications[] = {
	{ GET_POWER_OFF, sizeof(struct get_power_off), power_off },
	{ GET_RESET, sizeof(struct get_header), reset },
	{ GET_MODIFY_SETTINGS_COMPLETED,
	  sizeof(struct get_modify_settings_completed), settings_completed },
	{ GET_START_VTL0_COMPLETED, sizeof(struct get_start_vtl0_completed),
	  start_completed },
	{ GET_VTL_CRASH, sizeof(struct get_vtl_crash), vtl_crash },
	{ GET_TRIPLE_FAULT, sizeof(struct get_triple_fault), triple_fault },
};

/* NULL, or the rule that the message breaks. */
static const char *request_came(struct get_device *get, uint16_t id,
				const void *message, size_t size)
{
	get->requests++;
	if (id != GET_VERSION && !get->accepted)
		return "no version was agreed on";
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		if (requests[i].id != id)
			continue;
		if (size < requests[i].size)
			return "shorter than its structure";
		requests[i].handle(get, message);
		return NULL;
	}
	return "a request that this host does not know";
}

static const char *notification_came(struct get_device *get, uint16_t id,
				     const void *message, size_t size)
{
	get->notifications++;
	if (!get->accepted)
		return "no version was agreed on";
	for (size_t i = 0;
	     i < sizeof(notifications) / sizeof(notifications[0]); i++) {
		if (notifications[i].id != id)
			continue;
		if (size < notifications[i].size)
			return "shorter than its structure";
		notifications[i].handle(get, message, size);
		return NULL;
	}
	return "a notification that this host does not know";
}

static void received(struct pipe_user *user, const void *message, size_t size)
{
	struct get_device *get =
		(struct get_device *)((char *)user -
				      offsetof(struct get_device, user));
	struct get_header header = { 0 };
	const char *rule;

	if (size >= sizeof(header))
		memcpy(&header, message, sizeof(header));
	if (header.version != GET_HEADER_VERSION)
		rule = "not a header of version 1";
	else if (header.type == GET_HOST_REQUEST)
		rule = request_came(get, le16_to_cpu(header.id), message, size);
	else if (header.type == GET_HOST_NOTIFICATION)
		rule = notification_came(get, le16_to_cpu(header.id), message,
					 size);
	else
		rule = "not for the host";
	if (rule)
		refuse(get, &header, size, rule);
}

static void room(struct pipe_user *user)
{
	struct get_device *get =
		(struct get_device *)((char *)user -
				      offsetof(struct get_device, user));

	get_update_room(&get->update);
}

/* An end of the pipe is no end of the machine: a daemon that is started again
 * opens it again. */
static void gone(struct pipe_user *user)
{
	struct get_device *get =
		(struct get_device *)((char *)user -
				      offsetof(struct get_device, user));

	get->accepted = false;
	get_update_gone(&get->update);
}

static const struct pipe_user_ops user_ops = {
	.received = received,
	.room = room,
	.gone = gone,
};

static struct pipe_user *opened(struct pipe_device *pd)
{
	of(pd)->accepted = false;
	return &of(pd)->user;
}

static void closed(struct pipe_device *pd)
{
	of(pd)->accepted = false;
}

static const struct pipe_device_ops ops = {
	.name = "get",
	.opened = opened,
	.closed = closed,
};

struct get_device *get_device_create(struct machine *m, struct reactor *loop)
{
	static const struct guid interface = GET_INTERFACE;
	static const struct guid instance = GET_INSTANCE;
	struct get_device *get = calloc(1, sizeof(*get));

	if (!get)
		return NULL;
	get->machine = m;
	get->user.ops = &user_ops;
	get_update_init(&get->update, loop, &get->pipe.pipe);
	pipe_device_init(&get->pipe, &ops, &interface, &instance);
	return get;
}

struct vmbus_device *get_device_offer(struct get_device *get)
{
	return &get->pipe.device;
}

const char *get_device_settings(struct get_device *get, const char *json,
				size_t len, get_update_done *done, void *opaque)
{
	if (!get->accepted)
		return "VTL2 has not opened the guest emulation transport";
	return get_update_start(&get->update, json, len, done, opaque);
}

void get_device_destroy(struct get_device *get)
{
	if (get)
		free(get->update.text);
	free(get);
}

void get_device_print_stats(struct get_device *get, FILE *out)
{
	fprintf(out,
		"{\"notifications\":%llu,\"refused\":%llu,\"requests\":%llu,"
		"\"updates\":%llu,\"updates_failed\":%llu}",
		(unsigned long long)get->notifications,
		(unsigned long long)get->refused,
		(unsigned long long)get->requests,
		(unsigned long long)get->update.updates,
		(unsigned long long)get->update.failures);
}
