/*
 * The authorization endpoint (RFC 6749 section 4.1, RFC 7636, RFC 9207, RFC 9700, OpenID Connect
 * Core section 3.1.2). Nobody is sent anywhere before client and redirect URI are known to belong
 * together.
 */
#include "identity/oauth_authorize.h"
#include "base/clock.h"

#define CODE_KEPT_MS ((int64_t)3600 * 1000)
#define CHALLENGE_CHARS 43

struct span authorize_param(const struct authorize *a, const char *name)
{
	return form_get(&a->form, span_cstr(name));
}

bool authorize_asks_prompt(const struct authorize *a, const char *word)
{
	return oauth_has_scope(authorize_param(a, "prompt"), span_cstr(word));
}

/* ---- answers to the client ---- */

/* Tokens go behind '#', where they are sent to no server; codes and their errors behind '?'. */
static void send_back(struct authorize *a, struct buf *parameters)
{
	bool fragment = a->response & (RESPONSE_TOKEN | RESPONSE_ID);
	bool has_query = span_find_byte(a->redirect, '?') < a->redirect.len;
	struct span to;
	struct buf url;

	if (a->state.ptr)
		form_append(parameters, SPAN("state"), a->state);
	form_append(parameters, SPAN("iss"), a->x->config->identity.issuer);
	buf_init(&url, 65536);
	buf_append(&url, a->redirect);
	buf_append_byte(&url, fragment ? '#' : has_query ? '&' : '?');
	buf_append(&url, buf_span(parameters));
	to = buf_failed(&url) || buf_failed(parameters)
		     ? SPAN_NONE
		     : arena_dup(a->x->arena, buf_span(&url));
	buf_release(&url);
	if (to.ptr)
		web_redirect(a->x, to);
	else
		web_unavailable(a->x, NULL);
}

void authorize_refuse(struct authorize *a, const char *error, const char *description)
{
	struct buf parameters;

	a->x->reason = error;
	buf_init(&parameters, 16384);
	form_append(&parameters, SPAN("error"), span_cstr(error));
	if (description)
		form_append(&parameters, SPAN("error_description"), span_cstr(description));
	send_back(a, &parameters);
	buf_release(&parameters);
}

/* ---- checks ---- */

/* Client and redirect URI: what is wrong with them is told to the user, never to the URI. */
static bool find_client(struct authorize *a)
{
	struct idp_exchange *x = a->x;
	enum store_result result;
	struct err err;

	result =
		client_get(x->idp, authorize_param(a, "client_id"), x->arena, &a->client, &err);
	if (result == STORE_FAILED) {
		web_unavailable(x, &err);
		return false;
	}
	a->redirect = authorize_param(a, "redirect_uri");
	if (result == STORE_OK && !a->client.disabled && a->redirect.len &&
	    client_may_send_to(&a->client, a->redirect) && !oauth_is_repeated(&a->form))
		return true;
	idp_audit(x->idp, "authorize.refused", "client", authorize_param(a, "client_id"),
		  "redirect_uri", a->redirect);
	page_message(
		x, 400, "This link cannot be used",
		"The application that sent you here is not known, or asks to send you on to "
		"a place that it has not registered.");
	x->reason = "bad_redirect";
	return false;
}

/* RFC 6749 section 3.1.1: words in any order. 0: there is no such type, or it is not built. */
static unsigned read_response_type(struct span type)
{
	unsigned response = 0;
	struct span rest = type;

	while (rest.ptr) {
		struct span word = span_cut(&rest, ' ');
		unsigned bit = span_eq(word, SPAN("code"))	 ? RESPONSE_CODE
			       : span_eq(word, SPAN("token"))	 ? RESPONSE_TOKEN
			       : span_eq(word, SPAN("id_token")) ? RESPONSE_ID
								 : 0;

		if (!bit || (response & bit))
			return 0;
		response |= bit;
	}
	/* Hybrid types are not built. */
	return (response & RESPONSE_CODE) && response != RESPONSE_CODE ? 0 : response;
}

static const char *check_code(struct authorize *a, const char **why)
{
	if (!texts_have(&a->client.grants, SPAN(GRANT_CODE)))
		return "unauthorized_client";
	a->challenge = authorize_param(a, "code_challenge");
	if (span_eq(authorize_param(a, "code_challenge_method"), SPAN("S256")) &&
	    a->challenge.len == CHALLENGE_CHARS)
		return NULL;
	*why = "PKCE with S256 is required.";
	return "invalid_request";
}

/* OpenID Connect Core section 3.2.2.1. */
static const char *check_implicit(struct authorize *a, const char **why)
{
	if (!oauth_is_on(a->x, SPAN(GRANT_IMPLICIT)))
		return "unsupported_response_type";
	if (!texts_have(&a->client.grants, SPAN(GRANT_IMPLICIT)))
		return "unauthorized_client";
	if (!(a->response & RESPONSE_ID))
		return NULL;
	*why = "An ID token needs the scope openid and a nonce.";
	return oauth_has_scope(authorize_param(a, "scope"), SPAN("openid")) &&
			       authorize_param(a, "nonce").len
		       ? NULL
		       : "invalid_request";
}

static const char *check_type(struct authorize *a, const char **why)
{
	struct span mode = authorize_param(a, "response_mode");
	const char *error;

	if (!authorize_param(a, "response_type").ptr)
		return "invalid_request";
	a->response = read_response_type(authorize_param(a, "response_type"));
	if (!a->response ||
	    (mode.ptr &&
	     !span_eq(mode, a->response == RESPONSE_CODE ? SPAN("query") : SPAN("fragment"))))
		return "unsupported_response_type";
	error = a->response == RESPONSE_CODE ? check_code(a, why) : check_implicit(a, why);
	if (!error)
		*why = NULL;
	return error;
}

/* NULL when the request may go on; else the error, and why. */
static const char *check(struct authorize *a, const char **why)
{
	const char *error;

	*why = NULL;
	if (authorize_param(a, "request").ptr)
		return "request_not_supported";
	if (authorize_param(a, "request_uri").ptr)
		return "request_uri_not_supported";
	error = check_type(a, why);
	if (error)
		return error;
	/* `claims` is not looked at, as OpenID Connect Core section 5.5 has it. */
	if (!oauth_scopes(a->x, authorize_param(a, "scope"), &a->client, &a->scope))
		return "invalid_scope";
	if (!oauth_resources(a->x, &a->form, &a->client, &a->resource))
		return "invalid_target";
	if (authorize_asks_prompt(a, "none") &&
	    span_find_byte(authorize_param(a, "prompt"), ' ') <
		    authorize_param(a, "prompt").len)
		return "invalid_request";
	return NULL;
}

const char *oauth_check_pushed(struct idp_exchange *x, const struct idp_client *client,
			       const struct form *form, const char **why)
{
	struct authorize a = {.x = x, .form = *form, .client = *client};

	*why = NULL;
	if (client_may_send_to(client, authorize_param(&a, "redirect_uri")))
		return check(&a, why);
	*why = "The redirect URI is not registered.";
	return "invalid_request";
}

/* ---- logging in ---- */

static bool asks_new_login(const struct authorize *a)
{
	return authorize_asks_prompt(a, "login") || authorize_asks_prompt(a, "select_account");
}

/*
 * Back here afterwards, with the same parameters; a wish for a new login becomes the time from
 * which a login is new enough.
 */
static void send_to_login(struct authorize *a)
{
	struct idp_exchange *x = a->x;
	struct span back, to;
	struct buf url;

	buf_init(&url, 8192);
	buf_append_cstr(&url, "/identity/authorize?");
	for (size_t i = 0; i < a->sent.count; i++)
		if (!span_eq(a->sent.pairs[i].name, SPAN("prompt")) &&
		    !span_eq(a->sent.pairs[i].name, SPAN("login_after")))
			form_append(&url, a->sent.pairs[i].name, a->sent.pairs[i].value);
	/* What was pushed stays as it is. */
	if (authorize_asks_prompt(a, "consent") && !a->pushed.key.len)
		form_append(&url, SPAN("prompt"), SPAN("consent"));
	if (asks_new_login(a) && !a->pushed.key.len)
		form_append(&url, SPAN("login_after"),
			    arena_printf(x->arena, "%lld", (long long)clock_unix_s()));
	back = buf_failed(&url) ? SPAN_NONE : arena_dup(x->arena, buf_span(&url));
	buf_release(&url);
	buf_init(&url, 32768);
	buf_append_cstr(&url, "/identity/login?");
	form_append(&url, SPAN("return"), back);
	to = buf_failed(&url) ? SPAN_NONE : arena_dup(x->arena, buf_span(&url));
	buf_release(&url);
	if (back.ptr && to.ptr)
		web_redirect(x, to);
	else
		web_unavailable(x, NULL);
}

/* OpenID Connect Core section 3.1.2.1: another user's ID token asks for that other user. */
static bool is_hinted_user(const struct authorize *a)
{
	struct span hint = authorize_param(a, "id_token_hint"), payload;
	const struct json *claims;
	struct err err;

	if (!hint.len)
		return true;
	payload = signing_verify(a->x->idp, SPAN("JWT"), hint, a->x->arena);
	claims = payload.ptr ? json_parse(a->x->arena, payload, NULL, &err) : NULL;
	return claims && span_eq(json_text(claims, "sub"), a->user.id);
}

/* OpenID Connect Core section 3.1.2.1: prompt, max_age; RFC 9470: acr_values. */
static bool is_login_good(const struct authorize *a)
{
	int64_t now = clock_unix_s(), at = a->session.authenticated_unix_s;
	uint64_t max_age, after;

	/* Of a pushed request it is known when the browser came with it. */
	if (asks_new_login(a) && (!a->pushed.key.len || at < a->pushed.started_unix_s))
		return false;
	if (span_to_u64(authorize_param(a, "max_age"), &max_age) && now - at > (int64_t)max_age)
		return false;
	if (span_to_u64(form_get(&a->sent, SPAN("login_after")), &after) && at < (int64_t)after)
		return false;
	if (!is_hinted_user(a))
		return false;
	return idp_acr_of(&a->session.methods) >=
	       idp_acr_wanted(authorize_param(a, "acr_values"));
}

/* False: the request was answered. */
static bool find_login(struct authorize *a)
{
	struct err err;
	enum store_result result = web_session(a->x, &a->session, &a->user, &err);

	if (result == STORE_FAILED) {
		web_unavailable(a->x, &err);
		return false;
	}
	if (result == STORE_OK && is_login_good(a))
		return true;
	if (authorize_asks_prompt(a, "none"))
		authorize_refuse(a, "login_required", NULL);
	else if (result == STORE_OK &&
		 idp_acr_wanted(authorize_param(a, "acr_values")) > user_acr_most(&a->user))
		authorize_refuse(a, "unmet_authentication_requirements",
				 "The user has no such factor.");
	else
		send_to_login(a);
	return false;
}

/* ---- what is given ---- */

static struct oauth_grant new_grant(const struct authorize *a)
{
	bool offline = a->response == RESPONSE_CODE &&
		       oauth_has_scope(a->scope, SPAN("offline_access"));

	return (struct oauth_grant){
		.client = a->client.id,
		.user = a->user.id,
		.session = offline ? SPAN("") : a->session.id,
		.scope = a->scope,
		.resource = a->resource,
		.nonce = authorize_param(a, "nonce"),
		.methods = a->session.methods,
		.authenticated_unix_s = a->session.authenticated_unix_s,
		.created_unix_s = clock_unix_s(),
	};
}

static enum store_result put_code(struct authorize *a, struct span code, struct err *err)
{
	const struct config_tokens *tokens = &a->x->config->identity.tokens;
	const struct oauth_grant grant = new_grant(a);
	struct store_change change = {.kind = SPAN("code"),
				      .expect = STORE_EXPECT_ABSENT,
				      .expires_unix_ms = clock_unix_ms() + CODE_KEPT_MS};
	char digest[DIGEST_HEX_SIZE];
	struct json_writer w;
	struct buf value;

	digest_hex(digest, code);
	buf_init(&value, 65536);
	json_writer_init(&w, &value);
	json_begin_object(&w);
	oauth_grant_write(&w, &grant);
	json_member_string(&w, SPAN("redirect"), a->redirect);
	json_member_string(&w, SPAN("challenge"), a->challenge);
	if (authorize_param(a, "dpop_jkt").len)
		json_member_string(&w, SPAN("dpop_jkt"), authorize_param(a, "dpop_jkt"));
	json_member_int(&w, SPAN("until_ms"), clock_unix_ms() + (int64_t)tokens->code_ms);
	json_end_object(&w);
	change.key = span_cstr(digest);
	return idp_commit(a->x->idp->store, &change, 1, &value, err);
}

static void give_code(struct authorize *a)
{
	struct span code = idp_new_secret(a->x->arena);
	struct buf parameters;
	struct err err;

	if (!code.ptr) {
		web_unavailable(a->x, NULL);
		return;
	}
	if (put_code(a, code, &err) != STORE_OK) {
		web_unavailable(a->x, &err);
		return;
	}
	idp_audit(a->x->idp, "authorize.granted", "user", a->user.id, "client", a->client.id);
	buf_init(&parameters, 16384);
	form_append(&parameters, SPAN("code"), code);
	send_back(a, &parameters);
	buf_release(&parameters);
}

static void put_tokens(struct authorize *a, const struct oauth_grant *grant,
		       const struct oauth_tokens *out, struct buf *to)
{
	if (a->response & RESPONSE_TOKEN) {
		form_append(to, SPAN("access_token"), buf_span(&out->access));
		form_append(to, SPAN("token_type"), SPAN("Bearer"));
		form_append(to, SPAN("expires_in"),
			    arena_printf(a->x->arena, "%lld",
					 (long long)oauth_access_life_s(a->x, grant)));
		form_append(to, SPAN("scope"), a->scope);
	}
	if (a->response & RESPONSE_ID)
		form_append(to, SPAN("id_token"), buf_span(&out->id));
}

/*
 * The implicit grant (RFC 6749 section 4.2, OpenID Connect Core section 3.2), off unless asked for:
 * RFC 9700 section 2.1.2 says why.
 */
static void give_tokens(struct authorize *a)
{
	struct oauth_tokens out = {.refresh = SPAN_NONE};
	struct oauth_grant grant = new_grant(a);
	unsigned want = (a->response & RESPONSE_TOKEN ? OAUTH_WANT_ACCESS : 0u) |
			(a->response & RESPONSE_ID ? OAUTH_WANT_ID : 0u);
	struct buf parameters;
	struct err err;

	buf_init(&out.access, 32768);
	buf_init(&out.id, 16384);
	buf_init(&parameters, 65536);
	grant.id = idp_new_id(a->x->arena, 'g');
	/* There is no refresh token that would outlive the session. */
	grant.until_unix_s = a->session.expires_unix_s;
	if (!grant.id.ptr) {
		web_unavailable(a->x, NULL);
	} else if (oauth_grant_put(a->x, &grant, &err) != STORE_OK ||
		   oauth_make_tokens(a->x, &a->client, &grant, a->scope, want, &out, &err) !=
			   STORE_OK) {
		web_unavailable(a->x, &err);
	} else {
		idp_audit(a->x->idp, "authorize.implicit_granted", "user", a->user.id, "client",
			  a->client.id);
		put_tokens(a, &grant, &out, &parameters);
		send_back(a, &parameters);
	}
	buf_release(&out.access);
	buf_release(&out.id);
	buf_release(&parameters);
}

static void give(struct authorize *a)
{
	enum store_result result = STORE_OK;
	struct err err;

	/* What was pushed is used once. */
	if (a->pushed.key.len)
		result = oauth_pushed_end(a->x, &a->pushed, &err);
	if (result == STORE_FAILED)
		web_unavailable(a->x, &err);
	else if (result != STORE_OK)
		authorize_refuse(a, "invalid_request_uri", "It was used before.");
	else if (a->response == RESPONSE_CODE)
		give_code(a);
	else
		give_tokens(a);
}

/* ---- the request ---- */

/* False: it was answered. */
static bool use_pushed(struct authorize *a)
{
	struct idp_exchange *x = a->x;
	enum store_result result;
	struct err err;

	a->form = a->sent;
	if (!oauth_is_pushed(&a->sent))
		return true;
	result = oauth_pushed_get(x, &a->form, &a->pushed, &err);
	if (result == STORE_FAILED) {
		web_unavailable(x, &err);
	} else if (result != STORE_OK) {
		page_message(x, 400, "This link cannot be used",
			     "The request of the application that sent you here is over. Go "
			     "back there and try again.");
		x->reason = "invalid_request_uri";
	}
	return result == STORE_OK;
}

/* The error that stops it; NULL: none does. */
static const char *check_all(struct authorize *a, const char **why)
{
	const char *error = check(a, why);

	if (!error && !a->pushed.key.len &&
	    (a->client.require_par || a->x->config->identity.oauth.require_par)) {
		*why = "The request must be pushed (RFC 9126).";
		return "invalid_request";
	}
	return error;
}

/* Where a browser that comes back to /identity/authorize with this query may be sent on to. */
struct span oauth_redirect_of(struct idp_exchange *x, struct span query)
{
	struct authorize a = {.x = x};
	struct err err;

	if (form_parse(x->arena, query, &a.sent) != FORM_OK)
		return SPAN("");
	a.form = a.sent;
	if (oauth_is_pushed(&a.sent) &&
	    oauth_pushed_get(x, &a.form, &a.pushed, &err) != STORE_OK)
		return SPAN("");
	a.redirect = authorize_param(&a, "redirect_uri");
	if (client_get(x->idp, authorize_param(&a, "client_id"), x->arena, &a.client, &err) !=
		    STORE_OK ||
	    !client_may_send_to(&a.client, a.redirect))
		return SPAN("");
	return authorize_redirect_origin(a.redirect);
}

/*
 * Nobody is sent on who has not logged in here (RFC 9700 section 4.11.2), lest a client that somebody
 * has registered for that purpose uses us as a redirector. Without a page there is nothing to lose.
 */
static void refuse_logged_in(struct authorize *a, const char *error, const char *why)
{
	enum store_result result = STORE_OK;
	struct err err;

	if (!authorize_asks_prompt(a, "none"))
		result = web_session(a->x, &a->session, &a->user, &err);
	if (result == STORE_FAILED)
		web_unavailable(a->x, &err);
	else if (result == STORE_OK)
		authorize_refuse(a, error, why);
	else
		send_to_login(a);
}

void oauth_authorize(struct idp_exchange *x)
{
	bool post = x->method == HTTP_METHOD_POST;
	struct authorize a = {.x = x};
	const char *error, *why;

	if (!(post ? web_form(x, &a.sent) : web_query(x, &a.sent)))
		return;
	oauth_drop_empty(&a.sent);
	a.posted = post && form_get(&a.sent, SPAN("decision")).ptr;
	if (a.posted && !web_own_form(x, &a.sent))
		return;
	if (!use_pushed(&a))
		return;
	a.state = authorize_param(&a, "state");
	if (!find_client(&a))
		return;
	error = check_all(&a, &why);
	if (error)
		refuse_logged_in(&a, error, why);
	else if (find_login(&a) && authorize_pass_consent(&a))
		give(&a);
}
