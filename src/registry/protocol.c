#include "registry/protocol.h"

static const struct registry_protocol *const protocols[] = {&registry_npm};

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
