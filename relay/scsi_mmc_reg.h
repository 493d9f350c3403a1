/* SPDX-License-Identifier: MIT */
/*
 * What a DVD drive has beside what disks have: MMC-6 commands and parameter
 * data, as far as a client needs them to read a disc and to change it.
 */
#ifndef RELAY_SCSI_MMC_REG_H
#define RELAY_SCSI_MMC_REG_H

#include "scsi_reg.h"

#define MMC_BLOCK_SIZE 2048

enum mmc_opcode {
	MMC_PREVENT_ALLOW_MEDIUM_REMOVAL = 0x1e,
	MMC_READ_TOC = 0x43,
	MMC_GET_CONFIGURATION = 0x46,
	MMC_GET_EVENT_STATUS = 0x4a,
	MMC_READ_DISC_INFORMATION = 0x51,
	MMC_READ_DVD_STRUCTURE = 0xad,
	MMC_MECHANISM_STATUS = 0xbd,
};

#define MMC_CDB_PREVENT (1 << 0)       /* PREVENT ALLOW, byte 4 */
#define MMC_CDB_PERSISTENT (1 << 1)
#define MMC_CDB_MSF (1 << 1)	       /* READ TOC, byte 1 */
#define MMC_CDB_TOC_FORMAT_MASK 0x0f   /* ... byte 2 */
#define MMC_CDB_TOC_OLD_FORMAT_SHIFT 6 /* ... byte 9, before MMC-2 */
#define MMC_CDB_FEATURES_MASK 0x03     /* GET CONFIGURATION, byte 1 */
#define MMC_CDB_POLLED (1 << 0)	       /* GET EVENT STATUS, byte 1 */
#define MMC_CDB_DISC_INFORMATION_MASK 0x07 /* byte 1 */

/* READ TOC/PMA/ATIP (6.25). */
#define MMC_TOC_TRACKS 0
#define MMC_TOC_SESSIONS 1
#define MMC_LEAD_OUT 0xaa
#define MMC_DATA_TRACK 0x14 /* ADR 1, control: data */
#define MMC_FRAMES_PER_SECOND 75
#define MMC_FIRST_FRAME 150 /* of LBA 0 */

struct mmc_toc_header {
	uint8_t size[2]; /* what follows */
	uint8_t first, last;
} __packed;
_Static_assert(sizeof(struct mmc_toc_header) == 4, "TOC header");

struct mmc_toc_track {
	uint8_t reserved;
	uint8_t control;
	uint8_t number;
	uint8_t reserved3;
	uint8_t address[4];
} __packed;
_Static_assert(sizeof(struct mmc_toc_track) == 8, "TOC track");

/* GET CONFIGURATION (6.5) and features (5.3). */
#define MMC_FEATURES_CURRENT 1
#define MMC_FEATURES_ONE 2
#define MMC_PROFILE_NONE 0
#define MMC_PROFILE_DVD_ROM 0x0010

struct mmc_configuration {
	uint8_t size[4]; /* what follows */
	uint8_t reserved[2];
	uint8_t profile[2];
} __packed;
_Static_assert(sizeof(struct mmc_configuration) == 8, "feature header");

struct mmc_feature {
	uint8_t code[2];
	uint8_t flags;
	uint8_t size; /* of what follows */
} __packed;
_Static_assert(sizeof(struct mmc_feature) == 4, "feature descriptor");
#define MMC_FEATURE_CURRENT (1 << 0)
#define MMC_FEATURE_PERSISTENT (1 << 1)
#define MMC_FEATURE_VERSION_SHIFT 2

/* GET EVENT STATUS NOTIFICATION (6.6). */
#define MMC_EVENT_CLASS_MEDIA 4
#define MMC_EVENT_NONE (1 << 7) /* of the classes asked for */

struct mmc_event_header {
	uint8_t size[2]; /* what follows */
	uint8_t notification;
	uint8_t supported; /* a bit for each class */
} __packed;
_Static_assert(sizeof(struct mmc_event_header) == 4, "event header");

struct mmc_media_event {
	uint8_t event;
	uint8_t status;
	uint8_t first_slot, last_slot;
} __packed;
_Static_assert(sizeof(struct mmc_media_event) == 4, "media event");
#define MMC_TRAY_OPEN (1 << 0) /* status */
#define MMC_MEDIUM_PRESENT (1 << 1)

enum mmc_media_event_code {
	MMC_NO_CHANGE = 0,
	MMC_EJECT_REQUEST = 1,
	MMC_NEW_MEDIUM = 2,
	MMC_MEDIUM_REMOVAL = 3,
};

/* READ DISC INFORMATION (6.21). */
struct mmc_disc_information {
	uint8_t size[2]; /* what follows */
	uint8_t status;
	uint8_t first_track, sessions, first_in_last, last_in_last;
	uint8_t flags;
	uint8_t type;
	uint8_t high[3];
	uint8_t id[4];
	uint8_t lead_in[4];
	uint8_t lead_out[4];
	uint8_t bar_code[8];
	uint8_t application;
	uint8_t tables;
} __packed;
_Static_assert(sizeof(struct mmc_disc_information) == 34, "disc information");
#define MMC_DISC_COMPLETE 0x0e /* the disc and its last session */
#define MMC_DISC_UNRESTRICTED (1 << 5)

/* READ DVD STRUCTURE (6.22), physical format information. */
#define MMC_DVD_PHYSICAL 0
#define MMC_DVD_FIRST_SECTOR 0x30000 /* of addresses with 24 bits */

struct mmc_dvd_physical {
	uint8_t size[2]; /* what follows */
	uint8_t reserved[2];
	uint8_t book; /* type and version */
	uint8_t rate; /* size and largest rate */
	uint8_t layer;
	uint8_t density;
	uint8_t first_sector[4], last_sector[4], last_of_layer_0[4];
	uint8_t burst_cutting_area;
	uint8_t rest[2031];
} __packed;
_Static_assert(sizeof(struct mmc_dvd_physical) == 2052, "DVD structure 0");
#define MMC_BOOK_DVD_ROM_1 0x01
#define MMC_RATE_10_MBPS 0x02
#define MMC_LAYER_EMBOSSED 0x01

/* MECHANISM STATUS (6.11). */
struct mmc_mechanism_status {
	uint8_t fault;
	uint8_t state;
	uint8_t lba[3];
	uint8_t slots;
	uint8_t size[2];
} __packed;
_Static_assert(sizeof(struct mmc_mechanism_status) == 8, "mechanism status");
#define MMC_DOOR_OPEN (1 << 4) /* state */

/* Mode pages (7.2; page 2Ah is MMC-3's, which clients still ask for). */
#define MMC_MODE_RECOVERY 0x01
#define MMC_MODE_RECOVERY_SIZE 12
#define MMC_MODE_CAPABILITIES 0x2a
#define MMC_MODE_CAPABILITIES_SIZE 22
#define MMC_READS_DVD_ROM (1 << 3) /* byte 2 */
/* Byte 6, and the removable medium feature: */
#define MMC_CAN_LOCK (1 << 0)
#define MMC_IS_LOCKED (1 << 1)
#define MMC_CAN_EJECT (1 << 3)
#define MMC_CAN_LOAD (1 << 4) /* of the feature only */
#define MMC_LOADING_TRAY (1 << 5)
#define MMC_SPEED 11080 /* kB/s: of a DVD, eight times */

#endif
