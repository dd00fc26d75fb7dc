#include "identity/passkey.h"

#include <fido.h>
#include <fido/eddsa.h>
#include <fido/es256.h>
#include <fido/rs256.h>
#include <openssl/sha.h>

#include "parse/base64.h"
#include "parse/cbor.h"

#define DATA_BYTES_MAX ((size_t)16 * 1024)
#define AUTHENTICATOR_DATA_MIN 37
#define FLAG_USER_PRESENT 0x01
#define FLAG_USER_VERIFIED 0x04

static const int algorithms[] = {COSE_ES256, COSE_EDDSA, COSE_RS256};

static void hash_of(unsigned char to[SHA256_DIGEST_LENGTH], struct span text)
{
	SHA256((const unsigned char *)text.ptr, text.len, to);
}

/* The host of the origin is what keys are bound to. */
static struct span rp_id(struct span origin)
{
	struct span host = span_slice(origin, span_find(origin, SPAN("://")) + 3, origin.len);

	return span_slice(host, 0, span_find_byte(host, ':'));
}

bool passkey_client_data(struct span json, const struct passkey_wanted *wanted,
			 struct arena *arena, const char **why)
{
	const struct json *object = NULL;
	bool cross = false;

	*why = "client_data";
	if (json.len <= DATA_BYTES_MAX)
		object = json_parse(arena, json, NULL, NULL);
	if (!object || object->type != JSON_OBJECT ||
	    !json_is(json_get(object, SPAN("type")), span_cstr(wanted->type)))
		return false;
	*why = "challenge";
	if (!secret_eq(json_text(object, "challenge"), wanted->challenge))
		return false;
	*why = "origin";
	if (!json_is(json_get(object, SPAN("origin")), wanted->origin))
		return false;
	/* In a frame of another site, which our pages do not allow. */
	(void)json_bool(json_get(object, SPAN("crossOrigin")), &cross);
	return !cross;
}

/* Sections 7.1 and 7.2: for whom, by a user who is present, and verified where that is wanted. */
static bool check_flags(struct span data, const struct passkey_wanted *wanted, bool *verified,
			const char **why)
{
	unsigned char hash[SHA256_DIGEST_LENGTH];
	unsigned char flags;

	*why = "authenticator_data";
	if (data.len < AUTHENTICATOR_DATA_MIN || data.len > DATA_BYTES_MAX)
		return false;
	*why = "rp_id";
	hash_of(hash, rp_id(wanted->origin));
	if (memcmp(data.ptr, hash, sizeof(hash)) != 0)
		return false;
	flags = (unsigned char)data.ptr[32];
	*verified = (flags & FLAG_USER_VERIFIED) != 0;
	*why = "user_presence";
	if (!(flags & FLAG_USER_PRESENT))
		return false;
	*why = "user_verification";
	return *verified || !wanted->user_verified;
}

static struct span encode(struct arena *arena, const unsigned char *bytes, size_t len)
{
	size_t size = base64url_encoded_size(len);
	char *text = arena_alloc(arena, size + 1);

	if (!text)
		return SPAN_NONE;
	base64url_encode(text, span_of(bytes, len));
	text[size] = '\0';
	return span_of(text, size);
}

static struct span decode(struct arena *arena, struct span text)
{
	size_t len = 0;
	char *bytes = arena_alloc(arena, base64_decoded_max(text.len) + 1);

	if (!bytes || text.len > DATA_BYTES_MAX * 2 || !base64url_decode(bytes, &len, text))
		return SPAN_NONE;
	return span_of(bytes, len);
}

/*
 * The object holds one key, whose algorithm is not known before it is read. Its attestation
 * statement was not asked for, and is not looked at (section 7.1 step 21, "none").
 */
static fido_cred_t *read_credential(struct span object)
{
	struct cbor_item data;

	if (!cbor_map_get(object, SPAN("authData"), &data) || data.type != CBOR_BYTES)
		return NULL;
	for (size_t i = 0; i < COUNT_OF(algorithms); i++) {
		fido_cred_t *cred = fido_cred_new();

		if (cred && fido_cred_set_type(cred, algorithms[i]) == FIDO_OK &&
		    fido_cred_set_authdata_raw(cred, (const unsigned char *)data.content.ptr,
					       data.content.len) == FIDO_OK &&
		    fido_cred_type(cred) == algorithms[i])
			return cred;
		fido_cred_free(&cred);
	}
	return NULL;
}

static int take_credential(const fido_cred_t *cred, const struct passkey_wanted *wanted,
			   struct arena *arena, struct idp_passkey *key, const char **why)
{
	struct span data =
		span_of(fido_cred_authdata_raw_ptr(cred), fido_cred_authdata_raw_len(cred));
	bool verified;

	if (!data.ptr || !check_flags(data, wanted, &verified, why))
		return -1;
	*why = "credential";
	if (!fido_cred_id_len(cred) || fido_cred_id_len(cred) > 1023 ||
	    !fido_cred_pubkey_len(cred))
		return -1;
	key->id = encode(arena, fido_cred_id_ptr(cred), fido_cred_id_len(cred));
	key->key = encode(arena, fido_cred_pubkey_ptr(cred), fido_cred_pubkey_len(cred));
	key->algorithm = fido_cred_type(cred);
	key->counter = fido_cred_sigcount(cred);
	*why = "no_memory";
	return key->id.ptr && key->key.ptr ? 0 : -1;
}

int passkey_created(struct span attestation_object, struct span client_data,
		    const struct passkey_wanted *wanted, struct arena *arena,
		    struct idp_passkey *key, const char **why)
{
	struct span object = decode(arena, attestation_object);
	struct span json = decode(arena, client_data);
	fido_cred_t *cred;
	int result;

	*why = "encoding";
	if (!object.ptr || !json.ptr || object.len > DATA_BYTES_MAX ||
	    !passkey_client_data(json, wanted, arena, why))
		return -1;
	*why = "attestation_object";
	cred = read_credential(object);
	if (!cred)
		return -1;
	result = take_credential(cred, wanted, arena, key, why);
	fido_cred_free(&cred);
	return result;
}

/* Checks rpIdHash, flags and the signature over authenticator data and client data. */
static int verify_with(const struct idp_passkey *key, fido_assert_t *assertion, struct span raw)
{
	int result = FIDO_ERR_INVALID_ARGUMENT;

	if (key->algorithm == COSE_ES256) {
		es256_pk_t *pk = es256_pk_new();

		if (pk && es256_pk_from_ptr(pk, raw.ptr, raw.len) == FIDO_OK)
			result = fido_assert_verify(assertion, 0, COSE_ES256, pk);
		es256_pk_free(&pk);
	} else if (key->algorithm == COSE_EDDSA) {
		eddsa_pk_t *pk = eddsa_pk_new();

		if (pk && eddsa_pk_from_ptr(pk, raw.ptr, raw.len) == FIDO_OK)
			result = fido_assert_verify(assertion, 0, COSE_EDDSA, pk);
		eddsa_pk_free(&pk);
	} else if (key->algorithm == COSE_RS256) {
		rs256_pk_t *pk = rs256_pk_new();

		if (pk && rs256_pk_from_ptr(pk, raw.ptr, raw.len) == FIDO_OK)
			result = fido_assert_verify(assertion, 0, COSE_RS256, pk);
		rs256_pk_free(&pk);
	}
	return result;
}

static int verify(const struct idp_passkey *key, struct span data, struct span json,
		  struct span signature, struct span id, struct arena *arena)
{
	struct span raw = decode(arena, key->key);
	unsigned char hash[SHA256_DIGEST_LENGTH];
	fido_assert_t *assertion = fido_assert_new();
	int result = -1;

	hash_of(hash, json);
	if (assertion && raw.ptr && fido_assert_set_count(assertion, 1) == FIDO_OK &&
	    fido_assert_set_rp(assertion, id.ptr) == FIDO_OK &&
	    fido_assert_set_clientdata_hash(assertion, hash, sizeof(hash)) == FIDO_OK &&
	    fido_assert_set_authdata_raw(assertion, 0, (const unsigned char *)data.ptr,
					 data.len) == FIDO_OK &&
	    fido_assert_set_sig(assertion, 0, (const unsigned char *)signature.ptr,
				signature.len) == FIDO_OK &&
	    fido_assert_set_up(assertion, FIDO_OPT_TRUE) == FIDO_OK &&
	    verify_with(key, assertion, raw) == FIDO_OK)
		result = 0;
	fido_assert_free(&assertion);
	return result;
}

/* Big endian, after the flags. */
static int64_t counter_of(struct span data)
{
	int64_t counter = 0;

	for (size_t i = 33; i < AUTHENTICATOR_DATA_MIN; i++)
		counter = counter << 8 | (unsigned char)data.ptr[i];
	return counter;
}

int passkey_asserted(struct idp_passkey *key, struct span authenticator_data,
		     struct span client_data, struct span signature,
		     const struct passkey_wanted *wanted, struct arena *arena, bool *verified,
		     const char **why)
{
	struct span data = decode(arena, authenticator_data);
	struct span json = decode(arena, client_data);
	struct span sig = decode(arena, signature);
	struct span id = arena_dup(arena, rp_id(wanted->origin));
	int64_t counter;

	*why = "encoding";
	if (!data.ptr || !json.ptr || !sig.ptr || !id.ptr ||
	    !passkey_client_data(json, wanted, arena, why) ||
	    !check_flags(data, wanted, verified, why))
		return -1;
	*why = "signature";
	if (verify(key, data, json, sig, id, arena) < 0)
		return -1;
	/* Section 6.1.1: keys that do not count say 0 each time. */
	counter = counter_of(data);
	*why = "counter";
	if ((counter || key->counter) && counter <= key->counter)
		return -1;
	key->counter = counter;
	return 0;
}
