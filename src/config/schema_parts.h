/* schema_parts.h - what the tables of the schema share. Included by schema*.c only. */
#ifndef CONFIG_SCHEMA_PARTS_H
#define CONFIG_SCHEMA_PARTS_H

#include "config/reader.h"
#include "config/schema.h"
#include "config/value.h"

#define KEY(key, kind, structure, field)                                                       \
	.name = (key), .type = SCHEMA_##kind, .offset = offsetof(struct structure, field)
/* A mapping in the file whose keys are fields of the struct that it is in. */
#define GROUP(key, object_schema)                                                              \
	.name = (key), .type = SCHEMA_OBJECT, .offset = 0, .object = (object_schema)

extern const struct schema_name schema_tls_versions[];
extern const struct schema_name schema_jws_names[];
extern const struct schema_name schema_retry_names[];

extern const struct schema_object schema_listen;
extern const struct schema_object schema_identity;
extern const struct schema_object schema_oauth;
extern const struct schema_object schema_provider;
extern const struct schema_object schema_service;
extern const struct schema_object schema_answer;
extern const struct schema_object schema_bulkhead;
extern const struct schema_object schema_breaker;
extern const struct schema_object schema_discover;
extern const struct schema_object schema_pool;
extern const struct schema_object schema_health;
extern const struct schema_object schema_outlier;
extern const struct schema_object schema_fallback;
extern const struct schema_object schema_overload;
extern const struct schema_object schema_challenge;
extern const struct schema_object schema_ips;
extern const struct schema_object schema_mail;
extern const struct schema_object schema_session;
extern const struct schema_object schema_theme;
extern const struct schema_object schema_codes;
extern const struct schema_object schema_sms;
extern const struct schema_object schema_accounts;
extern const struct schema_object schema_federation;
extern const struct schema_object schema_ldap;
extern const struct schema_object schema_role_map;
extern const struct schema_object schema_patch;
extern const struct schema_object schema_registry;
extern const struct schema_object schema_route;
extern const struct schema_object schema_waf;
extern const struct schema_object schema_webhook;
extern const struct schema_object schema_procedure;

/* The parts of a URL that value_endpoint takes. */
void schema_endpoint_fill(struct reader *reader, struct span url,
			  struct config_endpoint *endpoint);

/* What only the whole shows of webhooks and procedures. */
void check_procedures(struct reader *reader, struct config *cfg);

/* Members `given` of the mapping: how many of the named keys (the last NULL) are in it. */
unsigned schema_given(const struct tree_node *node, const char *const *keys);

/* What holds of every struct config_answer, which the object starts with. */
void schema_answer_finish(struct reader *reader, const struct tree_node *node, void *object);

extern const struct schema_name schema_waf_mode_names[];
extern const struct schema_name schema_waf_override_names[];
extern const struct schema_name schema_challenge_when_names[];

#endif
