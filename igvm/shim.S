/* SPDX-License-Identifier: MIT */
/*
 * Entry of the boot shim, in the state that VP_CONTEXT sets: long mode, flat
 * segments, page tables over VTL2's RAM, a stack, an empty IDT, RSI = info.
 * And its end: Linux's 64-bit entry, RSI = boot_params.
 */
	.section .text.start, "ax", @progbits
	.globl	shim_start
	.type	shim_start, @function
shim_start:
	cld
	movq	%rsi, %rdi
	xorl	%ebp, %ebp
	call	shim_main
	ud2
	.size	shim_start, . - shim_start

	.text
	.globl	shim_enter
	.type	shim_enter, @function
shim_enter:
	cli
	xorl	%ebp, %ebp
	xorl	%ebx, %ebx
	jmp	*%rdi
	.size	shim_enter, . - shim_enter

	.section .note.GNU-stack, "", @progbits
