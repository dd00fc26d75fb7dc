/* The second factor at a login: codes of an app, recovery codes, codes that are sent. */
#include "base/clock.h"
#include "identity/flow.h"
#include "identity/passkey.h"
#include "identity/sent_code.h"

#define WRONG                                                                                  \
	"The code is wrong, or there have been too many attempts. Wait a little before you "   \
	"try again."

/* Which of the user's channels can be used now. */
static bool offers(const struct idp_exchange *x, const struct idp_user *user,
		   const char *channel)
{
	return texts_have(&user->channels, span_cstr(channel)) &&
	       sent_code_offers(x, user, span_cstr(channel));
}

static void put_send_form(struct page *page, const char *channel, const char *text)
{
	page_form(page, "/identity/login/send", SPAN(""));
	page_hidden(page, "channel", span_cstr(channel));
	page_printf(page, "<p><button class=\"second\" type=\"submit\">%s</button></p>\n",
		    text);
	page_form_end(page);
}

static void put_code_form(struct page *page, const struct idp_user *user)
{
	if (user->totp.len)
		page_raw(page, "<p>Enter the code that your app shows, or one of your recovery "
			       "codes.</p>\n");
	else
		page_raw(page, "<p>Enter the code that was sent to you.</p>\n");
	page_form(page, "/identity/login/code", SPAN(""));
	page_input(page, "Code", "code",
		   "required autocomplete=\"one-time-code\" inputmode=\"text\" "
		   "autocapitalize=\"none\" spellcheck=\"false\" autofocus");
	page_submit(page, "Continue");
	page_form_end(page);
}

static void show_code(struct idp_exchange *x, const struct flow *flow, const char *alert,
		      const char *note, unsigned status)
{
	const struct idp_user *user = &flow->user;
	bool email = offers(x, user, "email"), sms = offers(x, user, "sms");
	struct page page;

	page_begin(&page, x, "One-time code");
	page.form_target = flow_client_origin(x, flow->back);
	if (alert)
		page_alert(&page, alert);
	if (note)
		page_note(&page, note);
	if (user->totp.len || email || sms)
		put_code_form(&page, user);
	if (user->passkey_count)
		passkey_put_form(&page, "/identity/login/passkey", SPAN(""), "Use a passkey",
				 user);
	if (email)
		put_send_form(&page, "email", "Send a code by e-mail");
	if (sms)
		put_send_form(&page, "sms", "Send a code by SMS");
	page_way(&page, "/identity/login", "Log in as somebody else");
	page_end(&page, status);
}

/* What was used is written down before it counts: of two at once, one wins. */
enum store_result factor_use_code(struct idp_exchange *x, struct idp_user *user,
				  struct span code, bool *right, struct err *err)
{
	struct secret secret = SECRET_NONE;
	enum store_result result;
	int64_t step;

	*right = false;
	if (!user->totp.len)
		return STORE_OK;
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

/* An app's code, or one that was sent in this flow; *method is what it shows. */
static enum store_result use_code(struct idp_exchange *x, struct flow *flow, struct span code,
				  const char **method, struct err *err)
{
	struct span channel = SPAN("");
	enum store_result result;
	bool right;

	*method = NULL;
	if (!code.len)
		return STORE_OK;
	result = factor_use_code(x, &flow->user, code, &right, err);
	if (result != STORE_OK || right) {
		*method = right ? "otp" : NULL;
		return result;
	}
	result = sent_code_check(x, "login", flow->id, code, &channel, NULL, err);
	if (result == STORE_OK)
		*method = span_eq(channel, SPAN("sms")) ? "sms" : "otp";
	return result == STORE_FAILED ? result : STORE_OK;
}

void factor_passed(struct idp_exchange *x, struct flow *flow)
{
	struct err err;

	if (throttle_clear(x->idp, THROTTLE_FACTOR, flow->user.id, &err) != STORE_OK ||
	    user_get(x->idp, flow->user.id, x->arena, &flow->user, &err) != STORE_OK)
		web_unavailable(x, &err);
	else
		flow_go_on(x, flow);
}

void factor_failed(struct idp_exchange *x, const struct flow *flow, bool blocked)
{
	int64_t wait_ms;
	struct err err;

	if (!blocked && throttle_fail(x->idp, &x->config->identity.lockout, THROTTLE_FACTOR,
				      flow->user.id, &wait_ms, &err) != STORE_OK) {
		web_unavailable(x, &err);
		return;
	}
	idp_audit(x->idp, "login.code_failed", "user", flow->user.id, "address", x->address);
	idp_count(x->idp, IDP_FACTORS_FAILED);
	x->reason = "login_failed";
	show_code(x, flow, WRONG, NULL, 403);
}

static void submit_code(struct idp_exchange *x, struct flow *flow)
{
	const char *method;
	int64_t wait_ms;
	struct form form;
	struct err err;

	if (!web_form(x, &form) || !web_own_form(x, &form))
		return;
	if (throttle_check(x->idp, THROTTLE_FACTOR, flow->user.id, &wait_ms, &err) !=
		    STORE_OK ||
	    use_code(x, flow, wait_ms ? SPAN("") : span_trim(form_get(&form, SPAN("code"))),
		     &method, &err) != STORE_OK)
		web_unavailable(x, &err);
	else if (!method)
		factor_failed(x, flow, wait_ms > 0);
	else if (flow_add_method(x, flow, method) < 0)
		web_unavailable(x, NULL);
	else
		factor_passed(x, flow);
}

bool factor_flow(struct idp_exchange *x, struct flow *flow)
{
	struct err err;
	enum store_result result = flow_get(x, flow, &err);

	if (result == STORE_OK && user_has_second_factor(&flow->user))
		return true;
	flow_start_over(x, result, &err);
	return false;
}

void login_code_page(struct idp_exchange *x)
{
	struct flow flow = {.back = SPAN("")};

	if (!factor_flow(x, &flow))
		return;
	if (x->method == HTTP_METHOD_POST)
		submit_code(x, &flow);
	else
		show_code(x, &flow, NULL, NULL, 200);
}

/* "a***@example.test", "+49***23": enough to know where to look. */
static struct span masked(struct idp_exchange *x, struct span to)
{
	size_t at = span_find_byte(to, '@');

	if (at < to.len)
		return arena_printf(x->arena, "%.*s***%.*s", SPAN_ARG(span_slice(to, 0, 1)),
				    SPAN_ARG(span_slice(to, at, to.len)));
	return arena_printf(x->arena, "%.*s***%.*s", SPAN_ARG(span_slice(to, 0, 3)),
			    SPAN_ARG(span_slice(to, to.len - 2, to.len)));
}

void login_send_page(struct idp_exchange *x)
{
	struct flow flow = {.back = SPAN("")};
	struct span channel, to, note;
	struct form form;
	struct err err;

	if (!factor_flow(x, &flow) || !web_form(x, &form) || !web_own_form(x, &form))
		return;
	channel = span_eq(form_get(&form, SPAN("channel")), SPAN("sms")) ? SPAN("sms")
									 : SPAN("email");
	if (!offers(x, &flow.user, channel.ptr)) {
		show_code(x, &flow, "No code can be sent there.", NULL, 422);
		return;
	}
	to = span_eq(channel, SPAN("sms")) ? flow.user.phone : flow.user.email;
	switch (sent_code_send(x, &flow.user, "login", flow.id, channel, to, &err)) {
	case SENT_CODE_OK:
		note = arena_printf(x->arena, "A code is on its way to %.*s.",
				    SPAN_ARG(masked(x, to)));
		show_code(x, &flow, NULL, note.ptr, note.ptr ? 200 : 503);
		break;
	case SENT_CODE_TOO_MANY:
		show_code(x, &flow, "Too many codes have been sent. Try again in an hour.",
			  NULL, 429);
		break;
	case SENT_CODE_FAILED: web_unavailable(x, &err); break;
	}
}
