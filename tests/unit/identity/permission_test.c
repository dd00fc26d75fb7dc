/* permission_test.c - wildcard permissions, and names. */
/* cmocka.h needs these first. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include "base/compiler.h"
#include "base/mem.h"
#include "identity/names.h"
#include "identity/permission.h"

static bool implies(const char *held, const char *wanted)
{
	struct permission a;
	struct permission b;
	struct arena arena;
	bool result;

	arena_init(&arena, 1 << 20, 4096);
	assert_int_not_equal(permission_parse(&a, span_cstr(held), &arena),
			     PERMISSION_NO_MEMORY);
	assert_int_not_equal(permission_parse(&b, span_cstr(wanted), &arena),
			     PERMISSION_NO_MEMORY);
	result = permission_implies(&a, &b);
	arena_release(&arena);
	return result;
}

static void wildcards_imply_what_shiro_says(void **state)
{
	static const struct {
		const char *held;
		const char *wanted;
		bool result;
	} table[] = {
		/* equal, and not */
		{"orders:read", "orders:read", true},
		{"orders:read", "orders:write", false},
		{"orders:read", "invoices:read", false},
		{"orders:read", "Orders:read", false},
		{"orders:read", "orders:rea", false},
		/* parts missing in what is held stand for everything */
		{"orders", "orders:read", true},
		{"orders", "orders:read:7", true},
		{"orders:read", "orders:read:7", true},
		{"orders:read", "orders:write:7", false},
		/* parts missing in what is wanted ask for everything */
		{"orders:read", "orders", false},
		{"orders:read:7", "orders:read", false},
		{"orders:read:*", "orders:read", true},
		{"orders:*:*", "orders", true},
		{"orders:*:7", "orders", false},
		/* wildcards */
		{"*", "orders:read:7", true},
		{"*:read", "orders:read", true},
		{"*:read", "orders:write", false},
		{"*:*", "orders", true},
		{"orders:*", "orders:read", true},
		{"orders:*", "invoices:read", false},
		{"orders:*:7", "orders:read:7", true},
		{"orders:*:7", "orders:read:8", false},
		{"orders:*:7", "orders:read", false},
		{"orders:re*", "orders:read", false},
		{"orders:read", "orders:*", false},
		{"orders:*", "orders:*", true},
		/* sets: all that is wanted must be held */
		{"orders:read,write", "orders:read", true},
		{"orders:read,write", "orders:write", true},
		{"orders:read,write", "orders:write,read", true},
		{"orders:read", "orders:read,write", false},
		{"orders:read,write", "orders:read,delete", false},
		{"orders,invoices:read", "invoices:read", true},
		{"orders:read,*", "orders:delete", true},
		{"orders:read:7,8", "orders:read:8", true},
		{"orders:read:7,8", "orders:read:78", false},
		/* malformed: implies nothing, is implied by nothing */
		{"", "orders", false},
		{"*", "", false},
		{":read", "orders:read", false},
		{"orders:", "orders:read", false},
		{"*", "orders:", false},
		{"*", "orders::7", false},
		{"orders:read,", "orders:read", false},
		{"*", ",", false},
		{"a:b:c:d:e:f:g:h", "a:b:c:d:e:f:g:h", true},
		{"*", "a:b:c:d:e:f:g:h:i", false},
		{"a:b:c:d:e:f:g:h:i", "a:b:c:d:e:f:g:h", false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(table); i++) {
		if (implies(table[i].held, table[i].wanted) != table[i].result)
			fail_msg("held \"%s\", wanted \"%s\"", table[i].held, table[i].wanted);
	}
}

static void too_many_options_are_malformed(void **state)
{
	char text[2 * PERMISSION_OPTIONS_MAX + 3];
	struct permission permission;
	struct arena arena;
	size_t len = 0;

	(void)state;
	for (size_t i = 0; i <= PERMISSION_OPTIONS_MAX; i++) {
		text[len++] = 'a';
		text[len++] = ',';
	}
	arena_init(&arena, 1 << 20, 4096);
	assert_int_equal(permission_parse(&permission, span_of(text, len - 1), &arena),
			 PERMISSION_MALFORMED);
	assert_int_equal(permission_parse(&permission, span_of(text, len - 3), &arena),
			 PERMISSION_OK);
	arena_release(&arena);
}

static void a_full_arena_is_told_from_a_bad_permission(void **state)
{
	struct permission permission;
	struct arena arena;

	(void)state;
	arena_init(&arena, 0, 64);
	assert_int_equal(permission_parse(&permission, SPAN("a:b"), &arena),
			 PERMISSION_NO_MEMORY);
	assert_int_equal(permission.part_count, 0);
	arena_release(&arena);
}

static void a_set_of_names_has_what_was_put_in(void **state)
{
	struct span texts[100];
	struct names names;
	struct arena arena;

	(void)state;
	arena_init(&arena, 1 << 20, 4096);
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		/* Every name twice. */
		texts[i] = arena_printf(&arena, "scope-%zu", i / 2);
		assert_non_null(texts[i].ptr);
	}
	assert_int_equal(names_make(&names, texts, COUNT_OF(texts), &arena), 0);
	assert_int_equal(names.count, 50);
	for (size_t i = 0; i < 100; i++) {
		struct name name = name_of(arena_printf(&arena, "scope-%zu", i));

		assert_int_equal(names_have(&names, &name), i < 50);
	}
	assert_int_equal(names_make(&names, NULL, 0, &arena), 0);
	assert_false(names_have(&names, &(struct name){.text = SPAN(""), .hash = 0}));
	arena_release(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wildcards_imply_what_shiro_says),
		cmocka_unit_test(too_many_options_are_malformed),
		cmocka_unit_test(a_full_arena_is_told_from_a_bad_permission),
		cmocka_unit_test(a_set_of_names_has_what_was_put_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
