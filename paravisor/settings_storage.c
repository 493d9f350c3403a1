// SPDX-License-Identifier: MIT
/*
 * Settings of storage, theory of operation
 *
 * A LUN stands on a device, on a stripe over several, or is a DVD drive with
 * an image on one of those, or with none:
 *
 *	backend = device | {"stripe": {"of": [device...]}}
 *		| {"iso": device | stripe | null}
 *	device  = {"nvme": ...} | {"scsi": ...}
 *
 * The devices of all LUNs stand in one list, of which a LUN has a run. Several
 * LUNs may stand on one device, as several paths to it; a stripe may not have
 * it twice. No thread, no state.
 */
#include <stdio.h>
#include <string.h>

#include "settings_json.h"
#include "settings_storage.h"

#define DEFAULT_QUEUE_DEPTH 64
#define DEFAULT_MAX_TRANSFER_KIB 256

/* What is being read. */
struct place {
	struct settings *settings;
	struct settings_controller *controller;
	struct settings_lun *lun;
};

/* ---- backends ---- */

static bool same_device(const struct settings_device *a,
			const struct settings_device *b)
{
	return a->kind == b->kind && a->unit == b->unit &&
	       guid_equal(&a->device, &b->device);
}

static int device_guid(struct json_parse *p, yyjson_val *value, void *to)
{
	struct settings_device *device = to;

	return json_read_guid(p, value, &device->device);
}

static int read_unit(struct json_parse *p, yyjson_val *value, uint32_t min,
		     uint32_t max, void *to)
{
	struct settings_device *device = to;
	uint64_t n;
	int ret = json_read_number(p, value, min, max, &n);

	if (!ret)
		device->unit = (uint32_t)n;
	return ret;
}

static int device_nsid(struct json_parse *p, yyjson_val *value, void *to)
{
	return read_unit(p, value, 1, UINT32_MAX - 1, to);
}

static int device_lun(struct json_parse *p, yyjson_val *value, void *to)
{
	return read_unit(p, value, 0, 255, to);
}

static int read_device(struct json_parse *p, yyjson_val *value,
		       enum settings_device_kind kind, void *to)
{
	static const struct json_key nvme[] = { { "device", true, device_guid },
						{ "nsid", true, device_nsid },
						{ NULL, false, NULL } };
	static const struct json_key scsi[] = { { "device", true, device_guid },
						{ "lun", true, device_lun },
						{ NULL, false, NULL } };
	struct place *at = to;
	struct settings *s = at->settings;
	struct settings_device *device = &s->device[s->nr_devices];
	int ret;

	if (s->nr_devices == SETTINGS_MAX_DEVICES)
		return json_wrong(p, "there may be 512 devices in all");
	device->kind = (uint8_t)kind;
	ret = json_read_object(p, value, kind == SETTINGS_NVME ? nvme : scsi,
			       device);
	if (ret)
		return ret;
	for (unsigned int i = at->lun->first_device; i < s->nr_devices; i++)
		if (same_device(&s->device[i], device))
			return json_wrong(p, "the stripe has this device");
	s->nr_devices++;
	at->lun->nr_devices++;
	return 0;
}

static int backend_nvme(struct json_parse *p, yyjson_val *value, void *to)
{
	return read_device(p, value, SETTINGS_NVME, to);
}

static int backend_scsi(struct json_parse *p, yyjson_val *value, void *to)
{
	return read_device(p, value, SETTINGS_SCSI, to);
}

static int stripe_chunk(struct json_parse *p, yyjson_val *value, void *to)
{
	struct place *at = to;
	uint64_t n;
	int ret = json_read_number(p, value, SETTINGS_MIN_CHUNK_KIB,
				   SETTINGS_MAX_CHUNK_KIB, &n);

	if (!ret && n & (n - 1))
		ret = json_wrong(p, "must be a power of two");
	if (!ret)
		at->lun->chunk_kib = (uint16_t)n;
	return ret;
}

static int stripe_member(struct json_parse *p, yyjson_val *value, void *to)
{
	static const struct json_key keys[] = {
		{ "nvme", false, backend_nvme },
		{ "scsi", false, backend_scsi },
		{ NULL, false, NULL },
	};

	return json_read_choice(p, value, keys, to);
}

static int stripe_of(struct json_parse *p, yyjson_val *value, void *to)
{
	if (yyjson_is_arr(value) && yyjson_arr_size(value) < 2)
		return json_wrong(p, "must have at least 2 devices");
	return json_read_array(p, value, SETTINGS_MAX_STRIPE,
			       "must have at most 16 devices", stripe_member,
			       to);
}

static int backend_stripe(struct json_parse *p, yyjson_val *value, void *to)
{
	static const struct json_key keys[] = {
		{ "chunk_kib", true, stripe_chunk },
		{ "of", true, stripe_of },
		{ NULL, false, NULL },
	};

	return json_read_object(p, value, keys, to);
}

static int backend_iso(struct json_parse *p, yyjson_val *value, void *to)
{
	static const struct json_key keys[] = {
		{ "nvme", false, backend_nvme },
		{ "scsi", false, backend_scsi },
		{ "stripe", false, backend_stripe },
		{ NULL, false, NULL },
	};
	struct place *at = to;

	at->lun->dvd = true;
	return yyjson_is_null(value) ? 0 : json_read_choice(p, value, keys, to);
}

static int lun_backend(struct json_parse *p, yyjson_val *value, void *to)
{
	static const struct json_key keys[] = {
		{ "nvme", false, backend_nvme },
		{ "scsi", false, backend_scsi },
		{ "stripe", false, backend_stripe },
		{ "iso", false, backend_iso },
		{ NULL, false, NULL },
	};
	struct place *at = to;

	at->lun->first_device = (uint16_t)at->settings->nr_devices;
	return json_read_choice(p, value, keys, to);
}

/* ---- a LUN ---- */

static int lun_number(struct json_parse *p, yyjson_val *value, void *to)
{
	struct place *at = to;
	uint64_t n;
	int ret = json_read_number(p, value, 0, SETTINGS_MAX_LUNS - 1, &n);

	if (!ret)
		at->lun->lun = (uint8_t)n;
	return ret;
}

static int lun_read_only(struct json_parse *p, yyjson_val *value, void *to)
{
	struct place *at = to;

	return json_read_bool(p, value, &at->lun->read_only);
}

#define LUN_TEXT(name)                                                        \
	static int lun_##name(struct json_parse *p, yyjson_val *value,        \
			      void *to)                                       \
	{                                                                     \
		struct place *at = to;                                        \
									      \
		return json_read_text(p, value, at->lun->name,                \
				      sizeof(at->lun->name));                 \
	}
LUN_TEXT(vendor)
LUN_TEXT(product)
LUN_TEXT(revision)
LUN_TEXT(serial)

static int lun_device_id(struct json_parse *p, yyjson_val *value, void *to)
{
	static const struct guid none;
	struct place *at = to;
	int ret = json_read_guid(p, value, &at->lun->device_id);

	if (!ret && guid_equal(&at->lun->device_id, &none))
		ret = json_wrong(p, "must not be all zeroes");
	return ret;
}

static int lun_rotation(struct json_parse *p, yyjson_val *value, void *to)
{
	struct place *at = to;
	uint64_t n;
	int ret = json_read_number(p, value, 1, 65534, &n);

	/* SBC-3, 6.5.3: what is between is reserved. */
	if (!ret && n > 1 && n < 1025)
		ret = json_wrong(p, "must be 1 (does not rotate) or 1025 to "
				    "65534");
	if (!ret)
		at->lun->rotation = (uint16_t)n;
	return ret;
}

static int lun_physical_block(struct json_parse *p, yyjson_val *value,
			      void *to)
{
	struct place *at = to;
	uint64_t n;
	int ret = json_read_number(p, value, 512, 65536, &n);

	if (!ret && n & (n - 1))
		ret = json_wrong(p, "must be a power of two");
	if (!ret)
		at->lun->physical_block_size = (uint32_t)n;
	return ret;
}

static int read_switch(struct json_parse *p, yyjson_val *value, uint8_t *to)
{
	bool on;
	int ret = json_read_bool(p, value, &on);

	if (!ret)
		*to = on ? SETTINGS_ON : SETTINGS_OFF;
	return ret;
}

#define LUN_SWITCH(name)                                               \
	static int lun_##name(struct json_parse *p, yyjson_val *value, \
			      void *to)                                \
	{                                                              \
		struct place *at = to;                                 \
								       \
		return read_switch(p, value, &at->lun->name);          \
	}
LUN_SWITCH(write_cache)
LUN_SWITCH(fua)
LUN_SWITCH(unmap)

static int read_lun(struct json_parse *p, yyjson_val *value, void *to)
{
	static const struct json_key keys[] = {
		{ "lun", true, lun_number },
		{ "backend", true, lun_backend },
		{ "read_only", false, lun_read_only },
		{ "vendor", false, lun_vendor },
		{ "product", false, lun_product },
		{ "revision", false, lun_revision },
		{ "serial", false, lun_serial },
		{ "device_id", false, lun_device_id },
		{ "rotation", false, lun_rotation },
		{ "physical_block_size", false, lun_physical_block },
		{ "write_cache", false, lun_write_cache },
		{ "fua", false, lun_fua },
		{ "unmap", false, lun_unmap },
		{ NULL, false, NULL },
	};
	struct place *at = to;
	struct settings_controller *c = at->controller;
	int ret;

	at->lun = &c->lun[c->nr_luns];
	ret = json_read_object(p, value, keys, at);
	if (ret)
		return ret;
	for (unsigned int i = 0; i < c->nr_luns; i++)
		if (c->lun[i].lun == at->lun->lun) {
			json_push(p, "lun");
			return json_wrong(p, "another LUN has this number");
		}
	c->nr_luns++;
	return 0;
}

/* ---- a controller ---- */

static int controller_instance(struct json_parse *p, yyjson_val *value,
			       void *to)
{
	struct place *at = to;

	return json_read_guid(p, value, &at->controller->instance);
}

static int controller_depth(struct json_parse *p, yyjson_val *value, void *to)
{
	struct place *at = to;
	uint64_t n;
	int ret = json_read_number(p, value, 1, 1024, &n);

	if (!ret)
		at->controller->queue_depth = (uint16_t)n;
	return ret;
}

static int controller_sub_channels(struct json_parse *p, yyjson_val *value,
				   void *to)
{
	struct place *at = to;
	uint64_t n;
	int ret = json_read_number(p, value, 0, 63, &n);

	if (!ret)
		at->controller->sub_channels = (uint16_t)n;
	return ret;
}

static int controller_max_transfer(struct json_parse *p, yyjson_val *value,
				   void *to)
{
	struct place *at = to;
	uint64_t n;
	int ret = json_read_number(p, value, 64, DEFAULT_MAX_TRANSFER_KIB, &n);

	if (!ret && n & (n - 1))
		ret = json_wrong(p, "must be a power of two");
	if (!ret)
		at->controller->max_transfer_kib = (uint16_t)n;
	return ret;
}

static int controller_luns(struct json_parse *p, yyjson_val *value, void *to)
{
	return json_read_array(p, value, SETTINGS_MAX_LUNS,
			       "must have at most 64 LUNs", read_lun, to);
}

int settings_read_controller(struct json_parse *p, yyjson_val *value, void *to)
{
	static const struct json_key keys[] = {
		{ "instance", true, controller_instance },
		{ "queue_depth", false, controller_depth },
		{ "sub_channels", false, controller_sub_channels },
		{ "max_transfer_kib", false, controller_max_transfer },
		{ "luns", true, controller_luns },
		{ NULL, false, NULL },
	};
	struct settings *s = to;
	struct settings_controller *c = &s->controller[s->nr_controllers];
	struct place at = { .settings = s, .controller = c };
	int ret;

	c->queue_depth = DEFAULT_QUEUE_DEPTH;
	c->max_transfer_kib = DEFAULT_MAX_TRANSFER_KIB;
	ret = json_read_object(p, value, keys, &at);
	if (ret)
		return ret;
	for (unsigned int i = 0; i < s->nr_controllers; i++)
		if (guid_equal(&s->controller[i].instance, &c->instance)) {
			json_push(p, "instance");
			return json_wrong(p,
					  "another controller has this GUID");
		}
	s->nr_controllers++;
	return 0;
}

/* ---- comparing ---- */

bool settings_same_lun(const struct settings *a, const struct settings_lun *la,
		       const struct settings *b, const struct settings_lun *lb)
{
	struct settings_lun x = *la, y = *lb;

	/* Where the devices stand does not matter, which they are does. */
	x.first_device = y.first_device = 0;
	if (memcmp(&x, &y, sizeof(x)))
		return false;
	for (unsigned int i = 0; i < x.nr_devices; i++)
		if (!same_device(&a->device[la->first_device + i],
				 &b->device[lb->first_device + i]))
			return false;
	return true;
}
