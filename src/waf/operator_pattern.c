/* operator_pattern.c - what is done with PCRE2: rx, rxGlobal, and the numbers that verify* finds. */
#include "base/clock.h"
#include "base/compiler.h"
#include "waf/operator_internal.h"

/* Searches that one verification makes in one value, at most. */
#define VERIFY_SEARCHES_MAX 20000
/*
 * PCRE2's limits do not count what its JIT compiler does in one place, and count anew from each byte
 * that a match may start at: time is what can be limited. Longer values are therefore searched with
 * a pattern that calls back on its way, some ten times more slowly.
 */
#define LONG_BYTES ((size_t)512)
/* A call costs as much as a few bytes of a search, and reading the clock as much as fifty. */
#define CALLS_PER_CLOCK 1024u

static pcre2_code *compile(struct span text, uint32_t options, struct err *err)
{
	PCRE2_UCHAR message[128];
	PCRE2_SIZE offset;
	pcre2_code *code;
	int error;

	if (text.len == 0)
		text = SPAN(".*");
	code = pcre2_compile((PCRE2_SPTR)text.ptr, text.len,
			     PCRE2_DOTALL | PCRE2_MULTILINE | options, &error, &offset, NULL);
	if (!code) {
		if (error == PCRE2_ERROR_HEAP_FAILED) {
			err_set(err, ERR_MEMORY, "out of memory for a pattern");
			return NULL;
		}
		pcre2_get_error_message(error, message, sizeof(message));
		err_set(err, ERR_SYNTAX, "pattern, at byte %zu: %s", offset,
			(const char *)message);
		return NULL;
	}
	/* Without a JIT compiler, or memory for it, the interpreter matches the same. */
	(void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
	return code;
}

struct operator_pattern *operator_pattern_new(struct span text, struct err *err)
{
	struct operator_pattern *pattern = mem_zalloc(1, sizeof(*pattern));

	if (!pattern) {
		err_set(err, ERR_MEMORY, "out of memory for a pattern");
		return NULL;
	}
	pattern->text = text;
	pattern->code = compile(text, 0, err);
	if (!pattern->code) {
		mem_free(pattern);
		return NULL;
	}
	return pattern;
}

void operator_pattern_free(struct operator_pattern *pattern)
{
	if (!pattern)
		return;
	pcre2_code_free(pattern->code);
	pcre2_code_free(atomic_load(&pattern->watched));
	mem_free(pattern);
}

/* Few patterns ever meet a long value, so each is compiled when it does; NULL with an error. */
static const pcre2_code *watched_code(struct operator_pattern *pattern, struct err *err)
{
	pcre2_code *code = atomic_load_explicit(&pattern->watched, memory_order_acquire);
	pcre2_code *none = NULL;

	if (LIKELY(code != NULL))
		return code;
	code = compile(pattern->text, PCRE2_AUTO_CALLOUT, err);
	if (code && !atomic_compare_exchange_strong(&pattern->watched, &none, code)) {
		/* Another worker was quicker. */
		pcre2_code_free(code);
		code = none;
	}
	return code;
}

static int on_callout(pcre2_callout_block *block, void *context)
{
	struct operator_scratch *s = context;

	(void)block;
	if (++s->calls % CALLS_PER_CLOCK)
		return 0;
	return clock_thread_ns() - s->begun_ns > s->left_ns ? PCRE2_ERROR_MATCHLIMIT : 0;
}

struct operator_scratch *operator_scratch_new(const struct operator_limits *limits,
					      struct err *err)
{
	struct operator_scratch *s = mem_zalloc(1, sizeof(*s));
	size_t first = limits->jit_stack_bytes < 32768 ? limits->jit_stack_bytes : 32768;

	if (!s) {
		err_set(err, ERR_MEMORY, "out of memory for a scratch space");
		return NULL;
	}
	s->context = pcre2_match_context_create(NULL);
	s->jit_stack = pcre2_jit_stack_create(first, limits->jit_stack_bytes, NULL);
	s->all = pcre2_match_data_create(OPERATOR_CAPTURES_MAX, NULL);
	s->none = pcre2_match_data_create(1, NULL);
	if (!s->context || !s->jit_stack || !s->all || !s->none) {
		operator_scratch_free(s);
		err_set(err, ERR_MEMORY, "out of memory for a scratch space");
		return NULL;
	}
	pcre2_set_match_limit(s->context, limits->match_limit);
	pcre2_set_depth_limit(s->context, limits->depth_limit);
	pcre2_set_heap_limit(s->context, limits->heap_kib);
	pcre2_jit_stack_assign(s->context, NULL, s->jit_stack);
	pcre2_set_callout(s->context, on_callout, s);
	s->left_ns = OPERATOR_TIME_NS;
	return s;
}

int64_t operator_scratch_time_left_ns(const struct operator_scratch *scratch)
{
	return scratch->left_ns;
}

void operator_scratch_set_time_left_ns(struct operator_scratch *scratch, int64_t left_ns)
{
	scratch->left_ns = left_ns;
}

void operator_scratch_free(struct operator_scratch *scratch)
{
	if (!scratch)
		return;
	pcre2_match_data_free(scratch->all);
	pcre2_match_data_free(scratch->none);
	pcre2_jit_stack_free(scratch->jit_stack);
	pcre2_match_context_free(scratch->context);
	mem_free(scratch);
}

static enum operator_error error_of(int result)
{
	if (result >= 0 || result == PCRE2_ERROR_NOMATCH)
		return OPERATOR_OK;
	return result == PCRE2_ERROR_NOMEMORY ? OPERATOR_ERROR_MEMORY : OPERATOR_ERROR_LIMIT;
}

/* What pcre2_match() says. */
static int search_from(const pcre2_code *code, struct operator_scratch *scratch,
		       struct span value, size_t offset, uint32_t options,
		       pcre2_match_data *data)
{
	PCRE2_SPTR text = (PCRE2_SPTR)(value.ptr ? value.ptr : "");
	int result =
		pcre2_match(code, text, value.len, offset, options, data, scratch->context);

	if (result == PCRE2_ERROR_JIT_STACKLIMIT)
		result = pcre2_match(code, text, value.len, offset, options | PCRE2_NO_JIT,
				     data, scratch->context);
	return result;
}

static int search_long(struct operator_pattern *pattern, struct operator_scratch *scratch,
		       struct span value, size_t offset, uint32_t options,
		       pcre2_match_data *data)
{
	struct err err = {0};
	const pcre2_code *code;
	int result;

	if (scratch->left_ns <= 0)
		return PCRE2_ERROR_MATCHLIMIT;
	code = watched_code(pattern, &err);
	if (!code && err.code == ERR_MEMORY)
		return PCRE2_ERROR_NOMEMORY;
	scratch->begun_ns = clock_thread_ns();
	/* One that is too large to call back is searched with as it is. */
	result =
		search_from(code ? code : pattern->code, scratch, value, offset, options, data);
	scratch->left_ns -= clock_thread_ns() - scratch->begun_ns;
	return result;
}

/*
 * The number of pairs in the vector of `data`, 0 for no match, or an error below 0 (which is also
 * put into *error).
 */
static int search(struct operator_pattern *pattern, struct operator_scratch *scratch,
		  struct span value, size_t offset, uint32_t options, pcre2_match_data *data,
		  enum operator_error *error)
{
	int result;

	if (LIKELY(value.len <= LONG_BYTES))
		result = search_from(pattern->code, scratch, value, offset, options, data);
	else
		result = search_long(pattern, scratch, value, offset, options, data);
	if (result == PCRE2_ERROR_NOMATCH)
		return 0;
	if (result < 0)
		*error = error_of(result);
	/* 0: more captures than the vector holds. */
	return result == 0 ? (int)pcre2_get_ovector_count(data) : result;
}

static struct span pair_of(const pcre2_match_data *data, struct span value, size_t pair)
{
	/* The function takes no const, and changes nothing. */
	const PCRE2_SIZE *vector =
		pcre2_get_ovector_pointer((pcre2_match_data *)(uintptr_t)data);
	PCRE2_SIZE from = vector[2 * pair], to = vector[2 * pair + 1];

	/* \K in a look-around can end a match before it starts; an unset pair is beyond all. */
	if (to > value.len || from > to)
		return SPAN_NONE;
	return span_of((value.ptr ? value.ptr : "") + from, to - from);
}

/* Adds the captures of one match, counted from `first`. */
static void add_captures(struct operator_match *match, struct operator_scratch *scratch,
			 struct span value, int pairs, size_t first)
{
	for (size_t i = 0; i < (size_t)pairs; i++) {
		struct span text = pair_of(scratch->all, value, i);

		if (!text.ptr || match->capture_count == OPERATOR_CAPTURES_MAX)
			continue;
		match->captures[match->capture_count++] =
			(struct operator_capture){(uint32_t)(first + i), text};
	}
}

static bool match_pattern(struct operator_pattern *pattern, struct operator_scratch *scratch,
			  struct span value, struct operator_match *match)
{
	enum operator_error error = OPERATOR_OK;
	int pairs;

	if (!match)
		return search(pattern, scratch, value, 0, 0, scratch->none, &error) > 0;
	pairs = search(pattern, scratch, value, 0, 0, scratch->all, &match->error);
	if (pairs <= 0)
		return false;
	add_captures(match, scratch, value, pairs, 0);
	match->piece = pair_of(scratch->all, value, 0);
	return true;
}

/* As the examples in pcre2demo do it: an empty match is tried again as one that is not. */
static bool match_all(struct operator_pattern *pattern, struct operator_scratch *scratch,
		      struct span value, struct operator_match *match)
{
	uint32_t retry = 0;
	size_t offset = 0;

	while (offset <= value.len && match->capture_count < OPERATOR_CAPTURES_MAX) {
		int pairs = search(pattern, scratch, value, offset, retry, scratch->all,
				   &match->error);
		struct span whole;

		if (pairs < 0 || (pairs == 0 && !retry))
			break;
		if (pairs == 0) {
			retry = 0;
			offset++;
			continue;
		}
		whole = pair_of(scratch->all, value, 0);
		if (match->capture_count == 0)
			match->piece = whole;
		add_captures(match, scratch, value, pairs, match->capture_count);
		if (whole.len > 0) {
			offset = (size_t)(whole.ptr - value.ptr) + whole.len;
			retry = 0;
		} else if (!whole.ptr || offset == value.len) {
			break;
		} else {
			retry = PCRE2_NOTEMPTY_ATSTART | PCRE2_ANCHORED;
		}
	}
	return match->capture_count > 0;
}

typedef bool pattern_fn(struct operator_pattern *pattern, struct operator_scratch *scratch,
			struct span value, struct operator_match *match);

static bool match_dynamic(pattern_fn *fn, struct operator_scratch *scratch,
			  struct span parameter, struct span value,
			  struct operator_match *match)
{
	struct err err = {0};
	struct operator_pattern *pattern = operator_pattern_new(parameter, &err);
	bool matched;

	if (!pattern) {
		if (match)
			match->error = err.code == ERR_MEMORY ? OPERATOR_ERROR_MEMORY
							      : OPERATOR_ERROR_PATTERN;
		return false;
	}
	matched = fn(pattern, scratch, value, match);
	operator_pattern_free(pattern);
	return matched;
}

bool operator_match_rx(const struct operator* op, struct operator_scratch *scratch,
		       struct span parameter, struct span value, struct operator_match *match)
{
	if (op->dynamic)
		return match_dynamic(match_pattern, scratch, parameter, value, match);
	return !op->pattern || match_pattern(op->pattern, scratch, value, match);
}

bool operator_match_rx_global(const struct operator* op, struct operator_scratch *scratch,
			      struct span parameter, struct span value,
			      struct operator_match *match)
{
	/* Whether anything matches is the same question. */
	if (!match)
		return operator_match_rx(op, scratch, parameter, value, NULL);
	if (op->dynamic)
		return match_dynamic(match_all, scratch, parameter, value, match);
	return !op->pattern || match_all(op->pattern, scratch, value, match);
}

/* ---- numbers with check digits ------------------------------------------------------------------ */

typedef bool verify_fn(struct span text);

static verify_fn *verify_of(enum operator_kind kind)
{
	if (kind == OPERATOR_VERIFY_CC)
		return verify_credit_card;
	if (kind == OPERATOR_VERIFY_CPF)
		return verify_cpf;
	return kind == OPERATOR_VERIFY_SSN ? verify_ssn : verify_svnr;
}

static bool found_number(struct operator_match *match, struct span text)
{
	match->piece = text;
	match->captures[0] = (struct operator_capture){0, text};
	match->capture_count = 1;
	return true;
}

/* Credit cards: the match that starts at or behind each offset. */
static bool verify_matches(const struct operator* op, struct operator_scratch *scratch,
			   struct span value, struct operator_match *match)
{
	size_t searches = 0;

	for (size_t offset = 0; offset < value.len; offset++) {
		struct span text;

		if (search(op->pattern, scratch, value, offset, 0, scratch->all,
			   &match->error) <= 0)
			return false;
		text = pair_of(scratch->all, value, 0);
		if (verify_credit_card(text))
			return found_number(match, text);
		/* Until the match's start, the same match would be found again. */
		if (text.ptr && (size_t)(text.ptr - value.ptr) > offset)
			offset = (size_t)(text.ptr - value.ptr);
		if (++searches == VERIFY_SEARCHES_MAX) {
			match->error = OPERATOR_ERROR_LIMIT;
			return false;
		}
	}
	return false;
}

/*
 * The others: all matches and captures, one behind the other, in what is left of the value from
 * each offset on; of one round, the last valid one counts. A round goes on behind its last capture.
 */
static bool verify_round(const struct operator* op, struct operator_scratch *scratch,
			 struct span rest, size_t *searches, struct operator_match *match,
			 struct span *found)
{
	verify_fn *verify = verify_of(op->kind);
	size_t offset = 0;
	int pairs;

	*found = SPAN_NONE;
	do {
		if (++*searches > VERIFY_SEARCHES_MAX)
			match->error = OPERATOR_ERROR_LIMIT;
		if (match->error != OPERATOR_OK)
			return false;
		pairs = search(op->pattern, scratch, rest, offset, 0, scratch->all,
			       &match->error);
		for (size_t i = 0; pairs > 0 && i < (size_t)pairs; i++) {
			struct span text = pair_of(scratch->all, rest, i);

			if (!text.ptr) {
				pairs = 0;
				break;
			}
			offset = (size_t)(text.ptr - rest.ptr) + text.len;
			if (verify(text))
				*found = text;
			if (text.len == 0)
				pairs = 0;
		}
	} while (pairs > 0);
	return found->ptr != NULL;
}

bool operator_match_verify(const struct operator* op, struct operator_scratch *scratch,
			   struct span value, struct operator_match *match)
{
	struct operator_match own;
	struct span found;
	size_t searches = 0;

	if (!match) {
		match = &own;
		own.error = OPERATOR_OK;
	}
	if (op->kind == OPERATOR_VERIFY_CC)
		return verify_matches(op, scratch, value, match);
	if (op->parameter.len == 0)
		return false;
	for (size_t i = 0; i + 1 < value.len && match->error == OPERATOR_OK; i++)
		if (verify_round(op, scratch, span_slice(value, i, value.len), &searches, match,
				 &found))
			return found_number(match, found);
	return false;
}
