/* The package managers of distributions: dpkg, rpm, apk. */
#include "base/compiler.h"
#include "parse/version_internal.h"

/* --- dpkg: deb-version(7), "Sorting algorithm". */

/* "~" before the end, the end before letters, letters before all else. */
static int dpkg_weight(struct span s, size_t i)
{
	if (i >= s.len || version_is_digit(s.ptr[i]))
		return 0;
	if (s.ptr[i] == '~')
		return -1;
	if (version_is_letter(s.ptr[i]))
		return (unsigned char)s.ptr[i];
	return (unsigned char)s.ptr[i] + 256;
}

static int dpkg_compare_part(struct span a, struct span b)
{
	while (a.len || b.len) {
		struct span x, y;
		int order;
		size_t i = 0;

		while ((i < a.len && !version_is_digit(a.ptr[i])) ||
		       (i < b.len && !version_is_digit(b.ptr[i]))) {
			order = dpkg_weight(a, i) - dpkg_weight(b, i);
			if (order)
				return version_sign(order);
			i++;
		}
		a = span_slice(a, i, a.len);
		b = span_slice(b, i, b.len);
		x = version_take_digits(&a);
		y = version_take_digits(&b);
		order = version_compare_digits(x, y);
		if (order)
			return order;
	}
	return 0;
}

/* Cuts "EPOCH:" off; none is the empty span. */
static struct span take_epoch(struct span *s)
{
	size_t colon = span_find_byte(*s, ':');
	struct span epoch = SPAN_NONE;

	if (colon < s->len) {
		epoch = span_slice(*s, 0, colon);
		*s = span_slice(*s, colon + 1, s->len);
	}
	return epoch;
}

/* Cuts what stands behind the last "-" off; false when there is none. */
static bool take_revision(struct span *s, struct span *revision)
{
	for (size_t i = s->len; i > 0; i--) {
		if (s->ptr[i - 1] != '-')
			continue;
		*revision = span_slice(*s, i, s->len);
		*s = span_slice(*s, 0, i - 1);
		return true;
	}
	*revision = SPAN_NONE;
	return false;
}

int version_compare_dpkg(struct span a, struct span b)
{
	struct span a_revision, b_revision;
	int order;

	a = span_trim(a);
	b = span_trim(b);
	order = dpkg_compare_part(take_epoch(&a), take_epoch(&b));
	if (order)
		return order;
	(void)take_revision(&a, &a_revision);
	(void)take_revision(&b, &b_revision);
	order = dpkg_compare_part(a, b);
	return order ? order : dpkg_compare_part(a_revision, b_revision);
}

/* --- rpm: rpm-version(7). */

static void rpm_skip(struct span *s)
{
	while (s->len && !version_is_digit(s->ptr[0]) && !version_is_letter(s->ptr[0]) &&
	       s->ptr[0] != '~' && s->ptr[0] != '^')
		*s = span_slice(*s, 1, s->len);
}

/* 1 and -1 decide, 0: both had it and it is gone, 2: neither has it. */
static int rpm_tilde(struct span *a, struct span *b)
{
	bool x = version_take_byte(a, '~'), y = version_take_byte(b, '~');

	if (!x && !y)
		return 2;
	return (int)y - (int)x;
}

static int rpm_caret(struct span *a, struct span *b)
{
	bool a_ended = a->len == 0, b_ended = b->len == 0;
	bool x = version_take_byte(a, '^'), y = version_take_byte(b, '^');

	if (!x && !y)
		return 2;
	if (x && y)
		return 0;
	if (x)
		return b_ended ? 1 : -1;
	return a_ended ? -1 : 1;
}

static int rpm_segment(struct span *a, struct span *b)
{
	struct span x, y;

	if (version_is_digit(a->ptr[0])) {
		x = version_take_digits(a);
		y = version_take_digits(b);
		return y.len ? version_compare_digits(x, y) : 1;
	}
	x = version_take_letters(a);
	y = version_take_letters(b);
	return y.len ? version_sign(span_compare(x, y)) : -1;
}

static int rpm_compare_part(struct span a, struct span b)
{
	while (a.len || b.len) {
		int order;

		rpm_skip(&a);
		rpm_skip(&b);
		order = rpm_tilde(&a, &b);
		if (order == 2)
			order = rpm_caret(&a, &b);
		if (order == 0)
			continue;
		if (order != 2)
			return order;
		if (a.len == 0 || b.len == 0)
			break;
		order = rpm_segment(&a, &b);
		if (order)
			return order;
	}
	return (a.len > 0) - (b.len > 0);
}

int version_compare_rpm(struct span a, struct span b)
{
	struct span a_epoch, b_epoch, a_release, b_release;
	bool a_has, b_has;
	int order;

	a = span_trim(a);
	b = span_trim(b);
	a_epoch = take_epoch(&a);
	b_epoch = take_epoch(&b);
	order = rpm_compare_part(a_epoch.len ? a_epoch : SPAN("0"),
				 b_epoch.len ? b_epoch : SPAN("0"));
	if (order)
		return order;
	a_has = take_revision(&a, &a_release);
	b_has = take_revision(&b, &b_release);
	order = rpm_compare_part(a, b);
	if (order)
		return order;
	if (a_has != b_has)
		return a_has ? 1 : -1;
	return rpm_compare_part(a_release, b_release);
}

/* --- apk: digits, a letter, suffixes with numbers, a commit, a revision. */

/* A version that has more of the first kinds is newer; one that breaks the grammar is older. */
enum apk_kind {
	APK_FIRST,
	APK_DIGITS,
	APK_LETTER,
	APK_LETTER_DIGITS,
	APK_SUFFIX,
	APK_SUFFIX_NUMBER,
	APK_COMMIT,
	APK_REVISION,
	APK_END,
	APK_INVALID,
};

struct apk_token {
	enum apk_kind kind;
	struct span text;
	int suffix; /* below 0: before the release */
};

static bool apk_suffix(struct span *rest, int *value)
{
	static const struct {
		struct span word;
		int value;
	} suffixes[] = {
		{SPAN_INIT("alpha"), -4}, {SPAN_INIT("beta"), -3}, {SPAN_INIT("pre"), -2},
		{SPAN_INIT("rc"), -1},	  {SPAN_INIT("cvs"), 1},   {SPAN_INIT("svn"), 2},
		{SPAN_INIT("git"), 3},	  {SPAN_INIT("hg"), 4},	   {SPAN_INIT("p"), 5},
	};
	struct span word = version_take_letters(rest);

	for (size_t i = 0; i < COUNT_OF(suffixes); i++)
		if (span_eq(word, suffixes[i].word)) {
			*value = suffixes[i].value;
			return true;
		}
	return false;
}

static struct apk_token apk_digits_after(enum apk_kind before, struct span *rest)
{
	struct apk_token t = {.kind = APK_INVALID};

	if (before == APK_LETTER)
		t.kind = APK_LETTER_DIGITS;
	else if (before == APK_SUFFIX)
		t.kind = APK_SUFFIX_NUMBER;
	t.text = version_take_digits(rest);
	return t;
}

static struct apk_token apk_revision(struct span *rest)
{
	struct apk_token t = {.kind = APK_INVALID};

	if (!version_take_byte(rest, 'r'))
		return t;
	t.text = version_take_digits(rest);
	if (t.text.len || rest->len == 0 || rest->ptr[0] == '-')
		t.kind = APK_REVISION;
	return t;
}

static struct apk_token apk_next(enum apk_kind before, struct span *rest)
{
	struct apk_token t = {.kind = APK_INVALID};
	char c;

	if (rest->len == 0)
		return (struct apk_token){.kind = APK_END};
	c = rest->ptr[0];
	if (version_is_digit(c))
		return apk_digits_after(before, rest);
	*rest = span_slice(*rest, 1, rest->len);
	if (c >= 'a' && c <= 'z' && before <= APK_DIGITS) {
		t.kind = APK_LETTER;
		t.text = span_of(rest->ptr - 1, 1);
	} else if (c == '.' && before <= APK_DIGITS) {
		t.kind = APK_DIGITS;
		t.text = version_take_digits(rest);
	} else if (c == '_' && before <= APK_SUFFIX_NUMBER) {
		if (apk_suffix(rest, &t.suffix))
			t.kind = APK_SUFFIX;
	} else if (c == '~' && before < APK_COMMIT) {
		size_t n = 0;

		while (n < rest->len && (version_is_digit(rest->ptr[n]) ||
					 (rest->ptr[n] >= 'a' && rest->ptr[n] <= 'f')))
			n++;
		t.text = span_slice(*rest, 0, n);
		*rest = span_slice(*rest, n, rest->len);
		t.kind = APK_COMMIT;
	} else if (c == '-' && before < APK_REVISION) {
		return apk_revision(rest);
	}
	return t;
}

static int apk_compare_texts(const struct apk_token *a, const struct apk_token *b)
{
	switch (a->kind) {
	case APK_DIGITS:
		/* As a fraction when one has a leading zero: 0.070 is before 0.1. */
		if ((a->text.len && a->text.ptr[0] == '0') ||
		    (b->text.len && b->text.ptr[0] == '0'))
			return version_sign(span_compare(a->text, b->text));
		return version_compare_digits(a->text, b->text);
	case APK_FIRST:
	case APK_LETTER_DIGITS:
	case APK_SUFFIX_NUMBER:
	case APK_REVISION: return version_compare_digits(a->text, b->text);
	case APK_LETTER:
	case APK_COMMIT: return version_sign(span_compare(a->text, b->text));
	case APK_SUFFIX: return version_sign(a->suffix - b->suffix);
	case APK_END:
	case APK_INVALID: return 0;
	}
	return 0;
}

int version_compare_apk(struct span a, struct span b)
{
	struct apk_token x = {.kind = APK_FIRST}, y = {.kind = APK_FIRST};

	a = span_trim(a);
	b = span_trim(b);
	x.text = version_take_digits(&a);
	y.text = version_take_digits(&b);
	while (x.kind == y.kind && x.kind < APK_END) {
		int order = apk_compare_texts(&x, &y);

		if (order)
			return order;
		x = apk_next(x.kind, &a);
		y = apk_next(y.kind, &b);
	}
	if (x.kind == y.kind)
		return 0;
	if (x.kind == APK_SUFFIX && x.suffix < 0)
		return -1;
	if (y.kind == APK_SUFFIX && y.suffix < 0)
		return 1;
	return x.kind > y.kind ? -1 : 1;
}
