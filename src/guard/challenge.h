/*
 * challenge.h - what a client must send back to be let on: a text that only we can make, bound to
 * its address and to a time. To send it back shows that the client keeps cookies; with work it must
 * also have found a number with which the text's SHA-256 begins with `bits` zero bits (Hashcash,
 * Back 2002). Nothing is kept about clients: an HMAC-SHA256 (RFC 2104) says that the text is ours.
 *
 *   text = VALID-UNTIL "." MAC          pass = text, or with work: text "." NUMBER
 */
#ifndef GUARD_CHALLENGE_H
#define GUARD_CHALLENGE_H

#include "base/span.h"
#include "parse/address.h"

/* Room for a text, with a NUL, and for the longest pass. */
#define CHALLENGE_TEXT_SIZE 80
#define CHALLENGE_PASS_MAX 100

struct challenge {
	struct span key; /* of 16 bytes or more */
	uint32_t bits; /* 0: no work */
};

/*
 * A text for the client, good until then; IPv6 clients are one by their /64. False when OpenSSL is
 * out of memory. Any thread.
 */
bool challenge_make(const struct challenge *challenge, const struct address *client,
		    int64_t until_unix_s, char text[CHALLENGE_TEXT_SIZE]);
/* Whether the client may go on with this pass. Constant time in the MAC. Any thread. */
bool challenge_passes(const struct challenge *challenge, const struct address *client,
		      int64_t now_unix_s, struct span pass);

#endif
