/* SPDX-License-Identifier: MIT */
/*
 * One change of VTL2's settings, from the host's side (get_reg.h): sent in
 * pieces, then answered by VTL2.
 */
#ifndef VMM_GET_UPDATE_H
#define VMM_GET_UPDATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pv/message_pipe.h>
#include <pv/reactor.h>

/* Longer than VTL2 waits for devices and its guest, which it says
 * (MAIN_SETTINGS_SECONDS). */
#define GET_UPDATE_DEADLINE_S 90

/* NULL: VTL2 has applied it; what of it is still to come is in the log. Else why
 * not, one line, valid during the call. */
typedef void get_update_done(void *opaque, const char *error);

struct get_update {
	struct reactor *loop;
	struct message_pipe *pipe;
	char *text; /* NULL: nothing to send */
	size_t len, sent;
	bool under_way;	       /* until VTL2 has answered or is gone */
	get_update_done *done; /* NULL: who asked knows already */
	void *opaque;
	struct reactor_timer deadline;
	uint64_t updates, failures; /* of all so far */
};

/* All calls: the device thread. */
void get_update_init(struct get_update *u, struct reactor *loop,
		     struct message_pipe *pipe);

/* NULL: done() will be called, once. Else why not, and it will not. The text
 * is copied. */
const char *get_update_start(struct get_update *u, const char *json, size_t len,
			     get_update_done *done, void *opaque);

/* The pipe has room. */
void get_update_room(struct get_update *u);

/* VTL2 answered, with a GET_MODIFY_SETTINGS_COMPLETED of at least its
 * structure's size. NULL, or the rule that the message breaks. */
const char *get_update_completed(struct get_update *u, const void *message,
				 size_t size);

/* VTL2 is gone, or starts again. */
void get_update_gone(struct get_update *u);

#endif
