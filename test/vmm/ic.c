// SPDX-License-Identifier: MIT
/*
 * Integration services, theory of operation
 *
 * Owns the conversation with the guest's driver of one service:
 *
 *	closed --open, a moment--> negotiating --one version each--> ready
 *	   ^                            |                              |
 *	   |                            `--none, nonsense--> unknown   |
 *	   `---------------- the guest closes, or breaks the pipe -----'
 *
 * The host has the first word, a moment after the guest opened the channel: a
 * guest that waits for the result of its OPEN may not hear an interrupt. A
 * guest may take as long as it likes to say which versions it knows (Linux
 * waits for a daemon, for up to a minute); nobody waits for that, requests are
 * refused meanwhile.
 *
 * One request waits for an answer at a time, with a deadline. Its number tells
 * its answer from one to an earlier request, which is counted as late.
 *
 * Failure answers: a message that breaks a rule is counted and named in the
 * log; if it was to be the answer, whoever asked is told. What the guest asks
 * for itself (no driver does) is answered with "not now".
 *
 * Everything runs on the device thread.
 */
#include <errno.h>
#include <string.h>

#include <pv/log.h>

#include "ic.h"

LOG_MODULE("ic");

#define FIRST_WORD_NS 100000000ull

static const uint32_t frameworks[] = { IC_VERSION(3, 0), IC_VERSION(1, 0) };
#define NR_FRAMEWORKS (sizeof(frameworks) / sizeof(frameworks[0]))

static struct ic *of(struct pipe_device *pd)
{
	return (struct ic *)pd;
}

static struct ic_version version_of(uint32_t version)
{
	return (struct ic_version){
		.major = cpu_to_le16((uint16_t)(version >> 16)),
		.minor = cpu_to_le16((uint16_t)version),
	};
}

static uint32_t number_of(struct ic_version version)
{
	return IC_VERSION(le16_to_cpu(version.major),
			  le16_to_cpu(version.minor));
}

static unsigned int nr_versions(const struct ic_ops *ops)
{
	unsigned int n = 0;

	while (ops->versions[n])
		n++;
	return n;
}

/* ---- to the guest ---- */

static int send(struct ic *ic, enum ic_type type, const void *body, size_t size)
{
	uint8_t message[sizeof(struct ic_header) + IC_MAX_BODY];
	struct ic_header header = {
		.framework = version_of(ic->framework),
		.type = cpu_to_le16(type),
		.message = version_of(ic->version),
		.size = cpu_to_le16((uint16_t)size),
		.transaction = ++ic->transaction,
		.flags = IC_FLAG_TRANSACTION | IC_FLAG_REQUEST,
	};

	if (size > IC_MAX_BODY)
		return -EMSGSIZE;
	memcpy(message, &header, sizeof(header));
	memcpy(message + sizeof(header), body, size);
	return pipe_send(&ic->pipe.pipe, message, sizeof(header) + size);
}

static void negotiate(struct ic *ic)
{
	struct {
		struct ic_negotiate head;
		struct ic_version version[NR_FRAMEWORKS + IC_MAX_VERSIONS];
	} body = { 0 };
	unsigned int messages = nr_versions(ic->ops);
	unsigned int n = 0;

	body.head.frameworks = cpu_to_le16(NR_FRAMEWORKS);
	body.head.messages = cpu_to_le16((uint16_t)messages);
	while (n < NR_FRAMEWORKS) {
		body.version[n] = version_of(frameworks[n]);
		n++;
	}
	for (unsigned int i = 0; i < messages; i++)
		body.version[n++] = version_of(ic->ops->versions[i]);
	if (send(ic, IC_NEGOTIATE, &body, sizeof(body.head) +
		 n * sizeof(body.version[0])))
		log_warn("%s: the ring has no room for the first message",
			 ic->ops->name);
	else
		ic->state = IC_NEGOTIATING;
}

const char *ic_request(struct ic *ic, const void *body, size_t size,
		       unsigned int seconds, ic_answered *answered)
{
	if (ic->state == IC_UNKNOWN)
		return "the guest knows no version of it";
	if (ic->state == IC_NEGOTIATING)
		return "the guest has not said yet which version it knows";
	if (ic->state != IC_READY)
		return "the guest does not listen";
	if (ic->answered)
		return "another request is under way";
	if (send(ic, ic->ops->type, body, size))
		return "the guest does not read what it is sent";
	ic->requests++;
	ic->answered = answered;
	reactor_timer_arm(ic->loop, &ic->timer,
			  reactor_now() + seconds * IC_NS_PER_S);
	return NULL;
}

/* ---- from the guest ---- */

static void end_request(struct ic *ic, const struct ic_answer *answer)
{
	ic_answered *answered = ic->answered;

	if (!answered)
		return;
	reactor_timer_cancel(ic->loop, &ic->timer);
	ic->answered = NULL;
	answered(ic, answer);
}

static void timer_expired(struct reactor_timer *timer)
{
	struct ic *ic = (struct ic *)((char *)timer -
				      offsetof(struct ic, timer));

	if (ic->state == IC_CLOSED) {
		negotiate(ic);
		return;
	}
	ic->timeouts++;
	end_request(ic, &(struct ic_answer){
		.error = "the guest does not answer in time",
	});
}

static bool has_version(const uint32_t *versions, size_t n, uint32_t version)
{
	for (size_t i = 0; i < n; i++)
		if (versions[i] == version)
			return true;
	return false;
}

/* Each of the functions below returns NULL, or the rule that is broken. */

static const char *negotiated(struct ic *ic, const uint8_t *body, size_t size)
{
	struct ic_negotiate head;
	struct ic_version version[2];

	if (ic->state != IC_NEGOTIATING)
		return "a version that nobody asked for";
	ic->state = IC_UNKNOWN;
	if (size < sizeof(head))
		return "an answer about versions that is too short";
	memcpy(&head, body, sizeof(head));
	if (!le16_to_cpu(head.frameworks) || !le16_to_cpu(head.messages))
		return "the guest knows none of the versions";
	if (le16_to_cpu(head.frameworks) != 1 ||
	    le16_to_cpu(head.messages) != 1)
		return "more than one version is chosen";
	if (size < sizeof(head) + sizeof(version))
		return "an answer about versions that is too short";
	memcpy(version, body + sizeof(head), sizeof(version));
	if (!has_version(frameworks, NR_FRAMEWORKS, number_of(version[0])) ||
	    !has_version(ic->ops->versions, nr_versions(ic->ops),
			 number_of(version[1])))
		return "a version is chosen that was not offered";
	ic->framework = number_of(version[0]);
	ic->version = number_of(version[1]);
	ic->state = IC_READY;
	if (ic->ops->ready)
		ic->ops->ready(ic);
	return NULL;
}

/* The same message, with this status. */
static const char *not_now(struct ic *ic, struct ic_header header,
			   const uint8_t *body, size_t size)
{
	uint8_t message[sizeof(header) + IC_MAX_BODY];

	if (size > IC_MAX_BODY)
		return "a request that is too long";
	ic->asked++;
	header.status = cpu_to_le32(IC_NOT_READY);
	header.flags = IC_FLAG_TRANSACTION | IC_FLAG_RESPONSE;
	memcpy(message, &header, sizeof(header));
	memcpy(message + sizeof(header), body, size);
	if (pipe_send(&ic->pipe.pipe, message, sizeof(header) + size))
		return "a request for whose answer there is no room";
	return NULL;
}

static const char *response_came(struct ic *ic, const struct ic_header *header,
				 const uint8_t *body, size_t size)
{
	uint16_t type = le16_to_cpu(header->type);

	if (type != IC_NEGOTIATE && type != ic->ops->type)
		return "of another service";
	if (header->transaction != ic->transaction ||
	    (type != IC_NEGOTIATE && !ic->answered)) {
		ic->late++;
		return NULL;
	}
	ic->answers++;
	if (type == IC_NEGOTIATE)
		return negotiated(ic, body, size);
	end_request(ic, &(struct ic_answer){
		.status = le32_to_cpu(header->status),
		.body = body,
		.size = size,
	});
	return NULL;
}

static const char *message_came(struct ic *ic, const uint8_t *message,
				size_t len)
{
	struct ic_header header;
	size_t size;

	if (len < sizeof(header))
		return "shorter than its header";
	memcpy(&header, message, sizeof(header));
	message += sizeof(header);
	size = le16_to_cpu(header.size);
	if (size > len - sizeof(header))
		return "shorter than its header says";
	if (header.flags & IC_FLAG_RESPONSE)
		return response_came(ic, &header, message, size);
	if (header.flags & IC_FLAG_REQUEST)
		return not_now(ic, header, message, size);
	return "neither request nor response";
}

static void received(struct pipe_user *user, const void *message, size_t size)
{
	struct ic *ic = (struct ic *)((char *)user - offsetof(struct ic, user));
	const char *rule = message_came(ic, message, size);

	if (!rule)
		return;
	ic->refused++;
	log_warn_limited("%s: a message of %zu bytes: %s", ic->ops->name, size,
			 rule);
}

static void room(struct pipe_user *user)
{
	/* What found none was refused to who asked. */
	(void)user;
}

static void gone(struct pipe_user *user)
{
	struct ic *ic = (struct ic *)((char *)user - offsetof(struct ic, user));

	ic->state = IC_CLOSED;
	reactor_timer_cancel(ic->loop, &ic->timer);
	end_request(ic, &(struct ic_answer){
		.error = "the guest closed the channel",
	});
	if (ic->ops->gone)
		ic->ops->gone(ic);
}

static const struct pipe_user_ops user_ops = {
	.received = received,
	.room = room,
	.gone = gone,
};

/* ---- life ---- */

static struct pipe_user *opened(struct pipe_device *pd)
{
	struct ic *ic = of(pd);

	ic->state = IC_CLOSED;
	ic->framework = frameworks[NR_FRAMEWORKS - 1];
	ic->version = IC_VERSION(1, 0);
	reactor_timer_arm(ic->loop, &ic->timer, reactor_now() + FIRST_WORD_NS);
	return &ic->user;
}

static void closed(struct pipe_device *pd)
{
	/* gone() has done it. */
	(void)pd;
}

static const struct pipe_device_ops pipe_ops = {
	.name = "integration service",
	.opened = opened,
	.closed = closed,
};

void ic_init(struct ic *ic, const struct ic_ops *ops, struct reactor *loop)
{
	*ic = (struct ic){ .ops = ops, .loop = loop };
	ic->user.ops = &user_ops;
	ic->timer.fn = timer_expired;
	pipe_device_init(&ic->pipe, &pipe_ops, &ops->interface, &ops->instance);
}

void ic_describe(struct ic *ic, struct inspect *out)
{
	static const char *const states[] = {
		[IC_CLOSED] = "closed",
		[IC_NEGOTIATING] = "negotiating",
		[IC_READY] = "ready",
		[IC_UNKNOWN] = "unknown",
	};

	inspect_text(out, "state", states[ic->state]);
	inspect_hex(out, "version", ic->state == IC_READY ? ic->version : 0);
	inspect_u64(out, "requests", ic->requests);
	inspect_u64(out, "answers", ic->answers);
	inspect_u64(out, "timeouts", ic->timeouts);
	inspect_u64(out, "late", ic->late);
	inspect_u64(out, "refused", ic->refused);
	inspect_u64(out, "asked", ic->asked);
	if (ic->ops->describe)
		ic->ops->describe(ic, out);
}
