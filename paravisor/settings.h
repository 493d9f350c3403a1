/* SPDX-License-Identifier: MIT */
/*
 * What the daemon is to offer VTL0, as its user writes it: JSON.
 *
 *	{ "version": 1,
 *	  "storage": [ {
 *		"instance": GUID of the SCSI controller on VTL0's VMBus,
 *		"queue_depth": 1-1024 (64), requests in flight per channel,
 *		"sub_channels": 0-63 (0),
 *		"luns": [ { "lun": 0-63, "read_only": false,
 *			"vendor": text of 1-8, "product": of 1-16,
 *			"revision": of 1-4, "serial": of 1-32 bytes, all
 *			printable ASCII ("Msft", "Virtual Disk", "1.0", a number
 *			made from the disk's own identifier),
 *			"backend": { "nvme": { "device": GUID of the
 *				controller's VPCI bus, "nsid": 1-4294967294
 *			} } } ]
 *	  } ],
 *	  "nics": [], "serial": {},
 *	  "log": { MODULE: "error"|"warning"|"info"|"debug" } }
 *
 * Only version is required at the top; in a controller instance and luns, in a
 * LUN lun and backend. A key that is not listed is a mistake, as is one that
 * comes twice.
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
#define SETTINGS_MAX_MODULES 16
#define SETTINGS_MODULE_NAME 24

struct settings_lun {
	uint8_t lun;
	bool read_only;
	/* "": the default */
	char vendor[9], product[17], revision[5], serial[33];
	struct guid nvme_device;
	uint32_t nsid;
};

struct settings_controller {
	struct guid instance;
	uint16_t queue_depth, sub_channels;
	unsigned int nr_luns;
	struct settings_lun lun[SETTINGS_MAX_LUNS];
};

struct settings {
	unsigned int nr_controllers;
	struct settings_controller controller[SETTINGS_MAX_CONTROLLERS];
	unsigned int nr_modules;
	struct {
		char name[SETTINGS_MODULE_NAME];
		enum log_level level;
	} module[SETTINGS_MAX_MODULES];
};

/*
 * Reads `len` bytes of JSON. 0; or -EINVAL with *settings untouched and one
 * line logged: the JSON pointer of the offending value, and the rule.
 */
int settings_parse(const char *json, size_t len, struct settings *settings);

#endif
