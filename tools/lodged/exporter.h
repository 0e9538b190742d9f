/* SPDX-License-Identifier: MIT */
/* The metrics over HTTP, if the settings say so. */
#ifndef LODGED_EXPORTER_H
#define LODGED_EXPORTER_H

#include <lodged/conf.h>

void exporter_start(const struct conf *c);

#endif
