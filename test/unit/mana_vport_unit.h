/* SPDX-License-Identifier: MIT */
/*
 * A NIC on a vport for tests: threads and reactors are as they are; in place of
 * verbs and of the kernel there is what a test says, and the client notes what
 * it hears.
 */
#ifndef TEST_MANA_VPORT_UNIT_H
#define TEST_MANA_VPORT_UNIT_H

#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mana/vport.h"

#define VPORT_QUEUES 2u

/* What the kernel does, set by tests ... */
extern struct vport_kernel {
	_Atomic int find_error, queues_error;
	_Atomic int finds_until_there; /* looks that find nothing, first */
	atomic_bool gone;	       /* said when async_fd is readable */
	atomic_bool carrier, all_keys;
	/* A message to the device hangs, until `let_go` is posted. */
	atomic_bool hang_create, hang_close;
	sem_t let_go;
	int async_fd;
	/* ... and what it was asked. */
	_Atomic unsigned int nr_regions, nr_verbs, nr_creates, nr_destroys;
	_Atomic unsigned int nr_hanging;
} vport_kernel;

enum heard { NOTHING, STARTED, STOPPED, LINK, LOST, BACK };

extern struct nic *nic;
extern struct reactor *reactor;
extern struct vport_client {
	sem_t any;
	unsigned int nr, looked_at;
	enum heard what[32];
	int result;
	struct nic_queue *queue[VPORT_QUEUES];
	/* Or by the test: not by vport_teardown(). */
	bool close_when_stopped;
	_Atomic unsigned int nr_sent;
} client;

/* Once, before all tests. */
int vport_unit_init(void);
/* A vport that is open. */
int vport_setup(void **state);
int vport_teardown(void **state);
#define VPORT_TEST(name) \
	cmocka_unit_test_setup_teardown(name, vport_setup, vport_teardown)

/* The next thing that is heard, within 5 s. */
enum heard next(void);
int open_it(unsigned int vport, uint32_t wait_ms);
struct nic_start start_of(unsigned int queues);
/* nic_ops, on the reactor. */
int start_with(const struct nic_start *how);
int start(unsigned int queues);
void stop(void);
void close_it(void);
/* A frame on queue 0; one that no device takes, if `bad`. */
void send_frame(bool bad);
/* The device says that it goes. */
void device_goes(void);

#endif
