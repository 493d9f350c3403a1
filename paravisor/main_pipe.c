// SPDX-License-Identifier: MIT
/*
 * Channels of the host's bus with a message pipe each, theory of operation
 *
 * Owns nothing: puts a ring on the pages of a channel, and a pipe on the ring,
 * all of which are the caller's. Who calls watches the channel. No thread.
 *
 * Failure answers: a channel without a pipe is closed again.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <pv/log.h>

#include "main_pipe.h"

LOG_MODULE("pipe");

static void host_pipe_signal(void *opaque)
{
	host_channel_signal(opaque);
}

/* One hold per page, as rings take them; these pages are our own. */
static int ring_on_channel(struct host_pipe *hp)
{
	uint32_t n = hp->channel.nr_pages;
	struct ring_half in = { .size = (n - 1) * GUEST_PAGE_SIZE };
	struct ring_half out = in;

	hp->pages = calloc(2ul * n, sizeof(*hp->pages));
	if (!hp->pages)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		hp->pages[i].va = hp->channel.out_pages[i];
		hp->pages[n + i].va = hp->channel.in_pages[i];
		hp->pages[i].len = hp->pages[n + i].len = GUEST_PAGE_SIZE;
	}
	out.pages = hp->pages;
	in.pages = hp->pages + n;
	return ring_init(&hp->ring, in, out);
}

int host_pipe_open(struct host_pipe *hp, const char *name,
		   const struct guid *interface, const struct guid *instance,
		   struct pipe_user *user)
{
	int ret = host_channel_open(&hp->channel, "", name, interface,
				    instance);

	if (ret)
		return ret;
	ret = ring_on_channel(hp);
	if (ret) {
		log_err("%s: ring: %s", name, strerror(-ret));
		free(hp->pages);
		hp->pages = NULL;
		host_channel_close(&hp->channel);
		return ret;
	}
	message_pipe_init(&hp->pipe, name, &hp->ring, user, host_pipe_signal,
			  &hp->channel);
	return 0;
}
