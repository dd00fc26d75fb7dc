#include "contract/ecma.h"

#include "base/compiler.h"
#include "parse/utf8.h"

/* White space and line terminators (ECMA-262 section 22.2.2.9), in and not in a class. */
#define SPACES                                                                                 \
	"\\t-\\r \\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}"      \
	"\\x{3000}\\x{feff}"
#define NO_SPACES                                                                              \
	"\\x{0}-\\x{8}\\x{e}-\\x{1f}!-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{1fff}"             \
	"\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}"         \
	"\\x{3001}-\\x{fefe}\\x{ff00}-\\x{10ffff}"

enum { CODE_POINT_CLASS = -1, CODE_POINT_NONE = -2 };

struct translation {
	struct span in;
	size_t at;
	struct buf *to; /* may be NULL */
	struct err *err;
	unsigned groups_open;
	unsigned groups; /* that capture */
	unsigned highest_reference;
	bool quantifiable; /* an atom has just ended */
};

static int fail(struct translation *t, const char *why)
{
	struct span s = t->in;

	return err_set(t->err, ERR_INVALID,
		       "the regular expression \"%.*s\" cannot be used: %s at byte %zu",
		       s.len > 200 ? 200 : (int)s.len, s.len ? s.ptr : "", why, t->at);
}

static void put(struct translation *t, const char *text)
{
	if (t->to)
		buf_append_cstr(t->to, text);
}

static void put_code_point(struct translation *t, long code_point)
{
	if (t->to)
		buf_printf(t->to, "\\x{%lx}", (unsigned long)code_point);
}

static bool more(const struct translation *t)
{
	return t->at < t->in.len;
}

static char peek(const struct translation *t, size_t ahead)
{
	return t->at + ahead < t->in.len ? t->in.ptr[t->at + ahead] : '\0';
}

static bool looking_at(const struct translation *t, const char *text)
{
	return span_starts_with(span_slice(t->in, t->at, t->in.len), span_cstr(text));
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static int hex_value(char c)
{
	if (is_digit(c))
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* `digits` hexadecimal digits at t->at; -1 when they are not there. */
static long take_hex(struct translation *t, unsigned digits)
{
	long value = 0;

	for (unsigned i = 0; i < digits; i++) {
		int digit = hex_value(peek(t, i));

		if (digit < 0)
			return -1;
		value = value * 16 + digit;
	}
	t->at += digits;
	return value;
}

/* After \u: XXXX, XXXX\uXXXX for a pair, or {X...}. */
static int take_unicode(struct translation *t, long *code_point)
{
	long value = 0;

	if (peek(t, 0) != '{') {
		value = take_hex(t, 4);
		if (value >= 0xd800 && value < 0xdc00 && looking_at(t, "\\u")) {
			long low;

			t->at += 2;
			low = take_hex(t, 4);
			if (low < 0xdc00 || low > 0xdfff)
				return fail(t, "half of a surrogate pair");
			value = 0x10000 + (value - 0xd800) * 0x400 + (low - 0xdc00);
		}
	} else {
		size_t start = ++t->at;

		for (; hex_value(peek(t, 0)) >= 0 && value <= 0x10ffff; t->at++)
			value = value * 16 + hex_value(peek(t, 0));
		if (t->at == start || peek(t, 0) != '}')
			return fail(t, "a malformed \\u{...}");
		t->at++;
	}
	if (value < 0 || value > 0x10ffff)
		return fail(t, "a malformed \\u");
	if (value >= 0xd800 && value <= 0xdfff)
		return fail(t, "half of a surrogate pair");
	*code_point = value;
	return 0;
}

/* Values of General_Category with long names, for which PCRE2 knows the short ones only. */
static const char *category_short(struct span name)
{
	static const struct {
		const char *name;
		const char *category;
	} categories[] = {
		{"Cased_Letter", "L&"},
		{"LC", "L&"},
		{"Close_Punctuation", "Pe"},
		{"Connector_Punctuation", "Pc"},
		{"Control", "Cc"},
		{"cntrl", "Cc"},
		{"Currency_Symbol", "Sc"},
		{"Dash_Punctuation", "Pd"},
		{"Decimal_Number", "Nd"},
		{"digit", "Nd"},
		{"Enclosing_Mark", "Me"},
		{"Final_Punctuation", "Pf"},
		{"Format", "Cf"},
		{"Initial_Punctuation", "Pi"},
		{"Letter", "L"},
		{"Letter_Number", "Nl"},
		{"Line_Separator", "Zl"},
		{"Lowercase_Letter", "Ll"},
		{"Mark", "M"},
		{"Combining_Mark", "M"},
		{"Math_Symbol", "Sm"},
		{"Modifier_Letter", "Lm"},
		{"Modifier_Symbol", "Sk"},
		{"Nonspacing_Mark", "Mn"},
		{"Number", "N"},
		{"Open_Punctuation", "Ps"},
		{"Other", "C"},
		{"Other_Letter", "Lo"},
		{"Other_Number", "No"},
		{"Other_Punctuation", "Po"},
		{"Other_Symbol", "So"},
		{"Paragraph_Separator", "Zp"},
		{"Private_Use", "Co"},
		{"Punctuation", "P"},
		{"punct", "P"},
		{"Separator", "Z"},
		{"Space_Separator", "Zs"},
		{"Spacing_Mark", "Mc"},
		{"Surrogate", "Cs"},
		{"Symbol", "S"},
		{"Titlecase_Letter", "Lt"},
		{"Unassigned", "Cn"},
		{"Uppercase_Letter", "Lu"},
	};

	for (size_t i = 0; i < COUNT_OF(categories); i++)
		if (span_eq(name, span_cstr(categories[i].name)))
			return categories[i].category;
	return NULL;
}

/* After \p or \P: {name} or {property=value}. Unknown names are left to PCRE2 to refuse. */
static int take_property(struct translation *t, bool negated)
{
	size_t start = t->at + 1;
	struct span name;
	struct span value;
	const char *category;

	if (peek(t, 0) != '{')
		return fail(t, "\\p without {...}");
	for (t->at++; is_letter(peek(t, 0)) || is_digit(peek(t, 0)) || peek(t, 0) == '_' ||
		      peek(t, 0) == '=';
	     t->at++)
		;
	if (peek(t, 0) != '}' || t->at == start)
		return fail(t, "a malformed \\p{...}");
	value = span_slice(t->in, start, t->at++);
	name = span_cut(&value, '=');
	if (!t->to)
		return 0;
	put(t, negated ? "\\P{" : "\\p{");
	if (!value.ptr || span_eq(name, SPAN("gc")) ||
	    span_eq(name, SPAN("General_Category"))) {
		value = value.ptr ? value : name;
		category = category_short(value);
		buf_append(t->to, category ? span_cstr(category) : value);
	} else if (span_eq(name, SPAN("sc")) || span_eq(name, SPAN("Script"))) {
		buf_printf(t->to, "sc:%.*s", SPAN_ARG(value));
	} else if (span_eq(name, SPAN("scx")) || span_eq(name, SPAN("Script_Extensions"))) {
		buf_printf(t->to, "scx:%.*s", SPAN_ARG(value));
	} else {
		return fail(t, "an unknown property in \\p{...}");
	}
	put(t, "}");
	return 0;
}

/* Escapes of one code point, which are the same in and outside of a class. */
static int escape_code_point(struct translation *t, char c, long *code_point)
{
	static const char controls[] = "f\fn\nr\rt\tv\v";
	char next = peek(t, 0);

	for (size_t i = 0; i + 1 < sizeof(controls); i += 2)
		if (controls[i] == c) {
			*code_point = (unsigned char)controls[i + 1];
			return 0;
		}
	switch (c) {
	case 'u': return take_unicode(t, code_point);
	case 'x':
		*code_point = take_hex(t, 2);
		return *code_point < 0 ? fail(t, "\\x without two digits") : 0;
	case 'c':
		if (!is_letter(next))
			return fail(t, "\\c without a letter");
		t->at++;
		*code_point = next & 0x1f;
		return 0;
	case '0':
		if (is_digit(next))
			return fail(t, "an octal escape");
		*code_point = 0;
		return 0;
	default: break;
	}
	if (is_letter(c) || is_digit(c) || (unsigned char)c >= 0x80 || (unsigned char)c < 0x20)
		return fail(t, "an unknown escape");
	*code_point = (unsigned char)c;
	return 0;
}

/*
 * The escape at t->at, after the backslash. Classes are written and give CODE_POINT_CLASS; code
 * points are left to the caller to write.
 */
static int take_escape(struct translation *t, bool in_class, long *code_point)
{
	char c = peek(t, 0);

	if (!more(t))
		return fail(t, "a backslash at the end");
	t->at++;
	*code_point = CODE_POINT_CLASS;
	switch (c) {
	case 'd': put(t, "\\d"); return 0;
	case 'D': put(t, "\\D"); return 0;
	case 'w': put(t, "\\w"); return 0;
	case 'W': put(t, "\\W"); return 0;
	case 's': put(t, in_class ? SPACES : "[" SPACES "]"); return 0;
	case 'S': put(t, in_class ? NO_SPACES : "[^" SPACES "]"); return 0;
	case 'p':
	case 'P': return take_property(t, c == 'P');
	default: return escape_code_point(t, c, code_point);
	}
}

/* A code point as it stands. */
static int take_literal(struct translation *t, long *code_point)
{
	unsigned char first = (unsigned char)t->in.ptr[t->at];
	size_t len = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
	long value = len == 1 ? first : first & (0xff >> (len + 1));

	if (!utf8_valid(span_slice(t->in, t->at, t->at + len)))
		return fail(t, "no UTF-8");
	for (size_t i = 1; i < len; i++)
		value = value << 6 | (t->in.ptr[t->at + i] & 0x3f);
	t->at += len;
	*code_point = value;
	return 0;
}

static int class_atom(struct translation *t, long *code_point)
{
	if (peek(t, 0) != '\\')
		return take_literal(t, code_point);
	t->at++;
	if (peek(t, 0) == 'b') {
		t->at++;
		*code_point = '\b';
		return 0;
	}
	return take_escape(t, true, code_point);
}

static int class_member(struct translation *t)
{
	long low = 0;
	long high = CODE_POINT_NONE;
	size_t before;

	if (class_atom(t, &low) < 0)
		return -1;
	if (low >= 0)
		put_code_point(t, low);
	if (peek(t, 0) != '-' || peek(t, 1) == ']' || t->at + 1 >= t->in.len)
		return 0;
	before = t->at++;
	if (low == CODE_POINT_CLASS) {
		/* [\d-x]: the hyphen is itself. */
		put_code_point(t, '-');
		return 0;
	}
	if (peek(t, 0) == '\\' && strchr("dDwWsSpP", peek(t, 1)) && peek(t, 1)) {
		/* [x-\d] likewise; the class is the next member. */
		put_code_point(t, '-');
		return 0;
	}
	if (class_atom(t, &high) < 0)
		return -1;
	if (high < low) {
		t->at = before;
		return fail(t, "a range that goes down");
	}
	put(t, "-");
	put_code_point(t, high);
	return 0;
}

static int take_class(struct translation *t)
{
	bool negated = peek(t, 1) == '^';

	t->at += negated ? 2 : 1;
	if (peek(t, 0) == ']' && more(t)) {
		t->at++;
		put(t, negated ? "[\\x{0}-\\x{10ffff}]" : "(?!)");
		return 0;
	}
	put(t, negated ? "[^" : "[");
	while (more(t) && peek(t, 0) != ']')
		if (class_member(t) < 0)
			return -1;
	if (!more(t))
		return fail(t, "a class without end");
	t->at++;
	put(t, "]");
	return 0;
}

/* (?<name> and \k<name>: t->at is at the name. */
static int take_name(struct translation *t, const char *before)
{
	size_t start = t->at;

	while (is_letter(peek(t, 0)) || peek(t, 0) == '_' ||
	       (is_digit(peek(t, 0)) && t->at > start))
		t->at++;
	if (t->at == start || t->at - start > 32 || peek(t, 0) != '>')
		return fail(t, "a malformed or unsupported name of a group");
	put(t, before);
	if (t->to)
		buf_append(t->to, span_slice(t->in, start, t->at));
	put(t, ">");
	t->at++;
	return 0;
}

static int open_group(struct translation *t)
{
	static const char *const kinds[] = {"(?:", "(?=", "(?!", "(?<=", "(?<!"};

	if (++t->groups_open > ECMA_GROUPS_DEEP)
		return fail(t, "groups nested too deep");
	t->quantifiable = false;
	for (size_t i = 0; i < COUNT_OF(kinds); i++)
		if (looking_at(t, kinds[i])) {
			put(t, kinds[i]);
			t->at += strlen(kinds[i]);
			return 0;
		}
	if (looking_at(t, "(?<")) {
		t->groups++;
		t->at += 3;
		return take_name(t, "(?<");
	}
	if (peek(t, 1) == '?')
		return fail(t, "a kind of group that ECMA-262 does not have");
	if (peek(t, 1) == '*')
		return fail(t, "nothing to repeat");
	t->groups++;
	t->at++;
	put(t, "(");
	return 0;
}

/* {n}, {n,} or {n,m} at t->at: its length, or 0. */
static size_t braces_length(const struct translation *t)
{
	size_t i = 1;

	while (is_digit(peek(t, i)))
		i++;
	if (i == 1)
		return 0;
	if (peek(t, i) == ',')
		for (i++; is_digit(peek(t, i)); i++)
			;
	return peek(t, i) == '}' ? i + 1 : 0;
}

static int take_quantifier(struct translation *t, size_t len)
{
	if (!t->quantifiable)
		return fail(t, "nothing to repeat");
	if (t->to)
		buf_append(t->to, span_slice(t->in, t->at, t->at + len));
	t->at += len;
	if (peek(t, 0) == '?') {
		put(t, "?");
		t->at++;
	}
	t->quantifiable = false;
	return 0;
}

static int take_reference(struct translation *t)
{
	unsigned number = 0;

	for (; is_digit(peek(t, 0)) && number < 1000; t->at++)
		number = number * 10 + (unsigned)(peek(t, 0) - '0');
	if (number > t->highest_reference)
		t->highest_reference = number;
	if (t->to)
		buf_printf(t->to, "\\g{%u}", number);
	return 0;
}

static int atom_escape(struct translation *t)
{
	char c = peek(t, 1);
	long code_point = 0;

	t->at++;
	t->quantifiable = true;
	if (c == 'b' || c == 'B') {
		put(t, c == 'b' ? "\\b" : "\\B");
		t->at++;
		t->quantifiable = false;
		return 0;
	}
	if (c == 'k') {
		if (peek(t, 1) != '<')
			return fail(t, "\\k without a name");
		t->at += 2;
		return take_name(t, "\\k<");
	}
	if (c >= '1' && c <= '9')
		return take_reference(t);
	if (take_escape(t, false, &code_point) < 0)
		return -1;
	if (code_point >= 0)
		put_code_point(t, code_point);
	return 0;
}

static int close_group(struct translation *t)
{
	if (t->groups_open == 0)
		return fail(t, "a ')' without '('");
	t->groups_open--;
	t->at++;
	t->quantifiable = true;
	put(t, ")");
	return 0;
}

static int take_atom(struct translation *t)
{
	long code_point = 0;

	t->quantifiable = true;
	if (take_literal(t, &code_point) < 0)
		return -1;
	/* Brackets and braces here are literal, and would not be in PCRE2. */
	if (code_point < 0x80 && !is_letter((char)code_point) && !is_digit((char)code_point))
		put_code_point(t, code_point);
	else if (t->to)
		buf_append(t->to, span_slice(t->in,
					     t->at - (code_point < 0x80	     ? 1
						      : code_point < 0x800   ? 2
						      : code_point < 0x10000 ? 3
									     : 4),
					     t->at));
	return 0;
}

static int step(struct translation *t)
{
	size_t braces;

	switch (peek(t, 0)) {
	case '\\': return atom_escape(t);
	case '[': t->quantifiable = true; return take_class(t);
	case '(': return open_group(t);
	case ')': return close_group(t);
	case '.':
		t->at++;
		t->quantifiable = true;
		put(t, "[^\\n\\r\\x{2028}\\x{2029}]");
		return 0;
	case '^':
	case '$':
	case '|':
		put(t, (const char[]){peek(t, 0), '\0'});
		t->at++;
		t->quantifiable = false;
		return 0;
	case '*':
	case '+':
	case '?': return take_quantifier(t, 1);
	case '{':
		braces = braces_length(t);
		return braces ? take_quantifier(t, braces) : take_atom(t);
	default: return take_atom(t);
	}
}

int ecma_translate(struct span expression, struct buf *to, struct err *err)
{
	struct translation t = {.in = expression, .to = to, .err = err};

	while (more(&t))
		if (step(&t) < 0)
			return -1;
	if (t.groups_open)
		return fail(&t, "a '(' without ')'");
	if (t.highest_reference > t.groups)
		return fail(&t, "a reference to a group that is not there");
	if (to && buf_failed(to))
		return err_set(err, ERR_MEMORY, "out of memory for a regular expression");
	return 0;
}
