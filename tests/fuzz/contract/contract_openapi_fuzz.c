/* contract_openapi_fuzz.c - any bytes as an OpenAPI document; what loads is linted and tried. */
#include <stdint.h>

#include "contract/generate.h"
#include "contract/lint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int each(void *context, const struct generated *g)
{
	(void)g;
	return ++*(unsigned *)context > 50 ? 1 : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct document_limits limits = {.max_file_bytes = 1 << 16,
						      .max_files = 2,
						      .max_memory_bytes = 16 << 20,
						      .max_nodes = 20000,
						      .max_depth = 64};
	struct contract_options options = {.documents = &limits, .max_schema_bytes = 4 << 20};
	struct err err = {.code = ERR_NONE};
	struct contract *c =
		contract_load_text(span_of(data, size), SPAN("a.yaml"), &options, &err);
	struct finding_list findings;
	struct arena arena;

	if (!c) {
		if (err.code == ERR_NONE || err.code == ERR_INTERNAL || !err.message[0])
			abort();
		return 0;
	}
	arena_init(&arena, 8 << 20, 1 << 14);
	finding_list_init(&findings, &arena);
	if (contract_lint(c, &findings, &err) < 0 && err.code != ERR_MEMORY)
		abort();
	for (size_t i = 0; i < contract_operation_count(c) && i < 4; i++) {
		const struct contract_operation *o = contract_operation_at(c, i);
		unsigned calls = 0;

		if (o->index != i || !o->id.len || !o->method.len)
			abort();
		/* It checks by itself that what it makes is what it says. */
		if (contract_generate(c, o, each, &calls, &err) < 0 && err.code != ERR_MEMORY)
			abort();
	}
	arena_release(&arena);
	contract_unref(c);
	return 0;
}
