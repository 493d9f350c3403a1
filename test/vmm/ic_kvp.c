// SPDX-License-Identifier: MIT
/*
 * Exchange of keys and values, theory of operation
 *
 * The host reads the guest's pools: item after item until the key is found or
 * the guest says that there are no more. (Asking for one key is only for the
 * pools that are files; what the guest says of itself, as the name of its
 * system, can only be enumerated.)
 *
 * Texts are UTF-16 on the wire and UTF-8 here; a lone surrogate becomes U+FFFD.
 * A guest whose enumeration does not end is left after MAX_ITEMS.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ic_services.h"

#define MAX_ITEMS 256u
/* Linux's driver gives up waiting for its daemon after 30 s, and says so. */
#define ANSWER_S 35

static struct kvp_service *of(struct ic *ic)
{
	return (struct kvp_service *)ic;
}

/* ---- texts ---- */

static char *put_utf8(char *to, uint32_t c)
{
	if (c < 0x80) {
		*to++ = (char)c;
		return to;
	}
	if (c < 0x800) {
		*to++ = (char)(0xc0 | c >> 6);
	} else if (c < 0x10000) {
		*to++ = (char)(0xe0 | c >> 12);
		*to++ = (char)(0x80 | (c >> 6 & 0x3f));
	} else {
		*to++ = (char)(0xf0 | c >> 18);
		*to++ = (char)(0x80 | (c >> 12 & 0x3f));
		*to++ = (char)(0x80 | (c >> 6 & 0x3f));
	}
	*to++ = (char)(0x80 | (c & 0x3f));
	return to;
}

static uint32_t unit(const uint8_t *from, size_t at, size_t size)
{
	return at + 2 <= size ? from[at] | (uint32_t)from[at + 1] << 8 : 0;
}

/* `to` has three bytes for each two of `from`, and one more. Ends at a zero. */
static void read_text(char *to, const uint8_t *from, size_t size)
{
	for (size_t at = 0; unit(from, at, size); at += 2) {
		uint32_t c = unit(from, at, size);
		uint32_t low = unit(from, at + 2, size);

		if (c >= 0xd800 && c < 0xdc00 && low >= 0xdc00 &&
		    low < 0xe000) {
			c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
			at += 2;
		} else if (c >= 0xd800 && c < 0xe000) {
			c = 0xfffd;
		}
		to = put_utf8(to, c);
	}
	*to = '\0';
}

/* NULL, or the rule that the item breaks. */
static const char *read_value(char text[KVP_VALUE_TEXT],
			      const struct ic_kvp_item *item)
{
	uint32_t size = le32_to_cpu(item->value_size);
	uint64_t number = 0;

	switch (le32_to_cpu(item->value_type)) {
	case KVP_TEXT:
		read_text(text, item->value, size);
		return NULL;
	case KVP_U32:
	case KVP_U64:
		if (size != le32_to_cpu(item->value_type))
			return "the guest's value has the wrong size";
		memcpy(&number, item->value, size);
		snprintf(text, KVP_VALUE_TEXT, "%" PRIu64, number);
		return NULL;
	default:
		return "the guest's value has no known type";
	}
}

/* ---- items ---- */

static void end(struct kvp_service *s, const char *error, const char *value)
{
	kvp_done *done = s->done;

	s->done = NULL;
	done(s->opaque, error, value);
}

static const char *ask(struct kvp_service *s);

static void item_came(struct kvp_service *s, const struct ic_kvp_item *item)
{
	char text[KVP_VALUE_TEXT];
	const char *rule;

	_Static_assert(KVP_VALUE_TEXT >= KVP_KEY_TEXT, "for both");
	if (le32_to_cpu(item->key_size) > KVP_KEY_SIZE ||
	    le32_to_cpu(item->value_size) > KVP_VALUE_SIZE) {
		end(s, "the guest's answer has impossible sizes", NULL);
		return;
	}
	read_text(text, item->key, le32_to_cpu(item->key_size));
	if (!strcmp(text, s->key)) {
		rule = read_value(text, item);
		end(s, rule, rule ? NULL : text);
		return;
	}
	if (++s->index == MAX_ITEMS)
		rule = "the guest's list of keys does not end";
	else
		rule = ask(s);
	if (rule)
		end(s, rule, NULL);
}

static void answered(struct ic *ic, const struct ic_answer *answer)
{
	struct kvp_service *s = of(ic);
	struct ic_kvp_item item;

	if (answer->error) {
		end(s, answer->error, NULL);
	} else if (answer->status == IC_NO_MORE_ITEMS) {
		end(s, "key: the guest has none of this name", NULL);
	} else if (answer->status != IC_OK) {
		snprintf(s->error, sizeof(s->error),
			 "the guest cannot: status 0x%08x (is its daemon "
			 "there?)", answer->status);
		end(s, s->error, NULL);
	} else if (answer->size < sizeof(item)) {
		end(s, "the guest's answer is too short", NULL);
	} else {
		memcpy(&item, answer->body, sizeof(item));
		item_came(s, &item);
	}
}

static const char *ask(struct kvp_service *s)
{
	struct ic_kvp_item item = {
		.operation = KVP_ENUMERATE,
		.pool = s->pool,
		.index = cpu_to_le32(s->index),
	};

	return ic_request(&s->ic, &item, sizeof(item), ANSWER_S, answered);
}

int kvp_pool_of(const char *name)
{
	static const char *const names[] = {
		[KVP_EXTERNAL] = "external",
		[KVP_GUEST] = "guest",
		[KVP_AUTO] = "auto",
		[KVP_AUTO_EXTERNAL] = "auto-external",
		[KVP_AUTO_INTERNAL] = "auto-internal",
	};

	for (int i = 0; i < (int)(sizeof(names) / sizeof(names[0])); i++)
		if (!strcmp(names[i], name))
			return i;
	return -1;
}

const char *kvp_service_get(struct kvp_service *s, uint8_t pool,
			    const char *key, kvp_done *done, void *opaque)
{
	const char *why;

	if (s->done)
		return "another key is being asked for";
	if (strlen(key) >= sizeof(s->key))
		return "key: is too long";
	strcpy(s->key, key);
	s->pool = pool;
	s->index = 0;
	why = ask(s);
	if (why)
		return why;
	s->done = done;
	s->opaque = opaque;
	return NULL;
}

static const struct ic_ops ops = {
	.name = "kvp",
	.interface = KVP_INTERFACE,
	.instance = KVP_INSTANCE,
	.type = IC_KVP,
	.versions = { IC_VERSION(4, 0), IC_VERSION(3, 0) },
};

void kvp_service_init(struct kvp_service *s, struct reactor *loop)
{
	*s = (struct kvp_service){ .done = NULL };
	ic_init(&s->ic, &ops, loop);
}
