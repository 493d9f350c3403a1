// SPDX-License-Identifier: MIT
/*
 * Shutdown service, theory of operation
 *
 * One request: power off, in order. The guest answers when it has understood;
 * that it is off the machine says (machine_stop()). A guest that refuses says
 * so by the status.
 */
#include <stdio.h>
#include <string.h>

#include "ic_services.h"

#define ANSWER_S 10
/* What the guest may take, by its own measure. */
#define GUEST_S 30

static void answered(struct ic *ic, const struct ic_answer *answer)
{
	struct shutdown_service *s = (struct shutdown_service *)ic;
	ic_done *done = s->done;
	const char *error = answer->error;

	if (!error && answer->status != IC_OK) {
		snprintf(s->error, sizeof(s->error),
			 "the guest refuses: status 0x%08x", answer->status);
		error = s->error;
	}
	s->done = NULL;
	done(s->opaque, error);
}

const char *shutdown_service_ask(struct shutdown_service *s, ic_done *done,
				 void *opaque)
{
	static const char text[] = "vmm: shutdown";
	struct ic_shutdown body = {
		.reason = cpu_to_le32(SHUTDOWN_REASON_PLANNED),
		.timeout_s = cpu_to_le32(GUEST_S),
	};
	const char *why;

	/* UTF-16, which Linux does not look at. */
	for (size_t i = 0; i < sizeof(text); i++)
		body.text[2 * i] = (uint8_t)text[i];
	why = ic_request(&s->ic, &body, sizeof(body), ANSWER_S, answered);
	if (why)
		return why;
	s->done = done;
	s->opaque = opaque;
	return NULL;
}

static const struct ic_ops ops = {
	.name = "shutdown",
	.interface = SHUTDOWN_INTERFACE,
	.instance = SHUTDOWN_INSTANCE,
	.type = IC_SHUTDOWN,
	.versions = { IC_VERSION(3, 2), IC_VERSION(3, 1), IC_VERSION(3, 0),
		      IC_VERSION(1, 0) },
};

void shutdown_service_init(struct shutdown_service *s, struct reactor *loop)
{
	*s = (struct shutdown_service){ .done = NULL };
	ic_init(&s->ic, &ops, loop);
}
