// SPDX-License-Identifier: MIT
/*
 * MMIO and port emulation: any instruction, any registers.
 *
 * Input: mode (its top bit: a port's instead of a device register's), offset of
 * the access in its page, RIP, RFLAGS, what devices and RAM read as, 16 general
 * registers, then up to 15 bytes of code.
 *
 * The guest's linear addresses are of three kinds, by two bits above the page:
 * one page in four has no translation, one is the device's, two are RAM.
 *
 * A refusal has touched neither device nor VP. Otherwise all saw accesses of 1,
 * 2, 4 or 8 bytes, no wider value, each inside its page; the bus is not left
 * locked; flags that no instruction here can change are as before; RIP moved by
 * the length of an instruction, or not at all, in the middle of a repeated one.
 */
#include <errno.h>
#include <string.h>

#include "paravisor/mmio.h"
#include "test/fuzz/fuzz.h"

#define DEVICE 0xfec00000ull
#define RAM 0x100000ull
#define RAM_SIZE 0x100000ull
#define PORT 0x3f8u
#define NOT_THERE (-EFAULT)
#define STATUS_FLAGS 0x8d5ull /* OF SF ZF AF PF CF */
#define ACCESSES_MOST (3 * 4096u)

static struct vp {
	uint64_t gp[16], rip, rflags;
} vp, before;
static uint64_t reads_as;
static unsigned int accesses;
static int locks;

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

static bool is_ram(void *opaque, uint64_t gpa)
{
	(void)opaque;
	return gpa >= RAM && gpa - RAM < RAM_SIZE;
}

static void check_access(uint64_t gpa, unsigned int size)
{
	fuzz_expect(size == 1 || size == 2 || size == 4 || size == 8, size, 0);
	fuzz_expect(is_ram(NULL, gpa) || gpa / 4096 == DEVICE / 4096, gpa,
		    size);
	fuzz_expect(gpa % 4096 + size <= 4096, gpa, size);
	fuzz_expect(accesses++ < ACCESSES_MOST, accesses, 0);
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

static void lock(void *opaque)
{
	(void)opaque;
	locks++;
}

static void unlock(void *opaque)
{
	(void)opaque;
	fuzz_expect(locks-- > 0, (uint64_t)locks, 0);
}

static uint64_t segment_base(void *opaque, enum mmio_segment segment)
{
	(void)opaque;
	fuzz_expect(segment <= MMIO_GS, segment, 0);
	return segment >= MMIO_FS ? 0x1000 : 0;
}

static int translate(void *opaque, uint64_t gva, bool write, uint64_t *gpa)
{
	(void)opaque;
	(void)write;
	switch (gva >> 12 & 3) {
	case 0:
		return NOT_THERE;
	case 1:
		*gpa = DEVICE + gva % 4096;
		return 0;
	default:
		*gpa = RAM + gva % RAM_SIZE;
		return 0;
	}
}

static uint64_t port_read(void *opaque, uint16_t port, unsigned int size)
{
	(void)opaque;
	fuzz_expect(port == PORT && (size == 1 || size == 2 || size == 4), port,
		    size);
	fuzz_expect(accesses++ < ACCESSES_MOST, accesses, 0);
	return reads_as += 0x0101010101010101ull;
}

static void port_write(void *opaque, uint16_t port, unsigned int size,
		       uint64_t value)
{
	(void)opaque;
	fuzz_expect(port == PORT && (size == 1 || size == 2 || size == 4), port,
		    size);
	fuzz_expect(value >> 8 * size == 0, value, size);
	fuzz_expect(accesses++ < ACCESSES_MOST, accesses, 0);
}

void fuzz_one(struct fuzz_input *in)
{
	static const struct mmio_ops ops = {
		.get_gp = get_gp, .set_gp = set_gp, .set_rip = set_rip,
		.set_rflags = set_rflags, .read = device_read,
		.write = device_write, .lock = lock, .unlock = unlock,
		.segment_base = segment_base, .translate = translate,
		.is_ram = is_ram, .port_read = port_read,
		.port_write = port_write,
	};
	uint8_t mode = (uint8_t)fuzz_number(in, 1);
	struct mmio_instruction i = {
		.mode = mode % 3,
		.gpa = DEVICE + fuzz_number(in, 2) % 4096,
		.port = PORT,
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
	rc = mode & 0x80 ? mmio_emulate_port(&i, &ops, &vp) :
			   mmio_emulate(&i, &ops, &vp);

	fuzz_expect(!locks, (uint64_t)locks, 0);
	if (rc) {
		fuzz_expect(rc == -EINVAL || rc == -EOPNOTSUPP ||
				    rc == NOT_THERE, rc, 0);
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
