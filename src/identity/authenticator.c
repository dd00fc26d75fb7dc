#include "identity/authenticator.h"

#include "base/mem.h"
#include "http/fetch.h"
#include "parse/base64.h"
#include "parse/uri.h"

#define ARENA_CAP_BYTES ((size_t)256 * 1024 * 1024)
#define ARENA_CHUNK_BYTES ((size_t)4 * 1024)
#define KEY_FILE_BYTES_MAX ((size_t)1024 * 1024)

static int no_memory(struct err *err)
{
	return err_set(err, ERR_MEMORY, "no memory for the identity settings");
}

struct key_set *authenticator_read_key_file(const struct config_provider *provider,
					    struct err *err)
{
	struct key_set *keys = NULL;
	struct buf text;

	buf_init(&text, KEY_FILE_BYTES_MAX);
	if (config_source_system.read_file(config_source_system.context,
					   provider->jwks_file.ptr, KEY_FILE_BYTES_MAX, &text,
					   err) == 0) {
		keys = key_set_parse(buf_span(&text), provider->algorithms, err);
		if (!keys)
			err_wrap(err, "%s", provider->jwks_file.ptr);
	}
	buf_release(&text);
	return keys;
}

/* --- making one --- */

static int make_tls(struct tls_context **to, struct span url, struct span ca, struct err *err)
{
	struct uri_parts parts;
	struct tls_client_options options = {.min_version = TLS_VERSION_1_2};

	if (!uri_parse_absolute(url, &parts))
		return err_set(err, ERR_INVALID, "\"%.*s\" is not a http or https URL",
			       SPAN_ARG(url));
	if (!span_eq(parts.scheme, SPAN("https")))
		return 0;
	if (ca.len)
		options.ca.path = ca.ptr;
	*to = tls_client_context_new(&options, err);
	return *to ? 0 : -1;
}

/* application/x-www-form-urlencoded, as RFC 6749 section 2.3.1 wants name and secret. */
static void append_form(struct buf *to, struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		    (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '*')
			buf_append_byte(to, (char)c);
		else if (c == ' ')
			buf_append_byte(to, '+');
		else
			buf_printf(to, "%%%02X", c);
	}
}

static int make_introspection_auth(struct provider *provider, struct err *err)
{
	const struct config_introspection *from = provider->config->introspection;
	struct span secret = secret_span(&from->client_secret);
	size_t max = 3 * (from->client_id.len + secret.len) + 1;
	size_t encoded_max = base64_encoded_size(max);
	struct buf pair;
	char *value;
	int failed = -1;

	buf_init(&pair, max);
	value = mem_alloc(encoded_max + 6);
	/* All at once, so that no copy of the secret is left where the buffer was. */
	if (value && buf_reserve(&pair, max) == 0) {
		append_form(&pair, from->client_id);
		buf_append_byte(&pair, ':');
		append_form(&pair, secret);
		memcpy(value, "Basic ", 6);
		failed = secret_set(
			&provider->introspection_auth,
			span_of(value, 6 + base64_encode(value + 6, buf_span(&pair))));
	}
	if (value)
		secret_wipe(value, encoded_max + 6);
	if (pair.ptr)
		secret_wipe(pair.ptr, pair.len);
	buf_release(&pair);
	mem_free(value);
	return failed < 0 ? no_memory(err) : 0;
}

static int provider_init(struct authenticator *a, struct provider *provider,
			 const struct config_provider *config, struct err *err)
{
	provider->config = config;
	if (map_get(&a->by_issuer, config->issuer))
		return err_set(err, ERR_INVALID, "two providers have the issuer \"%.*s\"",
			       SPAN_ARG(config->issuer));
	if (map_put(&a->by_issuer, config->issuer, provider) < 0)
		return no_memory(err);
	if (config->jwks_url.len &&
	    make_tls(&provider->jwks_tls, config->jwks_url, config->jwks_ca, err) < 0)
		return -1;
	if (config->introspection) {
		if (make_tls(&provider->introspection_tls, config->introspection->url,
			     config->introspection->ca, err) < 0 ||
		    make_introspection_auth(provider, err) < 0)
			return -1;
	}
	if (!config->jwks_file.len)
		return 0;
	provider->keys = authenticator_read_key_file(config, err);
	return provider->keys ? 0 : -1;
}

static int make_providers(struct authenticator *a, struct err *err)
{
	size_t count = authenticator_provider_count(a);

	a->providers = arena_array(&a->arena, struct provider, count + 1);
	if (!a->providers)
		return no_memory(err);
	for (size_t i = 0; i < count; i++)
		list_init(&a->providers[i].waiters);
	for (size_t i = 0; i < count; i++) {
		const struct config_provider *config = &a->config->identity.providers.at[i];

		/* An opaque token does not say whose it is, and is nobody else's business. */
		if (config->introspection && a->introspecting)
			return err_set(err, ERR_INVALID,
				       "%s:%u: only one provider can have `introspection`",
				       config->where.file, config->where.line);
		if (config->introspection)
			a->introspecting = &a->providers[i];
		if (provider_init(a, &a->providers[i], config, err) < 0)
			return err_wrap(err, "%s:%u: provider %.*s", config->where.file,
					config->where.line, SPAN_ARG(config->name));
	}
	return 0;
}

static struct identity_private *make_api_key(struct authenticator *a,
					     const struct config_api_key *from)
{
	struct identity_private *p = identity_begin();
	struct identity_draft draft = {
		.kind = IDENTITY_API_KEY,
		.subject = from->client,
		.client = from->client,
		.provider = SPAN(""),
		.issuer = SPAN(""),
		.scopes = from->scopes,
		.roles = from->roles,
		.api_key = from->sha256,
		.expires_unix_s =
			from->expires_unix_s ? (int64_t)from->expires_unix_s : INT64_MAX,
	};

	if (!p)
		return NULL;
	if (identity_finish(p, &draft, a->roles) < 0) {
		identity_discard(p);
		return NULL;
	}
	p->shared = true;
	return p;
}

static int make_api_keys(struct authenticator *a, struct err *err)
{
	const struct config_api_keys *from = a->config->identity.api_keys;

	if (!from)
		return 0;
	a->api_keys = arena_array(&a->arena, struct identity_private *, from->keys.count + 1);
	if (!a->api_keys)
		return no_memory(err);
	for (size_t i = 0; i < from->keys.count; i++) {
		const struct config_api_key *key = &from->keys.at[i];
		struct span digest = span_of(key->sha256, SHA256_BYTES);

		if (map_get(&a->by_api_key, digest))
			return err_set(err, ERR_INVALID, "%s:%u: the same API key twice",
				       key->where.file, key->where.line);
		a->api_keys[i] = make_api_key(a, key);
		if (!a->api_keys[i] || map_put(&a->by_api_key, digest, a->api_keys[i]) < 0)
			return no_memory(err);
	}
	return 0;
}

struct authenticator *authenticator_new(struct config *cfg, struct err *err)
{
	struct authenticator *a = mem_zalloc(1, sizeof(*a));

	if (!a) {
		no_memory(err);
		return NULL;
	}
	atomic_init(&a->references, 1);
	atomic_init(&a->generation, identity_next_serial());
	pthread_mutex_init(&a->lock, NULL);
	arena_init(&a->arena, ARENA_CAP_BYTES, ARENA_CHUNK_BYTES);
	a->config = config_ref(cfg);
	a->roles = role_table_new(cfg, err);
	if (!a->roles || make_providers(a, err) < 0 || make_api_keys(a, err) < 0) {
		authenticator_unref(a);
		return NULL;
	}
	return a;
}

struct authenticator *authenticator_ref(struct authenticator *a)
{
	atomic_fetch_add_explicit(&a->references, 1, memory_order_relaxed);
	return a;
}

static void free_authenticator(struct authenticator *a)
{
	for (size_t i = 0; a->providers && i < authenticator_provider_count(a); i++) {
		struct provider *provider = &a->providers[i];

		key_set_unref(provider->keys);
		tls_context_unref(provider->jwks_tls);
		tls_context_unref(provider->introspection_tls);
		secret_release(&provider->introspection_auth);
	}
	for (size_t i = 0; a->api_keys && i < a->config->identity.api_keys->keys.count; i++)
		identity_discard(a->api_keys[i]);
	map_release(&a->by_issuer);
	map_release(&a->by_api_key);
	role_table_unref(a->roles);
	arena_release(&a->arena);
	pthread_mutex_destroy(&a->lock);
	config_unref(a->config);
	mem_free(a);
}

void authenticator_unref(struct authenticator *a)
{
	if (a && atomic_fetch_sub_explicit(&a->references, 1, memory_order_acq_rel) == 1)
		free_authenticator(a);
}

/* --- key sets --- */

void authenticator_set_keys(struct authenticator *a, struct provider *provider,
			    struct key_set *keys)
{
	struct key_set *old;

	pthread_mutex_lock(&a->lock);
	old = provider->keys;
	if (old && key_set_eq(old, keys)) {
		old = keys;
	} else {
		provider->keys = keys;
		/* Released with the lock held: whoever sees it finds the new set. */
		atomic_store_explicit(&a->generation, identity_next_serial(),
				      memory_order_release);
		atomic_fetch_add_explicit(&a->rotations, 1, memory_order_relaxed);
	}
	pthread_mutex_unlock(&a->lock);
	key_set_unref(old);
}

static bool same_source(const struct config_provider *a, const struct config_provider *b)
{
	return span_eq(a->issuer, b->issuer) && span_eq(a->jwks_url, b->jwks_url) &&
	       span_eq(a->jwks_ca, b->jwks_ca) && a->algorithms == b->algorithms;
}

void authenticator_adopt(struct authenticator *next, struct authenticator *previous)
{
	for (size_t i = 0; i < authenticator_provider_count(next); i++) {
		struct provider *to = &next->providers[i];
		struct provider *from = map_get(&previous->by_issuer, to->config->issuer);
		struct key_set *keys;

		if (!from || !to->config->jwks_url.len ||
		    !same_source(to->config, from->config))
			continue;
		pthread_mutex_lock(&previous->lock);
		keys = from->keys ? key_set_ref(from->keys) : NULL;
		pthread_mutex_unlock(&previous->lock);
		if (keys)
			authenticator_set_keys(next, to, keys);
	}
}

bool authenticator_is_ready(struct authenticator *a)
{
	bool ready = true;

	pthread_mutex_lock(&a->lock);
	for (size_t i = 0; i < authenticator_provider_count(a); i++) {
		const struct provider *provider = &a->providers[i];

		if (provider->config->jwks_url.len && !provider->keys)
			ready = false;
	}
	pthread_mutex_unlock(&a->lock);
	return ready;
}

void authenticator_read_stats(struct authenticator *a, struct authenticator_stats *stats)
{
	*stats = (struct authenticator_stats){
		.refreshes = atomic_load_explicit(&a->refreshes, memory_order_relaxed),
		.refresh_errors =
			atomic_load_explicit(&a->refresh_errors, memory_order_relaxed),
		.unknown_kid_refetches =
			atomic_load_explicit(&a->refetches, memory_order_relaxed),
		.rotations = atomic_load_explicit(&a->rotations, memory_order_relaxed),
	};
}

/* --- a worker's view --- */

void key_view_release(struct key_view *view)
{
	for (size_t i = 0; i < view->count; i++)
		key_set_unref(view->sets[i]);
	mem_free(view->sets);
	*view = (struct key_view){.generation = 0};
}

int key_view_update(struct key_view *view, struct authenticator *a)
{
	size_t count = authenticator_provider_count(a);

	if (view->generation == authenticator_generation(a))
		return 0;
	key_view_release(view);
	view->sets = mem_zalloc(count + 1, sizeof(struct key_set *));
	if (!view->sets)
		return -1;
	pthread_mutex_lock(&a->lock);
	for (size_t i = 0; i < count; i++) {
		if (a->providers[i].keys)
			view->sets[i] = key_set_ref(a->providers[i].keys);
	}
	view->generation = authenticator_generation(a);
	pthread_mutex_unlock(&a->lock);
	view->count = count;
	return 0;
}
