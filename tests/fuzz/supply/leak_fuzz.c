/* Any text: findings lie in it, and none shows more of a secret than its public beginning. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "supply/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = {"a.env",  ".npmrc", "a.c", "settings.xml",
					    "shadow", ".netrc", "x",   "wp-config.php"};
	static struct checker *checker;
	struct leak_text text = {.path = span_cstr(names[size ? data[0] % 8 : 0]),
				 .text = span_of(data + 1, size ? size - 1 : 0)};
	struct finding_list list;
	struct arena arena;
	struct err err = {0};
	uint32_t lines = 1;

	if (size < 1 || size > 65536)
		return 0;
	if (!checker)
		checker = checker_new(NULL);
	assert(checker);
	for (size_t i = 0; i < text.text.len; i++)
		lines += text.text.ptr[i] == '\n';
	arena_init(&arena, (size_t)16 << 20, 4096);
	finding_list_init(&list, &arena);
	assert(check_secrets(checker, &text, &list, &err) == 0 || err.code == ERR_LIMIT);
	for (size_t i = 0; i < list.count; i++) {
		const struct finding *f = &list.at[i];

		assert(f->place.line >= 1 && f->place.line <= lines);
		assert(f->place.column >= 1 && f->place.column <= text.text.len);
		assert(span_find(f->message, SPAN("**** (")) < f->message.len);
	}
	arena_release(&arena);
	return 0;
}
