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
	bool dark; /* where the browser asks for it */
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

/* Attributes of an entry in a directory; an empty one is not read. */
struct config_ldap_attributes {
	struct span id; /* never again another's */
	struct span username;
	struct span name; /* for people */
	struct span email;
	struct span groups;
};

#define CONFIG_LDAP_MAX 16

/* A directory whose users log in here with their passwords there. */
struct config_ldap {
	struct config_where where;
	struct span name;
	struct span url; /* ldap://, ldaps:// or ldapi:// */
	bool start_tls; /* of ldap:// */
	bool verify; /* the server's certificate and name */
	struct span ca; /* empty: the system's */
	struct span bind_dn; /* who searches; empty: nobody in particular */
	struct secret bind_password;
	struct span
		user_dn; /* "{name}" in it: bound to at once, without a search; may be empty */
	struct span base;
	struct span filter; /* "{name}" in it */
	struct config_ldap_attributes attributes;
	struct span group_base; /* empty: groups are those of the attribute */
	struct span group_filter; /* "{dn}" and "{name}" in it */
	struct span group_attribute;
	bool keep_groups; /* the user's groups here are those there */
	bool create; /* users who are new here */
	bool trust_email; /* addresses count as verified */
	struct config_strings roles; /* of users that are made */
	CONFIG_LIST(struct config_role_map) role_map;
	uint64_t timeout_ms; /* of a login */
	uint64_t recheck_ms; /* whether users are there still; 0: not asked */
	uint64_t recheck_grace_ms; /* so long they stay while the directory is away */
};

#endif
