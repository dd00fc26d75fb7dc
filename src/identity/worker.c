#include "identity/worker.h"

#include "base/mem.h"

struct auth_worker *auth_worker_new(const struct auth_worker_options *options, struct err *err)
{
	struct auth_worker *worker = mem_zalloc(1, sizeof(*worker));

	if (!worker)
		goto fail;
	list_init(&worker->introspectors);
	list_init(&worker->introspections);
	worker->dns = options->dns;
	worker->now_unix_s = options->now_unix_s ? options->now_unix_s : loop_unix_s;
	worker->jws = jws_context_new(NULL);
	worker->patterns = pattern_scratch_new();
	pass_cache_init(&worker->passed, options->cache_entries);
	if (token_cache_init(&worker->tokens, options->cache_entries) == 0 && worker->jws &&
	    worker->patterns)
		return worker;
fail:
	auth_worker_free(worker);
	err_set(err, ERR_MEMORY, "no memory for a worker's tokens");
	return NULL;
}

void auth_worker_free(struct auth_worker *worker)
{
	if (!worker)
		return;
	auth_worker_flush(worker);
	token_cache_release(&worker->tokens);
	pass_cache_release(&worker->passed);
	regex_scratch_free(worker->patterns);
	jws_context_free(worker->jws);
	mem_free(worker);
}

void auth_worker_flush(struct auth_worker *worker)
{
	token_cache_flush(&worker->tokens);
	pass_cache_flush(&worker->passed);
	key_view_release(&worker->keys);
	introspect_flush(worker);
}

void auth_worker_read_stats(const struct auth_worker *worker, struct auth_worker_stats *stats)
{
	*stats = (struct auth_worker_stats){
		.hits = atomic_load_explicit(&worker->hits, memory_order_relaxed),
		.misses = atomic_load_explicit(&worker->misses, memory_order_relaxed),
		.evictions =
			atomic_load_explicit(&worker->tokens.evictions, memory_order_relaxed),
		.introspections = atomic_load_explicit(&worker->asked, memory_order_relaxed),
		.entries = atomic_load_explicit(&worker->tokens.live, memory_order_relaxed),
		.capacity = worker->tokens.sets * worker->tokens.ways,
	};
}

bool auth_worker_match(struct auth_worker *worker, struct regex *pattern, struct span text)
{
	return pattern_match(pattern, worker->patterns, text);
}

struct span auth_worker_passed_get(struct auth_worker *worker, uint64_t identity_serial,
				   uint64_t signer_serial, int64_t now_unix_s)
{
	return pass_cache_get(&worker->passed, identity_serial, signer_serial, now_unix_s);
}

void auth_worker_passed_put(struct auth_worker *worker, uint64_t identity_serial,
			    uint64_t signer_serial, struct span token,
			    int64_t fresh_until_unix_s)
{
	pass_cache_put(&worker->passed, identity_serial, signer_serial, token,
		       fresh_until_unix_s);
}

struct jws_context *auth_worker_jws(struct auth_worker *worker)
{
	return worker->jws;
}

int64_t auth_worker_now_unix_s(const struct auth_worker *worker)
{
	return worker->now_unix_s();
}
