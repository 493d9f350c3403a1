/* SPDX-License-Identifier: MIT */
/*
 * Real-time clock, theory of operation
 *
 * Owns: 128 bytes of CMOS memory and the difference between the guest's clock
 * and the host's. Time is not kept in registers but computed when read:
 *
 *	running: time = wall_clock() + offset
 *	stopped (register B, SET): time = what was there when SET was written,
 *		with what the guest wrote since; clearing SET makes the offset
 *
 * A time register written while the clock runs is a short stop of its own.
 * Hours are always 24 and the DM bit (binary) is honoured. The update-in-
 * progress bit is never set: an update takes no time.
 *
 * Failure answers: a date that does not exist (31st of February, month 0) is
 * taken as the calendar does: by going on counting. Nothing else can be wrong.
 */
#include <string.h>
#include <time.h>

#include "rtc.h"

enum rtc_register {
	RTC_SECOND = 0x00,
	RTC_MINUTE = 0x02,
	RTC_HOUR = 0x04,
	RTC_WEEKDAY = 0x06,
	RTC_DAY = 0x07,
	RTC_MONTH = 0x08,
	RTC_YEAR = 0x09,
	RTC_A = 0x0a,
	RTC_B = 0x0b,
	RTC_C = 0x0c,
	RTC_D = 0x0d,
	RTC_CENTURY = 0x32, /* where PCs have it; acpi.c tells the guest */
};

#define RTC_A_RESET 0x26u /* 32.768 kHz, 1024 Hz rate */
#define RTC_B_SET 0x80u
#define RTC_B_BINARY 0x04u
#define RTC_B_24_HOURS 0x02u
#define RTC_B_KEPT (RTC_B_SET | RTC_B_BINARY | 0x01u)
#define RTC_D_VALID 0x80u

void rtc_init(struct rtc *rtc, int64_t (*wall_clock)(void *opaque),
	      void *opaque)
{
	memset(rtc, 0, sizeof(*rtc));
	rtc->wall_clock = wall_clock;
	rtc->opaque = opaque;
	rtc->ram[RTC_A] = RTC_A_RESET;
	rtc->ram[RTC_B] = RTC_B_24_HOURS;
}

static struct rtc_time running_time(struct rtc *rtc)
{
	time_t t = rtc->wall_clock(rtc->opaque) + rtc->offset;
	struct tm tm;

	if (!gmtime_r(&t, &tm))
		memset(&tm, 0, sizeof(tm));
	return (struct rtc_time){
		.second = tm.tm_sec,
		.minute = tm.tm_min,
		.hour = tm.tm_hour,
		.weekday = tm.tm_wday + 1,
		.day = tm.tm_mday,
		.month = tm.tm_mon + 1,
		.year = tm.tm_year + 1900,
	};
}

static void start(struct rtc *rtc)
{
	const struct rtc_time *t = &rtc->stopped;
	struct tm tm = {
		.tm_sec = t->second,
		.tm_min = t->minute,
		.tm_hour = t->hour,
		.tm_mday = t->day,
		.tm_mon = t->month - 1,
		.tm_year = t->year - 1900,
	};

	rtc->offset = timegm(&tm) - rtc->wall_clock(rtc->opaque);
}

static uint8_t encode(const struct rtc *rtc, unsigned int value)
{
	if (rtc->ram[RTC_B] & RTC_B_BINARY)
		return value;
	return value / 10 << 4 | value % 10;
}

static unsigned int decode(const struct rtc *rtc, uint8_t byte)
{
	if (rtc->ram[RTC_B] & RTC_B_BINARY)
		return byte;
	return (byte >> 4) * 10 + (byte & 0x0f);
}

static uint8_t time_read(struct rtc *rtc, uint8_t index)
{
	bool stopped = rtc->ram[RTC_B] & RTC_B_SET;
	struct rtc_time t = stopped ? rtc->stopped : running_time(rtc);

	switch (index) {
	case RTC_SECOND:
		return encode(rtc, t.second);
	case RTC_MINUTE:
		return encode(rtc, t.minute);
	case RTC_HOUR:
		return encode(rtc, t.hour);
	case RTC_WEEKDAY:
		return encode(rtc, t.weekday);
	case RTC_DAY:
		return encode(rtc, t.day);
	case RTC_MONTH:
		return encode(rtc, t.month);
	case RTC_YEAR:
		return encode(rtc, t.year % 100);
	default:
		return encode(rtc, t.year / 100 % 100);
	}
}

static void time_write(struct rtc *rtc, uint8_t index, uint8_t byte)
{
	bool stopped = rtc->ram[RTC_B] & RTC_B_SET;
	struct rtc_time *t = &rtc->stopped;
	unsigned int value = decode(rtc, byte);

	if (!stopped)
		*t = running_time(rtc);
	switch (index) {
	case RTC_SECOND:
		t->second = value;
		break;
	case RTC_MINUTE:
		t->minute = value;
		break;
	case RTC_HOUR:
		t->hour = value;
		break;
	case RTC_WEEKDAY:
		t->weekday = value; /* follows from the date when it runs */
		break;
	case RTC_DAY:
		t->day = value;
		break;
	case RTC_MONTH:
		t->month = value;
		break;
	case RTC_YEAR:
		t->year = t->year / 100 * 100 + value % 100;
		break;
	default:
		t->year = value % 100 * 100 + t->year % 100;
	}
	if (!stopped)
		start(rtc);
}

static bool is_time(uint8_t index)
{
	return index == RTC_SECOND || index == RTC_MINUTE ||
	       index == RTC_HOUR || index == RTC_CENTURY ||
	       (index >= RTC_WEEKDAY && index <= RTC_YEAR);
}

static uint8_t register_read(struct rtc *rtc, uint8_t index)
{
	if (is_time(index))
		return time_read(rtc, index);
	if (index == RTC_C)
		return 0; /* no interrupt is ever pending */
	if (index == RTC_D)
		return RTC_D_VALID;
	return rtc->ram[index];
}

static void b_write(struct rtc *rtc, uint8_t value)
{
	bool was = rtc->ram[RTC_B] & RTC_B_SET;

	if (!was && (value & RTC_B_SET))
		rtc->stopped = running_time(rtc);
	/* What the clock cannot do (interrupts, 12 hours) is not kept. */
	rtc->ram[RTC_B] = (value & RTC_B_KEPT) | RTC_B_24_HOURS;
	if (was && !(value & RTC_B_SET))
		start(rtc);
}

static void register_write(struct rtc *rtc, uint8_t index, uint8_t value)
{
	if (is_time(index))
		time_write(rtc, index, value);
	else if (index == RTC_B)
		b_write(rtc, value);
	else if (index == RTC_A)
		rtc->ram[index] = value & 0x7f; /* top bit: in progress */
	else if (index != RTC_C && index != RTC_D)
		rtc->ram[index] = value;
}

uint64_t rtc_read(void *opaque, uint64_t offset, unsigned int size)
{
	struct rtc *rtc = opaque;
	uint64_t value = 0;

	for (unsigned int i = 0; i < size; i++) {
		/* The index port cannot be read. */
		uint8_t byte = offset + i == 1 ?
				       register_read(rtc, rtc->index) : 0xff;

		value |= (uint64_t)byte << (8 * i);
	}
	return value;
}

void rtc_write(void *opaque, uint64_t offset, unsigned int size,
	       uint64_t value)
{
	struct rtc *rtc = opaque;

	for (unsigned int i = 0; i < size; i++) {
		uint8_t byte = value >> (8 * i);

		if (offset + i == 0)
			rtc->index = byte % RTC_BYTES; /* bit 7 masks NMIs */
		else if (offset + i == 1)
			register_write(rtc, rtc->index, byte);
	}
}
