// SPDX-License-Identifier: MIT
/*
 * CPUID of a VP in a VTL: what KVM can do, with KVM's own leaves replaced by
 * Hyper-V's (TLFS, "Feature and Interface Discovery").
 *
 * The two VTLs differ in three ways. VTL2 may use VSM, registers of other VTLs
 * and start VPs; VTL0 may not. VTL2's APIC is lapic.c's, so x2APIC and the
 * TSC-deadline timer are hidden there and the APIC MSRs recommended. And VTL2
 * gets the recommendation to send IPIs by hypercall, so that one to a VP in
 * VTL0 does not depend on an APIC page.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vp.h"

#define MAX_ENTRIES 256u

#define LEAF80000007_EDX_INVARIANT_TSC (1u << 8)
#define LEAF1_ECX_VMX (1u << 5)
#define LEAF80000001_ECX_SVM (1u << 2)
#define LEAF1_ECX_X2APIC (1u << 21)
#define LEAF1_ECX_TSC_DEADLINE (1u << 24)
#define LEAF1_ECX_HYPERVISOR (1u << 31)
#define LEAF1_EBX_COUNT_SHIFT 16
#define LEAF1_EBX_APIC_ID_SHIFT 24
#define TOPOLOGY_LEVEL_SMT (1u << 8)
#define TOPOLOGY_LEVEL_CORE (2u << 8)

struct leaf {
	uint32_t function, eax, ebx, ecx, edx;
};

static uint32_t features(enum vtl vtl)
{
	uint32_t eax = HV_FEATURE_TIME_REF_COUNT | HV_FEATURE_SYNIC |
		       HV_FEATURE_STIMER | HV_FEATURE_HYPERCALL_MSRS |
		       HV_FEATURE_VP_INDEX | HV_FEATURE_REFERENCE_TSC |
		       HV_FEATURE_FREQUENCY_MSRS | HV_FEATURE_TSC_INVARIANT;

	return vtl == VTL2 ? eax | HV_FEATURE_APIC_MSRS : eax;
}

static uint32_t privileges(enum vtl vtl)
{
	uint32_t ebx = HV_PRIVILEGE_POST_MESSAGES | HV_PRIVILEGE_SIGNAL_EVENTS;

	if (vtl == VTL2)
		ebx |= HV_PRIVILEGE_ACCESS_VSM |
		       HV_PRIVILEGE_ACCESS_VP_REGISTERS | HV_PRIVILEGE_START_VP;
	return ebx;
}

static uint32_t recommendations(enum vtl vtl)
{
	uint32_t eax = HV_RECOMMEND_RELAXED_TIMING | HV_RECOMMEND_NO_AUTO_EOI;

	if (vtl == VTL2)
		eax |= HV_RECOMMEND_APIC_MSRS | HV_RECOMMEND_CLUSTER_IPI;
	return eax;
}

static void add(struct kvm_cpuid2 *table, const struct leaf *leaf)
{
	struct kvm_cpuid_entry2 *e = &table->entries[table->nent++];

	memset(e, 0, sizeof(*e));
	e->function = leaf->function;
	e->eax = leaf->eax;
	e->ebx = leaf->ebx;
	e->ecx = leaf->ecx;
	e->edx = leaf->edx;
}

static void add_hypervisor(struct kvm_cpuid2 *table, enum vtl vtl,
			   unsigned int vps)
{
	const struct leaf leaves[] = {
		{ HV_CPUID_VENDOR, HV_CPUID_ISOLATION, 0x7263694d, 0x666f736f,
		  0x76482074 }, /* "Microsoft Hv" */
		{ HV_CPUID_INTERFACE, HV_INTERFACE_HV1, 0, 0, 0 },
		{ HV_CPUID_VERSION, 20348, 10 << 16, 0, 0 },
		{ HV_CPUID_FEATURES, features(vtl), privileges(vtl), 0,
		  HV_MISC_FREQUENCY_MSRS | HV_MISC_CRASH_MSRS |
			  HV_MISC_DIRECT_STIMER },
		{ HV_CPUID_ENLIGHTENMENTS, recommendations(vtl),
		  HV_NEVER_SPIN_WAIT, 0, 0 },
		{ HV_CPUID_LIMITS, vps, vps, 0, 0 },
		/* Empty, but read: an undefined leaf would return the data of
		 * the highest basic one on Intel. */
		{ HV_CPUID_HARDWARE, 0, 0, 0, 0 },
		{ 0x40000007, 0, 0, 0, 0 },
		{ 0x40000008, 0, 0, 0, 0 },
		{ 0x40000009, 0, 0, 0, 0 },
		{ 0x4000000a, 0, 0, 0, 0 },
		{ 0x4000000b, 0, 0, 0, 0 },
		{ HV_CPUID_ISOLATION, 0, 0, 0, 0 },
		{ HV_CPUID_STACK_VENDOR, HV_CPUID_STACK_PROPERTIES, 0x7263694d,
		  0x666f736f, 0x53562074 }, /* "Microsoft SV" */
		{ HV_CPUID_STACK_INTERFACE, HV_INTERFACE_VS1, 0, 0, 0 },
		{ HV_CPUID_STACK_PROPERTIES, 0, 0, 0, 0 },
	};

	for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++)
		add(table, &leaves[i]);
}

static unsigned int id_bits(unsigned int vps)
{
	unsigned int bits = 0;

	while (1u << bits < vps)
		bits++;
	return bits;
}

/* One socket, as many cores as APIC ids up to the highest, no threads. */
static void set_topology(struct kvm_cpuid_entry2 *e, uint32_t apic_id,
			 unsigned int vps)
{
	e->edx = apic_id;
	switch (e->index) {
	case 0:
		e->eax = 0;
		e->ebx = 1;
		e->ecx = TOPOLOGY_LEVEL_SMT;
		break;
	case 1:
		e->eax = id_bits(vps);
		e->ebx = vps;
		e->ecx = TOPOLOGY_LEVEL_CORE | 1;
		break;
	default:
		e->eax = e->ebx = 0;
		e->ecx = e->index;
	}
}

static void adapt(struct kvm_cpuid_entry2 *e, uint32_t apic_id,
		  unsigned int vps, enum vtl vtl)
{
	switch (e->function) {
	case 1:
		e->ebx &= 0xffff;
		e->ebx |= apic_id << LEAF1_EBX_APIC_ID_SHIFT |
			  vps << LEAF1_EBX_COUNT_SHIFT;
		e->ecx |= LEAF1_ECX_HYPERVISOR;
		e->ecx &= ~LEAF1_ECX_VMX; /* nothing is nested here */
		if (vtl == VTL2)
			e->ecx &= ~(LEAF1_ECX_X2APIC | LEAF1_ECX_TSC_DEADLINE);
		else
			e->ecx |= LEAF1_ECX_X2APIC | LEAF1_ECX_TSC_DEADLINE;
		break;
	case 0xb:
		set_topology(e, apic_id, vps);
		break;
	case 0x80000001:
		e->ecx &= ~LEAF80000001_ECX_SVM;
		break;
	case 0x8000000a:
		e->eax = e->ebx = e->ecx = e->edx = 0;
		break;
	case 0x80000007:
		/* As HV_CPUID_FEATURES says of the TSC. Without it each
		 * VP's kernel measures its own delay loop, for 0.2 s. */
		e->edx |= LEAF80000007_EDX_INVARIANT_TSC;
		break;
	case 0x8000001e:
		e->eax = apic_id;
		e->ebx = apic_id;
		e->ecx = 0;
		break;
	default:
		break;
	}
}

struct kvm_cpuid2 *cpuid_create(struct machine *m, unsigned int index,
				enum vtl vtl)
{
	struct kvm_cpuid2 *table =
		calloc(1, sizeof(*table) +
				  MAX_ENTRIES * sizeof(table->entries[0]));
	unsigned int n = 0;

	if (!table) {
		fprintf(stderr, "vmm: out of memory\n");
		return NULL;
	}
	/* Room is left for the leaves that are added. */
	table->nent = MAX_ENTRIES - 32;
	if (ioctl(m->kvm, KVM_GET_SUPPORTED_CPUID, table) < 0) {
		fprintf(stderr, "vmm: KVM_GET_SUPPORTED_CPUID: %s\n",
			strerror(errno));
		free(table);
		return NULL;
	}
	for (unsigned int i = 0; i < table->nent; i++) {
		struct kvm_cpuid_entry2 e = table->entries[i];

		if (e.function >> 28 == 4)
			continue; /* KVM's own hypervisor leaves */
		adapt(&e, vp_apic_id(m, index), vp_apic_id(m, m->config.vps),
		      vtl);
		table->entries[n++] = e;
	}
	table->nent = n;
	add_hypervisor(table, vtl, m->config.vps);
	return table;
}
