// SPDX-License-Identifier: MIT
/*
 * What a job of the diagnosis server comes to.
 *
 * Inspect gives JSON, because a reactor then only has to describe (inspect.c);
 * turning it into the protocol's tree is done here, on the worker's thread:
 *
 *	object -> dir      what looks like inspect_hex()'s text -> a number that
 *	{} below what      is to be shown in hexadecimal
 *	was asked for -> unevaluated
 *
 * The answer is owned here until the next job: JSON at most JSON_MAX, and of
 * that the tree, whose names need twenty bytes more a value.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <yyjson.h>

#include <pv/inspect.h>
#include <pv/reactor.h>

#include "diag_worker.h"

#define JSON_MAX (256u << 10)
#define TREE_MAX (1000u << 10) /* with its header, below DIAG_OUT_MAX */
#define MAX_DEPTH 64
#define FLAG_HEX 1
#define HEX_DIGITS 16

struct diag_answer {
	unsigned int depth;
	const char *path;
	int result; /* of inspect_render() */
	char *json; /* JSON_MAX bytes, and yyjson's padding */
	uint8_t *tree; /* TREE_MAX */
};

struct diag_answer *diag_answer_create(void)
{
	struct diag_answer *a = malloc(sizeof(*a));

	if (!a)
		return NULL;
	a->json = malloc(JSON_MAX + YYJSON_PADDING_SIZE);
	a->tree = malloc(TREE_MAX);
	if (a->json && a->tree)
		return a;
	diag_answer_destroy(a);
	return NULL;
}

void diag_answer_destroy(struct diag_answer *a)
{
	free(a->json);
	free(a->tree);
	free(a);
}

/* ---- JSON to the protocol's tree: the numbers are diag.proto's ---- */

/* "0x1f", as inspect_hex() writes it. */
static bool is_hex(const char *text, uint64_t *number)
{
	const char *digits = text + 2;
	size_t n;

	if (strncmp(text, "0x", 2))
		return false;
	n = strspn(digits, "0123456789abcdef");
	if (!n || n > HEX_DIGITS || digits[n])
		return false;
	*number = strtoull(digits, NULL, 16);
	return true;
}

/* ValueKind's member `kind`, with its content. */
static void put_number(struct pb_writer *w, uint32_t kind, uint64_t number)
{
	size_t at = pb_begin(w, kind);

	if (number)
		pb_uint(w, 1, number);
	pb_end(w, at);
}

/* The fields of a Value. */
static void put_value(struct pb_writer *w, yyjson_val *v)
{
	size_t kind = pb_begin(w, 1), text;
	uint64_t number = 0, flags = 0;

	if (yyjson_is_bool(v)) {
		put_number(w, 5, yyjson_get_bool(v));
	} else if (yyjson_is_uint(v)) {
		put_number(w, 2, yyjson_get_uint(v));
	} else if (yyjson_is_str(v) && is_hex(yyjson_get_str(v), &number)) {
		put_number(w, 2, number);
		flags = FLAG_HEX;
	} else {
		text = pb_begin(w, 6);
		if (yyjson_is_str(v))
			pb_bytes(w, 1, yyjson_get_str(v), yyjson_get_len(v));
		pb_end(w, text);
	}
	pb_end(w, kind);
	kind = pb_begin(w, 2);
	if (flags)
		pb_uint(w, 1, flags);
	pb_end(w, kind);
}

/* The fields of a Node. It is as deep as inspect's levels are. */
static void put_node(struct pb_writer *w, yyjson_val *v, unsigned int level,
		     unsigned int depth)
{
	yyjson_obj_iter iter;
	yyjson_val *key;
	size_t member, value;

	if (!yyjson_is_obj(v)) {
		member = pb_begin(w, 3);
		value = pb_begin(w, 1);
		put_value(w, v);
		pb_end(w, value);
		pb_end(w, member);
		return;
	}
	if (level > depth && !yyjson_obj_size(v)) {
		pb_end(w, pb_begin(w, 1));
		return;
	}
	member = pb_begin(w, 4);
	yyjson_obj_iter_init(v, &iter);
	while ((key = yyjson_obj_iter_next(&iter))) {
		size_t entry = pb_begin(w, 1), node;

		pb_bytes(w, 1, yyjson_get_str(key), yyjson_get_len(key));
		node = pb_begin(w, 2);
		put_node(w, yyjson_obj_iter_get_val(key), level + 1, depth);
		pb_end(w, node);
		node = pb_begin(w, 3);
		pb_end(w, pb_begin(w, 1)); /* safe: no guest's data is here */
		pb_end(w, node);
		pb_end(w, entry);
	}
	pb_end(w, member);
}

/* ---- the jobs ---- */

static void fail(struct diag_job *job, enum ttrpc_code code,
		 const char *error)
{
	job->code = code;
	job->error = error;
}

static void render(void *arg)
{
	struct diag_answer *a = arg;

	a->result = inspect_render(a->path, a->depth, a->json, JSON_MAX);
}

/* False: `job` says why. A path that is not there gives the result -ENOENT. */
static bool describe(struct diag_answer *a, const struct diag_config *config,
		     struct diag_job *job, unsigned int depth)
{
	a->path = job->path;
	a->depth = depth;
	reactor_run(config->reactor, render, a);
	if (a->result != -ENOSPC)
		return true;
	fail(job, TTRPC_RESOURCE_EXHAUSTED,
	     "the answer is too long: ask for less depth");
	return false;
}

static void finish(struct diag_job *job, const struct diag_answer *a,
		   const struct pb_writer *w)
{
	if (w->full) {
		fail(job, TTRPC_RESOURCE_EXHAUSTED,
		     "the answer is too long: ask for less depth");
		return;
	}
	job->payload = a->tree;
	job->len = w->used;
}

static void answer_inspect(struct diag_answer *a,
			   const struct diag_config *config,
			   struct diag_job *job)
{
	unsigned int depth = job->depth < MAX_DEPTH ? job->depth : MAX_DEPTH;
	yyjson_doc *doc = NULL;
	struct pb_writer w;
	size_t result, failed, error;

	if (!describe(a, config, job, depth))
		return;
	if (a->result >= 0) {
		memset(a->json + a->result, 0, YYJSON_PADDING_SIZE);
		doc = yyjson_read_opts(a->json, (size_t)a->result,
				       YYJSON_READ_INSITU, NULL, NULL);
		if (!doc) {
			fail(job, TTRPC_INTERNAL, "no memory for the tree");
			return;
		}
	}
	pb_write(&w, a->tree, TREE_MAX);
	result = pb_begin(&w, 1);
	if (doc) {
		put_node(&w, yyjson_doc_get_root(doc), 0, depth);
		yyjson_doc_free(doc);
	} else {
		failed = pb_begin(&w, 2);
		error = pb_begin(&w, 1);
		pb_end(&w, pb_begin(&w, 6)); /* not found */
		pb_end(&w, error);
		pb_end(&w, failed);
	}
	pb_end(&w, result);
	finish(job, a, &w);
}

/* What is there now: a value as one, a directory as its JSON. */
static void answer_update(struct diag_answer *a,
			  const struct diag_config *config,
			  struct diag_job *job)
{
	const char *error = NULL;
	int ret = inspect_update(job->path, job->value, &error);
	yyjson_doc *doc;
	struct pb_writer w;
	size_t value, kind, text;

	if (ret == -ENOENT)
		fail(job, TTRPC_NOT_FOUND, "nothing to update there");
	else if (ret == -EPERM)
		fail(job, TTRPC_PERMISSION_DENIED, error);
	else if (ret)
		fail(job, TTRPC_INVALID_ARGUMENT, error);
	if (ret || !describe(a, config, job, MAX_DEPTH))
		return;
	pb_write(&w, a->tree, TREE_MAX);
	value = pb_begin(&w, 1);
	doc = a->result > 0 && a->json[0] != '{' ?
		yyjson_read(a->json, (size_t)a->result, 0) : NULL;
	if (doc) {
		put_value(&w, yyjson_doc_get_root(doc));
		yyjson_doc_free(doc);
	} else {
		kind = pb_begin(&w, 1);
		text = pb_begin(&w, 6);
		pb_bytes(&w, 1, a->json, a->result > 0 ? (size_t)a->result : 0);
		pb_end(&w, text);
		pb_end(&w, kind);
		pb_end(&w, pb_begin(&w, 2));
	}
	pb_end(&w, value);
	finish(job, a, &w);
}

/* All of them or none: a client has a file for each. */
static void answer_capture(struct diag_answer *a,
			   const struct diag_config *config,
			   struct diag_job *job)
{
	unsigned int nr = config->captures ? config->captures(config->opaque) :
					     0;
	struct pb_writer w;
	int ret = 0;

	memset(job->capture, 0, sizeof(job->capture));
	if (nr > DIAG_CAPTURES)
		nr = DIAG_CAPTURES;
	for (unsigned int i = 0; i < job->nr_conns && i < nr && !ret; i++)
		ret = config->capture(config->opaque, i, job->snaplen,
				      &job->capture[i]);
	if (ret == -EBUSY)
		fail(job, TTRPC_FAILED_PRECONDITION,
		     "another client listens to a NIC");
	else if (ret)
		fail(job, TTRPC_INTERNAL, strerror(-ret));
	if (ret)
		return;
	pb_write(&w, a->tree, TREE_MAX);
	pb_uint(&w, 1, nr);
	finish(job, a, &w);
}

void diag_answer(struct diag_answer *a, const struct diag_config *config,
		 struct diag_job *job)
{
	int ret;

	job->code = TTRPC_OK;
	job->payload = NULL;
	job->len = 0;
	switch (job->kind) {
	case DIAG_CAPTURE:
		answer_capture(a, config, job);
		return;
	case DIAG_INSPECT:
		answer_inspect(a, config, job);
		return;
	case DIAG_UPDATE:
		answer_update(a, config, job);
		return;
	case DIAG_PAUSE:
	case DIAG_RESUME:
		ret = config->pause(config->opaque, job->kind == DIAG_PAUSE);
		if (ret)
			fail(job, TTRPC_FAILED_PRECONDITION,
			     "VTL0 does not run");
	}
}
