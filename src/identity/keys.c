#include "identity/keys.h"

#include <openssl/evp.h>
#include <stdatomic.h>

#include "base/arena.h"
#include "base/mem.h"
#include "identity/jwk.h"
#include "identity/jws.h"

#define ARENA_CAP_BYTES ((size_t)16 * 1024 * 1024)
#define ARENA_CHUNK_BYTES ((size_t)8 * 1024)
#define KEYS_MAX 256
/* Keys that are tried for a token without kid: each costs a verification. */
#define TRIES_MAX 4

struct key_set {
	atomic_uint references;
	struct arena arena;
	struct span text;
	struct jwk *keys;
	size_t count;
};

static int no_memory(struct err *err)
{
	return err_set(err, ERR_MEMORY, "no memory for a key set");
}

static int read_keys(struct key_set *set, const struct json *keys, unsigned algorithms,
		     struct err *err)
{
	set->keys = arena_array(&set->arena, struct jwk, keys->array.count + 1);
	if (!set->keys)
		return no_memory(err);
	for (size_t i = 0; i < keys->array.count; i++) {
		struct jwk *jwk = &set->keys[set->count];

		switch (jwk_read(&keys->array.items[i], jwk)) {
		case JWK_OK: break;
		case JWK_UNUSABLE: continue;
		case JWK_NO_MEMORY: return no_memory(err);
		}
		jwk->algorithms &= algorithms;
		if (jwk->algorithms)
			set->count++;
		else
			EVP_PKEY_free(jwk->key);
	}
	if (!set->count)
		return err_set(err, ERR_INVALID,
			       "the key set has no key for the algorithms that are accepted");
	return 0;
}

static int parse(struct key_set *set, struct span json, unsigned algorithms, struct err *err)
{
	const struct json *root;
	const struct json *keys;

	set->text = arena_dup(&set->arena, json);
	if (!set->text.ptr)
		return no_memory(err);
	root = json_parse(&set->arena, set->text, NULL, err);
	if (!root)
		return err_wrap(err, "key set");
	keys = json_get(root, SPAN("keys"));
	if (!keys || keys->type != JSON_ARRAY || keys->array.count > KEYS_MAX)
		return err_set(err, ERR_INVALID,
			       "not a key set: \"keys\" must be an array of at most %d keys",
			       KEYS_MAX);
	return read_keys(set, keys, algorithms, err);
}

struct key_set *key_set_parse(struct span json, unsigned algorithms, struct err *err)
{
	struct key_set *set = mem_zalloc(1, sizeof(*set));

	if (!set) {
		no_memory(err);
		return NULL;
	}
	atomic_init(&set->references, 1);
	arena_init(&set->arena, ARENA_CAP_BYTES, ARENA_CHUNK_BYTES);
	if (parse(set, json, algorithms, err) < 0) {
		key_set_unref(set);
		return NULL;
	}
	return set;
}

struct key_set *key_set_ref(struct key_set *set)
{
	atomic_fetch_add_explicit(&set->references, 1, memory_order_relaxed);
	return set;
}

void key_set_unref(struct key_set *set)
{
	if (!set || atomic_fetch_sub_explicit(&set->references, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < set->count; i++)
		EVP_PKEY_free(set->keys[i].key);
	arena_release(&set->arena);
	mem_free(set);
}

bool key_set_eq(const struct key_set *a, const struct key_set *b)
{
	return span_eq(a->text, b->text);
}

enum key_result key_set_verify(const struct key_set *set, struct jws_context *context,
			       unsigned algorithm, struct span kid, struct span input,
			       struct span signature)
{
	enum key_result result = KEY_UNKNOWN;
	unsigned tries = 0;

	for (size_t i = 0; i < set->count && tries < TRIES_MAX; i++) {
		const struct jwk *jwk = &set->keys[i];

		if (!(jwk->algorithms & algorithm) ||
		    (kid.ptr && (!jwk->kid.ptr || !span_eq(kid, jwk->kid))))
			continue;
		tries++;
		switch (jws_verify(context, jwk->key, algorithm, input, signature)) {
		case JWS_GOOD: return KEY_GOOD;
		case JWS_BAD: result = KEY_BAD_SIGNATURE; break;
		case JWS_NO_MEMORY: return KEY_NO_MEMORY;
		}
	}
	return result;
}
