#include "identity/opaque.h"

#include <openssl/evp.h>

#include "base/mem.h"
#include "base/rand.h"
#include "parse/base64.h"

#define SALT_BYTES 16
#define TAG_BYTES 16
#define CLAIMS_BYTES_MAX ((size_t)12 * 1024)

/*
 * A key of its own for each token, from the vault's and a random salt: there is no count of tokens
 * after which one key has been used with the same nonce (AES-GCM) twice.
 */
static bool crypt_with_salt(const struct vault *vault, bool seal, const unsigned char *salt,
			    struct span from, unsigned char *to, unsigned char *tag)
{
	static const unsigned char nonce[12];
	EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
	unsigned char key[VAULT_MAC_BYTES];
	int len = 0;
	bool done;

	done = context && vault_mac(vault, SPAN("opaque"), span_of(salt, SALT_BYTES), key) &&
	       EVP_CipherInit_ex(context, EVP_aes_256_gcm(), NULL, key, nonce, seal) == 1 &&
	       EVP_CipherUpdate(context, to, &len, (const unsigned char *)from.ptr,
				(int)from.len) == 1 &&
	       (seal ||
		EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, tag) == 1) &&
	       EVP_CipherFinal_ex(context, to + len, &len) == 1 &&
	       (!seal ||
		EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, tag) == 1);
	secret_wipe(key, sizeof(key));
	EVP_CIPHER_CTX_free(context);
	return done;
}

int opaque_seal(const struct vault *vault, struct span claims, struct buf *to)
{
	size_t size = SALT_BYTES + claims.len + TAG_BYTES;
	unsigned char *sealed;
	char *text;
	int result = -1;

	if (claims.len > CLAIMS_BYTES_MAX)
		return -1;
	sealed = mem_alloc(size);
	text = mem_alloc(base64url_encoded_size(size));
	if (sealed && text) {
		rand_bytes(sealed, SALT_BYTES);
		if (crypt_with_salt(vault, true, sealed, claims, sealed + SALT_BYTES,
				    sealed + SALT_BYTES + claims.len) &&
		    buf_append_cstr(to, OPAQUE_PREFIX) == 0)
			result = buf_append(
				to,
				span_of(text, base64url_encode(text, span_of(sealed, size))));
	}
	mem_free(sealed);
	mem_free(text);
	return result;
}

struct span opaque_open(const struct vault *vault, struct span token, struct arena *arena)
{
	struct span text = span_slice(token, SPAN(OPAQUE_PREFIX).len, token.len);
	unsigned char *bytes, *claims;
	size_t len = 0;

	if (!opaque_is(token) || text.len > 2 * CLAIMS_BYTES_MAX)
		return SPAN_NONE;
	bytes = arena_alloc(arena, base64_decoded_max(text.len) + 1);
	claims = arena_alloc(arena, base64_decoded_max(text.len) + 1);
	if (!bytes || !claims || !base64url_decode(bytes, &len, text) ||
	    len <= SALT_BYTES + TAG_BYTES)
		return SPAN_NONE;
	len -= SALT_BYTES + TAG_BYTES;
	if (!crypt_with_salt(vault, false, bytes, span_of(bytes + SALT_BYTES, len), claims,
			     bytes + SALT_BYTES + len))
		return SPAN_NONE;
	return span_of(claims, len);
}
