/*
 * Unknown properties of JSON within forms. The field's own schema says what is known, where it is
 * the only one that says something of the field; what is left is then checked, and forwarded, like
 * any other value.
 */
#include "contract/contract_check.h"

#define JSON_NUMBER_BYTES 128

static struct schema_run *inner_run(struct contract_check *c)
{
	struct schema_run_limits limits = {.max_depth = c->limits.max_depth,
					   .max_string_bytes = c->limits.max_string_bytes,
					   .max_number_bytes = JSON_NUMBER_BYTES,
					   .max_unknown = c->limits.max_unknown};

	if (c->inner)
		return c->inner;
	c->inner = schema_run_new(&limits, NULL);
	if (c->inner)
		schema_run_limit_patterns(c->inner, c->policy.pattern_time_ms);
	else
		(void)check_end(c, CONTRACT_MEMORY);
	return c->inner;
}

static size_t find_cuts(struct contract_check *c, const struct openapi_field *field, bool item,
			struct span text, const struct schema_cut **cuts)
{
	struct schema_run_options options = {.unknown = SCHEMA_UNKNOWN_STRIP};
	const struct schema *schema = NULL;

	if (c->policy.properties == CONTRACT_UNKNOWN_STRIP && field)
		schema = schema_only_property(c->media->schema, field->name);
	if (schema && item)
		schema = schema_only_items(schema);
	if (!schema || !inner_run(c) ||
	    schema_run_whole(c->inner, schema, &options, text) != SCHEMA_VALID)
		return 0;
	return schema_run_cuts(c->inner, cuts);
}

/* Takes the cuts out of a text that may be percent-encoded, where they count decoded bytes. */
static size_t squeeze(char *text, size_t len, bool percent, const struct schema_cut *cuts,
		      size_t count)
{
	size_t to = 0;
	size_t cut = 0;
	uint64_t at = 0;

	for (size_t from = 0; from < len; at++) {
		size_t step = percent && text[from] == '%' ? 3 : 1;

		while (cut < count && at >= cuts[cut].end)
			cut++;
		if (cut == count || at < cuts[cut].start) {
			memmove(text + to, text + from, step);
			to += step;
		}
		from += step;
	}
	return to;
}

void check_cut_pair(struct contract_check *c, const struct openapi_field *field,
		    struct pair *pair, struct span *decoded)
{
	const struct schema_cut *cuts;
	size_t count = find_cuts(c, field, false, *decoded, &cuts);
	bool apart = decoded->ptr != pair->value.ptr;
	size_t len;

	if (!count)
		return;
	/* Both are the check's own: what was kept of the content, and the scratch buffer. */
	if (apart)
		decoded->len = squeeze(c->scratch.ptr, decoded->len, false, cuts, count);
	len = squeeze(c->kept.ptr + (pair->value.ptr - c->kept.ptr), pair->value.len, true,
		      cuts, count);
	pair->raw.len -= pair->value.len - len;
	pair->value.len = len;
	pair->squeezed = true;
	if (!apart)
		*decoded = pair->value;
}

void check_cut_part(struct contract_check *c, struct check_part *part, bool item)
{
	struct span text =
		span_slice(buf_span(&c->kept), part->text, part->text + part->text_len);
	const struct schema_cut *cuts;
	size_t count = find_cuts(c, part->field, item, text, &cuts);

	if (!count)
		return;
	part->text_len = squeeze(c->kept.ptr + part->text, part->text_len, false, cuts, count);
	part->squeezed = true;
}
