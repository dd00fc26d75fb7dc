#include "registry/protocol.h"

static const struct registry_protocol *const protocols[] = {&registry_npm, &registry_pypi};

const struct registry_protocol *registry_protocol_find(struct span name)
{
	for (size_t i = 0; i < COUNT_OF(protocols); i++)
		if (span_eq(protocols[i]->name, name))
			return protocols[i];
	return NULL;
}

const char *registry_hash_name(enum registry_hash hash)
{
	switch (hash) {
	case REGISTRY_SHA512: return "sha512";
	case REGISTRY_SHA256: return "sha256";
	case REGISTRY_SHA1: break;
	}
	return "sha1";
}

size_t registry_hash_bytes(enum registry_hash hash)
{
	switch (hash) {
	case REGISTRY_SHA512: return 64;
	case REGISTRY_SHA256: return 32;
	case REGISTRY_SHA1: break;
	}
	return 20;
}

bool registry_digest_read(struct span hex, enum registry_hash hash,
			  struct registry_digest *digest)
{
	static const char digits[] = "0123456789abcdef";

	*digest = (struct registry_digest){.hash = hash};
	if (hex.len != 2 * registry_hash_bytes(hash))
		return false;
	for (size_t i = 0; i < hex.len; i++) {
		const char *at = memchr(digits, ascii_lower(hex.ptr[i]), 16);

		if (!at)
			return false;
		digest->bytes[i / 2] =
			(unsigned char)(digest->bytes[i / 2] << 4 | (at - digits));
	}
	return true;
}
