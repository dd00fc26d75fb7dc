#include "supply/db_format.h"

#include "base/compiler.h"
#include "base/hash.h"

size_t db_row_bytes(enum db_section section)
{
	switch (section) {
	case DB_STRINGS: return 1;
	case DB_SLOTS: return sizeof(uint32_t);
	case DB_PACKAGES: return sizeof(struct db_package);
	case DB_AFFECTED: return sizeof(struct db_affected);
	case DB_RANGES: return sizeof(struct db_range);
	case DB_EVENTS: return sizeof(struct db_event);
	case DB_TEXTS: return sizeof(db_text);
	case DB_ADVISORIES: return sizeof(struct db_advisory);
	case DB_EPSS: return sizeof(struct db_epss);
	case DB_KEV: return sizeof(struct db_kev);
	}
	return 0;
}

uint64_t db_hash(struct span s)
{
	return hash_siphash13(s, 0x53616c6c79706f72u, 0x7441647669736f72u);
}

uint64_t db_package_hash(struct span ecosystem, struct span name)
{
	return hash_siphash13(name, db_hash(ecosystem), 0x7061636b61676573u);
}

bool db_normal_ecosystem(struct span ecosystem, char to[DB_NAME_MAX], struct span *normal)
{
	struct span base = span_slice(ecosystem, 0, span_find_byte(ecosystem, ':'));

	if (base.len > DB_NAME_MAX)
		return false;
	for (size_t i = 0; i < base.len; i++)
		to[i] = ascii_lower(base.ptr[i]);
	*normal = span_of(to, base.len);
	return true;
}

enum folding { FOLD_NONE, FOLD_CASE, FOLD_PYPI, FOLD_URL };

static enum folding folding_of(struct span ecosystem)
{
	static const struct {
		struct span ecosystem;
		enum folding folding;
	} rules[] = {
		{SPAN_INIT("pypi"), FOLD_PYPI},
		{SPAN_INIT("nuget"), FOLD_CASE},
		{SPAN_INIT("packagist"), FOLD_CASE},
		{SPAN_INIT("hex"), FOLD_CASE},
		{SPAN_INIT("github actions"), FOLD_CASE},
		{SPAN_INIT("vscode"), FOLD_CASE},
		{SPAN_INIT("git"), FOLD_URL},
		{SPAN_INIT("swifturl"), FOLD_URL},
	};

	for (size_t i = 0; i < COUNT_OF(rules); i++)
		if (span_eq(ecosystem, rules[i].ecosystem))
			return rules[i].folding;
	return FOLD_NONE;
}

/* Host and path of a repository: no scheme, no ".git", no slash at the end. */
static struct span bare_url(struct span url)
{
	size_t scheme = span_find(url, SPAN("://"));

	if (scheme < url.len)
		url = span_slice(url, scheme + 3, url.len);
	while (span_ends_with(url, SPAN("/")))
		url.len--;
	if (span_ends_with(url, SPAN(".git")))
		url.len -= 4;
	return url;
}

/* PEP 503: runs of "-", "_" and "." are one dash. */
static size_t fold_pypi(struct span name, char to[DB_NAME_MAX])
{
	size_t len = 0;

	for (size_t i = 0; i < name.len; i++) {
		char c = ascii_lower(name.ptr[i]);

		if (c == '_' || c == '.')
			c = '-';
		if (c != '-' || len == 0 || to[len - 1] != '-')
			to[len++] = c;
	}
	return len;
}

bool db_normal_name(struct span normal_ecosystem, struct span name, char to[DB_NAME_MAX],
		    struct span *normal)
{
	enum folding folding = folding_of(normal_ecosystem);

	if (folding == FOLD_URL)
		name = bare_url(name);
	if (name.len > DB_NAME_MAX)
		return false;
	if (folding == FOLD_NONE) {
		*normal = name;
		return true;
	}
	if (folding == FOLD_PYPI) {
		*normal = span_of(to, fold_pypi(name, to));
		return true;
	}
	for (size_t i = 0; i < name.len; i++)
		to[i] = ascii_lower(name.ptr[i]);
	*normal = span_of(to, name.len);
	return true;
}

uint64_t db_cve(struct span id)
{
	struct span rest = id;
	uint64_t year, number;

	if (!span_eq(span_cut(&rest, '-'), SPAN("CVE")) ||
	    !span_to_u64(span_cut(&rest, '-'), &year) || !span_to_u64(rest, &number) ||
	    year > UINT16_MAX || number > UINT32_MAX)
		return 0;
	return year << 32 | number;
}
