/* SPDX-License-Identifier: MIT */
/* Back-ends under test, and a loop that runs beside. One loop at a time. */
#ifndef TEST_NET_UNIT_H
#define TEST_NET_UNIT_H

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "net_frames.h"
#include "test/vmm/loop.h"
#include "test/vmm/net_back.h"

/* ---- a loop ---- */

static struct reactor *loop;
static pthread_t loop_thread;

static inline void *loop_main(void *arg)
{
	loop_run(arg);
	return NULL;
}

static inline void loop_begin(void)
{
	assert_int_equal(pthread_create(&loop_thread, NULL, loop_main, loop),
			 0);
}

static inline void loop_end(void)
{
	loop_stop(loop);
	pthread_join(loop_thread, NULL);
}

/* Until `condition`, at most 10 s. */
#define WAIT_FOR(condition)                                            \
	do {                                                           \
		time_t end_ = time(NULL) + 10;                         \
		while (!(condition)) {                                 \
			assert_true(time(NULL) < end_);                \
			usleep(200);                                   \
		}                                                      \
	} while (0)

static inline bool send_frame(struct net_back *nb, const struct test_frame *f,
			      const struct net_offload *o)
{
	static const struct net_offload none;
	/* In two pieces, as a NIC would have it. */
	const struct iovec iov[2] = {
		{ (void *)f->byte, 14 },
		{ (void *)(f->byte + 14), f->len - 14 },
	};
	const struct net_frame frame = { iov, 2, f->len, o ? *o : none };

	return net_back_send(nb, &frame);
}

/* ---- a client of a back-end that keeps what it got ---- */

struct test_client {
	pthread_mutex_t lock;
	unsigned int frames, rooms;
	struct test_frame last;
	/* Looks at each frame, if set. */
	void (*look)(struct test_client *c, const uint8_t *frame, uint32_t len);
};

static inline void client_received(void *opaque, const uint8_t *frame,
				   uint32_t len)
{
	struct test_client *c = opaque;

	pthread_mutex_lock(&c->lock);
	c->frames++;
	c->last.len = len;
	memcpy(c->last.byte, frame, len);
	if (c->look)
		c->look(c, frame, len);
	pthread_mutex_unlock(&c->lock);
}

static inline void client_room(void *opaque)
{
	struct test_client *c = opaque;

	pthread_mutex_lock(&c->lock);
	c->rooms++;
	pthread_mutex_unlock(&c->lock);
}

static inline void client_start(struct test_client *c, struct net_back *nb)
{
	const struct net_back_client client = { client_received, client_room,
						c };

	pthread_mutex_init(&c->lock, NULL);
	net_back_start(nb, &client);
}

static inline unsigned int client_frames(struct test_client *c)
{
	unsigned int n;

	pthread_mutex_lock(&c->lock);
	n = c->frames;
	pthread_mutex_unlock(&c->lock);
	return n;
}

static inline unsigned int client_rooms(struct test_client *c)
{
	unsigned int n;

	pthread_mutex_lock(&c->lock);
	n = c->rooms;
	pthread_mutex_unlock(&c->lock);
	return n;
}

/* ---- back-ends from text ---- */

static struct net_option test_option[4];

static inline struct net_back *open_back(unsigned int n, const char *text)
{
	struct net_back *nb;

	assert_null(net_option_parse(text, &test_option[n]));
	nb = net_back_open(&test_option[n], loop);
	return nb;
}

static inline void close_back(unsigned int n, struct net_back *nb)
{
	net_back_close(nb);
	net_option_free(&test_option[n]);
}

#endif
