#include "parse/sarif.h"

#include "supply/report.h"

/* Findings of one tool, with what goes with each. */
struct group {
	struct span tool;
	struct finding *findings;
	struct span *suppressions;
	struct span *fingerprints;
	size_t count;
};

static bool is_shown(const struct result *r)
{
	return r->silence != RESULT_KNOWN && r->silence != RESULT_UNFIXED;
}

static int collect(const struct report *r, struct arena *a, struct group *g)
{
	size_t count = r->results->count;

	g->findings = arena_array(a, struct finding, count + 1);
	g->suppressions = arena_array(a, struct span, count + 1);
	g->fingerprints = arena_array(a, struct span, count + 1);
	if (!g->findings || !g->suppressions || !g->fingerprints)
		return -1;
	for (size_t i = 0; i < count; i++) {
		const struct result *result = &r->results->at[i];

		if (!is_shown(result) || !span_eq(result->tool, g->tool))
			continue;
		g->findings[g->count] = result->finding;
		if (!g->tool.len) {
			struct span *file = &g->findings[g->count].place.file;

			*file = report_path(r, *file, a);
			if (!file->ptr)
				return -1;
		}
		g->fingerprints[g->count] = result->fingerprint;
		if (!result_counts(result))
			g->suppressions[g->count] =
				result->why.len ? result->why : SPAN("accepted");
		g->count++;
	}
	return 0;
}

#define TOOLS_MAX 64

/* Ours first, as an empty name, then the others in the order in which they come. */
static size_t list_tools(const struct report *r, struct span tools[TOOLS_MAX])
{
	size_t count = 1;

	tools[0] = SPAN_NONE;
	for (size_t i = 0; i < r->results->count; i++) {
		size_t k = 0;

		while (k < count && !span_eq(tools[k], r->results->at[i].tool))
			k++;
		if (k == count && count < TOOLS_MAX)
			tools[count++] = r->results->at[i].tool;
	}
	return count;
}

int report_sarif(const struct report *r, struct buf *to)
{
	struct span tools[TOOLS_MAX];
	struct sarif_run runs[TOOLS_MAX];
	size_t count = list_tools(r, tools);
	struct arena arena;
	int result = 0;

	arena_init(&arena, (size_t)1 << 30, (size_t)1 << 16);
	for (size_t i = 0; i < count && result == 0; i++) {
		struct group g = {.tool = tools[i]};

		result = collect(r, &arena, &g);
		runs[i] = (struct sarif_run){
			.tool = {.name = i ? tools[i] : SPAN("sallyport"),
				 .version = i ? SPAN_NONE : r->version},
			.findings = g.findings,
			.suppressions = g.suppressions,
			.fingerprints = g.fingerprints,
			.count = g.count,
		};
	}
	if (result == 0) {
		sarif_write_runs(to, runs, count);
		buf_append_byte(to, '\n');
	}
	arena_release(&arena);
	return result;
}
