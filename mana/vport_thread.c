// SPDX-License-Identifier: MIT
/*
 * A vport's thread, theory of operation
 *
 * Owns: everything that waits for the device, and the vport's idea of whether
 * there is one.
 *
 *	           open                    DEVICE_FATAL: lost
 *	(start) ----------> connected ------------------------> gone
 *	                        ^                                 | queues
 *	                        |  found again: back              v stopped
 *	                        +------------------------- disconnected
 *
 * It wakes for a command of the NIC's, for an asynchronous event of the
 * device, and once a second: to ask for the link, which tells itself nowhere,
 * to see whether frames are sent at all, and to look for a device that went.
 *
 * A queue that broke, with the device still there, is lost and comes back as
 * soon as the client has stopped it: everything is made anew by a start. One
 * that breaks again within 10 s of it comes back later each time:
 *
 *	broken   1st     2nd     3rd     4th ...
 *	back     at once after 1 s  2 s  4 s ... 32 s
 *
 * News go to the NIC's reactor as a list, in order.
 *
 * The thread may hang in a call to the kernel as long as the kernel waits for
 * the device, 30 s for each message; nobody waits for the thread, and inspect
 * says for how long it has been.
 *
 * Failure answers: a vport that does not work is degraded, in words that log
 * and inspect have: until it is found, comes back or starts. A device that
 * does not come back is looked for for ever, a look per second, which says so
 * once, after a minute.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <pv/log.h>

#include "vport.h"

LOG_MODULE("mana");

#define LOOK_MS 1000
#define SECOND 1000000000ull
#define CALM_NS (10 * SECOND)
#define MAX_HOLD_SHIFT 5
#define MISSED_NS (60 * SECOND)

void vport_wake(struct vport *v)
{
	uint64_t one = 1;

	if (write(v->wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		log_err("eventfd: %s", strerror(errno));
}

void vport_say(struct vport *v, enum vport_news what, int result)
{
	pthread_mutex_lock(&v->lock);
	if (v->closed)
		goto out_unlock;
	/* Of a link that changes faster than it is told, the last is enough. */
	if (what != NEWS_LINK || !v->nr_news ||
	    v->news[v->nr_news - 1].what != NEWS_LINK) {
		pv_bug(v->nr_news == VPORT_MAX_NEWS, v->nr_news, what);
		v->news[v->nr_news].what = what;
		v->news[v->nr_news].result = result;
		v->nr_news++;
	}
	/* Under the lock: the reactor may be no more when it is closed. */
	reactor_post(v->config.reactor, &v->news_call);
out_unlock:
	pthread_mutex_unlock(&v->lock);
}

void vport_lost(struct vport *v, const char *why)
{
	if (atomic_exchange(&v->broken, true))
		return;
	log_err("%s: %s", v->where.net, why);
	atomic_store(&v->degraded, why);
	atomic_store(&v->last_loss, why);
	v->losses++;
	vport_say(v, NEWS_LOST, 0);
	vport_wake(v);
}

void vport_look_at_link(struct vport *v)
{
	struct mana_link link;
	int err = mana_link_query(v->link_fd, v->where.ifindex, &link);

	if (err) {
		log_warn_limited("%s: link state: %s", v->where.net,
				 strerror(-err));
		link.up = false;
	}
	if (atomic_exchange(&v->link_up, link.up) != link.up)
		vport_say(v, NEWS_LINK, 0);
}

void vport_look_at_device(struct vport *v)
{
	if (v->gone || !verbs_gone(v->verbs))
		return;
	v->gone = true;
	v->gone_at = reactor_now();
	vport_lost(v, "the device is gone");
}

int vport_find(struct vport *v)
{
	struct mana_vport_info where;
	int err = mana_device_find("", &v->config.device, v->config.vport,
				   &where);

	pthread_mutex_lock(&v->lock); /* inspect reads it */
	v->where = where;
	pthread_mutex_unlock(&v->lock);
	return err;
}

int vport_connect(struct vport *v)
{
	int err = verbs_open(v->where.verbs, v->config.vport + 1,
			     v->config.memory, &v->keys, &v->limits, &v->verbs);

	v->gone = false;
	if (err)
		v->verbs = NULL;
	else
		atomic_store(&v->zero_copy, v->keys.all);
	return err;
}

static void say_back(struct vport *v)
{
	v->back_at = 0;
	atomic_store(&v->broken, false);
	atomic_store(&v->degraded, NULL);
	vport_say(v, NEWS_BACK, 0);
}

/* Lets go of a device that went, and looks for it. */
static void look_for_device(struct vport *v)
{
	int err;

	if (v->verbs) {
		verbs_close(v->verbs);
		v->verbs = NULL;
		atomic_store(&v->link_up, false);
	}
	err = vport_find(v);
	if (!err)
		err = vport_connect(v);
	if (err) {
		if (err != -ENOENT && err != -ENXIO)
			log_warn_limited("%s: %s", v->where.verbs,
					 strerror(-err));
		if (v->gone_at && reactor_now() - v->gone_at >= MISSED_NS) {
			log_err("%s: the device is not back after 60 s",
				v->where.net);
			v->gone_at = 0;
		}
		return;
	}
	log_info("%s is back", v->where.net);
	say_back(v);
	vport_look_at_link(v);
}

/* A vport whose device is there is lost only as long as it has queues, and for
 * a while if it is so too often. */
static void recover(struct vport *v)
{
	uint64_t now = reactor_now(), hold;
	unsigned int n;

	if (!v->verbs || v->gone || !atomic_load(&v->broken))
		return;
	if (now - v->started_at >= CALM_NS)
		v->rebuilds = 0;
	n = v->rebuilds++;
	if (!n) {
		say_back(v);
		return;
	}
	hold = SECOND << (n > MAX_HOLD_SHIFT ? MAX_HOLD_SHIFT : n - 1);
	log_warn("%s: broken %u times in a row: back in %llu s", v->where.net,
		 n + 1, (unsigned long long)(hold / SECOND));
	v->back_at = now + hold;
}

static void end_hold(struct vport *v)
{
	v->back_at = 0;
	if (v->verbs && !v->gone && atomic_load(&v->broken))
		say_back(v);
}

static void start(struct vport *v)
{
	int err = -ENODEV;

	if (v->verbs && !v->gone && !atomic_load(&v->broken))
		err = vport_queues_start(v);
	/* That means a device that is gone; this one is not, that we know of. */
	if (err == -ENODEV && !v->gone && v->verbs && !atomic_load(&v->broken))
		err = -EIO;
	if (err)
		log_err("%s: start: %s", v->where.net, strerror(-err));
	if (!v->gone && !atomic_load(&v->broken))
		atomic_store(&v->degraded, err ? "queues can not be made" :
						 NULL);
	v->started_at = reactor_now();
	v->starts++;
	vport_say(v, NEWS_STARTED, err);
	if (err)
		recover(v);
}

static void stop(struct vport *v)
{
	vport_queues_stop(v);
	vport_say(v, NEWS_STOPPED, 0);
	recover(v);
}

/* False: it was the last one. */
static bool commands(struct vport *v)
{
	bool want_start, want_stop, want_end;
	uint64_t count;

	if (read(v->wake_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		log_err("eventfd: %s", strerror(errno));
	pthread_mutex_lock(&v->lock);
	want_start = v->want_start;
	want_stop = v->want_stop;
	want_end = v->want_end;
	v->want_start = v->want_stop = false;
	pthread_mutex_unlock(&v->lock);
	if (want_start)
		start(v);
	if (want_stop)
		stop(v);
	return !want_end;
}

static void look_around(struct vport *v)
{
	if (!v->verbs || (v->gone && !v->nr_queues)) {
		look_for_device(v);
		return;
	}
	if (!v->gone)
		vport_look_at_link(v);
	vport_queues_watch(v);
}

void *vport_thread(void *arg)
{
	struct vport *v = arg;
	uint64_t next_look = 0, next;

	for (;;) {
		struct pollfd fds[] = {
			{ .fd = v->wake_fd, .events = POLLIN },
			{ .fd = v->verbs && !v->gone ? verbs_fd(v->verbs) : -1,
			  .events = POLLIN },
		};
		uint64_t now = reactor_now();

		if (v->back_at && now >= v->back_at)
			end_hold(v);
		if (now >= next_look) {
			look_around(v);
			next_look = reactor_now() + LOOK_MS * 1000000ull;
			continue;
		}
		next = v->back_at && v->back_at < next_look ? v->back_at :
							      next_look;
		atomic_store(&v->waiting_since, 0);
		poll(fds, 2, (int)((next - now) / 1000000) + 1);
		atomic_store(&v->waiting_since, reactor_now());
		if (fds[1].revents)
			vport_look_at_device(v);
		if (fds[0].revents && !commands(v))
			break;
	}
	/* Here, because it may take as long as all else. */
	if (v->verbs)
		verbs_close(v->verbs);
	v->verbs = NULL;
	vport_put(v);
	return NULL;
}
