#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/buf.h"
#include "parse/base64.h"
#include "supply/osv.h"
#include "supply/waiver.h"

static char folder[64], waivers[96], champions[96], key_path[96];

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

/* A key made for this test, and the list that names it. */
static int make_key(void **state)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	unsigned char raw[32];
	char encoded[64], text[256];
	size_t len = sizeof(raw);
	FILE *file;

	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/waiver-test-XXXXXX");
	if (!key || !mkdtemp(folder))
		return -1;
	snprintf(waivers, sizeof(waivers), "%s/waivers", folder);
	snprintf(champions, sizeof(champions), "%s/champions", folder);
	snprintf(key_path, sizeof(key_path), "%s/key", folder);
	file = fopen(key_path, "wb");
	if (!file || PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) != 1)
		return -1;
	fclose(file);
	EVP_PKEY_get_raw_public_key(key, raw, &len);
	EVP_PKEY_free(key);
	snprintf(text, sizeof(text), "- {name: alice, key: \"%.*s\"}\n",
		 (int)base64_encode(encoded, span_of(raw, len)), encoded);
	write_file(champions, text);
	return 0;
}

static int remove_key(void **state)
{
	(void)state;
	unlink(waivers);
	unlink(champions);
	unlink(key_path);
	return rmdir(folder);
}

#define WAIVER                                                                                 \
	"- id: CVE-2020-1\n"                                                                   \
	"  subject: pkg:npm/a\n"                                                               \
	"  reason: %s\n"                                                                       \
	"  owner: bob\n"                                                                       \
	"  expires: 2026-06-30\n"                                                              \
	"  champion: alice\n"

/* Signs with one reason and writes the file with another. */
static void write_signed(const char *signed_reason, const char *written_reason)
{
	char text[512];
	struct err err = {0};
	struct span signature;
	struct buf out;

	snprintf(text, sizeof(text), WAIVER, signed_reason);
	write_file(waivers, text);
	buf_init(&out, 4096);
	if (waiver_sign(waivers, "alice", key_path, &out, &err) < 0)
		fail_msg("%s", err.message);
	signature = span_trim(span_slice(
		buf_span(&out), span_find(buf_span(&out), SPAN("signature: ")) + 11, out.len));
	snprintf(text, sizeof(text), WAIVER "  signature: \"%.*s\"\n", written_reason,
		 SPAN_ARG(signature));
	write_file(waivers, text);
	buf_release(&out);
}

/* How many problems there are, and whether the vulnerability is waived, on this day. */
static size_t apply(const char *purl, const char *day, bool *waived)
{
	struct vulnerability v = {.id = SPAN("GHSA-1"), .other_count = 1};
	struct span others[] = {SPAN("CVE-2020-1")};
	struct vulnerability_list list = {.at = &v, .count = 1};
	struct finding_list findings = {0};
	struct component c = {.purl = span_cstr(purl)};
	struct inventory inv = {.at = &c, .count = 1};
	struct waiver_list w;
	struct err err = {0};
	size_t problems;

	v.others = others;
	waiver_list_init(&w);
	if (waiver_list_read(&w, waivers, champions, &err) < 0)
		fail_msg("%s", err.message);
	waiver_apply(&w, &inv, &list, &findings, osv_time_s(span_cstr(day)));
	*waived = v.waiver.len > 0;
	problems = w.problem_count;
	waiver_list_release(&w);
	return problems;
}

static void a_signed_waiver_counts_until_its_day_is_over(void **state)
{
	bool waived;

	(void)state;
	write_signed("not reachable", "not reachable");
	assert_int_equal(apply("pkg:npm/a@1.0", "2026-06-30T23:00:00Z", &waived), 0);
	assert_true(waived);
	assert_int_equal(apply("pkg:npm/ab@1.0", "2026-06-30", &waived), 0);
	assert_false(waived);
	assert_int_equal(apply("pkg:npm/a@1.0", "2026-07-01", &waived), 1);
	assert_false(waived);
}

static void a_changed_waiver_does_not_count(void **state)
{
	bool waived;

	(void)state;
	write_signed("not reachable", "no time");
	assert_int_equal(apply("pkg:npm/a@1.0", "2026-01-01", &waived), 1);
	assert_false(waived);
}

static void an_unsigned_waiver_does_not_count(void **state)
{
	char text[512];
	bool waived;

	(void)state;
	snprintf(text, sizeof(text), WAIVER, "a");
	write_file(waivers, text);
	assert_int_equal(apply("pkg:npm/a@1.0", "2026-01-01", &waived), 1);
	assert_false(waived);
}

static void a_waiver_without_an_end_is_refused(void **state)
{
	struct waiver_list w;
	struct err err = {0};

	(void)state;
	write_file(waivers, "- {id: a, reason: b, owner: c}\n");
	waiver_list_init(&w);
	assert_int_equal(waiver_list_read(&w, waivers, champions, &err), -1);
	assert_non_null(strstr(err.message, "expires"));
	waiver_list_release(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_signed_waiver_counts_until_its_day_is_over),
		cmocka_unit_test(a_changed_waiver_does_not_count),
		cmocka_unit_test(an_unsigned_waiver_does_not_count),
		cmocka_unit_test(a_waiver_without_an_end_is_refused),
	};

	return cmocka_run_group_tests(tests, make_key, remove_key);
}
