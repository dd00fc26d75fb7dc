#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "guard/challenge.h"

#define NOW 1800000000

static const struct challenge plain = {.key = SPAN_INIT("a key for tests alone")};
static const struct challenge work = {.key = SPAN_INIT("a key for tests alone"), .bits = 10};

static struct address address(const char *text)
{
	struct address a;

	assert_true(address_parse(span_cstr(text), &a));
	return a;
}

/* The pass for a text: looks for the number. */
static void solve(const char *text, const struct challenge *challenge,
		  const struct address *client, char pass[CHALLENGE_PASS_MAX + 1])
{
	for (unsigned i = 0; i < 1000000; i++) {
		snprintf(pass, CHALLENGE_PASS_MAX + 1, "%s.%u", text, i);
		if (challenge_passes(challenge, client, NOW, span_cstr(pass)))
			return;
	}
	fail_msg("no number does it");
}

static void what_was_made_for_a_client_lets_it_pass_until_then(void **state)
{
	struct address client = address("192.0.2.1"), other = address("192.0.2.2");
	char text[CHALLENGE_TEXT_SIZE];

	(void)state;
	assert_true(challenge_make(&plain, &client, NOW + 60, text));
	assert_true(challenge_passes(&plain, &client, NOW, span_cstr(text)));
	assert_true(challenge_passes(&plain, &client, NOW + 59, span_cstr(text)));
	assert_false(challenge_passes(&plain, &client, NOW + 60, span_cstr(text)));
	assert_false(challenge_passes(&plain, &other, NOW, span_cstr(text)));
}

static void a_network_of_ipv6_is_one_client(void **state)
{
	struct address one = address("2001:db8::1"), two = address("2001:db8::2"),
		       far = address("2001:db8:0:1::1");
	char text[CHALLENGE_TEXT_SIZE];

	(void)state;
	assert_true(challenge_make(&plain, &one, NOW + 60, text));
	assert_true(challenge_passes(&plain, &two, NOW, span_cstr(text)));
	assert_false(challenge_passes(&plain, &far, NOW, span_cstr(text)));
}

static void nothing_else_passes(void **state)
{
	const struct challenge others = {.key = SPAN_INIT("another key for tests")};
	struct address client = address("192.0.2.1");
	char text[CHALLENGE_TEXT_SIZE], changed[CHALLENGE_PASS_MAX + 20];

	(void)state;
	assert_true(challenge_make(&plain, &client, NOW + 60, text));
	assert_false(challenge_passes(&others, &client, NOW, span_cstr(text)));
	for (size_t i = 0; i < strlen(text); i++) {
		memcpy(changed, text, sizeof(text));
		changed[i] = changed[i] == '1' ? '2' : '1';
		assert_false(challenge_passes(&plain, &client, NOW, span_cstr(changed)));
		assert_false(challenge_passes(&plain, &client, NOW, span_of(text, i)));
	}
	snprintf(changed, sizeof(changed), "%s.", text);
	assert_false(challenge_passes(&plain, &client, NOW, span_cstr(changed)));
	snprintf(changed, sizeof(changed), "%s.1", text);
	assert_false(challenge_passes(&plain, &client, NOW, span_cstr(changed)));
	assert_false(challenge_passes(&plain, &client, NOW, SPAN_NONE));
	assert_false(challenge_passes(&plain, &client, NOW, SPAN("..")));
	assert_false(challenge_passes(&plain, &client, NOW,
				      SPAN("99999999999999999999999999999999.a")));
}

static void with_work_a_number_must_be_found(void **state)
{
	const struct challenge more = {.key = SPAN_INIT("a key for tests alone"), .bits = 11};
	struct address client = address("192.0.2.1");
	char text[CHALLENGE_TEXT_SIZE], pass[CHALLENGE_PASS_MAX + 1], longer[200];
	unsigned passed = 0;

	(void)state;
	assert_true(challenge_make(&work, &client, NOW + 60, text));
	assert_false(challenge_passes(&work, &client, NOW, span_cstr(text)));
	assert_false(challenge_passes(&plain, &client, NOW, span_cstr(text)));
	solve(text, &work, &client, pass);
	assert_false(challenge_passes(&more, &client, NOW, span_cstr(pass)));
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(pass, sizeof(pass), "%s.%u", text, 5000000 + i);
		passed += challenge_passes(&work, &client, NOW, span_cstr(pass));
	}
	assert_in_range(passed, 0, 10);
	snprintf(longer, sizeof(longer), "%s.x1", text);
	assert_false(challenge_passes(&work, &client, NOW, span_cstr(longer)));
	snprintf(longer, sizeof(longer), "%s.00000000000000000000000000000000000000001", text);
	assert_false(challenge_passes(&work, &client, NOW, span_cstr(longer)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_made_for_a_client_lets_it_pass_until_then),
		cmocka_unit_test(a_network_of_ipv6_is_one_client),
		cmocka_unit_test(nothing_else_passes),
		cmocka_unit_test(with_work_a_number_must_be_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
