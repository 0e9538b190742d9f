/* SPDX-License-Identifier: MIT */
/* The battery-backed clock (MC146818 and compatibles) and its CMOS memory. */
#ifndef CORE_RTC_H
#define CORE_RTC_H

#include <lib/types.h>

/* CMOS register 0..127; selecting it and the access are one step. Any context. */
u8 rtc_read_register(u8 reg);
void rtc_write_register(u8 reg, u8 value);
/* Keep everybody else away from the chip, for firmware that uses it: interrupts are off until the release. */
u64 __must_check rtc_hold(void);
void rtc_release(u64 flags);
/* The date and time it shows, as seconds since 1970-01-01 UTC (it is taken to run in UTC). 0 when it makes no sense. */
u64 rtc_read_time(void);

#endif
