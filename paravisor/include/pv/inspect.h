/* SPDX-License-Identifier: MIT */
/*
 * Inspect: one tree of names over all objects, read by a human or a script.
 *
 * An object is asked to describe itself: its function calls inspect_u64() and
 * friends for its values and inspect_begin()/inspect_end() around children.
 * The writer turns that into JSON and cuts at the requested path and depth;
 * the object does not know which part was asked for.
 *
 * Threads: description runs on the reactor that serves the request and reads
 * counters of other threads as they are (relaxed): values are each right, but
 * not one snapshot.
 */
#ifndef PV_INSPECT_H
#define PV_INSPECT_H

#include <stdbool.h>
#include <stdint.h>

struct inspect;

typedef void inspect_fn(void *object, struct inspect *out);

/* A top-level name. `entry` is owned by the caller; names are unique. */
struct inspect_entry {
	const char *name;
	inspect_fn *describe;
	void *object;
	struct inspect_entry *next;
};
void inspect_register(struct inspect_entry *entry);

void inspect_u64(struct inspect *out, const char *name, uint64_t value);
void inspect_hex(struct inspect *out, const char *name, uint64_t value);
void inspect_bool(struct inspect *out, const char *name, bool value);
/* Any bytes up to NUL; what is not printable ASCII is escaped. */
void inspect_text(struct inspect *out, const char *name, const char *value);
/* A child object; false = outside what was asked for, skip its content (and
 * do not call inspect_end()). */
bool inspect_begin(struct inspect *out, const char *name);
void inspect_end(struct inspect *out);

/*
 * A child that lists the newest of many. *n is how many are listed when
 * nobody says; a path may say another number behind the child's name:
 * "vp0/trace" or "vp0/trace/100", and "vp0/trace/100/4711/rip" below that.
 * The number is not part of the answer.
 */
bool inspect_begin_newest(struct inspect *out, const char *name,
			  unsigned int *n);

/*
 * A path that can be updated: something is done, and `path` describes what came
 * of it. The function runs on the thread that serves requests, which is no
 * reactor's: it may wait, with a deadline, and asks reactors for what is
 * theirs. NULL, or what is wrong with `value`. `entry` is owned by the caller.
 */
struct inspect_updater {
	const char *path;
	const char *(*update)(void *object, const char *value);
	void *object;
	struct inspect_updater *next;
	/* Not only a measurement: something is another way afterwards. */
	bool changes;
};
void inspect_updater_register(struct inspect_updater *entry);
/* Only measurements are taken, or all: whether this is a release image. */
void inspect_forbid_changes(bool forbid);

/* 0; -ENOENT: nothing to update there; -EINVAL, -EPERM: forbidden, with
 * *error. */
int inspect_update(const char *path, const char *value, const char **error);

/*
 * Renders `path` (names joined by '/', "" = all) to `depth` levels as one line
 * of JSON without a newline. Returns the length, -ENOENT when no such path
 * exists, -ENOSPC when it does not fit into `size` bytes.
 */
int inspect_render(const char *path, unsigned int depth, char *json,
		   unsigned int size);

#endif
