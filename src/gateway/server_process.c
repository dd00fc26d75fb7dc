#include "gateway/server_process.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/access_log.h"
#include "gateway/admin.h"
#include "gateway/approval_service.h"
#include "gateway/audit.h"
#include "gateway/ban_service.h"
#include "gateway/challenge.h"
#include "gateway/channel.h"
#include "gateway/command_runner.h"
#include "gateway/contract_plan.h"
#include "gateway/discovery.h"
#include "gateway/health_check.h"
#include "gateway/identity_service.h"
#include "gateway/line_writer.h"
#include "gateway/overload.h"
#include "gateway/procedure_service.h"
#include "gateway/procedure_timeline.h"
#include "gateway/program_runner.h"
#include "gateway/registry_service.h"
#include "gateway/webhook_service.h"
#include "gateway/worker.h"
#include "identity/idp.h"
#include "io/sandbox.h"
#include "io/watchdog.h"
#include "registry/registry.h"
#include "waf/waf.h"

/* Clients, sessions and users that rules remember something of. */
#define WAF_COLLECTION_ENTRIES 100000
#define TICKET_ROTATE_S 0 /* the module's default */

/* The fiber that keeps one authenticator's key sets fresh; frees itself. */
struct refresher {
	struct authenticator_refresh arg;
	struct fiber *fiber;
	struct server *server;
};

struct server_thread {
	pthread_t thread;
	struct server *server;
	struct worker *worker;
	struct worker_options options;
	int *fds;
	struct loop_message ended;
	struct err err;
};

struct server {
	const char *config_path;
	int channel;
	struct watch watch;
	struct loop *loop;
	struct config *config;
	struct snapshot *snapshot;
	struct tls_tickets *tickets;
	struct gateway_shared *shared;
	struct dns *dns;
	struct refresher *refresher;
	struct identity_service *identity; /* NULL: none */
	struct registry_service *registry; /* NULL: none */
	struct health_checks *health_checks; /* NULL: none */
	struct overload_watch *overload;
	struct command_runner *commands; /* NULL: no procedure has any */
	struct loop **loops; /* the workers' */
	struct admin *admin; /* NULL: none */
	struct metrics **metrics; /* the workers', for the admin listener */
	struct server_thread *threads;
	unsigned thread_count;
	unsigned running;
	sem_t started;
	bool serving; /* all parts are there */
	bool draining;
};

/* --- keys of identity providers --- */

static void refresher_main(void *arg)
{
	struct refresher *refresher = arg;

	authenticator_refresh_main(&refresher->arg);
	if (refresher->server->refresher == refresher)
		refresher->server->refresher = NULL;
	authenticator_unref(refresher->arg.authenticator);
	mem_free(refresher);
}

static void stop_refresher(struct server *server)
{
	struct refresher *refresher = server->refresher;

	server->refresher = NULL;
	if (refresher)
		fiber_cancel(refresher->fiber);
}

static int start_refresher(struct server *server, struct snapshot *snapshot, struct err *err)
{
	struct refresher *refresher = mem_zalloc(1, sizeof(*refresher));

	if (!refresher)
		return err_set(err, ERR_MEMORY, "no memory for key refresh");
	refresher->server = server;
	refresher->arg.dns = server->dns;
	refresher->arg.authenticator = authenticator_ref(snapshot->authenticator);
	refresher->fiber = fiber_start(refresher_main, refresher, err);
	if (!refresher->fiber) {
		authenticator_unref(refresher->arg.authenticator);
		mem_free(refresher);
		return -1;
	}
	stop_refresher(server);
	server->refresher = refresher;
	return 0;
}

/* --- health checks --- */

static int start_health_checks(struct server *server, struct snapshot *snapshot,
			       struct err *err)
{
	struct health_checks *checks;

	if (health_checks_start(&checks, snapshot, server->dns, err) < 0)
		return -1;
	health_checks_stop(server->health_checks);
	server->health_checks = checks;
	return 0;
}

/* --- reload --- */

/* The first error with its place; all are logged by the supervisor, which has read it too. */
static int load(const char *path, struct config **cfg, struct err *err)
{
	struct config_problems problems = {0};

	if (config_load(path, cfg, &problems) == 0)
		return 0;
	for (size_t i = 0; i < problems.count; i++)
		if (problems.at[i].severity == CONFIG_ERROR)
			return err_set(err, ERR_INVALID, "%s:%u: %s", problems.at[i].file,
				       problems.at[i].line, problems.at[i].message);
	return err_set(err, ERR_INVALID, "%s has errors", path);
}

static int post_snapshot(struct server *server, struct snapshot *snapshot, struct err *err)
{
	for (unsigned i = 0; i < server->thread_count; i++)
		if (worker_post_snapshot(server->threads[i].worker, snapshot) < 0)
			return err_set(err, ERR_MEMORY, "worker %u keeps the old one", i);
	return 0;
}

static int use_snapshot(struct server *server, struct snapshot *snapshot, struct err *err)
{
	if (start_refresher(server, snapshot, err) < 0 ||
	    start_health_checks(server, snapshot, err) < 0)
		return -1;
	return post_snapshot(server, snapshot, err);
}

/* Opens the store when there are webhooks, at the start or after a reload. */
static int start_webhooks(struct server *server, const struct config *cfg, struct err *err)
{
	struct gateway_shared *shared = server->shared;

	if (shared->webhooks || cfg->webhooks.count == 0)
		return 0;
	shared->webhooks = webhook_service_new(cfg, shared->audit_log, err);
	if (!shared->webhooks)
		return -1;
	if (shared->approvals)
		approval_service_tell(shared->approvals, shared->webhooks);
	return 0;
}

static int use_webhooks(struct server *server, struct config *cfg, struct err *err)
{
	struct webhook_service *webhooks = server->shared->webhooks;

	return webhooks ? webhook_service_use(webhooks, cfg, server->dns, err) : 0;
}

static int use_procedures(struct server *server, struct snapshot *snapshot, struct err *err)
{
	struct gateway_shared *shared = server->shared;
	struct procedure_options options = {.audit_log = shared->audit_log,
					    .commands = server->commands,
					    .timeline = shared->timeline};

	if (!shared->procedures && snapshot->config->procedures.count == 0)
		return 0;
	if (!shared->procedures)
		shared->procedures = procedure_service_new(&options, err);
	if (!shared->procedures)
		return -1;
	return procedure_service_use(shared->procedures, snapshot, shared->webhooks, err);
}

static bool needs_approvals(const struct config *cfg)
{
	for (size_t i = 0; i < cfg->sensitive.count; i++)
		if (cfg->sensitive.at[i].by.len)
			return true;
	return false;
}

/* Opens the store when an operation needs approvals, at the start or after a reload. */
static int start_approvals(struct server *server, const struct config *cfg,
			   const struct snapshot *snapshot, struct err *err)
{
	struct gateway_shared *shared = server->shared;
	struct approval_service *service;

	if (shared->approvals ||
	    (!needs_approvals(cfg) && !contract_plan_needs_approvals(snapshot)))
		return 0;
	service = approval_service_new(cfg, shared->audit_log, err);
	if (!service)
		return -1;
	shared->internal[CONFIG_INTERNAL_APPROVALS] = approval_service_handle(service);
	approval_service_tell(service, shared->webhooks);
	shared->approvals = service;
	return 0;
}

/* At the start, or at the first reload that has a registry. */
static int start_registry(struct server *server, struct config *cfg, struct err *err)
{
	if (server->registry || !cfg->registry)
		return 0;
	server->registry = registry_service_new(cfg, err);
	if (!server->registry)
		return -1;
	server->shared->internal[CONFIG_INTERNAL_REGISTRY] =
		registry_service_handle(server->registry);
	return 0;
}

/* At the start, or after the first reload that bans clients. */
static int start_bans(struct server *server, const struct config *cfg,
		      const struct snapshot *snapshot, struct err *err)
{
	struct gateway_shared *shared = server->shared;

	if (shared->bans || !snapshot->ips)
		return 0;
	shared->bans = ban_service_new(cfg, shared->audit_log, err);
	return shared->bans ? 0 : -1;
}

/* --- discovery --- */

/* The same configuration with other endpoints. */
static int use_endpoints(struct server *server, struct snapshot *snapshot, struct err *err)
{
	if (start_health_checks(server, snapshot, err) < 0 ||
	    use_procedures(server, snapshot, err) < 0 ||
	    post_snapshot(server, snapshot, err) < 0)
		return -1;
	if (server->admin)
		admin_use_snapshot(server->admin, snapshot);
	return 0;
}

static int on_found(void *context, struct endpoint_list *const *found)
{
	struct server *server = context;
	struct snapshot *snapshot;
	struct err err;

	if (server->draining)
		return 0;
	snapshot = snapshot_with_endpoints(server->snapshot, found, &err);
	if (!snapshot || (server->serving && use_endpoints(server, snapshot, &err) < 0)) {
		log_message(LOG_ERROR, "discovery.not_used", "%s", err.message);
		snapshot_unref(snapshot);
		return -1;
	}
	snapshot_unref(server->snapshot);
	server->snapshot = snapshot;
	return 0;
}

static int prepare_discovery(struct server *server, struct snapshot *snapshot,
			     struct discovery **next, struct err *err)
{
	struct discovery_options options = {.snapshot = snapshot,
					    .dns = server->dns,
					    .found = on_found,
					    .context = server,
					    .previous = server->shared->discovery};

	return discovery_start(next, &options, err);
}

/* For the time of first answers, so that a server that replaces another knows as much. */
static int start_discovery(struct server *server, struct err *err)
{
	if (prepare_discovery(server, server->snapshot, &server->shared->discovery, err) < 0)
		return -1;
	while (!discovery_is_settled(server->shared->discovery))
		loop_step(server->loop, 10);
	return 0;
}

static int reload(struct server *server, struct err *err)
{
	struct discovery *discovery = NULL;
	struct registry *registry = NULL;
	struct snapshot *snapshot;
	struct config *cfg = NULL;

	if (load(server->config_path, &cfg, err) < 0)
		return -1;
	snapshot = snapshot_new(cfg, server->snapshot, server->tickets, err);
	if (!snapshot || start_webhooks(server, cfg, err) < 0 ||
	    start_approvals(server, cfg, snapshot, err) < 0 ||
	    start_bans(server, cfg, snapshot, err) < 0 ||
	    start_registry(server, cfg, err) < 0 ||
	    registry_service_prepare(server->registry, cfg, &registry, err) < 0 ||
	    (server->identity && identity_service_use(server->identity, snapshot, err) < 0) ||
	    use_webhooks(server, cfg, err) < 0 || use_procedures(server, snapshot, err) < 0 ||
	    prepare_discovery(server, snapshot, &discovery, err) < 0 ||
	    use_snapshot(server, snapshot, err) < 0) {
		discovery_stop(discovery);
		registry_unref(registry);
		snapshot_unref(snapshot);
		config_unref(cfg);
		return -1;
	}
	registry_service_use(server->registry, registry);
	snapshot_unref(server->snapshot);
	config_unref(server->config);
	server->snapshot = snapshot;
	server->config = cfg;
	discovery_stop(server->shared->discovery);
	server->shared->discovery = discovery;
	overload_watch_use(server->overload, cfg);
	if (server->admin)
		admin_use_snapshot(server->admin, snapshot);
	log_setup(STDERR_FILENO, cfg->log.level, cfg->log.format);
	return 0;
}

/* --- what the supervisor says --- */

static void say(struct server *server, enum channel_kind kind, struct span bytes)
{
	struct err err;

	if (channel_send(server->channel, kind, 0, bytes, &err) < 0)
		log_message(LOG_ERROR, "server.channel", "%s", err.message);
}

static void drain(struct server *server, int64_t timeout_ms)
{
	if (server->draining)
		return;
	server->draining = true;
	overload_watch_stop(server->overload);
	if (server->admin)
		admin_drain(server->admin);
	log_message(LOG_INFO, "server.draining", "within %lld ms", (long long)timeout_ms);
	for (unsigned i = 0; i < server->thread_count; i++)
		if (worker_post_drain(server->threads[i].worker, timeout_ms) < 0) {
			log_message(LOG_ERROR, "server.drain", "out of memory");
			_exit(1);
		}
}

static void audit(struct server *server, const char *event)
{
	if (server->shared->audit_log)
		audit_event(server->shared->audit_log, event, SPAN_NONE);
}

static void audit_loading(struct server *server, const char *event)
{
	if (server->shared->audit_log)
		audit_config(server->shared->audit_log, event, server->config_path);
}

static void on_reload(struct server *server)
{
	struct err err;

	if (server->draining)
		return;
	if (reload(server, &err) < 0) {
		audit_loading(server, "config.refused");
		say(server, CHANNEL_REFUSED, span_cstr(err.message));
	} else {
		audit_loading(server, "config.loaded");
		say(server, CHANNEL_RELOADED, SPAN_NONE);
	}
}

static void on_reopen(struct server *server)
{
	struct err err;

	if (server->shared->audit_log && audit_reopen(server->shared->audit_log, &err) < 0)
		log_message(LOG_ERROR, "audit.not_reopened", "%s", err.message);
	if (server->shared->waf_log && line_writer_reopen(server->shared->waf_log, &err) < 0)
		log_message(LOG_ERROR, "waf_log.reopen_failed", "%s", err.message);
	if (!server->shared->access_log)
		return;
	if (access_log_reopen(server->shared->access_log, &err) < 0)
		log_message(LOG_ERROR, "access_log.not_reopened", "%s", err.message);
	else
		log_message(LOG_INFO, "access_log.reopened", "log files are open anew");
}

static void on_export(struct server *server)
{
	struct secret keys = SECRET_NONE;

	if (tls_tickets_export(server->tickets, &keys) < 0)
		log_message(LOG_WARN, "server.tickets",
			    "session ticket keys cannot be passed on");
	say(server, CHANNEL_TICKETS, secret_span(&keys));
	secret_release(&keys);
}

static void on_message(struct server *server, const struct channel_message *message)
{
	switch ((enum channel_kind)message->kind) {
	case CHANNEL_RELOAD: on_reload(server); break;
	case CHANNEL_DRAIN: drain(server, message->number); break;
	case CHANNEL_REOPEN: on_reopen(server); break;
	case CHANNEL_EXPORT_TICKETS: on_export(server); break;
	case CHANNEL_READY:
	case CHANNEL_RELOADED:
	case CHANNEL_REFUSED:
	case CHANNEL_TICKETS: break;
	}
}

/* Without a supervisor nobody can reload or stop this process: it finishes and ends. */
static void on_channel(struct watch *watch, uint32_t events)
{
	struct server *server = CONTAINER_OF(watch, struct server, watch);
	struct channel_message message;
	enum channel_result result;

	(void)events;
	while ((result = channel_receive(server->channel, &message)) == CHANNEL_MESSAGE)
		on_message(server, &message);
	if (result == CHANNEL_EMPTY)
		return;
	watch_remove(watch);
	log_message(LOG_WARN, "server.orphaned", "the supervisor is gone");
	drain(server, (int64_t)server->config->limits.drain_timeout_ms);
}

/* --- worker threads --- */

static void on_thread_ended(struct loop_message *message)
{
	struct server_thread *t = CONTAINER_OF(message, struct server_thread, ended);

	if (--t->server->running == 0)
		loop_stop(t->server->loop);
}

static void pin(unsigned index, const struct config *cfg)
{
	cpu_set_t set;
	char name[16];

	snprintf(name, sizeof(name), "worker %u", index);
	pthread_setname_np(pthread_self(), name);
	if (!cfg->worker_cpus.count)
		return;
	CPU_ZERO(&set);
	CPU_SET(cfg->worker_cpus.at[index % cfg->worker_cpus.count], &set);
	if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set) != 0)
		log_message(LOG_WARN, "worker.not_pinned", "worker %u: processor %u", index,
			    cfg->worker_cpus.at[index % cfg->worker_cpus.count]);
}

static void *thread_main(void *arg)
{
	struct server_thread *t = arg;
	struct server *server = t->server;
	struct err err;
	bool watched;

	pin(t->options.index, server->config);
	t->worker = worker_new(&t->options, &t->err);
	if (!t->worker) {
		sem_post(&server->started);
		return NULL;
	}
	watched = watchdog_add(t->worker->loop, &err) == 0;
	if (!watched)
		log_message(LOG_WARN, "worker.not_watched", "%s", err.message);
	sem_post(&server->started);
	worker_run(t->worker);
	if (watched)
		watchdog_remove(t->worker->loop);
	worker_free(t->worker);
	loop_post(server->loop, &t->ended);
	return NULL;
}

static int start_thread(struct server *server, const struct server_options *options,
			unsigned index, struct err *err)
{
	struct server_thread *t = &server->threads[index];
	size_t fd_count =
		sockets_per_worker(options->sockets, server->config, options->workers);

	t->server = server;
	t->ended.run = on_thread_ended;
	t->fds = mem_zalloc(fd_count, sizeof(*t->fds));
	if (!t->fds)
		return err_set(err, ERR_MEMORY, "no memory for a worker");
	if (sockets_for_worker(options->sockets, server->config, index, options->workers,
			       t->fds, err) < 0)
		return -1;
	t->options = (struct worker_options){.index = index,
					     .workers = options->workers,
					     .shared = server->shared,
					     .snapshot = server->snapshot,
					     .fds = t->fds,
					     .fd_count = fd_count};
	if (pthread_create(&t->thread, NULL, thread_main, t) != 0)
		return err_set(err, ERR_UNAVAILABLE, "cannot start a thread");
	server->thread_count++;
	return 0;
}

static int start_threads(struct server *server, const struct server_options *options,
			 struct err *err)
{
	server->threads = mem_zalloc(options->workers, sizeof(*server->threads));
	if (!server->threads)
		return err_set(err, ERR_MEMORY, "no memory for workers");
	for (unsigned i = 0; i < options->workers; i++)
		if (start_thread(server, options, i, err) < 0)
			return -1;
	for (unsigned i = 0; i < options->workers; i++)
		while (sem_wait(&server->started) < 0)
			;
	for (unsigned i = 0; i < options->workers; i++)
		if (!server->threads[i].worker) {
			*err = server->threads[i].err;
			return err_wrap(err, "worker %u", i);
		}
	server->running = options->workers;
	return 0;
}

/* --- start and end --- */

/* The terminal sends these to the whole process group; only the supervisor takes them. */
static void ignore_signals(void)
{
	static const int ignored[] = {SIGHUP,  SIGINT,	SIGQUIT, SIGTERM,
				      SIGUSR1, SIGUSR2, SIGPIPE};
	sigset_t none;

	for (size_t i = 0; i < COUNT_OF(ignored); i++)
		signal(ignored[i], SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Before the process is confined: the watch opens files. */
static int make_shared(struct server *server, struct err *err)
{
	server->shared = mem_zalloc(1, sizeof(*server->shared));
	if (!server->shared)
		return err_set(err, ERR_MEMORY, "no memory for counters");
	server->overload = overload_watch_new(server->shared, err);
	return server->overload ? 0 : -1;
}

/* Before the process is confined: the audit log is then there to be written only. */
static int read_timeline(struct server *server, struct err *err)
{
	struct span audit_path = server->config->log.audit_path;
	struct err why;

	server->shared->timeline = mem_zalloc(1, sizeof(*server->shared->timeline));
	if (!server->shared->timeline)
		return err_set(err, ERR_MEMORY, "no memory for the time line");
	/* It is for people to look back, and nothing to refuse to start for. */
	if (server->config->procedures.count && audit_path.len &&
	    timeline_read(server->shared->timeline, audit_path.ptr, &why) < 0)
		log_message(LOG_WARN, "procedure.timeline", "%s", why.message);
	return 0;
}

static int start_waf(struct gateway_shared *shared, const struct config_waf *config,
		     struct err *err)
{
	struct line_writer_options options = {
		.path = config->log.ptr, .fd = STDERR_FILENO, .name = "waf log"};

	shared->waf_collections = waf_collections_new(WAF_COLLECTION_ENTRIES, err);
	if (!shared->waf_collections)
		return -1;
	shared->waf_log = line_writer_new(&options, err);
	return shared->waf_log ? 0 : -1;
}

static int start_shared(struct server *server, const struct server_options *options,
			struct err *err)
{
	struct gateway_shared *shared = server->shared;

	shared->started_unix_s = clock_unix_s();
	shared->limiter = limiter_open(options->limits, err);
	close(options->limits);
	if (!shared->limiter)
		return -1;
	shared->challenge = challenge_maker_new(err);
	if (!shared->challenge)
		return -1;
	if (server->config->log.audit_path.len) {
		shared->audit_log = audit_open(server->config->log.audit_path.ptr, err);
		if (!shared->audit_log)
			return -1;
		audit_loading(server, "server.started");
	}
	if (server->config->waf && start_waf(shared, server->config->waf, err) < 0)
		return -1;
	if (server->config->log.access == CONFIG_ACCESS_LOG_OFF)
		return 0;
	shared->access_log = access_log_new(&server->config->log, err);
	return shared->access_log ? 0 : -1;
}

static int start_identity(struct server *server, struct err *err)
{
	if (!idp_is_wanted(server->config))
		return 0;
	server->identity = identity_service_new(server->config, server->shared->audit_log, err);
	if (!server->identity ||
	    identity_service_use(server->identity, server->snapshot, err) < 0)
		return -1;
	server->shared->internal[CONFIG_INTERNAL_IDENTITY] =
		identity_service_handle(server->identity);
	return 0;
}

static int make_tickets(struct server *server, struct span inherited, struct err *err)
{
	struct err why;

	server->tickets = tls_tickets_new(TICKET_ROTATE_S, err);
	if (!server->tickets)
		return -1;
	if (inherited.len && tls_tickets_import(server->tickets, inherited, &why) < 0)
		log_message(LOG_WARN, "server.tickets", "%s", why.message);
	return 0;
}

static int start_overload_watch(struct server *server, struct err *err)
{
	server->loops = mem_zalloc(server->thread_count, sizeof(struct loop *));
	if (!server->loops)
		return err_set(err, ERR_MEMORY, "no memory for the watch on overload");
	for (unsigned i = 0; i < server->thread_count; i++)
		server->loops[i] = server->threads[i].worker->loop;
	overload_watch_start(server->overload, server->config, server->loops,
			     server->thread_count);
	return 0;
}

static int start_admin(struct server *server, struct err *err)
{
	struct admin_options options = {.config = &server->config->admin,
					.metrics_count = server->thread_count,
					.shared = server->shared,
					.watch = server->overload,
					.snapshot = server->snapshot};

	if (!server->config->admin.enabled)
		return 0;
	server->metrics = mem_zalloc(server->thread_count, sizeof(struct metrics *));
	if (!server->metrics)
		return err_set(err, ERR_MEMORY, "no memory for metrics");
	for (unsigned i = 0; i < server->thread_count; i++)
		server->metrics[i] = server->threads[i].worker->metrics;
	options.metrics = server->metrics;
	server->admin = admin_start(&options, err);
	return server->admin ? 0 : -1;
}

/* Everything that takes privileges comes before confine_process, all threads after it. */
static int start(struct server *server, const struct server_options *options, struct err *err)
{
	struct dns_options dns = {.entries_max = 0};

	if (make_tickets(server, options->tickets, err) < 0)
		return -1;
	server->snapshot = snapshot_new(server->config, NULL, server->tickets, err);
	if (!server->snapshot || make_shared(server, err) < 0 ||
	    read_timeline(server, err) < 0 ||
	    command_runner_new(&server->commands, server->config, err) < 0 ||
	    program_helper_new(&server->shared->programs, server->config, options->workers,
			       err) < 0 ||
	    confine_process(options->config_path, server->config, err) < 0)
		return -1;
	if (server->config->sandbox &&
	    sandbox_syscalls(SANDBOX_SERVER, SANDBOX_DENIAL_ERROR, err) < 0)
		return -1;
	if (start_shared(server, options, err) < 0 || start_identity(server, err) < 0 ||
	    start_webhooks(server, server->config, err) < 0 ||
	    start_approvals(server, server->config, server->snapshot, err) < 0 ||
	    start_bans(server, server->config, server->snapshot, err) < 0 ||
	    start_registry(server, server->config, err) < 0 || watchdog_start(0, err) < 0)
		return -1;
	server->loop = loop_new(err);
	server->dns = server->loop ? dns_new(&dns, err) : NULL;
	if (!server->dns || start_discovery(server, err) < 0 ||
	    start_refresher(server, server->snapshot, err) < 0 ||
	    (server->identity && identity_service_start(server->identity, err) < 0) ||
	    start_health_checks(server, server->snapshot, err) < 0 ||
	    use_webhooks(server, server->config, err) < 0 ||
	    command_runner_start(server->commands, err) < 0 ||
	    use_procedures(server, server->snapshot, err) < 0 ||
	    start_threads(server, options, err) < 0 || start_overload_watch(server, err) < 0 ||
	    start_admin(server, err) < 0)
		return -1;
	/* A socket that stayed open here would queue connections that nobody accepts. */
	sockets_release(options->sockets, false);
	server->serving = true;
	return watch_add(&server->watch, server->channel, on_channel, err);
}

static void finish(struct server *server)
{
	int64_t until_ms = clock_ms() + 2000;

	for (unsigned i = 0; i < server->thread_count; i++) {
		pthread_join(server->threads[i].thread, NULL);
		mem_free(server->threads[i].fds);
	}
	mem_free(server->threads);
	if (server->watch.fd >= 0)
		watch_remove(&server->watch);
	admin_free(server->admin);
	mem_free(server->metrics);
	overload_watch_free(server->overload);
	mem_free(server->loops);
	stop_refresher(server);
	identity_service_stop(server->identity);
	health_checks_stop(server->health_checks);
	discovery_stop(server->shared->discovery);
	procedure_service_stop(server->shared->procedures);
	webhook_service_stop(server->shared->webhooks);
	while (fiber_live_count() && clock_ms() < until_ms)
		loop_step(server->loop, 10);
	watchdog_stop();
	procedure_service_free(server->shared->procedures);
	mem_free(server->shared->timeline);
	command_runner_free(server->commands);
	program_helper_free(server->shared->programs);
	dns_free(server->dns);
	identity_service_free(server->identity);
	registry_service_free(server->registry);
	snapshot_unref(server->snapshot);
	config_unref(server->config);
	tls_tickets_unref(server->tickets);
	ban_service_free(server->shared->bans);
	audit(server, "server.ended");
	audit_close(server->shared->audit_log);
	access_log_free(server->shared->access_log);
	approval_service_free(server->shared->approvals);
	webhook_service_free(server->shared->webhooks);
	line_writer_free(server->shared->waf_log);
	if (server->shared->waf_collections)
		waf_collections_free(server->shared->waf_collections);
	limiter_free(server->shared->limiter);
	challenge_maker_free(server->shared->challenge);
	mem_free(server->shared);
	loop_free(server->loop);
	sem_destroy(&server->started);
}

int server_process_main(const struct server_options *options)
{
	static struct server server;
	struct err err = {.code = ERR_NONE};

	ignore_signals();
	pthread_setname_np(pthread_self(), "server");
	server.config_path = options->config_path;
	server.channel = options->channel;
	server.watch.fd = -1;
	server.config = config_ref(options->config);
	sem_init(&server.started, 0, 0);
	/* The process ends: the kernel frees what a half start leaves. */
	if (start(&server, options, &err) < 0) {
		log_message(LOG_ERROR, "server.start_failed", "%s", err.message);
		return 1;
	}
	say(&server, CHANNEL_READY, SPAN_NONE);
	loop_run(server.loop);
	finish(&server);
	log_message(LOG_INFO, "server.ended", "all connections have ended");
	return 0;
}
