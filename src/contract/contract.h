/*
 * contract.h - a service's OpenAPI document (3.0, 3.1, 3.2) compiled into a whitelist of
 * operations and into checks of requests and responses. It sees spans, never sockets: nothing here
 * waits, and after some exchanges nothing allocates any more (XML apart, where libxml2 does).
 *
 * At load time:
 *
 *	contract = contract_load("orders.openapi.yaml", NULL, &err);
 *
 * For each exchange (one check at a time for a request, another for its response):
 *
 *	if (contract_match(contract, method, path, &route) != CONTRACT_FOUND)
 *		answer 404, or 405 with route.allow;
 *	// route.operation->security says what authorize demands, ->extensions what limits hold
 *	contract_check_request(check, contract, &route, &request, &policy);
 *	while ((piece = read_more()).len)                    // of the content
 *		contract_check_feed(check, piece);           // final results come again
 *	result = contract_check_finish(check);
 *	if (result == CONTRACT_VALID && contract_check_cuts_query(check))
 *		contract_check_write_query(check, &query);
 *	if (result == CONTRACT_VALID && contract_check_cuts_body(check))
 *		contract_check_write_body(check, body, &stripped);   // the same bytes as were fed
 *
 * The path is one that uri_normalize() has made; the query is as it came. Whatever is not in the
 * document is refused: paths, methods, content types. Unknown query parameters, fields of forms and
 * properties are treated by the policy. Unknown header fields and cookies pass; they are not the
 * contract's matter. Header parameters named Accept, Content-Type and Authorization say nothing
 * (OpenAPI 3.0.3 section 4.7.12.1).
 *
 * Problems say where and why, never what: no value of the peer is in them but names of parameters
 * and keys in JSON Pointers.
 */
#ifndef CONTRACT_CONTRACT_H
#define CONTRACT_CONTRACT_H

#include "base/buf.h"
#include "contract/document.h"
#include "parse/http_field.h"

/* -- documents -- */

struct contract; /* immutable, counted; may be used by any number of threads */

struct contract_options {
	/* Before all paths, in place of the paths of the document's servers: "" or "/v1". ptr NULL:
	   as the document says. */
	struct span base_path;
	/* `format` is checked, in 3.1 and later too, where it otherwise only annotates. */
	bool assert_formats;
	/* A HEAD request is one for the GET operation, where the document has no HEAD. */
	bool head_as_get;
	const struct document_limits *documents; /* NULL: the default */
	size_t max_schema_bytes; /* of compiled schemas; 0: 256 MiB */
	/* Reads files in place of the file system (a confined process); names are relative to
	   the document's folder. */
	document_read_function *read;
	void *read_context;
};

/* So much for compiled schemas, twice as much for documents; `limits` must live as long as the
   options. */
static inline void contract_options_memory(struct contract_options *options,
					   struct document_limits *limits, uint64_t bytes)
{
	*limits = DOCUMENT_LIMITS_DEFAULT;
	limits->max_memory_bytes = (size_t)bytes * 2;
	options->documents = limits;
	options->max_schema_bytes = (size_t)bytes;
}

/*
 * The contract in the file, with all files that it refers to in its folder or below. options NULL:
 * all zero. NULL with *err, whose message starts with file:line:column where there is one:
 * ERR_INVALID, ERR_SYNTAX, ERR_NOT_FOUND (a reference to nothing), ERR_DENIED (a reference out of
 * the folder), ERR_LIMIT, ERR_IO, ERR_MEMORY.
 */
struct contract *contract_load(const char *path, const struct contract_options *options,
			       struct err *err) MUST_CHECK;
/* From a text; `name` is what messages call it. References to files need options->read. */
struct contract *contract_load_text(struct span text, struct span name,
				    const struct contract_options *options,
				    struct err *err) MUST_CHECK;
struct contract *contract_ref(struct contract *contract);
void contract_unref(struct contract *contract); /* NULL is allowed */

/* -- operations -- */

enum contract_scheme_kind {
	CONTRACT_SCHEME_API_KEY,
	CONTRACT_SCHEME_BASIC, /* http */
	CONTRACT_SCHEME_BEARER, /* http */
	CONTRACT_SCHEME_HTTP, /* another scheme of http */
	CONTRACT_SCHEME_OAUTH2,
	CONTRACT_SCHEME_OPENID,
	CONTRACT_SCHEME_MUTUAL_TLS,
	CONTRACT_SCHEME_UNKNOWN, /* demanded, but not in the document: nobody can meet it */
};

struct contract_scheme {
	struct span name; /* under components.securitySchemes */
	enum contract_scheme_kind kind;
	struct span parameter; /* API key: of what name */
	struct span in; /* API key: "header", "query", "cookie" */
};

struct contract_demand {
	const struct contract_scheme *scheme;
	const struct span *scopes; /* all of them */
	size_t scope_count;
};

/* All demands together; none: anybody may. */
struct contract_alternative {
	const struct contract_demand *demands;
	size_t demand_count;
};

/* `x-sallyport-*` of the operation, else of its path, else of the document. */
struct contract_extensions {
	/* x-sallyport-limit: "100/s", or {rate: "100/s", burst: 200, per: user} */
	uint64_t limit_count; /* 0: none stated */
	uint64_t limit_per_ms;
	uint64_t limit_burst; /* 0: none stated */
	struct span limit_per; /* as written, may be empty */
	/* x-sallyport-sensitive: {approvals: 1, by: supervisor, expires: 10m, acr: mfa, max_age: 5m} */
	bool sensitive;
	uint64_t approvals; /* 1 unless stated */
	struct span approved_by; /* a role; may be empty */
	uint64_t approval_expires_ms; /* 0: none stated */
	const struct span *acr; /* classes of a login, one of which it takes; as written */
	size_t acr_count; /* 0: any */
	uint64_t max_age_ms; /* of a login; 0: any */
	uint64_t timeout_ms; /* x-sallyport-timeout: "3s"; 0: none stated */
	uint64_t max_body_bytes; /* x-sallyport-max-body: "1M"; 0: none stated */
};

struct contract_operation {
	size_t index; /* from 0, in the order of the document */
	struct span id; /* operationId; without one "GET /orders/{id}" */
	struct span method;
	struct span path; /* the template, without the base path */
	bool deprecated;
	struct document_place place;
	/* One of these must be met; count 0: the document demands nothing. */
	const struct contract_alternative *security;
	size_t security_count;
	struct contract_extensions extensions;
};

size_t contract_operation_count(const struct contract *contract);
const struct contract_operation *contract_operation_at(const struct contract *contract,
						       size_t index);
/* By operationId; NULL when there is none. */
const struct contract_operation *contract_operation_find(const struct contract *contract,
							 struct span id);
/* The first of the paths before all operations: "/v1"; may be empty. */
struct span contract_base_path(const struct contract *contract);

enum contract_match { CONTRACT_FOUND, CONTRACT_NO_PATH, CONTRACT_NO_METHOD };

#define CONTRACT_PATH_PARAMETERS_MAX 16

struct contract_route {
	const struct contract_operation *operation; /* CONTRACT_FOUND */
	/* What stands in the template's places, still encoded; points into the path. */
	struct span values[CONTRACT_PATH_PARAMETERS_MAX];
	size_t value_count;
	struct span
		allow; /* unless CONTRACT_NO_PATH: "GET, POST"; lives as long as the contract */
};

/*
 * Static segments go before those with parameters (OpenAPI 3.0.3 section 4.7.8.1). `path` as
 * uri_normalize() makes it.
 */
enum contract_match contract_match(const struct contract *contract, struct span method,
				   struct span path, struct contract_route *route);

/* -- checks -- */

enum contract_unknown {
	CONTRACT_UNKNOWN_ALLOW,
	CONTRACT_UNKNOWN_STRIP,
	CONTRACT_UNKNOWN_REFUSE
};

/* What the configuration says of a service. */
struct contract_policy {
	enum contract_unknown query;
	enum contract_unknown properties; /* of JSON, and fields of forms */
	/*
	 * Of processor, for patterns in texts over 512 bytes: of a request or response all told, of a
	 * stream for each item. What takes longer is a problem. 0: 100 ms.
	 */
	uint32_t pattern_time_ms;
};

/* 0 means the default in each. */
struct contract_check_limits {
	uint64_t
		max_body_bytes; /* 10 MiB; an operation's x-sallyport-max-body goes before it */
	size_t max_buffered_bytes; /* what must be held to be checked: forms, texts, parts: 1 MiB */
	size_t max_query_pairs; /* 256; also of forms */
	size_t max_query_bytes; /* 16 KiB */
	size_t max_parts; /* of multipart content: 128 */
	size_t max_cookies; /* 64 */
	unsigned max_depth; /* of JSON and XML: 64 */
	size_t max_string_bytes; /* of JSON: 1 MiB */
	unsigned max_problems; /* 32 */
	unsigned max_unknown; /* unknown properties that can be stripped: 1,000 */
};

enum contract_result {
	CONTRACT_MORE, /* feed content, or finish; problems may have been found already */
	CONTRACT_VALID,
	CONTRACT_INVALID, /* 400; a response: 502 */
	CONTRACT_TYPE, /* 415: a content type or coding that the operation does not take */
	CONTRACT_TOO_LARGE, /* 413 */
	CONTRACT_MEMORY, /* 503: an allocation failed, nothing is known */
};

enum contract_where {
	CONTRACT_IN_PATH,
	CONTRACT_IN_QUERY,
	CONTRACT_IN_HEADER,
	CONTRACT_IN_COOKIE,
	CONTRACT_IN_BODY,
	CONTRACT_IN_STATUS,
};

struct contract_problem {
	enum contract_where where;
	struct span name; /* of the parameter, field or part; may be empty */
	struct span pointer; /* JSON Pointer in it; "" is the whole */
	struct span
		keyword; /* of JSON Schema, or "required", "unknown", "duplicate", "encoding",
				"contentType", "syntax", "limit", "status", "content" */
	struct span schema; /* "URI#pointer" of what was not met; may be empty */
	struct span detail; /* what was expected; may be empty */
	uint64_t offset; /* in the content */
};

struct contract_request {
	struct span query; /* without '?'; ptr NULL: none */
	const struct http_field *fields; /* Content-Type, Cookie and all others */
	size_t field_count;
	bool has_content;
};

struct contract_response {
	unsigned status;
	const struct http_field *fields;
	size_t field_count;
	bool no_content; /* an answer to HEAD, 204, 304: there is no content to check */
};

/*
 * The state of one check; reused for any contract, by one thread at a time. Pieces and spans are
 * not needed after the call that takes them, but for the query, which must live until
 * contract_check_write_query().
 */
struct contract_check;

/* limits NULL: all defaults. NULL with ERR_MEMORY. */
struct contract_check *contract_check_new(const struct contract_check_limits *limits,
					  struct err *err) MUST_CHECK;
void contract_check_free(struct contract_check *check); /* NULL is allowed */

/*
 * Begins the check of a request: parameters, and which content it may have. CONTRACT_MORE, also
 * when problems were found (contract_check_failed() tells), or a final result.
 */
enum contract_result contract_check_request(struct contract_check *check,
					    const struct contract *contract,
					    const struct contract_route *route,
					    const struct contract_request *request,
					    const struct contract_policy *policy);
/* Begins the check of a response of the operation: status, header fields, content type. */
enum contract_result contract_check_response(struct contract_check *check,
					     const struct contract *contract,
					     const struct contract_operation *operation,
					     const struct contract_response *response,
					     const struct contract_policy *policy);
/* The next piece of the content, of any size. CONTRACT_MORE or a final result. */
enum contract_result contract_check_feed(struct contract_check *check, struct span piece);
/* Makes the result final when a problem was found; for content that passes while it is checked. */
enum contract_result contract_check_stop(struct contract_check *check);
/* The content is at its end: a final result, which comes again. */
enum contract_result contract_check_finish(struct contract_check *check);
/* True once a problem was found, also while the result is still CONTRACT_MORE. */
bool contract_check_failed(const struct contract_check *check);
/* Valid until the next begin. */
size_t contract_check_problems(const struct contract_check *check,
			       const struct contract_problem **problems);

/*
 * With CONTRACT_UNKNOWN_STRIP: is there anything to leave out? Of the query it is known before the
 * content has come, of the content after CONTRACT_VALID.
 */
bool contract_check_cuts_query(const struct contract_check *check);
bool contract_check_cuts_body(const struct contract_check *check);
/* Appends what is to be forwarded. 0, or -1 when `to` has failed. */
int contract_check_write_query(struct contract_check *check, struct buf *to) MUST_CHECK;
/* `body` is all that was fed. */
int contract_check_write_body(struct contract_check *check, struct span body,
			      struct buf *to) MUST_CHECK;

/*
 * Appends a JSON array of the problems, for the member "errors" of application/problem+json (RFC
 * 9457): objects with "in", "name", "pointer", "keyword", "schema", "detail". Failures show in `to`.
 */
void contract_check_problems_json(const struct contract_check *check, struct buf *to);
/* "path", "query", "header", "cookie", "body", "status". */
const char *contract_where_name(enum contract_where where);
/* 400, 413, 415, 503: the status for a request with this final result; 0: none (valid). */
unsigned contract_result_status(enum contract_result result);

#endif
