/*
 * http_field_name.h - the number of a field name, inlined into the parser's loop. Private to
 * src/parse.
 */
#ifndef PARSE_HTTP_FIELD_NAME_H
#define PARSE_HTTP_FIELD_NAME_H

#include "base/compiler.h"
#include "parse/http_field.h"

static inline uint64_t http_load64(const char *p)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	return word;
}

static inline uint32_t http_load32(const char *p)
{
	uint32_t word;

	memcpy(&word, p, sizeof(word));
	return word;
}

static inline uint16_t http_load16(const char *p)
{
	uint16_t word;

	memcpy(&word, p, sizeof(word));
	return word;
}

/*
 * Of a lower-case word, bit 5 of its letters: they alone have bit 6, digits and '-' do not. Bytes that
 * are equal to it with these bits set are the same letters in any case, and the same other bytes.
 */
#define HTTP_FOLD(lower) ((lower) >> 1 & 0x2020202020202020ULL)
#define HTTP_DIFFERS(word, lower) (((word) | HTTP_FOLD(lower)) ^ (lower))

/*
 * `name` and `lower` are len ≥ 2 bytes, `lower` a lower-case literal and len a constant: the
 * compiler turns this into a few overlapping word comparisons.
 */
static inline __attribute__((always_inline)) bool http_token_is(const char *name,
								const char *lower, size_t len)
{
	uint64_t wrong = 0;
	size_t i = 0;

	if (len < 4)
		return (HTTP_DIFFERS(http_load16(name), http_load16(lower)) |
			HTTP_DIFFERS(http_load16(name + (len - 2)),
				     http_load16(lower + (len - 2)))) == 0;
	if (len < 8)
		return (HTTP_DIFFERS(http_load32(name), http_load32(lower)) |
			HTTP_DIFFERS(http_load32(name + (len - 4)),
				     http_load32(lower + (len - 4)))) == 0;
	for (; i + 8 <= len; i += 8)
		wrong |= HTTP_DIFFERS(http_load64(name + i), http_load64(lower + i));
	if (i < len)
		wrong |= HTTP_DIFFERS(http_load64(name + (len - 8)),
				      http_load64(lower + (len - 8)));
	return wrong == 0;
}

#define HTTP_NAME(id, lower)                                                                   \
	if (http_token_is(p, lower, sizeof(lower) - 1))                                        \
		return id;                                                                     \
	break

/* Any bytes may be asked for; those of which the answer is not HTTP_FIELD_OTHER are a token. */
HOT static inline enum http_field_id http_field_lookup_bytes(const char *p, size_t len)
{
#define FIRST (p[0] | 0x20)
	switch (len) {
	case 2: HTTP_NAME(HTTP_FIELD_TE, "te");
	case 3:
		if (FIRST == 'a') {
			HTTP_NAME(HTTP_FIELD_AGE, "age");
		}
		HTTP_NAME(HTTP_FIELD_VIA, "via");
	case 4:
		switch (FIRST) {
		case 'h': HTTP_NAME(HTTP_FIELD_HOST, "host");
		case 'd':
			if ((p[1] | 0x20) == 'a') {
				HTTP_NAME(HTTP_FIELD_DATE, "date");
			}
			HTTP_NAME(HTTP_FIELD_DPOP, "dpop");
		case 'e': HTTP_NAME(HTTP_FIELD_ETAG, "etag");
		case 'v': HTTP_NAME(HTTP_FIELD_VARY, "vary");
		}
		break;
	case 5:
		if (FIRST == 'a') {
			HTTP_NAME(HTTP_FIELD_ALLOW, "allow");
		}
		HTTP_NAME(HTTP_FIELD_RANGE, "range");
	case 6:
		switch (FIRST) {
		case 'a': HTTP_NAME(HTTP_FIELD_ACCEPT, "accept");
		case 'c': HTTP_NAME(HTTP_FIELD_COOKIE, "cookie");
		case 'e': HTTP_NAME(HTTP_FIELD_EXPECT, "expect");
		case 'o': HTTP_NAME(HTTP_FIELD_ORIGIN, "origin");
		case 's': HTTP_NAME(HTTP_FIELD_SERVER, "server");
		}
		break;
	case 7:
		switch (FIRST) {
		case 'a': HTTP_NAME(HTTP_FIELD_ALT_SVC, "alt-svc");
		case 'r': HTTP_NAME(HTTP_FIELD_REFERER, "referer");
		case 't': HTTP_NAME(HTTP_FIELD_TRAILER, "trailer");
		case 'u': HTTP_NAME(HTTP_FIELD_UPGRADE, "upgrade");
		}
		break;
	case 8: HTTP_NAME(HTTP_FIELD_LOCATION, "location");
	case 9:
		if (FIRST == 'x') {
			HTTP_NAME(HTTP_FIELD_X_REAL_IP, "x-real-ip");
		}
		HTTP_NAME(HTTP_FIELD_FORWARDED, "forwarded");
	case 10:
		switch (FIRST) {
		case 'c': HTTP_NAME(HTTP_FIELD_CONNECTION, "connection");
		case 'k': HTTP_NAME(HTTP_FIELD_KEEP_ALIVE, "keep-alive");
		case 's': HTTP_NAME(HTTP_FIELD_SET_COOKIE, "set-cookie");
		case 't': HTTP_NAME(HTTP_FIELD_TRACESTATE, "tracestate");
		case 'u': HTTP_NAME(HTTP_FIELD_USER_AGENT, "user-agent");
		}
		break;
	case 11:
		if (FIRST == 'r') {
			HTTP_NAME(HTTP_FIELD_RETRY_AFTER, "retry-after");
		}
		HTTP_NAME(HTTP_FIELD_TRACEPARENT, "traceparent");
	case 12:
		switch (FIRST) {
		case 'c': HTTP_NAME(HTTP_FIELD_CONTENT_TYPE, "content-type");
		case 'g': HTTP_NAME(HTTP_FIELD_GRPC_TIMEOUT, "grpc-timeout");
		case 'x':
			if ((p[2] | 0x20) == 'p') {
				HTTP_NAME(HTTP_FIELD_X_POWERED_BY, "x-powered-by");
			}
			HTTP_NAME(HTTP_FIELD_X_REQUEST_ID, "x-request-id");
		}
		break;
	case 13:
		if (FIRST == 'a') {
			HTTP_NAME(HTTP_FIELD_AUTHORIZATION, "authorization");
		}
		HTTP_NAME(HTTP_FIELD_CACHE_CONTROL, "cache-control");
	case 14:
		if (FIRST == 'c') {
			HTTP_NAME(HTTP_FIELD_CONTENT_LENGTH, "content-length");
		}
		HTTP_NAME(HTTP_FIELD_HTTP2_SETTINGS, "http2-settings");
	case 15:
		switch (FIRST) {
		case 'a': HTTP_NAME(HTTP_FIELD_ACCEPT_ENCODING, "accept-encoding");
		case 'r': HTTP_NAME(HTTP_FIELD_REFERRER_POLICY, "referrer-policy");
		case 'x':
			if ((p[3] | 0x20) == 'o') {
				HTTP_NAME(HTTP_FIELD_X_FORWARDED_FOR, "x-forwarded-for");
			}
			HTTP_NAME(HTTP_FIELD_X_FRAME_OPTIONS, "x-frame-options");
		}
		break;
	case 16:
		switch (FIRST) {
		case 'c': HTTP_NAME(HTTP_FIELD_CONTENT_ENCODING, "content-encoding");
		case 'p': HTTP_NAME(HTTP_FIELD_PROXY_CONNECTION, "proxy-connection");
		case 'w': HTTP_NAME(HTTP_FIELD_WWW_AUTHENTICATE, "www-authenticate");
		case 'x':
			if ((p[12] | 0x20) == 'h') {
				HTTP_NAME(HTTP_FIELD_X_FORWARDED_HOST, "x-forwarded-host");
			}
			HTTP_NAME(HTTP_FIELD_X_FORWARDED_PORT, "x-forwarded-port");
		}
		break;
	case 17:
		if (FIRST == 't') {
			HTTP_NAME(HTTP_FIELD_TRANSFER_ENCODING, "transfer-encoding");
		}
		HTTP_NAME(HTTP_FIELD_X_FORWARDED_PROTO, "x-forwarded-proto");
	case 18: HTTP_NAME(HTTP_FIELD_PROXY_AUTHENTICATE, "proxy-authenticate");
	case 19: HTTP_NAME(HTTP_FIELD_PROXY_AUTHORIZATION, "proxy-authorization");
	case 22: HTTP_NAME(HTTP_FIELD_X_CONTENT_TYPE_OPTIONS, "x-content-type-options");
	case 23: HTTP_NAME(HTTP_FIELD_CONTENT_SECURITY_POLICY, "content-security-policy");
	case 25: HTTP_NAME(HTTP_FIELD_STRICT_TRANSPORT_SECURITY, "strict-transport-security");
	}
	return HTTP_FIELD_OTHER;
#undef FIRST
}

#undef HTTP_NAME

#endif
