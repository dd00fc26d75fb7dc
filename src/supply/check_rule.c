/* Rules, ours and the user's, from YAML. */
#include <stdio.h>

#include "base/mem.h"
#include "supply/check_internal.h"
#include "supply/check_rules.h"
#include "supply/lock_parse.h"

#define RULES_MAX 4096

static const char *const kind_names[CHECK_KINDS] = {
	[CHECK_NONE] = "none",
	[CHECK_DOCKERFILE] = "dockerfile",
	[CHECK_KUBERNETES] = "kubernetes",
	[CHECK_COMPOSE] = "compose",
	[CHECK_GITHUB] = "github",
	[CHECK_GITLAB] = "gitlab",
	[CHECK_IMAGE] = "image",
	[CHECK_OPENAPI] = "openapi",
	[CHECK_NGINX] = "nginx",
	[CHECK_SSHD] = "sshd",
	[CHECK_SHELL] = "shell",
	[CHECK_SECRET] = "secret",
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

static bool read_kind(struct span word, enum check_kind *kind)
{
	for (unsigned i = CHECK_DOCKERFILE; i < CHECK_KINDS; i++)
		if (span_eq(word, span_cstr(kind_names[i]))) {
			*kind = (enum check_kind)i;
			return true;
		}
	return false;
}

static int unknown_kind(const struct check_rule *rule, struct err *err)
{
	char known[256] = "";
	size_t length = 0;

	for (unsigned i = CHECK_NONE + 1; i < CHECK_KINDS && length < sizeof(known); i++)
		length += (size_t)snprintf(known + length, sizeof(known) - length, "%s%s",
					   i > CHECK_NONE + 1 ? ", " : "", kind_names[i]);
	return err_set(err, ERR_INVALID, "line %u: rule %.*s: kind must be one of %s",
		       rule->line, SPAN_ARG(rule->id), known);
}

/* An address is where more is written; the rest are numbers in standards. */
static int read_references(struct checker *c, const struct node *references,
			   struct check_rule *rule)
{
	node_for_each(reference, references)
	{
		struct span text = node_text(reference);

		if (span_find(text, SPAN("://")) < text.len) {
			if (!rule->link.len)
				rule->link = text;
			continue;
		}
		if (!text.len)
			continue;
		rule->standards = rule->standards.len ? arena_printf(&c->arena, "%.*s, %.*s",
								     SPAN_ARG(rule->standards),
								     SPAN_ARG(text))
						      : text;
		if (!rule->standards.ptr)
			return -1;
	}
	return 0;
}

static int read_rule(struct checker *c, const struct node *n, struct check_rule *rule,
		     struct err *err)
{
	*rule = (struct check_rule){
		.id = node_text_at(n, SPAN("id")),
		.what = span_trim(node_text_at(n, SPAN("what"))),
		.why = span_trim(node_text_at(n, SPAN("why"))),
		.fix = span_trim(node_text_at(n, SPAN("fix"))),
		.jq = node_text_at(n, SPAN("jq")),
		.bad = node_get(n, SPAN("bad")),
		.good = node_get(n, SPAN("good")),
		.line = n->line,
	};
	if (rule->id.len == 0 || rule->what.len == 0)
		return err_set(err, ERR_INVALID, "line %u: a rule needs id and what", n->line);
	if (read_references(c, node_get(n, SPAN("references")), rule) < 0)
		return err_set(err, ERR_MEMORY, "out of memory");
	if (!read_kind(node_text_at(n, SPAN("kind")), &rule->kind))
		return unknown_kind(rule, err);
	if (rule->kind == CHECK_SECRET && leak_rule_read(n, rule, err) < 0)
		return -1;
	if (rule->kind != CHECK_SECRET && rule->jq.len == 0)
		return err_set(err, ERR_INVALID, "line %u: rule %.*s needs jq", n->line,
			       SPAN_ARG(rule->id));
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
	for (size_t i = 0; i < CHECK_KINDS; i++)
		check_program_free(c->programs[i]);
	leak_scanner_free(c->leaks);
	arena_release(&c->arena);
	mem_free(c->rules);
	mem_free(c);
}
