/* Passkeys: their ceremonies as forms that a small script fills in, and the page that lists them. */
#include "base/clock.h"
#include "base/rand.h"
#include "identity/flow.h"
#include "identity/ldap_login.h"
#include "identity/passkey.h"
#include "parse/base64.h"

#define CHALLENGE_S ((int64_t)300)

/*
 * ---- challenges: of us, lately, for the browser that got them, and good once ----
 *
 * Time, random bytes, and a MAC over both and the form's token. Nothing is stored when a page is
 * shown, which costs whoever asks nothing; used ones are, until they are too old anyway.
 */

struct challenge {
	unsigned char time_s[8];
	unsigned char random[16];
	unsigned char mac[VAULT_MAC_BYTES];
};

static bool challenge_mac(struct idp_exchange *x, const struct challenge *c,
			  struct span form_token, unsigned char mac[VAULT_MAC_BYTES])
{
	char time_hex[16 + 1], random_hex[32 + 1];
	struct span text;

	for (size_t i = 0; i < sizeof(c->time_s); i++)
		snprintf(time_hex + 2 * i, 3, "%02x", c->time_s[i]);
	for (size_t i = 0; i < sizeof(c->random); i++)
		snprintf(random_hex + 2 * i, 3, "%02x", c->random[i]);
	text = arena_printf(x->arena, "%s/%s/%.*s", time_hex, random_hex, SPAN_ARG(form_token));
	return text.ptr && vault_mac(x->idp->vault, SPAN("passkey"), text, mac);
}

static struct span new_challenge(struct page *page)
{
	struct arena *arena = page->x->arena;
	uint64_t now = (uint64_t)clock_unix_s();
	struct challenge c;
	char *text = arena_alloc(arena, base64url_encoded_size(sizeof(c)) + 1);

	rand_bytes(c.random, sizeof(c.random));
	for (size_t i = 0; i < sizeof(c.time_s); i++)
		c.time_s[i] = (unsigned char)(now >> (56 - 8 * i));
	if (!text || !page->form_token.ptr ||
	    !challenge_mac(page->x, &c, page->form_token, c.mac))
		return SPAN_NONE;
	return span_of(text, base64url_encode(text, span_of(&c, sizeof(c))));
}

static bool is_ours(struct idp_exchange *x, struct span text, struct span form_token)
{
	unsigned char mac[VAULT_MAC_BYTES];
	uint64_t time_s = 0;
	struct challenge c;
	size_t len = 0;

	if (text.len != base64url_encoded_size(sizeof(c)))
		return false;
	/* Strict decoding gives exactly so many bytes. */
	if (!base64url_decode(&c, &len, text) || len != sizeof(c) ||
	    !challenge_mac(x, &c, form_token, mac) ||
	    !secret_eq(span_of(mac, sizeof(mac)), span_of(c.mac, sizeof(c.mac))))
		return false;
	for (size_t i = 0; i < sizeof(c.time_s); i++)
		time_s = time_s << 8 | c.time_s[i];
	return clock_unix_s() - (int64_t)time_s <= CHALLENGE_S;
}

/* STORE_OK once. The form's token was checked already (web_own_form). */
static enum store_result use_challenge(struct idp_exchange *x, const struct form *form,
				       struct span *challenge, struct err *err)
{
	struct store_change change = {.kind = SPAN("challenge"),
				      .value = SPAN("{}"),
				      .expect = STORE_EXPECT_ABSENT,
				      .expires_unix_ms =
					      clock_unix_ms() + 2 * CHALLENGE_S * 1000};
	char digest[DIGEST_HEX_SIZE];
	enum store_result result;

	*challenge = form_get(form, SPAN("challenge"));
	if (!is_ours(x, *challenge, form_get(form, SPAN("form_token"))))
		return STORE_ABSENT;
	digest_hex(digest, *challenge);
	change.key = span_cstr(digest);
	result = store_commit(x->idp->shared, &change, 1, err);
	return result == STORE_CONFLICT ? STORE_ABSENT : result;
}

/* ---- forms ---- */

static void put_data(struct page *page, const char *name, struct span value)
{
	page_printf(page, " data-%s=\"", name);
	page_text(page, value);
	page_raw(page, "\"");
}

static struct span base64url_of(struct arena *arena, struct span text)
{
	char *to = arena_alloc(arena, base64url_encoded_size(text.len) + 1);

	if (!to)
		return SPAN_NONE;
	return span_of(to, base64url_encode(to, text));
}

static void put_keys(struct page *page, const struct idp_user *user)
{
	page_raw(page, " data-keys=\"");
	for (size_t i = 0; i < user->passkey_count; i++) {
		if (i)
			page_raw(page, " ");
		page_text(page, user->passkeys[i].id);
	}
	page_raw(page, "\"");
}

static void begin_form(struct page *page, const char *action, struct span return_to,
		       const char *kind, const struct idp_user *user, struct span challenge)
{
	struct idp_exchange *x = page->x;

	page_printf(page,
		    "<form method=\"post\" action=\"%s\" class=\"passkey\" hidden "
		    "data-passkey=\"%s\"",
		    action, kind);
	put_data(page, "challenge", challenge);
	put_data(page, "site", x->config->identity.theme.name);
	if (user) {
		put_data(page, "user", base64url_of(x->arena, user->id));
		put_data(page, "name", user->name);
		put_data(page, "display", user->display.len ? user->display : user->name);
		put_keys(page, user);
	}
	page_raw(page, ">");
	page_hidden(page, "form_token", page->form_token);
	if (return_to.len)
		page_hidden(page, "return", return_to);
	page_hidden(page, "challenge", challenge);
	page_raw(page, "<p class=\"alert\" role=\"alert\" hidden></p>\n");
}

void passkey_put_form(struct page *page, const char *action, struct span return_to,
		      const char *label, const struct idp_user *user)
{
	struct span challenge = new_challenge(page);

	if (!challenge.ptr)
		return;
	page->scripted = true;
	begin_form(page, action, return_to, "get", user, challenge);
	page_second(page, label);
	page_form_end(page);
}

/* ---- logging in ---- */

static struct idp_passkey *find_key(struct idp_user *user, struct span id)
{
	for (size_t i = 0; i < user->passkey_count; i++)
		if (span_eq(user->passkeys[i].id, id))
			return &user->passkeys[i];
	return NULL;
}

/* STORE_OK: the user has shown one of the user's keys, and its counter is stored. */
static enum store_result check_assertion(struct idp_exchange *x, const struct form *form,
					 struct idp_user *user, bool need_verified,
					 bool *verified, const char **why, struct err *err)
{
	struct passkey_wanted wanted = {.type = "webauthn.get",
					.origin = x->config->identity.issuer,
					.user_verified = need_verified};
	struct idp_passkey *key = find_key(user, form_get(form, SPAN("id")));
	enum store_result result = use_challenge(x, form, &wanted.challenge, err);

	*why = "challenge";
	if (result != STORE_OK)
		return result;
	*why = "unknown_key";
	if (!key)
		return STORE_ABSENT;
	if (passkey_asserted(key, form_get(form, SPAN("authenticator_data")),
			     form_get(form, SPAN("client_data")),
			     form_get(form, SPAN("signature")), &wanted, x->arena, verified,
			     why) < 0) {
		if (span_eq(span_cstr(*why), SPAN("counter")))
			idp_audit(x->idp, "passkey.copied", "user", user->id, "address",
				  x->address);
		return STORE_ABSENT;
	}
	key->used_unix_s = clock_unix_s();
	result = user_put(x->idp, user, x->arena, err);
	*why = "at_the_same_time";
	return result == STORE_CONFLICT ? STORE_ABSENT : result;
}

static int add_methods(struct idp_exchange *x, struct flow *flow, bool verified)
{
	if (flow_add_method(x, flow, "pop") < 0)
		return -1;
	return verified ? flow_add_method(x, flow, "user") : 0;
}

/* As second factor, in a flow that a password has begun. */
static void submit_second(struct idp_exchange *x, const struct form *form, struct flow *flow)
{
	enum store_result result;
	int64_t wait_ms;
	const char *why;
	bool verified;
	struct err err;

	if (throttle_check(x->idp, THROTTLE_FACTOR, flow->user.id, &wait_ms, &err) !=
	    STORE_OK) {
		web_unavailable(x, &err);
		return;
	}
	result = wait_ms ? STORE_ABSENT
			 : check_assertion(x, form, &flow->user, false, &verified, &why, &err);
	if (result == STORE_FAILED)
		web_unavailable(x, &err);
	else if (result != STORE_OK)
		factor_failed(x, flow, wait_ms > 0);
	else if (add_methods(x, flow, verified) < 0)
		web_unavailable(x, NULL);
	else
		factor_passed(x, flow);
}

static void refuse(struct idp_exchange *x, struct span back, const char *why)
{
	idp_audit(x->idp, "login.passkey_failed", "why", span_cstr(why), "address", x->address);
	idp_count(x->idp, IDP_LOGINS_FAILED);
	x->reason = "login_failed";
	login_show(x, back, SPAN(""),
		   "That did not work. Try again, or log in with your password.", 403);
}

/* A user of a directory has to be there still; for that a thread waits that may. */
static void enter_alone(struct idp_exchange *x)
{
	struct flow *flow = x->rest_of;
	struct err err;

	switch (ldap_confirm(x->idp, x->config, &flow->user, x->arena, &err)) {
	case STORE_OK: flow_go_on(x, flow); break;
	case STORE_ABSENT:
	case STORE_CONFLICT: refuse(x, flow->back, "gone_from_directory"); break;
	case STORE_FAILED: web_unavailable(x, &err); break;
	}
}

static void go_on_alone(struct idp_exchange *x, const struct flow *flow)
{
	struct flow *kept = arena_new(x->arena, struct flow);

	if (!kept) {
		web_unavailable(x, NULL);
		return;
	}
	*kept = *flow;
	x->rest_of = kept;
	if (x->config->identity.ldap.count && ldap_has_user(&kept->user))
		x->rest = enter_alone;
	else
		flow_go_on(x, kept);
}

/* Alone: the key says whose it is, and has verified its user. */
static void submit_alone(struct idp_exchange *x, const struct form *form)
{
	struct flow flow = {.back = web_return(form_get(form, SPAN("return")))};
	struct span handle = form_get(form, SPAN("user"));
	char id[128];
	enum store_result result;
	const char *why = "unknown_user";
	int64_t wait_ms;
	size_t len = 0;
	bool verified;
	struct err err;

	if (throttle_check(x->idp, THROTTLE_ADDRESS, x->address, &wait_ms, &err) != STORE_OK) {
		web_unavailable(x, &err);
		return;
	}
	if (wait_ms || handle.len == 0 || handle.len > 100 ||
	    !base64url_decode(id, &len, handle)) {
		refuse(x, flow.back, wait_ms ? "locked" : why);
		return;
	}
	result = user_get(x->idp, span_of(id, len), x->arena, &flow.user, &err);
	if (result == STORE_OK && flow.user.disabled)
		result = STORE_ABSENT;
	if (result == STORE_OK)
		result = check_assertion(x, form, &flow.user, true, &verified, &why, &err);
	if (result == STORE_FAILED) {
		web_unavailable(x, &err);
	} else if (result != STORE_OK) {
		if (throttle_fail(x->idp, &x->config->identity.lockout, THROTTLE_ADDRESS,
				  x->address, &wait_ms, &err) != STORE_OK)
			web_unavailable(x, &err);
		else
			refuse(x, flow.back, why);
	} else if (add_methods(x, &flow, verified) < 0) {
		web_unavailable(x, NULL);
	} else {
		go_on_alone(x, &flow);
	}
}

void login_passkey_page(struct idp_exchange *x)
{
	struct flow flow = {.back = SPAN("")};
	struct form form;

	if (!web_form(x, &form) || !web_own_form(x, &form))
		return;
	/* The form of the login page has a `return`, that of the second factor has a flow. */
	if (form_get(&form, SPAN("return")).ptr)
		submit_alone(x, &form);
	else if (factor_flow(x, &flow))
		submit_second(x, &form, &flow);
}

/* ---- the page ---- */

static void put_key(struct page *page, const struct idp_passkey *key)
{
	char made[CLOCK_HTTP_SIZE], used[CLOCK_HTTP_SIZE];

	clock_http(made, key->created_unix_s);
	clock_http(used, key->used_unix_s);
	page_raw(page, "<li><strong>");
	page_text(page, key->name);
	page_printf(page, "</strong><br>Made %s<br>%s%s\n", made,
		    key->used_unix_s ? "Last used " : "Not used yet",
		    key->used_unix_s ? used : "");
	page_form(page, "/identity/passkeys/remove", SPAN(""));
	page_hidden(page, "id", key->id);
	page_raw(page, "<button class=\"second\" type=\"submit\">Remove <span "
		       "class=\"unseen\">");
	page_text(page, key->name);
	page_raw(page, "</span></button>");
	page_form_end(page);
	page_raw(page, "</li>\n");
}

static void show_passkeys(struct idp_exchange *x, const struct idp_user *user,
			  const char *alert, const char *note, unsigned status)
{
	struct span challenge;
	struct page page;

	page_begin(&page, x, "Passkeys");
	if (alert)
		page_alert(&page, alert);
	if (note)
		page_note(&page, note);
	page_raw(&page,
		 "<p>A passkey lives in your phone, your computer or a security key. It "
		 "logs you in without a password, and no forged page can steal it.</p>\n");
	if (user->passkey_count) {
		page_raw(&page, "<ul class=\"list\">\n");
		for (size_t i = 0; i < user->passkey_count; i++)
			put_key(&page, &user->passkeys[i]);
		page_raw(&page, "</ul>\n");
	}
	challenge = new_challenge(&page);
	if (user->passkey_count < USER_PASSKEYS_MAX && challenge.ptr) {
		page.scripted = true;
		begin_form(&page, "/identity/passkeys", SPAN(""), "create", user, challenge);
		page_input(&page, "Name of the new passkey", "name",
			   "required maxlength=\"60\" value=\"My passkey\"");
		page_submit(&page, "Make a passkey");
		page_form_end(&page);
		page_raw(&page, "<noscript><p>Passkeys need scripts, which are switched off "
				"here.</p></noscript>\n");
	}
	page_way(&page, "/identity/security", "How you log in");
	page_end(&page, status);
}

static void store_keys(struct idp_exchange *x, struct idp_user *user,
		       struct idp_session *session, const char *event, const char *note)
{
	enum store_result result;
	struct err err;

	result = user_put(x->idp, user, x->arena, &err);
	if (result == STORE_OK)
		result = session_end_all(x->idp, user->id, session->id, x->arena, &err);
	if (result == STORE_OK)
		result = web_rotate(x, session, &err);
	if (result != STORE_OK) {
		web_unavailable(x, result == STORE_FAILED ? &err : NULL);
		return;
	}
	idp_audit(x->idp, event, "user", user->id, "address", x->address);
	show_passkeys(x, user, NULL, note, 200);
}

static bool is_name(struct span name)
{
	return name.len > 0 && name.len <= 200 && span_find_byte(name, '\n') == name.len &&
	       span_find_byte(name, '\r') == name.len;
}

static void submit_new(struct idp_exchange *x, const struct form *form, struct idp_user *user,
		       struct idp_session *session)
{
	struct passkey_wanted wanted = {.type = "webauthn.create",
					.origin = x->config->identity.issuer};
	struct idp_passkey key = {.name = span_trim(form_get(form, SPAN("name"))),
				  .created_unix_s = clock_unix_s()};
	enum store_result result = use_challenge(x, form, &wanted.challenge, NULL);
	const char *why = "challenge";

	if (result == STORE_FAILED) {
		web_unavailable(x, NULL);
		return;
	}
	if (!is_name(key.name) || user->passkey_count >= USER_PASSKEYS_MAX) {
		show_passkeys(x, user, "Give the passkey a short name.", NULL, 422);
		return;
	}
	if (result != STORE_OK ||
	    passkey_created(form_get(form, SPAN("attestation_object")),
			    form_get(form, SPAN("client_data")), &wanted, x->arena, &key,
			    &why) < 0 ||
	    find_key(user, key.id)) {
		idp_audit(x->idp, "passkey.refused", "user", user->id, "why", span_cstr(why));
		x->reason = "passkey_refused";
		show_passkeys(x, user, "That did not work. Try again.", NULL, 422);
		return;
	}
	user->passkeys[user->passkey_count++] = key;
	/* The session has just shown it. */
	if (session_add_method(session, "pop", x->arena) < 0)
		web_unavailable(x, NULL);
	else
		store_keys(x, user, session, "user.passkey_made", "The passkey is ready.");
}

void passkeys_page(struct idp_exchange *x)
{
	struct idp_session session;
	struct idp_user user;
	struct form form;

	if (x->method == HTTP_METHOD_POST && (!web_form(x, &form) || !web_own_form(x, &form)))
		return;
	if (!web_need_fresh(x, &session, &user, SPAN("/identity/passkeys")))
		return;
	if (x->method == HTTP_METHOD_POST)
		submit_new(x, &form, &user, &session);
	else
		show_passkeys(x, &user, NULL, NULL, 200);
}

void passkey_remove_form(struct idp_exchange *x)
{
	struct idp_session session;
	struct idp_passkey *key;
	struct idp_user user;
	struct form form;

	if (!web_form(x, &form) || !web_own_form(x, &form) ||
	    !web_need_fresh(x, &session, &user, SPAN("/identity/passkeys")))
		return;
	key = find_key(&user, form_get(&form, SPAN("id")));
	if (!key) {
		show_passkeys(x, &user, "There is no such passkey.", NULL, 404);
		return;
	}
	user.passkey_count--;
	memmove(key, key + 1,
		(size_t)(user.passkeys + user.passkey_count - key) * sizeof(*key));
	store_keys(x, &user, &session, "user.passkey_removed", "The passkey is removed.");
}

/* ---- the script ---- */

static const char script[] =
	"'use strict';\n"
	"(() => {\n"
	"  const bytes = (text) => Uint8Array.from(\n"
	"    atob(text.replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0));\n"
	"  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)))\n"
	"    .replace(/\\+/g, '-').replace(/\\//g, '_').replace(/=+$/, '');\n"
	"  const put = (form, name, value) => {\n"
	"    const input = document.createElement('input');\n"
	"    input.type = 'hidden';\n"
	"    input.name = name;\n"
	"    input.value = value;\n"
	"    form.append(input);\n"
	"  };\n"
	"  const keys = (data) => (data.keys ? data.keys.split(' ') : [])\n"
	"    .map((id) => ({type: 'public-key', id: bytes(id)}));\n"
	"  const create = async (form, data) => {\n"
	"    const made = await navigator.credentials.create({publicKey: {\n"
	"      challenge: bytes(data.challenge),\n"
	"      rp: {name: data.site},\n"
	"      user: {id: bytes(data.user), name: data.name, displayName: data.display},\n"
	"      pubKeyCredParams: [-7, -8, -257].map((alg) => ({type: 'public-key', alg})),\n"
	"      excludeCredentials: keys(data),\n"
	"      authenticatorSelection: {residentKey: 'preferred', userVerification: "
	"'preferred'},\n"
	"      attestation: 'none',\n"
	"    }});\n"
	"    put(form, 'attestation_object', text(made.response.attestationObject));\n"
	"    put(form, 'client_data', text(made.response.clientDataJSON));\n"
	"  };\n"
	"  const get = async (form, data) => {\n"
	"    const got = await navigator.credentials.get({publicKey: {\n"
	"      challenge: bytes(data.challenge),\n"
	"      allowCredentials: keys(data),\n"
	"      userVerification: data.keys ? 'preferred' : 'required',\n"
	"    }});\n"
	"    put(form, 'id', text(got.rawId));\n"
	"    put(form, 'authenticator_data', text(got.response.authenticatorData));\n"
	"    put(form, 'client_data', text(got.response.clientDataJSON));\n"
	"    put(form, 'signature', text(got.response.signature));\n"
	"    if (got.response.userHandle) put(form, 'user', text(got.response.userHandle));\n"
	"  };\n"
	"  if (!window.PublicKeyCredential) return;\n"
	"  for (const form of document.querySelectorAll('form[data-passkey]')) {\n"
	"    const data = form.dataset;\n"
	"    const alert = form.querySelector('.alert');\n"
	"    form.hidden = false;\n"
	"    form.addEventListener('submit', async (event) => {\n"
	"      event.preventDefault();\n"
	"      alert.hidden = true;\n"
	"      try {\n"
	"        await (data.passkey === 'create' ? create : get)(form, data);\n"
	"        form.submit();\n"
	"      } catch (error) {\n"
	"        alert.textContent = 'No passkey was used: ' + error.message;\n"
	"        alert.hidden = false;\n"
	"      }\n"
	"    });\n"
	"  }\n"
	"})();\n";

void passkey_script(struct idp_exchange *x)
{
	web_field(x, SPAN("content-type"), SPAN("text/javascript; charset=utf-8"));
	web_field(x, SPAN("cache-control"), SPAN("public, max-age=300"));
	web_field(x, SPAN("x-content-type-options"), SPAN("nosniff"));
	x->status = 200;
	x->content = span_of(script, sizeof(script) - 1);
}
