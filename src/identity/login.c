/* What joins the identity server and the pipeline: logins as identities, keys for verification. */
#include "identity/acr.h"
#include "identity/authenticator.h"
#include "identity/idp_internal.h"
#include "parse/json_write.h"

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

/* What RFC 9470 and claim rules ask of a token, of a login. */
static const struct json *claims_of(const struct idp_login *login, struct arena *arena)
{
	const struct json *claims = NULL;
	struct json_writer w;
	struct span text;
	struct buf buf;

	buf_init(&buf, 4096);
	json_writer_init(&w, &buf);
	json_begin_object(&w);
	json_member_string(&w, SPAN("acr"),
			   span_cstr(idp_acr_name(idp_acr_of(&login->methods))));
	json_member_int(&w, SPAN("auth_time"), login->authenticated_unix_s);
	json_key(&w, SPAN("amr"));
	json_begin_array(&w);
	for (size_t i = 0; i < login->methods.count; i++)
		json_put_string(&w, login->methods.at[i]);
	json_end_array(&w);
	json_end_object(&w);
	text = buf_failed(&buf) ? SPAN_NONE : arena_dup(arena, buf_span(&buf));
	buf_release(&buf);
	if (text.ptr)
		claims = json_parse(arena, text, NULL, NULL);
	return claims;
}

struct identity *idp_login_identity(const struct idp_login *login,
				    const struct authenticator *a)
{
	const struct provider *provider = find_own(a);
	struct identity_private *p = identity_begin();
	const struct json *claims = p ? claims_of(login, &p->arena) : NULL;
	const struct identity_draft draft = {
		.kind = IDENTITY_SESSION,
		.subject = login->user,
		.client = SPAN(""),
		/* As tokens of the same user: limits count them together. */
		.provider = provider ? provider->config->name : SPAN(""),
		.issuer = a->config->identity.issuer,
		.roles = login->roles,
		.permissions = login->permissions,
		.claims = claims,
		.expires_unix_s = login->expires_unix_s,
	};

	if (claims && identity_finish(p, &draft, a->roles) == 0)
		return &p->public;
	identity_discard(p);
	return NULL;
}
