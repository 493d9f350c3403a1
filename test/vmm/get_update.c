// SPDX-License-Identifier: MIT
/*
 * Change of VTL2's settings, theory of operation
 *
 * Owns the text until all of it is sent, and the timer that bounds the wait of
 * who asked:
 *
 *	idle --start--> under way: sending --> sent --answer--> idle
 *	                    |  |
 *	                    |  `-- deadline: who asked is told; still under way
 *	                    `----- VTL2 gone: who asked is told; idle
 *
 * An answer does not say which change it is for. So a change whose time is
 * over stays the only one until VTL2 answers it after all or is gone.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <get_reg.h>
#include <pv/log.h>

#include "get_update.h"

LOG_MODULE("get");

#define NS_PER_S 1000000000ull

static void tell(struct get_update *u, const char *error)
{
	get_update_done *done = u->done;

	reactor_timer_cancel(u->loop, &u->deadline);
	u->done = NULL;
	if (done && error)
		u->failures++;
	if (done)
		done(u->opaque, error);
}

static void drop_text(struct get_update *u)
{
	free(u->text);
	u->text = NULL;
}

static void too_late(struct reactor_timer *timer)
{
	struct get_update *u = (struct get_update *)
		((char *)timer - offsetof(struct get_update, deadline));

	_Static_assert(GET_UPDATE_DEADLINE_S == 90, "the text says 90");
	tell(u, "no answer of VTL2 within 90 s");
}

/* 0, or why the piece at `sent` is not: -EAGAIN when there is room later. */
static int send_piece(struct get_update *u)
{
	static uint8_t message[sizeof(struct get_modify_settings_rev1) +
			       GET_PAYLOAD_MAX];
	size_t left = u->len - u->sent;
	size_t n = left < GET_PAYLOAD_MAX ? left : GET_PAYLOAD_MAX;
	struct get_modify_settings_rev1 head = {
		.header = {
			.version = GET_HEADER_VERSION,
			.type = GET_GUEST_NOTIFICATION,
			.id = cpu_to_le16(GET_MODIFY_SETTINGS_REV1),
		},
		.size = cpu_to_le32(n),
		.state = cpu_to_le32(n < left ? GET_PAYLOAD_MORE :
						GET_PAYLOAD_END),
	};
	int err;

	memcpy(message, &head, sizeof(head));
	memcpy(message + sizeof(head), u->text + u->sent, n);
	err = pipe_send(u->pipe, message, sizeof(head) + n);
	if (!err)
		u->sent += n;
	return err;
}

/* Sends what there is room for; the rest follows when there is more. */
static void send_pieces(struct get_update *u)
{
	int err = 0;

	while (u->text && !err) {
		err = send_piece(u);
		if (!err && u->sent == u->len)
			drop_text(u);
	}
	if (err == -EAGAIN || !err)
		return;
	drop_text(u);
	u->under_way = false;
	tell(u, err == -EMSGSIZE ? "VTL2's ring is too small for a piece" :
				   "VTL2 broke the transport");
}

void get_update_init(struct get_update *u, struct reactor *loop,
		     struct message_pipe *pipe)
{
	*u = (struct get_update){ .loop = loop, .pipe = pipe };
	u->deadline.fn = too_late;
}

const char *get_update_start(struct get_update *u, const char *json, size_t len,
			     get_update_done *done, void *opaque)
{
	if (u->under_way)
		return "another update is under way";
	_Static_assert(GET_SETTINGS_MAX == 65536, "the text below says so");
	if (!len || len > GET_SETTINGS_MAX)
		return "settings are 1 to 65536 bytes long";
	u->text = malloc(len);
	if (!u->text)
		return "out of memory";
	memcpy(u->text, json, len);
	u->len = len;
	u->sent = 0;
	u->under_way = true;
	u->updates++;
	u->done = done;
	u->opaque = opaque;
	reactor_timer_arm(u->loop, &u->deadline,
			  reactor_now() + GET_UPDATE_DEADLINE_S * NS_PER_S);
	send_pieces(u);
	return NULL;
}

void get_update_room(struct get_update *u)
{
	send_pieces(u);
}

/* What a VTL2 of whatever kind says becomes one line of printable bytes. */
static const char *printable(char *text, const void *from, size_t len)
{
	if (len > GET_RESULT_MAX)
		len = GET_RESULT_MAX;
	memcpy(text, from, len);
	text[len] = '\0';
	for (unsigned char *c = (unsigned char *)text; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return *text ? text : "VTL2 does not say why";
}

const char *get_update_completed(struct get_update *u, const void *message,
				 size_t size)
{
	struct get_modify_settings_completed in;
	char text[GET_RESULT_MAX + 1];
	const char *why;

	memcpy(&in, message, sizeof(in));
	if (!u->under_way || u->text)
		return "no settings wait for an answer";
	if (le32_to_cpu(in.result_size) > size - sizeof(in))
		return "its text is longer than the message";
	if (le32_to_cpu(in.status) > 1)
		return "the status is 0 or 1";
	u->under_way = false;
	why = printable(text, (const char *)message + sizeof(in),
			le32_to_cpu(in.result_size));
	if (le32_to_cpu(in.status)) {
		tell(u, why);
		return NULL;
	}
	if (*text)
		log_warn("the settings hold; VTL2 says: %s", why);
	tell(u, NULL);
	return NULL;
}

void get_update_gone(struct get_update *u)
{
	drop_text(u);
	u->under_way = false;
	tell(u, "VTL2 closed the transport");
}
