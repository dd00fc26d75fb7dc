/* schema_ldap.c - directories whose users log in here. */
#include "config/schema_parts.h"

static bool is_ldap_url(struct span url)
{
	static const char *const schemes[] = {"ldap://", "ldaps://", "ldapi://"};

	/* The base and the filter have keys of their own. */
	for (size_t i = 0; i < COUNT_OF(schemes); i++) {
		struct span scheme = span_cstr(schemes[i]), rest;

		if (!span_starts_with(url, scheme))
			continue;
		rest = span_slice(url, scheme.len, url.len);
		return rest.len > 0 && span_find_byte(rest, '/') == rest.len &&
		       span_find_byte(rest, '?') == rest.len &&
		       span_find_byte(rest, ' ') == rest.len;
	}
	return false;
}

static const struct schema_format format_ldap_url = {
	"ldap://HOST[:PORT], ldaps://HOST[:PORT] or ldapi://PATH with %2F for /", is_ldap_url,
	false, "^ldaps?i?://[^/? ]+$"};

static const struct schema_key attributes_keys[] = {
	{KEY("id", TEXT, config_ldap_attributes, id), .initial = "entryUUID",
	 .format = &format_name,
	 .text = "What is never given to another (Active Directory: objectGUID)."},
	{KEY("username", TEXT, config_ldap_attributes, username), .initial = "uid",
	 .format = &format_name,
	 .text = "The name of a user that is made (Active Directory: sAMAccountName)."},
	{KEY("name", TEXT, config_ldap_attributes, name), .initial = "cn",
	 .format = &format_name, .text = "The name for people."},
	{KEY("email", TEXT, config_ldap_attributes, email), .initial = "mail",
	 .format = &format_name, .text = "The address."},
	{KEY("groups", TEXT, config_ldap_attributes, groups), .initial = "memberOf",
	 .format = &format_name, .text = "The groups."},
	{.name = NULL},
};

static const struct schema_object attributes = {
	.name = "ldap_attributes",
	.size = sizeof(struct config_ldap_attributes),
	.keys = attributes_keys,
};

static const struct schema_key group_search_keys[] = {
	{KEY("base", TEXT, config_ldap, group_base), .format = &format_any,
	 .text = "Below it groups are searched for, besides those that an attribute of the "
		 "user "
		 "names; without, there is no such search."},
	{KEY("filter", TEXT, config_ldap, group_filter), .initial = "(member={dn})",
	 .format = &format_any,
	 .text = "{dn} and {name} stand for the user's entry and name, escaped."},
	{KEY("attribute", TEXT, config_ldap, group_attribute), .initial = "cn",
	 .format = &format_name, .text = "What a group that was found is called."},
	{.name = NULL},
};

static const struct schema_object group_search = {
	.name = "ldap_groups",
	.size = sizeof(struct config_ldap),
	.keys = group_search_keys,
};

static const struct schema_key recheck_keys[] = {
	{KEY("every", DURATION, config_ldap, recheck_ms), .initial = "5m",
	 .text = "So often users who are logged in are looked up again; who is not there any "
		 "more, or switched off, is logged out. 0 never looks."},
	{KEY("grace", DURATION, config_ldap, recheck_grace_ms), .initial = "24h", .min = 1000,
	 .text = "So long after the last look they stay logged in while the directory is "
		 "away; then they get 503 until it is back."},
	{.name = NULL},
};

static const struct schema_object recheck = {
	.name = "ldap_recheck",
	.size = sizeof(struct config_ldap),
	.keys = recheck_keys,
	.shorthand = "every",
};

static const struct schema_key ldap_keys[] = {
	{KEY("name", TEXT, config_ldap, name), .flags = SCHEMA_REQUIRED, .format = &format_name,
	 .text = "For logs and links; it must stay the same."},
	{KEY("url", TEXT, config_ldap, url), .flags = SCHEMA_REQUIRED,
	 .format = &format_ldap_url, .text = "Its server: ldap://, ldaps:// or ldapi://."},
	{KEY("start_tls", BOOL, config_ldap, start_tls), .initial = "true",
	 .text = "With ldap:// nothing is said before TLS is there."},
	{KEY("verify", BOOL, config_ldap, verify), .initial = "true",
	 .text = "The server's certificate must be good, and of its name."},
	{KEY("ca", FILE, config_ldap, ca),
	 .text = "Certificates that may sign its server's; without, the system's."},
	{KEY("bind_dn", TEXT, config_ldap, bind_dn), .format = &format_any,
	 .text = "As whom users are searched for; without, anonymously."},
	{KEY("bind_password", SECRET, config_ldap, bind_password),
	 .text = "The password that goes with it."},
	{KEY("user_dn", TEXT, config_ldap, user_dn), .format = &format_any,
	 .text = "Instead of searching: the entry of a user, with {name} in it."},
	{KEY("base", TEXT, config_ldap, base), .format = &format_any,
	 .text = "Below it users are searched for."},
	{KEY("filter", TEXT, config_ldap, filter), .initial = "(uid={name})",
	 .format = &format_any,
	 .text = "Which one it is; {name} stands for what was typed, escaped (RFC 4515)."},
	{KEY("attributes", OBJECT, config_ldap, attributes), .object = &attributes,
	 .text = "What is read from a user's entry."},
	{GROUP("group_search", &group_search), .text = "Groups that only name their members."},
	{KEY("keep_groups", BOOL, config_ldap, keep_groups), .initial = "false",
	 .text = "The groups of its users here are those there, by the first name of each "
		 "(cn=staff,ou=x: staff): whoever makes groups there gives what such groups "
		 "have here."},
	{KEY("create", BOOL, config_ldap, create), .initial = "true",
	 .text = "Make a user for whoever is new here."},
	{KEY("trust_email", BOOL, config_ldap, trust_email), .initial = "false",
	 .text = "Addresses count as verified: people cannot set their own there."},
	{KEY("roles", TEXTS, config_ldap, roles), .format = &format_name,
	 .text = "Roles of users that are made."},
	{KEY("role_map", LIST, config_ldap, role_map), .object = &schema_role_map,
	 .text = "Which group gives which roles, at each login."},
	{KEY("timeout", DURATION, config_ldap, timeout_ms), .initial = "5s", .min = 100,
	 .max = 20000, .text = "For all that one login asks, or one look."},
	{GROUP("recheck", &recheck),
	 .text = "Whether those who are logged in are still there."},
	{.name = NULL},
};

static bool has(struct span text, struct span what)
{
	return span_find(text, what) < text.len;
}

static void ldap_finish(struct reader *reader, const struct tree_node *node, void *object)
{
	const struct config_ldap *ldap = object;
	struct span name = SPAN("{name}");

	if ((ldap->user_dn.len > 0) == (ldap->base.len > 0))
		reader_error(reader, node->where, "give one of 'base' and 'user_dn'");
	if (ldap->user_dn.len && !has(ldap->user_dn, name))
		reader_error(reader, node->where, "'user_dn' needs {name}");
	if (ldap->base.len && (!has(ldap->filter, name) || ldap->filter.ptr[0] != '('))
		reader_error(reader, node->where, "'filter' needs {name}, and is in brackets");
	if (ldap->group_base.len &&
	    (ldap->group_filter.ptr[0] != '(' ||
	     !(has(ldap->group_filter, SPAN("{dn}")) || has(ldap->group_filter, name))))
		reader_error(reader, node->where,
			     "'group_search.filter' needs {dn} or {name}, and is in brackets");
	/* An empty password binds as nobody, and that succeeds (RFC 4513 section 5.1.2). */
	if ((ldap->bind_dn.len > 0) != (ldap->bind_password.len > 0))
		reader_error(reader, node->where,
			     "'bind_dn' and 'bind_password' need each other");
	if (span_starts_with(ldap->url, SPAN("ldap:")) && !ldap->start_tls)
		reader_warn(reader, node->where,
			    "passwords travel in the clear: use ldaps:// or 'start_tls'");
	if (ldap->user_dn.len && !ldap->bind_dn.len && ldap->recheck_ms)
		reader_warn(reader, node->where,
			    "without 'bind_dn' nobody can look whether users of 'user_dn' are "
			    "there still: who is removed stays logged in ('recheck: 0' says "
			    "that this is known)");
	if (ldap->recheck_grace_ms < ldap->recheck_ms)
		reader_error(reader, node->where,
			     "'recheck.grace' is shorter than 'recheck.every'");
	if (!ldap->verify && !span_starts_with(ldap->url, SPAN("ldapi:")))
		reader_warn(reader, node->where,
			    "the server is not verified: who is on the way sees passwords");
}

const struct schema_object schema_ldap = {
	.name = "ldap",
	.size = sizeof(struct config_ldap),
	.keys = ldap_keys,
	.has_where = true,
	.finish = ldap_finish,
};
