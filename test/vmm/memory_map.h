/* SPDX-License-Identifier: MIT */
/*
 * Where things are in the guest's physical address space.
 *
 *	0           VTL0 RAM, up to VTL2's base (from the IGVM image)
 *	base        VTL2 RAM
 *	f800_0000   VTL0 MMIO, low: VMBus devices of the guest
 *	fec0_0000   IOAPIC, local APIC: the architecture's
 *	1_0000_0000 the rest of VTL0 RAM
 *	d_0000_0000 VTL0's kernel and initrd as the user gave them, for VTL2 only;
 *		    in no memory map
 *	e_0000_0000 VTL2 MMIO: windows and BARs of VTL2's VMBus devices
 *	f_e000_0000 VTL0 MMIO, high
 *	10_0000_0000  end of what 36 address bits reach
 */
#ifndef VMM_MEMORY_MAP_H
#define VMM_MEMORY_MAP_H

#define VTL0_MMIO_LOW_BASE 0xf8000000ull
#define VTL0_MMIO_LOW_SIZE 0x06000000ull
#define HIGH_RAM_BASE 0x100000000ull
#define VTL0_FILES_BASE 0xd00000000ull
#define VTL2_MMIO_BASE 0xe00000000ull
#define VTL2_MMIO_SIZE 0x40000000ull
#define VTL0_MMIO_HIGH_BASE 0xfe0000000ull
#define VTL0_MMIO_HIGH_SIZE 0x20000000ull

#define RAM_ALIGNMENT 0x200000ull

/* RAM above 4 GiB ends where those files begin. */
#define HIGH_RAM_MAX (VTL0_FILES_BASE - HIGH_RAM_BASE)

#endif
