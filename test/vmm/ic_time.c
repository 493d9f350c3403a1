// SPDX-License-Identifier: MIT
/*
 * Time synchronisation, theory of operation
 *
 * The guest is told the time: once in a message that sets its clock, when it
 * has just come and when the offset changes; then every PERIOD_NS in a sample
 * that it may use (Linux: /dev/ptp0, for chrony). The time is the host's plus
 * an offset in seconds. From version 4.0 on it comes with the guest's own
 * reference counter at that moment, so that a message that lies in the ring for
 * a while still says the right time.
 *
 * An offset is set only if the guest listens; who sets it is told when the
 * guest has answered the message with it.
 */
#include <time.h>

#include "ic_services.h"
#include "vp.h"

#define PERIOD_NS (5 * IC_NS_PER_S)
#define ANSWER_S 10

static struct time_service *of(struct ic *ic)
{
	return (struct time_service *)ic;
}

static uint64_t time_now(const struct time_service *s)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return ((uint64_t)((int64_t)now.tv_sec + s->offset) +
		IC_TIME_UNIX_EPOCH) * IC_TIME_HZ + (uint64_t)now.tv_nsec / 100;
}

static void tell_later(struct time_service *s, uint64_t ns)
{
	reactor_timer_arm(s->ic.loop, &s->next, reactor_now() + ns);
}

static void end_set(struct time_service *s, const char *error)
{
	ic_done *done = s->done;

	s->done = NULL;
	s->sent = false;
	if (!done)
		return;
	/* Later samples would tell it of what it has not taken. */
	if (error)
		s->offset = s->before;
	done(s->opaque, error);
}

static void answered(struct ic *ic, const struct ic_answer *answer)
{
	struct time_service *s = of(ic);

	if (s->ic.state != IC_READY) {
		end_set(s, answer->error);
		return;
	}
	tell_later(s, s->sync ? 0 : PERIOD_NS);
	if (s->sent)
		end_set(s, answer->error);
}

static const char *send(struct time_service *s, uint8_t flags)
{
	if (s->ic.version >= IC_VERSION(4, 0)) {
		struct ic_time body = { .flags = flags };

		body.reference = cpu_to_le64(reference_time(s->machine));
		body.host = cpu_to_le64(time_now(s));
		return ic_request(&s->ic, &body, sizeof(body), ANSWER_S,
				  answered);
	} else {
		struct ic_time_old body = { .flags = flags };

		body.host = cpu_to_le64(time_now(s));
		return ic_request(&s->ic, &body, sizeof(body), ANSWER_S,
				  answered);
	}
}

static void tell(struct reactor_timer *timer)
{
	struct time_service *s = (struct time_service *)
		((char *)timer - offsetof(struct time_service, next));
	bool sync = s->sync;
	const char *why = send(s, sync ? TIME_FLAG_SYNC : TIME_FLAG_SAMPLE);

	if (why) {
		end_set(s, why);
		tell_later(s, PERIOD_NS);
		return;
	}
	s->sync = false;
	s->sent = s->done != NULL;
	s->syncs += sync;
	s->samples += !sync;
}

const char *time_service_set(struct time_service *s, int64_t offset,
			     ic_done *done, void *opaque)
{
	if (s->ic.state != IC_READY)
		return "the guest does not listen";
	if (s->done)
		return "another offset is being told";
	s->before = s->offset;
	s->offset = offset;
	s->done = done;
	s->opaque = opaque;
	s->sync = true;
	/* Or when it has answered the one before. */
	if (!s->ic.answered)
		tell_later(s, 0);
	return NULL;
}

static void ready(struct ic *ic)
{
	struct time_service *s = of(ic);

	s->sync = true;
	tell_later(s, 0);
}

static void gone(struct ic *ic)
{
	struct time_service *s = of(ic);

	reactor_timer_cancel(s->ic.loop, &s->next);
	end_set(s, "the guest closed the channel");
}

static void describe(struct ic *ic, struct inspect *out)
{
	struct time_service *s = of(ic);

	inspect_bool(out, "behind", s->offset < 0);
	inspect_u64(out, "offset_s", (uint64_t)(s->offset < 0 ? -s->offset :
								s->offset));
	inspect_u64(out, "samples", s->samples);
	inspect_u64(out, "syncs", s->syncs);
}

static const struct ic_ops ops = {
	.name = "time",
	.interface = TIME_INTERFACE,
	.instance = TIME_INSTANCE,
	.type = IC_TIME,
	.versions = { IC_VERSION(4, 0), IC_VERSION(3, 0), IC_VERSION(1, 0) },
	.ready = ready,
	.gone = gone,
	.describe = describe,
};

void time_service_init(struct time_service *s, const struct machine *machine,
		       struct reactor *loop)
{
	*s = (struct time_service){ .machine = machine, .next.fn = tell };
	ic_init(&s->ic, &ops, loop);
}
