/*
 * Keys that sign tokens. They are made here, sealed by the vault, and kept in the store for all
 * replicas. A new key is published for a while before it signs, and an old one after it has ceased
 * to, so that who fetches the key set from time to time always has the right one.
 */
#include <openssl/evp.h>

#include "base/clock.h"
#include "base/mem.h"
#include "identity/idp_internal.h"
#include "parse/jws.h"

#define RECORD_BYTES ((size_t)32 * 1024)
#define PUBLISH_FIRST_S ((int64_t)10 * 60)
#define KEYS_MAX 64
#define CONTEXTS_MAX 16
#define ACCESS_TYP SPAN("at+jwt")

struct signing_key {
	struct span kid;
	struct span access_header; /* of access tokens, encoded */
	unsigned algorithm;
	int64_t created_unix_s;
	int64_t created_unix_ms; /* of two that were made in a second one is newer */
	EVP_PKEY *key;
};

struct signing_ring {
	atomic_uint references;
	struct arena arena;
	struct signing_key keys[KEYS_MAX]; /* newest first */
	size_t count;
	struct jwk_set *set; /* for verification */
	struct buf jwks;
};

/* Contexts are a thread's own while it uses one. */
static struct {
	pthread_mutex_t lock;
	struct jws_context *at[CONTEXTS_MAX];
	size_t count;
} contexts = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct jws_context *take_context(struct err *err)
{
	struct jws_context *context = NULL;

	pthread_mutex_lock(&contexts.lock);
	if (contexts.count)
		context = contexts.at[--contexts.count];
	pthread_mutex_unlock(&contexts.lock);
	return context ? context : jws_context_new(err);
}

static void give_context(struct jws_context *context)
{
	pthread_mutex_lock(&contexts.lock);
	if (contexts.count < CONTEXTS_MAX) {
		contexts.at[contexts.count++] = context;
		context = NULL;
	}
	pthread_mutex_unlock(&contexts.lock);
	jws_context_free(context);
}

/* --- the ring --- */

static void ring_unref(struct signing_ring *ring)
{
	if (!ring || atomic_fetch_sub_explicit(&ring->references, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < ring->count; i++)
		EVP_PKEY_free(ring->keys[i].key);
	jwk_set_free(ring->set);
	buf_release(&ring->jwks);
	arena_release(&ring->arena);
	mem_free(ring);
}

static struct signing_ring *ring_ref(struct idp *idp)
{
	struct signing_ring *ring;

	pthread_rwlock_rdlock(&idp->lock);
	ring = idp->ring;
	if (ring)
		atomic_fetch_add_explicit(&ring->references, 1, memory_order_relaxed);
	pthread_rwlock_unlock(&idp->lock);
	return ring;
}

void signing_release(struct idp *idp)
{
	ring_unref(idp->ring);
	idp->ring = NULL;
	pthread_mutex_lock(&contexts.lock);
	while (contexts.count)
		jws_context_free(contexts.at[--contexts.count]);
	pthread_mutex_unlock(&contexts.lock);
}

static struct jws_signer signer_with(const struct signing_key *key, struct span typ)
{
	return (struct jws_signer){
		.key = key->key, .algorithm = key->algorithm, .kid = key->kid, .typ = typ};
}

static int write_header(struct signing_key *key, struct arena *arena, struct err *err)
{
	const struct jws_signer signer = signer_with(key, ACCESS_TYP);
	struct buf header;
	int result = -1;

	/* Of another version of ours: it is found out when the key is used. */
	if (!key->algorithm)
		return 0;
	buf_init(&header, 2048);
	if (jws_write_header(&signer, &header) == 0) {
		key->access_header = arena_dup(arena, buf_span(&header));
		result = key->access_header.ptr ? 0 : -1;
	}
	buf_release(&header);
	return result < 0 ? err_set(err, ERR_MEMORY, "no memory for keys") : 0;
}

static int read_key(struct idp *idp, const struct store_record *record,
		    struct signing_ring *ring, struct err *err)
{
	const struct json *object = idp_parse(record->value, &ring->arena, err);
	struct signing_key *key = &ring->keys[ring->count];
	struct secret pem = SECRET_NONE;

	if (!object)
		return -1;
	key->kid = record->key;
	key->algorithm = jws_algorithm_parse(json_text(object, "alg"));
	key->created_unix_s = json_number(object, "created");
	key->created_unix_ms = json_number(object, "created_ms");
	if (!key->created_unix_ms)
		key->created_unix_ms = key->created_unix_s * 1000;
	if (vault_open_sealed(idp->vault, record->key, json_text(object, "private"), &pem,
			      err) < 0)
		return err_wrap(err, "signing key %.*s", SPAN_ARG(record->key));
	key->key = jwk_private_from_pem(secret_span(&pem), err);
	secret_release(&pem);
	if (!key->key)
		return -1;
	ring->count++;
	return write_header(key, &ring->arena, err);
}

static void sort_newest_first(struct signing_ring *ring)
{
	for (size_t i = 1; i < ring->count; i++)
		for (size_t j = i;
		     j > 0 && ring->keys[j].created_unix_ms > ring->keys[j - 1].created_unix_ms;
		     j--) {
			struct signing_key key = ring->keys[j];

			ring->keys[j] = ring->keys[j - 1];
			ring->keys[j - 1] = key;
		}
}

static int write_jwks(struct signing_ring *ring, struct err *err)
{
	const struct jwk_options options = {.algorithms = JWS_PUBLIC_ALL};
	struct json_writer w;

	json_writer_init(&w, &ring->jwks);
	json_begin_object(&w);
	json_key(&w, SPAN("keys"));
	json_begin_array(&w);
	for (size_t i = 0; i < ring->count; i++)
		if (jwk_write_public(&w, ring->keys[i].key, ring->keys[i].kid,
				     ring->keys[i].algorithm, err) < 0)
			return -1;
	json_end_array(&w);
	json_end_object(&w);
	if (buf_failed(&ring->jwks))
		return err_set(err, ERR_MEMORY, "no memory for keys");
	if (ring->count == 0)
		return 0;
	ring->set = jwk_set_parse(buf_span(&ring->jwks), &options, err);
	return ring->set ? 0 : -1;
}

static struct signing_ring *ring_load(struct idp *idp, struct err *err)
{
	struct signing_ring *ring = mem_zalloc(1, sizeof(*ring));
	struct store_page page;

	if (!ring) {
		(void)idp_no_memory(err);
		return NULL;
	}
	ring->references = 1;
	arena_init(&ring->arena, SCRATCH_BYTES, 16384);
	buf_init(&ring->jwks, (size_t)1024 * 1024);
	if (store_list(idp->store, SPAN("key"), SPAN_NONE, SPAN_NONE, KEYS_MAX, &ring->arena,
		       &page, err) != STORE_OK)
		goto fail;
	for (size_t i = 0; i < page.count; i++)
		if (read_key(idp, &page.records[i], ring, err) < 0)
			goto fail;
	sort_newest_first(ring);
	if (write_jwks(ring, err) == 0)
		return ring;
fail:
	ring_unref(ring);
	return NULL;
}

/* --- making keys --- */

static enum store_result seal_key(struct idp *idp, EVP_PKEY *key, struct span kid,
				  struct arena *arena, struct span *sealed, struct err *err)
{
	struct buf pem;
	enum store_result result = STORE_FAILED;

	buf_init(&pem, 16384);
	if (jwk_private_to_pem(key, &pem, err) == 0) {
		*sealed = vault_seal(idp->vault, kid, buf_span(&pem), arena);
		result = sealed->ptr ? STORE_OK : idp_no_memory(err);
	}
	if (pem.ptr)
		secret_wipe(pem.ptr, pem.len);
	buf_release(&pem);
	return result;
}

static enum store_result put_key(struct idp *idp, EVP_PKEY *key, const struct config *cfg,
				 const struct store_change *turn, struct arena *arena,
				 struct err *err)
{
	const struct config_identity *config = &cfg->identity;
	int64_t now_ms = clock_unix_ms(), now = now_ms / 1000;
	int64_t life_s = 2 * (int64_t)(config->signing.rotate_ms / 1000) +
			 (int64_t)(config->tokens.access_ms / 1000) + PUBLISH_FIRST_S;
	struct store_change changes[2] = {{.kind = SPAN("key")}, *turn};
	char kid[JWK_THUMBPRINT_CHARS];
	struct json_writer w;
	struct span sealed;
	struct buf value;

	if (jwk_thumbprint(key, kid, err) < 0 ||
	    seal_key(idp, key, span_of(kid, sizeof(kid)), arena, &sealed, err) != STORE_OK)
		return STORE_FAILED;
	buf_init(&value, RECORD_BYTES);
	json_writer_init(&w, &value);
	json_begin_object(&w);
	json_member_string(&w, SPAN("alg"),
			   span_cstr(jws_algorithm_name(config->signing.algorithm)));
	json_member_int(&w, SPAN("created"), now);
	json_member_int(&w, SPAN("created_ms"), now_ms);
	json_member_string(&w, SPAN("private"), sealed);
	json_end_object(&w);
	changes[0].key = span_of(kid, sizeof(kid));
	changes[0].expires_unix_ms = (now + life_s) * 1000;
	return idp_commit(idp->store, changes, COUNT_OF(changes), &value, err);
}

/* One replica makes the key: the others find that the turn was taken. */
static enum store_result make_key(struct idp *idp, const struct config *cfg, struct err *err)
{
	struct store_change turn = {.kind = SPAN("state"),
				    .key = SPAN("key-rotation"),
				    .expect = STORE_EXPECT_ABSENT,
				    .value = SPAN("{}")};
	struct store_record record;
	enum store_result result;
	struct arena arena;
	EVP_PKEY *key;

	arena_init(&arena, SCRATCH_BYTES, 8192);
	result = store_get(idp->store, turn.kind, turn.key, &arena, &record, err);
	if (result == STORE_OK) {
		turn.expect = STORE_EXPECT_VERSION;
		turn.version = record.version;
	}
	key = result == STORE_FAILED ? NULL
				     : jwk_generate(cfg->identity.signing.algorithm, err);
	result = key ? put_key(idp, key, cfg, &turn, &arena, err) : STORE_FAILED;
	EVP_PKEY_free(key);
	arena_release(&arena);
	if (result == STORE_OK)
		idp_audit(idp, "identity.key_made", NULL, SPAN_NONE, NULL, SPAN_NONE);
	return result == STORE_CONFLICT ? STORE_OK : result;
}

enum store_result signing_rotate(struct idp *idp, const struct config *cfg, struct err *err)
{
	bool changed;

	if (make_key(idp, cfg, err) != STORE_OK)
		return STORE_FAILED;
	return signing_load(idp, cfg, false, &changed, err);
}

static bool is_due(const struct signing_ring *ring, const struct config *cfg)
{
	const struct config_signing *config = &cfg->identity.signing;

	return ring->count == 0 || ring->keys[0].algorithm != config->algorithm ||
	       clock_unix_s() - ring->keys[0].created_unix_s >=
		       (int64_t)(config->rotate_ms / 1000);
}

enum store_result signing_load(struct idp *idp, const struct config *cfg, bool make,
			       bool *changed, struct err *err)
{
	struct signing_ring *ring = ring_load(idp, err), *old;

	if (ring && make && is_due(ring, cfg)) {
		ring_unref(ring);
		ring = make_key(idp, cfg, err) == STORE_OK ? ring_load(idp, err) : NULL;
	}
	if (!ring)
		return STORE_FAILED;
	pthread_rwlock_wrlock(&idp->lock);
	old = idp->ring;
	*changed = !old || !span_eq(buf_span(&old->jwks), buf_span(&ring->jwks));
	idp->ring = ring;
	pthread_rwlock_unlock(&idp->lock);
	ring_unref(old);
	return STORE_OK;
}

/* --- using them --- */

/* The newest that has been published for long enough; when there is none, the oldest. */
static const struct signing_key *signer_of(const struct signing_ring *ring)
{
	int64_t now = clock_unix_coarse_s();

	for (size_t i = 0; i < ring->count; i++)
		if (now - ring->keys[i].created_unix_s >= PUBLISH_FIRST_S)
			return &ring->keys[i];
	return ring->count ? &ring->keys[ring->count - 1] : NULL;
}

int signing_sign(struct idp *idp, struct span typ, struct span payload, struct buf *to,
		 struct err *err)
{
	struct signing_ring *ring = ring_ref(idp);
	const struct signing_key *key = ring ? signer_of(ring) : NULL;
	struct jws_context *context = key ? take_context(err) : NULL;
	int result = -1;

	if (context) {
		struct jws_signer signer = signer_with(key, typ);

		if (span_eq(typ, ACCESS_TYP))
			signer.header = key->access_header;
		result = jws_sign(context, &signer, payload, to, err);
		give_context(context);
	} else if (!key) {
		result = err_set(err, ERR_UNAVAILABLE, "there is no key to sign with");
	}
	ring_unref(ring);
	return result;
}

struct span signing_verify(struct idp *idp, struct span typ, struct span token,
			   struct arena *arena)
{
	const struct jws_policy policy = {.algorithms = JWS_PUBLIC_ALL, .require_kid = true};
	struct signing_ring *ring = ring_ref(idp);
	struct jws_context *context;
	struct span payload = SPAN_NONE;
	struct jws jws;
	struct err err;

	context = ring && ring->set ? take_context(&err) : NULL;
	if (context) {
		if (jws_parse(arena, token, &jws) == JWS_OK && span_eq_nocase(jws.typ, typ) &&
		    jws_verify(context, &jws, ring->set, &policy) == JWS_OK)
			payload = jws.payload;
		give_context(context);
	}
	ring_unref(ring);
	return payload;
}

int idp_jwks(struct idp *idp, struct buf *to)
{
	struct signing_ring *ring = ring_ref(idp);
	int result = ring ? buf_append(to, buf_span(&ring->jwks)) : -1;

	ring_unref(ring);
	return result;
}

enum store_result signing_list(struct idp *idp, struct buf *to, struct err *err)
{
	struct signing_ring *ring = ring_load(idp, err);
	const struct signing_key *signer;

	if (!ring)
		return STORE_FAILED;
	signer = signer_of(ring);
	for (size_t i = 0; i < ring->count; i++) {
		struct json_writer w;

		json_writer_init(&w, to);
		json_begin_object(&w);
		json_member_string(&w, SPAN("kid"), ring->keys[i].kid);
		json_member_string(&w, SPAN("alg"),
				   span_cstr(jws_algorithm_name(ring->keys[i].algorithm)));
		json_member_int(&w, SPAN("created"), ring->keys[i].created_unix_s);
		json_member_bool(&w, SPAN("signs"), signer == &ring->keys[i]);
		json_end_object(&w);
		buf_append_byte(to, '\n');
	}
	ring_unref(ring);
	return STORE_OK;
}
