#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rand.h"
#include "parse/address.h"
#include "parse/forwarded.h"

static struct address parsed(const char *text)
{
	struct address a;

	if (!address_parse(span_cstr(text), &a))
		fail_msg("%s was refused", text);
	return a;
}

static void addresses_are_written_as_rfc5952_says(void **state)
{
	static const char *const cases[][2] = {
		{"0.0.0.0", "0.0.0.0"},
		{"255.255.255.255", "255.255.255.255"},
		{"::", "::"},
		{"::1", "::1"},
		{"1::", "1::"},
		{"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
		{"2001:0db8:0000:0001::0001", "2001:db8:0:1::1"},
		{"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
		{"1:0:0:2:0:0:0:3", "1:0:0:2::3"},
		{"1:0:0:2:0:0:3:4", "1::2:0:0:3:4"},
		{"0:0:1::", "0:0:1::"},
		{"::1:2:3:4:5:6:7", "0:1:2:3:4:5:6:7"},
		{"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
		{"::ffff:192.0.2.1", "192.0.2.1"},
		{"::ffff:c000:201", "192.0.2.1"},
		{"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
		{"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct address a = parsed(cases[i][0]);
		char text[ADDRESS_TEXT_SIZE];

		assert_int_equal(address_format(&a, text), strlen(cases[i][1]));
		assert_string_equal(text, cases[i][1]);
	}
}

static void malformed_addresses_are_refused(void **state)
{
	static const char *const cases[] = {
		"",
		"1",
		"1.2.3",
		"1.2.3.4.5",
		"1.2.3.256",
		"01.2.3.4",
		"1.2.3.04",
		"1.2.3.",
		".1.2.3",
		"1..2.3",
		"1.2.3.4 ",
		" 1.2.3.4",
		"1.2.3.-4",
		"0x1.2.3.4",
		"1.2.3.1000",
		":",
		":::",
		"1",
		"1:2",
		"1:2:3:4:5:6:7",
		"1:2:3:4:5:6:7:8:9",
		"::1::",
		"1:::2",
		"12345::",
		"::g",
		":1",
		"1:",
		"1:2:3:4:5:6:7:",
		":1:2:3:4:5:6:7",
		"1:2:3:4:5:6:7:8::",
		"::1:2:3:4:5:6:7:8",
		"1::2:3:4:5:6:7:8",
		"::1.2.3",
		"::1.2.3.4:5",
		"1:2:3:4:5:6:7:1.2.3.4",
		"::1.2.3.256",
		"fe80::1%eth0",
		"[::1]",
		"::ffff:01.2.3.4",
		"::12345.2.3.4",
		"1.2.3.4::",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct address a;

		if (address_parse(span_cstr(cases[i]), &a))
			fail_msg("\"%s\" was accepted", cases[i]);
	}
}

static void ports_are_read(void **state)
{
	static const struct {
		const char *text;
		const char *address;
		unsigned port;
	} good[] = {
		{"192.0.2.1", "192.0.2.1", 0},	   {"192.0.2.1:80", "192.0.2.1", 80},
		{"2001:db8::1", "2001:db8::1", 0}, {"[2001:db8::1]", "2001:db8::1", 0},
		{"[::1]:65535", "::1", 65535},
	};
	static const char *const bad[] = {
		"192.0.2.1:",	  "192.0.2.1:65536", "192.0.2.1:-1", "192.0.2.1:000080",
		"[::1]80",	  "[::1]:",	     "[::1",	     "::1]",
		"[192.0.2.1]:80", "[]:80",	     ":80",	     "[::1]:80x",
	};
	struct address a;
	uint16_t port;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct address wanted = parsed(good[i].address);

		assert_true(address_parse_port(span_cstr(good[i].text), &a, &port));
		assert_true(address_eq(&a, &wanted));
		assert_int_equal(port, good[i].port);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (address_parse_port(span_cstr(bad[i]), &a, &port))
			fail_msg("\"%s\" was accepted", bad[i]);
}

static void prefixes_with_host_bits_are_refused(void **state)
{
	static const char *const bad[] = {
		"10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/08",  "10.0.0.0/-1",
		"::1/64",     "::/129",	     "/8",	  "10.0.0.0/8/8", "10.0.0.0/+8",
	};
	struct cidr c;
	char text[ADDRESS_TEXT_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (cidr_parse(span_cstr(bad[i]), &c))
			fail_msg("\"%s\" was accepted", bad[i]);
	assert_true(cidr_parse(SPAN("10.0.0.0/8"), &c));
	assert_int_equal(c.prefix, 104);
	cidr_format(&c, text);
	assert_string_equal(text, "10.0.0.0/8");
	assert_true(cidr_parse(SPAN("::/0"), &c));
	cidr_format(&c, text);
	assert_string_equal(text, "::/0");
	assert_true(cidr_parse(SPAN("192.0.2.7"), &c));
	assert_int_equal(c.prefix, 128);
}

static void a_prefix_contains_its_own_family_only(void **state)
{
	struct address v4 = parsed("192.0.2.1");
	struct address v6 = parsed("2001:db8::1");
	struct cidr all4, all6;
	struct cidr_set set;

	(void)state;
	assert_true(cidr_parse(SPAN("0.0.0.0/0"), &all4));
	assert_true(cidr_parse(SPAN("::/0"), &all6));
	assert_true(cidr_contains(&all4, &v4) && !cidr_contains(&all4, &v6));
	assert_true(cidr_contains(&all6, &v6) && !cidr_contains(&all6, &v4));
	cidr_set_init(&set);
	assert_int_equal(cidr_set_add(&set, &all6), 0);
	cidr_set_build(&set);
	assert_true(cidr_set_contains(&set, &v6));
	assert_false(cidr_set_contains(&set, &v4));
	cidr_set_release(&set);
}

static void a_set_agrees_with_its_prefixes(void **state)
{
	struct cidr prefixes[40];
	struct cidr_set set;

	(void)state;
	cidr_set_init(&set);
	for (size_t i = 0; i < 40; i++) {
		bool v4 = rand_below(2);
		uint8_t bytes[16] = {0};
		unsigned prefix = (unsigned)rand_below(v4 ? 33 : 129);

		/* Few distinct bits, so that prefixes nest and touch. */
		for (unsigned bit = 0; bit < prefix; bit++)
			if (bit % 7 == 0 && rand_below(2))
				bytes[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
		prefixes[i].base = v4 ? address_from_ipv4(bytes) : address_from_ipv6(bytes);
		prefixes[i].prefix = (uint8_t)(prefix + (v4 ? 96 : 0));
		assert_int_equal(cidr_set_add(&set, &prefixes[i]), 0);
	}
	cidr_set_build(&set);
	for (int round = 0; round < 20000; round++) {
		struct address a = prefixes[rand_below(40)].base;
		bool expected = false;

		a.bytes[rand_below(16)] ^= (uint8_t)(1u << rand_below(8));
		for (size_t i = 0; i < 40; i++)
			expected = expected || cidr_contains(&prefixes[i], &a);
		assert_true(cidr_set_contains(&set, &a) == expected);
	}
	cidr_set_release(&set);
}

static void a_set_survives_failing_allocations(void **state)
{
	struct cidr_set set;
	struct err err = {0};

	(void)state;
	cidr_set_init(&set);
	mem_fail_at(1);
	if (cidr_set_add_text(&set, SPAN("10.0.0.0/8"), &err) < 0)
		assert_int_equal(err.code, ERR_MEMORY);
	else
		assert_false(mem_fail_happened());
	mem_fail_at(0);
	assert_int_equal(cidr_set_add_text(&set, SPAN("10.0.0.0/8"), &err), 0);
	assert_int_equal(cidr_set_add_text(&set, SPAN("ten"), &err), -1);
	assert_int_equal(err.code, ERR_INVALID);
	cidr_set_release(&set);
}

/* -- clients behind proxies -- */

static int make_trusted(void **state)
{
	static struct cidr_set set;

	cidr_set_init(&set);
	if (cidr_set_add_text(&set, SPAN("10.0.0.0/8"), NULL) < 0 ||
	    cidr_set_add_text(&set, SPAN("2001:db8::/32"), NULL) < 0)
		return -1;
	cidr_set_build(&set);
	*state = &set;
	return 0;
}

static int drop_trusted(void **state)
{
	cidr_set_release(*state);
	return 0;
}

struct walk {
	const char *line;
	const char *peer;
	enum forwarded_result result;
	const char *client;
};

static void check_walk(const struct cidr_set *trusted, const struct walk *w,
		       enum forwarded_result (*walk)(const struct cidr_set *, struct span,
						     struct address *))
{
	struct address client = parsed(w->peer);
	struct address wanted = parsed(w->client);
	enum forwarded_result result = walk(trusted, span_cstr(w->line), &client);

	if (result != w->result || !address_eq(&client, &wanted))
		fail_msg("\"%s\": result %d", w->line, (int)result);
}

static void x_forwarded_for_is_read_from_the_right(void **state)
{
	static const struct walk cases[] = {
		{"203.0.113.5", "192.0.2.9", FORWARDED_FOUND, "192.0.2.9"},
		{"203.0.113.5", "10.0.0.1", FORWARDED_FOUND, "203.0.113.5"},
		{"1.1.1.1, 203.0.113.5", "10.0.0.1", FORWARDED_FOUND, "203.0.113.5"},
		{"203.0.113.5, 10.2.3.4", "10.0.0.1", FORWARDED_FOUND, "203.0.113.5"},
		{"203.0.113.5:4711,10.2.3.4:80", "10.0.0.1", FORWARDED_FOUND, "203.0.113.5"},
		{"[2001:db9::5]:4711", "2001:db8::1", FORWARDED_FOUND, "2001:db9::5"},
		{"10.2.3.4", "10.0.0.1", FORWARDED_MORE, "10.2.3.4"},
		{"", "10.0.0.1", FORWARDED_MORE, "10.0.0.1"},
		{" , ,203.0.113.5 ,, ", "10.0.0.1", FORWARDED_FOUND, "203.0.113.5"},
		{"203.0.113.5, evil", "10.0.0.1", FORWARDED_BAD, "10.0.0.1"},
		{"203.0.113.5, unknown, 10.2.3.4", "10.0.0.1", FORWARDED_HIDDEN, "10.2.3.4"},
		{"evil, 203.0.113.5", "10.0.0.1", FORWARDED_FOUND, "203.0.113.5"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check_walk(*state, &cases[i], forwarded_walk_x_forwarded_for);
}

static void forwarded_is_read_from_the_right(void **state)
{
	static const struct walk cases[] = {
		{"for=203.0.113.5", "10.0.0.1", FORWARDED_FOUND, "203.0.113.5"},
		{"for=1.1.1.1, FOR=203.0.113.5;proto=https;by=10.0.0.1", "10.0.0.1",
		 FORWARDED_FOUND, "203.0.113.5"},
		{"For=\"[2001:db9::5]:4711\"", "2001:db8::1", FORWARDED_FOUND, "2001:db9::5"},
		{"for=203.0.113.5, for=\"10.2.3.4:80\"", "10.0.0.1", FORWARDED_FOUND,
		 "203.0.113.5"},
		{"for=\"evil, for=203.0.113.5", "10.0.0.1", FORWARDED_FOUND, "203.0.113.5"},
		{"for=203.0.113.5;host=\"a,b\"", "10.0.0.1", FORWARDED_FOUND, "203.0.113.5"},
		{"for=\"\\\"\", for=203.0.113.5", "10.0.0.1", FORWARDED_BAD, "10.0.0.1"},
		{"for=1.1.1.1;for=203.0.113.5", "10.0.0.1", FORWARDED_BAD, "10.0.0.1"},
		{"for=", "10.0.0.1", FORWARDED_BAD, "10.0.0.1"},
		{"for 1.1.1.1", "10.0.0.1", FORWARDED_BAD, "10.0.0.1"},
		{"for=1.1.1.1 proto=http", "10.0.0.1", FORWARDED_BAD, "10.0.0.1"},
		{"proto=https", "10.0.0.1", FORWARDED_HIDDEN, "10.0.0.1"},
		{"for=1.1.1.1, for=_secret", "10.0.0.1", FORWARDED_HIDDEN, "10.0.0.1"},
		{"for=unknown", "10.0.0.1", FORWARDED_HIDDEN, "10.0.0.1"},
		{"for=10.1.1.1", "10.0.0.1", FORWARDED_MORE, "10.1.1.1"},
		{"", "10.0.0.1", FORWARDED_MORE, "10.0.0.1"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check_walk(*state, &cases[i], forwarded_walk);
}

static void forwarded_elements_give_all_their_parts(void **state)
{
	struct span line =
		SPAN("for=1.2.3.4, for=\"[::1]\"; proto=https;host=\"a.example:8080\";ext=x");
	struct forwarded_element element;

	(void)state;
	assert_true(forwarded_pop(&line, &element));
	assert_true(span_eq(element.for_node, SPAN("[::1]")));
	assert_true(span_eq(element.proto, SPAN("https")));
	assert_true(span_eq(element.host, SPAN("a.example:8080")));
	assert_null(element.by_node.ptr);
	assert_true(forwarded_pop(&line, &element));
	assert_true(span_eq(element.for_node, SPAN("1.2.3.4")));
	assert_null(line.ptr);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_written_as_rfc5952_says),
		cmocka_unit_test(malformed_addresses_are_refused),
		cmocka_unit_test(ports_are_read),
		cmocka_unit_test(prefixes_with_host_bits_are_refused),
		cmocka_unit_test(a_prefix_contains_its_own_family_only),
		cmocka_unit_test(a_set_agrees_with_its_prefixes),
		cmocka_unit_test(a_set_survives_failing_allocations),
		cmocka_unit_test_setup_teardown(x_forwarded_for_is_read_from_the_right,
						make_trusted, drop_trusted),
		cmocka_unit_test_setup_teardown(forwarded_is_read_from_the_right, make_trusted,
						drop_trusted),
		cmocka_unit_test(forwarded_elements_give_all_their_parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
