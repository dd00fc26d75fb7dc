#include "config/schema_parts.h"

static const struct schema_key session_keys[] = {
	{KEY("idle", DURATION, config_session, idle_ms), .initial = "30m", .min = 1000,
	 .text = "A session that is not used ends after this."},
	{KEY("absolute", DURATION, config_session, absolute_ms), .initial = "12h", .min = 1000,
	 .text = "Every session ends after this."},
	{KEY("per_user", COUNT, config_session, per_user), .initial = "10", .min = 1,
	 .max = 1000, .text = "Sessions that a user has at once; the oldest ends first."},
	{KEY("remember", DURATION, config_session, remember_ms), .initial = "0",
	 .max = 31536000000,
	 .text = "How long who ticks \"keep me logged in\" need not log in; 0: not offered."},
	{KEY("fresh", DURATION, config_session, fresh_ms), .initial = "10m", .min = 1000,
	 .text = "A login that is older does not let its user change factors."},
	{.name = NULL},
};

const struct schema_object schema_session = {
	.name = "session",
	.size = sizeof(struct config_session),
	.keys = session_keys,
};

static const struct schema_key theme_keys[] = {
	{KEY("name", TEXT, config_theme, name), .initial = "Sallyport", .format = &format_any,
	 .text = "Name on the pages."},
	{KEY("colour", TEXT, config_theme, colour), .initial = "#1f5fa8",
	 .format = &format_colour, .text = "Colour of buttons and links: #rrggbb."},
	{KEY("background", TEXT, config_theme, background), .initial = "#eef1f5",
	 .format = &format_colour, .text = "Colour behind the page: #rrggbb."},
	{KEY("logo", FILE, config_theme, logo),
	 .text = "Picture above the name: PNG, JPEG or SVG, at most 256 KiB."},
	{KEY("dark", BOOL, config_theme, dark), .initial = "true",
	 .text = "Dark pages for those whose browser asks for them; off: when the logo cannot "
		 "be "
		 "seen on them."},
	{.name = NULL},
};

const struct schema_object schema_theme = {
	.name = "theme",
	.size = sizeof(struct config_theme),
	.keys = theme_keys,
};

static const struct schema_key codes_keys[] = {
	{KEY("email", BOOL, config_codes, email), .initial = "false",
	 .text = "Offer codes by e-mail as second factor (needs 'mail')."},
	{KEY("life", DURATION, config_codes, life_ms), .initial = "10m", .min = 30000,
	 .max = 3600000, .text = "How long a code is good."},
	{KEY("attempts", COUNT, config_codes, attempts), .initial = "5", .min = 1, .max = 20,
	 .text = "Wrong ones until a code is worthless."},
	{KEY("per_hour", COUNT, config_codes, per_hour), .initial = "6", .min = 1, .max = 1000,
	 .text = "Codes and links that a user is sent at most."},
	{.name = NULL},
};

const struct schema_object schema_codes = {
	.name = "codes",
	.size = sizeof(struct config_codes),
	.keys = codes_keys,
};

static const struct schema_key sms_keys[] = {
	{KEY("url", TEXT, config_sms, url), .flags = SCHEMA_REQUIRED | SCHEMA_ORIGIN,
	 .format = &format_url, .text = "Where a POST sends an SMS."},
	{KEY("content_type", TEXT, config_sms, content_type), .initial = "application/json",
	 .format = &format_field_value,
	 .text = "application/json or application/x-www-form-urlencoded: values are escaped "
		 "so."},
	{KEY("body", TEXT, config_sms, body), .flags = SCHEMA_REQUIRED,
	 .format = &format_content,
	 .text = "Body; {to} and {text} in it are the number and the message."},
	{KEY("headers", PAIRS, config_sms, headers),
	 .text = "Fields of the request; {secret} in them is the secret."},
	{KEY("secret", SECRET, config_sms, secret), .text = "What {secret} stands for."},
	{KEY("ca", FILE, config_sms, ca),
	 .text = "Certificates that may sign the server's; without, the system's."},
	{KEY("timeout", DURATION, config_sms, timeout_ms), .initial = "10s", .min = 100,
	 .max = 60000, .text = "For the whole of it."},
	{.name = NULL},
};

static void sms_finish(struct reader *reader, const struct tree_node *node, void *object)
{
	const struct config_sms *sms = object;

	if (!span_eq(sms->content_type, SPAN("application/json")) &&
	    !span_eq(sms->content_type, SPAN("application/x-www-form-urlencoded")))
		reader_error(reader, node->where,
			     "'content_type' is application/json or "
			     "application/x-www-form-urlencoded");
	if (span_find(sms->body, SPAN("{to}")) == sms->body.len ||
	    span_find(sms->body, SPAN("{text}")) == sms->body.len)
		reader_error(reader, node->where, "'body' needs {to} and {text}");
	if (sms->secret.len && span_starts_with(sms->url, SPAN("http:")))
		reader_warn(reader, node->where, "the secret travels in the clear");
}

const struct schema_object schema_sms = {
	.name = "sms",
	.size = sizeof(struct config_sms),
	.keys = sms_keys,
	.has_where = true,
	.finish = sms_finish,
};

static const struct schema_key accounts_keys[] = {
	{KEY("registration", BOOL, config_accounts, registration), .initial = "false",
	 .text = "People may make accounts for themselves (needs 'mail')."},
	{KEY("domains", TEXTS, config_accounts, domains), .format = &format_host,
	 .text = "Domains that their addresses must have; empty: any."},
	{KEY("roles", TEXTS, config_accounts, roles), .format = &format_name,
	 .text = "Roles of who has registered."},
	{KEY("reset", BOOL, config_accounts, reset), .initial = "true",
	 .text = "Forgotten passwords are reset by mail, where there is 'mail'."},
	{KEY("link", DURATION, config_accounts, link_ms), .initial = "30m", .min = 60000,
	 .max = 86400000, .text = "How long links in mails are good."},
	{.name = NULL},
};

const struct schema_object schema_accounts = {
	.name = "accounts",
	.size = sizeof(struct config_accounts),
	.keys = accounts_keys,
};

static const struct schema_name link_names[] = {
	{"off", CONFIG_LINK_OFF},
	{"verified", CONFIG_LINK_VERIFIED},
	{NULL, 0},
};

static const struct schema_key role_map_keys[] = {
	{KEY("value", TEXT, config_role_map, value), .flags = SCHEMA_REQUIRED,
	 .format = &format_any, .text = "What the claim says, or has in its list."},
	{KEY("roles", TEXTS, config_role_map, roles), .format = &format_name,
	 .text = "Roles that it gives; they are taken away at a login where it is not said."},
	{.name = NULL},
};

const struct schema_object schema_role_map = {
	.name = "role_map",
	.size = sizeof(struct config_role_map),
	.keys = role_map_keys,
	.has_where = true,
};

static const struct schema_key federation_keys[] = {
	{KEY("name", TEXT, config_federation, name), .flags = SCHEMA_REQUIRED,
	 .format = &format_name,
	 .text = "Part of the redirect URI: ISSUER/identity/federation/NAME/callback."},
	{KEY("title", TEXT, config_federation, title), .format = &format_any,
	 .text = "On the button; without, the name."},
	{KEY("issuer", TEXT, config_federation, issuer), .flags = SCHEMA_REQUIRED,
	 .format = &format_url, .text = "Its issuer; the rest is discovered."},
	{KEY("client_id", TEXT, config_federation, client_id), .flags = SCHEMA_REQUIRED,
	 .format = &format_any, .text = "As what we are registered there."},
	{KEY("client_secret", SECRET, config_federation, client_secret),
	 .text = "The secret that goes with it."},
	{KEY("scopes", TEXTS, config_federation, scopes), .initial = "openid profile email",
	 .format = &format_scope, .text = "What we ask for."},
	{KEY("create", BOOL, config_federation, create), .initial = "false",
	 .text = "Make a user for whoever is new here."},
	{KEY("link_by_email", ENUM, config_federation, link_by_email), .initial = "off",
	 .names = link_names,
	 .text = "verified: whose verified address is the verified address of a user here, is "
		 "that user. It trusts the provider with every account."},
	{KEY("roles", TEXTS, config_federation, roles), .format = &format_name,
	 .text = "Roles of users that are made."},
	{KEY("roles_claim", CLAIM, config_federation, roles_claim),
	 .text = "Where in the ID token the values of 'role_map' are."},
	{KEY("role_map", LIST, config_federation, role_map), .object = &schema_role_map,
	 .text = "Which value gives which roles."},
	{KEY("ca", FILE, config_federation, ca),
	 .text = "Certificates that may sign its server's; without, the system's."},
	{KEY("timeout", DURATION, config_federation, timeout_ms), .initial = "10s", .min = 100,
	 .max = 20000, .text = "For all calls of one step of a login."},
	{.name = NULL},
};

static void federation_finish(struct reader *reader, const struct tree_node *node, void *object)
{
	const struct config_federation *federation = object;
	bool openid = false;

	for (size_t i = 0; i < federation->scopes.count; i++)
		openid = openid || span_eq(federation->scopes.at[i], SPAN("openid"));
	if (!openid)
		reader_error(reader, node->where, "'scopes' needs openid");
	if ((federation->role_map.count > 0) != (federation->roles_claim.count > 0))
		reader_error(reader, node->where,
			     "'role_map' and 'roles_claim' need each other");
	if (span_starts_with(federation->issuer, SPAN("http:")))
		reader_warn(reader, node->where,
			    "the issuer is not https: who is on the way can be anybody");
}

const struct schema_object schema_federation = {
	.name = "federation",
	.size = sizeof(struct config_federation),
	.keys = federation_keys,
	.has_where = true,
	.finish = federation_finish,
};
