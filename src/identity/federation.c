#include "identity/federation.h"

#include <openssl/sha.h>
#include <pthread.h>

#include "base/clock.h"
#include "base/mem.h"
#include "identity/claims.h"
#include "identity/keys.h"
#include "identity/role_map.h"
#include "io/http_call.h"
#include "parse/base64.h"
#include "parse/jws.h"
#include "parse/uri.h"

#define ENTRIES_MAX 64
#define FRESH_S 600
/* An unknown key: keys may have been rotated, but nobody makes us ask all the time. */
#define REFETCH_S 5
/* What could not be had is not asked for again at once: each question holds a thread. */
#define FAILED_S 2
#define SKEW_S 60
#define ANSWER_MAX ((size_t)256 * 1024)
#define CODE_MAX 4096
#define SUBJECT_MAX 255 /* of ASCII: Core section 2 */
#define ALGORITHMS                                                                             \
	(CONFIG_JWS_RS256 | CONFIG_JWS_PS256 | CONFIG_JWS_ES256 | CONFIG_JWS_ES384 |           \
	 CONFIG_JWS_EDDSA)

/* ---- what is remembered ---- */

struct entry {
	char *key; /* provider and URL */
	char *text; /* NULL: never had */
	size_t len;
	int64_t fetched_ms; /* of clock_ms, as the next */
	int64_t failed_ms; /* 0: has not failed since */
};

struct federation_cache {
	pthread_mutex_t lock;
	struct entry entries[ENTRIES_MAX];
	size_t count;
	size_t next; /* that gives way */
};

struct federation_cache *federation_cache_new(void)
{
	struct federation_cache *cache = mem_zalloc(1, sizeof(*cache));

	if (cache && pthread_mutex_init(&cache->lock, NULL) != 0) {
		mem_free(cache);
		return NULL;
	}
	return cache;
}

void federation_cache_free(struct federation_cache *cache)
{
	if (!cache)
		return;
	for (size_t i = 0; i < cache->count; i++) {
		mem_free(cache->entries[i].key);
		mem_free(cache->entries[i].text);
	}
	pthread_mutex_destroy(&cache->lock);
	mem_free(cache);
}

static struct entry *find_entry(struct federation_cache *cache, struct span key)
{
	for (size_t i = 0; i < cache->count; i++)
		if (span_eq(span_cstr(cache->entries[i].key), key))
			return &cache->entries[i];
	return NULL;
}

enum known { KNOWN_NOT, KNOWN_TEXT, KNOWN_FAILED };

/* A copy of what was fetched in the last so many seconds. */
static enum known recall(struct federation_cache *cache, struct span key, int64_t age_s,
			 struct arena *arena, struct span *text)
{
	enum known known = KNOWN_NOT;
	const struct entry *entry;
	int64_t now_ms = clock_ms();

	pthread_mutex_lock(&cache->lock);
	entry = find_entry(cache, key);
	if (entry && entry->text && now_ms - entry->fetched_ms < age_s * 1000) {
		*text = arena_dup(arena, span_of(entry->text, entry->len));
		known = text->ptr ? KNOWN_TEXT : KNOWN_NOT;
	} else if (entry && entry->failed_ms &&
		   now_ms - entry->failed_ms < (int64_t)FAILED_S * 1000) {
		known = KNOWN_FAILED;
	}
	pthread_mutex_unlock(&cache->lock);
	return known;
}

/* text.ptr NULL: it could not be had now. Without memory nothing is remembered. */
static void remember(struct federation_cache *cache, struct span key, struct span text)
{
	char *key_copy = mem_strdup(key), *text_copy = text.ptr ? mem_strdup(text) : NULL;
	struct entry *entry;

	if (!key_copy || (text.ptr && !text_copy)) {
		mem_free(key_copy);
		mem_free(text_copy);
		return;
	}
	pthread_mutex_lock(&cache->lock);
	entry = find_entry(cache, key);
	if (!entry) {
		entry = cache->count < COUNT_OF(cache->entries)
				? &cache->entries[cache->count++]
				: &cache->entries[cache->next++ % COUNT_OF(cache->entries)];
		mem_free(entry->key);
		mem_free(entry->text);
		*entry = (struct entry){.key = key_copy};
		key_copy = NULL;
	}
	if (text.ptr) {
		mem_free(entry->text);
		entry->text = text_copy;
		entry->len = text.len;
		entry->fetched_ms = clock_ms();
	}
	entry->failed_ms = text.ptr ? 0 : clock_ms();
	pthread_mutex_unlock(&cache->lock);
	mem_free(key_copy);
}

/* ---- calls ---- */

/* One step of a login: all of its calls together take no longer than the timeout. */
struct step {
	struct idp_exchange *x;
	const struct config_federation *provider;
	const struct json *metadata;
	int64_t deadline_ms;
};

static int call_now(const struct step *step, struct http_call *call, struct span *answer,
		    struct err *err)
{
	int64_t left_ms = step->deadline_ms - clock_ms();
	unsigned status = 0;

	call->ca = step->provider->ca;
	call->answer_max = ANSWER_MAX;
	call->timeout_ms = left_ms;
	if (left_ms <= 0)
		return err_set(err, ERR_TIMEOUT, "identity provider %.*s takes too long",
			       SPAN_ARG(step->provider->name));
	if (http_call(call, step->x->arena, &status, answer, err) < 0)
		return err_wrap(err, "identity provider %.*s", SPAN_ARG(step->provider->name));
	if (status != 200)
		return err_set(err, ERR_UNAVAILABLE, "identity provider %.*s: %.*s answers %u",
			       SPAN_ARG(step->provider->name), SPAN_ARG(call->url), status);
	return 0;
}

/* What one provider names does not touch what is known of another. */
static struct span key_of(const struct step *step, struct span url)
{
	return arena_printf(step->x->arena, "%.*s %.*s", SPAN_ARG(step->provider->name),
			    SPAN_ARG(url));
}

static void note(const struct step *step, struct span url, struct span text)
{
	struct span key = key_of(step, url);

	if (key.ptr)
		remember(step->x->idp->federation, key, text);
}

/* *fresh: not from memory; who finds it good, remembers it. */
static int fetch(const struct step *step, struct span url, int64_t age_s, struct span *text,
		 bool *fresh, struct err *err)
{
	struct http_call get = {.url = url};
	struct span key = key_of(step, url);

	*fresh = false;
	if (!key.ptr)
		return err_set(err, ERR_MEMORY, "identity: out of memory");
	switch (recall(step->x->idp->federation, key, age_s, step->x->arena, text)) {
	case KNOWN_TEXT: return 0;
	case KNOWN_FAILED:
		return err_set(err, ERR_UNAVAILABLE, "identity provider %.*s: %.*s has failed",
			       SPAN_ARG(step->provider->name), SPAN_ARG(url));
	case KNOWN_NOT: break;
	}
	if (call_now(step, &get, text, err) < 0) {
		note(step, url, SPAN_NONE);
		return -1;
	}
	*fresh = true;
	return 0;
}

/* What is https for the issuer is so for its endpoints. */
static bool is_endpoint(const struct config_federation *provider, struct span url)
{
	struct uri_parts parts;

	for (size_t i = 0; i < url.len; i++)
		if (url.ptr[i] <= ' ' || url.ptr[i] >= 0x7f || url.ptr[i] == '#')
			return false;
	return url.len && uri_parse_absolute(url, &parts) &&
	       (span_eq_nocase(parts.scheme, SPAN("https")) ||
		span_starts_with(provider->issuer, SPAN("http:")));
}

/* OpenID Connect Discovery section 4.3: the issuer must be the one that was asked for. */
static int check_metadata(const struct config_federation *provider, const struct json *object,
			  struct err *err)
{
	static const char *const endpoints[] = {"authorization_endpoint", "token_endpoint",
						"jwks_uri"};

	if (!json_is(json_get(object, SPAN("issuer")), provider->issuer))
		return err_set(err, ERR_DENIED, "identity provider %.*s is of another issuer",
			       SPAN_ARG(provider->name));
	for (size_t i = 0; i < COUNT_OF(endpoints); i++)
		if (!is_endpoint(provider, json_text(object, endpoints[i])))
			return err_set(err, ERR_DENIED,
				       "identity provider %.*s: its %s cannot be used",
				       SPAN_ARG(provider->name), endpoints[i]);
	return 0;
}

static int step_begin(struct step *step, struct idp_exchange *x,
		      const struct config_federation *provider, struct err *err)
{
	bool slash = span_ends_with(provider->issuer, SPAN("/")), fresh;
	struct span url =
		arena_printf(x->arena, "%.*s/.well-known/openid-configuration",
			     (int)(provider->issuer.len - slash), provider->issuer.ptr);
	struct span text;

	*step = (struct step){.x = x,
			      .provider = provider,
			      .deadline_ms = clock_ms() + (int64_t)provider->timeout_ms};
	if (!url.ptr)
		return err_set(err, ERR_MEMORY, "identity: out of memory");
	if (fetch(step, url, FRESH_S, &text, &fresh, err) < 0)
		return -1;
	step->metadata = json_parse(x->arena, text, NULL, err);
	if (!step->metadata || check_metadata(provider, step->metadata, err) < 0) {
		note(step, url, SPAN_NONE);
		return err_wrap(err, "what identity provider %.*s says of itself",
				SPAN_ARG(provider->name));
	}
	if (fresh)
		note(step, url, text);
	return 0;
}

static struct span redirect_uri(struct idp_exchange *x,
				const struct config_federation *provider)
{
	return arena_printf(x->arena, "%.*s" IDP_FEDERATION_PATH "%.*s/callback",
			    SPAN_ARG(x->config->identity.issuer), SPAN_ARG(provider->name));
}

/* ---- there ---- */

int federation_begin(struct idp_exchange *x, const struct config_federation *provider,
		     struct federation_state *state, struct span *url, struct err *err)
{
	struct span endpoint, redirect = redirect_uri(x, provider);
	struct span scope = texts_join(&provider->scopes, ' ', x->arena);
	unsigned char digest[SHA256_DIGEST_LENGTH];
	char challenge[64];
	struct step step;
	struct buf to;

	if (step_begin(&step, x, provider, err) < 0)
		return -1;
	state->state = idp_new_secret(x->arena);
	state->nonce = idp_new_secret(x->arena);
	state->verifier = idp_new_secret(x->arena);
	if (!state->state.ptr || !state->nonce.ptr || !state->verifier.ptr || !redirect.ptr ||
	    !scope.ptr)
		return err_set(err, ERR_MEMORY, "identity: out of memory");
	SHA256((const unsigned char *)state->verifier.ptr, state->verifier.len, digest);
	endpoint = json_text(step.metadata, "authorization_endpoint");
	buf_init(&to, 16384);
	buf_append(&to, endpoint);
	if (span_find_byte(endpoint, '?') == endpoint.len)
		buf_append_byte(&to, '?');
	form_append(&to, SPAN("response_type"), SPAN("code"));
	form_append(&to, SPAN("client_id"), provider->client_id);
	form_append(&to, SPAN("redirect_uri"), redirect);
	form_append(&to, SPAN("scope"), scope);
	form_append(&to, SPAN("state"), state->state);
	form_append(&to, SPAN("nonce"), state->nonce);
	form_append(&to, SPAN("code_challenge"),
		    span_of(challenge,
			    base64url_encode(challenge, span_of(digest, sizeof(digest)))));
	form_append(&to, SPAN("code_challenge_method"), SPAN("S256"));
	/* With max_age the provider must say when the login was (Core section 3.1.2.1). */
	if (state->again) {
		form_append(&to, SPAN("prompt"), SPAN("login"));
		form_append(&to, SPAN("max_age"), SPAN("0"));
	}
	*url = buf_failed(&to) ? SPAN_NONE : arena_dup(x->arena, buf_span(&to));
	buf_release(&to);
	return url->ptr ? 0 : err_set(err, ERR_MEMORY, "identity: out of memory");
}

/* ---- and back ---- */

static bool says(const struct json *claim, struct span value)
{
	if (json_is(claim, value))
		return true;
	for (size_t i = 0; claim && claim->type == JSON_ARRAY && i < claim->array.count; i++)
		if (json_is(&claim->array.items[i], value))
			return true;
	return false;
}

/* RFC 6749 section 2.3.1: both are encoded as in a form, then as Basic wants. */
static struct span basic(struct idp_exchange *x, const struct config_federation *provider)
{
	struct span header = SPAN_NONE;
	struct buf pair;
	char *encoded;

	buf_init(&pair, 8192);
	form_append_escaped(&pair, provider->client_id);
	buf_append_byte(&pair, ':');
	form_append_escaped(&pair, secret_span(&provider->client_secret));
	encoded = buf_failed(&pair) ? NULL
				    : arena_alloc(x->arena, base64_encoded_size(pair.len) + 1);
	if (encoded)
		header = arena_printf(x->arena, "Authorization: Basic %.*s",
				      (int)base64_encode(encoded, buf_span(&pair)), encoded);
	if (pair.ptr)
		secret_wipe(pair.ptr, pair.len);
	buf_release(&pair);
	return header;
}

static const struct json *redeem(const struct step *step, struct span code,
				 const struct federation_state *state, struct err *err)
{
	const struct config_federation *provider = step->provider;
	const struct json *methods =
		json_get(step->metadata, SPAN("token_endpoint_auth_methods_supported"));
	bool in_body = says(methods, SPAN("client_secret_post")) &&
		       !says(methods, SPAN("client_secret_basic"));
	struct http_call post = {.url = json_text(step->metadata, "token_endpoint"),
				 .post = true};
	struct span text;
	struct buf body;

	post.headers[post.header_count++] =
		SPAN("Content-Type: application/x-www-form-urlencoded");
	post.headers[post.header_count++] = SPAN("Accept: application/json");
	buf_init(&body, 32768);
	form_append(&body, SPAN("grant_type"), SPAN("authorization_code"));
	form_append(&body, SPAN("code"), code);
	form_append(&body, SPAN("redirect_uri"), redirect_uri(step->x, provider));
	form_append(&body, SPAN("code_verifier"), state->verifier);
	if (!provider->client_secret.len || in_body)
		form_append(&body, SPAN("client_id"), provider->client_id);
	if (provider->client_secret.len && in_body)
		form_append(&body, SPAN("client_secret"),
			    secret_span(&provider->client_secret));
	else if (provider->client_secret.len)
		post.headers[post.header_count++] = basic(step->x, provider);
	post.body = buf_failed(&body) ? SPAN_NONE : arena_dup(step->x->arena, buf_span(&body));
	if (body.ptr)
		secret_wipe(body.ptr, body.len);
	buf_release(&body);
	if (!post.body.ptr || !post.headers[post.header_count - 1].ptr) {
		(void)idp_no_memory(err);
		return NULL;
	}
	if (call_now(step, &post, &text, err) < 0)
		return NULL;
	return json_parse(step->x->arena, text, NULL, err);
}

static int verify_with(const struct step *step, const struct jws *jws, int64_t age_s,
		       enum jws_result *result, struct err *err)
{
	const struct jws_policy policy = {.algorithms = ALGORITHMS, .typ = JWS_TYP_JWT};
	struct span url = json_text(step->metadata, "jwks_uri"), text;
	struct jws_context *context;
	struct key_set *keys;
	bool fresh;

	if (fetch(step, url, age_s, &text, &fresh, err) < 0)
		return -1;
	keys = key_set_parse(text, ALGORITHMS, err);
	if (!keys) {
		note(step, url, SPAN_NONE);
		return -1;
	}
	if (fresh)
		note(step, url, text);
	context = jws_context_new(err);
	if (context)
		*result = jws_verify(context, jws, key_set_keys(keys), &policy);
	jws_context_free(context);
	key_set_unref(keys);
	return context ? 0 : -1;
}

static bool is_subject(struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] < ' ' || text.ptr[i] >= 0x7f)
			return false;
	return text.len > 0 && text.len <= SUBJECT_MAX;
}

/* OpenID Connect Core section 3.1.3.7. */
static const char *claims_problem(const struct step *step, const struct json *claims,
				  const struct federation_state *state)
{
	const struct config_federation *provider = step->provider;
	const struct json *audience = json_get(claims, SPAN("aud"));
	const struct json *party = json_get(claims, SPAN("azp"));
	int64_t now = clock_unix_s(), expires, issued, authenticated;

	if (!json_is(json_get(claims, SPAN("iss")), provider->issuer))
		return "issuer";
	if (!says(audience, provider->client_id))
		return "audience";
	if (party ? !json_is(party, provider->client_id)
		  : audience->type == JSON_ARRAY && audience->array.count > 1)
		return "authorized party";
	if (!claim_date(json_get(claims, SPAN("exp")), &expires) || expires <= now - SKEW_S)
		return "expiry";
	if (!claim_date(json_get(claims, SPAN("iat")), &issued) || issued > now + SKEW_S)
		return "time of issue";
	if (!secret_eq(json_text(claims, "nonce"), state->nonce))
		return "nonce";
	if (!is_subject(json_text(claims, "sub")))
		return "subject";
	if (!state->again)
		return NULL;
	/* Browsers can take out of the request what asks for it: who can tell must have told. */
	if (!claim_date(json_get(claims, SPAN("auth_time")), &authenticated))
		return says(json_get(step->metadata, SPAN("claims_supported")),
			    SPAN("auth_time"))
			       ? "time of login"
			       : NULL;
	return authenticated < state->begun_unix_s - SKEW_S ? "time of login" : NULL;
}

static const struct json *check_id_token(const struct step *step, struct span token,
					 const struct federation_state *state, struct err *err)
{
	struct arena *arena = step->x->arena;
	const struct json *claims;
	enum jws_result result;
	const char *problem;
	struct jws jws;

	result = jws_parse(arena, token, &jws);
	if (result == JWS_OK && verify_with(step, &jws, FRESH_S, &result, err) < 0)
		return NULL;
	/* The provider may have new keys. */
	if ((result == JWS_UNKNOWN_KEY || (result == JWS_BAD_SIGNATURE && !jws.kid.ptr)) &&
	    verify_with(step, &jws, REFETCH_S, &result, err) < 0)
		return NULL;
	if (result != JWS_OK) {
		(void)err_set(err, ERR_DENIED, "identity provider %.*s: ID token: %s",
			      SPAN_ARG(step->provider->name), jws_result_name(result));
		return NULL;
	}
	claims = json_parse(arena, jws.payload, NULL, err);
	problem = claims ? claims_problem(step, claims, state) : "payload";
	if (!problem)
		return claims;
	(void)err_set(err, ERR_DENIED, "identity provider %.*s: ID token with a wrong %s",
		      SPAN_ARG(step->provider->name), problem);
	return NULL;
}

static void take_person(struct federation_user *user, const struct json *object)
{
	user->email = json_text(object, "email");
	user->email_verified = user->email.len && json_flag(object, "email_verified");
	if (!user->name.len)
		user->name = json_text(object, "name");
	if (!user->username.len)
		user->username = json_text(object, "preferred_username");
}

/* What the ID token does not say; of the same subject (Core section 5.3.2). */
static int ask_userinfo(const struct step *step, struct span token,
			struct federation_user *user, struct err *err)
{
	struct http_call get = {.url = json_text(step->metadata, "userinfo_endpoint")};
	const struct json *object;
	struct span text;

	if (!token.len || !is_endpoint(step->provider, get.url))
		return 0;
	get.headers[get.header_count] =
		arena_printf(step->x->arena, "Authorization: Bearer %.*s", SPAN_ARG(token));
	if (!get.headers[get.header_count++].ptr)
		return err_set(err, ERR_MEMORY, "identity: out of memory");
	if (call_now(step, &get, &text, err) < 0)
		return -1;
	object = json_parse(step->x->arena, text, NULL, err);
	if (!object)
		return -1;
	if (!json_is(json_get(object, SPAN("sub")), user->subject))
		return err_set(err, ERR_DENIED, "identity provider %.*s: userinfo of another",
			       SPAN_ARG(step->provider->name));
	take_person(user, object);
	return 0;
}

/* RFC 9207 section 2.4: who answers must be who was asked. */
static bool is_mixed_up(const struct step *step, const struct form *query)
{
	struct span iss = form_get(query, SPAN("iss"));

	if (iss.ptr)
		return !span_eq(iss, step->provider->issuer);
	return json_flag(step->metadata, "authorization_response_iss_parameter_supported");
}

int federation_end(struct idp_exchange *x, const struct config_federation *provider,
		   const struct federation_state *state, const struct form *query,
		   struct federation_user *user, struct err *err)
{
	struct span code = form_get(query, SPAN("code"));
	const struct json *answer, *claims;
	struct step step;

	if (step_begin(&step, x, provider, err) < 0)
		return -1;
	if (query->repeated.ptr)
		return err_set(err, ERR_DENIED, "identity provider %.*s: a repeated parameter",
			       SPAN_ARG(provider->name));
	if (is_mixed_up(&step, query))
		return err_set(err, ERR_DENIED, "identity provider %.*s: another has answered",
			       SPAN_ARG(provider->name));
	if (form_get(query, SPAN("error")).ptr || !code.len || code.len > CODE_MAX)
		return err_set(err, ERR_DENIED, "identity provider %.*s: no code",
			       SPAN_ARG(provider->name));
	answer = redeem(&step, code, state, err);
	if (!answer)
		return -1;
	claims = check_id_token(&step, json_text(answer, "id_token"), state, err);
	if (!claims)
		return -1;
	*user = (struct federation_user){.subject = json_text(claims, "sub"), .claims = claims};
	take_person(user, claims);
	if (user->email.len)
		return 0;
	return ask_userinfo(&step, json_text(answer, "access_token"), user, err);
}

/* ---- roles ---- */

static bool claim_says(const void *context, struct span value)
{
	return says(context, value);
}

int federation_map_roles(const struct config_federation *provider,
			 const struct federation_user *from, struct config_strings *roles,
			 bool *changed, struct arena *arena)
{
	return role_map_apply(provider->role_map.at, provider->role_map.count, claim_says,
			      claim_at(from->claims, &provider->roles_claim), roles, changed,
			      arena);
}
