/* SPDX-License-Identifier: MIT */
/* Metrics over HTTP: what `lodge metrics` prints, at the address that the settings name. One thread. */
#include <errno.h>
#include <lib/metrics.h>
#include <lodged/exporter.h>
#include <lodged/http.h>
#include <lodged/log.h>
#include <lodged/methods.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE_MS	10000
#define FRESH_MS	1000
#define RETRY_S		30

static struct conf conf;

static int make(char **text, size_t *len, void *unused)
{
	json_t *params = json_object(), *stats = NULL;
	struct session s;
	struct err e;
	FILE *out;
	int rc = session_open(&s, false, &e);

	if (!rc) {
		rc = method_stats(&s, params, &stats, &e);
		session_close(&s);
	}
	json_decref(params);
	if (rc) {
		log_err("metrics", &e);
		return rc;
	}
	out = open_memstream(text, len);
	if (out)
		metrics_write(out, stats);
	json_decref(stats);
	return out && !fclose(out) ? 0 : -ENOMEM;
}

static void *exporter_thread(void *unused)
{
	struct http h = { .patience_ms = PATIENCE_MS, .fresh_ms = FRESH_MS, .type = METRICS_TYPE, .make = make };
	bool told = false;
	struct err e;

	while ((h.fd = http_listen(conf.metrics_address, (uint16_t)conf.metrics_port, &e)) < 0) {
		/* The address may come later, and a program that has it go. */
		if (!told)
			log_err("metrics", &e);
		told = true;
		sleep(RETRY_S);
	}
	log_line("metrics: http://%s%s%s:%u/metrics", strchr(conf.metrics_address, ':') ? "[" : "", conf.metrics_address,
		strchr(conf.metrics_address, ':') ? "]" : "", conf.metrics_port);
	http_serve(&h);
	return NULL;
}

void exporter_start(const struct conf *c)
{
	pthread_t t;
	int rc;

	conf = *c;
	if (!conf.metrics_port)
		return;
	rc = pthread_create(&t, NULL, exporter_thread, NULL);
	if (rc)
		log_line("metrics: no thread: %s", strerror(rc));
}
