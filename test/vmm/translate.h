/* SPDX-License-Identifier: MIT */
/* A VTL's page tables, walked as its CPU would (Intel SDM volume 3, "Paging"). */
#ifndef VMM_TRANSLATE_H
#define VMM_TRANSLATE_H

#include <stdint.h>

#include "hv_translate_reg.h"
#include "machine.h"

struct vp;

/*
 * Where `gva` of `vtl` is for the access that `flags` (HV_TRANSLATE_*) names,
 * at the privilege the VP is in. *gpa is set for HV_TRANSLATE_SUCCESS and the
 * results that say what is wrong with that address. The VP's thread.
 */
enum hv_translate_result translate_gva(struct vp *vp, enum vtl vtl,
				       uint64_t gva, uint64_t flags,
				       uint64_t *gpa);

/* Where the tables of VTL0 have the byte, whatever the rights; -EFAULT if they
 * do not have it. (KVM_TRANSLATE fails for user pages under SMAP.) */
int translate_mapped(struct vp *vp, uint64_t gva, uint64_t *gpa);

#endif
