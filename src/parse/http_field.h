/*
 * http_field.h - HTTP methods and header fields (RFC 9110), with small numbers for those that the
 * gateway itself looks at, so that later steps compare integers instead of strings.
 */
#ifndef PARSE_HTTP_FIELD_H
#define PARSE_HTTP_FIELD_H

#include <stdint.h>

#include "base/span.h"

enum http_method {
	HTTP_METHOD_OTHER, /* a valid token that is not in this list */
	HTTP_METHOD_GET,
	HTTP_METHOD_HEAD,
	HTTP_METHOD_POST,
	HTTP_METHOD_PUT,
	HTTP_METHOD_DELETE,
	HTTP_METHOD_CONNECT,
	HTTP_METHOD_OPTIONS,
	HTTP_METHOD_TRACE,
	HTTP_METHOD_PATCH,
	HTTP_METHOD_QUERY,
	HTTP_METHOD_COUNT,
};

enum http_field_id {
	HTTP_FIELD_OTHER,
	HTTP_FIELD_ACCEPT,
	HTTP_FIELD_ACCEPT_ENCODING,
	HTTP_FIELD_AGE,
	HTTP_FIELD_ALLOW,
	HTTP_FIELD_ALT_SVC,
	HTTP_FIELD_AUTHORIZATION,
	HTTP_FIELD_CACHE_CONTROL,
	HTTP_FIELD_CONNECTION,
	HTTP_FIELD_CONTENT_ENCODING,
	HTTP_FIELD_CONTENT_LENGTH,
	HTTP_FIELD_CONTENT_SECURITY_POLICY,
	HTTP_FIELD_CONTENT_TYPE,
	HTTP_FIELD_COOKIE,
	HTTP_FIELD_DATE,
	HTTP_FIELD_DPOP,
	HTTP_FIELD_ETAG,
	HTTP_FIELD_EXPECT,
	HTTP_FIELD_FORWARDED,
	HTTP_FIELD_GRPC_TIMEOUT,
	HTTP_FIELD_HOST,
	HTTP_FIELD_HTTP2_SETTINGS,
	HTTP_FIELD_KEEP_ALIVE,
	HTTP_FIELD_LOCATION,
	HTTP_FIELD_ORIGIN,
	HTTP_FIELD_PROXY_AUTHENTICATE,
	HTTP_FIELD_PROXY_AUTHORIZATION,
	HTTP_FIELD_PROXY_CONNECTION,
	HTTP_FIELD_RANGE,
	HTTP_FIELD_REFERER,
	HTTP_FIELD_REFERRER_POLICY,
	HTTP_FIELD_RETRY_AFTER,
	HTTP_FIELD_SERVER,
	HTTP_FIELD_SET_COOKIE,
	HTTP_FIELD_STRICT_TRANSPORT_SECURITY,
	HTTP_FIELD_TE,
	HTTP_FIELD_TRACEPARENT,
	HTTP_FIELD_TRACESTATE,
	HTTP_FIELD_TRAILER,
	HTTP_FIELD_TRANSFER_ENCODING,
	HTTP_FIELD_UPGRADE,
	HTTP_FIELD_USER_AGENT,
	HTTP_FIELD_VARY,
	HTTP_FIELD_VIA,
	HTTP_FIELD_WWW_AUTHENTICATE,
	HTTP_FIELD_X_CONTENT_TYPE_OPTIONS,
	HTTP_FIELD_X_FORWARDED_FOR,
	HTTP_FIELD_X_FORWARDED_HOST,
	HTTP_FIELD_X_FORWARDED_PORT,
	HTTP_FIELD_X_FORWARDED_PROTO,
	HTTP_FIELD_X_FRAME_OPTIONS,
	HTTP_FIELD_X_POWERED_BY,
	HTTP_FIELD_X_REAL_IP,
	HTTP_FIELD_X_REQUEST_ID,
	HTTP_FIELD_COUNT,
};

struct http_field {
	struct span name;
	struct span value; /* without surrounding white space */
	enum http_field_id id;
};

/* Methods are case-sensitive (RFC 9110 section 9.1). */
enum http_method http_method_lookup(struct span name);
struct span http_method_name(enum http_method method); /* empty for HTTP_METHOD_OTHER */
/* GET, HEAD, OPTIONS, TRACE, QUERY (section 9.2.1); and those with PUT and DELETE (9.2.2). */
bool http_method_is_safe(enum http_method method);
bool http_method_is_idempotent(enum http_method method);

/* Names compare without case (section 5.1); a switch on length and first letter, no table walk. */
enum http_field_id http_field_lookup(struct span name);
/* The lower-case name; empty for HTTP_FIELD_OTHER. */
struct span http_field_name(enum http_field_id id);
/* Connection, Keep-Alive, Proxy-Connection, TE, Transfer-Encoding, Upgrade, HTTP2-Settings, ... */
bool http_field_is_hop_by_hop(enum http_field_id id);

/* Every byte is a tchar (section 5.6.2), and there is at least one. */
bool http_is_token(struct span s);
/*
 * The same name, or one that a service which hands fields on as variables (CGI, WSGI) could take for
 * it: case does not count, nor which byte stands where there is neither a letter nor a digit.
 */
bool http_field_names_alike(struct span a, struct span b);
/* No control bytes but HTAB, no DEL (section 5.5); obs-text is allowed. */
bool http_is_field_value(struct span s);
/* True when a comma-separated list holds the token, compared without case. */
bool http_list_has(struct span list, struct span token);
/* "OK", "Not Found", ...; "Unknown" for a number without a registered phrase. */
struct span http_reason_phrase(unsigned status);

#endif
