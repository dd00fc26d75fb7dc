#include "identity/permission.h"

static enum permission_result parse_part(struct permission_part *part, struct span text,
					 struct arena *arena)
{
	struct span options[PERMISSION_OPTIONS_MAX];
	struct span *kept;
	uint32_t count = 0;

	part->any = false;
	while (text.ptr) {
		struct span option = span_cut(&text, ',');

		if (!option.len || count == PERMISSION_OPTIONS_MAX)
			return PERMISSION_MALFORMED;
		if (span_eq(option, SPAN("*")))
			part->any = true;
		options[count++] = option;
	}
	if (!count)
		return PERMISSION_MALFORMED;
	kept = arena_array(arena, struct span, count);
	if (!kept)
		return PERMISSION_NO_MEMORY;
	memcpy(kept, options, count * sizeof(*kept));
	part->options = kept;
	part->count = count;
	return PERMISSION_OK;
}

enum permission_result permission_parse(struct permission *permission, struct span text,
					struct arena *arena)
{
	uint32_t count = 0;

	permission->part_count = 0;
	if (!text.len)
		return PERMISSION_MALFORMED;
	while (text.ptr) {
		struct span part = span_cut(&text, ':');
		enum permission_result result;

		if (count == PERMISSION_PARTS_MAX)
			return PERMISSION_MALFORMED;
		result = parse_part(&permission->parts[count++], part, arena);
		if (result != PERMISSION_OK)
			return result;
	}
	permission->part_count = count;
	return PERMISSION_OK;
}

static bool part_has(const struct permission_part *part, struct span option)
{
	for (uint32_t i = 0; i < part->count; i++) {
		if (span_eq(part->options[i], option))
			return true;
	}
	return false;
}

static bool part_implies(const struct permission_part *held,
			 const struct permission_part *wanted)
{
	if (held->any)
		return true;
	for (uint32_t i = 0; i < wanted->count; i++) {
		if (!part_has(held, wanted->options[i]))
			return false;
	}
	return true;
}

bool permission_implies(const struct permission *held, const struct permission *wanted)
{
	uint32_t i;

	if (!held->part_count || !wanted->part_count)
		return false;
	for (i = 0; i < wanted->part_count; i++) {
		if (i == held->part_count)
			return true;
		if (!part_implies(&held->parts[i], &wanted->parts[i]))
			return false;
	}
	for (; i < held->part_count; i++) {
		if (!held->parts[i].any)
			return false;
	}
	return true;
}

bool permission_set_implies(const struct permission_set *held, const struct permission *wanted)
{
	for (size_t i = 0; i < held->count; i++) {
		if (permission_implies(&held->at[i], wanted))
			return true;
	}
	return false;
}
