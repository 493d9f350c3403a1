/* SPDX-License-Identifier: MIT */
/*
 * The IGVM file format, version 1 (Independent Guest Virtual Machine).
 *
 *	fixed header | variable headers ............... | file data
 *	24 bytes     | each 8-byte aligned, zero padded | pages, parameter bytes
 *
 * Source: the public `igvm_defs` definitions (github.com/microsoft/igvm). Every
 * name below is the specification's. All offsets are from the start of the
 * file. Only the structures that a non-isolated x64 image needs are here.
 *
 * A register record inside VP_CONTEXT data names registers as the TLFS does
 * (HV_REGISTER_NAME); codes and value formats are in include/hv_reg.h.
 */
#ifndef IGVM_REG_H
#define IGVM_REG_H

#include "le.h"

#define IGVM_PAGE_SIZE 4096u

/* IGVM_FIXED_HEADER */
#define IGVM_MAGIC 0x4d564749u /* "IGVM" */
#define IGVM_FORMAT_VERSION_1 1u

struct igvm_fixed_header {
	le32 magic;
	le32 format_version;
	le32 variable_header_offset; /* 24 */
	le32 variable_header_size;
	le32 total_file_size;
	le32 checksum; /* CRC32 of both headers, this field counted as 0 */
} __packed;
_Static_assert(sizeof(struct igvm_fixed_header) == 24, "IGVM_FIXED_HEADER");

/* IGVM_VHS_VARIABLE_HEADER: precedes the content of every variable header */
struct igvm_variable_header {
	le32 type;
	le32 length; /* of the content, without padding */
} __packed;
_Static_assert(sizeof(struct igvm_variable_header) == 8,
	       "IGVM_VHS_VARIABLE_HEADER");

#define IGVM_VARIABLE_HEADER_ALIGN 8u
#define IGVM_TYPE_OPTIONAL 0x80000000u /* a reader may skip what it knows not */

/* The three sections, in file order. */
#define IGVM_PLATFORM_FIRST 0x001u
#define IGVM_PLATFORM_LAST 0x100u
#define IGVM_INITIALIZATION_FIRST 0x101u
#define IGVM_INITIALIZATION_LAST 0x200u
#define IGVM_DIRECTIVE_FIRST 0x301u
#define IGVM_DIRECTIVE_LAST 0x400u

/* IGVM_VARIABLE_HEADER_TYPE */
#define IGVM_VHT_SUPPORTED_PLATFORM 0x001u
#define IGVM_VHT_GUEST_POLICY 0x101u
#define IGVM_VHT_RELOCATABLE_REGION 0x102u
#define IGVM_VHT_PAGE_TABLE_RELOCATION 0x103u
#define IGVM_VHT_PARAMETER_AREA 0x301u
#define IGVM_VHT_PAGE_DATA 0x302u
#define IGVM_VHT_PARAMETER_INSERT 0x303u
#define IGVM_VHT_VP_CONTEXT 0x304u
#define IGVM_VHT_REQUIRED_MEMORY 0x305u
#define IGVM_VHT_VP_COUNT_PARAMETER 0x307u
#define IGVM_VHT_SRAT 0x308u
#define IGVM_VHT_MADT 0x309u
#define IGVM_VHT_MMIO_RANGES 0x30au
#define IGVM_VHT_SNP_ID_BLOCK 0x30bu
#define IGVM_VHT_MEMORY_MAP 0x30cu
#define IGVM_VHT_ERROR_RANGE 0x30du
#define IGVM_VHT_COMMAND_LINE 0x30eu
#define IGVM_VHT_SLIT 0x30fu
#define IGVM_VHT_PPTT 0x310u
#define IGVM_VHT_VBS_MEASUREMENT 0x311u
#define IGVM_VHT_DEVICE_TREE 0x312u
#define IGVM_VHT_ENVIRONMENT_INFO_PARAMETER 0x313u

/* IGVM_VHS_SUPPORTED_PLATFORM */
#define IGVM_PLATFORM_NATIVE 0u
#define IGVM_PLATFORM_VSM_ISOLATION 1u
#define IGVM_PLATFORM_SEV_SNP 2u
#define IGVM_PLATFORM_TDX 3u
#define IGVM_PLATFORM_VERSION_1 1u

struct igvm_supported_platform {
	le32 compatibility_mask; /* exactly one bit */
	uint8_t highest_vtl;
	uint8_t platform_type;
	le16 platform_version;
	le64 shared_gpa_boundary;
} __packed;
_Static_assert(sizeof(struct igvm_supported_platform) == 16,
	       "IGVM_VHS_SUPPORTED_PLATFORM");

/* IGVM_VHS_PARAMETER_AREA: memory of the loader that parameters fill */
struct igvm_parameter_area {
	le64 number_of_bytes; /* multiple of 4 KiB */
	le32 parameter_area_index;
	le32 file_offset; /* initial bytes; 0: zeros */
} __packed;
_Static_assert(sizeof(struct igvm_parameter_area) == 16,
	       "IGVM_VHS_PARAMETER_AREA");

/* IGVM_VHS_PAGE_DATA: one page */
#define IGVM_PAGE_DATA_IS_2MB_PAGE 0x1u
#define IGVM_PAGE_DATA_UNMEASURED 0x2u
#define IGVM_PAGE_DATA_SHARED 0x4u

#define IGVM_PAGE_DATA_TYPE_NORMAL 0u

struct igvm_page_data {
	le64 gpa;
	le32 compatibility_mask;
	le32 file_offset; /* 0: a page of zeros */
	le32 flags;
	le16 data_type;
	le16 reserved;
} __packed;
_Static_assert(sizeof(struct igvm_page_data) == 24, "IGVM_VHS_PAGE_DATA");

/* IGVM_VHS_PARAMETER_INSERT: puts a filled area into guest memory */
struct igvm_parameter_insert {
	le64 gpa;
	le32 compatibility_mask;
	le32 parameter_area_index;
} __packed;
_Static_assert(sizeof(struct igvm_parameter_insert) == 16,
	       "IGVM_VHS_PARAMETER_INSERT");

/* IGVM_VHS_VP_CONTEXT */
struct igvm_vp_context {
	le64 gpa; /* 0 for VSM isolation and native */
	le32 compatibility_mask;
	le32 file_offset;
	le16 vp_index;
	le16 reserved;
} __packed;
_Static_assert(sizeof(struct igvm_vp_context) == 20, "IGVM_VHS_VP_CONTEXT");

/* VP_CONTEXT data of VSM isolation and native: this header, then records */
struct igvm_vbs_vp_context_header {
	le32 register_count;
} __packed;
_Static_assert(sizeof(struct igvm_vbs_vp_context_header) == 4,
	       "VBS_VP_CONTEXT_HEADER");

struct igvm_vbs_vp_context_register {
	uint8_t vtl;
	le32 register_name;
	uint8_t mbz[11];
	uint8_t register_value[16];
} __packed;
_Static_assert(sizeof(struct igvm_vbs_vp_context_register) == 32,
	       "VBS_VP_CONTEXT_REGISTER");

/* IGVM_VHS_REQUIRED_MEMORY */
#define IGVM_REQUIRED_MEMORY_VTL2_PROTECTABLE 0x1u

struct igvm_required_memory {
	le64 gpa;
	le32 compatibility_mask;
	le32 number_of_bytes;
	le32 flags;
	le32 reserved;
} __packed;
_Static_assert(sizeof(struct igvm_required_memory) == 24,
	       "IGVM_VHS_REQUIRED_MEMORY");

/*
 * IGVM_VHS_PARAMETER: VP_COUNT, SRAT, MADT, MMIO_RANGES, MEMORY_MAP,
 * COMMAND_LINE, SLIT, PPTT, DEVICE_TREE and ENVIRONMENT_INFO: the host writes
 * what the type says at this place of the area.
 */
struct igvm_parameter {
	le32 parameter_area_index;
	le32 byte_offset;
} __packed;
_Static_assert(sizeof(struct igvm_parameter) == 8, "IGVM_VHS_PARAMETER");

/* IGVM_VHS_MEMORY_MAP_ENTRY: a list that an entry without pages ends */
#define IGVM_MEMORY_MAP_MEMORY 0u
#define IGVM_MEMORY_MAP_PLATFORM_RESERVED 1u
#define IGVM_MEMORY_MAP_PERSISTENT 2u
#define IGVM_MEMORY_MAP_VTL2_PROTECTABLE 3u
#define IGVM_MEMORY_MAP_SPECIFIC_PURPOSE 4u
#define IGVM_MEMORY_MAP_HIDDEN 5u

struct igvm_memory_map_entry {
	le64 starting_gpa_page_number;
	le64 number_of_pages;
	le16 entry_type;
	le16 flags;
	le32 reserved;
} __packed;
_Static_assert(sizeof(struct igvm_memory_map_entry) == 24,
	       "IGVM_VHS_MEMORY_MAP_ENTRY");

/* IGVM_VHS_MMIO_RANGES */
struct igvm_memory_range {
	le64 starting_gpa_page_number;
	le64 number_of_pages;
} __packed;
_Static_assert(sizeof(struct igvm_memory_range) == 16,
	       "IGVM_VHS_MEMORY_RANGE");

struct igvm_mmio_ranges {
	struct igvm_memory_range mmio_ranges[2];
} __packed;
_Static_assert(sizeof(struct igvm_mmio_ranges) == 32, "IGVM_VHS_MMIO_RANGES");

/* IGVM_VHS_RELOCATABLE_REGION and _PAGE_TABLE_RELOCATION: read, never used */
struct igvm_relocatable_region {
	le32 compatibility_mask;
	le16 vp_index;
	uint8_t vtl;
	uint8_t flags;
	le64 relocation_alignment;
	le64 relocation_region_gpa;
	le64 relocation_region_size;
	le64 minimum_relocation_gpa;
	le64 maximum_relocation_gpa;
} __packed;
_Static_assert(sizeof(struct igvm_relocatable_region) == 48,
	       "IGVM_VHS_RELOCATABLE_REGION");

struct igvm_page_table_relocation {
	le32 compatibility_mask;
	le16 vp_index;
	uint8_t vtl;
	uint8_t reserved;
	le64 gpa;
	le64 size;
	le64 used_size;
} __packed;
_Static_assert(sizeof(struct igvm_page_table_relocation) == 32,
	       "IGVM_VHS_PAGE_TABLE_RELOCATION");

#endif
