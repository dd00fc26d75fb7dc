#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "supply/osv.h"
#include "supply/waiver.h"

static char folder[64], key_path[96], other_path[96];
static struct policy policy;

/* Keys made for this test, and a policy that lists one of them. */
static int make_keys(void **state)
{
	struct config_problems problems = {0};
	struct err err = {0};
	struct buf text, key;

	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/waiver-test-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(key_path, sizeof(key_path), "%s/key", folder);
	snprintf(other_path, sizeof(other_path), "%s/other", folder);
	buf_init(&text, 4096);
	buf_init(&key, 256);
	if (waiver_public_key(other_path, true, &key, &err) < 0)
		return -1;
	buf_clear(&key);
	if (waiver_public_key(key_path, true, &key, &err) < 0)
		return -1;
	buf_printf(&text, "champions:\n  - {name: alice, key: \"%s\"}\n", buf_cstr(&key));
	if (policy_load_text(&policy, buf_span(&text), "policy", &problems) < 0)
		return -1;
	buf_release(&text);
	buf_release(&key);
	return 0;
}

static int remove_keys(void **state)
{
	(void)state;
	policy_release(&policy);
	unlink(key_path);
	unlink(other_path);
	return rmdir(folder);
}

#define WAIVERS                                                                                \
	"# What we live with.\n"                                                               \
	"- id: CVE-2020-1\n"                                                                   \
	"  component: pkg:npm/a    # of any version below\n"                                   \
	"  versions: <2\n"                                                                     \
	"  path: services/orders/\n"                                                           \
	"  service: orders\n"                                                                  \
	"  reason: >\n"                                                                        \
	"    not\n"                                                                            \
	"    reachable\n"                                                                      \
	"  owner: bob\n"                                                                       \
	"  expires: 2026-06-30\n"                                                              \
	"\n"                                                                                   \
	"- {id: CVE-2020-2, reason: \"a, b\", owner: bob, expires: 2026-06-30} # short\n"

/* The text signed; to be released. */
static struct buf sign(const char *text, const char *champion, const char *key, int expected)
{
	struct waiver_signer signer = {.champion = span_cstr(champion), .key_path = key};
	struct err err = {0};
	struct buf out;
	int count;

	buf_init(&out, 65536);
	count = waiver_sign(span_cstr(text), "waivers", &signer, &out, &err);
	if (count < 0)
		fail_msg("%s", err.message);
	assert_int_equal(count, expected);
	return out;
}

static enum waiver_state state_of(struct span text, size_t index, const char *day)
{
	struct config_problems problems = {0};
	enum waiver_state state;
	struct waiver_list list;

	if (waiver_list_load_text(&list, text, "waivers", &problems) < 0)
		fail_msg("%s", problems.at[0].message);
	(void)waiver_list_verify(&list, &policy, osv_time_s(span_cstr(day)));
	assert_true(index < list.all.count);
	state = list.all.at[index].state;
	waiver_list_release(&list);
	return state;
}

static void a_signed_waiver_counts_until_its_day_is_over(void **state)
{
	struct buf text = sign(WAIVERS, "alice", key_path, 2);

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(state_of(buf_span(&text), i, "2026-06-30T23:59:59Z"),
				 WAIVER_GOOD);
		assert_int_equal(state_of(buf_span(&text), i, "2026-07-01T00:00:00Z"),
				 WAIVER_EXPIRED);
	}
	buf_release(&text);
}

static void signing_leaves_the_rest_of_the_file_as_it_was(void **state)
{
	struct buf text = sign(WAIVERS, "alice", key_path, 2), again;
	struct span rest = span_cstr(WAIVERS);

	(void)state;
	/* Each line is still there, in its order; the two first lines of waivers have grown. */
	while (rest.ptr) {
		struct span line = span_cut(&rest, '\n');

		if (line.len > 2 && line.ptr[0] == '-')
			line = span_slice(line, 3, line.len);
		if (span_find(buf_span(&text), line) == text.len && line.len)
			fail_msg("missing: %.*s", SPAN_ARG(line));
	}
	again = sign(buf_cstr(&text), "alice", key_path, 0);
	assert_true(span_eq(buf_span(&text), buf_span(&again)));
	buf_release(&again);
	buf_release(&text);
}

static struct buf replaced(struct span text, const char *what, const char *by)
{
	size_t at = span_find(text, span_cstr(what));
	struct buf out;

	if (at == text.len)
		fail_msg("no %s", what);
	buf_init(&out, 65536);
	buf_append(&out, span_slice(text, 0, at));
	buf_append_cstr(&out, by);
	buf_append(&out, span_slice(text, at + strlen(what), text.len));
	return out;
}

static void a_change_of_any_field_makes_the_signature_wrong(void **state)
{
	static const char *const changes[][2] = {
		{"CVE-2020-1", "CVE-2020-3"},
		{"pkg:npm/a ", "pkg:npm/b "},
		{"versions: <2", "versions: <3"},
		{"services/orders/", "services/"},
		{"service: orders", "service: billing"},
		{"    not\n", "    not yet\n"},
		{"owner: bob", "owner: eve"},
		{"expires: 2026-06-30", "expires: 2029-06-30"},
		{"  component: pkg:npm/a    # of any version below\n  versions: <2\n", ""},
		{"  path: services/orders/\n", ""},
		{"  service: orders\n", ""},
	};
	struct buf text = sign(WAIVERS, "alice", key_path, 2);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(changes); i++) {
		struct buf changed = replaced(buf_span(&text), changes[i][0], changes[i][1]);

		assert_int_equal(state_of(buf_span(&changed), 0, "2026-01-01"), WAIVER_ALTERED);
		assert_int_equal(state_of(buf_span(&changed), 1, "2026-01-01"), WAIVER_GOOD);
		buf_release(&changed);
	}
	buf_release(&text);
}

static void a_field_cannot_be_moved_into_another(void **state)
{
	static const char one[] =
		"- {id: a, path: b, reason: r, owner: o, expires: 2026-06-30}\n";
	static const char two[] =
		"- {id: a, service: b, reason: r, owner: o, expires: 2026-06-30}\n";
	struct config_problems problems = {0};
	struct waiver_list lists[2];
	struct buf texts[2];

	(void)state;
	assert_int_equal(waiver_list_load_text(&lists[0], span_cstr(one), "one", &problems), 0);
	assert_int_equal(waiver_list_load_text(&lists[1], span_cstr(two), "two", &problems), 0);
	for (size_t i = 0; i < 2; i++) {
		buf_init(&texts[i], 4096);
		waiver_text(&lists[i].all.at[0], &texts[i]);
		waiver_list_release(&lists[i]);
	}
	assert_false(span_eq(buf_span(&texts[0]), buf_span(&texts[1])));
	buf_release(&texts[0]);
	buf_release(&texts[1]);
}

static void only_the_key_of_its_champion_counts(void **state)
{
	struct buf text = sign(WAIVERS, "mallory", key_path, 2), taken;

	(void)state;
	assert_int_equal(state_of(buf_span(&text), 0, "2026-01-01"), WAIVER_STRANGER);
	/* Whoever says that it is alice's has not her key for that. */
	taken = replaced(buf_span(&text), "mallory", "alice");
	assert_int_equal(state_of(buf_span(&taken), 0, "2026-01-01"), WAIVER_ALTERED);
	buf_release(&taken);
	buf_release(&text);
	text = sign(WAIVERS, "alice", other_path, 2);
	assert_int_equal(state_of(buf_span(&text), 0, "2026-01-01"), WAIVER_ALTERED);
	buf_release(&text);
	assert_int_equal(state_of(SPAN(WAIVERS), 0, "2026-01-01"), WAIVER_UNSIGNED);
}

static void what_was_altered_can_be_signed_anew(void **state)
{
	struct buf text = sign(WAIVERS, "alice", key_path, 2);
	struct buf changed = replaced(buf_span(&text), "owner: bob", "owner: carol");
	struct buf again = sign(buf_cstr(&changed), "alice", key_path, 1);

	(void)state;
	assert_int_equal(state_of(buf_span(&again), 0, "2026-01-01"), WAIVER_GOOD);
	assert_int_equal(state_of(buf_span(&again), 1, "2026-01-01"), WAIVER_GOOD);
	buf_release(&again);
	buf_release(&changed);
	buf_release(&text);
}

/* Is a result with these waived on this day? */
static bool is_waived(const char *purl, const char *version, const char *file,
		      const char *service)
{
	struct buf text = sign(WAIVERS, "alice", key_path, 2);
	struct component c = {.ecosystem = ECOSYSTEM_NPM,
			      .purl = span_cstr(purl),
			      .version = span_cstr(version),
			      .file = span_cstr(file)};
	struct inventory inv = {.at = &c, .count = 1};
	struct span others[] = {SPAN("CVE-2020-1")};
	struct vulnerability v = {.id = SPAN("GHSA-1"), .others = others, .other_count = 1};
	struct config_problems problems = {0};
	struct result_list results;
	struct waiver_list list;
	bool waived;

	result_list_init(&results, &inv);
	assert_int_equal(result_add_vulnerability(&results, &v), 0);
	results.at[0].service = span_cstr(service);
	assert_int_equal(waiver_list_load_text(&list, buf_span(&text), "waivers", &problems),
			 0);
	assert_int_equal(waiver_list_verify(&list, &policy, osv_time_s(SPAN("2026-01-01"))), 0);
	assert_int_equal(waiver_apply(&list, &results), 0);
	waived = results.at[0].silence == RESULT_WAIVED;
	assert_int_equal(list.all.at[0].used, waived);
	waiver_list_release(&list);
	result_list_release(&results);
	buf_release(&text);
	return waived;
}

static void a_waiver_holds_for_its_scope_alone(void **state)
{
	static const char file[] = "services/orders/package-lock.json";

	(void)state;
	assert_true(is_waived("pkg:npm/a@1.0.0", "1.0.0", file, "orders"));
	assert_false(is_waived("pkg:npm/ab@1.0.0", "1.0.0", file, "orders"));
	assert_false(is_waived("pkg:npm/a@2.0.0", "2.0.0", file, "orders"));
	assert_false(is_waived("pkg:npm/a@1.0.0", "1.0.0", "services/x.json", "orders"));
	assert_false(is_waived("pkg:npm/a@1.0.0", "1.0.0", file, "billing"));
}

static void what_is_written_reads_as_it_was(void **state)
{
	const struct waiver w = {
		.id = SPAN("CVE-2020-1"),
		.scope = {.path = SPAN("a ${b} $${c} ${")},
		.reason = SPAN("\"quoted\", ${HOME}\n$"),
		.owner = SPAN("b\xc2\x80\xc2\x85\xe2\x80\xa8\xef\xbb\xbf\xc3\xa4 b"),
		.expires = SPAN("2026-01-31")};
	struct config_problems problems = {0};
	struct waiver_list list;
	struct buf text;

	(void)state;
	buf_init(&text, 4096);
	waiver_write(&w, &text);
	assert_int_equal(waiver_list_load_text(&list, buf_span(&text), "w", &problems), 0);
	assert_int_equal(list.all.count, 1);
	assert_true(span_eq(list.all.at[0].scope.path, w.scope.path));
	assert_true(span_eq(list.all.at[0].reason, w.reason));
	assert_true(span_eq(list.all.at[0].owner, w.owner));
	assert_true(span_eq(list.all.at[0].expires, w.expires));
	waiver_list_release(&list);
	buf_release(&text);
}

static void a_waiver_that_is_not_whole_is_refused_with_its_place(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"- {id: a, reason: b, owner: c}\n", "'expires' is missing"},
		{"- {id: a, reason: b, expires: 2026-01-01}\n", "'owner' is missing"},
		{"- {id: a, reason: b, owner: c, expires: soon}\n", "a day such as"},
		{"- {id: a, reason: b, owner: c, expires: 2026-01-01, pth: x}\n", "'path'"},
		{"- {id: a, reason: b, owner: c, expires: 2026-01-01, component: lodash}\n",
		 "package URL"},
		{"- {id: a, reason: b, owner: c, expires: 2026-01-01, signature: AAAA}\n",
		 "64 bytes"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct config_problems problems = {0};
		struct waiver_list list;

		assert_int_equal(
			waiver_list_load_text(&list, span_cstr(cases[i].text), "w", &problems),
			-1);
		if (!strstr(problems.at[0].message, cases[i].message))
			fail_msg("%s", problems.at[0].message);
		assert_int_equal(problems.at[0].line, 1);
		waiver_list_release(&list);
	}
}

static void a_key_is_made_once_and_for_its_owner_only(void **state)
{
	struct err err = {0};
	struct buf key;

	(void)state;
	buf_init(&key, 256);
	assert_int_equal(waiver_public_key(key_path, true, &key, &err), -1);
	assert_int_equal(access(key_path, R_OK), 0);
	buf_release(&key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_signed_waiver_counts_until_its_day_is_over),
		cmocka_unit_test(signing_leaves_the_rest_of_the_file_as_it_was),
		cmocka_unit_test(a_change_of_any_field_makes_the_signature_wrong),
		cmocka_unit_test(a_field_cannot_be_moved_into_another),
		cmocka_unit_test(only_the_key_of_its_champion_counts),
		cmocka_unit_test(what_was_altered_can_be_signed_anew),
		cmocka_unit_test(a_waiver_holds_for_its_scope_alone),
		cmocka_unit_test(what_is_written_reads_as_it_was),
		cmocka_unit_test(a_waiver_that_is_not_whole_is_refused_with_its_place),
		cmocka_unit_test(a_key_is_made_once_and_for_its_owner_only),
	};

	return cmocka_run_group_tests(tests, make_keys, remove_keys);
}
