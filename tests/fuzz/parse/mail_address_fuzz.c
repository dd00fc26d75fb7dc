/* What is taken as an address or a URL holds nothing that a line or a command could end with. */
#include <assert.h>

#include "parse/mail_address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = span_of(data, size);
	bool address = mail_address_valid(text), url = mail_url_valid(text);

	assert(!address || (size >= 3 && size <= MAIL_ADDRESS_BYTES_MAX));
	assert(!(address && url));
	for (size_t i = 0; (address || url) && i < size; i++) {
		assert(data[i] > ' ' && data[i] < 0x7f);
		assert(data[i] != '<' && data[i] != '>' && data[i] != '"' && data[i] != ',');
	}
	return 0;
}
