/*
 * Against guessing: failures are counted, and waited for, in the store, so that all replicas count
 * together. Names are hashed: what is typed into a form ends up in no key.
 */
#include "base/clock.h"
#include "identity/idp_internal.h"

/* A count that is not added to for this long is forgotten. */
#define FORGET_MS ((int64_t)24 * 3600 * 1000)
#define ADDRESS_FACTOR 10
#define DOUBLINGS_MAX 40

static const char *const words[] = {
	[THROTTLE_ACCOUNT] = "account",
	[THROTTLE_ADDRESS] = "address",
	[THROTTLE_FACTOR] = "factor",
	[THROTTLE_CLIENT] = "client",
};

struct throttle_key {
	char text[96];
	size_t len;
};

static struct span key_of(struct throttle_key *key, const char *what, enum throttle_kind kind,
			  struct span who)
{
	char digest[DIGEST_HEX_SIZE];

	digest_hex(digest, who);
	key->len = (size_t)snprintf(key->text, sizeof(key->text), "%s/%s/%s", what, words[kind],
				    digest);
	return span_of(key->text, key->len);
}

enum store_result throttle_check(struct idp *idp, enum throttle_kind kind, struct span who,
				 int64_t *wait_ms, struct err *err)
{
	struct throttle_key key;
	struct store_counter wait;

	if (store_count_get(idp->shared, key_of(&key, "wait", kind, who), &wait, err) !=
	    STORE_OK)
		return STORE_FAILED;
	*wait_ms = wait.value ? wait.expires_unix_ms - clock_unix_ms() : 0;
	if (wait.value && *wait_ms < 1)
		*wait_ms = 1;
	return STORE_OK;
}

static int64_t wait_after(const struct config_lockout *config, int64_t failures, int64_t free)
{
	int64_t doublings = failures - free;
	uint64_t wait_ms = config->wait_ms;

	if (doublings < 0)
		return 0;
	for (int64_t i = 0; i < doublings && i < DOUBLINGS_MAX && wait_ms < config->max_wait_ms;
	     i++)
		wait_ms *= 2;
	return (int64_t)(wait_ms < config->max_wait_ms ? wait_ms : config->max_wait_ms);
}

enum store_result throttle_fail(struct idp *idp, const struct config_lockout *config,
				enum throttle_kind kind, struct span who, int64_t *wait_ms,
				struct err *err)
{
	int64_t free =
		(int64_t)config->failures * (kind == THROTTLE_ADDRESS ? ADDRESS_FACTOR : 1);
	struct store_counter failures, wait;
	struct throttle_key key;

	*wait_ms = 0;
	if (store_count(idp->shared, key_of(&key, "fail", kind, who), 1,
			FORGET_MS + (int64_t)config->max_wait_ms, STORE_COUNT_SLIDING,
			&failures, err) != STORE_OK)
		return STORE_FAILED;
	*wait_ms = wait_after(config, failures.value, free);
	if (!*wait_ms)
		return STORE_OK;
	return store_count(idp->shared, key_of(&key, "wait", kind, who), 1, *wait_ms,
			   STORE_COUNT_SLIDING, &wait, err);
}

enum store_result throttle_clear(struct idp *idp, enum throttle_kind kind, struct span who,
				 struct err *err)
{
	struct throttle_key key;

	if (store_count_clear(idp->shared, key_of(&key, "fail", kind, who), err) != STORE_OK)
		return STORE_FAILED;
	return store_count_clear(idp->shared, key_of(&key, "wait", kind, who), err);
}
