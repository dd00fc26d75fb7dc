#include "identity/flow.h"
#include "identity/ldap_login.h"

#include <stdarg.h>

#include "base/clock.h"
#include "base/log.h"
#include "parse/base64.h"
#include "parse/cookie.h"

#define ACCOUNT SPAN("/identity")
#define RETURN_BYTES_MAX 6000
#define FORM_TOKEN_CHARS 43

/* ---- requests ---- */

struct span web_cookie(const struct idp_exchange *x, const char *name)
{
	struct span value;

	if (cookie_find(x->cookie, span_cstr(name), &value) == COOKIE_FOUND)
		return value;
	return SPAN("");
}

static bool read_form(struct idp_exchange *x, struct span text, struct form *form)
{
	switch (form_parse(x->arena, text, form)) {
	case FORM_OK: return true;
	case FORM_BAD_ESCAPE:
	case FORM_NOT_TEXT:
	case FORM_TOO_MANY:
		web_error(x, 400, "invalid_request", "The parameters cannot be read.");
		return false;
	case FORM_NO_MEMORY: break;
	}
	web_unavailable(x, NULL);
	return false;
}

bool web_query(struct idp_exchange *x, struct form *form)
{
	return read_form(x, x->query, form);
}

bool web_form(struct idp_exchange *x, struct form *form)
{
	struct span type = span_slice(x->content_type, 0, span_find_byte(x->content_type, ';'));

	if (!span_eq_nocase(span_trim(type), SPAN("application/x-www-form-urlencoded"))) {
		web_error(x, 400, "invalid_request",
			  "The body must be application/x-www-form-urlencoded.");
		return false;
	}
	return read_form(x, x->body, form);
}

static bool form_token(struct idp_exchange *x, struct span cookie,
		       char token[FORM_TOKEN_CHARS + 1])
{
	unsigned char mac[VAULT_MAC_BYTES];

	if (!vault_mac(x->idp->vault, SPAN("form"), cookie, mac))
		return false;
	base64url_encode(token, span_of(mac, sizeof(mac)));
	token[FORM_TOKEN_CHARS] = '\0';
	return true;
}

bool web_own_form(struct idp_exchange *x, const struct form *form)
{
	struct span cookie = web_cookie(x, WEB_FORM_COOKIE);
	char token[FORM_TOKEN_CHARS + 1];
	bool own = span_eq(x->fetch_site, SPAN("same-origin")) ||
		   span_eq(x->origin, x->config->identity.issuer);

	if (own && cookie.len && form_token(x, cookie, token) &&
	    secret_eq(form_get(form, SPAN("form_token")), span_of(token, FORM_TOKEN_CHARS)))
		return true;
	x->reason = "cross_site";
	page_message(x, 403, "This form cannot be used",
		     "It was not sent from our page, or the page is too old. Go back, load the "
		     "page anew, and try again.");
	return false;
}

/* A path of ours: no scheme, no host, nothing that a browser could take for one. */
struct span web_return(struct span wanted)
{
	if (wanted.len == 0 || wanted.len > RETURN_BYTES_MAX || wanted.ptr[0] != '/')
		return ACCOUNT;
	if (wanted.len > 1 && (wanted.ptr[1] == '/' || wanted.ptr[1] == '\\'))
		return ACCOUNT;
	for (size_t i = 0; i < wanted.len; i++)
		if (wanted.ptr[i] <= ' ' || wanted.ptr[i] >= 0x7f || wanted.ptr[i] == '\\')
			return ACCOUNT;
	return wanted;
}

/* ---- answers ---- */

void web_field(struct idp_exchange *x, struct span name, struct span value)
{
	if (!value.ptr || x->field_count == IDP_FIELDS_MAX) {
		web_unavailable(x, NULL);
		return;
	}
	x->fields[x->field_count++] = (struct http_field){name, value, http_field_lookup(name)};
}

void web_set_cookie(struct idp_exchange *x, const char *name, struct span value,
		    int64_t max_age_s)
{
	struct span age = SPAN("");

	if (max_age_s >= 0)
		age = arena_printf(x->arena, "; Max-Age=%lld", (long long)max_age_s);
	if (!age.ptr) {
		web_unavailable(x, NULL);
		return;
	}
	web_field(x, SPAN("set-cookie"),
		  arena_printf(x->arena, "%s=%.*s; Path=/; Secure; HttpOnly; SameSite=Lax%.*s",
			       name, SPAN_ARG(value), SPAN_ARG(age)));
}

/* Those whose ids need not be looked up. */
static void add_fields(struct idp_exchange *x, const struct http_field *fields, size_t count)
{
	if (x->field_count + count > IDP_FIELDS_MAX) {
		web_unavailable(x, NULL);
		return;
	}
	memcpy(x->fields + x->field_count, fields, count * sizeof(*fields));
	x->field_count += count;
}

static void no_store(struct idp_exchange *x)
{
	static const struct http_field fields[] = {
		{SPAN_INIT("cache-control"), SPAN_INIT("no-store"), HTTP_FIELD_CACHE_CONTROL},
		{SPAN_INIT("referrer-policy"), SPAN_INIT("no-referrer"),
		 HTTP_FIELD_REFERRER_POLICY}};

	add_fields(x, fields, COUNT_OF(fields));
}

void web_redirect(struct idp_exchange *x, struct span to)
{
	if (to.len && to.ptr[0] == '/')
		to = arena_printf(x->arena, "%.*s%.*s", SPAN_ARG(x->config->identity.issuer),
				  SPAN_ARG(to));
	x->status = 303;
	x->content = SPAN("");
	no_store(x);
	web_field(x, SPAN("location"), to);
}

void web_content(struct idp_exchange *x, unsigned status, struct buf *body)
{
	x->status = status;
	x->content = buf_failed(body) ? SPAN_NONE : arena_dup(x->arena, buf_span(body));
	if (body->ptr)
		secret_wipe(body->ptr, body->len);
	buf_release(body);
	if (!x->content.ptr)
		web_unavailable(x, NULL);
}

static void json_fields(struct idp_exchange *x)
{
	static const struct http_field type = {SPAN_INIT("content-type"),
					       SPAN_INIT("application/json"),
					       HTTP_FIELD_CONTENT_TYPE};
	static const struct http_field pragma = {SPAN_INIT("pragma"), SPAN_INIT("no-cache"),
						 HTTP_FIELD_OTHER};

	add_fields(x, &type, 1);
	no_store(x);
	add_fields(x, &pragma, 1);
}

void web_json(struct idp_exchange *x, unsigned status, struct buf *body)
{
	json_fields(x);
	web_content(x, status, body);
}

void web_json_text(struct idp_exchange *x, unsigned status, struct span text)
{
	json_fields(x);
	x->status = status;
	x->content = text;
	if (!text.ptr)
		web_unavailable(x, NULL);
}

void web_error(struct idp_exchange *x, unsigned status, const char *error,
	       const char *description)
{
	struct json_writer w;
	struct buf body;

	x->reason = error;
	buf_init(&body, 4096);
	json_writer_init(&w, &body);
	json_begin_object(&w);
	json_member_string(&w, SPAN("error"), span_cstr(error));
	if (description)
		json_member_string(&w, SPAN("error_description"), span_cstr(description));
	json_end_object(&w);
	web_json(x, status, &body);
}

/* Takes no memory: there may be none. */
static const char unavailable_page[] =
	"<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
	"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
	"<meta name=\"color-scheme\" content=\"light dark\"><title>Not available</title>"
	"<link rel=\"stylesheet\" href=\"/identity/style.css\"></head><body><main>"
	"<h1>Not available now</h1>\n<p class=\"alert\" role=\"alert\">Something that this "
	"needs "
	"cannot be reached. Try again in a little while.</p>\n"
	"<p class=\"way\"><a href=\"/identity\">Your account</a></p></main></body></html>\n";

static bool is_page(struct span path);

void web_unavailable(struct idp_exchange *x, const struct err *err)
{
	static const struct http_field fields[] = {
		{SPAN_INIT("retry-after"), SPAN_INIT("1"), HTTP_FIELD_RETRY_AFTER},
		{SPAN_INIT("cache-control"), SPAN_INIT("no-store"), HTTP_FIELD_CACHE_CONTROL},
		{SPAN_INIT("content-type"), SPAN_INIT("application/json"),
		 HTTP_FIELD_CONTENT_TYPE}};
	static const struct http_field page_fields[] = {
		{SPAN_INIT("content-type"), SPAN_INIT("text/html; charset=utf-8"),
		 HTTP_FIELD_CONTENT_TYPE},
		{SPAN_INIT("x-frame-options"), SPAN_INIT("DENY"), HTTP_FIELD_OTHER},
		{SPAN_INIT("content-security-policy"),
		 SPAN_INIT("default-src 'none'; style-src 'self'; base-uri 'none'; "
			   "form-action 'none'; frame-ancestors 'none'"),
		 HTTP_FIELD_OTHER}};

	if (err)
		log_message(LOG_WARN, "identity.unavailable", "%s", err->message);
	/* Whatever is still added to it, a cookie that is missing makes another answer of it. */
	x->unavailable = true;
	x->status = 503;
	x->reason = "unavailable";
	memcpy(x->fields, fields, sizeof(fields));
	x->field_count = COUNT_OF(fields);
	x->content = SPAN("{\"error\":\"temporarily_unavailable\"}");
	if (!is_page(x->path))
		return;
	memcpy(x->fields + x->field_count - 1, page_fields, sizeof(page_fields));
	x->field_count += COUNT_OF(page_fields) - 1;
	x->content = span_cstr(unavailable_page);
}

/* ---- pages ---- */

/* The page's forms carry a token of the browser's cookie, which is made when it has none. */
static void prepare_forms(struct page *page)
{
	struct idp_exchange *x = page->x;
	struct span cookie = web_cookie(x, WEB_FORM_COOKIE);
	char token[FORM_TOKEN_CHARS + 1];

	if (cookie.len != FORM_TOKEN_CHARS) {
		cookie = idp_new_secret(x->arena);
		if (!cookie.ptr) {
			page->html.failed = true;
			return;
		}
		web_set_cookie(x, WEB_FORM_COOKIE, cookie, -1);
	}
	if (form_token(x, cookie, token))
		page->form_token = arena_dup(x->arena, span_cstr(token));
	if (!page->form_token.ptr)
		page->html.failed = true;
}

void page_begin(struct page *page, struct idp_exchange *x, const char *title)
{
	*page = (struct page){.x = x};
	buf_init(&page->html, WEB_PAGE_BYTES);
	prepare_forms(page);
	page_raw(page,
		 "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
		 "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
	if (x->config->identity.theme.dark)
		page_raw(page, "<meta name=\"color-scheme\" content=\"light dark\">");
	page_raw(page, "<title>");
	page_raw(page, title);
	page_raw(page, " - ");
	page_text(page, x->config->identity.theme.name);
	page_raw(page, "</title><link rel=\"stylesheet\" href=\"/identity/style.css\"></head>"
		       "<body><main><p class=\"brand\">");
	if (x->config->identity.theme.logo.len)
		page_raw(page, "<img src=\"/identity/logo\" alt=\"\"> ");
	page_text(page, x->config->identity.theme.name);
	page_printf(page, "</p><h1>%s</h1>\n", title);
}

void page_text(struct page *page, struct span text)
{
	buf_append_html(&page->html, text);
}

void page_raw(struct page *page, const char *html)
{
	buf_append_cstr(&page->html, html);
}

void page_printf(struct page *page, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	buf_vprintf(&page->html, format, args);
	va_end(args);
}

void page_alert(struct page *page, const char *text)
{
	page->alerted = true;
	page_printf(page, "<p class=\"alert\" id=\"alert\" role=\"alert\">%s</p>\n", text);
}

void page_hidden(struct page *page, const char *name, struct span value)
{
	page_printf(page, "<input type=\"hidden\" name=\"%s\" value=\"", name);
	page_text(page, value);
	page_raw(page, "\">");
}

void page_form(struct page *page, const char *action, struct span return_to)
{
	page_printf(page, "<form method=\"post\" action=\"%s\">", action);
	page_hidden(page, "form_token", page->form_token);
	if (return_to.len)
		page_hidden(page, "return", return_to);
	page_raw(page, "\n");
}

void page_input_value(struct page *page, const char *label, const char *name, struct span value,
		      const char *attributes)
{
	bool wrong = page->alerted ||
		     (page->wrong && span_eq(span_cstr(page->wrong), span_cstr(name)));

	page_printf(page, "<p><label for=\"%s\">%s</label><input id=\"%s\" name=\"%s\" %s",
		    name, label, name, name, attributes);
	if (value.len) {
		page_raw(page, " value=\"");
		page_text(page, value);
		page_raw(page, "\"");
	}
	if (wrong)
		page_raw(page, " aria-invalid=\"true\"");
	if (wrong || page->hint)
		page_printf(page, " aria-describedby=\"%s%s%s\"", wrong ? "alert" : "",
			    wrong && page->hint ? " " : "", page->hint ? page->hint : "");
	page_raw(page, "></p>\n");
}

void page_input(struct page *page, const char *label, const char *name, const char *attributes)
{
	page_input_value(page, label, name, SPAN(""), attributes);
}

void page_way(struct page *page, const char *href, const char *text)
{
	page_printf(page, "<p class=\"way\"><a href=\"%s\">%s</a></p>\n", href, text);
}

void page_submit(struct page *page, const char *text)
{
	page_printf(page, "<p><button type=\"submit\">%s</button></p>\n", text);
}

void page_second(struct page *page, const char *text)
{
	page_printf(page, "<p><button class=\"second\" type=\"submit\">%s</button></p>\n",
		    text);
}

void page_note(struct page *page, const char *text)
{
	page_raw(page, "<p class=\"note\" role=\"status\">");
	page_text(page, span_cstr(text));
	page_raw(page, "</p>\n");
}

void page_form_end(struct page *page)
{
	page_raw(page, "</form>\n");
}

void page_end(struct page *page, unsigned status)
{
	struct idp_exchange *x = page->x;

	page_raw(page, "</main>");
	if (page->scripted)
		page_raw(page, "<script src=\"/identity/passkey.js\" defer></script>");
	page_raw(page, "</body></html>\n");
	no_store(x);
	web_field(x, SPAN("content-type"), SPAN("text/html; charset=utf-8"));
	web_field(x, SPAN("x-frame-options"), SPAN("DENY"));
	web_field(x, SPAN("content-security-policy"),
		  arena_printf(
			  x->arena,
			  "default-src 'none'; style-src 'self'; img-src 'self'; %s"
			  "form-action 'self'%s%.*s; base-uri 'none'; frame-ancestors 'none'",
			  page->scripted ? "script-src 'self'; " : "",
			  page->form_target.len ? " " : "", SPAN_ARG(page->form_target)));
	web_content(x, status, &page->html);
}

void page_message(struct idp_exchange *x, unsigned status, const char *title, const char *text)
{
	struct page page;

	page_begin(&page, x, title);
	page_printf(&page, "<p>%s</p>\n", text);
	page_end(&page, status);
}

void page_message_way(struct idp_exchange *x, unsigned status, const char *title,
		      const char *text, const char *href, const char *link)
{
	struct page page;

	page_begin(&page, x, title);
	page_printf(&page, "<p>%s</p>\n", text);
	page_way(&page, href, link);
	page_end(&page, status);
}

void page_not_found(struct idp_exchange *x)
{
	page_message_way(x, 404, "Not found", "There is no such page.", "/identity",
			 "Your account");
}

void page_refusal(struct idp_exchange *x, unsigned status, const char *title, const char *text,
		  const char *href, const char *link)
{
	struct page page;

	page_begin(&page, x, title);
	page_alert(&page, text);
	page_way(&page, href, link);
	page_end(&page, status);
}

void web_answer_later(struct idp_exchange *x)
{
	int64_t step_ms = (int64_t)x->config->identity.lockout.answer_ms;
	int64_t spent_ms = clock_ms() - x->begun_ms;

	if (!step_ms || !x->begun_ms)
		return;
	while (step_ms < spent_ms)
		step_ms *= 2;
	x->not_before_ms = x->begun_ms + step_ms;
}

/* ---- the server ---- */

enum store_result web_session(struct idp_exchange *x, struct idp_session *session,
			      struct idp_user *user, struct err *err)
{
	struct span cookie = web_cookie(x, IDP_SESSION_COOKIE);
	enum store_result result;

	result = session_find(x->idp, &x->config->identity.session, cookie, x->arena, session,
			      err);
	if (result == STORE_ABSENT)
		return remember_use(x, session, user, err);
	if (result == STORE_OK)
		result = user_get(x->idp, session->user, x->arena, user, err);
	if (result == STORE_OK && user->disabled)
		return STORE_ABSENT;
	if (result == STORE_OK)
		result = ldap_check_known(x->idp, x->config, user, x->arena, err);
	return result;
}

bool web_need_session(struct idp_exchange *x, struct idp_session *session,
		      struct idp_user *user, struct err *err)
{
	switch (web_session(x, session, user, err)) {
	case STORE_OK: return true;
	case STORE_ABSENT:
	case STORE_CONFLICT:
		web_redirect(x, arena_printf(x->arena, "/identity/login?return=%.*s",
					     SPAN_ARG(x->path)));
		return false;
	case STORE_FAILED: break;
	}
	web_unavailable(x, err);
	return false;
}

bool web_need_fresh(struct idp_exchange *x, struct idp_session *session, struct idp_user *user,
		    struct span back)
{
	int64_t fresh_s = (int64_t)(x->config->identity.session.fresh_ms / 1000);
	struct err err;

	if (!web_need_session(x, session, user, &err))
		return false;
	if (clock_unix_s() - session->authenticated_unix_s <= fresh_s &&
	    (!user_has_second_factor(user) || idp_acr_of(&session->methods) >= IDP_ACR_MFA))
		return true;
	x->reason = "login_too_old";
	web_redirect(x, arena_printf(x->arena, "/identity/login?again=1&return=%.*s",
				     SPAN_ARG(back)));
	return false;
}

enum store_result web_rotate(struct idp_exchange *x, struct idp_session *session,
			     struct err *err)
{
	struct span cookie;
	enum store_result result = session_rotate(x->idp, &x->config->identity.session, session,
						  x->arena, &cookie, err);

	if (result == STORE_OK)
		web_set_cookie(x, IDP_SESSION_COOKIE, cookie, -1);
	return result;
}

/* A document is public, and the same for all: it takes neither the store nor a session. */
enum { GET_ONLY = 1, POST_ONLY = 2, BOTH = 3, IS_DOCUMENT = 4, IS_PAGE = 8 };

static const struct {
	struct span path;
	int methods;
	void (*serve)(struct idp_exchange *x);
} parts[] = {
	{SPAN_INIT("/.well-known/openid-configuration"), GET_ONLY | IS_DOCUMENT,
	 oauth_metadata},
	{SPAN_INIT("/.well-known/oauth-authorization-server"), GET_ONLY | IS_DOCUMENT,
	 oauth_metadata},
	{SPAN_INIT("/.well-known/oauth-protected-resource"), GET_ONLY | IS_DOCUMENT,
	 oauth_resource_metadata},
	{SPAN_INIT("/identity/keys"), GET_ONLY | IS_DOCUMENT, oauth_keys},
	{SPAN_INIT("/identity/authorize"), BOTH | IS_PAGE, oauth_authorize},
	{SPAN_INIT("/identity/par"), POST_ONLY, oauth_par},
	{SPAN_INIT("/identity/register"), POST_ONLY, oauth_register},
	{SPAN_INIT("/identity/token"), POST_ONLY, oauth_token},
	{SPAN_INIT("/identity/introspect"), POST_ONLY, oauth_introspect},
	{SPAN_INIT("/identity/revoke"), POST_ONLY, oauth_revoke},
	{SPAN_INIT("/identity/userinfo"), BOTH, oauth_userinfo},
	{SPAN_INIT("/identity/device-authorization"), POST_ONLY, oauth_device},
	{SPAN_INIT("/identity/device"), BOTH | IS_PAGE, oauth_device_page},
	{SPAN_INIT("/identity/login"), BOTH | IS_PAGE, login_page},
	{SPAN_INIT("/identity/login/code"), BOTH | IS_PAGE, login_code_page},
	{SPAN_INIT("/identity/login/password"), BOTH | IS_PAGE, login_password_page},
	{SPAN_INIT("/identity/login/send"), POST_ONLY | IS_PAGE, login_send_page},
	{SPAN_INIT("/identity/login/passkey"), POST_ONLY | IS_PAGE, login_passkey_page},
	{SPAN_INIT("/identity/security"), GET_ONLY | IS_PAGE, security_page},
	{SPAN_INIT("/identity/security/password"), POST_ONLY | IS_PAGE, security_password},
	{SPAN_INIT("/identity/security/email"), POST_ONLY | IS_PAGE, security_email},
	{SPAN_INIT("/identity/security/channel"), POST_ONLY | IS_PAGE, security_channel},
	{SPAN_INIT("/identity/security/phone"), POST_ONLY | IS_PAGE, security_phone},
	{SPAN_INIT("/identity/passkeys"), BOTH | IS_PAGE, passkeys_page},
	{SPAN_INIT("/identity/passkeys/remove"), POST_ONLY | IS_PAGE, passkey_remove_form},
	{SPAN_INIT("/identity/passkey.js"), GET_ONLY, passkey_script},
	{SPAN_INIT("/identity/reset"), BOTH | IS_PAGE, reset_page},
	{SPAN_INIT("/identity/reset/new"), BOTH | IS_PAGE, reset_new_page},
	{SPAN_INIT("/identity/register-account"), BOTH | IS_PAGE, register_page},
	{SPAN_INIT("/identity/register-account/new"), BOTH | IS_PAGE, register_new_page},
	{SPAN_INIT("/identity/verify"), BOTH | IS_PAGE, verify_page},
	{SPAN_INIT("/identity/logout"), BOTH | IS_PAGE, logout_page},
	{SPAN_INIT("/identity"), GET_ONLY | IS_PAGE, account_page},
	{SPAN_INIT("/identity/"), GET_ONLY | IS_PAGE, account_page},
	{SPAN_INIT("/identity/second-factor"), BOTH | IS_PAGE, totp_page},
	{SPAN_INIT("/identity/sessions/end"), POST_ONLY | IS_PAGE, session_end_form},
	{SPAN_INIT("/identity/style.css"), GET_ONLY, page_style},
	{SPAN_INIT("/identity/logo"), GET_ONLY, page_logo},
};

static bool is_page(struct span path)
{
	if (span_starts_with(path, SPAN(IDP_FEDERATION_PATH)))
		return true;
	for (size_t i = 0; i < COUNT_OF(parts); i++)
		if (span_eq(parts[i].path, path))
			return parts[i].methods & IS_PAGE;
	return false;
}

bool idp_waits_for_others(const struct config *cfg, struct span path, struct span body)
{
	if (span_starts_with(path, SPAN(IDP_FEDERATION_PATH)))
		return true;
	/* Only the choice of a thread: who writes it another way waits in another one. */
	return cfg->identity.ldap.count > 0 && cfg->identity.oauth.password_grant &&
	       span_eq(path, SPAN("/identity/token")) &&
	       span_find(body, SPAN("grant_type=password")) < body.len;
}

static void serve(struct idp_exchange *x)
{
	int method = x->method == HTTP_METHOD_POST ? POST_ONLY : GET_ONLY;

	if (span_starts_with(x->path, SPAN(IDP_ADMIN_PATH))) {
		admin_api(x);
		return;
	}
	if (span_starts_with(x->path, SPAN(IDP_FEDERATION_PATH))) {
		federation_page(x);
		return;
	}

	for (size_t i = 0; i < COUNT_OF(parts); i++) {
		if (!span_eq(parts[i].path, x->path))
			continue;
		if (parts[i].methods & method) {
			parts[i].serve(x);
			return;
		}
		web_field(x, SPAN("allow"),
			  parts[i].methods & POST_ONLY ? SPAN("POST") : SPAN("GET, HEAD"));
		if (parts[i].methods & IS_PAGE)
			page_message_way(x, 405, "Nothing to see here",
					 "A form is sent to this address. Begin anew.",
					 "/identity", "Your account");
		else
			web_error(x, 405, "method_not_allowed", NULL);
		x->reason = "method_not_allowed";
		return;
	}
	page_not_found(x);
	x->reason = "unknown_path";
}

static void finish(struct idp_exchange *x)
{
	if (x->unavailable)
		web_unavailable(x, NULL);
}

bool web_serve_document(struct idp_exchange *x)
{
	for (size_t i = 0; i < COUNT_OF(parts); i++) {
		if ((parts[i].methods & IS_DOCUMENT) && span_eq(parts[i].path, x->path)) {
			parts[i].serve(x);
			return true;
		}
	}
	return false;
}

void idp_serve(struct idp_exchange *x)
{
	serve(x);
	finish(x);
}

void idp_serve_rest(struct idp_exchange *x)
{
	void (*rest)(struct idp_exchange * of) = x->rest;

	x->rest = NULL;
	rest(x);
	finish(x);
}
