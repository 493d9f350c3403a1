// SPDX-License-Identifier: MIT
/*
 * Stress of the interrupt handshake: vmm-stress [-p VPS] [-n COUNT] [-m COUNT]
 *
 * A machine of vmm's own parts, without an image: two small kernels
 * (payload.S) run in VTL2 and VTL0 of each VP, run, halt and switch. Threads
 * here play the devices:
 *
 *	one per VP   1 to 3 interrupts of different priorities to VTL2
 *	one for all  an interrupt to VTL0 of some VP
 *
 * Each counts what it has sent, waits until the kernels have counted as many,
 * and goes on. What has not come after LOST_SECONDS is lost; what was counted
 * without being sent is doubled. Every interrupt is waited for, so that none
 * hides behind another one of its vector.
 *
 * Status: 0 all came, once each; 1 some did not, or registers were damaged, or
 * a kernel had an exception; 2 bad argument; else what vmm's parts ended with.
 * The last line has the figures.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "layout.h"
#include "vmm/vp.h"

#define LOST_SECONDS 10
#define GIVE_UP_SECONDS 3600

/* payload.S: the code, and the offsets of what is in it. */
extern const uint8_t payload[];
extern const struct payload_layout {
	uint32_t size, exceptions, vtl0_start, vtl2_start;
	uint32_t vtl0_interrupt, vtl2_interrupts[VECTORS];
} payload_layout;

struct figures {
	_Atomic uint64_t sent, taken, lost, doubled;
};

static struct machine *machine;
static unsigned int vps = 2;
static uint64_t wanted[2] = { 100000, 10000 }; /* by vtl_index() */
static struct figures figures[2];
static _Atomic bool all_run, failed, vtl0_done;

static uint64_t base_of(enum vtl vtl)
{
	return vtl == VTL2 ? VTL2_BASE : VTL0_BASE;
}

static void *at(enum vtl vtl, uint64_t offset, size_t size)
{
	return machine_ram(machine, vtl, base_of(vtl) + offset, size);
}

/* A word of a VP's area; the VP writes it at the same time. */
static _Atomic uint64_t *word(enum vtl vtl, unsigned int vp,
			      unsigned int offset)
{
	return at(vtl, AREAS + (uint64_t)vp * AREA_SIZE + offset,
		  sizeof(uint64_t));
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* ---- the kernels ---- */

static void gate(uint8_t *idt, unsigned int vector, uint64_t handler)
{
	uint64_t low = (handler & 0xffff) | (uint64_t)SELECTOR_CODE << 16 |
		       0x8e00ull << 32 | (handler >> 16 & 0xffff) << 48;
	uint64_t high = handler >> 32;

	memcpy(idt + vector * 16, &low, 8);
	memcpy(idt + vector * 16 + 8, &high, 8);
}

static void write_tables(enum vtl vtl)
{
	uint64_t base = base_of(vtl);
	uint64_t *directory = at(vtl, PAGE_DIRECTORIES, 4 * 4096);
	uint64_t *pdpt = at(vtl, PDPT, 4096);
	uint64_t *gdt = at(vtl, GDT, 4096);
	uint64_t *pml4 = at(vtl, PML4, 4096);

	pml4[0] = (base + PDPT) | 3;
	for (uint64_t i = 0; i < 4; i++)
		pdpt[i] = (base + PAGE_DIRECTORIES + i * 4096) | 3;
	for (uint64_t i = 0; i < 4 * 512; i++)
		directory[i] = i << 21 | 0x83;
	gdt[SELECTOR_CODE / 8] = 0x00af9b000000ffff;
	gdt[SELECTOR_DATA / 8] = 0x00cf93000000ffff;
}

static void write_kernel(enum vtl vtl)
{
	const struct payload_layout *l = &payload_layout;
	uint64_t code = base_of(vtl) + CODE;
	uint8_t *idt = at(vtl, IDT, 4096);

	write_tables(vtl);
	memcpy(at(vtl, CODE, l->size), payload, l->size);
	for (unsigned int i = 0; i < 32; i++)
		gate(idt, i, code + l->exceptions + i * 16);
	for (unsigned int i = 0; i < VECTORS; i++)
		gate(idt, VECTOR(i), code + (vtl == VTL2 ?
						     l->vtl2_interrupts[i] :
						     l->vtl0_interrupt));
}

static struct hv_segment_register segment(unsigned int selector,
					  unsigned int attributes)
{
	return (struct hv_segment_register){
		.limit = cpu_to_le32(0xffffffff),
		.selector = cpu_to_le16((uint16_t)selector),
		.attributes = cpu_to_le16((uint16_t)attributes),
	};
}

static void start(enum vtl vtl, unsigned int vp)
{
	uint64_t base = base_of(vtl);
	struct hv_segment_register data = segment(SELECTOR_DATA, 0xc093);
	struct vp_vtl *vv = vp_in(&machine->vps[vp], vtl);
	struct hv_initial_vp_context context = {
		.rip = cpu_to_le64(base + CODE +
				   (vtl == VTL2 ? payload_layout.vtl2_start :
						  payload_layout.vtl0_start)),
		.rsp = cpu_to_le64(base + AREAS + (uint64_t)vp * AREA_SIZE +
				   AREA_STACK),
		.rflags = cpu_to_le64(2),
		.cs = segment(SELECTOR_CODE, 0xa09b),
		.ds = data, .es = data, .fs = data, .gs = data, .ss = data,
		.tr = segment(SELECTOR_TSS, 0x8b),
		.ldtr = segment(0, 0x82),
		.idtr = { .limit = cpu_to_le16(4095),
			  .base = cpu_to_le64(base + IDT) },
		.gdtr = { .limit = cpu_to_le16(SELECTOR_TSS + 15),
			  .base = cpu_to_le64(base + GDT) },
		.efer = cpu_to_le64(0x500),
		.cr0 = cpu_to_le64(0x80050033),
		.cr3 = cpu_to_le64(base + PML4),
		.cr4 = cpu_to_le64(0x620), /* PAE, SSE */
		.pat = cpu_to_le64(0x0007040600070406),
	};

	register_load_context(&vv->vcpu, &context);
	vv->started = true;
	if (vtl == VTL0)
		vcpu_set_mp_state(&vv->vcpu, KVM_MP_STATE_RUNNABLE);
	atomic_store(word(vtl, vp, AREA_MAY_HALT), 1);
}

/* ---- the devices ---- */

/* Ends the run early; what is still under way is not counted any more. */
static void give_up(const char *why, enum vtl vtl, unsigned int vp,
		    unsigned int n)
{
	if (atomic_exchange(&failed, true))
		return;
	printf("stress: %s: VP %u, VTL%d, vector %#x\n", why, vp, vtl,
	       VECTOR(n));
	for (unsigned int i = 0; i < vps; i++)
		vp_request(&machine->vps[i], VP_REQUEST_DUMP);
	usleep(500000);
	machine_stop(machine, 1, "stress: %s", why);
}

static bool over(void)
{
	return atomic_load(&failed) || atomic_load(&machine->status) >= 0;
}

static bool exception(void)
{
	for (unsigned int i = 0; i < 2 * vps; i++) {
		enum vtl vtl = i & 1 ? VTL2 : VTL0;
		uint64_t vector = atomic_load(word(vtl, i / 2, AREA_FAULT));

		if (!vector || atomic_exchange(&failed, true))
			continue;
		printf("stress: exception %u in VTL%d of VP %u:",
		       (unsigned int)vector - 1, vtl, i / 2);
		for (unsigned int n = 0; n < 8; n++)
			printf(" %llx", (unsigned long long)atomic_load(
					word(vtl, i / 2, AREA_FRAME + 8 * n)));
		printf("\n");
		machine_stop(machine, 1, "stress: exception");
	}
	return atomic_load(&failed);
}

struct sender {
	enum vtl vtl;
	unsigned int vp;
	unsigned int seed;
	uint64_t count[VECTORS];
};

/* Counts what came too often, and takes it as the new truth. */
static void check_doubled(struct sender *s, unsigned int n)
{
	uint64_t taken = atomic_load(word(s->vtl, s->vp, AREA_TAKEN + 8 * n));

	if (taken <= s->count[n])
		return;
	atomic_fetch_add(&figures[vtl_index(s->vtl)].doubled,
			 taken - s->count[n]);
	s->count[n] = taken;
}

static void await(struct sender *s, unsigned int n)
{
	struct figures *f = &figures[vtl_index(s->vtl)];
	_Atomic uint64_t *taken = word(s->vtl, s->vp, AREA_TAKEN + 8 * n);
	uint64_t end = now_ns() + LOST_SECONDS * 1000000000ull;

	while (atomic_load(taken) < s->count[n]) {
		if (over())
			return;
		if (now_ns() > end) {
			if (!exception()) {
				atomic_fetch_add(&f->lost, 1);
				give_up("an interrupt did not come", s->vtl,
					s->vp, n);
			}
			return;
		}
		if (rand_r(&s->seed) % 4)
			sched_yield();
		else
			usleep(50);
	}
	atomic_fetch_add(&f->taken, 1);
}

/* Sends those of `set`, all before the first is waited for. */
static void send(struct sender *s, unsigned int set)
{
	for (unsigned int n = 0; n < VECTORS; n++) {
		if (!(set & 1u << n))
			continue;
		check_doubled(s, n);
		s->count[n]++;
		atomic_fetch_add(&figures[vtl_index(s->vtl)].sent, 1);
		vp_interrupt(machine, s->vtl, s->vp, (uint8_t)VECTOR(n));
	}
	for (unsigned int n = 0; n < VECTORS; n++)
		if (set & 1u << n)
			await(s, n);
}

static void rest(unsigned int *seed, unsigned int most_us)
{
	if (rand_r(seed) % 8 < 3)
		usleep((unsigned int)rand_r(seed) % most_us);
}

static void *send_vtl2(void *opaque)
{
	struct sender *s = opaque;
	uint64_t share = wanted[1] / vps, n = 0;

	while (!atomic_load(&all_run) && !over())
		usleep(10000);
	/* VTL2 halts only as long as this goes on. */
	while (!over() && (n < share || !atomic_load(&vtl0_done))) {
		unsigned int set = (unsigned int)rand_r(&s->seed) % 7 + 1;

		n += (unsigned int)__builtin_popcount(set);
		send(s, set);
		rest(&s->seed, 400);
	}
	atomic_store(word(VTL2, s->vp, AREA_MAY_HALT), 0);
	if (!over())
		send(s, 1);
	usleep(100000);
	for (n = 0; n < VECTORS; n++)
		check_doubled(s, (unsigned int)n);
	return NULL;
}

static bool all_vps_run(void)
{
	for (unsigned int i = 0; i < vps; i++)
		if (!atomic_load(word(VTL0, i, AREA_RUNS)))
			return false;
	return true;
}

static void *send_vtl0(void *opaque)
{
	static struct sender senders[MACHINE_MAX_VPS];
	uint64_t end = now_ns() + LOST_SECONDS * 1000000000ull;
	unsigned int seed = 5;

	(void)opaque;
	for (unsigned int i = 0; i < vps; i++)
		senders[i] = (struct sender){ .vtl = VTL0, .vp = i,
					      .seed = i };
	while (!all_vps_run() && !over()) {
		usleep(10000);
		if (now_ns() > end && !exception())
			give_up("the kernels do not start", VTL0, 0, 0);
	}
	atomic_store(&all_run, true);
	for (uint64_t n = 0; n < wanted[0] && !over(); n++) {
		send(&senders[(unsigned int)rand_r(&seed) % vps], 1);
		rest(&seed, 1000);
	}
	atomic_store(&vtl0_done, true);
	usleep(100000);
	for (unsigned int i = 0; i < vps; i++)
		check_doubled(&senders[i], 0);
	return NULL;
}

/* Waits for the devices, then ends the machine. */
static void *supervise(void *opaque)
{
	static struct sender senders[MACHINE_MAX_VPS];
	pthread_t threads[MACHINE_MAX_VPS + 1];
	unsigned int n = 0;

	(void)opaque;
	for (unsigned int i = 0; i < vps; i++) {
		senders[i] = (struct sender){ .vtl = VTL2, .vp = i,
					      .seed = 77 + i };
		if (pthread_create(&threads[n], NULL, send_vtl2, &senders[i]))
			goto out_stop;
		n++;
	}
	if (pthread_create(&threads[n], NULL, send_vtl0, NULL))
		goto out_stop;
	n++;
	while (n)
		pthread_join(threads[--n], NULL);
	machine_stop(machine, VMM_OK, "stress: done");
	return NULL;

out_stop:
	machine_stop(machine, VMM_HOST_CANNOT, "stress: no thread");
	while (n)
		pthread_join(threads[--n], NULL);
	return NULL;
}

/* ---- the run ---- */

static uint64_t sum(enum vtl vtl, unsigned int offset)
{
	uint64_t total = 0;

	for (unsigned int i = 0; i < vps; i++)
		total += atomic_load(word(vtl, i, offset));
	return total;
}

/* The last line, and whether all is well. */
static bool report(uint64_t ns)
{
	uint64_t damaged = sum(VTL0, AREA_DAMAGED);
	uint64_t halts = 0, windows = 0;
	bool good = !atomic_load(&failed) && !damaged;

	for (unsigned int i = 0; i < vps; i++) {
		halts += atomic_load(&machine->vps[i].count.halts);
		windows += atomic_load(&machine->vps[i].count.windows);
	}
	printf("stress: %u VPs, %.1f s, %llu intercepts, %llu halts of VTL2, "
	       "%llu windows, %llu times damaged registers\n",
	       vps, (double)ns / 1e9,
	       (unsigned long long)sum(VTL2, AREA_INTERCEPTS),
	       (unsigned long long)halts, (unsigned long long)windows,
	       (unsigned long long)damaged);
	for (unsigned int i = 0; i < 2; i++) {
		struct figures *f = &figures[1 - i];

		printf("stress: VTL%d sent %llu taken %llu lost %llu "
		       "doubled %llu\n", i ? VTL0 : VTL2,
		       (unsigned long long)atomic_load(&f->sent),
		       (unsigned long long)atomic_load(&f->taken),
		       (unsigned long long)atomic_load(&f->lost),
		       (unsigned long long)atomic_load(&f->doubled));
		good = good && !f->lost && !f->doubled && f->sent == f->taken &&
		       f->taken >= wanted[1 - i] / vps * vps;
	}
	return good;
}

static bool number(const char *text, uint64_t low, uint64_t high,
		   uint64_t *value)
{
	char *end;

	*value = strtoull(text, &end, 10);
	return *text >= '0' && *text <= '9' && !*end && *value >= low &&
	       *value <= high;
}

static int parse(int argc, char **argv)
{
	uint64_t value;
	int option;

	while ((option = getopt(argc, argv, "p:n:m:")) >= 0) {
		if (option == 'p' && number(optarg, 1, 32, &value)) {
			vps = (unsigned int)value;
		} else if ((option == 'n' || option == 'm') &&
			   number(optarg, 1, 1000000000, &value)) {
			wanted[option == 'n'] = value;
		} else {
			fprintf(stderr, "usage: vmm-stress [-p VPS, 1..32] "
					"[-n VTL2 interrupts] "
					"[-m VTL0 interrupts]\n");
			return VMM_BAD_INPUT;
		}
	}
	return 0;
}

int main(int argc, char **argv)
{
	const struct memory_range ranges[2] = {
		{ VTL0_BASE, VTL_SIZE, VTL0 },
		{ VTL2_BASE, VTL_SIZE, VTL2 },
	};
	struct machine_config config = {
		.has_vtl2 = true,
		.ranges = ranges,
		.nr_ranges = 2,
	};
	pthread_t supervisor;
	uint64_t begin;
	int status = parse(argc, argv);

	if (status)
		return status;
	config.vps = vps;
	machine = machine_create(&config);
	if (!machine)
		return VMM_HOST_CANNOT;
	for (unsigned int i = 0; i < 2; i++) {
		enum vtl vtl = i ? VTL2 : VTL0;

		write_kernel(vtl);
		for (unsigned int vp = 0; vp < vps; vp++)
			start(vtl, vp);
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	begin = now_ns();
	if (pthread_create(&supervisor, NULL, supervise, NULL)) {
		machine_destroy(machine);
		return VMM_HOST_CANNOT;
	}
	alarm(GIVE_UP_SECONDS);
	status = machine_run(machine);
	pthread_join(supervisor, NULL);
	if (!report(now_ns() - begin) && status == 0)
		status = 1;
	machine_destroy(machine);
	return status;
}
