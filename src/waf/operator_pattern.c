/* operator_pattern.c - what is done with PCRE2: rx, rxGlobal, and the numbers that verify* finds. */
#include "base/compiler.h"
#include "waf/operator_internal.h"

/* Searches that one verification makes in one value, at most. */
#define VERIFY_SEARCHES_MAX 20000

struct regex *operator_pattern_new(struct span text, struct err *err)
{
	static const struct regex_options options = {.flags = PCRE2_DOTALL | PCRE2_MULTILINE};
	struct err why = {0};
	struct regex *regex = regex_new(text.len ? text : SPAN(".*"), &options, &why);

	if (!regex && why.code == ERR_MEMORY)
		err_set(err, ERR_MEMORY, "out of memory for a pattern");
	else if (!regex)
		err_set(err, ERR_SYNTAX, "pattern, %s", why.message);
	return regex;
}

struct regex_scratch *operator_scratch_new(const struct operator_limits *limits,
					   struct err *err)
{
	struct regex_scratch *s = regex_scratch_new(&(struct regex_limits){
		.matches = limits->match_limit,
		.depth = limits->depth_limit,
		.heap_kib = limits->heap_kib,
		.jit_stack_bytes = limits->jit_stack_bytes,
		.pairs = OPERATOR_CAPTURES_MAX,
		.time_ns = OPERATOR_TIME_NS,
	});

	if (!s)
		err_set(err, ERR_MEMORY, "out of memory for a scratch space");
	return s;
}

/* As regex_search(); an error is also put into *error. */
static int search(struct regex *pattern, struct regex_scratch *scratch, struct span value,
		  size_t offset, uint32_t flags, enum regex_pairs pairs,
		  enum operator_error *error)
{
	int result = regex_search(pattern, scratch, value, offset, flags, pairs);

	if (UNLIKELY(result < 0))
		*error = result == REGEX_NO_MEMORY ? OPERATOR_ERROR_MEMORY
						   : OPERATOR_ERROR_LIMIT;
	return result;
}

/* Adds the captures of one match, counted from `first`. */
static void add_captures(struct operator_match *match, struct regex_scratch *scratch,
			 struct span value, int pairs, size_t first)
{
	for (size_t i = 0; i < (size_t)pairs; i++) {
		struct span text = regex_pair(scratch, REGEX_PAIRS_ALL, value, i);

		if (!text.ptr || match->capture_count == OPERATOR_CAPTURES_MAX)
			continue;
		match->captures[match->capture_count++] =
			(struct operator_capture){(uint32_t)(first + i), text};
	}
}

static bool match_pattern(struct regex *pattern, struct regex_scratch *scratch,
			  struct span value, struct operator_match *match)
{
	enum operator_error error = OPERATOR_OK;
	int pairs;

	if (!match)
		return search(pattern, scratch, value, 0, 0, REGEX_PAIRS_WHOLE, &error) > 0;
	pairs = search(pattern, scratch, value, 0, 0, REGEX_PAIRS_ALL, &match->error);
	if (pairs <= 0)
		return false;
	add_captures(match, scratch, value, pairs, 0);
	match->piece = regex_pair(scratch, REGEX_PAIRS_ALL, value, 0);
	return true;
}

/* As the examples in pcre2demo do it: an empty match is tried again as one that is not. */
static bool match_all(struct regex *pattern, struct regex_scratch *scratch, struct span value,
		      struct operator_match *match)
{
	uint32_t retry = 0;
	size_t offset = 0;

	while (offset <= value.len && match->capture_count < OPERATOR_CAPTURES_MAX) {
		int pairs = search(pattern, scratch, value, offset, retry, REGEX_PAIRS_ALL,
				   &match->error);
		struct span whole;

		if (pairs < 0 || (pairs == 0 && !retry))
			break;
		if (pairs == 0) {
			retry = 0;
			offset++;
			continue;
		}
		whole = regex_pair(scratch, REGEX_PAIRS_ALL, value, 0);
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

typedef bool pattern_fn(struct regex *pattern, struct regex_scratch *scratch, struct span value,
			struct operator_match *match);

static bool match_dynamic(pattern_fn *fn, struct regex_scratch *scratch, struct span parameter,
			  struct span value, struct operator_match *match)
{
	struct err err = {0};
	struct regex *pattern = operator_pattern_new(parameter, &err);
	bool matched;

	if (!pattern) {
		if (match)
			match->error = err.code == ERR_MEMORY ? OPERATOR_ERROR_MEMORY
							      : OPERATOR_ERROR_PATTERN;
		return false;
	}
	matched = fn(pattern, scratch, value, match);
	regex_free(pattern);
	return matched;
}

bool operator_match_rx(const struct operator* op, struct regex_scratch *scratch,
		       struct span parameter, struct span value, struct operator_match *match)
{
	if (op->dynamic)
		return match_dynamic(match_pattern, scratch, parameter, value, match);
	return !op->pattern || match_pattern(op->pattern, scratch, value, match);
}

bool operator_match_rx_global(const struct operator* op, struct regex_scratch *scratch,
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
static bool verify_matches(const struct operator* op, struct regex_scratch *scratch,
			   struct span value, struct operator_match *match)
{
	size_t searches = 0;

	for (size_t offset = 0; offset < value.len; offset++) {
		struct span text;

		if (search(op->pattern, scratch, value, offset, 0, REGEX_PAIRS_ALL,
			   &match->error) <= 0)
			return false;
		text = regex_pair(scratch, REGEX_PAIRS_ALL, value, 0);
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
static bool verify_round(const struct operator* op, struct regex_scratch *scratch,
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
		pairs = search(op->pattern, scratch, rest, offset, 0, REGEX_PAIRS_ALL,
			       &match->error);
		for (size_t i = 0; pairs > 0 && i < (size_t)pairs; i++) {
			struct span text = regex_pair(scratch, REGEX_PAIRS_ALL, rest, i);

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

bool operator_match_verify(const struct operator* op, struct regex_scratch *scratch,
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
