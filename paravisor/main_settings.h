/* SPDX-License-Identifier: MIT */
/*
 * Settings that change while VTL0 runs: from the text to all that they are
 * about. Part of the composition root.
 */
#ifndef MAIN_SETTINGS_H
#define MAIN_SETTINGS_H

#include <stddef.h>

#include "main_disk.h"
#include "main_nic.h"
#include "main_storage.h"
#include "settings.h"

/* Who asks for a change has its answer in so many seconds: devices have come or
 * not, and the guest has let go of what changed or not. */
#define MAIN_SETTINGS_SECONDS (NICS_DEVICE_SECONDS + \
			       MAIN_DISK_WAIT_NS / 1000000000 + \
			       STORAGE_SUCCESSOR_SECONDS + \
			       NICS_SUCCESSOR_SECONDS)

/* What settings are about. */
struct main_settings_users {
	/* Those that VTL2 started with. */
	const struct settings *start;
	struct storage *storage;
	struct nics *nics;
	/* The serial ports take theirs; cannot fail. The caller's thread. */
	void (*serial)(void *opaque, const struct settings *settings);
	void *opaque;
};

/*
 * Makes the settings that `json` says hold, whole or not at all: 0; or -errno,
 * why is in `text` (SETTINGS_ERROR_SIZE bytes), and nothing has changed; or
 * -EINPROGRESS: they hold, but what `text` says comes only when the guest lets
 * go of what was in its place. One change at a time; waits, so on a thread of
 * its own.
 */
int main_settings_change(const struct main_settings_users *users,
			 const char *json, size_t len, char *text);

/* Those of the modules that settings name. Any thread. */
void main_settings_log_levels(const struct settings *settings);

#endif
