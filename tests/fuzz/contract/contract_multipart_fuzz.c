/* contract_multipart_fuzz.c - multipart content gives the same events in one piece and in many. */
#include <stdint.h>

#include "base/hash.h"
#include "contract/multipart.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t mix(uint64_t hash, struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		hash = (hash ^ (unsigned char)s.ptr[i]) * 0x100000001b3;
	return hash;
}

static uint64_t events(struct span text, size_t step, uint64_t *bytes)
{
	struct multipart m;
	enum multipart_event event;
	uint64_t hash = 1;

	multipart_init(&m, NULL);
	if (!multipart_start(&m, SPAN("b"), false))
		abort();
	*bytes = 0;
	while ((event = multipart_next(&m)) != MULTIPART_END && event != MULTIPART_ERROR) {
		if (event == MULTIPART_MORE) {
			if (text.len == 0)
				multipart_finish(&m);
			multipart_feed(&m, span_slice(text, 0, step));
			text = span_slice(text, step, text.len);
		} else if (event == MULTIPART_DATA) {
			if (m.data.len == 0)
				abort();
			*bytes += m.data.len;
			hash = mix(hash, m.data);
		} else {
			hash = (hash ^ event ^ m.part_start << 8) * 0x100000001b3;
			if (event == MULTIPART_PART)
				hash = mix(mix(mix(hash, m.name), m.file_name), m.content_type);
		}
	}
	hash = (hash ^ event) * 31 + m.error;
	multipart_release(&m);
	return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = span_of(data, size);
	uint64_t whole, cut;
	uint64_t first = events(text, size + 1, &whole);

	if (first != events(text, 1, &cut) || whole != cut || whole > size)
		abort();
	if (first != events(text, 5, &cut))
		abort();
	return 0;
}
