/* contract_document_fuzz.c - any bytes as a YAML or JSON document. */
#include <stdint.h>

#include "contract/document.h"
#include "parse/json_write.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct document_limits limits = {.max_file_bytes = 1 << 16,
					      .max_files = 4,
					      .max_memory_bytes = 16 << 20,
					      .max_nodes = 20000,
					      .max_depth = 32};

static void write_tree(struct buf *to, const struct document *document)
{
	struct json_writer w;

	json_writer_init(&w, to);
	json_put_tree(&w, document->root);
	if (buf_failed(to))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct document_set *set = document_set_new(NULL, NULL, NULL, &limits, NULL);
	const struct document *document, *again;
	struct document_place place;
	struct err err = {.code = ERR_NONE};
	struct buf text, second;

	buf_init(&text, 64 << 20);
	buf_init(&second, 64 << 20);
	if (!set)
		abort();
	document = document_load_text(set, SPAN("a.yaml"), span_of(data, size), &err);
	if (document) {
		if (!document_place_of(set, document->root, &place) || place.line == 0)
			abort();
		/* What was read can be written, read again, and is the same. */
		write_tree(&text, document);
		document_set_free(set);
		set = document_set_new(NULL, NULL, NULL, NULL, NULL);
		again = document_load_text(set, SPAN("b.json"), buf_span(&text), &err);
		if (!again)
			abort();
		write_tree(&second, again);
		if (!span_eq(buf_span(&text), buf_span(&second)))
			abort();
		(void)document_resolve(set, again, span_slice(span_of(data, size), 0, 40), NULL,
				       NULL);
	} else if (err.code == ERR_NONE || err.code == ERR_INTERNAL) {
		abort();
	}
	document_set_free(set);
	buf_release(&text);
	buf_release(&second);
	return 0;
}
