/* SPDX-License-Identifier: MIT */
/*
 * The machine: what the parts of vmm see of each other.
 *
 * A machine has VPs, RAM and up to two virtual trust levels. VTL0 is the
 * guest; VTL2 exists when an IGVM image was loaded. Each VTL has its own view
 * of memory and I/O; devices are added to the view of one VTL.
 *
 * Threads: one thread per VP (vp.c) and one device thread (loop.c). Region
 * callbacks run on the VP thread that made the access, with no lock held:
 * a device brings its own.
 */
#ifndef VMM_MACHINE_H
#define VMM_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define MACHINE_MAX_VPS 64

enum vtl { VTL0 = 0, VTL2 = 2 };

/* Exit statuses of vmm; the README lists them. */
enum vmm_status {
	VMM_OK = 0,            /* the guest powered itself off */
	VMM_HOST_CANNOT = 1,   /* no usable KVM, not enough memory */
	VMM_BAD_INPUT = 2,     /* argument, image or settings refused */
	VMM_GUEST_CRASHED = 3,
	VMM_VTL2_CRASHED = 4,
	VMM_VP_STUCK = 5,
	VMM_TIMEOUT = 124,
	VMM_SIGNAL = 128,      /* + signal number */
	VMM_RESET = 256,       /* no exit status: the guest starts again */
};

struct memory_range {
	uint64_t gpa;  /* multiple of 2 MiB */
	uint64_t size; /* multiple of 2 MiB, not 0 */
	enum vtl vtl;  /* lowest VTL that may see it */
};

/* Ports or memory-mapped registers of a device. Offsets are from `base`. */
struct io_region {
	uint64_t base;
	uint64_t size;
	const char *name;
	/* size is 1, 2, 4 or 8; a value wider than the access is cut. */
	uint64_t (*read)(void *opaque, uint64_t offset, unsigned int size);
	void (*write)(void *opaque, uint64_t offset, unsigned int size,
		      uint64_t value);
	void *opaque;
	struct io_region *next; /* owned by the machine */
};

struct machine_config {
	unsigned int vps;           /* 1 .. MACHINE_MAX_VPS */
	unsigned int apic_id_step;  /* APIC id = VP index * this; 0 is 1 */
	bool has_vtl2;
	const struct memory_range *ranges; /* ascending, disjoint */
	unsigned int nr_ranges;
	unsigned int timer_slack_ms[2]; /* of VTL0's and VTL2's, see timer.c */
};

struct machine;

/*
 * machine.c: life.
 *
 * machine_create(): KVM VMs, memory and vCPUs; prints one line and returns
 * NULL when the host cannot. machine_run(): starts every VP thread and
 * returns the exit status when the machine has ended. machine_stop(): ends a
 * running machine from any thread; `why` is printed. The first status wins,
 * except that VMM_RESET gives way to any other.
 *
 * machine_left(): after machine_run(). A VP did not stop, and its thread may do
 * anything still: nothing of the machine or of its devices can be freed, nor the
 * guest started again. What is left is to end the process.
 *
 * machine_reset(): after machine_run() has returned VMM_RESET, makes a machine
 * what machine_create() made; regions, ports and handlers stay.
 * The devices have let go of its memory. -errno after one line.
 */
struct machine *machine_create(const struct machine_config *config);
enum vmm_status machine_run(struct machine *m);
void machine_stop(struct machine *m, int status, const char *why, ...)
	__attribute__((format(printf, 3, 4)));
bool machine_left(const struct machine *m);
int machine_reset(struct machine *m);
void machine_destroy(struct machine *m);

/*
 * pause.c. No VP runs, in any VTL, and the guest's time stands, from when
 * machine_is_paused() says so until machine_resume(). Neither harms when it is
 * so already. The device thread, while machine_run() is under way.
 */
void machine_pause(struct machine *m);
bool machine_is_paused(const struct machine *m);
void machine_resume(struct machine *m);

/* Host address of [gpa, gpa + size) if all of it is RAM that `vtl` sees,
 * else NULL. Valid until machine_destroy(). Any thread. */
void *machine_ram(struct machine *m, enum vtl vtl, uint64_t gpa, size_t size);

/* Adds or removes a region of `vtl`. Adding overlapping ports is a bug of
 * ours; where memory-mapped registers are is often the guest's choice: -EEXIST
 * for an overlap with others, -EINVAL beyond the end of the address space. Any
 * thread; a removed region's callbacks have ended on return unless the caller
 * is in one. */
void machine_add_ports(struct machine *m, enum vtl vtl, struct io_region *r);
int machine_add_mmio(struct machine *m, enum vtl vtl, struct io_region *r);
void machine_remove_mmio(struct machine *m, enum vtl vtl, struct io_region *r);

/* Counters for --stats: one JSON object, keys sorted by origin. */
void machine_print_stats(struct machine *m, FILE *out);

/*
 * Boot state of VP 0 (vtl registers by HvX64Register name, hv_reg.h); used by
 * the IGVM loader and the direct boot. Before machine_run() only.
 * Returns -EINVAL for a register that cannot be set at start.
 */
struct hv_register_value;
int machine_set_boot_register(struct machine *m, enum vtl vtl, uint32_t name,
			      const struct hv_register_value *value);

/*
 * synic.c, lapic.c: what devices raise in a VTL. Any thread.
 *
 * synic_post(): queues one message (payload <= 240 bytes) for a SINT, in
 * order; -EAGAIN when the queue is full. synic_signal(): sets an event flag
 * and interrupts if it was clear. vp_interrupt(): an edge interrupt.
 * vp_nmi(): one NMI.
 */
int synic_post(struct machine *m, enum vtl vtl, unsigned int vp,
	       unsigned int sint, uint32_t type, const void *payload,
	       size_t size);
void synic_signal(struct machine *m, enum vtl vtl, unsigned int vp,
		  unsigned int sint, unsigned int flag);
void vp_interrupt(struct machine *m, enum vtl vtl, unsigned int vp,
		  uint8_t vector);
void vp_nmi(struct machine *m, enum vtl vtl, unsigned int vp);

/*
 * A message to VTL0's local APICs in the form of an MSI (Intel SDM volume 3,
 * "Message Signalled Interrupts"). A level-triggered one is ended by an EOI,
 * of which the one handler of the VTL is told on the VP's thread. -errno when
 * KVM refuses. Any thread.
 */
#define MSI_ADDRESS_BASE 0xfee00000u
#define MSI_ADDRESS_LOGICAL (1u << 2)
#define MSI_ADDRESS_DESTINATION_SHIFT 12
#define MSI_DATA_MODE_SHIFT 8
#define MSI_DATA_LEVEL (3u << 14) /* trigger mode, and asserted */
int machine_send_msi(struct machine *m, uint64_t address, uint32_t data);
void machine_set_eoi(struct machine *m,
		     void (*eoi)(void *opaque, uint8_t vector), void *opaque);

/*
 * Connections: who receives HvPostMessage and HvSignalEvent (TLFS, "Inter-
 * Partition Communication"). A VTL's hypercall with an id that nobody serves
 * for that VTL fails with HV_STATUS_INVALID_CONNECTION_ID or, from VTL0 under
 * a VTL2 that asked for it, becomes an intercept. Callbacks run on the VP
 * thread of the caller. post() returns an HV_STATUS_* code.
 */
struct message_port {
	uint32_t connection;
	enum vtl vtl;
	uint16_t (*post)(void *opaque, unsigned int vp, uint32_t type,
			 const void *payload, size_t size);
	void *opaque;
	struct message_port *next;
};
struct event_port {
	uint32_t connection; /* the first of `count` */
	uint32_t count;
	enum vtl vtl;
	/* Returns an HV_STATUS_* code; INVALID_CONNECTION_ID is as if nobody
	 * served this one. */
	uint16_t (*signal)(void *opaque, uint32_t connection, uint16_t flag);
	void *opaque;
	struct event_port *next;
};
void machine_add_message_port(struct machine *m, struct message_port *port);
void machine_add_event_port(struct machine *m, struct event_port *port);
void machine_remove_event_port(struct machine *m, struct event_port *port);

/*
 * Device interrupts of the virtual PCI bus: HvRetargetDeviceInterrupt re-points
 * one (address, data) pair. At most one handler. Runs on the VP thread.
 * `vps` is a bit mask of VP indexes. Returns an HV_STATUS_* code.
 */
void machine_set_retarget(struct machine *m, enum vtl vtl,
			  uint16_t (*retarget)(void *opaque, uint64_t device,
					       uint64_t address, uint32_t data,
					       uint32_t vector, uint64_t vps),
			  void *opaque);

#endif
