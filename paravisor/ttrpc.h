/* SPDX-License-Identifier: MIT */
/*
 * ttrpc: calls of a service's methods over a stream of bytes.
 * https://github.com/containerd/ttrpc/blob/main/PROTOCOL.md
 *
 *	0  be32 length of what follows the header
 *	4  be32 stream, odd: a call, and its answer has the same
 *	8  u8   type: 1 request, 2 response
 *	9  u8   flags, 0
 *
 *	Request  { string service = 1; string method = 2; bytes payload = 3;
 *	           int64 timeout_nano = 4; repeated KeyValue metadata = 5; }
 *	Response { Status status = 1; bytes payload = 2; }   one of them
 *	Status   { int32 code = 1; string message = 2; }     google.rpc
 */
#ifndef TTRPC_H
#define TTRPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protobuf.h"

#define TTRPC_HEADER_SIZE 10
#define TTRPC_REQUEST 1
#define TTRPC_RESPONSE 2
/* No message is longer: the specification's limit, and what the other end of
 * this one takes. */
#define TTRPC_MAX_LENGTH (4u << 20)

/* google.rpc.Code */
enum ttrpc_code {
	TTRPC_OK = 0,
	TTRPC_UNKNOWN = 2,
	TTRPC_INVALID_ARGUMENT = 3,
	TTRPC_DEADLINE_EXCEEDED = 4,
	TTRPC_NOT_FOUND = 5,
	TTRPC_PERMISSION_DENIED = 7,
	TTRPC_RESOURCE_EXHAUSTED = 8,
	TTRPC_FAILED_PRECONDITION = 9,
	TTRPC_UNIMPLEMENTED = 12,
	TTRPC_INTERNAL = 13,
	TTRPC_UNAVAILABLE = 14,
};

struct ttrpc_header {
	uint32_t length, stream;
	uint8_t type, flags;
};

struct ttrpc_header ttrpc_header_read(const uint8_t *bytes);
void ttrpc_header_write(uint8_t *bytes, const struct ttrpc_header *header);

struct ttrpc_request {
	char service[40], method[40];
	const uint8_t *payload; /* within what was read */
	size_t len;
	uint64_t timeout_ns; /* 0: none */
};

/* NULL, or what is wrong. */
const char *ttrpc_request_read(struct ttrpc_request *request,
			       const void *bytes, size_t len);
void ttrpc_request_write(struct pb_writer *w,
			 const struct ttrpc_request *request);

struct ttrpc_response {
	uint32_t code; /* TTRPC_OK: there is a payload */
	char message[256]; /* cut, if it is longer */
	const uint8_t *payload;
	size_t len;
};

bool ttrpc_response_read(struct ttrpc_response *response, const void *bytes,
			 size_t len);
void ttrpc_status_write(struct pb_writer *w, enum ttrpc_code code,
			const char *message);
/* What stands in front of a payload of `len` bytes in a response that holds
 * one; returns its length, at most TTRPC_PREFIX_MAX. */
#define TTRPC_PREFIX_MAX 8
size_t ttrpc_payload_prefix(uint8_t *bytes, size_t len);

#endif
