/* SPDX-License-Identifier: MIT */
/*
 * The wire format of Protocol Buffers: fields read from, and written to, bytes
 * that the caller owns. https://protobuf.dev/programming-guides/encoding
 *
 * What a message means is its reader's matter: unknown fields are passed over,
 * of a field that comes twice the last counts. Nothing here allocates.
 */
#ifndef PROTOBUF_H
#define PROTOBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pb_wire { PB_VARINT = 0, PB_FIXED64 = 1, PB_BYTES = 2, PB_FIXED32 = 5 };

struct pb_reader {
	const uint8_t *at, *end;
	bool bad; /* the bytes are no message */
};

struct pb_field {
	uint32_t number;
	enum pb_wire wire;
	uint64_t value; /* of all but PB_BYTES */
	const uint8_t *bytes; /* of PB_BYTES: within what is read */
	size_t len;
};

void pb_read(struct pb_reader *r, const void *bytes, size_t len);
/* The next field. False at the end, and when `bad`. */
bool pb_next(struct pb_reader *r, struct pb_field *f);
/* The next number where only numbers are: of a repeated field, packed. */
bool pb_next_number(struct pb_reader *r, uint64_t *value);
/* Copies text: false if it is no PB_BYTES, has a NUL or, with its own NUL,
 * more than `size` bytes. */
bool pb_copy_text(const struct pb_field *f, char *to, size_t size);

struct pb_writer {
	uint8_t *out;
	size_t size, used;
	bool full; /* something did not fit: `used` means nothing */
};

void pb_write(struct pb_writer *w, void *out, size_t size);
/* Written even when 0, as a member of a oneof has to be. */
void pb_uint(struct pb_writer *w, uint32_t number, uint64_t value);
void pb_bytes(struct pb_writer *w, uint32_t number, const void *bytes,
	      size_t len);
void pb_text(struct pb_writer *w, uint32_t number, const char *text);
/* A message within: what is written up to pb_end() is its content. */
size_t pb_begin(struct pb_writer *w, uint32_t number);
void pb_end(struct pb_writer *w, size_t begun);

#endif
