#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "parse/mail_address.h"

static void ordinary_addresses_are_taken(void **state)
{
	static const char *const good[] = {"a@b", "alice@example.test", "a.b+c@x-y.example",
					   "o'neil@example.test", "A_1@1.example"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++)
		assert_true(mail_address_valid(span_cstr(good[i])));
}

static void what_could_end_a_line_or_an_address_is_refused(void **state)
{
	static const char *const bad[] = {
		"",	 "@",		"a@",	      "@b",	   "a",
		"a@b@c", "a b@c",	"a@b c",      "a\r\n@b",   "a@b\nBcc: c@d",
		"<a@b>", "a@b>",	"\"a\"@b",    "a,b@c",	   ".a@b",
		"a.@b",	 "a..b@c",	"a@-b",	      "a@b-",	   "a@b..c",
		"a@.b",	 "a@[1.2.3.4]", "\xc3\xa4@b", "a@\xc3\xa4"};
	char large[300];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_false(mail_address_valid(span_cstr(bad[i])));
	assert_false(mail_address_valid(span_of("a\0@b", 4)));
	memset(large, 'a', sizeof(large));
	large[64] = '@';
	assert_true(mail_address_valid(span_of(large, 66)));
	assert_false(mail_address_valid(span_of(large, sizeof(large))));
	large[65] = '@';
	assert_false(mail_address_valid(span_of(large, 70)));
}

static void urls_of_mail_servers_have_a_host_and_perhaps_a_port(void **state)
{
	static const char *const good[] = {"smtp://localhost", "smtp://mail.example:587",
					   "smtps://mail.example", "smtp://[::1]:2525",
					   "smtps://127.0.0.1:465"};
	static const char *const bad[] = {"",
					  "http://a",
					  "smtp://",
					  "smtp://a/b",
					  "smtp://u:p@a",
					  "smtp://a:0",
					  "smtp://a:65536",
					  "smtp://a:x",
					  "smtp://[::1",
					  "smtp://[]",
					  "smtp://[::1]x",
					  "smtp://a b",
					  "smtp://a:25\r\nRSET",
					  "smtp://[:\r\n:1]:25"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++)
		assert_true(mail_url_valid(span_cstr(good[i])));
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_false(mail_url_valid(span_cstr(bad[i])));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ordinary_addresses_are_taken),
		cmocka_unit_test(what_could_end_a_line_or_an_address_is_refused),
		cmocka_unit_test(urls_of_mail_servers_have_a_host_and_perhaps_a_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
