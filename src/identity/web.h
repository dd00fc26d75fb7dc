/*
 * web.h - requests and answers of the identity server: forms, cookies, pages, JSON. Private to
 * src/identity. All memory is the exchange's arena; what cannot be had becomes 503.
 */
#ifndef IDENTITY_WEB_H
#define IDENTITY_WEB_H

#include "identity/idp_internal.h"
#include "parse/form.h"

#define WEB_PAGE_BYTES ((size_t)256 * 1024)
#define WEB_FORM_COOKIE "__Host-sallyport-form"
#define WEB_LOGIN_COOKIE "__Host-sallyport-login"
#define WEB_DEVICE_COOKIE "__Host-sallyport-device"
#define WEB_FEDERATION_COOKIE "__Host-sallyport-federation"
#define WEB_REMEMBER_COOKIE "__Host-sallyport-remember"

/* ---- requests ---- */

/* The cookie's value; empty when it is absent, or there twice. */
struct span web_cookie(const struct idp_exchange *x, const char *name);
/* The body as a form; false: the request was answered with 400. */
bool web_form(struct idp_exchange *x, struct form *form);
bool web_query(struct idp_exchange *x, struct form *form);
/*
 * A form of ours, sent from a page of ours: by Sec-Fetch-Site or Origin, and by the token that the
 * page had, which goes with a cookie. False: the request was answered with 403.
 */
bool web_own_form(struct idp_exchange *x, const struct form *form);
/* A place on this server to go to afterwards: a path; else that of the account page. */
struct span web_return(struct span wanted);

/* ---- answers ---- */

void web_field(struct idp_exchange *x, struct span name, struct span value);
/* max_age_s -1: until the browser ends; 0: take it away. */
void web_set_cookie(struct idp_exchange *x, const char *name, struct span value,
		    int64_t max_age_s);
/* 303; `to` is absolute, or a path of this server. */
void web_redirect(struct idp_exchange *x, struct span to);
/* The answer's status and content; wipes and releases it. */
void web_content(struct idp_exchange *x, unsigned status, struct buf *body);
void web_json(struct idp_exchange *x, unsigned status, struct buf *body); /* releases it */
/* The same of a text in the arena; ptr NULL: there is no memory. */
void web_json_text(struct idp_exchange *x, unsigned status, struct span text);
/* RFC 6749 section 5.2. `description` may be NULL. */
void web_error(struct idp_exchange *x, unsigned status, const char *error,
	       const char *description);
/*
 * The answer is sent at a set time after the request came (lockout.answer, or twice, four times
 * ... that), so that its time does not tell how much was to be done.
 */
void web_answer_later(struct idp_exchange *x);
/* The store is away, or there is no memory: 503. */
void web_unavailable(struct idp_exchange *x, const struct err *err);

/* ---- pages: HTML without scripts ---- */

struct page {
	struct idp_exchange *x;
	struct buf html;
	struct span form_token;
	struct span form_target; /* an origin besides our own where a form may lead to */
	bool scripted; /* with the script of passkeys */
	const char *hint; /* the id of a paragraph that is about the next fields; NULL: none */
	bool alerted; /* the alert is about the next fields, */
	const char *wrong; /* or about the field of this name; NULL: none */
};

/* Sets the cookie that goes with its forms where that is missing. */
void page_begin(struct page *page, struct idp_exchange *x, const char *title);
void page_text(struct page *page, struct span text); /* escaped */
void page_raw(struct page *page, const char *html);
void page_printf(struct page *page, const char *format, ...)
	PRINTF_LIKE(2, 3); /* not escaped */
/* A paragraph that screen readers announce, about the fields that follow. */
void page_alert(struct page *page, const char *text);
/* <form method="post">, with the token and where to go afterwards. */
void page_form(struct page *page, const char *action, struct span return_to);
void page_hidden(struct page *page, const char *name, struct span value);
/* A label with its input; `attributes` is HTML. */
void page_input(struct page *page, const char *label, const char *name, const char *attributes);
/* The same, with what it holds already. */
void page_input_value(struct page *page, const char *label, const char *name, struct span value,
		      const char *attributes);
void page_submit(struct page *page, const char *text);
/* A line with the way on from here. */
void page_way(struct page *page, const char *href, const char *text);
/* The same, less loud. */
void page_second(struct page *page, const char *text);
/* A paragraph that says what was done; screen readers say it too. `text` is escaped. */
void page_note(struct page *page, const char *text);
void page_form_end(struct page *page);
void page_end(struct page *page, unsigned status);
/* A whole page with a message. */
void page_message(struct idp_exchange *x, unsigned status, const char *title, const char *text);
/* With the way on from there. */
void page_message_way(struct idp_exchange *x, unsigned status, const char *title,
		      const char *text, const char *href, const char *link);
void page_not_found(struct idp_exchange *x);
/* A whole page with an alert and the way on from there. */
void page_refusal(struct idp_exchange *x, unsigned status, const char *title, const char *text,
		  const char *href, const char *link);
/* style.css and the logo (web_style.c) */
void page_style(struct idp_exchange *x);
void page_logo(struct idp_exchange *x);

/* ---- the parts of the server ---- */

/* The session of the request's cookie. */
enum store_result web_session(struct idp_exchange *x, struct idp_session *session,
			      struct idp_user *user, struct err *err);

/*
 * Name and password (and one-time code, which a user with a second factor needs) without a page,
 * counted as at the login. STORE_ABSENT: one answer for everything that is wrong.
 */
enum store_result login_direct(struct idp_exchange *x, struct span name, struct span password,
			       struct span code, struct idp_user *user, bool *second,
			       struct err *err);
/* The session, or the browser is sent to log in (false). */
bool web_need_session(struct idp_exchange *x, struct idp_session *session,
		      struct idp_user *user, struct err *err);
/*
 * The same for changes of factors: the login must be recent, and have shown a second factor where
 * the user has one. After it the browser goes to `back`.
 */
bool web_need_fresh(struct idp_exchange *x, struct idp_session *session, struct idp_user *user,
		    struct span back);
/* A new id for the browser's session. */
enum store_result web_rotate(struct idp_exchange *x, struct idp_session *session,
			     struct err *err);

/* Answers a GET of one of the public documents, which does not block; false: it is none. */
bool web_serve_document(struct idp_exchange *x) MUST_CHECK;

void admin_api(struct idp_exchange *x);
/* IDP_FEDERATION_PATH NAME "/start", "/callback", "/link", "/unlink" (web_federation.c) */
void federation_page(struct idp_exchange *x);
void login_page(struct idp_exchange *x);
void login_send_page(struct idp_exchange *x);
void login_passkey_page(struct idp_exchange *x);
void security_page(struct idp_exchange *x);
void security_password(struct idp_exchange *x);
void security_email(struct idp_exchange *x);
void security_channel(struct idp_exchange *x);
void security_phone(struct idp_exchange *x);
void passkeys_page(struct idp_exchange *x);
void passkey_remove_form(struct idp_exchange *x);
void passkey_script(struct idp_exchange *x);
void reset_page(struct idp_exchange *x);
void reset_new_page(struct idp_exchange *x);
void register_page(struct idp_exchange *x);
void register_new_page(struct idp_exchange *x);
void verify_page(struct idp_exchange *x);
bool register_offers_reset(const struct idp_exchange *x);
bool register_offers_accounts(const struct idp_exchange *x);
/* STORE_CONFLICT: too many mails this hour. */
enum store_result register_send_verification(struct idp_exchange *x,
					     const struct idp_user *user, struct span email,
					     struct err *err);
void login_code_page(struct idp_exchange *x);
void login_password_page(struct idp_exchange *x);
void account_page(struct idp_exchange *x);
void totp_page(struct idp_exchange *x);
void session_end_form(struct idp_exchange *x);
void logout_page(struct idp_exchange *x);

void oauth_metadata(struct idp_exchange *x);
void oauth_keys(struct idp_exchange *x);
/* The origin to which a request to /identity/authorize with this query leads; empty: nowhere. */
struct span oauth_redirect_of(struct idp_exchange *x, struct span query);
void oauth_authorize(struct idp_exchange *x);
void oauth_par(struct idp_exchange *x);
void oauth_register(struct idp_exchange *x);
void oauth_resource_metadata(struct idp_exchange *x);
void oauth_token(struct idp_exchange *x);
void oauth_introspect(struct idp_exchange *x);
void oauth_revoke(struct idp_exchange *x);
void oauth_userinfo(struct idp_exchange *x);
void oauth_device(struct idp_exchange *x);
void oauth_device_page(struct idp_exchange *x);

#endif
