#include "identity/pass.h"

#include <openssl/evp.h>

#include "base/mem.h"
#include "identity/internal.h"
#include "parse/jws.h"

#define KEY_FILE_BYTES_MAX ((size_t)64 * 1024)
#define TOKEN_BYTES_MAX ((size_t)64 * 1024)
#define CLAIMS_BYTES_MAX ((size_t)32 * 1024)
/* A token that is accepted within the clock skew after its end is passed on for so long. */
#define LIFETIME_MIN_S 10

/* --- fields that clients must not send --- */

struct identity_strip {
	uint64_t lengths; /* a bit (1 << len % 64) for each name */
	size_t count;
	struct span names[];
};

static void add_name(struct identity_strip *strip, struct span name)
{
	if (!name.len || span_eq(name, SPAN("authorization")))
		return;
	for (size_t i = 0; i < strip->count; i++) {
		if (span_eq(strip->names[i], name))
			return;
	}
	strip->names[strip->count++] = name;
	strip->lengths |= 1ULL << (name.len & 63);
}

/* With these a client would have the service do other than what it was let in for. */
static const struct span overrides[] = {
	SPAN_INIT("x-original-url"),	SPAN_INIT("x-rewrite-url"),
	SPAN_INIT("x-http-method"),	SPAN_INIT("x-http-method-override"),
	SPAN_INIT("x-method-override"),
};

struct identity_strip *identity_strip_new(const struct config *cfg, struct err *err)
{
	struct span request_id = cfg->forwarded.request_id_header;
	size_t max = cfg->services.count * 5 + COUNT_OF(overrides) + 1;
	struct identity_strip *strip =
		mem_zalloc(1, sizeof(*strip) + max * sizeof(struct span));

	if (!strip) {
		err_set(err, ERR_MEMORY, "no memory for field names");
		return NULL;
	}
	for (size_t i = 0; i < cfg->services.count; i++) {
		const struct config_service_identity *s = &cfg->services.at[i].identity;

		/* Also those of modes that are off: a name that some service may trust. */
		add_name(strip, s->headers.subject);
		add_name(strip, s->headers.client);
		add_name(strip, s->headers.roles);
		add_name(strip, s->headers.scopes);
		add_name(strip, s->jwt.header);
	}
	for (size_t i = 0; i < COUNT_OF(overrides); i++)
		add_name(strip, overrides[i]);
	/* Its usual name is known to those who drop fields. */
	if (http_field_lookup(request_id) != HTTP_FIELD_X_REQUEST_ID)
		add_name(strip, request_id);
	return strip;
}

void identity_strip_free(struct identity_strip *strip)
{
	mem_free(strip);
}

/*
 * In these, proxies and content delivery networks tell the client's address, host or certificate. By
 * first letters, as most fields of a request begin with another one.
 */
static const struct span told_c[] = {
	SPAN_INIT("cf-connecting-ip"),	SPAN_INIT("cf-connecting-ipv6"),
	SPAN_INIT("cf-pseudo-ipv4"),	SPAN_INIT("client-cert"),
	SPAN_INIT("client-cert-chain"), SPAN_INIT("client-ip"),
};
static const struct span told_f[] = {SPAN_INIT("fastly-client-ip"), SPAN_INIT("forwarded-for")};
static const struct span told_s_prefixes[] = {SPAN_INIT("ssl-client-")};
static const struct span told_t[] = {SPAN_INIT("true-client-ip")};
static const struct span told_x[] = {
	SPAN_INIT("x-appengine-user-ip"),
	SPAN_INIT("x-arr-clientcert"),
	SPAN_INIT("x-azure-clientip"),
	SPAN_INIT("x-azure-socketip"),
	SPAN_INIT("x-client-cert"),
	SPAN_INIT("x-client-ip"),
	SPAN_INIT("x-cluster-client-ip"),
	SPAN_INIT("x-envoy-external-address"),
	SPAN_INIT("x-forwarded"),
	SPAN_INIT("x-host"),
	SPAN_INIT("x-original-forwarded-for"),
	SPAN_INIT("x-original-host"),
	SPAN_INIT("x-originating-ip"),
	SPAN_INIT("x-proxyuser-ip"),
	SPAN_INIT("x-remote-addr"),
	SPAN_INIT("x-remote-ip"),
};
static const struct span told_x_prefixes[] = {
	SPAN_INIT("x-amzn-mtls-clientcert"),
	SPAN_INIT("x-forwarded-"),
	SPAN_INIT("x-ssl-client-"),
};

static bool is_one_of(struct span name, const struct span *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (http_field_names_alike(names[i], name))
			return true;
	return false;
}

static bool begins_with_one_of(struct span name, const struct span *prefixes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct span start = span_slice(name, 0, prefixes[i].len);

		if (name.len > start.len && http_field_names_alike(prefixes[i], start))
			return true;
	}
	return false;
}

bool identity_strip_is_forwarded(struct span name)
{
	switch (ascii_lower(name.ptr[0])) {
	case 'c': return is_one_of(name, told_c, COUNT_OF(told_c));
	case 'f': return is_one_of(name, told_f, COUNT_OF(told_f));
	case 's': return begins_with_one_of(name, told_s_prefixes, COUNT_OF(told_s_prefixes));
	case 't': return is_one_of(name, told_t, COUNT_OF(told_t));
	case 'x':
		return begins_with_one_of(name, told_x_prefixes, COUNT_OF(told_x_prefixes)) ||
		       is_one_of(name, told_x, COUNT_OF(told_x));
	default: return false;
	}
}

HOT bool identity_strip_has(const struct identity_strip *strip, const struct http_field *field)
{
	if (!(strip->lengths >> (field->name.len & 63) & 1))
		return false;
	for (size_t i = 0; i < strip->count; i++) {
		if (http_field_names_alike(strip->names[i], field->name))
			return true;
	}
	return false;
}

/* --- what a service gets --- */

struct identity_pass {
	const struct config_service *service;
	struct span api_key_name; /* empty: no API keys */
	/* For CONFIG_PASS_IDENTITY_JWT: */
	struct jws_signer signer;
	char thumbprint[JWK_THUMBPRINT_CHARS]; /* the kid, unless one is configured */
	uint64_t signer_serial;
	enum http_field_id jwt_id;
	bool drop_authorization;
	bool drop_api_key;
};

static EVP_PKEY *read_key(const char *path, struct err *err)
{
	EVP_PKEY *key = NULL;
	struct buf pem;

	buf_init(&pem, KEY_FILE_BYTES_MAX);
	/* In one piece, so that no copy is left where the buffer was. */
	if (buf_reserve(&pem, KEY_FILE_BYTES_MAX) < 0) {
		err_set(err, ERR_MEMORY, "no memory for a key");
	} else if (config_source_system.read_file(config_source_system.context, path,
						  KEY_FILE_BYTES_MAX, &pem, err) == 0) {
		key = jwk_private_from_pem(buf_span(&pem), err);
		if (!key)
			err_wrap(err, "%s", path);
	}
	if (pem.ptr)
		secret_wipe(pem.ptr, pem.len);
	buf_release(&pem);
	return key;
}

static int make_signer(struct identity_pass *pass, const struct config_pass_jwt *from,
		       struct err *err)
{
	struct jws_signer *signer = &pass->signer;

	if (!from->key.len)
		return err_set(err, ERR_INVALID, "no key to sign with is given");
	signer->key = read_key(from->key.ptr, err);
	if (!signer->key)
		return -1;
	signer->algorithm = from->algorithm ? from->algorithm & jwk_algorithms(signer->key)
					    : jwk_default_algorithm(signer->key);
	if (!signer->algorithm)
		return err_set(err, ERR_INVALID, "%s: the key cannot do %s", from->key.ptr,
			       config_jws_name(from->algorithm));
	signer->typ = SPAN("JWT");
	signer->kid = from->key_id;
	if (!signer->kid.len) {
		if (jwk_thumbprint(signer->key, pass->thumbprint, err) < 0)
			return -1;
		signer->kid = span_of(pass->thumbprint, JWK_THUMBPRINT_CHARS);
	}
	pass->signer_serial = identity_next_serial();
	return 0;
}

struct identity_pass *identity_pass_new(const struct config *cfg,
					const struct config_service *service, struct err *err)
{
	const struct config_service_identity *from = &service->identity;
	struct identity_pass *pass = mem_zalloc(1, sizeof(*pass));

	if (!pass) {
		err_set(err, ERR_MEMORY, "no memory for a service's identity");
		return NULL;
	}
	pass->service = service;
	if (cfg->identity.api_keys)
		pass->api_key_name = cfg->identity.api_keys->header;
	pass->drop_authorization = !from->forward_authorization;
	pass->drop_api_key = !from->forward_authorization;
	if (from->as != CONFIG_PASS_IDENTITY_JWT)
		return pass;
	pass->jwt_id = http_field_lookup(from->jwt.header);
	/* Ours takes the client's place. */
	if (pass->jwt_id == HTTP_FIELD_AUTHORIZATION)
		pass->drop_authorization = true;
	if (make_signer(pass, &from->jwt, err) < 0) {
		err_wrap(err, "%s:%u: service %.*s", from->where.file ? from->where.file : "",
			 from->where.line, SPAN_ARG(service->name));
		identity_pass_free(pass);
		return NULL;
	}
	return pass;
}

void identity_pass_free(struct identity_pass *pass)
{
	if (!pass)
		return;
	EVP_PKEY_free(pass->signer.key);
	mem_free(pass);
}

HOT bool identity_pass_drops(const struct identity_pass *pass, const struct http_field *field)
{
	if (field->id == HTTP_FIELD_AUTHORIZATION)
		return pass->drop_authorization;
	return pass->drop_api_key && pass->api_key_name.len &&
	       http_field_names_alike(pass->api_key_name, field->name);
}

/*
 * What a service splits or trims must come out as it went in: nothing that ends a field, no white
 * space around a value, no separator in an element.
 */
static bool is_passable(struct span value, char separator)
{
	return http_is_field_value(value) && span_trim(value).len == value.len &&
	       (!separator || span_find_byte(value, separator) == value.len);
}

static struct span join(const struct span *at, size_t count, char separator,
			struct arena *arena, struct err *err)
{
	size_t size = 1;
	char *to;
	size_t len = 0;

	for (size_t i = 0; i < count; i++)
		size += at[i].len + 1;
	to = arena_alloc(arena, size);
	if (!to) {
		err_set(err, ERR_MEMORY, "no memory for an identity's fields");
		return SPAN_NONE;
	}
	for (size_t i = 0; i < count; i++) {
		if (!is_passable(at[i], separator)) {
			err_set(err, ERR_INVALID,
				"a role or scope of the identity cannot be put in a field");
			return SPAN_NONE;
		}
		if (i)
			to[len++] = separator;
		memcpy(to + len, at[i].ptr, at[i].len);
		len += at[i].len;
	}
	return span_of(to, len);
}

struct adding {
	struct http_field *fields;
	size_t count;
};

static void add_field(struct adding *adding, struct span name, struct span value)
{
	if (!name.len || !value.len)
		return;
	adding->fields[adding->count++] = (struct http_field){name, value, HTTP_FIELD_OTHER};
}

static int add_plain(const struct config_pass_headers *names, const struct identity *identity,
		     struct arena *arena, struct adding *adding, struct err *err)
{
	struct span roles = SPAN("");
	struct span scopes = SPAN("");

	if (!is_passable(identity->subject, 0) || !is_passable(identity->client, 0))
		return err_set(err, ERR_INVALID,
			       "the identity's name cannot be put in a field");
	if (names->roles.len)
		roles = join(identity->roles, identity->role_count, ',', arena, err);
	if (names->scopes.len && roles.ptr)
		scopes = join(identity->scopes, identity->scope_count, ' ', arena, err);
	if (!roles.ptr || !scopes.ptr)
		return -1;
	add_field(adding, names->subject, identity->subject);
	add_field(adding, names->client, identity->client);
	add_field(adding, names->roles, roles);
	add_field(adding, names->scopes, scopes);
	return 0;
}

static void append_member(struct buf *to, const char *name, struct span value)
{
	if (!value.len)
		return;
	buf_printf(to, ",\"%s\":\"", name);
	buf_append_json(to, value);
	buf_append_byte(to, '"');
}

static void append_claims(struct buf *to, const struct identity_pass *pass,
			  const struct identity *identity, int64_t now, int64_t lifetime_s)
{
	const struct config_pass_jwt *jwt = &pass->service->identity.jwt;

	buf_printf(to, "{\"iat\":%lld,\"exp\":%lld", (long long)now,
		   (long long)(now + lifetime_s));
	append_member(to, "iss", jwt->issuer);
	append_member(to, "aud", jwt->audience.len ? jwt->audience : pass->service->name);
	append_member(to, "sub", identity->subject);
	append_member(to, "client_id", identity->client);
	append_member(to, "provider", identity->provider);
	buf_append_cstr(to, ",\"scope\":\"");
	for (size_t i = 0; i < identity->scope_count; i++) {
		if (i)
			buf_append_byte(to, ' ');
		buf_append_json(to, identity->scopes[i]);
	}
	buf_append_cstr(to, "\",\"roles\":[");
	for (size_t i = 0; i < identity->role_count; i++) {
		buf_append_cstr(to, i ? ",\"" : "\"");
		buf_append_json(to, identity->roles[i]);
		buf_append_byte(to, '"');
	}
	buf_append_cstr(to, "]}");
}

static int64_t lifetime_of(const struct identity_pass *pass, const struct identity *identity,
			   int64_t now)
{
	int64_t lifetime_s = (int64_t)(pass->service->identity.jwt.ttl_ms / 1000);
	int64_t left_s = identity->expires_unix_s == INT64_MAX ? INT64_MAX
							       : identity->expires_unix_s - now;

	if (lifetime_s > left_s)
		lifetime_s = left_s;
	return lifetime_s > LIFETIME_MIN_S ? lifetime_s : LIFETIME_MIN_S;
}

/* Makes and keeps a token; *to is in the arena. */
static int make_token(const struct identity_pass *pass, struct auth_worker *worker,
		      const struct identity *identity, int64_t now, struct arena *arena,
		      struct span *to, struct err *err)
{
	int64_t lifetime_s = lifetime_of(pass, identity, now);
	struct buf claims;
	struct buf token;
	int failed = -1;

	buf_init(&claims, CLAIMS_BYTES_MAX);
	buf_init(&token, TOKEN_BYTES_MAX);
	append_claims(&claims, pass, identity, now, lifetime_s);
	if (buf_failed(&claims))
		err_set(err, ERR_LIMIT, "the identity is too large for a token");
	else
		failed = jws_sign(auth_worker_jws(worker), &pass->signer, buf_span(&claims),
				  &token, err);
	if (failed == 0) {
		*to = arena_dup(arena, buf_span(&token));
		if (!to->ptr)
			failed = err_set(err, ERR_MEMORY, "no memory for a token");
		auth_worker_passed_put(worker, identity->serial, pass->signer_serial,
				       buf_span(&token), now + lifetime_s / 2);
	}
	buf_release(&token);
	buf_release(&claims);
	return failed;
}

static int add_token(const struct identity_pass *pass, struct auth_worker *worker,
		     const struct identity *identity, struct arena *arena,
		     struct adding *adding, struct err *err)
{
	bool bearer = pass->jwt_id == HTTP_FIELD_AUTHORIZATION;
	int64_t now = auth_worker_now_unix_s(worker);
	struct span token =
		auth_worker_passed_get(worker, identity->serial, pass->signer_serial, now);
	char *value;

	if (!token.ptr && make_token(pass, worker, identity, now, arena, &token, err) < 0)
		return -1;
	/* A copy in any case: the cache may let go of it while the request is being sent. */
	value = arena_alloc(arena, token.len + 8);
	if (!value)
		return err_set(err, ERR_MEMORY, "no memory for a token");
	if (bearer)
		memcpy(value, "Bearer ", 7);
	memcpy(value + (bearer ? 7 : 0), token.ptr, token.len);
	add_field(adding, pass->service->identity.jwt.header,
		  span_of(value, token.len + (bearer ? 7 : 0)));
	adding->fields[adding->count - 1].id = pass->jwt_id;
	return 0;
}

HOT int identity_pass_fields(const struct identity_pass *pass, struct auth_worker *worker,
			     const struct identity *identity, struct arena *arena,
			     struct http_field fields[IDENTITY_PASS_FIELDS_MAX], size_t *count,
			     struct err *err)
{
	const struct config_service_identity *config = &pass->service->identity;
	struct adding adding = {.fields = fields};
	int failed = 0;

	*count = 0;
	if (identity->kind == IDENTITY_ANONYMOUS)
		return 0;
	switch (config->as) {
	case CONFIG_PASS_IDENTITY_NONE: break;
	case CONFIG_PASS_IDENTITY_HEADERS:
		failed = add_plain(&config->headers, identity, arena, &adding, err);
		break;
	case CONFIG_PASS_IDENTITY_JWT:
		failed = add_token(pass, worker, identity, arena, &adding, err);
		break;
	}
	*count = failed ? 0 : adding.count;
	return failed;
}
