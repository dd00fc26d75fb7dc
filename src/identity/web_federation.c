/*
 * Logging in at another OpenID Connect provider: off to it, back from it, and whose account that
 * is here. What a login began with is in a record that the browser's cookie opens, once.
 */
#include "base/clock.h"
#include "base/log.h"
#include "identity/federation.h"
#include "identity/flow.h"
#include "identity/ldap_login.h"
#include "parse/mail_address.h"

#define LOGIN_S ((int64_t)600)
#define TRIES 4

/* ---- pages ---- */

void federation_put_buttons(struct page *page, struct span back)
{
	const struct config_identity *identity = &page->x->config->identity;

	for (size_t i = 0; i < identity->federation.count; i++) {
		const struct config_federation *provider = &identity->federation.at[i];

		page_raw(page, "<p><a class=\"button\" href=\"" IDP_FEDERATION_PATH);
		page_text(page, provider->name);
		page_raw(page, "/start?return=");
		form_append_escaped(&page->html, back);
		page_raw(page, "\">Log in with ");
		federation_put_title(page, provider);
		page_raw(page, "</a></p>\n");
	}
}

/* Words of ours only: nothing that a provider or a URL says is shown. */
static void show_refusal(struct idp_exchange *x, unsigned status, const char *text)
{
	page_refusal(x, status, "You are not logged in", text, "/identity/login",
		     "Back to the login page");
}

static void refuse(struct idp_exchange *x, const struct config_federation *provider,
		   const char *reason, const char *text)
{
	idp_count(x->idp, IDP_FEDERATIONS_FAILED);
	idp_audit(x->idp, "login.federation_failed", "provider", provider->name, "address",
		  x->address);
	x->reason = reason;
	show_refusal(x, 403, text);
}

static void refuse_answer(struct idp_exchange *x, const struct config_federation *provider,
			  const struct err *err)
{
	log_message(LOG_WARN, "identity.federation", "%s", err->message);
	if (err->code == ERR_DENIED) {
		refuse(x, provider, "federation_denied",
		       "The other provider has not let you in, or its answer cannot be "
		       "trusted. Try again.");
		return;
	}
	idp_count(x->idp, IDP_FEDERATIONS_FAILED);
	x->reason = "federation_unavailable";
	show_refusal(x, 503, "The other provider cannot be used now. Try again later.");
}

/* ---- what a login began with ---- */

static enum store_result put_state(struct idp_exchange *x, const struct federation_state *state,
				   struct err *err)
{
	struct store_change change = {.kind = SPAN("federation"),
				      .expires_unix_ms = clock_unix_ms() + LOGIN_S * 1000};
	struct span cookie = idp_new_secret(x->arena);
	char digest[DIGEST_HEX_SIZE];
	enum store_result result;
	struct json_writer w;
	struct buf value;

	if (!cookie.ptr)
		return idp_no_memory(err);
	digest_hex(digest, cookie);
	buf_init(&value, 16384);
	json_writer_init(&w, &value);
	json_begin_object(&w);
	json_member_string(&w, SPAN("provider"), state->provider);
	json_member_string(&w, SPAN("issuer"), state->issuer);
	json_member_string(&w, SPAN("state"), state->state);
	json_member_string(&w, SPAN("nonce"), state->nonce);
	json_member_string(&w, SPAN("verifier"), state->verifier);
	json_member_string(&w, SPAN("return"), state->back);
	json_member_string(&w, SPAN("user"), state->user);
	json_member_string(&w, SPAN("session"), state->session);
	json_member_bool(&w, SPAN("again"), state->again);
	json_member_int(&w, SPAN("begun"), state->begun_unix_s);
	json_end_object(&w);
	change.key = span_cstr(digest);
	result = idp_commit(x->idp->shared, &change, 1, &value, err);
	if (result == STORE_OK)
		web_set_cookie(x, WEB_FEDERATION_COOKIE, cookie, LOGIN_S);
	return result;
}

/* Of who comes back twice at the same time, one gets it. */
static enum store_result take_state(struct idp_exchange *x, struct federation_state *state,
				    struct err *err)
{
	struct span cookie = web_cookie(x, WEB_FEDERATION_COOKIE);
	struct store_change used = {
		.kind = SPAN("federation"), .expect = STORE_EXPECT_VERSION, .remove = true};
	char digest[DIGEST_HEX_SIZE];
	struct store_record record;
	const struct json *object;
	enum store_result result;

	if (!cookie.len)
		return STORE_ABSENT;
	digest_hex(digest, cookie);
	used.key = span_cstr(digest);
	result = store_get(x->idp->shared, used.kind, used.key, x->arena, &record, err);
	if (result != STORE_OK)
		return result;
	used.version = record.version;
	result = store_commit(x->idp->shared, &used, 1, err);
	if (result != STORE_OK)
		return result == STORE_FAILED ? result : STORE_ABSENT;
	object = idp_parse(record.value, x->arena, err);
	if (!object)
		return STORE_FAILED;
	*state = (struct federation_state){.provider = json_text(object, "provider"),
					   .issuer = json_text(object, "issuer"),
					   .state = json_text(object, "state"),
					   .nonce = json_text(object, "nonce"),
					   .verifier = json_text(object, "verifier"),
					   .back = json_text(object, "return"),
					   .user = json_text(object, "user"),
					   .session = json_text(object, "session"),
					   .again = json_flag(object, "again"),
					   .begun_unix_s = json_number(object, "begun")};
	return STORE_OK;
}

/* ---- off ---- */

bool federation_start(struct idp_exchange *x, const struct config_federation *provider,
		      struct federation_state *state, struct span *url)
{
	struct err err;

	state->provider = provider->name;
	state->issuer = provider->issuer;
	state->begun_unix_s = clock_unix_s();
	if (federation_begin(x, provider, state, url, &err) < 0) {
		refuse_answer(x, provider, &err);
		return false;
	}
	if (put_state(x, state, &err) != STORE_OK) {
		web_unavailable(x, &err);
		return false;
	}
	return true;
}

static void start(struct idp_exchange *x, const struct config_federation *provider)
{
	struct federation_state state = {.user = SPAN(""), .session = SPAN("")};
	struct span cookie = web_cookie(x, IDP_SESSION_COOKIE), url;
	struct idp_session session;
	enum store_result found;
	struct form query;
	struct err err;

	if (!web_query(x, &query))
		return;
	state.back = web_return(form_get(&query, SPAN("return")));
	/* Who is logged in already has been asked to show anew who it is. */
	found = cookie.len ? session_find(x->idp, &x->config->identity.session, cookie,
					  x->arena, &session, &err)
			   : STORE_ABSENT;
	state.again = found == STORE_OK;
	if (found == STORE_FAILED)
		web_unavailable(x, &err);
	else if (federation_start(x, provider, &state, &url))
		web_redirect(x, url);
}

/* ---- whose account it is ---- */

struct arrival {
	const struct config_federation *provider;
	struct federation_user from;
	struct span link; /* "ISSUER SUBJECT" */
	struct idp_user user;
	bool changed;
	const char *audit; /* what was done; NULL: nothing */
	const char *refusal; /* for people, with STORE_ABSENT */
};

/* The provider's word for an address counts where it is trusted with addresses. */
static struct span trusted_email(struct idp_exchange *x, const struct arrival *a)
{
	if (a->provider->link_by_email != CONFIG_LINK_VERIFIED || !a->from.email_verified ||
	    !mail_address_valid(a->from.email))
		return SPAN("");
	return text_lower(a->from.email, x->arena);
}

/* STORE_ABSENT: nobody has the address, or with a refusal: somebody who is not to be linked. */
static enum store_result link_by_email(struct idp_exchange *x, struct arrival *a,
				       struct span email, struct err *err)
{
	enum store_result result = user_find_email(x->idp, email, x->arena, &a->user, err);

	if (result == STORE_ABSENT || result == STORE_FAILED)
		return result;
	/* Addresses are given to others at times: one subject of an issuer is one user. */
	if (result != STORE_OK || federation_link_to(&a->user, a->provider).ptr ||
	    !a->user.email_verified || a->user.disabled ||
	    a->user.links.count >= USER_LINKS_MAX) {
		a->refusal = "There is an account with your address that this login cannot be "
			     "joined to.";
		return STORE_ABSENT;
	}
	if (texts_add(&a->user.links, a->link, x->arena) < 0)
		return idp_no_memory(err);
	a->changed = true;
	a->audit = "user.linked";
	return STORE_OK;
}

/* The id is the link's: of two who arrive at once, one is made. */
static enum store_result make_user(struct idp_exchange *x, struct arrival *a, struct span email,
				   unsigned try_, struct err *err)
{
	char digest[DIGEST_HEX_SIZE];
	struct span name = SPAN_NONE;

	digest_hex(digest, a->link);
	a->user = (struct idp_user){
		.id = arena_printf(x->arena, "u%.32s", digest),
		.display = text_displayable(a->from.name) ? a->from.name : SPAN(""),
		.email = email,
		.email_verified = email.len > 0,
		.roles = a->provider->roles,
		.links = {arena_array(x->arena, struct span, 1), 1},
	};
	/* With the provider's name before it: nobody gets a name that means somebody else here. */
	if (try_ == 0 && a->from.username.len)
		name = arena_printf(x->arena, "%.*s:%.*s", SPAN_ARG(a->provider->name),
				    SPAN_ARG(a->from.username));
	if (name.ptr)
		a->user.name = user_name_normal(name, x->arena);
	if (!a->user.name.ptr) {
		name = arena_printf(x->arena, "%.*s:%.32s", SPAN_ARG(a->provider->name),
				    digest);
		a->user.name = name.ptr ? user_name_normal(name, x->arena) : SPAN_NONE;
	}
	if (!a->user.id.ptr || !a->user.links.at || !a->user.name.ptr)
		return idp_no_memory(err);
	/* Made before, and not by somebody who is as fast: then the link would have been found. */
	if (try_ > 1) {
		struct idp_user other;
		enum store_result result = user_get(x->idp, a->user.id, x->arena, &other, err);

		if (result == STORE_OK)
			a->refusal = "This login was cut off from its account.";
		if (result == STORE_OK || result == STORE_FAILED)
			return result == STORE_OK ? STORE_ABSENT : result;
	}
	a->user.links.at[0] = a->link;
	a->changed = true;
	a->audit = "user.created_by_provider";
	return STORE_OK;
}

static enum store_result link_or_make(struct idp_exchange *x, struct arrival *a, unsigned try_,
				      struct err *err)
{
	struct span email = trusted_email(x, a);
	enum store_result result = STORE_ABSENT;

	if (!email.ptr)
		return idp_no_memory(err);
	if (email.len)
		result = link_by_email(x, a, email, err);
	if (result != STORE_ABSENT || a->refusal)
		return result;
	if (a->provider->create)
		return make_user(x, a, email, try_, err);
	a->refusal = "Nobody here has this login. Ask for an account first.";
	return STORE_ABSENT;
}

static enum store_result try_arrival(struct idp_exchange *x, struct arrival *a, unsigned try_,
				     struct err *err)
{
	enum store_result result;

	a->changed = false;
	a->audit = NULL;
	a->refusal = NULL;
	result = user_find_link(x->idp, a->link, x->arena, &a->user, err);
	if (result == STORE_CONFLICT) {
		a->refusal = "This login is joined to several accounts.";
		return STORE_ABSENT;
	}
	if (result == STORE_ABSENT)
		result = link_or_make(x, a, try_, err);
	if (result != STORE_OK)
		return result;
	if (a->user.disabled) {
		a->refusal = "This account is switched off.";
		return STORE_ABSENT;
	}
	if (federation_map_roles(a->provider, &a->from, &a->user.roles, &a->changed, x->arena) <
	    0)
		return idp_no_memory(err);
	return a->changed ? user_put(x->idp, &a->user, x->arena, err) : STORE_OK;
}

static enum store_result arrive(struct idp_exchange *x, struct arrival *a, struct err *err)
{
	enum store_result result = STORE_CONFLICT;

	a->link = arena_printf(x->arena, "%.*s %.*s", SPAN_ARG(a->provider->issuer),
			       SPAN_ARG(a->from.subject));
	if (!a->link.ptr)
		return idp_no_memory(err);
	if (a->link.len > STORE_KEY_BYTES_MAX) {
		a->refusal = "The name that the other provider has for you is too long.";
		return STORE_ABSENT;
	}
	for (unsigned i = 0; i < TRIES && result == STORE_CONFLICT; i++)
		result = try_arrival(x, a, i, err);
	if (result == STORE_CONFLICT)
		(void)err_set(err, ERR_UNAVAILABLE, "identity: a user keeps being changed");
	return result;
}

/* ---- back ---- */

static void enter(struct idp_exchange *x, struct arrival *a,
		  const struct federation_state *state)
{
	struct span methods[] = {SPAN("fed")};
	enum store_result result;
	struct err err;

	result = arrive(x, a, &err);
	if (result == STORE_OK) {
		a->refusal = "The directory that your account belongs to does not know you any "
			     "more.";
		result = ldap_confirm(x->idp, x->config, &a->user, x->arena, &err);
	}
	if (result == STORE_ABSENT) {
		refuse(x, a->provider, "federation_refused", a->refusal);
		return;
	}
	if (result != STORE_OK) {
		web_unavailable(x, &err);
		return;
	}
	if (a->audit)
		idp_audit(x->idp, a->audit, "user", a->user.id, "provider", a->provider->name);
	else if (a->changed)
		idp_audit(x->idp, "user.roles_by_provider", "user", a->user.id, "provider",
			  a->provider->name);
	flow_go_on(x, &(struct flow){.user = a->user,
				     .methods = {methods, COUNT_OF(methods)},
				     .back = state->back});
}

static void callback(struct idp_exchange *x, const struct config_federation *provider)
{
	struct arrival a = {.provider = provider};
	struct federation_state state;
	enum store_result result;
	struct form query;
	struct err err;

	if (!web_query(x, &query))
		return;
	result = take_state(x, &state, &err);
	if (result == STORE_FAILED) {
		web_unavailable(x, &err);
		return;
	}
	web_set_cookie(x, WEB_FEDERATION_COOKIE, SPAN(""), 0);
	if (result != STORE_OK || !span_eq(state.provider, provider->name) ||
	    !span_eq(state.issuer, provider->issuer) || !state.state.len ||
	    !secret_eq(form_get(&query, SPAN("state")), state.state))
		refuse(x, provider, "federation_state",
		       "This login did not begin in this browser, took too long, or has been "
		       "used. Begin anew.");
	else if (federation_end(x, provider, &state, &query, &a.from, &err) < 0)
		refuse_answer(x, provider, &err);
	else if (state.user.len)
		federation_join(x, provider, &a.from, &state);
	else
		enter(x, &a, &state);
}

static const struct {
	enum http_method method;
	struct span path;
	void (*serve)(struct idp_exchange *x, const struct config_federation *provider);
} pages[] = {
	{HTTP_METHOD_GET, SPAN_INIT("start"), start},
	{HTTP_METHOD_GET, SPAN_INIT("callback"), callback},
	{HTTP_METHOD_POST, SPAN_INIT("link"), federation_link},
	{HTTP_METHOD_POST, SPAN_INIT("unlink"), federation_unlink},
};

void federation_page(struct idp_exchange *x)
{
	const struct config_identity *identity = &x->config->identity;
	struct span what = span_slice(x->path, SPAN(IDP_FEDERATION_PATH).len, x->path.len);
	struct span name = span_cut(&what, '/');

	for (size_t i = 0; i < identity->federation.count; i++) {
		const struct config_federation *provider = &identity->federation.at[i];

		for (size_t j = 0; span_eq(provider->name, name) && j < COUNT_OF(pages); j++) {
			if (x->method != pages[j].method || !span_eq(what, pages[j].path))
				continue;
			pages[j].serve(x, provider);
			return;
		}
	}
	page_not_found(x);
	x->reason = "unknown_path";
}
