#include "contract/openapi.h"
#include "parse/units.h"

/* ---- schemes --------------------------------------------------------------------------------- */

static int read_api_key(struct openapi_builder *b, const struct openapi_node *node,
			struct contract_scheme *scheme)
{
	scheme->kind = CONTRACT_SCHEME_API_KEY;
	if (openapi_string(b, node, "name", &scheme->parameter) < 0 ||
	    openapi_string(b, node, "in", &scheme->in) < 0)
		return -1;
	if (scheme->parameter.len == 0 ||
	    (!span_eq(scheme->in, SPAN("header")) && !span_eq(scheme->in, SPAN("query")) &&
	     !span_eq(scheme->in, SPAN("cookie"))))
		return openapi_error(
			b, node, ERR_INVALID,
			"an API key must have a \"name\" and be \"in\" header, query or "
			"cookie");
	return 0;
}

static int read_http(struct openapi_builder *b, const struct openapi_node *node,
		     struct contract_scheme *scheme)
{
	struct span word = SPAN_NONE;

	if (openapi_string(b, node, "scheme", &word) < 0)
		return -1;
	if (word.len == 0)
		return openapi_error(b, node, ERR_INVALID, "type http must have a \"scheme\"");
	if (span_eq_nocase(word, SPAN("basic")))
		scheme->kind = CONTRACT_SCHEME_BASIC;
	else if (span_eq_nocase(word, SPAN("bearer")))
		scheme->kind = CONTRACT_SCHEME_BEARER;
	else
		scheme->kind = CONTRACT_SCHEME_HTTP;
	return 0;
}

static int read_scheme(struct openapi_builder *b, struct openapi_node *node,
		       struct contract_scheme *scheme)
{
	struct span type = SPAN_NONE;

	if (openapi_follow(b, node) < 0 ||
	    openapi_expect(b, node, JSON_OBJECT, "a security scheme") < 0 ||
	    openapi_string(b, node, "type", &type) < 0)
		return -1;
	if (span_eq(type, SPAN("apiKey")))
		return read_api_key(b, node, scheme);
	if (span_eq(type, SPAN("http")))
		return read_http(b, node, scheme);
	if (span_eq(type, SPAN("oauth2")))
		scheme->kind = CONTRACT_SCHEME_OAUTH2;
	else if (span_eq(type, SPAN("openIdConnect")))
		scheme->kind = CONTRACT_SCHEME_OPENID;
	else if (span_eq(type, SPAN("mutualTLS")) && b->contract->version >= 31)
		scheme->kind = CONTRACT_SCHEME_MUTUAL_TLS;
	else
		return openapi_error(b, node, ERR_INVALID, "unknown type of security scheme");
	return 0;
}

int openapi_read_security_schemes(struct openapi_builder *b, const struct openapi_node *root)
{
	struct contract *c = b->contract;
	struct openapi_node components, schemes;

	if (!openapi_get(root, SPAN("components"), &components))
		return 0;
	if (openapi_expect(b, &components, JSON_OBJECT, "components") < 0)
		return -1;
	if (!openapi_get(&components, SPAN("securitySchemes"), &schemes))
		return 0;
	if (openapi_expect(b, &schemes, JSON_OBJECT, "securitySchemes") < 0)
		return -1;
	c->schemes =
		arena_array(&c->arena, struct contract_scheme, schemes.value->object.count);
	if (!c->schemes)
		return openapi_no_memory(b);
	for (size_t i = 0; i < schemes.value->object.count; i++) {
		struct openapi_node node;

		openapi_member(&schemes, i, &node);
		c->schemes[i].name = node.key;
		if (read_scheme(b, &node, &c->schemes[i]) < 0)
			return -1;
		c->scheme_count++;
	}
	return 0;
}

/* ---- requirements ---------------------------------------------------------------------------- */

static int read_demand(struct openapi_builder *b, const struct openapi_node *node,
		       struct contract_demand *demand)
{
	struct contract *c = b->contract;
	struct span *scopes;
	size_t count;

	if (openapi_expect(b, node, JSON_ARRAY, "the scopes of a security requirement") < 0)
		return -1;
	for (size_t i = 0; i < c->scheme_count && !demand->scheme; i++)
		if (span_eq(c->schemes[i].name, node->key))
			demand->scheme = &c->schemes[i];
	if (!demand->scheme) {
		struct contract_scheme *unknown = arena_new(&c->arena, struct contract_scheme);

		if (!unknown)
			return openapi_no_memory(b);
		unknown->name = node->key;
		unknown->kind = CONTRACT_SCHEME_UNKNOWN;
		demand->scheme = unknown;
	}
	count = node->value->array.count;
	scopes = arena_array(&c->arena, struct span, count);
	if (!scopes)
		return openapi_no_memory(b);
	for (size_t i = 0; i < count; i++)
		if (!json_string(&node->value->array.items[i], &scopes[i]))
			return openapi_error(b, node, ERR_INVALID, "scopes must be strings");
	demand->scopes = scopes;
	demand->scope_count = count;
	return 0;
}

static int read_alternative(struct openapi_builder *b, const struct openapi_node *node,
			    struct contract_alternative *alternative)
{
	struct contract_demand *demands;
	size_t count;

	if (openapi_expect(b, node, JSON_OBJECT, "a security requirement") < 0)
		return -1;
	count = node->value->object.count;
	demands = arena_array(&b->contract->arena, struct contract_demand, count);
	if (!demands)
		return openapi_no_memory(b);
	for (size_t i = 0; i < count; i++) {
		struct openapi_node demand;

		openapi_member(node, i, &demand);
		if (read_demand(b, &demand, &demands[i]) < 0)
			return -1;
	}
	alternative->demands = demands;
	alternative->demand_count = count;
	return 0;
}

int openapi_read_security(struct openapi_builder *b, const struct openapi_node *owner,
			  const struct contract_alternative **alternatives, size_t *count,
			  bool *stated)
{
	struct contract_alternative *list;
	struct openapi_node security, item;

	*stated = false;
	if (!openapi_get(owner, SPAN("security"), &security))
		return 0;
	if (openapi_expect(b, &security, JSON_ARRAY, "security") < 0)
		return -1;
	list = arena_array(&b->contract->arena, struct contract_alternative,
			   security.value->array.count);
	if (!list)
		return openapi_no_memory(b);
	for (size_t i = 0; openapi_item(&security, i, &item); i++)
		if (read_alternative(b, &item, &list[i]) < 0)
			return -1;
	*alternatives = list;
	*count = security.value->array.count;
	*stated = true;
	return 0;
}

/* ---- x-sallyport-* --------------------------------------------------------------------------- */

static int bad_extension(struct openapi_builder *b, const struct openapi_node *node,
			 const char *form)
{
	return openapi_error(b, node, ERR_INVALID, "%.*s must be %s", SPAN_ARG(node->key),
			     form);
}

static int read_limit(struct openapi_builder *b, const struct openapi_node *node,
		      struct contract_extensions *x)
{
	struct span rate = SPAN_NONE;
	struct openapi_node burst;
	int64_t number;

	x->limit_per = SPAN_NONE;
	if (node->value->type == JSON_STRING)
		rate = node->value->text;
	else if (node->value->type != JSON_OBJECT ||
		 openapi_string(b, node, "rate", &rate) < 0 ||
		 openapi_string(b, node, "per", &x->limit_per) < 0)
		return bad_extension(b, node, "a rate or an object with \"rate\"");
	if (units_rate(rate, &x->limit_count, &x->limit_per_ms) != UNITS_OK)
		return bad_extension(b, node, "a rate like \"100/s\"");
	x->limit_burst = 0;
	if (!openapi_get(node, SPAN("burst"), &burst))
		return 0;
	if (!json_int(burst.value, &number) || number < 1)
		return bad_extension(b, node, "an object whose \"burst\" is a number above 0");
	x->limit_burst = (uint64_t)number;
	return 0;
}

/* A word that is not known would be a demand that nobody heeds. */
static int only_sensitive_words(struct openapi_builder *b, const struct openapi_node *node)
{
	static const struct span words[] = {SPAN_INIT("approvals"), SPAN_INIT("by"),
					    SPAN_INIT("expires"), SPAN_INIT("acr"),
					    SPAN_INIT("max_age")};

	for (size_t i = 0; i < node->value->object.count; i++) {
		struct span key = node->value->object.members[i].key;
		bool known = false;

		for (size_t k = 0; k < COUNT_OF(words); k++)
			known = known || span_eq(key, words[k]);
		if (!known)
			return bad_extension(b, node,
					     "an object of \"approvals\", \"by\", \"expires\", "
					     "\"acr\" and \"max_age\"");
	}
	return 0;
}

/* One class, or a list of them. */
static int read_acr(struct openapi_builder *b, const struct openapi_node *node,
		    struct contract_extensions *x)
{
	struct openapi_node acr, item;
	struct span *classes;
	size_t count;

	if (!openapi_get(node, SPAN("acr"), &acr))
		return 0;
	if (acr.value->type != JSON_STRING && acr.value->type != JSON_ARRAY)
		return bad_extension(b, node, "an object whose \"acr\" is text or a list");
	count = acr.value->type == JSON_ARRAY ? acr.value->array.count : 1;
	classes = arena_array(&b->contract->arena, struct span, count + 1);
	if (!classes)
		return openapi_no_memory(b);
	if (acr.value->type == JSON_STRING)
		classes[0] = acr.value->text;
	for (size_t i = 0; acr.value->type == JSON_ARRAY && openapi_item(&acr, i, &item); i++)
		if (!json_string(item.value, &classes[i]))
			return bad_extension(b, node, "an object whose \"acr\" lists texts");
	if (count == 0)
		return bad_extension(b, node, "an object whose \"acr\" is not empty");
	x->acr = classes;
	x->acr_count = count;
	return 0;
}

static int read_sensitive(struct openapi_builder *b, const struct openapi_node *node,
			  struct contract_extensions *x)
{
	struct span expires = SPAN_NONE, max_age = SPAN_NONE;
	struct openapi_node approvals;
	int64_t number;

	x->approvals = 1;
	x->approved_by = SPAN_NONE;
	x->approval_expires_ms = 0;
	x->acr_count = 0;
	x->max_age_ms = 0;
	if (json_bool(node->value, &x->sensitive))
		return 0;
	if (node->value->type != JSON_OBJECT)
		return bad_extension(b, node, "true, false or an object");
	x->sensitive = true;
	if (only_sensitive_words(b, node) < 0 ||
	    openapi_string(b, node, "by", &x->approved_by) < 0 ||
	    openapi_string(b, node, "expires", &expires) < 0 ||
	    openapi_string(b, node, "max_age", &max_age) < 0 || read_acr(b, node, x) < 0)
		return -1;
	if (max_age.ptr &&
	    (units_duration(max_age, &x->max_age_ms) != UNITS_OK || x->max_age_ms < 1000))
		return bad_extension(
			b, node, "an object whose \"max_age\" is like \"5m\", 1 s at least");
	if (expires.ptr && units_duration(expires, &x->approval_expires_ms) != UNITS_OK)
		return bad_extension(b, node, "an object whose \"expires\" is like \"10m\"");
	if (!openapi_get(node, SPAN("approvals"), &approvals))
		return 0;
	if (!json_int(approvals.value, &number) || number < 1 || number > 100)
		return bad_extension(b, node, "an object whose \"approvals\" is 1 to 100");
	x->approvals = (uint64_t)number;
	return 0;
}

static int read_size(struct openapi_builder *b, const struct openapi_node *node,
		     uint64_t *bytes)
{
	struct span text = node->value->type == JSON_STRING || node->value->type == JSON_NUMBER
				   ? node->value->text
				   : SPAN_NONE;

	if (units_size(text, bytes) != UNITS_OK || *bytes == 0)
		return bad_extension(b, node, "a size like \"1M\"");
	return 0;
}

static int read_timeout(struct openapi_builder *b, const struct openapi_node *node,
			uint64_t *ms)
{
	struct span text = SPAN_NONE;

	(void)json_string(node->value, &text);
	if (units_duration(text, ms) != UNITS_OK || *ms == 0)
		return bad_extension(b, node, "a duration like \"3s\"");
	return 0;
}

int openapi_read_extensions(struct openapi_builder *b, const struct openapi_node *owner,
			    struct contract_extensions *x)
{
	for (size_t i = 0; i < owner->value->object.count; i++) {
		struct openapi_node node;
		struct span name;
		int result;

		openapi_member(owner, i, &node);
		if (!span_starts_with(node.key, SPAN("x-sallyport-")))
			continue;
		name = span_slice(node.key, sizeof("x-sallyport-") - 1, node.key.len);
		if (span_eq(name, SPAN("limit")))
			result = read_limit(b, &node, x);
		else if (span_eq(name, SPAN("sensitive")))
			result = read_sensitive(b, &node, x);
		else if (span_eq(name, SPAN("timeout")))
			result = read_timeout(b, &node, &x->timeout_ms);
		else if (span_eq(name, SPAN("max-body")))
			result = read_size(b, &node, &x->max_body_bytes);
		else
			result = openapi_error(b, &node, ERR_INVALID,
					       "there is no extension \"%.*s\" (but -limit, "
					       "-sensitive, -timeout, -max-body)",
					       SPAN_ARG(span_slice(node.key, 0, 60)));
		if (result < 0)
			return -1;
	}
	return 0;
}
