// SPDX-License-Identifier: MIT
/*
 * Messages of the kernel about devices. The input is a message, as it would
 * be received: with or without its last NUL.
 *
 * What is taken has texts inside of the message, a name without a path, and
 * says the same in head and keys.
 */
#include <string.h>

#include "nvme/uevent.h"
#include "test/fuzz/fuzz.h"

#define LONGEST 1024

static char message[LONGEST];

static void inside(const char *text, size_t len)
{
	fuzz_expect(text > message && text < message + len, len, 0);
	fuzz_expect(memchr(text, 0, (size_t)(message + len - text)) != NULL,
		    len, 0);
}

/* Is there an entry of exactly this text? */
static bool has(const char *entry, size_t len)
{
	for (const char *at = message; at < message + len;
	     at += strlen(at) + 1)
		if (!strcmp(at, entry))
			return true;
	return false;
}

void fuzz_one(struct fuzz_input *in)
{
	static const char *const actions[] = { "", "ACTION=add",
					       "ACTION=remove",
					       "ACTION=change" };
	size_t len = in->left < LONGEST ? in->left : LONGEST;
	struct uevent event;

	fuzz_take(in, message, len);
	if (!uevent_parse(message, len, &event))
		return;
	fuzz_accept();
	fuzz_expect(!message[len - 1], len, 0);
	inside(event.name, len);
	inside(event.subsystem, len);
	fuzz_expect(*event.name && !strchr(event.name, '/') &&
		    event.name[-1] == '/', len, 0);
	fuzz_expect(!event.resized || has("RESIZE=1", len), len, 0);
	fuzz_expect(!event.connected || has("NVME_EVENT=connected", len), len,
		    0);
	fuzz_expect(event.action <= UEVENT_CHANGE, event.action, 0);
	fuzz_expect(event.action == UEVENT_OTHER ||
		    has(actions[event.action], len), event.action, len);
}
