/*
 * What a user is asked before an application gets what it wants (RFC 6749 section 3.1, OpenID Connect
 * Core section 3.1.2.4), and what is kept of the answer.
 */
#include "identity/oauth_authorize.h"

static struct span consent_key(const struct authorize *a)
{
	return arena_printf(a->x->arena, "%.*s/%.*s", SPAN_ARG(a->user.id),
			    SPAN_ARG(a->client.id));
}

static enum store_result has_consent(struct authorize *a, bool *has, struct err *err)
{
	struct config_strings wanted, given;
	struct store_record record;
	enum store_result result;
	struct span key = consent_key(a);

	*has = !a->client.consent;
	if (*has)
		return STORE_OK;
	if (!key.ptr || texts_split(a->scope, ' ', a->x->arena, &wanted) < 0)
		return idp_no_memory(err);
	result = store_get(a->x->idp->store, SPAN("consent"), key, a->x->arena, &record, err);
	if (result != STORE_OK)
		return result == STORE_ABSENT ? STORE_OK : result;
	if (texts_split(record.value, ' ', a->x->arena, &given) < 0)
		return idp_no_memory(err);
	*has = !authorize_asks_prompt(a, "consent");
	for (size_t i = 0; i < wanted.count && *has; i++)
		*has = texts_have(&given, wanted.at[i]);
	return STORE_OK;
}

struct span authorize_redirect_origin(struct span redirect)
{
	size_t scheme = span_find(redirect, SPAN("://"));
	size_t path;

	if (scheme == redirect.len)
		return span_slice(redirect, 0, span_find_byte(redirect, ':') + 1);
	path = span_find_byte(span_slice(redirect, scheme + 3, redirect.len), '/');
	return span_slice(redirect, 0, scheme + 3 + path);
}

/* Scopes that the standards define, in words; others by their names. */
static void put_scope(struct page *page, struct span scope)
{
	static const struct {
		struct span scope;
		const char *text;
	} known[] = {
		{SPAN_INIT("openid"), "to know that it is you"},
		{SPAN_INIT("profile"), "to see your name"},
		{SPAN_INIT("email"), "to see your e-mail address"},
		{SPAN_INIT("offline_access"), "to keep this access when you have logged out"},
	};

	page_raw(page, "<li>");
	for (size_t i = 0; i < COUNT_OF(known); i++)
		if (span_eq(scope, known[i].scope)) {
			page_printf(page, "%s <span class=\"small\">", known[i].text);
			page_text(page, scope);
			page_raw(page, "</span></li>\n");
			return;
		}
	page_text(page, scope);
	page_raw(page, "</li>\n");
}

void oauth_put_wish(struct page *page, const struct idp_client *client, struct span scope,
		    const struct idp_user *user)
{
	struct span rest = scope;

	page_raw(page, "<p><strong>");
	page_text(page, client->name.len ? client->name : client->id);
	page_raw(page, "</strong> asks for access to your account as ");
	page_text(page, user->name);
	page_raw(page, ":</p><ul>\n");
	while (rest.ptr)
		put_scope(page, span_cut(&rest, ' '));
	page_raw(page, "</ul>\n");
}

void oauth_put_decision(struct page *page)
{
	page_raw(page,
		 "<p class=\"pair\"><button type=\"submit\" name=\"decision\" "
		 "value=\"allow\">Allow</button> <button class=\"second\" type=\"submit\" "
		 "name=\"decision\" value=\"deny\">Deny</button></p>\n");
}

static void ask_consent(struct authorize *a)
{
	struct page page;

	page_begin(&page, a->x, "Allow access?");
	page.form_target = authorize_redirect_origin(a->redirect);
	oauth_put_wish(&page, &a->client, a->scope, &a->user);
	page_raw(&page, "<p class=\"small\">You go on to ");
	page_text(&page, authorize_redirect_origin(a->redirect));
	page_raw(&page, ".</p>\n");
	page_form(&page, "/identity/authorize", SPAN(""));
	for (size_t i = 0; i < a->sent.count; i++) {
		struct span name = a->sent.pairs[i].name;

		if (span_eq(name, SPAN("form_token")) || span_eq(name, SPAN("decision")) ||
		    span_eq(name, SPAN("prompt")))
			continue;
		page_raw(&page, "<input type=\"hidden\" name=\"");
		page_text(&page, name);
		page_raw(&page, "\" value=\"");
		page_text(&page, a->sent.pairs[i].value);
		page_raw(&page, "\">");
	}
	oauth_put_decision(&page);
	page_form_end(&page);
	page_end(&page, 200);
}

static enum store_result keep_consent(struct authorize *a, struct err *err)
{
	struct store_change change = {.kind = SPAN("consent"), .value = a->scope};

	change.key = consent_key(a);
	if (!change.key.ptr)
		return idp_no_memory(err);
	idp_audit(a->x->idp, "consent.given", "user", a->user.id, "client", a->client.id);
	return store_commit(a->x->idp->store, &change, 1, err);
}

bool authorize_pass_consent(struct authorize *a)
{
	struct span decision = form_get(&a->sent, SPAN("decision"));
	struct err err;
	bool has;

	if (has_consent(a, &has, &err) != STORE_OK) {
		web_unavailable(a->x, &err);
		return false;
	}
	if (has)
		return true;
	if (a->posted && span_eq(decision, SPAN("allow"))) {
		if (keep_consent(a, &err) == STORE_OK)
			return true;
		web_unavailable(a->x, &err);
	} else if (a->posted) {
		authorize_refuse(a, "access_denied", NULL);
	} else if (authorize_asks_prompt(a, "none")) {
		authorize_refuse(a, "consent_required", NULL);
	} else {
		ask_consent(a);
	}
	return false;
}
