// SPDX-License-Identifier: MIT
/*
 * Settings: the input is the JSON text.
 *
 * A mistake gets exactly one line and leaves the structure alone; what is
 * taken is taken without a line, within the bounds that settings.h promises.
 * No key or value has a NUL in it, so no good text has one.
 */
#include <errno.h>
#include <string.h>

#include "paravisor/settings.h"
#include "test/fuzz/fuzz.h"

#define UNTOUCHED 0xa5

static void check_text(const char *text, size_t size)
{
	fuzz_expect(memchr(text, 0, size), size, 0);
	for (; *text; text++)
		fuzz_expect(*text >= ' ' && *text <= '~', *text, size);
}

/* Its run of devices, after all runs before it. */
static void check_devices(const struct settings *s,
			  const struct settings_lun *lun, unsigned int *next)
{
	fuzz_expect(!lun->nr_devices || lun->first_device == *next,
		    lun->first_device, *next);
	*next += lun->nr_devices;
	fuzz_expect(*next <= s->nr_devices, *next, s->nr_devices);
	fuzz_expect(lun->nr_devices <= SETTINGS_MAX_STRIPE, lun->nr_devices, 0);
	fuzz_expect(lun->nr_devices || lun->dvd, lun->lun, 0);
	if (lun->nr_devices > 1)
		fuzz_expect(lun->chunk_kib >= SETTINGS_MIN_CHUNK_KIB &&
			    lun->chunk_kib <= SETTINGS_MAX_CHUNK_KIB &&
			    !(lun->chunk_kib & (lun->chunk_kib - 1)),
			    lun->chunk_kib, lun->lun);
}

static void check_luns(const struct settings *s,
		       const struct settings_controller *c, unsigned int *next)
{
	uint64_t seen = 0;

	fuzz_expect(c->queue_depth >= 1 && c->queue_depth <= 1024,
		    c->queue_depth, 0);
	fuzz_expect(c->sub_channels <= 63, c->sub_channels, 0);
	fuzz_expect(c->nr_luns <= SETTINGS_MAX_LUNS, c->nr_luns, 0);
	for (unsigned int i = 0; i < c->nr_luns; i++) {
		const struct settings_lun *lun = &c->lun[i];

		fuzz_expect(lun->lun < SETTINGS_MAX_LUNS, lun->lun, i);
		fuzz_expect(!(seen & 1ull << lun->lun), lun->lun, i);
		seen |= 1ull << lun->lun;
		check_devices(s, lun, next);
		check_text(lun->vendor, sizeof(lun->vendor));
		check_text(lun->product, sizeof(lun->product));
		check_text(lun->revision, sizeof(lun->revision));
		check_text(lun->serial, sizeof(lun->serial));
	}
}

static void check(const struct settings *s)
{
	unsigned int next = 0;

	fuzz_expect(s->nr_controllers <= SETTINGS_MAX_CONTROLLERS,
		    s->nr_controllers, 0);
	for (unsigned int i = 0; i < s->nr_controllers; i++) {
		check_luns(s, &s->controller[i], &next);
		for (unsigned int k = 0; k < i; k++)
			fuzz_expect(!guid_equal(&s->controller[i].instance,
						&s->controller[k].instance),
				    i, k);
	}
	fuzz_expect(next == s->nr_devices && next <= SETTINGS_MAX_DEVICES,
		    next, s->nr_devices);
	fuzz_expect(s->nr_modules <= SETTINGS_MAX_MODULES, s->nr_modules, 0);
	for (unsigned int i = 0; i < s->nr_modules; i++) {
		const char *name = s->module[i].name;

		fuzz_expect(*name && memchr(name, 0, SETTINGS_MODULE_NAME), i,
			    0);
		fuzz_expect(s->module[i].level <= LOG_DEBUG,
			    s->module[i].level, i);
		for (unsigned int k = 0; k < i; k++)
			fuzz_expect(strcmp(name, s->module[k].name), i, k);
	}
}

/* Is there an escape \u0000? */
static bool has_nul(const uint8_t *json, size_t size)
{
	for (size_t i = 0; i + 6 <= size; i++)
		if (json[i] == '\\') {
			if (!memcmp(json + i + 1, "u0000", 5))
				return true;
			i++;
		}
	return false;
}

void fuzz_one(struct fuzz_input *in)
{
	static struct settings s, untouched;
	char error[SETTINGS_ERROR_SIZE] = "";
	size_t size;
	const uint8_t *json = fuzz_rest(in, SIZE_MAX, &size);
	int err;

	memset(&s, UNTOUCHED, sizeof(s));
	memset(&untouched, UNTOUCHED, sizeof(s));
	err = settings_parse((const char *)json, size, &s, error);
	if (!err) {
		fuzz_expect(!fuzz_log_lines(), fuzz_log_lines(), 0);
		fuzz_expect(!has_nul(json, size), 0, 0);
		check(&s);
		fuzz_accept();
		return;
	}
	fuzz_expect(err == -EINVAL, err, 0);
	fuzz_expect(fuzz_log_lines() == 1, fuzz_log_lines(), 0);
	fuzz_expect(*error && memchr(error, 0, sizeof(error)), *error, 0);
	fuzz_expect(!memcmp(&s, &untouched, sizeof(s)), 0, 0);
}
