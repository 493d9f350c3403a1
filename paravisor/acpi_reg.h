/* SPDX-License-Identifier: MIT */
/*
 * ACPI tables: the fixed parts (ACPI specification 6.4, chapter 5.2) and the
 * bytes of AML (chapter 20) and of resource descriptors (chapter 6.4) that
 * acpi.c writes.
 */
#ifndef ACPI_REG_H
#define ACPI_REG_H

#include <stdint.h>

#include <le.h>

/* 5.2.5.3 */
struct acpi_rsdp {
	char signature[8]; /* "RSD PTR " */
	uint8_t checksum;  /* of the first 20 bytes */
	char oem_id[6];
	uint8_t revision; /* 2 */
	le32 rsdt_address;
	le32 length;
	le64 xsdt_address;
	uint8_t extended_checksum; /* of all */
	uint8_t reserved[3];
} __packed;
_Static_assert(sizeof(struct acpi_rsdp) == 36, "RSDP");
#define ACPI_RSDP_FIRST_PART 20u

/* 5.2.6 */
struct acpi_header {
	char signature[4];
	le32 length;
	uint8_t revision;
	uint8_t checksum; /* makes the sum of all bytes 0 */
	char oem_id[6];
	char oem_table_id[8];
	le32 oem_revision;
	char creator_id[4];
	le32 creator_revision;
} __packed;
_Static_assert(sizeof(struct acpi_header) == 36, "table header");

/* 5.2.3.2: Generic Address Structure */
struct acpi_gas {
	uint8_t space; /* 1 = system I/O */
	uint8_t bit_width;
	uint8_t bit_offset;
	uint8_t access_size; /* 1 byte, 2 word, 3 dword */
	le64 address;
} __packed;
_Static_assert(sizeof(struct acpi_gas) == 12, "GAS");
#define ACPI_SPACE_IO 1u

/* 5.2.9, revision 6 */
struct acpi_fadt {
	struct acpi_header header;
	le32 firmware_ctrl;
	le32 dsdt;
	uint8_t reserved0;
	uint8_t preferred_pm_profile;
	le16 sci_int;
	le32 smi_cmd;
	uint8_t acpi_enable, acpi_disable, s4bios_req, pstate_cnt;
	le32 pm1a_evt_blk, pm1b_evt_blk, pm1a_cnt_blk, pm1b_cnt_blk;
	le32 pm2_cnt_blk, pm_tmr_blk, gpe0_blk, gpe1_blk;
	uint8_t pm1_evt_len, pm1_cnt_len, pm2_cnt_len, pm_tmr_len;
	uint8_t gpe0_blk_len, gpe1_blk_len, gpe1_base, cst_cnt;
	le16 p_lvl2_lat, p_lvl3_lat;
	le16 flush_size, flush_stride;
	uint8_t duty_offset, duty_width;
	uint8_t day_alrm, mon_alrm, century;
	le16 iapc_boot_arch;
	uint8_t reserved1;
	le32 flags;
	struct acpi_gas reset_reg;
	uint8_t reset_value;
	le16 arm_boot_arch;
	uint8_t minor_version;
	le64 x_firmware_ctrl;
	le64 x_dsdt;
	struct acpi_gas x_pm1a_evt_blk, x_pm1b_evt_blk;
	struct acpi_gas x_pm1a_cnt_blk, x_pm1b_cnt_blk;
	struct acpi_gas x_pm2_cnt_blk, x_pm_tmr_blk;
	struct acpi_gas x_gpe0_blk, x_gpe1_blk;
	struct acpi_gas sleep_control, sleep_status;
	le64 hypervisor_vendor;
} __packed;
_Static_assert(sizeof(struct acpi_fadt) == 276, "FADT");
_Static_assert(__builtin_offsetof(struct acpi_fadt, flags) == 112, "FADT");
_Static_assert(__builtin_offsetof(struct acpi_fadt, x_pm1a_evt_blk) == 148,
	       "FADT");

#define FADT_WBINVD (1u << 0)
#define FADT_PROC_C1 (1u << 2)
#define FADT_PWR_BUTTON (1u << 4)  /* set: not a fixed register */
#define FADT_SLP_BUTTON (1u << 5)  /* the same */
#define FADT_FIX_RTC (1u << 6)	   /* no RTC wake status here */
#define FADT_TMR_VAL_EXT (1u << 8) /* 32 timer bits */
#define FADT_RESET_REG_SUP (1u << 10)
#define FADT_BOOT_NO_VGA (1u << 2)
/* Latencies above these say that there is no C2 and no C3. */
#define FADT_NO_C2 101u
#define FADT_NO_C3 1001u

/* 5.2.10 */
struct acpi_facs {
	char signature[4];
	le32 length;
	le32 hardware_signature;
	le32 waking_vector;
	le32 global_lock;
	le32 flags;
	le64 x_waking_vector;
	uint8_t version; /* 2 */
	uint8_t reserved0[3];
	le32 ospm_flags;
	uint8_t reserved1[24];
} __packed;
_Static_assert(sizeof(struct acpi_facs) == 64, "FACS");

/* 5.2.12 */
struct acpi_madt {
	struct acpi_header header;
	le32 local_apic_address;
	le32 flags; /* bit 0: there are 8259s */
} __packed;
_Static_assert(sizeof(struct acpi_madt) == 44, "MADT");

struct acpi_madt_local_apic {
	uint8_t type; /* 0 */
	uint8_t length;
	uint8_t processor_uid;
	uint8_t apic_id;
	le32 flags;
} __packed;
_Static_assert(sizeof(struct acpi_madt_local_apic) == 8, "MADT local APIC");

struct acpi_madt_io_apic {
	uint8_t type; /* 1 */
	uint8_t length;
	uint8_t id;
	uint8_t reserved;
	le32 address;
	le32 gsi_base;
} __packed;
_Static_assert(sizeof(struct acpi_madt_io_apic) == 12, "MADT I/O APIC");

struct acpi_madt_override {
	uint8_t type; /* 2 */
	uint8_t length;
	uint8_t bus; /* 0 = ISA */
	uint8_t source;
	le32 gsi;
	le16 flags;
} __packed;
_Static_assert(sizeof(struct acpi_madt_override) == 10, "MADT override");

struct acpi_madt_local_nmi {
	uint8_t type; /* 4 */
	uint8_t length;
	uint8_t processor_uid; /* 0xff = all */
	le16 flags;
	uint8_t lint;
} __packed;
_Static_assert(sizeof(struct acpi_madt_local_nmi) == 6, "MADT local NMI");

struct acpi_madt_local_x2apic {
	uint8_t type; /* 9 */
	uint8_t length;
	le16 reserved;
	le32 apic_id;
	le32 flags;
	le32 processor_uid;
} __packed;
_Static_assert(sizeof(struct acpi_madt_local_x2apic) == 16,
	       "MADT local x2APIC");

#define MADT_LOCAL_APIC 0u
#define MADT_IO_APIC 1u
#define MADT_OVERRIDE 2u
#define MADT_LOCAL_NMI 4u
#define MADT_LOCAL_X2APIC 9u
#define MADT_ENABLED (1u << 0)
#define MADT_ACTIVE_HIGH (1u << 0)
#define MADT_LEVEL (3u << 2)
#define MADT_FIRST_X2APIC 255u

/* 20.3: AML byte stream */
#define AML_ZERO 0x00u
#define AML_ONE 0x01u
#define AML_NAME 0x08u
#define AML_BYTE 0x0au
#define AML_WORD 0x0bu
#define AML_DWORD 0x0cu
#define AML_STRING 0x0du
#define AML_QWORD 0x0eu
#define AML_SCOPE 0x10u
#define AML_BUFFER 0x11u
#define AML_PACKAGE 0x12u
#define AML_EXT 0x5bu
#define AML_EXT_DEVICE 0x82u
/* Package length of two bytes: 4 low bits with this, then 8 high bits. */
#define AML_LENGTH_2 0x40u
#define AML_LENGTH_2_MAX 0xfffu

/* 6.4: resource descriptors */
#define ACPI_RESOURCE_IRQ_FLAGS 0x23u
#define ACPI_RESOURCE_IO 0x47u
#define ACPI_RESOURCE_END 0x79u
#define ACPI_RESOURCE_QWORD 0x8au
#define ACPI_IRQ_EDGE (1u << 0) /* active high, exclusive */
#define ACPI_IO_DECODE_16 1u
#define ACPI_ADDRESS_FIXED 0x0cu /* minimum and maximum */
#define ACPI_ADDRESS_MEMORY 0u
#define ACPI_MEMORY_WRITABLE 1u

struct acpi_resource_io {
	uint8_t tag;
	uint8_t decode;
	le16 minimum, maximum;
	uint8_t alignment;
	uint8_t length;
} __packed;
_Static_assert(sizeof(struct acpi_resource_io) == 8, "I/O port descriptor");

struct acpi_resource_irq {
	uint8_t tag;
	le16 mask;
	uint8_t flags;
} __packed;
_Static_assert(sizeof(struct acpi_resource_irq) == 4, "IRQ descriptor");

struct acpi_resource_qword {
	uint8_t tag;
	le16 length; /* of what follows */
	uint8_t type;
	uint8_t flags;
	uint8_t type_flags;
	le64 granularity, minimum, maximum, translation, size;
} __packed;
_Static_assert(sizeof(struct acpi_resource_qword) == 46,
	       "QWord address space descriptor");

#endif
