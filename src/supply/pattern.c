#include "supply/pattern.h"

#include "base/compiler.h"
#include "parse/version.h"

#define TEXT_MAX 2048

/* Where to go on after a mismatch: the star takes a byte more. */
struct star {
	size_t pattern; /* behind the star; SIZE_MAX: there is none */
	size_t text;
	bool folders; /* it takes whole folders */
};

struct cursor {
	struct span pattern;
	struct span text;
	size_t p, t;
	bool slashes; /* '*' crosses them, and '?' is a character as any other */
	struct star one; /* of the kind that does not cross '/', behind the last `any` */
	struct star any;
};

static void take_star(struct cursor *c)
{
	size_t first = c->p;

	while (c->p < c->pattern.len && c->pattern.ptr[c->p] == '*')
		c->p++;
	if (!c->slashes && c->p - first == 1) {
		c->one = (struct star){c->p, c->t, false};
		return;
	}
	c->any = (struct star){c->p, c->t, false};
	c->one.pattern = SIZE_MAX;
	/* A "**" with a '/' behind it may be no folder at all. */
	if (!c->slashes && c->p < c->pattern.len && c->pattern.ptr[c->p] == '/' &&
	    (c->t == 0 || c->text.ptr[c->t - 1] == '/')) {
		c->any.folders = true;
		c->any.pattern = ++c->p;
	}
}

static bool retry(struct cursor *c)
{
	if (c->one.pattern != SIZE_MAX && c->one.text < c->text.len &&
	    c->text.ptr[c->one.text] != '/') {
		c->p = c->one.pattern;
		c->t = ++c->one.text;
		return true;
	}
	if (c->any.pattern == SIZE_MAX)
		return false;
	while (c->any.folders && c->any.text < c->text.len && c->text.ptr[c->any.text] != '/')
		c->any.text++;
	if (c->any.text >= c->text.len)
		return false;
	c->one.pattern = SIZE_MAX;
	c->p = c->any.pattern;
	c->t = ++c->any.text;
	return true;
}

/* An earlier star need not take more once a later one is reached, so this takes n × m steps. */
static bool fits(struct span pattern, struct span text, bool slashes)
{
	struct cursor c = {.pattern = pattern,
			   .text = text,
			   .slashes = slashes,
			   .one = {.pattern = SIZE_MAX},
			   .any = {.pattern = SIZE_MAX}};

	for (;;) {
		bool more = c.p < pattern.len;

		if (more && pattern.ptr[c.p] == '*') {
			take_star(&c);
		} else if (!more && c.t == text.len) {
			return true;
		} else if (more && c.t < text.len &&
			   (pattern.ptr[c.p] == text.ptr[c.t] ||
			    (!slashes && pattern.ptr[c.p] == '?' && text.ptr[c.t] != '/'))) {
			c.p++;
			c.t++;
		} else if (!retry(&c)) {
			return false;
		}
	}
}

bool pattern_path(struct span pattern, struct span path)
{
	if (span_starts_with(pattern, SPAN("./")))
		pattern = span_slice(pattern, 2, pattern.len);
	if (span_starts_with(path, SPAN("./")))
		path = span_slice(path, 2, path.len);
	if (span_ends_with(pattern, SPAN("/")))
		pattern.len--;
	if (fits(pattern, path, false))
		return true;
	for (size_t i = path.len; i > 0; i--)
		if (path.ptr[i - 1] == '/' && fits(pattern, span_slice(path, 0, i - 1), false))
			return true;
	return false;
}

struct parts {
	struct span base; /* with "pkg:", decoded */
	struct span version; /* decoded */
	struct span qualifiers;
};

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static struct span decode(struct span text, char *to)
{
	size_t len = 0;

	if (text.len > TEXT_MAX)
		return SPAN_NONE;
	for (size_t i = 0; i < text.len; i++) {
		int high = -1, low = -1;

		if (text.ptr[i] == '%' && i + 2 < text.len) {
			high = hex_value(text.ptr[i + 1]);
			low = hex_value(text.ptr[i + 2]);
		}
		if (high >= 0 && low >= 0) {
			to[len++] = (char)(high * 16 + low);
			i += 2;
		} else {
			to[len++] = text.ptr[i];
		}
	}
	return span_of(to, len);
}

/* The version is behind the last '@' of the last part, unless that is how the part begins. */
static struct parts split(struct span text, char base[TEXT_MAX], char version[TEXT_MAX])
{
	struct parts parts = {0};
	size_t end = span_find_byte(text, '#'), at;

	text = span_slice(text, 0, end);
	end = span_find_byte(text, '?');
	parts.qualifiers = span_slice(text, end + 1, text.len);
	text = span_slice(text, 0, end);
	for (at = text.len; at > 0 && text.ptr[at - 1] != '@'; at--)
		if (text.ptr[at - 1] == '/') {
			at = 0;
			break;
		}
	if (at > 1 && text.ptr[at - 2] != '/') {
		parts.version = decode(span_slice(text, at, text.len), version);
		text = span_slice(text, 0, at - 1);
	}
	parts.base = decode(text, base);
	return parts;
}

static bool has_qualifier(struct span qualifiers, struct span wanted)
{
	while (qualifiers.len)
		if (span_eq(span_cut(&qualifiers, '&'), wanted))
			return true;
	return false;
}

bool pattern_purl(struct span pattern, struct span purl)
{
	char texts[4][TEXT_MAX];
	struct parts want, have;

	if (pattern.len == 0 || pattern.len > TEXT_MAX || purl.len > TEXT_MAX)
		return false;
	want = split(pattern, texts[0], texts[1]);
	have = split(purl, texts[2], texts[3]);
	if (span_ends_with(want.base, SPAN("/")) ? !span_starts_with(have.base, want.base)
						 : !fits(want.base, have.base, true))
		return false;
	if (want.version.len && !span_eq(want.version, have.version))
		return false;
	while (want.qualifiers.len)
		if (!has_qualifier(have.qualifiers, span_cut(&want.qualifiers, '&')))
			return false;
	return true;
}

bool pattern_purl_valid(struct span pattern)
{
	return span_starts_with(pattern, SPAN("pkg:")) && pattern.len > 5 &&
	       pattern.len <= TEXT_MAX && span_find_byte(pattern, '/') < pattern.len &&
	       span_find_byte(pattern, ' ') == pattern.len;
}

struct comparison {
	bool less;
	bool equal;
	bool greater;
	struct span version;
};

/* The next comparison of an alternative; false at its end. */
static bool next_comparison(struct span *rest, struct comparison *c)
{
	static const struct {
		struct span sign;
		bool less, equal, greater;
	} signs[] = {
		{SPAN_INIT("<="), true, true, false}, {SPAN_INIT(">="), false, true, true},
		{SPAN_INIT("!="), true, false, true}, {SPAN_INIT("=="), false, true, false},
		{SPAN_INIT("<"), true, false, false}, {SPAN_INIT(">"), false, false, true},
		{SPAN_INIT("="), false, true, false},
	};
	size_t end = 0;

	while (rest->len && (rest->ptr[0] == ' ' || rest->ptr[0] == ','))
		*rest = span_slice(*rest, 1, rest->len);
	if (rest->len == 0)
		return false;
	*c = (struct comparison){.equal = true};
	for (size_t i = 0; i < COUNT_OF(signs); i++)
		if (span_starts_with(*rest, signs[i].sign)) {
			*c = (struct comparison){signs[i].less, signs[i].equal,
						 signs[i].greater, SPAN_NONE};
			*rest = span_slice(*rest, signs[i].sign.len, rest->len);
			break;
		}
	*rest = span_trim(*rest);
	while (end < rest->len && rest->ptr[end] != ' ' && rest->ptr[end] != ',')
		end++;
	c->version = span_slice(*rest, 0, end);
	*rest = span_slice(*rest, end, rest->len);
	if (span_eq(c->version, SPAN("*")))
		c->less = c->equal = c->greater = true;
	return true;
}

static struct span next_alternative(struct span *rest)
{
	size_t at = span_find(*rest, SPAN("||"));
	struct span part = span_slice(*rest, 0, at);

	*rest = at < rest->len ? span_slice(*rest, at + 2, rest->len) : SPAN_NONE;
	return part;
}

bool pattern_versions(struct span ranges, const struct component *c)
{
	enum version_order order = version_order_of_ecosystem(ecosystem_osv_name(c));
	struct comparison comparison;

	if (order == VERSION_ORDER_BYTES)
		order = VERSION_ORDER_SEMVER;
	while (ranges.ptr) {
		struct span part = next_alternative(&ranges);
		bool holds = true;

		while (holds && next_comparison(&part, &comparison)) {
			bool any = comparison.less && comparison.equal && comparison.greater;
			int place =
				any ? 0
				    : version_compare(order, c->version, comparison.version);

			holds = place < 0   ? comparison.less
				: place > 0 ? comparison.greater
					    : comparison.equal;
		}
		if (holds)
			return true;
	}
	return false;
}

bool pattern_versions_valid(struct span ranges)
{
	struct comparison comparison;

	while (ranges.ptr) {
		struct span part = next_alternative(&ranges);
		unsigned count = 0;

		for (; next_comparison(&part, &comparison); count++)
			if (comparison.version.len == 0 ||
			    strchr("<>=!|", comparison.version.ptr[0]))
				return false;
		if (count == 0)
			return false;
	}
	return true;
}
