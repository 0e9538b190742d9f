/* SPDX-License-Identifier: MIT */
/* Boot parameters: splitting the command line, finding the rows, and parsers for common kinds of value. */
#include <core/console.h>
#include <core/param.h>
#include <lib/errno.h>
#include <lib/number.h>
#include <lib/string.h>

/*
 * Grammar: words separated by blanks; a word is NAME or NAME=VALUE. Double quotes keep blanks inside a word and are
 * dropped. A bare `--` ends our part of the line (what follows belongs to whoever reads it next). A later word overrides an earlier one.
 */

#define CMDLINE_MAX	2048	/* characters that are kept; the ABI shows guests 1024 */

static char cmdline_kept[CMDLINE_MAX];

const char *params_cmdline(void)
{
	return cmdline_kept;
}

/* Copy the next word of *line, without its quotes, to word. False at the end. */
static bool next_word(const char **line, char *word, size_t size)
{
	const char *s = *line;
	bool quoted = false;
	size_t n = 0;

	while (*s == ' ' || *s == '\t' || *s == '\n' || *s == '\r')
		s++;
	if (!*s)
		return false;
	for (; *s && (quoted || (*s != ' ' && *s != '\t' && *s != '\n' && *s != '\r')); s++) {
		if (*s == '"')
			quoted = !quoted;
		else if (n < size - 1)
			word[n++] = *s;
	}
	word[n] = 0;
	*line = s;
	return true;
}

static const struct boot_param *find(const char *name)
{
	for (const struct boot_param *p = boot_params_start; p < boot_params_end; p++)
		if (strcmp(p->name, name) == 0)
			return p;
	return NULL;
}

static void handle(char *word)
{
	char *eq = strchr(word, '=');
	const char *value = eq ? eq + 1 : "";
	const struct boot_param *p;

	if (eq)
		*eq = 0;
	p = find(word);
	if (!p)
		log_warn("unknown parameter \"%s\" ignored\n", word);
	else if (p->parse(value) != 0)
		log_warn("parameter %s: \"%s\" ignored, expected %s%s%s\n", word, value, word, *p->expected ? "=" : "", p->expected);
}

void params_parse(const char *cmdline)
{
	static char word[CMDLINE_MAX];

	if (strlcpy(cmdline_kept, cmdline, sizeof(cmdline_kept)) >= sizeof(cmdline_kept))
		log_warn("command line cut to %u characters\n", CMDLINE_MAX - 1);
	cmdline = cmdline_kept;
	while (next_word(&cmdline, word, sizeof(word))) {
		if (strcmp(word, "--") == 0)
			break;
		handle(word);
	}
}

int param_bool(const char *value, bool *out)
{
	static const char *const yes[] = { "", "1", "y", "yes", "on", "true", "enable" };
	static const char *const no[] = { "0", "n", "no", "off", "false", "disable" };

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
		if (strcmp(value, yes[i]) == 0) {
			*out = true;
			return 0;
		}
	for (size_t i = 0; i < ARRAY_SIZE(no); i++)
		if (strcmp(value, no[i]) == 0) {
			*out = false;
			return 0;
		}
	return -EINVAL;
}

int param_uint(const char *value, u64 lo, u64 hi, u64 *out)
{
	u64 n;

	if (number_parse_all(value, 0, &n) != 0 || n < lo || n > hi)
		return -EINVAL;
	*out = n;
	return 0;
}

int param_size(const char *value, u64 unit, u64 *out)
{
	const char *end;
	u64 n;

	if (number_parse_size(value, &end, unit, &n) != 0 || *end)
		return -EINVAL;
	*out = n;
	return 0;
}
