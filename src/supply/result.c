#include "supply/result.h"

#include <stdlib.h>

#include "base/hash.h"

#define RESULTS_MAX_BYTES ((size_t)1 << 30)

void result_list_init(struct result_list *list, const struct inventory *inv)
{
	*list = (struct result_list){.inventory = inv};
	arena_init(&list->arena, RESULTS_MAX_BYTES, (size_t)1 << 16);
}

void result_list_release(struct result_list *list)
{
	arena_release(&list->arena);
	*list = (struct result_list){0};
}

/* What a component is called without its version: an upgrade does not make its problems new. */
static struct span lasting_subject(struct span subject)
{
	size_t at = subject.len;

	if (!span_starts_with(subject, SPAN("pkg:")))
		return subject;
	for (size_t i = 0; i < subject.len && subject.ptr[i] != '?'; i++)
		if (subject.ptr[i] == '@' && i > 0 && subject.ptr[i - 1] != '/')
			at = i;
	return span_slice(subject, 0, at);
}

/* With fixed keys: fingerprints are compared with those of earlier reports. */
static struct span fingerprint(struct arena *a, const struct result *r)
{
	uint64_t hash = hash_siphash13(r->finding.rule, 1, 2);

	hash = hash_siphash13(lasting_subject(r->finding.subject), hash, 3);
	hash = hash_siphash13(r->finding.place.file, hash, 4);
	if (!r->vulnerability)
		hash = hash_siphash13(r->finding.message, hash, 5);
	return arena_printf(a, "%016llx", (unsigned long long)hash);
}

int result_add(struct result_list *list, const struct result *r)
{
	struct result *at =
		arena_grow(&list->arena, list->at, list->count, sizeof(struct result));

	if (!at)
		return -1;
	list->at = at;
	at[list->count] = *r;
	if (r->fingerprint.len == 0)
		at[list->count].fingerprint = fingerprint(&list->arena, r);
	return at[list->count++].fingerprint.ptr ? 0 : -1;
}

int result_add_vulnerability(struct result_list *list, struct vulnerability *v)
{
	const struct component *c = &list->inventory->at[v->component];
	struct result r = {
		.kind = RESULT_VULNERABILITY,
		.vulnerability = v,
		.component = v->component,
		.finding = {.rule = v->id,
			    .severity = v->severity,
			    .link = v->link,
			    .subject = c->purl,
			    .place = {.file = c->file, .line = c->line}},
	};

	r.finding.message = arena_printf(&list->arena, "%.*s %.*s: %.*s", SPAN_ARG(c->name),
					 SPAN_ARG(c->version),
					 SPAN_ARG(v->summary.len ? v->summary : v->id));
	if (!r.finding.message.ptr)
		return -1;
	if (v->fix.len) {
		r.finding.advice = arena_printf(&list->arena, "Upgrade %.*s to %.*s.",
						SPAN_ARG(c->name), SPAN_ARG(v->fix));
		if (!r.finding.advice.ptr)
			return -1;
	}
	return result_add(list, &r);
}

int result_add_finding(struct result_list *list, const struct finding *f)
{
	struct result r = {.kind = span_starts_with(f->rule, SPAN("secret-"))
					   ? RESULT_SECRET
					   : RESULT_MISCONFIGURATION,
			   .component = COMPONENT_NONE,
			   .finding = *f};

	return result_add(list, &r);
}

static int compare_places(const struct finding *a, const struct finding *b)
{
	int order = span_compare(a->place.file, b->place.file);

	if (order == 0 && a->place.line != b->place.line)
		order = a->place.line < b->place.line ? -1 : 1;
	if (order == 0)
		order = span_compare(a->rule, b->rule);
	if (order == 0)
		order = span_compare(a->subject, b->subject);
	return order ? order : span_compare(a->message, b->message);
}

static int compare(const void *left, const void *right)
{
	const struct result *a = left, *b = right;

	if (result_counts(a) != result_counts(b))
		return result_counts(a) ? -1 : 1;
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->vulnerability && b->vulnerability &&
	    a->vulnerability->priority != b->vulnerability->priority)
		return a->vulnerability->priority > b->vulnerability->priority ? -1 : 1;
	if (a->finding.severity != b->finding.severity)
		return a->finding.severity > b->finding.severity ? -1 : 1;
	return compare_places(&a->finding, &b->finding);
}

void result_list_sort(struct result_list *list)
{
	if (list->count > 1)
		qsort(list->at, list->count, sizeof(*list->at), compare);
}

void result_silence(struct result *r, enum result_silence silence, struct span why)
{
	if (!result_counts(r))
		return;
	r->silence = silence;
	r->why = why;
}

size_t result_failures(const struct result_list *list)
{
	size_t failures = 0;

	for (size_t i = 0; i < list->count; i++)
		failures += result_counts(&list->at[i]) && list->at[i].fails;
	return failures;
}

const char *result_kind_name(enum result_kind kind)
{
	switch (kind) {
	case RESULT_VULNERABILITY: return "vulnerability";
	case RESULT_MISCONFIGURATION: return "misconfiguration";
	case RESULT_SECRET: return "secret";
	case RESULT_LICENCE: return "licence";
	case RESULT_POLICY: return "policy";
	case RESULT_IMPORTED: return "imported";
	}
	return "unknown";
}

const char *result_silence_name(enum result_silence silence)
{
	switch (silence) {
	case RESULT_COUNTS: return "open";
	case RESULT_WAIVED: return "waived";
	case RESULT_EXCEPTED: return "excepted";
	case RESULT_NOT_AFFECTED: return "not_affected";
	case RESULT_KNOWN: return "known";
	case RESULT_UNFIXED: return "unfixed";
	}
	return "unknown";
}

bool result_has_id(const struct result *r, struct span id)
{
	const struct vulnerability *v = r->vulnerability;

	if (span_eq(r->finding.rule, id))
		return true;
	for (uint32_t i = 0; v && i < v->other_count; i++)
		if (span_eq(v->others[i], id))
			return true;
	return false;
}
