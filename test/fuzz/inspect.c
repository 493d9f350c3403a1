// SPDX-License-Identifier: MIT
/*
 * Inspect: a client of the diagnosis port.
 *
 * Input: how many bytes each receive gives, how many blanks (times 8) come
 * first, then what the client sends. It is kept short, and still runs fewer
 * than 50000 inputs a second: each line is answered, and each answer is read.
 *
 * Each line is answered by one line of JSON, or by none if the client is gone
 * before it ends; a line without end is not waited for.
 */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <string.h>
#include <sys/socket.h>

#include <yyjson.h>

#include <pv/inspect.h>
#include <pv/reactor.h>

#include "paravisor/diag_inspect.h"
#include "test/fuzz/fuzz.h"

#define LISTENER 1000000 /* no descriptor */
#define CLIENT 1000001

/* The target's line in the list names these to the linker (--wrap). */
int __wrap_poll(struct pollfd *p, nfds_t n, int timeout);
ssize_t __wrap_recv(int fd, void *to, size_t size, int flags);
ssize_t __wrap_send(int fd, const void *from, size_t size, int flags);
int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *size,
		   int flags);

static struct fuzz_input *client;
static size_t chunk, blanks;
static unsigned int questions, answers;
static bool served;
static jmp_buf end;

void reactor_run(struct reactor *r, void (*fn)(void *arg), void *arg)
{
	(void)r;
	fn(arg);
}

/* Time stands still. */
uint64_t reactor_now(void)
{
	return 0;
}

int __wrap_poll(struct pollfd *p, nfds_t n, int timeout)
{
	fuzz_expect(n == 1 && p->fd == CLIENT && timeout > 0, n, timeout);
	return 1;
}

int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *size,
		   int flags)
{
	(void)fd;
	(void)address;
	(void)size;
	(void)flags;
	if (served)
		longjmp(end, 1);
	served = true;
	return CLIENT;
}

ssize_t __wrap_recv(int fd, void *to, size_t size, int flags)
{
	size_t n = size < chunk ? size : chunk;
	const uint8_t *byte = to;

	fuzz_expect(fd == CLIENT && size && flags == MSG_DONTWAIT, fd, size);
	if (blanks) {
		n = n < blanks ? n : blanks;
		blanks -= n;
		memset(to, ' ', n);
		return (ssize_t)n;
	}
	n = fuzz_take(client, to, n < client->left ? n : client->left);
	for (size_t i = 0; i < n; i++)
		questions += byte[i] == '\n';
	return (ssize_t)n;
}

ssize_t __wrap_send(int fd, const void *from, size_t size, int flags)
{
	const char *line = from;
	yyjson_doc *doc;

	fuzz_expect(fd == CLIENT && flags == (MSG_NOSIGNAL | MSG_DONTWAIT), fd,
		    flags);
	fuzz_expect(size > 1 && line[size - 1] == '\n', size, 0);
	fuzz_expect(!memchr(line, '\n', size - 1), size, 0);
	/* A value alone may be the answer, too. */
	doc = yyjson_read(line, size - 1, 0);
	fuzz_expect(doc, size, line[0]);
	if (!yyjson_obj_get(yyjson_doc_get_root(doc), "error"))
		fuzz_accept();
	yyjson_doc_free(doc);
	answers++;
	return (ssize_t)size;
}

static void describe_vp(void *object, struct inspect *out)
{
	unsigned int n = 8;

	(void)object;
	inspect_u64(out, "entries", 42);
	if (inspect_begin(out, "exits")) {
		inspect_u64(out, "port", 3);
		if (inspect_begin(out, "msr")) {
			inspect_hex(out, "last", 0x40000000);
			inspect_end(out);
		}
		inspect_end(out);
	}
	inspect_bool(out, "running", true);
	if (inspect_begin_newest(out, "trace", &n)) {
		fuzz_expect(n <= 999999, n, 0);
		inspect_u64(out, "n", n);
		inspect_end(out);
	}
}

static const char *update(void *object, const char *value)
{
	(void)object;
	fuzz_expect(strlen(value) < 256, strlen(value), 0);
	return *value ? "takes no value" : NULL;
}

static void describe_text(void *object, struct inspect *out)
{
	inspect_text(out, "name", object);
}

void fuzz_one(struct fuzz_input *in)
{
	static struct inspect_entry vp = { "vp0", describe_vp, NULL, NULL };
	static struct inspect_entry build = { "build", describe_text,
					      "a\"b\\c\n\xff", NULL };
	static struct inspect_updater updater = { "vp0/exits", update, NULL,
						  NULL, false };
	static bool registered;

	if (!registered) {
		inspect_register(&vp);
		inspect_register(&build);
		inspect_updater_register(&updater);
		registered = true;
	}
	client = in;
	chunk = 16 + fuzz_number(in, 1);
	blanks = fuzz_number(in, 1) * 8;
	questions = answers = 0;
	served = false;
	if (!setjmp(end))
		diag_inspect_serve(LISTENER, NULL);
	fuzz_expect(answers <= questions, answers, questions);
	/* All that were read, unless one was too long. */
	fuzz_expect(in->left || answers == questions, answers, questions);
}
