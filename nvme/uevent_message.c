/* SPDX-License-Identifier: MIT */
/*
 * Messages of the kernel about devices: pure functions.
 *
 *	change@/devices/.../nvme0n1 NUL ACTION=change NUL DEVPATH=... NUL
 *	SUBSYSTEM=block NUL RESIZE=1 NUL ... SEQNUM=4711 NUL
 *
 * What the head says, ACTION and DEVPATH have to repeat. Keys of no interest
 * are only looked at for having a value.
 */
#include <string.h>

#include "uevent.h"

static enum uevent_action action_of(const char *text, size_t len)
{
	static const char *const names[] = { [UEVENT_ADD] = "add",
					     [UEVENT_REMOVE] = "remove",
					     [UEVENT_CHANGE] = "change" };

	for (int i = UEVENT_ADD; i <= UEVENT_CHANGE; i++)
		if (strlen(names[i]) == len && !memcmp(names[i], text, len))
			return (enum uevent_action)i;
	return UEVENT_OTHER;
}

/* The value of "KEY=VALUE", if that is the key. */
static const char *value_of(const char *entry, const char *key)
{
	size_t len = strlen(key);

	return strncmp(entry, key, len) || entry[len] != '=' ? NULL :
							       entry + len + 1;
}

bool uevent_parse(const char *message, size_t len, struct uevent *event)
{
	const char *end = message + len, *at, *path;
	bool has_action = false, has_path = false;

	*event = (struct uevent){ .action = UEVENT_OTHER };
	if (!len || end[-1])
		return false;
	at = strchr(message, '@');
	if (!at || at == message || at[1] != '/')
		return false;
	event->action = action_of(message, (size_t)(at - message));
	path = at + 1;
	event->name = strrchr(path, '/') + 1;
	for (const char *entry = path + strlen(path) + 1; entry < end;
	     entry += strlen(entry) + 1) {
		const char *v;

		if (!strchr(entry, '=') || *entry == '=')
			return false;
		v = value_of(entry, "ACTION");
		if (v && (strlen(v) != (size_t)(at - message) ||
			  memcmp(v, message, strlen(v))))
			return false;
		has_action |= v != NULL;
		v = value_of(entry, "DEVPATH");
		if (v && strcmp(v, path))
			return false;
		has_path |= v != NULL;
		v = value_of(entry, "SUBSYSTEM");
		if (v)
			event->subsystem = v;
		v = value_of(entry, "RESIZE");
		event->resized |= v && !strcmp(v, "1");
		v = value_of(entry, "NVME_EVENT");
		event->connected |= v && !strcmp(v, "connected");
	}
	return *event->name && event->subsystem && has_action && has_path;
}
