#include "config/schema_parts.h"

#define DAY_MS ((int64_t)24 * 3600 * 1000)

static bool digits(struct span text, size_t at, size_t count, unsigned *value)
{
	*value = 0;
	for (size_t i = at; i < at + count; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
		*value = *value * 10 + (unsigned)(text.ptr[i] - '0');
	}
	return true;
}

static unsigned days_in(unsigned year, unsigned month)
{
	static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return days[month - 1] + (month == 2 && leap ? 1u : 0u);
}

/* "2027-03-31": milliseconds from 1970 to the end of this day, UTC; -1: no such day. */
static int64_t end_of_day(struct span text)
{
	unsigned year, month, day;
	int64_t days = 0;

	if (text.len != 10 || text.ptr[4] != '-' || text.ptr[7] != '-' ||
	    !digits(text, 0, 4, &year) || !digits(text, 5, 2, &month) ||
	    !digits(text, 8, 2, &day))
		return -1;
	if (year < 1970 || month < 1 || month > 12 || day < 1 || day > days_in(year, month))
		return -1;
	for (unsigned y = 1970; y < year; y++)
		days += 337 + days_in(y, 2);
	for (unsigned m = 1; m < month; m++)
		days += days_in(year, m);
	return (days + day) * DAY_MS;
}

static bool is_date(struct span text)
{
	return end_of_day(text) > 0;
}

static const struct schema_format date = {
	.what = "a date such as 2027-03-31",
	.valid = is_date,
	.pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
};

static const struct schema_name mode_names[] = {
	{"observe", CONFIG_WAF_MODE_OBSERVE},
	{"block", CONFIG_WAF_MODE_BLOCK},
	{NULL, 0},
};

static void patch_finish(struct reader *reader, const struct tree_node *node, void *object)
{
	struct config_patch *patch = object;

	if ((patch->template.len > 0) + (patch->rules.len > 0) + (patch->text.len > 0) > 1)
		reader_error(reader, node->where,
			     "a patch has one of 'template', 'rules' and 'text'");
	if (patch->vulnerabilities.count == 0)
		reader_error(reader, node->where, "name the 'vulnerability'");
	else if (!patch->template.len && !patch->rules.len && !patch->text.len)
		patch->template = patch->vulnerabilities.at[0];
	if (patch->expires.len)
		patch->expires_unix_ms = end_of_day(patch->expires);
}

static const struct schema_key patch_keys[] = {
	{KEY("vulnerability", TEXTS, config_patch, vulnerabilities), .flags = SCHEMA_REQUIRED,
	 .format = &format_any, .text = "Ids of what it protects from: CVE, GHSA."},
	{KEY("service", TEXTS, config_patch, services), .format = &format_name,
	 .text = "Only before these services; without, before all."},
	{KEY("operation", TEXTS, config_patch, operations), .format = &format_any,
	 .text = "Only for these operations, of routes or of a contract."},
	{KEY("template", TEXT, config_patch, template), .format = &format_any,
	 .text = "What of the library it is: an id or name; without, the first vulnerability."},
	{KEY("rules", FILE, config_patch, rules),
	 .text = "A file in SecLang, in place of a template."},
	{KEY("text", TEXT, config_patch, text), .format = &format_content,
	 .text = "The same, written here: rules in SecLang."},
	{KEY("mode", ENUM, config_patch, mode), .initial = "block", .names = mode_names,
	 .text = "Observe reports and lets pass. The route's mode goes before."},
	{KEY("expires", TEXT, config_patch, expires), .format = &date,
	 .text = "The last day on which it holds (UTC)."},
	{.name = NULL},
};

const struct schema_object schema_patch = {
	.name = "patch",
	.size = sizeof(struct config_patch),
	.keys = patch_keys,
	.has_where = true,
	.name_offset = offsetof(struct config_patch, name),
	.finish = patch_finish,
};
