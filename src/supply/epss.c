#include "supply/epss.h"

/* "0.86122", "1", "1.0", "9.5e-05": from 0 to 1, in millionths, rounded down. */
static bool read_ppm(struct span text, uint32_t *ppm)
{
	struct span rest = text, whole = span_cut(&rest, '.');
	uint64_t units, digits = 0;
	uint32_t value = 0;

	if (!span_to_u64(whole, &units) || units > 1)
		return false;
	for (; digits < rest.len; digits++) {
		char c = rest.ptr[digits];

		if (c == 'e' || c == 'E') { /* below 0.0001 */
			value = 0;
			break;
		}
		if (c < '0' || c > '9')
			return false;
		if (digits < 6)
			value = value * 10 + (uint32_t)(c - '0');
	}
	for (; digits < 6 && value; digits++)
		value *= 10;
	*ppm = (uint32_t)units * 1000000 + value;
	return *ppm <= 1000000;
}

enum epss_line epss_read(struct span line, struct db_epss *score, int64_t *day_s)
{
	struct span rest = span_trim(line), cve;
	size_t date;

	if (rest.len == 0 || span_starts_with(rest, SPAN("cve,")))
		return EPSS_OTHER;
	if (rest.ptr[0] == '#') {
		date = span_find(rest, SPAN("score_date:"));
		if (date < rest.len)
			*day_s = osv_time_s(
				span_slice(rest, date + 11, date + 21)); /* the day alone */
		return EPSS_OTHER;
	}
	cve = span_cut(&rest, ',');
	score->cve = db_cve(cve);
	if (!score->cve || !rest.ptr ||
	    !read_ppm(span_cut(&rest, ','), &score->probability_ppm))
		return EPSS_BAD;
	score->percentile_ppm = 0;
	if (rest.ptr && !read_ppm(span_cut(&rest, ','), &score->percentile_ppm))
		return EPSS_BAD;
	return EPSS_SCORE;
}
