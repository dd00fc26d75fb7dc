/*
 * acr.h - how well somebody has shown who they are: from methods (`amr`, RFC 8176) to classes
 * (`acr`), for tokens, sessions and step-up (RFC 9470).
 *
 * Methods: "pwd" a password; "fed" another identity provider; "otp" a one-time code of an app, by
 * mail, or a recovery code; "sms" one by SMS; "pop" a passkey; "user" with the user verified by it.
 */
#ifndef IDENTITY_ACR_H
#define IDENTITY_ACR_H

#include "config/config_base.h"

/* Each includes those before it. */
enum idp_acr {
	IDP_ACR_NONE,
	IDP_ACR_PWD, /* "pwd": one factor */
	IDP_ACR_MFA, /* "mfa": two */
	IDP_ACR_PHR, /* "phr": a passkey that has verified the user, which no page can phish */
};

enum idp_acr idp_acr_of(const struct config_strings *methods);
/* "", "pwd", "mfa", "phr" */
const char *idp_acr_name(enum idp_acr acr);
/* The class of that name; IDP_ACR_NONE for others. */
enum idp_acr idp_acr_find(struct span name);
/*
 * What `acr_values` (space-separated, any of them will do) ask for at least: the lowest that is
 * known; IDP_ACR_NONE when none is known or asked for.
 */
enum idp_acr idp_acr_wanted(struct span acr_values);

#endif
