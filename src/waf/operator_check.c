/* operator_check.c - operators that look at bytes, numbers and addresses. */
#include "base/arena.h"
#include "waf/operator_internal.h"

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
	return is_digit(c) || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'f');
}

/* ---- numbers ----------------------------------------------------------------------------------- */

/* As strtoll(text, NULL, 10); *any is whether there are digits. */
static int64_t to_number(struct span text, bool *any)
{
	bool negative = false;
	int64_t value = 0;
	size_t i = 0;

	while (i < text.len && is_blank(text.ptr[i]))
		i++;
	if (i < text.len && (text.ptr[i] == '-' || text.ptr[i] == '+'))
		negative = text.ptr[i++] == '-';
	*any = i < text.len && is_digit(text.ptr[i]);
	for (; i < text.len && is_digit(text.ptr[i]); i++) {
		int digit = text.ptr[i] - '0';

		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, negative ? -digit : digit, &value))
			return negative ? INT64_MIN : INT64_MAX;
	}
	return value;
}

int operator_to_int(struct span text)
{
	bool any;
	int64_t value = to_number(text, &any);

	return any && value >= INT32_MIN && value <= INT32_MAX ? (int)value : 0;
}

int64_t operator_to_i64(struct span text)
{
	bool any;

	return to_number(text, &any);
}

/* ---- bytes ------------------------------------------------------------------------------------- */

static int byte_number(struct span text, struct err *err)
{
	bool any;
	int64_t value = to_number(text, &any);

	if (!any || value < 0 || value > 255)
		return err_set(err, ERR_SYNTAX, "\"%.*s\" is no byte from 0 to 255",
			       SPAN_ARG(text));
	return (int)value;
}

int byte_range_parse(uint32_t bytes[8], struct span text, struct err *err)
{
	for (size_t i = 0; i < 8; i++)
		bytes[i] = 0;
	while (text.ptr) {
		struct span part = span_cut(&text, ','), last = part;
		struct span first = span_cut(&last, '-');
		int from = byte_number(first, err), to = last.ptr ? -1 : from;

		if (from >= 0 && last.ptr)
			to = byte_number(last, err);
		if (from < 0 || to < 0)
			return -1;
		if (from > to)
			return err_set(err, ERR_SYNTAX, "the range \"%.*s\" goes down",
				       SPAN_ARG(part));
		for (; from <= to; from++)
			bytes[from / 32] |= (uint32_t)1 << (from % 32);
	}
	return 0;
}

bool check_byte_range(const uint32_t bytes[8], struct span value, struct span *piece)
{
	for (size_t i = 0; i < value.len; i++) {
		unsigned char c = (unsigned char)value.ptr[i];

		if (bytes[c / 32] >> (c % 32) & 1)
			continue;
		*piece = span_slice(value, i, i + 1);
		return true;
	}
	return false;
}

bool check_url_encoding(struct span value, struct span *piece)
{
	for (size_t i = 0; i < value.len; i++) {
		if (value.ptr[i] != '%')
			continue;
		if (i + 2 >= value.len || !is_hex(value.ptr[i + 1]) ||
		    !is_hex(value.ptr[i + 2])) {
			*piece = span_slice(value, i, i + 3);
			return true;
		}
		i += 2;
	}
	return false;
}

/* The length of a well-formed character at i, 0 for none. Above U+10FFFF is up to 0x13FFFF. */
static size_t utf8_length(struct span value, size_t i)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	unsigned char c = (unsigned char)value.ptr[i];
	size_t size = c < 0x80	 ? 1
		      : c < 0xc0 ? 0
		      : c < 0xe0 ? 2
		      : c < 0xf0 ? 3
		      : c < 0xf5 ? 4
				 : 0;
	uint32_t character = c & (0x7fu >> size);

	if (size <= 1)
		return size;
	if (size > value.len - i)
		return 0;
	for (size_t n = 1; n < size; n++) {
		unsigned char next = (unsigned char)value.ptr[i + n];

		if ((next & 0xc0) != 0x80)
			return 0;
		character = character << 6 | (next & 0x3f);
	}
	if (character < least[size] || (character >= 0xd800 && character <= 0xdfff))
		return 0;
	return size;
}

bool check_utf8_encoding(struct span value, struct span *piece)
{
	for (size_t i = 0; i < value.len;) {
		size_t size = utf8_length(value, i);

		if (size == 0) {
			*piece = span_slice(value, i, value.len);
			return true;
		}
		i += size;
	}
	return false;
}

/* There is a byte at i, and it is no letter. */
static bool parts_words(struct span value, size_t i)
{
	return i < value.len &&
	       !(ascii_lower(value.ptr[i]) >= 'a' && ascii_lower(value.ptr[i]) <= 'z');
}

bool check_contains_word(struct span value, struct span word, struct span *piece)
{
	size_t at = 0;

	*piece = span_slice(value, 0, word.len);
	if (word.len == 0 || span_eq(value, word))
		return true;
	while (at + word.len <= value.len) {
		size_t end;
		bool before, after;

		at += span_find(span_slice(value, at, value.len), word);
		end = at + word.len;
		if (end > value.len)
			break;
		before = at > 0 && parts_words(value, at - 1);
		after = parts_words(value, end);
		*piece = span_slice(value, at, end);
		if ((at == 0 && after) || (end == value.len && before) || (before && after))
			return true;
		at++;
	}
	return false;
}

/* ---- addresses --------------------------------------------------------------------------------- */

/* "10.1.2.3/8": bits after the prefix are taken off. */
static int add_network(struct cidr_set *set, struct span text, struct err *err)
{
	struct span rest = text;
	struct span base = span_trim(span_cut(&rest, '/'));
	struct cidr cidr = {.prefix = 128};
	uint64_t prefix, most = 128;

	if (!address_parse(base, &cidr.base))
		return err_set(err, ERR_SYNTAX, "\"%.*s\" is no address or network",
			       SPAN_ARG(text));
	if (span_find_byte(base, ':') == base.len)
		most = 32;
	if (rest.ptr) {
		if (!span_to_u64(span_trim(rest), &prefix) || prefix > most)
			return err_set(err, ERR_SYNTAX, "\"%.*s\" has no prefix from 0 to %u",
				       SPAN_ARG(text), (unsigned)most);
		cidr.prefix = (uint8_t)(128 - most + prefix);
	}
	for (size_t i = 0; i < 16; i++) {
		size_t kept = cidr.prefix > 8 * i ? cidr.prefix - 8 * i : 0;

		if (kept < 8)
			cidr.base.bytes[i] &= (uint8_t)(0xff00 >> kept);
	}
	if (cidr_set_add(set, &cidr) < 0)
		return err_set(err, ERR_MEMORY, "out of memory for networks");
	return 0;
}

int addresses_parse(struct cidr_set *set, struct span text, bool lines, struct err *err)
{
	cidr_set_init(set);
	while (text.ptr) {
		struct span line = lines ? span_cut(&text, '\n') : text;

		if (!lines)
			text = SPAN_NONE;
		line = span_slice(line, 0, span_find_byte(line, '#'));
		while (line.ptr) {
			struct span part = span_trim(span_cut(&line, ','));

			if (part.len > 0 && add_network(set, part, err) < 0) {
				cidr_set_release(set);
				return -1;
			}
		}
	}
	cidr_set_build(set);
	return 0;
}

/* ---- numbers with check digits ------------------------------------------------------------------ */

/* The digits of a text, `most` at most, up to a NUL where `to_nul`; returns how many there are. */
static size_t digits_of(struct span text, bool to_nul, int *digits, size_t most)
{
	size_t count = 0;

	for (size_t i = 0; i < text.len && !(to_nul && text.ptr[i] == 0); i++) {
		if (!is_digit(text.ptr[i]))
			continue;
		if (count < most)
			digits[count] = text.ptr[i] - '0';
		count++;
	}
	return count;
}

/* The Luhn algorithm (ISO/IEC 7812-1 annex B), from the end. */
bool verify_credit_card(struct span text)
{
	unsigned sum = 0;
	bool twice = false, any = false;

	for (size_t i = text.len; i-- > 0;) {
		unsigned digit;

		if (!is_digit(text.ptr[i]))
			continue;
		digit = (unsigned)(text.ptr[i] - '0') << twice;
		sum += digit > 9 ? digit - 9 : digit;
		twice = !twice;
		any = true;
	}
	return any && sum % 10 == 0;
}

static bool all_equal(const int *digits, size_t count)
{
	for (size_t i = 1; i < count; i++)
		if (digits[i] != digits[0])
			return false;
	return true;
}

static bool all_ascending(const int *digits, size_t count, int modulus)
{
	for (size_t i = 1; i < count; i++)
		if (digits[i] != (digits[i - 1] + 1) % modulus)
			return false;
	return true;
}

/* The check digit of the Brazilian number: weights down to 2, modulo 11. */
static int cpf_check(const int *digits, int count)
{
	int sum = 0;

	for (int i = 0; i < count; i++)
		sum += digits[i] * (count + 1 - i);
	return sum % 11 < 2 ? 0 : 11 - sum % 11;
}

/* The first 11 digits; digits behind them are not looked at. */
bool verify_cpf(struct span text)
{
	int d[11] = {0};

	if (digits_of(text, true, d, 11) < 11 || all_equal(d, 11))
		return false;
	if (d[0] == 0 && all_ascending(d, 10, 11) && d[10] == 0)
		return false; /* 01234567890 */
	return cpf_check(d, 9) == d[9] && cpf_check(d, 10) == d[10];
}

bool verify_ssn(struct span text)
{
	int d[9] = {0}, area, group, serial;

	if (digits_of(text, false, d, 9) != 9 || all_equal(d, 9) || all_ascending(d, 9, 11))
		return false;
	area = d[0] * 100 + d[1] * 10 + d[2];
	group = d[3] * 10 + d[4];
	serial = d[5] * 1000 + d[6] * 100 + d[7] * 10 + d[8];
	return area != 0 && group != 0 && serial != 0 && area < 740 && area != 666;
}

/* The first 10 digits of an Austrian social security number; the fourth is the check digit. */
bool verify_svnr(struct span text)
{
	static const int weights[10] = {3, 7, 9, 0, 5, 8, 4, 2, 1, 6};
	int d[10] = {0}, sum = 0;

	if (digits_of(text, true, d, 10) < 10 || all_ascending(d, 10, 11))
		return false;
	/* libmodsecurity compares with ten of its twelve bad numbers: not with 8… and 9…. */
	if (all_equal(d, 10) && d[0] < 8)
		return false;
	if (d[0] == 1 && all_ascending(d, 9, 11) && d[9] == 0)
		return false; /* 1234567890 */
	for (size_t i = 0; i < 10; i++)
		sum += d[i] * weights[i];
	return sum % 11 % 10 == d[3];
}
