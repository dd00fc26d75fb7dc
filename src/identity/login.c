/* What joins the identity server and the pipeline: logins as identities, keys for verification. */
#include "identity/authenticator.h"
#include "identity/idp_internal.h"

static struct provider *find_own(const struct authenticator *a)
{
	for (size_t i = 0; i < authenticator_provider_count(a); i++)
		if (a->providers[i].config->built_in)
			return &a->providers[i];
	return NULL;
}

const struct provider *authenticator_own_provider(const struct authenticator *a)
{
	return find_own(a);
}

void authenticator_use_idp(struct authenticator *a, const struct idp *idp)
{
	a->vault = idp->vault;
}

int authenticator_use_jwks(struct authenticator *a, struct span jwks, struct err *err)
{
	struct provider *provider = find_own(a);
	struct key_set *keys;

	if (!provider)
		return 0;
	keys = key_set_parse(jwks, provider->config->algorithms, err);
	if (!keys)
		return -1;
	authenticator_set_keys(a, provider, keys);
	return 0;
}

struct identity *idp_login_identity(const struct idp_login *login,
				    const struct authenticator *a)
{
	const struct provider *provider = find_own(a);
	struct identity_private *p = identity_begin();
	const struct identity_draft draft = {
		.kind = IDENTITY_SESSION,
		.subject = login->user,
		.client = SPAN(""),
		/* As tokens of the same user: limits count them together. */
		.provider = provider ? provider->config->name : SPAN(""),
		.issuer = a->config->identity.issuer,
		.roles = login->roles,
		.permissions = login->permissions,
		.expires_unix_s = login->expires_unix_s,
	};

	if (p && identity_finish(p, &draft, a->roles) == 0)
		return &p->public;
	identity_discard(p);
	return NULL;
}
