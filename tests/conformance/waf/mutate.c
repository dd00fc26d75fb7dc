#include "tests/conformance/waf/mutate.h"

#include "base/hex.h"

uint64_t mutate_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static size_t below(uint64_t *seed, size_t limit)
{
	return limit ? (size_t)(mutate_random(seed) % limit) : 0;
}

enum change {
	CHANGE_CASE,
	CHANGE_PERCENT, /* a byte becomes %HH */
	CHANGE_BYTE,
	CHANGE_DELETE,
	CHANGE_REPEAT, /* a piece comes twice */
	CHANGE_INSERT, /* something that attackers like */
	CHANGE_PLUS, /* a space becomes + or the other way round */
	CHANGES,
};

static const char *const likes[] = {
	"/**/",	       "%00",	      "%2527",	      "'",	"\"",	  "<script>", "../",
	"%u0027",      ";",	      "&amp;lt;",     "&#x27;", "%c0%af", "\\x27",    "||",
	"--",	       " or 1=1",     "${",	      "`",	"%0d%0a", "\xc3\xa9", "\\u0027",
	"=",	       "&",	      "[]",	      "%",	"#",	  "{{",	      "\t",
	"/etc/passwd", "javascript:", "union select", "%20",
};

/* One change in a copy with room for it; what is not for headers or lines stays out. */
static struct span change(struct arena *arena, struct span text, uint64_t *seed, bool line)
{
	const char *like = likes[below(seed, sizeof(likes) / sizeof(likes[0]))];
	struct span more = span_cstr(like);
	char *out = arena_alloc(arena, 2 * text.len + more.len + 4);
	size_t at = below(seed, text.len);
	size_t len = text.len;
	size_t piece;

	if (!out)
		return SPAN_NONE;
	if (text.len)
		memcpy(out, text.ptr, text.len);
	if (text.len == 0)
		return span_of(out, 0);
	switch ((enum change)below(seed, CHANGES)) {
	case CHANGE_CASE:
		for (piece = 0; piece < 8 && at + piece < len; piece++)
			if (ascii_lower(out[at + piece]) >= 'a' &&
			    ascii_lower(out[at + piece]) <= 'z')
				out[at + piece] ^= 0x20;
		break;
	case CHANGE_PERCENT:
		memmove(out + at + 3, text.ptr + at + 1, len - at - 1);
		out[at] = '%';
		hex_encode(out + at + 1, text.ptr + at, 1);
		len += 2;
		break;
	case CHANGE_BYTE: out[at] = (char)(0x21 + below(seed, 0x5e)); break;
	case CHANGE_DELETE:
		memmove(out + at, out + at + 1, len - at - 1);
		len--;
		break;
	case CHANGE_REPEAT:
		piece = 1 + below(seed, len - at < 24 ? len - at : 24);
		memmove(out + at + piece, text.ptr + at, len - at);
		len += piece;
		break;
	case CHANGE_INSERT:
		if (line && (more.ptr[0] == '\t' || (unsigned char)more.ptr[0] > 0x7e))
			break;
		memmove(out + at + more.len, text.ptr + at, len - at);
		memcpy(out + at, more.ptr, more.len);
		len += more.len;
		break;
	case CHANGE_PLUS:
		for (size_t i = 0; i < len; i++)
			if (out[i] == ' ' || out[i] == '+')
				out[i] = out[i] == ' ' ? '+' : ' ';
		break;
	case CHANGES: break;
	}
	return span_of(out, len);
}

static const char *const types[] = {
	"application/x-www-form-urlencoded",
	"application/json",
	"text/xml",
	"text/plain",
	"multipart/form-data; boundary=0000",
	"application/x-www-form-urlencoded; charset=utf-8",
	"application/octet-stream",
};

static void change_type(struct request_case *c, uint64_t *seed)
{
	for (size_t i = 0; i < c->header_count; i++)
		if (span_eq_nocase(c->headers[i].name, SPAN("Content-Type")))
			c->headers[i].value =
				span_cstr(types[below(seed, sizeof(types) / sizeof(types[0]))]);
}

struct request_case *case_mutated(struct case_list *list, const struct request_case *from,
				  uint64_t *seed)
{
	struct request_case *c = case_list_new(list);
	size_t changes = 1 + below(seed, 3);

	if (!c)
		return NULL;
	*c = *from;
	c->expect = CASE_EXPECTS_NOTHING;
	for (size_t i = 0; i < changes; i++) {
		size_t where = below(seed, 8);

		if (where == 0) {
			change_type(c, seed);
		} else if (where < 4 && c->body.len) {
			c->body = change(&list->arena, c->body, seed, false);
		} else if (where < 6 && c->header_count) {
			struct case_header *h = &c->headers[below(seed, c->header_count)];

			h->value = change(&list->arena, h->value, seed, true);
		} else {
			c->target = change(&list->arena, c->target, seed, true);
		}
	}
	return c;
}
