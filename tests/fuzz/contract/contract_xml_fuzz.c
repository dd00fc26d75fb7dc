/* contract_xml_fuzz.c - the same verdict in one piece and in many. */
#include <stdint.h>

#include "contract/xml_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum xml_result run(struct xml_check *check, struct span text, size_t step)
{
	if (!xml_check_start(check))
		abort();
	while (text.len > 0) {
		(void)xml_check_feed(check, span_slice(text, 0, step));
		text = span_slice(text, step, text.len);
	}
	return xml_check_finish(check);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct xml_check *check;
	enum xml_result whole, cut;

	if (!check)
		check = xml_check_new(NULL, NULL);
	whole = run(check, span_of(data, size), size + 1);
	cut = run(check, span_of(data, size), 3);
	if (whole == XML_MORE || cut == XML_MORE)
		abort();
	/* Which of two faults is met first may depend on the pieces; whether it passes may not. */
	if ((whole == XML_OK) != (cut == XML_OK))
		abort();
	return 0;
}
