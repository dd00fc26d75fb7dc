/*
 * The device grant (RFC 8628): a device without a keyboard shows a short code, which the user types
 * in where there is one.
 */
#include "base/clock.h"
#include "base/rand.h"
#include "identity/oauth.h"

#define INTERVAL_S 5
#define USER_CODE_CHARS 8

/* Section 6.1: letters that make no words and are not mistaken for others. */
static struct span new_user_code(struct arena *arena)
{
	static const char letters[] = "BCDFGHJKLMNPQRSTVWXZ";
	char *text = arena_alloc(arena, USER_CODE_CHARS + 1);

	if (!text)
		return SPAN_NONE;
	for (size_t i = 0; i < USER_CODE_CHARS; i++)
		text[i] = letters[rand_below(sizeof(letters) - 1)];
	text[USER_CODE_CHARS] = '\0';
	return span_of(text, USER_CODE_CHARS);
}

/* As typed: in either case, with anything between the letters. */
static struct span read_user_code(struct span typed, struct arena *arena)
{
	char *text = arena_alloc(arena, USER_CODE_CHARS + 1);
	size_t len = 0;

	for (size_t i = 0; text && i < typed.len; i++) {
		char c = (char)(typed.ptr[i] & ~0x20);

		if (c < 'A' || c > 'Z')
			continue;
		if (len == USER_CODE_CHARS)
			return SPAN("");
		text[len++] = c;
	}
	return len == USER_CODE_CHARS ? span_of(text, len) : SPAN("");
}

/* ---- the device asks ---- */

static enum store_result put_codes(struct idp_exchange *x, struct span device, struct span user,
				   const struct oauth_grant *grant, struct err *err)
{
	int64_t until_ms = clock_unix_ms() + (int64_t)x->config->identity.tokens.device_ms;
	char digest[DIGEST_HEX_SIZE];
	struct store_change changes[] = {{.kind = SPAN("device"),
					  .expect = STORE_EXPECT_ABSENT,
					  .expires_unix_ms = until_ms},
					 {.kind = SPAN("device-user"),
					  .key = user,
					  .expect = STORE_EXPECT_ABSENT,
					  .expires_unix_ms = until_ms}};
	struct json_writer w;
	struct buf value;

	digest_hex(digest, device);
	buf_init(&value, 32768);
	json_writer_init(&w, &value);
	json_begin_object(&w);
	oauth_grant_write(&w, grant);
	json_member_string(&w, SPAN("status"), SPAN("waiting"));
	json_end_object(&w);
	changes[0].key = span_cstr(digest);
	changes[1].value = span_cstr(digest);
	return idp_commit(x->idp->shared, changes, 2, &value, err);
}

static void answer_codes(struct idp_exchange *x, struct span device, struct span user)
{
	struct span issuer = x->config->identity.issuer;
	struct json_writer w;
	struct buf body;

	buf_init(&body, 8192);
	json_writer_init(&w, &body);
	json_begin_object(&w);
	json_member_string(&w, SPAN("device_code"), device);
	json_member_string(&w, SPAN("user_code"), user);
	json_member_string(&w, SPAN("verification_uri"),
			   arena_printf(x->arena, "%.*s/identity/device", SPAN_ARG(issuer)));
	json_member_string(&w, SPAN("verification_uri_complete"),
			   arena_printf(x->arena, "%.*s/identity/device?user_code=%.*s",
					SPAN_ARG(issuer), SPAN_ARG(user)));
	json_member_int(&w, SPAN("expires_in"),
			(int64_t)(x->config->identity.tokens.device_ms / 1000));
	json_member_int(&w, SPAN("interval"), INTERVAL_S);
	json_end_object(&w);
	web_json(x, 200, &body);
}

void oauth_device(struct idp_exchange *x)
{
	struct oauth_grant grant = {.user = SPAN("")};
	struct span device, user;
	struct idp_client client;
	struct form form;
	struct err err;

	if (!oauth_form(x, &form) || !oauth_client(x, &form, false, &client))
		return;
	if (!texts_have(&client.grants, SPAN(GRANT_DEVICE))) {
		web_error(x, 400, "unauthorized_client", NULL);
		return;
	}
	if (!oauth_scopes(x, form_get(&form, SPAN("scope")), &client, &grant.scope)) {
		web_error(x, 400, "invalid_scope", NULL);
		return;
	}
	if (!oauth_resources(x, &form, &client, &grant.resource)) {
		web_error(x, 400, "invalid_target", NULL);
		return;
	}
	grant.client = client.id;
	device = idp_new_secret(x->arena);
	user = new_user_code(x->arena);
	if (!device.ptr || !user.ptr)
		web_unavailable(x, NULL);
	else if (put_codes(x, device, user, &grant, &err) != STORE_OK)
		web_unavailable(x, &err);
	else
		answer_codes(x, device, user);
}

/* ---- the user decides ---- */

struct device {
	struct store_record record;
	const struct json *object;
	struct oauth_grant grant;
};

static enum store_result find_device(struct idp_exchange *x, struct span digest,
				     struct device *d, struct err *err)
{
	enum store_result result =
		store_get(x->idp->shared, SPAN("device"), digest, x->arena, &d->record, err);

	if (result != STORE_OK)
		return result;
	d->object = idp_parse(d->record.value, x->arena, err);
	d->grant = (struct oauth_grant){.id = SPAN("")};
	if (!d->object || oauth_grant_read(d->object, &d->grant, x->arena, err) < 0)
		return STORE_FAILED;
	return STORE_OK;
}

static enum store_result decide(struct idp_exchange *x, struct device *d,
				const struct idp_session *session, bool allow, struct err *err)
{
	struct store_change change = {.kind = SPAN("device"),
				      .key = d->record.key,
				      .expect = STORE_EXPECT_VERSION,
				      .version = d->record.version,
				      .expires_unix_ms = d->record.expires_unix_ms};
	struct json_writer w;
	struct buf value;

	/* The device lives on when the browser's session ends. */
	d->grant.user = session->user;
	d->grant.methods = session->methods;
	d->grant.authenticated_unix_s = session->authenticated_unix_s;
	d->grant.created_unix_s = clock_unix_s();
	buf_init(&value, 32768);
	json_writer_init(&w, &value);
	json_begin_object(&w);
	oauth_grant_write(&w, &d->grant);
	json_member_string(&w, SPAN("status"), allow ? SPAN("allowed") : SPAN("denied"));
	json_end_object(&w);
	return idp_commit(x->idp->shared, &change, 1, &value, err);
}

static void show_device(struct idp_exchange *x, struct span code, const char *alert,
			unsigned status)
{
	struct page page;

	page_begin(&page, x, "Connect a device");
	if (alert)
		page_alert(&page, alert);
	page_raw(&page, "<p>Enter the code that the device shows. Only do so for a device that "
			"you have before you.</p>\n");
	page_form(&page, "/identity/device", SPAN(""));
	page_input_value(&page, "Code", "user_code", code,
			 "required autocapitalize=\"characters\" autocomplete=\"off\" "
			 "spellcheck=\"false\" autofocus");
	page_submit(&page, "Continue");
	page_form_end(&page);
	page_end(&page, status);
}

/* Section 3.3: who has been sent here by somebody else learns what it is about. */
static void show_wish(struct idp_exchange *x, const struct device *d, struct span code,
		      const struct idp_user *user)
{
	struct idp_client client;
	enum store_result result;
	struct page page;
	struct err err;

	result = client_get(x->idp, d->grant.client, x->arena, &client, &err);
	if (result == STORE_FAILED) {
		web_unavailable(x, &err);
		return;
	}
	if (result != STORE_OK) {
		show_device(x, SPAN(""), "The device is not known any more.", 422);
		return;
	}
	page_begin(&page, x, "Connect this device?");
	oauth_put_wish(&page, &client, d->grant.scope, user);
	page_raw(&page, "<p>Allow it only when the device is before you and shows <strong>");
	page_text(&page, code);
	page_raw(&page, "</strong>. Nobody else may ask you to.</p>\n");
	page_form(&page, "/identity/device", SPAN(""));
	page_hidden(&page, "user_code", code);
	oauth_put_decision(&page);
	page_form_end(&page);
	page_end(&page, 200);
}

/* `use`: once. */
static enum store_result find_by_user_code(struct idp_exchange *x, struct span code, bool use,
					   struct device *d, struct err *err)
{
	const struct store_change spent = {
		.kind = SPAN("device-user"), .key = code, .remove = true};
	struct store_record record;
	enum store_result result =
		store_get(x->idp->shared, SPAN("device-user"), code, x->arena, &record, err);

	if (result == STORE_OK)
		result = find_device(x, record.value, d, err);
	if (result == STORE_OK && use)
		result = store_commit(x->idp->shared, &spent, 1, err);
	return result;
}

/* Codes are short: guesses are counted as those of one-time codes. */
static void submit_device(struct idp_exchange *x, const struct idp_session *session,
			  const struct idp_user *user)
{
	const struct config_lockout *lockout = &x->config->identity.lockout;
	enum store_result result = STORE_ABSENT;
	int64_t wait_ms;
	struct device d;
	struct form form;
	struct span decision, code;
	struct err err;
	bool allow;

	if (!web_form(x, &form) || !web_own_form(x, &form))
		return;
	if (throttle_check(x->idp, THROTTLE_FACTOR, session->user, &wait_ms, &err) !=
	    STORE_OK) {
		web_unavailable(x, &err);
		return;
	}
	code = read_user_code(form_get(&form, SPAN("user_code")), x->arena);
	decision = form_get(&form, SPAN("decision"));
	allow = span_eq(decision, SPAN("allow"));
	if (!wait_ms)
		result = find_by_user_code(x, code, decision.len > 0, &d, &err);
	if (result == STORE_OK && !decision.len) {
		show_wish(x, &d, code, user);
		return;
	}
	if (result == STORE_OK)
		result = decide(x, &d, session, allow, &err);
	if (result == STORE_ABSENT && !wait_ms &&
	    throttle_fail(x->idp, lockout, THROTTLE_FACTOR, session->user, &wait_ms, &err) !=
		    STORE_OK)
		result = STORE_FAILED;
	switch (result) {
	case STORE_OK:
		idp_audit(x->idp, allow ? "device.allowed" : "device.denied", "user",
			  session->user, "client", d.grant.client);
		page_message_way(x, 200, "Connect a device",
				 allow ? "The device is connected. You can close this page."
				       : "The device was refused.",
				 "/identity", "Your account");
		break;
	case STORE_ABSENT:
	case STORE_CONFLICT:
		show_device(x, SPAN(""),
			    "There is no such code, it is too old, or there have been too many "
			    "attempts.",
			    422);
		break;
	case STORE_FAILED: web_unavailable(x, &err); break;
	}
}

void oauth_device_page(struct idp_exchange *x)
{
	struct idp_session session;
	struct idp_user user;
	struct form form;
	struct span code;
	struct err err;

	if (!web_query(x, &form))
		return;
	code = read_user_code(form_get(&form, SPAN("user_code")), x->arena);
	switch (web_session(x, &session, &user, &err)) {
	case STORE_OK: break;
	case STORE_ABSENT:
	case STORE_CONFLICT:
		web_redirect(x, arena_printf(x->arena,
					     "/identity/login?return=%%2Fidentity%%2Fdevice"
					     "%%3Fuser_code%%3D%.*s",
					     SPAN_ARG(code)));
		return;
	case STORE_FAILED: web_unavailable(x, &err); return;
	}
	if (x->method == HTTP_METHOD_POST)
		submit_device(x, &session, &user);
	else
		show_device(x, code, NULL, 200);
}

/* ---- the device asks again (section 3.5) ---- */

static void redeem(struct idp_exchange *x, const struct idp_client *client, struct device *d)
{
	const struct store_change change = {.kind = SPAN("device"),
					    .key = d->record.key,
					    .expect = STORE_EXPECT_VERSION,
					    .version = d->record.version,
					    .remove = true};
	enum store_result result;
	struct err err;

	d->grant.id = idp_new_id(x->arena, 'g');
	oauth_grant_bind(x, client, &d->grant);
	result = d->grant.id.ptr ? store_commit(x->idp->shared, &change, 1, &err)
				 : idp_no_memory(&err);
	if (result == STORE_OK)
		result = oauth_grant_put(x, &d->grant, &err);
	if (result == STORE_FAILED)
		web_unavailable(x, &err);
	else if (result != STORE_OK)
		web_error(x, 400, "invalid_grant", NULL);
	else
		oauth_issue(x, client, &d->grant, d->grant.scope);
}

void oauth_device_token(struct idp_exchange *x, const struct form *form,
			const struct idp_client *client)
{
	char digest[DIGEST_HEX_SIZE], poll[DIGEST_HEX_SIZE + 8];
	struct store_counter polls;
	struct device d;
	enum store_result result;
	struct span status;
	struct err err;

	digest_hex(digest, form_get(form, SPAN("device_code")));
	result = find_device(x, span_cstr(digest), &d, &err);
	if (result == STORE_OK && !span_eq(d.grant.client, client->id))
		result = STORE_ABSENT;
	if (result == STORE_OK) {
		snprintf(poll, sizeof(poll), "poll/%s", digest);
		result = store_count(x->idp->shared, span_cstr(poll), 1,
				     (int64_t)INTERVAL_S * 1000 - 500, STORE_COUNT_FIXED,
				     &polls, &err);
	}
	if (result == STORE_FAILED) {
		web_unavailable(x, &err);
		return;
	}
	if (result != STORE_OK) {
		web_error(x, 400, "expired_token", NULL);
		return;
	}
	status = json_text(d.object, "status");
	if (span_eq(status, SPAN("allowed")))
		redeem(x, client, &d);
	else if (span_eq(status, SPAN("denied")))
		web_error(x, 400, "access_denied", NULL);
	else
		web_error(x, 400, polls.value > 1 ? "slow_down" : "authorization_pending",
			  NULL);
}
