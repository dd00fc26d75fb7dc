#include "parse/mail_address.h"

/* atext of RFC 5322 section 3.2.3, and the dots between */
static bool is_local(struct span text)
{
	static const char others[] = "!#$%&'*+-/=?^_`{|}~.";

	if (text.len == 0 || text.len > 64 || text.ptr[0] == '.' ||
	    text.ptr[text.len - 1] == '.')
		return false;
	for (size_t i = 0; i < text.len; i++) {
		char c = ascii_lower(text.ptr[i]);

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') &&
		    (c == '\0' || !strchr(others, c)))
			return false;
		if (c == '.' && text.ptr[i + 1] == '.')
			return false;
	}
	return true;
}

static bool is_domain(struct span text)
{
	struct span rest = text;

	if (text.len == 0 || text.len > 253)
		return false;
	while (rest.ptr) {
		struct span label = span_cut(&rest, '.');

		if (label.len == 0 || label.len > 63 || label.ptr[0] == '-' ||
		    label.ptr[label.len - 1] == '-')
			return false;
		for (size_t i = 0; i < label.len; i++) {
			char c = ascii_lower(label.ptr[i]);

			if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-')
				return false;
		}
	}
	return true;
}

bool mail_address_valid(struct span address)
{
	size_t at = span_find_byte(address, '@');

	return at < address.len && address.len <= MAIL_ADDRESS_BYTES_MAX &&
	       is_local(span_slice(address, 0, at)) &&
	       is_domain(span_slice(address, at + 1, address.len));
}

bool mail_url_valid(struct span url)
{
	struct span host, port;
	uint64_t number;
	size_t end;

	if (span_starts_with(url, SPAN("smtp://")))
		host = span_slice(url, 7, url.len);
	else if (span_starts_with(url, SPAN("smtps://")))
		host = span_slice(url, 8, url.len);
	else
		return false;
	if (host.len && host.ptr[0] == '[') {
		end = span_find_byte(host, ']');
		for (size_t i = 1; i < end; i++)
			if (!strchr("0123456789abcdefABCDEF:.", host.ptr[i]) || !host.ptr[i])
				return false;
		if (end == host.len || end < 3)
			return false;
		port = span_slice(host, end + 1, host.len);
	} else {
		end = span_find_byte(host, ':');
		port = span_slice(host, end, host.len);
		if (!is_domain(span_slice(host, 0, end)))
			return false;
	}
	return port.len == 0 ||
	       (port.ptr[0] == ':' && span_to_u64(span_slice(port, 1, port.len), &number) &&
		number > 0 && number < 65536);
}
