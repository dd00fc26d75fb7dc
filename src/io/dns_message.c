#include "io/dns_message.h"

#define HEADER_BYTES 12
#define TYPE_SRV 33
#define CLASS_IN 1
/* Bytes of a name on the wire, and so the most labels that it can have. */
#define WIRE_NAME_MAX 255

struct reader {
	const unsigned char *bytes;
	size_t len;
	size_t at;
	bool failed;
};

struct record {
	unsigned type, class;
	uint32_t ttl_s;
	size_t data_len;
};

static unsigned take_byte(struct reader *r)
{
	if (r->at >= r->len) {
		r->failed = true;
		return 0;
	}
	return r->bytes[r->at++];
}

static unsigned take_u16(struct reader *r)
{
	unsigned high = take_byte(r);

	return high << 8 | take_byte(r);
}

static uint32_t take_u32(struct reader *r)
{
	uint32_t high = take_u16(r);

	return high << 16 | take_u16(r);
}

static void skip(struct reader *r, size_t bytes)
{
	if (bytes > r->len - r->at)
		r->failed = true;
	else
		r->at += bytes;
}

static bool is_host_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* One label into `name`. False: it does not belong into a host name. */
static bool take_label(struct reader *r, unsigned label_len, char *name, size_t *len)
{
	bool good = true;

	if (*len + label_len + 1 > WIRE_NAME_MAX) {
		r->failed = true;
		return false;
	}
	if (*len)
		name[(*len)++] = '.';
	for (unsigned i = 0; i < label_len; i++) {
		name[*len] = ascii_lower((char)take_byte(r));
		good = good && is_host_byte(name[*len]);
		(*len)++;
	}
	return good;
}

/*
 * A name, compressed or not, in dotted form. Pointers only go back, so that following them ends.
 * False when it is no host name; the reader is behind it all the same.
 */
static bool take_name(struct reader *r, char name[WIRE_NAME_MAX + 1], size_t *name_len)
{
	size_t behind = 0, limit = r->at;
	bool good = true;

	*name_len = 0;
	while (!r->failed) {
		unsigned first = take_byte(r);

		if (first == 0)
			break;
		if ((first & 0xc0) == 0xc0) {
			size_t target = (size_t)(first & 0x3f) << 8 | take_byte(r);

			if (!behind)
				behind = r->at;
			if (target >= limit)
				r->failed = true;
			limit = target;
			r->at = target;
		} else if (first & 0xc0) {
			r->failed = true;
		} else {
			good = take_label(r, first, name, name_len) && good;
		}
	}
	if (behind)
		r->at = behind;
	name[*name_len] = '\0';
	return good && !r->failed;
}

static void take_record(struct reader *r, struct record *record)
{
	char name[WIRE_NAME_MAX + 1];
	size_t len;

	(void)take_name(r, name, &len);
	record->type = take_u16(r);
	record->class = take_u16(r);
	record->ttl_s = take_u32(r);
	record->data_len = take_u16(r);
	if (record->data_len > r->len - r->at)
		r->failed = true;
}

/* False: there is nothing to be asked there. */
static bool take_service(struct reader *r, struct dns_service *service)
{
	char name[WIRE_NAME_MAX + 1];
	size_t len;

	service->priority = (uint16_t)take_u16(r);
	service->weight = (uint16_t)take_u16(r);
	service->port = (uint16_t)take_u16(r);
	if (!take_name(r, name, &len) || len == 0 || len > DNS_NAME_MAX || service->port == 0)
		return false;
	memcpy(service->target, name, len + 1);
	return true;
}

static void take_answers(struct reader *r, unsigned records, struct dns_service *services,
			 size_t max, size_t *count, uint32_t *ttl_s)
{
	for (unsigned i = 0; i < records && !r->failed; i++) {
		struct record record;
		struct dns_service service;
		size_t end;

		take_record(r, &record);
		if (r->failed)
			return;
		end = r->at + record.data_len;
		/* RFC 2181 section 8: a time with the top bit set is none. */
		if (record.ttl_s > INT32_MAX)
			record.ttl_s = 0;
		if (record.ttl_s < *ttl_s)
			*ttl_s = record.ttl_s;
		if (record.type == TYPE_SRV && record.class == CLASS_IN &&
		    take_service(r, &service) && *count < max)
			services[(*count)++] = service;
		if (r->at > end)
			r->failed = true;
		r->at = end;
	}
}

bool dns_message_services(struct span message, struct dns_service *services, size_t max,
			  size_t *count, uint32_t *ttl_s)
{
	struct reader r = {.bytes = (const unsigned char *)message.ptr, .len = message.len};
	char name[WIRE_NAME_MAX + 1];
	unsigned questions, answers;
	size_t len;

	*count = 0;
	*ttl_s = UINT32_MAX;
	skip(&r, 4);
	questions = take_u16(&r);
	answers = take_u16(&r);
	skip(&r, r.failed ? 0 : HEADER_BYTES - r.at);
	for (unsigned i = 0; i < questions && !r.failed; i++) {
		(void)take_name(&r, name, &len);
		(void)take_u32(&r); /* type and class */
	}
	take_answers(&r, answers, services, max, count, ttl_s);
	return !r.failed;
}
