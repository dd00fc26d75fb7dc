/* operator_rbl.c - rbl: the names that block lists have for addresses, and what they answer. */
#include "waf/operator_internal.h"

/* Leaves room for an address of IPv6, 64 bytes, or a key and an address. */
#define LIST_NAME_MAX 160
#define KEY_MAX 32

static bool is_name(struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = ascii_lower(text.ptr[i]);

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
		      c == '_' || (c == '.' && i > 0 && text.ptr[i - 1] != '.')))
			return false;
	}
	return text.len > 0 && text.ptr[text.len - 1] != '.';
}

int rbl_compile(struct operator* op, struct span httpbl_key, struct err *err)
{
	struct span list = span_trim(op->parameter);

	if (!is_name(list) || list.len > LIST_NAME_MAX)
		return err_set(err, ERR_SYNTAX, "\"%.*s\" is not the name of a block list",
			       SPAN_ARG(op->parameter));
	op->provider = RBL_OTHER;
	if (span_find(list, SPAN("uribl.com")) < list.len)
		op->provider = RBL_URIBL;
	if (span_find(list, SPAN("httpbl.org")) == list.len)
		return 0;
	op->provider = RBL_HTTPBL;
	op->httpbl_key = httpbl_key;
	if (httpbl_key.len == 0)
		return err_set(err, ERR_INVALID,
			       "httpbl.org answers with a key only: "
			       "SecHttpBlKey");
	if (!is_name(httpbl_key) || httpbl_key.len > KEY_MAX)
		return err_set(err, ERR_SYNTAX, "SecHttpBlKey is not a key of httpbl.org");
	return 0;
}

static size_t put_ipv4(const unsigned char bytes[4], char *to)
{
	return (size_t)snprintf(to, 17, "%u.%u.%u.%u.", bytes[3], bytes[2], bytes[1], bytes[0]);
}

/* Nibble by nibble (RFC 5782 section 2.4). */
static size_t put_ipv6(const unsigned char bytes[16], char *to)
{
	static const char digits[] = "0123456789abcdef";
	size_t len = 0;

	for (int i = 15; i >= 0; i--) {
		to[len++] = digits[bytes[i] & 15];
		to[len++] = '.';
		to[len++] = digits[bytes[i] >> 4];
		to[len++] = '.';
	}
	return len;
}

size_t operator_rbl_name(const struct operator* op, struct span value,
			 char to[RBL_NAME_MAX + 1])
{
	struct span list = span_trim(op->parameter);
	struct address address;
	size_t len = 0;

	if (op->provider == RBL_HTTPBL) {
		memcpy(to, op->httpbl_key.ptr, op->httpbl_key.len);
		len = op->httpbl_key.len;
		to[len++] = '.';
	}
	if (address_parse(value, &address)) {
		bool ipv4 = address_is_ipv4(&address);

		/* It knows no others. */
		if (!ipv4 && op->provider == RBL_HTTPBL)
			return 0;
		len += ipv4 ? put_ipv4(address.bytes + 12, to + len)
			    : put_ipv6(address.bytes, to + len);
	} else {
		if (value.len > 0 && value.ptr[value.len - 1] == '.')
			value.len--;
		if (op->provider == RBL_HTTPBL || !is_name(value) ||
		    value.len + 1 + list.len > RBL_NAME_MAX)
			return 0;
		memcpy(to, value.ptr, value.len);
		len = value.len;
		to[len++] = '.';
	}
	memcpy(to + len, list.ptr, list.len);
	len += list.len;
	to[len] = '\0';
	return len;
}

bool operator_rbl_is_listed(const struct operator* op, uint32_t address)
{
	if (address >> 24 != 127)
		return false;
	if (op->provider == RBL_HTTPBL)
		return true; /* the other bytes are days, score and kind */
	/* Limits of use, or a resolver that may not ask. */
	if (op->provider == RBL_URIBL && ((address & 255) == 1 || (address & 255) == 255))
		return false;
	return address >> 8 != 0x7fffff; /* 127.255.255.0/24 */
}
