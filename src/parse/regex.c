#include "parse/regex.h"

#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"

/* A callback costs as much as running over some bytes, and reading the clock as much as some hundred. */
#define CALLBACK_IN_BYTES ((size_t)8)
#define BETWEEN_CLOCKS_BYTES ((size_t)16384)
#define JIT_STACK_START_BYTES ((size_t)32 << 10)
#define CALLBACK_TEXT SPAN("(?C1)")
#define CALLBACK_TEXT_BYTES 5

static void *take_memory(PCRE2_SIZE size, void *unused)
{
	(void)unused;
	return mem_alloc(size);
}

static void give_memory(void *ptr, void *unused)
{
	(void)unused;
	mem_free(ptr);
}

/* ---- compiling ---- */

static pcre2_code *compile(struct span text, const struct regex_options *options,
			   uint32_t more_flags, struct err *err)
{
	pcre2_general_context *general =
		pcre2_general_context_create(take_memory, give_memory, NULL);
	pcre2_compile_context *context = general ? pcre2_compile_context_create(general) : NULL;
	pcre2_code *code = NULL;
	PCRE2_UCHAR why[128];
	PCRE2_SIZE at = 0;
	int error = 0;

	if (context) {
		if (options->groups_deep)
			pcre2_set_parens_nest_limit(context, options->groups_deep);
		code = pcre2_compile((PCRE2_SPTR)(text.len ? text.ptr : ""), text.len,
				     options->flags | more_flags, &error, &at, context);
	}
	pcre2_compile_context_free(context);
	pcre2_general_context_free(general);
	if (!code && (!context || error == PCRE2_ERROR_HEAP_FAILED)) {
		err_set(err, ERR_MEMORY, "out of memory for a regular expression");
	} else if (!code) {
		if (pcre2_get_error_message(error, why, sizeof(why)) < 0)
			why[0] = '\0';
		err_set(err, ERR_SYNTAX, "at byte %zu: %s", (size_t)at, (const char *)why);
	}
	return code;
}

struct regex *regex_new(struct span text, const struct regex_options *options, struct err *err)
{
	struct regex *r = mem_alloc(sizeof(*r) + text.len);
	uint32_t flags = 0, references = 0;
	bool machine_code;

	if (!r) {
		err_set(err, ERR_MEMORY, "out of memory for a regular expression");
		return NULL;
	}
	r->options = *options;
	r->text_len = text.len;
	if (text.len)
		memcpy(r->text, text.ptr, text.len);
	atomic_init(&r->watched, NULL);
	r->code = compile(text, options, 0, err);
	if (!r->code) {
		mem_free(r);
		return NULL;
	}
	/* Without a JIT compiler, or memory for it, the interpreter finds the same. */
	machine_code = pcre2_jit_compile(r->code, PCRE2_JIT_COMPLETE) == 0;
	/* With what the expression itself asks for: (*UTF). */
	pcre2_pattern_info(r->code, PCRE2_INFO_ALLOPTIONS, &flags);
	r->direct = machine_code && (options->texts_valid || !(flags & PCRE2_UTF));
	pcre2_pattern_info(r->code, PCRE2_INFO_BACKREFMAX, &references);
	r->refers = references > 0;
	return r;
}

void regex_free(struct regex *r)
{
	if (!r)
		return;
	pcre2_code_free(r->code);
	pcre2_code_free(atomic_load(&r->watched));
	mem_free(r);
}

size_t regex_bytes(const struct regex *r)
{
	size_t code = 0, machine_code = 0;

	pcre2_pattern_info(r->code, PCRE2_INFO_SIZE, &code);
	pcre2_pattern_info(r->code, PCRE2_INFO_JITSIZE, &machine_code);
	return sizeof(*r) + r->text_len + code + machine_code;
}

int regex_group_named(const struct regex *r, const char *name)
{
	return pcre2_substring_number_from_name(r->code, (PCRE2_SPTR)name);
}

/* ---- watching ---- */

/* Of each byte of an expression, and of its end. */
enum {
	PLACE_ITEM = 1, /* an item starts here */
	PLACE_CLOSES = 2, /* it is the end of a group */
	PLACE_REPEATS = 4, /* it ends in a quantifier, or looks so */
};

struct places {
	struct span text;
	unsigned char *of; /* text.len + 1 */
};

static int note_place(pcre2_callout_enumerate_block *block, void *context)
{
	struct places *places = context;
	struct span item = span_slice(places->text, block->pattern_position,
				      block->pattern_position + block->next_item_length);
	unsigned char *place = &places->of[block->pattern_position];

	*place |= PLACE_ITEM;
	if (item.len && item.ptr[0] == ')')
		*place |= PLACE_CLOSES | PLACE_REPEATS;
	else if (item.len && memchr("*+?}", item.ptr[item.len - 1], 4))
		*place |= PLACE_REPEATS;
	return 0;
}

/*
 * The expression with callbacks behind what is repeated and at the ends of groups. PCRE2_AUTO_CALLOUT
 * has them before each item, which is slower and, worse, keeps PCRE2 from what it does for expressions
 * that start with a repetition: a search that was linear becomes quadratic. But it tells where items
 * are.
 */
static int put_callbacks(struct span text, const pcre2_code *automatic, struct buf *to)
{
	struct places places = {.text = text, .of = mem_zalloc(text.len + 1, 1)};
	bool repeats = false;

	if (!places.of)
		return -1;
	(void)pcre2_callout_enumerate(automatic, note_place, &places);
	for (size_t i = 0; i <= text.len; i++) {
		unsigned char place = places.of[i];

		if (place & PLACE_ITEM) {
			if (repeats || place & PLACE_CLOSES)
				buf_append(to, CALLBACK_TEXT);
			repeats = place & PLACE_REPEATS;
		}
		if (i < text.len)
			buf_append_byte(to, text.ptr[i]);
	}
	mem_free(places.of);
	return buf_failed(to) ? -1 : 0;
}

/* Where a quantifier is no quantifier, nothing can be put in. */
static bool has_quoting(struct span text)
{
	return text.len > 1 && memmem(text.ptr, text.len, "\\Q", 2);
}

static pcre2_code *compile_watched(const struct regex *r, struct err *err)
{
	struct span text = span_of(r->text, r->text_len);
	pcre2_code *automatic = compile(text, &r->options, PCRE2_AUTO_CALLOUT, err);
	pcre2_code *code = NULL;
	struct buf with;

	if (!automatic)
		return NULL;
	if (!has_quoting(text)) {
		buf_init(&with, (text.len + 1) * (CALLBACK_TEXT_BYTES + 1));
		if (put_callbacks(text, automatic, &with) < 0)
			err_set(err, ERR_MEMORY, "out of memory for a regular expression");
		else
			code = compile(buf_span(&with), &r->options, 0, err);
		buf_release(&with);
		if (!code && err->code == ERR_MEMORY) {
			pcre2_code_free(automatic);
			return NULL;
		}
	}
	if (code)
		pcre2_code_free(automatic);
	else
		code = automatic;
	(void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
	return code;
}

/* NULL with an error. */
static const pcre2_code *watched_code(struct regex *r, struct err *err)
{
	pcre2_code *code = atomic_load_explicit(&r->watched, memory_order_acquire);
	pcre2_code *none = NULL;

	if (LIKELY(code != NULL))
		return code;
	code = compile_watched(r, err);
	if (code && !atomic_compare_exchange_strong(&r->watched, &none, code)) {
		/* Another thread was quicker. */
		pcre2_code_free(code);
		code = none;
	}
	return code;
}

static int on_callback(pcre2_callout_block *block, void *context)
{
	struct regex_scratch *s = context;
	size_t at = block->current_position;

	s->uncounted_bytes += s->step_bytes + (at > s->at ? at - s->at : s->at - at);
	s->at = at;
	if (s->uncounted_bytes < BETWEEN_CLOCKS_BYTES)
		return 0;
	s->uncounted_bytes = 0;
	return clock_thread_ns() - s->begun_ns > s->left_ns ? PCRE2_ERROR_MATCHLIMIT : 0;
}

/* ---- searching ---- */

struct regex_scratch *regex_scratch_new(const struct regex_limits *limits)
{
	struct regex_scratch *s = mem_zalloc(1, sizeof(*s));
	size_t first = limits->jit_stack_bytes < JIT_STACK_START_BYTES ? limits->jit_stack_bytes
								       : JIT_STACK_START_BYTES;

	if (!s)
		return NULL;
	s->general = pcre2_general_context_create(take_memory, give_memory, NULL);
	if (s->general) {
		s->context = pcre2_match_context_create(s->general);
		s->jit_stack =
			pcre2_jit_stack_create(first, limits->jit_stack_bytes, s->general);
		s->all = pcre2_match_data_create(limits->pairs, s->general);
		s->whole = pcre2_match_data_create(1, s->general);
	}
	if (!s->context || !s->jit_stack || !s->all || !s->whole) {
		regex_scratch_free(s);
		return NULL;
	}
	pcre2_set_match_limit(s->context, limits->matches);
	pcre2_set_depth_limit(s->context, limits->depth);
	pcre2_set_heap_limit(s->context, limits->heap_kib);
	pcre2_jit_stack_assign(s->context, NULL, s->jit_stack);
	pcre2_set_callout(s->context, on_callback, s);
	s->left_ns = limits->time_ns;
	return s;
}

void regex_scratch_free(struct regex_scratch *s)
{
	if (!s)
		return;
	pcre2_match_data_free(s->all);
	pcre2_match_data_free(s->whole);
	pcre2_jit_stack_free(s->jit_stack);
	pcre2_match_context_free(s->context);
	pcre2_general_context_free(s->general);
	mem_free(s);
}

static int search(const pcre2_code *code, struct regex_scratch *s, struct span text,
		  size_t from, uint32_t flags, pcre2_match_data *data)
{
	PCRE2_SPTR at = (PCRE2_SPTR)(text.ptr ? text.ptr : "");
	int result = pcre2_match(code, at, text.len, from, flags, data, s->context);

	if (result == PCRE2_ERROR_JIT_STACKLIMIT)
		result = pcre2_match(code, at, text.len, from, flags | PCRE2_NO_JIT, data,
				     s->context);
	return result;
}

static uint32_t checks_of(const struct regex *r)
{
	return r->options.texts_valid ? PCRE2_NO_UTF_CHECK : 0;
}

int regex_search_checked(const struct regex *r, struct regex_scratch *s, struct span text,
			 size_t from, uint32_t flags, pcre2_match_data *data)
{
	return search(r->code, s, text, from, flags | checks_of(r), data);
}

int regex_search_long(struct regex *r, struct regex_scratch *s, struct span text, size_t from,
		      uint32_t flags, pcre2_match_data *data)
{
	struct err err = {0};
	const pcre2_code *code;
	int result;

	if (s->left_ns <= 0)
		return PCRE2_ERROR_MATCHLIMIT;
	code = watched_code(r, &err);
	if (!code && err.code == ERR_MEMORY)
		return PCRE2_ERROR_NOMEMORY;
	s->at = from;
	s->step_bytes = CALLBACK_IN_BYTES + (r->refers ? text.len : 0);
	s->uncounted_bytes = 0;
	s->begun_ns = clock_thread_ns();
	/* One that is too large to call back is searched with as it is. */
	result = search(code ? code : r->code, s, text, from, flags | checks_of(r), data);
	s->left_ns -= clock_thread_ns() - s->begun_ns;
	return result;
}

int regex_search_failed(int result)
{
	if (result == PCRE2_ERROR_NOMEMORY)
		return REGEX_NO_MEMORY;
	if (result <= PCRE2_ERROR_UTF8_ERR1 && result >= PCRE2_ERROR_UTF8_ERR21)
		return REGEX_NOT_UTF8;
	return REGEX_TOO_HARD;
}

struct span regex_pair(const struct regex_scratch *s, enum regex_pairs pairs, struct span text,
		       size_t pair)
{
	const PCRE2_SIZE *vector =
		pcre2_get_ovector_pointer(pairs == REGEX_PAIRS_ALL ? s->all : s->whole);
	PCRE2_SIZE from = vector[2 * pair], to = vector[2 * pair + 1];

	/* \K in a look-around can end a match before it starts; an unset pair is beyond all. */
	if (to > text.len || from > to)
		return SPAN_NONE;
	return span_of((text.ptr ? text.ptr : "") + from, to - from);
}
