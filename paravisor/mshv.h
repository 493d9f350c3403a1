/* SPDX-License-Identifier: MIT */
/*
 * VTL0 through the kernel's mshv_vtl driver: the only file that knows the
 * ioctls and mappings of /dev/mshv* (Linux, include/uapi/linux/mshv.h).
 *
 * Errors: 0 or -errno. A hypercall has two results: the ioctl's, and the
 * hypervisor's status, which is given as enum hv_status.
 */
#ifndef MSHV_H
#define MSHV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <hv_reg.h>

#include "mshv_reg.h"

struct mshv {
	int vtl, hvcall, low;
	bool return_actions; /* the kernel can take them */
	_Atomic uint64_t hypercalls; /* system calls for one */
};

/* A VP's share; its thread's only. */
struct mshv_vp {
	struct mshv *mshv;
	unsigned int cpu;
	struct mshv_run *run;
	struct hv_register_page *page; /* NULL: the host has none */
	uint64_t actions_full; /* signals that found no room for an action */
	uint64_t ioctls;       /* system calls to run VTL0 or for a register */
};

/* A register and its value. */
struct vp_register {
	uint32_t name; /* HV_REG_* */
	uint64_t low, high;
};

int mshv_open(struct mshv *m);
void mshv_close(struct mshv *m);

/* ---- memory ---- */

/*
 * Tells the kernel that [gpa, gpa + size) is VTL0 RAM, so that devices may be
 * pointed at it. Both must be multiples of 2 MiB. Cannot be undone.
 */
int mshv_add_memory(struct mshv *m, uint64_t gpa, uint64_t size);

/*
 * Maps VTL0's physical memory at `va`, which the caller has reserved; with
 * `va` NULL anywhere. Returns the address, or NULL with errno set.
 */
void *mshv_map(struct mshv *m, void *va, uint64_t gpa, uint64_t size);

/* ---- hypercalls ---- */

/*
 * One hypercall of VTL2 with `reps` elements in its input (0 = not a rep
 * call), as often as it takes: the hypervisor may end it before it is done.
 * `out` may be NULL with out_size 0, and has one element at most; sizes up to
 * 4096. Any thread. 0 with *status set; -EIO, logged: success of fewer
 * elements; -errno when the kernel refused.
 */
int mshv_hypercall(struct mshv *m, uint16_t code, uint16_t reps,
		   const void *in, size_t in_size, void *out, size_t out_size,
		   uint16_t *status);

/* Registers of VTL2 itself (partition-wide ones). -EIO: refused, logged. */
int mshv_get_own_register(struct mshv *m, uint32_t name, uint64_t *value);
int mshv_set_own_register(struct mshv *m, uint32_t name, uint64_t value);

/* ---- messages between this VTL and its host, besides the kernel's ---- */

/* A descriptor that becomes readable with the messages of VP 0's SINT for the
 * host, and which lets them come; or -errno, logged. */
int mshv_sint_open(void);
/* 0; -EAGAIN: there is none; -EPIPE: none will come; -errno. */
int mshv_sint_read(int fd, struct hv_message *message);
/* 0; above it: the hypervisor's status (enum hv_status); -errno. */
int mshv_sint_post(int fd, uint32_t connection, uint32_t type,
		   const void *payload, size_t size);

/* ---- a VP; all on its own thread, pinned to its CPU ---- */

/* Maps the VP's pages. VP index and CPU number are the same. */
int mshv_vp_open(struct mshv *m, unsigned int cpu, struct mshv_vp *vp);

/* `fd` becoming readable ends the run: an eventfd or an epoll descriptor. */
int mshv_vp_set_poll_file(struct mshv_vp *vp, int fd);

/*
 * Runs VTL0. 0: vp->run->message holds an intercept. -EINTR: the poll file or
 * a signal. Clear vp->run->cancel (mshv_vp_arm) before looking for work, so
 * that work which arrives after the look ends the run.
 */
int mshv_vp_run(struct mshv_vp *vp);
void mshv_vp_arm(struct mshv_vp *vp);

/* Registers of VTL0. -EIO: the hypervisor refused. */
int mshv_vp_get_register(struct mshv_vp *vp, struct vp_register *reg);
int mshv_vp_set_register(struct mshv_vp *vp, const struct vp_register *reg);

/* RIP, by the register page where there is one. */
int mshv_vp_set_rip(struct mshv_vp *vp, uint64_t rip);
/* Where VTL0 goes on, be there an intercept or not. */
int mshv_vp_get_rip(struct mshv_vp *vp, uint64_t *rip);
/* RSP and RFLAGS likewise. */
int mshv_vp_get_rsp(struct mshv_vp *vp, uint64_t *rsp);
int mshv_vp_set_rsp(struct mshv_vp *vp, uint64_t rsp);
int mshv_vp_set_rflags(struct mshv_vp *vp, uint64_t rflags);

/* Base of segment register 0..5 (ES CS SS DS FS GS). */
int mshv_vp_get_segment_base(struct mshv_vp *vp, unsigned int n,
			     uint64_t *base);

/* Forgets what the register page would still bring into VTL0. */
void mshv_vp_clean_page(struct mshv_vp *vp);

/*
 * Sets an event flag of VTL0 when this VP next returns there. -EAGAIN: no room
 * or no such ability; a hypercall does the same at once.
 */
int mshv_vp_push_signal(struct mshv_vp *vp, uint32_t target, uint8_t sint,
			uint16_t flag);

#endif
