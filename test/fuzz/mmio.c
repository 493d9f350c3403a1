// SPDX-License-Identifier: MIT
/*
 * MMIO emulation: any instruction, any registers.
 *
 * Input: mode, offset of the access in its page, RIP, RFLAGS, what the device
 * reads as, 16 general registers, then up to 15 bytes of code.
 *
 * A refusal has touched neither device nor VP. Otherwise the device saw
 * accesses of 1, 2, 4 or 8 bytes, no wider value, all within the page of the
 * access; flags that no instruction here can change are as before; RIP moved
 * by the length of an instruction, or not at all, in the middle of a repeated
 * one.
 */
#include <errno.h>
#include <string.h>

#include "paravisor/mmio.h"
#include "test/fuzz/fuzz.h"

#define PAGE 0xfec00000ull
#define STATUS_FLAGS 0x8d5ull /* OF SF ZF AF PF CF */
#define REP_MOST 4096u

static struct vp {
	uint64_t gp[16], rip, rflags;
} vp, before;
static uint64_t reads_as;
static unsigned int accesses;

static uint64_t get_gp(void *opaque, unsigned int n)
{
	fuzz_expect(opaque == &vp && n < 16, n, 0);
	return vp.gp[n];
}

static void set_gp(void *opaque, unsigned int n, uint64_t value)
{
	fuzz_expect(opaque == &vp && n < 16, n, 0);
	vp.gp[n] = value;
}

static void set_rip(void *opaque, uint64_t rip)
{
	((struct vp *)opaque)->rip = rip;
}

static void set_rflags(void *opaque, uint64_t rflags)
{
	((struct vp *)opaque)->rflags = rflags;
}

static void check_access(uint64_t gpa, unsigned int size)
{
	fuzz_expect(size == 1 || size == 2 || size == 4 || size == 8, size, 0);
	fuzz_expect(gpa >= PAGE && gpa - PAGE + size <= 4096, gpa, size);
	fuzz_expect(accesses++ < REP_MOST, accesses, 0);
}

static uint64_t device_read(void *opaque, uint64_t gpa, unsigned int size)
{
	(void)opaque;
	check_access(gpa, size);
	return reads_as += 0x0101010101010101ull;
}

static void device_write(void *opaque, uint64_t gpa, unsigned int size,
			 uint64_t value)
{
	(void)opaque;
	check_access(gpa, size);
	fuzz_expect(size == 8 || value >> 8 * size == 0, value, size);
}

void fuzz_one(struct fuzz_input *in)
{
	static const struct mmio_ops can_flags = {
		get_gp, set_gp, set_rip, set_rflags, device_read, device_write,
	};
	static const struct mmio_ops no_flags = {
		get_gp, set_gp, set_rip, NULL, device_read, device_write,
	};
	uint8_t mode = (uint8_t)fuzz_number(in, 1);
	struct mmio_instruction i = {
		.mode = mode % 3,
		.gpa = PAGE + fuzz_number(in, 2) % 4096,
	};
	size_t size;
	uint64_t moved;
	int rc;

	vp.rip = fuzz_number(in, 8);
	vp.rflags = fuzz_number(in, 2) | 2;
	reads_as = fuzz_number(in, 8);
	for (unsigned int n = 0; n < 16; n++)
		vp.gp[n] = fuzz_number(in, 8);
	i.code = fuzz_rest(in, 20, &size);
	i.code_size = (unsigned int)size;
	i.rip = vp.rip;
	i.rflags = vp.rflags;
	before = vp;
	accesses = 0;
	rc = mmio_emulate(&i, mode & 0x80 ? &no_flags : &can_flags, &vp);

	if (rc) {
		fuzz_expect(rc == -EINVAL || rc == -EOPNOTSUPP, rc, 0);
		fuzz_expect(!memcmp(&vp, &before, sizeof(vp)) && !accesses, rc,
			    accesses);
		return;
	}
	fuzz_accept();
	fuzz_expect(!((vp.rflags ^ before.rflags) & ~STATUS_FLAGS), vp.rflags,
		    before.rflags);
	moved = vp.rip - before.rip;
	if (i.mode != MMIO_CODE_64 && moved)
		moved = (uint32_t)moved;
	fuzz_expect(moved <= 15 && moved <= size, vp.rip, before.rip);
}
