#include "iast/collect.h"

/* One parameter of an operation, in one place of one statement. */
struct iast_place {
	enum iast_sink sink;
	enum iast_origin origin;
	struct span parameter, method, path, detail, program;
	uint64_t shape;
	uint64_t value; /* the first that was seen */
	bool again; /* another one was seen, too */
	bool broken;
};

static const struct kind {
	const char *broken; /* rules */
	const char *inside; /* NULL: what lies within is no finding */
	const char *message; /* behind "The value of ..." */
	const char *advice;
	const char *standards;
	enum finding_severity broken_severity, inside_severity;
} kinds[IAST_SINKS] = {
	[IAST_SQL] = {"iast-sql-injection", "iast-sql-concatenation",
		      "is written into an SQL statement",
		      "Bind it to a parameter of the statement.", "CWE-89, A03:2021",
		      FINDING_CRITICAL, FINDING_HIGH},
	[IAST_COMMAND] = {"iast-command-injection", "iast-command-concatenation",
			  "is written into a line of shell, unquoted",
			  "Start the program with a list of arguments, without a shell.",
			  "CWE-78, A03:2021", FINDING_CRITICAL, FINDING_HIGH},
	[IAST_FILE] = {"iast-path-traversal", NULL,
		       "chooses the folder of a file that is opened",
		       "Take the last part of the name alone, or look it up in a list.",
		       "CWE-22, A01:2021", FINDING_HIGH, FINDING_HIGH},
	[IAST_HOST] = {"iast-request-forgery", "iast-request-forgery",
		       "chooses the host that the service connects to",
		       "Look it up in a list of hosts that are meant.", "CWE-918, A10:2021",
		       FINDING_HIGH, FINDING_MEDIUM},
	[IAST_PAGE] = {"iast-cross-site-scripting", NULL, "is sent back in a page as it came",
		       "Escape it for where it stands in the page.", "CWE-79, A03:2021",
		       FINDING_HIGH, FINDING_HIGH},
};

void iast_collection_init(struct iast_collection *collection, struct arena *arena)
{
	*collection = (struct iast_collection){.arena = arena};
}

/* Identifiers: digits, or hexadecimal digits with '-' as in UUIDs. */
static bool is_identifier(struct span segment)
{
	bool digits = false;

	for (size_t i = 0; i < segment.len; i++) {
		char c = ascii_lower(segment.ptr[i]);

		digits = digits || (c >= '0' && c <= '9');
		if (!(c >= '0' && c <= '9') &&
		    !(segment.len >= 16 && ((c >= 'a' && c <= 'f') || c == '-')))
			return false;
	}
	return digits;
}

/* "/orders/17" as "/orders/{}"; ptr NULL without memory. */
static struct span operation_path(struct arena *arena, struct span path)
{
	char *to = arena_alloc(arena, path.len + 3);
	size_t len = 0;

	while (to && path.ptr) {
		struct span segment = span_cut(&path, '/');
		/* A segment has one byte at least where "{}" stands for it; the end has room. */
		struct span text =
			is_identifier(segment) && segment.len > 1 ? SPAN("{}") : segment;

		memcpy(to + len, text.ptr ? text.ptr : "", text.len);
		len += text.len;
		if (path.ptr)
			to[len++] = '/';
	}
	return to ? span_of(to, len) : SPAN_NONE;
}

static bool is_at(const struct iast_place *place, const struct iast_record *r, struct span path)
{
	return place->sink == r->sink && place->origin == r->origin &&
	       place->broken == (r->taint == TAINT_BROKEN) &&
	       (place->broken || place->shape == r->shape) &&
	       span_eq(place->parameter, r->parameter) && span_eq(place->method, r->method) &&
	       span_eq(place->path, path);
}

static int add_place(struct iast_collection *c, const struct iast_record *r, struct span path)
{
	struct iast_place *places = arena_grow(c->arena, c->places, c->count, sizeof(*places));
	struct iast_place *place;

	if (!places)
		return -1;
	c->places = places;
	place = &places[c->count];
	*place = (struct iast_place){.sink = r->sink,
				     .origin = r->origin,
				     .parameter = arena_dup(c->arena, r->parameter),
				     .method = arena_dup(c->arena, r->method),
				     .path = path,
				     .detail = arena_dup(c->arena, r->detail),
				     .program = arena_dup(c->arena, r->program),
				     .shape = r->shape,
				     .value = r->value,
				     .broken = r->taint == TAINT_BROKEN};
	if (!place->parameter.ptr || !place->method.ptr || !place->detail.ptr ||
	    !place->program.ptr)
		return -1;
	c->count++;
	return 0;
}

int iast_collection_add(struct iast_collection *c, struct span datagram)
{
	struct iast_record r;
	struct span path;

	c->records++;
	if (!iast_record_read(&r, datagram)) {
		c->unreadable++;
		return 0;
	}
	path = operation_path(c->arena, r.path);
	if (!path.ptr)
		return -1;
	for (size_t i = 0; i < c->count; i++)
		if (is_at(&c->places[i], &r, path)) {
			c->places[i].again =
				c->places[i].again || c->places[i].value != r.value;
			return 0;
		}
	if (c->count == IAST_PLACES_MAX) {
		c->dropped++;
		return 0;
	}
	return add_place(c, &r, path);
}

/* ---- findings -------------------------------------------------------------------------------- */

static bool is_same_parameter(const struct iast_place *a, const struct iast_place *b)
{
	return a->sink == b->sink && a->origin == b->origin &&
	       span_eq(a->parameter, b->parameter) && span_eq(a->method, b->method) &&
	       span_eq(a->path, b->path);
}

static bool counts(const struct iast_place *place)
{
	return place->broken || (place->again && kinds[place->sink].inside);
}

/* One finding a parameter: the worst that was seen of it, or of those as bad the first. */
static bool is_told(const struct iast_collection *c, size_t at)
{
	const struct iast_place *place = &c->places[at];

	for (size_t i = 0; i < c->count; i++) {
		const struct iast_place *other = &c->places[i];

		if (i == at || !counts(other) || !is_same_parameter(other, place))
			continue;
		if (other->broken > place->broken || (other->broken == place->broken && i < at))
			return true;
	}
	return false;
}

static int add_finding(struct arena *arena, const struct iast_place *place,
		       struct finding_list *findings)
{
	const struct kind *kind = &kinds[place->sink];
	struct finding f = {
		.rule = span_cstr(place->broken ? kind->broken : kind->inside),
		.severity = place->broken ? kind->broken_severity : kind->inside_severity,
		.message = arena_printf(arena, "%.*s %.*s: the value of %s %.*s %s: %.*s",
					SPAN_ARG(place->method), SPAN_ARG(place->path),
					iast_origin_name(place->origin),
					SPAN_ARG(place->parameter), kind->message,
					SPAN_ARG(place->detail)),
		.advice = span_cstr(kind->advice),
		.standards = span_cstr(kind->standards),
		.subject = arena_printf(arena, "%.*s %.*s %s:%.*s", SPAN_ARG(place->method),
					SPAN_ARG(place->path), iast_origin_name(place->origin),
					SPAN_ARG(place->parameter)),
		.place = {.file = place->program}};

	if (!f.message.ptr || !f.subject.ptr)
		return -1;
	return finding_list_add(findings, &f);
}

int iast_collection_find(const struct iast_collection *c, struct finding_list *findings)
{
	for (size_t i = 0; i < c->count; i++)
		if (counts(&c->places[i]) && !is_told(c, i) &&
		    add_finding(c->arena, &c->places[i], findings) < 0)
			return -1;
	return 0;
}
