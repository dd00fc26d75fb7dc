/*
 * regex.h - regular expressions by PCRE2, with a bound on the time that they take.
 *
 * PCRE2's own limits do not bound it: they count anew from each byte that a match may start at, and
 * do not count the bytes that one repeated character runs over. A short text costs little all the
 * same. A longer one is searched with another compilation of the expression, which calls back behind
 * what is repeated, so that a search can be broken off wherever it is, within a start too; what it
 * finds is the same. It is compiled when there is such a text for the first time.
 */
#ifndef PARSE_REGEX_H
#define PARSE_REGEX_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdatomic.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/span.h"

/* The longest text that is searched without a look at the time. */
#define REGEX_SHORT_BYTES ((size_t)512)

struct regex_options {
	uint32_t flags; /* of pcre2_compile() */
	uint32_t groups_deep; /* groups in groups, at most; 0: as many as PCRE2 allows, 250 */
	bool texts_valid; /* with PCRE2_UTF: texts are UTF-8 already, and are not checked again */
};

/* Immutable but for what is compiled late; for any thread. Its fields are for regex_search(). */
struct regex {
	pcre2_code *code;
	_Atomic(pcre2_code *) watched; /* NULL until there was a long text */
	bool direct; /* its machine code may be entered without PCRE2's checks */
	bool refers; /* back, to what a group has matched */
	struct regex_options options;
	size_t text_len;
	char text[];
};

/*
 * NULL with an error: ERR_MEMORY, or ERR_SYNTAX with what PCRE2 says ("at byte N: ..."). The text is
 * copied.
 */
struct regex *regex_new(struct span text, const struct regex_options *options,
			struct err *err) MUST_CHECK;
/* NULL is allowed. */
void regex_free(struct regex *r);
/* What it holds, without what long texts make of it. */
size_t regex_bytes(const struct regex *r);

/* The number of the group with the name, or a number below 0. */
int regex_group_named(const struct regex *r, const char *name);

struct regex_limits {
	uint32_t matches; /* PCRE2's count of calls of match(), from one start */
	uint32_t depth; /* of backtracking, in the interpreter */
	uint32_t heap_kib; /* of backtracking memory, in the interpreter */
	size_t jit_stack_bytes; /* the most that the stack of machine code grows to */
	uint32_t pairs; /* that a search with REGEX_PAIRS_ALL gives, at most */
	int64_t time_ns; /* of the thread's processor, for long texts: see regex_scratch_set_left_ns() */
};

/* What one thread needs to search; one search at a time. */
struct regex_scratch {
	pcre2_general_context *general;
	pcre2_match_context *context;
	pcre2_jit_stack *jit_stack;
	pcre2_match_data *all; /* with captures */
	pcre2_match_data *whole; /* of the whole match only */
	int64_t left_ns;
	int64_t begun_ns; /* the search in a long text that is under way */
	size_t at; /* where it called back */
	size_t step_bytes; /* that a callback stands for at least */
	size_t uncounted_bytes; /* since the clock was read */
};

/* NULL when out of memory. */
struct regex_scratch *regex_scratch_new(const struct regex_limits *limits) MUST_CHECK;
/* NULL is allowed. */
void regex_scratch_free(struct regex_scratch *s);

/* The time that searches in long texts may still take together. With none left none is begun. */
static inline int64_t regex_scratch_left_ns(const struct regex_scratch *s)
{
	return s->left_ns;
}

static inline void regex_scratch_set_left_ns(struct regex_scratch *s, int64_t left_ns)
{
	s->left_ns = left_ns;
}

enum regex_pairs { REGEX_PAIRS_WHOLE, REGEX_PAIRS_ALL };

/* What regex_search() returns where it is not a number of pairs. */
#define REGEX_NONE 0
#define REGEX_TOO_HARD (-1) /* a limit was reached: there may be a match, or none */
#define REGEX_NO_MEMORY (-2)
#define REGEX_NOT_UTF8 (-3) /* the text, where it is looked at */

/* For regex_search() alone. */
int regex_search_checked(const struct regex *r, struct regex_scratch *s, struct span text,
			 size_t from, uint32_t flags, pcre2_match_data *data);
int regex_search_long(struct regex *r, struct regex_scratch *s, struct span text, size_t from,
		      uint32_t flags, pcre2_match_data *data);
int regex_search_failed(int result);

/*
 * The first match that starts at byte `from` or behind it; `flags` are of pcre2_match(). The number of
 * pairs that are set, 1 at least, or one of the above. regex_pair() then gives them.
 */
static inline int regex_search(struct regex *r, struct regex_scratch *s, struct span text,
			       size_t from, uint32_t flags, enum regex_pairs pairs)
{
	pcre2_match_data *data = pairs == REGEX_PAIRS_ALL ? s->all : s->whole;
	int result;

	if (UNLIKELY(text.len > REGEX_SHORT_BYTES)) {
		result = regex_search_long(r, s, text, from, flags, data);
	} else if (LIKELY(r->direct && !flags)) {
		result = pcre2_jit_match(r->code, (PCRE2_SPTR)(text.ptr ? text.ptr : ""),
					 text.len, from, 0, data, s->context);
		if (UNLIKELY(result == PCRE2_ERROR_JIT_STACKLIMIT))
			result = regex_search_checked(r, s, text, from, PCRE2_NO_JIT, data);
	} else {
		result = regex_search_checked(r, s, text, from, flags, data);
	}
	if (result == PCRE2_ERROR_NOMATCH)
		return REGEX_NONE;
	if (UNLIKELY(result < 0))
		return regex_search_failed(result);
	/* 0: more captures than there is room for. */
	return LIKELY(result > 0) ? result : (int)pcre2_get_ovector_count(data);
}

/* Of the search before, with the same `pairs`: SPAN_NONE for one that is not set or runs backwards. */
struct span regex_pair(const struct regex_scratch *s, enum regex_pairs pairs, struct span text,
		       size_t pair);

#endif
