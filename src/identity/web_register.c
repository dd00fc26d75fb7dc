/*
 * Accounts that people make for themselves, forgotten passwords, and addresses that are shown to be
 * theirs: by links in mails, which are good once and for a time. The store has their digests only.
 * Whether an address is known here is told to nobody but its owner, by mail.
 */
#include "base/clock.h"
#include "identity/flow.h"
#include "identity/password.h"
#include "identity/sent_code.h"
#include "parse/mail_address.h"

/* Links that an address (of the network) may ask for in an hour. */
#define ASKED_MAX 30
#define HOUR_MS ((int64_t)3600 * 1000)

#define NEW_PASSWORD "type=\"password\" required autocomplete=\"new-password\""

struct link {
	struct span purpose; /* "register", "reset", "verify"; "none": for nobody */
	struct span user; /* id */
	struct span email;
	uint64_t version;
};

/* ---- links ---- */

static enum store_result make_link(struct idp_exchange *x, const struct link *link,
				   struct span *token, struct err *err)
{
	struct store_change change = {.kind = SPAN("link"),
				      .expect = STORE_EXPECT_ABSENT,
				      .expires_unix_ms =
					      clock_unix_ms() +
					      (int64_t)x->config->identity.accounts.link_ms};
	char digest[DIGEST_HEX_SIZE];
	struct json_writer w;
	struct buf value;

	*token = idp_new_secret(x->arena);
	if (!token->ptr)
		return idp_no_memory(err);
	digest_hex(digest, *token);
	buf_init(&value, 8192);
	json_writer_init(&w, &value);
	json_begin_object(&w);
	json_member_string(&w, SPAN("purpose"), link->purpose);
	json_member_string(&w, SPAN("user"), link->user);
	json_member_string(&w, SPAN("email"), link->email);
	json_end_object(&w);
	change.key = span_cstr(digest);
	return idp_commit(x->idp->shared, &change, 1, &value, err);
}

static enum store_result find_link(struct idp_exchange *x, struct span token,
				   const char *purpose, struct link *link, struct err *err)
{
	char digest[DIGEST_HEX_SIZE];
	struct store_record record;
	const struct json *object;
	enum store_result result;

	if (!token.len || token.len > 100)
		return STORE_ABSENT;
	digest_hex(digest, token);
	result = store_get(x->idp->shared, SPAN("link"), span_cstr(digest), x->arena, &record,
			   err);
	if (result != STORE_OK)
		return result;
	object = idp_parse(record.value, x->arena, err);
	if (!object)
		return STORE_FAILED;
	*link = (struct link){.purpose = json_text(object, "purpose"),
			      .user = json_text(object, "user"),
			      .email = json_text(object, "email"),
			      .version = record.version};
	return span_eq(link->purpose, span_cstr(purpose)) ? STORE_OK : STORE_ABSENT;
}

/* STORE_OK for one caller only. */
static enum store_result use_link(struct idp_exchange *x, struct span token,
				  const struct link *link, struct err *err)
{
	char digest[DIGEST_HEX_SIZE];
	struct store_change change = {.kind = SPAN("link"),
				      .expect = STORE_EXPECT_VERSION,
				      .version = link->version,
				      .remove = true};

	digest_hex(digest, token);
	change.key = span_cstr(digest);
	return store_commit(x->idp->shared, &change, 1, err);
}

static void bad_link(struct idp_exchange *x, enum store_result result, const struct err *err)
{
	if (result == STORE_FAILED) {
		web_unavailable(x, err);
		return;
	}
	x->reason = "bad_link";
	page_message_way(x, 404, "This link is not good any more",
			 "It is good once and for a limited time. Ask for a new one.",
			 "/identity/login", "Back to the login");
}

/* A mail with a link, or without (path NULL). */
static enum store_result post(struct idp_exchange *x, struct span to, const char *subject,
			      const char *lead, const char *path, struct span token,
			      struct err *err)
{
	struct span name = x->config->identity.theme.name;
	struct span text, line;

	line = path ? arena_printf(x->arena, "%.*s%s?token=%.*s\n\n",
				   SPAN_ARG(x->config->identity.issuer), path, SPAN_ARG(token))
		    : SPAN("");
	text = arena_printf(x->arena, "%s\n\n%.*s%.*s\n", lead, SPAN_ARG(line), SPAN_ARG(name));
	line = arena_printf(x->arena, "%.*s: %s", SPAN_ARG(name), subject);
	if (!text.ptr || !line.ptr)
		return idp_no_memory(err);
	if (outbox_mail(x->idp->outbox, x->config, to, line, text) == 0)
		return STORE_OK;
	(void)err_set(err, ERR_UNAVAILABLE, "identity: too many messages wait");
	return STORE_FAILED;
}

/* More than that, and nothing is sent any more; the answer is the same. */
static enum store_result may_ask(struct idp_exchange *x, bool *may, struct err *err)
{
	struct span key = arena_printf(x->arena, "asked/%.*s", SPAN_ARG(x->address));
	struct store_counter counter;

	if (!key.ptr)
		return idp_no_memory(err);
	if (store_count(x->idp->shared, key, 1, HOUR_MS, STORE_COUNT_FIXED, &counter, err) !=
	    STORE_OK)
		return STORE_FAILED;
	*may = counter.value <= ASKED_MAX;
	return STORE_OK;
}

/* ---- forgotten passwords ---- */

bool register_offers_reset(const struct idp_exchange *x)
{
	return x->config->mail && x->config->identity.accounts.reset;
}

bool register_offers_accounts(const struct idp_exchange *x)
{
	return x->config->mail && x->config->identity.accounts.registration;
}

static void show_reset(struct idp_exchange *x, const char *alert, unsigned status)
{
	struct page page;

	page_begin(&page, x, "Forgotten your password?");
	if (alert)
		page_alert(&page, alert);
	page_raw(&page, "<p>Tell us who you are. If we know your e-mail address, you get a "
			"mail with a link to choose a new password.</p>\n");
	page_form(&page, "/identity/reset", SPAN(""));
	page_input(&page, "Name or e-mail address", "name",
		   "required autocomplete=\"username\" autocapitalize=\"none\" autofocus");
	page_submit(&page, "Send the mail");
	page_form_end(&page);
	page_way(&page, "/identity/login", "Back to the login");
	page_end(&page, status);
}

/* By name or address; only where the address is known to be the user's. */
static enum store_result find_user(struct idp_exchange *x, struct span name,
				   struct idp_user *user, struct err *err)
{
	enum store_result by_name, by_email;
	struct idp_user other;
	struct span email = text_lower(name, x->arena);

	if (!email.ptr)
		return idp_no_memory(err);
	/* Both are looked up, whatever the first says. */
	by_name = user_find(x->idp, name, x->arena, user, err);
	by_email = user_find_email(x->idp, email, x->arena, &other, err);
	if (by_name == STORE_FAILED || by_email == STORE_FAILED)
		return STORE_FAILED;
	if (by_name != STORE_OK && by_email == STORE_OK)
		*user = other;
	if (by_name != STORE_OK && by_email != STORE_OK)
		return STORE_ABSENT;
	/* Whose password is kept elsewhere gets none here, past those who may switch it off there. */
	if (!user->password.len && user->links.count)
		return STORE_ABSENT;
	return user->disabled || !user->email_verified || !user->email.len ? STORE_ABSENT
									   : STORE_OK;
}

static enum store_result send_reset(struct idp_exchange *x, struct span name, struct err *err)
{
	struct idp_user user = {.id = SPAN_NONE};
	struct link link = {.purpose = SPAN("none"),
			    .user = SPAN("nobody"),
			    .email = SPAN("nobody@example.test")};
	enum store_result found = find_user(x, name, &user, err);
	enum sent_code_result allowed;
	struct span token;
	bool may = false;

	if (found == STORE_FAILED || may_ask(x, &may, err) != STORE_OK)
		return STORE_FAILED;
	if (found != STORE_OK)
		user = (struct idp_user){.id = SPAN("nobody")};
	/* For nobody the same is written as for somebody, so that it takes as long. */
	allowed = sent_code_allow(x, "reset", &user, err);
	if (allowed == SENT_CODE_FAILED)
		return STORE_FAILED;
	if (found == STORE_OK && may && allowed == SENT_CODE_OK)
		link = (struct link){SPAN("reset"), user.id, user.email, 0};
	if (make_link(x, &link, &token, err) != STORE_OK)
		return STORE_FAILED;
	if (!span_eq(link.purpose, SPAN("reset")))
		return STORE_OK;
	idp_audit(x->idp, "user.reset_asked", "user", user.id, "address", x->address);
	return post(x, user.email, "choose a new password",
		    "Somebody, we hope you, wants to choose a new password for your account. "
		    "Follow this link to do so; if it was not you, do nothing.",
		    "/identity/reset/new", token, err);
}

void reset_page(struct idp_exchange *x)
{
	struct span name;
	struct form form;
	struct err err;

	if (!register_offers_reset(x)) {
		page_not_found(x);
		return;
	}
	if (x->method != HTTP_METHOD_POST) {
		show_reset(x, NULL, 200);
		return;
	}
	if (!web_form(x, &form) || !web_own_form(x, &form))
		return;
	name = span_trim(form_get(&form, SPAN("name")));
	if (!name.len || name.len > MAIL_ADDRESS_BYTES_MAX)
		show_reset(x, "Enter a name or an e-mail address.", 422);
	else if (send_reset(x, name, &err) != STORE_OK)
		web_unavailable(x, &err);
	else {
		page_message_way(x, 200, "Look into your mail",
				 "If there is such an account with a verified e-mail address, "
				 "a mail with a link is on its way.",
				 "/identity/login", "Back to the login");
		web_answer_later(x);
	}
}

static void show_choose(struct idp_exchange *x, const char *title, const char *action,
			struct span token, bool display, const char *alert, unsigned status)
{
	struct page page;

	page_begin(&page, x, title);
	if (alert)
		page_alert(&page, alert);
	/* The name that was given is all right. */
	page.alerted = false;
	page_form(&page, action, SPAN(""));
	page_hidden(&page, "token", token);
	if (display)
		page_input(&page, "Your name", "display",
			   "required maxlength=\"100\" autocomplete=\"name\" autofocus");
	page.alerted = alert != NULL;
	page.hint = "rules";
	page_printf(&page,
		    "<p id=\"rules\">A password has at least %u characters. Several words are "
		    "better than one with signs in it.</p>\n",
		    x->config->identity.password.min_chars);
	page_input(&page, "New password", "password",
		   display ? NEW_PASSWORD : NEW_PASSWORD " autofocus");
	page_submit(&page, "Set the password");
	page_form_end(&page);
	page_end(&page, status);
}

static enum store_result set_password(struct idp_exchange *x, struct idp_user *user,
				      struct span password, struct err *err)
{
	user->password = password_hash(&x->config->identity.password, password, x->arena, err);
	user->must_change = false;
	if (!user->password.ptr)
		return STORE_FAILED;
	return user_put(x->idp, user, x->arena, err);
}

static void submit_reset(struct idp_exchange *x, const struct form *form)
{
	struct span token = form_get(form, SPAN("token"));
	struct span password = form_get(form, SPAN("password"));
	enum store_result result;
	struct idp_user user = {0};
	const char *problem;
	struct link link;
	struct err err;

	result = find_link(x, token, "reset", &link, &err);
	if (result == STORE_OK)
		result = user_get(x->idp, link.user, x->arena, &user, &err);
	if (result != STORE_OK || user.disabled) {
		bad_link(x, result, &err);
		return;
	}
	problem = password_problem(&x->config->identity.password, user.name,
				   password.ptr ? password : SPAN(""));
	if (problem) {
		show_choose(x, "Choose a new password", "/identity/reset/new", token, false,
			    problem, 422);
		return;
	}
	result = use_link(x, token, &link, &err);
	if (result == STORE_OK)
		result = set_password(x, &user, password, &err);
	if (result == STORE_OK)
		result = session_end_all(x->idp, user.id, SPAN_NONE, x->arena, &err);
	if (result == STORE_OK)
		result = oauth_grants_end_all(x->idp, user.id, x->arena, &err);
	if (result == STORE_OK)
		result = throttle_clear(x->idp, THROTTLE_ACCOUNT, user.name, &err);
	if (result != STORE_OK) {
		bad_link(x, result, &err);
		return;
	}
	idp_audit(x->idp, "user.password_reset", "user", user.id, "address", x->address);
	if (post(x, user.email, "your password was changed",
		 "The password of your account was changed. If that was not you, reset it "
		 "again and look at your second factors.",
		 NULL, SPAN_NONE, &err) != STORE_OK)
		idp_audit(x->idp, "user.notice_lost", "user", user.id, NULL, SPAN_NONE);
	page_message_way(x, 200, "The password is set", "You can log in with it.",
			 "/identity/login", "Log in");
}

/* GET only shows the form: programs that look at mails follow links too. */
static void link_page(struct idp_exchange *x, const char *purpose,
		      void (*show)(struct idp_exchange *x, struct span token),
		      void (*submit)(struct idp_exchange *x, const struct form *form))
{
	enum store_result result;
	struct form form;
	struct link link;
	struct err err;

	if (x->method == HTTP_METHOD_POST) {
		if (web_form(x, &form) && web_own_form(x, &form))
			submit(x, &form);
		return;
	}
	if (!web_query(x, &form))
		return;
	result = find_link(x, form_get(&form, SPAN("token")), purpose, &link, &err);
	if (result == STORE_OK)
		show(x, form_get(&form, SPAN("token")));
	else
		bad_link(x, result, &err);
}

static void show_reset_new(struct idp_exchange *x, struct span token)
{
	show_choose(x, "Choose a new password", "/identity/reset/new", token, false, NULL, 200);
}

void reset_new_page(struct idp_exchange *x)
{
	link_page(x, "reset", show_reset_new, submit_reset);
}

/* ---- new accounts ---- */

static void show_register(struct idp_exchange *x, const char *alert, unsigned status)
{
	struct page page;

	page_begin(&page, x, "Make an account");
	if (alert)
		page_alert(&page, alert);
	page_raw(&page, "<p>You get a mail with a link to go on.</p>\n");
	page_form(&page, "/identity/register-account", SPAN(""));
	page_input(&page, "E-mail address", "email",
		   "type=\"email\" required autocomplete=\"email\" autofocus");
	page_submit(&page, "Send the mail");
	page_form_end(&page);
	page_way(&page, "/identity/login", "I have an account");
	page_end(&page, status);
}

static bool is_allowed_domain(const struct idp_exchange *x, struct span email)
{
	const struct config_strings *domains = &x->config->identity.accounts.domains;
	size_t at = span_find_byte(email, '@');

	for (size_t i = 0; i < domains->count; i++)
		if (span_eq_nocase(span_slice(email, at + 1, email.len), domains->at[i]))
			return true;
	return domains->count == 0;
}

static enum store_result send_register(struct idp_exchange *x, struct span email,
				       struct err *err)
{
	struct link link = {SPAN("register"), SPAN(""), email, 0};
	struct idp_user user, named;
	enum store_result by_email, by_name;
	enum sent_code_result allowed;
	struct span token;
	bool may = false;

	by_email = user_find_email(x->idp, email, x->arena, &user, err);
	by_name = user_find(x->idp, email, x->arena, &named, err);
	if (by_email == STORE_FAILED || by_name == STORE_FAILED ||
	    may_ask(x, &may, err) != STORE_OK)
		return STORE_FAILED;
	/* So many mails an hour to one address, whoever asks. */
	allowed = sent_code_allow(x, "register", &(struct idp_user){.id = email}, err);
	if (allowed == SENT_CODE_FAILED || make_link(x, &link, &token, err) != STORE_OK)
		return STORE_FAILED;
	if (!may || allowed != SENT_CODE_OK)
		return STORE_OK;
	if (by_email != STORE_ABSENT || by_name == STORE_OK)
		return post(x, email, "you have an account already",
			    "Somebody, perhaps you, wanted to make an account with this "
			    "address. It has one already: log in, or reset its password.",
			    NULL, SPAN_NONE, err);
	return post(x, email, "go on with your account",
		    "Somebody, we hope you, wants to make an account with this address. Follow "
		    "this link to go on; if it was not you, do nothing.",
		    "/identity/register-account/new", token, err);
}

void register_page(struct idp_exchange *x)
{
	struct span email;
	struct form form;
	struct err err;

	if (!register_offers_accounts(x)) {
		page_not_found(x);
		return;
	}
	if (x->method != HTTP_METHOD_POST) {
		show_register(x, NULL, 200);
		return;
	}
	if (!web_form(x, &form) || !web_own_form(x, &form))
		return;
	email = text_lower(span_trim(form_get(&form, SPAN("email"))), x->arena);
	if (!email.ptr)
		web_unavailable(x, NULL);
	else if (email.len > 128 || !mail_address_valid(email))
		show_register(x, "This is no e-mail address that we can write to.", 422);
	else if (!is_allowed_domain(x, email))
		show_register(x, "Addresses of this domain cannot be used here.", 422);
	else if (send_register(x, email, &err) != STORE_OK)
		web_unavailable(x, &err);
	else
		page_message_way(x, 200, "Look into your mail", "A mail is on its way.",
				 "/identity/login", "Back to the login");
}

static void show_register_new(struct idp_exchange *x, struct span token)
{
	show_choose(x, "Your account", "/identity/register-account/new", token, true, NULL,
		    200);
}

static void submit_register(struct idp_exchange *x, const struct form *form)
{
	struct span token = form_get(form, SPAN("token"));
	struct span password = form_get(form, SPAN("password"));
	struct idp_user user = {.email_verified = true};
	struct span methods[] = {SPAN("pwd")};
	enum store_result result;
	const char *problem;
	struct link link;
	struct err err;

	result = find_link(x, token, "register", &link, &err);
	if (result != STORE_OK) {
		bad_link(x, result, &err);
		return;
	}
	user.name = user.email = link.email;
	user.display = span_trim(form_get(form, SPAN("display")));
	if (user.display.len > 100)
		user.display = SPAN("");
	user.roles = x->config->identity.accounts.roles;
	problem = password_problem(&x->config->identity.password, user.name,
				   password.ptr ? password : SPAN(""));
	if (problem) {
		show_choose(x, "Your account", "/identity/register-account/new", token, true,
			    problem, 422);
		return;
	}
	result = use_link(x, token, &link, &err);
	if (result == STORE_OK)
		result = set_password(x, &user, password, &err);
	if (result == STORE_OK)
		result = user_get(x->idp, user.id, x->arena, &user, &err);
	if (result != STORE_OK) {
		bad_link(x, result, &err);
		return;
	}
	idp_audit(x->idp, "user.registered", "user", user.id, "address", x->address);
	flow_go_on(x, &(struct flow){.user = user,
				     .methods = {methods, 1},
				     .back = SPAN("/identity")});
}

void register_new_page(struct idp_exchange *x)
{
	link_page(x, "register", show_register_new, submit_register);
}

/* ---- whose address it is ---- */

enum store_result register_send_verification(struct idp_exchange *x,
					     const struct idp_user *user, struct span email,
					     struct err *err)
{
	const struct link link = {SPAN("verify"), user->id, email, 0};
	struct span token;

	switch (sent_code_allow(x, "verify", user, err)) {
	case SENT_CODE_OK: break;
	case SENT_CODE_TOO_MANY: return STORE_CONFLICT;
	case SENT_CODE_FAILED: return STORE_FAILED;
	}
	if (make_link(x, &link, &token, err) != STORE_OK)
		return STORE_FAILED;
	return post(x, email, "is this your address?",
		    "Follow this link to say that this address is yours. If you do not know "
		    "what this is about, do nothing.",
		    "/identity/verify", token, err);
}

static void show_verify(struct idp_exchange *x, struct span token)
{
	struct page page;

	page_begin(&page, x, "Is this your address?");
	page_form(&page, "/identity/verify", SPAN(""));
	page_hidden(&page, "token", token);
	page_submit(&page, "Yes, it is mine");
	page_form_end(&page);
	page_end(&page, 200);
}

static void submit_verify(struct idp_exchange *x, const struct form *form)
{
	struct span token = form_get(form, SPAN("token"));
	struct idp_user user, other;
	enum store_result result;
	struct link link;
	struct err err;

	result = find_link(x, token, "verify", &link, &err);
	if (result == STORE_OK)
		result = user_get(x->idp, link.user, x->arena, &user, &err);
	/* Two users with one address could not be told apart by it. */
	if (result == STORE_OK) {
		enum store_result taken =
			user_find_email(x->idp, link.email, x->arena, &other, &err);

		if (taken == STORE_FAILED)
			result = taken;
		else if (taken == STORE_CONFLICT ||
			 (taken == STORE_OK && !span_eq(other.id, user.id)))
			result = STORE_ABSENT;
	}
	if (result == STORE_OK)
		result = use_link(x, token, &link, &err);
	if (result == STORE_OK) {
		user.email = link.email;
		user.email_verified = true;
		result = user_put(x->idp, &user, x->arena, &err);
	}
	if (result != STORE_OK) {
		bad_link(x, result, &err);
		return;
	}
	idp_audit(x->idp, "user.email_verified", "user", user.id, "address", x->address);
	page_message_way(x, 200, "Thank you", "We know now that this address is yours.",
			 "/identity", "Your account");
}

void verify_page(struct idp_exchange *x)
{
	link_page(x, "verify", show_verify, submit_verify);
}
