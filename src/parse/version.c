#include "parse/version.h"

#include "base/compiler.h"
#include "parse/version_internal.h"

int version_compare_digits(struct span a, struct span b)
{
	while (a.len > 0 && a.ptr[0] == '0')
		a = span_slice(a, 1, a.len);
	while (b.len > 0 && b.ptr[0] == '0')
		b = span_slice(b, 1, b.len);
	if (a.len != b.len)
		return a.len < b.len ? -1 : 1;
	return a.len ? version_sign(memcmp(a.ptr, b.ptr, a.len)) : 0;
}

int version_compare_nocase(struct span a, struct span b)
{
	size_t shared = a.len < b.len ? a.len : b.len;

	for (size_t i = 0; i < shared; i++) {
		unsigned char x = (unsigned char)ascii_lower(a.ptr[i]);
		unsigned char y = (unsigned char)ascii_lower(b.ptr[i]);

		if (x != y)
			return x < y ? -1 : 1;
	}
	return (a.len > b.len) - (a.len < b.len);
}

bool version_all_digits(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!version_is_digit(s.ptr[i]))
			return false;
	return s.len > 0;
}

struct span version_take_digits(struct span *rest)
{
	struct span whole = *rest;
	size_t n = 0;

	while (n < whole.len && version_is_digit(whole.ptr[n]))
		n++;
	*rest = span_slice(whole, n, whole.len);
	return span_slice(whole, 0, n);
}

struct span version_take_letters(struct span *rest)
{
	struct span whole = *rest;
	size_t n = 0;

	while (n < whole.len && version_is_letter(whole.ptr[n]))
		n++;
	*rest = span_slice(whole, n, whole.len);
	return span_slice(whole, 0, n);
}

bool version_take_byte(struct span *rest, char byte)
{
	if (rest->len == 0 || rest->ptr[0] != byte)
		return false;
	*rest = span_slice(*rest, 1, rest->len);
	return true;
}

int version_compare_numbers(struct span a, struct span b)
{
	while (a.len || b.len) {
		struct span x = version_take_digits(&a), y = version_take_digits(&b);
		int order = version_compare_digits(x, y);

		if (order)
			return order;
		(void)version_take_byte(&a, '.');
		(void)version_take_byte(&b, '.');
	}
	return 0;
}

static const struct {
	const char *name;
	int (*compare)(struct span a, struct span b);
} orders[VERSION_ORDERS] = {
	[VERSION_ORDER_BYTES] = {"bytes", span_compare},
	[VERSION_ORDER_SEMVER] = {"semver", version_compare_semver},
	[VERSION_ORDER_GO] = {"go", version_compare_go},
	[VERSION_ORDER_PUB] = {"pub", version_compare_pub},
	[VERSION_ORDER_NUGET] = {"nuget", version_compare_nuget},
	[VERSION_ORDER_PEP440] = {"pep440", version_compare_pep440},
	[VERSION_ORDER_MAVEN] = {"maven", version_compare_maven},
	[VERSION_ORDER_DPKG] = {"dpkg", version_compare_dpkg},
	[VERSION_ORDER_APK] = {"apk", version_compare_apk},
	[VERSION_ORDER_RPM] = {"rpm", version_compare_rpm},
	[VERSION_ORDER_RUBYGEMS] = {"rubygems", version_compare_rubygems},
	[VERSION_ORDER_PACKAGIST] = {"packagist", version_compare_packagist},
	[VERSION_ORDER_CRAN] = {"cran", version_compare_cran},
};

int version_compare(enum version_order order, struct span a, struct span b)
{
	return orders[order].compare(a, b);
}

const char *version_order_name(enum version_order order)
{
	return orders[order].name;
}

static const struct {
	struct span ecosystem;
	enum version_order order;
} ecosystems[] = {
	{SPAN_INIT("npm"), VERSION_ORDER_SEMVER},
	{SPAN_INIT("PyPI"), VERSION_ORDER_PEP440},
	{SPAN_INIT("Go"), VERSION_ORDER_GO},
	{SPAN_INIT("Maven"), VERSION_ORDER_MAVEN},
	{SPAN_INIT("crates"
		   ".io"),
	 VERSION_ORDER_SEMVER},
	{SPAN_INIT("Debian"), VERSION_ORDER_DPKG},
	{SPAN_INIT("Ubuntu"), VERSION_ORDER_DPKG},
	{SPAN_INIT("Alpine"), VERSION_ORDER_APK},
	{SPAN_INIT("RubyGems"), VERSION_ORDER_RUBYGEMS},
	{SPAN_INIT("NuGet"), VERSION_ORDER_NUGET},
	{SPAN_INIT("Packagist"), VERSION_ORDER_PACKAGIST},
	{SPAN_INIT("Red Hat"), VERSION_ORDER_RPM},
	{SPAN_INIT("Rocky Linux"), VERSION_ORDER_RPM},
	{SPAN_INIT("AlmaLinux"), VERSION_ORDER_RPM},
	{SPAN_INIT("SUSE"), VERSION_ORDER_RPM},
	{SPAN_INIT("openSUSE"), VERSION_ORDER_RPM},
	{SPAN_INIT("Fedora"), VERSION_ORDER_RPM},
	{SPAN_INIT("Amazon Linux"), VERSION_ORDER_RPM},
	{SPAN_INIT("Oracle Linux"), VERSION_ORDER_RPM},
	{SPAN_INIT("Azure Linux"), VERSION_ORDER_RPM},
	{SPAN_INIT("Mageia"), VERSION_ORDER_RPM},
	{SPAN_INIT("openEuler"), VERSION_ORDER_RPM},
	{SPAN_INIT("Photon OS"), VERSION_ORDER_RPM},
	{SPAN_INIT("Wolfi"), VERSION_ORDER_APK},
	{SPAN_INIT("Chainguard"), VERSION_ORDER_APK},
	{SPAN_INIT("MinimOS"), VERSION_ORDER_APK},
	{SPAN_INIT("Alpaquita"), VERSION_ORDER_APK},
	{SPAN_INIT("BellSoft Hardened Containers"), VERSION_ORDER_APK},
	{SPAN_INIT("Echo"), VERSION_ORDER_DPKG},
	{SPAN_INIT("Hex"), VERSION_ORDER_SEMVER},
	{SPAN_INIT("Pub"), VERSION_ORDER_PUB},
	{SPAN_INIT("CRAN"), VERSION_ORDER_CRAN},
	{SPAN_INIT("Bioconductor"), VERSION_ORDER_CRAN},
	{SPAN_INIT("Hackage"), VERSION_ORDER_CRAN},
	{SPAN_INIT("GHC"), VERSION_ORDER_CRAN},
	{SPAN_INIT("SwiftURL"), VERSION_ORDER_SEMVER},
	{SPAN_INIT("ConanCenter"), VERSION_ORDER_SEMVER},
	{SPAN_INIT("GitHub Actions"), VERSION_ORDER_SEMVER},
	{SPAN_INIT("Bitnami"), VERSION_ORDER_SEMVER},
	{SPAN_INIT("Julia"), VERSION_ORDER_SEMVER},
	{SPAN_INIT("VSCode"), VERSION_ORDER_SEMVER},
	{SPAN_INIT("Kubernetes"), VERSION_ORDER_SEMVER},
};

enum version_order version_order_of_ecosystem(struct span ecosystem)
{
	struct span name = span_slice(ecosystem, 0, span_find_byte(ecosystem, ':'));

	for (size_t i = 0; i < COUNT_OF(ecosystems); i++)
		if (span_eq_nocase(name, ecosystems[i].ecosystem))
			return ecosystems[i].order;
	return VERSION_ORDER_BYTES;
}

/* What stands before the first ':' or '!' when it is a number, else nothing. */
static struct span take_epoch(struct span *version)
{
	struct span rest = *version;
	struct span digits = version_take_digits(&rest);

	if (digits.len == 0 || rest.len == 0 || (rest.ptr[0] != ':' && rest.ptr[0] != '!'))
		return SPAN_NONE;
	*version = span_slice(rest, 1, rest.len);
	return digits;
}

unsigned version_shared_numbers(struct span a, struct span b)
{
	unsigned shared = 0;

	if (version_compare_digits(take_epoch(&a), take_epoch(&b)) != 0)
		return 0;
	if (a.len && ascii_lower(a.ptr[0]) == 'v')
		a = span_slice(a, 1, a.len);
	if (b.len && ascii_lower(b.ptr[0]) == 'v')
		b = span_slice(b, 1, b.len);
	for (;;) {
		struct span x = version_take_digits(&a), y = version_take_digits(&b);

		if (x.len == 0 || y.len == 0 || version_compare_digits(x, y) != 0)
			return shared;
		shared++;
		if (!version_take_byte(&a, '.') || !version_take_byte(&b, '.'))
			return shared;
	}
}
