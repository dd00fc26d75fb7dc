/*
 * Logins at other providers that users join to their accounts, and cut off again. Joining begins
 * with a form of ours in a login that is recent, and ends in the same session.
 */
#include "identity/federation.h"
#include "identity/ldap_login.h"
#include "identity/role_map.h"

#define TRIES 4

struct span federation_link_to(const struct idp_user *user,
			       const struct config_federation *provider)
{
	for (size_t i = 0; i < user->links.count; i++) {
		struct span link = user->links.at[i];

		if (link.len > provider->issuer.len && link.ptr[provider->issuer.len] == ' ' &&
		    span_starts_with(link, provider->issuer))
			return link;
	}
	return SPAN_NONE;
}

void federation_put_title(struct page *page, const struct config_federation *provider)
{
	page_text(page, provider->title.len ? provider->title : provider->name);
}

void federation_put_links(struct page *page, const struct idp_user *user)
{
	const struct config_identity *identity = &page->x->config->identity;

	if (!identity->federation.count)
		return;
	page_raw(page, "<section><h2>Logins elsewhere</h2>\n");
	for (size_t i = 0; i < identity->federation.count; i++) {
		const struct config_federation *provider = &identity->federation.at[i];
		bool joined = federation_link_to(user, provider).ptr != NULL;
		struct span action =
			arena_printf(page->x->arena, IDP_FEDERATION_PATH "%.*s/%s",
				     SPAN_ARG(provider->name), joined ? "unlink" : "link");

		page_form(page, action.ptr ? action.ptr : "/identity", SPAN(""));
		page_raw(page, "<p class=\"said\">");
		federation_put_title(page, provider);
		page_raw(page, joined ? ": joined. " : ": not joined. ");
		page_raw(page, "<button class=\"second\" type=\"submit\">");
		page_raw(page, joined ? "Cut off " : "Join ");
		federation_put_title(page, provider);
		page_raw(page, "</button></p>\n");
		page_form_end(page);
	}
	page_raw(page, "</section>\n");
}

static void say(struct idp_exchange *x, unsigned status, const char *text)
{
	page_refusal(x, status, "Logins elsewhere", text, "/identity/security",
		     "How you log in");
}

/* The session and the form. False: the request was answered. */
static bool begin(struct idp_exchange *x, struct idp_session *session, struct idp_user *user)
{
	struct form form;

	return web_form(x, &form) && web_own_form(x, &form) &&
	       web_need_fresh(x, session, user, SPAN("/identity/security"));
}

/* ---- joining ---- */

/* A link, not a redirect: where the provider is, no form of ours may lead. */
static void show_way(struct idp_exchange *x, const struct config_federation *provider,
		     struct span url)
{
	struct page page;

	page_begin(&page, x, "Join a login");
	page_raw(&page, "<p>Log in there, and come back. From then on whoever can log in there "
			"can log in to this account.</p>\n<p><a class=\"button\" href=\"");
	page_text(&page, url);
	page_raw(&page, "\">Go on to ");
	federation_put_title(&page, provider);
	page_raw(&page, "</a></p>\n");
	page_way(&page, "/identity/security", "Rather not");
	page_end(&page, 200);
}

void federation_link(struct idp_exchange *x, const struct config_federation *provider)
{
	struct federation_state state = {.back = SPAN("/identity/security"), .again = true};
	struct idp_session session;
	struct idp_user user;
	struct span url;

	if (!begin(x, &session, &user))
		return;
	if (federation_link_to(&user, provider).ptr) {
		say(x, 409, "Your account is joined to a login there. Cut that off first.");
		return;
	}
	state.user = user.id;
	state.session = session.id;
	if (federation_start(x, provider, &state, &url))
		show_way(x, provider, url);
}

/* STORE_ABSENT with *refusal, for people. */
static enum store_result try_join(struct idp_exchange *x,
				  const struct config_federation *provider, struct span link,
				  struct idp_user *user, const char **refusal, struct err *err)
{
	struct idp_user other;
	enum store_result result = user_find_link(x->idp, link, x->arena, &other, err);

	if (result == STORE_FAILED)
		return result;
	if (result == STORE_CONFLICT || (result == STORE_OK && !span_eq(other.id, user->id))) {
		*refusal = "This login is joined to another account.";
		return STORE_ABSENT;
	}
	result = user_get(x->idp, user->id, x->arena, user, err);
	if (result != STORE_OK)
		return result;
	if (user->disabled || federation_link_to(user, provider).ptr ||
	    user->links.count >= USER_LINKS_MAX) {
		*refusal = "Your account is joined to as many logins as it can be.";
		return STORE_ABSENT;
	}
	if (texts_add(&user->links, link, x->arena) < 0)
		return idp_no_memory(err);
	return user_put(x->idp, user, x->arena, err);
}

/* Of two who have joined it at the same time, none keeps it: nobody knows whose it is. */
static enum store_result check_alone(struct idp_exchange *x, struct span link,
				     const struct idp_user *user, const char **refusal,
				     struct err *err)
{
	struct idp_user now;
	enum store_result result = user_find_link(x->idp, link, x->arena, &now, err);

	if (result != STORE_CONFLICT)
		return result == STORE_FAILED ? result : STORE_OK;
	*refusal = "Somebody else has joined this login at the same time.";
	result = user_get(x->idp, user->id, x->arena, &now, err);
	if (result != STORE_OK)
		return result;
	if (texts_remove(&now.links, link, x->arena) < 0)
		return idp_no_memory(err);
	result = user_put(x->idp, &now, x->arena, err);
	return result == STORE_OK ? STORE_ABSENT : result;
}

static enum store_result join(struct idp_exchange *x, const struct config_federation *provider,
			      struct span subject, struct idp_user *user, const char **refusal,
			      struct err *err)
{
	struct span link = arena_printf(x->arena, "%.*s %.*s", SPAN_ARG(provider->issuer),
					SPAN_ARG(subject));
	enum store_result result = STORE_CONFLICT;

	if (!link.ptr)
		return idp_no_memory(err);
	if (link.len > STORE_KEY_BYTES_MAX) {
		*refusal = "The name that the other provider has for you is too long.";
		return STORE_ABSENT;
	}
	for (unsigned i = 0; i < TRIES && result == STORE_CONFLICT; i++)
		result = try_join(x, provider, link, user, refusal, err);
	if (result == STORE_OK)
		result = check_alone(x, link, user, refusal, err);
	if (result == STORE_CONFLICT) {
		(void)err_set(err, ERR_UNAVAILABLE, "identity: a user keeps being changed");
		return STORE_FAILED;
	}
	return result;
}

void federation_join(struct idp_exchange *x, const struct config_federation *provider,
		     const struct federation_user *from, const struct federation_state *state)
{
	const char *refusal =
		"The session in which this began is over. Log in, and begin anew.";
	struct idp_session session;
	struct idp_user user;
	enum store_result result;
	struct err err;

	result = web_session(x, &session, &user, &err);
	if (result == STORE_OK &&
	    (!span_eq(session.id, state->session) || !span_eq(user.id, state->user)))
		result = STORE_ABSENT;
	if (result == STORE_OK)
		result = join(x, provider, from->subject, &user, &refusal, &err);
	if (result == STORE_OK)
		result = web_rotate(x, &session, &err);
	switch (result) {
	case STORE_OK:
		idp_audit(x->idp, "user.linked", "user", user.id, "provider", provider->name);
		web_redirect(x, SPAN("/identity/security"));
		break;
	case STORE_ABSENT:
	case STORE_CONFLICT:
		x->reason = "federation_refused";
		say(x, 403, refusal);
		break;
	case STORE_FAILED: web_unavailable(x, &err); break;
	}
}

/* ---- cutting off ---- */

/* Something that the user can log in by without this link. */
static bool has_other_way(const struct idp_exchange *x, const struct idp_user *user,
			  const struct config_federation *but)
{
	const struct config_identity *identity = &x->config->identity;

	if (user->password.len || user->passkey_count ||
	    (identity->ldap.count && ldap_has_user(user)))
		return true;
	for (size_t i = 0; i < identity->federation.count; i++)
		if (!span_eq(identity->federation.at[i].issuer, but->issuer) &&
		    federation_link_to(user, &identity->federation.at[i]).ptr)
			return true;
	return false;
}

static bool says_nothing(const void *context, struct span value)
{
	(void)context;
	(void)value;
	return false;
}

static enum store_result cut_off(struct idp_exchange *x,
				 const struct config_federation *provider,
				 struct idp_user *user, const struct idp_session *session,
				 struct err *err)
{
	enum store_result result;
	bool changed = false;

	/* Roles that the provider gives go with it. */
	if (texts_remove(&user->links, federation_link_to(user, provider), x->arena) < 0 ||
	    role_map_apply(provider->role_map.at, provider->role_map.count, says_nothing, NULL,
			   &user->roles, &changed, x->arena) < 0)
		return idp_no_memory(err);
	result = user_put(x->idp, user, x->arena, err);
	if (result != STORE_OK)
		return result;
	return session_end_all(x->idp, user->id, session->id, x->arena, err);
}

void federation_unlink(struct idp_exchange *x, const struct config_federation *provider)
{
	struct idp_session session;
	struct idp_user user;
	struct err err;

	if (!begin(x, &session, &user))
		return;
	if (!federation_link_to(&user, provider).ptr) {
		web_redirect(x, SPAN("/identity/security"));
		return;
	}
	if (!has_other_way(x, &user, provider)) {
		say(x, 422,
		    "This is the only way in which you can log in. Set up a passkey first.");
		return;
	}
	switch (cut_off(x, provider, &user, &session, &err)) {
	case STORE_OK: break;
	case STORE_ABSENT:
	case STORE_CONFLICT:
		say(x, 409, "Your account was changed at the same time. Try again.");
		return;
	case STORE_FAILED: web_unavailable(x, &err); return;
	}
	if (web_rotate(x, &session, &err) != STORE_OK) {
		web_unavailable(x, &err);
		return;
	}
	idp_audit(x->idp, "user.unlinked", "user", user.id, "provider", provider->name);
	web_redirect(x, SPAN("/identity/security"));
}
