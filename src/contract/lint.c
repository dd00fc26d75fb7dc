#include "contract/lint.h"

#include "contract/lint_internal.h"

#define SEEN_MAX_BYTES ((size_t)64 << 20)

void lint_add_message(struct lint *l, const struct lint_rule *rule, struct span message,
		      const struct json *node, struct span subject)
{
	struct document_place place;
	struct finding finding = {.rule = span_cstr(rule->id),
				  .severity = rule->severity,
				  .message = message,
				  .advice = span_cstr(rule->advice),
				  .subject = subject};

	if (document_place_of(l->contract->documents, node, &place)) {
		finding.place.file = place.file;
		finding.place.line = place.line;
		finding.place.column = place.column;
	}
	if (finding_list_add(l->findings, &finding) < 0)
		l->no_memory = true;
}

void lint_add(struct lint *l, const struct lint_rule *rule, const struct json *node,
	      struct span subject)
{
	lint_add_message(l, rule, span_cstr(rule->message), node, subject);
}

const struct json *lint_follow(struct lint *l, const struct json *node)
{
	for (unsigned i = 0; node && i < 32; i++) {
		const struct document *from = document_of(l->contract->documents, node);
		struct span reference;

		if (!json_string(json_get(node, SPAN("$ref")), &reference))
			return node;
		node = from ? document_resolve(l->contract->documents, from, reference, NULL,
					       NULL)
			    : NULL;
	}
	return NULL;
}

/* ---- security -------------------------------------------------------------------------------- */

static void lint_demand(struct lint *l, const struct openapi_operation *o,
			const struct contract_scheme *scheme)
{
	static const struct lint_rule unknown = {
		"openapi-unknown-security-scheme", FINDING_HIGH,
		"The security requirement names a scheme that is not in components, so nobody "
		"can "
		"meet it.",
		"Define the scheme in components.securitySchemes, or correct its name."};
	static const struct lint_rule in_query = {
		"openapi-api-key-in-query", FINDING_MEDIUM,
		"The API key is sent in the query, which logs, proxies and histories keep.",
		"Send the key in a header field."};
	static const struct lint_rule basic = {
		"openapi-basic-authentication", FINDING_LOW,
		"HTTP Basic sends the password with each request.",
		"Use tokens that end and can be withdrawn."};

	if (scheme->kind == CONTRACT_SCHEME_UNKNOWN)
		lint_add(l, &unknown, o->node, o->public.id);
	else if (scheme->kind == CONTRACT_SCHEME_BASIC)
		lint_add(l, &basic, o->node, o->public.id);
	else if (scheme->kind == CONTRACT_SCHEME_API_KEY && span_eq(scheme->in, SPAN("query")))
		lint_add(l, &in_query, o->node, o->public.id);
}

static void lint_security(struct lint *l, const struct openapi_operation *o)
{
	static const struct lint_rule none = {
		"openapi-operation-without-security", FINDING_HIGH,
		"Anybody may call the operation: neither it nor the document has \"security\".",
		"State what is demanded in \"security\", or that it is public by \"security: "
		"[]\"."};
	static const struct lint_rule public = {
		"openapi-operation-public", FINDING_LOW,
		"The operation is stated to be for anybody.",
		"Make sure that it reveals and changes nothing that needs a caller."};
	bool anybody = o->public.security_count == 0;

	if (!o->security_stated) {
		lint_add(l, &none, o->node, o->public.id);
		return;
	}
	for (size_t i = 0; i < o->public.security_count; i++) {
		const struct contract_alternative *a = &o->public.security[i];

		anybody |= a->demand_count == 0;
		for (size_t k = 0; k < a->demand_count; k++)
			lint_demand(l, o, a->demands[k].scheme);
	}
	if (anybody)
		lint_add(l, &public, o->node, o->public.id);
}

/* ---- operations ------------------------------------------------------------------------------ */

static void lint_parameters(struct lint *l, const struct openapi_operation *o)
{
	static const struct lint_rule missing = {
		"openapi-parameter-without-schema", FINDING_MEDIUM,
		"The parameter has neither a schema nor content: anything goes.",
		"Give it a schema with a type and bounds."};

	for (size_t i = 0; i < o->parameter_count; i++) {
		const struct openapi_parameter *p = &o->parameters[i];
		const struct json *schema = json_get(p->node, SPAN("schema"));

		if (!schema && p->content)
			schema = json_get(p->content->node, SPAN("schema"));
		if (schema)
			lint_request_schema(l, schema, o->public.id);
		else if (!p->content)
			lint_add(l, &missing, p->node, p->name);
	}
}

static bool is_structured(enum openapi_kind kind)
{
	return kind == OPENAPI_KIND_JSON || kind == OPENAPI_KIND_FORM ||
	       kind == OPENAPI_KIND_MULTIPART;
}

static void lint_body(struct lint *l, const struct openapi_operation *o)
{
	static const struct lint_rule missing = {
		"openapi-media-without-schema", FINDING_MEDIUM,
		"The content has no schema: anything of that type goes.",
		"Give the media type a schema."};
	static const struct lint_rule unbounded = {
		"openapi-body-unbounded", FINDING_LOW, "The content may be of any length.",
		"Set maxLength in its schema, or x-sallyport-max-body in the operation."};

	for (size_t i = 0; i < o->body.count; i++) {
		const struct openapi_media *media = &o->body.at[i];
		const struct json *schema = json_get(media->node, SPAN("schema"));
		bool structured = is_structured(openapi_kind_of(media->range));

		if (!structured && media->max_bytes == SIZE_MAX &&
		    !o->public.extensions.max_body_bytes)
			lint_add(l, &unbounded, media->node, o->public.id);
		if (structured && !schema && !media->item)
			lint_add(l, &missing, media->node, o->public.id);
		if (structured && schema)
			lint_request_schema(l, schema, o->public.id);
		if (media->item)
			lint_request_schema(l, json_get(media->node, SPAN("itemSchema")),
					    o->public.id);
	}
}

static void lint_responses(struct lint *l, const struct openapi_operation *o)
{
	static const struct lint_rule missing = {
		"openapi-response-without-schema", FINDING_LOW,
		"The answer has no schema: what the service reveals is not checked.",
		"Give the media type a schema."};

	for (size_t i = 0; i < o->response_count; i++) {
		const struct openapi_response *r = &o->responses[i];

		if (r->low < 200 || r->low > 299)
			continue;
		for (size_t k = 0; k < r->content.count; k++) {
			const struct openapi_media *media = &r->content.at[k];

			if (openapi_kind_of(media->range) == OPENAPI_KIND_JSON &&
			    !json_get(media->node, SPAN("schema")))
				lint_add(l, &missing, media->node, o->public.id);
		}
	}
}

/* ---- the document ---------------------------------------------------------------------------- */

static bool is_this_machine(struct span host)
{
	return span_starts_with(host, SPAN("localhost")) ||
	       span_starts_with(host, SPAN("127.")) || span_starts_with(host, SPAN("[::1]")) ||
	       span_starts_with(host, SPAN("{"));
}

static void lint_servers(struct lint *l, const struct json *owner)
{
	static const struct lint_rule plain = {
		"openapi-http-server", FINDING_MEDIUM,
		"The server's URL is plain http: requests, tokens and answers can be read and "
		"changed on the way.",
		"Use https."};
	const struct json *servers = json_get(owner, SPAN("servers"));
	struct span url;

	for (size_t i = 0; json_at(servers, i); i++) {
		const struct json *node = json_get(json_at(servers, i), SPAN("url"));

		if (!json_string(node, &url) || !span_starts_with(url, SPAN("http://")))
			continue;
		if (!is_this_machine(span_slice(url, 7, url.len)))
			lint_add(l, &plain, node, url);
	}
}

/* Schemas that no operation uses are compiled only here. */
static void lint_components(struct lint *l)
{
	static const struct lint_rule broken = {"openapi-broken-schema", FINDING_HIGH, "",
						"Correct the schema, or remove it."};
	struct contract_options options = {.base_path = SPAN_NONE};
	struct err err = {.code = ERR_NONE};
	struct openapi_builder b = {.contract = l->contract, .options = &options, .err = &err};
	struct openapi_node root = {.value = l->contract->main->root,
				    .document = l->contract->main,
				    .base = SPAN("")};
	struct openapi_node components, schemas, schema;

	if (!openapi_get(&root, SPAN("components"), &components) ||
	    !openapi_get(&components, SPAN("schemas"), &schemas) ||
	    schemas.value->type != JSON_OBJECT)
		return;
	for (size_t i = 0; i < schemas.value->object.count; i++) {
		openapi_member(&schemas, i, &schema);
		if (openapi_schema(&b, &schema, SCHEMA_EITHER))
			continue;
		if (err.code == ERR_MEMORY)
			l->no_memory = true;
		else if (err.code != ERR_LIMIT)
			lint_add_message(l, &broken, span_cstr(err.message), schema.value,
					 schema.key);
	}
}

static void lint_operation(struct lint *l, const struct openapi_operation *o)
{
	lint_security(l, o);
	lint_servers(l, o->path_item);
	lint_servers(l, o->node);
	lint_parameters(l, o);
	lint_body(l, o);
	lint_responses(l, o);
}

int contract_lint(struct contract *contract, struct finding_list *findings, struct err *err)
{
	struct lint l = {.contract = contract, .findings = findings, .seen = MAP_INIT};

	arena_init(&l.arena, SEEN_MAX_BYTES, (size_t)16 << 10);
	lint_servers(&l, contract->main->root);
	for (size_t i = 0; i < contract->operation_count && !l.no_memory; i++)
		lint_operation(&l, &contract->operations[i]);
	lint_components(&l);
	for (size_t i = 0; i < document_count(contract->documents) && !l.no_memory; i++) {
		const struct document *document = document_at(contract->documents, i);

		lint_fields(&l, document);
		lint_examples(&l, document);
	}
	map_release(&l.seen);
	arena_release(&l.arena);
	return l.no_memory ? err_set(err, ERR_MEMORY, "no memory for the findings") : 0;
}
