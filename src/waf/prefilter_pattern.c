#include "base/mem.h"
#include "waf/prefilter_internal.h"

/* As the operators do: "." takes line ends, "^" and "$" hold at lines. */
#define RX_FLAGS (HS_FLAG_DOTALL | HS_FLAG_MULTILINE | HS_FLAG_SINGLEMATCH | HS_FLAG_ALLOWEMPTY)
#define LITERAL_FLAGS (HS_FLAG_DOTALL | HS_FLAG_SINGLEMATCH)

static int add(struct prefilter *p, struct prefilter_pattern pattern)
{
	if (p->pattern_count == p->pattern_cap) {
		uint32_t cap = p->pattern_cap ? 2 * p->pattern_cap : 4096;
		struct prefilter_pattern *grown =
			mem_realloc(p->patterns, cap * sizeof(*grown));

		if (!grown)
			return -1;
		p->patterns = grown;
		p->pattern_cap = cap;
	}
	p->patterns[p->pattern_count++] = pattern;
	return 1;
}

/* Whether Hyperscan takes it with these flags; sets nullable. */
static bool is_taken(struct prefilter_pattern *pattern)
{
	hs_expr_info_t *info = NULL;
	hs_compile_error_t *problem = NULL;

	if (hs_expression_info(pattern->text.ptr, pattern->flags, &info, &problem) !=
	    HS_SUCCESS) {
		hs_free_compile_error(problem);
		return false;
	}
	pattern->nullable = info->min_width == 0;
	free(info); /* NOLINT: the library's */
	return true;
}

/* Hyperscan may still refuse what hs_expression_info takes, so it is compiled by itself. */
static bool compiles(const struct prefilter_pattern *pattern)
{
	hs_compile_error_t *problem = NULL;
	hs_database_t *database = NULL;

	if (hs_compile(pattern->text.ptr, pattern->flags, HS_MODE_BLOCK, NULL, &database,
		       &problem) != HS_SUCCESS) {
		hs_free_compile_error(problem);
		return false;
	}
	(void)hs_free_database(database);
	return true;
}

static char ask(struct prefilter_pattern pattern)
{
	pattern.flags = RX_FLAGS;
	if (is_taken(&pattern) && compiles(&pattern))
		return pattern.nullable ? ANSWER_EXACT_NULLABLE : ANSWER_EXACT;
	pattern.flags |= HS_FLAG_PREFILTER;
	if (is_taken(&pattern) && compiles(&pattern))
		return pattern.nullable ? ANSWER_ROUGH_NULLABLE : ANSWER_ROUGH;
	return ANSWER_NO;
}

/* The next of the kept answers, or a new one. */
static char answer(struct prefilter *p, const struct prefilter_pattern *pattern)
{
	char letter;

	if (p->answers_used < p->answers.len)
		return p->answers.ptr[p->answers_used++];
	letter = ask(*pattern);
	(void)buf_append_byte(&p->answers, letter);
	p->answers_used++;
	return letter;
}

static int add_rx(struct prefilter *p, struct span text, uint32_t number)
{
	struct prefilter_pattern pattern = {
		.rule = number,
		.text = arena_dup(&p->arena, text),
		.flags = RX_FLAGS,
	};
	char letter;

	if (!pattern.text.ptr)
		return -1;
	/* A NUL would end it. */
	if (span_find_byte(text, '\0') < text.len)
		return 0;
	letter = answer(p, &pattern);
	pattern.nullable = letter == ANSWER_EXACT_NULLABLE || letter == ANSWER_ROUGH_NULLABLE;
	if (letter == ANSWER_ROUGH || letter == ANSWER_ROUGH_NULLABLE)
		pattern.flags |= HS_FLAG_PREFILTER;
	else if (letter != ANSWER_EXACT && letter != ANSWER_EXACT_NULLABLE)
		return 0;
	return add(p, pattern);
}

/* Each byte as \xHH between what stands before and behind. */
static int add_literal(struct prefilter *p, const char *before, struct span text,
		       const char *after, unsigned flags, uint32_t number)
{
	struct buf escaped;
	struct prefilter_pattern pattern = {.rule = number, .flags = flags};

	if (text.len == 0)
		return 0;
	buf_init(&escaped, (size_t)1 << 20);
	(void)buf_append_cstr(&escaped, before);
	for (size_t i = 0; i < text.len; i++)
		(void)buf_printf(&escaped, "\\x%02x", (unsigned char)text.ptr[i]);
	(void)buf_append_cstr(&escaped, after);
	pattern.text =
		buf_failed(&escaped) ? SPAN_NONE : arena_dup(&p->arena, buf_span(&escaped));
	buf_release(&escaped);
	if (!pattern.text.ptr)
		return -1;
	return add(p, pattern);
}

static int add_phrases(struct prefilter *p, const struct operator* op, uint32_t number)
{
	const struct span *phrase;

	for (size_t i = 0; (phrase = operator_phrase(op, i)); i++) {
		int added = add_literal(p, "", *phrase, "", LITERAL_FLAGS | HS_FLAG_CASELESS,
					number);

		if (added != 1)
			return added;
	}
	return 1;
}

static int add_operator(struct prefilter *p, const struct operator* op, uint32_t number)
{
	struct span parameter = operator_parameter(op);

	switch ((int)operator_kind_of(op)) {
	case OPERATOR_RX:
	case OPERATOR_RX_GLOBAL: return parameter.len ? add_rx(p, parameter, number) : 0;
	case OPERATOR_PM:
	case OPERATOR_PM_FROM_FILE: return add_phrases(p, op, number);
	case OPERATOR_CONTAINS:
	case OPERATOR_STRMATCH:
	case OPERATOR_CONTAINS_WORD:
		return add_literal(p, "", parameter, "", LITERAL_FLAGS, number);
	case OPERATOR_STREQ:
		return add_literal(p, "\\A", parameter, "\\z", LITERAL_FLAGS, number);
	case OPERATOR_BEGINS_WITH:
		return add_literal(p, "\\A", parameter, "", LITERAL_FLAGS, number);
	case OPERATOR_ENDS_WITH:
		return add_literal(p, "", parameter, "\\z", LITERAL_FLAGS, number);
	default: return 0;
	}
}

/*
 * Operators that no pattern stands for, but that depend on nothing but the value. Asking them here
 * lets a value that is seen again be passed over as a whole.
 */
static bool is_direct(const struct operator* op)
{
	switch ((int)operator_kind_of(op)) {
	case OPERATOR_DETECT_SQLI:
	case OPERATOR_DETECT_XSS:
	case OPERATOR_VALIDATE_BYTE_RANGE:
	case OPERATOR_VALIDATE_URL_ENCODING:
	case OPERATOR_VALIDATE_UTF8_ENCODING: return true;
	default: return false;
	}
}

int prefilter_add_patterns(struct prefilter *p, const struct rule *rule, uint32_t number)
{
	struct prefilter_rule *to = &p->rules[number];
	uint32_t first = p->pattern_count;
	int added;

	*to = (struct prefilter_rule){.rule = rule, .direct = is_direct(rule->op)};
	if (to->direct)
		return 1;
	added = add_operator(p, rule->op, number);
	if (added != 1) {
		p->pattern_count = first;
		return added;
	}
	to->pattern_count = p->pattern_count - first;
	for (uint32_t i = first; i < p->pattern_count; i++)
		to->nullable |= p->patterns[i].nullable;
	return 1;
}
