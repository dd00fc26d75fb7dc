/* Signed links to decide on an approval. */
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/rand.h"
#include "base/secret.h"
#include "guard/approval.h"
#include "parse/base64.h"

#define KEY_KIND SPAN("approval-key")
#define KEY_NAME SPAN("links")
#define KEY_BYTES 32
#define MAC_BYTES 32
#define MAC_CHARS 43 /* in base64url */
#define APPROVER_BYTES_MAX 256

/* Makes the key when it is missing; of two that do, one wins, and both then read the same. */
static int read_key(struct store *store, struct arena *arena, struct span *key, struct err *err)
{
	for (int i = 0; i < 2; i++) {
		struct store_record record;
		unsigned char fresh[KEY_BYTES];
		struct store_change change = {.kind = KEY_KIND,
					      .key = KEY_NAME,
					      .expect = STORE_EXPECT_ABSENT,
					      .value = span_of(fresh, sizeof(fresh))};
		enum store_result result =
			store_get(store, KEY_KIND, KEY_NAME, arena, &record, err);

		if (result == STORE_OK && record.value.len == KEY_BYTES) {
			*key = record.value;
			return 0;
		}
		if (result == STORE_OK)
			return err_set(err, ERR_INVALID,
				       "the key of approval links is damaged");
		if (result == STORE_FAILED)
			return -1;
		rand_bytes(fresh, sizeof(fresh));
		result = store_commit(store, &change, 1, err);
		secret_wipe(fresh, sizeof(fresh));
		if (result == STORE_FAILED)
			return -1;
	}
	return err_set(err, ERR_UNAVAILABLE, "the key of approval links cannot be read back");
}

static int sign(struct span key, struct span text, char signature[MAC_CHARS], struct err *err)
{
	unsigned char mac[MAC_BYTES];
	unsigned len = 0;

	if (!HMAC(EVP_sha256(), key.ptr, (int)key.len, (const unsigned char *)text.ptr,
		  text.len, mac, &len))
		return err_set(err, ERR_MEMORY, "no memory for a signature");
	base64url_encode(signature, span_of(mac, len));
	return 0;
}

int approval_link_make(struct store *store, struct span id, struct span approver,
		       struct arena *arena, struct span *token, struct err *err)
{
	char name[(APPROVER_BYTES_MAX + 2) / 3 * 4];
	char signature[MAC_CHARS];
	struct span key, signed_part;

	if (approver.len == 0 || approver.len > APPROVER_BYTES_MAX)
		return err_set(err, ERR_INVALID, "an approver's name has 1 to %d bytes",
			       APPROVER_BYTES_MAX);
	if (read_key(store, arena, &key, err) < 0)
		return -1;
	signed_part = arena_printf(arena, "%.*s.%.*s", SPAN_ARG(id),
				   (int)base64url_encode(name, approver), name);
	if (!signed_part.ptr)
		return err_set(err, ERR_MEMORY, "no memory for a link");
	if (sign(key, signed_part, signature, err) < 0)
		return -1;
	*token = arena_printf(arena, "%.*s.%.*s", SPAN_ARG(signed_part), MAC_CHARS, signature);
	return token->ptr ? 0 : err_set(err, ERR_MEMORY, "no memory for a link");
}

enum approval_result approval_link_read(struct store *store, struct span token,
					struct arena *arena, struct span *id,
					struct span *approver, struct err *err)
{
	char expected[MAC_CHARS];
	struct span key, name, signed_part;
	size_t len = 0;
	char *decoded;

	if (token.len <= APPROVAL_ID_BYTES + 2 + MAC_CHARS ||
	    token.ptr[APPROVAL_ID_BYTES] != '.' || token.ptr[token.len - MAC_CHARS - 1] != '.')
		return APPROVAL_ABSENT;
	signed_part = span_slice(token, 0, token.len - MAC_CHARS - 1);
	if (read_key(store, arena, &key, err) < 0 || sign(key, signed_part, expected, err) < 0)
		return APPROVAL_FAILED;
	if (!secret_eq(span_slice(token, token.len - MAC_CHARS, token.len),
		       span_of(expected, MAC_CHARS)))
		return APPROVAL_ABSENT;
	name = span_slice(signed_part, APPROVAL_ID_BYTES + 1, signed_part.len);
	decoded = arena_alloc(arena, base64_decoded_max(name.len));
	if (!decoded) {
		err_set(err, ERR_MEMORY, "no memory for a link");
		return APPROVAL_FAILED;
	}
	if (!base64url_decode(decoded, &len, name))
		return APPROVAL_ABSENT;
	*id = span_slice(token, 0, APPROVAL_ID_BYTES);
	*approver = span_of(decoded, len);
	return APPROVAL_OK;
}
