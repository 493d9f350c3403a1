// SPDX-License-Identifier: MIT
/*
 * Settings of NICs, theory of operation
 *
 * A NIC is a device of VTL0's VMBus and stands on one backend, which nobody
 * else has: an instance, an address, a vport or a tap comes once. What was left
 * out is zero and decided when the backend is open. No thread, no state.
 */
#include <stdio.h>
#include <string.h>

#include "settings_json.h"
#include "settings_nics.h"

/* Backends. */

static int mana_device(struct json_parse *p, yyjson_val *value, void *to)
{
	struct settings_nic *nic = to;

	return json_read_guid(p, value, &nic->device);
}

static int mana_vport(struct json_parse *p, yyjson_val *value, void *to)
{
	struct settings_nic *nic = to;
	uint64_t n;
	int ret = json_read_number(p, value, 0, 15, &n);

	if (!ret)
		nic->vport = (uint8_t)n;
	return ret;
}

static int backend_mana(struct json_parse *p, yyjson_val *value, void *to)
{
	static const struct json_key keys[] = {
		{ "device", true, mana_device },
		{ "vport", true, mana_vport },
		{ NULL, false, NULL },
	};
	struct settings_nic *nic = to;

	nic->kind = SETTINGS_MANA;
	return json_read_object(p, value, keys, to);
}

static int tap_name(struct json_parse *p, yyjson_val *value, void *to)
{
	struct settings_nic *nic = to;
	int ret = json_read_text(p, value, nic->tap, 16);

	if (!ret && strpbrk(nic->tap, "/% "))
		ret = json_wrong(p, "must not have /, % or space");
	return ret;
}

static int backend_tap(struct json_parse *p, yyjson_val *value, void *to)
{
	static const struct json_key keys[] = {
		{ "name", true, tap_name }, { NULL, false, NULL },
	};
	struct settings_nic *nic = to;

	nic->kind = SETTINGS_TAP;
	return json_read_object(p, value, keys, to);
}

static int backend_loopback(struct json_parse *p, yyjson_val *value, void *to)
{
	static const struct json_key none[] = { { NULL, false, NULL } };
	struct settings_nic *nic = to;

	nic->kind = SETTINGS_LOOPBACK;
	return json_read_object(p, value, none, to);
}

static int nic_backend(struct json_parse *p, yyjson_val *value, void *to)
{
	static const struct json_key keys[] = {
		{ "mana", false, backend_mana },
		{ "tap", false, backend_tap },
		{ "loopback", false, backend_loopback },
		{ NULL, false, NULL },
	};

	return json_read_choice(p, value, keys, to);
}

/* The others. */

static int nic_instance(struct json_parse *p, yyjson_val *value, void *to)
{
	struct settings_nic *nic = to;

	return json_read_guid(p, value, &nic->instance);
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c | 0x20) : NULL;

	return at ? (int)(at - digits) : -1;
}

static int nic_mac(struct json_parse *p, yyjson_val *value, void *to)
{
	static const char rule[] = "must be an address, xx:xx:xx:xx:xx:xx";
	struct settings_nic *nic = to;
	const char *text = yyjson_get_str(value);

	if (!text || yyjson_get_len(value) != 17)
		return json_wrong(p, rule);
	for (unsigned int i = 0; i < 6; i++) {
		int high = hex_digit(text[3 * i]);
		int low = hex_digit(text[3 * i + 1]);

		if (high < 0 || low < 0 || (i < 5 && text[3 * i + 2] != ':'))
			return json_wrong(p, rule);
		nic->mac[i] = (uint8_t)(high << 4 | low);
	}
	if (nic->mac[0] & 1)
		return json_wrong(p, "must be the address of one station");
	nic->has_mac = true;
	return 0;
}

static int nic_queues(struct json_parse *p, yyjson_val *value, void *to)
{
	struct settings_nic *nic = to;
	uint64_t n;
	int ret = json_read_number(p, value, 1, 64, &n);

	if (!ret && n & (n - 1))
		ret = json_wrong(p, "must be a power of two");
	if (!ret)
		nic->queues = (uint8_t)n;
	return ret;
}

static int nic_mtu(struct json_parse *p, yyjson_val *value, void *to)
{
	struct settings_nic *nic = to;
	uint64_t n;
	int ret = json_read_number(p, value, 576, 9000, &n);

	if (!ret)
		nic->mtu = (uint16_t)n;
	return ret;
}

static int nic_nvsp(struct json_parse *p, yyjson_val *value, void *to)
{
	static const struct {
		const char *text;
		uint16_t version;
	} versions[] = {
		{ "1", 0x100 }, { "2", 0x200 }, { "4", 0x400 },
		{ "5", 0x500 }, { "6", 0x600 }, { "6.1", 0x601 },
	};
	struct settings_nic *nic = to;

	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		if (!yyjson_equals_str(value, versions[i].text))
			continue;
		nic->nvsp = versions[i].version;
		return 0;
	}
	return json_wrong(p, "must be a version of NVSP: "
			     "\"1\", \"2\", \"4\", \"5\", \"6\", \"6.1\"");
}

static int read_limit(struct json_parse *p, yyjson_val *value, uint32_t *to)
{
	uint64_t n;
	int ret = json_read_number(p, value, 10, 100000, &n);

	if (!ret)
		*to = (uint32_t)n;
	return ret;
}

static int limit_tx(struct json_parse *p, yyjson_val *value, void *to)
{
	return read_limit(p, value, &((struct settings_nic *)to)->tx_mbps);
}

static int limit_rx(struct json_parse *p, yyjson_val *value, void *to)
{
	return read_limit(p, value, &((struct settings_nic *)to)->rx_mbps);
}

static int nic_limits(struct json_parse *p, yyjson_val *value, void *to)
{
	static const struct json_key keys[] = {
		{ "tx_mbps", false, limit_tx },
		{ "rx_mbps", false, limit_rx },
		{ NULL, false, NULL },
	};

	return json_read_object(p, value, keys, to);
}

static int nic_offloads(struct json_parse *p, yyjson_val *value, void *to)
{
	struct settings_nic *nic = to;
	bool on;
	int ret = json_read_bool(p, value, &on);

	if (!ret)
		nic->offloads = on;
	return ret;
}

bool settings_same_backend(const struct settings_nic *a,
			   const struct settings_nic *b)
{
	if (a->kind != b->kind)
		return false;
	if (a->kind == SETTINGS_MANA)
		return a->vport == b->vport &&
		       guid_equal(&a->device, &b->device);
	return a->kind == SETTINGS_TAP && !strcmp(a->tap, b->tap);
}

/* Has another NIC what only one can have? */
static int check_alone(struct json_parse *p, const struct settings *s,
		       const struct settings_nic *nic)
{
	for (unsigned int i = 0; i < s->nr_nics; i++) {
		const struct settings_nic *other = &s->nic[i];

		if (guid_equal(&other->instance, &nic->instance)) {
			json_push(p, "instance");
			return json_wrong(p, "another NIC has this GUID");
		}
		if (nic->has_mac && other->has_mac &&
		    !memcmp(nic->mac, other->mac, sizeof(nic->mac))) {
			json_push(p, "mac");
			return json_wrong(p, "another NIC has this address");
		}
		if (settings_same_backend(other, nic)) {
			json_push(p, "backend");
			return json_wrong(p, "another NIC has this backend");
		}
	}
	return 0;
}

int settings_read_nic(struct json_parse *p, yyjson_val *value, void *to)
{
	static const struct json_key keys[] = {
		{ "instance", true, nic_instance },
		{ "backend", true, nic_backend },
		{ "mac", false, nic_mac },
		{ "queues", false, nic_queues },
		{ "mtu", false, nic_mtu },
		{ "offloads", false, nic_offloads },
		{ "nvsp", false, nic_nvsp },
		{ "limits", false, nic_limits },
		{ NULL, false, NULL },
	};
	struct settings *s = to;
	struct settings_nic *nic = &s->nic[s->nr_nics];
	int ret;

	nic->offloads = true;
	ret = json_read_object(p, value, keys, nic);
	if (!ret)
		ret = check_alone(p, s, nic);
	if (!ret)
		s->nr_nics++;
	return ret;
}

bool settings_same_nic(const struct settings_nic *a,
		       const struct settings_nic *b)
{
	return !memcmp(a, b, offsetof(struct settings_nic, tx_mbps));
}
