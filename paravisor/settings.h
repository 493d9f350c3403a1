/* SPDX-License-Identifier: MIT */
/*
 * What the daemon is to offer VTL0, as its user writes it: JSON.
 *
 *	{ "version": 1,
 *	  "machine_id": GUID of this guest among those that share its disks;
 *		without it there are no persistent reservations; that of the
 *		daemon's start, another is refused later,
 *	  "storage": [ {
 *		"instance": GUID of the SCSI controller on VTL0's VMBus,
 *		"queue_depth": 1-1024 (64), of a unit at its disk per channel,
 *		"sub_channels": 0-63 (0),
 *		"max_transfer_kib": 64, 128 or 256 (256),
 *		"luns": [ { "lun": 0-63, "read_only": false,
 *			"vendor": text of 1-8, "product": of 1-16,
 *			"revision": of 1-4, "serial": of 1-32 bytes, all
 *			printable ASCII ("Msft", "Virtual Disk", "1.0", a number
 *			made from the disk's own identifier),
 *			"device_id": GUID that the disk's name is made from (the
 *			disk's own),
 *			"rotation": 1 or 1025-65534 (as the disk),
 *			"physical_block_size": 512-65536 (the disk's),
 *			"write_cache", "fua", "unmap": whether the guest sees
 *			them (as the disk has them),
 *			"backend": BACKEND } ]
 *	  } ],
 *	  "nics": [ {
 *		"instance": GUID of the NIC on VTL0's VMBus,
 *		"mac": "xx:xx:xx:xx:xx:xx" (the backend's),
 *		"queues": 1-64, a power of two (as many as VPs, or less),
 *		"mtu": 576-9000 (1500), at most the backend's,
 *		"offloads": true, whether the guest sees those of the backend,
 *		"limits": { "tx_mbps", "rx_mbps": 10-100000 (none) }, 10^6 bits
 *			a second that the guest sends, which it waits for, and
 *			receives, above which frames are dropped,
 *		"nvsp": "1", "2", "4", "5", "6" or "6.1", the newest version of
 *			the protocol that the guest is offered ("6.1"),
 *		"backend": one of
 *			{ "mana": { "device": GUID of the VPCI bus,
 *				    "vport": 0-15 } }
 *			{ "tap": { "name": text of 1-15 bytes } }
 *			{ "loopback": {} }
 *	  } ],
 *	  "serial": { "com1", "com2": {
 *		"transmit_only": false, whether the guest gets nothing that
 *			comes from the host,
 *		"wait_for_rts": false, whether that waits until the guest
 *			raises DTR and RTS } },
 *	  "vmbus": { "filter": [ { "instance": GUID of a device of the host's bus
 *			for VTL0, where the host has one,
 *		"action": "relay" (so is what is not listed), "intercept" or
 *			"hide": VTL0 does not see it } ] },
 *		up to 64; those of the daemon's start, too,
 *	  "log": { MODULE: "error"|"warning"|"info"|"debug" } }
 *
 *	BACKEND, one of:
 *	  { "nvme": { "device": GUID of the controller's VPCI bus,
 *		      "nsid": 1-4294967294 } }
 *	  { "scsi": { "device": GUID of the host's SCSI controller,
 *		      "lun": 0-255 } }
 *	  { "stripe": { "chunk_kib": 4-1024, "of": [ 2-16 of the above ] } }
 *	  { "iso": one of the above, or null: an empty drive }
 *
 * Only version is required at the top; in a controller instance and luns, in a
 * LUN lun and backend, in a NIC instance and backend, in a backend everything.
 * A key that is not listed is a mistake, as is one that comes twice, a device
 * that a stripe has twice, or what only one NIC can have.
 */
#ifndef SETTINGS_H
#define SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <guid.h>
#include <pv/log.h>

#define SETTINGS_MAX_CONTROLLERS 4
#define SETTINGS_MAX_LUNS 64
#define SETTINGS_MAX_NICS 8
#define SETTINGS_MAX_MODULES 16
#define SETTINGS_MODULE_NAME 24

#define SETTINGS_MAX_DEVICES 512
#define SETTINGS_MAX_STRIPE 16
#define SETTINGS_MIN_CHUNK_KIB 4
#define SETTINGS_MAX_CHUNK_KIB 1024
#define SETTINGS_ERROR_SIZE 256
#define SETTINGS_MAX_RELAY_RULES 64
#define SETTINGS_COMS 2

enum settings_relay { SETTINGS_RELAY, SETTINGS_INTERCEPT, SETTINGS_HIDE };

enum settings_device_kind { SETTINGS_NVME, SETTINGS_SCSI };

struct settings_device {
	uint8_t kind; /* enum settings_device_kind */
	struct guid device;
	uint32_t unit; /* nsid or lun */
};

enum settings_switch { SETTINGS_AS_DISK, SETTINGS_OFF, SETTINGS_ON };

/* Without padding that would hold anything but zeroes: compared as bytes. */
struct settings_lun {
	uint8_t lun;
	bool read_only, dvd;
	uint8_t write_cache, fua, unmap; /* enum settings_switch */
	/* "": the default */
	char vendor[9], product[17], revision[5], serial[33];
	struct guid device_id; /* all zero: the default */
	uint16_t rotation;     /* 0: as the disk */
	uint32_t physical_block_size;
	/* Several: a stripe. None: an empty DVD drive. */
	uint16_t nr_devices, first_device;
	uint16_t chunk_kib;
};

struct settings_controller {
	struct guid instance;
	uint16_t queue_depth, sub_channels, max_transfer_kib;
	unsigned int nr_luns;
	struct settings_lun lun[SETTINGS_MAX_LUNS];
};

enum settings_nic_kind { SETTINGS_MANA, SETTINGS_TAP, SETTINGS_LOOPBACK };

/* Unused bytes are zeroes: compared as bytes. */
struct settings_nic {
	struct guid instance;
	struct guid device; /* MANA */
	uint8_t kind;	    /* enum settings_nic_kind */
	uint8_t vport;	    /* MANA */
	uint8_t has_mac, mac[6];
	uint8_t queues; /* 0: the default */
	uint16_t mtu;	/* 0: the default */
	uint16_t nvsp;	/* at most; as of struct netvsp_config */
	uint8_t offloads;
	char tap[17]; /* of 15 bytes; so long that nothing is padded */
	/* Last: a change of these is not one of the NIC. 0: none. */
	uint32_t tx_mbps, rx_mbps;
};

struct settings {
	struct guid machine_id; /* all zero: none */
	unsigned int nr_controllers;
	struct settings_controller controller[SETTINGS_MAX_CONTROLLERS];
	unsigned int nr_devices;
	struct settings_device device[SETTINGS_MAX_DEVICES];
	unsigned int nr_nics;
	struct settings_nic nic[SETTINGS_MAX_NICS];
	struct settings_com {
		bool transmit_only, wait_for_rts;
	} com[SETTINGS_COMS];
	unsigned int nr_relay_rules;
	struct settings_relay_rule {
		struct guid instance;
		uint8_t action; /* enum settings_relay */
	} relay_rule[SETTINGS_MAX_RELAY_RULES];
	unsigned int nr_modules;
	struct {
		char name[SETTINGS_MODULE_NAME];
		enum log_level level;
	} module[SETTINGS_MAX_MODULES];
};

/*
 * Reads `len` bytes of JSON. 0; or -EINVAL (-ENOMEM) with *settings untouched
 * and one line logged: the JSON pointer of the offending value, and the rule.
 * The same line is put into `error` if it is not NULL (SETTINGS_ERROR_SIZE
 * bytes).
 */
int settings_parse(const char *json, size_t len, struct settings *settings,
		   char *error);

/* Does a LUN of `a` say the same as one of `b`? */
bool settings_same_lun(const struct settings *a, const struct settings_lun *la,
		       const struct settings *b, const struct settings_lun *lb);

/* Say they the same, wherever they stand, limits apart? */
bool settings_same_nic(const struct settings_nic *a,
		       const struct settings_nic *b);
/* Have they one backend, which only one of them can use at a time? */
bool settings_same_backend(const struct settings_nic *a,
			   const struct settings_nic *b);

#endif
