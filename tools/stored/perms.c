/* SPDX-License-Identifier: MIT */
/* Permissions of a node: who owns it, and what others may do. */
#include <stored/perms.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xen/xen.h>

static const char letters[] = "nrwb";	/* by bits */

struct perms *perms_alloc(unsigned int n)
{
	struct perms *p = mem_alloc(sizeof(*p) + n * sizeof(p->entry[0]));

	p->refs = 1;
	p->n = n;
	return p;
}

struct perms *perms_ref(struct perms *p)
{
	p->refs++;
	return p;
}

void perms_put(struct perms *p)
{
	if (!p || --p->refs)
		return;
	for (unsigned int i = 0; i < p->n; i++)
		domain_put(p->entry[i].domain);
	free(p);
}

struct perms *perms_with_owner(struct perms *p, struct domain *owner)
{
	if (perms_owner(p) == owner)
		return perms_ref(p);

	struct perms *copy = perms_alloc(p->n);

	for (unsigned int i = 0; i < p->n; i++) {
		copy->entry[i] = p->entry[i];
		if (i == 0)
			copy->entry[i].domain = owner;
		domain_ref(copy->entry[i].domain);
	}
	return copy;
}

unsigned int perms_for(const struct perms *p, const struct domain *d)
{
	if (d->privileged || perms_owner(p) == d || (d->target && perms_owner(p) == d->target))
		return PERM_ALL;
	for (unsigned int i = 1; i < p->n; i++) {
		if (p->entry[i].domain == d || (d->target && p->entry[i].domain == d->target))
			return p->entry[i].bits;
	}
	return p->entry[0].bits;
}

/* One "r5" into *bits and *domid. */
static bool perm_parse(const char *text, u8 *bits, u16 *domid)
{
	const char *letter = *text ? strchr(letters, *text) : NULL;
	char *end;

	if (!letter || !isdigit((unsigned char)text[1]))
		return false;
	unsigned long id = strtoul(text + 1, &end, 10);

	if (*end || id >= DOMID_FIRST_RESERVED)
		return false;
	*bits = (u8)(letter - letters);
	*domid = (u16)id;
	return true;
}

struct perms *perms_parse(const char *text, size_t len)
{
	unsigned int n = 0, i = 0;
	u16 domid;
	u8 bits;

	if (!len || text[len - 1])
		return NULL;
	for (const char *s = text; s < text + len; s += strlen(s) + 1, n++) {
		if (!perm_parse(s, &bits, &domid))
			return NULL;
	}

	struct perms *p = perms_alloc(n);

	for (const char *s = text; s < text + len; s += strlen(s) + 1, i++) {
		perm_parse(s, &bits, &domid);
		p->entry[i] = (struct perm){ domain_get(domid, false), bits };
	}
	return p;
}

void perms_print(const struct perms *p, struct bytes *out)
{
	char text[16];

	for (unsigned int i = 0; i < p->n; i++) {
		int len = snprintf(text, sizeof(text), "%c%u", letters[p->entry[i].bits], p->entry[i].domain->domid);

		bytes_add(out, text, (size_t)len + 1);
	}
}
