/* dns_message_test.c - SRV records of responses: good ones, torn ones, and those that want to loop. */
#include "support.h"

#include "base/buf.h"
#include "io/dns_message.h"

#define MAX 4

static struct buf message;

static void put(const void *bytes, size_t len)
{
	assert_int_equal(buf_append_bytes(&message, bytes, len), 0);
}

static void put_u16(unsigned value)
{
	const unsigned char bytes[2] = {(unsigned char)(value >> 8), (unsigned char)value};

	put(bytes, 2);
}

static void put_name(const char *name)
{
	while (*name) {
		size_t len = strcspn(name, ".");
		unsigned char length = (unsigned char)len;

		put(&length, 1);
		put(name, len);
		name += len + (name[len] == '.');
	}
	put("", 1);
}

static void begin(unsigned answers)
{
	buf_clear(&message);
	put_u16(0x1234);
	put_u16(0x8180);
	put_u16(1);
	put_u16(answers);
	put_u16(0);
	put_u16(0);
	put_name("_http._tcp.shop.test");
	put_u16(33);
	put_u16(1);
}

static void put_record_head(unsigned type, unsigned ttl_s, unsigned len)
{
	put_u16(0xc00c);
	put_u16(type);
	put_u16(1);
	put_u16(ttl_s >> 16);
	put_u16(ttl_s & 0xffff);
	put_u16(len);
}

static void put_service(unsigned priority, unsigned weight, unsigned port, const char *target)
{
	put_record_head(33, 60, (unsigned)(6 + strlen(target) + (*target ? 2 : 1)));
	put_u16(priority);
	put_u16(weight);
	put_u16(port);
	put_name(target);
}

static struct dns_service services[MAX];
static size_t count;
static uint32_t ttl_s;

static bool parse(void)
{
	return dns_message_services(buf_span(&message), services, MAX, &count, &ttl_s);
}

static int setup(void **state)
{
	(void)state;
	buf_init(&message, 4096);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	buf_release(&message);
	return 0;
}

static void test_services_are_read(void **state)
{
	(void)state;
	begin(2);
	put_service(10, 60, 8080, "One.Shop.test");
	put_service(20, 0, 65535, "two");
	assert_true(parse());
	assert_int_equal(count, 2);
	assert_int_equal(ttl_s, 60);
	assert_int_equal(services[0].priority, 10);
	assert_int_equal(services[0].weight, 60);
	assert_int_equal(services[0].port, 8080);
	assert_string_equal(services[0].target, "one.shop.test");
	assert_int_equal(services[1].port, 65535);
	assert_string_equal(services[1].target, "two");
}

static void test_compressed_targets_are_followed(void **state)
{
	(void)state;
	begin(1);
	put_record_head(33, 60, 6 + 4 + 2);
	put_u16(0);
	put_u16(0);
	put_u16(80);
	put("\3one", 4);
	put_u16(0xc000 | (12 + 6 + 5)); /* shop.test of the question */
	assert_true(parse());
	assert_string_equal(services[0].target, "one.shop.test");
}

static void test_the_shortest_time_counts_and_aliases_have_one_too(void **state)
{
	(void)state;
	begin(2);
	put_record_head(5, 7, 2); /* CNAME */
	put_u16(0xc00c);
	put_service(0, 0, 80, "one");
	assert_true(parse());
	assert_int_equal(count, 1);
	assert_int_equal(ttl_s, 7);
	begin(2);
	put_record_head(5, 0x80000000, 2);
	put_u16(0xc00c);
	put_service(0, 0, 80, "one");
	assert_true(parse());
	assert_int_equal(ttl_s, 0);
}

static void test_what_cannot_be_asked_is_left_out(void **state)
{
	(void)state;
	begin(4);
	put_service(0, 0, 80, ""); /* there is no such service */
	put_service(0, 0, 0, "no.port");
	put_service(0, 0, 80, "not a host");
	put_service(0, 0, 80, "good");
	assert_true(parse());
	assert_int_equal(count, 1);
	assert_string_equal(services[0].target, "good");
}

static void test_more_than_there_is_room_for_is_left_out(void **state)
{
	(void)state;
	begin(MAX + 2);
	for (unsigned i = 0; i < MAX + 2; i++)
		put_service(0, 0, 80 + i, "one");
	assert_true(parse());
	assert_int_equal(count, MAX);
}

static void test_names_that_lead_nowhere_end(void **state)
{
	(void)state;
	begin(1);
	put_record_head(33, 60, 8);
	put_u16(0);
	put_u16(0);
	put_u16(80);
	put_u16(0xc000 | (unsigned)message.len); /* to itself */
	assert_false(parse());
	begin(1);
	put_record_head(33, 60, 8);
	put_u16(0);
	put_u16(0);
	put_u16(80);
	put_u16(0xffff); /* behind the end */
	assert_false(parse());
	begin(1);
	put_record_head(33, 60, 8);
	put_u16(0);
	put_u16(0);
	put_u16(80);
	put("\x80", 2); /* a kind of label that there is not */
	assert_false(parse());
}

static void test_names_must_not_be_longer_than_names_are(void **state)
{
	char label[64];

	(void)state;
	memset(label, 'a', 63);
	label[63] = '\0';
	begin(1);
	put_record_head(33, 60, 6 + 5 * 64 + 1);
	put_u16(0);
	put_u16(0);
	put_u16(80);
	for (int i = 0; i < 5; i++) {
		put("\x3f", 1);
		put(label, 63);
	}
	put("", 1);
	assert_false(parse());
}

static void test_every_cut_is_noticed(void **state)
{
	struct span whole;

	(void)state;
	begin(2);
	put_service(10, 60, 8080, "one.shop.test");
	put_service(20, 0, 80, "two");
	whole = buf_span(&message);
	for (size_t len = 0; len < whole.len; len++) {
		/* In memory of its own, so that the sanitizer sees reads behind it. */
		char *cut = malloc(len ? len : 1);

		assert_non_null(cut);
		memcpy(cut, whole.ptr, len);
		assert_false(
			dns_message_services(span_of(cut, len), services, MAX, &count, &ttl_s));
		free(cut);
	}
	assert_true(parse());
}

static void test_a_record_must_hold_what_it_says(void **state)
{
	(void)state;
	begin(1);
	put_record_head(33, 60, 4); /* and six bytes and a name follow */
	put_u16(0);
	put_u16(0);
	put_u16(80);
	put_name("one");
	assert_false(parse());
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_services_are_read),
		TEST(test_compressed_targets_are_followed),
		TEST(test_the_shortest_time_counts_and_aliases_have_one_too),
		TEST(test_what_cannot_be_asked_is_left_out),
		TEST(test_more_than_there_is_room_for_is_left_out),
		TEST(test_names_that_lead_nowhere_end),
		TEST(test_names_must_not_be_longer_than_names_are),
		TEST(test_every_cut_is_noticed),
		TEST(test_a_record_must_hold_what_it_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
