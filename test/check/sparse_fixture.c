/* SPDX-License-Identifier: MIT */
/*
 * Two mistakes that sparse must report, each beside the right form, which it
 * must let pass. `make check` fails when it does not: a check that has stopped
 * biting looks like clean code. Never linked into anything.
 */
#include <le.h>
#include <pv/guest_memory.h>

struct wire {
	le32 length;
} __packed;

static uint32_t length_converted(const struct wire *wire)
{
	return le32_to_cpu(wire->length);
}

static uint32_t length_as_it_is(const struct wire *wire)
{
	return wire->length; /* expect: different base types */
}

static uint8_t byte_of_ours(const uint8_t *p)
{
	return *p;
}

static uint8_t byte_of_the_guest(const uint8_t __guest *p)
{
	return *p; /* expect: dereference of noderef */
}

int main(void)
{
	static uint8_t byte;
	static struct wire wire;

	return (int)(length_converted(&wire) + length_as_it_is(&wire)) +
	       byte_of_ours(&byte) +
	       byte_of_the_guest((const uint8_t __guest *)(uintptr_t)8);
}
