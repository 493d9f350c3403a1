/* SPDX-License-Identifier: MIT */
/*
 * The diagnosis server: VTL2's vsock ports 1 (calls, ttrpc) and 2 (data), in
 * the protocol of diag.proto, which public clients speak.
 */
#ifndef DIAG_SERVER_H
#define DIAG_SERVER_H

#include <stdbool.h>
#include <stdint.h>

struct capture;
struct diag_server;
struct reactor;

#define DIAG_CONTROL_PORT 1
#define DIAG_DATA_PORT 2

struct diag_config {
	/* Descriptions of the tree run there. */
	struct reactor *reactor;
	/* More than to look: commands, files, changes. A release image has
	 * it not. */
	bool open;
	const char *kmsg; /* "/dev/kmsg", but for tests */
	/* Stops VTL0's VPs, or lets them go on; they have stopped when it
	 * returns. 0 or -errno: -EINVAL, VTL0 does not run. Any thread but a
	 * reactor's. */
	int (*pause)(void *opaque, bool paused);
	/* How many NICs there are; and listens to the n-th, as netvsp_capture()
	 * does; -ENODEV: there is none. Threads as above. NULL: none ever. */
	unsigned int (*captures)(void *opaque);
	int (*capture)(void *opaque, unsigned int n, uint32_t snaplen,
		       struct capture **out);
	void *opaque;
};

/* A listening socket, or -errno, logged. */
int diag_server_listen(unsigned int port);

/* Takes the listeners over. NULL with errno. */
struct diag_server *diag_server_create(const struct diag_config *config,
				       int control, int data);
/* Serves, on the caller's thread, until diag_server_stop(), which any thread
 * may call. */
void diag_server_run(struct diag_server *s);
void diag_server_stop(struct diag_server *s);
void diag_server_destroy(struct diag_server *s);

#endif
