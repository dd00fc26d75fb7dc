/* A value and a text: the value is where it is said to be, and the worst place is told. */
#include <assert.h>

#include "iast/taint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct taint_result result, struct span text, struct span value)
{
	if (result.taint == TAINT_NONE)
		return;
	assert(result.at <= text.len - value.len);
	assert(memcmp(text.ptr + result.at, value.ptr, value.len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = span_of(data, size), value = span_cut(&text, '\n');
	char masked[64];

	if (!text.ptr)
		return 0;
	check(taint_sql(text, value), text, value);
	check(taint_shell(text, value), text, value);
	check(taint_path(text, value), text, value);
	check(taint_html(text, value), text, value);
	(void)taint_host(text, value);
	assert(taint_sql_masked(text, masked, sizeof(masked)) <= sizeof(masked));
	return 0;
}
