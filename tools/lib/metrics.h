/* SPDX-License-Identifier: MIT */
/* Figures of the machine and its guests in Prometheus's text format (version 0.0.4). */
#ifndef LIB_METRICS_H
#define LIB_METRICS_H

#include <jansson.h>
#include <stdio.h>

#define METRICS_TYPE	"text/plain; version=0.0.4; charset=utf-8"

/* stats: what the manager's method of that name answers (docs/api.md). */
void metrics_write(FILE *out, const json_t *stats);

#endif
