/* SPDX-License-Identifier: MIT */
/* The audit of frame references: how modules tell it about the references they hold. */
#ifndef MEMORY_AUDIT_H
#define MEMORY_AUDIT_H

#include <memory/frame.h>

/*
 * The audit (pv/audit.c) counts every reference from scratch and compares with the frame table. A module that keeps
 * references to guests' frames beyond one operation registers a source:
 *
 *   AUDIT_SOURCE(event_arrays, "event arrays", report_event_arrays);
 *
 * fn reports each reference by audit_count() or audit_type(). It runs with all guests stopped and is called several times;
 * it takes no locks.
 */
struct audit_source {
	const char *name;
	void (*fn)(void);
};

#define AUDIT_SOURCE(var, text, function)						\
	static const struct audit_source var __used __section(".audit_sources") __aligned(8) = \
		{ .name = (text), .fn = (function) }

/* One general reference (get_frame). */
void audit_count(mfn_t m);
/* One type reference (frame_get_writable: FRAME_WRITABLE), which includes no general one. */
void audit_type(mfn_t m, enum frame_type type);

#endif
