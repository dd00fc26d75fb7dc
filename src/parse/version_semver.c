/* SemVer and what is close to it: Go, Pub, NuGet. */
#include "parse/version_internal.h"

struct semver {
	struct span numbers; /* digits and dots */
	struct span prerelease;
	struct span build;
	bool joined; /* "rc2" is two identifiers, as in the names of Go's releases */
};

static struct span without_v(struct span s)
{
	s = span_trim(s);
	if (s.len && ascii_lower(s.ptr[0]) == 'v')
		return span_slice(s, 1, s.len);
	return s;
}

static struct semver semver_split(struct span s)
{
	struct semver v = {0};
	size_t plus = span_find_byte(s, '+');
	size_t n = 0;

	if (plus < s.len)
		v.build = span_slice(s, plus + 1, s.len);
	s = span_slice(s, 0, plus);
	while (n < s.len && (version_is_digit(s.ptr[n]) || s.ptr[n] == '.'))
		n++;
	v.numbers = span_slice(s, 0, n);
	/* "1.0beta" and "1.0.beta" are read as "1.0-beta". */
	if (n < s.len && s.ptr[n] == '-')
		n++;
	v.prerelease = span_slice(s, n, s.len);
	return v;
}

/* The next identifier; *rest is without ptr behind the last one. */
static struct span take_identifier(struct span *rest, bool joined)
{
	struct span whole = *rest;

	for (size_t i = 1; joined && i < whole.len && whole.ptr[i - 1] != '.'; i++)
		if (version_is_digit(whole.ptr[i]) && version_is_letter(whole.ptr[i - 1])) {
			*rest = span_slice(whole, i, whole.len);
			return span_slice(whole, 0, i);
		}
	return span_cut(rest, '.');
}

typedef int compare_words(struct span a, struct span b);

/* Section 11, item 4, of two lists that are not empty. */
static int compare_identifiers(struct span a, bool a_joined, struct span b, bool b_joined,
			       compare_words *words)
{
	while (a.ptr && b.ptr) {
		struct span x = take_identifier(&a, a_joined);
		struct span y = take_identifier(&b, b_joined);
		bool x_number = version_all_digits(x), y_number = version_all_digits(y);
		int order;

		if (x_number != y_number)
			return x_number ? -1 : 1;
		order = x_number ? version_compare_digits(x, y) : words(x, y);
		if (order)
			return order;
	}
	return (a.ptr != NULL) - (b.ptr != NULL);
}

static int compare(const struct semver *x, const struct semver *y, compare_words *words)
{
	int order = version_compare_numbers(x->numbers, y->numbers);

	if (order)
		return order;
	if (x->prerelease.len == 0 || y->prerelease.len == 0)
		return (x->prerelease.len == 0) - (y->prerelease.len == 0);
	return compare_identifiers(x->prerelease, x->joined, y->prerelease, y->joined, words);
}

static int compare_case(struct span a, struct span b)
{
	return version_sign(span_compare(a, b));
}

int version_compare_semver(struct span a, struct span b)
{
	struct semver x = semver_split(without_v(a)), y = semver_split(without_v(b));

	return compare(&x, &y, compare_case);
}

int version_compare_pub(struct span a, struct span b)
{
	struct semver x = semver_split(without_v(a)), y = semver_split(without_v(b));
	int order = compare(&x, &y, compare_case);

	if (order)
		return order;
	if (x.build.len == 0 || y.build.len == 0)
		return (x.build.len > 0) - (y.build.len > 0);
	return compare_identifiers(x.build, false, y.build, false, compare_case);
}

int version_compare_nuget(struct span a, struct span b)
{
	struct semver x = semver_split(without_v(a)), y = semver_split(without_v(b));

	return compare(&x, &y, version_compare_nocase);
}

static struct semver go_split(struct span s)
{
	struct span name = span_trim(s);
	bool named = span_starts_with(name, SPAN("go"));
	struct semver v = semver_split(named ? span_slice(name, 2, name.len) : without_v(name));

	/* Only a release of Go itself has letters directly behind a number. */
	v.joined = named ||
		   (v.prerelease.len && v.numbers.ptr + v.numbers.len == v.prerelease.ptr);
	return v;
}

int version_compare_go(struct span a, struct span b)
{
	struct semver x = go_split(a), y = go_split(b);

	return compare(&x, &y, compare_case);
}
