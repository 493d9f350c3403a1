/* SPDX-License-Identifier: MIT */
/*
 * What the boot shim tells the daemon: node /paravisor of VTL2's device tree,
 * read under /proc/device-tree/paravisor. One place, whoever supplied a thing:
 *
 *	host's device tree                    IGVM image (manifest)
 *	/paravisor, written by the VMM        settings, vtl0 {kernel, initrd,
 *	at start; optional, each              command_line}; each optional
 *	property optional
 *	        \                                   /
 *	         `----------> boot shim <----------'
 *	   host's settings, kernel or initrd replaces the image's, whole;
 *	   host's append text comes after the image's command line
 *	                          |
 *	                          v
 *	/proc/device-tree/paravisor -> daemon
 *
 * A range property ("reg" style) is two big-endian 64-bit numbers: guest
 * physical address, bytes. Strings end with one NUL, which the property's
 * length includes. An absent thing has no property.
 *
 * The host's side of it (same names in the host's tree):
 *   vtl0-kernel, vtl0-initrd   ranges that the host filled before the start and
 *	that VTL2 alone reaches: page-aligned address, over no memory node, no
 *	MMIO and not each other. VTL2 reads them at each start of VTL0, so they
 *	stay. Anything else stops the boot in the shim with one line.
 *   vtl0-append, settings      strings.
 * A host that gives a kernel but no initrd gets no initrd: the image's belongs
 * to the image's kernel. vtl0-append may come without either.
 *
 * The daemon's side:
 * It need not care where a range came from. Either way these are pages outside
 * of what VTL2's kernel calls RAM, hidden from VTL0, never written, good for
 * every later start of VTL0, and reached by mapping those pages of
 * /dev/mshv_vtl_low (page offset = guest physical page).
 *
 * The rest of the node, always there:
 *   memory@ADDRESS  { reg = ADDRESS BYTES; microsoft,igvm-type = TYPE; } one
 *	per memory range of the host that is not VTL2's, in the host's order;
 *	VTL0's RAM is the ranges with type 0.
 *   vtl2-ram        range: VTL2's RAM, kernel and image parts together.
 *   black-box       range, if the image has one: blackbox_reg.h. Mapped as VTL0's
 *	kernel and initrd are.
 *   vtl0-mmio       ranges: the MMIO apertures of VTL0's VMBus (low and high),
 *	empty if the host names none.
 *   shim-log        string: what the shim did, line by line.
 */
#ifndef VTL0_REG_H
#define VTL0_REG_H

#include <stdint.h>

#define VTL0_NODE "paravisor" /* child of the root, in both trees */

#define VTL0_PROP_KERNEL "vtl0-kernel"
#define VTL0_PROP_INITRD "vtl0-initrd"
#define VTL0_PROP_COMMAND_LINE "vtl0-command-line" /* image only */
#define VTL0_PROP_APPEND "vtl0-append"             /* host only */
#define VTL0_PROP_SETTINGS "settings"

#define VTL0_PROP_VTL2_RAM "vtl2-ram"
#define VTL0_PROP_MMIO "vtl0-mmio"
#define VTL0_PROP_BLACK_BOX "black-box"
#define VTL0_PROP_SHIM_LOG "shim-log"

/* Bounds the shim holds every string to, bytes with the NUL. */
#define VTL0_COMMAND_LINE_SIZE 2048u
#define VTL0_SETTINGS_SIZE (64u << 10)

/* One range, as the property holds it: big-endian on the wire. */
struct vtl0_range {
	uint8_t gpa[8];
	uint8_t bytes[8];
};
_Static_assert(sizeof(struct vtl0_range) == 16, "range property");

#endif
