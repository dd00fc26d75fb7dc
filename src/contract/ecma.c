#include "contract/ecma.h"

#include "base/compiler.h"
#include "base/mem.h"
#include "contract/ecma_simple.h"
#include "parse/regex.h"

#define MATCHES_DEFAULT 100000
#define DEPTH_DEFAULT 1000
#define HEAP_MAX_KIB 20480
#define JIT_STACK_MAX_BYTES ((size_t)256 << 10)
#define TIME_DEFAULT_MS 100

struct ecma {
	struct ecma_simple *simple; /* in place of the other, or NULL */
	struct regex *general;
};

struct ecma_matcher {
	struct regex_scratch *scratch;
};

static struct regex *compile_general(struct span translated, struct span expression,
				     struct err *err)
{
	static const struct regex_options options = {
		.flags = PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_MATCH_UNSET_BACKREF |
			 PCRE2_NEVER_BACKSLASH_C,
		.groups_deep = ECMA_GROUPS_DEEP,
		.texts_valid = true,
	};
	struct err why = {0};
	struct regex *regex = regex_new(translated, &options, &why);

	if (!regex && why.code == ERR_MEMORY)
		err_set(err, ERR_MEMORY, "%s", why.message);
	else if (!regex)
		err_set(err, ERR_INVALID, "the regular expression \"%.*s\" cannot be used, %s",
			expression.len > 200 ? 200 : (int)expression.len, expression.ptr,
			why.message);
	return regex;
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
		if (!e->simple)
			e->general = compile_general(buf_span(&translated), expression, err);
		if (!e->simple && !e->general) {
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
	regex_free(e->general);
	mem_free(e);
}

size_t ecma_bytes(const struct ecma *e)
{
	if (e->simple)
		return sizeof(*e) + sizeof(*e->simple) +
		       e->simple->count * sizeof(e->simple->steps[0]);
	return sizeof(*e) + regex_bytes(e->general);
}

struct ecma_matcher *ecma_matcher_new(uint32_t match_limit, uint32_t depth_limit)
{
	struct ecma_matcher *m = mem_zalloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->scratch = regex_scratch_new(&(struct regex_limits){
		.matches = match_limit ? match_limit : MATCHES_DEFAULT,
		.depth = depth_limit ? depth_limit : DEPTH_DEFAULT,
		.heap_kib = HEAP_MAX_KIB,
		.jit_stack_bytes = JIT_STACK_MAX_BYTES,
		.pairs = 1,
	});
	if (!m->scratch) {
		mem_free(m);
		return NULL;
	}
	ecma_matcher_start(m, 0);
	return m;
}

void ecma_matcher_free(struct ecma_matcher *m)
{
	if (!m)
		return;
	regex_scratch_free(m->scratch);
	mem_free(m);
}

enum ecma_result ecma_match(struct ecma_matcher *m, const struct ecma *e, struct span subject)
{
	int result;

	if (e->simple)
		return ecma_simple_match(e->simple, subject) ? ECMA_MATCH : ECMA_NO_MATCH;
	result = regex_search(e->general, m->scratch, subject, 0, 0, REGEX_PAIRS_WHOLE);
	if (result > 0)
		return ECMA_MATCH;
	return result == REGEX_NONE ? ECMA_NO_MATCH : ECMA_TOO_HARD;
}

void ecma_matcher_start(struct ecma_matcher *m, uint32_t time_ms)
{
	regex_scratch_set_left_ns(m->scratch,
				  (int64_t)(time_ms ? time_ms : TIME_DEFAULT_MS) * 1000000);
}
