// SPDX-License-Identifier: MIT
/*
 * Reservations of a medium, theory of operation
 *
 * One table per medium:
 *
 *	registrants   a host and its key, each once
 *	type          what the reservation lets through; NONE: there is none
 *	holder        one of the registrants; with the types for all
 *	              registrants each of them, until the last one leaves
 *
 * A command of a host is let through when there is no reservation, when its
 * host holds it, when it only reads and the type is about writing, or when
 * its host is a registrant and the type is for those (base 8.19.6). That is
 * asked for every command: without a reservation it is one load.
 *
 * The generation counts what changes registrants: every Register, a Preempt
 * and a Clear that succeed (base 7.5).
 */
#include <string.h>

#include "nvme_reg.h"
#include "reservation.h"

#define CONFLICT ((uint16_t)(NVME_RESERVATION_CONFLICT | NVME_DNR))
#define INVALID ((uint16_t)(NVME_INVALID_FIELD | NVME_DNR))

static bool for_all(uint8_t type)
{
	return type >= RESERVATION_WRITE_EXCLUSIVE_ALL;
}

static bool type_good(uint8_t type)
{
	return type && type <= RESERVATION_EXCLUSIVE_ACCESS_ALL;
}

static struct reservation_host *find(struct reservation *r,
				     const uint8_t id[16])
{
	for (unsigned int i = 0; i < r->nr_hosts; i++)
		if (!memcmp(r->host[i].id, id, 16))
			return &r->host[i];
	return NULL;
}

static bool holds(const struct reservation *r,
		  const struct reservation_host *host)
{
	return r->type && host && (for_all(r->type) || host->holder);
}

static void set_holder(struct reservation *r, struct reservation_host *host,
		       uint8_t type)
{
	for (unsigned int i = 0; i < r->nr_hosts; i++)
		r->host[i].holder = false;
	if (host)
		host->holder = true;
	r->type = type;
}

/* Holds a host no longer; the order of the others stays. */
static void forget(struct reservation *r, struct reservation_host *host)
{
	bool held = holds(r, host) && !for_all(r->type);
	size_t after = (size_t)(&r->host[r->nr_hosts] - host) - 1;

	memmove(host, host + 1, after * sizeof(*host));
	r->nr_hosts--;
	if (held || !r->nr_hosts)
		r->type = RESERVATION_NONE;
}

/* Forgets who has this key (0: everybody), but for `keep`. How many. */
static unsigned int forget_key(struct reservation *r, uint64_t key,
			       const uint8_t keep[16])
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < r->nr_hosts;) {
		struct reservation_host *host = &r->host[i];

		if ((key && host->key != key) || !memcmp(host->id, keep, 16)) {
			i++;
			continue;
		}
		forget(r, host);
		n++;
	}
	return n;
}

bool reservation_allows(struct reservation *r, const uint8_t id[16],
			bool write)
{
	const struct reservation_host *host;
	bool allowed;

	if (!atomic_load_explicit(&r->type, memory_order_relaxed))
		return true;
	pthread_mutex_lock(&r->lock);
	host = find(r, id);
	switch (atomic_load(&r->type)) {
	case RESERVATION_WRITE_EXCLUSIVE:
		allowed = !write || holds(r, host);
		break;
	case RESERVATION_EXCLUSIVE_ACCESS:
		allowed = holds(r, host);
		break;
	case RESERVATION_WRITE_EXCLUSIVE_REGISTRANTS:
	case RESERVATION_WRITE_EXCLUSIVE_ALL:
		allowed = !write || host;
		break;
	case RESERVATION_EXCLUSIVE_ACCESS_REGISTRANTS:
	case RESERVATION_EXCLUSIVE_ACCESS_ALL:
		allowed = host;
		break;
	default:
		allowed = true;
	}
	pthread_mutex_unlock(&r->lock);
	return allowed;
}

static uint16_t add(struct reservation *r, const struct reservation_host *host)
{
	if (r->nr_hosts == RESERVATION_MAX_HOSTS)
		return NVME_INTERNAL_ERROR | NVME_DNR;
	r->host[r->nr_hosts] = *host;
	r->host[r->nr_hosts++].holder = false;
	r->generation++;
	return NVME_SUCCESS;
}

static uint16_t register_locked(struct reservation *r,
				const struct reservation_host *host,
				bool ignore_key)
{
	struct reservation_host *known = find(r, host->id);

	if (!host->key)
		return INVALID;
	if (!known)
		return add(r, host);
	if (known->key != host->key && !ignore_key)
		return CONFLICT;
	known->key = host->key;
	r->generation++;
	return NVME_SUCCESS;
}

uint16_t reservation_register(struct reservation *r,
			      const struct reservation_host *host,
			      bool ignore_key)
{
	uint16_t status;

	pthread_mutex_lock(&r->lock);
	status = register_locked(r, host, ignore_key);
	pthread_mutex_unlock(&r->lock);
	return status;
}

uint16_t reservation_unregister(struct reservation *r, const uint8_t id[16],
				uint64_t key, bool ignore_key)
{
	struct reservation_host *host;
	uint16_t status = CONFLICT;

	pthread_mutex_lock(&r->lock);
	host = find(r, id);
	if (host && (ignore_key || host->key == key)) {
		forget(r, host);
		r->generation++;
		status = NVME_SUCCESS;
	}
	pthread_mutex_unlock(&r->lock);
	return status;
}

static uint16_t replace_locked(struct reservation *r,
			       const struct reservation_host *host,
			       uint64_t old_key, bool ignore_key)
{
	struct reservation_host *known = find(r, host->id);

	if (!host->key)
		return INVALID;
	if (!known)
		return ignore_key ? add(r, host) : CONFLICT;
	if (!ignore_key && known->key != old_key)
		return CONFLICT;
	known->key = host->key;
	r->generation++;
	return NVME_SUCCESS;
}

uint16_t reservation_replace(struct reservation *r,
			     const struct reservation_host *host,
			     uint64_t old_key, bool ignore_key)
{
	uint16_t status;

	pthread_mutex_lock(&r->lock);
	status = replace_locked(r, host, old_key, ignore_key);
	pthread_mutex_unlock(&r->lock);
	return status;
}

static uint16_t acquire_locked(struct reservation *r, const uint8_t id[16],
			       uint64_t key, uint8_t type)
{
	struct reservation_host *host = find(r, id);

	if (!host || host->key != key)
		return CONFLICT;
	if (!type_good(type))
		return INVALID;
	if (!r->type)
		set_holder(r, host, type);
	else if (!holds(r, host) || r->type != type)
		return CONFLICT;
	return NVME_SUCCESS;
}

uint16_t reservation_acquire(struct reservation *r, const uint8_t id[16],
			     uint64_t key, uint8_t type)
{
	uint16_t status;

	pthread_mutex_lock(&r->lock);
	status = acquire_locked(r, id, key, type);
	pthread_mutex_unlock(&r->lock);
	return status;
}

/* Whose key is it that is preempted (base 8.19.7)? */
static uint16_t preempt_locked(struct reservation *r, const uint8_t id[16],
			       uint64_t key, uint8_t type, uint64_t victim)
{
	struct reservation_host *host = find(r, id), *holder = NULL;
	bool takes;

	if (!host || host->key != key)
		return CONFLICT;
	if (!type_good(type))
		return INVALID;
	for (unsigned int i = 0; i < r->nr_hosts; i++)
		if (r->host[i].holder)
			holder = &r->host[i];
	if (!victim && !for_all(r->type))
		return INVALID;
	/* The reservation is taken with its holder, or with all of them. */
	if (r->type && for_all(r->type))
		takes = !victim;
	else
		takes = r->type && holder && holder->key == victim;
	/* Nobody but oneself, perhaps, has this key. */
	if (!forget_key(r, victim, id) && !takes)
		return CONFLICT;
	if (takes)
		set_holder(r, find(r, id), type);
	r->generation++;
	return NVME_SUCCESS;
}

uint16_t reservation_preempt(struct reservation *r, const uint8_t id[16],
			     uint64_t key, uint8_t type, uint64_t victim)
{
	uint16_t status;

	pthread_mutex_lock(&r->lock);
	status = preempt_locked(r, id, key, type, victim);
	pthread_mutex_unlock(&r->lock);
	return status;
}

static uint16_t release_locked(struct reservation *r, const uint8_t id[16],
			       uint64_t key, uint8_t type)
{
	struct reservation_host *host = find(r, id);

	if (!host || host->key != key)
		return CONFLICT;
	if (!holds(r, host))
		return NVME_SUCCESS; /* of what one does not hold */
	if (r->type != type)
		return INVALID;
	set_holder(r, NULL, RESERVATION_NONE);
	return NVME_SUCCESS;
}

uint16_t reservation_release(struct reservation *r, const uint8_t id[16],
			     uint64_t key, uint8_t type)
{
	uint16_t status;

	pthread_mutex_lock(&r->lock);
	status = release_locked(r, id, key, type);
	pthread_mutex_unlock(&r->lock);
	return status;
}

uint16_t reservation_clear(struct reservation *r, const uint8_t id[16],
			   uint64_t key)
{
	struct reservation_host *host;
	uint16_t status = CONFLICT;

	pthread_mutex_lock(&r->lock);
	host = find(r, id);
	if (host && host->key == key) {
		r->nr_hosts = 0;
		r->type = RESERVATION_NONE;
		r->generation++;
		status = NVME_SUCCESS;
	}
	pthread_mutex_unlock(&r->lock);
	return status;
}

void reservation_snapshot(struct reservation *r, struct reservation *copy)
{
	pthread_mutex_lock(&r->lock);
	copy->type = r->type;
	copy->persists = r->persists;
	copy->generation = r->generation;
	copy->nr_hosts = r->nr_hosts;
	memcpy(copy->host, r->host, sizeof(copy->host));
	for (unsigned int i = 0; i < copy->nr_hosts; i++)
		copy->host[i].holder = holds(r, &r->host[i]);
	pthread_mutex_unlock(&r->lock);
}

void reservation_persist(struct reservation *r, bool persists)
{
	pthread_mutex_lock(&r->lock);
	r->persists = persists;
	pthread_mutex_unlock(&r->lock);
}
