#include "supply/osv.h"

#include "parse/json.h"

static const struct json_limits limits = {
	.max_depth = 64, .max_string_bytes = (size_t)16 << 20, .max_number_bytes = 128};

struct reader {
	struct arena *arena;
	struct err *err;
	struct span id; /* for messages */
};

static int no_memory(const struct reader *r)
{
	return err_set(r->err, ERR_MEMORY, "advisory %.*s: out of memory", SPAN_ARG(r->id));
}

static int invalid(const struct reader *r, const char *what)
{
	return err_set(r->err, ERR_INVALID, "advisory %.*s: %s", SPAN_ARG(r->id), what);
}

static struct span text_of(const struct json *object, struct span key)
{
	struct span text = SPAN_NONE;

	(void)json_string(json_get(object, key), &text);
	return text;
}

/* The number of items; null and absent count as an empty list, anything else is an error. */
static int count_of(const struct reader *r, const struct json *list, const char *what,
		    uint32_t *count)
{
	*count = 0;
	if (!list || list->type == JSON_NULL)
		return 0;
	if (list->type != JSON_ARRAY)
		return invalid(r, what);
	if (list->array.count > UINT32_MAX / 2)
		return invalid(r, "too long a list");
	*count = (uint32_t)list->array.count;
	return 0;
}

static bool two_digits(struct span s, size_t at, unsigned *value)
{
	if (at + 2 > s.len || s.ptr[at] < '0' || s.ptr[at] > '9' || s.ptr[at + 1] < '0' ||
	    s.ptr[at + 1] > '9')
		return false;
	*value = (unsigned)(s.ptr[at] - '0') * 10 + (unsigned)(s.ptr[at + 1] - '0');
	return true;
}

int64_t osv_time_s(struct span text)
{
	unsigned century, year, month, day, hour = 0, minute = 0, second = 0;
	int64_t y, era, of_era, of_year, days;

	if (!two_digits(text, 0, &century) || !two_digits(text, 2, &year) ||
	    !two_digits(text, 5, &month) || !two_digits(text, 8, &day) || month < 1 ||
	    month > 12 || day < 1 || day > 31)
		return 0;
	if (text.len > 10 && (!two_digits(text, 11, &hour) || !two_digits(text, 14, &minute) ||
			      !two_digits(text, 17, &second)))
		return 0;
	/* Days from the civil date, with years that begin in March. */
	y = (int64_t)century * 100 + year - (month <= 2);
	era = y / 400;
	of_era = y - era * 400;
	of_year = (153 * (int64_t)(month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
	days = era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
	if (days < 0)
		return 0; /* "0001-01-01" stands for a time that is not known */
	return days * 86400 + (int64_t)hour * 3600 + (int64_t)minute * 60 + second;
}

static int read_strings(const struct reader *r, const struct json *list, const char *what,
			struct span **to, uint32_t *count)
{
	if (count_of(r, list, what, count) < 0)
		return -1;
	*to = arena_array(r->arena, struct span, *count + 1);
	if (!*to)
		return no_memory(r);
	for (uint32_t i = 0; i < *count; i++)
		if (!json_string(&list->array.items[i], &(*to)[i]))
			return invalid(r, what);
	return 0;
}

static void read_vectors(const struct json *list, struct span vectors[OSV_SEVERITY_TYPES])
{
	static const struct span types[OSV_SEVERITY_TYPES] = {
		[OSV_CVSS_V2] = SPAN_INIT("CVSS_V2"),
		[OSV_CVSS_V3] = SPAN_INIT("CVSS_V3"),
		[OSV_CVSS_V4] = SPAN_INIT("CVSS_V4"),
	};

	for (size_t i = 0; json_at(list, i); i++)
		for (size_t t = 0; t < OSV_SEVERITY_TYPES; t++)
			if (json_is(json_get(json_at(list, i), SPAN("type")), types[t]))
				vectors[t] = text_of(json_at(list, i), SPAN("score"));
}

static int read_event(const struct reader *r, const struct json *json, struct osv_event *event)
{
	static const struct span kinds[] = {
		[OSV_INTRODUCED] = SPAN_INIT("introduced"),
		[OSV_FIXED] = SPAN_INIT("fixed"),
		[OSV_LAST_AFFECTED] = SPAN_INIT("last_affected"),
		[OSV_LIMIT] = SPAN_INIT("limit"),
	};

	for (size_t i = 0; i < COUNT_OF(kinds); i++)
		if (json_string(json_get(json, kinds[i]), &event->version)) {
			event->kind = (enum osv_event_kind)i;
			return 0;
		}
	return invalid(r, "an event that is none of introduced, fixed, last_affected, limit");
}

static int read_range(const struct reader *r, const struct json *json, struct osv_range *range)
{
	const struct json *events = json_get(json, SPAN("events"));
	struct span type = text_of(json, SPAN("type"));

	if (span_eq(type, SPAN("SEMVER")))
		range->type = OSV_RANGE_SEMVER;
	else if (span_eq(type, SPAN("ECOSYSTEM")))
		range->type = OSV_RANGE_ECOSYSTEM;
	else if (span_eq(type, SPAN("GIT")))
		range->type = OSV_RANGE_GIT;
	else
		return invalid(r, "a range whose type is none of SEMVER, ECOSYSTEM, GIT");
	range->repo = text_of(json, SPAN("repo"));
	if (count_of(r, events, "events that are no list", &range->event_count) < 0)
		return -1;
	range->events = arena_array(r->arena, struct osv_event, range->event_count + 1);
	if (!range->events)
		return no_memory(r);
	for (uint32_t i = 0; i < range->event_count; i++)
		if (read_event(r, &events->array.items[i], &range->events[i]) < 0)
			return -1;
	return 0;
}

static int read_affected(const struct reader *r, const struct json *json,
			 struct osv_affected *affected)
{
	const struct json *package = json_get(json, SPAN("package"));
	const struct json *ranges = json_get(json, SPAN("ranges"));

	affected->ecosystem = text_of(package, SPAN("ecosystem"));
	affected->name = text_of(package, SPAN("name"));
	read_vectors(json_get(json, SPAN("severity")), affected->vectors);
	if (read_strings(r, json_get(json, SPAN("versions")),
			 "versions that are no list of texts", &affected->versions,
			 &affected->version_count) < 0)
		return -1;
	if (count_of(r, ranges, "ranges that are no list", &affected->range_count) < 0)
		return -1;
	affected->ranges = arena_array(r->arena, struct osv_range, affected->range_count + 1);
	if (!affected->ranges)
		return no_memory(r);
	for (uint32_t i = 0; i < affected->range_count; i++)
		if (read_range(r, &ranges->array.items[i], &affected->ranges[i]) < 0)
			return -1;
	return 0;
}

static struct span read_link(const struct json *references)
{
	struct span link = SPAN_NONE;

	for (size_t i = 0; json_at(references, i); i++) {
		const struct json *reference = json_at(references, i);
		struct span url = text_of(reference, SPAN("url"));

		if (json_is(json_get(reference, SPAN("type")), SPAN("ADVISORY")))
			return url;
		if (link.len == 0 && json_is(json_get(reference, SPAN("type")), SPAN("WEB")))
			link = url;
	}
	return link;
}

static struct span read_summary(const struct json *document)
{
	struct span summary = span_trim(text_of(document, SPAN("summary")));
	struct span details = span_trim(text_of(document, SPAN("details")));

	if (summary.len)
		return summary;
	details = span_slice(details, 0, span_find_byte(details, '\n'));
	if (details.len > 200) {
		details = span_slice(details, 0, 200);
		/* Not in the middle of a character. */
		while (details.len && ((unsigned char)details.ptr[details.len] & 0xc0) == 0x80)
			details.len--;
	}
	return span_trim(details);
}

int osv_read_json(struct arena *a, const struct json *document, struct osv_advisory *advisory,
		  struct err *err)
{
	struct reader r = {.arena = a, .err = err, .id = SPAN("without id")};
	const struct json *affected = json_get(document, SPAN("affected"));

	*advisory = (struct osv_advisory){0};
	if (!json_string(json_get(document, SPAN("id")), &advisory->id) ||
	    advisory->id.len == 0)
		return err_set(err, ERR_INVALID, "not an OSV record: it has no id");
	r.id = advisory->id;
	advisory->summary = read_summary(document);
	advisory->link = read_link(json_get(document, SPAN("references")));
	advisory->modified_s = osv_time_s(text_of(document, SPAN("modified")));
	advisory->published_s = osv_time_s(text_of(document, SPAN("published")));
	advisory->withdrawn_s = osv_time_s(text_of(document, SPAN("withdrawn")));
	advisory->word =
		text_of(json_get(document, SPAN("database_specific")), SPAN("severity"));
	read_vectors(json_get(document, SPAN("severity")), advisory->vectors);
	if (read_strings(&r, json_get(document, SPAN("aliases")),
			 "aliases that are no list of texts", &advisory->aliases,
			 &advisory->alias_count) < 0 ||
	    read_strings(&r, json_get(document, SPAN("upstream")),
			 "upstream that is no list of texts", &advisory->upstream,
			 &advisory->upstream_count) < 0 ||
	    count_of(&r, affected, "affected is no list", &advisory->affected_count) < 0)
		return -1;
	advisory->affected = arena_array(a, struct osv_affected, advisory->affected_count + 1);
	if (!advisory->affected)
		return no_memory(&r);
	/* RustSec: "unmaintained", "unsound", "notice". */
	if (advisory->word.len == 0)
		advisory->word =
			text_of(json_get(json_at(affected, 0), SPAN("database_specific")),
				SPAN("informational"));
	for (uint32_t i = 0; i < advisory->affected_count; i++)
		if (read_affected(&r, &affected->array.items[i], &advisory->affected[i]) < 0)
			return -1;
	return 0;
}

int osv_read(struct arena *a, struct span text, struct osv_advisory *advisory, struct err *err)
{
	const struct json *document = json_parse(a, text, &limits, err);

	if (!document)
		return -1;
	return osv_read_json(a, document, advisory, err);
}
