/* SPDX-License-Identifier: MIT */
#ifndef VMM_UNIX_LISTEN_H
#define VMM_UNIX_LISTEN_H

/*
 * Listens on a Unix stream socket at `path`, which must fit a sockaddr_un. A
 * socket file that nobody serves any more is replaced; one that is served, or
 * any other file, is -EADDRINUSE. Returns a descriptor (close-on-exec, does
 * not block) or -errno. Who closes it unlinks the path.
 */
int unix_listen(const char *path, int backlog);

#endif
