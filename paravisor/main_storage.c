// SPDX-License-Identifier: MIT
/*
 * Storage, theory of operation
 *
 * Owns: the settings in force, and for each controller and LUN in them an
 * object that holds the disk below and the SCSI unit above.
 *
 *	storvsp <- LUN <- [stripe <-] NVMe namespaces, SCSI disks of the host
 *
 * A change is made in three steps. Only the last changes anything that the
 * guest can see, and by then all that can be refused has been:
 *
 *	1 plan     what stays, what goes, what comes, by instance and number
 *	2 open     the disks of what comes, each with its self-test; a mistake
 *	           closes them again, and nothing has happened
 *	3 commit   on the server's reactor: what goes is taken away, what comes
 *	           is offered; disks are closed when the guest let go of them
 *	           (relay/storvsp_retire.c: units go before their controller)
 *
 * A disk that is lost is looked for until it is back: main_storage_unit.c.
 *
 * A controller that stays only in name is taken away, and its successor, which
 * has the same instance, is offered when it is gone:
 *
 *	new --nobody has its instance--> in force --left out--> going
 *	new --one that goes has it--> successor --that is freed--> in force
 *	going --the guest let go of it--> freed
 *
 * A guest takes longer to let go than one change to follow another. So what
 * goes is remembered, and each change says anew who follows it: the controller
 * of that instance in the newest settings, or nobody.
 *
 * Threads: storage_apply() and storage_look() exclude each other; objects are
 * their thread's until they are committed and the server's reactor's after,
 * which plans, too, since a successor comes into force at any time.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <pv/log.h>

#include "nvme/nvme.h"

#include "main_disk.h"
#include "main_storage_state.h"

LOG_MODULE("storage");

/* One change, from plan to commit. */
struct change {
	struct storage *storage;
	const struct settings *settings;
	struct controller *controllers; /* new ones */
	/* New LUNs of controllers that stay, and what goes of these. */
	struct unit *unit[SETTINGS_MAX_CONTROLLERS][SETTINGS_MAX_LUNS];
	struct controller *kept[SETTINGS_MAX_CONTROLLERS]; /* by place in them */
	unsigned int successors; /* that wait for their predecessors */
	uint64_t deadline;
	char *error;
	int result;
};

/* ---- objects ---- */

static void controller_free(struct controller *c)
{
	for (unsigned int i = 0; i < SETTINGS_MAX_LUNS; i++)
		unit_free(c->unit[i]);
	free(c->settings);
	free(c);
}

static struct controller *controller_of(struct storage *s,
					const struct guid *instance)
{
	struct controller *c = s->controllers;

	while (c && !guid_equal(&c->settings->instance, instance))
		c = c->next;
	return c;
}

/* ---- plan ---- */

/* Is the controller itself the same, whatever its LUNs? */
static bool same_controller(const struct settings_controller *a,
			    const struct settings_controller *b)
{
	return a->queue_depth == b->queue_depth &&
	       a->sub_channels == b->sub_channels &&
	       a->max_transfer_kib == b->max_transfer_kib;
}

static const struct settings_lun *find_lun(const struct settings_controller *c,
					   uint8_t number)
{
	for (unsigned int i = 0; i < c->nr_luns; i++)
		if (c->lun[i].lun == number)
			return &c->lun[i];
	return NULL;
}

/* Does a unit in force stay as it is? */
static bool stays(const struct change *change, const struct unit *unit,
		  const struct settings_controller *to)
{
	const struct settings_lun *lun = find_lun(to, unit->settings.lun);

	return lun && settings_same_lun(change->storage->settings,
					&unit->settings, change->settings, lun);
}

/* Which controllers stay. */
static void plan(void *arg)
{
	struct change *change = arg;
	const struct settings *to = change->settings;

	for (unsigned int c = 0; c < to->nr_controllers; c++) {
		struct controller *now = controller_of(change->storage,
						&to->controller[c].instance);

		if (now && same_controller(now->settings, &to->controller[c]))
			change->kept[c] = now;
	}
}

/* ---- open ---- */

static int refuse(struct change *change, int err, unsigned int c,
		  const struct settings_lun *lun, const char *why)
{
	const struct settings_lun *first = change->settings->controller[c].lun;

	if (lun)
		snprintf(change->error, SETTINGS_ERROR_SIZE,
			 "/storage/%u/luns/%u%s", c,
			 (unsigned int)(lun - first), why);
	else
		snprintf(change->error, SETTINGS_ERROR_SIZE, "/storage/%u%s",
			 c, why);
	log_err("%s", change->error);
	return err;
}

/* Opens what a LUN stands on. The result is the change's if it fails. */
static struct unit *open_unit(struct change *change, unsigned int c,
			      const struct settings_lun *lun)
{
	struct unit *unit = unit_alloc(lun);
	const struct main_disk_config config = {
		.settings = change->settings,
		.lun = lun,
		.memory = change->storage->config.memory,
		.reactor = change->storage->config.reactor,
		.spare_gpa = change->storage->config.spare_gpa,
		.deadline = change->deadline,
		.opened = unit ? unit->device : NULL,
		.event = unit_disk_event,
	};
	char why[SETTINGS_ERROR_SIZE] = "";
	struct scsi_lun_config scsi;
	const char *rule;
	int err;

	if (!unit) {
		change->result = refuse(change, -ENOMEM, c, lun,
					": out of memory");
		return NULL;
	}
	err = main_disk_open(&config, unit, &unit->disk, why);
	if (!err) {
		unit_lun_config(unit, &scsi);
		rule = scsi_lun_check(&scsi);
		if (rule) {
			snprintf(why, sizeof(why), "/%s", rule);
			err = -EINVAL;
		}
	}
	if (!err)
		return unit;
	unit_free(unit);
	change->result = refuse(change, err, c, lun, why);
	return NULL;
}

/* A controller with all its LUNs. */
static struct controller *open_controller(struct change *change, unsigned int c)
{
	const struct settings_controller *sc = &change->settings->controller[c];
	struct controller *made = calloc(1, sizeof(*made));

	if (!made)
		goto out_memory;
	made->storage = change->storage;
	made->order = (uint16_t)c;
	made->settings = malloc(sizeof(*made->settings));
	if (!made->settings)
		goto out_free;
	*made->settings = *sc;
	for (unsigned int i = 0; i < sc->nr_luns; i++) {
		struct unit *unit = open_unit(change, c, &sc->lun[i]);

		if (!unit) {
			controller_free(made);
			return NULL;
		}
		unit->controller = made;
		made->unit[sc->lun[i].lun] = unit;
	}
	return made;
out_free:
	free(made);
out_memory:
	change->result = refuse(change, -ENOMEM, c, NULL, ": out of memory");
	return NULL;
}

static int open_new_units(struct change *change, unsigned int c)
{
	const struct settings_controller *sc = &change->settings->controller[c];
	const struct controller *kept = change->kept[c];

	for (unsigned int i = 0; i < sc->nr_luns; i++) {
		uint8_t number = sc->lun[i].lun;

		if (kept->unit[number] &&
		    stays(change, kept->unit[number], sc))
			continue;
		change->unit[c][number] = open_unit(change, c, &sc->lun[i]);
		if (!change->unit[c][number])
			return change->result;
	}
	return 0;
}

static int open_all(struct change *change)
{
	const struct settings *to = change->settings;

	for (unsigned int c = 0; c < to->nr_controllers; c++) {
		struct controller *made;

		if (change->kept[c]) {
			if (open_new_units(change, c))
				return change->result;
			continue;
		}
		made = open_controller(change, c);
		if (!made)
			return change->result;
		made->next = change->controllers;
		change->controllers = made;
	}
	return 0;
}

static void close_all(struct change *change)
{
	while (change->controllers) {
		struct controller *c = change->controllers;

		change->controllers = c->next;
		controller_free(c);
	}
	for (unsigned int c = 0; c < SETTINGS_MAX_CONTROLLERS; c++)
		for (unsigned int i = 0; i < SETTINGS_MAX_LUNS; i++)
			unit_free(change->unit[c][i]);
}

/* ---- commit: the server's reactor ---- */

static int offer(struct controller *c)
{
	struct scsi_lun_config *luns = calloc(SETTINGS_MAX_LUNS, sizeof(*luns));
	struct storvsp_config config = {
		.instance = c->settings->instance,
		.order = c->order,
		.queue_depth = c->settings->queue_depth,
		.max_subchannels = c->settings->sub_channels,
		.max_transfer = c->settings->max_transfer_kib * 1024u,
		.memory = c->storage->config.memory,
		.reactor = c->storage->config.reactor,
		.luns = luns,
	};
	int err = -ENOMEM;

	if (!luns)
		return err;
	for (unsigned int i = 0; i < SETTINGS_MAX_LUNS; i++)
		if (c->unit[i])
			unit_lun_config(c->unit[i], &luns[config.nr_luns++]);
	err = storvsp_create(c->storage->config.server, &config, &c->storvsp);
	free(luns);
	return err;
}

/* Offers it and takes it into force, or frees it. */
static int start_controller(struct storage *s, struct controller *c)
{
	int err = offer(c);

	if (err) {
		log_err("controller %u: %s", c->order, strerror(-err));
		controller_free(c);
		return err;
	}
	c->next = s->controllers;
	s->controllers = c;
	for (unsigned int i = 0; i < SETTINGS_MAX_LUNS; i++)
		if (c->unit[i])
			unit_take(c, c->unit[i]);
	return 0;
}

static void controller_gone(void *opaque)
{
	struct controller *c = opaque, *successor = c->successor;
	struct storage *s = c->storage;
	struct controller **at = &s->going;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	controller_free(c);
	if (!successor)
		return;
	start_controller(s, successor);
	sem_post(&s->successors);
}

static void remove_units(struct change *change, struct controller *kept,
			 const struct settings_controller *to)
{
	for (unsigned int i = 0; i < SETTINGS_MAX_LUNS; i++) {
		struct unit *unit = kept->unit[i];

		if (!unit)
			continue;
		if (stays(change, unit, to)) {
			/* Its devices stand elsewhere in the new list. */
			unit->settings = *find_lun(to, (uint8_t)i);
			continue;
		}
		unit_take_away(kept, unit);
	}
}

static void add_units(struct change *change, unsigned int c)
{
	struct controller *kept = change->kept[c];

	for (unsigned int i = 0; i < SETTINGS_MAX_LUNS; i++) {
		struct unit *unit = change->unit[c][i];
		struct scsi_lun_config config;
		int err;

		if (!unit)
			continue;
		change->unit[c][i] = NULL;
		unit_lun_config(unit, &config);
		err = storvsp_add_lun(kept->storvsp, &config);
		if (!err) {
			unit_take(kept, unit);
			continue;
		}
		/* Was checked: there is no memory. */
		change->result = err;
		unit_free(unit);
	}
}

/* Takes a new controller of this instance out of the change. */
static struct controller *take_new(struct change *change,
				   const struct guid *instance)
{
	struct controller **at = &change->controllers, *c;

	while (*at && !guid_equal(&(*at)->settings->instance, instance))
		at = &(*at)->next;
	c = *at;
	if (c)
		*at = c->next;
	return c;
}

static bool is_kept(const struct change *change, const struct controller *c)
{
	for (unsigned int i = 0; i < SETTINGS_MAX_CONTROLLERS; i++)
		if (change->kept[i] == c)
			return true;
	return false;
}

/* Who follows one that goes: none but what these settings say. */
static void set_successor(struct change *change, struct controller *going)
{
	if (going->successor)
		controller_free(going->successor);
	going->successor = take_new(change, &going->settings->instance);
	change->successors += going->successor != NULL;
}

static void remove_controllers(struct change *change)
{
	struct storage *s = change->storage;
	struct controller **at = &s->controllers, *leaving = NULL;

	for (struct controller *c = s->going; c; c = c->next)
		set_successor(change, c);
	while (*at) {
		struct controller *c = *at;

		if (is_kept(change, c)) {
			at = &c->next;
			continue;
		}
		*at = c->next;
		c->next = leaving;
		leaving = c;
	}
	/* One that nobody has open is gone at once, and its successor is in
	 * the list that was gone through before. */
	while (leaving) {
		struct controller *c = leaving;

		leaving = c->next;
		set_successor(change, c);
		c->next = s->going;
		s->going = c;
		storvsp_retire(c->storvsp, controller_gone, c);
	}
}

static void commit(void *arg)
{
	struct change *change = arg;
	const struct settings *to = change->settings;

	/* A post that came too late for the last change. */
	while (!sem_trywait(&change->storage->successors))
		;
	/* Units first: a new one may stand on what another lets go. */
	for (unsigned int c = 0; c < to->nr_controllers; c++)
		if (change->kept[c])
			remove_units(change, change->kept[c],
				     &to->controller[c]);
	remove_controllers(change);
	for (unsigned int c = 0; c < to->nr_controllers; c++)
		if (change->kept[c])
			add_units(change, c);
	while (change->controllers) {
		struct controller *c = change->controllers;
		int err;

		change->controllers = c->next;
		err = start_controller(change->storage, c);
		if (err)
			change->result = err;
	}
	*change->storage->settings = *to;
}

/* Waits for those that had to wait for their predecessors. */
static int wait_successors(struct change *change)
{
	struct timespec until;

	_Static_assert(STORAGE_SUCCESSOR_SECONDS * 1000000000ull >
		       STORVSP_RETIRE_NS, "units go before");
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += STORAGE_SUCCESSOR_SECONDS;
	for (unsigned int i = 0; i < change->successors; i++) {
		int ret;

		while ((ret = sem_timedwait(&change->storage->successors,
					    &until)) && errno == EINTR)
			;
		if (!ret)
			continue;
		snprintf(change->error, SETTINGS_ERROR_SIZE,
			 "/storage: the guest has not let go of a controller "
			 "that changed; the new one follows when it has");
		log_warn("%s", change->error);
		return -EINPROGRESS;
	}
	return 0;
}

/* ---- the whole ---- */

int storage_apply(struct storage *s, const struct settings *settings,
		  char *error)
{
	struct change *change = calloc(1, sizeof(*change));
	int ret;

	if (!change) {
		strcpy(error, "/storage: out of memory");
		return -ENOMEM;
	}
	change->storage = s;
	change->settings = settings;
	change->error = error;
	pthread_mutex_lock(&s->lock);
	change->deadline = reactor_now() + MAIN_DISK_WAIT_NS;
	reactor_run(s->config.reactor, plan, change);
	ret = open_all(change);
	if (ret) {
		close_all(change);
		goto out;
	}
	reactor_run(s->config.reactor, commit, change);
	ret = change->result;
	if (ret)
		snprintf(error, SETTINGS_ERROR_SIZE,
			 "/storage: only in part, see the log of VTL2: %s",
			 strerror(-ret));
	else
		ret = wait_successors(change);
out:
	pthread_mutex_unlock(&s->lock);
	free(change);
	return ret;
}

struct storage *storage_create(const struct storage_config *config)
{
	struct storage *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->config = *config;
	sem_init(&s->successors, 0, 0);
	sem_init(&s->lost, 0, 0);
	pthread_mutex_init(&s->lock, NULL);
	s->settings = calloc(1, sizeof(*s->settings));
	if (!s->settings) {
		free(s);
		return NULL;
	}
	s->events = (struct inspect_entry){ "events", nvme_events_describe,
					    NULL, NULL };
	/* Without them disks work: it was said. */
	if (!nvme_events_start(config->reactor))
		inspect_register(&s->events);
	return s;
}
