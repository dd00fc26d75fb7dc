#include "supply/epss.h"

/* "0.86122", "1", "9.5e-05": from 0 to 1, in millionths, rounded down. */
static bool read_ppm(struct span text, uint32_t *ppm)
{
	struct span exponent = text, mantissa = span_cut(&exponent, 'e');
	struct span rest = mantissa, whole = span_cut(&rest, '.');
	uint64_t units, tens = 0, value, digits = 0;

	if (exponent.ptr &&
	    (!span_starts_with(exponent, SPAN("-")) ||
	     !span_to_u64(span_slice(exponent, 1, exponent.len), &tens) || tens == 0))
		return false;
	if (!span_to_u64(whole, &units) || units > (tens ? 9 : 1))
		return false;
	value = units;
	for (; digits < 6; digits++) {
		char c = digits < rest.len ? rest.ptr[digits] : '0';

		if (c < '0' || c > '9')
			return false;
		value = value * 10 + (uint64_t)(c - '0');
	}
	for (; tens > 0 && value > 0; tens--)
		value /= 10;
	*ppm = (uint32_t)value;
	return value <= 1000000;
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
