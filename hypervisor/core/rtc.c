/* SPDX-License-Identifier: MIT */
/* The battery-backed clock. */
#include <core/acpi.h>
#include <core/console.h>
#include <core/rtc.h>
#include <core/spinlock.h>
#include <core/time.h>
#include <core/timescale.h>
#include <lib/string.h>
#include <x86/io.h>

#define PORT_INDEX	0x70
#define PORT_DATA	0x71

enum {
	RTC_SECONDS = 0,
	RTC_MINUTES = 2,
	RTC_HOURS = 4,
	RTC_DAY = 7,
	RTC_MONTH = 8,
	RTC_YEAR = 9,
	RTC_STATUS_A = 10,
	RTC_STATUS_B = 11
};
#define STATUS_A_UPDATING	0x80
#define STATUS_B_24H		0x02
#define STATUS_B_BINARY		0x04
#define HOURS_PM		0x80
/* An update takes up to 2 ms and is announced 244 us ahead. */
#define UPDATE_WAIT_US		4000

struct fields { u8 second, minute, hour, day, month, year, century, pad; };

static DEFINE_SPINLOCK(rtc_lock, LOCK_TIME);

u8 rtc_read_register(u8 reg)
{
	u64 flags = spin_lock_irqsave(&rtc_lock);
	u8 value;

	outb(PORT_INDEX, reg & 0x7f);
	value = inb(PORT_DATA);
	spin_unlock_irqrestore(&rtc_lock, flags);
	return value;
}

void rtc_write_register(u8 reg, u8 value)
{
	u64 flags = spin_lock_irqsave(&rtc_lock);

	outb(PORT_INDEX, reg & 0x7f);
	outb(PORT_DATA, value);
	spin_unlock_irqrestore(&rtc_lock, flags);
}

u64 rtc_hold(void)
{
	return spin_lock_irqsave(&rtc_lock);
}

void rtc_release(u64 flags)
{
	spin_unlock_irqrestore(&rtc_lock, flags);
}

static struct fields read_fields(void)
{
	u8 century = acpi_century_register();

	for (unsigned us = 0; us < UPDATE_WAIT_US && (rtc_read_register(RTC_STATUS_A) & STATUS_A_UPDATING); us += 10)
		time_udelay(10);
	return (struct fields){
		.second = rtc_read_register(RTC_SECONDS),
		.minute = rtc_read_register(RTC_MINUTES),
		.hour = rtc_read_register(RTC_HOURS),
		.day = rtc_read_register(RTC_DAY),
		.month = rtc_read_register(RTC_MONTH),
		.year = rtc_read_register(RTC_YEAR),
		.century = century && century < 0x80 ? rtc_read_register(century) : 0,
	};
}

static u8 from_bcd(u8 v) { return (u8)((v >> 4) * 10 + (v & 0xf)); }

u64 rtc_read_time(void)
{
	struct fields f = read_fields(), again;
	u8 status = rtc_read_register(RTC_STATUS_B);
	bool pm = false;
	unsigned year;

	/* Two equal readings were not torn by an update. */
	for (unsigned i = 0; i < 4; i++) {
		again = read_fields();
		if (!memcmp(&f, &again, sizeof(f)))
			break;
		f = again;
	}
	if (!(status & STATUS_B_24H)) {
		pm = f.hour & HOURS_PM;
		f.hour &= ~HOURS_PM;
	}
	if (!(status & STATUS_B_BINARY)) {
		f.second = from_bcd(f.second);
		f.minute = from_bcd(f.minute);
		f.hour = from_bcd(f.hour);
		f.day = from_bcd(f.day);
		f.month = from_bcd(f.month);
		f.year = from_bcd(f.year);
		f.century = from_bcd(f.century);
	}
	if (!(status & STATUS_B_24H))
		f.hour = (u8)(f.hour % 12 + (pm ? 12 : 0));
	/* Without a century register two digits mean 1970..2069. */
	if (f.century >= 19 && f.century <= 29)
		year = f.century * 100u + f.year;
	else
		year = f.year + (f.year < 70 ? 2000u : 1900u);
	if (f.second > 59 || f.minute > 59 || f.hour > 23 || f.day < 1 || f.day > 31 || f.month < 1 || f.month > 12 ||
		f.year > 99 || year < 1970) {
		log_warn("RTC: unusable time %u-%u-%u %u:%u:%u\n", year, f.month, f.day, f.hour, f.minute, f.second);
		return 0;
	}
	return date_to_seconds(year, f.month, f.day, f.hour, f.minute, f.second);
}
