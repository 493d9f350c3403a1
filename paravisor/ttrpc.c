// SPDX-License-Identifier: MIT
/*
 * ttrpc's messages: read from bytes that have arrived as a whole, written into
 * the caller's. Who sends and receives them is diag_client.c and pvctl_call.c.
 */
#include <string.h>

#include "ttrpc.h"

static uint32_t be32_read(const uint8_t *b)
{
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 |
	       (uint32_t)b[2] << 8 | b[3];
}

static void be32_write(uint8_t *b, uint32_t v)
{
	for (unsigned int i = 0; i < 4; i++)
		b[i] = (uint8_t)(v >> (24 - 8 * i));
}

struct ttrpc_header ttrpc_header_read(const uint8_t *bytes)
{
	return (struct ttrpc_header){ .length = be32_read(bytes),
				      .stream = be32_read(bytes + 4),
				      .type = bytes[8],
				      .flags = bytes[9] };
}

void ttrpc_header_write(uint8_t *bytes, const struct ttrpc_header *header)
{
	be32_write(bytes, header->length);
	be32_write(bytes + 4, header->stream);
	bytes[8] = header->type;
	bytes[9] = header->flags;
}

const char *ttrpc_request_read(struct ttrpc_request *request,
			       const void *bytes, size_t len)
{
	struct pb_reader r;
	struct pb_field f;

	*request = (struct ttrpc_request){ .payload = bytes };
	pb_read(&r, bytes, len);
	while (pb_next(&r, &f)) {
		if (f.number == 1 && !pb_copy_text(&f, request->service,
						   sizeof(request->service)))
			return "service: not text of up to 39 bytes";
		if (f.number == 2 && !pb_copy_text(&f, request->method,
						   sizeof(request->method)))
			return "method: not text of up to 39 bytes";
		if (f.number == 3 && f.wire == PB_BYTES) {
			request->payload = f.bytes;
			request->len = f.len;
		}
		if (f.number == 4 && f.wire == PB_VARINT)
			request->timeout_ns = f.value;
	}
	return r.bad ? "request: not a protobuf message" : NULL;
}

void ttrpc_request_write(struct pb_writer *w,
			 const struct ttrpc_request *request)
{
	pb_text(w, 1, request->service);
	pb_text(w, 2, request->method);
	pb_bytes(w, 3, request->payload, request->len);
	if (request->timeout_ns)
		pb_uint(w, 4, request->timeout_ns);
}

static bool status_read(struct ttrpc_response *response,
			const struct pb_field *status)
{
	struct pb_reader r;
	struct pb_field f;

	pb_read(&r, status->bytes, status->len);
	while (pb_next(&r, &f)) {
		size_t n = f.len < sizeof(response->message) - 1 ?
				   f.len : sizeof(response->message) - 1;

		if (f.number == 1 && f.wire == PB_VARINT)
			response->code = (uint32_t)f.value;
		if (f.number != 2 || f.wire != PB_BYTES)
			continue;
		if (n)
			memcpy(response->message, f.bytes, n);
		response->message[n] = '\0';
	}
	return !r.bad;
}

bool ttrpc_response_read(struct ttrpc_response *response, const void *bytes,
			 size_t len)
{
	struct pb_reader r;
	struct pb_field f;

	*response = (struct ttrpc_response){ .payload = bytes };
	pb_read(&r, bytes, len);
	while (pb_next(&r, &f)) {
		if (f.wire != PB_BYTES)
			continue;
		if (f.number == 1 && !status_read(response, &f))
			return false;
		if (f.number == 2) {
			response->payload = f.bytes;
			response->len = f.len;
		}
	}
	return !r.bad;
}

void ttrpc_status_write(struct pb_writer *w, enum ttrpc_code code,
			const char *message)
{
	size_t status = pb_begin(w, 1);

	pb_uint(w, 1, code);
	pb_text(w, 2, message);
	pb_end(w, status);
}

size_t ttrpc_payload_prefix(uint8_t *bytes, size_t len)
{
	size_t n = 0;

	bytes[n++] = 2 << 3 | PB_BYTES;
	for (; len > 0x7f; len >>= 7)
		bytes[n++] = (uint8_t)len | 0x80;
	bytes[n++] = (uint8_t)len;
	return n;
}
