/* SPDX-License-Identifier: MIT */
/* The part of settings that describes controllers and disks. */
#ifndef SETTINGS_STORAGE_H
#define SETTINGS_STORAGE_H

#include <yyjson.h>

#include "settings.h"

struct json_parse;

/* One element of "storage", appended to the `struct settings`. As the
 * functions of settings_json.h. */
int settings_read_controller(struct json_parse *p, yyjson_val *value,
			     void *settings);

#endif
