/*
 * Dynamic registration (RFC 7591), off unless asked for. A client that registers itself gets what
 * the configuration allows such clients, and its users are always asked.
 */
#include "base/clock.h"
#include "identity/oauth.h"

#define HOUR_MS ((int64_t)3600 * 1000)
#define NAME_BYTES_MAX 200

static void refuse(struct idp_exchange *x, const char *error, const char *why)
{
	idp_audit(x->idp, "client.registration_refused", "address", x->address, NULL,
		  SPAN_NONE);
	web_error(x, 400, error, why);
}

/* ---- who may ---- */

static bool has_token(struct idp_exchange *x, const struct config_registration *config)
{
	if (!config->token.len)
		return true;
	if (span_eq_nocase(span_slice(x->authorization, 0, 7), SPAN("Bearer ")) &&
	    secret_eq(span_slice(x->authorization, 7, x->authorization.len),
		      secret_span(&config->token)))
		return true;
	idp_audit(x->idp, "client.registration_refused", "address", x->address, NULL,
		  SPAN_NONE);
	web_field(x, SPAN("www-authenticate"), SPAN("Bearer realm=\"register\""));
	web_error(x, 401, "invalid_token", NULL);
	return false;
}

/* False: there are too many, which was answered. */
static bool has_room(struct idp_exchange *x, const struct config_registration *config)
{
	struct span key = arena_printf(x->arena, "register/%.*s", SPAN_ARG(x->address));
	const struct store_index index = {SPAN("registered"), SPAN("self")};
	struct store_page page = {.more = true};
	struct span after = SPAN_NONE;
	struct store_counter counter;
	size_t count = 0;
	struct err err;

	if (!key.ptr || store_count(x->idp->shared, key, 1, HOUR_MS, STORE_COUNT_FIXED,
				    &counter, &err) != STORE_OK) {
		web_unavailable(x, key.ptr ? &err : NULL);
		return false;
	}
	while (page.more && count < config->clients) {
		if (store_find(x->idp->store, SPAN("client"), &index, after, STORE_PAGE_MAX,
			       x->arena, &page, &err) != STORE_OK) {
			web_unavailable(x, &err);
			return false;
		}
		count += page.count;
		if (page.count)
			after = page.records[page.count - 1].key;
	}
	if (counter.value <= config->per_hour && count < config->clients)
		return true;
	web_field(x, SPAN("retry-after"), SPAN("3600"));
	web_error(x, 429, "temporarily_unavailable", "There were too many registrations.");
	return false;
}

/* ---- what it asks for ---- */

/* NULL: it may be; else the error. Members that are not known are passed over (section 2). */
static const char *read_lists(struct idp_exchange *x, const struct json *object,
			      struct idp_client *client)
{
	const struct config_registration *config = &x->config->identity.oauth.registration;
	static struct span code = SPAN_INIT(GRANT_CODE);

	if (json_texts(object, "redirect_uris", x->arena, &client->redirects) < 0 ||
	    json_texts(object, "post_logout_redirect_uris", x->arena,
		       &client->logout_redirects) < 0 ||
	    json_texts(object, "grant_types", x->arena, &client->grants) < 0 ||
	    texts_split(json_text(object, "scope"), ' ', x->arena, &client->scopes) < 0)
		return "invalid_client_metadata";
	if (!json_get(object, SPAN("grant_types")))
		client->grants = (struct config_strings){&code, 1};
	if (!client->scopes.count)
		client->scopes = config->scopes;
	for (size_t i = 0; i < client->grants.count; i++)
		if (!texts_have(&config->grants, client->grants.at[i]))
			return "invalid_client_metadata";
	for (size_t i = 0; i < client->scopes.count; i++)
		if (!texts_have(&config->scopes, client->scopes.at[i]))
			return "invalid_client_metadata";
	if (texts_have(&client->grants, SPAN(GRANT_CODE)) && !client->redirects.count)
		return "invalid_redirect_uri";
	return NULL;
}

static struct span keys_of(struct idp_exchange *x, const struct json *object)
{
	const struct json *keys = json_get(object, SPAN("jwks"));
	struct json_writer w;
	struct span text;
	struct buf to;

	if (!keys)
		return SPAN("");
	buf_init(&to, 65536);
	json_writer_init(&w, &to);
	json_put_tree(&w, keys);
	text = buf_failed(&to) ? SPAN_NONE : arena_dup(x->arena, buf_span(&to));
	buf_release(&to);
	return text;
}

static const char *read_client(struct idp_exchange *x, const struct json *object,
			       struct idp_client *client, struct span *secret)
{
	struct span method = json_text(object, "token_endpoint_auth_method");
	const char *error = read_lists(x, object, client);

	if (error)
		return error;
	client->id = idp_new_id(x->arena, 'c');
	client->name = span_slice(json_text(object, "client_name"), 0, NAME_BYTES_MAX);
	client->dpop = json_flag(object, "dpop_bound_access_tokens");
	client->require_par = json_flag(object, "require_pushed_authorization_requests");
	client->registered = client->consent = true;
	*secret = SPAN_NONE;
	/* A URL of a stranger would have the server fetch what it names. */
	if (json_get(object, SPAN("jwks_uri")) ||
	    json_get(object, SPAN("backchannel_logout_uri")))
		return "invalid_client_metadata";
	if (span_eq(method, SPAN("private_key_jwt"))) {
		client->auth_method = method;
		client->jwks = keys_of(x, object);
	} else if (!method.len || span_eq(method, SPAN("client_secret_basic")) ||
		   span_eq(method, SPAN("client_secret_post"))) {
		if (client_new_secret(client, x->arena, secret) < 0)
			return "server_error";
	} else if (!span_eq(method, SPAN("none"))) {
		return "invalid_client_metadata";
	}
	return client->id.ptr ? NULL : "server_error";
}

/* ---- the answer (section 3.2.1) ---- */

static void answer(struct idp_exchange *x, const struct idp_client *client, struct span secret)
{
	struct span method = client->auth_method.len ? client->auth_method
			     : secret.len	     ? SPAN("client_secret_basic")
						     : SPAN("none");
	struct json_writer w;
	struct buf body;

	buf_init(&body, 131072);
	json_writer_init(&w, &body);
	json_begin_object(&w);
	json_member_string(&w, SPAN("client_id"), client->id);
	json_member_int(&w, SPAN("client_id_issued_at"), clock_unix_s());
	if (secret.len) {
		json_member_string(&w, SPAN("client_secret"), secret);
		json_member_int(&w, SPAN("client_secret_expires_at"), 0);
	}
	if (client->name.len)
		json_member_string(&w, SPAN("client_name"), client->name);
	json_put_texts(&w, "redirect_uris", &client->redirects);
	if (client->logout_redirects.count)
		json_put_texts(&w, "post_logout_redirect_uris", &client->logout_redirects);
	json_put_texts(&w, "grant_types", &client->grants);
	json_key(&w, SPAN("response_types"));
	json_put_raw(&w, texts_have(&client->grants, SPAN(GRANT_CODE)) ? SPAN("[\"code\"]")
								       : SPAN("[]"));
	json_member_string(&w, SPAN("scope"), texts_join(&client->scopes, ' ', x->arena));
	json_member_string(&w, SPAN("token_endpoint_auth_method"), method);
	if (client->jwks.len) {
		json_key(&w, SPAN("jwks"));
		json_put_raw(&w, client->jwks);
	}
	if (client->dpop)
		json_member_bool(&w, SPAN("dpop_bound_access_tokens"), true);
	if (client->require_par)
		json_member_bool(&w, SPAN("require_pushed_authorization_requests"), true);
	json_end_object(&w);
	web_json(x, 201, &body);
}

static void put(struct idp_exchange *x, const struct idp_client *client, struct span secret)
{
	struct err err;

	if (client_put(x->idp, client, &err) == STORE_OK) {
		idp_audit(x->idp, "client.registered", "client", client->id, "address",
			  x->address);
		answer(x, client, secret);
	} else if (err.code == ERR_INVALID || err.code == ERR_SYNTAX) {
		refuse(x,
		       client->redirects.count ? "invalid_redirect_uri"
					       : "invalid_client_metadata",
		       arena_printf(x->arena, "%s", err.message).ptr);
	} else {
		web_unavailable(x, &err);
	}
}

void oauth_register(struct idp_exchange *x)
{
	const struct config_registration *config = &x->config->identity.oauth.registration;
	struct idp_client client = {.id = SPAN_NONE};
	const struct json *object;
	struct span type, secret;
	const char *error;
	struct err err;

	if (!config->enabled) {
		web_error(x, 404, "not_found", "Clients cannot register themselves here.");
		return;
	}
	if (!has_token(x, config) || !has_room(x, config))
		return;
	type = span_slice(x->content_type, 0, span_find_byte(x->content_type, ';'));
	object = span_eq_nocase(span_trim(type), SPAN("application/json"))
			 ? json_parse(x->arena, x->body, NULL, &err)
			 : NULL;
	if (!object || object->type != JSON_OBJECT) {
		refuse(x, "invalid_client_metadata", "The body must be a JSON object.");
		return;
	}
	error = read_client(x, object, &client, &secret);
	if (error)
		refuse(x, error, NULL);
	else
		put(x, &client, secret);
}
