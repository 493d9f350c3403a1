// SPDX-License-Identifier: MIT
/*
 * Heartbeat service, theory of operation
 *
 * A number goes to the guest every PERIOD_NS, and comes back as the next one:
 *
 *	none --answer--> beats --no answer in time--> lost
 *	  ^                ^                           |
 *	  |                `---------- answer ---------'
 *	  `---- the guest closes the channel ----
 *
 * A change to lost and back is one line on stderr. A guest that closes the
 * channel has not lost its heartbeat: it has stopped having one. An answer with
 * another number is life, too, and counted as wrong. While the machine is paused
 * nothing is sent, and what was asked before is not missed.
 */
#include <stdio.h>
#include <string.h>

#include "ic_services.h"

#define PERIOD_NS (2 * IC_NS_PER_S)

static struct heartbeat_service *of(struct ic *ic)
{
	return (struct heartbeat_service *)ic;
}

static void beat_later(struct heartbeat_service *s)
{
	reactor_timer_arm(s->ic.loop, &s->next, reactor_now() + PERIOD_NS);
}

static void lose(struct heartbeat_service *s)
{
	if (s->state == HEARTBEAT_LOST)
		return;
	s->state = HEARTBEAT_LOST;
	s->losses++;
	fprintf(stderr, "vmm: heartbeat lost: the guest does not answer for "
		"%u s\n", HEARTBEAT_LOST_S);
}

static void answered(struct ic *ic, const struct ic_answer *answer)
{
	struct heartbeat_service *s = of(ic);
	struct ic_heartbeat body;

	if (s->ic.state != IC_READY)
		return;
	beat_later(s);
	if (answer->error) {
		if (!s->paused)
			lose(s);
		return;
	}
	if (s->state == HEARTBEAT_LOST)
		fputs("vmm: heartbeat: the guest answers again\n", stderr);
	s->state = HEARTBEAT_BEATS;
	s->beats++;
	if (answer->size < sizeof(body.sequence)) {
		s->wrong++;
		return;
	}
	memcpy(&body.sequence, answer->body, sizeof(body.sequence));
	if (le64_to_cpu(body.sequence) != s->sequence + 1)
		s->wrong++;
	s->sequence++;
}

static void beat(struct reactor_timer *timer)
{
	struct heartbeat_service *s = (struct heartbeat_service *)
		((char *)timer - offsetof(struct heartbeat_service, next));
	struct ic_heartbeat body = { .sequence = cpu_to_le64(s->sequence) };

	if (s->paused) {
		beat_later(s);
		return;
	}
	if (!ic_request(&s->ic, &body, sizeof(body), HEARTBEAT_LOST_S,
			answered))
		return;
	/* Its ring is full of what it did not read. */
	lose(s);
	beat_later(s);
}

static void ready(struct ic *ic)
{
	beat_later(of(ic));
}

static void gone(struct ic *ic)
{
	struct heartbeat_service *s = of(ic);

	reactor_timer_cancel(s->ic.loop, &s->next);
	s->state = HEARTBEAT_NONE;
}

static void describe(struct ic *ic, struct inspect *out)
{
	static const char *const states[] = {
		[HEARTBEAT_NONE] = "none",
		[HEARTBEAT_BEATS] = "beats",
		[HEARTBEAT_LOST] = "lost",
	};
	struct heartbeat_service *s = of(ic);

	inspect_text(out, "heart", states[s->state]);
	inspect_u64(out, "beats", s->beats);
	inspect_u64(out, "losses", s->losses);
	inspect_u64(out, "wrong", s->wrong);
}

static const struct ic_ops ops = {
	.name = "heartbeat",
	.interface = HEARTBEAT_INTERFACE,
	.instance = HEARTBEAT_INSTANCE,
	.type = IC_HEARTBEAT,
	.versions = { IC_VERSION(3, 0), IC_VERSION(1, 0) },
	.ready = ready,
	.gone = gone,
	.describe = describe,
};

void heartbeat_service_pause(struct heartbeat_service *s, bool paused)
{
	s->paused = paused;
}

void heartbeat_service_init(struct heartbeat_service *s, struct reactor *loop)
{
	*s = (struct heartbeat_service){ .next.fn = beat };
	ic_init(&s->ic, &ops, loop);
}
