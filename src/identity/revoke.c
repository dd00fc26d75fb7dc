/*
 * What was taken back before its time: tokens, grants and sessions by their ids. The list is in the
 * store for all replicas, and in memory for the question that each request asks.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "identity/idp_internal.h"
#include "identity/internal.h"

struct revoked {
	int64_t until_unix_ms;
	char id[];
};

/* With the lock held for writing. */
static int remember(struct idp *idp, struct span id, int64_t until_unix_ms)
{
	struct revoked *revoked = map_get(&idp->revoked, id);

	if (revoked) {
		if (until_unix_ms > revoked->until_unix_ms)
			revoked->until_unix_ms = until_unix_ms;
		return 0;
	}
	revoked = mem_alloc(sizeof(*revoked) + id.len + 1);
	if (!revoked)
		return -1;
	revoked->until_unix_ms = until_unix_ms;
	memcpy(revoked->id, id.ptr, id.len);
	revoked->id[id.len] = '\0';
	if (map_put(&idp->revoked, span_of(revoked->id, id.len), revoked) < 0) {
		mem_free(revoked);
		return -1;
	}
	atomic_store_explicit(&idp->revoked_count, idp->revoked.live, memory_order_release);
	return 0;
}

enum store_result idp_revoke(struct idp *idp, struct span id, int64_t until_unix_ms,
			     struct err *err)
{
	const struct store_change change = {.kind = SPAN("revoked"),
					    .key = id,
					    .value = SPAN("{}"),
					    .expires_unix_ms = until_unix_ms};
	int kept;

	if (store_commit(idp->shared, &change, 1, err) != STORE_OK)
		return STORE_FAILED;
	pthread_rwlock_wrlock(&idp->lock);
	kept = remember(idp, id, until_unix_ms);
	pthread_rwlock_unlock(&idp->lock);
	return kept < 0 ? idp_no_memory(err) : STORE_OK;
}

bool idp_is_revoked_id(struct idp *idp, struct span id)
{
	const struct revoked *revoked;
	bool is;

	/* Nearly always there is nothing in the list, and no lock to take. */
	if (!id.len || !atomic_load_explicit(&idp->revoked_count, memory_order_acquire))
		return false;
	pthread_rwlock_rdlock(&idp->lock);
	revoked = map_get(&idp->revoked, id);
	is = revoked && revoked->until_unix_ms > clock_unix_ms();
	pthread_rwlock_unlock(&idp->lock);
	return is;
}

bool idp_is_revoked(struct idp *idp, const struct identity *identity)
{
	const struct json *claims = identity->priv ? identity->priv->claims : NULL;

	if (!claims || !atomic_load_explicit(&idp->revoked_count, memory_order_acquire))
		return false;
	return idp_is_revoked_id(idp, json_text(claims, "jti")) ||
	       idp_is_revoked_id(idp, json_text(claims, "grant")) ||
	       idp_is_revoked_id(idp, json_text(claims, "sid"));
}

/* With the lock held for writing. */
static void forget_old(struct idp *idp)
{
	int64_t now_ms = clock_unix_ms();
	struct revoked *revoked;
	size_t cursor = 0;
	struct span key;

	while ((revoked = map_next(&idp->revoked, &cursor, &key))) {
		if (revoked->until_unix_ms > now_ms)
			continue;
		map_remove(&idp->revoked, key);
		mem_free(revoked);
	}
	atomic_store_explicit(&idp->revoked_count, idp->revoked.live, memory_order_release);
}

static enum store_result load_page(struct idp *idp, struct span *after, struct arena *arena,
				   bool *more, struct err *err)
{
	struct store_page page;
	int kept = 0;

	if (store_list(idp->shared, SPAN("revoked"), SPAN_NONE, *after, STORE_PAGE_MAX, arena,
		       &page, err) != STORE_OK)
		return STORE_FAILED;
	pthread_rwlock_wrlock(&idp->lock);
	for (size_t i = 0; i < page.count; i++)
		kept |= remember(idp, page.records[i].key, page.records[i].expires_unix_ms);
	pthread_rwlock_unlock(&idp->lock);
	if (page.count)
		*after = page.records[page.count - 1].key;
	*more = page.more;
	return kept < 0 ? idp_no_memory(err) : STORE_OK;
}

enum store_result revoke_load(struct idp *idp, struct err *err)
{
	enum store_result result = STORE_OK;
	struct span after = SPAN_NONE;
	struct arena arena;
	bool more = true;

	arena_init(&arena, (size_t)256 * 1024 * 1024, 65536);
	while (more && result == STORE_OK)
		result = load_page(idp, &after, &arena, &more, err);
	arena_release(&arena);
	pthread_rwlock_wrlock(&idp->lock);
	forget_old(idp);
	pthread_rwlock_unlock(&idp->lock);
	return result;
}

void revoke_release(struct idp *idp)
{
	struct revoked *revoked;
	size_t cursor = 0;
	struct span key;

	while ((revoked = map_next(&idp->revoked, &cursor, &key)))
		mem_free(revoked);
	map_release(&idp->revoked);
}
