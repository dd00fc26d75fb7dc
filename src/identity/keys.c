#include "identity/keys.h"

#include <assert.h>
#include <stdatomic.h>

#include "base/mem.h"

/* The bits of the configuration are those of the parser. */
static_assert((unsigned)CONFIG_JWS_RS256 == JWS_RS256 &&
		      (unsigned)CONFIG_JWS_PS512 == JWS_PS512 &&
		      (unsigned)CONFIG_JWS_ES256 == JWS_ES256 &&
		      (unsigned)CONFIG_JWS_EDDSA == JWS_EDDSA,
	      "enum config_jws and enum jws_algorithm differ");

struct key_set {
	atomic_uint references;
	char *text;
	size_t text_len;
	struct jwk_set *keys;
};

struct key_set *key_set_parse(struct span json, unsigned algorithms, struct err *err)
{
	const struct jwk_options options = {.algorithms = algorithms};
	struct key_set *set = mem_zalloc(1, sizeof(*set));

	if (set)
		set->text = mem_strdup(json);
	if (!set || !set->text) {
		mem_free(set);
		err_set(err, ERR_MEMORY, "no memory for a key set");
		return NULL;
	}
	atomic_init(&set->references, 1);
	set->text_len = json.len;
	set->keys = jwk_set_parse(json, &options, err);
	if (set->keys)
		return set;
	key_set_unref(set);
	return NULL;
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
	jwk_set_free(set->keys);
	mem_free(set->text);
	mem_free(set);
}

bool key_set_eq(const struct key_set *a, const struct key_set *b)
{
	return span_eq(span_of(a->text, a->text_len), span_of(b->text, b->text_len));
}

const struct jwk_set *key_set_keys(const struct key_set *set)
{
	return set->keys;
}
