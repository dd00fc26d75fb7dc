/*
 * The password grant (RFC 6749 section 4.3), off unless asked for: a client sees its users'
 * passwords, which is why RFC 9700 section 2.4 says that it must not be used.
 */
#include "base/clock.h"
#include "identity/oauth.h"

static void grant_password(struct idp_exchange *x, const struct idp_client *client,
			   struct oauth_grant *grant, const struct idp_user *user, bool second)
{
	struct span methods[] = {SPAN("pwd"), SPAN("otp")};
	struct err err;

	grant->id = idp_new_id(x->arena, 'g');
	grant->client = client->id;
	grant->user = user->id;
	grant->methods = (struct config_strings){methods, second ? 2 : 1};
	grant->authenticated_unix_s = grant->created_unix_s = clock_unix_s();
	oauth_grant_bind(x, client, grant);
	if (!grant->id.ptr) {
		web_unavailable(x, NULL);
	} else if (oauth_grant_put(x, grant, &err) != STORE_OK) {
		web_unavailable(x, &err);
	} else {
		idp_audit(x->idp, "password_grant.used", "user", user->id, "client",
			  client->id);
		oauth_issue(x, client, grant, grant->scope);
	}
}

void oauth_password(struct idp_exchange *x, const struct form *form,
		    const struct idp_client *client)
{
	struct oauth_grant grant = {.session = SPAN("")};
	struct idp_user user;
	struct err err;
	bool second;

	if (!form_get(form, SPAN("username")).ptr || !form_get(form, SPAN("password")).ptr) {
		web_error(x, 400, "invalid_request", NULL);
		return;
	}
	if (!oauth_scopes(x, form_get(form, SPAN("scope")), client, &grant.scope)) {
		web_error(x, 400, "invalid_scope", NULL);
		return;
	}
	if (!oauth_resources(x, form, client, &grant.resource)) {
		web_error(x, 400, "invalid_target", NULL);
		return;
	}
	switch (login_direct(x, form_get(form, SPAN("username")),
			     form_get(form, SPAN("password")), form_get(form, SPAN("otp")),
			     &user, &second, &err)) {
	case STORE_OK: grant_password(x, client, &grant, &user, second); break;
	case STORE_ABSENT:
	case STORE_CONFLICT:
		web_error(x, 400, "invalid_grant",
			  "Name, password or one-time code is wrong or missing, or there have "
			  "been too many attempts.");
		break;
	case STORE_FAILED: web_unavailable(x, &err); break;
	}
}
