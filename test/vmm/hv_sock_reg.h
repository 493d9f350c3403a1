/* SPDX-License-Identifier: MIT */
/*
 * Sockets over VMBus (AF_VSOCK's Hyper-V transport).
 *
 * Source: Linux net/vmw_vsock/hyperv_transport.c and Microsoft's "Make your
 * own integration services" (the GUID of a port).
 */
#ifndef VMM_HV_SOCK_REG_H
#define VMM_HV_SOCK_REG_H

#include <stdint.h>

#include <guid.h>
#include <le.h>

/* The service of a port: its number is the first field. */
#define HV_SOCK_SERVICE(port)                                                  \
	GUID_INIT((port), 0xfacb, 0x11e6, 0xbd, 0x58, 0x64, 0x00, 0x6a, 0x79, \
		  0x86, 0xd3)

/* In the user data of the offer. */
struct hv_sock_offer {
	le32 pipe_type;		/* 0: bytes */
	uint8_t for_guest_accept; /* 1: the guest listens */
	uint8_t for_container;
	le32 version;
	struct guid silo;
} __packed;
_Static_assert(sizeof(struct hv_sock_offer) == 26, "offer");
#define HV_SOCK_VERSION 1

/* Before the bytes of an in-band packet. No bytes: end of the stream. */
struct hv_sock_header {
	le32 type; /* HV_SOCK_DATA */
	le32 size;
} __packed;
_Static_assert(sizeof(struct hv_sock_header) == 8, "header");
#define HV_SOCK_DATA 1u

#endif
