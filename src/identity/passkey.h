/*
 * passkey.h - WebAuthn credentials (passkeys): what a browser brings is checked by libfido2, without
 * a device. Attestation is not asked for. Private to src/identity.
 */
#ifndef IDENTITY_PASSKEY_H
#define IDENTITY_PASSKEY_H

#include "identity/web.h"

/* ---- checks (passkey.c); W3C Web Authentication Level 2 sections 7.1 and 7.2 ---- */

struct passkey_wanted {
	const char *type; /* "webauthn.create" or "webauthn.get" */
	struct span origin; /* of the page: the issuer */
	struct span challenge; /* base64url */
	bool user_verified; /* must be */
};

/* False: the client data are not of this ceremony; *why is a stable word. */
bool passkey_client_data(struct span json, const struct passkey_wanted *wanted,
			 struct arena *arena, const char **why);
/* A new credential out of an attestation object; all in the arena but the name. -1: *why. */
int passkey_created(struct span attestation_object, struct span client_data,
		    const struct passkey_wanted *wanted, struct arena *arena,
		    struct idp_passkey *key, const char **why) MUST_CHECK;
/*
 * An assertion with the key: its counter moves on. *verified: the authenticator has verified the
 * user. -1: *why; "counter": the key has been copied.
 */
int passkey_asserted(struct idp_passkey *key, struct span authenticator_data,
		     struct span client_data, struct span signature,
		     const struct passkey_wanted *wanted, struct arena *arena, bool *verified,
		     const char **why) MUST_CHECK;

/* ---- pages (web_passkey.c) ---- */

/*
 * A form with a button that the script brings to life; without scripts it stays hidden. With a
 * user: for one of the user's keys. Without: for whoever has a key here.
 */
void passkey_put_form(struct page *page, const char *action, struct span return_to,
		      const char *label, const struct idp_user *user);

#endif
