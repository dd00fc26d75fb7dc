/*
 * For each protocol a package's index, and a path. What is written of an index is one again, without what
 * was refused and with all files at our own address. Built once a protocol, with PROTOCOL.
 */
#include <assert.h>

#include "parse/json.h"
#include "registry/protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OURS SPAN("https://gate.test/registry/x")
#define MEMORY_BYTES ((size_t)16 << 20)

static void check_target(struct span path)
{
	struct registry_target target;
	struct arena arena;

	arena_init(&arena, MEMORY_BYTES, 4096);
	if (PROTOCOL.read_target(&arena, path, &target) == 0) {
		if (target.kind == REGISTRY_FILE || target.kind == REGISTRY_MANIFEST ||
		    target.kind == REGISTRY_INDEX) {
			assert(target.package.len && target.package.len <= 214);
			assert(span_find(target.package, SPAN("..")) != 0);
		}
		if (target.kind == REGISTRY_FILE)
			assert(span_find_byte(target.file, '/') == target.file.len);
	}
	arena_release(&arena);
}

/* Every release that is left is one that was allowed, and its file is at our address. */
static void check_written(struct arena *arena, const struct registry_index *index,
			  const struct judgement *judgements, struct span text)
{
	struct registry_index again;
	struct err err;

	assert(PROTOCOL.read_index(arena, index->package, text, &again, &err) == 0 ||
	       err.code == ERR_MEMORY);
	if (!again.releases)
		return;
	for (size_t i = 0; i < again.count; i++) {
		size_t at = 0;

		while (at < index->count &&
		       !span_eq(index->releases[at].version, again.releases[i].version))
			at++;
		assert(at < index->count && !judgements[at].refused);
	}
	for (size_t i = 0; i < again.file_count; i++)
		assert(span_starts_with(again.files[i].url, OURS));
}

static void check_manifests(const struct registry_index *index,
			    const struct registry_view *view, struct buf *out)
{
	for (size_t i = 0; i < index->count; i++) {
		if (view->judgements[i].refused)
			continue;
		buf_clear(out);
		PROTOCOL.write_manifest(index, i, view, out);
	}
	(void)PROTOCOL.find_release(index, SPAN("latest"), view->judgements);
}

/* That of PyPI has a form in HTML, which is not read. */
static bool is_json(bool brief)
{
	return brief || span_find(PROTOCOL.index_type, SPAN("json")) < PROTOCOL.index_type.len;
}

static void check_index(struct span text, unsigned refused, bool brief)
{
	struct registry_index index;
	struct judgement *judgements;
	struct arena arena;
	struct err err;
	struct buf out;

	arena_init(&arena, MEMORY_BYTES, 65536);
	buf_init(&out, MEMORY_BYTES);
	if (PROTOCOL.read_index(&arena, SPAN("left"), text, &index, &err) == 0) {
		struct registry_view view = {.base = OURS, .brief = brief};

		judgements = arena_array(&arena, struct judgement, index.count + 1);
		assert(judgements);
		for (size_t i = 0; i < index.count; i++)
			judgements[i].refused = refused >> (i % 8) & 1;
		view.judgements = judgements;
		PROTOCOL.write_index(&index, &view, &out);
		if (!buf_failed(&out) && is_json(brief))
			check_written(&arena, &index, judgements, buf_span(&out));
		if (PROTOCOL.write_manifest)
			check_manifests(&index, &view, &out);
	}
	buf_release(&out);
	arena_release(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	check_target(span_of(data + 2, size - 2));
	check_index(span_of(data + 2, size - 2), data[0], data[1] & 1);
	return 0;
}
