/* Orders of numbers and words without more structure: RubyGems, Packagist, CRAN. */
#include "base/compiler.h"
#include "parse/version_internal.h"

/* --- RubyGems: Gem::Version#<=> on canonical segments. */

struct gem {
	struct span rest;
	const char *numbers_end; /* behind the last number that is not 0, before all words */
	const char *words; /* where the first word begins, else the end */
	const char *end; /* behind the last segment that is not 0 */
};

static bool is_zero(struct span digits)
{
	return version_compare_digits(digits, SPAN_NONE) == 0;
}

/* Numbers, words, and "pre" for a dash; false at the end. */
static bool gem_scan(struct span *rest, struct span *segment)
{
	while (rest->len && !version_is_digit(rest->ptr[0]) && !version_is_letter(rest->ptr[0]))
		if (version_take_byte(rest, '-')) {
			*segment = SPAN("pre");
			return true;
		} else {
			*rest = span_slice(*rest, 1, rest->len);
		}
	if (rest->len == 0)
		return false;
	*segment = version_is_digit(rest->ptr[0]) ? version_take_digits(rest)
						  : version_take_letters(rest);
	return true;
}

static struct gem gem_open(struct span version)
{
	struct gem g = {.rest = version.len ? span_trim(version) : SPAN("")};
	struct span rest = g.rest, segment;
	const char *start;

	g.numbers_end = rest.ptr;
	g.end = rest.ptr;
	g.words = NULL;
	while (start = rest.ptr, gem_scan(&rest, &segment)) {
		bool number = version_is_digit(segment.ptr[0]);

		if (!number && !g.words)
			g.words = start;
		if (number && is_zero(segment))
			continue;
		g.end = rest.ptr;
		if (!g.words)
			g.numbers_end = rest.ptr;
	}
	return g;
}

/* The next canonical segment; past the end, the number 0. */
static struct span gem_next(struct gem *g)
{
	struct span segment = SPAN("0");
	const char *stop = g->rest.ptr + g->rest.len;

	if (g->words && g->rest.ptr == g->numbers_end && g->rest.ptr < g->words)
		g->rest = span_of(g->words, (size_t)(stop - g->words));
	if (g->rest.ptr < g->end)
		(void)gem_scan(&g->rest, &segment);
	return segment;
}

int version_compare_rubygems(struct span a, struct span b)
{
	struct gem x = gem_open(a), y = gem_open(b);

	while (x.rest.ptr < x.end || y.rest.ptr < y.end) {
		struct span s = gem_next(&x), t = gem_next(&y);
		bool s_number = version_is_digit(s.ptr[0]),
		     t_number = version_is_digit(t.ptr[0]);
		int order;

		if (s_number != t_number)
			return s_number ? 1 : -1;
		order = s_number ? version_compare_digits(s, t)
				 : version_sign(span_compare(s, t));
		if (order)
			return order;
	}
	return 0;
}

/* --- Packagist: PHP's version_compare(). */

/* The next run of digits or of letters (or "#"); false at the end. */
static bool php_next(struct span *rest, struct span *part)
{
	while (rest->len && !version_is_digit(rest->ptr[0]) &&
	       !version_is_letter(rest->ptr[0]) && rest->ptr[0] != '#')
		*rest = span_slice(*rest, 1, rest->len);
	if (rest->len == 0)
		return false;
	if (version_is_digit(rest->ptr[0])) {
		*part = version_take_digits(rest);
	} else if (rest->ptr[0] == '#') {
		*part = span_slice(*rest, 0, 1);
		*rest = span_slice(*rest, 1, rest->len);
	} else {
		*part = version_take_letters(rest);
	}
	return true;
}

/* A word counts by what it starts with, case and all; an unknown one is before all. */
static int php_rank(struct span part)
{
	static const struct {
		struct span word;
		int rank;
	} words[] = {
		{SPAN_INIT("dev"), 1}, {SPAN_INIT("a"), 2},  {SPAN_INIT("b"), 3},
		{SPAN_INIT("rc"), 4},  {SPAN_INIT("RC"), 4}, {SPAN_INIT("#"), 5},
		{SPAN_INIT("p"), 6},
	};

	if (version_is_digit(part.ptr[0]))
		return 5;
	for (size_t i = 0; i < COUNT_OF(words); i++)
		if (part.len >= words[i].word.len &&
		    span_eq(span_slice(part, 0, words[i].word.len), words[i].word))
			return words[i].rank;
	return 0;
}

/* What is left of the longer one: more numbers are more, a word counts against a number. */
static int php_compare_to_end(struct span part, struct span rest)
{
	do {
		int rank = php_rank(part);

		if (version_is_digit(part.ptr[0]))
			return 1;
		if (rank != 5)
			return rank > 5 ? 1 : -1;
	} while (php_next(&rest, &part));
	return 0;
}

static struct span without_v(struct span s)
{
	s = span_trim(s);
	return s.len && ascii_lower(s.ptr[0]) == 'v' ? span_slice(s, 1, s.len) : s;
}

int version_compare_packagist(struct span a, struct span b)
{
	a = without_v(a);
	b = without_v(b);
	for (;;) {
		struct span x, y;
		bool has_x = php_next(&a, &x), has_y = php_next(&b, &y);
		int order;

		if (!has_x && !has_y)
			return 0;
		if (!has_y)
			return php_compare_to_end(x, a);
		if (!has_x)
			return -php_compare_to_end(y, b);
		if (version_is_digit(x.ptr[0]) && version_is_digit(y.ptr[0]))
			order = version_compare_digits(x, y);
		else
			order = version_sign(php_rank(x) - php_rank(y));
		if (order)
			return order;
	}
}

/* --- CRAN: package_version(). */

int version_compare_cran(struct span a, struct span b)
{
	a = span_trim(a);
	b = span_trim(b);
	for (;;) {
		struct span x, y;
		int order;

		if (a.len == 0 || b.len == 0)
			return (a.len > 0) - (b.len > 0);
		x = version_take_digits(&a);
		y = version_take_digits(&b);
		order = version_compare_digits(x, y);
		if (order)
			return order;
		if (a.len && b.len && (a.ptr[0] == '.' || a.ptr[0] == '-') &&
		    (b.ptr[0] == '.' || b.ptr[0] == '-')) {
			a = span_slice(a, 1, a.len);
			b = span_slice(b, 1, b.len);
			continue;
		}
		/* What is no separator counts as it is written. */
		if (a.len && b.len) {
			if (a.ptr[0] != b.ptr[0])
				return (unsigned char)a.ptr[0] < (unsigned char)b.ptr[0] ? -1
											 : 1;
			a = span_slice(a, 1, a.len);
			b = span_slice(b, 1, b.len);
		}
	}
}
