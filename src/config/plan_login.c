/* plan_login.c - who is whom, who can log in at the built-in server, and by whose word. */
#include "config/config.h"

#include "config/plan_parts.h"
#include "parse/units.h"

static void text_roles(const struct config_strings *roles, struct buf *out)
{
	for (size_t i = 0; i < roles->count; i++)
		buf_printf(out, "%s%.*s", i ? ", " : " with the roles ",
			   SPAN_ARG(roles->at[i]));
}

static void text_newcomers(bool create, const struct config_strings *roles, struct buf *out)
{
	if (!create) {
		buf_append_cstr(out, "; only users who are joined to it");
		return;
	}
	buf_append_cstr(out, "; makes users");
	text_roles(roles, out);
}

static void text_ldap(const struct config_ldap *ldap, struct buf *out)
{
	bool socket = span_starts_with(ldap->url, SPAN("ldapi:"));
	bool tls = !span_starts_with(ldap->url, SPAN("ldap:")) || ldap->start_tls;

	buf_printf(out, "  passwords of directory %.*s: %.*s", SPAN_ARG(ldap->name),
		   SPAN_ARG(ldap->url));
	if (!tls)
		buf_append_cstr(out, " (in the clear)");
	else if (!socket)
		buf_append_cstr(out, ldap->verify ? " (TLS)" : " (TLS, not verified)");
	text_newcomers(ldap->create, &ldap->roles, out);
	if (ldap->recheck_ms && (ldap->base.len || ldap->bind_dn.len)) {
		buf_append_cstr(out, "; looked up again every ");
		units_append_duration(out, ldap->recheck_ms);
	}
	buf_append_byte(out, '\n');
}

static void text_provider(const struct config_federation *provider, struct buf *out)
{
	buf_printf(out, "  users of %.*s: %.*s", SPAN_ARG(provider->name),
		   SPAN_ARG(provider->issuer));
	text_newcomers(provider->create, &provider->roles, out);
	if (provider->link_by_email == CONFIG_LINK_VERIFIED)
		buf_append_cstr(out, "; joins accounts by verified address");
	buf_append_byte(out, '\n');
}

void plan_logins(const struct config *cfg, struct buf *out)
{
	const struct config_identity *identity = &cfg->identity;

	if (!identity->issuer.len)
		return;
	buf_printf(out, "logins at %.*s\n  passwords: after %u failures waits of ",
		   SPAN_ARG(identity->issuer), identity->lockout.failures);
	units_append_duration(out, identity->lockout.wait_ms);
	buf_append_cstr(out, " to ");
	units_append_duration(out, identity->lockout.max_wait_ms);
	buf_append_byte(out, '\n');
	for (size_t i = 0; i < identity->ldap.count; i++)
		text_ldap(&identity->ldap.at[i], out);
	for (size_t i = 0; i < identity->federation.count; i++)
		text_provider(&identity->federation.at[i], out);
	if (identity->accounts.registration)
		buf_append_cstr(out, "  people make accounts for themselves\n");
	if (identity->oauth.registration.enabled)
		buf_append_cstr(out, "  clients register themselves\n");
	if (identity->oauth.password_grant || identity->oauth.implicit_grant)
		buf_printf(out, "  advised against by RFC 9700, and on:%s%s\n",
			   identity->oauth.password_grant ? " password grant" : "",
			   identity->oauth.implicit_grant ? " implicit grant" : "");
}

/* ---- whose requests are taken for whose ------------------------------------------------------ */

static void text_algorithms(unsigned algorithms, struct buf *out)
{
	const char *before = "; ";

	for (unsigned bit = 1; bit && bit <= algorithms; bit <<= 1) {
		if ((algorithms & bit) == 0)
			continue;
		buf_printf(out, "%s%s", before, config_jws_name(bit));
		before = ", ";
	}
}

static void text_tokens_of(const struct config_provider *provider, struct buf *out)
{
	buf_printf(out, "  tokens of %.*s: %.*s for ", SPAN_ARG(provider->name),
		   SPAN_ARG(provider->issuer));
	plan_join(out, &provider->audience, " or ");
	text_algorithms(provider->algorithms, out);
	if (provider->jwks_file.len)
		buf_printf(out, "; keys in %.*s", SPAN_ARG(provider->jwks_file));
	if (provider->jwks_url.len)
		buf_printf(out, "; keys at %.*s", SPAN_ARG(provider->jwks_url));
	if (provider->jwks_url.len || provider->jwks_file.len)
		plan_duration(out, " every ", provider->jwks_refresh_ms);
	plan_duration(out, "; clocks differ by ", provider->clock_skew_ms);
	if (provider->require_typ_at_jwt)
		buf_append_cstr(out, "; only at+jwt");
	if (provider->introspection) {
		buf_printf(out, "; others are asked about at %.*s",
			   SPAN_ARG(provider->introspection->url));
		plan_duration(out, ", believed for ", provider->introspection->cache_ttl_ms);
	}
	buf_append_byte(out, '\n');
}

static void text_certificate(const struct config_client_identity *who, struct buf *out)
{
	if (who->spiffe.len)
		buf_printf(out, "  certificates with %.*s", SPAN_ARG(who->spiffe));
	else if (who->subject.len)
		buf_printf(out, "  certificates of %.*s", SPAN_ARG(who->subject));
	else
		buf_printf(out, "  certificates for %.*s", SPAN_ARG(who->dns));
	text_roles(&who->roles, out);
	if (who->scopes.count)
		buf_append_cstr(out, ", scopes ");
	plan_join(out, &who->scopes, ", ");
	buf_append_byte(out, '\n');
}

static void text_role(const struct config_role *role, struct buf *out)
{
	buf_printf(out, "  role %.*s: ", SPAN_ARG(role->name));
	if (role->permissions.count)
		plan_join(out, &role->permissions, ", ");
	else
		buf_append_cstr(out, "no permissions");
	if (role->includes.count)
		buf_append_cstr(out, "; all of ");
	plan_join(out, &role->includes, ", ");
	buf_append_byte(out, '\n');
}

void plan_identity(const struct config *cfg, struct buf *out)
{
	const struct config_identity *identity = &cfg->identity;
	size_t start = out->len;

	buf_append_cstr(out, "identities\n");
	for (size_t i = 0; i < identity->providers.count; i++)
		if (!identity->providers.at[i].built_in)
			text_tokens_of(&identity->providers.at[i], out);
	if (identity->api_keys)
		buf_printf(out, "  API keys in %.*s: %zu\n",
			   SPAN_ARG(identity->api_keys->header),
			   identity->api_keys->keys.count);
	for (size_t i = 0; i < identity->client_certificates.count; i++)
		text_certificate(&identity->client_certificates.at[i], out);
	for (size_t i = 0; i < identity->roles.count; i++)
		text_role(&identity->roles.at[i], out);
	if (out->len == start + sizeof("identities\n") - 1) {
		out->len = start;
		return;
	}
	if (identity->token_cache_size) {
		buf_printf(out, "  %u verified tokens are remembered",
			   identity->token_cache_size);
		plan_duration(out, " for ", identity->token_cache_max_age_ms);
		buf_append_byte(out, '\n');
	}
}
