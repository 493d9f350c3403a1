/* SPDX-License-Identifier: MIT */
/*
 * Numbers and formats of the Hyper-V hypervisor interface, x64, from the
 * Hypervisor Top Level Functional Specification (TLFS).
 *
 * The host model (test/vmm) serves them and the daemon (paravisor) uses them.
 * Where a message of VMBus travels inside a SynIC message, its format is in
 * vmbus_reg.h, not here.
 */
#ifndef HV_REG_H
#define HV_REG_H

#include <stdint.h>

#include "le.h"

#define HV_PAGE_SHIFT 12
#define HV_PAGE_SIZE 4096u
#define HV_PAGE_MASK (~(uint64_t)(HV_PAGE_SIZE - 1))

#define HV_PARTITION_SELF UINT64_MAX
#define HV_VP_INDEX_SELF 0xfffffffeu

/* Reference time is counted in units of 100 ns. */
#define HV_REF_TIME_HZ 10000000u

/* ------------------------------------------------------------------------
 * Hypercalls (TLFS, "Hypercall Interface" and Appendix A).
 */

/* Input value (RCX). */
#define HV_CONTROL_CODE_MASK 0xffffu
#define HV_CONTROL_FAST (1ull << 16)
#define HV_CONTROL_VARHEAD_SHIFT 17
#define HV_CONTROL_VARHEAD_MASK 0x3ffu
#define HV_CONTROL_NESTED (1ull << 31)
#define HV_CONTROL_REP_COUNT_SHIFT 32
#define HV_CONTROL_REP_COUNT_MASK 0xfffu
#define HV_CONTROL_REP_START_SHIFT 48
#define HV_CONTROL_REP_START_MASK 0xfffu
/* Bits 27-30, 44-47 and 60-63 must be zero. */
#define HV_CONTROL_RESERVED ((0xfull << 27) | (0xfull << 44) | (0xfull << 60))

/* Result value (RAX). */
#define HV_RESULT_STATUS_MASK 0xffffu
#define HV_RESULT_REPS_SHIFT 32
#define HV_RESULT_REPS_MASK 0xfffu

enum hv_call {
	HV_CALL_NOTIFY_LONG_SPIN_WAIT = 0x0008,
	HV_CALL_SEND_SYNTHETIC_CLUSTER_IPI = 0x000b,
	HV_CALL_MODIFY_VTL_PROTECTION_MASK = 0x000c,
	HV_CALL_ENABLE_PARTITION_VTL = 0x000d,
	HV_CALL_ENABLE_VP_VTL = 0x000f,
	HV_CALL_VTL_CALL = 0x0011,
	HV_CALL_VTL_RETURN = 0x0012,
	HV_CALL_SEND_SYNTHETIC_CLUSTER_IPI_EX = 0x0015,
	HV_CALL_INSTALL_INTERCEPT = 0x004d,
	HV_CALL_GET_VP_REGISTERS = 0x0050,
	HV_CALL_SET_VP_REGISTERS = 0x0051,
	HV_CALL_TRANSLATE_VIRTUAL_ADDRESS = 0x0052,
	HV_CALL_POST_MESSAGE = 0x005c,
	HV_CALL_SIGNAL_EVENT = 0x005d,
	HV_CALL_RETARGET_DEVICE_INTERRUPT = 0x007e,
	HV_CALL_ASSERT_VIRTUAL_INTERRUPT = 0x0094,
	HV_CALL_START_VIRTUAL_PROCESSOR = 0x0099,
	HV_CALL_GET_VP_INDEX_FROM_APIC_ID = 0x009a,
	HV_CALL_SIGNAL_EVENT_DIRECT = 0x00c0,
	HV_CALL_POST_MESSAGE_DIRECT = 0x00c1,
};

enum hv_status {
	HV_STATUS_SUCCESS = 0x0000,
	HV_STATUS_INVALID_HYPERCALL_CODE = 0x0002,
	HV_STATUS_INVALID_HYPERCALL_INPUT = 0x0003,
	HV_STATUS_INVALID_ALIGNMENT = 0x0004,
	HV_STATUS_INVALID_PARAMETER = 0x0005,
	HV_STATUS_ACCESS_DENIED = 0x0006,
	HV_STATUS_INSUFFICIENT_MEMORY = 0x000b,
	HV_STATUS_INVALID_PARTITION_ID = 0x000d,
	HV_STATUS_INVALID_VP_INDEX = 0x000e,
	HV_STATUS_INVALID_CONNECTION_ID = 0x0012,
	HV_STATUS_INSUFFICIENT_BUFFERS = 0x0013,
	HV_STATUS_INVALID_VP_STATE = 0x0015,
	HV_STATUS_INVALID_SYNIC_STATE = 0x0018,
	HV_STATUS_OBJECT_IN_USE = 0x0019,
	HV_STATUS_INVALID_REGISTER_VALUE = 0x0050,
	HV_STATUS_TIMEOUT = 0x0078, /* ended early: to be called again */
	HV_STATUS_VTL_ALREADY_ENABLED = 0x0086,
};

/* HV_INPUT_VTL: which VTL a call means; without the flag, the caller's. */
#define HV_INPUT_VTL_MASK 0x0fu
#define HV_INPUT_VTL_USE_TARGET 0x10u
#define HV_INPUT_VTL_RESERVED 0xe0u

/* HvCallGetVpRegisters, HvCallSetVpRegisters: header, then the rep list of
 * le32 names (get) or hv_register_assoc (set). Get's output is a list of
 * hv_register_value. */
struct hv_input_vp_registers {
	le64 partition_id;
	le32 vp_index;
	uint8_t input_vtl;
	uint8_t reserved[3];
} __packed;
_Static_assert(sizeof(struct hv_input_vp_registers) == 16, "TLFS");

struct hv_register_value {
	le64 low;
	le64 high;
} __packed;
_Static_assert(sizeof(struct hv_register_value) == 16, "TLFS");

struct hv_register_assoc {
	le32 name;
	le32 reserved0;
	le64 reserved1;
	struct hv_register_value value;
} __packed;
_Static_assert(sizeof(struct hv_register_assoc) == 32, "TLFS");

/* HV_X64_SEGMENT_REGISTER. */
struct hv_segment_register {
	le64 base;
	le32 limit;
	le16 selector;
	le16 attributes;
} __packed;
_Static_assert(sizeof(struct hv_segment_register) == 16, "TLFS");

#define HV_SEGMENT_TYPE_MASK 0x000fu
#define HV_SEGMENT_S (1u << 4)
#define HV_SEGMENT_DPL_SHIFT 5
#define HV_SEGMENT_DPL_MASK 0x3u
#define HV_SEGMENT_PRESENT (1u << 7)
#define HV_SEGMENT_AVAILABLE (1u << 12)
#define HV_SEGMENT_LONG (1u << 13)
#define HV_SEGMENT_DEFAULT (1u << 14)
#define HV_SEGMENT_GRANULARITY (1u << 15)

/* HV_X64_TABLE_REGISTER. */
struct hv_table_register {
	le16 pad[3];
	le16 limit;
	le64 base;
} __packed;
_Static_assert(sizeof(struct hv_table_register) == 16, "TLFS");

/* HV_INITIAL_VP_CONTEXT of EnableVpVtl and StartVirtualProcessor. */
struct hv_initial_vp_context {
	le64 rip;
	le64 rsp;
	le64 rflags;
	struct hv_segment_register cs, ds, es, fs, gs, ss, tr, ldtr;
	struct hv_table_register idtr, gdtr;
	le64 efer;
	le64 cr0;
	le64 cr3;
	le64 cr4;
	le64 pat;
} __packed;
_Static_assert(sizeof(struct hv_initial_vp_context) == 224, "TLFS");

/* HvCallEnableVpVtl, HvCallStartVirtualProcessor. */
struct hv_input_start_vp {
	le64 partition_id;
	le32 vp_index;
	uint8_t target_vtl;
	uint8_t reserved[3];
	struct hv_initial_vp_context context;
} __packed;
_Static_assert(sizeof(struct hv_input_start_vp) == 240, "TLFS");

/* HvCallGetVpIndexFromApicId: header, then le32 APIC ids; output le32. */
struct hv_input_apic_ids {
	le64 partition_id;
	uint8_t target_vtl;
	uint8_t reserved[7];
} __packed;
_Static_assert(sizeof(struct hv_input_apic_ids) == 16, "TLFS");

/* HvCallSendSyntheticClusterIpi; fast form: RDX, R8 are the two words. */
struct hv_input_cluster_ipi {
	le32 vector;
	uint8_t target_vtl;
	uint8_t reserved[3];
	le64 processor_mask;
} __packed;
_Static_assert(sizeof(struct hv_input_cluster_ipi) == 16, "TLFS");

/* HV_VP_SET: `format` 0 names banks of 64 VPs by mask, 1 means all VPs. */
#define HV_VP_SET_SPARSE_4K 0u
#define HV_VP_SET_ALL 1u

/* HvCallPostMessage. */
#define HV_MESSAGE_PAYLOAD_SIZE 240u
struct hv_input_post_message {
	le32 connection_id;
	le32 reserved;
	le32 message_type;
	le32 payload_size;
	uint8_t payload[HV_MESSAGE_PAYLOAD_SIZE];
} __packed;
_Static_assert(sizeof(struct hv_input_post_message) == 256, "TLFS");

/* HvCallSignalEvent: one 8-byte word. */
#define HV_CONNECTION_ID_MASK 0x00ffffffu
#define HV_SIGNAL_EVENT_FLAG_SHIFT 32

/* HvCallInstallIntercept. */
struct hv_input_install_intercept {
	le64 partition_id;
	le32 access_type;
	le32 intercept_type;
	le64 parameter;
} __packed;
_Static_assert(sizeof(struct hv_input_install_intercept) == 24, "TLFS");

#define HV_ACCESS_READ 1u
#define HV_ACCESS_WRITE 2u
#define HV_ACCESS_EXECUTE 4u

enum hv_intercept_type {
	HV_INTERCEPT_IO_PORT = 0x00,
	HV_INTERCEPT_MSR = 0x01,
	HV_INTERCEPT_CPUID = 0x02,
	HV_INTERCEPT_EXCEPTION = 0x03,
	HV_INTERCEPT_UNKNOWN_SYNIC_CONNECTION = 0x0d,
	HV_INTERCEPT_APIC_EOI = 0x0e,
	HV_INTERCEPT_RETARGET_UNKNOWN_DEVICE = 0x0f,
	HV_INTERCEPT_IO_PORT_RANGE = 0x11, /* first | last << 16 */
};

/* HvCallPostMessageDirect. */
struct hv_message_header {
	le32 type;
	uint8_t payload_size;
	uint8_t flags;
	le16 reserved;
	le64 sender;
} __packed;
_Static_assert(sizeof(struct hv_message_header) == 16, "TLFS");

#define HV_MESSAGE_PENDING (1u << 0)
#define HV_MESSAGE_SIZE 256u

struct hv_message {
	struct hv_message_header header;
	uint8_t payload[HV_MESSAGE_PAYLOAD_SIZE];
} __packed;
_Static_assert(sizeof(struct hv_message) == HV_MESSAGE_SIZE, "TLFS");

struct hv_input_post_message_direct {
	le64 partition_id;
	le32 vp_index;
	uint8_t vtl;
	uint8_t reserved0[3];
	uint8_t sint;
	uint8_t reserved1[3];
	struct hv_message message;
	le32 reserved2;
} __packed;
_Static_assert(sizeof(struct hv_input_post_message_direct) == 280, "TLFS");

/* HvCallSignalEventDirect; output: u8 newly signalled, 7 bytes zero. */
struct hv_input_signal_event_direct {
	le64 partition_id;
	le32 vp_index;
	uint8_t vtl;
	uint8_t sint;
	le16 flag;
} __packed;
_Static_assert(sizeof(struct hv_input_signal_event_direct) == 16, "TLFS");

/* HvCallAssertVirtualInterrupt. */
struct hv_input_assert_interrupt {
	le64 partition_id;
	le32 type;
	le32 flags;
	le64 destination; /* APIC id, or logical destination */
	le32 vector;
	uint8_t vtl;
	uint8_t reserved0;
	le16 reserved1;
} __packed;
_Static_assert(sizeof(struct hv_input_assert_interrupt) == 32, "TLFS");

#define HV_ASSERT_LEVEL (1u << 0)
#define HV_ASSERT_LOGICAL (1u << 1)

enum hv_interrupt_type {
	HV_INTERRUPT_FIXED = 0,
	HV_INTERRUPT_LOWEST_PRIORITY = 1,
	HV_INTERRUPT_SMI = 2,
	HV_INTERRUPT_REMOTE_READ = 3,
	HV_INTERRUPT_NMI = 4,
	HV_INTERRUPT_INIT = 5,
	HV_INTERRUPT_SIPI = 6,
	HV_INTERRUPT_EXTINT = 7,
	HV_INTERRUPT_LOCAL_INT0 = 8,
	HV_INTERRUPT_LOCAL_INT1 = 9,
};

/* HvCallRetargetDeviceInterrupt; the bank masks (le64) follow. */
struct hv_input_retarget {
	le64 partition_id;
	le64 device_id;
	le32 source; /* 1: MSI */
	le32 reserved0;
	le32 address;
	le32 data;
	le64 reserved1;
	le32 vector;
	le32 flags;
	le64 set_format; /* processor mask when HV_RETARGET_VP_SET is clear */
	le64 valid_banks;
} __packed;
_Static_assert(sizeof(struct hv_input_retarget) == 64, "TLFS");

#define HV_RETARGET_SOURCE_MSI 1u
#define HV_RETARGET_MULTICAST (1u << 0)
#define HV_RETARGET_VP_SET (1u << 1)

/* HvCallModifyVtlProtectionMask; the rep list of le64 page numbers follows. */
struct hv_input_modify_protection {
	le64 partition_id;
	le32 map_flags;
	uint8_t target_vtl;
	uint8_t reserved[3];
} __packed;
_Static_assert(sizeof(struct hv_input_modify_protection) == 16, "TLFS");

/* ------------------------------------------------------------------------
 * Synthetic MSRs (TLFS, Appendix B).
 */
#define HV_MSR_FIRST 0x40000000u
#define HV_MSR_COUNT 0x200u

#define HV_MSR_GUEST_OS_ID 0x40000000u
#define HV_MSR_HYPERCALL 0x40000001u
#define HV_MSR_VP_INDEX 0x40000002u
#define HV_MSR_TIME_REF_COUNT 0x40000020u
#define HV_MSR_REFERENCE_TSC 0x40000021u
#define HV_MSR_TSC_FREQUENCY 0x40000022u
#define HV_MSR_APIC_FREQUENCY 0x40000023u
#define HV_MSR_EOI 0x40000070u
#define HV_MSR_ICR 0x40000071u
#define HV_MSR_TPR 0x40000072u
#define HV_MSR_VP_ASSIST_PAGE 0x40000073u
#define HV_MSR_SCONTROL 0x40000080u
#define HV_MSR_SVERSION 0x40000081u
#define HV_MSR_SIEFP 0x40000082u
#define HV_MSR_SIMP 0x40000083u
#define HV_MSR_EOM 0x40000084u
#define HV_MSR_SINT0 0x40000090u
#define HV_MSR_STIMER0_CONFIG 0x400000b0u
#define HV_MSR_STIMER0_COUNT 0x400000b1u
#define HV_MSR_CRASH_P0 0x40000100u
#define HV_MSR_CRASH_P4 0x40000104u
#define HV_MSR_CRASH_CTL 0x40000105u
#define HV_MSR_TSC_INVARIANT_CONTROL 0x40000118u

/* Bit 0 of HYPERCALL, REFERENCE_TSC, VP_ASSIST_PAGE, SIEFP, SIMP; the page
 * number is in bits 12 and up. */
#define HV_MSR_PAGE_ENABLE (1ull << 0)
#define HV_MSR_HYPERCALL_LOCKED (1ull << 1)
#define HV_SCONTROL_ENABLE (1ull << 0)
#define HV_SVERSION 1u

/* SINT registers. */
#define HV_SINT_COUNT 16u
#define HV_SINT_VECTOR_MASK 0xffu
#define HV_SINT_MASKED (1ull << 16)
#define HV_SINT_AUTO_EOI (1ull << 17)
#define HV_SINT_POLLING (1ull << 18)
#define HV_SINT_AS_INTERCEPT (1ull << 19)
#define HV_SINT_PROXY (1ull << 20)
#define HV_SINT_RESET HV_SINT_MASKED

/* Synthetic timer configuration. */
#define HV_STIMER_COUNT 4u
#define HV_STIMER_ENABLE (1ull << 0)
#define HV_STIMER_PERIODIC (1ull << 1)
#define HV_STIMER_LAZY (1ull << 2)
#define HV_STIMER_AUTO_ENABLE (1ull << 3)
#define HV_STIMER_VECTOR_SHIFT 4
#define HV_STIMER_VECTOR_MASK 0xffu
#define HV_STIMER_DIRECT (1ull << 12)
#define HV_STIMER_SINT_SHIFT 16
#define HV_STIMER_SINT_MASK 0xfu
#define HV_STIMER_VALID 0xf1fffull

/* CRASH_CTL. */
#define HV_CRASH_NOTIFY (1ull << 63)
#define HV_CRASH_NOTIFY_MESSAGE (1ull << 62) /* P3 = GPA, P4 = bytes */
#define HV_CRASH_PARAMETERS 5u

/* ------------------------------------------------------------------------
 * CPUID (TLFS, "Feature and Interface Discovery").
 */
#define HV_CPUID_VENDOR 0x40000000u
#define HV_CPUID_INTERFACE 0x40000001u
#define HV_CPUID_VERSION 0x40000002u
#define HV_CPUID_FEATURES 0x40000003u
#define HV_CPUID_ENLIGHTENMENTS 0x40000004u
#define HV_CPUID_LIMITS 0x40000005u
#define HV_CPUID_HARDWARE 0x40000006u
#define HV_CPUID_ISOLATION 0x4000000cu
#define HV_CPUID_STACK_VENDOR 0x40000080u
#define HV_CPUID_STACK_INTERFACE 0x40000081u
#define HV_CPUID_STACK_PROPERTIES 0x40000082u

#define HV_INTERFACE_HV1 0x31237648u /* "Hv#1" */
#define HV_INTERFACE_VS1 0x31235356u /* "VS#1" */

/* Leaf 3, EAX: partition privileges, low half. */
#define HV_FEATURE_TIME_REF_COUNT (1u << 1)
#define HV_FEATURE_SYNIC (1u << 2)
#define HV_FEATURE_STIMER (1u << 3)
#define HV_FEATURE_APIC_MSRS (1u << 4)
#define HV_FEATURE_HYPERCALL_MSRS (1u << 5)
#define HV_FEATURE_VP_INDEX (1u << 6)
#define HV_FEATURE_REFERENCE_TSC (1u << 9)
#define HV_FEATURE_FREQUENCY_MSRS (1u << 11)
#define HV_FEATURE_TSC_INVARIANT (1u << 15)
/* EBX: partition privileges, high half. */
#define HV_PRIVILEGE_CREATE_PARTITIONS (1u << 0)
#define HV_PRIVILEGE_ACCESS_PARTITION_ID (1u << 1)
#define HV_PRIVILEGE_POST_MESSAGES (1u << 4)
#define HV_PRIVILEGE_SIGNAL_EVENTS (1u << 5)
#define HV_PRIVILEGE_ACCESS_VSM (1u << 16)
#define HV_PRIVILEGE_ACCESS_VP_REGISTERS (1u << 17)
#define HV_PRIVILEGE_EXTENDED_HYPERCALLS (1u << 20)
#define HV_PRIVILEGE_START_VP (1u << 21)
#define HV_PRIVILEGE_ISOLATION (1u << 22)
/* EDX: miscellaneous features. */
#define HV_MISC_FREQUENCY_MSRS (1u << 8)
#define HV_MISC_CRASH_MSRS (1u << 10)
#define HV_MISC_DIRECT_STIMER (1u << 19)
/* Leaf 4, EAX: recommendations. */
#define HV_RECOMMEND_HYPERCALL_TLB_FLUSH (1u << 2)
#define HV_RECOMMEND_APIC_MSRS (1u << 3)
#define HV_RECOMMEND_RELAXED_TIMING (1u << 5)
#define HV_RECOMMEND_NO_AUTO_EOI (1u << 9)
#define HV_RECOMMEND_CLUSTER_IPI (1u << 10)
#define HV_RECOMMEND_EX_PROCESSOR_MASKS (1u << 11)
#define HV_NEVER_SPIN_WAIT 0xffffffffu

/* ------------------------------------------------------------------------
 * Register names (TLFS, Appendix C: HV_REGISTER_NAME).
 */
#define HV_REG_INTERNAL_ACTIVITY 0x00000004u
#define HV_REG_PENDING_INTERRUPTION 0x00010002u
#define HV_REG_INTERRUPT_STATE 0x00010003u
#define HV_REG_PENDING_EVENT0 0x00010004u
#define HV_REG_PENDING_EVENT1 0x00010005u
#define HV_REG_DELIVERABILITY 0x00010006u

#define HV_REG_RAX 0x00020000u
#define HV_REG_RCX 0x00020001u
#define HV_REG_RDX 0x00020002u
#define HV_REG_RBX 0x00020003u
#define HV_REG_RSP 0x00020004u
#define HV_REG_RBP 0x00020005u
#define HV_REG_RSI 0x00020006u
#define HV_REG_RDI 0x00020007u
#define HV_REG_R8 0x00020008u
#define HV_REG_R15 0x0002000fu
#define HV_REG_RIP 0x00020010u
#define HV_REG_RFLAGS 0x00020011u
#define HV_REG_XMM0 0x00030000u
#define HV_REG_XMM15 0x0003000fu
#define HV_REG_CR0 0x00040000u
#define HV_REG_CR2 0x00040001u
#define HV_REG_CR3 0x00040002u
#define HV_REG_CR4 0x00040003u
#define HV_REG_CR8 0x00040004u
#define HV_REG_DR0 0x00050000u
#define HV_REG_DR3 0x00050003u
#define HV_REG_DR6 0x00050006u
#define HV_REG_DR7 0x00050007u
#define HV_REG_ES 0x00060000u
#define HV_REG_CS 0x00060001u
#define HV_REG_SS 0x00060002u
#define HV_REG_DS 0x00060003u
#define HV_REG_FS 0x00060004u
#define HV_REG_GS 0x00060005u
#define HV_REG_LDTR 0x00060006u
#define HV_REG_TR 0x00060007u
#define HV_REG_IDTR 0x00070000u
#define HV_REG_GDTR 0x00070001u
#define HV_REG_TSC_AUX 0x0008007bu
#define HV_REG_TSC 0x00080000u
#define HV_REG_EFER 0x00080001u
#define HV_REG_KERNEL_GS_BASE 0x00080002u
#define HV_REG_APIC_BASE 0x00080003u
#define HV_REG_PAT 0x00080004u
#define HV_REG_SYSENTER_CS 0x00080005u
#define HV_REG_SYSENTER_EIP 0x00080006u
#define HV_REG_SYSENTER_ESP 0x00080007u
#define HV_REG_STAR 0x00080008u
#define HV_REG_LSTAR 0x00080009u
#define HV_REG_CSTAR 0x0008000au
#define HV_REG_SFMASK 0x0008000bu

#define HV_REG_HYPERCALL 0x00090001u
#define HV_REG_GUEST_OS_ID 0x00090002u
#define HV_REG_TIME_REF_COUNT 0x00090004u
#define HV_REG_VP_ASSIST_PAGE 0x00090013u
#define HV_REG_REFERENCE_TSC 0x00090017u
#define HV_REG_REGISTER_PAGE 0x0009001cu

#define HV_REG_SINT0 0x000a0000u
#define HV_REG_SINT15 0x000a000fu
#define HV_REG_SCONTROL 0x000a0010u
#define HV_REG_SVERSION 0x000a0011u
#define HV_REG_SIEFP 0x000a0012u
#define HV_REG_SIMP 0x000a0013u
#define HV_REG_EOM 0x000a0014u
#define HV_REG_STIMER0_CONFIG 0x000b0000u
#define HV_REG_STIMER3_COUNT 0x000b0007u

#define HV_REG_VSM_CODE_PAGE_OFFSETS 0x000d0002u
#define HV_REG_VSM_VP_STATUS 0x000d0003u
#define HV_REG_VSM_PARTITION_STATUS 0x000d0004u
#define HV_REG_VSM_CAPABILITIES 0x000d0006u
#define HV_REG_VSM_PARTITION_CONFIG 0x000d0007u
#define HV_REG_GUEST_VSM_PARTITION_CONFIG 0x000d0008u
#define HV_REG_VSM_VP_SECURE_CONFIG_VTL0 0x000d0010u

/* InternalActivityState. */
#define HV_ACTIVITY_STARTUP_SUSPEND (1ull << 0)
#define HV_ACTIVITY_HALT_SUSPEND (1ull << 1)

/* PendingEvent0 of an exception: low word, then the parameter in `high`. */
#define HV_EVENT_PENDING (1ull << 0)
#define HV_EVENT_TYPE_SHIFT 1
#define HV_EVENT_TYPE_MASK 0x7u
#define HV_EVENT_TYPE_EXCEPTION 0u
#define HV_EVENT_DELIVER_ERROR_CODE (1ull << 8)
#define HV_EVENT_VECTOR_SHIFT 16
#define HV_EVENT_VECTOR_MASK 0xffffu
#define HV_EVENT_ERROR_CODE_SHIFT 32

/* DeliverabilityNotifications. */
#define HV_DELIVERABILITY_NMI (1ull << 0)
#define HV_DELIVERABILITY_INTERRUPT (1ull << 1)
#define HV_DELIVERABILITY_PRIORITY_SHIFT 2
#define HV_DELIVERABILITY_SINTS_SHIFT 48

/* VsmCodePageOffsets. */
#define HV_CODE_PAGE_CALL_SHIFT 0
#define HV_CODE_PAGE_RETURN_SHIFT 12
#define HV_CODE_PAGE_OFFSET_MASK 0xfffu

/* VsmVpStatus. */
#define HV_VSM_VP_STATUS_ACTIVE_MASK 0xfu
#define HV_VSM_VP_STATUS_ENABLED_SHIFT 16

/* VsmPartitionStatus. */
#define HV_VSM_PARTITION_STATUS_MAXIMUM_VTL_SHIFT 16

/* VsmCapabilities. */
#define HV_VSM_INTERCEPT_PAGE (1ull << 27)
#define HV_VSM_RETURN_ACTION (1ull << 28)
#define HV_VSM_NOT_PRESENT (1ull << 30)
#define HV_VSM_SYSTEM_RESET (1ull << 32)

/* VsmPartitionConfig. */
#define HV_VSM_CONFIG_PROTECTION (1ull << 0)
#define HV_VSM_CONFIG_DEFAULT_MASK_SHIFT 1
#define HV_VSM_CONFIG_DEFAULT_MASK_MASK 0xfu
#define HV_VSM_CONFIG_ZERO_ON_RESET (1ull << 5)
#define HV_VSM_CONFIG_DENY_LOWER_STARTUP (1ull << 6)
#define HV_VSM_CONFIG_VP_STARTUP (1ull << 9)
#define HV_VSM_CONFIG_CPUID_UNIMPLEMENTED (1ull << 10)
#define HV_VSM_CONFIG_UNRECOVERABLE_EXCEPTION (1ull << 11)
#define HV_VSM_CONFIG_INTERCEPT_PAGE (1ull << 12)
#define HV_VSM_CONFIG_RESTORE_TIME (1ull << 13)
#define HV_VSM_CONFIG_NOT_PRESENT (1ull << 14)
#define HV_VSM_CONFIG_SYSTEM_RESET (1ull << 15)
#define HV_VSM_CONFIG_VALID 0xffffull

/* ------------------------------------------------------------------------
 * SynIC messages (TLFS, "Inter-Partition Communication" and "Intercepts").
 */
enum hv_message_type {
	HV_MESSAGE_NONE = 0x00000000,
	HV_MESSAGE_UNMAPPED_GPA = 0x80000000,
	HV_MESSAGE_GPA_INTERCEPT = 0x80000001,
	HV_MESSAGE_TIMER_EXPIRED = 0x80000010,
	HV_MESSAGE_UNRECOVERABLE_EXCEPTION = 0x80000021,
	HV_MESSAGE_HYPERCALL_INTERCEPT = 0x80000050,
	HV_MESSAGE_SINT_DELIVERABLE = 0x80000062,
	HV_MESSAGE_IO_PORT_INTERCEPT = 0x80010000,
	HV_MESSAGE_MSR_INTERCEPT = 0x80010001,
	HV_MESSAGE_CPUID_INTERCEPT = 0x80010002,
	HV_MESSAGE_EXCEPTION_INTERCEPT = 0x80010003,
	HV_MESSAGE_APIC_EOI = 0x80010004,
	HV_MESSAGE_HALT = 0x80010007,
	HV_MESSAGE_INTERRUPTION_DELIVERABLE = 0x80010008,
	HV_MESSAGE_SIPI_INTERCEPT = 0x80010009,
};

/* HV_MESSAGE_TIMER_EXPIRED. */
struct hv_timer_message {
	le32 index;
	le32 reserved;
	le64 expiration_time;
	le64 delivery_time;
} __packed;
_Static_assert(sizeof(struct hv_timer_message) == 24, "TLFS");

/* First part of every message about an instruction of a lower VTL. */
struct hv_intercept_header {
	le32 vp_index;
	uint8_t length_cr8; /* instruction length 0-3, CR8 4-7 */
	uint8_t access;
	le16 execution_state;
	struct hv_segment_register cs;
	le64 rip;
	le64 rflags;
} __packed;
_Static_assert(sizeof(struct hv_intercept_header) == 40, "TLFS");

#define HV_INTERCEPT_LENGTH_MASK 0x0fu
#define HV_INTERCEPT_CR8_SHIFT 4
#define HV_INTERCEPT_ACCESS_READ 0u
#define HV_INTERCEPT_ACCESS_WRITE 1u
#define HV_INTERCEPT_ACCESS_EXECUTE 2u

#define HV_EXECUTION_CPL_MASK 0x3u
#define HV_EXECUTION_CR0_PE (1u << 2)
#define HV_EXECUTION_CR0_AM (1u << 3)
#define HV_EXECUTION_EFER_LMA (1u << 4)
#define HV_EXECUTION_DEBUG_ACTIVE (1u << 5)
#define HV_EXECUTION_INTERRUPTION_PENDING (1u << 6)
#define HV_EXECUTION_VTL_SHIFT 7
#define HV_EXECUTION_INTERRUPT_SHADOW (1u << 12)

#define HV_INTERCEPT_BYTES 16u

struct hv_io_port_message {
	struct hv_intercept_header header;
	le16 port;
	uint8_t access_info;
	uint8_t instruction_byte_count;
	le32 reserved;
	le64 rax;
	uint8_t instruction_bytes[HV_INTERCEPT_BYTES];
	struct hv_segment_register ds, es;
	le64 rcx, rsi, rdi;
} __packed;
_Static_assert(sizeof(struct hv_io_port_message) == 128, "TLFS");

#define HV_IO_ACCESS_SIZE_MASK 0x7u
#define HV_IO_ACCESS_STRING (1u << 3)
#define HV_IO_ACCESS_REP (1u << 4)

struct hv_memory_message {
	struct hv_intercept_header header;
	le32 cache_type;
	uint8_t instruction_byte_count;
	uint8_t access_info;
	uint8_t tpr_priority;
	uint8_t reserved;
	le64 gva;
	le64 gpa;
	uint8_t instruction_bytes[HV_INTERCEPT_BYTES];
} __packed;
_Static_assert(sizeof(struct hv_memory_message) == 80, "TLFS");

#define HV_MEMORY_GVA_VALID (1u << 0)
#define HV_MEMORY_GVA_GPA_VALID (1u << 1)

struct hv_hypercall_message {
	struct hv_intercept_header header;
	le64 rax, rbx, rcx, rdx, r8, rsi, rdi;
	struct hv_register_value xmm[6];
	le32 flags;
	uint8_t reserved[12];
} __packed;
_Static_assert(sizeof(struct hv_hypercall_message) == 208, "TLFS");

struct hv_msr_message {
	struct hv_intercept_header header;
	le32 msr;
	le32 reserved;
	le64 rdx, rax;
} __packed;
_Static_assert(sizeof(struct hv_msr_message) == 64, "TLFS");

struct hv_cpuid_message {
	struct hv_intercept_header header;
	le64 rax, rcx, rdx, rbx;
	le64 default_rax, default_rcx, default_rdx, default_rbx;
} __packed;
_Static_assert(sizeof(struct hv_cpuid_message) == 104, "TLFS");

struct hv_sint_deliverable_message {
	struct hv_intercept_header header;
	le16 deliverable_sints;
	le16 reserved0;
	le32 reserved1;
} __packed;
_Static_assert(sizeof(struct hv_sint_deliverable_message) == 48, "TLFS");

struct hv_deliverable_message {
	struct hv_intercept_header header;
	uint8_t type; /* 0 interrupt, 2 NMI */
	uint8_t reserved0[3];
	le32 reserved1;
} __packed;
_Static_assert(sizeof(struct hv_deliverable_message) == 48, "TLFS");

/* Has no hv_intercept_header. */
struct hv_apic_eoi_message {
	le32 vp_index;
	le32 vector;
} __packed;
_Static_assert(sizeof(struct hv_apic_eoi_message) == 8, "TLFS");

/* ------------------------------------------------------------------------
 * Pages shared with a VP.
 */

/* Event flags of one SINT: 2048 bits. */
#define HV_EVENT_FLAGS_PER_SINT 2048u
#define HV_EVENT_FLAGS_BYTES 256u

/* Reference TSC page (TLFS, "Partition Reference TSC"). */
struct hv_reference_tsc_page {
	le32 sequence; /* 0: use the MSR */
	le32 reserved;
	le64 scale;
	le64 offset;
} __packed;
_Static_assert(sizeof(struct hv_reference_tsc_page) == 24, "TLFS");

/* VP assist page (TLFS, "Virtual Processor Assist Page" and "VTL Control"). */
struct hv_vp_assist_page {
	le32 apic_assist;
	le32 reserved0;
	le32 entry_reason;
	le32 reserved1;
	le64 return_rax;
	le64 return_rcx;
	uint8_t reserved2[80];
	struct hv_message intercept_message;
	uint8_t return_actions[256];
} __packed;
_Static_assert(__builtin_offsetof(struct hv_vp_assist_page,
				  intercept_message) == 112, "TLFS");
_Static_assert(sizeof(struct hv_vp_assist_page) == 624, "TLFS");

#define HV_APIC_ASSIST_NO_EOI (1u << 0)
#define HV_ENTRY_REASON_VTL_CALL 1u
#define HV_ENTRY_REASON_INTERRUPT 2u
#define HV_ENTRY_REASON_INTERCEPT 3u

/* One entry of return_actions; the list ends at type 0. */
struct hv_return_action {
	le64 type;
	le32 vp_index;
	uint8_t vtl;
	uint8_t sint;
	le16 flag;
} __packed;
_Static_assert(sizeof(struct hv_return_action) == 16, "TLFS");

#define HV_RETURN_ACTION_SIGNAL_EVENT 1u

/* HV_VP_REGISTER_PAGE; general registers in the order of HV_REG_RAX... */
struct hv_register_page {
	le16 version;
	uint8_t is_valid;
	uint8_t vtl;
	le32 dirty;
	le64 gp[16];
	le64 rip;
	le64 rflags;
	le64 reserved0;
	struct hv_register_value xmm[6];
	struct hv_segment_register segments[6]; /* es cs ss ds fs gs */
	le64 cr0, cr3, cr4, cr8, efer, dr7;
	struct hv_register_value pending_interruption;
	le64 interrupt_state;
	le64 instruction_emulation_hints;
} __packed;
_Static_assert(__builtin_offsetof(struct hv_register_page, rip) == 136,
	       "TLFS");

#define HV_REGISTER_PAGE_VERSION 1u
#define HV_REGISTER_PAGE_DIRTY_GP (1u << 0)
#define HV_REGISTER_PAGE_DIRTY_RIP (1u << 1)
#define HV_REGISTER_PAGE_DIRTY_XMM (1u << 2)
#define HV_REGISTER_PAGE_DIRTY_SEGMENTS (1u << 3)
#define HV_REGISTER_PAGE_DIRTY_RFLAGS (1u << 4)

#endif
