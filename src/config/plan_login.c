/* plan_login.c - who can log in at the built-in server, and by whose word. */
#include "config/config.h"

#include "config/plan_guard.h"
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
