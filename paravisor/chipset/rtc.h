/* SPDX-License-Identifier: MIT */
/*
 * The clock and the memory of a Motorola MC146818A, as PCs have it at ports
 * 0x70 (index) and 0x71 (data). It has no interrupt: alarm and periodic rates
 * are stored and do nothing.
 *
 * Threads: none and no lock; the owner serialises.
 */
#ifndef CHIPSET_RTC_H
#define CHIPSET_RTC_H

#include <stdbool.h>
#include <stdint.h>

#define RTC_PORT 0x70u
#define RTC_PORTS 2u
#define RTC_BYTES 128u

/* As the registers hold it: calendar fields, binary. */
struct rtc_time {
	uint8_t second, minute, hour, weekday, day, month; /* weekday 1-7 */
	uint16_t year;
};

struct rtc {
	int64_t (*wall_clock)(void *opaque); /* Unix time, seconds, UTC */
	void *opaque;
	int64_t offset; /* the guest's clock less wall_clock(), seconds */
	uint8_t index;
	uint8_t ram[RTC_BYTES]; /* all that is not time */
	struct rtc_time stopped; /* while register B holds SET */
};

void rtc_init(struct rtc *rtc, int64_t (*wall_clock)(void *opaque),
	      void *opaque);

/* Ports; the form of a bus region's callbacks. Each byte is an access. */
uint64_t rtc_read(void *rtc, uint64_t offset, unsigned int size);
void rtc_write(void *rtc, uint64_t offset, unsigned int size, uint64_t value);

#endif
