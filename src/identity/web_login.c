/*
 * Logging in: name and password, then what is missing (a one-time code, a new password), then a
 * session. Between the steps the browser holds a cookie of a record that says how far it is.
 */
#include "base/clock.h"
#include "identity/password.h"
#include "identity/web.h"
#include "parse/uri.h"

#define PENDING_S ((int64_t)600)
#define DEVICE_S ((int64_t)180 * 24 * 3600)

/* One answer for unknown, wrong and locked. */
#define WRONG                                                                                  \
	"Name or password is wrong, or there have been too many attempts. Wait a little "      \
	"before "                                                                              \
	"you try again."

struct pending {
	struct span id; /* digest of the cookie */
	struct idp_user user;
	struct config_strings methods;
	struct span back; /* where to go afterwards */
};

/* ---- pages ---- */

/* A form whose last redirect leads to a client needs that client's origin in form-action. */
static struct span client_origin(struct idp_exchange *x, struct span back)
{
	struct span query = back;

	if (!span_eq(span_cut(&query, '?'), SPAN("/identity/authorize")))
		return SPAN("");
	return oauth_redirect_of(x, query);
}

static void show_login(struct idp_exchange *x, struct span back, const char *alert,
		       unsigned status)
{
	struct page page;

	page_begin(&page, x, "Log in");
	page.form_target = client_origin(x, back);
	if (alert)
		page_alert(&page, alert);
	page_form(&page, "/identity/login", back);
	page_input(&page, "Name", "name",
		   "required autocomplete=\"username\" autocapitalize=\"none\" autofocus");
	page_input(&page, "Password", "password",
		   "type=\"password\" required autocomplete=\"current-password\"");
	page_submit(&page, "Log in");
	page_form_end(&page);
	page_end(&page, status);
}

static void show_code(struct idp_exchange *x, struct span back, const char *alert,
		      unsigned status)
{
	struct page page;

	page_begin(&page, x, "One-time code");
	page.form_target = client_origin(x, back);
	if (alert)
		page_alert(&page, alert);
	page_raw(&page, "<p>Enter the code that your app shows, or one of your recovery "
			"codes.</p>\n");
	page_form(&page, "/identity/login/code", SPAN(""));
	page_input(&page, "Code", "code",
		   "required autocomplete=\"one-time-code\" inputmode=\"text\" autofocus");
	page_submit(&page, "Continue");
	page_form_end(&page);
	page_end(&page, status);
}

static void show_new_password(struct idp_exchange *x, struct span back, const char *alert,
			      unsigned status)
{
	struct page page;

	page_begin(&page, x, "Choose a new password");
	page.form_target = client_origin(x, back);
	if (alert)
		page_alert(&page, alert);
	page_printf(&page,
		    "<p>It has at least %u characters. Several words are better than one "
		    "with signs in it.</p>\n",
		    x->config->identity.password.min_chars);
	page_form(&page, "/identity/login/password", SPAN(""));
	page_input(&page, "New password", "password",
		   "type=\"password\" required autocomplete=\"new-password\" autofocus");
	page_submit(&page, "Set the password");
	page_form_end(&page);
	page_end(&page, status);
}

/* ---- between the steps ---- */

static enum store_result put_pending(struct idp_exchange *x, const struct pending *p,
				     struct err *err)
{
	struct store_change change = {.kind = SPAN("login"),
				      .expires_unix_ms = clock_unix_ms() + PENDING_S * 1000};
	struct span cookie = idp_new_secret(x->arena);
	char digest[DIGEST_HEX_SIZE];
	enum store_result result;
	struct json_writer w;
	struct buf value;

	if (!cookie.ptr)
		return idp_no_memory(err);
	digest_hex(digest, cookie);
	buf_init(&value, 32768);
	json_writer_init(&w, &value);
	json_begin_object(&w);
	json_member_string(&w, SPAN("user"), p->user.id);
	json_member_string(&w, SPAN("return"), p->back);
	json_put_texts(&w, "amr", &p->methods);
	json_end_object(&w);
	change.key = span_cstr(digest);
	change.value = buf_span(&value);
	result = buf_failed(&value) ? idp_no_memory(err)
				    : store_commit(x->idp->shared, &change, 1, err);
	buf_release(&value);
	if (result == STORE_OK)
		web_set_cookie(x, WEB_LOGIN_COOKIE, cookie, PENDING_S);
	return result;
}

static enum store_result get_pending(struct idp_exchange *x, struct pending *p, struct err *err)
{
	struct span cookie = web_cookie(x, WEB_LOGIN_COOKIE);
	char digest[DIGEST_HEX_SIZE];
	const struct json *object;
	struct store_record record;
	enum store_result result;

	if (!cookie.len)
		return STORE_ABSENT;
	digest_hex(digest, cookie);
	p->id = arena_dup(x->arena, span_cstr(digest));
	if (!p->id.ptr)
		return idp_no_memory(err);
	result = store_get(x->idp->shared, SPAN("login"), p->id, x->arena, &record, err);
	if (result != STORE_OK)
		return result;
	object = idp_parse(record.value, x->arena, err);
	if (!object)
		return STORE_FAILED;
	p->back = json_text(object, "return");
	if (json_texts(object, "amr", x->arena, &p->methods) < 0)
		return idp_no_memory(err);
	result = user_get(x->idp, json_text(object, "user"), x->arena, &p->user, err);
	return result == STORE_OK && p->user.disabled ? STORE_ABSENT : result;
}

static enum store_result end_pending(struct idp_exchange *x, const struct pending *p,
				     struct err *err)
{
	const struct store_change change = {
		.kind = SPAN("login"), .key = p->id, .remove = true};

	if (!p->id.len)
		return STORE_OK;
	return store_commit(x->idp->shared, &change, 1, err);
}

/* The step was missed, or took too long. */
static void start_over(struct idp_exchange *x, enum store_result result, const struct err *err)
{
	if (result == STORE_FAILED)
		web_unavailable(x, err);
	else
		web_redirect(x, SPAN("/identity/login"));
}

/* ---- known devices: who has logged in here before is not locked out by strangers ---- */

static enum store_result device_key(struct idp_exchange *x, const struct idp_user *user,
				    struct span *key, struct err *err)
{
	struct span cookie = web_cookie(x, WEB_DEVICE_COOKIE);
	char digest[DIGEST_HEX_SIZE];

	*key = SPAN("");
	if (!cookie.len)
		return STORE_ABSENT;
	digest_hex(digest, cookie);
	*key = arena_printf(x->arena, "%.*s/%s", SPAN_ARG(user->id), digest);
	return key->ptr ? STORE_OK : idp_no_memory(err);
}

static enum store_result remember_device(struct idp_exchange *x, const struct idp_user *user,
					 struct err *err)
{
	struct store_change change = {.kind = SPAN("device-known"),
				      .value = SPAN("{}"),
				      .expires_unix_ms = clock_unix_ms() + DEVICE_S * 1000};
	struct span cookie = web_cookie(x, WEB_DEVICE_COOKIE);
	char digest[DIGEST_HEX_SIZE];

	if (cookie.len != 43)
		cookie = idp_new_secret(x->arena);
	if (!cookie.ptr)
		return idp_no_memory(err);
	digest_hex(digest, cookie);
	change.key = arena_printf(x->arena, "%.*s/%s", SPAN_ARG(user->id), digest);
	if (!change.key.ptr)
		return idp_no_memory(err);
	web_set_cookie(x, WEB_DEVICE_COOKIE, cookie, DEVICE_S);
	return store_commit(x->idp->shared, &change, 1, err);
}

/* ---- the end ---- */

static enum store_result finish(struct idp_exchange *x, const struct pending *p,
				struct err *err)
{
	struct idp_session session = {.user = p->user.id,
				      .address = x->address,
				      .agent = x->user_agent,
				      .methods = p->methods,
				      .authenticated_unix_s = clock_unix_s()};
	struct span old = web_cookie(x, IDP_SESSION_COOKIE), cookie;
	char digest[DIGEST_HEX_SIZE];

	/* What the browser had before, whoever gave it to it, opens nothing from here on. */
	if (old.len) {
		digest_hex(digest, old);
		if (session_end(x->idp, span_cstr(digest), err) == STORE_FAILED)
			return STORE_FAILED;
	}
	if (end_pending(x, p, err) != STORE_OK ||
	    session_start(x->idp, &x->config->identity.session, &session, x->arena, &cookie,
			  err) != STORE_OK ||
	    remember_device(x, &p->user, err) != STORE_OK)
		return STORE_FAILED;
	web_set_cookie(x, IDP_SESSION_COOKIE, cookie, -1);
	web_set_cookie(x, WEB_LOGIN_COOKIE, SPAN(""), 0);
	idp_audit(x->idp, "login.succeeded", "user", p->user.id, "address", x->address);
	web_redirect(x, web_return(p->back));
	return STORE_OK;
}

/* What is missing comes next. */
static void go_on(struct idp_exchange *x, const struct pending *p)
{
	bool code = p->user.totp.len > 0 && !texts_have(&p->methods, SPAN("otp"));
	enum store_result result;
	struct err err;

	if (code || p->user.must_change) {
		if (p->id.len && end_pending(x, p, &err) != STORE_OK) {
			web_unavailable(x, &err);
			return;
		}
		result = put_pending(x, p, &err);
		if (result == STORE_OK)
			web_redirect(x, code ? SPAN("/identity/login/code")
					     : SPAN("/identity/login/password"));
	} else {
		result = finish(x, p, &err);
	}
	if (result != STORE_OK)
		web_unavailable(x, &err);
}

/* ---- name and password ---- */

struct attempt {
	struct span name; /* as typed, lower case */
	struct span who; /* whose failures are counted: the name, or name and device */
	struct idp_user user;
	bool known;
	bool blocked;
	bool right;
};

static enum store_result is_blocked(struct idp_exchange *x, struct attempt *a, struct err *err)
{
	int64_t account_ms, address_ms;

	if (throttle_check(x->idp, THROTTLE_ACCOUNT, a->who, &account_ms, err) != STORE_OK ||
	    throttle_check(x->idp, THROTTLE_ADDRESS, x->address, &address_ms, err) != STORE_OK)
		return STORE_FAILED;
	a->blocked = account_ms > 0 || address_ms > 0;
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
	result = device_key(x, &a->user, &key, err);
	if (result == STORE_OK)
		result = store_get(x->idp->shared, SPAN("device-known"), key, x->arena, &record,
				   err);
	if (result == STORE_OK && a->known)
		a->who = arena_printf(x->arena, "%.*s %.*s", SPAN_ARG(a->name), SPAN_ARG(key));
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

static enum store_result note_failure(struct idp_exchange *x, struct attempt *a,
				      struct err *err)
{
	const struct config_lockout *lockout = &x->config->identity.lockout;
	/* Who is locked does not wait longer for trying, but it takes as long to be told. */
	struct span who =
		a->blocked ? arena_printf(x->arena, "%.*s (locked)", SPAN_ARG(a->who)) : a->who;
	int64_t wait_ms;

	if (!who.ptr)
		return idp_no_memory(err);
	if (throttle_fail(x->idp, lockout, THROTTLE_ACCOUNT, who, &wait_ms, err) != STORE_OK ||
	    throttle_fail(x->idp, lockout, THROTTLE_ADDRESS, x->address, &wait_ms, err) !=
		    STORE_OK)
		return STORE_FAILED;
	idp_audit(x->idp, a->blocked ? "login.locked" : "login.failed", "address", x->address,
		  a->known ? "user" : NULL, a->user.id);
	x->reason = "login_failed";
	return STORE_OK;
}

static void count_failure(struct idp_exchange *x, struct attempt *a, struct span back)
{
	struct err err;

	if (note_failure(x, a, &err) == STORE_OK)
		show_login(x, back, WRONG, 403);
	else
		web_unavailable(x, &err);
}

static enum store_result upgrade_hash(struct idp_exchange *x, struct idp_user *user,
				      struct span password, struct err *err)
{
	if (!password_is_outdated(&x->config->identity.password, user->password))
		return STORE_OK;
	user->password = password_hash(&x->config->identity.password, password, x->arena, err);
	if (!user->password.ptr || user_put(x->idp, user, x->arena, err) == STORE_FAILED)
		return STORE_FAILED;
	/* With its new version. Somebody else may have changed it: the hash stays as it was. */
	return user_get(x->idp, user->id, x->arena, user, err);
}

static void submit_login(struct idp_exchange *x)
{
	struct span methods[] = {SPAN("pwd")};
	struct attempt a = {.known = false};
	struct span password, back;
	struct form form;
	struct err err;

	if (!web_form(x, &form) || !web_own_form(x, &form))
		return;
	back = web_return(form_get(&form, SPAN("return")));
	password = form_get(&form, SPAN("password"));
	a.name = user_name_normal(form_get(&form, SPAN("name")), x->arena);
	if (!a.name.ptr)
		a.name = SPAN("(no name)");
	if (!password.ptr)
		password = SPAN("");
	if (try_password(x, &a, password, &err) != STORE_OK) {
		web_unavailable(x, &err);
		return;
	}
	if (!a.right) {
		count_failure(x, &a, back);
		return;
	}
	if (throttle_clear(x->idp, THROTTLE_ACCOUNT, a.who, &err) != STORE_OK ||
	    upgrade_hash(x, &a.user, password, &err) != STORE_OK) {
		web_unavailable(x, &err);
		return;
	}
	go_on(x, &(struct pending){.user = a.user, .methods = {methods, 1}, .back = back});
}

void login_page(struct idp_exchange *x)
{
	struct form form;

	if (x->method == HTTP_METHOD_POST)
		submit_login(x);
	else if (web_query(x, &form))
		show_login(x, web_return(form_get(&form, SPAN("return"))), NULL, 200);
}

/* ---- one-time code ---- */

/* What was used is written down before it counts: of two at once, one wins. */
static enum store_result use_code(struct idp_exchange *x, struct idp_user *user,
				  struct span code, bool *right, struct err *err)
{
	struct secret secret = SECRET_NONE;
	enum store_result result;
	int64_t step;

	*right = false;
	if (vault_open_sealed(x->idp->vault, user->id, user->totp, &secret, err) < 0)
		return STORE_FAILED;
	step = totp_check(secret_span(&secret), code, user->totp_step, clock_unix_s());
	secret_release(&secret);
	if (step)
		user->totp_step = step;
	else if (!totp_recovery_use(&user->recovery, code))
		return STORE_OK;
	result = user_put(x->idp, user, x->arena, err);
	*right = result == STORE_OK;
	if (result == STORE_OK && !step)
		idp_audit(x->idp, "login.recovery_code_used", "user", user->id, NULL,
			  SPAN_NONE);
	return result == STORE_FAILED ? result : STORE_OK;
}

static void submit_code(struct idp_exchange *x, struct pending *p)
{
	struct span *methods = arena_array(x->arena, struct span, 2);
	int64_t wait_ms;
	struct form form;
	struct err err;
	bool right;

	if (!web_form(x, &form) || !web_own_form(x, &form))
		return;
	if (!methods ||
	    throttle_check(x->idp, THROTTLE_FACTOR, p->user.id, &wait_ms, &err) != STORE_OK) {
		web_unavailable(x, methods ? &err : NULL);
		return;
	}
	if (use_code(x, &p->user, wait_ms ? SPAN("") : span_trim(form_get(&form, SPAN("code"))),
		     &right, &err) != STORE_OK) {
		web_unavailable(x, &err);
		return;
	}
	if (!right) {
		if (!wait_ms &&
		    throttle_fail(x->idp, &x->config->identity.lockout, THROTTLE_FACTOR,
				  p->user.id, &wait_ms, &err) != STORE_OK) {
			web_unavailable(x, &err);
			return;
		}
		idp_audit(x->idp, "login.code_failed", "user", p->user.id, "address",
			  x->address);
		x->reason = "login_failed";
		show_code(x, p->back,
			  "The code is wrong, or there have been too many attempts. Wait a "
			  "little "
			  "before you try again.",
			  403);
		return;
	}
	if (throttle_clear(x->idp, THROTTLE_FACTOR, p->user.id, &err) != STORE_OK ||
	    user_get(x->idp, p->user.id, x->arena, &p->user, &err) != STORE_OK) {
		web_unavailable(x, &err);
		return;
	}
	methods[0] = SPAN("pwd");
	methods[1] = SPAN("otp");
	p->methods = (struct config_strings){methods, 2};
	go_on(x, p);
}

void login_code_page(struct idp_exchange *x)
{
	struct pending p = {.back = SPAN("")};
	enum store_result result;
	struct err err;

	result = get_pending(x, &p, &err);
	if (result != STORE_OK || !p.user.totp.len)
		start_over(x, result, &err);
	else if (x->method == HTTP_METHOD_POST)
		submit_code(x, &p);
	else
		show_code(x, p.back, NULL, 200);
}

/* ---- a new password ---- */

static void submit_password(struct idp_exchange *x, struct pending *p)
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
	go_on(x, p);
}

void login_password_page(struct idp_exchange *x)
{
	struct pending p = {.back = SPAN("")};
	enum store_result result;
	struct err err;

	result = get_pending(x, &p, &err);
	if (result != STORE_OK || !p.user.must_change ||
	    (p.user.totp.len && !texts_have(&p.methods, SPAN("otp"))))
		start_over(x, result, &err);
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
	    use_code(x, user, wait_ms ? SPAN("") : code, &right, err) != STORE_OK)
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
	if (try_password(x, &a, password.ptr ? password : SPAN(""), err) != STORE_OK)
		return STORE_FAILED;
	if (!a.right)
		return note_failure(x, &a, err) == STORE_OK ? STORE_ABSENT : STORE_FAILED;
	if (throttle_clear(x->idp, THROTTLE_ACCOUNT, a.who, err) != STORE_OK ||
	    upgrade_hash(x, &a.user, password, err) != STORE_OK)
		return STORE_FAILED;
	*user = a.user;
	/* A password that is to be changed is changed in a browser. */
	if (user->must_change)
		return STORE_ABSENT;
	if (!user->totp.len)
		return STORE_OK;
	result = try_code(x, user, span_trim(code), err);
	*second = result == STORE_OK;
	return result;
}
