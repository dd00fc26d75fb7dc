/* Authorization: what a route asks of an identity. */
#include "base/mem.h"
#include "identity/acr.h"
#include "identity/internal.h"
#include "identity/pattern.h"

#define ARENA_CAP_BYTES ((size_t)1024 * 1024)
#define ARENA_CHUNK_BYTES ((size_t)1024)

struct access_rule {
	const struct config_route *route;
	struct arena arena;
	struct name *scopes; /* route->scopes.count, and so on */
	struct name *roles;
	struct permission *permissions;
	struct regex **patterns; /* NULL for other conditions */
};

static struct name *compile_names(struct access_rule *rule, const struct config_strings *from)
{
	struct name *names = arena_array(&rule->arena, struct name, from->count + 1);

	for (size_t i = 0; names && i < from->count; i++)
		names[i] = name_of(from->at[i]);
	return names;
}

static int no_memory(struct err *err)
{
	return err_set(err, ERR_MEMORY, "no memory for an access rule");
}

static int compile_permissions(struct access_rule *rule, struct err *err)
{
	const struct config_strings *from = &rule->route->permissions;

	rule->permissions = arena_array(&rule->arena, struct permission, from->count + 1);
	if (!rule->permissions)
		return no_memory(err);
	for (size_t i = 0; i < from->count; i++) {
		switch (permission_parse(&rule->permissions[i], from->at[i], &rule->arena)) {
		case PERMISSION_OK: break;
		case PERMISSION_MALFORMED:
			return err_set(err, ERR_INVALID, "malformed permission \"%.*s\"",
				       SPAN_ARG(from->at[i]));
		case PERMISSION_NO_MEMORY: return no_memory(err);
		}
	}
	return 0;
}

static int compile_patterns(struct access_rule *rule, struct err *err)
{
	size_t count = rule->route->claims.count;

	rule->patterns = arena_array(&rule->arena, struct regex *, count + 1);
	if (!rule->patterns)
		return no_memory(err);
	for (size_t i = 0; i < count; i++) {
		const struct config_condition *condition = &rule->route->claims.at[i];

		if (condition->kind != CONFIG_CONDITION_MATCHES)
			continue;
		rule->patterns[i] = pattern_new(condition->pattern, err);
		if (!rule->patterns[i])
			return -1;
	}
	return 0;
}

static bool has_requirements(const struct config_route *route)
{
	return route->scopes.count || route->roles.count || route->permissions.count ||
	       route->claims.count;
}

static int compile(struct access_rule *rule, struct err *err)
{
	const struct config_route *route = rule->route;

	if (route->auth == CONFIG_AUTH_NONE && has_requirements(route))
		return err_set(err, ERR_INVALID,
			       "`auth: none` together with what an identity must have");
	rule->scopes = compile_names(rule, &route->scopes);
	rule->roles = compile_names(rule, &route->roles);
	if (!rule->scopes || !rule->roles)
		return no_memory(err);
	if (compile_permissions(rule, err) < 0)
		return -1;
	return compile_patterns(rule, err);
}

struct access_rule *access_rule_new(const struct config_route *route, struct err *err)
{
	struct access_rule *rule = mem_zalloc(1, sizeof(*rule));

	if (!rule) {
		no_memory(err);
		return NULL;
	}
	rule->route = route;
	arena_init(&rule->arena, ARENA_CAP_BYTES, ARENA_CHUNK_BYTES);
	if (compile(rule, err) < 0) {
		err_wrap(err, "%s:%u: route %.*s", route->where.file ? route->where.file : "",
			 route->where.line, SPAN_ARG(route->path));
		access_rule_free(rule);
		return NULL;
	}
	return rule;
}

void access_rule_free(struct access_rule *rule)
{
	if (!rule)
		return;
	for (size_t i = 0; rule->patterns && i < rule->route->claims.count; i++)
		regex_free(rule->patterns[i]);
	arena_release(&rule->arena);
	mem_free(rule);
}

HOT bool access_rule_wants_identity(const struct access_rule *rule)
{
	return rule->route->auth != CONFIG_AUTH_NONE;
}

HOT static bool has_scopes(const struct access_rule *rule, const struct identity_private *p)
{
	for (size_t i = 0; i < rule->route->scopes.count; i++) {
		if (!names_have(&p->scopes, &rule->scopes[i]))
			return false;
	}
	return true;
}

static bool has_a_role(const struct access_rule *rule, const struct identity_private *p)
{
	for (size_t i = 0; i < rule->route->roles.count; i++) {
		if (names_have(&p->roles, &rule->roles[i]))
			return true;
	}
	return rule->route->roles.count == 0;
}

static bool has_permissions(const struct access_rule *rule, const struct identity *identity)
{
	for (size_t i = 0; i < rule->route->permissions.count; i++) {
		if (!identity_implies(identity, &rule->permissions[i]))
			return false;
	}
	return true;
}

static bool scalar_holds(const struct config_condition *condition, struct regex *pattern,
			 struct auth_worker *worker, const struct json *claim)
{
	struct span text;

	if (!claim_scalar(claim, &text))
		return false;
	if (condition->kind == CONFIG_CONDITION_MATCHES)
		return auth_worker_match(worker, pattern, text);
	for (size_t i = 0; i < condition->values.count; i++) {
		if (span_eq(text, condition->values.at[i]))
			return true;
		if (condition->kind == CONFIG_CONDITION_EQUALS)
			break;
	}
	return false;
}

/* A claim that is an array satisfies a condition when one of its elements does. */
static bool condition_holds(const struct config_condition *condition, struct regex *pattern,
			    struct auth_worker *worker, const struct json *claims)
{
	const struct json *claim = claim_at(claims, &condition->claim);

	if (condition->kind == CONFIG_CONDITION_EXISTS)
		return (claim && claim->type != JSON_NULL) == condition->exists;
	if (!claim || claim->type != JSON_ARRAY)
		return scalar_holds(condition, pattern, worker, claim);
	for (size_t i = 0; i < claim->array.count; i++) {
		if (scalar_holds(condition, pattern, worker, &claim->array.items[i]))
			return true;
	}
	return false;
}

static bool claims_hold(const struct access_rule *rule, struct auth_worker *worker,
			const struct identity_private *p)
{
	for (size_t i = 0; i < rule->route->claims.count; i++) {
		if (!condition_holds(&rule->route->claims.at[i], rule->patterns[i], worker,
				     p->claims))
			return false;
	}
	return true;
}

HOT enum access_result access_check(const struct access_rule *rule, struct auth_worker *worker,
				    const struct identity *identity)
{
	const struct config_route *route = rule->route;

	if (route->auth == CONFIG_AUTH_NONE)
		return ACCESS_GRANTED;
	if (identity->kind == IDENTITY_ANONYMOUS) {
		if (route->auth == CONFIG_AUTH_OPTIONAL && !has_requirements(route))
			return ACCESS_GRANTED;
		return ACCESS_UNAUTHENTICATED;
	}
	if (!has_scopes(rule, identity->priv))
		return ACCESS_INSUFFICIENT_SCOPE;
	if (has_a_role(rule, identity->priv) && has_permissions(rule, identity) &&
	    claims_hold(rule, worker, identity->priv))
		return ACCESS_GRANTED;
	return ACCESS_FORBIDDEN;
}

/* Clocks of others may be so far ahead. */
#define CLOCK_SKEW_S 60

/* Of the classes that we know, a stronger one will do. */
static bool is_of_class(struct span have, struct span wanted)
{
	enum idp_acr least = idp_acr_find(wanted);

	return span_eq(have, wanted) || (least != IDP_ACR_NONE && idp_acr_find(have) >= least);
}

bool access_is_strong(const struct identity *identity, const struct config_strings *acr,
		      int64_t max_age_s, int64_t now_unix_s)
{
	const struct json *claims = identity->priv ? identity->priv->claims : NULL;
	struct span class = SPAN_NONE;
	int64_t at;
	bool known = acr->count == 0;

	if (!claims)
		return false;
	if (!known && !json_string(json_get(claims, SPAN("acr")), &class))
		return false;
	for (size_t i = 0; i < acr->count && !known; i++)
		known = is_of_class(class, acr->at[i]);
	if (!known || max_age_s == 0)
		return known;
	return json_int(json_get(claims, SPAN("auth_time")), &at) && at >= 0 &&
	       at <= now_unix_s + CLOCK_SKEW_S && now_unix_s - at <= max_age_s;
}

const struct config_strings *access_rule_scopes(const struct access_rule *rule)
{
	return &rule->route->scopes;
}

const char *access_result_word(enum access_result result)
{
	switch (result) {
	case ACCESS_GRANTED: return "granted";
	case ACCESS_UNAUTHENTICATED: return "unauthenticated";
	case ACCESS_INSUFFICIENT_SCOPE: return "insufficient_scope";
	case ACCESS_FORBIDDEN: return "forbidden";
	}
	return "unknown";
}
