/* What clients can know beforehand: RFC 8414, OpenID Connect Discovery, RFC 7517. */
#include "identity/oauth.h"

static void put_list(struct json_writer *w, const char *name, const char *const *values,
		     size_t count)
{
	json_key(w, span_cstr(name));
	json_begin_array(w);
	for (size_t i = 0; i < count; i++)
		json_put_string(w, span_cstr(values[i]));
	json_end_array(w);
}

static void put_endpoint(struct json_writer *w, struct idp_exchange *x, const char *name,
			 const char *path)
{
	json_member_string(
		w, span_cstr(name),
		arena_printf(x->arena, "%.*s%s", SPAN_ARG(x->config->identity.issuer), path));
}

static void put_endpoints(struct json_writer *w, struct idp_exchange *x)
{
	static const struct {
		const char *name, *path;
	} endpoints[] = {
		{"authorization_endpoint", "/identity/authorize"},
		{"token_endpoint", "/identity/token"},
		{"jwks_uri", "/identity/keys"},
		{"userinfo_endpoint", "/identity/userinfo"},
		{"introspection_endpoint", "/identity/introspect"},
		{"revocation_endpoint", "/identity/revoke"},
		{"device_authorization_endpoint", "/identity/device-authorization"},
		{"end_session_endpoint", "/identity/logout"},
		{"pushed_authorization_request_endpoint", "/identity/par"},
	};

	for (size_t i = 0; i < COUNT_OF(endpoints); i++)
		put_endpoint(w, x, endpoints[i].name, endpoints[i].path);
	if (x->config->identity.oauth.registration.enabled)
		put_endpoint(w, x, "registration_endpoint", "/identity/register");
}

/* What is there only when the configuration says so comes last in each list. */
static void put_grants(struct json_writer *w, const struct config_oauth *config)
{
	static const char *const types[] = {"code", "token", "id_token", "id_token token"};
	static const char *const modes[] = {"query", "fragment"};
	const char *grants[8] = {GRANT_CODE, GRANT_REFRESH, GRANT_CLIENT, GRANT_DEVICE,
				 GRANT_EXCHANGE};
	size_t count = 5;

	if (config->password_grant)
		grants[count++] = GRANT_PASSWORD;
	if (config->implicit_grant)
		grants[count++] = GRANT_IMPLICIT;
	put_list(w, "response_types_supported", types, config->implicit_grant ? 4 : 1);
	put_list(w, "response_modes_supported", modes, config->implicit_grant ? 2 : 1);
	put_list(w, "grant_types_supported", grants, count);
}

static void put_methods(struct json_writer *w)
{
	/* Public clients have nothing to show, and are told nothing of tokens: "none" is last. */
	static const char *const methods[] = {
		"client_secret_basic", "client_secret_post",	      "private_key_jwt",
		"tls_client_auth",     "self_signed_tls_client_auth", "none"};
	static const char *const algorithms[] = {"ES256", "ES384", "ES512", "EdDSA", "RS256",
						 "RS384", "RS512", "PS256", "PS384", "PS512"};

	put_list(w, "token_endpoint_auth_methods_supported", methods, COUNT_OF(methods));
	put_list(w, "token_endpoint_auth_signing_alg_values_supported", algorithms,
		 COUNT_OF(algorithms));
	put_list(w, "revocation_endpoint_auth_methods_supported", methods, COUNT_OF(methods));
	put_list(w, "revocation_endpoint_auth_signing_alg_values_supported", algorithms,
		 COUNT_OF(algorithms));
	put_list(w, "introspection_endpoint_auth_methods_supported", methods,
		 COUNT_OF(methods) - 1);
	put_list(w, "introspection_endpoint_auth_signing_alg_values_supported", algorithms,
		 COUNT_OF(algorithms));
	put_list(w, "dpop_signing_alg_values_supported", algorithms, COUNT_OF(algorithms));
}

static void put_openid(struct json_writer *w, const struct idp_exchange *x)
{
	static const char *const subjects[] = {"public"};
	static const char *const acrs[] = {"pwd", "mfa", "phr"};
	static const char *const claims[] = {"sub",
					     "iss",
					     "aud",
					     "exp",
					     "iat",
					     "auth_time",
					     "nonce",
					     "acr",
					     "amr",
					     "sid",
					     "preferred_username",
					     "name",
					     "email",
					     "email_verified"};
	const char *algorithm = config_jws_name(x->config->identity.signing.algorithm);

	put_list(w, "subject_types_supported", subjects, COUNT_OF(subjects));
	put_list(w, "id_token_signing_alg_values_supported", &algorithm, 1);
	put_list(w, "acr_values_supported", acrs, COUNT_OF(acrs));
	put_list(w, "claims_supported", claims, COUNT_OF(claims));
	json_member_bool(w, SPAN("claims_parameter_supported"), false);
	json_member_bool(w, SPAN("request_parameter_supported"), false);
	json_member_bool(w, SPAN("request_uri_parameter_supported"), false);
	json_member_bool(w, SPAN("backchannel_logout_supported"), true);
	json_member_bool(w, SPAN("backchannel_logout_session_supported"), true);
}

void oauth_metadata(struct idp_exchange *x)
{
	static const char *const s256[] = {"S256"};
	static const char *const prompts[] = {"none", "login", "consent", "select_account"};
	static const char *const scopes[] = {"openid", "profile", "email", "offline_access"};
	const struct config_oauth *config = &x->config->identity.oauth;
	struct json_writer w;
	struct buf body;

	buf_init(&body, 16384);
	json_writer_init(&w, &body);
	json_begin_object(&w);
	json_member_string(&w, SPAN("issuer"), x->config->identity.issuer);
	put_endpoints(&w, x);
	put_grants(&w, config);
	put_methods(&w);
	put_openid(&w, x);
	put_list(&w, "code_challenge_methods_supported", s256, COUNT_OF(s256));
	put_list(&w, "prompt_values_supported", prompts, COUNT_OF(prompts));
	put_list(&w, "scopes_supported", scopes, COUNT_OF(scopes));
	json_member_bool(&w, SPAN("authorization_response_iss_parameter_supported"), true);
	json_member_bool(&w, SPAN("require_pushed_authorization_requests"),
			 config->require_par);
	json_member_bool(&w, SPAN("tls_client_certificate_bound_access_tokens"), true);
	json_end_object(&w);
	web_json(x, 200, &body);
}

/* RFC 9728: what stands behind this gate, as one resource. */
void oauth_resource_metadata(struct idp_exchange *x)
{
	static const char *const bearer[] = {"header"};
	static const char *const algorithms[] = {"ES256", "ES384", "ES512", "EdDSA", "RS256",
						 "RS384", "RS512", "PS256", "PS384", "PS512"};
	struct span issuer = x->config->identity.issuer;
	struct json_writer w;
	struct buf body;

	buf_init(&body, 4096);
	json_writer_init(&w, &body);
	json_begin_object(&w);
	json_member_string(&w, SPAN("resource"), issuer);
	json_key(&w, SPAN("authorization_servers"));
	json_begin_array(&w);
	json_put_string(&w, issuer);
	json_end_array(&w);
	json_member_string(&w, SPAN("jwks_uri"),
			   arena_printf(x->arena, "%.*s/identity/keys", SPAN_ARG(issuer)));
	put_list(&w, "bearer_methods_supported", bearer, COUNT_OF(bearer));
	put_list(&w, "dpop_signing_alg_values_supported", algorithms, COUNT_OF(algorithms));
	json_member_bool(&w, SPAN("tls_client_certificate_bound_access_tokens"), true);
	json_end_object(&w);
	web_json(x, 200, &body);
}

void oauth_keys(struct idp_exchange *x)
{
	struct buf body;

	buf_init(&body, (size_t)1024 * 1024);
	if (idp_jwks(x->idp, &body) < 0) {
		buf_release(&body);
		web_unavailable(x, NULL);
		return;
	}
	x->status = 200;
	web_field(x, SPAN("content-type"), SPAN("application/jwk-set+json"));
	web_field(x, SPAN("cache-control"), SPAN("public, max-age=300"));
	x->content = arena_dup(x->arena, buf_span(&body));
	buf_release(&body);
	if (!x->content.ptr)
		web_unavailable(x, NULL);
}
