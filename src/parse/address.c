#include "parse/address.h"

#include "base/mem.h"

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

HOT struct address address_from_ipv4(const void *bytes4)
{
	struct address a;

	memcpy(a.bytes, mapped_prefix, 12);
	memcpy(a.bytes + 12, bytes4, 4);
	return a;
}

struct address address_from_ipv6(const void *bytes16)
{
	struct address a;

	memcpy(a.bytes, bytes16, 16);
	return a;
}

bool address_is_ipv4(const struct address *a)
{
	return memcmp(a->bytes, mapped_prefix, 12) == 0;
}

bool address_is_loopback(const struct address *a)
{
	static const struct address ipv6_loopback = {{[15] = 1}};

	return address_is_ipv4(a) ? a->bytes[12] == 127 : address_eq(a, &ipv6_loopback);
}

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool parse_ipv4(struct span text, uint8_t to[4])
{
	size_t at = 0;

	for (int i = 0; i < 4; i++) {
		size_t start = at;
		unsigned value = 0;

		if (i > 0 && (at >= text.len || text.ptr[at] != '.'))
			return false;
		if (i > 0)
			start = ++at;
		while (at < text.len && digit(text.ptr[at]) && at - start < 3)
			value = value * 10 + (unsigned)(text.ptr[at++] - '0');
		if (at == start || value > 255 || (at - start > 1 && text.ptr[start] == '0'))
			return false;
		to[i] = (uint8_t)value;
	}
	return at == text.len;
}

static int hex_value(char c)
{
	if (digit(c))
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One to four hexadecimal digits at *at. */
static bool parse_group(struct span text, size_t *at, unsigned *value)
{
	size_t start = *at;

	*value = 0;
	while (*at < text.len && *at - start < 4 && hex_value(text.ptr[*at]) >= 0)
		*value = *value << 4 | (unsigned)hex_value(text.ptr[(*at)++]);
	return *at > start;
}

/* Moves what was read after "::" to the end; `len` bytes were read, the gap stands at `gap`. */
static bool close_gap(uint8_t to[16], size_t len, size_t gap)
{
	size_t after = len - gap;

	if (len > 14)
		return false; /* RFC 4291: "::" stands for at least one group */
	memmove(to + 16 - after, to + gap, after);
	memset(to + gap, 0, 16 - len);
	return true;
}

static bool parse_ipv6(struct span text, uint8_t to[16])
{
	size_t at = 0;
	size_t len = 0;
	size_t gap = SIZE_MAX;

	if (text.len >= 2 && text.ptr[0] == ':' && text.ptr[1] == ':') {
		gap = 0;
		at = 2;
	}
	while (at < text.len) {
		size_t start = at;
		unsigned group;

		if (len == 16 || !parse_group(text, &at, &group))
			return false;
		if (at < text.len && text.ptr[at] == '.') {
			if (len > 12 ||
			    !parse_ipv4(span_slice(text, start, text.len), to + len))
				return false;
			len += 4;
			break;
		}
		to[len++] = (uint8_t)(group >> 8);
		to[len++] = (uint8_t)group;
		if (at == text.len)
			break;
		if (text.ptr[at++] != ':' || at == text.len)
			return false;
		if (text.ptr[at] == ':') {
			if (gap != SIZE_MAX)
				return false;
			gap = len;
			at++;
		}
	}
	return gap == SIZE_MAX ? len == 16 : close_gap(to, len, gap);
}

bool address_parse(struct span text, struct address *address)
{
	uint8_t bytes[16];

	if (span_find_byte(text, ':') < text.len) {
		if (!parse_ipv6(text, bytes))
			return false;
		*address = address_from_ipv6(bytes);
		return true;
	}
	if (!parse_ipv4(text, bytes))
		return false;
	*address = address_from_ipv4(bytes);
	return true;
}

static bool parse_port(struct span text, uint16_t *port)
{
	uint64_t value;

	if (text.len > 5 || !span_to_u64(text, &value) || value > 65535)
		return false;
	*port = (uint16_t)value;
	return true;
}

bool address_parse_port(struct span text, struct address *address, uint16_t *port)
{
	struct span host = text;
	size_t colon;

	*port = 0;
	if (text.len > 0 && text.ptr[0] == '[') {
		size_t close = span_find_byte(text, ']');
		struct address parsed;

		host = span_slice(text, 1, close);
		/* Only IPv6 stands in brackets; "[192.0.2.1]" is nobody's spelling. */
		if (close == text.len || span_find_byte(host, ':') == host.len ||
		    !address_parse(host, &parsed))
			return false;
		*address = parsed;
		if (close + 1 == text.len)
			return true;
		return text.ptr[close + 1] == ':' &&
		       parse_port(span_slice(text, close + 2, text.len), port);
	}
	colon = span_find_byte(text, ':');
	if (colon < text.len && span_find_byte(span_slice(text, colon + 1, text.len), ':') ==
					text.len - colon - 1) {
		if (!parse_port(span_slice(text, colon + 1, text.len), port))
			return false;
		host = span_slice(text, 0, colon);
	}
	return address_parse(host, address);
}

static char *put_byte(char *to, unsigned byte)
{
	if (byte >= 100)
		*to++ = (char)('0' + byte / 100);
	if (byte >= 10)
		*to++ = (char)('0' + byte / 10 % 10);
	*to++ = (char)('0' + byte % 10);
	return to;
}

static size_t format_ipv4(const uint8_t *bytes, char *to)
{
	char *at = to;

	for (int i = 0; i < 4; i++) {
		if (i)
			*at++ = '.';
		at = put_byte(at, bytes[i]);
	}
	*at = '\0';
	return (size_t)(at - to);
}

/* The first longest run of at least two zero groups (RFC 5952 section 4.2); -1 when none. */
static int longest_zero_run(const unsigned groups[8], int *len)
{
	int best = -1;

	*len = 1;
	for (int i = 0; i < 8; i++) {
		int n = 0;

		while (i + n < 8 && groups[i + n] == 0)
			n++;
		if (n > *len) {
			best = i;
			*len = n;
		}
		i += n;
	}
	return best;
}

size_t address_format(const struct address *a, char to[ADDRESS_TEXT_SIZE])
{
	unsigned groups[8];
	int run_len;
	int run;
	size_t len = 0;

	if (address_is_ipv4(a))
		return format_ipv4(a->bytes + 12, to);
	for (int i = 0; i < 8; i++)
		groups[i] = (unsigned)a->bytes[2 * i] << 8 | a->bytes[2 * i + 1];
	run = longest_zero_run(groups, &run_len);
	for (int i = 0; i < 8; i++) {
		if (i == run) {
			to[len++] = ':';
			to[len++] = ':';
			i += run_len - 1;
			continue;
		}
		len += (size_t)snprintf(to + len, ADDRESS_TEXT_SIZE - len, "%s%x",
					i > 0 && i != run + run_len ? ":" : "", groups[i]);
	}
	to[len] = '\0';
	return len;
}

/* -- prefixes -- */

/* An address as two numbers, for ordering. */
struct point {
	uint64_t high;
	uint64_t low;
};

struct cidr_range {
	struct point first;
	struct point last;
};

static uint64_t read_u64(const uint8_t *bytes)
{
	uint64_t value;

	memcpy(&value, bytes, 8);
	return __builtin_bswap64(value);
}

static struct point point_of(const struct address *a)
{
	return (struct point){read_u64(a->bytes), read_u64(a->bytes + 8)};
}

static inline bool point_less(struct point a, struct point b)
{
	return a.high < b.high || (a.high == b.high && a.low < b.low);
}

/* The bits of a point after the prefix. */
static struct point host_mask(unsigned prefix)
{
	struct point mask = {0, 0};

	if (prefix < 64) {
		mask.high = UINT64_MAX >> prefix;
		mask.low = UINT64_MAX;
	} else if (prefix < 128) {
		mask.low = UINT64_MAX >> (prefix - 64);
	}
	return mask;
}

bool cidr_parse(struct span text, struct cidr *cidr)
{
	size_t slash = span_find_byte(text, '/');
	struct span host = span_slice(text, 0, slash);
	/* "::ffff:10.0.0.0/104" counts its bits from the start of the 128. */
	bool dotted = span_find_byte(host, ':') == host.len;
	struct address base;
	struct point mask;
	struct point start;
	uint64_t prefix;

	if (!address_parse(host, &base))
		return false;
	if (slash == text.len) {
		prefix = 128;
	} else {
		struct span digits = span_slice(text, slash + 1, text.len);

		if (digits.len > 3 || (digits.len > 1 && digits.ptr[0] == '0') ||
		    !span_to_u64(digits, &prefix) || prefix > (dotted ? 32 : 128))
			return false;
		if (dotted)
			prefix += 96;
	}
	mask = host_mask((unsigned)prefix);
	start = point_of(&base);
	if ((start.high & mask.high) || (start.low & mask.low))
		return false;
	cidr->base = base;
	cidr->prefix = (uint8_t)prefix;
	return true;
}

static bool cidr_is_ipv4(const struct cidr *cidr)
{
	return cidr->prefix >= 96 && address_is_ipv4(&cidr->base);
}

bool cidr_contains(const struct cidr *cidr, const struct address *a)
{
	struct point mask = host_mask(cidr->prefix);
	struct point base = point_of(&cidr->base);
	struct point p = point_of(a);

	return cidr_is_ipv4(cidr) == address_is_ipv4(a) && (p.high & ~mask.high) == base.high &&
	       (p.low & ~mask.low) == base.low;
}

size_t cidr_format(const struct cidr *cidr, char to[ADDRESS_TEXT_SIZE])
{
	size_t len = address_format(&cidr->base, to);
	unsigned prefix = cidr->prefix;

	/* A wider prefix of the mapped range is IPv6 and must not be read back as IPv4. */
	if (cidr_is_ipv4(cidr))
		prefix -= 96;
	else if (address_is_ipv4(&cidr->base))
		len = (size_t)snprintf(to, ADDRESS_TEXT_SIZE, "::ffff:0:0");
	return len + (size_t)snprintf(to + len, ADDRESS_TEXT_SIZE - len, "/%u", prefix);
}

/* -- sets -- */

void cidr_set_init(struct cidr_set *set)
{
	*set = (struct cidr_set){NULL, 0, 0};
}

void cidr_set_release(struct cidr_set *set)
{
	mem_free(set->ranges);
	cidr_set_init(set);
}

static int make_room(struct cidr_set *set, size_t more)
{
	size_t cap = set->cap ? set->cap : 8;
	struct cidr_range *ranges;

	while (cap < set->count + more)
		cap *= 2;
	if (cap == set->cap)
		return 0;
	ranges = mem_realloc(set->ranges, cap * sizeof(*ranges));
	if (!ranges)
		return -1;
	set->ranges = ranges;
	set->cap = cap;
	return 0;
}

int cidr_set_add(struct cidr_set *set, const struct cidr *cidr)
{
	static const struct point mapped_first = {0, 0xffff00000000};
	static const struct point mapped_last = {0, 0xffffffffffff};
	struct point mask = host_mask(cidr->prefix);
	struct point first = point_of(&cidr->base);
	struct point last = {first.high | mask.high, first.low | mask.low};

	if (make_room(set, 2) < 0)
		return -1;
	if (cidr_is_ipv4(cidr) || point_less(last, mapped_first) ||
	    point_less(mapped_last, first)) {
		set->ranges[set->count++] = (struct cidr_range){first, last};
		return 0;
	}
	/* An IPv6 prefix around the mapped range: the IPv4 addresses are not meant. */
	if (point_less(first, mapped_first))
		set->ranges[set->count++] =
			(struct cidr_range){first, {0, mapped_first.low - 1}};
	if (point_less(mapped_last, last))
		set->ranges[set->count++] = (struct cidr_range){{0, mapped_last.low + 1}, last};
	return 0;
}

int cidr_set_add_text(struct cidr_set *set, struct span text, struct err *err)
{
	struct cidr cidr;

	if (!cidr_parse(text, &cidr))
		return err_set(err, ERR_INVALID,
			       "\"%.*s\" is not an IP address or prefix with zero host bits",
			       SPAN_ARG(span_slice(text, 0, 64)));
	if (cidr_set_add(set, &cidr) < 0)
		return err_set(err, ERR_MEMORY, "out of memory for address prefixes");
	return 0;
}

static int compare_ranges(const void *left, const void *right)
{
	const struct cidr_range *a = left;
	const struct cidr_range *b = right;

	return point_less(a->first, b->first) ? -1 : point_less(b->first, a->first);
}

void cidr_set_build(struct cidr_set *set)
{
	size_t kept = 0;

	if (set->count == 0)
		return;
	qsort(set->ranges, set->count, sizeof(*set->ranges), compare_ranges);
	for (size_t i = 1; i < set->count; i++) {
		struct cidr_range *top = &set->ranges[kept];

		if (point_less(top->last, set->ranges[i].first))
			set->ranges[++kept] = set->ranges[i];
		else if (point_less(top->last, set->ranges[i].last))
			top->last = set->ranges[i].last;
	}
	set->count = kept + 1;
}

HOT bool cidr_set_contains(const struct cidr_set *set, const struct address *a)
{
	struct point p = point_of(a);
	size_t low = 0;
	size_t high = set->count;

	/* The last range that starts at or before p. */
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (point_less(p, set->ranges[middle].first))
			high = middle;
		else
			low = middle + 1;
	}
	return low > 0 && !point_less(set->ranges[low - 1].last, p);
}
