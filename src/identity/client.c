/* OAuth clients, as RFC 7591 names their properties. */
#include "base/clock.h"
#include "identity/idp_fast.h"
#include "identity/idp_internal.h"
#include "parse/jwk.h"
#include "parse/uri.h"

#define RECORD_BYTES ((size_t)64 * 1024)
#define JWKS_BYTES_MAX ((size_t)32 * 1024)
#define EXCHANGE "urn:ietf:params:oauth:grant-type:token-exchange"

static const char *const known_grants[] = {
	"authorization_code",
	"refresh_token",
	"client_credentials",
	"urn:ietf:params:oauth:grant-type:device_code",
	"urn:ietf:params:oauth:grant-type:token-exchange",
	"password",
	"implicit",
};

static bool is_known_grant(struct span grant)
{
	for (size_t i = 0; i < COUNT_OF(known_grants); i++)
		if (span_eq(grant, span_cstr(known_grants[i])))
			return true;
	return false;
}

/* RFC 6749 section 3.3. */
static bool is_scope(struct span scope)
{
	for (size_t i = 0; i < scope.len; i++)
		if (scope.ptr[i] < 0x21 || scope.ptr[i] > 0x7e || scope.ptr[i] == '"' ||
		    scope.ptr[i] == '\\')
			return false;
	return scope.len > 0 && scope.len <= 256;
}

/* scheme ":" with a dot in it, as RFC 8252 section 7.1 wants for apps. */
static bool is_app_uri(struct span uri)
{
	size_t colon = span_find_byte(uri, ':');
	struct span scheme = span_slice(uri, 0, colon);

	if (colon == uri.len || span_find_byte(scheme, '.') == scheme.len)
		return false;
	for (size_t i = 0; i < scheme.len; i++) {
		char c = ascii_lower(scheme.ptr[i]);

		if (!((c >= 'a' && c <= 'z') ||
		      (i && ((c >= '0' && c <= '9') || c == '.' || c == '-' || c == '+'))))
			return false;
	}
	return true;
}

/* Absolute, without fragment (RFC 6749 section 3.1.2); https, or http of this machine only. */
static bool is_redirect(struct span uri)
{
	struct uri_parts parts;

	for (size_t i = 0; i < uri.len; i++)
		if (uri.ptr[i] <= ' ' || uri.ptr[i] >= 0x7f || uri.ptr[i] == '#' ||
		    uri.ptr[i] == '\\' || uri.ptr[i] == '"')
			return false;
	if (uri.len > 2000 || span_find(uri, SPAN("@")) < uri.len)
		return false;
	if (!uri_parse_absolute(uri, &parts))
		return is_app_uri(uri);
	return span_eq(parts.scheme, SPAN("https")) || span_eq(parts.host, SPAN("127.0.0.1")) ||
	       span_eq(parts.host, SPAN("::1")) || span_eq(parts.host, SPAN("localhost"));
}

/* What comes after the authority of a URI of this machine; ptr NULL: it is of another. */
static struct span behind_loopback(struct span uri, struct span *host)
{
	struct span rest = span_slice(uri, SPAN("http://").len, uri.len);
	struct uri_parts parts;

	if (!is_redirect(uri) || !uri_parse_absolute(uri, &parts) ||
	    !span_eq(parts.scheme, SPAN("http")) ||
	    !(span_eq(parts.host, SPAN("127.0.0.1")) || span_eq(parts.host, SPAN("::1"))))
		return SPAN_NONE;
	*host = parts.host;
	for (size_t i = 0; i < rest.len; i++)
		if (rest.ptr[i] == '/' || rest.ptr[i] == '?')
			return span_slice(rest, i, rest.len);
	return SPAN("");
}

bool client_may_send_to(const struct idp_client *client, struct span uri)
{
	struct span host, rest = SPAN_NONE;

	if (texts_have(&client->redirects, uri))
		return true;
	if (!client_is_confidential(client))
		rest = behind_loopback(uri, &host);
	for (size_t i = 0; rest.ptr && i < client->redirects.count; i++) {
		struct span own_host, own = behind_loopback(client->redirects.at[i], &own_host);

		if (own.ptr && span_eq(own, rest) && span_eq(own_host, host))
			return true;
	}
	return false;
}

/* Where the server itself sends something: https, or http of this machine only. */
static bool is_endpoint(struct span uri)
{
	struct uri_parts parts;

	return is_redirect(uri) && uri_parse_absolute(uri, &parts);
}

bool client_is_confidential(const struct idp_client *client)
{
	return client->secret.len > 0 || client->auth_method.len > 0;
}

static int check_keys(const struct idp_client *client, struct err *err)
{
	const struct jwk_options options = {.algorithms = JWS_PUBLIC_ALL,
					    .refuse_private = true};
	struct jwk_set *set;

	if (client->jwks.len && client->jwks_uri.len)
		return err_set(err, ERR_INVALID, "give either keys or their URL");
	if (client->jwks_uri.len && !is_endpoint(client->jwks_uri))
		return err_set(err, ERR_INVALID, "the URL of the keys cannot be used");
	if (!client->jwks.len)
		return 0;
	if (client->jwks.len > JWKS_BYTES_MAX)
		return err_set(err, ERR_INVALID, "there are too many keys");
	set = jwk_set_parse(client->jwks, &options, err);
	if (!set)
		return err_wrap(err, "the client's keys");
	jwk_set_free(set);
	return 0;
}

static int check_method(const struct idp_client *client, struct err *err)
{
	struct span method = client->auth_method;
	int names = (client->tls_subject.len > 0) + (client->tls_dns.len > 0) +
		    (client->tls_uri.len > 0);

	if (!method.len)
		return 0;
	if (client->secret.len)
		return err_set(err, ERR_INVALID, "a client with keys has no secret");
	if (span_eq(method, SPAN("private_key_jwt")))
		return client->jwks.len || client->jwks_uri.len
			       ? 0
			       : err_set(err, ERR_INVALID, "private_key_jwt needs keys");
	if (span_eq(method, SPAN("tls_client_auth")))
		return names == 1
			       ? 0
			       : err_set(err, ERR_INVALID,
					 "tls_client_auth needs one name of the certificate");
	if (span_eq(method, SPAN("self_signed_tls_client_auth")))
		return client->jwks.len ? 0
					: err_set(err, ERR_INVALID,
						  "self_signed_tls_client_auth needs keys with "
						  "their certificates");
	return err_set(err, ERR_INVALID, "there is no way to authenticate %.*s",
		       SPAN_ARG(method));
}

/* Ids of users (idp_new_id): no token of a client is to be taken for one of a user (RFC 9700
   section 4.15). */
static bool is_like_a_user(struct span id)
{
	for (size_t i = 1; i < id.len; i++)
		if (!((id.ptr[i] >= '0' && id.ptr[i] <= '9') ||
		      (id.ptr[i] >= 'a' && id.ptr[i] <= 'f')))
			return false;
	return id.len == 33 && id.ptr[0] == 'u';
}

/* RFC 6749 section 3.1.2.2. */
static bool is_sent_users(const struct idp_client *client)
{
	return texts_have(&client->grants, SPAN("authorization_code")) ||
	       texts_have(&client->grants, SPAN("implicit"));
}

static int check(const struct idp_client *client, struct err *err)
{
	if (!client->id.len || client->id.len > 128 || !is_scope(client->id) ||
	    span_find_byte(client->id, ':') < client->id.len)
		return err_set(err, ERR_INVALID, "the client's id cannot be used");
	if (is_like_a_user(client->id))
		return err_set(err, ERR_INVALID, "the client's id is like that of a user");
	if (is_sent_users(client) && !client->redirects.count)
		return err_set(err, ERR_INVALID,
			       "a client that users are sent to needs a redirect URI");
	for (size_t i = 0; i < client->redirects.count; i++)
		if (!is_redirect(client->redirects.at[i]))
			return err_set(err, ERR_INVALID, "redirect URI %.*s cannot be used",
				       SPAN_ARG(client->redirects.at[i]));
	for (size_t i = 0; i < client->logout_redirects.count; i++)
		if (!is_redirect(client->logout_redirects.at[i]))
			return err_set(err, ERR_INVALID, "redirect URI %.*s cannot be used",
				       SPAN_ARG(client->logout_redirects.at[i]));
	for (size_t i = 0; i < client->grants.count; i++)
		if (!is_known_grant(client->grants.at[i]))
			return err_set(err, ERR_INVALID, "there is no grant %.*s",
				       SPAN_ARG(client->grants.at[i]));
	for (size_t i = 0; i < client->scopes.count; i++)
		if (!is_scope(client->scopes.at[i]))
			return err_set(err, ERR_INVALID, "%.*s is no scope",
				       SPAN_ARG(client->scopes.at[i]));
	if ((texts_have(&client->grants, SPAN("client_credentials")) ||
	     texts_have(&client->grants, SPAN(EXCHANGE))) &&
	    !client_is_confidential(client))
		return err_set(err, ERR_INVALID,
			       "a client without a secret has no credentials to show");
	if (client->logout_uri.len && !is_endpoint(client->logout_uri))
		return err_set(err, ERR_INVALID, "the URL for logouts cannot be used");
	if (check_keys(client, err) < 0)
		return -1;
	return check_method(client, err);
}

/* What most clients do not have is left out. */
static void put_text(struct json_writer *w, const char *name, struct span text)
{
	if (text.len)
		json_member_string(w, span_cstr(name), text);
}

static void put_flag(struct json_writer *w, const char *name, bool flag)
{
	if (flag)
		json_member_bool(w, span_cstr(name), true);
}

static void write_more(struct json_writer *w, const struct idp_client *client)
{
	put_text(w, "token_endpoint_auth_method", client->auth_method);
	if (client->jwks.len) {
		json_key(w, SPAN("jwks"));
		json_put_raw(w, client->jwks);
	}
	put_text(w, "jwks_uri", client->jwks_uri);
	put_text(w, "tls_client_auth_subject_dn", client->tls_subject);
	put_text(w, "tls_client_auth_san_dns", client->tls_dns);
	put_text(w, "tls_client_auth_san_uri", client->tls_uri);
	put_flag(w, "tls_client_certificate_bound_access_tokens", client->bound_tokens);
	put_flag(w, "dpop_bound_access_tokens", client->dpop);
	put_flag(w, "require_pushed_authorization_requests", client->require_par);
	put_flag(w, "opaque_access_tokens", client->opaque);
	put_flag(w, "registered", client->registered);
	if (client->exchange.count)
		json_put_texts(w, "exchange", &client->exchange);
	put_text(w, "backchannel_logout_uri", client->logout_uri);
}

void client_write(struct json_writer *w, const struct idp_client *client, bool secrets)
{
	json_begin_object(w);
	json_member_string(w, SPAN("client_id"), client->id);
	json_member_string(w, SPAN("client_name"), client->name);
	json_put_texts(w, "redirect_uris", &client->redirects);
	json_put_texts(w, "post_logout_redirect_uris", &client->logout_redirects);
	json_put_texts(w, "grant_types", &client->grants);
	json_put_texts(w, "scopes", &client->scopes);
	json_put_texts(w, "resources", &client->resources);
	json_put_texts(w, "roles", &client->roles);
	json_member_bool(w, SPAN("consent"), client->consent);
	json_member_bool(w, SPAN("disabled"), client->disabled);
	json_member_bool(w, SPAN("confidential"), client_is_confidential(client));
	write_more(w, client);
	json_member_int(w, SPAN("created"), client->created_unix_s);
	if (secrets)
		json_member_string(w, SPAN("secret_sha256"), client->secret);
	json_end_object(w);
}

/* The keys, as the text that they were given as. */
static struct span read_keys(const struct json *object, struct arena *arena)
{
	const struct json *keys = json_get(object, SPAN("jwks"));
	struct json_writer w;
	struct span text;
	struct buf to;

	if (!keys)
		return SPAN("");
	buf_init(&to, RECORD_BYTES);
	json_writer_init(&w, &to);
	json_put_tree(&w, keys);
	text = buf_failed(&to) ? SPAN_NONE : arena_dup(arena, buf_span(&to));
	buf_release(&to);
	return text;
}

static int read_more(const struct json *object, struct arena *arena, struct idp_client *client)
{
	client->auth_method = json_text(object, "token_endpoint_auth_method");
	client->jwks = read_keys(object, arena);
	client->jwks_uri = json_text(object, "jwks_uri");
	client->tls_subject = json_text(object, "tls_client_auth_subject_dn");
	client->tls_dns = json_text(object, "tls_client_auth_san_dns");
	client->tls_uri = json_text(object, "tls_client_auth_san_uri");
	client->bound_tokens = json_flag(object, "tls_client_certificate_bound_access_tokens");
	client->dpop = json_flag(object, "dpop_bound_access_tokens");
	client->require_par = json_flag(object, "require_pushed_authorization_requests");
	client->opaque = json_flag(object, "opaque_access_tokens");
	client->registered = json_flag(object, "registered");
	client->logout_uri = json_text(object, "backchannel_logout_uri");
	return client->jwks.ptr ? json_texts(object, "exchange", arena, &client->exchange) : -1;
}

int client_read(const struct json *object, struct idp_client *client, struct arena *arena)
{
	client->name = json_text(object, "client_name");
	client->consent = json_flag(object, "consent");
	client->disabled = json_flag(object, "disabled");
	if (json_texts(object, "redirect_uris", arena, &client->redirects) < 0 ||
	    json_texts(object, "post_logout_redirect_uris", arena, &client->logout_redirects) <
		    0 ||
	    json_texts(object, "grant_types", arena, &client->grants) < 0 ||
	    json_texts(object, "scopes", arena, &client->scopes) < 0 ||
	    json_texts(object, "resources", arena, &client->resources) < 0 ||
	    json_texts(object, "roles", arena, &client->roles) < 0 ||
	    read_more(object, arena, client) < 0)
		return -1;
	return 0;
}

static enum store_result read_client(const struct store_record *record, struct arena *arena,
				     struct idp_client *client, struct err *err)
{
	const struct json *object = idp_parse(record->value, arena, err);

	if (!object)
		return STORE_FAILED;
	*client = (struct idp_client){
		.id = record->key,
		.secret = json_text(object, "secret_sha256"),
		.created_unix_s = json_number(object, "created"),
		.version = record->version,
	};
	return client_read(object, client, arena) < 0 ? idp_no_memory(err) : STORE_OK;
}

enum store_result client_get(struct idp *idp, struct span id, struct arena *arena,
			     struct idp_client *client, struct err *err)
{
	struct store_record record;
	enum store_result result =
		store_get(idp->store, SPAN("client"), id, arena, &record, err);

	return result == STORE_OK ? read_client(&record, arena, client, err) : result;
}

enum store_result client_put(struct idp *idp, const struct idp_client *client, struct err *err)
{
	const struct store_index index = {SPAN("registered"), SPAN("self")};
	struct store_change change = {.kind = SPAN("client"),
				      .key = client->id,
				      .expect = client->version ? STORE_EXPECT_VERSION
								: STORE_EXPECT_ABSENT,
				      .version = client->version,
				      .indexes = &index,
				      .index_count = client->registered ? 1 : 0};
	enum store_result result;
	struct json_writer w;
	struct idp_client dated = *client;
	struct buf value;

	if (check(client, err) < 0)
		return STORE_FAILED;
	if (!dated.created_unix_s)
		dated.created_unix_s = clock_unix_s();
	buf_init(&value, RECORD_BYTES);
	json_writer_init(&w, &value);
	client_write(&w, &dated, true);
	result = idp_commit(idp->store, &change, 1, &value, err);
	idp_forget_client(idp, client->id);
	return result;
}

enum store_result client_remove(struct idp *idp, struct span id, struct err *err)
{
	const struct store_change change = {.kind = SPAN("client"), .key = id, .remove = true};
	enum store_result result = store_commit(idp->store, &change, 1, err);

	idp_forget_client(idp, id);
	return result;
}

static int copy_texts(struct config_strings *to, const struct config_strings *from,
		      struct arena *arena)
{
	to->count = from->count;
	to->at = arena_array(arena, struct span, from->count + 1);
	if (!to->at)
		return -1;
	for (size_t i = 0; i < from->count; i++) {
		to->at[i] = arena_dup(arena, from->at[i]);
		if (!to->at[i].ptr)
			return -1;
	}
	return 0;
}

int client_copy(struct idp_client *to, const struct idp_client *from, struct arena *arena)
{
	struct span *const texts[] = {&to->id,		&to->name,    &to->secret,
				      &to->auth_method, &to->jwks,    &to->jwks_uri,
				      &to->tls_subject, &to->tls_dns, &to->tls_uri,
				      &to->logout_uri};
	const struct {
		struct config_strings *to;
		const struct config_strings *from;
	} lists[] = {{&to->redirects, &from->redirects},
		     {&to->logout_redirects, &from->logout_redirects},
		     {&to->grants, &from->grants},
		     {&to->scopes, &from->scopes},
		     {&to->resources, &from->resources},
		     {&to->roles, &from->roles},
		     {&to->exchange, &from->exchange}};

	*to = *from;
	for (size_t i = 0; i < COUNT_OF(texts); i++) {
		*texts[i] = texts[i]->len ? arena_dup(arena, *texts[i]) : SPAN("");
		if (!texts[i]->ptr)
			return -1;
	}
	for (size_t i = 0; i < COUNT_OF(lists); i++)
		if (copy_texts(lists[i].to, lists[i].from, arena) < 0)
			return -1;
	return 0;
}

enum store_result client_list(struct idp *idp, struct span after, size_t limit,
			      struct arena *arena, struct idp_client **clients, size_t *count,
			      bool *more, struct err *err)
{
	struct store_page page;

	if (store_list(idp->store, SPAN("client"), SPAN_NONE, after, limit, arena, &page,
		       err) != STORE_OK)
		return STORE_FAILED;
	*clients = arena_array(arena, struct idp_client, page.count + 1);
	if (!*clients)
		return idp_no_memory(err);
	for (size_t i = 0; i < page.count; i++)
		if (read_client(&page.records[i], arena, &(*clients)[i], err) != STORE_OK)
			return STORE_FAILED;
	*count = page.count;
	*more = page.more;
	return STORE_OK;
}

int client_new_secret(struct idp_client *client, struct arena *arena, struct span *secret)
{
	char digest[DIGEST_HEX_SIZE];

	*secret = idp_new_secret(arena);
	if (!secret->ptr)
		return -1;
	digest_hex(digest, *secret);
	client->secret = arena_dup(arena, span_cstr(digest));
	return client->secret.ptr ? 0 : -1;
}
