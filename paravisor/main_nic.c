// SPDX-License-Identifier: MIT
/*
 * NICs of VTL0, theory of operation
 *
 * Owns: for each NIC in the settings an adapter, which is a synthetic NIC on
 * VTL0's VMBus, and what it stands on, a backend.
 *
 *	adapter: COMING --nobody else has its instance or backend--> HERE
 *	         HERE --not in the settings any more--> GOING
 *	         GOING --no channel is open, the backend has stopped--> freed
 *
 * A change is made in three steps, so that all or nothing of it is done. Only
 * the last changes anything that the guest can see:
 *
 *	1 plan     what stays; which backends are open already. One that another
 *	           adapter lets go is taken over, not opened again
 *	2 open     the others; what cannot be is refused, and all is as it was
 *	3 commit   what is not in the settings goes, what is new comes
 *
 * An adapter whose settings are others goes and comes anew; limits alone change
 * as it stands. What settings left out follows from the backend: the address,
 * the MTU, as many queues as there are VPs.
 *
 * Threads: plan and commit run on the server's reactor, which owns adapters and
 * backends; open runs on the caller's, which waits. One change at a time.
 *
 * Failure answers: a change is refused by the first NIC that cannot be. If there
 * is no memory to offer one, it stays COMING, and the next change tries again.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <pv/log.h>
#include <pv/nic.h>

#include "mana/mana.h"
#include "mana/tap.h"
#include "relay/netvsp.h"

#include "main_nic.h"
#include "nic_loopback.h"

LOG_MODULE("nics");

/* For a function of the host's, and its driver, to be there: at the start, and
 * when the guest runs. */
#define WAIT_MS 30000u
#define CHANGE_WAIT_MS (NICS_DEVICE_SECONDS * 1000u)

struct backend {
	struct backend *next;
	struct settings_nic of; /* its kind and name */
	struct nic *nic;
	unsigned int users; /* adapters, and a change that is planned */
	bool busy;	    /* an adapter is offered */
};

enum place { COMING, HERE, GOING };

struct adapter {
	struct nics *nics;
	struct adapter *next;
	enum place place;
	bool stays; /* in the change at hand */
	uint16_t order;
	struct settings_nic settings;
	struct backend *backend;
	struct netvsp *netvsp; /* unless COMING */
};

struct nics {
	struct nics_config config;
	pthread_mutex_t lock; /* of changes */
	bool started;
	/* The server's reactor. */
	struct adapter *adapters;
	struct backend *backends;
	sem_t came; /* posted for each that was offered */
	int error;  /* of one that could not be, in this change */
};

struct nics_change {
	struct nics *nics;
	const struct settings *settings;
	char *error;
	struct adapter *kept[SETTINGS_MAX_NICS]; /* or one that is new: */
	struct adapter *made[SETTINGS_MAX_NICS];
	struct backend *backend[SETTINGS_MAX_NICS]; /* of that */
	/* Once it is committed. */
	unsigned int coming;
	int result;
};

static int wrong(const struct nics_change *change, unsigned int i,
		 const char *key, int err, const char *why)
{
	snprintf(change->error, SETTINGS_ERROR_SIZE, "/nics/%u/%s: %s", i, key,
		 why);
	log_err("%s", change->error);
	return err;
}

/* ---- the server's reactor: adapters and backends ---- */

static void backend_put(struct nics *nics, struct backend *b)
{
	struct backend **at = &nics->backends;

	if (--b->users)
		return;
	while (*at && *at != b)
		at = &(*at)->next;
	if (*at)
		*at = b->next;
	b->nic->ops->close(b->nic);
	free(b);
}

static void adapter_free(struct adapter *a)
{
	struct adapter **at = &a->nics->adapters;

	while (*at && *at != a)
		at = &(*at)->next;
	if (*at)
		*at = a->next;
	backend_put(a->nics, a->backend);
	free(a);
}

static uint16_t queues_of(const struct nics *nics,
			  const struct settings_nic *nic,
			  const struct nic_info *info)
{
	unsigned int queues = nic->queues;

	if (queues)
		return (uint16_t)queues;
	for (queues = 1; 2 * queues <= nics->config.nr_vps &&
			 2 * queues <= info->max_queues;)
		queues *= 2;
	return (uint16_t)queues;
}

static struct netvsp_config config_of(const struct nics *nics,
				      const struct settings_nic *nic,
				      const struct backend *b)
{
	struct nic_info info;

	b->nic->ops->info(b->nic, &info);
	return (struct netvsp_config){
		.instance = nic->instance,
		.mac = nic->has_mac ? nic->mac : NULL,
		.mtu = nic->mtu,
		.max_version = nic->nvsp,
		.queues = queues_of(nics, nic, &info),
		.offloads = nic->offloads,
		.tx_mbps = nic->tx_mbps,
		.rx_mbps = nic->rx_mbps,
		.memory = nics->config.memory,
		.reactor = nics->config.reactor,
		.nic = b->nic,
	};
}

static void offer(struct adapter *a)
{
	struct nics *nics = a->nics;
	struct netvsp_config config = config_of(nics, &a->settings, a->backend);
	int err;

	config.order = a->order;
	err = netvsp_create(nics->config.server, &config, &a->netvsp);
	if (err) {
		log_err("NIC %u: %s", a->order, strerror(-err));
		nics->error = err;
		return;
	}
	a->place = HERE;
	a->backend->busy = true;
	sem_post(&nics->came);
}

static bool is_going(const struct nics *nics, const struct guid *instance)
{
	const struct adapter *a = nics->adapters;

	while (a && !(a->place == GOING &&
		      guid_equal(&a->settings.instance, instance)))
		a = a->next;
	return a;
}

/* Offers what can come now. */
static void settle(struct nics *nics)
{
	for (struct adapter *a = nics->adapters; a; a = a->next)
		if (a->place == COMING && !a->backend->busy &&
		    !is_going(nics, &a->settings.instance))
			offer(a);
}

static void gone(void *opaque)
{
	struct adapter *a = opaque;
	struct nics *nics = a->nics;

	a->backend->busy = false;
	adapter_free(a);
	settle(nics);
}

/* ---- plan ---- */

static struct backend *find_backend(const struct nics *nics,
				    const struct settings_nic *nic)
{
	struct backend *b = nics->backends;

	while (b && !settings_same_backend(&b->of, nic))
		b = b->next;
	return b;
}

static void plan(void *arg)
{
	struct nics_change *change = arg;
	struct nics *nics = change->nics;

	for (struct adapter *a = nics->adapters; a; a = a->next)
		a->stays = false;
	for (unsigned int i = 0; i < change->settings->nr_nics; i++) {
		const struct settings_nic *nic = &change->settings->nic[i];
		struct adapter *a = nics->adapters;

		while (a && (a->place == GOING ||
			     !settings_same_nic(&a->settings, nic)))
			a = a->next;
		change->kept[i] = a;
		if (a) {
			a->stays = true;
			continue;
		}
		change->backend[i] = find_backend(nics, nic);
		if (change->backend[i])
			change->backend[i]->users++;
	}
}

/* ---- open: the caller's thread ---- */

static int open_loopback(const struct nics_change *change, unsigned int i,
			 struct nic **nic)
{
	struct nic_loopback_config config = {
		.memory = change->nics->config.memory,
		.reactor = change->nics->config.reactor,
		.mac = { 0x00, 0x15, 0x5d, 0xff, 0xff, (uint8_t)i },
	};

	*nic = nic_loopback_create(&config);
	return *nic ? 0 : wrong(change, i, "backend/loopback", -ENOMEM,
				strerror(ENOMEM));
}

static int open_mana(const struct nics_change *change, unsigned int i,
		     struct nic **to)
{
	const struct settings_nic *nic = &change->settings->nic[i];
	struct mana_config config = {
		.device = nic->device,
		.vport = nic->vport,
		.memory = change->nics->config.memory,
		.reactor = change->nics->config.reactor,
		.wait_ms = change->nics->started ? CHANGE_WAIT_MS : WAIT_MS,
	};
	int err = mana_vport_open(&config, to);

	return err ? wrong(change, i, "backend/mana", err, strerror(-err)) : 0;
}

static int open_tap(const struct nics_change *change, unsigned int i,
		    struct nic **nic)
{
	struct tap_config config = {
		.name = change->settings->nic[i].tap,
		.memory = change->nics->config.memory,
		.reactor = change->nics->config.reactor,
	};
	int err = tap_open(&config, nic);

	return err ? wrong(change, i, "backend/tap", err, strerror(-err)) : 0;
}

static int open_backend(struct nics_change *change, unsigned int i)
{
	static int (*const open[])(const struct nics_change *change,
				   unsigned int i, struct nic **nic) = {
		[SETTINGS_MANA] = open_mana,
		[SETTINGS_TAP] = open_tap,
		[SETTINGS_LOOPBACK] = open_loopback,
	};
	const struct settings_nic *nic = &change->settings->nic[i];
	struct backend *b = calloc(1, sizeof(*b));
	int err;

	if (!b)
		return wrong(change, i, "backend", -ENOMEM, strerror(ENOMEM));
	b->of = *nic;
	b->users = 1;
	err = open[nic->kind](change, i, &b->nic);
	if (err)
		free(b);
	else
		change->backend[i] = b;
	return err;
}

/* Can the backend be what the settings ask for? */
static int check(const struct nics_change *change, unsigned int i)
{
	const struct settings_nic *nic = &change->settings->nic[i];
	struct nic *backend = change->backend[i]->nic;
	struct netvsp_config config;
	struct nic_info info;
	unsigned int most;
	const char *rule;
	char why[64];

	backend->ops->info(backend, &info);
	if (nic->queues > info.max_queues) {
		snprintf(why, sizeof(why), "the backend has %u",
			 info.max_queues);
		return wrong(change, i, "queues", -EINVAL, why);
	}
	most = info.max_frame - NIC_ETHERNET_HEADER;
	if (nic->mtu > most) {
		snprintf(why, sizeof(why), "the backend has %u at most", most);
		return wrong(change, i, "mtu", -EINVAL, why);
	}
	config = config_of(change->nics, nic, change->backend[i]);
	rule = netvsp_check(&config);
	if (!rule)
		return 0;
	snprintf(change->error, SETTINGS_ERROR_SIZE, "/nics/%u/%s", i, rule);
	log_err("%s", change->error);
	return -EINVAL;
}

static int open_one(struct nics_change *change, unsigned int i)
{
	struct adapter *a;
	int err = change->backend[i] ? 0 : open_backend(change, i);

	if (!err)
		err = check(change, i);
	if (err)
		return err;
	a = calloc(1, sizeof(*a));
	if (!a)
		return wrong(change, i, "instance", -ENOMEM, strerror(ENOMEM));
	a->nics = change->nics;
	a->order = (uint16_t)i;
	a->settings = change->settings->nic[i];
	a->backend = change->backend[i];
	change->made[i] = a;
	return 0;
}

/* ---- commit ---- */

static void drop(void *arg)
{
	struct nics_change *change = arg;

	for (unsigned int i = 0; i < SETTINGS_MAX_NICS; i++) {
		free(change->made[i]);
		if (change->backend[i])
			backend_put(change->nics, change->backend[i]);
	}
}

/* One after the other: what nobody has open is gone at once, and others with
 * it that waited for it. */
static void remove_adapters(struct nics *nics)
{
	struct adapter *a;

	for (;;) {
		for (a = nics->adapters; a; a = a->next)
			if (!a->stays && a->place != GOING)
				break;
		if (!a)
			return;
		if (a->place == COMING) {
			adapter_free(a);
			continue;
		}
		a->place = GOING;
		netvsp_retire(a->netvsp, gone, a);
	}
}

static void add_adapter(struct nics *nics, struct adapter *a)
{
	struct adapter **at = &nics->adapters;

	while (*at)
		at = &(*at)->next;
	*at = a;
	if (find_backend(nics, &a->settings) == a->backend)
		return;
	a->backend->next = nics->backends;
	nics->backends = a->backend;
}

static void take_limits(struct adapter *a, const struct settings_nic *nic)
{
	a->settings = *nic;
	if (a->place == HERE)
		netvsp_limit(a->netvsp, nic->tx_mbps, nic->rx_mbps);
}

static void commit(void *arg)
{
	struct nics_change *change = arg;
	struct nics *nics = change->nics;

	while (!sem_trywait(&nics->came))
		;
	nics->error = 0;
	remove_adapters(nics);
	for (unsigned int i = 0; i < change->settings->nr_nics; i++)
		if (change->made[i])
			add_adapter(nics, change->made[i]);
		else
			take_limits(change->kept[i],
				    &change->settings->nic[i]);
	settle(nics);
	for (const struct adapter *a = nics->adapters; a; a = a->next)
		change->coming += a->place == COMING;
	change->result = nics->error;
	/* Those that came at once. */
	while (!sem_trywait(&nics->came))
		;
}

/* Waits for those that had to wait for others to go. */
static int wait_coming(struct nics_change *change)
{
	struct timespec until;

	_Static_assert(NICS_SUCCESSOR_SECONDS * 1000000000ull >
		       NETVSP_RETIRE_NS, "it stops before");
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += NICS_SUCCESSOR_SECONDS;
	for (unsigned int i = 0; i < change->coming; i++) {
		int ret;

		while ((ret = sem_timedwait(&change->nics->came, &until)) &&
		       errno == EINTR)
			;
		if (!ret)
			continue;
		snprintf(change->error, SETTINGS_ERROR_SIZE,
			 "/nics: a NIC that changed has frames under way; it "
			 "follows when they end");
		log_warn("%s", change->error);
		return -EINPROGRESS;
	}
	return 0;
}

/* ---- the whole ---- */

static void change_free(struct nics_change *change)
{
	pthread_mutex_unlock(&change->nics->lock);
	free(change);
}

int nics_prepare(struct nics *nics, const struct settings *settings,
		 char *error, struct nics_change **out)
{
	struct nics_change *change = calloc(1, sizeof(*change));
	int err = 0;

	if (!change) {
		strcpy(error, "/nics: out of memory");
		return -ENOMEM;
	}
	change->nics = nics;
	change->settings = settings;
	change->error = error;
	pthread_mutex_lock(&nics->lock);
	reactor_run(nics->config.reactor, plan, change);
	for (unsigned int i = 0; i < settings->nr_nics && !err; i++)
		if (!change->kept[i])
			err = open_one(change, i);
	if (err)
		nics_abandon(change);
	else
		*out = change;
	return err;
}

void nics_abandon(struct nics_change *change)
{
	reactor_run(change->nics->config.reactor, drop, change);
	change_free(change);
}

int nics_commit(struct nics_change *change)
{
	struct nics *nics = change->nics;
	int err;

	reactor_run(nics->config.reactor, commit, change);
	nics->started = true;
	err = change->result;
	if (err)
		snprintf(change->error, SETTINGS_ERROR_SIZE,
			 "/nics: only in part, see the log of VTL2: %s",
			 strerror(-err));
	else
		err = wait_coming(change);
	change_free(change);
	return err;
}

/* ---- captures ---- */

struct look {
	struct nics *nics;
	unsigned int n, count;
	uint32_t snaplen;
	struct capture **capture; /* NULL: they are counted */
	int result;
};

static void look(void *arg)
{
	struct look *look = arg;

	look->result = -ENODEV;
	for (struct adapter *a = look->nics->adapters; a; a = a->next) {
		if (a->place != HERE)
			continue;
		if (look->capture && look->count == look->n)
			look->result = netvsp_capture(a->netvsp, look->snaplen,
						      look->capture);
		look->count++;
	}
}

unsigned int nics_count(struct nics *nics)
{
	struct look what = { .nics = nics };

	reactor_run(nics->config.reactor, look, &what);
	return what.count;
}

int nics_capture(struct nics *nics, unsigned int n, uint32_t snaplen,
		 struct capture **out)
{
	struct look what = {
		.nics = nics, .n = n, .snaplen = snaplen, .capture = out,
	};

	reactor_run(nics->config.reactor, look, &what);
	return what.result;
}

struct nics *nics_create(const struct nics_config *config)
{
	struct nics *nics = calloc(1, sizeof(*nics));

	if (!nics)
		return NULL;
	nics->config = *config;
	pthread_mutex_init(&nics->lock, NULL);
	sem_init(&nics->came, 0, 0);
	return nics;
}
