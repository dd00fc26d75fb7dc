#define PCRE2_CODE_UNIT_WIDTH 8
#include "identity/pattern.h"

#include <pcre2.h>

#include "base/mem.h"

/* A claim is short; what needs more steps than this is a pattern that explodes. */
#define MATCH_STEPS_MAX 100000
#define MATCH_DEPTH_MAX 1000
#define MATCH_HEAP_KIB 1024
#define JIT_STACK_MIN ((size_t)16 * 1024)
#define JIT_STACK_MAX ((size_t)256 * 1024)

struct pattern {
	pcre2_code *code;
};

struct pattern_state {
	pcre2_general_context *general;
	pcre2_match_context *context;
	pcre2_match_data *data;
	pcre2_jit_stack *stack;
};

static void *allocate(size_t size, void *unused)
{
	(void)unused;
	return mem_alloc(size);
}

static void release(void *ptr, void *unused)
{
	(void)unused;
	mem_free(ptr);
}

static pcre2_code *compile(struct span text, struct err *err)
{
	pcre2_general_context *general = pcre2_general_context_create(allocate, release, NULL);
	pcre2_compile_context *context = NULL;
	pcre2_code *code = NULL;
	int error = 0;
	size_t offset = 0;
	PCRE2_UCHAR why[128];

	if (general)
		context = pcre2_compile_context_create(general);
	if (!context) {
		err_set(err, ERR_MEMORY, "no memory for a pattern");
		goto out;
	}
	code = pcre2_compile((PCRE2_SPTR)(text.len ? text.ptr : ""), text.len,
			     PCRE2_UTF | PCRE2_ANCHORED | PCRE2_ENDANCHORED |
				     PCRE2_NEVER_BACKSLASH_C | PCRE2_DOLLAR_ENDONLY,
			     &error, &offset, context);
	if (!code && error == PCRE2_ERROR_HEAP_FAILED) {
		err_set(err, ERR_MEMORY, "no memory for a pattern");
	} else if (!code) {
		pcre2_get_error_message(error, why, sizeof(why));
		err_set(err, ERR_INVALID, "pattern \"%.*s\", at %zu: %s", SPAN_ARG(text),
			offset, (const char *)why);
	}
out:
	pcre2_compile_context_free(context);
	pcre2_general_context_free(general);
	return code;
}

struct pattern *pattern_new(struct span text, struct err *err)
{
	struct pattern *pattern = mem_zalloc(1, sizeof(*pattern));

	if (!pattern) {
		err_set(err, ERR_MEMORY, "no memory for a pattern");
		return NULL;
	}
	pattern->code = compile(text, err);
	if (!pattern->code) {
		mem_free(pattern);
		return NULL;
	}
	/* Where there is no JIT (or no memory for it) the interpreter serves, with the same limits. */
	(void)pcre2_jit_compile(pattern->code, PCRE2_JIT_COMPLETE);
	return pattern;
}

void pattern_free(struct pattern *pattern)
{
	if (!pattern)
		return;
	pcre2_code_free(pattern->code);
	mem_free(pattern);
}

struct pattern_state *pattern_state_new(struct err *err)
{
	struct pattern_state *state = mem_zalloc(1, sizeof(*state));

	if (!state)
		goto fail;
	state->general = pcre2_general_context_create(allocate, release, NULL);
	if (!state->general)
		goto fail;
	state->context = pcre2_match_context_create(state->general);
	state->data = pcre2_match_data_create(1, state->general);
	state->stack = pcre2_jit_stack_create(JIT_STACK_MIN, JIT_STACK_MAX, state->general);
	if (!state->context || !state->data || !state->stack)
		goto fail;
	pcre2_set_match_limit(state->context, MATCH_STEPS_MAX);
	pcre2_set_depth_limit(state->context, MATCH_DEPTH_MAX);
	pcre2_set_heap_limit(state->context, MATCH_HEAP_KIB);
	pcre2_jit_stack_assign(state->context, NULL, state->stack);
	return state;
fail:
	pattern_state_free(state);
	err_set(err, ERR_MEMORY, "no memory for matching patterns");
	return NULL;
}

void pattern_state_free(struct pattern_state *state)
{
	if (!state)
		return;
	pcre2_jit_stack_free(state->stack);
	pcre2_match_data_free(state->data);
	pcre2_match_context_free(state->context);
	pcre2_general_context_free(state->general);
	mem_free(state);
}

enum pattern_result pattern_match(const struct pattern *pattern, struct pattern_state *state,
				  struct span text)
{
	int result = pcre2_match(pattern->code, (PCRE2_SPTR)(text.len ? text.ptr : ""),
				 text.len, 0, 0, state->data, state->context);

	if (result >= 0)
		return PATTERN_MATCH;
	return result == PCRE2_ERROR_NOMATCH ? PATTERN_NO_MATCH : PATTERN_UNDECIDED;
}
