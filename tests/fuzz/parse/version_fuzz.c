/*
 * The first byte chooses an order, three lines are versions: the order must be antisymmetric,
 * reflexive and, where it is defined to be total, transitive.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "parse/version.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int sign(int n)
{
	return (n > 0) - (n < 0);
}

/* The two orders that are not total, where they are not (version.h). */
static bool has_cycles(enum version_order order, struct span text)
{
	if (order == VERSION_ORDER_PACKAGIST)
		return span_find_byte(text, '#') < text.len;
	if (order != VERSION_ORDER_MAVEN)
		return false;
	for (size_t i = 0; i + 1 < text.len; i++)
		if (text.ptr[i] == '.' && (text.ptr[i + 1] < '0' || text.ptr[i + 1] > '9'))
			return true;
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest, v[3];
	enum version_order order;
	int ab, bc, ac;

	if (size < 1)
		return 0;
	order = (enum version_order)(data[0] % VERSION_ORDERS);
	rest = span_of(data + 1, size - 1);
	for (int i = 0; i < 3; i++)
		v[i] = rest.ptr ? span_cut(&rest, '\n') : SPAN_NONE;
	ab = sign(version_compare(order, v[0], v[1]));
	bc = sign(version_compare(order, v[1], v[2]));
	ac = sign(version_compare(order, v[0], v[2]));
	assert(version_compare(order, v[0], v[0]) == 0);
	assert(sign(version_compare(order, v[1], v[0])) == -ab);
	assert(sign(version_compare(order, v[2], v[1])) == -bc);
	assert(sign(version_compare(order, v[2], v[0])) == -ac);
	(void)version_shared_numbers(v[0], v[1]);
	if (has_cycles(order, span_of(data, size)))
		return 0;
	if (ab <= 0 && bc <= 0)
		assert(ac <= 0 && (ac == 0) == (ab == 0 && bc == 0));
	if (ab >= 0 && bc >= 0)
		assert(ac >= 0 && (ac == 0) == (ab == 0 && bc == 0));
	if (ab == 0)
		assert(ac == bc);
	return 0;
}
