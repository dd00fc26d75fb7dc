#include "guard/challenge.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>

#include "base/secret.h"
#include "parse/base64.h"

#define MAC_BYTES 32
#define MAC_TEXT_BYTES 43
#define NUMBER_DIGITS_MAX 19

struct signed_part {
	unsigned char client[16];
	int64_t until_unix_s;
	uint32_t bits;
	uint32_t zero; /* no byte of it is left to chance */
};
_Static_assert(sizeof(struct signed_part) == 32, "no padding");

static bool make_mac(const struct challenge *challenge, const struct address *client,
		     int64_t until_unix_s, char text[MAC_TEXT_BYTES])
{
	struct signed_part part = {.until_unix_s = until_unix_s, .bits = challenge->bits};
	unsigned char mac[MAC_BYTES];

	memcpy(part.client, client->bytes, address_is_ipv4(client) ? 16 : 8);
	if (!HMAC(EVP_sha256(), challenge->key.ptr, (int)challenge->key.len,
		  (const unsigned char *)&part, sizeof(part), mac, NULL))
		return false;
	return base64url_encode(text, span_of(mac, sizeof(mac))) == MAC_TEXT_BYTES;
}

bool challenge_make(const struct challenge *challenge, const struct address *client,
		    int64_t until_unix_s, char text[CHALLENGE_TEXT_SIZE])
{
	int len = snprintf(text, CHALLENGE_TEXT_SIZE, "%lld.", (long long)until_unix_s);

	if (!make_mac(challenge, client, until_unix_s, text + len))
		return false;
	text[len + MAC_TEXT_BYTES] = '\0';
	return true;
}

static bool begins_with_zeros(const unsigned char digest[32], uint32_t bits)
{
	for (uint32_t i = 0; i < bits / 8; i++)
		if (digest[i])
			return false;
	return bits % 8 == 0 || digest[bits / 8] >> (8 - bits % 8) == 0;
}

static bool has_work(struct span pass, uint32_t bits)
{
	unsigned char digest[EVP_MAX_MD_SIZE];

	return EVP_Digest(pass.ptr, pass.len, digest, NULL, EVP_sha256(), NULL) == 1 &&
	       begins_with_zeros(digest, bits);
}

static bool is_number(struct span text)
{
	if (text.len == 0 || text.len > NUMBER_DIGITS_MAX)
		return false;
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
	return true;
}

bool challenge_passes(const struct challenge *challenge, const struct address *client,
		      int64_t now_unix_s, struct span pass)
{
	struct span rest = pass;
	struct span until = span_cut(&rest, '.'), mac = span_cut(&rest, '.');
	char expected[MAC_TEXT_BYTES];
	uint64_t until_unix_s;

	if (pass.len > CHALLENGE_PASS_MAX || !is_number(until) ||
	    !span_to_u64(until, &until_unix_s) || until_unix_s > INT64_MAX ||
	    (int64_t)until_unix_s <= now_unix_s)
		return false;
	if (challenge->bits ? !is_number(rest) : rest.ptr != NULL)
		return false;
	return make_mac(challenge, client, (int64_t)until_unix_s, expected) &&
	       secret_eq(mac, span_of(expected, sizeof(expected))) &&
	       (!challenge->bits || has_work(pass, challenge->bits));
}
