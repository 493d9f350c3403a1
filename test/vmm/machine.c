// SPDX-License-Identifier: MIT
/*
 * The machine: memory, the VMs of its VTLs, its life and its end.
 *
 * All RAM is one anonymous mapping with huge pages asked for; a range of guest
 * memory is a piece of it. VTL2's VM has memory slots for all ranges, VTL0's
 * only for VTL0's: VTL2 is protected by not being there. What else VTL0 may
 * address below 4 GiB is covered, when there is a VTL2, by memory without
 * access rights: touching it ends KVM_RUN before the instruction, so that the
 * intercept finds an unchanged VP (intercept.c).
 *
 *	                   machine_reset()
 *	                      v       |
 *	machine_create() --> machine_run() --> machine_destroy()
 *	                          ^
 *	                          | machine_stop(), from any thread: the first
 *	                          | status stays, all VP threads end
 *
 * A reset makes the VMs and their vCPUs anew: that is the one way to be sure that
 * nothing of the last start is left in KVM. RAM stays where it is, empty.
 *
 * The thread in machine_run() is the watchdog: once a second it looks for a VP
 * that has an interrupt to take but has not left KVM_RUN for STUCK_SECONDS. It
 * then prints all registers and ends the machine.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "vp.h"

#define HUGE_PAGE (2ull << 20)
#define STUCK_SECONDS 10
#define JOIN_SECONDS 5

void *machine_ram(struct machine *m, enum vtl vtl, uint64_t gpa, size_t size)
{
	void *start = NULL;

	for (unsigned int i = 0; i < m->config.nr_ranges; i++) {
		const struct memory_range *r = &m->ranges[i];
		uint64_t inside;

		if (gpa < r->gpa || gpa - r->gpa >= r->size) {
			if (start)
				return NULL; /* a hole inside the piece */
			continue;
		}
		if (r->vtl > vtl)
			return NULL;
		if (!start)
			start = m->ram + m->offsets[i] + (gpa - r->gpa);
		inside = r->size - (gpa - r->gpa);
		if (size <= inside)
			return start;
		/* Ranges that touch also touch in our mapping. */
		size -= inside;
		gpa += inside;
	}
	return NULL;
}

static int map_ram(struct machine *m)
{
	uint64_t total = 0;
	uint8_t *map;

	for (unsigned int i = 0; i < m->config.nr_ranges; i++) {
		m->offsets[i] = total;
		total += m->ranges[i].size;
	}
	m->ram_size = total + HUGE_PAGE;
	map = mmap(NULL, m->ram_size, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED) {
		fprintf(stderr, "vmm: no %llu MiB of memory: %s\n",
			(unsigned long long)(total >> 20), strerror(errno));
		return -errno;
	}
	/* What lies before the first huge page is never touched. */
	m->ram = (uint8_t *)(((uintptr_t)map + HUGE_PAGE - 1) &
			     ~(uintptr_t)(HUGE_PAGE - 1));
	madvise(m->ram, total, MADV_HUGEPAGE);
	return 0;
}

/* Fills the gaps of VTL0's memory below the local APICs with `nothing`. */
static int cover_gaps(struct machine *m)
{
	struct vm *vm = &machine_view(m, VTL0)->vm;
	uint64_t at = 0;
	int ret;

	if (!m->nothing) {
		m->nothing_size = LAPIC_BASE;
		m->nothing = mmap(NULL, m->nothing_size, PROT_NONE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
				  -1, 0);
	}
	if (m->nothing == MAP_FAILED) {
		m->nothing = NULL;
		fprintf(stderr, "vmm: mmap: %s\n", strerror(errno));
		return -errno;
	}
	for (unsigned int i = 0; i <= m->config.nr_ranges; i++) {
		const struct memory_range *r = &m->ranges[i];
		bool last = i == m->config.nr_ranges;
		uint64_t end;

		if (!last && r->vtl != VTL0)
			continue;
		end = last || r->gpa > LAPIC_BASE ? LAPIC_BASE : r->gpa;
		if (at < end) {
			ret = vm_add_memory(vm, at, end - at,
					    (uint8_t *)m->nothing + at);
			if (ret < 0)
				return ret;
		}
		if (!last)
			at = r->gpa + r->size;
	}
	return 0;
}

static int create_view(struct machine *m, enum vtl vtl)
{
	struct vtl_view *view = machine_view(m, vtl);
	int ret = vm_create(&view->vm, m->kvm, vtl == VTL0);

	view->vtl = vtl;
	if (ret < 0)
		return ret;
	view->present = true;
	for (unsigned int i = 0; i < m->config.nr_ranges; i++) {
		const struct memory_range *r = &m->ranges[i];

		if (r->vtl > vtl)
			continue;
		ret = vm_add_memory(&view->vm, r->gpa, r->size,
				    m->ram + m->offsets[i]);
		if (ret < 0)
			return ret;
	}
	return vtl == VTL0 && m->config.has_vtl2 ? cover_gaps(m) : 0;
}

static int measure_tsc(struct machine *m)
{
	int khz = vcpu_ioctl(&vp_in(&m->vps[0], VTL0)->vcpu, KVM_GET_TSC_KHZ,
			     NULL, "KVM_GET_TSC_KHZ");

	if (khz <= 0)
		return -EIO;
	m->tsc_khz = (uint64_t)khz;
	m->tsc_scale = (uint64_t)(((unsigned __int128)(HV_REF_TIME_HZ / 1000)
				   << 64) / m->tsc_khz);
	return 0;
}

static struct machine *allocate(const struct machine_config *config)
{
	struct machine *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->config = *config;
	m->kvm = -1;
	m->view[0].vm.fd = m->view[1].vm.fd = -1;
	atomic_store(&m->status, -1);
	pthread_mutex_init(&m->lock, NULL);
	pthread_cond_init(&m->callback_ended, NULL);
	pthread_mutex_init(&m->stop_lock, NULL);
	m->vps = calloc(config->vps, sizeof(*m->vps));
	/* One spare range, so that cover_gaps() may look behind the last. */
	m->ranges = calloc(config->nr_ranges + 1, sizeof(*m->ranges));
	m->offsets = calloc(config->nr_ranges + 1, sizeof(*m->offsets));
	if (!m->vps || !m->ranges || !m->offsets) {
		machine_destroy(m);
		return NULL;
	}
	memcpy(m->ranges, config->ranges,
	       config->nr_ranges * sizeof(*m->ranges));
	m->config.ranges = m->ranges;
	return m;
}

struct machine *machine_create(const struct machine_config *config)
{
	struct machine *m = allocate(config);

	if (!m) {
		fprintf(stderr, "vmm: out of memory\n");
		return NULL;
	}
	m->kvm = kvm_open();
	if (m->kvm < 0 || map_ram(m) < 0 || vp_prepare_signals() < 0)
		goto out_destroy;
	if (create_view(m, VTL0) < 0)
		goto out_destroy;
	if (config->has_vtl2 && create_view(m, VTL2) < 0)
		goto out_destroy;
	atomic_store(&m->tsc_start, __rdtsc());
	for (unsigned int i = 0; i < config->vps; i++)
		if (vp_create(&m->vps[i], m, i) < 0)
			goto out_destroy;
	if (measure_tsc(m) < 0)
		goto out_destroy;
	return m;

out_destroy:
	machine_destroy(m);
	return NULL;
}

static void forget_vp(struct vp *vp)
{
	uint8_t count[sizeof(vp->count)];

	memcpy(count, &vp->count, sizeof(count));
	vp_destroy(vp);
	memset(vp, 0, sizeof(*vp));
	memcpy(&vp->count, count, sizeof(count));
}

static void forget_view(struct vtl_view *view)
{
	vm_destroy(&view->vm);
	view->guest_os_id = view->hypercall = view->reference_tsc = 0;
	memset(view->crash, 0, sizeof(view->crash));
}

int machine_reset(struct machine *m)
{
	int reset = VMM_RESET, ret;

	for (unsigned int i = 0; i < m->config.vps; i++)
		forget_vp(&m->vps[i]);
	for (unsigned int i = 0; i < 2; i++)
		forget_view(&m->view[i]);
	atomic_store(&m->intercepts, 0);
	atomic_store(&m->vsm_config, 0);
	if (madvise(m->ram, m->ram_size - HUGE_PAGE, MADV_DONTNEED) < 0) {
		fprintf(stderr, "vmm: madvise: %s\n", strerror(errno));
		return -errno;
	}
	ret = create_view(m, VTL0);
	if (!ret && m->config.has_vtl2)
		ret = create_view(m, VTL2);
	pause_forget(m);
	atomic_store(&m->tsc_start, __rdtsc());
	for (unsigned int i = 0; !ret && i < m->config.vps; i++)
		ret = vp_create(&m->vps[i], m, i);
	/* Fails if an end was asked for meanwhile, which machine_run() sees. */
	atomic_compare_exchange_strong(&m->status, &reset, -1);
	return ret;
}

void machine_destroy(struct machine *m)
{
	if (m->vps)
		for (unsigned int i = 0; i < m->config.vps; i++)
			vp_destroy(&m->vps[i]);
	for (unsigned int i = 0; i < 2; i++)
		vm_destroy(&m->view[i].vm);
	if (m->nothing)
		munmap(m->nothing, m->nothing_size);
	if (m->ram)
		munmap(m->ram, m->ram_size - HUGE_PAGE);
	if (m->kvm >= 0)
		close(m->kvm);
	pthread_mutex_destroy(&m->lock);
	pthread_cond_destroy(&m->callback_ended);
	pthread_mutex_destroy(&m->stop_lock);
	free(m->offsets);
	free(m->ranges);
	free(m->vps);
	free(m);
}

int machine_set_boot_register(struct machine *m, enum vtl vtl, uint32_t name,
			      const struct hv_register_value *value)
{
	if (register_set(&m->vps[0], vtl, name, value) != HV_STATUS_SUCCESS)
		return -EINVAL;
	return 0;
}

int machine_send_msi(struct machine *m, uint64_t address, uint32_t data)
{
	struct vm *vm = &machine_view(m, VTL0)->vm;
	int ret = 0;

	if (data & MSI_DATA_LEVEL) {
		pthread_mutex_lock(&m->lock);
		ret = vm_route_level(vm, address, data);
		pthread_mutex_unlock(&m->lock);
	}
	return ret < 0 ? ret : vm_signal_msi(vm, address, data);
}

void machine_stop(struct machine *m, int status, const char *why, ...)
{
	int now = atomic_load(&m->status);
	char line[512]; /* one of VTL2's settings has 255 bytes */
	va_list args;

	do {
		if (now >= 0 && (now != VMM_RESET || status == VMM_RESET))
			return;
	} while (!atomic_compare_exchange_weak(&m->status, &now, status));
	va_start(args, why);
	vsnprintf(line, sizeof(line), why, args);
	va_end(args);
	fprintf(stderr, "vmm: %s\n", line);
	for (unsigned int i = 0; i < m->config.vps; i++)
		vp_request(&m->vps[i], VP_REQUEST_STOP);
}

/* Everything that shows that the VP's thread moves on. */
static uint64_t progress(const struct vp *vp)
{
	return atomic_load(&vp->count.exits) + atomic_load(&vp->count.halts);
}

static bool has_interrupt(struct vp *vp)
{
	uint32_t where = atomic_load(&vp->where);

	/* A parked VP may rightly sit on one: an AP before its start, a CPU
	 * taken offline. */
	if (where != VP_GUEST && where != VP_KICKED)
		return false;
	for (unsigned int i = 0; i < 4; i++)
		if (atomic_load(&vp->lapic.irr[i]))
			return true;
	return lapic_nmi_pending(&vp->lapic);
}

struct watch {
	uint64_t seen;
	unsigned int seconds;
};

static void watch(struct machine *m, struct watch *watches)
{
	struct timespec answer = { .tv_nsec = 500000000 };

	for (unsigned int i = 0; i < m->config.vps; i++) {
		struct watch *w = &watches[i];
		struct vp *vp = &m->vps[i];

		if (progress(vp) != w->seen || !has_interrupt(vp)) {
			w->seen = progress(vp);
			w->seconds = 0;
			continue;
		}
		if (++w->seconds < STUCK_SECONDS)
			continue;
		for (unsigned int j = 0; j < m->config.vps; j++)
			vp_request(&m->vps[j], VP_REQUEST_DUMP);
		nanosleep(&answer, NULL);
		machine_stop(m, VMM_VP_STUCK,
			     "VP %u has an interrupt but did not leave KVM_RUN "
			     "for %u s (where %d)", i, STUCK_SECONDS,
			     atomic_load(&vp->where));
	}
}

bool machine_left(const struct machine *m)
{
	return m->left;
}

enum vmm_status machine_run(struct machine *m)
{
	struct timespec tick = { .tv_nsec = 100000000 };
	struct timespec until;
	struct watch *watches;
	unsigned int started = 0;
	int status;

	/* Stopped before it ran. */
	if (atomic_load(&m->status) >= 0)
		return (enum vmm_status)atomic_load(&m->status);
	watches = calloc(m->config.vps, sizeof(*watches));
	if (!watches) {
		fprintf(stderr, "vmm: out of memory\n");
		return VMM_HOST_CANNOT;
	}
	atomic_store(&m->running, true);
	while (started < m->config.vps &&
	       vp_start_thread(&m->vps[started]) == 0)
		started++;
	if (started < m->config.vps)
		machine_stop(m, VMM_HOST_CANNOT, "no thread for a VP");

	for (unsigned int n = 0; atomic_load(&m->status) < 0; n++) {
		nanosleep(&tick, NULL);
		if (n % 10 == 9)
			watch(m, watches);
	}
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += JOIN_SECONDS;
	for (unsigned int i = 0; i < started; i++) {
		if (!pthread_timedjoin_np(m->vps[i].thread, NULL, &until))
			continue;
		fprintf(stderr, "vmm: the thread of VP %u does not end\n", i);
		m->left = true;
	}
	free(watches);
	status = atomic_load(&m->status);
	if (m->left)
		return status == VMM_RESET ? VMM_HOST_CANNOT :
					     (enum vmm_status)status;
	atomic_store(&m->running, false);
	return (enum vmm_status)status;
}

static void print_vp(FILE *out, struct vp *vp)
{
	const struct {
		const char *name;
		uint64_t value;
	} rows[] = {
		{ "actions", vp->count.actions },
		{ "eois_saved", vp->count.eois_saved },
		{ "entries_intercept",
		  vp->count.entries[HV_ENTRY_REASON_INTERCEPT] },
		{ "entries_interrupt",
		  vp->count.entries[HV_ENTRY_REASON_INTERRUPT] },
		{ "entries_timer", vp->count.entries_timer },
		{ "events", vp->count.events },
		{ "exits", vp->count.exits },
		{ "halts", vp->count.halts },
		{ "hypercalls", vp->count.hypercalls },
		{ "interrupts", vp->count.interrupts },
		{ "io", vp->count.io },
		{ "ipis", vp->count.ipis },
		{ "kicks", vp->count.kicks },
		{ "messages", vp->count.messages },
		{ "mmio", vp->count.mmio },
		{ "msr", vp->count.msr },
		{ "nmis", vp->count.nmis },
		{ "refused", vp->count.refused },
		{ "signals", vp->count.signals },
		{ "spurious", vp->count.spurious },
		{ "stimers", vp->count.stimers },
		{ "unknown_io", vp->count.unknown_io },
		{ "unknown_msr", vp->count.unknown_msr },
		{ "windows", vp->count.windows },
	};

	fprintf(out, "{");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		fprintf(out, "%s\"%s\":%llu", i ? "," : "", rows[i].name,
			(unsigned long long)rows[i].value);
	fprintf(out, "}");
}

static void print_hypercalls(FILE *out, struct machine *m, unsigned int index)
{
	const char *comma = "";

	fprintf(out, "{");
	for (unsigned int i = 0; i < 0x108; i++) {
		if (!m->hypercalls[index][i])
			continue;
		fprintf(out, "%s\"0x%x\":%llu", comma, i,
			(unsigned long long)m->hypercalls[index][i]);
		comma = ",";
	}
	fprintf(out, "}");
}

void machine_print_stats(struct machine *m, FILE *out)
{
	fprintf(out, "{\"hypercalls_unknown\":%llu,\"hypercalls_vtl0\":",
		(unsigned long long)m->hypercalls_unknown);
	print_hypercalls(out, m, 0);
	fprintf(out, ",\"hypercalls_vtl2\":");
	print_hypercalls(out, m, 1);
	fprintf(out, ",\"vps\":[");
	for (unsigned int i = 0; i < m->config.vps; i++) {
		fprintf(out, "%s", i ? "," : "");
		print_vp(out, &m->vps[i]);
	}
	fprintf(out, "]}");
}
