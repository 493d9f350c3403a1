// SPDX-License-Identifier: MIT
/*
 * Settings from the host in pieces, theory of operation
 *
 * Owns the text while it grows: one allocation of the greatest size, made by
 * the first piece and bounded, so that a host cannot make it more.
 *
 *	empty --piece, more follow--> growing --last piece--> whole
 *	   ^                             | a rule is broken      |
 *	   |                             v                       |
 *	   |                           wrong --last piece--> refused
 *	   `-------------------- clear -----------------------'--'
 *
 * After a broken rule the other pieces of the sequence are still counted off,
 * so that the next sequence begins where the host begins it. A piece whose
 * own header cannot be read ends its sequence.
 *
 * Threads: none of its own; who calls holds a lock.
 */
#include <stdlib.h>
#include <string.h>

#include "get_settings.h"

/* How the message begins; the state of a whole one is that of a last piece. */
static size_t read_header(uint16_t id, const void *message, size_t size,
			  struct get_modify_settings_rev1 *piece)
{
	size_t head = id == GET_MODIFY_SETTINGS ?
			      sizeof(struct get_modify_settings) :
			      sizeof(*piece);

	*piece = (struct get_modify_settings_rev1){
		.state = cpu_to_le32(GET_PAYLOAD_END),
	};
	if (size < head)
		return 0;
	memcpy(piece, message, head);
	return head;
}

static const char *append(struct get_settings *s, const void *bytes, size_t len)
{
	if (!s->text)
		s->text = malloc(GET_SETTINGS_MAX);
	if (!s->text)
		return "settings: no memory for them";
	if (len > GET_SETTINGS_MAX - s->len)
		return "settings: more than 65536 bytes";
	memcpy(s->text + s->len, bytes, len);
	s->len += len;
	return NULL;
}

bool get_settings_piece(struct get_settings *s, uint16_t id,
			const void *message, size_t size)
{
	struct get_modify_settings_rev1 piece;
	size_t head = read_header(id, message, size, &piece);
	uint32_t state = le32_to_cpu(piece.state);
	const char *wrong = NULL;

	_Static_assert(GET_SETTINGS_MAX == 65536, "the text above says so");
	if (!head)
		wrong = "settings: a piece shorter than its header";
	else if (le32_to_cpu(piece.size) != size - head)
		wrong = "settings: a piece is not as long as it says";
	else if (state != GET_PAYLOAD_END && state != GET_PAYLOAD_MORE)
		wrong = "settings: the state of a piece is 0 or 1";
	else if (id == GET_MODIFY_SETTINGS && s->text)
		wrong = "settings: a whole one between pieces";
	else if (!s->wrong)
		wrong = append(s, (const uint8_t *)message + head,
			       size - head);
	if (!s->wrong)
		s->wrong = wrong;
	return state != GET_PAYLOAD_MORE;
}

void get_settings_clear(struct get_settings *s)
{
	free(s->text);
	*s = (struct get_settings){ 0 };
}
