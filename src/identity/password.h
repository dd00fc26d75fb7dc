/*
 * password.h - passwords as argon2id hashes (RFC 9106) in their usual text form. Blocking: for
 * offload threads. Private to src/identity.
 */
#ifndef IDENTITY_PASSWORD_H
#define IDENTITY_PASSWORD_H

#include "base/arena.h"
#include "base/err.h"
#include "config/config.h"

#define PASSWORD_BYTES_MAX 1024

/* "$argon2id$v=19$m=...": in the arena; ptr NULL with *err. */
struct span password_hash(const struct config_password *config, struct span password,
			  struct arena *arena, struct err *err) MUST_CHECK;
/* Takes as long as one hash, whatever the answer; `hash` empty is nobody's password. */
bool password_verify(const struct config_password *config, struct span hash,
		     struct span password);
/* The hash was made with other parameters than those of the configuration. */
bool password_is_outdated(const struct config_password *config, struct span hash);

/* Why a new password is not taken, in one sentence for its owner; NULL: it is. Reads the file of
   known passwords. */
const char *password_problem(const struct config_password *config, struct span name,
			     struct span password);
/* 20 characters of a password that is used once; about 100 bits. */
#define PASSWORD_ONCE_SIZE 24
void password_once(char to[PASSWORD_ONCE_SIZE]);

#endif
