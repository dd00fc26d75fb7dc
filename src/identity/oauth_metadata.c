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
	};

	for (size_t i = 0; i < COUNT_OF(endpoints); i++)
		json_member_string(w, span_cstr(endpoints[i].name),
				   arena_printf(x->arena, "%.*s%s",
						SPAN_ARG(x->config->identity.issuer),
						endpoints[i].path));
}

void oauth_metadata(struct idp_exchange *x)
{
	static const char *const code[] = {"code"};
	static const char *const query[] = {"query"};
	static const char *const grants[] = {GRANT_CODE, GRANT_REFRESH, GRANT_CLIENT,
					     GRANT_DEVICE};
	static const char *const methods[] = {"client_secret_basic", "client_secret_post",
					      "none"};
	static const char *const secrets[] = {"client_secret_basic", "client_secret_post"};
	static const char *const s256[] = {"S256"};
	static const char *const subjects[] = {"public"};
	static const char *const acrs[] = {"pwd", "mfa"};
	static const char *const prompts[] = {"none", "login", "consent", "select_account"};
	static const char *const scopes[] = {"openid", "profile", "email", "offline_access"};
	const char *algorithm = config_jws_name(x->config->identity.signing.algorithm);
	struct json_writer w;
	struct buf body;

	buf_init(&body, 16384);
	json_writer_init(&w, &body);
	json_begin_object(&w);
	json_member_string(&w, SPAN("issuer"), x->config->identity.issuer);
	put_endpoints(&w, x);
	put_list(&w, "response_types_supported", code, COUNT_OF(code));
	put_list(&w, "response_modes_supported", query, COUNT_OF(query));
	put_list(&w, "grant_types_supported", grants, COUNT_OF(grants));
	put_list(&w, "token_endpoint_auth_methods_supported", methods, COUNT_OF(methods));
	put_list(&w, "revocation_endpoint_auth_methods_supported", methods, COUNT_OF(methods));
	put_list(&w, "introspection_endpoint_auth_methods_supported", secrets,
		 COUNT_OF(secrets));
	put_list(&w, "code_challenge_methods_supported", s256, COUNT_OF(s256));
	put_list(&w, "subject_types_supported", subjects, COUNT_OF(subjects));
	put_list(&w, "id_token_signing_alg_values_supported", &algorithm, 1);
	put_list(&w, "acr_values_supported", acrs, COUNT_OF(acrs));
	put_list(&w, "prompt_values_supported", prompts, COUNT_OF(prompts));
	put_list(&w, "scopes_supported", scopes, COUNT_OF(scopes));
	json_member_bool(&w, SPAN("authorization_response_iss_parameter_supported"), true);
	json_member_bool(&w, SPAN("request_parameter_supported"), false);
	json_member_bool(&w, SPAN("request_uri_parameter_supported"), false);
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
