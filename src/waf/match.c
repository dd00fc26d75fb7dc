#include "waf/transaction.h"

/* Of a matched piece, so much is shown: enough to recognise an attack, not to leak a secret. */
#define PIECE_SHOWN 32

/*
 * Letters and digits of long runs are masked from the fifth on: passwords, tokens and card numbers
 * are long runs, what makes an attack is between them.
 */
static struct span mask(struct waf_transaction *t, struct span piece)
{
	static const char digits[] = "0123456789abcdef";
	char *out = arena_alloc(&t->arena, 4 * PIECE_SHOWN + 4);
	size_t shown = piece.len < PIECE_SHOWN ? piece.len : PIECE_SHOWN;
	size_t len = 0;
	unsigned run = 0;

	if (!out) {
		t->failed = true;
		return SPAN("");
	}
	for (size_t i = 0; i < shown; i++) {
		unsigned char c = (unsigned char)piece.ptr[i];
		bool alnum = (c >= '0' && c <= '9') ||
			     (ascii_lower((char)c) >= 'a' && ascii_lower((char)c) <= 'z');

		run = alnum ? run + 1 : 0;
		if (alnum && run > 4) {
			out[len++] = '*';
		} else if (c < 0x20 || c > 0x7e) {
			out[len++] = '\\';
			out[len++] = 'x';
			out[len++] = digits[c >> 4];
			out[len++] = digits[c & 15];
		} else {
			out[len++] = (char)c;
		}
	}
	for (int dots = 0; piece.len > shown && dots < 3; dots++)
		out[len++] = '.';
	return span_of(out, len);
}

static int reserve(struct waf_transaction *t)
{
	uint32_t cap = t->match_cap ? 2 * t->match_cap : 8;
	struct waf_match **grown;

	if (t->match_count < t->match_cap)
		return 0;
	grown = arena_array(&t->arena, struct waf_match *, cap);
	if (!grown)
		return -1;
	if (t->match_count)
		memcpy(grown, t->matches, t->match_count * sizeof(struct waf_match *));
	t->matches = grown;
	t->match_cap = cap;
	return 0;
}

static bool is_blocking(const struct rule *rule)
{
	return rule->disruptive == SEC_DENY || rule->disruptive == SEC_DROP ||
	       rule->disruptive == SEC_REDIRECT;
}

void match_add(struct waf_transaction *t, const struct rule *rule)
{
	struct waf_match *match = arena_new(&t->arena, struct waf_match);

	if (!match || reserve(t) != 0) {
		t->failed = true;
		return;
	}
	match->rule_id = rule->id;
	match->phase = rule->phase;
	match->message = rule->has_message ? macro_expand(t, rule, &rule->message) : SPAN("");
	match->data = rule->has_data ? macro_expand(t, rule, &rule->data) : SPAN("");
	if (t->seen.variable != VAR_NONE)
		match->variable =
			variable_full_name(t, (enum variable)t->seen.variable, t->seen.key);
	match->piece = mask(t, t->piece);
	match->tags = rule->tags;
	match->tag_count = rule->tag_count;
	match->severity = rule->severity;
	match->score = t->score_rule;
	match->disruptive = is_blocking(rule);
	match->logged = true;
	match->file = rule->place.file;
	match->line = rule->place.line;
	t->matches[t->match_count++] = match;
}

const struct waf_match *waf_match_at(const struct waf_transaction *t, size_t index)
{
	return index < t->match_count ? t->matches[index] : NULL;
}

struct span waf_match_exclusion(struct waf_transaction *t, const struct waf_match *match)
{
	size_t query = span_find_byte(t->target, '?');
	struct buf text;
	struct span line;

	buf_init(&text, (size_t)16 << 10);
	(void)buf_printf(&text, "{rule: %u", match->rule_id);
	if (match->variable.len) {
		(void)buf_append_cstr(&text, ", target: \"");
		(void)buf_append_json(&text, match->variable);
		(void)buf_append_byte(&text, '"');
	}
	(void)buf_append_cstr(&text, ", path: \"");
	(void)buf_append_json(&text, span_slice(t->target, 0, query));
	(void)buf_append_cstr(&text, "\"}");
	line = buf_failed(&text) ? SPAN_NONE : arena_dup(&t->arena, buf_span(&text));
	buf_release(&text);
	return line;
}
