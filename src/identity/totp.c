/* Time-based one-time passwords (RFC 6238: SHA-1, 30 s, 6 digits) by liboath; recovery codes. */
#include <liboath/oath.h>

#include "base/rand.h"
#include "identity/idp_internal.h"

#define SECRET_BYTES 20
#define STEP_S 30
#define DIGITS 6

struct span totp_new_secret(struct arena *arena)
{
	unsigned char bytes[SECRET_BYTES];
	struct span copy = SPAN_NONE;
	char *text = NULL;
	size_t len = 0;

	rand_bytes(bytes, sizeof(bytes));
	if (oath_base32_encode((const char *)bytes, sizeof(bytes), &text, &len) == OATH_OK)
		copy = arena_dup(arena, span_of(text, len));
	secret_wipe(bytes, sizeof(bytes));
	if (text)
		secret_wipe(text, len);
	free(text);
	return copy;
}

/* All three are computed and compared, whichever fits. */
int64_t totp_check(struct span secret_base32, struct span code, int64_t last,
		   int64_t now_unix_s)
{
	int64_t now = now_unix_s / STEP_S, found = 0;
	char otp[DIGITS + 1];
	char *secret = NULL;
	size_t len = 0;

	if (oath_base32_decode(secret_base32.ptr, secret_base32.len, &secret, &len) != OATH_OK)
		return 0;
	for (int64_t step = now - 1; step <= now + 1; step++) {
		if (oath_hotp_generate(secret, len, (uint64_t)step, DIGITS, false,
				       OATH_HOTP_DYNAMIC_TRUNCATION, otp) != OATH_OK)
			break;
		if (secret_eq(code, span_of(otp, DIGITS)) && step > last)
			found = step;
	}
	secret_wipe(secret, len);
	free(secret);
	return found;
}

int totp_recovery(struct arena *arena, struct config_strings *codes,
		  struct config_strings *digests)
{
	static const char letters[] = "abcdefghijkmnpqrstuvwxyz23456789";
	char text[12], digest[DIGEST_HEX_SIZE];

	codes->at = arena_array(arena, struct span, TOTP_RECOVERY_CODES);
	digests->at = arena_array(arena, struct span, TOTP_RECOVERY_CODES);
	if (!codes->at || !digests->at)
		return -1;
	codes->count = digests->count = TOTP_RECOVERY_CODES;
	for (size_t i = 0; i < TOTP_RECOVERY_CODES; i++) {
		for (size_t j = 0; j < 11; j++)
			text[j] = j == 5 ? '-' : letters[rand_below(sizeof(letters) - 1)];
		text[11] = '\0';
		digest_hex(digest, span_cstr(text));
		codes->at[i] = arena_dup(arena, span_cstr(text));
		digests->at[i] = arena_dup(arena, span_cstr(digest));
		if (!codes->at[i].ptr || !digests->at[i].ptr)
			return -1;
	}
	return 0;
}

bool totp_recovery_use(struct config_strings *digests, struct span code)
{
	char digest[DIGEST_HEX_SIZE];

	digest_hex(digest, code);
	for (size_t i = 0; i < digests->count; i++) {
		if (!secret_eq(digests->at[i], span_cstr(digest)))
			continue;
		digests->at[i] = digests->at[--digests->count];
		return true;
	}
	return false;
}
