/* Examples, defaults and enums are published with the document: no secret may be in them. */
#include "contract/lint_internal.h"

struct prefix {
	struct span text;
	size_t more; /* letters, digits, '_', '-' that must follow at least */
};

/* Forms that nobody chooses by chance. */
static const struct prefix prefixes[] = {
	{SPAN_INIT("AKIA"), 16},     {SPAN_INIT("ASIA"), 16},
	{SPAN_INIT("ghp_"), 30},     {SPAN_INIT("gho_"), 30},
	{SPAN_INIT("ghs_"), 30},     {SPAN_INIT("github_pat_"), 30},
	{SPAN_INIT("glpat-"), 20},   {SPAN_INIT("xoxb-"), 20},
	{SPAN_INIT("xoxp-"), 20},    {SPAN_INIT("sk_live_"), 16},
	{SPAN_INIT("rk_live_"), 16}, {SPAN_INIT("AIza"), 30},
	{SPAN_INIT("npm_"), 30},     {SPAN_INIT("eyJhbGciOi"), 20},
};

static bool is_word_byte(char c)
{
	return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') ||
	       c == '_' || c == '-' || c == '.';
}

static size_t word_length(struct span s)
{
	size_t len = 0;

	while (len < s.len && is_word_byte(s.ptr[len]))
		len++;
	return len;
}

static bool contains_nocase(struct span text, struct span word)
{
	for (size_t i = 0; i + word.len <= text.len; i++)
		if (span_eq_nocase(span_slice(text, i, i + word.len), word))
			return true;
	return false;
}

static bool has_known_form(struct span text)
{
	if (contains_nocase(text, SPAN("example")) || contains_nocase(text, SPAN("xxxx")))
		return false;
	if (span_find(text, SPAN("PRIVATE KEY-----")) < text.len)
		return true;
	for (size_t i = 0; i < COUNT_OF(prefixes); i++) {
		size_t at = span_find(text, prefixes[i].text);
		struct span rest;

		if (at == text.len)
			continue;
		rest = span_slice(text, at + prefixes[i].text.len, text.len);
		if (word_length(rest) >= prefixes[i].more)
			return true;
	}
	return false;
}

static bool is_secret_name(struct span name)
{
	static const char *const words[] = {"password",	   "passwd",	   "secret",
					    "api_key",	   "apikey",	   "access_key",
					    "private_key", "access_token", "refresh_token"};

	for (size_t i = 0; i < COUNT_OF(words); i++)
		if (contains_nocase(name, span_cstr(words[i])))
			return true;
	return false;
}

/* Digits and letters of both cases, or long hexadecimal: not a word that stands for one. */
static bool looks_random(struct span text)
{
	bool lower = false, upper = false, digit = false;

	if (text.len < 16 || word_length(text) < text.len)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		lower |= text.ptr[i] >= 'a' && text.ptr[i] <= 'z';
		upper |= text.ptr[i] >= 'A' && text.ptr[i] <= 'Z';
		digit |= text.ptr[i] >= '0' && text.ptr[i] <= '9';
	}
	return digit && lower && (upper || text.len >= 32);
}

/* `name`: of the property whose example it is, if any; `shown`: within an example. */
static void visit(struct lint *l, const struct json *value, struct span name, bool shown,
		  unsigned depth)
{
	static const struct lint_rule rule = {
		"openapi-secret-in-example", FINDING_HIGH,
		"What looks like a secret stands in the document, which callers read.",
		"Withdraw the secret and put a word in its place."};

	if (depth == JSON_DEPTH_MAX || l->no_memory)
		return;
	if (value->type == JSON_STRING) {
		if (has_known_form(value->text) ||
		    (shown && is_secret_name(name) && looks_random(value->text)))
			lint_add(l, &rule, value, span_slice(name, 0, 100));
		return;
	}
	for (size_t i = 0; value->type == JSON_ARRAY && i < value->array.count; i++)
		visit(l, &value->array.items[i], name, shown, depth + 1);
	for (size_t i = 0; value->type == JSON_OBJECT && i < value->object.count; i++) {
		const struct json_member *m = &value->object.members[i];
		bool example = span_eq(m->key, SPAN("example")) ||
			       span_eq(m->key, SPAN("examples")) ||
			       span_eq(m->key, SPAN("default")) ||
			       span_eq(m->key, SPAN("const")) || span_eq(m->key, SPAN("enum"));
		/* "example" under a property is the property's; within one, keys are its own. */
		struct span inner =
			(example && !shown) || span_eq(m->key, SPAN("value")) ? name : m->key;

		visit(l, &m->value, inner, shown || example, depth + 1);
	}
}

void lint_examples(struct lint *l, const struct document *document)
{
	visit(l, document->root, SPAN_NONE, false, 0);
}
