/* SPDX-License-Identifier: MIT */
/*
 * Where things are in a VTL's memory; for C and assembly.
 *
 * Offsets are from the VTL's base. Each VP has an area of its own in each VTL,
 * with its stack at the end: RSP rounded down is the area.
 */
#ifndef STRESS_LAYOUT_H
#define STRESS_LAYOUT_H

#define VTL0_BASE 0x0
#define VTL2_BASE 0x70000000
#define VTL_SIZE 0x1000000

#define PML4 0x1000
#define PDPT 0x2000
#define PAGE_DIRECTORIES 0x3000 /* 4: the first 4 GiB, 1:1 */
#define GDT 0x7000
#define IDT 0x8000
#define HYPERCALL_PAGE 0x9000   /* VTL2's */
#define READY 0xa000            /* the hypercall page is there */
#define CODE 0x10000
#define AREAS 0x100000

/* An area: a page of counters, then pages of this VP in VTL2. */
#define AREA_SIZE 0x4000
#define AREA_TAKEN 0x00         /* u64[VECTORS] */
#define AREA_FAULT 0x20         /* u64: vector + 1 of an exception */
#define AREA_RUNS 0x28          /* u64: 1 once it takes interrupts */
#define AREA_INTERCEPTS 0x30    /* u64 */
#define AREA_MAY_HALT 0x38      /* u64: the host sends until it is 0 */
#define AREA_DAMAGED 0x40       /* u64: registers not as they were left */
#define AREA_FRAME 0x80         /* u64[8]: the stack of the exception, CR2 */
#define AREA_INPUT 0x800        /* of a hypercall */
#define AREA_ASSIST 0x1000
#define AREA_REGISTERS 0x2000
#define AREA_STACK 0x3ff0

#define SELECTOR_CODE 0x10
#define SELECTOR_DATA 0x18
#define SELECTOR_TSS 0x20

/* Vectors, of three priorities; VTL0 uses the first. */
#define VECTORS 3
#define VECTOR(n) (0x50 + 0x40 * (n))

/* VTL0 writes here and VTL2 completes it. */
#define INTERCEPT_PORT 0x99

#endif
