/*
 * Maven. A version is a sequence of tokens, each behind "." or "-"; a change between digits and
 * letters counts as "-". A null token (0, "", final, ga, release) is left out when what follows it,
 * over more null tokens behind ".", is the end or a "-". At one place, words behind "." come before
 * those behind "-", these before numbers behind "-", and these before numbers behind ".".
 */
#include "base/compiler.h"
#include "parse/version_internal.h"

struct token {
	struct span text;
	bool end;
	bool hyphen;
	bool number;
	bool before_digit; /* letters directly before a digit: "a1" is alpha */
};

struct cursor {
	struct span rest;
	bool first;
	bool after_change; /* the token before ended at a change of kind */
	size_t kept_until; /* bytes of `rest` at which a run of null tokens, known to stay, ends */
};

static struct token read_token(struct cursor *c)
{
	struct token t = {.hyphen = true};
	struct span *s = &c->rest;

	if (s->len == 0 && !c->first) {
		t.end = true;
		return t;
	}
	if (!c->first && !c->after_change) {
		t.hyphen = s->ptr[0] == '-';
		*s = span_slice(*s, 1, s->len);
	}
	c->first = false;
	c->after_change = false;
	if (s->len == 0 || s->ptr[0] == '.' || s->ptr[0] == '-') {
		t.number = true; /* an empty token is 0 */
		return t;
	}
	if (version_is_digit(s->ptr[0])) {
		t.number = true;
		t.text = version_take_digits(s);
	} else {
		size_t n = 0;

		while (n < s->len && !version_is_digit(s->ptr[n]) && s->ptr[n] != '.' &&
		       s->ptr[n] != '-')
			n++;
		t.text = span_slice(*s, 0, n);
		*s = span_slice(*s, n, s->len);
		t.before_digit = s->len && version_is_digit(s->ptr[0]);
	}
	c->after_change = s->len && s->ptr[0] != '.' && s->ptr[0] != '-';
	return t;
}

/* Qualifiers that have a place of their own; all others come after, in the order of bytes. */
enum { QUALIFIER_NULL = 6, QUALIFIER_OTHER = 8 };

static int qualifier_rank(const struct token *t)
{
	static const struct {
		struct span word;
		int rank;
		bool short_form;
	} words[] = {
		{SPAN_INIT("alpha"), 1, false},
		{SPAN_INIT("a"), 1, true},
		{SPAN_INIT("beta"), 2, false},
		{SPAN_INIT("b"), 2, true},
		{SPAN_INIT("milestone"), 3, false},
		{SPAN_INIT("m"), 3, true},
		{SPAN_INIT("rc"), 4, false},
		{SPAN_INIT("cr"), 4, false},
		{SPAN_INIT("snapshot"), 5, false},
		{SPAN_INIT("final"), QUALIFIER_NULL, false},
		{SPAN_INIT("ga"), QUALIFIER_NULL, false},
		{SPAN_INIT("release"), QUALIFIER_NULL, false},
		{SPAN_INIT("sp"), 7, false},
	};

	if (t->end || t->text.len == 0)
		return QUALIFIER_NULL;
	for (size_t i = 0; i < COUNT_OF(words); i++)
		if (span_eq_nocase(t->text, words[i].word))
			return words[i].short_form && !t->before_digit ? QUALIFIER_OTHER
								       : words[i].rank;
	return QUALIFIER_OTHER;
}

static bool is_null(const struct token *t)
{
	if (t->number)
		return version_compare_digits(t->text, SPAN_NONE) == 0;
	return qualifier_rank(t) == QUALIFIER_NULL;
}

/* The next token that stays. */
static struct token next_token(struct cursor *c)
{
	for (;;) {
		bool first = c->first;
		struct token t = read_token(c);
		struct cursor ahead = *c, before;
		struct token next;

		if (first || t.end || !is_null(&t))
			return t;
		if (c->kept_until && c->rest.len >= c->kept_until)
			return t;
		do {
			before = ahead;
			next = read_token(&ahead);
		} while (!next.end && !next.hyphen && is_null(&next));
		if (!next.end && !next.hyphen) {
			c->kept_until = before.rest.len ? before.rest.len : 1;
			return t;
		}
		*c = before;
	}
}

static int compare_tokens(const struct token *a, const struct token *b)
{
	int x, y;

	if (a->end || b->end) {
		const struct token *t = a->end ? b : a;
		int order = t->number ? !is_null(t)
				      : version_sign(qualifier_rank(t) - QUALIFIER_NULL);

		return a->end ? -order : order;
	}
	if (a->number != b->number)
		return a->number ? 1 : -1;
	if (a->number) {
		if (a->hyphen != b->hyphen)
			return a->hyphen ? -1 : 1;
		return version_compare_digits(a->text, b->text);
	}
	if (a->hyphen != b->hyphen)
		return a->hyphen ? 1 : -1;
	x = qualifier_rank(a);
	y = qualifier_rank(b);
	if (x != y || x != QUALIFIER_OTHER)
		return version_sign(x - y);
	return version_compare_nocase(a->text, b->text);
}

int version_compare_maven(struct span a, struct span b)
{
	struct cursor x = {.rest = span_trim(a), .first = true};
	struct cursor y = {.rest = span_trim(b), .first = true};

	for (;;) {
		struct token s = next_token(&x), t = next_token(&y);
		int order;

		if (s.end && t.end)
			return 0;
		order = compare_tokens(&s, &t);
		if (order)
			return order;
	}
}
