/* identity.oauth: grants that are off, pushed requests, proof of possession, registration. */
#include "config/schema_parts.h"

static const struct schema_key dpop_keys[] = {
	{KEY("nonce", BOOL, config_dpop, nonce), .initial = "off",
	 .text = "Proofs at the token endpoint must carry a nonce of ours."},
	{KEY("window", DURATION, config_dpop, window_ms), .initial = "60s", .min = 1000,
	 .max = 600000, .text = "How far the time of a proof may be from now, either way."},
	{.name = NULL},
};

static const struct schema_object dpop = {
	.name = "dpop",
	.size = sizeof(struct config_dpop),
	.keys = dpop_keys,
};

static const struct schema_key registration_keys[] = {
	{KEY("enabled", BOOL, config_registration, enabled), .initial = "off",
	 .text = "Clients may register themselves (RFC 7591)."},
	{KEY("token", SECRET, config_registration, token),
	 .text = "Initial access token that they must show; without, anybody may."},
	{KEY("scopes", TEXTS, config_registration, scopes), .initial = "openid",
	 .format = &format_scope, .text = "Scopes that such a client may ask for."},
	{KEY("grants", TEXTS, config_registration, grants),
	 .initial = "authorization_code refresh_token", .format = &format_any,
	 .text = "Grants that such a client may have."},
	{KEY("per_hour", COUNT, config_registration, per_hour), .initial = "10", .min = 1,
	 .text = "Registrations an address and hour."},
	{KEY("clients", COUNT, config_registration, clients), .initial = "1000", .min = 1,
	 .text = "Clients that have registered themselves, at most."},
	{.name = NULL},
};

static const struct schema_object registration = {
	.name = "registration",
	.size = sizeof(struct config_registration),
	.keys = registration_keys,
	.shorthand = "enabled",
};

static const struct schema_key back_channel_keys[] = {
	{KEY("timeout", DURATION, config_back_channel, timeout_ms), .initial = "5s", .min = 100,
	 .max = 60000, .text = "For one attempt to tell a client."},
	{KEY("give_up", DURATION, config_back_channel, give_up_ms), .initial = "10m",
	 .min = 1000, .max = 86400000, .text = "No more attempts after this time."},
	{.name = NULL},
};

static const struct schema_object back_channel = {
	.name = "back_channel_logout",
	.size = sizeof(struct config_back_channel),
	.keys = back_channel_keys,
};

static const struct schema_key oauth_keys[] = {
	{KEY("password_grant", BOOL, config_oauth, password_grant), .initial = "off",
	 .text = "Let clients that were given it use the password grant, which RFC 9700 "
		 "section "
		 "2.4 says must not be used."},
	{KEY("implicit_grant", BOOL, config_oauth, implicit_grant), .initial = "off",
	 .text = "Let clients that were given it use the implicit grant, which RFC 9700 "
		 "section "
		 "2.1.2 says should not be used."},
	{KEY("require_par", BOOL, config_oauth, require_par), .initial = "off",
	 .text = "Authorization requests must be pushed (RFC 9126)."},
	{KEY("par", DURATION, config_oauth, par_ms), .initial = "90s", .min = 5000,
	 .max = 600000, .text = "Life of a pushed authorization request."},
	{KEY("assertion", DURATION, config_oauth, assertion_ms), .initial = "5m", .min = 1000,
	 .max = 86400000,
	 .text = "Longest life of an assertion by which a client shows itself."},
	{KEY("ca", FILE, config_oauth, ca),
	 .text = "PEM file: authorities for the URLs of clients; without, the system's."},
	{KEY("dpop", OBJECT, config_oauth, dpop), .object = &dpop,
	 .text = "Demonstrating proof of possession (RFC 9449)."},
	{KEY("registration", OBJECT, config_oauth, registration), .object = &registration,
	 .text = "Dynamic registration of clients."},
	{KEY("back_channel_logout", OBJECT, config_oauth, back_channel_logout),
	 .object = &back_channel, .text = "Telling clients that a user has logged out."},
	{.name = NULL},
};

const struct schema_object schema_oauth = {
	.name = "oauth",
	.size = sizeof(struct config_oauth),
	.keys = oauth_keys,
};
