/* SPDX-License-Identifier: MIT */
/* Intercepts: what VTL0 did that VTL2 answers (TLFS, "Intercepts"). */
#ifndef INTERCEPT_H
#define INTERCEPT_H

struct vp;

/* Answers the intercept in the run page. The VP's thread. */
void intercept_dispatch(struct vp *vp);

#endif
