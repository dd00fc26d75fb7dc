#include "tests/conformance/waf/differential.h"

#include "tests/conformance/waf/mutate.h"

/* Where libmodsecurity answers otherwise for a reason that is known. */
struct class
{
	const char *name;
	bool (*explains)(const struct request_case *c, const struct ids *ours,
			 const struct ids *theirs);
	const char *reason;
	size_t count;
};

static bool only_in(const struct ids *a, const struct ids *b, uint32_t first, uint32_t last)
{
	for (size_t i = 0; i < a->count; i++)
		if (!ids_have(b, a->at[i]) && (a->at[i] < first || a->at[i] > last))
			return false;
	return true;
}

static bool has_only_bodies(const struct ids *ours, const struct ids *theirs)
{
	return only_in(ours, theirs, 200002, 200004) && only_in(theirs, ours, 200002, 200004);
}

static bool is_json_strictness(const struct request_case *c, const struct ids *ours,
			       const struct ids *theirs)
{
	struct span type = case_header(c, SPAN("Content-Type"));

	return span_find(type, SPAN("json")) < type.len && has_only_bodies(ours, theirs);
}

static bool is_multipart(const struct request_case *c, const struct ids *ours,
			 const struct ids *theirs)
{
	struct span type = case_header(c, SPAN("Content-Type"));

	return span_find(type, SPAN("multipart")) < type.len &&
	       span_find_byte(c->body, '"') < c->body.len && ids_have(theirs, 200002) &&
	       !ids_have(ours, 200002);
}

static struct class classes[] = {
	{"json", is_json_strictness,
	 "text behind a JSON document is an error here; libmodsecurity takes a string that is "
	 "not finished there for nothing",
	 0},
	{"multipart", is_multipart,
	 "in a field of a part, a quote that is not closed: libmodsecurity refuses the part, "
	 "ours reads on to the end of the line",
	 0},
};

static const struct class *classify(const struct request_case *c, const struct ids *ours,
				    const struct ids *theirs)
{
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		if (classes[i].explains(c, ours, theirs)) {
			classes[i].count++;
			return &classes[i];
		}
	}
	return NULL;
}

static void print_only(FILE *out, const char *who, const struct ids *a, const struct ids *b)
{
	fprintf(out, " %s:", who);
	for (size_t i = 0; i < a->count; i++)
		if (!ids_have(b, a->at[i]))
			fprintf(out, " %u", a->at[i]);
}

static void report(FILE *out, const struct request_case *c, const struct ids *ours,
		   const struct ids *theirs, const struct class *class)
{
	fprintf(out, "difference (%s):", class ? class->name : "not explained");
	print_only(out, "only ours", ours, theirs);
	print_only(out, "only theirs", theirs, ours);
	fprintf(out, "\n  %.*s: %.*s %.*s\n", SPAN_ARG(c->title), SPAN_ARG(c->method),
		SPAN_ARG(c->target));
	if (class)
		return;
	for (size_t i = 0; i < c->header_count; i++)
		fprintf(out, "  %.*s: %.*s\n", SPAN_ARG(c->headers[i].name),
			SPAN_ARG(c->headers[i].value));
	fprintf(out, "  body: %.*s\n", SPAN_ARG(span_slice(c->body, 0, 2000)));
}

struct sources {
	struct case_list tests;
	struct labelled_value *values;
	size_t value_count;
};

static int read_sources(struct sources *s, const char *folder, struct err *err)
{
	struct span tests;
	struct span values;

	case_list_init(&s->tests);
	tests = arena_printf(&s->tests.arena, "%s/crs-tests", folder);
	values = arena_printf(&s->tests.arena, "%s/waf/payload_train.csv", folder);
	if (!tests.ptr || !values.ptr)
		return err_set(err, ERR_MEMORY, "no memory for names");
	if (cases_read_crs(&s->tests, tests.ptr, err) != 0)
		return -1;
	return cases_read_values(&s->tests.arena, values.ptr, &s->values, &s->value_count, err);
}

/* All tests as they are; then in turn a changed test, a value, a value changed. */
static const struct request_case *next(const struct sources *s, struct case_list *made,
				       size_t index, uint64_t *seed)
{
	struct request_case *c;

	if (index < s->tests.count)
		return s->tests.at[index];
	if (index % 2)
		return case_mutated(made, s->tests.at[mutate_random(seed) % s->tests.count],
				    seed);
	c = case_with_value(made, s->values[mutate_random(seed) % s->value_count].text,
			    (enum value_place)(mutate_random(seed) % VALUE_PLACES));
	return c && index % 4 == 0 ? case_mutated(made, c, seed) : c;
}

static int run(const struct differential *d, const struct sources *s, struct subject *subject,
	       struct oracle *oracle, FILE *out, struct differential_result *result,
	       struct err *err)
{
	static struct ids ours;
	static struct ids theirs;
	uint64_t seed = d->seed;
	struct case_list made;
	int status = 0;

	case_list_init(&made);
	for (size_t i = 0; i < d->requests && status == 0; i++) {
		const struct request_case *c;
		const struct class *class;

		if (made.count > 4000) {
			case_list_release(&made);
			case_list_init(&made);
		}
		c = next(s, &made, i, &seed);
		if (!c) {
			status = err_set(err, ERR_MEMORY, "no memory for requests");
			break;
		}
		status = subject_run(subject, c, &ours, err);
		oracle_run(oracle, c, &theirs);
		result->requests++;
		if (ids_equal(&ours, &theirs)) {
			result->equal++;
			continue;
		}
		class = classify(c, &ours, &theirs);
		result->explained += class != NULL;
		report(out, c, &ours, &theirs, class);
	}
	case_list_release(&made);
	return status;
}

static void print_classes(FILE *out)
{
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
		if (classes[i].count)
			fprintf(out, "%s: %zu, %s\n", classes[i].name, classes[i].count,
				classes[i].reason);
}

int differential_run(const struct differential *d, FILE *out,
		     struct differential_result *result, struct err *err)
{
	struct span path = SPAN("owasp-crs");
	struct waf_sources sources = {.paths = &path,
				      .path_count = 1,
				      .paranoia = d->paranoia,
				      .cache_folder = d->cache_folder};
	struct subject subject;
	struct sources s;
	struct oracle *oracle;
	int status = -1;

	*result = (struct differential_result){.requests = 0};
	if (read_sources(&s, d->data_folder, err) != 0) {
		case_list_release(&s.tests);
		return -1;
	}
	oracle = oracle_new(SPAN(""), d->paranoia, false, err);
	if (oracle && subject_init(&subject, &sources, WAF_OBSERVE, err) == 0) {
		status = run(d, &s, &subject, oracle, out, result, err);
		subject_release(&subject);
		print_classes(out);
	}
	oracle_free(oracle);
	case_list_release(&s.tests);
	return status;
}
