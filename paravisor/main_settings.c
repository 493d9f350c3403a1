// SPDX-License-Identifier: MIT
/*
 * A change of the settings, theory of operation
 *
 * In the order in which it can be refused: the text, what is of the start alone,
 * NICs, which are made ready before storage changes and change after it, and
 * storage. So what is wrong with either is known before anything has changed:
 *
 *	parsed --> NICs ready --> storage changed --> NICs changed --> ports, log
 *	  refused     refused        refused: NICs are abandoned
 *
 * Of the start alone are the machine's identifier, which each open controller
 * was told for all its namespaces, and the filter of the host's devices, which
 * were offered by it.
 *
 * What waits for the guest to let go of its predecessor holds as the rest does:
 * it comes by itself, and the change goes on.
 *
 * Threads: the caller's.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "main_settings.h"

static bool has_rule(const struct settings *s,
		     const struct settings_relay_rule *rule)
{
	for (unsigned int i = 0; i < s->nr_relay_rules; i++)
		if (guid_equal(&s->relay_rule[i].instance, &rule->instance))
			return s->relay_rule[i].action == rule->action;
	return false;
}

static int check_start(const struct settings *start, const struct settings *to,
		       char *text)
{
	const char *what = NULL;

	/* No instance comes twice in either. */
	if (to->nr_relay_rules != start->nr_relay_rules)
		what = "/vmbus/filter";
	for (unsigned int i = 0; i < to->nr_relay_rules; i++)
		if (!has_rule(start, &to->relay_rule[i]))
			what = "/vmbus/filter";
	if (!guid_equal(&to->machine_id, &start->machine_id))
		what = "/machine_id";
	if (!what)
		return 0;
	snprintf(text, SETTINGS_ERROR_SIZE,
		 "%s: is what it was at the start of VTL2", what);
	return -EBUSY;
}

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
		ret = check_start(users->start, settings, text);
	if (!ret)
		ret = apply(users, settings, text);
	if (!ret || ret == -EINPROGRESS) {
		main_settings_log_levels(settings);
		users->serial(users->opaque, settings);
	}
	free(settings);
	return ret;
}
