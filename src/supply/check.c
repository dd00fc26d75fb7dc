#include "supply/check.h"

#include "base/mem.h"
#include "supply/check_dockerfile.h"
#include "supply/check_jq.h"
#include "supply/check_rules.h"
#include "supply/lock_parse.h"

#define RULES_MAX 4096
#define RULES_MAX_BYTES ((size_t)16 << 20)
#define DOCUMENT_MAX_BYTES ((size_t)256 << 20)

struct checker {
	struct arena arena; /* rules and their text */
	struct check_rule *rules;
	size_t count;
	size_t capacity;
	struct check_program *program; /* NULL until it is needed */
};

static const char *const kind_names[CHECK_KINDS] = {
	[CHECK_NONE] = "none",
	[CHECK_DOCKERFILE] = "dockerfile",
	[CHECK_KUBERNETES] = "kubernetes",
	[CHECK_COMPOSE] = "compose",
	[CHECK_GITHUB] = "github",
	[CHECK_GITLAB] = "gitlab",
};

const char *check_kind_name(enum check_kind kind)
{
	return kind_names[kind];
}

size_t checker_rule_count(const struct checker *c)
{
	return c->count;
}

const struct check_rule *checker_rule(const struct checker *c, size_t index)
{
	return &c->rules[index];
}

/* --- Rules */

static bool read_kind(struct span word, enum check_kind *kind)
{
	for (unsigned i = CHECK_DOCKERFILE; i < CHECK_KINDS; i++)
		if (span_eq(word, span_cstr(kind_names[i]))) {
			*kind = (enum check_kind)i;
			return true;
		}
	return false;
}

static int read_rule(struct checker *c, const struct node *n, struct check_rule *rule,
		     struct err *err)
{
	const struct node *references = node_get(n, SPAN("references"));

	*rule = (struct check_rule){
		.id = node_text_at(n, SPAN("id")),
		.what = span_trim(node_text_at(n, SPAN("what"))),
		.why = span_trim(node_text_at(n, SPAN("why"))),
		.fix = span_trim(node_text_at(n, SPAN("fix"))),
		.reference = node_text(node_first(references)),
		.jq = node_text_at(n, SPAN("jq")),
		.bad = node_get(n, SPAN("bad")),
		.good = node_get(n, SPAN("good")),
		.line = n->line,
	};
	if (rule->id.len == 0 || rule->what.len == 0 || rule->jq.len == 0)
		return err_set(err, ERR_INVALID, "line %u: a rule needs id, what and jq",
			       n->line);
	if (!read_kind(node_text_at(n, SPAN("kind")), &rule->kind))
		return err_set(
			err, ERR_INVALID,
			"line %u: rule %.*s: kind must be dockerfile, kubernetes, compose, "
			"github or gitlab",
			n->line, SPAN_ARG(rule->id));
	if (!finding_severity_parse(node_text_at(n, SPAN("severity")), &rule->severity))
		return err_set(
			err, ERR_INVALID,
			"line %u: rule %.*s: severity must be info, low, medium, high or "
			"critical",
			n->line, SPAN_ARG(rule->id));
	for (size_t i = 0; i < c->count; i++)
		if (span_eq(c->rules[i].id, rule->id))
			return err_set(err, ERR_INVALID,
				       "line %u: there is a rule %.*s already", n->line,
				       SPAN_ARG(rule->id));
	return 0;
}

static int append(struct checker *c, const struct check_rule *rule, struct err *err)
{
	if (c->count == RULES_MAX)
		return err_set(err, ERR_LIMIT, "more than %d rules", RULES_MAX);
	if (c->count == c->capacity) {
		size_t capacity = c->capacity ? c->capacity * 2 : 256;
		struct check_rule *rules = mem_realloc(c->rules, capacity * sizeof(*c->rules));

		if (!rules)
			return err_set(err, ERR_MEMORY, "out of memory");
		c->rules = rules;
		c->capacity = capacity;
	}
	c->rules[c->count++] = *rule;
	return 0;
}

int checker_add_rules(struct checker *c, struct span name, struct span text, struct err *err)
{
	struct span copy = arena_dup(&c->arena, text);
	struct node *root;

	if (!copy.ptr)
		return err_set(err, ERR_MEMORY, "out of memory");
	root = lock_parse_yaml(&c->arena, copy, err);
	if (!root)
		return err_wrap(err, "%.*s", SPAN_ARG(name));
	if (root->kind != NODE_LIST)
		return err_set(err, ERR_INVALID, "%.*s: not a list of rules", SPAN_ARG(name));
	node_for_each(item, root)
	{
		struct check_rule rule;

		if (read_rule(c, item, &rule, err) < 0 || append(c, &rule, err) < 0)
			return err_wrap(err, "%.*s", SPAN_ARG(name));
	}
	return 0;
}

struct checker *checker_new(struct err *err)
{
	struct checker *c = mem_zalloc(1, sizeof(*c));

	if (!c) {
		(void)err_set(err, ERR_MEMORY, "out of memory");
		return NULL;
	}
	arena_init(&c->arena, RULES_MAX_BYTES, (size_t)1 << 16);
	for (size_t i = 0; check_embedded_rules[i].name; i++) {
		const struct check_embedded *e = &check_embedded_rules[i];

		if (checker_add_rules(c, span_cstr(e->name), span_of(e->bytes, e->len), err) <
		    0) {
			checker_free(c);
			return NULL;
		}
	}
	return c;
}

void checker_free(struct checker *c)
{
	if (!c)
		return;
	check_program_free(c->program);
	arena_release(&c->arena);
	mem_free(c->rules);
	mem_free(c);
}

/* --- The program: all rules in one, since compiling jq's own functions costs most. */

static void put_rule(const struct check_rule *rule, size_t index, struct buf *to)
{
	buf_printf(to, ", (if $kind == \"%s\" then (try ($d | each($kind) | ",
		   kind_names[rule->kind]);
	buf_append(to, rule->jq);
	buf_printf(to, "\n| [%zu, .]) catch empty) else empty end)\n", index);
}

static struct check_program *compile(const struct check_rule *rules, size_t first, size_t count,
				     struct err *err)
{
	struct check_program *program = NULL;
	struct buf text;

	buf_init(&text, RULES_MAX_BYTES);
	buf_append_bytes(&text, check_embedded_prelude.bytes, check_embedded_prelude.len);
	buf_append_cstr(&text, "\n.kind as $kind | .document as $d | empty\n");
	for (size_t i = first; i < first + count; i++)
		put_rule(&rules[i], i, &text);
	if (buf_failed(&text))
		(void)err_set(err, ERR_MEMORY, "out of memory");
	else
		program = check_program_new(buf_span(&text), err);
	buf_release(&text);
	return program;
}

/* Which rule it is that does not compile, for a message. */
static int blame(const struct checker *c, struct err *err)
{
	for (size_t i = 0; i < c->count; i++) {
		struct err why = {0};
		struct check_program *program = compile(c->rules, i, 1, &why);

		if (!program && why.code == ERR_INVALID) {
			*err = why;
			return err_wrap(err, "rule %.*s", SPAN_ARG(c->rules[i].id));
		}
		check_program_free(program);
	}
	return -1;
}

static int prepare(struct checker *c, struct err *err)
{
	struct err why = {0};

	if (c->program)
		return 0;
	c->program = compile(c->rules, 0, c->count, &why);
	if (c->program)
		return 0;
	if (err)
		*err = why;
	return why.code == ERR_INVALID && err ? blame(c, err) : -1;
}

/* --- What a file is. */

static struct span base_name(struct span path)
{
	for (size_t i = path.len; i > 0; i--)
		if (path.ptr[i - 1] == '/')
			return span_slice(path, i, path.len);
	return path;
}

static bool is_yaml(struct span name)
{
	return span_ends_with(name, SPAN(".yaml")) || span_ends_with(name, SPAN(".yml"));
}

static bool is_dockerfile(struct span name)
{
	static const struct span names[] = {SPAN_INIT("dockerfile"),
					    SPAN_INIT("containerfile")};

	for (size_t i = 0; i < COUNT_OF(names); i++) {
		struct span start = span_slice(name, 0, names[i].len);
		struct span end = name.len > names[i].len
					  ? span_slice(name, name.len - names[i].len, name.len)
					  : SPAN_NONE;

		if (span_eq_nocase(start, names[i]) &&
		    (name.len == names[i].len || name.ptr[names[i].len] == '.'))
			return !span_ends_with(name, SPAN(".dockerignore"));
		if (end.ptr && span_eq_nocase(end, names[i]) && end.ptr[-1] == '.')
			return true;
	}
	return false;
}

static bool is_compose(struct span name)
{
	return is_yaml(name) && (span_starts_with(name, SPAN("docker-compose")) ||
				 span_starts_with(name, SPAN("compose.")) ||
				 span_starts_with(name, SPAN("compose-")));
}

bool check_wants(struct span path)
{
	struct span name = base_name(path);

	return is_dockerfile(name) || is_yaml(name) ||
	       (span_ends_with(name, SPAN(".json")) &&
		!span_eq(name, SPAN("package-lock.json")) &&
		!span_eq(name, SPAN("package.json")));
}

enum check_kind check_kind_of(struct span path, struct span text)
{
	struct span name = base_name(path);

	if (is_dockerfile(name))
		return CHECK_DOCKERFILE;
	if (is_compose(name))
		return CHECK_COMPOSE;
	if (is_yaml(name) && span_find(path, SPAN(".github/workflows/")) < path.len)
		return CHECK_GITHUB;
	if (is_yaml(name) && span_ends_with(name, SPAN(".gitlab-ci.yml")))
		return CHECK_GITLAB;
	if (check_wants(path) && span_find(text, SPAN("apiVersion")) < text.len &&
	    span_find(text, SPAN("kind")) < text.len)
		return CHECK_KUBERNETES;
	return CHECK_NONE;
}

/* --- Checking. */

struct hits {
	struct checker *checker;
	struct span file;
	struct finding_list *findings;
	size_t only; /* the rule that counts, or SIZE_MAX: all */
	size_t found;
};

static void on_hit(void *context, const struct check_hit *hit)
{
	struct hits *h = context;
	const struct check_rule *rule;
	struct finding finding;

	if (hit->rule >= h->checker->count || (h->only != SIZE_MAX && hit->rule != h->only))
		return;
	h->found++;
	rule = &h->checker->rules[hit->rule];
	finding = (struct finding){
		.rule = rule->id,
		.severity = rule->severity,
		.message = hit->message.len ? hit->message : rule->what,
		.advice = rule->fix,
		.link = span_find(rule->reference, SPAN("://")) < rule->reference.len
				? rule->reference
				: SPAN_NONE,
		.place = {.file = h->file, .line = hit->line},
	};
	if (h->findings)
		(void)finding_list_add(h->findings, &finding);
}

static void move_lines(struct node *n, uint32_t by)
{
	n->line += by;
	if (n->kind != NODE_LIST && n->kind != NODE_MAP)
		return;
	for (struct node *child = n->first; child; child = child->next)
		if (child->line)
			move_lines(child, by);
}

static int run(struct hits *h, enum check_kind kind, const struct node *document,
	       struct err *err)
{
	return check_program_run(h->checker->program, kind_names[kind], document, on_hit, h,
				 err);
}

/* Documents are parted by lines that begin with "---". */
static int run_yaml(struct hits *h, enum check_kind kind, struct span text, struct err *err)
{
	struct span rest = text;
	uint32_t line = 0;
	int result = 0;

	while (rest.ptr && result == 0) {
		uint32_t first = line;
		const char *start = rest.ptr, *end = start;
		struct arena arena;
		struct node *root;

		while (rest.ptr) {
			struct span one = span_cut(&rest, '\n');

			line++;
			if (span_starts_with(one, SPAN("---")))
				break;
			end = one.ptr + one.len;
		}
		if (span_trim(span_of(start, (size_t)(end - start))).len == 0)
			continue;
		arena_init(&arena, DOCUMENT_MAX_BYTES, (size_t)1 << 16);
		root = lock_parse_yaml(&arena, span_of(start, (size_t)(end - start)), err);
		if (!root) {
			result = first ? err_wrap(err, "document behind line %u", first) : -1;
		} else {
			move_lines(root, first);
			result = run(h, kind, root, err);
		}
		arena_release(&arena);
	}
	return result;
}

static int run_file(struct hits *h, enum check_kind kind, struct span text, struct err *err)
{
	struct arena arena;
	const struct node *root;
	int result;

	if (prepare(h->checker, err) < 0)
		return -1;
	if (kind != CHECK_DOCKERFILE && !span_ends_with(h->file, SPAN(".json")))
		return run_yaml(h, kind, text, err);
	arena_init(&arena, DOCUMENT_MAX_BYTES, (size_t)1 << 16);
	root = kind == CHECK_DOCKERFILE ? dockerfile_read(&arena, text, err)
					: node_parse_json(&arena, text, err);
	result = root ? run(h, kind, root, err) : -1;
	arena_release(&arena);
	return result;
}

int check_file(struct checker *c, enum check_kind kind, struct span path, struct span text,
	       struct finding_list *findings, struct err *err)
{
	struct hits h = {.checker = c, .file = path, .findings = findings, .only = SIZE_MAX};

	if (kind == CHECK_NONE)
		return 0;
	if (run_file(&h, kind, text, err) < 0)
		return -1;
	return findings->failed ? err_set(err, ERR_MEMORY, "out of memory") : 0;
}

static int check_example(struct checker *c, size_t rule, const struct node *text, bool is_bad,
			 struct err *err)
{
	struct hits h = {.checker = c, .file = SPAN("example"), .only = rule};
	const struct check_rule *r = &c->rules[rule];

	if (run_file(&h, r->kind, node_text(text), err) < 0)
		return err_wrap(err, "rule %.*s, the example of line %u", SPAN_ARG(r->id),
				text->line);
	if (is_bad && h.found == 0)
		return err_set(err, ERR_INVALID,
			       "rule %.*s: the bad example of line %u is not found",
			       SPAN_ARG(r->id), text->line);
	if (!is_bad && h.found)
		return err_set(err, ERR_INVALID,
			       "rule %.*s: the good example of line %u is found",
			       SPAN_ARG(r->id), text->line);
	return 0;
}

static int check_each(struct checker *c, size_t rule, const struct node *texts, bool is_bad,
		      struct err *err)
{
	if (!texts)
		return 0;
	if (texts->kind != NODE_LIST)
		return check_example(c, rule, texts, is_bad, err);
	node_for_each(text, texts) if (check_example(c, rule, text, is_bad, err) < 0) return -1;
	return 0;
}

int check_examples(struct checker *c, size_t rule, struct err *err)
{
	const struct check_rule *r = &c->rules[rule];

	if (!r->bad || !r->good)
		return err_set(err, ERR_INVALID, "rule %.*s has no bad or no good example",
			       SPAN_ARG(r->id));
	if (check_each(c, rule, r->bad, true, err) < 0)
		return -1;
	return check_each(c, rule, r->good, false, err);
}
