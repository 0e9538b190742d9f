/* SPDX-License-Identifier: MIT */
/*
 * Machines that `lodge new` has made: a folder each, with its disk and what it is told at its first start, and its definition.
 *
 * A file in the folder marks it while it is being made or removed. The definition is the last to come and the first to go, so
 * that a marked folder with a definition is complete, and one without belongs to nobody.
 */
#ifndef TOOLS_LIB_MACHINE_H
#define TOOLS_LIB_MACHINE_H

#include <jansson.h>
#include <lib/definition.h>

#define MACHINE_DIR		"/var/lib/lodge/machines"
#define MACHINE_DEFINITIONS	DEFINITION_DIR "/vm"
#define MACHINE_DISK		"disk.qcow2"
#define MACHINE_SEED		"seed.img"

/* Where they are. */
struct machine_place {
	const char *dir, *definitions;
};

/* "DIR/NAME/FILE", of a definition's "DIR/NAME"; allocated, NULL: no memory. */
char *machine_path(const struct machine_place *p, const char *name, const char *file);
char *machine_definition(const struct machine_place *p, const char *name);
/* Its folder, marked. "name-taken": there is one, or a definition, of that name. */
int machine_begin(const struct machine_place *p, const char *name, struct err *e);
/* It is complete: write its definition. "name-taken". */
int machine_finish(const struct machine_place *p, const char *name, const char *text, struct err *e);
/* After machine_begin(): nothing is left. */
void machine_undo(const struct machine_place *p, const char *name);
/* "no-such-machine". */
int machine_find(const struct machine_place *p, const char *name, struct err *e);
/* Definition, links to it in the folder auto beside that of definitions, and folder. */
int machine_remove(const struct machine_place *p, const char *name, struct err *e);
/* Finish or undo what was left over by somebody who was killed. */
void machine_sweep(const struct machine_place *p);
/* Names of those whose disks lie upon that file, sorted; new reference. NULL: no memory. */
json_t *machine_upon(const struct machine_place *p, const char *disk);

#endif
