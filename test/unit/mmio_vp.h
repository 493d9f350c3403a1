/* SPDX-License-Identifier: MIT */
/*
 * A VP for the tests of the instruction emulator: registers, a device of one
 * page, a few pages of RAM behind linear addresses, and a port.
 */
#ifndef TEST_MMIO_VP_H
#define TEST_MMIO_VP_H

#include <stdbool.h>
#include <stdint.h>

#include "paravisor/mmio.h"

#define PAGE 0xfec00000ull
#define GPA (PAGE + 0x10)
#define RIP 0xffffffff81000000ull

/* RAM, linear and physical; the page behind the last is not mapped. */
#define RAM_PAGES 3u
#define RAM_GVA 0x7f0000001000ull
#define RAM_GPA 0x5000ull
/* In RAM_GVA's space, the device. */
#define DEVICE_GVA 0x7f0000100000ull
/* Where 32-bit and 16-bit code finds the same RAM. */
#define LOW_GVA 0x30000ull

#define PORT 0x2f8u

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9 };

struct mmio_vp {
	uint64_t gp[16], rip, rflags, base[6];
	uint8_t page[4096], ram[RAM_PAGES * 4096];
	unsigned int reads, writes, last_size;
	bool locked;
	unsigned int locks;
	/* Of a refused translation. */
	uint64_t fault_gva;
	bool fault_write, read_only;
	/* What the port was given, and what it gives: next, next + 1, ... */
	uint32_t put[4096], next;
	unsigned int puts, gets, port_size;
};

extern struct mmio_vp vp;
extern const struct mmio_ops ops;

/* Set-up of each test. */
int reset(void **state);

/* The first 8 bytes at GPA. */
void set_device(uint64_t value);
uint64_t device(void);

int emulate_at(enum mmio_mode mode, uint64_t gpa, const char *code,
	       size_t size);
int emulate_port(enum mmio_mode mode, const char *code, size_t size);

#define emulate(code) emulate_at(MMIO_CODE_64, GPA, code, sizeof(code) - 1)
#define emulate32(code) emulate_at(MMIO_CODE_32, GPA, code, sizeof(code) - 1)
#define port(mode, code) emulate_port(mode, code, sizeof(code) - 1)
#define assert_done(code)                                                  \
	do {                                                               \
		assert_int_equal(emulate(code), 0);                        \
		assert_true(vp.rip == RIP + sizeof(code) - 1);             \
	} while (0)
#define assert_refused(code, rc)                                           \
	do {                                                               \
		assert_int_equal(emulate(code), rc);                       \
		assert_true(vp.rip == RIP);                                \
		assert_int_equal(vp.reads + vp.writes, 0);                 \
	} while (0)

#endif
