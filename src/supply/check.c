#include "supply/check.h"

#include "base/mem.h"
#include "supply/check_dockerfile.h"
#include "supply/check_internal.h"
#include "supply/check_nginx.h"
#include "supply/check_rules.h"
#include "supply/check_shell.h"
#include "supply/check_sshd.h"
#include "supply/lock_parse.h"

#define DOCUMENT_MAX_BYTES ((size_t)256 << 20)

/*
 * --- The programs, one a kind, each compiled for the first file of its kind: jq takes half a
 * millisecond a rule, and a dozen for its own functions.
 */

static void put_rule(const struct check_rule *rule, size_t index, struct buf *to)
{
	buf_append_cstr(to, ", (try ($d | each($kind) | ");
	buf_append(to, rule->jq);
	buf_printf(to, "\n| [%zu, .]) catch empty)\n", index);
}

static struct check_program *compile(const struct check_rule *rules, size_t first, size_t count,
				     enum check_kind kind, struct err *err)
{
	struct check_program *program = NULL;
	struct buf text;

	buf_init(&text, RULES_MAX_BYTES);
	buf_append_bytes(&text, check_embedded_prelude.bytes, check_embedded_prelude.len);
	buf_append_cstr(&text, "\n.kind as $kind | .document as $d | empty\n");
	for (size_t i = first; i < first + count; i++)
		if (rules[i].kind == kind)
			put_rule(&rules[i], i, &text);
	if (buf_failed(&text))
		(void)err_set(err, ERR_MEMORY, "out of memory");
	else
		program = check_program_new(buf_span(&text), err);
	buf_release(&text);
	return program;
}

/* Which rule it is that does not compile, for a message. */
static int blame(const struct checker *c, enum check_kind kind, struct err *err)
{
	for (size_t i = 0; i < c->count; i++) {
		struct err why = {0};
		struct check_program *program;

		if (c->rules[i].kind != kind)
			continue;
		program = compile(c->rules, i, 1, kind, &why);
		if (!program && why.code == ERR_INVALID) {
			*err = why;
			return err_wrap(err, "rule %.*s", SPAN_ARG(c->rules[i].id));
		}
		check_program_free(program);
	}
	return -1;
}

static int prepare(struct checker *c, enum check_kind kind, struct err *err)
{
	struct err why = {0};

	if (c->programs[kind])
		return 0;
	c->programs[kind] = compile(c->rules, 0, c->count, kind, &why);
	if (c->programs[kind])
		return 0;
	if (err)
		*err = why;
	return why.code == ERR_INVALID && err ? blame(c, kind, err) : -1;
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
		.link = rule->link,
		.standards = rule->standards,
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
	return check_program_run(h->checker->programs[kind], check_kind_name(kind), document,
				 on_hit, h, err);
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

/* What is not YAML as a tree; NULL with *err. */
static const struct node *read_document(struct arena *a, enum check_kind kind, struct span text,
					struct err *err)
{
	switch (kind) {
	case CHECK_DOCKERFILE: return dockerfile_read(a, text, err);
	case CHECK_NGINX: return nginx_read(a, text, err);
	case CHECK_SSHD: return sshd_read(a, text, err);
	case CHECK_SHELL: return shell_read(a, text, err);
	case CHECK_NONE:
	case CHECK_KUBERNETES:
	case CHECK_COMPOSE:
	case CHECK_GITHUB:
	case CHECK_GITLAB:
	case CHECK_IMAGE:
	case CHECK_OPENAPI:
	case CHECK_SECRET: break;
	}
	return node_parse_json(a, text, err);
}

static bool is_yaml_kind(enum check_kind kind, struct span file)
{
	return (kind == CHECK_KUBERNETES || kind == CHECK_COMPOSE || kind == CHECK_GITHUB ||
		kind == CHECK_GITLAB || kind == CHECK_OPENAPI) &&
	       !span_ends_with(file, SPAN(".json"));
}

static int run_file(struct hits *h, enum check_kind kind, struct span text, struct err *err)
{
	struct arena arena;
	const struct node *root;
	int result;

	if (prepare(h->checker, kind, err) < 0)
		return -1;
	if (is_yaml_kind(kind, h->file))
		return run_yaml(h, kind, text, err);
	arena_init(&arena, DOCUMENT_MAX_BYTES, (size_t)1 << 16);
	root = read_document(&arena, kind, text, err);
	result = root ? run(h, kind, root, err) : -1;
	arena_release(&arena);
	return result;
}

int check_file(struct checker *c, enum check_kind kind, struct span path, struct span text,
	       struct finding_list *findings, struct err *err)
{
	struct hits h = {.checker = c, .file = path, .findings = findings, .only = SIZE_MAX};

	if (kind == CHECK_NONE || kind == CHECK_SECRET)
		return 0;
	if (run_file(&h, kind, text, err) < 0)
		return -1;
	return findings->failed ? err_set(err, ERR_MEMORY, "out of memory") : 0;
}

static int prepare_leaks(struct checker *c, struct err *err)
{
	if (!c->leaks)
		c->leaks = leak_scanner_new(c->rules, c->count, err);
	return c->leaks ? 0 : -1;
}

int check_secrets(struct checker *c, const struct leak_text *text,
		  struct finding_list *findings, struct err *err)
{
	if (prepare_leaks(c, err) < 0)
		return -1;
	return leak_scan(c->leaks, text, LEAK_ALL, findings, err);
}

int checker_compile(struct checker *c, size_t first, struct err *err)
{
	for (size_t i = first; i < c->count; i++)
		if ((c->rules[i].kind == CHECK_SECRET ? prepare_leaks(c, err)
						      : prepare(c, c->rules[i].kind, err)) < 0)
			return -1;
	return 0;
}

/* The name of a file that the rule would look at. */
static struct span example_name(const struct check_rule *rule, struct arena *a)
{
	struct span pattern = node_text(node_first(rule->files)), name;

	if (!pattern.len)
		return SPAN("example");
	name = span_starts_with(pattern, SPAN("*"))
		       ? arena_printf(a, "a%.*s", SPAN_ARG(span_slice(pattern, 1, pattern.len)))
		       : pattern;
	return name.ptr ? name : SPAN("example");
}

static int count_leaks(struct hits *h, const struct check_rule *rule, struct span text,
		       struct err *err)
{
	struct finding_list found;
	struct arena arena;
	struct leak_text leak;
	int result = -1;

	arena_init(&arena, (size_t)1 << 22, (size_t)1 << 14);
	finding_list_init(&found, &arena);
	leak = (struct leak_text){.path = example_name(rule, &arena),
				  .text = leak_example(&arena, text, rule->id)};
	if (!leak.text.ptr)
		(void)err_set(err, ERR_MEMORY, "out of memory");
	else if (prepare_leaks(h->checker, err) == 0)
		result = leak_scan(h->checker->leaks, &leak, h->only, &found, err);
	h->found = found.count;
	arena_release(&arena);
	return result;
}

static int check_example(struct checker *c, size_t rule, const struct node *text, bool is_bad,
			 struct err *err)
{
	struct hits h = {.checker = c, .file = SPAN("example"), .only = rule};
	const struct check_rule *r = &c->rules[rule];

	if ((r->kind == CHECK_SECRET ? count_leaks(&h, r, node_text(text), err)
				     : run_file(&h, r->kind, node_text(text), err)) < 0)
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
