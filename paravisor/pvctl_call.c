// SPDX-License-Identifier: MIT
/*
 * Calls of pvctl: one connection to the control port, one call at a time, and
 * data connections beside it.
 */
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pvctl.h"

/* What may come back: the public limit of a message. */
#define ANSWER_MAX 0xffffffu

int pvctl_open(struct pvctl *p)
{
	const char *error;

	if (p->control >= 0)
		return PVCTL_OK;
	p->control = pvctl_connect(p, PVCTL_CONTROL_PORT, &error);
	if (p->control >= 0)
		return PVCTL_OK;
	return pvctl_fail(p, PVCTL_NO_CONNECTION, "%s: %s", p->vm, error);
}

void pvctl_close(struct pvctl *p)
{
	if (p->control >= 0)
		close(p->control);
	p->control = -1;
	free(p->answer);
	p->answer = NULL;
}

static int lost(struct pvctl *p, int ret)
{
	if (p->control >= 0)
		close(p->control);
	p->control = -1;
	return ret ? pvctl_fail(p, PVCTL_NO_CONNECTION,
				"the connection was closed") :
		     pvctl_fail(p, PVCTL_TIMEOUT, "no answer in time");
}

int pvctl_open_data(struct pvctl *p, uint64_t *id, int *fd)
{
	const char *error;
	uint8_t bytes[8];
	int ret;

	*fd = pvctl_connect(p, PVCTL_DATA_PORT, &error);
	if (*fd < 0)
		return pvctl_fail(p, PVCTL_NO_CONNECTION, "%s: %s", p->vm,
				  error);
	ret = pvctl_receive_all(*fd, bytes, sizeof(bytes),
				pvctl_now_ms() + p->timeout_ms);
	if (ret == 1) {
		*id = 0;
		for (unsigned int i = 0; i < sizeof(bytes); i++)
			*id |= (uint64_t)bytes[i] << (8 * i);
		return PVCTL_OK;
	}
	close(*fd);
	*fd = -1;
	return lost(p, ret);
}

int pvctl_ask(struct pvctl *p, const char *service, const char *method,
	      const struct pb_writer *request)
{
	uint8_t bytes[TTRPC_HEADER_SIZE + PVCTL_REQUEST_MAX + 192];
	struct ttrpc_request q = { .timeout_ns =
				   (uint64_t)p->timeout_ms * 1000000 };
	struct ttrpc_header header = { .type = TTRPC_REQUEST };
	struct pb_writer w;
	int ret = pvctl_open(p);

	if (ret)
		return ret;
	snprintf(q.service, sizeof(q.service), "%s", service);
	snprintf(q.method, sizeof(q.method), "%s", method);
	if (request) {
		q.payload = request->out;
		q.len = request->used;
	}
	pb_write(&w, bytes + TTRPC_HEADER_SIZE,
		 sizeof(bytes) - TTRPC_HEADER_SIZE);
	ttrpc_request_write(&w, &q);
	if (w.full || (request && request->full))
		return pvctl_fail(p, PVCTL_USAGE, "the arguments are too long");
	p->stream += p->stream ? 2 : 1;
	header.stream = p->stream;
	header.length = (uint32_t)w.used;
	ttrpc_header_write(bytes, &header);
	ret = pvctl_send_all(p->control, bytes, TTRPC_HEADER_SIZE + w.used,
			     pvctl_now_ms() + p->timeout_ms);
	return ret == 1 ? PVCTL_OK : lost(p, ret);
}

static int refused(const struct pvctl *p, const struct ttrpc_response *r)
{
	int status = PVCTL_FAILED;

	if (r->code == TTRPC_PERMISSION_DENIED)
		status = PVCTL_NOT_IN_FLAVOUR;
	else if (r->code == TTRPC_DEADLINE_EXCEEDED)
		status = PVCTL_TIMEOUT;
	return pvctl_fail(p, status, "%s", r->message);
}

int pvctl_answer(struct pvctl *p, struct ttrpc_response *response,
		 uint64_t deadline_ms)
{
	uint8_t bytes[TTRPC_HEADER_SIZE];
	struct ttrpc_header header;
	int ret = pvctl_receive_all(p->control, bytes, sizeof(bytes),
				    deadline_ms);

	*response = (struct ttrpc_response){ 0 };
	if (ret != 1)
		return lost(p, ret);
	header = ttrpc_header_read(bytes);
	free(p->answer);
	p->answer = header.length <= ANSWER_MAX ? malloc(header.length + 1) :
						  NULL;
	if (!p->answer || header.stream != p->stream ||
	    header.type != TTRPC_RESPONSE)
		return pvctl_fail(p, PVCTL_FAILED, "the answer is not ttrpc");
	ret = pvctl_receive_all(p->control, p->answer, header.length,
				deadline_ms);
	if (ret != 1)
		return lost(p, ret);
	if (!ttrpc_response_read(response, p->answer, header.length))
		return pvctl_fail(p, PVCTL_FAILED,
				  "the answer is not protobuf");
	return response->code == TTRPC_OK ? PVCTL_OK : refused(p, response);
}

int pvctl_call(struct pvctl *p, const char *service, const char *method,
	       const struct pb_writer *request,
	       struct ttrpc_response *response)
{
	int status = pvctl_ask(p, service, method, request);

	return status ? status :
		pvctl_answer(p, response, pvctl_now_ms() + p->timeout_ms +
					  1000);
}

/* The answer's field 1. */
static int take_result(struct pvctl *p, const struct ttrpc_response *response,
		       struct pb_field *result)
{
	struct pb_reader r;

	pb_read(&r, response->payload, response->len);
	while (pb_next(&r, result))
		if (result->number == 1 && result->wire == PB_BYTES)
			return PVCTL_OK;
	return pvctl_fail(p, PVCTL_FAILED, "the answer has no result");
}

/* NodeError's member. */
static const char *node_error(const struct pb_field *failed)
{
	static const char *const text[] = {
		[1] = "unresolved",    [2] = "channel error",
		[3] = "immutable",     [4] = "update error",
		[5] = "not a directory", [6] = "no such path",
		[7] = "internal error",
	};
	struct pb_reader r;
	struct pb_field f;

	pb_read(&r, failed->bytes, failed->len);
	if (!pb_next(&r, &f) || f.number != 1)
		return "failed";
	pb_read(&r, f.bytes, f.len);
	if (!pb_next(&r, &f) || f.number >= sizeof(text) / sizeof(*text))
		return "failed";
	return text[f.number];
}

int pvctl_ask_node(struct pvctl *p, const char *path, uint32_t depth,
		   struct pb_field *node)
{
	struct ttrpc_response response;
	uint8_t bytes[PVCTL_REQUEST_MAX];
	struct pb_reader r;
	struct pb_field f;
	struct pb_writer w;
	int status;

	pb_write(&w, bytes, sizeof(bytes));
	pb_text(&w, 1, path);
	pb_uint(&w, 2, depth);
	status = pvctl_call(p, PVCTL_INSPECT, "Inspect", &w, &response);
	if (!status)
		status = take_result(p, &response, node);
	if (status)
		return status;
	pb_read(&r, node->bytes, node->len);
	if (pb_next(&r, &f) && f.number == 2)
		return pvctl_fail(p, PVCTL_FAILED, "%s: %s", path,
				  node_error(&f));
	return PVCTL_OK;
}

int pvctl_update(struct pvctl *p, const char *path, const char *value,
		 struct pb_field *new_value)
{
	struct ttrpc_response response;
	uint8_t bytes[PVCTL_REQUEST_MAX];
	struct pb_writer w;
	int status;

	pb_write(&w, bytes, sizeof(bytes));
	pb_text(&w, 1, path);
	pb_text(&w, 2, value);
	status = pvctl_call(p, PVCTL_INSPECT, "Update", &w, &response);
	return status ? status : take_result(p, &response, new_value);
}
