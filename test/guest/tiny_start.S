/* SPDX-License-Identifier: MIT */
/*
 * The ends of the tiny guest that C cannot be: the header of a bzImage (Linux
 * Documentation/arch/x86/boot.rst), the entry, the way of an AP from real mode
 * to C, and the entries of interrupts.
 *
 * A VP's stack is the 16 KiB that begin with its struct tiny_vp, so that the
 * structure is found from the stack pointer.
 */
#define STACK_SIZE 16384
#define SELECTOR_CODE 0x10
#define SELECTOR_DATA 0x18
#define LOADED_HIGH 1
#define KERNEL_64 1

	.section .setup, "a"
setup:
	.org 0x1f1
	.byte 1				/* setup_sects */
	.word 0				/* root_flags */
	.long tiny_paragraphs		/* syssize */
	.word 0, 0, 0			/* ram_size, vid_mode, root_dev */
	.word 0xaa55
	.byte 0xeb, header_end - setup - 0x202
	.ascii "HdrS"
	.word 0x20f			/* version */
	.long 0				/* realmode_swtch */
	.word 0, 0			/* start_sys_seg, kernel_version */
	.byte 0, LOADED_HIGH		/* type_of_loader, loadflags */
	.word 0				/* setup_move_size */
	.long 0x1000000			/* code32_start */
	.long 0, 0, 0			/* ramdisk, bootsect_kludge */
	.word 0				/* heap_end_ptr */
	.byte 0, 0			/* ext_loader */
	.long 0				/* cmd_line_ptr */
	.long 0x7fffffff		/* initrd_addr_max */
	.long 0x200000			/* kernel_alignment */
	.byte 0, 21			/* relocatable_kernel, min_alignment */
	.word KERNEL_64			/* xloadflags */
	.long 2047			/* cmdline_size */
	.long 0				/* hardware_subarch */
	.quad 0				/* hardware_subarch_data */
	.long 0, 0			/* payload */
	.quad 0				/* setup_data */
	.quad 0x1000000			/* pref_address */
	.long tiny_size			/* init_size */
	.long 0, 0			/* handover, kernel_info */
header_end:

	.section .text.start, "ax"
	.code64
	ud2				/* the 32-bit entry */
	.org 0x200
	.globl tiny_start
tiny_start:
	cld
	rdtsc				/* how soon we are up counts from here */
	shl $32, %rdx
	lea (%rax,%rdx), %rbp
	mov %rsi, %rbx
	mov $tiny_bss, %rdi
	mov $tiny_end, %rcx
	sub %rdi, %rcx
	shr $3, %rcx
	xor %eax, %eax
	rep stosq
	mov $tiny_vps + STACK_SIZE, %rsp
	mov $tiny_main, %rax
	mov %rbx, %rdi
	mov %rbp, %rsi
enter:	/* C at RAX, in our own segments. */
	lgdt gdt_pointer(%rip)
	mov $SELECTOR_DATA, %ecx
	mov %ecx, %ds
	mov %ecx, %es
	mov %ecx, %ss
	xor %ecx, %ecx
	mov %ecx, %fs
	mov %ecx, %gs
	push $SELECTOR_CODE
	push $1f
	lretq
1:	call *%rax
2:	cli
	hlt
	jmp 2b

	.section .rodata
	.balign 16
gdt:	.quad 0, 0
	.quad 0x00af9b000000ffff	/* 64-bit code */
	.quad 0x00cf93000000ffff	/* data */
gdt_pointer:
	.word . - gdt - 1
	.quad gdt

	.globl tiny_trampoline_layout
	.balign 8
tiny_trampoline_layout:
	.quad trampoline_end - tiny_trampoline
	.quad trampoline_stack - tiny_trampoline
	.quad trampoline_cr3 - tiny_trampoline

/* ------------------------------------------------------------------------
 * Copied to a page below 1 MiB; an AP enters it with CS:IP = page:0.
 */
	.globl tiny_trampoline
	.code16
tiny_trampoline:
	cli
	mov %cs, %ax
	mov %ax, %ds
	/* EBX: where this code is. */
	movzx %ax, %ebx
	shl $4, %ebx
	lea trampoline_gdt - tiny_trampoline(%ebx), %eax
	mov %eax, trampoline_gdt_pointer + 2 - tiny_trampoline
	lgdtl trampoline_gdt_pointer - tiny_trampoline
	lea trampoline_64 - tiny_trampoline(%ebx), %eax
	mov %eax, trampoline_jump - tiny_trampoline
	mov $0x20, %eax			/* PAE */
	mov %eax, %cr4
	mov trampoline_cr3 - tiny_trampoline, %eax
	mov %eax, %cr3
	mov $0xc0000080, %ecx		/* EFER: SCE, LME, NXE */
	mov $0x901, %eax
	xor %edx, %edx
	wrmsr
	mov $0x80000031, %eax		/* CR0: PG, NE, ET, PE */
	mov %eax, %cr0
	ljmpl *(trampoline_jump - tiny_trampoline)
	.code64
trampoline_64:
	mov $SELECTOR_DATA, %ecx
	mov %ecx, %ss
	mov trampoline_stack(%rip), %rsp
	mov $tiny_ap_main, %rax
	mov $enter, %rcx
	jmp *%rcx
	.balign 8
trampoline_gdt:
	.quad 0, 0
	.quad 0x00af9b000000ffff
	.quad 0x00cf93000000ffff
trampoline_gdt_pointer:
	.word . - trampoline_gdt - 1
	.long 0
trampoline_jump:
	.long 0
	.word SELECTOR_CODE
	.balign 8
trampoline_stack:
	.quad 0
trampoline_cr3:
	.quad 0
trampoline_end:

/* ------------------------------------------------------------------------
 * Interrupts: 256 entries of 16 bytes, which make all frames alike.
 */
	.text
	.globl tiny_vectors
	.balign 16
tiny_vectors:
	.set vector, 0
	.rept 256
	.balign 16
	.if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || \
	      vector == 21 || vector == 29 || vector == 30)
	push $0
	.endif
	push $vector
	jmp interrupt
	.set vector, vector + 1
	.endr

interrupt:
	push %rax
	push %rcx
	push %rdx
	push %rbx
	push %rbp
	push %rsi
	push %rdi
	push %r8
	push %r9
	push %r10
	push %r11
	push %r12
	push %r13
	push %r14
	push %r15
	cld
	mov %rsp, %rdi
	call tiny_interrupt
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %r11
	pop %r10
	pop %r9
	pop %r8
	pop %rdi
	pop %rsi
	pop %rbp
	pop %rbx
	pop %rdx
	pop %rcx
	pop %rax
	add $16, %rsp
	iretq

	.section .note.GNU-stack, "", @progbits
