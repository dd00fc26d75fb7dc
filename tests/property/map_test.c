#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/map.h"
#include "base/rand.h"

/* A few short keys, so that puts, replacements and removals of the same key are frequent. */
#define KEYS 40
#define STEPS 2000
#define ROUNDS 100

struct model {
	int *values[KEYS]; /* NULL: not in the map */
	size_t live;
};

static uint64_t seed;
static char keys[KEYS][8];
static int values[1000];

/* Our own generator (SplitMix64): a run can be repeated with its seed. */
static uint64_t next_random(uint64_t *x)
{
	uint64_t z = (*x += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static struct span key_of(size_t k)
{
	/* The first is empty; the others have different bytes, NUL among them. */
	return span_of(keys[k], k == 0 ? 0 : sizeof(keys[k]));
}

static void check_all(const struct map *m, const struct model *model)
{
	bool seen[KEYS] = {false};
	size_t cursor = 0, count = 0;
	struct span key;
	int *value;

	assert_int_equal(m->live, model->live);
	for (size_t k = 0; k < KEYS; k++)
		assert_ptr_equal(map_get(m, key_of(k)), model->values[k]);
	while ((value = map_next(m, &cursor, &key))) {
		size_t k = 0;

		while (k < KEYS && !span_eq(key, key_of(k)))
			k++;
		assert_true(k < KEYS);
		assert_false(seen[k]);
		assert_ptr_equal(value, model->values[k]);
		seen[k] = true;
		count++;
	}
	assert_int_equal(count, model->live);
}

static void one_step(struct map *m, struct model *model, uint64_t *random)
{
	size_t k = next_random(random) % KEYS;

	if (next_random(random) % 5 < 3) {
		int *value = &values[next_random(random) % COUNT_OF(values)];

		assert_int_equal(map_put(m, key_of(k), value), 0);
		model->live += model->values[k] == NULL;
		model->values[k] = value;
	} else {
		assert_ptr_equal(map_remove(m, key_of(k)), model->values[k]);
		model->live -= model->values[k] != NULL;
		model->values[k] = NULL;
	}
}

static void it_behaves_as_the_model(void **state)
{
	uint64_t random = seed;

	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct map m = MAP_INIT;
		struct model model = {.live = 0};

		for (unsigned step = 0; step < STEPS; step++) {
			one_step(&m, &model, &random);
			if (step % 50 == 0)
				check_all(&m, &model);
		}
		check_all(&m, &model);
		map_release(&m);
	}
}

/* Distinct byte strings: the index in binary, a byte a bit. */
static void make_keys(void)
{
	for (size_t k = 0; k < KEYS; k++)
		for (size_t i = 0; i < sizeof(keys[k]); i++)
			keys[k][i] = (char)(k >> i & 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_behaves_as_the_model),
	};
	const char *given = getenv("SEED");

	if (!given || !span_to_u64(span_cstr(given), &seed))
		seed = rand_u64();
	print_message("SEED=%llu\n", (unsigned long long)seed);
	make_keys();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
