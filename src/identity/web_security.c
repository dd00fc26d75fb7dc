/* What users change of how they log in: password, address, codes by mail and SMS. */
#include "base/clock.h"
#include "identity/federation.h"
#include "identity/flow.h"
#include "identity/ldap_login.h"
#include "identity/password.h"
#include "identity/sent_code.h"
#include "parse/mail_address.h"

/* ---- the page ---- */

static void put_mail(struct page *page, const struct idp_user *user)
{
	const struct idp_exchange *x = page->x;

	page_raw(page, "<section><h2>E-mail address</h2><p>");
	if (user->email.len)
		page_text(page, user->email);
	else
		page_raw(page, "None");
	page_printf(page, "%s</p>\n",
		    !user->email.len	   ? ""
		    : user->email_verified ? " (verified)"
					   : " (not verified)");
	if (x->config->mail) {
		page_form(page, "/identity/security/email", SPAN(""));
		page_input(page, "New or unverified address", "email",
			   "type=\"email\" required autocomplete=\"email\"");
		page_second(page, "Send a link to it");
		page_form_end(page);
	}
	page_raw(page, "</section>\n");
}

static void put_channel(struct page *page, const struct idp_user *user, const char *channel,
			const char *name)
{
	bool on = texts_have(&user->channels, span_cstr(channel));

	if (!on && !sent_code_offers(page->x, user, span_cstr(channel)))
		return;
	page_form(page, "/identity/security/channel", SPAN(""));
	page_hidden(page, "channel", span_cstr(channel));
	page_hidden(page, "on", on ? SPAN("0") : SPAN("1"));
	page_printf(page,
		    "<p class=\"said\">Codes by %s: %s. <button class=\"second\" "
		    "type=\"submit\">Turn %s codes by "
		    "%s</button></p>\n",
		    name, on ? "on" : "off", on ? "off" : "on", name);
	page_form_end(page);
}

static void put_phone(struct page *page, const struct idp_user *user)
{
	if (!page->x->config->identity.sms)
		return;
	page_raw(page, "<p>Phone: ");
	if (user->phone.len)
		page_text(page, user->phone);
	else
		page_raw(page, "none");
	page_raw(page, "</p>\n");
	page_form(page, "/identity/security/phone", SPAN(""));
	page_input(page, "New phone number, with +", "phone",
		   "type=\"tel\" required autocomplete=\"tel\"");
	page_second(page, "Send a code to it");
	page_form_end(page);
}

static void put_password(struct page *page, const struct idp_user *user)
{
	page_raw(page, "<section><h2>Password</h2>\n");
	if (user->password.len) {
		page_form(page, "/identity/security/password", SPAN(""));
		page_input(page, "Current password", "current",
			   "type=\"password\" required autocomplete=\"current-password\"");
		page_input(page, "New password", "password",
			   "type=\"password\" required autocomplete=\"new-password\"");
		page_second(page, "Change the password");
		page_form_end(page);
	} else {
		page_raw(page, ldap_has_user(user)
				       ? "<p>It is that of the directory, and is changed "
					 "there.</p>\n"
				       : "<p>You have none here.</p>\n");
	}
	page_raw(page, "</section>\n");
}

static void show(struct idp_exchange *x, const struct idp_user *user, const char *alert,
		 const char *field, const char *note, unsigned status)
{
	struct page page;

	page_begin(&page, x, "How you log in");
	if (alert)
		page_alert(&page, alert);
	page.alerted = false;
	page.wrong = field;
	if (note)
		page_note(&page, note);
	page_raw(&page, "<section><h2>Second factor</h2>\n");
	page_printf(&page,
		    "<p class=\"way\">Authenticator app: %s. "
		    "<a href=\"/identity/second-factor\">%s</a></p>\n"
		    "<p class=\"way\">Passkeys: %zu. "
		    "<a href=\"/identity/passkeys\">Manage passkeys</a></p>\n",
		    user->totp.len ? "on" : "off", user->totp.len ? "Replace it" : "Set it up",
		    user->passkey_count);
	put_channel(&page, user, "email", "e-mail");
	put_phone(&page, user);
	put_channel(&page, user, "sms", "SMS");
	page_raw(&page, "</section>\n");
	put_mail(&page, user);
	put_password(&page, user);
	federation_put_links(&page, user);
	page_way(&page, "/identity", "Your account");
	page_end(&page, status);
}

static void show_security(struct idp_exchange *x, const struct idp_user *user,
			  const char *alert, const char *note, unsigned status)
{
	show(x, user, alert, NULL, note, status);
}

/* Something is wrong with what was typed there. */
static void show_wrong(struct idp_exchange *x, const struct idp_user *user, const char *field,
		       const char *alert, unsigned status)
{
	show(x, user, alert, field, NULL, status);
}

void security_page(struct idp_exchange *x)
{
	struct idp_session session;
	struct idp_user user;
	struct err err;

	if (web_need_session(x, &session, &user, &err))
		show_security(x, &user, NULL, NULL, 200);
}

/* The session and the form of a change. False: the request was answered. */
static bool begin(struct idp_exchange *x, struct idp_session *session, struct idp_user *user,
		  struct form *form)
{
	return web_form(x, form) && web_own_form(x, form) &&
	       web_need_fresh(x, session, user, SPAN("/identity/security"));
}

/* ---- password ---- */

static enum store_result change_password(struct idp_exchange *x, struct idp_user *user,
					 const struct idp_session *session,
					 struct span password, struct err *err)
{
	enum store_result result;

	user->password = password_hash(&x->config->identity.password, password, x->arena, err);
	user->must_change = false;
	if (!user->password.ptr)
		return STORE_FAILED;
	result = user_put(x->idp, user, x->arena, err);
	if (result != STORE_OK)
		return result;
	idp_audit(x->idp, "user.password_changed", "user", user->id, "address", x->address);
	if (oauth_grants_end_all(x->idp, user->id, x->arena, err) != STORE_OK)
		return STORE_FAILED;
	return session_end_all(x->idp, user->id, session->id, x->arena, err);
}

void security_password(struct idp_exchange *x)
{
	const struct config_password *config = &x->config->identity.password;
	struct span current, password;
	struct idp_session session;
	struct idp_user user;
	const char *problem;
	int64_t wait_ms;
	struct form form;
	struct err err;

	if (!begin(x, &session, &user, &form))
		return;
	current = form_get(&form, SPAN("current"));
	password = form_get(&form, SPAN("password"));
	if (throttle_check(x->idp, THROTTLE_FACTOR, user.id, &wait_ms, &err) != STORE_OK) {
		web_unavailable(x, &err);
		return;
	}
	if (!password_verify(config, user.password, current.ptr ? current : SPAN("")) ||
	    wait_ms) {
		if (!wait_ms &&
		    throttle_fail(x->idp, &x->config->identity.lockout, THROTTLE_FACTOR,
				  user.id, &wait_ms, &err) != STORE_OK)
			web_unavailable(x, &err);
		else
			show_wrong(x, &user, "current", "The current password is wrong.", 403);
		return;
	}
	problem = password_problem(config, user.name, password.ptr ? password : SPAN(""));
	if (problem)
		show_wrong(x, &user, "password", problem, 422);
	else if (change_password(x, &user, &session, password, &err) != STORE_OK ||
		 web_rotate(x, &session, &err) != STORE_OK)
		web_unavailable(x, &err);
	else
		show_security(x, &user, NULL, "The password is changed.", 200);
}

/* ---- e-mail ---- */

void security_email(struct idp_exchange *x)
{
	struct idp_session session;
	struct idp_user user;
	struct span email;
	struct form form;
	struct err err;

	if (!begin(x, &session, &user, &form))
		return;
	email = span_trim(form_get(&form, SPAN("email")));
	email = text_lower(email, x->arena);
	if (!email.ptr) {
		web_unavailable(x, NULL);
		return;
	}
	if (!mail_address_valid(email) || !x->config->mail) {
		show_wrong(x, &user, "email", "This is no e-mail address that we can write to.",
			   422);
		return;
	}
	switch (register_send_verification(x, &user, email, &err)) {
	case STORE_OK:
		show_security(x, &user, NULL, "A link is on its way to the address.", 200);
		break;
	case STORE_ABSENT:
	case STORE_CONFLICT:
		show_security(x, &user, "Too many mails have been sent. Try again in an hour.",
			      NULL, 429);
		break;
	case STORE_FAILED: web_unavailable(x, &err); break;
	}
}

/* ---- codes ---- */

static int set_channel(struct idp_exchange *x, struct idp_user *user, struct span channel,
		       bool on)
{
	if (texts_remove(&user->channels, channel, x->arena) < 0)
		return -1;
	return on ? texts_add(&user->channels, channel, x->arena) : 0;
}

/* Stores the user with its new factors; the session gets a new id. */
static void keep(struct idp_exchange *x, struct idp_user *user, struct idp_session *session,
		 const char *event, const char *note)
{
	struct err err;

	if (user_put(x->idp, user, x->arena, &err) != STORE_OK ||
	    session_end_all(x->idp, user->id, session->id, x->arena, &err) != STORE_OK ||
	    web_rotate(x, session, &err) != STORE_OK) {
		web_unavailable(x, &err);
		return;
	}
	idp_audit(x->idp, event, "user", user->id, "address", x->address);
	show_security(x, user, NULL, note, 200);
}

void security_channel(struct idp_exchange *x)
{
	struct idp_session session;
	struct idp_user user;
	struct span channel;
	struct form form;
	bool on;

	if (!begin(x, &session, &user, &form))
		return;
	channel = span_eq(form_get(&form, SPAN("channel")), SPAN("sms")) ? SPAN("sms")
									 : SPAN("email");
	on = span_eq(form_get(&form, SPAN("on")), SPAN("1"));
	if (on && !sent_code_offers(x, &user, channel)) {
		show_security(x, &user, "No code can be sent there.", NULL, 422);
		return;
	}
	if (set_channel(x, &user, channel, on) < 0) {
		web_unavailable(x, NULL);
		return;
	}
	keep(x, &user, &session, on ? "user.second_factor_on" : "user.second_factor_off",
	     on ? "Codes are on." : "Codes are off.");
}

static void show_phone_code(struct idp_exchange *x, const char *alert, unsigned status)
{
	struct page page;

	page_begin(&page, x, "Is this your phone?");
	if (alert)
		page_alert(&page, alert);
	page_raw(&page, "<p>A code is on its way to it.</p>\n");
	page_form(&page, "/identity/security/phone", SPAN(""));
	page_input(&page, "Code", "code",
		   "required autocomplete=\"one-time-code\" inputmode=\"numeric\" autofocus");
	page_submit(&page, "It is mine");
	page_form_end(&page);
	page_way(&page, "/identity/security", "Rather not");
	page_end(&page, status);
}

static void send_phone_code(struct idp_exchange *x, const struct idp_user *user,
			    struct span phone)
{
	struct err err;

	switch (sent_code_send(x, user, "phone", user->id, SPAN("sms"), phone, &err)) {
	case SENT_CODE_OK: show_phone_code(x, NULL, 200); break;
	case SENT_CODE_TOO_MANY:
		show_security(x, user, "Too many codes have been sent. Try again in an hour.",
			      NULL, 429);
		break;
	case SENT_CODE_FAILED: web_unavailable(x, &err); break;
	}
}

void security_phone(struct idp_exchange *x)
{
	struct idp_session session;
	struct idp_user user;
	enum store_result result;
	struct span code, phone;
	struct form form;
	struct err err;

	if (!begin(x, &session, &user, &form))
		return;
	if (!x->config->identity.sms) {
		page_not_found(x);
		return;
	}
	code = form_get(&form, SPAN("code"));
	if (!code.ptr) {
		phone = phone_normal(span_trim(form_get(&form, SPAN("phone"))), x->arena);
		if (!phone.ptr)
			show_wrong(x, &user, "phone",
				   "This is no number: write it with + and the country.", 422);
		else
			send_phone_code(x, &user, phone);
		return;
	}
	result = sent_code_check(x, "phone", user.id, span_trim(code), NULL, &phone, &err);
	if (result == STORE_FAILED) {
		web_unavailable(x, &err);
	} else if (result != STORE_OK) {
		show_phone_code(x, "The code is wrong, or was tried too often.", 403);
	} else {
		user.phone = phone;
		if (set_channel(x, &user, SPAN("sms"), true) < 0) {
			web_unavailable(x, NULL);
			return;
		}
		keep(x, &user, &session, "user.phone_changed", "Codes by SMS are on.");
	}
}
