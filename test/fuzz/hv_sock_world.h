/* SPDX-License-Identifier: MIT */
/*
 * What sockets of a guest need, played: the host's descriptors, the loop that
 * watches them, timers, and a bus with a guest on it. One place is a client's
 * descriptor and the channel of its connection. No threads.
 */
#ifndef TEST_FUZZ_HV_SOCK_WORLD_H
#define TEST_FUZZ_HV_SOCK_WORLD_H

#include "relay/ring_reg.h"
#include "test/vmm/vsock_connection.h"

#define NR_PLACES 4

/* The bytes of a stream are a function of their place in it. */
extern struct place {
	bool fd_open;
	struct vmbus_device *device; /* while offered */
	struct vmbus_channel ch;
	struct ring guest; /* its end */
	bool channel_open, close_due, run_due, revoking;
	bool tampered; /* the guest broke a rule, or may have */
	/* the client */
	char line[64];
	uint32_t line_size;
	bool said; /* its line is whole */
	bool eof, gone;
	uint32_t room; /* it takes so many bytes */
	uint32_t client_wrote, client_sent; /* had to say, said */
	uint32_t client_got;
	/* the guest */
	uint32_t guest_wrote, guest_read;
	bool guest_ended, guest_saw_end;
} place[NR_PLACES];

uint8_t world_byte(uint32_t n);
void world_begin(void);
/* Everybody goes; expects that nothing is left. */
void world_end(void);
/* Runs calls and descriptors until nothing has an event; fails if that never
 * comes. */
void world_turn(void);
void world_signal(struct place *p);
void world_client_comes(void);
/* Bit 0: nobody listens on the host; bit 1: the bus has no room. */
void world_refuses(unsigned int what);
void world_guest_opens(struct place *p);
void world_guest_closes(struct place *p);
/* To connect its endpoint; `flaw` is put into the service's GUID. */
void world_guest_asks(unsigned int endpoint, uint32_t port, uint32_t flaw);
void world_time_passes(uint64_t ns);

#endif
