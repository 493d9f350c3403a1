// SPDX-License-Identifier: MIT
/*
 * The walk through a VTL's page tables, for HvCallTranslateVirtualAddress and
 * for ourselves. KVM_TRANSLATE walks too, but as the kernel would, so that user
 * pages are out of its reach under SMAP, and it sets no accessed and dirty bits.
 *
 *	CR0.PG CR4.PAE EFER.LMA CR4.LA57   levels, bits of each
 *	0                                  none: the address is physical
 *	1      0                           2, 10: entries of 4 bytes, 4 MiB pages
 *	1      1       0                   3, 9 (the top one 2): 2 MiB pages
 *	1      1       1        0          4, 9: 2 MiB and 1 GiB pages
 *	1      1       1        1          5, 9
 *
 * Rights of the levels are multiplied; the access must pass them. Accessed and
 * dirty bits are set with a locked compare, only when the access is allowed.
 *
 * Not modelled: protection keys, and bits above the physical address width,
 * which are taken for address bits.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "translate.h"
#include "vp.h"

#define CR0_WP (1ull << 16)
#define CR0_PG (1ull << 31)
#define CR4_PSE (1ull << 4)
#define CR4_PAE (1ull << 5)
#define CR4_LA57 (1ull << 12)
#define CR4_SMEP (1ull << 20)
#define CR4_SMAP (1ull << 21)
#define EFER_LMA (1ull << 10)
#define EFER_NXE (1ull << 11)
#define RFLAGS_AC (1ull << 18)

#define PTE_PRESENT (1ull << 0)
#define PTE_WRITE (1ull << 1)
#define PTE_USER (1ull << 2)
#define PTE_ACCESSED (1ull << 5)
#define PTE_DIRTY (1ull << 6)
#define PTE_LARGE (1ull << 7)
#define PTE_NO_EXECUTE (1ull << 63)
#define PTE_ADDRESS 0x000ffffffffff000ull

#define MAX_LEVELS 5
/* A guest that changes its tables all the time gets a page fault. */
#define MAX_TRIES 16

struct walk {
	struct vp *vp;
	enum vtl vtl;
	const struct kvm_sregs *s;
	uint64_t gva, flags;
	unsigned int levels, bits, entry_size;
	/* The entries on the way, and what they held. */
	void *entry[MAX_LEVELS];
	uint64_t value[MAX_LEVELS];
	unsigned int depth;
	uint64_t gpa;
};

static bool is_user(const struct walk *w)
{
	return !(w->flags & HV_TRANSLATE_PRIVILEGE_EXEMPT) && w->s->ss.dpl == 3;
}

static void choose_format(struct walk *w)
{
	w->entry_size = 8;
	w->bits = 9;
	if (!(w->s->cr4 & CR4_PAE)) {
		w->levels = 2;
		w->bits = 10;
		w->entry_size = 4;
	} else if (!(w->s->efer & EFER_LMA)) {
		w->levels = 3;
	} else {
		w->levels = w->s->cr4 & CR4_LA57 ? 5 : 4;
	}
}

static bool canonical(const struct walk *w)
{
	int64_t top = (int64_t)w->gva >> (w->levels == 5 ? 56 : 47);

	if (w->levels < 4)
		return !(w->gva >> 32);
	return top == 0 || top == -1;
}

static uint64_t load(const struct walk *w, void *entry)
{
	return w->entry_size == 8 ?
		       atomic_load((_Atomic uint64_t *)entry) :
		       atomic_load((_Atomic uint32_t *)entry);
}

/* Bits of the address below level `level` (0: the last table). */
static unsigned int shift_of(const struct walk *w, unsigned int level)
{
	return HV_PAGE_SHIFT + level * w->bits;
}

static bool may_be_large(const struct walk *w, unsigned int level)
{
	if (w->levels == 2)
		return level == 1 && w->s->cr4 & CR4_PSE;
	return level == 1 || (level == 2 && w->levels > 3);
}

static enum hv_translate_result descend(struct walk *w)
{
	uint64_t table = w->levels == 3 ? w->s->cr3 & 0xffffffe0ull :
					  w->s->cr3 & PTE_ADDRESS;

	for (unsigned int level = w->levels; level-- > 0;) {
		uint64_t index = w->gva >> shift_of(w, level) &
				 ((1ull << w->bits) - 1);
		uint64_t low = (1ull << shift_of(w, level)) - 1, value;
		void *entry;

		if (w->levels == 3 && level == 2)
			index &= 3;
		entry = machine_ram(w->vp->m, w->vtl,
				    table + index * w->entry_size,
				    w->entry_size);
		if (!entry)
			return HV_TRANSLATE_GPA_NO_READ;
		value = load(w, entry);
		if (!(value & PTE_PRESENT))
			return HV_TRANSLATE_NOT_PRESENT;
		if (value & PTE_NO_EXECUTE && w->entry_size == 8 &&
		    !(w->s->efer & EFER_NXE))
			return HV_TRANSLATE_INVALID_FLAGS;
		w->entry[w->depth] = entry;
		w->value[w->depth++] = value;
		if (level && value & PTE_LARGE && w->levels > 2 &&
		    !may_be_large(w, level))
			return HV_TRANSLATE_INVALID_FLAGS;
		if (!level || (value & PTE_LARGE && may_be_large(w, level))) {
			w->gpa = (value & PTE_ADDRESS & ~low) | (w->gva & low);
			return HV_TRANSLATE_SUCCESS;
		}
		table = value & PTE_ADDRESS;
	}
	return HV_TRANSLATE_NOT_PRESENT;
}

/* The top entries of PAE tables have no rights, and no bits to set. */
static unsigned int first_with_rights(const struct walk *w)
{
	return w->levels == 3 ? 1 : 0;
}

static bool allowed(const struct walk *w)
{
	bool user_page = true, writable = true, no_execute = false;
	bool user = is_user(w);

	for (unsigned int i = first_with_rights(w); i < w->depth; i++) {
		user_page &= (w->value[i] & PTE_USER) != 0;
		writable &= (w->value[i] & PTE_WRITE) != 0;
		no_execute |= w->entry_size == 8 &&
			      w->value[i] & PTE_NO_EXECUTE;
	}
	if (w->flags & HV_TRANSLATE_EXECUTE &&
	    (no_execute || (!user && user_page && w->s->cr4 & CR4_SMEP &&
			    !(w->flags & HV_TRANSLATE_PRIVILEGE_EXEMPT))))
		return false;
	if (w->flags & HV_TRANSLATE_PRIVILEGE_EXEMPT)
		return !(w->flags & HV_TRANSLATE_WRITE) || writable;
	if (user && !user_page)
		return false;
	if (!user && user_page && w->s->cr4 & CR4_SMAP &&
	    w->flags & (HV_TRANSLATE_READ | HV_TRANSLATE_WRITE) &&
	    !(vp_in(w->vp, w->vtl)->vcpu.regs->rflags & RFLAGS_AC))
		return false;
	return !(w->flags & HV_TRANSLATE_WRITE) || writable ||
	       (!user && !(w->s->cr0 & CR0_WP));
}

/* False if the guest changed an entry in between. */
static bool set_bits(struct walk *w)
{
	for (unsigned int i = first_with_rights(w); i < w->depth; i++) {
		uint64_t wanted = w->value[i] | PTE_ACCESSED;
		uint32_t narrow = (uint32_t)w->value[i];

		if (i == w->depth - 1 && w->flags & HV_TRANSLATE_WRITE)
			wanted |= PTE_DIRTY;
		if (wanted == w->value[i])
			continue;
		if (w->entry_size == 8 ?
			    !atomic_compare_exchange_strong(
				    (_Atomic uint64_t *)w->entry[i],
				    &w->value[i], wanted) :
			    !atomic_compare_exchange_strong(
				    (_Atomic uint32_t *)w->entry[i], &narrow,
				    (uint32_t)wanted))
			return false;
	}
	return true;
}

static enum hv_translate_result walk_tables(struct walk *w)
{
	enum hv_translate_result result;

	choose_format(w);
	if (!canonical(w))
		return HV_TRANSLATE_NOT_PRESENT;
	for (unsigned int tries = 0; tries < MAX_TRIES; tries++) {
		w->depth = 0;
		result = descend(w);
		if (result)
			return result;
		if (!allowed(w))
			return HV_TRANSLATE_PRIVILEGE_VIOLATION;
		if (!(w->flags & HV_TRANSLATE_SET_BITS) || set_bits(w))
			return HV_TRANSLATE_SUCCESS;
	}
	return HV_TRANSLATE_NOT_PRESENT;
}

enum hv_translate_result translate_gva(struct vp *vp, enum vtl vtl,
				       uint64_t gva, uint64_t flags,
				       uint64_t *gpa)
{
	struct walk w = {
		.vp = vp,
		.vtl = vtl,
		.s = vp_in(vp, vtl)->vcpu.sregs,
		.gva = gva,
		.flags = flags,
		.gpa = gva,
	};

	if (w.s->cr0 & CR0_PG) {
		enum hv_translate_result result = walk_tables(&w);

		if (result)
			return result;
	}
	*gpa = w.gpa;
	if (machine_ram(vp->m, vtl, w.gpa, 1))
		return HV_TRANSLATE_SUCCESS;
	if (!machine_ram(vp->m, VTL2, w.gpa, 1))
		return HV_TRANSLATE_GPA_UNMAPPED;
	return flags & HV_TRANSLATE_WRITE ? HV_TRANSLATE_GPA_NO_WRITE :
					    HV_TRANSLATE_GPA_NO_READ;
}

int translate_mapped(struct vp *vp, uint64_t gva, uint64_t *gpa)
{
	*gpa = UINT64_MAX;
	translate_gva(vp, VTL0, gva,
		      HV_TRANSLATE_READ | HV_TRANSLATE_PRIVILEGE_EXEMPT, gpa);
	return *gpa == UINT64_MAX ? -EFAULT : 0;
}
