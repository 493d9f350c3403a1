// SPDX-License-Identifier: MIT
/*
 * Protocol Buffers, theory of operation
 *
 * A field is a key (its number, and how long it is) and its bytes; a number is
 * seven bits a byte, the low ones first. A message within another has its
 * length in front. The writer goes forward and does not know it yet, so
 * pb_end() moves the content up by the bytes that the length needs: a byte is
 * moved once for each level around it, of which inspect has a dozen.
 *
 * Written by hand, and not nanopb's: the requests are eight small messages
 * without recursion, the one answer of size is a tree that nanopb would leave
 * to callbacks of ours anyway, and its run time alone is four times this file.
 */
#include <string.h>

#include "protobuf.h"

#define MAX_VARINT 10
#define MAX_NUMBER ((1u << 29) - 1)

/* ---- reading ---- */

void pb_read(struct pb_reader *r, const void *bytes, size_t len)
{
	r->at = bytes;
	r->end = r->at + len;
	r->bad = false;
}

static uint64_t read_varint(struct pb_reader *r)
{
	uint64_t value = 0;

	for (unsigned int i = 0; i < MAX_VARINT && r->at < r->end; i++) {
		uint8_t byte = *r->at++;

		value |= (uint64_t)(byte & 0x7f) << (7 * i);
		if (!(byte & 0x80))
			return value;
	}
	r->bad = true;
	return 0;
}

static uint64_t read_fixed(struct pb_reader *r, unsigned int size)
{
	uint64_t value = 0;

	if ((size_t)(r->end - r->at) < size) {
		r->bad = true;
		return 0;
	}
	for (unsigned int i = 0; i < size; i++)
		value |= (uint64_t)*r->at++ << (8 * i);
	return value;
}

static void read_bytes(struct pb_reader *r, struct pb_field *f)
{
	uint64_t len = read_varint(r);

	if (r->bad || len > (uint64_t)(r->end - r->at)) {
		r->bad = true;
		return;
	}
	f->bytes = r->at;
	f->len = (size_t)len;
	r->at += len;
}

bool pb_next_number(struct pb_reader *r, uint64_t *value)
{
	if (r->bad || r->at == r->end)
		return false;
	*value = read_varint(r);
	return !r->bad;
}

bool pb_next(struct pb_reader *r, struct pb_field *f)
{
	uint64_t key;

	*f = (struct pb_field){ 0 };
	if (r->bad || r->at == r->end)
		return false;
	key = read_varint(r);
	if (r->bad || !(key >> 3) || key >> 3 > MAX_NUMBER) {
		r->bad = true;
		return false;
	}
	f->number = (uint32_t)(key >> 3);
	f->wire = (enum pb_wire)(key & 7);
	switch (key & 7) {
	case PB_VARINT:
		f->value = read_varint(r);
		break;
	case PB_FIXED64:
		f->value = read_fixed(r, 8);
		break;
	case PB_BYTES:
		read_bytes(r, f);
		break;
	case PB_FIXED32:
		f->value = read_fixed(r, 4);
		break;
	default: /* groups: no format of today has them */
		r->bad = true;
	}
	return !r->bad;
}

bool pb_copy_text(const struct pb_field *f, char *to, size_t size)
{
	if (f->wire != PB_BYTES || f->len >= size ||
	    (f->len && memchr(f->bytes, '\0', f->len)))
		return false;
	if (f->len)
		memcpy(to, f->bytes, f->len);
	to[f->len] = '\0';
	return true;
}

/* ---- writing ---- */

void pb_write(struct pb_writer *w, void *out, size_t size)
{
	*w = (struct pb_writer){ .out = out, .size = size };
}

static bool room(struct pb_writer *w, size_t len)
{
	if (len > w->size - w->used)
		w->full = true;
	return !w->full;
}

static unsigned int encode(uint8_t *to, uint64_t value)
{
	unsigned int n = 0;

	for (; value > 0x7f; value >>= 7)
		to[n++] = (uint8_t)value | 0x80;
	to[n++] = (uint8_t)value;
	return n;
}

static void put_varint(struct pb_writer *w, uint64_t value)
{
	uint8_t bytes[MAX_VARINT];
	unsigned int n = encode(bytes, value);

	if (!room(w, n))
		return;
	memcpy(w->out + w->used, bytes, n);
	w->used += n;
}

void pb_uint(struct pb_writer *w, uint32_t number, uint64_t value)
{
	put_varint(w, (uint64_t)number << 3 | PB_VARINT);
	put_varint(w, value);
}

void pb_bytes(struct pb_writer *w, uint32_t number, const void *bytes,
	      size_t len)
{
	put_varint(w, (uint64_t)number << 3 | PB_BYTES);
	put_varint(w, len);
	if (!room(w, len))
		return;
	if (len)
		memcpy(w->out + w->used, bytes, len);
	w->used += len;
}

void pb_text(struct pb_writer *w, uint32_t number, const char *text)
{
	pb_bytes(w, number, text, strlen(text));
}

size_t pb_begin(struct pb_writer *w, uint32_t number)
{
	put_varint(w, (uint64_t)number << 3 | PB_BYTES);
	return w->used;
}

void pb_end(struct pb_writer *w, size_t begun)
{
	uint8_t bytes[MAX_VARINT];
	size_t len = w->used - begun;
	unsigned int n = encode(bytes, len);

	if (w->full || !room(w, n))
		return;
	memmove(w->out + begun + n, w->out + begun, len);
	memcpy(w->out + begun, bytes, n);
	w->used += n;
}
