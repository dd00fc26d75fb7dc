/*
 * The authorization endpoint (RFC 6749 section 4.1, RFC 7636, RFC 9207, RFC 9700, OpenID Connect
 * Core section 3.1.2). Nobody is sent anywhere before client and redirect URI are known to belong
 * together.
 */
#include "base/clock.h"
#include "identity/oauth.h"

#define CODE_KEPT_MS ((int64_t)3600 * 1000)
#define CHALLENGE_CHARS 43

struct authorize {
	struct idp_exchange *x;
	struct form form;
	struct idp_client client;
	struct span redirect;
	struct span state;
	struct span scope;
	struct span resource;
	struct span challenge;
	struct idp_session session;
	struct idp_user user;
	bool posted; /* our consent page */
};

static struct span param(const struct authorize *a, const char *name)
{
	return form_get(&a->form, span_cstr(name));
}

static bool asks_prompt(const struct authorize *a, const char *word)
{
	return oauth_has_scope(param(a, "prompt"), span_cstr(word));
}

/* ---- answers to the client ---- */

static void send_back(struct authorize *a, const char *name, struct span value,
		      const char *description)
{
	struct span to;
	struct buf url;

	buf_init(&url, 16384);
	buf_append(&url, a->redirect);
	if (span_find_byte(a->redirect, '?') == a->redirect.len)
		buf_append_byte(&url, '?');
	form_append(&url, span_cstr(name), value);
	if (description)
		form_append(&url, SPAN("error_description"), span_cstr(description));
	if (a->state.ptr)
		form_append(&url, SPAN("state"), a->state);
	form_append(&url, SPAN("iss"), a->x->config->identity.issuer);
	to = buf_failed(&url) ? SPAN_NONE : arena_dup(a->x->arena, buf_span(&url));
	buf_release(&url);
	if (to.ptr)
		web_redirect(a->x, to);
	else
		web_unavailable(a->x, NULL);
}

static void refuse(struct authorize *a, const char *error, const char *description)
{
	a->x->reason = error;
	send_back(a, "error", span_cstr(error), description);
}

/* ---- checks ---- */

/* Client and redirect URI: what is wrong with them is told to the user, never to the URI. */
static bool find_client(struct authorize *a)
{
	struct idp_exchange *x = a->x;
	enum store_result result;
	struct err err;

	result = client_get(x->idp, param(a, "client_id"), x->arena, &a->client, &err);
	if (result == STORE_FAILED) {
		web_unavailable(x, &err);
		return false;
	}
	a->redirect = param(a, "redirect_uri");
	if (result == STORE_OK && !a->client.disabled && a->redirect.len &&
	    texts_have(&a->client.redirects, a->redirect) && !oauth_is_repeated(&a->form))
		return true;
	idp_audit(x->idp, "authorize.refused", "client", param(a, "client_id"), "redirect_uri",
		  a->redirect);
	page_message(
		x, 400, "This link cannot be used",
		"The application that sent you here is not known, or asks to send you on to "
		"a place that it has not registered.");
	x->reason = "bad_redirect";
	return false;
}

/* NULL when the request may go on; else the error, and why. */
static const char *check(struct authorize *a, const char **why)
{
	struct span mode = param(a, "response_mode");

	*why = NULL;
	if (param(a, "request").ptr)
		return "request_not_supported";
	if (param(a, "request_uri").ptr)
		return "request_uri_not_supported";
	if (!param(a, "response_type").ptr)
		return "invalid_request";
	if (!span_eq(param(a, "response_type"), SPAN("code")) ||
	    (mode.ptr && !span_eq(mode, SPAN("query"))))
		return "unsupported_response_type";
	if (!texts_have(&a->client.grants, SPAN(GRANT_CODE)))
		return "unauthorized_client";
	a->challenge = param(a, "code_challenge");
	*why = "PKCE with S256 is required.";
	if (!span_eq(param(a, "code_challenge_method"), SPAN("S256")) ||
	    a->challenge.len != CHALLENGE_CHARS)
		return "invalid_request";
	*why = NULL;
	if (!oauth_scopes(a->x, param(a, "scope"), &a->client, &a->scope))
		return "invalid_scope";
	if (!oauth_resources(a->x, &a->form, &a->client, &a->resource))
		return "invalid_target";
	if (asks_prompt(a, "none") &&
	    span_find_byte(param(a, "prompt"), ' ') < param(a, "prompt").len)
		return "invalid_request";
	return NULL;
}

/* ---- logging in ---- */

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
	for (size_t i = 0; i < a->form.count; i++)
		if (!span_eq(a->form.pairs[i].name, SPAN("prompt")) &&
		    !span_eq(a->form.pairs[i].name, SPAN("login_after")))
			form_append(&url, a->form.pairs[i].name, a->form.pairs[i].value);
	if (asks_prompt(a, "consent"))
		form_append(&url, SPAN("prompt"), SPAN("consent"));
	if (asks_prompt(a, "login"))
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

/* OpenID Connect Core section 3.1.2.1: prompt, max_age; RFC 9470: acr_values. */
static bool is_login_good(const struct authorize *a)
{
	int64_t now = clock_unix_s(), at = a->session.authenticated_unix_s;
	uint64_t max_age, after;

	if (asks_prompt(a, "login") || asks_prompt(a, "select_account"))
		return false;
	if (span_to_u64(param(a, "max_age"), &max_age) && now - at > (int64_t)max_age)
		return false;
	if (span_to_u64(param(a, "login_after"), &after) && at < (int64_t)after)
		return false;
	return !span_eq(param(a, "acr_values"), SPAN("mfa")) ||
	       texts_have(&a->session.methods, SPAN("otp"));
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
	if (asks_prompt(a, "none"))
		refuse(a, "login_required", NULL);
	else if (result == STORE_OK && span_eq(param(a, "acr_values"), SPAN("mfa")) &&
		 !a->user.totp.len)
		refuse(a, "unmet_authentication_requirements",
		       "The user has no second factor.");
	else
		send_to_login(a);
	return false;
}

/* ---- consent ---- */

static struct span consent_key(const struct authorize *a)
{
	return arena_printf(a->x->arena, "%.*s/%.*s", SPAN_ARG(a->user.id),
			    SPAN_ARG(a->client.id));
}

static enum store_result has_consent(struct authorize *a, bool *has, struct err *err)
{
	struct config_strings wanted, given;
	struct store_record record;
	enum store_result result;
	struct span key = consent_key(a);

	*has = !a->client.consent;
	if (*has)
		return STORE_OK;
	if (!key.ptr || texts_split(a->scope, ' ', a->x->arena, &wanted) < 0)
		return idp_no_memory(err);
	result = store_get(a->x->idp->store, SPAN("consent"), key, a->x->arena, &record, err);
	if (result != STORE_OK)
		return result == STORE_ABSENT ? STORE_OK : result;
	if (texts_split(record.value, ' ', a->x->arena, &given) < 0)
		return idp_no_memory(err);
	*has = !asks_prompt(a, "consent");
	for (size_t i = 0; i < wanted.count && *has; i++)
		*has = texts_have(&given, wanted.at[i]);
	return STORE_OK;
}

static struct span redirect_origin(struct span redirect)
{
	size_t scheme = span_find(redirect, SPAN("://"));
	size_t path;

	if (scheme == redirect.len)
		return span_slice(redirect, 0, span_find_byte(redirect, ':') + 1);
	path = span_find_byte(span_slice(redirect, scheme + 3, redirect.len), '/');
	return span_slice(redirect, 0, scheme + 3 + path);
}

static void ask_consent(struct authorize *a)
{
	struct span rest = a->scope;
	struct page page;

	page_begin(&page, a->x, "Allow access?");
	page.form_target = redirect_origin(a->redirect);
	page_raw(&page, "<p><strong>");
	page_text(&page, a->client.name.len ? a->client.name : a->client.id);
	page_raw(&page, "</strong> asks for access to your account as ");
	page_text(&page, a->user.name);
	page_raw(&page, ":</p><ul>\n");
	while (rest.ptr) {
		page_raw(&page, "<li>");
		page_text(&page, span_cut(&rest, ' '));
		page_raw(&page, "</li>\n");
	}
	page_raw(&page, "</ul>\n");
	page_form(&page, "/identity/authorize", SPAN(""));
	for (size_t i = 0; i < a->form.count; i++) {
		struct span name = a->form.pairs[i].name;

		if (span_eq(name, SPAN("form_token")) || span_eq(name, SPAN("decision")) ||
		    span_eq(name, SPAN("prompt")))
			continue;
		page_raw(&page, "<input type=\"hidden\" name=\"");
		page_text(&page, name);
		page_raw(&page, "\" value=\"");
		page_text(&page, a->form.pairs[i].value);
		page_raw(&page, "\">");
	}
	page_raw(&page, "<p><button type=\"submit\" name=\"decision\" value=\"allow\">Allow"
			"</button> <button class=\"second\" type=\"submit\" name=\"decision\" "
			"value=\"deny\">Deny</button></p>\n");
	page_form_end(&page);
	page_end(&page, 200);
}

static enum store_result keep_consent(struct authorize *a, struct err *err)
{
	struct store_change change = {.kind = SPAN("consent"), .value = a->scope};

	change.key = consent_key(a);
	if (!change.key.ptr)
		return idp_no_memory(err);
	idp_audit(a->x->idp, "consent.given", "user", a->user.id, "client", a->client.id);
	return store_commit(a->x->idp->store, &change, 1, err);
}

/* True when the request may go on. */
static bool pass_consent(struct authorize *a)
{
	struct span decision = param(a, "decision");
	struct err err;
	bool has;

	if (has_consent(a, &has, &err) != STORE_OK) {
		web_unavailable(a->x, &err);
		return false;
	}
	if (has)
		return true;
	if (a->posted && span_eq(decision, SPAN("allow"))) {
		if (keep_consent(a, &err) == STORE_OK)
			return true;
		web_unavailable(a->x, &err);
	} else if (a->posted) {
		refuse(a, "access_denied", NULL);
	} else if (asks_prompt(a, "none")) {
		refuse(a, "consent_required", NULL);
	} else {
		ask_consent(a);
	}
	return false;
}

/* ---- the code ---- */

static enum store_result put_code(struct authorize *a, struct span code, struct err *err)
{
	const struct config_tokens *tokens = &a->x->config->identity.tokens;
	const struct oauth_grant grant = {
		.client = a->client.id,
		.user = a->user.id,
		.session = oauth_has_scope(a->scope, SPAN("offline_access")) ? SPAN("")
									     : a->session.id,
		.scope = a->scope,
		.resource = a->resource,
		.nonce = param(a, "nonce"),
		.methods = a->session.methods,
		.authenticated_unix_s = a->session.authenticated_unix_s,
		.created_unix_s = clock_unix_s(),
	};
	struct store_change change = {.kind = SPAN("code"),
				      .expect = STORE_EXPECT_ABSENT,
				      .expires_unix_ms = clock_unix_ms() + CODE_KEPT_MS};
	char digest[DIGEST_HEX_SIZE];
	enum store_result result;
	struct json_writer w;
	struct buf value;

	digest_hex(digest, code);
	buf_init(&value, 65536);
	json_writer_init(&w, &value);
	json_begin_object(&w);
	(void)oauth_grant_write(&w, &grant);
	json_member_string(&w, SPAN("redirect"), a->redirect);
	json_member_string(&w, SPAN("challenge"), a->challenge);
	json_member_int(&w, SPAN("until_ms"), clock_unix_ms() + (int64_t)tokens->code_ms);
	json_end_object(&w);
	change.key = span_cstr(digest);
	change.value = buf_span(&value);
	result = buf_failed(&value) ? idp_no_memory(err)
				    : store_commit(a->x->idp->store, &change, 1, err);
	buf_release(&value);
	return result;
}

static void give_code(struct authorize *a)
{
	struct span code = idp_new_secret(a->x->arena);
	struct err err;

	if (!code.ptr) {
		web_unavailable(a->x, NULL);
	} else if (put_code(a, code, &err) != STORE_OK) {
		web_unavailable(a->x, &err);
	} else {
		idp_audit(a->x->idp, "authorize.granted", "user", a->user.id, "client",
			  a->client.id);
		send_back(a, "code", code, NULL);
	}
}

void oauth_authorize(struct idp_exchange *x)
{
	bool post = x->method == HTTP_METHOD_POST;
	struct authorize a = {.x = x};
	const char *error, *why;

	if (!(post ? web_form(x, &a.form) : web_query(x, &a.form)))
		return;
	a.posted = post && param(&a, "decision").ptr;
	if (a.posted && !web_own_form(x, &a.form))
		return;
	a.state = param(&a, "state");
	if (!find_client(&a))
		return;
	error = check(&a, &why);
	if (error)
		refuse(&a, error, why);
	else if (find_login(&a) && pass_consent(&a))
		give_code(&a);
}
