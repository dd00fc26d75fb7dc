#include "supply/leak.h"

#include <fnmatch.h>
#include <hs.h>

#include "base/mem.h"
#include "parse/regex.h"
#include "supply/check.h"
#include "supply/check_internal.h"
#include "supply/leak_internal.h"

#define LITERALS_MAX 4096
#define LINE_BACK_BYTES ((size_t)1024) /* of a long line, around a keyword */
#define LINE_AHEAD_BYTES ((size_t)4096)
#define LINES_AHEAD_BYTES ((size_t)16384)
#define WINDOWS_MAX 200000 /* in one text */
#define HITS_MAX 1000
#define MATCHES_MAX 1000000 /* steps of an expression from one start */
#define DEPTH_MAX 20000
#define HEAP_MAX_KIB 4096
#define JIT_STACK_MAX_BYTES ((size_t)512 << 10)
#define PAIRS_MAX 16
#define TEXT_NS INT64_C(10000000000) /* of processor, for the expressions in one text */

struct leak_rule {
	const struct check_rule *rule; /* NULL: not of kind `secret` */
	struct regex *regex; /* compiled when it is first needed */
	size_t group; /* which is the secret */
	size_t window_end; /* what has been asked for in this text */
};

/* Where a rule's expression is run. */
struct window {
	size_t rule;
	size_t start;
	size_t end;
};

struct hit {
	size_t rule;
	size_t start; /* of the value */
	size_t end;
};

struct leak_scanner {
	struct leak_rule *rules;
	size_t count;
	hs_database_t *database; /* NULL: there are no rules */
	hs_scratch_t *scratch;
	size_t *rule_of; /* of each literal */
	size_t literal_count;
	struct regex_scratch *space;
	/* Of the text that is being scanned. */
	struct buf windows;
	struct buf hits;
	struct span text;
	size_t only;
	size_t line_at; /* the line's number up to there is known */
	uint32_t line;
};

/* --- Compiling. */

/* When a keyword of the rule is first met: most texts have few of them. */
static int compile_pattern(struct leak_rule *r, struct err *err)
{
	static const struct regex_options options = {.flags = 0};
	struct err why = {0};
	int named;

	if (r->regex)
		return 0;
	r->regex = regex_new(r->rule->pattern, &options, &why);
	if (!r->regex)
		return err_set(err, why.code == ERR_MEMORY ? ERR_MEMORY : ERR_INVALID,
			       "rule %.*s: its pattern, %s", SPAN_ARG(r->rule->id),
			       why.message);
	named = regex_group_named(r->regex, "value");
	r->group = named > 0 ? (size_t)named : 1;
	return 0;
}

struct literals {
	const char *texts[LITERALS_MAX];
	size_t lengths[LITERALS_MAX];
	unsigned flags[LITERALS_MAX];
	unsigned ids[LITERALS_MAX];
	size_t count;
};

static int collect(struct leak_scanner *s, struct literals *l, struct err *err)
{
	for (size_t i = 0; i < s->count; i++) {
		if (!s->rules[i].rule)
			continue;
		node_for_each(keyword, s->rules[i].rule->keywords)
		{
			struct span text = node_text(keyword);

			if (l->count == LITERALS_MAX)
				return err_set(err, ERR_LIMIT, "more than %d keywords",
					       LITERALS_MAX);
			l->texts[l->count] = text.ptr;
			l->lengths[l->count] = text.len;
			l->flags[l->count] = HS_FLAG_CASELESS;
			l->ids[l->count] = (unsigned)l->count;
			s->rule_of[l->count] = i;
			l->count++;
		}
	}
	s->literal_count = l->count;
	return 0;
}

static int compile_literals(struct leak_scanner *s, struct err *err)
{
	struct literals *l = mem_zalloc(1, sizeof(*l));
	hs_compile_error_t *problem = NULL;
	int result = -1;

	s->rule_of = mem_zalloc(LITERALS_MAX, sizeof(*s->rule_of));
	if (!l || !s->rule_of)
		(void)err_set(err, ERR_MEMORY, "out of memory");
	else
		result = collect(s, l, err);
	if (result == 0 && l->count &&
	    hs_compile_lit_multi(l->texts, l->flags, l->ids, l->lengths, (unsigned)l->count,
				 HS_MODE_BLOCK, NULL, &s->database, &problem) != HS_SUCCESS) {
		result = err_set(err, ERR_INVALID, "keywords of rules: %s",
				 problem ? problem->message : "cannot be compiled");
		(void)hs_free_compile_error(problem);
	}
	if (result == 0 && s->database &&
	    hs_alloc_scratch(s->database, &s->scratch) != HS_SUCCESS)
		result = err_set(err, ERR_MEMORY, "out of memory");
	mem_free(l);
	return result;
}

static int prepare(struct leak_scanner *s, const struct check_rule *rules, struct err *err)
{
	static const struct regex_limits limits = {.matches = MATCHES_MAX,
						   .depth = DEPTH_MAX,
						   .heap_kib = HEAP_MAX_KIB,
						   .jit_stack_bytes = JIT_STACK_MAX_BYTES,
						   .pairs = PAIRS_MAX,
						   .time_ns = TEXT_NS};

	s->rules = mem_zalloc(s->count + 1, sizeof(*s->rules));
	s->space = regex_scratch_new(&limits);
	if (!s->rules || !s->space)
		return err_set(err, ERR_MEMORY, "out of memory");
	for (size_t i = 0; i < s->count; i++)
		if (rules[i].kind == CHECK_SECRET)
			s->rules[i].rule = &rules[i];
	return compile_literals(s, err);
}

struct leak_scanner *leak_scanner_new(const struct check_rule *rules, size_t count,
				      struct err *err)
{
	struct leak_scanner *s = mem_zalloc(1, sizeof(*s));

	if (!s) {
		(void)err_set(err, ERR_MEMORY, "out of memory");
		return NULL;
	}
	s->count = count;
	buf_init(&s->windows, WINDOWS_MAX * sizeof(struct window));
	buf_init(&s->hits, HITS_MAX * sizeof(struct hit));
	if (prepare(s, rules, err) < 0) {
		leak_scanner_free(s);
		return NULL;
	}
	return s;
}

void leak_scanner_free(struct leak_scanner *s)
{
	if (!s)
		return;
	for (size_t i = 0; s->rules && i < s->count; i++)
		regex_free(s->rules[i].regex);
	(void)hs_free_scratch(s->scratch);
	(void)hs_free_database(s->database);
	regex_scratch_free(s->space);
	buf_release(&s->windows);
	buf_release(&s->hits);
	mem_free(s->rule_of);
	mem_free(s->rules);
	mem_free(s);
}

/* --- Rules. */

int leak_rule_read(const struct node *n, struct check_rule *rule, struct err *err)
{
	struct span entropy = node_text_at(n, SPAN("entropy"));
	const struct node *keywords = node_get(n, SPAN("keywords"));
	uint64_t whole = 0, tenths = 0;

	rule->pattern = node_text_at(n, SPAN("pattern"));
	rule->keywords = keywords;
	rule->files = node_get(n, SPAN("files"));
	rule->lines = span_eq(node_text_at(n, SPAN("lines")), SPAN("true")) ||
		      node_true(node_get(n, SPAN("lines")));
	rule->generic = span_eq(node_text_at(n, SPAN("generic")), SPAN("true")) ||
			node_true(node_get(n, SPAN("generic")));
	if (!rule->pattern.len || !node_is(keywords, NODE_LIST) || !keywords->count)
		return err_set(err, ERR_INVALID,
			       "line %u: rule %.*s: a secret needs a pattern and keywords",
			       n->line, SPAN_ARG(rule->id));
	node_for_each(keyword, keywords) if (node_text(keyword).len < 2) return err_set(
		err, ERR_INVALID, "line %u: rule %.*s: a keyword has two characters at least",
		n->line, SPAN_ARG(rule->id));
	if (entropy.len) {
		size_t dot = span_find_byte(entropy, '.');

		if (!span_to_u64(span_slice(entropy, 0, dot), &whole) || whole > 8 ||
		    (dot < entropy.len &&
		     (!span_to_u64(span_slice(entropy, dot + 1, entropy.len), &tenths) ||
		      tenths > 9)))
			return err_set(err, ERR_INVALID,
				       "line %u: rule %.*s: entropy is bits a character, with "
				       "one decimal",
				       n->line, SPAN_ARG(rule->id));
		rule->entropy_tenths = (unsigned)(whole * 10 + tenths);
	}
	if (!leak_verify_parse(node_text_at(n, SPAN("verify")), &rule->verify))
		return err_set(err, ERR_INVALID,
			       "line %u: rule %.*s: verify must be crc32, jwt, basic or base64",
			       n->line, SPAN_ARG(rule->id));
	return 0;
}

/* --- Scanning. */

/* Around the byte before `to`: its line, or more. */
static struct window window_of(const struct leak_scanner *s, size_t rule, size_t to)
{
	const struct span text = s->text;
	size_t lowest = to > LINE_BACK_BYTES ? to - LINE_BACK_BYTES : 0;
	struct window w = {rule, to, to};
	size_t ahead;

	while (w.start > lowest && text.ptr[w.start - 1] != '\n')
		w.start--;
	if (s->rules[rule].rule->lines) {
		w.end = to + LINES_AHEAD_BYTES < text.len ? to + LINES_AHEAD_BYTES : text.len;
		return w;
	}
	ahead = text.len - to < LINE_AHEAD_BYTES ? text.len - to : LINE_AHEAD_BYTES;
	w.end = to + span_find_byte(span_slice(text, to, to + ahead), '\n');
	return w;
}

static int on_literal(unsigned id, unsigned long long from, unsigned long long to,
		      unsigned flags, void *context)
{
	struct leak_scanner *s = context;
	size_t rule = s->rule_of[id];
	struct leak_rule *r = &s->rules[rule];
	/* What goes over lines and begins near a window's end gets one of its own. */
	size_t tail = r->rule->lines ? LINES_AHEAD_BYTES / 2 : 0;
	struct window w;

	(void)from;
	(void)flags;
	if ((s->only != LEAK_ALL && s->only != rule) ||
	    (to + tail <= r->window_end || r->window_end == s->text.len))
		return 0;
	w = window_of(s, rule, (size_t)to);
	if (tail == 0 && w.start < r->window_end)
		w.start = r->window_end;
	r->window_end = w.end;
	return buf_append_bytes(&s->windows, &w, sizeof(w)) < 0;
}

static bool names_file(const struct check_rule *rule, struct span path)
{
	char name[256];
	struct span base = leak_base_name(path);

	if (!rule->files)
		return true;
	if (base.len >= sizeof(name) || memchr(base.ptr ? base.ptr : "", '\0', base.len))
		return false;
	memcpy(name, base.ptr, base.len);
	name[base.len] = '\0';
	/* Texts of nodes from YAML end in a NUL, since they are copies in an arena. */
	node_for_each(pattern, rule->files) if (fnmatch(node_text(pattern).ptr, name, 0) ==
						0) return true;
	return false;
}

static bool overlaps(const struct leak_scanner *s, size_t start, size_t end)
{
	const struct hit *hits = (const void *)s->hits.ptr;

	for (size_t i = 0; i < s->hits.len / sizeof(*hits); i++)
		if (start < hits[i].end && hits[i].start < end)
			return true;
	return false;
}

static bool counts(const struct leak_scanner *s, const struct check_rule *rule, size_t start,
		   size_t end)
{
	struct span value = span_slice(s->text, start, end);

	return value.len > 0 && !leak_is_placeholder(value, rule->generic) &&
	       leak_entropy(value) * 10 >= rule->entropy_tenths &&
	       leak_holds(rule->verify, value) && !overlaps(s, start, end) &&
	       !leak_is_allowed(s->text, start, rule->id);
}

/* All that the rule finds in the window. */
static int run_window(struct leak_scanner *s, const struct window *w, struct err *err)
{
	struct leak_rule *r = &s->rules[w->rule];
	size_t at = w->start;

	if (compile_pattern(r, err) < 0)
		return -1;
	while (at < w->end) {
		struct span text = span_slice(s->text, 0, w->end);
		int got = regex_search(r->regex, s->space, text, at, PCRE2_NOTEMPTY,
				       REGEX_PAIRS_ALL);
		struct span whole, value;
		struct hit hit = {.rule = w->rule};
		size_t end;

		if (got == REGEX_NONE)
			return 0;
		if (got < 0)
			return err_set(err, got == REGEX_NO_MEMORY ? ERR_MEMORY : ERR_LIMIT,
				       "rule %.*s takes too long here", SPAN_ARG(r->rule->id));
		whole = regex_pair(s->space, REGEX_PAIRS_ALL, text, 0);
		value = (size_t)got > r->group
				? regex_pair(s->space, REGEX_PAIRS_ALL, text, r->group)
				: SPAN_NONE;
		if (!value.ptr)
			value = whole;
		if (!whole.ptr)
			return 0;
		hit.start = (size_t)(value.ptr - text.ptr);
		hit.end = hit.start + value.len;
		if (counts(s, r->rule, hit.start, hit.end) &&
		    buf_append_bytes(&s->hits, &hit, sizeof(hit)) < 0)
			return err_set(err, ERR_LIMIT, "more than %d secrets", HITS_MAX);
		end = (size_t)(whole.ptr - text.ptr) + whole.len;
		at = end > at ? end : at + 1;
	}
	return 0;
}

/* Rules that are generic give way to the others, so they come last. */
static int run_windows(struct leak_scanner *s, struct span path, bool generic, struct err *err)
{
	const struct window *windows = (const void *)s->windows.ptr;
	int result = 0;

	for (size_t i = 0; i < s->windows.len / sizeof(*windows); i++) {
		const struct check_rule *rule = s->rules[windows[i].rule].rule;

		if (rule->generic != generic || !names_file(rule, path))
			continue;
		if (run_window(s, &windows[i], result == 0 ? err : NULL) < 0)
			result = -1;
	}
	return result;
}

static uint32_t line_of(struct leak_scanner *s, size_t at, uint32_t *column)
{
	size_t start = at;

	if (at < s->line_at) {
		s->line_at = 0;
		s->line = 1;
	}
	for (; s->line_at < at; s->line_at++)
		s->line += s->text.ptr[s->line_at] == '\n';
	while (start > 0 && s->text.ptr[start - 1] != '\n')
		start--;
	*column = (uint32_t)(at - start) + 1;
	return s->line;
}

/* What may be shown: the public beginning of a token, which is one of its rule's keywords. */
static struct span shown(const struct check_rule *rule, struct span value)
{
	struct span best = SPAN("");

	node_for_each(keyword, rule->keywords)
	{
		struct span text = node_text(keyword);

		if (text.len > best.len && text.len < value.len / 2 &&
		    span_starts_with(value, text))
			best = text;
	}
	return best;
}

static void tell(struct leak_scanner *s, const struct leak_text *text, const struct hit *hit,
		 struct finding_list *findings)
{
	const struct check_rule *rule = s->rules[hit->rule].rule;
	struct span value = span_slice(s->text, hit->start, hit->end);
	struct span start = shown(rule, value);
	char message[300];
	struct finding f = {
		.rule = rule->id,
		.severity = rule->severity,
		.advice = rule->fix,
		.link = rule->link,
		.standards = rule->standards,
		.subject = text->subject,
		.place.file = text->path,
	};

	(void)snprintf(message, sizeof(message), "%.*s: %.*s**** (%zu characters)",
		       (int)(rule->what.len < 200 ? rule->what.len : 200), rule->what.ptr,
		       SPAN_ARG(span_slice(start, 0, 24)), value.len);
	f.message = span_cstr(message);
	f.place.line = line_of(s, hit->start, &f.place.column);
	(void)finding_list_add(findings, &f);
}

static int scan(struct leak_scanner *s, const struct leak_text *text, struct err *err)
{
	hs_error_t result = hs_scan(s->database, s->text.ptr, (unsigned)s->text.len, 0,
				    s->scratch, on_literal, s);
	int first;

	if (result != HS_SUCCESS && result != HS_SCAN_TERMINATED)
		return err_set(err, ERR_INTERNAL, "the search failed (%d)", result);
	first = run_windows(s, text->path, false, err);
	if (run_windows(s, text->path, true, first < 0 ? NULL : err) < 0)
		first = -1;
	if (first == 0 && result == HS_SCAN_TERMINATED)
		return err_set(err, ERR_LIMIT, "too many places that could be secrets");
	return first;
}

int leak_scan(struct leak_scanner *s, const struct leak_text *text, size_t rule,
	      struct finding_list *findings, struct err *err)
{
	int result;

	if (!s->database || text->text.len == 0)
		return 0;
	if (text->text.len > UINT32_MAX)
		return err_set(err, ERR_LIMIT, "too large to be searched for secrets");
	s->text = text->text;
	s->only = rule;
	regex_scratch_set_left_ns(s->space, TEXT_NS);
	s->line_at = 0;
	s->line = 1;
	buf_clear(&s->windows);
	buf_clear(&s->hits);
	for (size_t i = 0; i < s->count; i++)
		s->rules[i].window_end = 0;
	result = scan(s, text, err);
	for (size_t i = 0; i < s->hits.len / sizeof(struct hit); i++)
		tell(s, text, &((const struct hit *)(const void *)s->hits.ptr)[i], findings);
	s->text = SPAN_NONE;
	return findings->failed ? err_set(err, ERR_MEMORY, "out of memory") : result;
}
