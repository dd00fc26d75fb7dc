#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"

struct item {
	int value;
	struct list link;
};

static void assert_values(struct list *head, const int *values, size_t count)
{
	size_t at = 0;

	list_for_each (node, head) {
		assert_true(at < count);
		assert_int_equal(list_entry(node, struct item, link)->value, values[at]);
		at++;
	}
	assert_int_equal(at, count);
}

static void a_new_list_is_empty(void **state)
{
	struct list head;

	(void)state;
	list_init(&head);
	assert_true(list_empty(&head));
	assert_null(list_pop_front(&head));
	assert_values(&head, NULL, 0);
}

static void pushes_go_to_the_end_named(void **state)
{
	struct list head;
	struct item items[3] = {{.value = 0}, {.value = 1}, {.value = 2}};

	(void)state;
	list_init(&head);
	list_push_back(&head, &items[1].link);
	list_push_back(&head, &items[2].link);
	list_push_front(&head, &items[0].link);
	assert_values(&head, (const int[]){0, 1, 2}, 3);
	assert_ptr_equal(list_pop_front(&head), &items[0].link);
	assert_values(&head, (const int[]){1, 2}, 2);
}

static void all_nodes_move_to_the_front_of_another(void **state)
{
	struct list head, other;
	struct item items[4] = {{.value = 0}, {.value = 1}, {.value = 2}, {.value = 3}};

	(void)state;
	list_init(&head);
	list_init(&other);
	list_move_to_front(&head, &other);
	assert_values(&head, NULL, 0);
	list_push_back(&other, &items[2].link);
	list_push_back(&other, &items[3].link);
	list_move_to_front(&head, &other);
	assert_values(&other, NULL, 0);
	list_push_back(&other, &items[0].link);
	list_push_back(&other, &items[1].link);
	list_move_to_front(&head, &other);
	assert_values(&head, (const int[]){0, 1, 2, 3}, 4);
	assert_values(&other, NULL, 0);
	list_remove(&items[3].link);
	list_remove(&items[0].link);
	assert_values(&head, (const int[]){1, 2}, 2);
}

static void removing_twice_is_harmless(void **state)
{
	struct list head;
	struct item items[2] = {{.value = 0}, {.value = 1}};

	(void)state;
	list_init(&head);
	list_push_back(&head, &items[0].link);
	list_push_back(&head, &items[1].link);
	list_remove(&items[0].link);
	list_remove(&items[0].link);
	assert_values(&head, (const int[]){1}, 1);
}

static void the_current_node_may_be_removed_while_iterating(void **state)
{
	struct list head;
	struct item items[6];

	(void)state;
	list_init(&head);
	for (int i = 0; i < 6; i++) {
		items[i].value = i;
		list_push_back(&head, &items[i].link);
	}
	list_for_each (node, &head) {
		if (list_entry(node, struct item, link)->value % 2 == 0)
			list_remove(node);
	}
	assert_values(&head, (const int[]){1, 3, 5}, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_list_is_empty),
		cmocka_unit_test(pushes_go_to_the_end_named),
		cmocka_unit_test(all_nodes_move_to_the_front_of_another),
		cmocka_unit_test(removing_twice_is_harmless),
		cmocka_unit_test(the_current_node_may_be_removed_while_iterating),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
