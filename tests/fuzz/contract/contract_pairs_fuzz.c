/* contract_pairs_fuzz.c - what is written of a query, nothing left out, is read as the same pairs. */
#include <stdint.h>

#include "contract/pairs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pairs first, second;
	struct buf out;

	buf_init(&out, size + 1);
	if (pairs_init(&first, 64, size) < 0 || pairs_init(&second, 64, size) < 0)
		abort();
	if (pairs_parse(&first, span_of(data, size)) == PAIRS_OK) {
		if (pairs_write(&first, &out) < 0 ||
		    pairs_parse(&second, buf_span(&out)) != PAIRS_OK ||
		    first.count != second.count)
			abort();
		for (size_t i = 0; i < first.count; i++)
			if (!span_eq(first.at[i].name, second.at[i].name) ||
			    !span_eq(first.at[i].value, second.at[i].value))
				abort();
	}
	pairs_release(&first);
	pairs_release(&second);
	buf_release(&out);
	return 0;
}
