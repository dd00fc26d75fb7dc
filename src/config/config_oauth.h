/* config_oauth.h - what the OAuth 2.0 / OpenID Connect server does beyond the usual. See config.h. */
#ifndef CONFIG_CONFIG_OAUTH_H
#define CONFIG_CONFIG_OAUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/secret.h"
#include "config/config_base.h"

/* Demonstrating proof of possession (RFC 9449). */
struct config_dpop {
	bool nonce; /* proofs must carry one of ours */
	uint64_t window_ms; /* how far `iat` may be from now, either way */
};

/* Clients that register themselves (RFC 7591). */
struct config_registration {
	bool enabled;
	struct secret token; /* the initial access token; empty: anybody may */
	struct config_strings scopes; /* that such a client may ask for */
	struct config_strings grants;
	uint32_t per_hour; /* registrations an address */
	uint32_t clients; /* at most, of all that registered themselves */
};

/* Logout tokens for clients (OpenID Connect Back-Channel Logout). */
struct config_back_channel {
	uint64_t timeout_ms; /* of one attempt */
	uint64_t give_up_ms; /* no more attempts after this */
};

struct config_oauth {
	bool password_grant; /* RFC 9700 section 2.4: must not be used */
	bool implicit_grant; /* RFC 9700 section 2.1.2: should not be used */
	bool require_par; /* RFC 9126 section 5, of every client */
	uint64_t par_ms; /* life of a pushed request */
	uint64_t assertion_ms; /* a client's assertion may be valid for this long at most */
	struct span ca; /* file: PEM bundle for URLs of clients; empty: the system's */
	struct config_dpop dpop;
	struct config_registration registration;
	struct config_back_channel back_channel_logout;
};

#endif
