/* SPDX-License-Identifier: MIT */
/*
 * Messages of a client to the front, over a SOCK_SEQPACKET socket: this
 * header, then the payload of the mux frame of that type (mux_reg.h). The
 * first one is MUX_RUN and carries descriptors 0, 1 and 2; MUX_SIGNAL and
 * MUX_RESIZE may follow. The one answer is a le32, the exit status.
 */
#ifndef CLIENT_H
#define CLIENT_H

#include "le.h"

struct client_header {
	le32 type;
} __packed;
_Static_assert(sizeof(struct client_header) == 4, "client_header");

#endif
