/* PEP 440, appendix B (the regular expression) and "Summary of permitted suffixes and ordering". */
#include "base/compiler.h"
#include "parse/version_internal.h"

enum phase { PHASE_NONE, PHASE_ALPHA, PHASE_BETA, PHASE_CANDIDATE };

struct pep440 {
	bool valid;
	bool has_post;
	bool has_dev;
	enum phase pre;
	struct span epoch;
	struct span release;
	struct span pre_number;
	struct span post_number;
	struct span dev_number;
	struct span local; /* empty: none */
};

static bool is_separator(char c)
{
	return c == '.' || c == '-' || c == '_';
}

static void take_separator(struct span *s)
{
	if (s->len && is_separator(s->ptr[0]))
		*s = span_slice(*s, 1, s->len);
}

static bool take_word(struct span *s, struct span word)
{
	if (s->len < word.len || !span_eq_nocase(span_slice(*s, 0, word.len), word))
		return false;
	*s = span_slice(*s, word.len, s->len);
	return true;
}

/* [-_.]?WORD[-_.]?[0-9]* */
static bool take_part(struct span *s, struct span word, struct span *number)
{
	struct span rest = *s;
	struct span after;

	take_separator(&rest);
	if (!take_word(&rest, word))
		return false;
	after = rest;
	take_separator(&after);
	/* A separator that no number follows belongs to the next part. */
	if (after.len && version_is_digit(after.ptr[0])) {
		*number = version_take_digits(&after);
		rest = after;
	} else {
		*number = SPAN_NONE;
	}
	*s = rest;
	return true;
}

static void take_pre(struct span *s, struct pep440 *v)
{
	static const struct {
		struct span word;
		enum phase pre;
	} words[] = {
		{SPAN_INIT("alpha"), PHASE_ALPHA},	 {SPAN_INIT("a"), PHASE_ALPHA},
		{SPAN_INIT("beta"), PHASE_BETA},	 {SPAN_INIT("b"), PHASE_BETA},
		{SPAN_INIT("preview"), PHASE_CANDIDATE}, {SPAN_INIT("pre"), PHASE_CANDIDATE},
		{SPAN_INIT("c"), PHASE_CANDIDATE},	 {SPAN_INIT("rc"), PHASE_CANDIDATE},
	};

	for (size_t i = 0; i < COUNT_OF(words); i++)
		if (take_part(s, words[i].word, &v->pre_number)) {
			v->pre = words[i].pre;
			return;
		}
}

static void take_post(struct span *s, struct pep440 *v)
{
	static const struct span words[] = {SPAN_INIT("post"), SPAN_INIT("rev"),
					    SPAN_INIT("r")};

	if (s->len > 1 && s->ptr[0] == '-' && version_is_digit(s->ptr[1])) {
		*s = span_slice(*s, 1, s->len);
		v->post_number = version_take_digits(s);
		v->has_post = true;
		return;
	}
	for (size_t i = 0; i < COUNT_OF(words) && !v->has_post; i++)
		v->has_post = take_part(s, words[i], &v->post_number);
}

static bool local_is_valid(struct span local)
{
	bool after_separator = true;

	for (size_t i = 0; i < local.len; i++) {
		char c = local.ptr[i];

		if (is_separator(c)) {
			if (after_separator)
				return false;
			after_separator = true;
		} else if (version_is_digit(c) || version_is_letter(c)) {
			after_separator = false;
		} else {
			return false;
		}
	}
	return !after_separator;
}

static struct pep440 pep440_split(struct span s)
{
	struct pep440 v = {0};
	struct span rest;
	size_t n = 0;

	s = span_trim(s);
	if (s.len && ascii_lower(s.ptr[0]) == 'v')
		s = span_slice(s, 1, s.len);
	rest = s;
	v.epoch = version_take_digits(&rest);
	if (v.epoch.len && version_take_byte(&rest, '!'))
		s = rest;
	else
		v.epoch = SPAN_NONE;
	while (n < s.len && version_is_digit(s.ptr[n])) {
		while (n < s.len && version_is_digit(s.ptr[n]))
			n++;
		if (n + 1 < s.len && s.ptr[n] == '.' && version_is_digit(s.ptr[n + 1]))
			n++;
	}
	v.release = span_slice(s, 0, n);
	s = span_slice(s, n, s.len);
	take_pre(&s, &v);
	take_post(&s, &v);
	v.has_dev = take_part(&s, SPAN("dev"), &v.dev_number);
	v.valid = n > 0;
	if (version_take_byte(&s, '+')) {
		v.local = s;
		v.valid = v.valid && local_is_valid(s);
	} else {
		v.valid = v.valid && s.len == 0;
	}
	return v;
}

/* The place among pre-releases: a development release of the final one comes first of all. */
static int pre_rank(const struct pep440 *v)
{
	if (v->pre != PHASE_NONE)
		return (int)v->pre;
	return v->has_dev && !v->has_post ? 0 : 4;
}

static struct span take_local(struct span *s)
{
	struct span whole = *s;
	size_t n = 0;

	while (n < whole.len && !is_separator(whole.ptr[n]))
		n++;
	*s = span_slice(whole, n + 1, whole.len);
	return span_slice(whole, 0, n);
}

/* Numbers sort after words; more segments after fewer. */
static int compare_locals(struct span a, struct span b)
{
	while (a.len && b.len) {
		struct span x = take_local(&a), y = take_local(&b);
		bool x_number = version_all_digits(x), y_number = version_all_digits(y);
		int order;

		if (x_number != y_number)
			return x_number ? 1 : -1;
		order = x_number ? version_compare_digits(x, y) : version_compare_nocase(x, y);
		if (order)
			return order;
	}
	return (a.len > 0) - (b.len > 0);
}

static int compare_valid(const struct pep440 *a, const struct pep440 *b)
{
	int order = version_compare_digits(a->epoch, b->epoch);

	if (order == 0)
		order = version_compare_numbers(a->release, b->release);
	if (order == 0)
		order = version_sign(pre_rank(a) - pre_rank(b));
	if (order == 0)
		order = version_compare_digits(a->pre_number, b->pre_number);
	if (order == 0)
		order = (int)a->has_post - (int)b->has_post;
	if (order == 0)
		order = version_compare_digits(a->post_number, b->post_number);
	if (order == 0)
		order = (int)b->has_dev - (int)a->has_dev;
	if (order == 0)
		order = version_compare_digits(a->dev_number, b->dev_number);
	return order ? order : compare_locals(a->local, b->local);
}

struct legacy_part {
	struct span text;
	bool number;
	bool end;
};

/* Numbers, words, and single dashes, which stand for a word between "final" and all above it. */
static struct legacy_part take_legacy(struct span *s)
{
	struct legacy_part part = {0};

	while (s->len && !version_is_digit(s->ptr[0]) && !version_is_letter(s->ptr[0]) &&
	       s->ptr[0] != '-')
		*s = span_slice(*s, 1, s->len);
	if (s->len == 0) {
		part.end = true;
		part.text = SPAN("final");
	} else if (version_take_byte(s, '-')) {
		part.text = SPAN("final-");
	} else if (version_is_digit(s->ptr[0])) {
		part.text = version_take_digits(s);
		part.number = true;
	} else {
		part.text = version_take_letters(s);
		if (span_eq_nocase(part.text, SPAN("pre")) ||
		    span_eq_nocase(part.text, SPAN("preview")) ||
		    span_eq_nocase(part.text, SPAN("rc")))
			part.text = SPAN("c");
		else if (span_eq_nocase(part.text, SPAN("dev")))
			part.text = SPAN("@");
	}
	return part;
}

static int compare_legacy(struct span a, struct span b)
{
	for (;;) {
		struct legacy_part x = take_legacy(&a), y = take_legacy(&b);
		int order;

		if (x.number != y.number)
			return x.number ? 1 : -1;
		order = x.number ? version_compare_digits(x.text, y.text)
				 : version_compare_nocase(x.text, y.text);
		if (order)
			return order;
		if (x.end || y.end)
			return (int)y.end - (int)x.end;
	}
}

int version_compare_pep440(struct span a, struct span b)
{
	struct pep440 x = pep440_split(a), y = pep440_split(b);

	if (x.valid != y.valid)
		return x.valid ? 1 : -1;
	return x.valid ? compare_valid(&x, &y) : compare_legacy(a, b);
}
