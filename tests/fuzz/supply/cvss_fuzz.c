/* A vector that is accepted has scores from 0 to 10, and the same ones when it is read again. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "supply/cvss.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span vector = span_of(data, size);
	struct cvss first, second;
	enum cvss_result result = cvss_read(vector, &first);

	assert(cvss_result_text(result) != NULL);
	if (result != CVSS_OK)
		return 0;
	assert(first.base_tenths <= 100 && first.score_tenths <= 100);
	assert(cvss_read(vector, &second) == CVSS_OK);
	assert(first.score_tenths == second.score_tenths);
	return 0;
}
