// SPDX-License-Identifier: MIT
/*
 * One table of register names: the reader refuses what is not in it, the dump
 * prints from it. Codes are the TLFS's, from hv_reg.h.
 */
#include "registers.h"

#include <stddef.h>

#include "hv_reg.h"

static const struct register_name registers[] = {
	{ HV_REG_RAX, "RAX", REGISTER_U64 },
	{ HV_REG_RCX, "RCX", REGISTER_U64 },
	{ HV_REG_RDX, "RDX", REGISTER_U64 },
	{ HV_REG_RBX, "RBX", REGISTER_U64 },
	{ HV_REG_RSP, "RSP", REGISTER_U64 },
	{ HV_REG_RBP, "RBP", REGISTER_U64 },
	{ HV_REG_RSI, "RSI", REGISTER_U64 },
	{ HV_REG_RDI, "RDI", REGISTER_U64 },
	{ HV_REG_R8, "R8", REGISTER_U64 },
	{ HV_REG_R8 + 1, "R9", REGISTER_U64 },
	{ HV_REG_R8 + 2, "R10", REGISTER_U64 },
	{ HV_REG_R8 + 3, "R11", REGISTER_U64 },
	{ HV_REG_R8 + 4, "R12", REGISTER_U64 },
	{ HV_REG_R8 + 5, "R13", REGISTER_U64 },
	{ HV_REG_R8 + 6, "R14", REGISTER_U64 },
	{ HV_REG_R15, "R15", REGISTER_U64 },
	{ HV_REG_RIP, "RIP", REGISTER_U64 },
	{ HV_REG_RFLAGS, "RFLAGS", REGISTER_U64 },
	{ HV_REG_CR0, "CR0", REGISTER_U64 },
	{ HV_REG_CR2, "CR2", REGISTER_U64 },
	{ HV_REG_CR3, "CR3", REGISTER_U64 },
	{ HV_REG_CR4, "CR4", REGISTER_U64 },
	{ HV_REG_CR8, "CR8", REGISTER_U64 },
	{ HV_REG_ES, "ES", REGISTER_SEGMENT },
	{ HV_REG_CS, "CS", REGISTER_SEGMENT },
	{ HV_REG_SS, "SS", REGISTER_SEGMENT },
	{ HV_REG_DS, "DS", REGISTER_SEGMENT },
	{ HV_REG_FS, "FS", REGISTER_SEGMENT },
	{ HV_REG_GS, "GS", REGISTER_SEGMENT },
	{ HV_REG_LDTR, "LDTR", REGISTER_SEGMENT },
	{ HV_REG_TR, "TR", REGISTER_SEGMENT },
	{ HV_REG_IDTR, "IDTR", REGISTER_TABLE },
	{ HV_REG_GDTR, "GDTR", REGISTER_TABLE },
	{ HV_REG_EFER, "EFER", REGISTER_U64 },
	{ HV_REG_KERNEL_GS_BASE, "KERNEL_GS_BASE", REGISTER_U64 },
	{ HV_REG_APIC_BASE, "APIC_BASE", REGISTER_U64 },
	{ HV_REG_PAT, "PAT", REGISTER_U64 },
	{ HV_REG_SYSENTER_CS, "SYSENTER_CS", REGISTER_U64 },
	{ HV_REG_SYSENTER_EIP, "SYSENTER_EIP", REGISTER_U64 },
	{ HV_REG_SYSENTER_ESP, "SYSENTER_ESP", REGISTER_U64 },
	{ HV_REG_STAR, "STAR", REGISTER_U64 },
	{ HV_REG_LSTAR, "LSTAR", REGISTER_U64 },
	{ HV_REG_CSTAR, "CSTAR", REGISTER_U64 },
	{ HV_REG_SFMASK, "SFMASK", REGISTER_U64 },
};

const struct register_name *register_find(uint32_t code)
{
	for (size_t i = 0; i < sizeof(registers) / sizeof(registers[0]); i++) {
		if (registers[i].code == code)
			return &registers[i];
	}
	return NULL;
}
