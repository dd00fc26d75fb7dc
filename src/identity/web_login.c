/*
 * Logging in: name and password, then what is missing (a one-time code, a new password), then a
 * session. Between the steps the browser holds a cookie of a record that says how far it is.
 */
#include "base/clock.h"
#include "identity/federation.h"
#include "identity/flow.h"
#include "identity/ldap_login.h"
#include "identity/passkey.h"
#include "identity/password.h"
#include "parse/mail_address.h"
#include "parse/uri.h"

/* One answer for unknown, wrong and locked. */
#define WRONG                                                                                  \
	"Name or password is wrong, or there have been too many attempts. Wait a little "      \
	"before "                                                                              \
	"you try again."
/* Who may be right, and cannot be told from who is not. */
#define AWAY                                                                                   \
	"The directory that knows passwords cannot be asked now. Try again in a little "       \
	"while; "                                                                              \
	"nobody whose password it keeps can log in before."

#define USERNAME                                                                               \
	"required autocomplete=\"username\" autocapitalize=\"none\" spellcheck=\"false\""
#define PASSWORD "type=\"password\" required autocomplete=\"current-password\""

/* ---- pages ---- */

/* A form whose last redirect leads to a client needs that client's origin in form-action. */
struct span flow_client_origin(struct idp_exchange *x, struct span back)
{
	struct span query = back;

	if (!span_eq(span_cut(&query, '?'), SPAN("/identity/authorize")))
		return SPAN("");
	return oauth_redirect_of(x, query);
}

/* OpenID Connect Core section 3.1.2.1: whom the client expects. */
static struct span hint_of(struct idp_exchange *x, struct span back)
{
	struct span query = back, hint;
	struct form form;

	if (!span_eq(span_cut(&query, '?'), SPAN("/identity/authorize")) ||
	    form_parse(x->arena, query, &form) != FORM_OK)
		return SPAN("");
	hint = form_get(&form, SPAN("login_hint"));
	return hint.len <= MAIL_ADDRESS_BYTES_MAX ? hint : SPAN("");
}

void login_show(struct idp_exchange *x, struct span back, struct span name, const char *alert,
		unsigned status)
{
	struct page page;

	page_begin(&page, x, "Log in");
	page.form_target = flow_client_origin(x, back);
	if (alert)
		page_alert(&page, alert);
	page_form(&page, "/identity/login", back);
	page_input_value(&page, "Name", "name", name,
			 name.len ? USERNAME : USERNAME " autofocus");
	page_input(&page, "Password", "password", name.len ? PASSWORD " autofocus" : PASSWORD);
	if (x->config->identity.session.remember_ms)
		page_raw(&page, "<p class=\"check\"><input type=\"checkbox\" id=\"remember\" "
				"name=\"remember\" value=\"1\"><label for=\"remember\">Keep me "
				"logged in on this device</label></p>\n");
	page_submit(&page, "Log in");
	page_form_end(&page);
	passkey_put_form(&page, "/identity/login/passkey", back, "Log in with a passkey", NULL);
	federation_put_buttons(&page, back);
	if (register_offers_reset(x))
		page_way(&page, "/identity/reset", "Forgotten your password?");
	if (register_offers_accounts(x))
		page_way(&page, "/identity/register-account", "Make an account");
	page_end(&page, status);
}

static void show_new_password(struct idp_exchange *x, struct span back, const char *alert,
			      unsigned status)
{
	struct page page;

	page_begin(&page, x, "Choose a new password");
	page.form_target = flow_client_origin(x, back);
	if (alert)
		page_alert(&page, alert);
	page.hint = "rules";
	page_printf(&page,
		    "<p id=\"rules\">It has at least %u characters. Several words are better "
		    "than one "
		    "with signs in it.</p>\n",
		    x->config->identity.password.min_chars);
	page_form(&page, "/identity/login/password", SPAN(""));
	page_input(&page, "New password", "password",
		   "type=\"password\" required autocomplete=\"new-password\" autofocus");
	page_submit(&page, "Set the password");
	page_form_end(&page);
	page_end(&page, status);
}

/* ---- name and password ---- */

struct attempt {
	struct span name; /* as typed, lower case */
	struct span who; /* whose failures are counted: the name, or name and device */
	struct idp_user user;
	bool known;
	bool blocked;
	bool right;
	bool locked; /* blocked, by name or by an entry in a directory */
	bool away; /* not right, and a directory has not said that it is wrong */
	struct config_strings counts; /* besides, of entries in directories */
};

/* A form that was sent, until it is known what comes of it. */
struct submission {
	struct attempt attempt;
	struct span typed; /* the name */
	struct span password;
	struct span back;
	bool remember;
};

static enum store_result is_blocked(struct idp_exchange *x, struct attempt *a, struct err *err)
{
	int64_t account_ms, address_ms;

	if (throttle_check(x->idp, THROTTLE_ACCOUNT, a->who, &account_ms, err) != STORE_OK ||
	    throttle_check(x->idp, THROTTLE_ADDRESS, x->address, &address_ms, err) != STORE_OK)
		return STORE_FAILED;
	a->blocked = a->locked = account_ms > 0 || address_ms > 0;
	return STORE_OK;
}

/* A device that the user has logged in from has a count of its own. */
static enum store_result choose_count(struct idp_exchange *x, struct attempt *a,
				      struct err *err)
{
	struct store_record record;
	enum store_result result;
	struct span key;

	a->who = a->name;
	/* Looked up for strangers too, so that it takes as long. */
	result = flow_device_key(x, &a->user, &key, err);
	if (result == STORE_OK)
		result = store_get(x->idp->shared, SPAN("device-known"), key, x->arena, &record,
				   err);
	if (result == STORE_OK && a->known)
		a->who = throttle_device_name(a->name, key, x->arena);
	if (!a->who.ptr)
		return idp_no_memory(err);
	return result == STORE_FAILED ? result : STORE_OK;
}

/* A user who is not there takes as long to read as one who is. */
static enum store_result read_nobody(struct idp_exchange *x, struct idp_user *user,
				     struct err *err)
{
	static const char text[] =
		"{\"id\":\"u00000000000000000000000000000000\",\"name\":\"nobody\","
		"\"display\":\"\",\"email\":\"nobody@example.test\",\"email_verified\":false,"
		"\"disabled\":false,\"must_change\":false,\"roles\":[\"none\"],\"groups\":[],"
		"\"permissions\":[],\"created\":0,\"has_totp\":false,\"has_password\":true,"
		"\"password_hash\":\"\",\"totp\":\"\",\"totp_step\":0,\"recovery\":[]}";
	const struct json *object;
	struct idp_user other;

	/* Looked up, too, though nothing has this id. */
	if (user_get(x->idp, SPAN("nobody"), x->arena, &other, err) == STORE_FAILED)
		return STORE_FAILED;
	object = idp_parse(span_cstr(text), x->arena, err);
	if (!object || user_read(object, user, x->arena, err) < 0)
		return STORE_FAILED;
	return STORE_OK;
}

/* The same steps in all cases: what is not looked at takes its time too. */
static enum store_result try_password(struct idp_exchange *x, struct attempt *a,
				      struct span password, struct err *err)
{
	enum store_result found = user_find(x->idp, a->name, x->arena, &a->user, err);

	if (found == STORE_FAILED)
		return found;
	a->known = found == STORE_OK;
	if (!a->known && read_nobody(x, &a->user, err) != STORE_OK)
		return STORE_FAILED;
	if (choose_count(x, a, err) != STORE_OK || is_blocked(x, a, err) != STORE_OK)
		return STORE_FAILED;
	a->right = password_verify(&x->config->identity.password, a->user.password, password);
	a->right = a->right && a->known && !a->user.disabled && !a->blocked;
	return STORE_OK;
}

/* Passwords that directories know; the same steps again in all cases. */
static enum store_result try_directories(struct idp_exchange *x, struct attempt *a,
					 struct span password, struct err *err)
{
	struct ldap_attempt l = {.name = a->name,
				 .password = password,
				 .known = a->known ? &a->user : NULL,
				 .blocked = a->blocked};

	if (ldap_login(x, &l, err) != STORE_OK)
		return STORE_FAILED;
	a->counts = l.counts;
	a->right = l.right;
	a->away = l.away;
	a->locked = a->locked || l.locked;
	if (l.right)
		a->user = l.user;
	return STORE_OK;
}

/* Is a wrong password known to be wrong, without the directory that is away? */
static bool is_local(const struct attempt *a)
{
	return a->known && a->user.password.len && !ldap_has_user(&a->user);
}

/*
 * Who is locked does not wait longer for trying, and who would be told by a directory that is away
 * has not failed; but it takes as long.
 */
static struct span counted_as(struct idp_exchange *x, const struct attempt *a, struct span who)
{
	if (a->blocked)
		return arena_printf(x->arena, "%.*s (locked)", SPAN_ARG(who));
	if (a->away && !is_local(a))
		return arena_printf(x->arena, "%.*s (away)", SPAN_ARG(who));
	return who;
}

static enum store_result note_failure(struct idp_exchange *x, struct attempt *a,
				      struct err *err)
{
	const struct config_lockout *lockout = &x->config->identity.lockout;
	struct span who = counted_as(x, a, a->who), address = x->address;
	int64_t wait_ms;

	if (a->away && !a->blocked)
		address = counted_as(x, a, address);
	if (!who.ptr || !address.ptr)
		return idp_no_memory(err);
	if (throttle_fail(x->idp, lockout, THROTTLE_ACCOUNT, who, &wait_ms, err) != STORE_OK ||
	    throttle_fail(x->idp, lockout, THROTTLE_ADDRESS, address, &wait_ms, err) !=
		    STORE_OK)
		return STORE_FAILED;
	for (size_t i = 0; i < a->counts.count; i++) {
		who = counted_as(x, a, a->counts.at[i]);
		if (!who.ptr)
			return idp_no_memory(err);
		if (throttle_fail(x->idp, lockout, THROTTLE_ACCOUNT, who, &wait_ms, err) !=
		    STORE_OK)
			return STORE_FAILED;
	}
	idp_audit(x->idp,
		  a->locked ? "login.locked"
		  : a->away ? "login.directory_away"
			    : "login.failed",
		  "address", x->address, a->known ? "user" : NULL, a->user.id);
	idp_count(x->idp, a->locked ? IDP_LOGINS_LOCKED
			  : a->away ? IDP_LOGINS_UNAVAILABLE
				    : IDP_LOGINS_FAILED);
	x->reason = a->away ? "directory_away" : "login_failed";
	web_answer_later(x);
	return STORE_OK;
}

/* What was typed as the name is there still, whatever it was. */
static void count_failure(struct idp_exchange *x, struct attempt *a, const struct submission *s)
{
	struct err err;

	if (note_failure(x, a, &err) != STORE_OK)
		web_unavailable(x, &err);
	else if (a->away)
		login_show(x, s->back, s->typed, AWAY, 503);
	else
		login_show(x, s->back, s->typed, WRONG, 403);
}

static enum store_result clear_counts(struct idp_exchange *x, const struct attempt *a,
				      struct err *err)
{
	if (throttle_clear(x->idp, THROTTLE_ACCOUNT, a->who, err) != STORE_OK)
		return STORE_FAILED;
	for (size_t i = 0; i < a->counts.count; i++)
		if (throttle_clear(x->idp, THROTTLE_ACCOUNT, a->counts.at[i], err) != STORE_OK)
			return STORE_FAILED;
	return STORE_OK;
}

static enum store_result upgrade_hash(struct idp_exchange *x, struct idp_user *user,
				      struct span password, struct err *err)
{
	/* Who has none here has shown one to a directory. */
	if (!user->password.len ||
	    !password_is_outdated(&x->config->identity.password, user->password))
		return STORE_OK;
	user->password = password_hash(&x->config->identity.password, password, x->arena, err);
	if (!user->password.ptr || user_put(x->idp, user, x->arena, err) == STORE_FAILED)
		return STORE_FAILED;
	/* With its new version. Somebody else may have changed it: the hash stays as it was. */
	return user_get(x->idp, user->id, x->arena, user, err);
}

static void end_submission(struct idp_exchange *x, struct submission *s)
{
	struct span methods[] = {SPAN("pwd")};
	struct attempt *a = &s->attempt;
	struct err err;

	if (!a->right)
		count_failure(x, a, s);
	else if (clear_counts(x, a, &err) != STORE_OK ||
		 upgrade_hash(x, &a->user, s->password, &err) != STORE_OK)
		web_unavailable(x, &err);
	else
		flow_go_on(x, &(struct flow){.user = a->user,
					     .methods = {methods, 1},
					     .back = s->back,
					     .remember = s->remember});
}

static void submit_rest(struct idp_exchange *x)
{
	struct submission *s = x->rest_of;
	struct err err;

	if (try_directories(x, &s->attempt, s->password, &err) != STORE_OK)
		web_unavailable(x, &err);
	else
		end_submission(x, s);
}

static void submit_login(struct idp_exchange *x)
{
	struct submission *s = arena_new(x->arena, struct submission);
	struct form form;
	struct err err;

	if (!s) {
		web_unavailable(x, NULL);
		return;
	}
	if (!web_form(x, &form) || !web_own_form(x, &form))
		return;
	s->back = web_return(form_get(&form, SPAN("return")));
	s->remember = span_eq(form_get(&form, SPAN("remember")), SPAN("1"));
	s->password = form_get(&form, SPAN("password"));
	s->typed = form_get(&form, SPAN("name"));
	s->attempt.name = user_name_normal(s->typed, x->arena);
	if (!s->attempt.name.ptr)
		s->attempt.name = SPAN("(no name)");
	if (!s->password.ptr)
		s->password = SPAN("");
	if (try_password(x, &s->attempt, s->password, &err) != STORE_OK) {
		web_unavailable(x, &err);
	} else if (!s->attempt.right && x->config->identity.ldap.count) {
		x->rest = submit_rest;
		x->rest_of = s;
	} else {
		end_submission(x, s);
	}
}

/*
 * Who is remembered need not log in. Who is logged in, and is asked for more than was shown, shows
 * what is missing. True: the request was answered.
 */
static bool use_session(struct idp_exchange *x, struct span back)
{
	struct flow flow = {.back = back};
	struct idp_session session;
	enum store_result result;
	struct err err;
	bool had = web_cookie(x, IDP_SESSION_COOKIE).len > 0;

	result = web_session(x, &session, &flow.user, &err);
	if (result != STORE_OK)
		return false;
	if (x->field_count || !had) {
		web_redirect(x, back); /* a new session, from the remembered */
		return true;
	}
	if (flow_wanted(x, back) <= idp_acr_of(&session.methods) ||
	    flow_wanted(x, back) > user_acr_most(&flow.user) ||
	    idp_acr_of(&session.methods) >= IDP_ACR_MFA)
		return false;
	flow.methods = session.methods;
	flow.authenticated_unix_s = session.authenticated_unix_s;
	flow_go_on(x, &flow);
	return true;
}

void login_page(struct idp_exchange *x)
{
	struct span back;
	struct form form;

	if (x->method == HTTP_METHOD_POST) {
		submit_login(x);
		return;
	}
	if (!web_query(x, &form))
		return;
	back = web_return(form_get(&form, SPAN("return")));
	if (!use_session(x, back))
		login_show(x, back, hint_of(x, back), NULL, 200);
}

/* ---- a new password ---- */

static void submit_password(struct idp_exchange *x, struct flow *p)
{
	const struct config_password *config = &x->config->identity.password;
	struct span password;
	const char *problem;
	struct form form;
	struct err err;

	if (!web_form(x, &form) || !web_own_form(x, &form))
		return;
	password = form_get(&form, SPAN("password"));
	if (!password.ptr)
		password = SPAN("");
	problem = password_problem(config, p->user.name, password);
	if (!problem && password_verify(config, p->user.password, password))
		problem = "The new password is the old one.";
	if (problem) {
		show_new_password(x, p->back, problem, 422);
		return;
	}
	p->user.password = password_hash(config, password, x->arena, &err);
	p->user.must_change = false;
	if (!p->user.password.ptr || user_put(x->idp, &p->user, x->arena, &err) != STORE_OK ||
	    session_end_all(x->idp, p->user.id, SPAN_NONE, x->arena, &err) != STORE_OK) {
		web_unavailable(x, &err);
		return;
	}
	idp_audit(x->idp, "user.password_changed", "user", p->user.id, "address", x->address);
	flow_go_on(x, p);
}

void login_password_page(struct idp_exchange *x)
{
	struct flow p = {.back = SPAN("")};
	enum store_result result;
	struct err err;

	result = flow_get(x, &p, &err);
	if (result != STORE_OK || !p.user.must_change ||
	    (user_has_second_factor(&p.user) && idp_acr_of(&p.methods) < IDP_ACR_MFA))
		flow_start_over(x, result, &err);
	else if (x->method == HTTP_METHOD_POST)
		submit_password(x, &p);
	else
		show_new_password(x, p.back, NULL, 200);
}

/* ---- without a browser: the password grant ---- */

/* STORE_ABSENT: the code is wrong or missing, and that was counted. */
static enum store_result try_code(struct idp_exchange *x, struct idp_user *user,
				  struct span code, struct err *err)
{
	int64_t wait_ms;
	bool right;

	if (!code.len)
		return STORE_ABSENT;
	if (throttle_check(x->idp, THROTTLE_FACTOR, user->id, &wait_ms, err) != STORE_OK ||
	    factor_use_code(x, user, wait_ms ? SPAN("") : code, &right, err) != STORE_OK)
		return STORE_FAILED;
	if (right)
		return throttle_clear(x->idp, THROTTLE_FACTOR, user->id, err);
	if (!wait_ms && throttle_fail(x->idp, &x->config->identity.lockout, THROTTLE_FACTOR,
				      user->id, &wait_ms, err) != STORE_OK)
		return STORE_FAILED;
	idp_audit(x->idp, "login.code_failed", "user", user->id, "address", x->address);
	return STORE_ABSENT;
}

enum store_result login_direct(struct idp_exchange *x, struct span name, struct span password,
			       struct span code, struct idp_user *user, bool *second,
			       struct err *err)
{
	struct attempt a = {.name = user_name_normal(name, x->arena)};
	enum store_result result;

	*second = false;
	if (!a.name.ptr)
		a.name = SPAN("(no name)");
	if (!password.ptr)
		password = SPAN("");
	if (try_password(x, &a, password, err) != STORE_OK ||
	    (!a.right && try_directories(x, &a, password, err) != STORE_OK))
		return STORE_FAILED;
	if (!a.right && note_failure(x, &a, err) != STORE_OK)
		return STORE_FAILED;
	if (a.away) {
		(void)err_set(err, ERR_UNAVAILABLE, "identity: a directory cannot be asked");
		return STORE_FAILED;
	}
	if (!a.right)
		return STORE_ABSENT;
	if (clear_counts(x, &a, err) != STORE_OK ||
	    upgrade_hash(x, &a.user, password, err) != STORE_OK)
		return STORE_FAILED;
	*user = a.user;
	/* A password that is to be changed is changed in a browser. */
	if (user->must_change)
		return STORE_ABSENT;
	if (!user_has_second_factor(user))
		return STORE_OK;
	result = try_code(x, user, span_trim(code), err);
	*second = result == STORE_OK;
	return result;
}
