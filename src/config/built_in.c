/* What the identity server adds to a configuration: its routes, and itself as a provider. */
#include "config/built_in.h"

#include <stdio.h>

#include "config/schema_parts.h"
#include "parse/uri.h"

/* The server's own checks decide who may do what; a form or a token request is small. */
static const char routes_text[] =
	"- {path: /.well-known/openid-configuration, methods: [GET], service: identity,\n"
	"   operation: identity.metadata, auth: none}\n"
	"- {path: /.well-known/oauth-authorization-server, methods: [GET], service: identity,\n"
	"   operation: identity.metadata, auth: none}\n"
	"- {path: /.well-known/oauth-protected-resource, methods: [GET], service: identity,\n"
	"   operation: identity.metadata, auth: none}\n"
	"- {path: /identity/admin/**, methods: [GET, POST, PUT, PATCH, DELETE],\n"
	"   service: identity, operation: identity.admin, auth: required, body: 64k}\n"
	"- {path: /identity/**, methods: [GET, POST], service: identity, operation: identity,\n"
	"   auth: none, body: 64k}\n";

static const char provider_text[] = "- {name: built-in, issuer: placeholder, audience: "
				    "[placeholder], require_at_jwt: true,\n"
				    "   jwks: {url: \"https://built-in.invalid/\"},\n"
				    "   algorithms: [ES256, EdDSA, RS256],\n"
				    "   claims: {roles: roles, permissions: permissions}}\n";

/* Appends the elements of the text to a list whose elements the schema describes. */
static void *append(struct reader *reader, const struct schema_object *schema, const char *text,
		    const void *old, size_t *count)
{
	CONFIG_LIST(void) more = {NULL, 0};
	struct tree_node *root = tree_parse(span_cstr(text), "built-in", reader->source,
					    reader->trees, reader->problems);
	char *all;

	if (!root) {
		reader->out_of_memory = true;
		return NULL;
	}
	reader_list(reader, schema, root, false, &more);
	all = reader_alloc(reader, *count + more.count, schema->size);
	if (!all || !more.at)
		return NULL;
	if (*count)
		memcpy(all, old, *count * schema->size);
	memcpy(all + *count * schema->size, more.at, more.count * schema->size);
	*count += more.count;
	return all;
}

static void add_routes(struct reader *reader, struct config *cfg)
{
	void *all;

	for (size_t i = 0; i < cfg->routes.count; i++)
		if (span_eq(cfg->routes.at[i].service_name, SPAN("identity")))
			return;
	all = append(reader, &schema_route, routes_text, cfg->routes.at, &cfg->routes.count);
	if (all)
		cfg->routes.at = all;
}

static void add_provider(struct reader *reader, struct config *cfg)
{
	struct config_identity *identity = &cfg->identity;
	struct config_provider *own;
	void *all;

	for (size_t i = 0; i < identity->providers.count; i++)
		if (span_eq(identity->providers.at[i].issuer, identity->issuer))
			return;
	all = append(reader, &schema_provider, provider_text, identity->providers.at,
		     &identity->providers.count);
	if (!all)
		return;
	identity->providers.at = all;
	own = &identity->providers.at[identity->providers.count - 1];
	own->built_in = true;
	own->issuer = identity->issuer;
	own->audience.at[0] = identity->issuer;
	own->jwks_url = SPAN_NONE;
}

/* OpenID Connect Discovery section 3: https, no query, no fragment; ours has no path either. */
static void check_issuer(struct reader *reader, const struct config_identity *identity)
{
	struct uri_parts parts;
	struct span rest;

	if (!uri_parse_absolute(identity->issuer, &parts))
		return;
	rest = span_slice(identity->issuer, parts.scheme.len + 3, identity->issuer.len);
	if (span_find_byte(rest, '/') < rest.len || parts.query.ptr)
		reader_error(reader, identity->where,
			     "'issuer' has no path, no query and no '/' at its end");
	if (!span_eq(parts.scheme, SPAN("https")) && !span_eq(parts.host, SPAN("localhost")) &&
	    !span_eq(parts.host, SPAN("127.0.0.1")))
		reader_error(reader, identity->where,
			     "'issuer' must be https, but on localhost");
}

bool built_in_identity(const struct config *cfg)
{
	return cfg->identity.issuer.len > 0 && cfg->store.url.len > 0;
}

void built_in_add(struct reader *reader, struct config *cfg)
{
	struct config_identity *identity = &cfg->identity;

	if (identity->issuer.len == 0)
		return;
	check_issuer(reader, identity);
	if (!built_in_identity(cfg)) {
		reader_error(reader, identity->where, "'issuer' needs a 'store'");
		return;
	}
	if (identity->key_file.len == 0 &&
	    !span_starts_with(secret_span(&cfg->store.url), SPAN("sqlite:")))
		reader_error(reader, identity->where,
			     "'key_file' is missing: the store is no file to put it beside");
	add_routes(reader, cfg);
	add_provider(reader, cfg);
}
