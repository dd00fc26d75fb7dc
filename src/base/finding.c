#include "base/finding.h"

#include <stdlib.h>

static const char *const severity_names[FINDING_SEVERITIES] = {
	[FINDING_INFO] = "info", [FINDING_LOW] = "low",		  [FINDING_MEDIUM] = "medium",
	[FINDING_HIGH] = "high", [FINDING_CRITICAL] = "critical",
};

void finding_list_init(struct finding_list *list, struct arena *arena)
{
	*list = (struct finding_list){.arena = arena};
}

static bool grow(struct finding_list *list)
{
	size_t capacity = list->capacity ? list->capacity * 2 : 16;
	struct finding *at = arena_array(list->arena, struct finding, capacity);

	if (!at)
		return false;
	if (list->count)
		memcpy(at, list->at, list->count * sizeof(*at));
	list->at = at;
	list->capacity = capacity;
	return true;
}

static bool keep_text(struct arena *arena, struct span *text)
{
	if (text->len == 0) {
		*text = SPAN_NONE;
		return true;
	}
	*text = arena_dup(arena, *text);
	return text->ptr != NULL;
}

int finding_list_add(struct finding_list *list, const struct finding *finding)
{
	struct finding copy = *finding;
	struct span *texts[] = {&copy.rule,	 &copy.message, &copy.advice,	 &copy.link,
				&copy.standards, &copy.subject, &copy.place.file};

	if (list->count == list->capacity && !grow(list))
		goto failed;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		if (!keep_text(list->arena, texts[i]))
			goto failed;
	list->at[list->count++] = copy;
	return 0;
failed:
	list->failed = true;
	return -1;
}

static int compare_numbers(uint32_t a, uint32_t b)
{
	return (a > b) - (a < b);
}

static int compare(const void *left, const void *right)
{
	const struct finding *a = left, *b = right;
	int order = (int)b->severity - (int)a->severity;

	if (order == 0)
		order = span_compare(a->place.file, b->place.file);
	if (order == 0)
		order = compare_numbers(a->place.line, b->place.line);
	if (order == 0)
		order = compare_numbers(a->place.column, b->place.column);
	if (order == 0)
		order = span_compare(a->rule, b->rule);
	if (order == 0)
		order = span_compare(a->subject, b->subject);
	return order;
}

void finding_list_sort(struct finding_list *list)
{
	if (list->count > 1)
		qsort(list->at, list->count, sizeof(*list->at), compare);
}

const char *finding_severity_name(enum finding_severity severity)
{
	return severity_names[severity];
}

bool finding_severity_parse(struct span word, enum finding_severity *severity)
{
	for (unsigned i = 0; i < FINDING_SEVERITIES; i++) {
		if (!span_eq(word, span_cstr(severity_names[i])))
			continue;
		*severity = (enum finding_severity)i;
		return true;
	}
	return false;
}
