/* oauth_authorize.h - a request to the authorization endpoint. For oauth_authorize.c and oauth_consent.c alone. */
#ifndef IDENTITY_OAUTH_AUTHORIZE_H
#define IDENTITY_OAUTH_AUTHORIZE_H

#include "identity/oauth.h"

enum response { RESPONSE_CODE = 1, RESPONSE_TOKEN = 2, RESPONSE_ID = 4 };

struct authorize {
	struct idp_exchange *x;
	struct form sent; /* as the browser sent it */
	struct form form; /* what is asked: the same, or what was pushed */
	struct oauth_pushed pushed;
	unsigned response; /* enum response; 0: not known yet */
	struct idp_client client;
	struct span redirect;
	struct span state;
	struct span scope;
	struct span resource;
	struct span challenge;
	struct idp_session session;
	struct idp_user user;
	bool posted; /* our consent page */
};

/* ---- oauth_authorize.c ---- */

/* Of what is asked; SPAN_NONE when it is not there. */
struct span authorize_param(const struct authorize *a, const char *name);
bool authorize_asks_prompt(const struct authorize *a, const char *word);
/* Sends the browser back to the client with an error; the description may be NULL. */
void authorize_refuse(struct authorize *a, const char *error, const char *description);

/* ---- oauth_consent.c ---- */

/* True when the request may go on; else it was answered. */
bool authorize_pass_consent(struct authorize *a);
/* Scheme, host and port, for the user to see and for the policy of a page's forms. */
struct span authorize_redirect_origin(struct span redirect);

#endif
