#include "identity/idp_fast.h"

#include "base/clock.h"
#include "base/mem.h"
#include "identity/oauth.h"

/* A client that was changed elsewhere is what it was for so long at most. */
#define CLIENT_MS 1000
#define CLIENTS_MAX 1024
#define CLIENT_BYTES ((size_t)256 * 1024)
#define TOKENS 4096 /* a power of two: one token a place */
#define TOKEN_BYTES ((size_t)64 * 1024)

struct kept_client {
	atomic_uint references;
	struct arena arena;
	struct idp_client client;
	struct idp_access access; /* of its own tokens */
	int64_t read_ms; /* clock_ms */
};

struct kept_token {
	atomic_uint references;
	struct arena arena;
	uint8_t digest[DIGEST_BYTES];
	const struct json *claims;
	struct span answer; /* of an introspection */
};

struct idp_memory {
	pthread_mutex_t lock;
	struct map clients; /* id -> struct kept_client */
	struct kept_token *tokens[TOKENS];
};

/* ---- life ---- */

static void client_unref(struct kept_client *kept)
{
	if (!kept || atomic_fetch_sub_explicit(&kept->references, 1, memory_order_acq_rel) != 1)
		return;
	arena_release(&kept->arena);
	mem_free(kept);
}

static void token_unref(struct kept_token *kept)
{
	if (!kept || atomic_fetch_sub_explicit(&kept->references, 1, memory_order_acq_rel) != 1)
		return;
	arena_release(&kept->arena);
	mem_free(kept);
}

struct idp_memory *idp_memory_new(void)
{
	struct idp_memory *memory = mem_zalloc(1, sizeof(*memory));

	if (memory && pthread_mutex_init(&memory->lock, NULL) != 0) {
		mem_free(memory);
		return NULL;
	}
	return memory;
}

static void forget_clients(struct map *clients)
{
	struct kept_client *kept;
	size_t cursor = 0;

	while ((kept = map_next(clients, &cursor, NULL)))
		client_unref(kept);
	map_release(clients);
	*clients = MAP_INIT;
}

void idp_memory_free(struct idp_memory *memory)
{
	if (!memory)
		return;
	forget_clients(&memory->clients);
	for (size_t i = 0; i < TOKENS; i++)
		token_unref(memory->tokens[i]);
	pthread_mutex_destroy(&memory->lock);
	mem_free(memory);
}

/* ---- clients ---- */

void idp_forget_client(struct idp *idp, struct span id)
{
	struct kept_client *old;

	pthread_mutex_lock(&idp->memory->lock);
	old = map_remove(&idp->memory->clients, id);
	pthread_mutex_unlock(&idp->memory->lock);
	client_unref(old);
}

static struct kept_client *new_client(struct idp *idp, const struct idp_client *client)
{
	struct kept_client *kept = mem_zalloc(1, sizeof(*kept));
	struct idp_user own = {.roles = {NULL, 0}};
	struct err err;

	if (!kept)
		return NULL;
	kept->references = 1;
	kept->read_ms = clock_ms();
	arena_init(&kept->arena, CLIENT_BYTES, 4096);
	if (client_copy(&kept->client, client, &kept->arena) == 0) {
		own.roles = kept->client.roles;
		if (user_access(idp, &own, &kept->arena, &kept->access, &err) == STORE_OK)
			return kept;
	}
	client_unref(kept);
	return NULL;
}

static struct kept_client *client_ref(struct idp *idp, struct span id)
{
	struct kept_client *kept;

	pthread_mutex_lock(&idp->memory->lock);
	kept = map_get(&idp->memory->clients, id);
	if (kept && clock_ms() - kept->read_ms <= CLIENT_MS)
		atomic_fetch_add_explicit(&kept->references, 1, memory_order_relaxed);
	else
		kept = NULL;
	pthread_mutex_unlock(&idp->memory->lock);
	return kept;
}

void idp_remember_client(struct idp *idp, const struct idp_client *client)
{
	struct idp_memory *memory = idp->memory;
	struct kept_client *kept, *old;

	/* The others show something that is looked at each time. */
	if (!client->secret.len || client->auth_method.len)
		return;
	kept = client_ref(idp, client->id);
	if (kept) {
		client_unref(kept);
		return;
	}
	kept = new_client(idp, client);
	if (!kept)
		return;
	pthread_mutex_lock(&memory->lock);
	if (memory->clients.live >= CLIENTS_MAX)
		forget_clients(&memory->clients);
	/* The key is the new one's: the old one goes with its own. */
	old = map_remove(&memory->clients, kept->client.id);
	if (map_put(&memory->clients, kept->client.id, kept) == 0)
		kept = NULL;
	pthread_mutex_unlock(&memory->lock);
	client_unref(old);
	client_unref(kept);
}

/* ---- tokens ---- */

static size_t place_of(const uint8_t digest[DIGEST_BYTES])
{
	return ((size_t)digest[0] | (size_t)digest[1] << 8) & (TOKENS - 1);
}

void idp_remember_token(struct idp *idp, struct span token, struct span claims)
{
	struct kept_token *kept = mem_zalloc(1, sizeof(*kept)), *old;
	struct span text;
	struct err err;

	if (!kept)
		return;
	kept->references = 1;
	arena_init(&kept->arena, TOKEN_BYTES, 2048);
	text = arena_dup(&kept->arena, claims);
	if (text.ptr)
		kept->claims = json_parse(&kept->arena, text, NULL, &err);
	if (!kept->claims ||
	    oauth_write_active(kept->claims, &kept->arena, &kept->answer) < 0) {
		token_unref(kept);
		return;
	}
	digest_of(kept->digest, token);
	pthread_mutex_lock(&idp->memory->lock);
	old = idp->memory->tokens[place_of(kept->digest)];
	idp->memory->tokens[place_of(kept->digest)] = kept;
	pthread_mutex_unlock(&idp->memory->lock);
	token_unref(old);
}

static struct kept_token *token_ref(struct idp *idp, struct span token)
{
	uint8_t digest[DIGEST_BYTES];
	struct kept_token *kept;

	digest_of(digest, token);
	pthread_mutex_lock(&idp->memory->lock);
	kept = idp->memory->tokens[place_of(digest)];
	if (kept && memcmp(kept->digest, digest, DIGEST_BYTES) == 0)
		atomic_fetch_add_explicit(&kept->references, 1, memory_order_relaxed);
	else
		kept = NULL;
	pthread_mutex_unlock(&idp->memory->lock);
	return kept;
}

/* ---- requests: only what goes well is answered here, and all else the long way ---- */

static bool issue_now(struct idp_exchange *x, const struct form *form,
		      const struct kept_client *kept)
{
	struct oauth_grant grant = {.client = kept->client.id};

	if (!span_eq(form_get(form, SPAN("grant_type")), SPAN(GRANT_CLIENT)) ||
	    !texts_have(&kept->client.grants, SPAN(GRANT_CLIENT)) || kept->client.dpop ||
	    kept->client.bound_tokens ||
	    !oauth_scopes(x, form_get(form, SPAN("scope")), &kept->client, &grant.scope) ||
	    !oauth_resources(x, form, &kept->client, &grant.resource))
		return false;
	x->own_access = &kept->access;
	oauth_issue(x, &kept->client, &grant, grant.scope);
	x->own_access = NULL;
	return true;
}

static bool introspect_now(struct idp_exchange *x, const struct form *form,
			   const struct kept_client *kept)
{
	struct kept_token *token = token_ref(x->idp, form_get(form, SPAN("token")));
	bool good = token && oauth_are_good(x, token->claims) &&
		    oauth_may_know(&kept->client, token->claims);

	if (good)
		web_json_text(x, 200, arena_dup(x->arena, token->answer));
	token_unref(token);
	return good;
}

static bool has_empty(const struct form *form)
{
	for (size_t i = 0; i < form->count; i++)
		if (!form->pairs[i].value.len)
			return true;
	return false;
}

static bool serve_now(struct idp_exchange *x)
{
	bool issue = span_eq(x->path, SPAN("/identity/token")), done = false;
	struct kept_client *kept;
	struct span id, secret;
	struct form form;

	if (x->method == HTTP_METHOD_GET)
		return web_serve_document(x);
	if (x->method != HTTP_METHOD_POST || x->dpop.len || x->dpop_repeated ||
	    !(issue || span_eq(x->path, SPAN("/identity/introspect"))) ||
	    !span_eq_nocase(x->content_type, SPAN("application/x-www-form-urlencoded")) ||
	    form_parse(x->arena, x->body, &form) != FORM_OK || has_empty(&form) ||
	    form_get(&form, SPAN("client_assertion")).ptr ||
	    !oauth_credentials(x, &form, &id, &secret))
		return false;
	kept = client_ref(x->idp, id);
	if (kept && !kept->client.disabled && oauth_has_secret(&kept->client, secret))
		done = issue ? issue_now(x, &form, kept) : introspect_now(x, &form, kept);
	client_unref(kept);
	return done;
}

bool idp_serve_now(struct idp_exchange *x)
{
	bool done = serve_now(x);

	if (x->unavailable)
		web_unavailable(x, NULL);
	return done;
}
