/* The bridge to jq: any document of any kind goes through all rules. The first byte chooses. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "supply/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* libjq 1.6 loses some small texts when an expression fails. */
const char *__lsan_default_suppressions(void)
{
	return "leak:libjq.so";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct checker *checker;
	enum check_kind kind = (enum check_kind)(size ? data[0] % CHECK_KINDS : 0);
	struct span text = span_of(data + 1, size ? size - 1 : 0);
	struct finding_list list;
	struct err err = {0};
	struct arena arena;
	int result;

	if (size < 1 || size > 4096)
		return 0;
	if (!checker)
		checker = checker_new(NULL);
	assert(checker);
	arena_init(&arena, (size_t)64 << 20, 4096);
	finding_list_init(&list, &arena);
	result = check_file(checker, kind, SPAN("file"), text, &list, &err);
	/* Whatever the document: no rule of ours is wrong. */
	assert(result == 0 || err.code == ERR_SYNTAX || err.code == ERR_LIMIT ||
	       err.code == ERR_MEMORY);
	for (size_t i = 0; i < list.count; i++)
		assert(list.at[i].rule.len && list.at[i].message.len);
	arena_release(&arena);
	return 0;
}
