#define PCRE2_CODE_UNIT_WIDTH 8
#include "contract/ecma.h"

#include <pcre2.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "base/mem.h"
#include "contract/ecma_simple.h"

/* JIT code runs on a stack of its own: fibers have small ones. */
#define JIT_STACK_START_BYTES (32 << 10)
#define JIT_STACK_MAX_BYTES (256 << 10)
/*
 * PCRE2 counts matches anew from each byte that it starts at, so that its limit says nothing of a long
 * text. There the starts are tried by and by, and the time that they take together is limited.
 */
#define LONG_BYTES ((size_t)512)
#define STARTS_FIRST ((size_t)64)
#define STARTS_MAX ((size_t)1024)
#define LONG_NS_MAX INT64_C(100000000)

struct ecma {
	struct ecma_simple *simple; /* in place of the rest, or NULL */
	pcre2_code *code;
	bool jit;
	bool anchored; /* there is only one byte to start at */
};

struct ecma_matcher {
	pcre2_general_context *general;
	pcre2_match_context *context;
	pcre2_match_data *data;
	pcre2_jit_stack *stack;
	int64_t spent_ns; /* on long texts */
};

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

static pcre2_code *compile_translated(struct span translated, struct span expression,
				      struct err *err)
{
	pcre2_general_context *general =
		pcre2_general_context_create(take_memory, give_memory, NULL);
	pcre2_compile_context *context = general ? pcre2_compile_context_create(general) : NULL;
	pcre2_code *code = NULL;
	int error = 0;
	PCRE2_SIZE at = 0;

	if (context) {
		pcre2_set_parens_nest_limit(context, ECMA_GROUPS_DEEP);
		code = pcre2_compile(
			(PCRE2_SPTR)(translated.len ? translated.ptr : ""), translated.len,
			PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_MATCH_UNSET_BACKREF |
				PCRE2_NEVER_BACKSLASH_C | PCRE2_USE_OFFSET_LIMIT,
			&error, &at, context);
	}
	pcre2_compile_context_free(context);
	pcre2_general_context_free(general);
	if (!code && (!context || error == PCRE2_ERROR_HEAP_FAILED)) {
		err_set(err, ERR_MEMORY, "out of memory for a regular expression");
	} else if (!code) {
		PCRE2_UCHAR text[160];

		if (pcre2_get_error_message(error, text, sizeof(text)) < 0)
			text[0] = '\0';
		err_set(err, ERR_INVALID, "the regular expression \"%.*s\" cannot be used: %s",
			expression.len > 200 ? 200 : (int)expression.len, expression.ptr,
			(const char *)text);
	}
	return code;
}

static int compile_general(struct ecma *e, struct span translated, struct span expression,
			   struct err *err)
{
	uint32_t options = 0;

	e->code = compile_translated(translated, expression, err);
	if (!e->code)
		return -1;
	pcre2_pattern_info(e->code, PCRE2_INFO_ALLOPTIONS, &options);
	e->anchored = options & PCRE2_ANCHORED;
	/* Without memory that may be executed, PCRE2 interprets instead. */
	e->jit = pcre2_jit_compile(e->code, PCRE2_JIT_COMPLETE) == 0;
	return 0;
}

static struct ecma *compile(struct span expression, size_t max_bytes, bool may_be_simple,
			    struct err *err)
{
	struct buf translated;
	struct ecma *e;

	if (expression.len > max_bytes) {
		err_set(err, ERR_LIMIT, "the regular expression is longer than %zu bytes",
			max_bytes);
		return NULL;
	}
	/* The longest that one byte of an expression becomes is '.' and \S in a class. */
	buf_init(&translated, expression.len * 160 + 64);
	e = mem_zalloc(1, sizeof(*e));
	if (!e) {
		err_set(err, ERR_MEMORY, "out of memory for a regular expression");
	} else if (ecma_translate(expression, &translated, err) < 0) {
		ecma_free(e);
		e = NULL;
	} else {
		e->simple = may_be_simple ? ecma_simple_compile(expression) : NULL;
		if (!e->simple &&
		    compile_general(e, buf_span(&translated), expression, err) < 0) {
			ecma_free(e);
			e = NULL;
		}
	}
	buf_release(&translated);
	return e;
}

struct ecma *ecma_compile(struct span expression, size_t max_bytes, struct err *err)
{
	return compile(expression, max_bytes, true, err);
}

struct ecma *ecma_compile_general(struct span expression, size_t max_bytes, struct err *err)
{
	return compile(expression, max_bytes, false, err);
}

void ecma_free(struct ecma *e)
{
	if (!e)
		return;
	mem_free(e->simple);
	pcre2_code_free(e->code);
	mem_free(e);
}

size_t ecma_bytes(const struct ecma *e)
{
	size_t code = 0;
	size_t jit = 0;

	if (e->simple)
		return sizeof(*e) + sizeof(*e->simple) +
		       e->simple->count * sizeof(e->simple->steps[0]);
	pcre2_pattern_info(e->code, PCRE2_INFO_SIZE, &code);
	pcre2_pattern_info(e->code, PCRE2_INFO_JITSIZE, &jit);
	return sizeof(*e) + code + jit;
}

struct ecma_matcher *ecma_matcher_new(uint32_t match_limit, uint32_t depth_limit)
{
	struct ecma_matcher *m = mem_zalloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->general = pcre2_general_context_create(take_memory, give_memory, NULL);
	if (m->general) {
		m->context = pcre2_match_context_create(m->general);
		m->data = pcre2_match_data_create(1, m->general);
		m->stack = pcre2_jit_stack_create(JIT_STACK_START_BYTES, JIT_STACK_MAX_BYTES,
						  m->general);
	}
	if (!m->context || !m->data || !m->stack) {
		ecma_matcher_free(m);
		return NULL;
	}
	pcre2_set_match_limit(m->context, match_limit ? match_limit : 100000);
	pcre2_set_depth_limit(m->context, depth_limit ? depth_limit : 1000);
	pcre2_jit_stack_assign(m->context, NULL, m->stack);
	return m;
}

void ecma_matcher_free(struct ecma_matcher *m)
{
	if (!m)
		return;
	pcre2_match_data_free(m->data);
	pcre2_match_context_free(m->context);
	pcre2_jit_stack_free(m->stack);
	pcre2_general_context_free(m->general);
	mem_free(m);
}

static enum ecma_result match_from(struct ecma_matcher *m, const struct ecma *e,
				   struct span subject, size_t from)
{
	PCRE2_SPTR text = (PCRE2_SPTR)(subject.ptr ? subject.ptr : "");
	int result;

	if (e->jit)
		result = pcre2_jit_match(e->code, text, subject.len, from, 0, m->data,
					 m->context);
	else
		result = pcre2_match(e->code, text, subject.len, from, PCRE2_NO_UTF_CHECK,
				     m->data, m->context);
	if (result >= 0)
		return ECMA_MATCH;
	return result == PCRE2_ERROR_NOMATCH ? ECMA_NO_MATCH : ECMA_TOO_HARD;
}

static bool is_inside_character(struct span subject, size_t at)
{
	return at < subject.len && ((unsigned char)subject.ptr[at] & 0xc0) == 0x80;
}

static enum ecma_result match_long(struct ecma_matcher *m, const struct ecma *e,
				   struct span subject)
{
	enum ecma_result result = ECMA_NO_MATCH;
	size_t starts = STARTS_FIRST;

	for (size_t from = 0; from <= subject.len && result == ECMA_NO_MATCH;) {
		int64_t begun_ns = clock_thread_ns();

		if (m->spent_ns > LONG_NS_MAX) {
			result = ECMA_TOO_HARD;
			break;
		}
		pcre2_set_offset_limit(m->context, from + starts - 1);
		result = match_from(m, e, subject, from);
		m->spent_ns += clock_thread_ns() - begun_ns;
		from += starts;
		while (is_inside_character(subject, from))
			from++;
		starts = starts < STARTS_MAX ? 2 * starts : starts;
	}
	pcre2_set_offset_limit(m->context, PCRE2_UNSET);
	return result;
}

enum ecma_result ecma_match(struct ecma_matcher *m, const struct ecma *e, struct span subject)
{
	if (e->simple)
		return ecma_simple_match(e->simple, subject) ? ECMA_MATCH : ECMA_NO_MATCH;
	if (UNLIKELY(subject.len > LONG_BYTES) && !e->anchored)
		return match_long(m, e, subject);
	return match_from(m, e, subject, 0);
}

void ecma_matcher_start(struct ecma_matcher *m)
{
	m->spent_ns = 0;
}
