/*
 * config_people.h - how people come to the identity server: sessions, codes by mail and SMS,
 * registration, other identity providers, directories. Included by config.h.
 */
#ifndef CONFIG_CONFIG_PEOPLE_H
#define CONFIG_CONFIG_PEOPLE_H

#include "base/secret.h"
#include "config/config_base.h"

struct config_session {
	uint64_t idle_ms;
	uint64_t absolute_ms;
	uint32_t per_user; /* the oldest ends when there are more */
	uint64_t remember_ms; /* "keep me logged in"; 0: not offered */
	uint64_t fresh_ms; /* how long ago a login may be when factors are changed */
};

struct config_theme {
	struct span name;
	struct span colour; /* "#rrggbb" */
	struct span background; /* "#rrggbb" */
	struct span logo; /* file: PNG, JPEG or SVG; may be empty */
};

/* One-time codes that are sent. */
struct config_codes {
	bool email; /* as second factor */
	uint64_t life_ms;
	uint32_t attempts; /* wrong ones until a code is worthless */
	uint32_t per_hour; /* codes and links that a user gets */
};

/* A call of a provider of SMS; "{to}", "{text}" and "{secret}" stand for what their names say. */
struct config_sms {
	struct config_where where;
	struct span url;
	struct span content_type; /* decides how the body's values are escaped */
	struct span body;
	CONFIG_LIST(struct config_pair) headers;
	struct secret secret;
	struct span ca; /* empty: the system's */
	uint64_t timeout_ms;
};

struct config_accounts {
	bool registration; /* people may make them for themselves */
	struct config_strings domains; /* of addresses; empty: all */
	struct config_strings roles; /* of who has registered */
	bool reset; /* forgotten passwords are reset by mail */
	uint64_t link_ms; /* life of links in mails */
};

enum config_link_by_email { CONFIG_LINK_OFF, CONFIG_LINK_VERIFIED };

/* What a value of another provider's claim means here. */
struct config_role_map {
	struct config_where where;
	struct span value;
	struct config_strings roles;
};

/* Another OpenID Connect provider whose users may log in here. */
struct config_federation {
	struct config_where where;
	struct span name; /* in paths */
	struct span title; /* on the button; empty: the name */
	struct span issuer;
	struct span client_id;
	struct secret client_secret; /* may be empty */
	struct config_strings scopes;
	bool create; /* users who are new here */
	unsigned link_by_email; /* enum config_link_by_email */
	struct config_strings roles; /* of users that are made */
	struct config_strings roles_claim; /* path in the ID token; empty: none */
	CONFIG_LIST(struct config_role_map) role_map;
	struct span ca; /* empty: the system's */
	uint64_t timeout_ms; /* of all calls of one step together */
};

#endif
