/* SPDX-License-Identifier: MIT */
/*
 * Reservations of a medium (base 8.19): who is registered, who holds what, and
 * which commands that lets through. It knows hosts and keys, no commands: see
 * nvme_reservation.c for those.
 *
 * Any thread; each call holds the lock by itself. Results are statuses of
 * nvme_reg.h.
 */
#ifndef MODEL_RESERVATION_H
#define MODEL_RESERVATION_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define RESERVATION_MAX_HOSTS 64u

/* Types (base figure 440). */
enum reservation_type {
	RESERVATION_NONE,
	RESERVATION_WRITE_EXCLUSIVE,
	RESERVATION_EXCLUSIVE_ACCESS,
	RESERVATION_WRITE_EXCLUSIVE_REGISTRANTS,
	RESERVATION_EXCLUSIVE_ACCESS_REGISTRANTS,
	RESERVATION_WRITE_EXCLUSIVE_ALL,
	RESERVATION_EXCLUSIVE_ACCESS_ALL,
};

struct reservation_host {
	uint8_t id[16];
	uint64_t key;
	uint16_t controller;
	bool holder; /* types for all registrants: not kept here */
};

/* All zero but for the lock: nobody is registered. */
struct reservation {
	pthread_mutex_t lock;
	_Atomic uint8_t type;
	bool persists;
	uint32_t generation;
	unsigned int nr_hosts;
	struct reservation_host host[RESERVATION_MAX_HOSTS];
};

/* Is a command of this host let through? `write`: it changes the medium. */
bool reservation_allows(struct reservation *r, const uint8_t host[16],
			bool write);

uint16_t reservation_register(struct reservation *r,
			      const struct reservation_host *host,
			      bool ignore_key);
uint16_t reservation_unregister(struct reservation *r, const uint8_t host[16],
				uint64_t key, bool ignore_key);
uint16_t reservation_replace(struct reservation *r,
			     const struct reservation_host *host,
			     uint64_t old_key, bool ignore_key);
uint16_t reservation_acquire(struct reservation *r, const uint8_t host[16],
			     uint64_t key, uint8_t type);
uint16_t reservation_preempt(struct reservation *r, const uint8_t host[16],
			     uint64_t key, uint8_t type, uint64_t victim);
uint16_t reservation_release(struct reservation *r, const uint8_t host[16],
			     uint64_t key, uint8_t type);
uint16_t reservation_clear(struct reservation *r, const uint8_t host[16],
			   uint64_t key);

/* A copy, without the lock; of hosts, `holder` is right for every type. */
void reservation_snapshot(struct reservation *r, struct reservation *copy);
void reservation_persist(struct reservation *r, bool persists);

#endif
