// SPDX-License-Identifier: MIT
/*
 * A change of the settings, theory of operation
 *
 * In the order in which it can be refused: the text, NICs, which are made ready
 * before storage changes and change after it, and storage. So what is wrong with
 * either is known before anything has changed:
 *
 *	parsed --> NICs ready --> storage changed --> NICs changed --> ports, log
 *	  refused     refused        refused: NICs are abandoned
 *
 * What waits for the guest to let go of its predecessor holds as the rest does:
 * it comes by itself, and the change goes on.
 *
 * Threads: the caller's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "main_settings.h"

static int apply(const struct main_settings_users *users,
		 const struct settings *settings, char *text)
{
	struct nics_change *nics;
	int ret = nics_prepare(users->nics, settings, text, &nics);
	int late;

	if (ret)
		return ret;
	ret = storage_apply(users->storage, settings, text);
	if (ret && ret != -EINPROGRESS) {
		nics_abandon(nics);
		return ret;
	}
	late = nics_commit(nics);
	return late ? late : ret;
}

void main_settings_log_levels(const struct settings *settings)
{
	for (unsigned int i = 0; i < settings->nr_modules; i++)
		log_set_level(settings->module[i].name,
			      settings->module[i].level);
}

int main_settings_change(const struct main_settings_users *users,
			 const char *json, size_t len, char *text)
{
	struct settings *settings = calloc(1, sizeof(*settings));
	int ret;

	if (!settings) {
		strcpy(text, "out of memory");
		return -ENOMEM;
	}
	ret = settings_parse(json, len, settings, text);
	if (!ret)
		ret = apply(users, settings, text);
	if (!ret || ret == -EINPROGRESS) {
		main_settings_log_levels(settings);
		users->serial(users->opaque, settings);
	}
	free(settings);
	return ret;
}
