#include "parse/client_hello.h"

#include <openssl/evp.h>

#define HELLO 1
#define EXTENSION_NAME 0x0000
#define EXTENSION_SIGNATURES 0x000d
#define EXTENSION_PROTOCOLS 0x0010
#define EXTENSION_VERSIONS 0x002b

/* What comes behind these many of a kind does not count; programs offer a few dozen. */
#define VALUES_MAX 200
#define COUNT_MAX 99
#define DIGEST_CHARS 12

struct values {
	uint16_t at[VALUES_MAX];
	size_t count;
};

struct hello {
	uint16_t version;
	bool has_name;
	struct values ciphers;
	struct values extensions; /* all of them */
	struct values signatures;
	char protocol[2]; /* the first and the last character of the first one */
};

/* Takes a number of `size` bytes from the front. */
static bool take(struct span *from, size_t size, size_t *value)
{
	if (from->len < size)
		return false;
	*value = 0;
	for (size_t i = 0; i < size; i++)
		*value = *value << 8 | (unsigned char)from->ptr[i];
	*from = span_slice(*from, size, from->len);
	return true;
}

/* Takes what has its length, of `size` bytes, before it. */
static bool take_vector(struct span *from, size_t size, struct span *vector)
{
	size_t len;

	if (!take(from, size, &len) || len > from->len)
		return false;
	*vector = span_slice(*from, 0, len);
	*from = span_slice(*from, len, from->len);
	return true;
}

static bool is_grease(uint16_t value)
{
	return (value & 0x0f0f) == 0x0a0a && value >> 8 == (value & 0xff);
}

static void add(struct values *values, size_t value)
{
	if (!is_grease((uint16_t)value) && values->count < VALUES_MAX)
		values->at[values->count++] = (uint16_t)value;
}

static void add_all(struct values *values, struct span list)
{
	size_t value;

	while (take(&list, 2, &value))
		add(values, value);
}

/* ---- reading --------------------------------------------------------------------------------- */

static void read_versions(struct hello *hello, struct span list)
{
	size_t version;

	hello->version = 0;
	while (take(&list, 2, &version))
		if (!is_grease((uint16_t)version) && version > hello->version)
			hello->version = (uint16_t)version;
}

static bool is_alphanumeric(char c)
{
	return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z');
}

static void read_protocols(struct hello *hello, struct span list)
{
	static const char digits[] = "0123456789abcdef";
	struct span name;
	unsigned char first, last;

	if (!take_vector(&list, 1, &name) || name.len == 0)
		return;
	first = (unsigned char)name.ptr[0];
	last = (unsigned char)name.ptr[name.len - 1];
	if (is_alphanumeric((char)first) && is_alphanumeric((char)last)) {
		hello->protocol[0] = (char)first;
		hello->protocol[1] = (char)last;
	} else {
		hello->protocol[0] = digits[first >> 4];
		hello->protocol[1] = digits[last & 15];
	}
}

static void read_extension(struct hello *hello, size_t type, struct span content)
{
	struct span list;

	add(&hello->extensions, type);
	switch (type) {
	case EXTENSION_NAME: hello->has_name = true; return;
	case EXTENSION_SIGNATURES:
		if (take_vector(&content, 2, &list))
			add_all(&hello->signatures, list);
		return;
	case EXTENSION_PROTOCOLS:
		if (take_vector(&content, 2, &list))
			read_protocols(hello, list);
		return;
	case EXTENSION_VERSIONS:
		if (take_vector(&content, 1, &list))
			read_versions(hello, list);
		return;
	default: return;
	}
}

static bool read_hello(struct hello *hello, struct span message)
{
	struct span body, ciphers, extensions, content, skipped;
	size_t type, version;

	if (!take(&message, 1, &type) || type != HELLO || !take_vector(&message, 3, &body) ||
	    !take(&body, 2, &version) || body.len < 32)
		return false;
	hello->version = (uint16_t)version;
	body = span_slice(body, 32, body.len); /* random */
	if (!take_vector(&body, 1, &skipped) || !take_vector(&body, 2, &ciphers) ||
	    !take_vector(&body, 1, &skipped))
		return false;
	add_all(&hello->ciphers, ciphers);
	if (body.len == 0)
		return true;
	if (!take_vector(&body, 2, &extensions))
		return false;
	while (extensions.len > 0) {
		if (!take(&extensions, 2, &type) || !take_vector(&extensions, 2, &content))
			return false;
		read_extension(hello, type, content);
	}
	return true;
}

/* ---- writing --------------------------------------------------------------------------------- */

static const char *version_text(uint16_t version)
{
	switch (version) {
	case 0x0304: return "13";
	case 0x0303: return "12";
	case 0x0302: return "11";
	case 0x0301: return "10";
	case 0x0300: return "s3";
	default: return "00";
	}
}

static void sort(struct values *values)
{
	for (size_t i = 1; i < values->count; i++) {
		uint16_t value = values->at[i];
		size_t k = i;

		for (; k > 0 && values->at[k - 1] > value; k--)
			values->at[k] = values->at[k - 1];
		values->at[k] = value;
	}
}

/* "002f,0035": what is in `values`, behind what is in `text` already; the length of both. */
static size_t write_values(const struct values *values, char *text, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	bool first = true;

	for (size_t i = 0; i < values->count; i++) {
		uint16_t value = values->at[i];

		if (!first)
			text[len++] = ',';
		first = false;
		for (unsigned shift = 16; shift > 0; shift -= 4)
			text[len++] = digits[value >> (shift - 4) & 15];
	}
	return len;
}

/* The beginning of a SHA-256 in hexadecimal; of nothing, zeros. */
static bool write_digest(const char *text, size_t len, char to[DIGEST_CHARS + 1])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char digest[EVP_MAX_MD_SIZE] = {0};

	if (len > 0 && EVP_Digest(text, len, digest, NULL, EVP_sha256(), NULL) != 1)
		return false;
	for (size_t i = 0; i < DIGEST_CHARS; i++)
		to[i] = digits[digest[i / 2] >> (i % 2 ? 0 : 4) & 15];
	to[DIGEST_CHARS] = '\0';
	return true;
}

/* The server's name and the protocols differ by where a program goes: they are not in the digest. */
static struct values of_program(const struct values *extensions)
{
	struct values kept = {.count = 0};

	for (size_t i = 0; i < extensions->count; i++)
		if (extensions->at[i] != EXTENSION_NAME &&
		    extensions->at[i] != EXTENSION_PROTOCOLS)
			kept.at[kept.count++] = extensions->at[i];
	sort(&kept);
	return kept;
}

static unsigned capped(size_t count)
{
	return count < COUNT_MAX ? (unsigned)count : COUNT_MAX;
}

static bool write_fingerprint(struct hello *hello, char to[CLIENT_HELLO_FINGERPRINT_BYTES + 1])
{
	char text[2 * VALUES_MAX * 5], ciphers[DIGEST_CHARS + 1], extensions[DIGEST_CHARS + 1];
	struct values kept = of_program(&hello->extensions);
	size_t len;

	sort(&hello->ciphers);
	if (!write_digest(text, write_values(&hello->ciphers, text, 0), ciphers))
		return false;
	len = write_values(&kept, text, 0);
	if (hello->signatures.count > 0) {
		text[len++] = '_';
		len = write_values(&hello->signatures, text, len);
	}
	if (!write_digest(text, len, extensions))
		return false;
	return snprintf(to, CLIENT_HELLO_FINGERPRINT_BYTES + 1, "t%s%c%02u%02u%c%c_%s_%s",
			version_text(hello->version), hello->has_name ? 'd' : 'i',
			capped(hello->ciphers.count), capped(hello->extensions.count),
			hello->protocol[0], hello->protocol[1], ciphers,
			extensions) == CLIENT_HELLO_FINGERPRINT_BYTES;
}

bool client_hello_fingerprint(struct span message, char to[CLIENT_HELLO_FINGERPRINT_BYTES + 1])
{
	struct hello hello = {.protocol = {'0', '0'}};

	return read_hello(&hello, message) && write_fingerprint(&hello, to);
}

bool client_hello_is_fingerprint(struct span text)
{
	if (text.len != CLIENT_HELLO_FINGERPRINT_BYTES)
		return false;
	for (size_t i = 0; i < text.len; i++)
		if (i == 10 || i == 10 + 1 + DIGEST_CHARS ? text.ptr[i] != '_'
							  : !is_alphanumeric(text.ptr[i]))
			return false;
	return true;
}
