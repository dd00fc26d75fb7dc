#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "io/tls_internal.h"

/* A name that is safe to log, compare and put into a header. */
static bool is_clean(struct span name)
{
	if (name.len == 0)
		return false;
	for (size_t i = 0; i < name.len; i++)
		if ((unsigned char)name.ptr[i] < 0x20 || name.ptr[i] == 0x7f)
			return false;
	return true;
}

static struct span string_span(const ASN1_STRING *string)
{
	return span_of(ASN1_STRING_get0_data(string), (size_t)ASN1_STRING_length(string));
}

/* RFC 4514: most specific first; control characters and specials are escaped, UTF-8 kept. */
static enum tls_peer put_name(struct span *to, const X509_NAME *name, struct arena *arena)
{
	unsigned long flags = XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB;
	BIO *bio = BIO_new(BIO_s_mem());
	enum tls_peer result = TLS_PEER_NO_MEMORY;
	char *text;
	long len;

	if (!bio)
		return result;
	if (X509_NAME_print_ex(bio, name, 0, flags) < 0) {
		result = TLS_PEER_UNUSABLE;
	} else {
		len = BIO_get_mem_data(bio, &text);
		*to = arena_dup(arena, span_of(text, (size_t)len));
		if (to->ptr)
			result = TLS_PEER_VERIFIED;
	}
	BIO_free(bio);
	return result;
}

static enum tls_peer add_name(struct span *to, size_t *count, struct span name, bool lower,
			      struct arena *arena)
{
	char *copy;

	if (!is_clean(name) || *count == TLS_NAMES_MAX)
		return TLS_PEER_UNUSABLE;
	copy = arena_alloc(arena, name.len + 1);
	if (!copy)
		return TLS_PEER_NO_MEMORY;
	for (size_t i = 0; i < name.len; i++)
		copy[i] = lower ? ascii_lower(name.ptr[i]) : name.ptr[i];
	copy[name.len] = '\0';
	to[(*count)++] = span_of(copy, name.len);
	return TLS_PEER_VERIFIED;
}

static enum tls_peer add_alternatives(struct tls_identity *identity, const GENERAL_NAMES *names,
				      struct arena *arena)
{
	enum tls_peer result = TLS_PEER_VERIFIED;

	for (int i = 0; i < sk_GENERAL_NAME_num(names) && result == TLS_PEER_VERIFIED; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type == GEN_URI)
			result = add_name(identity->uris, &identity->uri_count,
					  string_span(name->d.uniformResourceIdentifier), false,
					  arena);
		else if (name->type == GEN_DNS)
			result = add_name(identity->dns_names, &identity->dns_name_count,
					  string_span(name->d.dNSName), true, arena);
	}
	return result;
}

static enum tls_peer put_serial(struct tls_identity *identity, const X509 *certificate,
				struct arena *arena)
{
	BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), NULL);
	char *hex = number ? BN_bn2hex(number) : NULL;
	enum tls_peer result = TLS_PEER_NO_MEMORY;

	BN_free(number);
	if (!hex)
		return result;
	identity->serial = arena_dup(arena, span_cstr(hex));
	if (identity->serial.ptr) {
		char *digits = (char *)(uintptr_t)identity->serial.ptr;

		for (size_t i = 0; i < identity->serial.len; i++)
			digits[i] = ascii_lower(digits[i]);
		result = TLS_PEER_VERIFIED;
	}
	OPENSSL_free(hex);
	return result;
}

static enum tls_peer fill(struct tls_identity *identity, X509 *certificate, struct arena *arena)
{
	int critical;
	GENERAL_NAMES *names;
	enum tls_peer result;

	*identity = (struct tls_identity){.uri_count = 0};
	identity->not_after_s = tls_time_s(X509_get0_notAfter(certificate));
	if (X509_digest(certificate, EVP_sha256(), identity->thumbprint, NULL) != 1)
		return TLS_PEER_NO_MEMORY;
	result = put_name(&identity->subject, X509_get_subject_name(certificate), arena);
	if (result == TLS_PEER_VERIFIED)
		result = put_name(&identity->issuer, X509_get_issuer_name(certificate), arena);
	if (result == TLS_PEER_VERIFIED)
		result = put_serial(identity, certificate, arena);
	if (result != TLS_PEER_VERIFIED)
		return result;
	/* -1 in `critical` means "no such extension", anything else without names is broken. */
	names = X509_get_ext_d2i(certificate, NID_subject_alt_name, &critical, NULL);
	if (!names)
		return critical == -1 ? TLS_PEER_VERIFIED : TLS_PEER_UNUSABLE;
	result = add_alternatives(identity, names, arena);
	GENERAL_NAMES_free(names);
	return result;
}

enum tls_peer tls_peer_identity(const SSL *ssl, struct tls_identity *identity,
				struct arena *arena)
{
	X509 *certificate = SSL_get0_peer_certificate(ssl);
	enum tls_peer result;

	if (!certificate || !(SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER))
		return TLS_PEER_NONE;
	ERR_clear_error();
	result = fill(identity, certificate, arena);
	if (result == TLS_PEER_VERIFIED && SSL_get_verify_result(ssl) != X509_V_OK)
		result = TLS_PEER_UNVERIFIED;
	ERR_clear_error();
	return result;
}
