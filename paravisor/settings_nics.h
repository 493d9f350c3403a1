/* SPDX-License-Identifier: MIT */
/* The part of settings that describes NICs. */
#ifndef SETTINGS_NICS_H
#define SETTINGS_NICS_H

#include <yyjson.h>

#include "settings.h"

struct json_parse;

/* One element of "nics", appended to the `struct settings`. As the functions of
 * settings_json.h. */
int settings_read_nic(struct json_parse *p, yyjson_val *value, void *settings);

#endif
