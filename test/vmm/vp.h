/* SPDX-License-Identifier: MIT */
/*
 * Virtual processors and the machine they are in, as the hypervisor part of
 * vmm sees them. Devices see machine.h only.
 */
#ifndef VMM_VP_H
#define VMM_VP_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "hv_reg.h"
#include "kvm.h"
#include "lapic.h"
#include "machine.h"

/* Where a VP's thread is; see the drawing in vp.c. */
enum vp_where {
	VP_OUTSIDE, /* in our code: it looks at everything before it runs */
	VP_GUEST,   /* about to be in, or in, KVM_RUN */
	VP_KICKED,  /* was GUEST or PARKED; somebody is waking it */
	VP_PARKED,  /* waits, without a KVM_RUN */
};

#define VP_SIGNAL_KICK SIGUSR1
#define VP_SIGNAL_TIMER SIGUSR2

/* What others ask of a VP's thread. */
#define VP_REQUEST_STOP (1u << 0)
#define VP_REQUEST_START (1u << 1)       /* VTL2 of an AP: start_context */
#define VP_REQUEST_DUMP (1u << 2)        /* registers to stderr */
#define VP_REQUEST_LOOK (1u << 4)        /* at what else was published */
#define VP_REQUEST_DELIVERABLE (1u << 3) /* a SINT of VTL0 became free */

#define SYNIC_QUEUE 32

/* Messages and events of one VP and VTL; synic.c. */
struct synic {
	pthread_mutex_t lock;
	uint64_t control, siefp, simp;
	uint64_t sint[HV_SINT_COUNT];
	struct {
		struct hv_message message[SYNIC_QUEUE];
		unsigned int head, count;
	} queue[HV_SINT_COUNT];
	/* SINTs whose slot VTL2 wants to know free, and those that are. */
	uint16_t wanted, deliverable;
};

struct stimer {
	uint64_t config, count;
	uint64_t due; /* reference time, 0: not running */
};

/* One VP in one VTL. The VP's thread only, except synic. */
struct vp_vtl {
	struct vp *vp;
	enum vtl vtl;
	bool started;
	bool halted; /* HLT, VTL2 only: VTL0's is KVM's */
	struct vcpu vcpu;
	struct synic synic;
	struct stimer stimers[HV_STIMER_COUNT];
	uint64_t assist_page; /* the MSR */
};

struct vp {
	struct machine *m;
	unsigned int index;
	pthread_t thread;
	_Atomic uint32_t where; /* enum vp_where; a futex, too */
	_Atomic uint32_t requests;
	_Atomic(const void *) in_callback; /* the region or port it is in */

	enum vtl active;
	bool stands;          /* counted in machine->standing */
	uint64_t tsc_start;   /* that its vCPUs have */
	struct vp_vtl vtl[2]; /* by vtl_index() */
	struct lapic lapic;   /* of VTL2 */
	bool eoi_pending;     /* "no EOI required" was told to the guest */

	/* START request: written by the starter before the request bit. */
	struct hv_initial_vp_context start_context;
	_Atomic bool start_claimed;
	_Atomic bool vtl2_enabled;

	/* VTL switch state; vtl.c. */
	uint64_t register_page;    /* HV_REG_REGISTER_PAGE of VTL2 */
	uint64_t deliverability;   /* HV_REG_DELIVERABILITY of VTL0 */
	uint64_t debug[4];         /* DR0-3 as both VTLs last had them */
	struct kvm_xsave xsave;    /* VTL0's, while VTL2 runs */
	bool xsave_valid;

	timer_t timer;
	_Atomic uint64_t timer_armed; /* reference time; 0 by its signal */

	/* Counters of the VP's thread; read by others without a lock. */
	struct {
		_Atomic uint64_t exits, io, mmio, msr, hypercalls, halts;
		_Atomic uint64_t entries[4]; /* of VTL2, by reason */
		_Atomic uint64_t entries_timer; /* for its timer alone */
		_Atomic uint64_t kicks, signals, spurious;
		_Atomic uint64_t interrupts, nmis, windows, eois_saved;
		_Atomic uint64_t ipis, messages, events, stimers, actions;
		_Atomic uint64_t refused, unknown_msr, unknown_io;
	} count;
	unsigned int log_credit; /* lines of vp_log() left this second */
	uint64_t log_second;
};

/* One VTL of the whole machine. */
struct vtl_view {
	enum vtl vtl;
	bool present;
	struct vm vm;
	struct io_region *ports, *mmio;   /* machine->lock */
	struct message_port *messages;    /* machine->lock */
	struct event_port *events;        /* machine->lock */
	uint16_t (*retarget)(void *opaque, uint64_t device, uint64_t address,
			     uint32_t data, uint32_t vector, uint64_t vps);
	void *retarget_opaque;
	/* VTL0 without VTL2; set before the VPs run. */
	void (*eoi)(void *opaque, uint8_t vector);
	void *eoi_opaque;
	/* Partition-wide MSRs; machine->lock. */
	uint64_t guest_os_id, hypercall, reference_tsc;
	uint64_t crash[HV_CRASH_PARAMETERS];
};

/* What VTL2 installed with HvCallInstallIntercept. */
#define INTERCEPT_PORTS (1u << 0)
#define INTERCEPT_MSRS (1u << 1)
#define INTERCEPT_CONNECTIONS (1u << 2)
#define INTERCEPT_EOI (1u << 3)
#define INTERCEPT_RETARGET (1u << 4)

struct machine {
	struct machine_config config; /* ranges: own copy */
	struct memory_range *ranges;
	uint64_t *offsets; /* of each range in `ram` */
	uint8_t *ram;
	uint64_t ram_size;
	void *nothing; /* PROT_NONE, behind VTL0's unbacked addresses */
	uint64_t nothing_size;

	int kvm;
	struct vtl_view view[2];
	struct vp *vps;
	uint64_t tsc_khz;
	_Atomic uint64_t tsc_start; /* the TSC at the guest's 0 */
	_Atomic bool paused;
	_Atomic unsigned int standing;  /* VPs that wait for its end */
	_Atomic uint64_t stood_since;   /* the TSC when the last one did */
	uint64_t tsc_scale; /* reference time = TSC * scale >> 64 */

	pthread_mutex_t lock;
	pthread_cond_t callback_ended;

	_Atomic uint32_t intercepts;     /* INTERCEPT_* */
	_Atomic uint64_t vsm_config;     /* HV_REG_VSM_PARTITION_CONFIG */
	_Atomic bool running;
	bool left; /* a VP's thread did not end */
	_Atomic int status; /* -1 while it runs */
	pthread_mutex_t stop_lock;
	_Atomic uint64_t hypercalls[2][0x108];
	_Atomic uint64_t hypercalls_unknown;
};

static inline unsigned int vtl_index(enum vtl vtl)
{
	return vtl == VTL2;
}

static inline struct vp_vtl *vp_in(struct vp *vp, enum vtl vtl)
{
	return &vp->vtl[vtl_index(vtl)];
}

static inline struct vtl_view *machine_view(struct machine *m, enum vtl vtl)
{
	return &m->view[vtl_index(vtl)];
}

static inline uint32_t vp_apic_id(const struct machine *m, unsigned int index)
{
	return index * (m->config.apic_id_step ? m->config.apic_id_step : 1);
}

/* An aligned word that the guest writes at the same time. */
static inline _Atomic uint32_t *guest_word(void *word)
{
	return word;
}

/* Counters are written by one thread: no locked instruction is needed. */
#define COUNT(counter)                                                   \
	atomic_store_explicit(&(counter),                                \
			      atomic_load_explicit(&(counter),           \
						   memory_order_relaxed) \
				      + 1,                               \
			      memory_order_relaxed)

/* ---- vp.c: the thread of a VP ---- */

/* Prepares and takes down; no thread yet. Of *vp, counters alone may be set
 * before. -errno after one line. */
int vp_create(struct vp *vp, struct machine *m, unsigned int index);
void vp_destroy(struct vp *vp);
int vp_start_thread(struct vp *vp);
/* The process' one signal handler; before any VP thread. */
int vp_prepare_signals(void);
/* An exit at a port of the hypercall page? Then it is served. */
bool vp_hypercall_exit(struct vp *vp, struct vp_vtl *vv);
/* Makes the VP's thread look at requests and interrupts. Any thread; the
 * caller has published what is to be looked at. */
void vp_kick(struct vp *vp);
void vp_request(struct vp *vp, uint32_t request);
/* One line on stderr, at most 10 a second and VP. The VP's thread. */
void vp_log(struct vp *vp, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void vp_dump(struct vp *vp);

/* ---- pause.c ---- */

/* Before a VP runs. True: it is to wait instead, parked. */
bool pause_stand(struct vp *vp);
/* Then: gives its vCPUs the machine's time. -errno after one line. */
int pause_take_time(struct vp *vp);
/* Between two starts. */
void pause_forget(struct machine *m);

/* ---- io.c: port and MMIO exits ---- */

/* False if no device of the VTL has it (a read gives all ones). */
bool io_port(struct vp *vp, enum vtl vtl, uint16_t port, bool write,
	     unsigned int size, uint64_t *value);
bool io_memory(struct vp *vp, enum vtl vtl, uint64_t gpa, bool write,
	       unsigned int size, uint64_t *value);
void io_eoi(struct vp *vp, uint8_t vector);
void callback_begin(struct vp *vp, const void *what);
void callback_end(struct vp *vp);
/* Waits until no VP but the calling one is in `what`. machine->lock held. */
void callback_wait(struct machine *m, const void *what);

/* ---- cpuid.c ---- */

/* malloc()ed table for a VP in a VTL, NULL after one line. */
struct kvm_cpuid2 *cpuid_create(struct machine *m, unsigned int index,
				enum vtl vtl);

/* ---- msr.c ---- */

/* Hyper-V's MSRs. False: not one the VTL has. */
bool msr_read(struct vp *vp, enum vtl vtl, uint32_t msr, uint64_t *value);
bool msr_write(struct vp *vp, enum vtl vtl, uint32_t msr, uint64_t value);

/* ---- hypercall.c ---- */

/* Offsets in the hypercall page, and the ports its code uses. */
#define HYPERCALL_PORT 0xe0u /* IN: do it; the status, and from bit 16 on reps */
#define HYPERCALL_PORT_RETURN 0xe2u
#define HYPERCALL_OFFSET_CALL 0x20u
#define HYPERCALL_OFFSET_RETURN 0x40u
void hypercall_write_page(void *page, enum vtl vtl);

/* Result value; HYPERCALL_INTERCEPTED: VTL2 will answer. */
#define HYPERCALL_INTERCEPTED UINT64_MAX
uint64_t hypercall(struct vp *vp, enum vtl vtl, uint64_t control, uint64_t in,
		   uint64_t out);

/* ---- registers.c: by HV_REG_* name, the VP's thread ---- */

/* HV_STATUS_*. */
uint16_t register_get(struct vp *vp, enum vtl vtl, uint32_t name,
		      struct hv_register_value *value);
uint16_t register_set(struct vp *vp, enum vtl vtl, uint32_t name,
		      const struct hv_register_value *value);
/* What a VTL may ask and tell about itself. */
uint16_t vsm_get(struct vp *vp, enum vtl vtl, uint32_t name,
		 struct hv_register_value *value);
uint16_t vsm_set(struct vp *vp, uint32_t name,
		 const struct hv_register_value *value);
void register_load_context(struct vcpu *vcpu,
			   const struct hv_initial_vp_context *context);
void segment_to_hv(struct hv_segment_register *hv,
		   const struct kvm_segment *kvm);
void segment_from_hv(struct kvm_segment *kvm,
		     const struct hv_segment_register *hv);
/* General register `n` (0-15) in the order of HV_REG_RAX... */
uint64_t *general_register(struct kvm_regs *regs, unsigned int n);

/* ---- synic.c ---- */

void synic_init(struct synic *s);
void synic_destroy(struct synic *s);
/* Power-up state of the registers, queues dropped. */
void synic_reset(struct vp_vtl *vv);
void synic_write_control(struct vp_vtl *vv, uint64_t value);
void synic_write_siefp(struct vp_vtl *vv, uint64_t value);
void synic_write_simp(struct vp_vtl *vv, uint64_t value);
void synic_write_sint(struct vp_vtl *vv, unsigned int sint, uint64_t value);
void synic_end_of_message(struct vp_vtl *vv);
/* HvCallPostMessageDirect, HvCallSignalEventDirect: HV_STATUS_*. */
uint16_t synic_post_direct(struct vp_vtl *vv, unsigned int sint,
			   const struct hv_message *message);
uint16_t synic_signal_direct(struct vp_vtl *vv, unsigned int sint,
			     unsigned int flag, bool *newly);
void synic_want(struct vp_vtl *vv, uint16_t sints);
uint16_t synic_take_deliverable(struct vp_vtl *vv);

/* ---- timer.c ---- */

uint64_t reference_time(const struct machine *m);
int timer_create_vp(struct vp *vp);
void stimer_reset(struct vp_vtl *vv);
void stimer_write_config(struct vp_vtl *vv, unsigned int n, uint64_t value);
void stimer_write_count(struct vp_vtl *vv, unsigned int n, uint64_t value);
/* Fires what is due; next deadline of the VP in reference time, 0: none. */
uint64_t timer_expire(struct vp *vp);
/* Is what waits in VTL2's APIC the interrupt of a timer of its, and nothing
 * beside it? The VP's thread. */
bool timer_is_all(const struct vp *vp);
/* Makes the VP's thread leave KVM_RUN at `deadline` (0: never). */
void timer_arm(struct vp *vp, uint64_t deadline);
/* CLOCK_MONOTONIC time of a reference time. */
struct timespec timer_to_clock(const struct machine *m, uint64_t ref_time);
/* Writes the reference TSC page. */
void timer_write_page(const struct machine *m, void *page);

/* ---- vtl.c ---- */

/* VTL0 to VTL2; `message` with HV_ENTRY_REASON_INTERCEPT only. */
void vtl_enter(struct vp *vp, uint32_t reason,
	       const struct hv_message *message);
/* VTL2 executed its return code. */
void vtl_return(struct vp *vp);

/* ---- intercept.c: exits of VTL0 under VTL2 ---- */

/* The vCPU of VTL0 left KVM_RUN with `ret`. */
void intercept_exit(struct vp *vp, int ret);
void intercept_hypercall(struct vp *vp);
void intercept_deliverable(struct vp *vp, uint16_t sints);

#endif
