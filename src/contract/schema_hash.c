#include "base/hash.h"
#include "contract/schema_program.h"

uint64_t schema_hash_words(uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t words[3] = {a, b, c};

	return hash_span(span_of(words, sizeof(words)));
}

uint64_t schema_hash_key(struct span key)
{
	return hash_span(key);
}

uint64_t schema_hash_scalar(enum json_type type, bool boolean, struct span text)
{
	struct decimal number;

	switch (type) {
	case JSON_NULL:
	case JSON_BOOL: return schema_hash_words(type, boolean, 1);
	case JSON_STRING: return schema_hash_words(type, hash_span(text), 1);
	case JSON_NUMBER:
		number = decimal_parse(text);
		return schema_hash_words(type, decimal_hash(&number), 1);
	case JSON_ARRAY:
	case JSON_OBJECT: break;
	}
	return 0;
}

uint64_t schema_hash_container(bool object, uint64_t inner, uint64_t count)
{
	return schema_hash_words(inner, count, object ? 5 : 4);
}
