/*
 * A form that is read and written gives the same form when it is read again; a cookie that is
 * found lies within the field, and is found by the same name only.
 */
#include <assert.h>

#include "base/mem.h"
#include "parse/cookie.h"
#include "parse/form.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_form(struct arena *arena, struct span text)
{
	struct form form, again;
	struct buf written;

	if (form_parse(arena, text, &form) != FORM_OK)
		return;
	assert(form.count <= FORM_PAIRS_MAX);
	buf_init(&written, (size_t)1 << 24);
	for (size_t i = 0; i < form.count; i++)
		form_append(&written, form.pairs[i].name, form.pairs[i].value);
	assert(!buf_failed(&written));
	assert(form_parse(arena, buf_span(&written), &again) == FORM_OK);
	assert(again.count == form.count);
	for (size_t i = 0; i < form.count; i++) {
		assert(span_eq(form.pairs[i].name, again.pairs[i].name));
		assert(span_eq(form.pairs[i].value, again.pairs[i].value));
	}
	assert(span_eq(form.repeated, again.repeated));
	buf_release(&written);
}

static void check_cookie(struct span field)
{
	struct span rest = field, value;
	struct span name = span_trim(span_cut(&rest, '='));

	char *without = mem_alloc(2 * field.len + 1);

	assert(without);
	rest = cookie_without(field, name, without);
	assert(rest.len <= 2 * field.len);
	assert(name.len == 0 || cookie_find(rest, name, &value) == COOKIE_ABSENT);
	mem_free(without);
	if (cookie_find(field, name, &value) != COOKIE_FOUND)
		return;
	assert(value.ptr >= field.ptr && value.ptr + value.len <= field.ptr + field.len);
	for (size_t i = 0; i < value.len; i++)
		assert(value.ptr[i] > ' ' && value.ptr[i] < 0x7f && value.ptr[i] != ';');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = span_of(data, size);
	struct arena arena;

	arena_init(&arena, (size_t)1 << 26, 4096);
	check_form(&arena, text);
	check_cookie(text);
	arena_release(&arena);
	return 0;
}
