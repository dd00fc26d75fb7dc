/* Tokens in the compact serialization. */
#include "parse/jws.h"

#include "parse/base64.h"
#include "parse/json_write.h"
#include "parse/jwk_internal.h"
#include "parse/jws_internal.h"

#define HEADER_BYTES_MAX 1024

const char *jws_result_name(enum jws_result result)
{
	static const char *const names[] = {
		[JWS_OK] = "ok",
		[JWS_MALFORMED] = "malformed",
		[JWS_BAD_ENCODING] = "bad_encoding",
		[JWS_BAD_HEADER] = "bad_header",
		[JWS_BAD_ALGORITHM] = "bad_algorithm",
		[JWS_DENIED_ALGORITHM] = "denied_algorithm",
		[JWS_CRITICAL] = "critical_extension",
		[JWS_BAD_TYPE] = "bad_type",
		[JWS_MISSING_KID] = "missing_kid",
		[JWS_UNKNOWN_KEY] = "unknown_key",
		[JWS_BAD_SIGNATURE] = "bad_signature",
		[JWS_NO_MEMORY] = "no_memory",
	};

	return names[result];
}

static enum jws_result decode_part(struct arena *a, struct span part, struct span *decoded)
{
	char *bytes = arena_alloc(a, base64_decoded_max(part.len));
	size_t len;

	if (!bytes)
		return JWS_NO_MEMORY;
	if (!base64url_decode(bytes, &len, part))
		return JWS_BAD_ENCODING;
	*decoded = span_of(bytes, len);
	return JWS_OK;
}

/* A member that may be missing (ptr NULL then) but must be a string when there. */
static bool optional_string(const struct json *object, struct span name, struct span *to)
{
	const struct json *value = json_get(object, name);

	*to = SPAN_NONE;
	return !value || json_string(value, to);
}

static enum jws_result read_header(struct arena *a, struct span text, struct jws *jws)
{
	static const struct json_limits limits = {
		.max_depth = 8, .max_string_bytes = 1 << 14, .max_number_bytes = 64};
	struct json_problem problem;
	struct span name;

	jws->header = json_parse_problem(a, text, &limits, &problem);
	if (!jws->header && problem.error == JSON_ERROR_MEMORY)
		return JWS_NO_MEMORY;
	if (!jws->header || jws->header->type != JSON_OBJECT ||
	    !json_string(json_get(jws->header, SPAN("alg")), &name) ||
	    !optional_string(jws->header, SPAN("kid"), &jws->kid) ||
	    !optional_string(jws->header, SPAN("typ"), &jws->typ))
		return JWS_BAD_HEADER;
	/* We understand no extension; `b64` (RFC 7797) would change what is signed. */
	if (json_get(jws->header, SPAN("crit")) || json_get(jws->header, SPAN("b64")))
		return JWS_CRITICAL;
	jws->algorithm = jws_algorithm_parse(name);
	return jws->algorithm ? JWS_OK : JWS_BAD_ALGORITHM;
}

enum jws_result jws_parse(struct arena *a, struct span token, struct jws *jws)
{
	size_t first = span_find_byte(token, '.');
	struct span rest = span_slice(token, first + 1, token.len);
	size_t second = span_find_byte(rest, '.');
	struct span signature = span_slice(rest, second + 1, rest.len);
	enum jws_result result;
	struct span header;

	*jws = (struct jws){0};
	if (first == 0 || first == token.len || second == rest.len ||
	    span_find_byte(signature, '.') < signature.len)
		return JWS_MALFORMED;
	jws->signing_input = span_slice(token, 0, first + 1 + second);
	result = decode_part(a, span_slice(token, 0, first), &header);
	if (result == JWS_OK)
		result = read_header(a, header, jws);
	if (result == JWS_OK)
		result = decode_part(a, span_slice(rest, 0, second), &jws->payload);
	if (result == JWS_OK)
		result = decode_part(a, signature, &jws->signature);
	return result;
}

bool jws_typ_fits(struct span typ, enum jws_typ wanted)
{
	struct span prefix = SPAN("application/");
	bool missing = !typ.ptr;

	if (span_eq_nocase(span_slice(typ, 0, prefix.len), prefix))
		typ = span_slice(typ, prefix.len, typ.len);
	switch (wanted) {
	case JWS_TYP_ANY: return true;
	case JWS_TYP_JWT:
		return missing || span_eq_nocase(typ, SPAN("JWT")) ||
		       span_eq_nocase(typ, SPAN("at+jwt"));
	case JWS_TYP_ACCESS: return span_eq_nocase(typ, SPAN("at+jwt"));
	}
	return false;
}

enum jws_result jws_verify(struct jws_context *c, const struct jws *jws,
			   const struct jwk_set *keys, const struct jws_policy *policy)
{
	if (!(policy->algorithms & jws->algorithm))
		return JWS_DENIED_ALGORITHM;
	if (!jws_typ_fits(jws->typ, policy->typ))
		return JWS_BAD_TYPE;
	if (policy->require_kid && !jws->kid.ptr)
		return JWS_MISSING_KID;
	return jws_verify_set(c, keys, jws->algorithm, jws->kid, jws->signing_input,
			      jws->signature);
}

/* ---- signing ---- */

static int append_encoded(struct buf *to, struct span bytes)
{
	if (buf_reserve(to, base64url_encoded_size(bytes.len)) < 0)
		return -1;
	to->len += base64url_encode(to->ptr + to->len, bytes);
	return 0;
}

int jws_write_header(const struct jws_signer *signer, struct buf *to)
{
	const char *algorithm = jws_algorithm_name(signer->algorithm);
	struct json_writer w;
	struct buf header;
	int result;

	if (!algorithm)
		return -1;
	buf_init(&header, HEADER_BYTES_MAX);
	json_writer_init(&w, &header);
	json_begin_object(&w);
	json_member_string(&w, SPAN("alg"), span_cstr(algorithm));
	if (signer->kid.len)
		json_member_string(&w, SPAN("kid"), signer->kid);
	if (signer->typ.len)
		json_member_string(&w, SPAN("typ"), signer->typ);
	json_end_object(&w);
	result = buf_failed(&header) ? -1 : append_encoded(to, buf_span(&header));
	buf_release(&header);
	return result < 0 ? -1 : buf_append_byte(to, '.');
}

int jws_sign(struct jws_context *c, const struct jws_signer *signer, struct span payload,
	     struct buf *to, struct err *err)
{
	uint8_t signature[JWS_SIGNATURE_BYTES_MAX];
	size_t start = to->len;
	size_t len;

	if (!jws_algorithm_name(signer->algorithm))
		return err_set(err, ERR_INVALID, "unknown signature algorithm");
	if ((signer->header.len ? buf_append(to, signer->header)
				: jws_write_header(signer, to)) < 0 ||
	    append_encoded(to, payload) < 0)
		goto no_room;
	len = jws_sign_bytes(c, signer, span_of(to->ptr + start, to->len - start), signature);
	if (!len) {
		to->len = start;
		return jwk_openssl_error(err, "the key cannot sign with this algorithm");
	}
	if (buf_append_byte(to, '.') < 0 || append_encoded(to, span_of(signature, len)) < 0)
		goto no_room;
	return 0;
no_room:
	to->len = start;
	return err_set(err, ERR_MEMORY, "no room for a signed token");
}
