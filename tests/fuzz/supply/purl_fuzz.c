/* A purl that is read is written in a form that is read as the same, and does not change again. */
#include <assert.h>

#include "supply/purl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct component c = {0};
	struct purl p, again;
	struct arena a;
	struct span text;

	if (size > 4096)
		return 0;
	arena_init(&a, 1 << 22, 4096);
	if (purl_parse(&a, span_of(data, size), &p) == PURL_OK) {
		text = purl_write(&a, &p);
		assert(text.len > 0);
		assert(purl_parse(&a, text, &again) == PURL_OK);
		assert(span_eq(p.name, again.name) && span_eq(p.version, again.version));
		assert(span_eq(p.namespace, again.namespace));
		assert(span_eq(p.subpath, again.subpath));
		assert(p.qualifier_count == again.qualifier_count);
		assert(span_eq(purl_write(&a, &again), text));
		assert(purl_to_component(&a, &p, &c) && c.name.len > 0);
	}
	arena_release(&a);
	return 0;
}
