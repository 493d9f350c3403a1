/* SPDX-License-Identifier: MIT */
/*
 * The virtual PCI bus of Hyper-V: messages on its VMBus channel and the
 * configuration window.
 *
 * Source: the protocol as Linux speaks it (Documentation/virt/hyperv/vpci.rst
 * and drivers/pci/controller/pci-hyperv.c) and as the vpci_protocol crate of
 * OpenVMM defines it. Versions 1.1 to 1.4.
 */
#ifndef VMM_VPCI_REG_H
#define VMM_VPCI_REG_H

#include <stdint.h>

#include <guid.h>
#include <le.h>

/* 44c4f61d-4444-4400-9d52-802e27ede19f */
#define VPCI_INTERFACE                                                \
	GUID_INIT(0x44c4f61d, 0x4444, 0x4400, 0x9d, 0x52, 0x80, 0x2e, \
		  0x27, 0xed, 0xe1, 0x9f)

#define VPCI_VERSION_1_1 0x00010001u
#define VPCI_VERSION_1_2 0x00010002u
#define VPCI_VERSION_1_3 0x00010003u
#define VPCI_VERSION_1_4 0x00010004u

#define VPCI_MESSAGE(n) (0x42490000u + (n))
enum vpci_message_type {
	VPCI_BUS_RELATIONS = VPCI_MESSAGE(0x00), /* to the client */
	VPCI_QUERY_BUS_RELATIONS = VPCI_MESSAGE(0x01),
	VPCI_POWER_STATE_CHANGE = VPCI_MESSAGE(0x04),
	VPCI_QUERY_RESOURCE_REQUIREMENTS = VPCI_MESSAGE(0x05),
	VPCI_QUERY_RESOURCE_RESOURCES = VPCI_MESSAGE(0x06),
	VPCI_BUS_D0_ENTRY = VPCI_MESSAGE(0x07),
	VPCI_BUS_D0_EXIT = VPCI_MESSAGE(0x08),
	VPCI_EJECTION_COMPLETE = VPCI_MESSAGE(0x0f),
	VPCI_RESOURCES_ASSIGNED = VPCI_MESSAGE(0x10),
	VPCI_RESOURCES_RELEASED = VPCI_MESSAGE(0x11),
	VPCI_QUERY_PROTOCOL_VERSION = VPCI_MESSAGE(0x13),
	VPCI_CREATE_INTERRUPT = VPCI_MESSAGE(0x14), /* 1.1 */
	VPCI_DELETE_INTERRUPT = VPCI_MESSAGE(0x15),
	VPCI_RESOURCES_ASSIGNED_2 = VPCI_MESSAGE(0x16),
	VPCI_CREATE_INTERRUPT_2 = VPCI_MESSAGE(0x17), /* 1.2, 1.3 */
	VPCI_BUS_RELATIONS_2 = VPCI_MESSAGE(0x19),    /* to the client */
	VPCI_CREATE_INTERRUPT_3 = VPCI_MESSAGE(0x1b), /* 1.4 */
};

/* NTSTATUS values of completions. */
#define VPCI_STATUS_SUCCESS 0u
#define VPCI_STATUS_INVALID_PARAMETER 0xc000000du
#define VPCI_STATUS_REVISION_MISMATCH 0xc0000059u
#define VPCI_STATUS_NO_RESOURCES 0xc000009au
#define VPCI_STATUS_NOT_SUPPORTED 0xc00000bbu
#define VPCI_STATUS_INVALID_STATE 0xc0000184u

/* The slot word: function in 7:5, device in 4:0. */
#define VPCI_SLOT_0 0u

struct vpci_header {
	le32 type;
	le32 slot; /* version in QUERY_PROTOCOL_VERSION; else 0 if unused */
} __packed;
_Static_assert(sizeof(struct vpci_header) == 8, "message header");

struct vpci_version_answer {
	le32 status;
	le32 version;
} __packed;
_Static_assert(sizeof(struct vpci_version_answer) == 8, "version");

/* One device in BUS_RELATIONS; _2 has the last three fields in addition. */
struct vpci_function_description {
	le16 vendor, device;
	uint8_t revision, interface, sub_class, base_class;
	le16 subsystem_vendor, subsystem;
	le32 slot;
	le32 serial;
	le32 flags;
	le16 numa_node;
	le16 reserved;
} __packed;
_Static_assert(sizeof(struct vpci_function_description) == 28, "relations");
#define VPCI_FUNCTION_DESCRIPTION_1 20u

struct vpci_bus_relations {
	le32 type;
	le32 count;
	struct vpci_function_description function;
} __packed;
_Static_assert(sizeof(struct vpci_bus_relations) == 36, "relations");

struct vpci_resource_answer {
	le32 status;
	le32 bar[6]; /* what reads back after all ones were written */
} __packed;
_Static_assert(sizeof(struct vpci_resource_answer) == 28, "requirements");

struct vpci_d0_entry {
	le32 type;
	le32 padding;
	le64 window; /* guest physical address */
} __packed;
_Static_assert(sizeof(struct vpci_d0_entry) == 16, "D0 entry");

/* The window: the slot is written to its first word; its second page is the
 * configuration space of that slot. */
#define VPCI_WINDOW_SIZE 0x2000u
#define VPCI_WINDOW_CONFIG 0x1000u

struct vpci_create_interrupt {
	struct vpci_header header;
	uint8_t vector, delivery_mode;
	le16 count;
	le32 reserved;
	le64 vps; /* mask */
} __packed;
_Static_assert(sizeof(struct vpci_create_interrupt) == 24, "interrupt, 1.1");

#define VPCI_MAX_INTERRUPT_VPS 32
struct vpci_create_interrupt_2 {
	struct vpci_header header;
	uint8_t vector, delivery_mode;
	le16 count;
	le16 nr_vps;
	le16 vp[VPCI_MAX_INTERRUPT_VPS];
} __packed;
_Static_assert(sizeof(struct vpci_create_interrupt_2) == 78, "interrupt, 1.2");

struct vpci_create_interrupt_3 {
	struct vpci_header header;
	le32 vector;
	uint8_t delivery_mode, reserved;
	le16 count;
	le16 nr_vps;
	le16 vp[VPCI_MAX_INTERRUPT_VPS];
} __packed;
_Static_assert(sizeof(struct vpci_create_interrupt_3) == 82, "interrupt, 1.4");

/* What the client is to program into MSI or MSI-X. */
struct vpci_translated_interrupt {
	le16 reserved;
	le16 count;
	le32 data;
	le64 address;
} __packed;
_Static_assert(sizeof(struct vpci_translated_interrupt) == 16, "interrupt");

struct vpci_interrupt_answer {
	le32 status;
	le32 reserved;
	struct vpci_translated_interrupt interrupt;
} __packed;
_Static_assert(sizeof(struct vpci_interrupt_answer) == 24, "interrupt");

struct vpci_delete_interrupt {
	struct vpci_header header;
	struct vpci_translated_interrupt interrupt;
} __packed;
_Static_assert(sizeof(struct vpci_delete_interrupt) == 24, "interrupt");

#endif
