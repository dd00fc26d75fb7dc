#include "registry/registry.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/hex.h"
#include "base/mem.h"
#include "registry/cache.h"
#include "registry/decision.h"
#include "registry/upstream.h"
#include "supply/pattern.h"
#include "supply/purl.h"

#include <openssl/evp.h>

#define FLIGHTS 64
#define JUDGE_LOOK_MS 1000
#define AWAY_MS 3000

struct counters {
	_Atomic uint64_t indexes, files, refused, failed, upstream_requests, upstream_failures,
		cache_hits;
};

struct source {
	const struct registry_protocol *protocol;
	struct upstream *upstream;
	_Atomic int64_t
		away_until_ms; /* of clock_ms(): until then it is not asked for indexes */
};

struct registry {
	_Atomic unsigned references;
	struct config *cfg;
	struct store *store;
	int cache;
	struct source *sources; /* one an upstream of the configuration */
	/* Requests for the same thing wait for the first of them. */
	pthread_mutex_t flights[FLIGHTS];
	/* The judge of now; who uses one holds a reference. */
	pthread_mutex_t lock;
	struct open_judge *judge;
	int64_t looked_ms;
	struct counters counters;
};

/* ---- the judge ------------------------------------------------------------------------------- */

struct open_judge {
	struct judge *judge;
	uint64_t state;
	unsigned references; /* guarded by the registry's lock */
};

static void drop_judge(struct open_judge *judge)
{
	if (judge && --judge->references == 0) {
		judge_close(judge->judge);
		mem_free(judge);
	}
}

static struct open_judge *open_judge(const struct registry *registry, struct err *err)
{
	const struct config_registry *config = registry->cfg->registry;
	const struct judge_files files = {config->database.ptr,
					  config->policy.len ? config->policy.ptr : NULL};
	struct open_judge *judge = mem_zalloc(1, sizeof(*judge));

	if (!judge) {
		(void)err_set(err, ERR_MEMORY, "out of memory");
		return NULL;
	}
	judge->judge = judge_open(&files, err);
	if (!judge->judge) {
		mem_free(judge);
		return NULL;
	}
	judge->state = judge_files_state(judge->judge);
	judge->references = 1;
	return judge;
}

/* Looks once a second whether the files are other ones. Those that cannot be read leave the last. */
static void look_again(struct registry *registry, struct err *err)
{
	int64_t now_ms = clock_ms();
	struct open_judge *next;

	if (registry->judge && now_ms - registry->looked_ms < JUDGE_LOOK_MS)
		return;
	registry->looked_ms = now_ms;
	if (registry->judge &&
	    judge_files_state(registry->judge->judge) == registry->judge->state)
		return;
	next = open_judge(registry, err);
	if (!next)
		return;
	drop_judge(registry->judge);
	registry->judge = next;
}

/* NULL with *err when there has never been one that could be used. */
static struct open_judge *use_judge(struct registry *registry, struct err *err)
{
	struct open_judge *judge;

	pthread_mutex_lock(&registry->lock);
	look_again(registry, err);
	judge = registry->judge;
	if (judge)
		judge->references++;
	pthread_mutex_unlock(&registry->lock);
	return judge;
}

static void release_judge(struct registry *registry, struct open_judge *judge)
{
	pthread_mutex_lock(&registry->lock);
	drop_judge(judge);
	pthread_mutex_unlock(&registry->lock);
}

/* ---- life ------------------------------------------------------------------------------------ */

struct registry *registry_ref(struct registry *registry)
{
	atomic_fetch_add_explicit(&registry->references, 1, memory_order_relaxed);
	return registry;
}

static void registry_free(struct registry *registry)
{
	for (size_t i = 0; registry->sources && i < registry->cfg->registry->upstreams.count;
	     i++)
		upstream_free(registry->sources[i].upstream);
	mem_free(registry->sources);
	drop_judge(registry->judge);
	if (registry->cache >= 0)
		close(registry->cache);
	for (size_t i = 0; i < FLIGHTS; i++)
		pthread_mutex_destroy(&registry->flights[i]);
	pthread_mutex_destroy(&registry->lock);
	config_unref(registry->cfg);
	mem_free(registry);
}

void registry_unref(struct registry *registry)
{
	if (registry &&
	    atomic_fetch_sub_explicit(&registry->references, 1, memory_order_acq_rel) == 1)
		registry_free(registry);
}

static int open_sources(struct registry *registry, struct err *err)
{
	const struct config_registry *config = registry->cfg->registry;

	registry->sources = mem_zalloc(config->upstreams.count, sizeof(struct source));
	if (!registry->sources)
		return err_set(err, ERR_MEMORY, "out of memory");
	for (size_t i = 0; i < config->upstreams.count; i++) {
		const struct config_upstream *from = &config->upstreams.at[i];
		const struct upstream_options options = {
			.url = from->url,
			.ca = from->ca,
			.token = secret_span(&from->token),
			.origins = &from->origins,
			.connect_ms = (int64_t)config->connect_ms,
			.stall_ms = (int64_t)config->stall_ms,
			.timeout_ms = (int64_t)config->timeout_ms};

		registry->sources[i].protocol = registry_protocol_find(from->name);
		if (!registry->sources[i].protocol)
			return err_set(err, ERR_INVALID, "no registry protocol '%.*s'",
				       SPAN_ARG(from->name));
		registry->sources[i].upstream = upstream_new(&options, err);
		if (!registry->sources[i].upstream)
			return -1;
	}
	return 0;
}

struct registry *registry_new(struct config *cfg, struct store *store, struct err *problem,
			      struct err *err)
{
	struct registry *registry = mem_zalloc(1, sizeof(*registry));

	if (!registry) {
		(void)err_set(err, ERR_MEMORY, "out of memory");
		return NULL;
	}
	registry->references = 1;
	registry->cfg = config_ref(cfg);
	registry->store = store;
	pthread_mutex_init(&registry->lock, NULL);
	for (size_t i = 0; i < FLIGHTS; i++)
		pthread_mutex_init(&registry->flights[i], NULL);
	registry->cache = cache_open(cfg->registry->cache.ptr, err);
	if (registry->cache < 0 || open_sources(registry, err) < 0) {
		registry_free(registry);
		return NULL;
	}
	look_again(registry, problem);
	return registry;
}

void registry_read_counts(const struct registry *registry, struct registry_counts *counts)
{
	const struct counters *c = &registry->counters;

	*counts = (struct registry_counts){
		c->indexes,	      c->files,	    c->refused, c->failed, c->upstream_requests,
		c->upstream_failures, c->cache_hits};
}

static void count(_Atomic uint64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* ---- a request ------------------------------------------------------------------------------- */

struct work {
	struct registry *registry;
	const struct config_registry *config;
	const struct registry_request *request;
	struct arena *arena;
	struct registry_answer *answer;
	struct source *source;
	struct registry_target target;
	struct registry_index index;
	struct judgement *judgements;
};

static void fail(struct work *w, unsigned status, const char *problem, struct span detail)
{
	w->answer->status = status;
	w->answer->problem = problem;
	w->answer->detail = detail.ptr ? detail : SPAN("");
	if (status >= 500)
		count(&w->registry->counters.failed);
}

/* Files and addresses are no business of clients. */
static void fail_by(struct work *w, const struct err *err, struct span detail)
{
	w->answer->cause = arena_dup(w->arena, span_cstr(err->message));
	fail(w, 503, err->code == ERR_MEMORY ? "out-of-memory" : "registry-unavailable",
	     detail);
}

static void refuse(struct work *w, const char *problem, struct span detail)
{
	count(&w->registry->counters.refused);
	fail(w, 403, problem, detail);
}

static pthread_mutex_t *flight_of(struct registry *registry, struct span what)
{
	return &registry->flights[hash_span(what) % FLIGHTS];
}

/* ---- indexes --------------------------------------------------------------------------------- */

/* What the upstream has now, kept in the cache. */
static enum upstream_result fetch_index(struct work *w, const struct cached_index *known,
					struct cached_index *found, struct err *err)
{
	const struct registry_protocol *protocol = w->source->protocol;
	struct span path = protocol->index_path(w->arena, w->target.package);
	char etag[CACHE_ETAG_BYTES];
	enum upstream_result result = UPSTREAM_FAILED;
	struct buf text;

	buf_init(&text, w->config->index_bytes);
	count(&w->registry->counters.upstream_requests);
	if (!path.ptr)
		(void)err_set(err, ERR_MEMORY, "out of memory");
	else
		result = upstream_text(w->source->upstream, path, protocol->upstream_accept,
				       known->etag, &text, etag, sizeof(etag), err);
	*found = *known;
	found->fetched_ms = clock_unix_ms();
	if (result == UPSTREAM_OK) {
		found->etag = arena_dup(w->arena, span_cstr(etag));
		found->text = arena_dup(w->arena, buf_span(&text));
		if (!found->etag.ptr || !found->text.ptr) {
			(void)err_set(err, ERR_MEMORY, "out of memory");
			result = UPSTREAM_FAILED;
		}
	}
	if (result == UPSTREAM_FAILED)
		count(&w->registry->counters.upstream_failures);
	buf_release(&text);
	return result;
}

static int read_index(struct work *w, struct span text, struct err *err)
{
	if (w->source->protocol->read_index(w->arena, w->target.package, text, &w->index, err) <
	    0)
		return err_wrap(err, "the index of %.*s", SPAN_ARG(w->target.package));
	return 0;
}

/* Only what can be read goes into the cache: nonsense does not take the place of what was good. */
static int keep_index(struct work *w, const struct cached_index *found, struct err *err)
{
	if (read_index(w, found->text, err) < 0)
		return -1;
	return cache_write_index(w->registry->cache, w->source->protocol, w->target.package,
				 found, err);
}

static int use_stale(struct work *w, const struct cached_index *cached, const struct err *why)
{
	int64_t age_ms = clock_unix_ms() - cached->fetched_ms;
	struct err err = *why;

	if (cached->text.ptr && age_ms <= (int64_t)w->config->stale_ms) {
		w->answer->stale = true;
		if (read_index(w, cached->text, &err) == 0)
			return 0;
	}
	fail_by(w, &err, SPAN("the registry that packages come from cannot be asked"));
	return -1;
}

/* 1: the index of the cache is young enough, and in w->index; 0: it is not; -1: it was answered. */
static int use_cached(struct work *w, struct cached_index *cached)
{
	struct err err = {.message = ""};
	int64_t age_ms;

	*cached = (struct cached_index){0};
	if (cache_read_index(w->registry->cache, w->source->protocol, w->target.package,
			     w->config->index_bytes, w->arena, cached, &err) < 0) {
		fail_by(w, &err, SPAN("the cache cannot be read"));
		return -1;
	}
	age_ms = clock_unix_ms() - cached->fetched_ms;
	return cached->text.ptr && age_ms >= 0 && age_ms < (int64_t)w->config->index_age_ms &&
	       read_index(w, cached->text, &err) == 0;
}

/* Nobody waits again for one that has just not answered. */
static bool is_away(struct work *w, struct err *err)
{
	if (clock_ms() >= w->source->away_until_ms)
		return false;
	(void)err_set(err, ERR_UNAVAILABLE, "the upstream has not answered a moment ago");
	return true;
}

/* The index in w->index: 0; -1: it was answered. */
static int fetch_or_use_stale(struct work *w, const struct cached_index *cached)
{
	struct err err = {.message = ""};
	struct cached_index found;

	if (is_away(w, &err))
		return use_stale(w, cached, &err);
	switch (fetch_index(w, cached, &found, &err)) {
	case UPSTREAM_OK:
	case UPSTREAM_SAME:
		if (keep_index(w, &found, &err) == 0)
			return 0;
		break;
	case UPSTREAM_ABSENT:
		fail(w, 404, "no-package",
		     arena_printf(w->arena, "there is no package %.*s",
				  SPAN_ARG(w->target.package)));
		return -1;
	case UPSTREAM_FAILED:
		if (err.code == ERR_UNAVAILABLE || err.code == ERR_TIMEOUT)
			w->source->away_until_ms = clock_ms() + AWAY_MS;
		break;
	}
	return use_stale(w, cached, &err);
}

/* Those who ask for the same at once wait for the first of them; what is young needs no waiting. */
static int get_index(struct work *w)
{
	pthread_mutex_t *flight = flight_of(w->registry, w->target.package);
	struct cached_index cached;
	int result = use_cached(w, &cached);

	if (result != 0)
		return result < 0 ? -1 : 0;
	pthread_mutex_lock(flight);
	result = use_cached(w, &cached);
	if (result == 0)
		result = fetch_or_use_stale(w, &cached);
	pthread_mutex_unlock(flight);
	return result < 0 ? -1 : 0;
}

/* ---- judging --------------------------------------------------------------------------------- */

static struct span purl_of(struct work *w, struct span version)
{
	const struct component c = {.ecosystem = w->source->protocol->ecosystem,
				    .name = w->target.package,
				    .version = version};

	return purl_make(w->arena, &c);
}

static int apply_decisions(struct work *w, struct err *err)
{
	bool needs_approval = w->config->mode == CONFIG_REGISTRY_APPROVED;
	struct span prefix = purl_of(w, SPAN(""));
	struct decision_list decisions;

	if (!w->registry->store)
		return 0;
	if (!prefix.len)
		return err_set(err, ERR_MEMORY, "out of memory");
	if (decision_list(w->registry->store, prefix, w->arena, &decisions, err) < 0)
		return -1;
	for (size_t i = 0; i < w->index.count; i++) {
		struct span purl = purl_of(w, w->index.releases[i].version);

		if (!purl.len || decision_apply(&decisions, purl, needs_approval, w->arena,
						&w->judgements[i]) < 0)
			return err_set(err, ERR_MEMORY, "out of memory");
	}
	return 0;
}

static int judge_all(struct work *w, struct judge *judge, struct err *err)
{
	w->judgements = arena_array(w->arena, struct judgement, w->index.count + 1);
	if (!w->judgements)
		return err_set(err, ERR_MEMORY, "out of memory");
	if (judge_releases(judge, w->source->protocol->ecosystem, w->target.package,
			   w->index.releases, w->index.count, clock_unix_s(), w->arena,
			   w->judgements, err) < 0)
		return -1;
	return apply_decisions(w, err);
}

/* A judgement for each release of the index: 0; -1: it was answered. */
static int judge(struct work *w)
{
	struct err err = {.code = ERR_UNAVAILABLE, .message = "there is no advisory database"};
	struct open_judge *open = use_judge(w->registry, &err);
	int result = open ? judge_all(w, open->judge, &err) : -1;

	if (open)
		release_judge(w->registry, open);
	if (result < 0)
		fail_by(w, &err,
			SPAN("components cannot be judged now, so none is let through"));
	return result;
}

/* "lodash 4.17.20 is refused: .... Use 4.17.21." */
static struct span tell(struct work *w, size_t release)
{
	const struct judgement *j = &w->judgements[release];
	size_t instead = judge_instead(w->source->protocol->ecosystem, w->index.releases,
				       w->judgements, w->index.count, release);
	struct span use = j->instead;

	if (!use.len && instead < w->index.count)
		use = arena_printf(w->arena, "Use %.*s.",
				   SPAN_ARG(w->index.releases[instead].version));
	if (!use.len)
		use = SPAN("No other version of it may be used either.");
	return arena_printf(
		w->arena, "%.*s %.*s is refused: %.*s. %.*s", SPAN_ARG(w->target.package),
		SPAN_ARG(w->index.releases[release].version), SPAN_ARG(j->why), SPAN_ARG(use));
}

static void refuse_release(struct work *w, size_t release)
{
	w->answer->component = purl_of(w, w->index.releases[release].version);
	refuse(w,
	       w->judgements[release].malicious ? "malicious-component" : "component-refused",
	       tell(w, release));
}

/* ---- answers --------------------------------------------------------------------------------- */

static void set_content(struct work *w, struct buf *text, struct span type)
{
	struct registry_answer *a = w->answer;
	unsigned char digest[EVP_MAX_MD_SIZE];
	char *etag = arena_alloc(w->arena, REGISTRY_ETAG_BYTES);

	a->content = buf_failed(text) ? SPAN_NONE : arena_dup(w->arena, buf_span(text));
	if (!a->content.ptr || !etag ||
	    EVP_Digest(a->content.ptr, a->content.len, digest, NULL, EVP_sha256(), NULL) != 1) {
		fail(w, 503, "out-of-memory", SPAN(""));
		return;
	}
	etag[0] = '"';
	hex_encode(etag + 1, digest, 16);
	etag[33] = '"';
	a->etag = span_of(etag, 34);
	a->type = type;
	a->status = 200;
	if (span_eq(w->request->if_none_match, a->etag)) {
		a->status = 304;
		a->content = SPAN("");
	}
}

static bool accepts(struct span accept, struct span type)
{
	return type.len && span_find(accept, type) < accept.len;
}

static struct registry_view view_of(struct work *w)
{
	const struct registry_protocol *protocol = w->source->protocol;

	return (struct registry_view){
		.judgements = w->judgements,
		.base = arena_printf(w->arena, "%.*s/%.*s", SPAN_ARG(w->request->base),
				     SPAN_ARG(protocol->name)),
		.brief = accepts(w->request->accept, protocol->brief_type)};
}

static size_t refused_count(const struct work *w)
{
	size_t refused = 0;

	for (size_t i = 0; i < w->index.count; i++)
		refused += w->judgements[i].refused;
	return refused;
}

static void refuse_package(struct work *w)
{
	refuse_release(w, judge_newest(w->source->protocol->ecosystem, w->index.releases, NULL,
				       w->index.count));
}

static void answer_index(struct work *w)
{
	const struct registry_protocol *protocol = w->source->protocol;
	struct registry_view view;
	struct buf text;

	count(&w->registry->counters.indexes);
	if (w->index.count && refused_count(w) == w->index.count) {
		refuse_package(w);
		return;
	}
	view = view_of(w);
	buf_init(&text, 2 * w->config->index_bytes);
	if (view.base.ptr)
		protocol->write_index(&w->index, &view, &text);
	else
		text.failed = true;
	w->answer->by_accept = protocol->brief_type.len > 0;
	set_content(w, &text, view.brief ? protocol->brief_type : protocol->index_type);
	buf_release(&text);
}

static void answer_manifest(struct work *w)
{
	const struct registry_protocol *protocol = w->source->protocol;
	size_t release = protocol->find_release(&w->index, w->target.version, w->judgements);
	struct registry_view view;
	struct buf text;

	count(&w->registry->counters.indexes);
	if (release == w->index.count) {
		fail(w, 404, "no-release",
		     arena_printf(w->arena, "there is no %.*s of %.*s",
				  SPAN_ARG(w->target.version), SPAN_ARG(w->target.package)));
		return;
	}
	if (w->judgements[release].refused) {
		refuse_release(w, release);
		return;
	}
	view = view_of(w);
	view.brief = false;
	buf_init(&text, 2 * w->config->index_bytes);
	if (view.base.ptr)
		protocol->write_manifest(&w->index, release, &view, &text);
	else
		text.failed = true;
	set_content(w, &text, protocol->index_type);
	buf_release(&text);
}

/* ---- files ----------------------------------------------------------------------------------- */

static int take_piece(void *context, struct span bytes, struct err *err)
{
	return cache_file_write(context, bytes, err);
}

/* From the upstream into the cache. */
static enum upstream_result fetch_file(struct work *w, const struct registry_file *file,
				       struct err *err)
{
	struct cache_file *to = cache_file_new(w->registry->cache, &file->digest, err);
	enum upstream_result result;

	if (!to)
		return UPSTREAM_FAILED;
	count(&w->registry->counters.upstream_requests);
	result = upstream_file(w->source->upstream, file->url, w->config->file_bytes,
			       take_piece, to, err);
	if (cache_file_end(to, result == UPSTREAM_OK, err) < 0)
		result = UPSTREAM_FAILED;
	if (result == UPSTREAM_FAILED)
		count(&w->registry->counters.upstream_failures);
	return result;
}

/* False when it is not there whole. */
static bool answer_from_cache(struct work *w, const struct registry_file *file)
{
	uint64_t size_bytes = 0;
	int fd = cache_open_file(w->registry->cache, &file->digest, &size_bytes);

	if (fd < 0)
		return false;
	w->answer->status = 200;
	w->answer->fd = fd;
	w->answer->size_bytes = size_bytes;
	w->answer->type = w->source->protocol->file_type;
	return true;
}

static void answer_from_upstream(struct work *w, const struct registry_file *file)
{
	struct err err = {.message = ""};
	enum upstream_result result = fetch_file(w, file, &err);

	if (result == UPSTREAM_OK && answer_from_cache(w, file))
		return;
	if (result == UPSTREAM_ABSENT)
		fail(w, 404, "no-file", SPAN("the upstream does not have it"));
	else if (err.code == ERR_INVALID)
		refuse(w, "file-altered",
		       arena_printf(w->arena, "%.*s: %s", SPAN_ARG(file->name), err.message));
	else
		fail_by(w, &err, SPAN("the file cannot be had from where it comes"));
}

static void answer_file(struct work *w)
{
	const struct registry_file *file = NULL;
	pthread_mutex_t *flight;

	count(&w->registry->counters.files);
	for (size_t i = 0; i < w->index.file_count && !file; i++)
		if (span_eq(w->index.files[i].name, w->target.file))
			file = &w->index.files[i];
	if (!file) {
		fail(w, 404, "no-file",
		     arena_printf(w->arena, "no release of %.*s has the file %.*s",
				  SPAN_ARG(w->target.package), SPAN_ARG(w->target.file)));
		return;
	}
	if (w->judgements[file->release].refused) {
		refuse_release(w, file->release);
		return;
	}
	if (answer_from_cache(w, file)) {
		count(&w->registry->counters.cache_hits);
		return;
	}
	flight = flight_of(w->registry, span_of(file->digest.bytes, 20));
	pthread_mutex_lock(flight);
	if (!answer_from_cache(w, file))
		answer_from_upstream(w, file);
	pthread_mutex_unlock(flight);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static struct source *find_source(struct registry *registry, struct span *path)
{
	const struct config_registry *config = registry->cfg->registry;
	struct span rest = span_slice(*path, 1, path->len);
	struct span name = span_cut(&rest, '/');

	for (size_t i = 0; i < config->upstreams.count; i++)
		if (span_eq(name, config->upstreams.at[i].name)) {
			*path = span_slice(*path, 1 + name.len, path->len);
			return &registry->sources[i];
		}
	return NULL;
}

static bool is_internal(const struct config_registry *config, struct span package)
{
	for (size_t i = 0; i < config->internal.count; i++)
		if (pattern_path(config->internal.at[i], package))
			return true;
	return false;
}

static void answer_target(struct work *w)
{
	if (is_internal(w->config, w->target.package)) {
		refuse(w, "internal-name",
		       arena_printf(w->arena,
				    "%.*s is a name of your own: it is never taken from "
				    "another registry",
				    SPAN_ARG(w->target.package)));
		return;
	}
	if (get_index(w) < 0 || judge(w) < 0)
		return;
	switch (w->target.kind) {
	case REGISTRY_INDEX: answer_index(w); break;
	case REGISTRY_MANIFEST: answer_manifest(w); break;
	case REGISTRY_FILE: answer_file(w); break;
	case REGISTRY_PING:
	case REGISTRY_UNKNOWN: break;
	}
}

void registry_serve(struct registry *registry, const struct registry_request *request,
		    struct arena *arena, struct registry_answer *answer)
{
	struct work w = {.registry = registry,
			 .config = registry->cfg->registry,
			 .request = request,
			 .arena = arena,
			 .answer = answer};
	struct span path = request->path;

	*answer = (struct registry_answer){.status = 503, .fd = -1};
	w.source = find_source(registry, &path);
	if (!w.source) {
		fail(&w, 404, "no-registry", SPAN("there is no such registry here"));
		return;
	}
	if (w.source->protocol->read_target(arena, path, &w.target) < 0) {
		fail(&w, 503, "out-of-memory", SPAN(""));
		return;
	}
	switch (w.target.kind) {
	case REGISTRY_UNKNOWN:
		fail(&w, 404, "not-served", SPAN("the firewall does not pass this on"));
		break;
	case REGISTRY_PING:
		answer->status = 200;
		answer->content = SPAN("{}");
		answer->type = SPAN("application/json");
		break;
	case REGISTRY_INDEX:
	case REGISTRY_MANIFEST:
	case REGISTRY_FILE: answer_target(&w); break;
	}
}
