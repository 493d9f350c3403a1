/* SPDX-License-Identifier: MIT */
/*
 * One integration service, the host's end: what all of them have in common.
 *
 * All calls: the device thread.
 */
#ifndef VMM_IC_H
#define VMM_IC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pv/inspect.h>
#include <pv/message_pipe.h>
#include <pv/reactor.h>

#include "ic_reg.h"
#include "pipe_device.h"

#define IC_NS_PER_S 1000000000ull
#define IC_MAX_VERSIONS 4
#define IC_MAX_BODY 4096

struct ic;

struct ic_ops {
	const char *name;
	struct guid interface, instance;
	enum ic_type type;
	/* IC_VERSION()s of its messages, best first; 0 ends them. */
	uint32_t versions[IC_MAX_VERSIONS + 1];
	/* Versions are agreed on: requests can be made. NULL: nothing to do. */
	void (*ready)(struct ic *ic);
	/* No more of that, after what waited for an answer was told so. */
	void (*gone)(struct ic *ic);
	/* More values of it; NULL: none. */
	void (*describe)(struct ic *ic, struct inspect *out);
};

enum ic_state {
	IC_CLOSED,	/* the guest does not listen */
	IC_NEGOTIATING, /* it was asked which versions it knows */
	IC_READY,
	IC_UNKNOWN, /* it knows none of ours, or broke a rule of the answer */
};

/* How a request ended. */
struct ic_answer {
	const char *error; /* there is none, because of this; or NULL */
	uint32_t status;
	const void *body; /* valid during the call */
	size_t size;
};

typedef void ic_answered(struct ic *ic, const struct ic_answer *answer);

struct ic {
	struct pipe_device pipe; /* first; to be offered */
	struct pipe_user user;
	const struct ic_ops *ops;
	struct reactor *loop;
	enum ic_state state;
	uint32_t framework, version; /* agreed on */
	uint8_t transaction;	     /* of the last message sent */
	ic_answered *answered;	     /* NULL: no request waits */
	struct reactor_timer timer;  /* first word, then answers */
	uint64_t requests, answers, timeouts;
	uint64_t late;	  /* answers that nobody waited for */
	uint64_t refused; /* messages that break a rule */
	uint64_t asked;	  /* requests of the guest's, refused politely */
};

void ic_init(struct ic *ic, const struct ic_ops *ops, struct reactor *loop);

/* Sends a request and waits for the answer for so many seconds. NULL:
 * answered() will be called, once, not before this returns. Else why not. One
 * at a time. */
const char *ic_request(struct ic *ic, const void *body, size_t size,
		       unsigned int seconds, ic_answered *answered);

/* A JSON object's members. */
void ic_describe(struct ic *ic, struct inspect *out);

#endif
