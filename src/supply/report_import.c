#include "supply/report_import.h"

#include "parse/json.h"

#define DOCUMENT_BYTES_MAX ((size_t)1 << 30)

static struct span text_of(const struct json *object, struct span key)
{
	struct span text = SPAN_NONE;

	(void)json_string(json_get(object, key), &text);
	return text;
}

/* ---- SARIF ----------------------------------------------------------------------------------- */

struct importer {
	struct result_list *results;
	const struct json *rules; /* of the run's driver */
	struct span tool;
};

static const struct json *rule_of(const struct importer *m, const struct json *result)
{
	struct span id = text_of(result, SPAN("ruleId"));
	const struct json *at;
	int64_t index;

	if (!json_int(json_get(result, SPAN("ruleIndex")), &index))
		index = -1;
	at = index < 0 ? NULL : json_at(m->rules, (size_t)index);
	if (at && (id.len == 0 || span_eq(text_of(at, SPAN("id")), id)))
		return at;
	for (size_t i = 0; (at = json_at(m->rules, i)); i++)
		if (id.len && span_eq(text_of(at, SPAN("id")), id))
			return at;
	return NULL;
}

/* CVSS's classes, as code hosts read the property. */
static bool by_score(const struct json *object, enum finding_severity *severity)
{
	const struct json *value =
		json_get(json_get(object, SPAN("properties")), SPAN("security-severity"));
	struct span text;
	double score = 0, place = 1;
	bool fraction = false;

	if (!json_string(value, &text)) {
		if (!json_double(value, &score))
			return false;
	} else {
		if (text.len == 0 || text.len > 8)
			return false;
		for (size_t i = 0; i < text.len; i++) {
			if (text.ptr[i] == '.' && !fraction) {
				fraction = true;
				continue;
			}
			if (text.ptr[i] < '0' || text.ptr[i] > '9')
				return false;
			if (fraction)
				place /= 10;
			score = fraction ? score + place * (text.ptr[i] - '0')
					 : score * 10 + (text.ptr[i] - '0');
		}
	}
	*severity = score >= 9.0   ? FINDING_CRITICAL
		    : score >= 7.0 ? FINDING_HIGH
		    : score >= 4.0 ? FINDING_MEDIUM
		    : score > 0.0  ? FINDING_LOW
				   : FINDING_INFO;
	return true;
}

static enum finding_severity severity_of(const struct json *result, const struct json *rule)
{
	struct span level = text_of(result, SPAN("level"));
	enum finding_severity severity;

	if (by_score(result, &severity) || by_score(rule, &severity))
		return severity;
	if (level.len == 0)
		level = text_of(json_get(rule, SPAN("defaultConfiguration")), SPAN("level"));
	if (span_eq(level, SPAN("error")))
		return FINDING_HIGH;
	if (span_eq(level, SPAN("note")))
		return FINDING_LOW;
	if (span_eq(level, SPAN("none")))
		return FINDING_INFO;
	return FINDING_MEDIUM; /* "warning" is the default, section 3.27.10 */
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A file URI or relative reference as a path; ptr NULL when out of memory. */
static struct span path_of(struct arena *a, struct span uri)
{
	char *to;
	size_t len = 0;

	if (span_starts_with(uri, SPAN("file://")))
		uri = span_slice(uri, 7, uri.len);
	if (span_starts_with(uri, SPAN("./")))
		uri = span_slice(uri, 2, uri.len);
	to = arena_alloc(a, uri.len + 1);
	if (!to)
		return SPAN_NONE;
	for (size_t i = 0; i < uri.len; i++) {
		int high = -1, low = -1;

		if (uri.ptr[i] == '%' && i + 2 < uri.len) {
			high = hex_value(uri.ptr[i + 1]);
			low = hex_value(uri.ptr[i + 2]);
		}
		if (high >= 0 && low >= 0) {
			to[len++] = (char)(high * 16 + low);
			i += 2;
		} else {
			to[len++] = uri.ptr[i];
		}
	}
	return span_of(to, len);
}

static uint32_t number_at(const struct json *object, struct span key)
{
	int64_t value;

	return json_int(json_get(object, key), &value) && value > 0 && value <= UINT32_MAX
		       ? (uint32_t)value
		       : 0;
}

static bool is_failure(const struct json *result)
{
	struct span kind = text_of(result, SPAN("kind"));
	const struct json *suppressions = json_get(result, SPAN("suppressions"));

	if (kind.len && !span_eq(kind, SPAN("fail")) && !span_eq(kind, SPAN("open")) &&
	    !span_eq(kind, SPAN("review")))
		return false;
	if (json_is(json_get(result, SPAN("baselineState")), SPAN("absent")))
		return false;
	/* One that is under review or rejected does not suppress, section 3.35.3. */
	for (size_t i = 0; json_at(suppressions, i); i++) {
		struct span status = text_of(json_at(suppressions, i), SPAN("status"));

		if (status.len == 0 || span_eq(status, SPAN("accepted")))
			return false;
	}
	return true;
}

static int copy_texts(struct importer *m, struct finding *f)
{
	struct span *const texts[] = {&f->rule, &f->message, &f->advice, &f->link,
				      &f->place.file};

	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		*texts[i] = arena_dup(&m->results->arena, *texts[i]);
		if (!texts[i]->ptr)
			return -1;
	}
	return 0;
}

static int add_result(struct importer *m, const struct json *result)
{
	const struct json *rule = rule_of(m, result);
	const struct json *place = json_pointer(result, SPAN("/locations/0/physicalLocation"));
	const struct json *region = json_get(place, SPAN("region"));
	struct finding f = {
		.rule = text_of(result, SPAN("ruleId")),
		.severity = severity_of(result, rule),
		.message = text_of(json_get(result, SPAN("message")), SPAN("text")),
		.advice = text_of(json_get(rule, SPAN("help")), SPAN("text")),
		.link = text_of(rule, SPAN("helpUri")),
		.place = {.line = number_at(region, SPAN("startLine")),
			  .column = number_at(region, SPAN("startColumn")),
			  .end_line = number_at(region, SPAN("endLine"))},
	};
	struct result r = {
		.kind = RESULT_IMPORTED, .component = COMPONENT_NONE, .tool = m->tool};

	if (f.rule.len == 0)
		f.rule = text_of(rule, SPAN("id"));
	if (f.message.len == 0)
		f.message = text_of(json_get(rule, SPAN("shortDescription")), SPAN("text"));
	/* Whole pages of help are not for a line of a report. */
	if (f.advice.len > 300 || span_find_byte(f.advice, '\n') < f.advice.len)
		f.advice = SPAN_NONE;
	f.place.file = path_of(&m->results->arena,
			       text_of(json_get(place, SPAN("artifactLocation")), SPAN("uri")));
	if (!f.place.file.ptr || copy_texts(m, &f) < 0)
		return -1;
	r.finding = f;
	return result_add(m->results, &r);
}

static int add_run(struct importer *m, const struct json *run)
{
	const struct json *driver = json_pointer(run, SPAN("/tool/driver"));
	const struct json *results = json_get(run, SPAN("results"));
	struct span name = text_of(driver, SPAN("name"));

	m->rules = json_get(driver, SPAN("rules"));
	m->tool = arena_dup(&m->results->arena, name.len ? name : SPAN("unknown"));
	if (!m->tool.ptr)
		return -1;
	for (size_t i = 0; json_at(results, i); i++)
		if (is_failure(json_at(results, i)) && add_result(m, json_at(results, i)) < 0)
			return -1;
	return 0;
}

static bool is_sarif(const struct json *root)
{
	const struct json *runs = json_get(root, SPAN("runs"));

	return runs && runs->type == JSON_ARRAY &&
	       json_is(json_get(root, SPAN("version")), SPAN("2.1.0"));
}

/* Some tools begin with a byte order mark. */
static const struct json *read(struct arena *a, struct span name, struct span text,
			       struct err *err)
{
	const struct json *root;

	if (span_starts_with(text, SPAN("\xef\xbb\xbf")))
		text = span_slice(text, 3, text.len);
	root = json_parse(a, text, NULL, err);
	if (!root)
		(void)err_wrap(err, "%.*s", SPAN_ARG(name));
	return root;
}

int report_import_sarif(struct result_list *results, struct span name, struct span text,
			struct err *err)
{
	struct importer m = {.results = results};
	const struct json *root, *runs;
	struct arena arena;
	int result = 0;

	arena_init(&arena, DOCUMENT_BYTES_MAX, (size_t)1 << 16);
	root = read(&arena, name, text, err);
	if (!root)
		result = -1;
	else if (!is_sarif(root))
		result = err_set(err, ERR_INVALID, "%.*s: no SARIF 2.1.0 log", SPAN_ARG(name));
	runs = json_get(root, SPAN("runs"));
	for (size_t i = 0; result == 0 && json_at(runs, i); i++)
		if (add_run(&m, json_at(runs, i)) < 0)
			result = err_set(err, ERR_MEMORY, "out of memory");
	arena_release(&arena);
	return result;
}

/* ---- what was there before ------------------------------------------------------------------- */

void baseline_init(struct baseline *b)
{
	*b = (struct baseline){.counts = MAP_INIT};
	arena_init(&b->arena, DOCUMENT_BYTES_MAX, (size_t)1 << 16);
}

void baseline_release(struct baseline *b)
{
	map_release(&b->counts);
	arena_release(&b->arena);
}

/* Values are one more than the count, since NULL means that there is none. */
static uintptr_t count_of(const struct baseline *b, struct span fingerprint)
{
	uintptr_t value = (uintptr_t)map_get(&b->counts, fingerprint);

	return value ? value - 1 : 0;
}

static int count_one(struct baseline *b, struct span fingerprint)
{
	uintptr_t count = count_of(b, fingerprint);

	fingerprint = arena_dup(&b->arena, fingerprint);
	return fingerprint.ptr ? map_put(&b->counts, fingerprint, (void *)(count + 2)) : -1;
}

static int read_list(struct baseline *b, const struct json *list, struct span pointer)
{
	struct span fingerprint;

	for (size_t i = 0; json_at(list, i); i++)
		if (json_string(json_pointer(json_at(list, i), pointer), &fingerprint) &&
		    count_one(b, fingerprint) < 0)
			return -1;
	return 0;
}

static int read_sarif(struct baseline *b, const struct json *root)
{
	const struct json *runs = json_get(root, SPAN("runs"));

	for (size_t i = 0; json_at(runs, i); i++)
		if (read_list(b, json_get(json_at(runs, i), SPAN("results")),
			      SPAN("/partialFingerprints/sallyport~1v1")) < 0)
			return -1;
	return 0;
}

int baseline_read(struct baseline *b, struct span name, struct span text, struct err *err)
{
	struct arena arena;
	const struct json *root;
	int result = 0;

	arena_init(&arena, DOCUMENT_BYTES_MAX, (size_t)1 << 16);
	root = read(&arena, name, text, err);
	if (!root)
		result = -1;
	else if (is_sarif(root))
		result =
			read_sarif(b, root) < 0 ? err_set(err, ERR_MEMORY, "out of memory") : 0;
	else if (!json_is(json_get(root, SPAN("tool")), SPAN("sallyport")) ||
		 !json_get(root, SPAN("vulnerabilities")))
		result = err_set(err, ERR_INVALID,
				 "%.*s: neither a JSON report of sallyport scan nor SARIF",
				 SPAN_ARG(name));
	else if (read_list(b, json_get(root, SPAN("vulnerabilities")), SPAN("/fingerprint")) <
			 0 ||
		 read_list(b, json_get(root, SPAN("findings")), SPAN("/fingerprint")) < 0)
		result = err_set(err, ERR_MEMORY, "out of memory");
	arena_release(&arena);
	return result;
}

int baseline_add(struct baseline *b, const struct result_list *results)
{
	for (size_t i = 0; i < results->count; i++)
		if (count_one(b, results->at[i].fingerprint) < 0)
			return -1;
	return 0;
}

int baseline_apply(struct baseline *b, struct result_list *results)
{
	for (size_t i = 0; i < results->count; i++) {
		struct result *r = &results->at[i];
		uintptr_t count = count_of(b, r->fingerprint);

		/* It is no older for having been so before. */
		if (count == 0 || span_eq(r->finding.rule, SPAN("database-stale")))
			continue;
		if (map_put(&b->counts, r->fingerprint, (void *)count) < 0)
			return -1;
		result_silence(r, RESULT_KNOWN, SPAN("it was there before"));
	}
	return 0;
}
