/* client_hello_test.c - fingerprints of programs by what they offer. */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/buf.h"
#include "parse/client_hello.h"

static void put(struct buf *to, unsigned value, unsigned size)
{
	while (size-- > 0)
		buf_append_byte(to, (char)(value >> 8 * size));
}

static void put_list(struct buf *to, const unsigned *values, size_t count, unsigned len_size)
{
	put(to, (unsigned)(2 * count), len_size);
	for (size_t i = 0; i < count; i++)
		put(to, values[i], 2);
}

static void put_extension(struct buf *to, unsigned type, struct span content)
{
	put(to, type, 2);
	put(to, (unsigned)content.len, 2);
	buf_append(to, content);
}

/* What a browser says, in the order in which one might, with values that are drawn by chance. */
struct offer {
	bool shuffled;
	bool without_name;
	struct span protocols; /* the content of the extension; empty: none */
	size_t extra_ciphers;
};

static const unsigned ciphers[] = {0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f,
				   0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013,
				   0xc014, 0x009c, 0x009d, 0x002f, 0x0035};
static const unsigned signatures[] = {0x0403, 0x0804, 0x0401, 0x0503,
				      0x0805, 0x0501, 0x0806, 0x0601};
static const unsigned empty_extensions[] = {0x0005, 0x000a, 0x000b, 0x0012, 0x0015, 0x0017,
					    0x001b, 0x0023, 0x002d, 0x0033, 0x4469, 0xff01};

static void put_extensions(struct buf *to, const struct offer *offer)
{
	static const unsigned versions[] = {0x5a5a, 0x0304, 0x0303};
	struct buf content;

	buf_init(&content, 4096);
	put_extension(to, 0xbaba, SPAN(""));
	if (!offer->without_name)
		put_extension(to, 0x0000, SPAN("\0\4\0\0\1a"));
	for (size_t i = 0; i < COUNT_OF(empty_extensions); i++)
		put_extension(
			to,
			empty_extensions[offer->shuffled ? COUNT_OF(empty_extensions) - 1 - i
							 : i],
			SPAN("x"));
	put_list(&content, signatures, COUNT_OF(signatures), 2);
	put_extension(to, 0x000d, buf_span(&content));
	if (offer->protocols.len)
		put_extension(to, 0x0010, offer->protocols);
	buf_clear(&content);
	put_list(&content, versions, COUNT_OF(versions), 1);
	put_extension(to, 0x002b, buf_span(&content));
	buf_release(&content);
}

static void put_hello(struct buf *to, const struct offer *offer)
{
	struct buf body, extensions;

	buf_init(&body, 1 << 16);
	buf_init(&extensions, 1 << 16);
	put(&body, 0x0303, 2);
	for (unsigned i = 0; i < 32; i++)
		put(&body, i, 1);
	put(&body, 0, 1);
	put(&body, (unsigned)(2 * (1 + COUNT_OF(ciphers) + offer->extra_ciphers)), 2);
	put(&body, 0x2a2a, 2);
	for (size_t i = 0; i < COUNT_OF(ciphers); i++)
		put(&body, ciphers[offer->shuffled ? COUNT_OF(ciphers) - 1 - i : i], 2);
	for (size_t i = 0; i < offer->extra_ciphers; i++)
		put(&body, 0xd000 + (unsigned)i, 2);
	put(&body, 0x0100, 2);
	put_extensions(&extensions, offer);
	put(&body, (unsigned)extensions.len, 2);
	buf_append(&body, buf_span(&extensions));
	put(to, 1, 1);
	put(to, (unsigned)body.len, 3);
	buf_append(to, buf_span(&body));
	assert_false(buf_failed(to));
	buf_release(&body);
	buf_release(&extensions);
}

static void expect(const struct offer *offer, const char *fingerprint)
{
	char text[CLIENT_HELLO_FINGERPRINT_BYTES + 1];
	struct buf hello;

	buf_init(&hello, 1 << 16);
	put_hello(&hello, offer);
	assert_true(client_hello_fingerprint(buf_span(&hello), text));
	assert_string_equal(text, fingerprint);
	assert_true(client_hello_is_fingerprint(span_cstr(text)));
	buf_release(&hello);
}

#define H2 SPAN("\0\14\2h2\10http/1.1")

static void the_form_is_the_one_that_others_print(void **state)
{
	(void)state;
	/* The example of those who have published the form. */
	expect(&(struct offer){.protocols = H2}, "t13d1516h2_8daaf6152771_e5627efa2ab1");
}

static void order_and_chance_do_not_change_it(void **state)
{
	(void)state;
	expect(&(struct offer){.protocols = H2, .shuffled = true},
	       "t13d1516h2_8daaf6152771_e5627efa2ab1");
}

static void name_and_protocols_are_told_but_not_in_the_digest(void **state)
{
	(void)state;
	expect(&(struct offer){.without_name = true, .protocols = SPAN("\0\3\2\253\315")},
	       "t13i1515ad_8daaf6152771_e5627efa2ab1");
	expect(&(struct offer){.protocols = SPAN("\0\2\1x")},
	       "t13d1516xx_8daaf6152771_e5627efa2ab1");
	expect(&(struct offer){.protocols = SPAN("")}, "t13d151500_8daaf6152771_e5627efa2ab1");
}

static void more_than_anybody_offers_is_cut(void **state)
{
	char text[CLIENT_HELLO_FINGERPRINT_BYTES + 1];
	struct buf hello;

	(void)state;
	buf_init(&hello, 1 << 16);
	put_hello(&hello, &(struct offer){.protocols = H2, .extra_ciphers = 4000});
	assert_true(client_hello_fingerprint(buf_span(&hello), text));
	assert_memory_equal(text, "t13d9916h2_", 11);
	buf_release(&hello);
}

static void what_is_cut_off_has_none(void **state)
{
	char text[CLIENT_HELLO_FINGERPRINT_BYTES + 1];
	struct buf hello;

	(void)state;
	buf_init(&hello, 1 << 16);
	put_hello(&hello, &(struct offer){.protocols = H2});
	for (size_t len = 0; len < hello.len; len++)
		assert_false(client_hello_fingerprint(span_of(hello.ptr, len), text));
	hello.ptr[0] = 2;
	assert_false(client_hello_fingerprint(buf_span(&hello), text));
	buf_release(&hello);
	assert_false(client_hello_is_fingerprint(SPAN("t13d1516h2_8daaf6152771_e5627efa2ab")));
	assert_false(client_hello_is_fingerprint(SPAN("t13d1516h2x8daaf6152771_e5627efa2ab1")));
	assert_false(client_hello_is_fingerprint(SPAN("t13d1516h2_8daaf6152771_e5627efa/ab1")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_form_is_the_one_that_others_print),
		cmocka_unit_test(order_and_chance_do_not_change_it),
		cmocka_unit_test(name_and_protocols_are_told_but_not_in_the_digest),
		cmocka_unit_test(more_than_anybody_offers_is_cut),
		cmocka_unit_test(what_is_cut_off_has_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
