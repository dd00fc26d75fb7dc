/*
 * The first line is an operator's text, the rest a value: what compiles answers the same with and
 * without captures, the opposite when negated, and gives pieces that lie within the value.
 */
#include <assert.h>

#include "base/mem.h"
#include "waf/operator.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct regex_scratch *scratch;

/* Files hold the name that they have. */
static int load(void *context, struct span name, struct buf *to, struct err *err)
{
	(void)context;
	if (name.len == 0)
		return err_set(err, ERR_NOT_FOUND, "no name");
	return buf_append(to, name);
}

static int program(void *context, struct span name, uint32_t *number, struct err *err)
{
	(void)context;
	*number = 1;
	return name.len ? 0 : err_set(err, ERR_NOT_FOUND, "no name");
}

/* The name under which a list has the value is a name, and ends with the list's. */
static void check_outside(const struct operator* op, struct span value)
{
	char name[RBL_NAME_MAX + 1];
	size_t len;

	if (operator_kind_of(op) != OPERATOR_RBL)
		return;
	len = operator_rbl_name(op, value, name);
	assert(len <= RBL_NAME_MAX && (len == 0 || strlen(name) == len));
	assert(len == 0 ||
	       span_ends_with(span_of(name, len), span_trim(operator_parameter(op))));
	assert(!operator_rbl_is_listed(op, 0xc0000201));
}

static bool lies_in(struct span part, struct span whole)
{
	return part.len <= whole.len && part.ptr >= whole.ptr &&
	       part.ptr + part.len <= whole.ptr + whole.len;
}

static bool is_about_phrases(const struct operator* op)
{
	return operator_kind_of(op) == OPERATOR_PM ||
	       operator_kind_of(op) == OPERATOR_PM_FROM_FILE;
}

/* What is said to match ends with one of the phrases. */
static void check_phrases(const struct operator* op, const struct operator_match *match)
{
	const struct span *phrase;
	bool found = false;

	for (size_t i = 0; (phrase = operator_phrase(op, i)) != NULL; i++) {
		struct span piece = match->piece;

		if (phrase->len == 0 || phrase->len > piece.len)
			continue;
		piece = span_slice(piece, piece.len - phrase->len, piece.len);
		found = found || span_eq_nocase(piece, *phrase);
	}
	assert(found && span_eq_nocase(match->captures[0].text, match->piece));
}

static void check(const struct operator* op, struct span value)
{
	struct operator_match match;
	bool matched = operator_match(op, scratch, SPAN_NONE, value, &match);
	bool found = matched != operator_negated(op);

	assert(match.capture_count <= OPERATOR_CAPTURES_MAX);
	assert(lies_in(match.piece, value) || match.piece.len == 0);
	if (match.error == OPERATOR_OK)
		assert(matched == operator_match(op, scratch, SPAN_NONE, value, NULL));
	else
		assert(!found || match.capture_count > 0);
	if (found && is_about_phrases(op)) {
		check_phrases(op, &match);
		return;
	}
	for (size_t i = 0; i < match.capture_count; i++)
		assert(lies_in(match.captures[i].text, value));
}

static void check_negation(struct operator_text text, const struct operator_options *options,
			   const struct operator* op, struct span value)
{
	struct operator* other;
	struct operator_match match;
	struct err err;

	text.negated = !text.negated;
	other = operator_new(&text, options, &err);
	assert(other);
	assert(operator_match(other, scratch, SPAN_NONE, value, &match) !=
	       operator_match(op, scratch, SPAN_NONE, value, &match));
	operator_free(other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct operator_options options = {
		.load = load, .program = program, .httpbl_key = SPAN("abcdefghijkl")};
	struct operator_limits limits = {.match_limit = 20000,
					 .depth_limit = 1000,
					 .heap_kib = 1024,
					 .jit_stack_bytes = 65536};
	struct span value = span_of(data, size), line = span_cut(&value, '\n');
	struct operator_text text;
	struct operator* op;
	struct err err = {0};

	if (!scratch)
		scratch = operator_scratch_new(&limits, NULL);
	assert(scratch);
	if (!value.ptr)
		value = SPAN("");
	/* Compiling long patterns is PCRE2's time, not ours. */
	if (line.len > 256 || value.len > 4096)
		return 0;
	if (operator_text_parse(line, &text, &err) < 0) {
		assert(err.code == ERR_SYNTAX);
		return 0;
	}
	op = operator_new(&text, &options, &err);
	if (!op) {
		assert(err.code != ERR_NONE && err.message[0]);
		return 0;
	}
	if (operator_is_of_outside(operator_kind_of(op))) {
		check_outside(op, value);
		operator_free(op);
		return 0;
	}
	check(op, value);
	check_negation(text, &options, op, value);
	operator_free(op);
	return 0;
}
