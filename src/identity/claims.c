#include "identity/claims.h"

/* The year 9999: what comes later is a mistake, and sums with it must not overflow. */
#define DATE_MAX 253402300799LL

const struct json *claim_at(const struct json *root, const struct config_strings *path)
{
	if (!path->count)
		return NULL;
	for (size_t i = 0; i < path->count && root; i++)
		root = json_get(root, path->at[i]);
	return root;
}

struct span claim_text(const struct json *claim)
{
	struct span text = SPAN_INIT("");

	json_string(claim, &text);
	return text;
}

bool claim_date(const struct json *claim, int64_t *unix_s)
{
	int64_t integer;
	double number;

	if (!json_int(claim, &integer)) {
		if (!json_double(claim, &number) || number < 0 || number > (double)DATE_MAX)
			return false;
		integer = (int64_t)number;
	}
	if (integer < 0 || integer > DATE_MAX)
		return false;
	*unix_s = integer;
	return true;
}

bool claim_scalar(const struct json *claim, struct span *text)
{
	if (!claim)
		return false;
	switch (claim->type) {
	case JSON_STRING:
	case JSON_NUMBER: *text = claim->text; return true;
	case JSON_BOOL: *text = claim->boolean ? SPAN("true") : SPAN("false"); return true;
	case JSON_NULL:
	case JSON_ARRAY:
	case JSON_OBJECT: return false;
	}
	return false;
}

static enum claims_result split_list(struct span text, size_t max, struct arena *arena,
				     struct config_strings *to)
{
	size_t room = 1;

	for (size_t i = 0; i < text.len; i++)
		room += text.ptr[i] == ' ';
	to->at = arena_array(arena, struct span, room);
	if (!to->at)
		return CLAIMS_NO_MEMORY;
	while (text.ptr) {
		struct span word = span_cut(&text, ' ');

		if (!word.len)
			continue;
		if (to->count == max)
			return CLAIMS_MALFORMED;
		to->at[to->count++] = word;
	}
	return CLAIMS_OK;
}

static enum claims_result array_list(const struct json *claim, size_t max, struct arena *arena,
				     struct config_strings *to)
{
	if (claim->array.count > max)
		return CLAIMS_MALFORMED;
	to->at = arena_array(arena, struct span, claim->array.count + 1);
	if (!to->at)
		return CLAIMS_NO_MEMORY;
	for (size_t i = 0; i < claim->array.count; i++) {
		struct span text;

		if (!json_string(&claim->array.items[i], &text))
			return CLAIMS_MALFORMED;
		if (text.len)
			to->at[to->count++] = text;
	}
	return CLAIMS_OK;
}

enum claims_result claim_list(const struct json *claim, bool spaced, size_t max,
			      struct arena *arena, struct config_strings *to)
{
	struct span text;

	*to = (struct config_strings){.count = 0};
	if (!claim || claim->type == JSON_NULL)
		return CLAIMS_OK;
	if (claim->type == JSON_ARRAY)
		return array_list(claim, max, arena, to);
	if (!json_string(claim, &text))
		return CLAIMS_MALFORMED;
	if (spaced)
		return split_list(text, max, arena, to);
	if (!text.len)
		return CLAIMS_OK;
	to->at = arena_array(arena, struct span, 1);
	if (!to->at)
		return CLAIMS_NO_MEMORY;
	to->at[to->count++] = text;
	return CLAIMS_OK;
}
