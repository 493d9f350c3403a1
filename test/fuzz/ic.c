// SPDX-License-Identifier: MIT
/*
 * Integration services against whatever a guest sends; the pipe and the clock
 * are played here.
 *
 * Input: steps, each a byte that chooses: the guest opens or closes a service's
 * channel, time passes, somebody asks for something, the guest answers what it
 * was sent last with some of it changed, or sends bytes of its own.
 *
 * It must hold that what was asked for ends once, with an error or with a value
 * of good UTF-8; that versions agreed on are among those offered; that no timer
 * runs and nobody waits when the guest has closed everything.
 *
 * Half the usual executions a second: messages of 2 to 4 KiB go back and forth.
 */
#include <string.h>

#include "test/fuzz/fuzz.h"
#include "test/vmm/ic_services.h"

#define NR_SERVICES 4
#define MAX_STEPS 64
#define MESSAGE_MAX (sizeof(struct ic_header) + IC_MAX_BODY)

static struct shutdown_service shutdown_service;
static struct heartbeat_service heartbeat;
static struct time_service time_service;
static struct kvp_service kvp;

static struct ic *const service[NR_SERVICES] = {
	&shutdown_service.ic, &heartbeat.ic, &time_service.ic, &kvp.ic,
};

static struct {
	const struct pipe_device_ops *ops;
	bool open;
	uint8_t sent[MESSAGE_MAX]; /* the last message to the guest */
	size_t size;
	unsigned int waiting; /* requests that have not ended */
} channel[NR_SERVICES];

static bool pipe_full;

static unsigned int number_of(const struct ic *ic)
{
	unsigned int i = 0;

	while (i < NR_SERVICES && service[i] != ic)
		i++;
	fuzz_expect(i < NR_SERVICES, i, 0);
	return i;
}

/* ---- what the services use ---- */

static uint64_t now;
static struct reactor_timer *timers;

uint64_t reactor_now(void)
{
	return now;
}

void reactor_timer_cancel(struct reactor *r, struct reactor_timer *timer)
{
	struct reactor_timer **at = &timers;

	(void)r;
	if (!timer->armed)
		return;
	while (*at != timer)
		at = &(*at)->next;
	*at = timer->next;
	timer->armed = false;
}

void reactor_timer_arm(struct reactor *r, struct reactor_timer *timer,
		       uint64_t deadline)
{
	reactor_timer_cancel(r, timer);
	timer->deadline = deadline;
	timer->armed = true;
	timer->next = timers;
	timers = timer;
}

static void pass_time(uint64_t ns)
{
	struct reactor_timer *timer = timers;

	now += ns;
	/* What these arm is later. */
	for (unsigned int i = 0; timer && i < 16; i++) {
		if (timer->deadline > now) {
			timer = timer->next;
			continue;
		}
		reactor_timer_cancel(NULL, timer);
		timer->fn(timer);
		timer = timers;
	}
}

void pipe_device_init(struct pipe_device *pd, const struct pipe_device_ops *ops,
		      const struct guid *interface, const struct guid *instance)
{
	(void)interface;
	(void)instance;
	channel[number_of((struct ic *)pd)].ops = ops;
}

int pipe_send(struct message_pipe *pipe, const void *message, size_t size)
{
	struct ic *ic = (struct ic *)((char *)pipe -
				      offsetof(struct ic, pipe.pipe));
	unsigned int i = number_of(ic);

	fuzz_expect(channel[i].open, i, size);
	fuzz_expect(size >= sizeof(struct ic_header) && size <= MESSAGE_MAX,
		    size, i);
	if (pipe_full)
		return -11; /* EAGAIN */
	memcpy(channel[i].sent, message, size);
	channel[i].size = size;
	return 0;
}

uint64_t reference_time(const struct machine *m);
uint64_t reference_time(const struct machine *m)
{
	(void)m;
	return now / 100;
}

/* Of the services' trees only the names matter, and not here. */
void inspect_u64(struct inspect *out, const char *name, uint64_t value)
{
	(void)out;
	(void)name;
	(void)value;
}

void inspect_hex(struct inspect *out, const char *name, uint64_t value)
{
	inspect_u64(out, name, value);
}

void inspect_bool(struct inspect *out, const char *name, bool value)
{
	inspect_u64(out, name, value);
}

void inspect_text(struct inspect *out, const char *name, const char *value)
{
	(void)out;
	fuzz_expect(name && value, 0, 0);
}

/* ---- who asks ---- */

static void ended(void *opaque, const char *error)
{
	unsigned int i = (unsigned int)(uintptr_t)opaque;

	fuzz_expect(channel[i].waiting == 1, channel[i].waiting, i);
	fuzz_expect(!error || *error, i, 0);
	channel[i].waiting = 0;
	if (!error)
		fuzz_accept();
}

/* Bytes that follow the first of a character; -1: it is none. */
static int followers(uint8_t c)
{
	if (c < 0x80)
		return 0;
	if (c >= 0xc2 && c < 0xe0)
		return 1;
	if (c >= 0xe0 && c < 0xf0)
		return 2;
	return c >= 0xf0 && c < 0xf5 ? 3 : -1;
}

static void got(void *opaque, const char *error, const char *value)
{
	fuzz_expect(!error != !value, 0, 0);
	fuzz_expect(!value || strlen(value) < KVP_VALUE_TEXT, 0, 0);
	for (const char *at = value; at && *at; at++)
		for (int n = followers((uint8_t)*at); n; n--) {
			fuzz_expect(n > 0, *at, at - value);
			at++;
			fuzz_expect((*at & 0xc0) == 0x80, *at, at - value);
		}
	ended(opaque, error);
}

static void ask(struct fuzz_input *in, unsigned int i)
{
	void *opaque = (void *)(uintptr_t)i;
	unsigned int waiting = channel[i].waiting;
	const char *why;

	channel[i].waiting = 1;
	switch (i) {
	case 0:
		why = shutdown_service_ask(&shutdown_service, ended, opaque);
		break;
	case 2:
		why = time_service_set(&time_service,
				       (int32_t)fuzz_number(in, 4), ended,
				       opaque);
		break;
	case 3:
		why = kvp_service_get(&kvp, fuzz_number(in, 1) % 5, "k", got,
				      opaque);
		break;
	default:
		channel[i].waiting = waiting;
		return;
	}
	if (why)
		channel[i].waiting = waiting;
	else
		fuzz_expect(!waiting, i, 0);
}

/* ---- the guest ---- */

static void open_or_close(unsigned int i)
{
	struct ic *ic = service[i];

	if (!channel[i].open) {
		channel[i].open = true;
		channel[i].size = 0;
		channel[i].ops->opened(&ic->pipe);
		return;
	}
	ic->user.ops->gone(&ic->user);
	channel[i].ops->closed(&ic->pipe);
	channel[i].open = false;
	fuzz_expect(ic->state == IC_CLOSED && !ic->answered, ic->state, i);
	fuzz_expect(!channel[i].waiting, channel[i].waiting, i);
}

static void deliver(unsigned int i, const uint8_t *message, size_t size)
{
	struct ic *ic = service[i];

	ic->user.ops->received(&ic->user, message, size);
	if (ic->state != IC_READY)
		return;
	fuzz_accept();
	fuzz_expect(ic->framework == IC_VERSION(3, 0) ||
		    ic->framework == IC_VERSION(1, 0), ic->framework, i);
	for (unsigned int k = 0; ic->version != ic->ops->versions[k]; k++)
		fuzz_expect(ic->ops->versions[k], ic->version, i);
}

/* The last message back, as a good answer, with some bytes after its header
 * changed; and of another size. */
static void respond(struct fuzz_input *in, unsigned int i)
{
	uint8_t message[MESSAGE_MAX];
	struct ic_header header;
	size_t size = channel[i].size;
	size_t at = sizeof(header) + fuzz_number(in, 2);
	size_t cut = fuzz_number(in, 1);

	if (!size)
		return;
	memcpy(message, channel[i].sent, size);
	memcpy(&header, message, sizeof(header));
	header.flags = IC_FLAG_TRANSACTION | IC_FLAG_RESPONSE;
	header.status = cpu_to_le32((uint32_t)fuzz_number(in, 1) << 24);
	if (header.status == cpu_to_le32(0x80u << 24))
		header.status = cpu_to_le32(IC_NO_MORE_ITEMS);
	memcpy(message, &header, sizeof(header));
	if (at < size)
		fuzz_take(in, message + at, size - at < 16 ? size - at : 16);
	deliver(i, message, cut < 200 ? size : size - (cut - 199));
}

/* A negotiation's answer that is good. */
static void agree(struct fuzz_input *in, unsigned int i)
{
	struct {
		struct ic_header header;
		struct ic_negotiate head;
		struct ic_version version[2];
	} __packed message;
	uint32_t version = service[i]->ops->versions[fuzz_number(in, 1) % 3];

	if (channel[i].size < sizeof(message))
		return;
	memcpy(&message, channel[i].sent, sizeof(message));
	message.header.flags = IC_FLAG_RESPONSE;
	message.header.size = cpu_to_le16(sizeof(message) -
					  sizeof(message.header));
	message.head.frameworks = message.head.messages = cpu_to_le16(1);
	message.version[1].major = cpu_to_le16((uint16_t)(version >> 16));
	message.version[1].minor = cpu_to_le16((uint16_t)version);
	deliver(i, (const uint8_t *)&message, sizeof(message));
}

static void send_bytes(struct fuzz_input *in, unsigned int i)
{
	size_t size;
	const uint8_t *bytes = fuzz_rest(in, fuzz_number(in, 1), &size);

	deliver(i, bytes, size);
}

static void step(struct fuzz_input *in)
{
	uint8_t what = (uint8_t)fuzz_number(in, 1);
	unsigned int i = what >> 3 & 3;

	pipe_full = what >> 5 == 7;
	switch (what & 7) {
	case 0:
		open_or_close(i);
		break;
	case 1:
		pass_time(fuzz_number(in, 1) * 100000000);
		break;
	case 2:
		ask(in, i);
		break;
	case 3:
	case 4:
		if (channel[i].open)
			respond(in, i);
		break;
	case 5:
	case 6:
		if (channel[i].open)
			agree(in, i);
		break;
	case 7:
		if (channel[i].open)
			send_bytes(in, i);
		break;
	}
}

/* All is closed. Their pipes, of 28 KiB each, are not cleared every time: that
 * took most of it. */
static void begin(void)
{
	now = 0;
	if (!channel[0].ops) {
		fuzz_stderr_is_log();
		shutdown_service_init(&shutdown_service, NULL);
		heartbeat_service_init(&heartbeat, NULL);
		time_service_init(&time_service, NULL, NULL);
		kvp_service_init(&kvp, NULL);
	}
	for (unsigned int i = 0; i < NR_SERVICES; i++)
		service[i]->transaction = 0;
	heartbeat.sequence = 0;
	time_service.offset = 0;
	time_service.sync = false;
}

void fuzz_one(struct fuzz_input *in)
{
	begin();
	for (unsigned int i = 0; in->left && i < MAX_STEPS; i++)
		step(in);
	for (unsigned int i = 0; i < NR_SERVICES; i++) {
		ic_describe(service[i], NULL);
		if (channel[i].open)
			open_or_close(i);
	}
	fuzz_expect(!timers, 0, 0);
}
