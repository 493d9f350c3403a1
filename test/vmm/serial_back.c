/* SPDX-License-Identifier: MIT */
/*
 * Serial back-ends, theory of operation
 *
 * Owns: one ring per direction, the descriptor that bytes go to and, for
 * sockets, the listening one. All kinds are the same machine; they differ in
 * where the descriptors come from:
 *
 *	          open                    accept
 *	(none) ----------> [waiting] <-------------> [connected]
 *	                       |        hang-up,          |
 *	                       |        write error       |
 *	                       +---- only sockets --------+
 *
 * A client that hangs up with more input than the ring can take is `parked`:
 * it counts as waiting, is not polled (poll(2) would report the hang-up over
 * and over), and is read on as the guest makes room, until its end or until
 * the next client comes: then what it left is dropped, counted and told.
 *
 * File, stderr and console are connected from the start; a write error (disk
 * full, reader of a pipe gone) takes them to `waiting` for good.
 *
 *	connected	a full ring holds the guest back; nothing is lost
 *	waiting		the oldest bytes make room for new ones, counted
 *
 * Threads: a device model calls in on a VP's thread, the descriptors are
 * served by the loop's thread. `lock` guards both rings, the state and the
 * device model behind the tty; it is not held over write(2), which only the
 * loop's thread calls. The state changes on the loop's thread only. A VP that
 * changed what is to be polled for posts `update`. Output is then left for
 * FLUSH_DELAY_NS: a guest writes a line byte by byte, and one write(2) for all
 * of it keeps the loop's thread from competing with the VP for a CPU.
 *
 * Failure answers: never an exit. Losing a client or a file is one line in the
 * log; bytes pushed out of the ring are counted, and the count is told when
 * the next client comes and at the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <pv/log.h>

#include "byte_ring.h"
#include "loop.h"
#include "serial_back.h"
#include "serial_console.h"
#include "unix_listen.h"

LOG_MODULE("serial");

#define INPUT_RING_SIZE (2u << 10)
/* Up to PIPE_BUF a pipe or terminal that polls writable does not block. */
#define WRITE_SIZE 2048
#define CLOSE_DEADLINE_NS 1000000000ull
#define FLUSH_DELAY_NS 5000000ull

struct serial_back {
	struct tty tty; /* first: the ops get this address */
	const char *name;
	enum serial_kind kind;
	struct reactor *loop;
	const char *socket_path; /* the socket we made; not owned */

	pthread_mutex_t lock;
	bool connected; /* somebody takes what we write */
	bool parked;	/* hung up, but has bytes the full ring cannot take */
	bool out_was_full; /* the device was told 0: owes it a room() */
	bool in_was_full;
	struct byte_ring out, in;
	struct loop_fd stream, listener;
	struct reactor_call update;
	struct reactor_timer flush;

	uint64_t bytes_out, bytes_in, bytes_dropped, bytes_discarded;
	uint64_t input_dropped, connections;
	uint64_t dropped_told;
};

/* The tty's side: under the lock, any thread. */

static size_t back_write(struct tty *tty, const uint8_t *data, size_t len)
{
	struct serial_back *back = (struct serial_back *)tty;
	size_t room = back->out.size - back->out.count, taken;
	bool was_empty = !back->out.count;

	if (back->kind == SERIAL_NONE) {
		back->bytes_discarded += len;
		return len;
	}
	if (len > back->out.size)
		len = back->out.size;
	if (!back->connected && len > room) {
		back->bytes_dropped += len - room;
		byte_ring_drop(&back->out, len - room);
	}
	taken = byte_ring_push(&back->out, data, len);
	if (taken < len)
		back->out_was_full = true;
	if (was_empty && back->connected)
		reactor_post(back->loop, &back->update);
	return taken;
}

static size_t back_read(struct tty *tty, uint8_t *data, size_t len)
{
	struct serial_back *back = (struct serial_back *)tty;

	if (back->kind == SERIAL_NONE)
		return 0;
	len = byte_ring_peek(&back->in, data, len);
	byte_ring_drop(&back->in, len);
	back->bytes_in += len;
	if (len && back->in_was_full) {
		back->in_was_full = false;
		if (back->kind == SERIAL_CONSOLE)
			console_room();
		else
			reactor_post(back->loop, &back->update);
	}
	return len;
}

static const struct tty_back_ops back_ops = {
	.write = back_write,
	.read = back_read,
};

/* The descriptors' side: the loop's thread. */

static bool is_socket(const struct serial_back *back)
{
	return back->kind == SERIAL_UNIX || back->kind == SERIAL_TCP;
}

static void update_events(struct serial_back *back)
{
	short events = 0;

	pthread_mutex_lock(&back->lock);
	if (is_socket(back) && back->in.count < back->in.size)
		events |= POLLIN;
	if (back->connected && back->out.count && !back->flush.armed)
		events |= POLLOUT;
	pthread_mutex_unlock(&back->lock);
	back->stream.events = events;
}

/*
 * Under the lock: without a listener every byte is taken again. The device is
 * told, or it would wait for ever.
 */
static void tell_room(struct serial_back *back)
{
	if (!back->out_was_full)
		return;
	back->out_was_full = false;
	if (back->tty.front)
		back->tty.front->room(back->tty.front_opaque);
}

/* From here on output is kept for the next client. */
static void output_ends(struct serial_back *back)
{
	pthread_mutex_lock(&back->lock);
	back->connected = false;
	tell_room(back);
	pthread_mutex_unlock(&back->lock);
}

/* `error` 0: the client hung up. */
static void disconnect(struct serial_back *back, int error)
{
	loop_fd_remove(back->loop, &back->stream);
	output_ends(back);
	if (!is_socket(back)) {
		log_err("%s: output ends: %s", back->name, strerror(error));
		return;
	}
	close(back->stream.fd);
	back->stream.fd = -1;
	loop_fd_add(back->loop, &back->listener);
	log_info("%s: client gone%s%s", back->name, error ? ": " : "",
		 error ? strerror(error) : "");
}

static void park(struct serial_back *back)
{
	loop_fd_remove(back->loop, &back->stream);
	output_ends(back);
	back->parked = true;
	loop_fd_add(back->loop, &back->listener);
}

/* The guest took some: on with it. */
static void unpark(struct serial_back *back)
{
	back->parked = false;
	loop_fd_remove(back->loop, &back->listener);
	loop_fd_add(back->loop, &back->stream);
}

/* The next client is there. */
static void drop_parked(struct serial_back *back)
{
	int left = 0;

	if (ioctl(back->stream.fd, FIONREAD, &left) < 0)
		left = 0;
	close(back->stream.fd);
	back->parked = false;
	pthread_mutex_lock(&back->lock);
	back->input_dropped += left;
	pthread_mutex_unlock(&back->lock);
	log_warn("%s: the last client left %d bytes that the guest did not read",
		 back->name, left);
}

/* Returns -errno when the stream is lost. */
static int write_some(struct serial_back *back)
{
	uint8_t bytes[WRITE_SIZE];
	size_t len;
	ssize_t n;

	pthread_mutex_lock(&back->lock);
	len = byte_ring_peek(&back->out, bytes, sizeof(bytes));
	pthread_mutex_unlock(&back->lock);
	if (!len)
		return 0;
	n = write(back->stream.fd, bytes, len);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	pthread_mutex_lock(&back->lock);
	byte_ring_drop(&back->out, n);
	back->bytes_out += n;
	tell_room(back);
	pthread_mutex_unlock(&back->lock);
	return 0;
}

enum read_result { READ_MORE, READ_FULL, READ_ENDED };

/* Returns an enum read_result or -errno. */
static int read_some(struct serial_back *back)
{
	uint8_t bytes[INPUT_RING_SIZE];
	size_t room;
	ssize_t n;

	pthread_mutex_lock(&back->lock);
	room = back->in.size - back->in.count;
	if (!room)
		back->in_was_full = true;
	pthread_mutex_unlock(&back->lock);
	if (!room)
		return READ_FULL;
	n = read(back->stream.fd, bytes, room);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? READ_MORE : -errno;
	if (!n)
		return READ_ENDED;
	serial_back_input(back, bytes, n);
	return READ_MORE;
}

static void stream_ready(struct loop_fd *watch, short events)
{
	struct serial_back *back =
		(struct serial_back *)((char *)watch -
				       offsetof(struct serial_back, stream));
	int result = READ_MORE, err = 0;

	if (!is_socket(back) && events & (POLLERR | POLLHUP))
		err = -EPIPE;
	else if (is_socket(back) && events & (POLLIN | POLLERR | POLLHUP))
		result = read_some(back);
	if (result < 0)
		err = result;
	if (result == READ_FULL && events & (POLLERR | POLLHUP)) {
		park(back);
		return;
	}
	if (!err && events & POLLOUT)
		err = write_some(back);
	if (err || result == READ_ENDED) {
		disconnect(back, -err);
		return;
	}
	update_events(back);
}

static void flush_timer(struct reactor_timer *timer)
{
	update_events((struct serial_back *)((char *)timer -
					     offsetof(struct serial_back,
						      flush)));
}

static void update_posted(struct reactor_call *call)
{
	struct serial_back *back =
		(struct serial_back *)((char *)call -
				       offsetof(struct serial_back, update));

	if (back->parked)
		unpark(back);
	if (!(back->stream.events & POLLOUT) && !back->flush.armed)
		reactor_timer_arm(back->loop, &back->flush,
				  reactor_now() + FLUSH_DELAY_NS);
	update_events(back);
}

static void connect_stream(struct serial_back *back, int fd)
{
	uint64_t dropped;

	back->stream.fd = fd;
	pthread_mutex_lock(&back->lock);
	back->connected = true;
	back->connections++;
	dropped = back->bytes_dropped - back->dropped_told;
	back->dropped_told = back->bytes_dropped;
	pthread_mutex_unlock(&back->lock);
	update_events(back);
	loop_fd_add(back->loop, &back->stream);
	if (dropped)
		log_warn("%s: %llu bytes were dropped while nobody listened",
			 back->name, (unsigned long long)dropped);
}

static void listener_ready(struct loop_fd *watch, short events)
{
	struct serial_back *back =
		(struct serial_back *)((char *)watch -
				       offsetof(struct serial_back, listener));
	int fd = accept4(watch->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0) {
		/* The client gave up in between, or we are out of descriptors
		 * for now; it stays in the queue. */
		if (errno != EAGAIN && errno != ECONNABORTED)
			log_warn_limited("%s: accept: %s", back->name,
					 strerror(errno));
		return;
	}
	if (back->parked)
		drop_parked(back);
	loop_fd_remove(back->loop, watch);
	connect_stream(back, fd);
}

size_t serial_back_input(struct serial_back *back, const uint8_t *data,
			 size_t len)
{
	size_t taken;

	pthread_mutex_lock(&back->lock);
	taken = byte_ring_push(&back->in, data, len);
	if (taken < len || back->in.count == back->in.size)
		back->in_was_full = true;
	if (taken && back->tty.front)
		back->tty.front->readable(back->tty.front_opaque);
	pthread_mutex_unlock(&back->lock);
	return taken;
}

/* Opening. */

static int listen_tcp(const struct serial_spec *spec)
{
	int one = 1, err;
	int fd = socket(spec->address.ss_family,
			SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (const struct sockaddr *)&spec->address,
		 spec->address_len) < 0 ||
	    listen(fd, 1) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

static int open_listener(struct serial_back *back,
			 const struct serial_spec *spec)
{
	int fd;

	if (spec->kind == SERIAL_TCP) {
		fd = listen_tcp(spec);
	} else {
		fd = unix_listen(spec->path, 1);
		if (fd >= 0)
			back->socket_path = spec->path;
	}
	if (fd < 0)
		return fd;
	back->listener.fd = fd;
	loop_fd_add(back->loop, &back->listener);
	return 0;
}

static int open_kind(struct serial_back *back, const struct serial_spec *spec)
{
	int fd;

	switch (spec->kind) {
	case SERIAL_NONE:
		return 0;
	case SERIAL_STDERR:
		connect_stream(back, STDERR_FILENO);
		return 0;
	case SERIAL_CONSOLE:
		if (console_add(back) < 0)
			return -ENOSPC;
		connect_stream(back, STDOUT_FILENO);
		return 0;
	case SERIAL_FILE:
		/* Not blocking: a FIFO without a reader is an error here. */
		fd = open(spec->path,
			  O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY |
				  O_NONBLOCK | O_CLOEXEC,
			  0666);
		if (fd < 0)
			return -errno;
		connect_stream(back, fd);
		return 0;
	case SERIAL_UNIX:
	case SERIAL_TCP:
		return open_listener(back, spec);
	}
	return -EINVAL;
}

static void back_free(struct serial_back *back)
{
	if (back->socket_path)
		unlink(back->socket_path);
	free(back->out.data);
	free(back->in.data);
	pthread_mutex_destroy(&back->lock);
	free(back);
}

struct serial_back *serial_back_open(const char *name,
				     const struct serial_spec *spec,
				     struct reactor *loop)
{
	struct serial_back *back = calloc(1, sizeof(*back));
	int err = -ENOMEM;

	if (!back)
		goto out_report;
	pthread_mutex_init(&back->lock, NULL);
	back->tty.back = &back_ops;
	back->name = name;
	back->kind = spec->kind;
	back->loop = loop;
	back->update.fn = update_posted;
	back->flush.fn = flush_timer;
	back->stream = (struct loop_fd){ .fn = stream_ready, .fd = -1 };
	back->listener = (struct loop_fd){ .fn = listener_ready,
					   .fd = -1,
					   .events = POLLIN };
	back->out.data = malloc(SERIAL_RING_SIZE);
	back->out.size = SERIAL_RING_SIZE;
	back->in.data = malloc(INPUT_RING_SIZE);
	back->in.size = INPUT_RING_SIZE;
	if (!back->out.data || !back->in.data)
		goto out_free;
	err = open_kind(back, spec);
	if (!err)
		return back;
out_free:
	back_free(back);
out_report:
	fprintf(stderr, "vmm: --%s %s: %s\n", name, spec->text,
		strerror(-err));
	return NULL;
}

/* What is in the ring when the machine ends may be a panic's last words. */
void serial_back_drain(struct serial_back *back)
{
	uint64_t now, deadline = reactor_now() + CLOSE_DEADLINE_NS;

	while (back->connected && back->out.count &&
	       (now = reactor_now()) < deadline) {
		struct pollfd out = { .fd = back->stream.fd,
				      .events = POLLOUT };

		if (poll(&out, 1, (deadline - now) / 1000000 + 1) <= 0)
			continue;
		if (!(out.revents & POLLOUT) || write_some(back) < 0)
			break;
	}
}

void serial_back_close(struct serial_back *back)
{
	serial_back_drain(back);
	if (back->kind != SERIAL_NONE && back->out.count)
		log_warn("%s: %zu bytes had no listener at the end%s",
			 back->name, back->out.count,
			 back->bytes_dropped ? ", and more were dropped" : "");
	reactor_timer_cancel(back->loop, &back->flush);
	loop_fd_remove(back->loop, &back->stream);
	loop_fd_remove(back->loop, &back->listener);
	if (back->listener.fd >= 0)
		close(back->listener.fd);
	if (back->stream.fd > STDERR_FILENO)
		close(back->stream.fd);
	back_free(back);
}

struct tty *serial_back_tty(struct serial_back *back)
{
	return &back->tty;
}

void serial_back_lock(struct serial_back *back)
{
	pthread_mutex_lock(&back->lock);
}

void serial_back_unlock(struct serial_back *back)
{
	pthread_mutex_unlock(&back->lock);
}

const char *serial_back_name(const struct serial_back *back)
{
	return back->name;
}

void serial_back_print_stats(struct serial_back *back, FILE *out)
{
	pthread_mutex_lock(&back->lock);
	fprintf(out,
		"{\"bytes_discarded\":%llu,\"bytes_dropped\":%llu,"
		"\"bytes_in\":%llu,\"bytes_out\":%llu,\"bytes_waiting\":%zu,"
		"\"connections\":%llu,\"input_dropped\":%llu}",
		(unsigned long long)back->bytes_discarded,
		(unsigned long long)back->bytes_dropped,
		(unsigned long long)back->bytes_in,
		(unsigned long long)back->bytes_out, back->out.count,
		(unsigned long long)back->connections,
		(unsigned long long)back->input_dropped);
	pthread_mutex_unlock(&back->lock);
}
