/* SPDX-License-Identifier: MIT */
/*
 * The device thread of vmm: a poll(2) loop.
 *
 * It is the reactor of <pv/reactor.h> for everything that runs in vmm and not
 * in the daemon: reactor_post(), reactor_run(), reactor_now(), the timers and
 * reactor_is_current() are implemented here. This header adds what only a
 * program with sockets and terminals needs: descriptors with a choice of
 * events, and the life of the loop itself.
 */
#ifndef VMM_LOOP_H
#define VMM_LOOP_H

#include <poll.h>

#include <pv/reactor.h>

/*
 * A watched descriptor, embedded in its user's object. `fn` is called with the
 * events that poll(2) reported, POLLERR and POLLHUP included even when nobody
 * asked for them; it may remove itself and any other.
 */
struct loop_fd {
	void (*fn)(struct loop_fd *watch, short events);
	int fd;		      /* not owned */
	short events;	      /* POLLIN, POLLOUT; 0 = errors and hang-up only */
	struct loop_fd *next; /* private */
};

/* NULL with errno when there is no descriptor or memory left. */
struct reactor *loop_create(void);

/* Runs on the calling thread until loop_stop(). Calls posted before the stop
 * are all run. */
void loop_run(struct reactor *loop);

/* Any thread. */
void loop_stop(struct reactor *loop);

/* After loop_run() has returned. What is still armed is forgotten. */
void loop_destroy(struct reactor *loop);

/* Loop's thread only, or while it does not run. The events may be changed
 * in place at any time by the loop's thread: the next turn uses them. */
void loop_fd_add(struct reactor *loop, struct loop_fd *watch);
/* Nothing happens if it is not added. Before closing the descriptor. */
void loop_fd_remove(struct reactor *loop, struct loop_fd *watch);

#endif
