/* http_field.c - methods, field names, tokens and lists of RFC 9110. */
#include "parse/http_field.h"

#include "base/compiler.h"
#include "parse/http_field_name.h"
#include "parse/http_scan.h"

static const struct span method_names[HTTP_METHOD_COUNT] = {
	[HTTP_METHOD_GET] = SPAN_INIT("GET"),
	[HTTP_METHOD_HEAD] = SPAN_INIT("HEAD"),
	[HTTP_METHOD_POST] = SPAN_INIT("POST"),
	[HTTP_METHOD_PUT] = SPAN_INIT("PUT"),
	[HTTP_METHOD_DELETE] = SPAN_INIT("DELETE"),
	[HTTP_METHOD_CONNECT] = SPAN_INIT("CONNECT"),
	[HTTP_METHOD_OPTIONS] = SPAN_INIT("OPTIONS"),
	[HTTP_METHOD_TRACE] = SPAN_INIT("TRACE"),
	[HTTP_METHOD_PATCH] = SPAN_INIT("PATCH"),
	[HTTP_METHOD_QUERY] = SPAN_INIT("QUERY"),
};

enum http_method http_method_lookup(struct span name)
{
	const char *p = name.ptr;

	switch (name.len) {
	case 3:
		if (memcmp(p, "GET", 3) == 0)
			return HTTP_METHOD_GET;
		return memcmp(p, "PUT", 3) == 0 ? HTTP_METHOD_PUT : HTTP_METHOD_OTHER;
	case 4:
		if (memcmp(p, "POST", 4) == 0)
			return HTTP_METHOD_POST;
		return memcmp(p, "HEAD", 4) == 0 ? HTTP_METHOD_HEAD : HTTP_METHOD_OTHER;
	case 5:
		if (memcmp(p, "PATCH", 5) == 0)
			return HTTP_METHOD_PATCH;
		if (memcmp(p, "TRACE", 5) == 0)
			return HTTP_METHOD_TRACE;
		return memcmp(p, "QUERY", 5) == 0 ? HTTP_METHOD_QUERY : HTTP_METHOD_OTHER;
	case 6: return memcmp(p, "DELETE", 6) == 0 ? HTTP_METHOD_DELETE : HTTP_METHOD_OTHER;
	case 7:
		if (memcmp(p, "OPTIONS", 7) == 0)
			return HTTP_METHOD_OPTIONS;
		return memcmp(p, "CONNECT", 7) == 0 ? HTTP_METHOD_CONNECT : HTTP_METHOD_OTHER;
	}
	return HTTP_METHOD_OTHER;
}

struct span http_method_name(enum http_method method)
{
	return method < HTTP_METHOD_COUNT ? method_names[method] : SPAN_NONE;
}

bool http_method_is_safe(enum http_method method)
{
	switch (method) {
	case HTTP_METHOD_GET:
	case HTTP_METHOD_HEAD:
	case HTTP_METHOD_OPTIONS:
	case HTTP_METHOD_TRACE:
	case HTTP_METHOD_QUERY: return true;
	case HTTP_METHOD_OTHER:
	case HTTP_METHOD_POST:
	case HTTP_METHOD_PUT:
	case HTTP_METHOD_DELETE:
	case HTTP_METHOD_CONNECT:
	case HTTP_METHOD_PATCH:
	case HTTP_METHOD_COUNT: break;
	}
	return false;
}

bool http_method_is_idempotent(enum http_method method)
{
	return method == HTTP_METHOD_PUT || method == HTTP_METHOD_DELETE ||
	       http_method_is_safe(method);
}

static const struct span field_names[HTTP_FIELD_COUNT] = {
	[HTTP_FIELD_ACCEPT] = SPAN_INIT("accept"),
	[HTTP_FIELD_ACCEPT_ENCODING] = SPAN_INIT("accept-encoding"),
	[HTTP_FIELD_AGE] = SPAN_INIT("age"),
	[HTTP_FIELD_ALLOW] = SPAN_INIT("allow"),
	[HTTP_FIELD_ALT_SVC] = SPAN_INIT("alt-svc"),
	[HTTP_FIELD_AUTHORIZATION] = SPAN_INIT("authorization"),
	[HTTP_FIELD_CACHE_CONTROL] = SPAN_INIT("cache-control"),
	[HTTP_FIELD_CONNECTION] = SPAN_INIT("connection"),
	[HTTP_FIELD_CONTENT_ENCODING] = SPAN_INIT("content-encoding"),
	[HTTP_FIELD_CONTENT_LENGTH] = SPAN_INIT("content-length"),
	[HTTP_FIELD_CONTENT_SECURITY_POLICY] = SPAN_INIT("content-security-policy"),
	[HTTP_FIELD_CONTENT_TYPE] = SPAN_INIT("content-type"),
	[HTTP_FIELD_COOKIE] = SPAN_INIT("cookie"),
	[HTTP_FIELD_DATE] = SPAN_INIT("date"),
	[HTTP_FIELD_DPOP] = SPAN_INIT("dpop"),
	[HTTP_FIELD_ETAG] = SPAN_INIT("etag"),
	[HTTP_FIELD_EXPECT] = SPAN_INIT("expect"),
	[HTTP_FIELD_FORWARDED] = SPAN_INIT("forwarded"),
	[HTTP_FIELD_GRPC_TIMEOUT] = SPAN_INIT("grpc-timeout"),
	[HTTP_FIELD_HOST] = SPAN_INIT("host"),
	[HTTP_FIELD_HTTP2_SETTINGS] = SPAN_INIT("http2-settings"),
	[HTTP_FIELD_KEEP_ALIVE] = SPAN_INIT("keep-alive"),
	[HTTP_FIELD_LOCATION] = SPAN_INIT("location"),
	[HTTP_FIELD_ORIGIN] = SPAN_INIT("origin"),
	[HTTP_FIELD_PROXY_AUTHENTICATE] = SPAN_INIT("proxy-authenticate"),
	[HTTP_FIELD_PROXY_AUTHORIZATION] = SPAN_INIT("proxy-authorization"),
	[HTTP_FIELD_PROXY_CONNECTION] = SPAN_INIT("proxy-connection"),
	[HTTP_FIELD_RANGE] = SPAN_INIT("range"),
	[HTTP_FIELD_REFERER] = SPAN_INIT("referer"),
	[HTTP_FIELD_REFERRER_POLICY] = SPAN_INIT("referrer-policy"),
	[HTTP_FIELD_RETRY_AFTER] = SPAN_INIT("retry-after"),
	[HTTP_FIELD_SERVER] = SPAN_INIT("server"),
	[HTTP_FIELD_SET_COOKIE] = SPAN_INIT("set-cookie"),
	[HTTP_FIELD_STRICT_TRANSPORT_SECURITY] = SPAN_INIT("strict-transport-security"),
	[HTTP_FIELD_TE] = SPAN_INIT("te"),
	[HTTP_FIELD_TRACEPARENT] = SPAN_INIT("traceparent"),
	[HTTP_FIELD_TRACESTATE] = SPAN_INIT("tracestate"),
	[HTTP_FIELD_TRAILER] = SPAN_INIT("trailer"),
	[HTTP_FIELD_TRANSFER_ENCODING] = SPAN_INIT("transfer-encoding"),
	[HTTP_FIELD_UPGRADE] = SPAN_INIT("upgrade"),
	[HTTP_FIELD_USER_AGENT] = SPAN_INIT("user-agent"),
	[HTTP_FIELD_VARY] = SPAN_INIT("vary"),
	[HTTP_FIELD_VIA] = SPAN_INIT("via"),
	[HTTP_FIELD_WWW_AUTHENTICATE] = SPAN_INIT("www-authenticate"),
	[HTTP_FIELD_X_CONTENT_TYPE_OPTIONS] = SPAN_INIT("x-content-type-options"),
	[HTTP_FIELD_X_FORWARDED_FOR] = SPAN_INIT("x-forwarded-for"),
	[HTTP_FIELD_X_FORWARDED_HOST] = SPAN_INIT("x-forwarded-host"),
	[HTTP_FIELD_X_FORWARDED_PORT] = SPAN_INIT("x-forwarded-port"),
	[HTTP_FIELD_X_FORWARDED_PROTO] = SPAN_INIT("x-forwarded-proto"),
	[HTTP_FIELD_X_FRAME_OPTIONS] = SPAN_INIT("x-frame-options"),
	[HTTP_FIELD_X_POWERED_BY] = SPAN_INIT("x-powered-by"),
	[HTTP_FIELD_X_REAL_IP] = SPAN_INIT("x-real-ip"),
	[HTTP_FIELD_X_REQUEST_ID] = SPAN_INIT("x-request-id"),
};

enum http_field_id http_field_lookup(struct span name)
{
	return http_field_lookup_bytes(name.ptr, name.len);
}

struct span http_field_name(enum http_field_id id)
{
	return id < HTTP_FIELD_COUNT ? field_names[id] : SPAN_NONE;
}

bool http_field_is_hop_by_hop(enum http_field_id id)
{
	static const uint64_t set =
		1ULL << HTTP_FIELD_CONNECTION | 1ULL << HTTP_FIELD_KEEP_ALIVE |
		1ULL << HTTP_FIELD_PROXY_CONNECTION | 1ULL << HTTP_FIELD_PROXY_AUTHENTICATE |
		1ULL << HTTP_FIELD_PROXY_AUTHORIZATION | 1ULL << HTTP_FIELD_TE |
		1ULL << HTTP_FIELD_TRAILER | 1ULL << HTTP_FIELD_TRANSFER_ENCODING |
		1ULL << HTTP_FIELD_UPGRADE | 1ULL << HTTP_FIELD_HTTP2_SETTINGS;

	_Static_assert(HTTP_FIELD_COUNT <= 64, "a set of fields must fit 64 bits");
	return id < HTTP_FIELD_COUNT && (set >> id & 1);
}

bool http_is_token(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (!http_byte_is_token((unsigned char)s.ptr[i]))
			return false;
	}
	return s.len > 0;
}

bool http_field_names_alike(struct span a, struct span b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++) {
		unsigned char x = (unsigned char)a.ptr[i], y = (unsigned char)b.ptr[i];
		bool plain = http_byte_is_plain_name(x) && x != '-';

		if (plain ? ascii_lower((char)x) != ascii_lower((char)y)
			  : http_byte_is_plain_name(y) && y != '-')
			return false;
	}
	return true;
}

bool http_is_field_value(struct span s)
{
	if (s.len == 0)
		return true;
	return http_scan_value(s.ptr, s.ptr, s.ptr + s.len) == s.ptr + s.len;
}

/* Optional white space (RFC 9110 section 5.6.3) is taken off; unlike span_trim not CR and LF. */
static struct span trim_ows(struct span s)
{
	while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t')) {
		s.ptr++;
		s.len--;
	}
	while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
		s.len--;
	return s;
}

bool http_list_has(struct span list, struct span token)
{
	struct span rest = list;

	while (rest.ptr) {
		if (span_eq_nocase(trim_ows(span_cut(&rest, ',')), token))
			return true;
	}
	return false;
}

struct reason {
	unsigned short status;
	struct span phrase;
};

/* Ascending, as in the registry of RFC 9110 section 15 and its later additions. */
static const struct reason reasons[] = {
	{100, SPAN_INIT("Continue")},
	{101, SPAN_INIT("Switching Protocols")},
	{102, SPAN_INIT("Processing")},
	{103, SPAN_INIT("Early Hints")},
	{200, SPAN_INIT("OK")},
	{201, SPAN_INIT("Created")},
	{202, SPAN_INIT("Accepted")},
	{203, SPAN_INIT("Non-Authoritative Information")},
	{204, SPAN_INIT("No Content")},
	{205, SPAN_INIT("Reset Content")},
	{206, SPAN_INIT("Partial Content")},
	{207, SPAN_INIT("Multi-Status")},
	{208, SPAN_INIT("Already Reported")},
	{226, SPAN_INIT("IM Used")},
	{300, SPAN_INIT("Multiple Choices")},
	{301, SPAN_INIT("Moved Permanently")},
	{302, SPAN_INIT("Found")},
	{303, SPAN_INIT("See Other")},
	{304, SPAN_INIT("Not Modified")},
	{305, SPAN_INIT("Use Proxy")},
	{307, SPAN_INIT("Temporary Redirect")},
	{308, SPAN_INIT("Permanent Redirect")},
	{400, SPAN_INIT("Bad Request")},
	{401, SPAN_INIT("Unauthorized")},
	{402, SPAN_INIT("Payment Required")},
	{403, SPAN_INIT("Forbidden")},
	{404, SPAN_INIT("Not Found")},
	{405, SPAN_INIT("Method Not Allowed")},
	{406, SPAN_INIT("Not Acceptable")},
	{407, SPAN_INIT("Proxy Authentication Required")},
	{408, SPAN_INIT("Request Timeout")},
	{409, SPAN_INIT("Conflict")},
	{410, SPAN_INIT("Gone")},
	{411, SPAN_INIT("Length Required")},
	{412, SPAN_INIT("Precondition Failed")},
	{413, SPAN_INIT("Content Too Large")},
	{414, SPAN_INIT("URI Too Long")},
	{415, SPAN_INIT("Unsupported Media Type")},
	{416, SPAN_INIT("Range Not Satisfiable")},
	{417, SPAN_INIT("Expectation Failed")},
	{421, SPAN_INIT("Misdirected Request")},
	{422, SPAN_INIT("Unprocessable Content")},
	{423, SPAN_INIT("Locked")},
	{424, SPAN_INIT("Failed Dependency")},
	{425, SPAN_INIT("Too Early")},
	{426, SPAN_INIT("Upgrade Required")},
	{428, SPAN_INIT("Precondition Required")},
	{429, SPAN_INIT("Too Many Requests")},
	{431, SPAN_INIT("Request Header Fields Too Large")},
	{451, SPAN_INIT("Unavailable For Legal Reasons")},
	{500, SPAN_INIT("Internal Server Error")},
	{501, SPAN_INIT("Not Implemented")},
	{502, SPAN_INIT("Bad Gateway")},
	{503, SPAN_INIT("Service Unavailable")},
	{504, SPAN_INIT("Gateway Timeout")},
	{505, SPAN_INIT("HTTP Version Not Supported")},
	{506, SPAN_INIT("Variant Also Negotiates")},
	{507, SPAN_INIT("Insufficient Storage")},
	{508, SPAN_INIT("Loop Detected")},
	{511, SPAN_INIT("Network Authentication Required")},
};

struct span http_reason_phrase(unsigned status)
{
	size_t low = 0, high = COUNT_OF(reasons);

	if (LIKELY(status == 200))
		return SPAN("OK");
	while (low < high) {
		size_t middle = (low + high) / 2;

		if (reasons[middle].status < status)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < COUNT_OF(reasons) && reasons[low].status == status)
		return reasons[low].phrase;
	return SPAN("Unknown");
}
