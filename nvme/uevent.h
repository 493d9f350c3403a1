/* SPDX-License-Identifier: MIT */
/*
 * The kernel's uevents: what happens to devices, told to who subscribed.
 */
#ifndef NVME_UEVENT_H
#define NVME_UEVENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct reactor;

enum uevent_action { UEVENT_OTHER, UEVENT_ADD, UEVENT_REMOVE, UEVENT_CHANGE };

/* Texts lie in the message. */
struct uevent {
	enum uevent_action action;
	const char *name; /* last part of the device's path in sysfs */
	const char *subsystem;
	bool resized;	/* RESIZE=1: a block device has another size */
	bool connected; /* NVME_EVENT=connected: after start or reset */
};

/*
 * Takes one message of a NETLINK_KOBJECT_UEVENT socket apart: "ACTION@DEVPATH"
 * and KEY=VALUE, each with its NUL (lib/kobject_uevent.c). False: it is none.
 * Pure.
 */
bool uevent_parse(const char *message, size_t len, struct uevent *event);

struct uevent_source {
	/* On the reactor of events, never two at a time, and not any more when
	 * uevent_unsubscribe() has returned; must not call that. `event` NULL:
	 * something was missed, look for yourself. */
	void (*fn)(struct uevent_source *source, const struct uevent *event);
	struct uevent_source *next; /* private */
	atomic_bool look;	    /* private */
};

/* Any thread. */
void uevent_subscribe(struct uevent_source *source);
void uevent_unsubscribe(struct uevent_source *source);
/* Calls `fn` with a source that may have been unsubscribed, unless it has.
 * Events' reactor, not from inside of a source's fn(). */
void uevent_visit(struct uevent_source *source,
		  void (*fn)(struct uevent_source *source));
/* Calls fn(source, NULL) soon. Not after the source was unsubscribed. */
void uevent_look(struct uevent_source *source);

/* The reactor of events, or NULL while there is none. */
struct reactor *uevent_reactor(void);

/* One message, as if it had been received: for tests. */
void uevent_dispatch(const char *message, size_t len);

#endif
