/* SPDX-License-Identifier: MIT */
/*
 * The lab's front: the outside end of one running lab.
 *
 * It owns the socket behind the lab's virtio port, the socket on which
 * clients (client.c) hand over commands with their own standard descriptors,
 * and the listeners that stand in, at the same path, for those that a VMM
 * opened inside. The client socket appears once the agent has said hello:
 * its presence means the lab is up.
 *
 *	client: RUN + 3 descriptors ──▶ run ──EXIT──▶ draining ──▶ status
 *	        gone ──▶ SIGKILL to the run, its streams dropped
 *
 * One thread, one poll loop. When the channel ends the front ends, with
 * status 125, and so do its clients.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "mux.h"

#define BOOT_SECONDS 90
#define MAX_POLL 256
#define DRAIN_MS 2000

struct client {
	struct client *next;
	int fd;
	uint32_t run;         /* 0: no command yet */
	bool ended;
	uint32_t status;
	int64_t deadline_ms;  /* of draining */
};

struct stand_in {
	struct stand_in *next;
	uint32_t id;
	int fd;
	dev_t device;
	ino_t inode;
	char path[108];
};

static struct mux mux;
static struct client *clients;
static struct stand_in *stand_ins;
static uint32_t next_run = 1;
static uint32_t next_connection = MUX_CONNECTIONS;
static bool hello;

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int unix_address(struct sockaddr_un *address, const char *path)
{
	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(address->sun_path))
		return -ENAMETOOLONG;
	strcpy(address->sun_path, path);
	return 0;
}

static int connect_channel(const char *path)
{
	struct sockaddr_un address;
	int tries, fd;

	if (unix_address(&address, path) < 0)
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	for (tries = 0; tries < 200; tries++) {
		if (connect(fd, (struct sockaddr *)&address,
			    sizeof(address)) == 0)
			return fd;
		usleep(50 * 1000);
	}
	close(fd);
	return -ETIMEDOUT;
}

static int listen_at(const char *path, int type)
{
	struct sockaddr_un address;
	int fd, err;

	err = unix_address(&address, path);
	if (err < 0)
		return err;
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(fd, 16) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

/*
 * Takes the place of a socket made inside: bound beside it under another
 * name, then renamed over it, so that the path never goes missing. Bound
 * through the directory's descriptor, for the length limit of addresses.
 */
static void add_stand_in(uint32_t id, const char *path)
{
	struct stand_in *s = calloc(1, sizeof(*s));
	char copy[108], beside[64], name[32];
	int directory = -1;
	struct stat st;

	if (!s)
		return;
	s->id = id;
	s->fd = -1;
	strcpy(s->path, path);
	strcpy(copy, path);
	directory = open(dirname(copy), O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0)
		goto out_free;
	snprintf(name, sizeof(name), ".lab-%d-%u", (int)getpid(), id);
	snprintf(beside, sizeof(beside), "/proc/self/fd/%d/%s", directory,
		 name);
	s->fd = listen_at(beside, SOCK_STREAM);
	if (s->fd < 0)
		goto out_free;
	if (fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    renameat(directory, name, AT_FDCWD, path) < 0) {
		unlinkat(directory, name, 0);
		goto out_free;
	}
	close(directory);
	s->device = st.st_dev;
	s->inode = st.st_ino;
	s->next = stand_ins;
	stand_ins = s;
	return;

out_free:
	fprintf(stderr, "lab: cannot stand in for socket %s: %s\n", path,
		strerror(errno));
	if (s->fd >= 0)
		close(s->fd);
	if (directory >= 0)
		close(directory);
	free(s);
}

static void remove_stand_in(uint32_t id)
{
	struct stand_in **link = &stand_ins;
	struct stand_in *s;
	struct stat st;

	while (*link && (*link)->id != id)
		link = &(*link)->next;
	s = *link;
	if (!s)
		return;
	*link = s->next;
	if (lstat(s->path, &st) == 0 && st.st_dev == s->device &&
	    st.st_ino == s->inode)
		unlink(s->path);
	close(s->fd);
	free(s);
}

static void accept_connection(struct stand_in *s)
{
	int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	mux_add(&mux, next_connection, fd, fd);
	mux_send32(&mux, MUX_CONNECT, next_connection, s->id);
	next_connection = (next_connection + 1) | MUX_CONNECTIONS;
}

static int take_frame(struct mux *m, unsigned int type, uint32_t id,
		      const uint8_t *payload, size_t length)
{
	struct client *c;
	char path[108];
	le32 wire = cpu_to_le32(0);

	(void)m;
	if (type == MUX_HELLO || type == MUX_EXIT) {
		if (length != sizeof(wire))
			return -EPROTO;
		memcpy(&wire, payload, sizeof(wire));
	}
	switch (type) {
	case MUX_HELLO:
		hello = le32_to_cpu(wire) == MUX_VERSION;
		return hello ? 0 : -EPROTO;
	case MUX_EXIT:
		mux_drop(&mux, id * 4);
		for (c = clients; c; c = c->next) {
			if (c->run != id)
				continue;
			c->ended = true;
			c->status = le32_to_cpu(wire);
			c->deadline_ms = now_ms() + DRAIN_MS;
		}
		return 0;
	case MUX_LISTEN:
		if (!length || length >= sizeof(path))
			return -EPROTO;
		memcpy(path, payload, length);
		path[length] = 0;
		add_stand_in(id, path);
		return 0;
	case MUX_GONE:
		remove_stand_in(id);
		return 0;
	default:
		return -EPROTO;
	}
}

static void accept_client(int listener)
{
	struct client *c = calloc(1, sizeof(*c));

	if (!c)
		return;
	c->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (c->fd < 0) {
		free(c);
		return;
	}
	c->next = clients;
	clients = c;
}

static void forget_client(struct client *gone)
{
	struct client **link = &clients;
	unsigned int i;

	while (*link != gone)
		link = &(*link)->next;
	*link = gone->next;
	if (gone->run) {
		if (!gone->ended)
			mux_send32(&mux, MUX_SIGNAL, gone->run, SIGKILL);
		for (i = 0; i < 3; i++)
			mux_drop(&mux, gone->run * 4 + i);
	}
	close(gone->fd);
	free(gone);
}

/* Bytes of one message, and the three descriptors if it carried them. */
static ssize_t receive(int socket, void *message, size_t size, int fds[3])
{
	union {
		char bytes[CMSG_SPACE(3 * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { message, size };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *header;
	ssize_t got;

	fds[0] = fds[1] = fds[2] = -1;
	got = recvmsg(socket, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	header = got > 0 ? CMSG_FIRSTHDR(&msg) : NULL;
	if (header && header->cmsg_type == SCM_RIGHTS &&
	    header->cmsg_len == CMSG_LEN(3 * sizeof(int)))
		memcpy(fds, CMSG_DATA(header), 3 * sizeof(int));
	return got;
}

/* False when the client is gone. */
static bool serve_client(struct client *c)
{
	static uint8_t message[sizeof(struct client_header) + MUX_PAYLOAD_MAX];
	struct client_header header;
	size_t length;
	ssize_t got;
	int fds[3];

	got = receive(c->fd, message, sizeof(message), fds);
	if (got < 0 && errno == EAGAIN)
		return true;
	if (got < (ssize_t)sizeof(header))
		return false;
	memcpy(&header, message, sizeof(header));
	length = (size_t)got - sizeof(header);
	if (le32_to_cpu(header.type) != MUX_RUN) {
		if (c->run)
			mux_send(&mux, le32_to_cpu(header.type), c->run,
				 message + sizeof(header), length);
		return true;
	}
	if (c->run || fds[2] < 0)
		return false;
	c->run = next_run++;
	mux_send(&mux, MUX_RUN, c->run, message + sizeof(header), length);
	mux_add(&mux, c->run * 4, fds[0], -1);
	mux_add(&mux, c->run * 4 + 1, -1, fds[1]);
	mux_add(&mux, c->run * 4 + 2, -1, fds[2]);
	return true;
}

/* Reports the status of runs that have ended and whose output is out. */
static void finish_clients(void)
{
	struct client *c, *next;

	for (c = clients; c; c = next) {
		le32 status = cpu_to_le32(c->status);

		next = c->next;
		if (!c->ended ||
		    ((mux_busy(&mux, c->run * 4 + 1) ||
		      mux_busy(&mux, c->run * 4 + 2)) &&
		     now_ms() < c->deadline_ms))
			continue;
		if (send(c->fd, &status, sizeof(status), MSG_NOSIGNAL) < 0)
			perror("lab: status to client");
		forget_client(c);
	}
}

static int turn(int listener)
{
	struct pollfd pfd[MAX_POLL];
	struct stand_in *s, *next_s;
	struct client *c, *next_c;
	unsigned int n = 0, i = 0;
	int err;

	if (listener >= 0)
		pfd[n++] = (struct pollfd){ listener, POLLIN, 0 };
	for (c = clients; c && n < MAX_POLL / 4; c = c->next)
		pfd[n++] = (struct pollfd){ c->fd, POLLIN, 0 };
	for (s = stand_ins; s && n < MAX_POLL / 2; s = s->next)
		pfd[n++] = (struct pollfd){ s->fd, POLLIN, 0 };
	err = mux_turn(&mux, pfd, n, MAX_POLL, 200);
	if (err)
		return err;
	for (i = 0; i < n; i++) {
		if (!pfd[i].revents)
			continue;
		if (pfd[i].fd == listener)
			accept_client(listener);
		for (c = clients; c; c = next_c) {
			next_c = c->next;
			if (c->fd == pfd[i].fd && !serve_client(c))
				forget_client(c);
		}
		for (s = stand_ins; s; s = next_s) {
			next_s = s->next;
			if (s->fd == pfd[i].fd)
				accept_connection(s);
		}
	}
	finish_clients();
	return 0;
}

int main(int argc, char **argv)
{
	int64_t deadline = now_ms() + BOOT_SECONDS * 1000;
	int channel, listener = -1;
	int err = 0;

	if (argc != 3) {
		fprintf(stderr, "usage: lab-front PORT-SOCKET CLIENT-SOCKET\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	channel = connect_channel(argv[1]);
	if (channel < 0) {
		fprintf(stderr, "lab: port %s: %s\n", argv[1],
			strerror(-channel));
		return 125;
	}
	mux_init(&mux, channel);
	mux.frame = take_frame;
	while (!err) {
		err = turn(listener);
		if (!err && !hello && now_ms() > deadline) {
			fprintf(stderr, "lab: no agent after %d s\n",
				BOOT_SECONDS);
			return 125;
		}
		if (!err && hello && listener < 0) {
			listener = listen_at(argv[2], SOCK_SEQPACKET);
			if (listener < 0) {
				fprintf(stderr, "lab: %s: %s\n", argv[2],
					strerror(-listener));
				return 125;
			}
		}
	}
	if (listener >= 0)
		unlink(argv[2]);
	while (stand_ins)
		remove_stand_in(stand_ins->id);
	fprintf(stderr, "lab: the lab ended: %s\n", strerror(-err));
	return 125;
}
