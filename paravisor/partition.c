// SPDX-License-Identifier: MIT
/*
 * VTL0's life.
 *
 *	NEW --all threads up--> READY --partition_run()--> QUIET
 *	                                                     | each VP resets
 *	                                                     | itself, VP 0 loads
 *	                                                     v
 *	  QUIET <--partition_quiet()-- STOPPING <--end()-- RUNNING
 *	    ^            ops->quiesce()   |
 *	    '-- a reset goes on ----------+--- everything else --> STOPPED
 *
 * There is no barrier to wait at: each step is a call posted to a reactor, and
 * whoever is last to finish a step posts the next. VPs that do not run VTL0
 * stay in their reactors, so that I/O under way can complete and the host can
 * be told. A stop is known by its number; each VP counts itself once for it.
 *
 * Owns: VTL0's memory map. RAM is added and mapped in multiples of 2 MiB, at
 * addresses that are equal to the guest's modulo 2 MiB and different modulo
 * 1 GiB: then the kernel maps it by 2 MiB entries and by no other, which is the
 * only form that devices' memory can be pinned in. Whether it did is tried out
 * at start.
 *
 * Failure: what makes VTL0 impossible is logged and told to the host as a
 * failed start; VTL2 stays up, so that it can be looked at.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <pv/log.h>

#include "blackbox.h"
#include "partition.h"
#include "reactor.h"

LOG_MODULE("partition");

#define HUGE_PAGE (2ull << 20)
#define GIB (1ull << 30)
#define PROTECT_BATCH 500u /* what fits a page of hypercall input */

/* ---- memory ---- */

/* Address space for all GPAs up to `end`; where GPA 0 would be. */
static uint8_t *reserve(uint64_t end)
{
	uint64_t size = end + 2 * GIB;
	uint8_t *va = mmap(NULL, size, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (va == MAP_FAILED)
		return NULL;
	va = (uint8_t *)(((uintptr_t)va + GIB - 1) & ~(uintptr_t)(GIB - 1));
	return va + HUGE_PAGE;
}

static uint64_t faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return (uint64_t)usage.ru_minflt;
}

/* True when one fault brings 2 MiB. */
static bool is_huge(const volatile uint8_t *block)
{
	uint64_t before;

	(void)block[0];
	before = faults();
	(void)block[GUEST_PAGE_SIZE];
	(void)block[HUGE_PAGE - 1];
	return faults() == before;
}

static int add_range(struct partition *p, uint8_t *base,
		     const struct dt_range *ram)
{
	uint64_t gpa = (ram->gpa + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
	uint64_t end = (ram->gpa + ram->size) & ~(HUGE_PAGE - 1);
	uint8_t *va = base + gpa;
	int ret;

	if (end <= gpa || end - gpa != ram->size)
		log_warn("RAM %#llx+%#llx: only whole 2 MiB are used",
			 (unsigned long long)ram->gpa,
			 (unsigned long long)ram->size);
	if (end <= gpa)
		return 0;
	ret = mshv_add_memory(&p->mshv, gpa, end - gpa);
	if (!ret && !mshv_map(&p->mshv, va, gpa, end - gpa))
		ret = -errno;
	if (!ret) {
		madvise(va, end - gpa, MADV_DONTFORK);
		ret = guest_memory_add(&p->memory, gpa, end - gpa, va);
	}
	if (ret) {
		log_err("RAM %#llx+%#llx: %s", (unsigned long long)gpa,
			(unsigned long long)(end - gpa), strerror(-ret));
		return ret;
	}
	if (!is_huge(va) || !is_huge(base + end - HUGE_PAGE))
		log_warn("RAM %#llx+%#llx is not mapped by 2 MiB entries: "
			 "devices will copy", (unsigned long long)gpa,
			 (unsigned long long)(end - gpa));
	return 0;
}

static int add_memory(struct partition *p, const struct dt_range *ram,
		      unsigned int nr)
{
	const struct dt_range *last = &ram[nr - 1];
	uint8_t *base;
	int ret = 0;

	base = nr ? reserve(last->gpa + last->size) : NULL;
	if (!base) {
		log_err(nr ? "no address space for VTL0's RAM" :
			     "VTL0 has no RAM");
		return -ENOMEM;
	}
	for (unsigned int i = 0; !ret && i < nr; i++)
		ret = add_range(p, base, &ram[i]);
	return ret;
}

/* ---- what VTL2 tells the hypervisor ---- */

/* VTL2's own pages must not be there for VTL0. */
static int hide(struct partition *p, const struct dt_range *vtl2)
{
	static struct {
		struct hv_input_modify_protection header;
		le64 page[PROTECT_BATCH];
	} __packed in;
	uint64_t page = vtl2->gpa >> HV_PAGE_SHIFT;
	uint64_t end = (vtl2->gpa + vtl2->size) >> HV_PAGE_SHIFT;
	uint16_t status;
	int ret;

	in.header.partition_id = cpu_to_le64(HV_PARTITION_SELF);
	in.header.target_vtl = HV_INPUT_VTL_USE_TARGET;
	while (page < end) {
		uint16_t n = 0;

		while (n < PROTECT_BATCH && page < end)
			in.page[n++] = cpu_to_le64(page++);
		ret = mshv_hypercall(&p->mshv,
				     HV_CALL_MODIFY_VTL_PROTECTION_MASK, n,
				     &in, sizeof(in.header) + n * sizeof(le64),
				     NULL, 0, &status);
		if (!ret && status)
			ret = -EIO;
		if (ret) {
			log_err("VTL2's RAM cannot be hidden from VTL0: "
				"status %#x", status);
			return ret;
		}
	}
	return 0;
}

/*
 * The kernel has set up what it needs; VTL0's start-up is to be the
 * hypervisor's matter (not VP_STARTUP), its end is ours. A host refuses what it
 * does not say that it has.
 */
static int configure_vsm(struct partition *p)
{
	static const struct {
		uint64_t capability, config;
	} optional[] = {
		{ HV_VSM_INTERCEPT_PAGE, HV_VSM_CONFIG_INTERCEPT_PAGE },
		{ HV_VSM_NOT_PRESENT, HV_VSM_CONFIG_NOT_PRESENT },
		{ HV_VSM_SYSTEM_RESET, HV_VSM_CONFIG_SYSTEM_RESET },
	};
	uint64_t capabilities;
	uint64_t config = HV_VSM_CONFIG_PROTECTION |
			  HV_VSM_CONFIG_DEFAULT_MASK_MASK
				  << HV_VSM_CONFIG_DEFAULT_MASK_SHIFT |
			  HV_VSM_CONFIG_ZERO_ON_RESET |
			  HV_VSM_CONFIG_CPUID_UNIMPLEMENTED |
			  HV_VSM_CONFIG_UNRECOVERABLE_EXCEPTION;
	int ret = mshv_get_own_register(&p->mshv, HV_REG_VSM_CAPABILITIES,
					&capabilities);

	if (ret)
		return ret;
	for (size_t i = 0; i < sizeof(optional) / sizeof(optional[0]); i++)
		if (capabilities & optional[i].capability)
			config |= optional[i].config;
	log_info("VSM: capabilities %#llx, configuration %#llx",
		 (unsigned long long)capabilities, (unsigned long long)config);
	return mshv_set_own_register(&p->mshv, HV_REG_VSM_PARTITION_CONFIG,
				     config);
}

static int install_intercepts(struct partition *p)
{
	static const struct {
		const char *name;
		uint32_t type, access;
		uint64_t parameter;
	} wanted[] = {
		{ "I/O port", HV_INTERCEPT_IO_PORT_RANGE,
		  HV_ACCESS_READ | HV_ACCESS_WRITE, 0xffff0000 },
		{ "MSR", HV_INTERCEPT_MSR, HV_ACCESS_READ | HV_ACCESS_WRITE,
		  0 },
		{ "unknown connection", HV_INTERCEPT_UNKNOWN_SYNIC_CONNECTION,
		  HV_ACCESS_EXECUTE, 0 },
		{ "end of interrupt", HV_INTERCEPT_APIC_EOI, HV_ACCESS_WRITE,
		  0 },
	};

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		struct hv_input_install_intercept in = {
			.partition_id = cpu_to_le64(HV_PARTITION_SELF),
			.access_type = cpu_to_le32(wanted[i].access),
			.intercept_type = cpu_to_le32(wanted[i].type),
			.parameter = cpu_to_le64(wanted[i].parameter),
		};
		uint16_t status;
		int ret = mshv_hypercall(&p->mshv, HV_CALL_INSTALL_INTERCEPT,
					 0, &in, sizeof(in), NULL, 0, &status);

		if (!ret && status)
			ret = -EIO;
		if (ret) {
			log_err("intercept %s refused: status %#x",
				wanted[i].name, status);
			return ret;
		}
	}
	return 0;
}

/* ---- inspect ---- */

static void describe(void *object, struct inspect *out)
{
	static const char *const state[] = { "new", "ready", "running",
					     "stopping", "quiet", "stopped" };
	struct partition *p = object;

	inspect_text(out, "state", state[atomic_load(&p->state)]);
	inspect_bool(out, "paused", atomic_load(&p->paused));
	inspect_u64(out, "vps", p->nr_vps);
	inspect_u64(out, "starts", p->starts);
	inspect_u64(out, "hypercalls", atomic_load(&p->mshv.hypercalls));
	inspect_u64(out, "holds", atomic_load(&p->memory.holds));
	for (unsigned int i = 0; i < p->memory.nr_ranges; i++) {
		char name[] = "ram0";

		name[3] = (char)('0' + i);
		if (!inspect_begin(out, name))
			continue;
		inspect_hex(out, "gpa", p->memory.range[i].gpa);
		inspect_hex(out, "size", p->memory.range[i].size);
		inspect_end(out);
	}
}

/* ---- start ---- */

int partition_open(struct partition *p, const struct dt_range *ram,
		   unsigned int nr_ram, const struct dt_range *vtl2)
{
	int ret = mshv_open(&p->mshv);

	if (ret)
		return ret;
	ret = add_memory(p, ram, nr_ram);
	if (!ret)
		ret = configure_vsm(p);
	if (!ret)
		ret = hide(p, vtl2);
	if (!ret)
		ret = install_intercepts(p);
	if (ret)
		mshv_close(&p->mshv);
	p->inspect = (struct inspect_entry){ "partition", describe, p, NULL };
	return ret;
}

void partition_vp_up(struct vp *vp, int error)
{
	vp->opened = !error;
	sem_post(&vp->partition->up);
}

static void reset_call(struct reactor_call *call);
static void step(struct reactor_call *call);

static void room(void *opaque)
{
	struct partition *p = opaque;

	p->ops->room(p->opaque);
}

static int start_vp(struct partition *p, unsigned int index)
{
	struct vp *vp = &p->vp[index];
	struct trace_ring *ring = blackbox_exits(index);
	int ret;

	if (!ring)
		ring = calloc(1, sizeof(*ring));
	if (!ring)
		return -ENOMEM;
	trace_init(&vp->trace, ring);
	vp->index = index;
	vp->partition = p;
	vp->reset.fn = reset_call;
	vp->reactor = reactor_create(index);
	if (!vp->reactor)
		return -errno;
	sample_init(&vp->sample, vp);
	vp->synic.hw = &vp->hw;
	vp->synic.reactor = vp->reactor;
	vp->synic.room = room;
	vp->synic.opaque = p;
	synic_init(&vp->synic);
	ret = -pthread_create(&vp->thread, NULL, vp_thread, vp);
	if (ret)
		return ret;
	while (sem_wait(&p->up) && errno == EINTR)
		;
	/* The VP said why. */
	return vp->opened ? 0 : -ENODEV;
}

int partition_start_vps(struct partition *p)
{
	static struct inspect_entry msr = { "msr", msr_inspect, NULL, NULL };
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	int ret = 0;

	sem_init(&p->up, 0, 0);
	p->step.fn = step;
	if (cpus < 1 || cpus > PARTITION_MAX_VPS) {
		log_err("%ld VPs: from 1 to %u are supported", cpus,
			PARTITION_MAX_VPS);
		return -EINVAL;
	}
	blackbox_names(vp_exit_names.reason, VP_NR_EXITS);
	/* One by one: the first reactor registers the memory for all. */
	for (unsigned int i = 0; !ret && i < (unsigned int)cpus; i++) {
		ret = start_vp(p, i);
		if (ret)
			log_err("VP %u does not start: %s", i, strerror(-ret));
	}
	if (ret)
		return ret;
	p->nr_vps = (unsigned int)cpus;
	atomic_store(&p->state, PARTITION_READY);
	inspect_register(&p->inspect);
	inspect_register(&msr);
	for (unsigned int i = 0; i < p->nr_vps; i++)
		vp_publish(&p->vp[i]);
	return 0;
}

/* ---- the steps of a life ---- */

static void wake_all(struct partition *p)
{
	for (unsigned int i = 0; i < p->nr_vps; i++)
		reactor_wake(p->vp[i].reactor);
}

static void reset_all(struct partition *p)
{
	atomic_store(&p->state, PARTITION_QUIET);
	atomic_store(&p->reset_failed, false);
	atomic_store(&p->resetting, p->nr_vps);
	for (unsigned int i = 0; i < p->nr_vps; i++)
		reactor_post(p->vp[i].reactor, &p->vp[i].reset);
}

static void reset_call(struct reactor_call *call)
{
	struct vp *vp = (struct vp *)((char *)call - offsetof(struct vp, reset));
	struct partition *p = vp->partition;

	if (vp_reset(vp, !p->ran))
		atomic_store(&p->reset_failed, true);
	if (atomic_fetch_sub(&p->resetting, 1) == 1)
		reactor_post(p->vp[0].reactor, &p->step);
}

/* All VPs are as after a reset. */
static void load(struct partition *p)
{
	int ret = atomic_load(&p->reset_failed) ? -EIO : 0;

	if (!ret)
		ret = p->ops->load(p->opaque, &p->vp[0]);
	if (p->host && (ret || !p->ran))
		p->host->ops->started(p->host, ret ? strerror(-ret) : NULL);
	if (ret) {
		log_err("VTL0 does not start");
		atomic_store(&p->state, PARTITION_STOPPED);
		return;
	}
	p->ran = true;
	p->starts++;
	if (p->starts > 1 && p->host)
		p->host->ops->again(p->host);
	log_info("VTL0 runs on %u VPs (start %llu)", p->nr_vps,
		 (unsigned long long)p->starts);
	atomic_store(&p->parked, 0);
	atomic_store(&p->state, PARTITION_RUNNING);
	wake_all(p);
}

/* The step that is due, on VP 0: the last VP parked, or the last VP reset. */
static void step(struct reactor_call *call)
{
	struct partition *p = (struct partition *)((char *)call -
					offsetof(struct partition, step));

	switch (atomic_load(&p->state)) {
	case PARTITION_STOPPING:
		if (atomic_load(&p->end) == PARTITION_RESET)
			p->ops->quiesce(p->opaque);
		else
			atomic_store(&p->state, PARTITION_STOPPED);
		break;
	case PARTITION_QUIET:
		load(p);
		break;
	}
}

void partition_run(struct partition *p)
{
	pv_bug(atomic_load(&p->state) != PARTITION_READY,
	       atomic_load(&p->state), PARTITION_READY);
	reset_all(p);
}

void partition_quiet(struct partition *p)
{
	pv_bug(atomic_load(&p->state) != PARTITION_STOPPING,
	       atomic_load(&p->state), PARTITION_STOPPING);
	reset_all(p);
}

bool partition_running(const struct partition *p)
{
	return atomic_load(&p->state) == PARTITION_RUNNING &&
	       !atomic_load(&p->paused);
}

static void left(void *arg)
{
	(void)arg;
}

int partition_pause(struct partition *p, bool paused)
{
	if (atomic_load(&p->state) != PARTITION_RUNNING)
		return -EINVAL;
	atomic_store(&p->paused, paused);
	log_info("VTL0: %s", paused ? "paused" : "goes on");
	/* What a VP's thread runs, it runs out of VTL0, and afterwards it
	 * looks whether it may enter again. */
	for (unsigned int i = 0; i < p->nr_vps; i++)
		reactor_run(p->vp[i].reactor, left, NULL);
	return 0;
}

void partition_park(struct vp *vp)
{
	struct partition *p = vp->partition;
	unsigned int stop = atomic_load(&p->stop_number);

	if (atomic_load(&p->state) != PARTITION_STOPPING ||
	    vp->parked_for == stop)
		return;
	vp->parked_for = stop;
	if (atomic_fetch_add(&p->parked, 1) + 1 == p->nr_vps)
		reactor_post(p->vp[0].reactor, &p->step);
}

void partition_crashed(struct partition *p, const struct vp *vp)
{
	uint64_t parameter[HOST_CRASH_PARAMETERS];
	uint64_t control = p->crash.reg[HOST_CRASH_PARAMETERS];

	for (unsigned int i = 0; i < HOST_CRASH_PARAMETERS; i++)
		parameter[i] = p->crash.reg[i];
	log_warn_limited("VTL0, VP %u: crash %#llx %#llx %#llx %#llx %#llx",
			 vp->index, (unsigned long long)parameter[0],
			 (unsigned long long)parameter[1],
			 (unsigned long long)parameter[2],
			 (unsigned long long)parameter[3],
			 (unsigned long long)parameter[4]);
	if (p->host)
		p->host->ops->crash(p->host, vp->index, control, parameter);
}

static void tell_host(struct partition *p, enum partition_end end,
		      const struct vp *vp)
{
	if (!p->host || end == PARTITION_RESET)
		return;
	if (end == PARTITION_POWER_OFF)
		p->host->ops->power_off(p->host);
	else
		p->host->ops->triple_fault(p->host, vp ? vp->index : 0);
}

void partition_end(struct partition *p, enum partition_end end,
		   const struct vp *vp)
{
	static const char *const text[] = {
		[PARTITION_POWER_OFF] = "power off",
		[PARTITION_RESET] = "reset",
		[PARTITION_TRIPLE_FAULT] = "triple fault",
		[PARTITION_FAILED] = "cannot go on",
	};
	int running = PARTITION_RUNNING;

	/* `end` and the number are looked at only when the state says so, and
	 * only one caller gets past this line in a life. */
	if (!atomic_compare_exchange_strong(&p->state, &running,
					    PARTITION_QUIET))
		return;
	if (vp)
		log_info("VTL0, VP %u: %s", vp->index, text[end]);
	else
		log_info("VTL0: %s", text[end]);
	atomic_store(&p->end, end);
	atomic_fetch_add(&p->stop_number, 1);
	atomic_store(&p->state, PARTITION_STOPPING);
	tell_host(p, end, vp);
	wake_all(p);
}
