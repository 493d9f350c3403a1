/* SPDX-License-Identifier: MIT */
/* The VP of mmio_vp.h. Every callback asserts that it is asked for what a
 * device, a page of RAM or a port can do. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mmio_vp.h"

struct mmio_vp vp;

static uint64_t get_gp(void *opaque, unsigned int n)
{
	assert_ptr_equal(opaque, &vp);
	assert_true(n < 16);
	return vp.gp[n];
}

static void set_gp(void *opaque, unsigned int n, uint64_t value)
{
	assert_ptr_equal(opaque, &vp);
	assert_true(n < 16);
	vp.gp[n] = value;
}

static void set_rip(void *opaque, uint64_t rip)
{
	(void)opaque;
	vp.rip = rip;
}

static void set_rflags(void *opaque, uint64_t rflags)
{
	(void)opaque;
	vp.rflags = rflags;
}

static uint8_t *place(uint64_t gpa, unsigned int size)
{
	assert_true(size == 1 || size == 2 || size == 4 || size == 8);
	assert_true(gpa % 4096 + size <= 4096);
	if (gpa >= RAM_GPA && gpa < RAM_GPA + sizeof(vp.ram))
		return vp.ram + (gpa - RAM_GPA);
	assert_true(gpa >= PAGE && gpa < PAGE + sizeof(vp.page));
	return vp.page + (gpa - PAGE);
}

static bool is_ram(void *opaque, uint64_t gpa)
{
	(void)opaque;
	return gpa >= RAM_GPA && gpa - RAM_GPA < sizeof(vp.ram);
}

static uint64_t read_memory(void *opaque, uint64_t gpa, unsigned int size)
{
	uint64_t value = 0;

	memcpy(&value, place(gpa, size), size);
	if (!is_ram(opaque, gpa)) {
		vp.reads++;
		vp.last_size = size;
	}
	return value;
}

static void write_memory(void *opaque, uint64_t gpa, unsigned int size,
			 uint64_t value)
{
	memcpy(place(gpa, size), &value, size);
	if (!is_ram(opaque, gpa)) {
		vp.writes++;
		vp.last_size = size;
	}
}

static void lock(void *opaque)
{
	(void)opaque;
	assert_false(vp.locked);
	vp.locked = true;
	vp.locks++;
}

static void unlock(void *opaque)
{
	(void)opaque;
	assert_true(vp.locked);
	vp.locked = false;
}

static uint64_t segment_base(void *opaque, enum mmio_segment segment)
{
	(void)opaque;
	assert_in_range(segment, MMIO_ES, MMIO_GS);
	return vp.base[segment];
}

static int translate(void *opaque, uint64_t gva, bool write, uint64_t *gpa)
{
	(void)opaque;
	if (gva >= DEVICE_GVA && gva - DEVICE_GVA < 4096) {
		*gpa = PAGE + gva - DEVICE_GVA;
		return 0;
	}
	if (gva >= RAM_GVA && gva - RAM_GVA < sizeof(vp.ram))
		*gpa = RAM_GPA + gva - RAM_GVA;
	else if (gva >= LOW_GVA && gva - LOW_GVA < sizeof(vp.ram))
		*gpa = RAM_GPA + gva - LOW_GVA;
	else
		goto fault;
	if (!write || !vp.read_only)
		return 0;
fault:
	vp.fault_gva = gva;
	vp.fault_write = write;
	return -EFAULT;
}

static uint64_t port_read(void *opaque, uint16_t number, unsigned int size)
{
	(void)opaque;
	assert_int_equal(number, PORT);
	vp.port_size = size;
	vp.gets++;
	return vp.next++;
}

static void port_write(void *opaque, uint16_t number, unsigned int size,
		       uint64_t value)
{
	(void)opaque;
	assert_int_equal(number, PORT);
	assert_true(size == 4 || !(value >> (8 * size)));
	vp.port_size = size;
	vp.put[vp.puts++ % 4096] = (uint32_t)value;
}

const struct mmio_ops ops = {
	.get_gp = get_gp,
	.set_gp = set_gp,
	.set_rip = set_rip,
	.set_rflags = set_rflags,
	.read = read_memory,
	.write = write_memory,
	.lock = lock,
	.unlock = unlock,
	.segment_base = segment_base,
	.translate = translate,
	.is_ram = is_ram,
	.port_read = port_read,
	.port_write = port_write,
};

int reset(void **state)
{
	(void)state;
	memset(&vp, 0, sizeof(vp));
	for (unsigned int i = 0; i < 16; i++)
		vp.gp[i] = 0x1111111111111111ull * i;
	vp.rip = RIP;
	return 0;
}

void set_device(uint64_t value)
{
	memcpy(vp.page + (GPA - PAGE), &value, sizeof(value));
}

uint64_t device(void)
{
	uint64_t value;

	memcpy(&value, vp.page + (GPA - PAGE), sizeof(value));
	return value;
}

int emulate_at(enum mmio_mode mode, uint64_t gpa, const char *code, size_t size)
{
	struct mmio_instruction in = {
		.mode = mode,
		.code = (const uint8_t *)code,
		.code_size = (unsigned int)size,
		.rip = vp.rip,
		.rflags = vp.rflags,
		.gpa = gpa,
	};

	return mmio_emulate(&in, &ops, &vp);
}

int emulate_port(enum mmio_mode mode, const char *code, size_t size)
{
	struct mmio_instruction in = {
		.mode = mode,
		.code = (const uint8_t *)code,
		.code_size = (unsigned int)size,
		.rip = vp.rip,
		.rflags = vp.rflags,
		.port = PORT,
	};

	return mmio_emulate_port(&in, &ops, &vp);
}
