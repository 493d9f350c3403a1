/* SPDX-License-Identifier: MIT */
/*
 * Guest emulation transport, theory of operation
 *
 * Owns: a short queue of notifications, the difference between the host's wall
 * clock and our monotonic one, and one change of settings. States of the
 * transport:
 *
 *	(start) -> asked --VERSION accepted--> accepted
 *	absent     |                             |
 *	           `---- refused, pipe gone -----+--> gone
 *
 * Nothing is reported before the version is agreed; reports wait in the queue,
 * and so do those that find the pipe full. In absent and gone they are logged
 * and dropped: nobody listens.
 *
 * A report of the guest's end or crash stays at the head of the queue while a
 * port is busy, until a timer says that this took long enough. The timer is armed
 * on the reactor by a posted call, because ends are reported on any thread.
 *
 * The first end of a guest counts; what it does afterwards (other VPs run for
 * a moment) is logged and dropped, until again(). A crash is no end: the guest
 * may go on for long, to save a dump, and its end is told then. Of crashes the
 * first counts, too.
 *
 * A change of settings is put together (get_settings.c), handed to who applies
 * it, and answered once; the protocol gives an answer no name, so there is one
 * change at a time, and what a host sends meanwhile is refused without one.
 *
 * Threads: reports come from VP threads, messages on the pipe's reactor; one
 * lock covers both. It is a leaf: nothing is called under it but the pipe,
 * settings() and reactor_post().
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include <pv/log.h>
#include <pv/violation.h>

#include "get_notify.h"

LOG_MODULE("get");

#define NS_PER_S 1000000000ll

static struct get_notify *get_of_host(struct host_notify *host)
{
	return (struct get_notify *)((char *)host -
		offsetof(struct get_notify, host));
}

static struct get_notify *get_of_user(struct pipe_user *user)
{
	return (struct get_notify *)((char *)user -
		offsetof(struct get_notify, user));
}

static struct get_header header_of(enum get_type type, uint16_t id)
{
	return (struct get_header){
		.version = GET_HEADER_VERSION,
		.type = type,
		.id = cpu_to_le16(id),
	};
}

static int64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

void get_notify_lock(struct get_notify *get)
{
	pthread_mutex_lock(&get->lock);
}

void get_notify_unlock(struct get_notify *get)
{
	pthread_mutex_unlock(&get->lock);
}

int64_t get_notify_wall_clock(void *opaque)
{
	struct get_notify *get = opaque;
	int64_t ns;

	get_notify_lock(get);
	ns = get->time_known ?
		clock_ns(CLOCK_MONOTONIC) + get->clock_offset :
		clock_ns(CLOCK_REALTIME);
	get_notify_unlock(get);
	return ns / NS_PER_S;
}

static void drop_all(struct get_notify *get, const char *why)
{
	if (get->gone)
		return;
	if (why)
		log_warn("%s; the host learns nothing about the guest", why);
	get->gone = true;
	get->dropped += get->count + !!get->completed_size;
	get->count = 0;
	get->completed_size = 0;
}

static bool must_wait(const struct get_notify *get,
		      const struct get_queued *n)
{
	return n->end && get->busy && get->reactor && !get->drain_over;
}

static void flush(struct get_notify *get)
{
	if (get->completed_size &&
	    !pipe_send(get->pipe, get->completed, get->completed_size)) {
		get->completed_size = 0;
		get->sent++;
	}
	while (get->accepted && get->count) {
		struct get_queued *n =
			&get->queue[get->head % GET_NOTIFY_QUEUE];

		if (must_wait(get, n) ||
		    pipe_send(get->pipe, n->bytes, n->size))
			return; /* looked at again when that changes */
		get->head++;
		get->count--;
		get->sent++;
	}
}

static void queue(struct get_notify *get, const void *message, size_t size,
		  bool is_end)
{
	struct get_queued *n =
		&get->queue[(get->head + get->count) % GET_NOTIFY_QUEUE];

	pv_bug(size > GET_NOTIFY_MESSAGE, size, GET_NOTIFY_MESSAGE);
	if (get->gone || get->absent || get->count == GET_NOTIFY_QUEUE) {
		get->dropped++;
		return;
	}
	memcpy(n->bytes, message, size);
	n->size = (uint16_t)size;
	n->end = is_end;
	get->count++;
	flush(get);
}

/* On the reactor. */
static void drain_starts(struct reactor_call *call)
{
	struct get_notify *get = (struct get_notify *)((char *)call -
		offsetof(struct get_notify, drain));

	reactor_timer_arm(get->reactor, &get->drain_timer,
			  reactor_now() + GET_NOTIFY_DRAIN_NS);
}

static void drain_ends(struct reactor_timer *timer)
{
	struct get_notify *get = (struct get_notify *)((char *)timer -
		offsetof(struct get_notify, drain_timer));

	get_notify_lock(get);
	if (get->count && must_wait(get, &get->queue[get->head %
						     GET_NOTIFY_QUEUE]))
		log_warn("the host does not take the guest's last output");
	get->drain_over = true;
	flush(get);
	get_notify_unlock(get);
}

void get_notify_drain_on(struct get_notify *get, struct reactor *reactor)
{
	get->drain.fn = drain_starts;
	get->drain_timer.fn = drain_ends;
	get->reactor = reactor;
}

void get_notify_busy(struct get_notify *get, unsigned int port, bool busy)
{
	get_notify_lock(get);
	if (busy)
		get->busy |= 1u << port;
	else
		get->busy &= ~(1u << port);
	flush(get);
	get_notify_unlock(get);
}

/* Reports what counts once in a life; `reported`: it was, this is dropped. */
static bool report(struct get_notify *get, bool *reported, const char *what,
		   const void *message, size_t size)
{
	bool first;

	get_notify_lock(get);
	first = !*reported;
	if (first) {
		*reported = true;
		get->drain_over = false;
		log_info("guest: %s", what);
		queue(get, message, size, true);
		if (get->busy && get->reactor)
			reactor_post(get->reactor, &get->drain);
	} else {
		get->dropped++;
	}
	get_notify_unlock(get);
	return first;
}

static void end(struct get_notify *get, const char *what, const void *message,
		size_t size)
{
	if (!report(get, &get->ended, what, message, size))
		log_info("guest: %s, after its end", what);
}

static void report_power_off(struct host_notify *host)
{
	struct get_power_off message = {
		.header = header_of(GET_HOST_NOTIFICATION, GET_POWER_OFF),
	};

	end(get_of_host(host), "power off", &message, sizeof(message));
}

static void report_reset(struct host_notify *host)
{
	struct get_header message = header_of(GET_HOST_NOTIFICATION, GET_RESET);

	end(get_of_host(host), "reset", &message, sizeof(message));
}

static void report_crash(struct host_notify *host, uint32_t vp,
			 uint64_t control,
			 const uint64_t parameter[HOST_CRASH_PARAMETERS])
{
	struct get_notify *get = get_of_host(host);
	struct get_vtl_crash message = {
		.header = header_of(GET_HOST_NOTIFICATION, GET_VTL_CRASH),
		.vp_index = cpu_to_le32(vp),
		.control = cpu_to_le64(control),
	};

	for (unsigned int i = 0; i < GET_CRASH_PARAMETERS; i++)
		message.parameters[i] = cpu_to_le64(parameter[i]);
	/* No line for what is dropped: a guest can do it without end. */
	report(get, &get->crashed, "crash", &message, sizeof(message));
}

static void report_triple_fault(struct host_notify *host, uint32_t vp)
{
	struct get_triple_fault message = {
		.header = header_of(GET_HOST_NOTIFICATION, GET_TRIPLE_FAULT),
		.vp_index = cpu_to_le32(vp),
		.fault_type = cpu_to_le32(GET_FAULT_UNRECOVERABLE_EXCEPTION),
	};

	end(get_of_host(host), "triple fault", &message, sizeof(message));
}

static void report_started(struct host_notify *host, const char *why)
{
	struct get_notify *get = get_of_host(host);
	size_t len = why ? strnlen(why, GET_RESULT_MAX) : 0;
	struct get_start_vtl0_completed head = {
		.header = header_of(GET_HOST_NOTIFICATION,
				    GET_START_VTL0_COMPLETED),
		.status = cpu_to_le32(why ? 1 : 0),
		.result_size = cpu_to_le32(len),
	};
	uint8_t message[GET_NOTIFY_MESSAGE];

	memcpy(message, &head, sizeof(head));
	if (len)
		memcpy(message + sizeof(head), why, len);
	get_notify_lock(get);
	queue(get, message, sizeof(head) + len, false);
	get_notify_unlock(get);
}

static void report_again(struct host_notify *host)
{
	struct get_notify *get = get_of_host(host);

	get_notify_lock(get);
	get->ended = false;
	get->crashed = false;
	get_notify_unlock(get);
}

static const struct host_notify_ops host_ops = {
	.power_off = report_power_off,
	.reset = report_reset,
	.crash = report_crash,
	.triple_fault = report_triple_fault,
	.started = report_started,
	.again = report_again,
};

/* What the host sent, a message of this id, is not taken. */
static void refuse(struct get_notify *get, uint32_t id, uint32_t offset,
		   uint64_t value, const char *rule)
{
	get->refused++;
	violation_record("get", 0, id, offset, value, rule);
}

static void version_answered(struct get_notify *get, const void *message,
			     size_t size)
{
	struct get_header ask = header_of(GET_HOST_REQUEST, GET_TIME);
	struct get_version_response response;

	if (get->accepted || size < sizeof(response)) {
		refuse(get, GET_VERSION, (uint32_t)size, sizeof(response),
		       "get.version.answer");
		drop_all(get, NULL);
		return;
	}
	memcpy(&response, message, sizeof(response));
	if (!response.accepted) {
		drop_all(get, "the host refuses protocol 4.2");
		return;
	}
	get->accepted = true;
	/* Without room for it, this kernel's clock has to do. */
	if (pipe_send(get->pipe, &ask, sizeof(ask)))
		log_warn("no room to ask for the time");
	flush(get);
}

static void time_answered(struct get_notify *get, const void *message,
			  size_t size)
{
	struct get_time_response response;
	uint64_t utc;

	if (size < sizeof(response)) {
		refuse(get, GET_TIME, (uint32_t)size, sizeof(response),
		       "get.message.complete");
		return;
	}
	memcpy(&response, message, sizeof(response));
	utc = le64_to_cpu(response.utc);
	/* From 1970 to the year 2262, where nanoseconds end. */
	if (utc < GET_TIME_UNIX_EPOCH * GET_TIME_HZ ||
	    utc - GET_TIME_UNIX_EPOCH * GET_TIME_HZ > INT64_MAX / 100) {
		refuse(get, GET_TIME,
		       offsetof(struct get_time_response, utc), utc,
		       "get.time.range");
		return;
	}
	utc -= GET_TIME_UNIX_EPOCH * GET_TIME_HZ;
	get->clock_offset = (int64_t)(utc * 100) - clock_ns(CLOCK_MONOTONIC);
	get->time_known = true;
}

/* The lock is held. */
static void complete_settings(struct get_notify *get, bool hold,
			      const char *text)
{
	struct get_modify_settings_completed message = {
		.header = header_of(GET_HOST_NOTIFICATION,
				    GET_MODIFY_SETTINGS_COMPLETED),
		.status = cpu_to_le32(hold ? 0 : 1),
	};
	size_t len = text ? strnlen(text, GET_RESULT_MAX) : 0;

	get_settings_clear(&get->update);
	get->applying = false;
	if (get->gone) {
		get->dropped++;
		return;
	}
	message.result_size = cpu_to_le32(len);
	memcpy(get->completed, &message, sizeof(message));
	if (len)
		memcpy(get->completed + sizeof(message), text, len);
	get->completed_size = (uint16_t)(sizeof(message) + len);
	flush(get);
}

void get_notify_settings_done(struct get_notify *get, bool hold,
			      const char *text)
{
	get_notify_lock(get);
	pv_bug(!get->applying, get->applying, true);
	if (!hold)
		log_warn("new settings refused: %s", text);
	else if (text)
		log_warn("new settings hold, but: %s", text);
	else
		log_info("new settings hold");
	complete_settings(get, hold, text);
	get_notify_unlock(get);
}

static void settings_came(struct get_notify *get, uint16_t id,
			  const void *message, size_t size)
{
	struct get_settings aside = { 0 };
	const char *wrong;

	if (get->applying || get->skipping) {
		get->skipping = !get_settings_piece(&aside, id, message, size);
		get_settings_clear(&aside);
		refuse(get, id, 0, size, "get.settings.busy");
		return;
	}
	if (!get_settings_piece(&get->update, id, message, size))
		return;
	wrong = get->update.wrong;
	if (!wrong && !get->settings)
		wrong = "settings: none are taken while the guest runs";
	if (wrong) {
		refuse(get, id, 0, size, "get.settings");
		log_warn_limited("the host breaks a rule: %s", wrong);
		complete_settings(get, false, wrong);
		return;
	}
	get->applying = true;
	get->settings(get->settings_opaque, get->update.text, get->update.len);
}

static void received(struct pipe_user *user, const void *message, size_t size)
{
	struct get_notify *get = get_of_user(user);
	struct get_header header;

	get->received++;
	if (get->gone)
		return;
	if (size < sizeof(header)) {
		refuse(get, 0, (uint32_t)size, sizeof(header),
		       "get.message.header");
		return;
	}
	memcpy(&header, message, sizeof(header));
	if (header.version == GET_HEADER_VERSION &&
	    header.type == GET_HOST_RESPONSE &&
	    le16_to_cpu(header.id) == GET_VERSION) {
		version_answered(get, message, size);
	} else if (header.version == GET_HEADER_VERSION &&
		   header.type == GET_HOST_RESPONSE &&
		   le16_to_cpu(header.id) == GET_TIME) {
		time_answered(get, message, size);
	} else if (header.version == GET_HEADER_VERSION &&
		   header.type == GET_GUEST_NOTIFICATION && get->accepted &&
		   (le16_to_cpu(header.id) == GET_MODIFY_SETTINGS ||
		    le16_to_cpu(header.id) == GET_MODIFY_SETTINGS_REV1)) {
		settings_came(get, le16_to_cpu(header.id), message, size);
	} else {
		/* Other guest notifications are not served. */
		refuse(get, le16_to_cpu(header.id),
		       offsetof(struct get_header, type), header.type,
		       "get.message.type");
	}
}

static void room(struct pipe_user *user)
{
	flush(get_of_user(user));
}

static void gone(struct pipe_user *user)
{
	drop_all(get_of_user(user), "the transport is gone");
}

static const struct pipe_user_ops user_ops = {
	.received = received,
	.room = room,
	.gone = gone,
};

void get_notify_init(struct get_notify *get)
{
	memset(get, 0, sizeof(*get));
	pthread_mutex_init(&get->lock, NULL);
	get->host.ops = &host_ops;
	get->user.ops = &user_ops;
}

void get_notify_start(struct get_notify *get, struct message_pipe *pipe)
{
	struct get_version_request request = {
		.header = header_of(GET_HOST_REQUEST, GET_VERSION),
		.version = cpu_to_le32(GET_PROTOCOL_VERSION),
	};

	get->pipe = pipe;
	if (pipe_send(pipe, &request, sizeof(request)))
		drop_all(get, "no room for the first message");
}

void get_notify_absent(struct get_notify *get)
{
	get_notify_lock(get);
	get->absent = true;
	get->dropped += get->count;
	get->count = 0;
	get_notify_unlock(get);
	log_warn("the host has no guest emulation transport");
}
