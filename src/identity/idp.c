#include "identity/idp.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "identity/federation.h"
#include "identity/idp_fast.h"
#include "identity/idp_internal.h"
#include "identity/ldap_login.h"
#include "identity/password.h"
#include "parse/prometheus.h"

#define SWEEP_EVERY_S 60
#define KEYS_EVERY_S 10
#define SWEEP_RECORDS 5000

bool idp_is_wanted(const struct config *cfg)
{
	return cfg->identity.issuer.len > 0 && cfg->store.url.len > 0;
}

struct span idp_key_file(const struct config *cfg, struct arena *arena)
{
	struct span url = secret_span(&cfg->store.url);

	if (cfg->identity.key_file.len)
		return cfg->identity.key_file;
	url = span_slice(url, SPAN("sqlite:").len, url.len);
	return arena_printf(arena, "%.*s.key", SPAN_ARG(url));
}

static int open_stores(struct idp *idp, const struct config *cfg, struct err *err)
{
	struct store_options options = {.url = secret_span(&cfg->store.url)};

	idp->store = store_open(&options, err);
	if (!idp->store)
		return -1;
	idp->shared = idp->store;
	if (!cfg->store.shared.len)
		return 0;
	options.url = secret_span(&cfg->store.shared);
	idp->shared = store_open(&options, err);
	return idp->shared ? 0 : -1;
}

/* Somebody has to be the first, and nobody may find an empty house. */
static int make_administrator(struct idp *idp, const struct config *cfg, struct arena *arena,
			      struct err *err)
{
	struct span role = SPAN("administrator");
	struct span everything = SPAN("*");
	const struct idp_role administrator = {.name = role, .permissions = {&everything, 1}};
	struct idp_user user = {.name = SPAN("admin"),
				.display = SPAN("Administrator"),
				.must_change = true,
				.roles = {&role, 1}};
	char password[PASSWORD_ONCE_SIZE];
	struct store_page page;
	enum store_result result;

	if (store_list(idp->store, SPAN("user"), SPAN_NONE, SPAN_NONE, 1, arena, &page, err) !=
	    STORE_OK)
		return -1;
	if (page.count)
		return 0;
	password_once(password);
	user.password = password_hash(&cfg->identity.password, span_cstr(password), arena, err);
	if (!user.password.ptr || role_put(idp, &administrator, arena, err) != STORE_OK)
		return -1;
	result = user_put(idp, &user, arena, err);
	if (result == STORE_OK && secret_set(&idp->first_password, span_cstr(password)) < 0)
		(void)idp_no_memory(err);
	secret_wipe(password, sizeof(password));
	if (result == STORE_OK)
		idp_audit(idp, "identity.administrator_made", "user", user.id, NULL, SPAN_NONE);
	/* Another replica was faster. */
	return result == STORE_FAILED ? -1 : 0;
}

static int prepare(struct idp *idp, const struct config *cfg, bool serve, struct err *err)
{
	struct arena arena;
	struct span path;
	bool changed;
	int result = -1;

	arena_init(&arena, SCRATCH_BYTES, 8192);
	path = idp_key_file(cfg, &arena);
	if (!path.ptr)
		(void)idp_no_memory(err);
	else if ((idp->vault = vault_open(path.ptr, true, err)) != NULL)
		result = 0;
	if (result == 0 && serve &&
	    (signing_load(idp, cfg, true, &changed, err) != STORE_OK ||
	     revoke_load(idp, err) != STORE_OK ||
	     make_administrator(idp, cfg, &arena, err) < 0))
		result = -1;
	if (result == 0 && serve && !(idp->outbox = outbox_new(err)))
		result = -1;
	arena_release(&arena);
	return result;
}

/* When they are on at the start, and when a reload switches them on. */
static void warn_of_grants(struct idp *idp, const struct config_oauth *config)
{
	if (config->password_grant && !idp->warned_of_password)
		log_message(LOG_WARN, "identity.password_grant",
			    "the password grant is on: clients see passwords, and RFC 9700 "
			    "section 2.4 says that it must not be used");
	if (config->implicit_grant && !idp->warned_of_implicit)
		log_message(
			LOG_WARN, "identity.implicit_grant",
			"the implicit grant is on: access tokens stand in URLs, and RFC 9700 "
			"section 2.1.2 says that it should not be used");
	idp->warned_of_password = config->password_grant;
	idp->warned_of_implicit = config->implicit_grant;
}

struct idp *idp_open(const struct idp_options *options, bool serve, struct err *err)
{
	struct idp *idp = mem_zalloc(1, sizeof(*idp));

	if (!idp) {
		(void)idp_no_memory(err);
		return NULL;
	}
	if (pthread_rwlock_init(&idp->lock, NULL) != 0) {
		mem_free(idp);
		(void)idp_no_memory(err);
		return NULL;
	}
	idp->memory = idp_memory_new();
	idp->federation = federation_cache_new();
	if (!idp->memory || !idp->federation) {
		idp_close(idp);
		(void)idp_no_memory(err);
		return NULL;
	}
	idp->audit = options->audit;
	idp->audit_context = options->audit_context;
	if (serve)
		warn_of_grants(idp, &options->config->identity.oauth);
	if (open_stores(idp, options->config, err) == 0 &&
	    prepare(idp, options->config, serve, err) == 0)
		return idp;
	idp_close(idp);
	return NULL;
}

struct tls_context *idp_client_tls(struct idp *idp, const struct config *cfg, struct err *err)
{
	struct span ca = cfg->identity.oauth.ca;
	const struct tls_client_options options = {.ca = {.path = ca.len ? ca.ptr : NULL}};
	struct tls_context *made, *tls;

	pthread_rwlock_rdlock(&idp->lock);
	tls = idp->client_tls;
	pthread_rwlock_unlock(&idp->lock);
	if (tls)
		return tls;
	made = tls_client_context_new(&options, err);
	if (!made)
		return NULL;
	pthread_rwlock_wrlock(&idp->lock);
	if (!idp->client_tls) {
		idp->client_tls = made;
		made = NULL;
	}
	tls = idp->client_tls;
	pthread_rwlock_unlock(&idp->lock);
	tls_context_unref(made);
	return tls;
}

void idp_close(struct idp *idp)
{
	if (!idp)
		return;
	idp_memory_free(idp->memory);
	federation_cache_free(idp->federation);
	tls_context_unref(idp->client_tls);
	outbox_free(idp->outbox);
	signing_release(idp);
	revoke_release(idp);
	vault_close(idp->vault);
	if (idp->shared != idp->store)
		store_close(idp->shared);
	store_close(idp->store);
	secret_release(&idp->first_password);
	pthread_rwlock_destroy(&idp->lock);
	mem_free(idp);
}

struct span idp_first_password(const struct idp *idp)
{
	return secret_span(&idp->first_password);
}

int idp_maintain(struct idp *idp, const struct config *cfg, bool *keys_changed, struct err *err)
{
	int64_t now = clock_unix_s();
	size_t removed;

	*keys_changed = false;
	warn_of_grants(idp, &cfg->identity.oauth);
	if (revoke_load(idp, err) != STORE_OK)
		return -1;
	if (now - idp->keys_loaded_unix_s >= KEYS_EVERY_S) {
		if (signing_load(idp, cfg, true, keys_changed, err) != STORE_OK)
			return -1;
		idp->keys_loaded_unix_s = now;
	}
	if (now - idp->swept_unix_s < SWEEP_EVERY_S)
		return 0;
	idp->swept_unix_s = now;
	if (store_sweep(idp->store, SWEEP_RECORDS, &removed, err) != STORE_OK)
		return -1;
	if (idp->shared != idp->store &&
	    store_sweep(idp->shared, SWEEP_RECORDS, &removed, err) != STORE_OK)
		return -1;
	return 0;
}

/* --- logins, for the pipeline --- */

enum store_result idp_login_find(struct idp *idp, const struct config *cfg, struct span cookie,
				 struct arena *arena, struct idp_login *login, struct err *err)
{
	struct idp_session session;
	struct idp_access access;
	struct idp_user user;
	enum store_result result;

	result = session_find(idp, &cfg->identity.session, cookie, arena, &session, err);
	if (result == STORE_OK)
		result = user_get(idp, session.user, arena, &user, err);
	if (result != STORE_OK)
		return result;
	if (user.disabled)
		return STORE_ABSENT;
	if (ldap_check_known(idp, cfg, &user, arena, err) != STORE_OK)
		return STORE_FAILED;
	if (user_access(idp, &user, arena, &access, err) != STORE_OK)
		return STORE_FAILED;
	*login = (struct idp_login){.user = user.id,
				    .name = user.name,
				    .roles = access.roles,
				    .permissions = access.permissions,
				    .methods = session.methods,
				    .authenticated_unix_s = session.authenticated_unix_s,
				    .expires_unix_s = session.expires_unix_s};
	return STORE_OK;
}

/* --- figures --- */

void idp_count(struct idp *idp, enum idp_counter counter)
{
	atomic_fetch_add_explicit(&idp->counters[counter], 1, memory_order_relaxed);
}

static unsigned long long counted(struct idp *idp, enum idp_counter counter)
{
	return atomic_load_explicit(&idp->counters[counter], memory_order_relaxed);
}

void idp_metrics(struct idp *idp, struct buf *out)
{
	struct outbox_stats stats = {0};

	if (idp->outbox)
		outbox_read_stats(idp->outbox, &stats);
	prometheus_head(out, "sallyport_logins_total", "counter",
			"Logins of people, by result.");
	buf_printf(out,
		   "sallyport_logins_total{result=\"succeeded\"} %llu\n"
		   "sallyport_logins_total{result=\"failed\"} %llu\n"
		   "sallyport_logins_total{result=\"locked\"} %llu\n"
		   "sallyport_logins_total{result=\"unavailable\"} %llu\n"
		   "sallyport_logins_total{result=\"factor_failed\"} %llu\n"
		   "sallyport_logins_total{result=\"federation_failed\"} %llu\n",
		   counted(idp, IDP_LOGINS_SUCCEEDED), counted(idp, IDP_LOGINS_FAILED),
		   counted(idp, IDP_LOGINS_LOCKED), counted(idp, IDP_LOGINS_UNAVAILABLE),
		   counted(idp, IDP_FACTORS_FAILED), counted(idp, IDP_FEDERATIONS_FAILED));
	prometheus_head(out, "sallyport_directory_looks_total", "counter",
			"Users of directories looked up again.");
	buf_printf(out,
		   "sallyport_directory_looks_total{result=\"there\"} %llu\n"
		   "sallyport_directory_looks_total{result=\"gone\"} %llu\n"
		   "sallyport_directory_looks_total{result=\"away\"} %llu\n",
		   counted(idp, IDP_LOOKS_THERE), counted(idp, IDP_LOOKS_GONE),
		   counted(idp, IDP_LOOKS_AWAY));
	prometheus_head(out, "sallyport_messages_total", "counter",
			"Mails and SMS of the identity server.");
	buf_printf(out,
		   "sallyport_messages_total{result=\"sent\"} %llu\n"
		   "sallyport_messages_total{result=\"failed\"} %llu\n",
		   (unsigned long long)stats.sent, (unsigned long long)stats.failed);
	prometheus_number(out, "sallyport_messages_waiting", "gauge",
			  "Mails and SMS that are on their way.", stats.waiting);
}
