#include "identity/dpop.h"

#include <openssl/evp.h>
#include <pthread.h>

#include "base/map.h"
#include "base/mem.h"
#include "base/rand.h"
#include "parse/base64.h"
#include "parse/uri.h"

#define JTI_BYTES_MAX 256
#define DIGEST_BYTES 32

/* ---- the proof ---- */

/* Normalised as the path of a request is. False: it is none. */
static bool normal_path(struct span path, struct arena *arena, struct span *normal)
{
	char *scratch = arena_alloc(arena, path.len + 1);
	struct span query;

	return scratch && uri_normalize(path, scratch, path.len + 1, normal, &query) == URI_OK;
}

/* What is compared of a URL (section 4.3 step 9): scheme, authority and path. */
static bool same_url(struct span one, struct span other, struct arena *arena)
{
	struct uri_parts a, b;
	struct span path_a, path_b;

	one = span_slice(one, 0, span_find_byte(one, '#'));
	one = span_slice(one, 0, span_find_byte(one, '?'));
	other = span_slice(other, 0, span_find_byte(other, '#'));
	other = span_slice(other, 0, span_find_byte(other, '?'));
	return uri_parse_absolute(one, &a) && uri_parse_absolute(other, &b) &&
	       span_eq_nocase(a.scheme, b.scheme) && span_eq_nocase(a.host, b.host) &&
	       a.port == b.port && normal_path(a.path, arena, &path_a) &&
	       normal_path(b.path, arena, &path_b) && span_eq(path_a, path_b);
}

static enum dpop_result check_times_and_request(const struct json *claims,
						const struct dpop_request *request,
						struct arena *arena)
{
	struct span htm, htu;
	int64_t iat;

	if (!json_string(json_get(claims, SPAN("htm")), &htm) ||
	    !json_string(json_get(claims, SPAN("htu")), &htu) ||
	    !json_int(json_get(claims, SPAN("iat")), &iat))
		return DPOP_BAD_CLAIMS;
	if (!span_eq(htm, request->method) || !same_url(htu, request->url, arena))
		return DPOP_OTHER_REQUEST;
	if (iat < request->now_unix_s - request->window_s ||
	    iat > request->now_unix_s + request->window_s)
		return DPOP_STALE;
	return DPOP_OK;
}

static enum dpop_result check_token(const struct json *claims, struct span token)
{
	unsigned char digest[DIGEST_BYTES];
	char text[44];
	struct span ath;

	if (!token.len)
		return DPOP_OK;
	if (!json_string(json_get(claims, SPAN("ath")), &ath))
		return DPOP_BAD_CLAIMS;
	if (!EVP_Digest(token.ptr, token.len, digest, NULL, EVP_sha256(), NULL))
		return DPOP_NO_MEMORY;
	return span_eq(ath,
		       span_of(text, base64url_encode(text, span_of(digest, sizeof(digest)))))
		       ? DPOP_OK
		       : DPOP_OTHER_TOKEN;
}

static enum dpop_result check_claims(const struct jws *jws, const struct dpop_request *request,
				     struct arena *arena, struct dpop_proof *proof)
{
	struct json_problem problem = {.error = JSON_ERROR_MEMORY};
	const struct json *claims = json_parse_problem(arena, jws->payload, NULL, &problem);
	const struct json *nonce = json_get(claims, SPAN("nonce"));
	enum dpop_result result;

	if (!claims)
		return problem.error == JSON_ERROR_MEMORY ? DPOP_NO_MEMORY : DPOP_MALFORMED;
	proof->nonce = SPAN("");
	if (!json_string(json_get(claims, SPAN("jti")), &proof->jti) || !proof->jti.len ||
	    proof->jti.len > JTI_BYTES_MAX || (nonce && !json_string(nonce, &proof->nonce)))
		return DPOP_BAD_CLAIMS;
	result = check_times_and_request(claims, request, arena);
	return result == DPOP_OK ? check_token(claims, request->token) : result;
}

static enum dpop_result of_jws(enum jws_result result)
{
	switch (result) {
	case JWS_OK: return DPOP_OK;
	case JWS_MALFORMED:
	case JWS_BAD_ENCODING:
	case JWS_BAD_HEADER:
	case JWS_CRITICAL:
	case JWS_BAD_TYPE:
	case JWS_MISSING_KID: return DPOP_MALFORMED;
	case JWS_BAD_ALGORITHM:
	case JWS_DENIED_ALGORITHM:
	case JWS_UNKNOWN_KEY: return DPOP_BAD_ALGORITHM;
	case JWS_BAD_SIGNATURE: return DPOP_BAD_SIGNATURE;
	case JWS_NO_MEMORY: break;
	}
	return DPOP_NO_MEMORY;
}

/* The key in the proof's own header: it proves nothing but that its holder has sent this. */
static struct jwk_set *read_key(const struct json *jwk)
{
	const struct jwk_options options = {.algorithms = JWS_PUBLIC_ALL,
					    .refuse_private = true};
	struct jwk_set *set = NULL;
	struct json_writer w;
	struct buf text;
	struct err err;

	if (!jwk || jwk->type != JSON_OBJECT || json_get(jwk, SPAN("keys")))
		return NULL;
	buf_init(&text, 2 * DPOP_PROOF_BYTES_MAX);
	json_writer_init(&w, &text);
	json_put_tree(&w, jwk);
	if (!buf_failed(&text))
		set = jwk_set_parse(buf_span(&text), &options, &err);
	buf_release(&text);
	if (set && set->count != 1) {
		jwk_set_free(set);
		return NULL;
	}
	return set;
}

enum dpop_result dpop_check(struct jws_context *context, const struct dpop_request *request,
			    struct arena *arena, struct dpop_proof *proof)
{
	enum dpop_result result;
	struct jwk_set *set;
	struct jws jws;
	struct err err;

	if (request->proof.len > DPOP_PROOF_BYTES_MAX)
		return DPOP_MALFORMED;
	result = of_jws(jws_parse(arena, request->proof, &jws));
	if (result != DPOP_OK)
		return result;
	if (!(jws.algorithm & JWS_PUBLIC_ALL))
		return DPOP_BAD_ALGORITHM;
	if (!jws.typ.ptr || !span_eq_nocase(jws.typ, SPAN("dpop+jwt")))
		return DPOP_MALFORMED;
	set = read_key(json_get(jws.header, SPAN("jwk")));
	if (!set)
		return DPOP_MALFORMED;
	result = of_jws(jws_verify_key(context, &set->keys[0], jws.algorithm, jws.signing_input,
				       jws.signature));
	if (result == DPOP_OK && jwk_thumbprint(set->keys[0].key, proof->jkt, &err) < 0)
		result = DPOP_NO_MEMORY;
	jwk_set_free(set);
	return result == DPOP_OK ? check_claims(&jws, request, arena, proof) : result;
}

const char *dpop_result_text(enum dpop_result result)
{
	switch (result) {
	case DPOP_OK: break;
	case DPOP_MALFORMED: return "The DPoP proof is malformed";
	case DPOP_BAD_ALGORITHM: return "The algorithm of the DPoP proof is not accepted";
	case DPOP_BAD_SIGNATURE: return "The signature of the DPoP proof is wrong";
	case DPOP_BAD_CLAIMS: return "A claim of the DPoP proof is missing or malformed";
	case DPOP_OTHER_REQUEST: return "The DPoP proof is for another request";
	case DPOP_STALE: return "The DPoP proof is too old, or of the future";
	case DPOP_OTHER_TOKEN: return "The DPoP proof is for another access token";
	case DPOP_NO_MEMORY: return "Out of memory";
	}
	return "";
}

/* ---- proofs that were seen: two sets, of which the older one is dropped when it is too old ---- */

#define SEEN_MAX ((size_t)1 << 20)

static struct {
	pthread_mutex_t lock;
	struct map sets[2]; /* digest -> itself */
	int64_t turned_unix_s;
	bool ready;
} seen = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void forget(struct map *set)
{
	size_t cursor = 0;
	struct span key;
	void *digest;

	while ((digest = map_next(set, &cursor, &key)))
		mem_free(digest);
	map_release(set);
	*set = MAP_INIT;
}

static void turn(int64_t now_unix_s, int64_t window_s)
{
	if (!seen.ready) {
		seen.sets[0] = seen.sets[1] = MAP_INIT;
		seen.turned_unix_s = now_unix_s;
		seen.ready = true;
	}
	/* A proof can be used for two windows: from when its time is ahead to when it is past. */
	if (now_unix_s - seen.turned_unix_s <= 2 * window_s)
		return;
	if (now_unix_s - seen.turned_unix_s > 4 * window_s)
		forget(&seen.sets[0]);
	forget(&seen.sets[1]);
	seen.sets[1] = seen.sets[0];
	seen.sets[0] = MAP_INIT;
	seen.turned_unix_s = now_unix_s;
}

void dpop_digest(const struct dpop_proof *proof, uint8_t digest[DIGEST_BYTES])
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	bool done;

	done = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 &&
	       EVP_DigestUpdate(context, proof->jkt, sizeof(proof->jkt)) == 1 &&
	       EVP_DigestUpdate(context, proof->jti.ptr, proof->jti.len) == 1 &&
	       EVP_DigestFinal_ex(context, digest, NULL) == 1;
	EVP_MD_CTX_free(context);
	/* Without memory it is random, and fits nothing. */
	if (!done)
		rand_bytes(digest, DIGEST_BYTES);
}

bool dpop_is_new(const struct dpop_proof *proof, int64_t now_unix_s, int64_t window_s)
{
	uint8_t *digest = mem_alloc(DIGEST_BYTES);
	bool new = false;

	if (!digest)
		return false;
	dpop_digest(proof, digest);
	pthread_mutex_lock(&seen.lock);
	turn(now_unix_s, window_s);
	if (!map_get(&seen.sets[0], span_of(digest, DIGEST_BYTES)) &&
	    !map_get(&seen.sets[1], span_of(digest, DIGEST_BYTES)) &&
	    seen.sets[0].live < SEEN_MAX &&
	    map_put(&seen.sets[0], span_of(digest, DIGEST_BYTES), digest) == 0)
		new = true;
	pthread_mutex_unlock(&seen.lock);
	if (!new)
		mem_free(digest);
	return new;
}

void dpop_forget(void)
{
	pthread_mutex_lock(&seen.lock);
	if (seen.ready) {
		forget(&seen.sets[0]);
		forget(&seen.sets[1]);
	}
	seen.ready = false;
	pthread_mutex_unlock(&seen.lock);
}
