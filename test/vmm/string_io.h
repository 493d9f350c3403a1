/* SPDX-License-Identifier: MIT */
/* INS and OUTS of VTL0, of which KVM does a part before it exits. The VP's
 * thread, at a KVM_EXIT_IO. */
#ifndef VMM_STRING_IO_H
#define VMM_STRING_IO_H

#include <stdbool.h>

struct vp;

/* Takes VTL0's registers back to before the item of an OUTS which KVM has
 * delivered. False: there is no OUTS, nothing changed. */
bool string_io_undo_outs(struct vp *vp);

/* Gives KVM for the INS at RIP the data that the guest's memory already holds:
 * so finishing the instruction changes nothing. */
void string_io_keep_memory(struct vp *vp);

#endif
