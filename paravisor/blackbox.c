// SPDX-License-Identifier: MIT
/*
 * Black box, theory of operation
 *
 * The image has filled in the header, so what is where is read from there once:
 * a section is used if its items have the size that this daemon writes. What
 * is written then is written in place, with nothing kept back for later: there
 * may be no later.
 *
 *	exits		the trace's rings themselves (trace.c); no copy is made
 *	log, messages	rings of records. A writer takes the next number with one
 *			atomic add, marks the slot as being written (sequence
 *			0), fills it, and stores the number
 *	failures	whoever turns EMPTY into WRITING owns the slot for good;
 *			the next one finds it taken
 *
 * The signal that ends the daemon is noted by its handler, registers first,
 * then the stack, which may not be readable: a fault in there ends the daemon
 * at once, with the registers already written. The handler then lets the
 * default answer happen at the same instruction, so that a core shows it: a
 * fault comes again by itself, a signal that was sent is sent again.
 * A thread whose stack is used up gets no handler; the kernel's log has its
 * line.
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include <pv/log.h>

#include "blackbox.h"
#include "device_tree.h"
#include "log_sink.h"
#include "mshv.h"
#include "trace.h"

LOG_MODULE("blackbox");

_Static_assert(sizeof(struct trace_record) == sizeof(struct blackbox_exit) &&
	       offsetof(struct trace_record, ticks) ==
		       offsetof(struct blackbox_exit, ticks) &&
	       offsetof(struct trace_record, access) ==
		       offsetof(struct blackbox_exit, access), "an exit");
_Static_assert(offsetof(struct trace_ring, record) ==
		       sizeof(struct blackbox_exits) &&
	       offsetof(struct trace_ring, spent) ==
		       offsetof(struct blackbox_exits, spent), "their ring");
_Static_assert(sizeof(struct trace_ring) <= BLACKBOX_EXITS_STRIDE &&
	       (unsigned int)TRACE_RECORDS == BLACKBOX_EXIT_SLOTS &&
	       (unsigned int)TRACE_MAX_REASONS == BLACKBOX_REASONS, "numbers");

struct ring {
	uint8_t *slot; /* slots of `stride` bytes */
	uint32_t slots, stride;
	_Atomic uint64_t written;
};

static struct {
	struct ring log, vmbus;
	uint8_t *failure, *names, *exits; /* NULL: there is no such section */
	uint32_t nr_exits;
} box;

/* ---- where things are ---- */

/* Items of a kind, if they have `stride` bytes; their number in *nr. */
static uint8_t *find(const struct blackbox_header *h, uint64_t size,
		     uint32_t kind, uint32_t stride, uint32_t *nr)
{
	uint32_t sections = le32_to_cpu(h->nr_sections);

	for (uint32_t i = 0; i < sections && i < BLACKBOX_MAX_SECTIONS; i++) {
		const struct blackbox_section *s = &h->section[i];
		uint64_t offset = le32_to_cpu(s->offset);
		uint64_t bytes = le32_to_cpu(s->bytes);

		if (le32_to_cpu(s->kind) != kind ||
		    le32_to_cpu(s->stride) != stride || offset % 64 ||
		    offset < BLACKBOX_PAGE || offset + bytes > size)
			continue;
		*nr = (uint32_t)(bytes / stride);
		return *nr ? (uint8_t *)h + offset : NULL;
	}
	*nr = 0;
	return NULL;
}

bool blackbox_use(void *base, uint64_t gpa, uint64_t size)
{
	const struct blackbox_header *h = base;
	uint32_t nr;

	if (le64_to_cpu(h->magic) != BLACKBOX_MAGIC ||
	    le32_to_cpu(h->version) != BLACKBOX_VERSION ||
	    le64_to_cpu(h->gpa) != gpa || le64_to_cpu(h->size) != size)
		return false;
	memset(&box, 0, sizeof(box));
	box.log.stride = BLACKBOX_LOG_STRIDE;
	box.log.slot = find(h, size, BLACKBOX_LOG, BLACKBOX_LOG_STRIDE,
			    &box.log.slots);
	box.vmbus.stride = BLACKBOX_VMBUS_STRIDE;
	box.vmbus.slot = find(h, size, BLACKBOX_VMBUS, BLACKBOX_VMBUS_STRIDE,
			      &box.vmbus.slots);
	box.names = find(h, size, BLACKBOX_NAMES, BLACKBOX_NAME_SIZE, &nr);
	if (nr < BLACKBOX_REASONS)
		box.names = NULL;
	box.failure = find(h, size, BLACKBOX_FAILURE, BLACKBOX_FAILURE_STRIDE,
			   &nr);
	if (nr < BLACKBOX_FAILURES)
		box.failure = NULL;
	box.exits = find(h, size, BLACKBOX_EXITS, BLACKBOX_EXITS_STRIDE,
			 &box.nr_exits);
	return true;
}

void blackbox_names(const char *const *name, unsigned int nr)
{
	for (unsigned int i = 0; box.names && i < nr; i++)
		if (name[i])
			snprintf((char *)box.names + i * BLACKBOX_NAME_SIZE,
				 BLACKBOX_NAME_SIZE, "%s", name[i]);
}

void *blackbox_exits(unsigned int vp)
{
	return vp < box.nr_exits ? box.exits + vp * BLACKBOX_EXITS_STRIDE :
				   NULL;
}

/* ---- rings ---- */

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void put(struct ring *r, uint16_t kind, uint16_t vp, const void *data,
		size_t len)
{
	size_t room = r->stride - sizeof(struct blackbox_record);
	struct blackbox_record *record;
	uint64_t number;

	if (!r->slots)
		return;
	number = atomic_fetch_add_explicit(&r->written, 1,
					   memory_order_relaxed) + 1;
	record = (void *)(r->slot + number % r->slots * r->stride);
	record->sequence = cpu_to_le64(0);
	atomic_thread_fence(memory_order_seq_cst);
	record->tsc = cpu_to_le64(__builtin_ia32_rdtsc());
	record->ns = cpu_to_le64(now());
	record->kind = cpu_to_le16(kind);
	record->vp = cpu_to_le16(vp);
	record->bytes = cpu_to_le32((uint32_t)len);
	memcpy(record + 1, data, len < room ? len : room);
	atomic_thread_fence(memory_order_seq_cst);
	record->sequence = cpu_to_le64(number);
}

void blackbox_message(enum blackbox_direction direction, uint32_t vp,
		      const void *payload, size_t size)
{
	put(&box.vmbus, (uint16_t)direction, (uint16_t)vp, payload, size);
}

/* ---- failures ---- */

/* The slot of a kind, if it is the first of its kind. */
static struct blackbox_failure *claim(enum blackbox_failure_kind kind)
{
	struct blackbox_failure *f;
	uint32_t empty = BLACKBOX_EMPTY;

	if (!box.failure)
		return NULL;
	f = (void *)(box.failure + kind * BLACKBOX_FAILURE_STRIDE);
	if (!__atomic_compare_exchange_n((uint32_t *)(void *)f, &empty,
					 BLACKBOX_WRITING, false,
					 __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return NULL;
	f->tsc = cpu_to_le64(__builtin_ia32_rdtsc());
	f->ns = cpu_to_le64(now());
	f->thread = cpu_to_le32((uint32_t)syscall(SYS_gettid));
	return f;
}

static void claimed(struct blackbox_failure *f)
{
	atomic_thread_fence(memory_order_seq_cst);
	f->state = cpu_to_le32(BLACKBOX_WRITTEN);
}

void blackbox_log(int level, const char *line, size_t len)
{
	struct blackbox_failure *f;

	put(&box.log, (uint16_t)level, 0, line, len);
	if (level != LOG_ERR)
		return;
	f = claim(BLACKBOX_FIRST_ERROR);
	if (!f)
		return;
	f->bytes = cpu_to_le32((uint32_t)len);
	memcpy(f->text, line, len < sizeof(f->text) ? len : sizeof(f->text));
	claimed(f);
}

/* Word by word, as far as there is a stack; a sanitizer's marks in it are not
 * its end. */
__attribute__((no_sanitize_address))
static void copy_stack(struct blackbox_failure *f, const uint64_t *stack)
{
	if ((uintptr_t)stack % 8)
		return;
	for (uint32_t i = 0; i < BLACKBOX_STACK_WORDS; i++) {
		f->stack[i] = cpu_to_le64(stack[i]);
		f->stack_words = cpu_to_le32(i + 1);
	}
}

static void ending_signal(int number, siginfo_t *info, void *context)
{
	static const int order[BLACKBOX_REGISTERS] = {
		REG_RIP, REG_RSP, REG_EFL, REG_RAX, REG_RBX, REG_RCX, REG_RDX,
		REG_RSI, REG_RDI, REG_RBP, REG_R8, REG_R9, REG_R10, REG_R11,
		REG_R12, REG_R13, REG_R14, REG_R15,
	};
	const greg_t *reg = ((const ucontext_t *)context)->uc_mcontext.gregs;
	struct blackbox_failure *f = claim(BLACKBOX_FIRST_SIGNAL);

	/* It happens again, and this time ends the daemon. */
	signal(number, SIG_DFL);
	if (info->si_code <= 0)
		raise(number);
	if (!f)
		return;
	f->signal = cpu_to_le32((uint32_t)number);
	f->code = cpu_to_le32((uint32_t)info->si_code);
	f->address = cpu_to_le64((uintptr_t)info->si_addr);
	for (unsigned int i = 0; i < BLACKBOX_REGISTERS; i++)
		f->registers[i] = cpu_to_le64((uint64_t)reg[order[i]]);
	claimed(f);
	copy_stack(f, (const uint64_t *)reg[REG_RSP]);
}

static void watch_signals(void)
{
	static const int ending[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT,
				      SIGSYS };
	struct sigaction action = { .sa_sigaction = ending_signal,
				    .sa_flags = SA_SIGINFO };

	for (size_t i = 0; i < sizeof(ending) / sizeof(ending[0]); i++)
		sigaction(ending[i], &action, NULL);
}

/* ---- start ---- */

/* By entries of 2 MiB: the ends of the range are multiples of it. */
static void *map(struct mshv *mshv, const struct dt_range *range)
{
	uint8_t *va = mmap(NULL, range->size + BLACKBOX_ALIGN, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (va == MAP_FAILED)
		return NULL;
	va += -(uintptr_t)va % BLACKBOX_ALIGN;
	return mshv_map(mshv, va, range->gpa, range->size);
}

void blackbox_open(struct mshv *mshv, const struct dt_range *range)
{
	void *base;

	if (!range->size) {
		log_info("none in this image: exits, messages and log end "
			 "with VTL2");
		return;
	}
	base = map(mshv, range);
	if (!base || !blackbox_use(base, range->gpa, range->size)) {
		log_warn("%#llx+%#llx: %s", (unsigned long long)range->gpa,
			 (unsigned long long)range->size,
			 base ? "its header is not one" : strerror(errno));
		return;
	}
	watch_signals();
	log_set_tail(blackbox_log);
	log_info("%llu KiB at %#llx, exits of %u VPs",
		 (unsigned long long)range->size >> 10,
		 (unsigned long long)range->gpa, box.nr_exits);
}
