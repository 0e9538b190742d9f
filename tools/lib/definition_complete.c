/* SPDX-License-Identifier: MIT */
/* What a definition does not say: identity and limits, the same each time it is used. */
#include <lib/definition.h>
#include <lib/small_file.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uuid/uuid.h>

#define MACHINE_ID	"/etc/machine-id"

/* This machine's identity as a UUID; made of the host name where there is no machine id. */
static void machine_uuid(uuid_t out)
{
	static const uuid_t lodge = { 0x5b, 0x1c, 0x0d, 0x9e, 0x3f, 0x27, 0x4a, 0x61, 0x9c, 0x54, 0x0e, 0x83, 0xd6, 0x70, 0xb8, 0x42 };
	char id[33] = "", text[37], host[256] = "";
	ssize_t n = small_file_read(MACHINE_ID, id, sizeof(id));

	snprintf(text, sizeof(text), "%.8s-%.4s-%.4s-%.4s-%.12s", id, id + 8, id + 12, id + 16, id + 20);
	if (n == 32 && uuid_parse(text, out) == 0)
		return;
	gethostname(host, sizeof(host) - 1);
	uuid_generate_sha1(out, lodge, host, strlen(host));
}

static bool mac_taken(const struct definition *d, const char *mac)
{
	for (size_t i = 0; i < d->nnics; i++)
		if (d->nics[i].mac && strcmp(d->nics[i].mac, mac) == 0)
			return true;
	return false;
}

int definition_number_nics(struct definition *d, struct err *e)
{
	for (size_t i = 1; i < d->nnics; i++) {
		uint32_t before = d->nics[i - 1].devid;

		if (d->nics[i].devid == 0)
			d->nics[i].devid = before + 1;
		if (d->nics[i].devid <= before || d->nics[i].devid > NIC_DEVID_MAX)
			return err_set(e, EINVAL, "bad-definition", "vif: found devid=%u behind %u, expected numbers that rise, at most %d",
				d->nics[i].devid, before, NIC_DEVID_MAX);
	}
	if (d->nnics && d->nics[0].devid > NIC_DEVID_MAX)
		return err_set(e, EINVAL, "bad-definition", "vif: found devid=%u, expected at most %d", d->nics[0].devid, NIC_DEVID_MAX);
	return 0;
}

/* From UUID and number; the ABI's prefix, and the lower half of what is below it, where software assigns addresses. */
static int set_mac(struct definition *d, size_t index, struct err *e)
{
	char text[32], mac[18];
	uuid_t hash;

	for (unsigned attempt = 0;; attempt++) {
		int len = snprintf(text, sizeof(text), "mac %u %u", d->nics[index].devid, attempt);

		uuid_generate_sha1(hash, d->uuid, text, (size_t)len);
		snprintf(mac, sizeof(mac), "00:16:3e:%02x:%02x:%02x", hash[0] & 0x7f, hash[1], hash[2]);
		if (!mac_taken(d, mac))
			break;
	}
	d->nics[index].mac = strdup(mac);
	return d->nics[index].mac ? 0 : err_set(e, ENOMEM, "no-memory", "out of memory");
}

int definition_complete(struct definition *d, struct err *e)
{
	int rc;

	if (d->name && uuid_is_null(d->uuid)) {
		uuid_t machine;

		machine_uuid(machine);
		uuid_generate_sha1(d->uuid, machine, d->name, strlen(d->name));
	}
	if (d->vcpus == 0)
		d->vcpus = 1;
	if (d->maxvcpus == 0)
		d->maxvcpus = d->vcpus;
	if (d->maxmem_kib == 0)
		d->maxmem_kib = d->memory_kib;
	rc = definition_number_nics(d, e);
	for (size_t i = 0; i < d->nnics && !rc; i++)
		if (!d->nics[i].mac)
			rc = set_mac(d, i, e);
	if (rc)
		return rc;
	return definition_check(d, NULL, e);
}
