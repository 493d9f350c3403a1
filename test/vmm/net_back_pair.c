// SPDX-License-Identifier: MIT
/*
 * The two simplest back-ends: a cable to another NIC of the same vmm, and
 * nothing at all. A cable whose other end nobody plugged in swallows frames.
 */
#include "net_back_kind.h"

/* nb->kind is the other end. */
void net_back_join(struct net_back *a, struct net_back *b)
{
	a->kind = b;
	b->kind = a;
}

static const char *nothing_to_open(struct net_back *nb,
				   const struct net_option *option)
{
	(void)nb;
	(void)option;
	return NULL;
}

static void pair_out(struct net_back *nb, uint8_t *frame, uint32_t len,
		     const struct net_offload *o)
{
	(void)o;
	if (nb->kind)
		net_back_in(nb->kind, frame, len, NULL);
	else
		NET_BACK_COUNT(nb, out_dropped, 1);
}

static void pair_close(struct net_back *nb)
{
	struct net_back *other = nb->kind;

	if (other)
		other->kind = NULL;
}

const struct net_kind_ops net_kind_pair = {
	.open = nothing_to_open,
	.out = pair_out,
	.close = pair_close,
};

static void null_out(struct net_back *nb, uint8_t *frame, uint32_t len,
		     const struct net_offload *o)
{
	(void)nb;
	(void)frame;
	(void)len;
	(void)o;
}

const struct net_kind_ops net_kind_null = {
	.open = nothing_to_open,
	.out = null_out,
};
