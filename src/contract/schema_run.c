/* A run: its memory, its results, and what it tells. */
#include "contract/schema_run.h"

#include "base/mem.h"

#define KEY_SHOWN_BYTES 256
#define TEXT_MAX_BYTES ((size_t)4 << 20)

static void set_defaults(struct schema_run_limits *l)
{
	l->max_depth = l->max_depth ? l->max_depth : 64;
	if (l->max_depth > JSON_DEPTH_MAX)
		l->max_depth = JSON_DEPTH_MAX;
	l->max_string_bytes = l->max_string_bytes ? l->max_string_bytes : 1 << 20;
	l->max_number_bytes = l->max_number_bytes ? l->max_number_bytes : 128;
	l->max_keys = l->max_keys ? l->max_keys : 10000;
	l->max_unique_items = l->max_unique_items ? l->max_unique_items : 100000;
	l->max_evaluations = l->max_evaluations ? l->max_evaluations : 10000;
	l->max_steps = l->max_steps ? l->max_steps : 100000000;
	l->max_problems = l->max_problems ? l->max_problems : 32;
	l->max_unknown = l->max_unknown ? l->max_unknown : 1000;
}

struct schema_run *schema_run_new(const struct schema_run_limits *limits, struct err *err)
{
	struct schema_run *run = mem_zalloc(1, sizeof(*run));

	if (run) {
		if (limits)
			run->limits = *limits;
		set_defaults(&run->limits);
		buf_init(&run->keys, run->limits.max_string_bytes * 4);
		buf_init(&run->text, TEXT_MAX_BYTES);
		buf_init(&run->scratch,
			 run->limits.max_string_bytes + run->limits.max_number_bytes);
		buf_init(&run->fast.text, run->limits.max_string_bytes);
		run->fast.seen.seed = schema_hash_words((uintptr_t)run, 0, 6);
		run->matcher = ecma_matcher_new(run->limits.regex_match_limit,
						run->limits.regex_depth_limit);
	}
	if (run && run->matcher) {
		schema_run_start(run, schema_anything(), NULL);
		return run;
	}
	schema_run_free(run);
	err_set(err, ERR_MEMORY, "out of memory for a check");
	return NULL;
}

void schema_run_free(struct schema_run *run)
{
	if (!run)
		return;
	ecma_matcher_free(run->matcher);
	buf_release(&run->keys);
	buf_release(&run->text);
	buf_release(&run->scratch);
	buf_release(&run->fast.text);
	fast_seen_release(&run->fast.seen);
	mem_free(run->evals);
	mem_free(run->levels);
	mem_free(run->children);
	mem_free(run->links);
	mem_free(run->words);
	mem_free(run->records);
	mem_free(run->unknowns);
	mem_free(run->problems);
	mem_free(run->told);
	mem_free(run->cuts);
	mem_free(run->distinct.slots);
	mem_free(run->distinct.entries);
	mem_free(run);
}

size_t schema_run_bytes(const struct schema_run *run)
{
	return sizeof(*run) + run->keys.cap + run->text.cap + run->scratch.cap +
	       run->fast.text.cap + fast_seen_bytes(&run->fast.seen) +
	       run->eval_cap * sizeof(*run->evals) + run->level_cap * sizeof(*run->levels) +
	       run->child_cap * sizeof(*run->children) + run->link_cap * sizeof(*run->links) +
	       run->word_cap * sizeof(*run->words) + run->record_cap * sizeof(*run->records) +
	       run->unknown_cap * sizeof(*run->unknowns) +
	       run->problem_cap * sizeof(*run->problems) + run->told_cap * sizeof(*run->told) +
	       run->cut_cap * sizeof(*run->cuts) +
	       run->distinct.size * sizeof(*run->distinct.slots) +
	       run->distinct.cap * sizeof(*run->distinct.entries);
}

void schema_run_limit_patterns(struct schema_run *run, uint32_t time_ms)
{
	run->shares_pattern_time = true;
	ecma_matcher_start(run->matcher, time_ms);
}

void schema_run_start(struct schema_run *run, const struct schema *schema,
		      const struct schema_run_options *options)
{
	run->options = options ? *options
			       : (struct schema_run_options){.unknown = SCHEMA_UNKNOWN_ALLOW};
	run->root = schema;
	run->result = SCHEMA_MORE;
	run->failed = run->truncated = run->root_read = run->tokens_used = run->died = false;
	run->limit = NULL;
	run->fast.penalty = run->fast.skip = 0;
	if (!run->shares_pattern_time)
		ecma_matcher_start(run->matcher, run->limits.regex_time_ms);
	run->json_error = JSON_OK;
	run->error_offset = 0;
	run->steps = run->limits.max_steps;
	run->next_id = 1;
	run->open_keys = 0;
	run->token_start = run->token_end = 0;
	run->eval_count = run->level_count = run->child_count = run->link_count = 0;
	run->word_count = run->record_count = run->unknown_count = run->problem_count = 0;
	if (run->distinct.count)
		run_distinct_drop(run, 0);
	buf_clear(&run->keys);
	buf_clear(&run->text);
}

/* -- ends -- */

bool run_limit(struct schema_run *run, const char *limit)
{
	if (run->result == SCHEMA_MORE) {
		run->result = SCHEMA_LIMIT;
		run->limit = limit;
	}
	return false;
}

bool run_no_memory(struct schema_run *run)
{
	if (run->result == SCHEMA_MORE)
		run->result = SCHEMA_MEMORY;
	return false;
}

bool run_malformed(struct schema_run *run, enum json_error error, uint64_t offset)
{
	if (run->result == SCHEMA_MORE) {
		run->result = SCHEMA_MALFORMED;
		run->json_error = error;
		run->error_offset = offset;
	}
	return false;
}

bool run_reserve(struct schema_run *run, void *items_ptr, uint32_t *cap, uint32_t count,
		 uint32_t more, size_t item_size, uint64_t max, const char *limit)
{
	uint64_t need = (uint64_t)count + more;
	uint64_t size = *cap ? (uint64_t)*cap * 2 : 16;
	void *items;

	if (need > max)
		return run_limit(run, limit);
	if (need <= *cap)
		return true;
	while (size < need)
		size *= 2;
	if (size > max)
		size = max;
	if (size > UINT32_MAX / 2)
		return run_no_memory(run);
	/* The type of the items is the caller's; all pointers to objects look alike here. */
	memcpy(&items, items_ptr, sizeof(void *));
	items = mem_realloc(items, (size_t)size * item_size);
	if (!items)
		return run_no_memory(run);
	memcpy(items_ptr, &items, sizeof(void *));
	*cap = (uint32_t)size;
	return true;
}

/* -- problems -- */

static void append_key(struct schema_run *run, struct span key)
{
	bool cut = key.len > KEY_SHOWN_BYTES;

	/* Not in the middle of a code point. */
	if (cut) {
		key.len = KEY_SHOWN_BYTES;
		while (key.len && ((unsigned char)key.ptr[key.len] & 0xc0) == 0x80)
			key.len--;
	}
	for (size_t i = 0; i < key.len; i++) {
		if (key.ptr[i] == '~')
			buf_append_cstr(&run->text, "~0");
		else if (key.ptr[i] == '/')
			buf_append_cstr(&run->text, "~1");
		else
			buf_append_byte(&run->text, key.ptr[i]);
	}
	if (cut)
		buf_append_cstr(&run->text, "...");
}

static bool text_failed(struct schema_run *run)
{
	if (!buf_failed(&run->text))
		return false;
	if (run->text.max - run->text.len < 4096)
		run_limit(run, "problems");
	else
		run_no_memory(run);
	return true;
}

bool run_pointer(struct schema_run *run, uint32_t depth, uint32_t *start, uint32_t *len)
{
	*start = (uint32_t)run->text.len;
	for (uint32_t i = 0; i < run->level_count && i < depth; i++) {
		const struct level *level = &run->levels[i];
		struct span key = level->key;

		buf_append_byte(&run->text, '/');
		if (!level->object) {
			buf_append_u64(&run->text, level->members ? level->members - 1 : 0);
			continue;
		}
		if (!key.ptr)
			key = span_slice(buf_span(&run->keys), level->keys_before,
					 level->keys_before + key.len);
		append_key(run, key);
	}
	*len = (uint32_t)run->text.len - *start;
	return !text_failed(run);
}

void run_problem(struct schema_run *run, uint32_t depth, const struct schema *schema,
		 const char *keyword, struct span detail)
{
	struct problem *p;

	run->failed = true;
	if (run_ended(run))
		return;
	if (run->problem_count >= run->limits.max_problems) {
		run->truncated = true;
		run->result = SCHEMA_INVALID;
		return;
	}
	if (!run_reserve(run, (void *)&run->problems, &run->problem_cap, run->problem_count, 1,
			 sizeof(*p), run->limits.max_problems, "problems") ||
	    !run_reserve(run, (void *)&run->told, &run->told_cap, run->problem_count, 1,
			 sizeof(*run->told), run->limits.max_problems, "problems"))
		return;
	p = &run->problems[run->problem_count];
	*p = (struct problem){.keyword = span_cstr(keyword),
			      .schema = schema->location,
			      .offset = run->token_start};
	if (!run_pointer(run, depth, &p->instance, &p->instance_len))
		return;
	p->detail = (uint32_t)run->text.len;
	p->detail_len = (uint32_t)detail.len;
	buf_append(&run->text, detail);
	if (!text_failed(run))
		run->problem_count++;
}

void run_problem_count(struct schema_run *run, uint32_t depth, const struct schema *schema,
		       const char *keyword, const char *words, uint64_t count)
{
	char text[40];
	int len = snprintf(text, sizeof(text), "%s%llu", words, (unsigned long long)count);

	run_problem(run, depth, schema, keyword, span_of(text, (size_t)len));
}

/* -- what callers ask -- */

bool schema_run_truncated(const struct schema_run *run)
{
	return run->truncated;
}

size_t schema_run_problems(const struct schema_run *run, const struct schema_problem **problems)
{
	const char *text = run->text.ptr ? run->text.ptr : "";

	*problems = run->told;
	for (uint32_t i = 0; i < run->problem_count; i++) {
		const struct problem *p = &run->problems[i];

		run->told[i] = (struct schema_problem){
			.instance = span_of(text + p->instance, p->instance_len),
			.keyword = p->keyword,
			.schema = p->schema,
			.detail = span_of(text + p->detail, p->detail_len),
			.offset = p->offset};
	}
	return run->problem_count;
}

enum json_error schema_run_json_error(const struct schema_run *run, uint64_t *offset)
{
	*offset = run->error_offset;
	return run->json_error;
}

struct span schema_run_limit(const struct schema_run *run)
{
	return span_cstr(run->limit);
}
