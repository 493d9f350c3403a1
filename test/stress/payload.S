/* SPDX-License-Identifier: MIT */
/*
 * The two kernels of the stress test, copied to CODE of each VTL.
 *
 * Both count each interrupt in their VP's area. VTL0 runs, halts, and makes
 * port accesses that VTL2 has to complete; VTL2 completes them, and now and
 * then runs or halts for a while before it returns to VTL0. All general
 * registers but RSP are shared by the VTLs: VTL2 keeps what it finds.
 */
#include "layout.h"

#define GUEST_OS_ID 0x40000000
#define HYPERCALL 0x40000001
#define EOI 0x40000070
#define VP_ASSIST_PAGE 0x40000073
#define SET_VP_REGISTERS 0x51
#define REGISTER_PAGE 0x9001c
#define RETURN_OFFSET 0x40

/* VP assist page, intercept message and register page. */
#define ENTRY_REASON 8
#define RETURN_RAX 16
#define RETURN_RCX 24
#define MESSAGE_LENGTH (112 + 16 + 4)
#define MESSAGE_RIP (112 + 16 + 24)
#define MESSAGE_PORT (112 + 16 + 40)
#define REASON_INTERCEPT 3
#define PAGE_DIRTY 4
#define PAGE_RIP 136
#define DIRTY_RIP 2

#define APIC_BASE 0x1b
#define X2APIC_ENABLED 0xc00
#define X2APIC_EOI 0x80b
#define X2APIC_SVR 0x80f
#define APIC_SVR 0xfee000f0
#define SVR_ENABLED 0x1ff

#define LEFT_BY_VTL0 0x5ca1ab1e

	.section .rodata
	.balign	64
	.globl	payload
payload:

	/* ---- interrupts, both VTLs ---- */

	.macro	count_interrupt n
	push	%rax
	push	%rcx
	push	%rdx
	mov	%rsp, %rdx
	and	$-AREA_SIZE, %rdx
	incq	AREA_TAKEN + 8 * \n(%rdx)
	.endm

	.macro	leave_interrupt
	pop	%rdx
	pop	%rcx
	pop	%rax
	iretq
	.endm

	/* VTL2: the end is written only if the assist page does not say that
	 * it need not be. */
	.macro	vtl2_interrupt n, nested
	count_interrupt \n
	.if	\nested
	sti
	nop
	cli
	.endif
	lock btrl $0, AREA_ASSIST(%rdx)
	jc	1f
	xor	%eax, %eax
	xor	%edx, %edx
	mov	$EOI, %ecx
	wrmsr
1:	leave_interrupt
	.endm

vtl2_interrupt_0:
	vtl2_interrupt 0, 1
vtl2_interrupt_1:
	vtl2_interrupt 1, 1
vtl2_interrupt_2:
	vtl2_interrupt 2, 0

vtl0_interrupt:
	count_interrupt 0
	xor	%eax, %eax
	xor	%edx, %edx
	mov	$X2APIC_EOI, %ecx
	wrmsr
	leave_interrupt

	/* ---- exceptions: none is expected ---- */

	.balign	16
exceptions:
	.set	vector, 0
	.rept	32
	.balign	16
	push	$vector + 1
	jmp	exception
	.set	vector, vector + 1
	.endr
exception:
	cld
	mov	%rsp, %rbx
	and	$-AREA_SIZE, %rbx
	mov	%rsp, %rsi
	lea	AREA_FRAME(%rbx), %rdi
	mov	$7, %ecx
	rep movsq
	mov	%cr2, %rax
	mov	%rax, (%rdi)
	mov	(%rsp), %rax
	mov	%rax, AREA_FAULT(%rbx)
1:	hlt
	jmp	1b

	/* ---- VTL2 ---- */

vtl2_start:
	mov	%rsp, %rbx
	and	$-AREA_SIZE, %rbx
	xor	%edx, %edx
	cmp	$VTL2_BASE + AREAS, %ebx
	jne	1f
	/* VP 0: once for all. */
	mov	$GUEST_OS_ID, %ecx
	mov	$1, %eax
	wrmsr
	mov	$HYPERCALL, %ecx
	mov	$VTL2_BASE + HYPERCALL_PAGE + 1, %eax
	wrmsr
	movl	$1, VTL2_BASE + READY
1:	pause
	cmpl	$1, VTL2_BASE + READY
	jne	1b

	mov	$VP_ASSIST_PAGE, %ecx
	lea	AREA_ASSIST + 1(%rbx), %eax
	wrmsr
	movl	$SVR_ENABLED, %eax
	mov	$APIC_SVR, %ecx
	mov	%eax, (%rcx)

	/* HvCallSetVpRegisters: self, our VTL, one register. */
	lea	AREA_INPUT(%rbx), %rdx
	movq	$-1, (%rdx)
	movl	$-2, 8(%rdx)
	movl	$REGISTER_PAGE, 16(%rdx)
	lea	AREA_REGISTERS + 1(%rbx), %rax
	mov	%rax, 32(%rdx)
	mov	$1, %ecx
	shl	$32, %rcx
	or	$SET_VP_REGISTERS, %rcx
	xor	%r8d, %r8d
	mov	$VTL2_BASE + HYPERCALL_PAGE, %eax
	call	*%rax
	test	%ax, %ax
	jz	1f
	ud2
1:	movq	$1, AREA_RUNS(%rbx)
	sti

return_to_vtl0:
	xor	%ecx, %ecx
	mov	$VTL2_BASE + HYPERCALL_PAGE + RETURN_OFFSET, %eax
	call	*%rax

	/* VTL0 was left, and its registers are in ours. */
	push	%rbx
	push	%rdx
	mov	%rsp, %rbx
	and	$-AREA_SIZE, %rbx
	mov	%rax, AREA_ASSIST + RETURN_RAX(%rbx)
	mov	%rcx, AREA_ASSIST + RETURN_RCX(%rbx)
	cmpl	$REASON_INTERCEPT, AREA_ASSIST + ENTRY_REASON(%rbx)
	jne	1f
	cmpw	$INTERCEPT_PORT, AREA_ASSIST + MESSAGE_PORT(%rbx)
	je	2f
	ud2
2:	mov	AREA_ASSIST + MESSAGE_RIP(%rbx), %rax
	movzbl	AREA_ASSIST + MESSAGE_LENGTH(%rbx), %ecx
	and	$15, %ecx
	add	%rcx, %rax
	mov	%rax, AREA_REGISTERS + PAGE_RIP(%rbx)
	orl	$DIRTY_RIP, AREA_REGISTERS + PAGE_DIRTY(%rbx)
	incq	AREA_INTERCEPTS(%rbx)

	/* Of sixteen intercepts one runs on with interrupts, one without, and
	 * one halts. */
	mov	AREA_INTERCEPTS(%rbx), %eax
	and	$15, %eax
	mov	$10000, %ecx
	cmp	$3, %eax
	je	5f
	cmp	$7, %eax
	je	4f
	cmp	$11, %eax
	jne	1f
	cli
	cmpq	$0, AREA_MAY_HALT(%rbx)
	je	3f
	sti
	hlt
3:	sti
	jmp	1f
4:	cli
5:	dec	%ecx
	jnz	5b
	sti
1:	pop	%rdx
	pop	%rbx
	jmp	return_to_vtl0

	/* ---- VTL0 ---- */

vtl0_start:
	mov	%rsp, %rbx
	and	$-AREA_SIZE, %rbx
	mov	$APIC_BASE, %ecx
	rdmsr
	or	$X2APIC_ENABLED, %eax
	wrmsr
	mov	$X2APIC_SVR, %ecx
	mov	$SVR_ENABLED, %eax
	xor	%edx, %edx
	wrmsr
	movq	$1, AREA_RUNS(%rbx)
	mov	$LEFT_BY_VTL0, %r12d
	movq	%r12, %xmm0
	sti
1:	mov	$3000, %ecx
2:	dec	%ecx
	jnz	2b
	mov	$LEFT_BY_VTL0, %eax
	mov	%eax, %ecx
	mov	%eax, %edx
	out	%al, $INTERCEPT_PORT
	movq	%xmm0, %rsi
	cmp	%r12, %rax
	jne	3f
	cmp	%r12, %rcx
	jne	3f
	cmp	%r12, %rdx
	jne	3f
	cmp	%r12, %rsi
	je	4f
3:	incq	AREA_DAMAGED(%rbx)
4:	incq	AREA_INTERCEPTS(%rbx)
	testb	$7, AREA_INTERCEPTS(%rbx)
	jnz	1b
	hlt
	jmp	1b

payload_end:

	/* struct payload_layout of stress.c: what is where in it. */
	.balign	4
	.globl	payload_layout
payload_layout:
	.long	payload_end - payload
	.long	exceptions - payload
	.long	vtl0_start - payload
	.long	vtl2_start - payload
	.long	vtl0_interrupt - payload
	.long	vtl2_interrupt_0 - payload
	.long	vtl2_interrupt_1 - payload
	.long	vtl2_interrupt_2 - payload

	.section .note.GNU-stack, "", @progbits
