/* What users see of themselves: their sessions, their second factor, and the way out. */
#include "base/clock.h"
#include "identity/flow.h"
#include "identity/qr.h"

static const char *word_of(struct span agent, const char *const words[][2], size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (span_find(agent, span_cstr(words[i][0])) < agent.len)
			return words[i][1];
	return NULL;
}

/* What people call their browser, as far as it says. */
static void put_agent(struct page *page, struct span agent)
{
	/* The first that is found: each claims to be those after it. */
	static const char *const browsers[][2] = {
		{"Edg/", "Edge"},	   {"OPR/", "Opera"},	  {"Firefox/", "Firefox"},
		{"FxiOS/", "Firefox"},	   {"CriOS/", "Chrome"},  {"Chrome/", "Chrome"},
		{"Chromium/", "Chromium"}, {"Safari/", "Safari"}, {"curl/", "curl"},
	};
	static const char *const systems[][2] = {
		{"iPhone", "iPhone"},	{"iPad", "iPad"},    {"Android", "Android"},
		{"Windows", "Windows"}, {"Mac OS X", "Mac"}, {"CrOS", "ChromeOS"},
		{"Linux", "Linux"},
	};
	const char *browser = word_of(agent, browsers, COUNT_OF(browsers));
	const char *system = word_of(agent, systems, COUNT_OF(systems));

	page_printf(page, "<strong>%s%s%s</strong>", browser ? browser : "A browser",
		    system ? " on " : "", system ? system : "");
}

static void put_sessions(struct page *page, const struct idp_session *sessions, size_t count,
			 struct span own)
{
	page_raw(page, "<h2>Sessions</h2><ul class=\"list\">\n");
	for (size_t i = 0; i < count; i++) {
		char seen[CLOCK_HTTP_SIZE];

		clock_http(seen, sessions[i].seen_unix_s);
		page_raw(page, "<li>");
		put_agent(page, sessions[i].agent);
		if (span_eq(sessions[i].id, own))
			page_raw(page, " (this one)");
		page_raw(page, "<br>");
		page_text(page, sessions[i].address);
		page_printf(page, ", last seen %s", seen);
		if (span_eq(sessions[i].id, own)) {
			page_raw(page, "</li>\n");
			continue;
		}
		page_form(page, "/identity/sessions/end", SPAN(""));
		page_hidden(page, "session", sessions[i].id);
		page_printf(page,
			    "<button class=\"second\" type=\"submit\">End it<span "
			    "class=\"unseen\"> (last seen %s)</span></button>",
			    seen);
		page_form_end(page);
		page_raw(page, "</li>\n");
	}
	page_raw(page, "</ul>\n");
}

void account_page(struct idp_exchange *x)
{
	struct idp_session session, *all;
	struct idp_user user;
	struct page page;
	size_t count;
	struct err err;

	if (!web_need_session(x, &session, &user, &err))
		return;
	if (session_list(x->idp, user.id, x->arena, &all, &count, &err) != STORE_OK) {
		web_unavailable(x, &err);
		return;
	}
	page_begin(&page, x, "Your account");
	page_raw(&page, "<p>Logged in as <strong>");
	page_text(&page, user.name);
	page_printf(&page, "</strong>. Second factor: %s.</p>\n",
		    user_has_second_factor(&user) ? "on" : "off");
	page_way(&page, "/identity/security", "How you log in");
	put_sessions(&page, all, count, session.id);
	page_form(&page, "/identity/logout", SPAN(""));
	page_submit(&page, "Log out");
	page_form_end(&page);
	page_end(&page, 200);
}

/* Only the user's own: an id of another's session is as good as none. */
void session_end_form(struct idp_exchange *x)
{
	struct idp_session session, *all;
	struct idp_user user;
	struct form form;
	struct span id;
	size_t count;
	struct err err;

	if (!web_form(x, &form) || !web_own_form(x, &form) ||
	    !web_need_session(x, &session, &user, &err))
		return;
	if (session_list(x->idp, user.id, x->arena, &all, &count, &err) != STORE_OK) {
		web_unavailable(x, &err);
		return;
	}
	id = form_get(&form, SPAN("session"));
	for (size_t i = 0; i < count; i++) {
		if (!span_eq(all[i].id, id))
			continue;
		if (session_end(x->idp, id, &err) == STORE_FAILED) {
			web_unavailable(x, &err);
			return;
		}
		idp_audit(x->idp, "session.ended", "user", user.id, "session", id);
	}
	web_redirect(x, SPAN("/identity"));
}

/* ---- second factor ---- */

/* The key as a code to be scanned, as a link, and as text; the page is as good without the code. */
static void put_key(struct page *page, const struct idp_user *user, struct span secret)
{
	struct buf link, code;

	buf_init(&link, 4096);
	buf_append_cstr(&link, "otpauth://totp/");
	form_append_escaped(&link, user->name);
	buf_printf(&link, "?secret=%.*s&issuer=", SPAN_ARG(secret));
	form_append_escaped(&link, page->x->config->identity.theme.name);
	buf_init(&code, WEB_PAGE_BYTES);
	if (qr_put(&code, buf_span(&link),
		   "QR code of the key below, for the camera of an authenticator app") == 0) {
		page_raw(page, "<p>Scan this code with your authenticator app:</p>\n<p>");
		buf_append(&page->html, buf_span(&code));
		page_raw(page, "</p>\n<p>Or put this key into it, by hand or <a href=\"");
	} else {
		page_raw(page, "<p>Put this key into your authenticator app, by hand or "
			       "<a href=\"");
	}
	page_text(page, buf_failed(&link) ? SPAN("") : buf_span(&link));
	page_printf(page, "\">with this link</a>:</p><p><code>%.*s</code></p>\n",
		    SPAN_ARG(secret));
	secret_wipe(link.ptr, link.len);
	secret_wipe(code.ptr, code.len);
	buf_release(&link);
	buf_release(&code);
}

/* The new secret travels in the form, sealed for this user: nothing is stored until it works. */
static void show_totp(struct idp_exchange *x, const struct idp_user *user, struct span secret,
		      const char *alert, unsigned status)
{
	struct span sealed = vault_seal(x->idp->vault, user->id, secret, x->arena);
	struct page page;

	if (!secret.ptr || !sealed.ptr) {
		web_unavailable(x, NULL);
		return;
	}
	page_begin(&page, x, "Second factor");
	if (alert)
		page_alert(&page, alert);
	if (user->totp.len)
		page_raw(&page, "<p>You have one already; this one replaces it.</p>\n");
	put_key(&page, user, secret);
	page_form(&page, "/identity/second-factor", SPAN(""));
	page_hidden(&page, "sealed", sealed);
	page_input(&page, "Code that the app shows", "code",
		   "required autocomplete=\"one-time-code\" inputmode=\"numeric\"");
	page_submit(&page, "Turn it on");
	page_form_end(&page);
	page_end(&page, status);
}

static void show_recovery(struct idp_exchange *x, const struct config_strings *codes)
{
	struct page page;

	page_begin(&page, x, "Recovery codes");
	page_raw(&page,
		 "<p>The second factor is on. Keep these codes in a safe place: each lets "
		 "you in once when your app is lost. They are not shown again.</p>\n"
		 "<ul class=\"codes\">\n");
	for (size_t i = 0; i < codes->count; i++)
		page_printf(&page, "<li><code>%.*s</code></li>\n", SPAN_ARG(codes->at[i]));
	page_raw(&page, "</ul>\n");
	page_way(&page, "/identity", "Done");
	page_end(&page, 200);
}

static void submit_totp(struct idp_exchange *x, struct idp_user *user,
			struct idp_session *session)
{
	struct secret secret = SECRET_NONE;
	struct config_strings codes;
	struct span sealed;
	struct form form;
	struct err err;
	int64_t step;

	if (!web_form(x, &form) || !web_own_form(x, &form))
		return;
	sealed = form_get(&form, SPAN("sealed"));
	if (vault_open_sealed(x->idp->vault, user->id, sealed, &secret, &err) < 0) {
		page_refusal(x, 400, "Second factor", "The form is damaged.",
			     "/identity/second-factor", "Start again");
		return;
	}
	step = totp_check(secret_span(&secret), span_trim(form_get(&form, SPAN("code"))), 0,
			  clock_unix_s());
	if (!step) {
		show_totp(x, user, secret_span(&secret), "The code is wrong. Try again.", 422);
		secret_release(&secret);
		return;
	}
	secret_release(&secret);
	user->totp = sealed;
	user->totp_step = step;
	if (totp_recovery(x->arena, &codes, &user->recovery) < 0) {
		web_unavailable(x, NULL);
		return;
	}
	/* Sessions from before the second factor end; this one has shown it, under a new id. */
	if (user_put(x->idp, user, x->arena, &err) != STORE_OK ||
	    session_end_all(x->idp, user->id, session->id, x->arena, &err) != STORE_OK ||
	    session_add_method(session, "otp", x->arena) < 0 ||
	    web_rotate(x, session, &err) != STORE_OK) {
		web_unavailable(x, &err);
		return;
	}
	idp_audit(x->idp, "user.second_factor_on", "user", user->id, "address", x->address);
	show_recovery(x, &codes);
}

/* A second factor may be replaced only in a session that was begun with it, and lately. */
void totp_page(struct idp_exchange *x)
{
	struct idp_session session;
	struct idp_user user;

	if (!web_need_fresh(x, &session, &user, SPAN("/identity/second-factor")))
		return;
	if (x->method == HTTP_METHOD_POST)
		submit_totp(x, &user, &session);
	else
		show_totp(x, &user, totp_new_secret(x->arena), NULL, 200);
}

/* ---- logging out (OpenID Connect RP-Initiated Logout 1.0) ---- */

/*
 * Where to go afterwards: only with an ID token of ours, to a URI that its client has registered
 * (section 3). Else empty.
 */
static enum store_result logout_target(struct idp_exchange *x, const struct form *form,
				       struct span *to, struct err *err)
{
	struct span wanted = form_get(form, SPAN("post_logout_redirect_uri"));
	struct span state = form_get(form, SPAN("state"));
	struct span payload = signing_verify(x->idp, SPAN("JWT"),
					     form_get(form, SPAN("id_token_hint")), x->arena);
	const struct json *claims;
	struct idp_client client;
	enum store_result result;
	struct buf url;

	*to = SPAN("");
	claims = payload.ptr ? json_parse(x->arena, payload, NULL, err) : NULL;
	if (!claims || !wanted.len)
		return STORE_OK;
	result = client_get(x->idp, json_text(claims, "aud"), x->arena, &client, err);
	if (result != STORE_OK || !texts_have(&client.logout_redirects, wanted))
		return result == STORE_FAILED ? result : STORE_OK;
	buf_init(&url, 8192);
	buf_append(&url, wanted);
	if (state.len) {
		if (span_find_byte(wanted, '?') == wanted.len)
			buf_append_byte(&url, '?');
		form_append(&url, SPAN("state"), state);
	}
	*to = buf_failed(&url) ? SPAN_NONE : arena_dup(x->arena, buf_span(&url));
	buf_release(&url);
	return to->ptr ? STORE_OK : idp_no_memory(err);
}

static void log_out(struct idp_exchange *x, struct span to)
{
	struct span cookie = web_cookie(x, IDP_SESSION_COOKIE);
	char digest[DIGEST_HEX_SIZE];
	enum store_result result;
	struct err err;

	if (cookie.len) {
		digest_hex(digest, cookie);
		result = session_end(x->idp, span_cstr(digest), &err);
		if (result == STORE_FAILED) {
			web_unavailable(x, &err);
			return;
		}
		if (result == STORE_OK)
			idp_audit(x->idp, "logout", "session", span_cstr(digest), "address",
				  x->address);
	}
	if (remember_end(x, &err) != STORE_OK) {
		web_unavailable(x, &err);
		return;
	}
	web_set_cookie(x, IDP_SESSION_COOKIE, SPAN(""), 0);
	if (to.len)
		web_redirect(x, to);
	else
		page_message_way(x, 200, "Logged out", "You are logged out.", "/identity/login",
				 "Log in again");
}

/* Another site may send a browser here: the user is asked, so that it cannot log anybody out. */
static void ask(struct idp_exchange *x, const struct form *form)
{
	static const char *const passed[] = {"id_token_hint", "post_logout_redirect_uri",
					     "state"};
	struct page page;

	page_begin(&page, x, "Log out?");
	page_form(&page, "/identity/logout", SPAN(""));
	for (size_t i = 0; i < COUNT_OF(passed); i++) {
		struct span value = form_get(form, span_cstr(passed[i]));

		if (value.len)
			page_hidden(&page, passed[i], value);
	}
	page_submit(&page, "Log out");
	page_form_end(&page);
	page_way(&page, "/identity", "Stay logged in");
	page_end(&page, 200);
}

void logout_page(struct idp_exchange *x)
{
	bool post = x->method == HTTP_METHOD_POST;
	struct form form;
	struct span to;
	struct err err;

	if (!(post ? web_form(x, &form) : web_query(x, &form)))
		return;
	/* A POST of a client (section 2) is not a form of ours: it is asked about like a GET. */
	if (!post || !form_get(&form, SPAN("form_token")).ptr) {
		ask(x, &form);
		return;
	}
	if (!web_own_form(x, &form))
		return;
	if (logout_target(x, &form, &to, &err) != STORE_OK)
		web_unavailable(x, &err);
	else
		log_out(x, to);
}
