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

struct span throttle_device_name(struct span name, struct span device, struct arena *arena)
{
	return arena_printf(arena, "%.*s %.*s", SPAN_ARG(name), SPAN_ARG(device));
}

static enum store_result clear_devices(struct idp *idp, const struct idp_user *user,
				       struct arena *arena, struct err *err)
{
	struct span prefix = arena_printf(arena, "%.*s/", SPAN_ARG(user->id));
	struct store_page page = {.more = true};
	struct span after = SPAN_NONE;

	if (!prefix.ptr)
		return idp_no_memory(err);
	while (page.more) {
		if (store_list(idp->shared, SPAN("device-known"), prefix, after, STORE_PAGE_MAX,
			       arena, &page, err) != STORE_OK)
			return STORE_FAILED;
		for (size_t i = 0; i < page.count; i++) {
			struct span who =
				throttle_device_name(user->name, page.records[i].key, arena);

			if (!who.ptr)
				return idp_no_memory(err);
			if (throttle_clear(idp, THROTTLE_ACCOUNT, who, err) != STORE_OK)
				return STORE_FAILED;
			after = page.records[i].key;
		}
	}
	return STORE_OK;
}

enum store_result user_unlock(struct idp *idp, const struct idp_user *user, struct arena *arena,
			      struct err *err)
{
	if (throttle_clear(idp, THROTTLE_ACCOUNT, user->name, err) != STORE_OK ||
	    throttle_clear(idp, THROTTLE_FACTOR, user->id, err) != STORE_OK)
		return STORE_FAILED;
	for (size_t i = 0; i < user->links.count; i++)
		if (throttle_clear(idp, THROTTLE_ACCOUNT, user->links.at[i], err) != STORE_OK)
			return STORE_FAILED;
	return clear_devices(idp, user, arena, err);
}
