#include "parse/units.h"

struct unit {
	struct span name;
	uint64_t factor;
};

/* Largest first, so that printing finds the largest that divides. */
static const struct unit duration_units[] = {
	{SPAN_INIT("d"), 86400000}, {SPAN_INIT("h"), 3600000}, {SPAN_INIT("m"), 60000},
	{SPAN_INIT("s"), 1000},	    {SPAN_INIT("ms"), 1},
};

static const struct unit size_units[] = {
	{SPAN_INIT("GiB"), 1 << 30}, {SPAN_INIT("MiB"), 1 << 20}, {SPAN_INIT("KiB"), 1 << 10},
	{SPAN_INIT("g"), 1 << 30},   {SPAN_INIT("m"), 1 << 20},	  {SPAN_INIT("k"), 1 << 10},
	{SPAN_INIT("B"), 1},
};

/* Splits leading digits off: their value, and what follows in *unit. */
static enum units_result split_number(struct span text, uint64_t *value, struct span *unit)
{
	size_t digits = 0;

	while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9')
		digits++;
	if (digits == 0)
		return UNITS_BAD;
	*unit = span_slice(text, digits, text.len);
	return span_to_u64(span_slice(text, 0, digits), value) ? UNITS_OK : UNITS_TOO_LARGE;
}

static const struct unit *unit_find(const struct unit *units, size_t count, struct span name)
{
	for (size_t i = 0; i < count; i++)
		if (span_eq(units[i].name, name))
			return &units[i];
	return NULL;
}

static enum units_result scale(uint64_t value, const struct unit *unit, uint64_t *scaled)
{
	if (value > UINT64_MAX / unit->factor)
		return UNITS_TOO_LARGE;
	*scaled = value * unit->factor;
	return UNITS_OK;
}

enum units_result units_duration(struct span text, uint64_t *ms)
{
	const struct unit *unit;
	struct span name;
	uint64_t value;
	enum units_result result = split_number(text, &value, &name);

	if (result == UNITS_BAD)
		return result;
	if (name.len == 0) {
		if (result != UNITS_OK || value != 0)
			return UNITS_BAD;
		*ms = 0;
		return UNITS_OK;
	}
	unit = unit_find(duration_units, COUNT_OF(duration_units), name);
	if (!unit)
		return UNITS_BAD;
	return result == UNITS_OK ? scale(value, unit, ms) : result;
}

enum units_result units_size(struct span text, uint64_t *bytes)
{
	const struct unit *unit;
	struct span name;
	uint64_t value;
	char letter;
	enum units_result result = split_number(text, &value, &name);

	if (result == UNITS_BAD)
		return result;
	if (name.len == 1 && name.ptr[0] != 'b') {
		letter = name.ptr[0] == 'B' ? 'B' : ascii_lower(name.ptr[0]);
		name = span_of(&letter, 1);
	}
	unit = name.len == 0 ? &size_units[COUNT_OF(size_units) - 1]
			     : unit_find(size_units, COUNT_OF(size_units), name);
	if (!unit)
		return UNITS_BAD;
	return result == UNITS_OK ? scale(value, unit, bytes) : result;
}

enum units_result units_rate(struct span text, uint64_t *count, uint64_t *per_ms)
{
	size_t slash = span_find_byte(text, '/');
	struct span per = span_slice(text, slash + 1, text.len);
	struct span rest;
	enum units_result result;
	uint64_t events, interval;

	if (slash == text.len)
		return UNITS_BAD;
	result = split_number(span_slice(text, 0, slash), &events, &rest);
	if (result == UNITS_BAD || rest.len > 0)
		return UNITS_BAD;
	if (result != UNITS_OK)
		return result;
	if (per.len > 0 && per.ptr[0] >= '0' && per.ptr[0] <= '9') {
		result = units_duration(per, &interval);
	} else {
		const struct unit *unit =
			unit_find(duration_units, COUNT_OF(duration_units), per);

		result = unit ? UNITS_OK : UNITS_BAD;
		interval = unit ? unit->factor : 0;
	}
	if (result != UNITS_OK)
		return result;
	if (events == 0 || interval == 0)
		return UNITS_BAD;
	*count = events;
	*per_ms = interval;
	return UNITS_OK;
}

enum units_result units_percent(struct span text, uint32_t *percent)
{
	struct span rest;
	uint64_t value;
	enum units_result result = split_number(text, &value, &rest);

	if (result == UNITS_BAD || !span_eq(rest, SPAN("%")))
		return UNITS_BAD;
	if (result != UNITS_OK || value > 100)
		return UNITS_TOO_LARGE;
	*percent = (uint32_t)value;
	return UNITS_OK;
}

void units_append_duration(struct buf *out, uint64_t ms)
{
	const struct unit *unit = duration_units;

	if (ms == 0) {
		buf_append_byte(out, '0');
		return;
	}
	while (ms % unit->factor != 0)
		unit++;
	buf_append_u64(out, ms / unit->factor);
	buf_append(out, unit->name);
}

void units_append_size(struct buf *out, uint64_t bytes)
{
	const struct unit *unit = size_units;

	while (unit < size_units + 3 && (bytes == 0 || bytes % unit->factor != 0))
		unit++;
	if (unit == size_units + 3) {
		buf_append_u64(out, bytes);
		return;
	}
	buf_append_u64(out, bytes / unit->factor);
	buf_append(out, unit->name);
}

void units_append_rate(struct buf *out, uint64_t count, uint64_t per_ms)
{
	buf_append_u64(out, count);
	buf_append_byte(out, '/');
	for (size_t i = 0; i < COUNT_OF(duration_units); i++) {
		if (duration_units[i].factor == per_ms) {
			buf_append(out, duration_units[i].name);
			return;
		}
	}
	units_append_duration(out, per_ms);
}
