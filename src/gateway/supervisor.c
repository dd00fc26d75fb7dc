#include "gateway/supervisor.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/channel.h"
#include "gateway/command_runner.h"
#include "gateway/notify.h"
#include "gateway/outside.h"
#include "gateway/server_process.h"
#include "gateway/watched_files.h"
#include "io/sandbox.h"

#define START_WITHIN_MS 300000
/* After the time for draining: to unwind and free. */
#define DRAIN_GRACE_MS 5000
#define BACKOFF_FIRST_MS 100
#define BACKOFF_MAX_MS 10000
/* A server that lived so long has not failed because of how it was started. */
#define BACKOFF_FORGET_MS 10000
#define TICKETS_WITHIN_MS 1000
/* Taken from one server in a row: one that never stops talking must not keep us from anything else. */
#define MESSAGES_AT_ONCE 16

/* --- small things --- */

static unsigned worker_count(const struct config *cfg)
{
	cpu_set_t set;

	if (cfg->workers)
		return cfg->workers;
	if (sched_getaffinity(0, sizeof(set), &set) < 0 || CPU_COUNT(&set) < 1)
		return 1;
	return (unsigned)CPU_COUNT(&set);
}

static void log_problems(const struct config_problems *problems)
{
	for (size_t i = 0; i < problems->count; i++) {
		const struct config_problem *p = &problems->at[i];

		log_message(p->severity == CONFIG_ERROR ? LOG_ERROR : LOG_WARN,
			    p->severity == CONFIG_ERROR ? "config.error" : "config.warning",
			    "%s:%u:%u: %s", p->file, p->line, p->column, p->message);
	}
}

static void print_problems(const struct config_problems *problems)
{
	struct buf text;

	buf_init(&text, (size_t)1 << 20);
	config_problems_print(problems, &text);
	fprintf(stderr, "%.*s", SPAN_ARG(buf_span(&text)));
	buf_release(&text);
}

struct child *supervisor_child(struct supervisor *s, enum child_state state)
{
	for (size_t i = 0; i < CHILDREN_MAX; i++)
		if (s->children[i].state == state)
			return &s->children[i];
	return NULL;
}

/* --- server processes --- */

/* In the child: closes what is the supervisor's, and serves. */
static void be_server(struct supervisor *s, int channel, struct config *cfg)
{
	struct server_options options = {.config_path = s->options->config_path,
					 .config = cfg,
					 .sockets = &s->sockets,
					 .workers = s->workers,
					 .channel = channel,
					 .limits = s->limits,
					 .tickets = secret_span(&s->tickets)};

	/* Ends that stayed open here would hide from other servers that the supervisor is gone. */
	for (size_t i = 0; i < CHILDREN_MAX; i++)
		if (s->children[i].state != CHILD_NONE)
			close(s->children[i].channel);
	close(s->signals);
	if (s->tell_fd >= 0)
		close(s->tell_fd);
	if (s->successor.ready_fd >= 0)
		close(s->successor.ready_fd);
	_exit(server_process_main(&options));
}

static int start_child(struct supervisor *s, struct config *cfg, struct err *err)
{
	struct child *child = supervisor_child(s, CHILD_NONE);
	int ends[2];
	pid_t pid;

	if (!child)
		return err_set(err, ERR_LIMIT, "too many servers are still draining");
	if (confine_prepare_logs(cfg, err) < 0 || channel_open(ends, err) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		close(ends[0]);
		be_server(s, ends[1], cfg);
	}
	close(ends[1]);
	if (pid < 0) {
		close(ends[0]);
		return err_set_errno(err, errno, "fork");
	}
	*child = (struct child){.state = CHILD_STARTING,
				.pid = pid,
				.channel = ends[0],
				.since_ms = clock_ms(),
				.kill_at_ms = clock_ms() + START_WITHIN_MS};
	return 0;
}

static void tell(const struct child *child, enum channel_kind kind, int64_t number)
{
	struct err err;

	if (channel_send(child->channel, kind, number, SPAN_NONE, &err) < 0)
		log_message(LOG_WARN, "supervisor.channel", "process %d: %s", (int)child->pid,
			    err.message);
}

void supervisor_drain(struct supervisor *s, struct child *child)
{
	int64_t timeout_ms = (int64_t)s->config->limits.drain_timeout_ms;

	if (child->state == CHILD_STARTING)
		(void)kill(child->pid, SIGKILL);
	if (child->state != CHILD_SERVING)
		return;
	tell(child, CHANNEL_DRAIN, timeout_ms);
	child->state = CHILD_DRAINING;
	child->kill_at_ms = clock_ms() + timeout_ms + DRAIN_GRACE_MS;
}

void supervisor_fetch_tickets(struct supervisor *s)
{
	const struct child *child = supervisor_child(s, CHILD_SERVING);
	int64_t until_ms = clock_ms() + TICKETS_WITHIN_MS;
	struct channel_message message;
	bool got = false;

	if (!child)
		return;
	tell(child, CHANNEL_EXPORT_TICKETS, 0);
	while (!got && clock_ms() < until_ms) {
		struct pollfd p = {.fd = child->channel, .events = POLLIN};

		if (poll(&p, 1, (int)(until_ms - clock_ms() + 1)) < 0 ||
		    channel_receive(child->channel, &message) != CHANNEL_MESSAGE)
			break;
		got = message.kind == CHANNEL_TICKETS;
	}
	if (!got || secret_set(&s->tickets, span_of(message.bytes, message.len)) < 0)
		log_message(LOG_WARN, "supervisor.tickets",
			    "session ticket keys cannot be passed on");
	secret_wipe(&message, sizeof(message));
}

/* --- reload --- */

static void watch_files(struct supervisor *s, uint64_t state)
{
	s->files_state = state;
	s->look_at_ms = state ? clock_ms() + WATCHED_FILES_EVERY_MS : 0;
}

static void reload_ended(struct supervisor *s, bool took)
{
	if (took) {
		config_unref(s->config);
		s->config = s->next;
		watch_files(s, s->files_next_state);
		log_setup(STDERR_FILENO, s->config->log.level, s->config->log.format);
		log_message(LOG_INFO, "reload.done", "the new configuration is in use");
	} else {
		config_unref(s->next);
		log_message(LOG_ERROR, "reload.failed",
			    "the configuration in use stays as it was");
	}
	s->next = NULL;
	s->in_process = false;
	notify_send("READY=1");
}

static bool same_listens(const struct config *a, const struct config *b)
{
	if (a->listen.count != b->listen.count)
		return false;
	for (size_t i = 0; i < a->listen.count; i++)
		if (!span_eq(a->listen.at[i].address.text, b->listen.at[i].address.text) ||
		    a->listen.at[i].reuse_port != b->listen.at[i].reuse_port)
			return false;
	return true;
}

static bool same_cpus(const struct config *a, const struct config *b)
{
	return a->worker_cpus.count == b->worker_cpus.count &&
	       (a->worker_cpus.count == 0 ||
		memcmp(a->worker_cpus.at, b->worker_cpus.at,
		       a->worker_cpus.count * sizeof(*a->worker_cpus.at)) == 0);
}

static bool same_waf_log(const struct config *a, const struct config *b)
{
	if (!a->waf || !b->waf)
		return a->waf == b->waf;
	return span_eq(a->waf->log, b->waf->log);
}

/* What a running server cannot change in itself. */
static bool takes_new_server(const struct supervisor *s)
{
	const struct config *a = s->config, *b = s->next;

	return !same_listens(a, b) || !same_cpus(a, b) || !same_waf_log(a, b) ||
	       !command_runner_same(a, b) || !outside_same(a, b) ||
	       s->workers != worker_count(b) || !span_eq(a->user, b->user) ||
	       !span_eq(a->group, b->group) || a->sandbox != b->sandbox ||
	       a->log.access != b->log.access ||
	       !span_eq(a->log.access_path, b->log.access_path) ||
	       !span_eq(a->log.audit_path, b->log.audit_path) ||
	       a->admin.enabled != b->admin.enabled ||
	       !span_eq(a->admin.address.text, b->admin.address.text) ||
	       a->identity.token_cache_size != b->identity.token_cache_size ||
	       !span_eq(secret_span(&a->store.url), secret_span(&b->store.url)) ||
	       !span_eq(secret_span(&a->store.shared), secret_span(&b->store.shared)) ||
	       !span_eq(a->identity.key_file, b->identity.key_file) ||
	       (a->identity.issuer.len == 0) != (b->identity.issuer.len == 0) ||
	       !confine_covers(s->options->config_path, a, b);
}

/* A new server beside the one that serves; reload_ended comes when it is ready or has ended. */
static void replace_server(struct supervisor *s)
{
	unsigned workers = s->workers;
	struct err err;

	supervisor_fetch_tickets(s);
	s->workers = worker_count(s->next);
	if (sockets_open(&s->sockets, s->next, s->workers, &err) == 0 &&
	    start_child(s, s->next, &err) == 0) {
		log_message(LOG_INFO, "reload.new_server", "starting another server process");
		return;
	}
	s->workers = workers;
	log_message(LOG_ERROR, "reload.failed", "%s", err.message);
	reload_ended(s, false);
}

static void reload(struct supervisor *s)
{
	struct config_problems problems = {0};
	const struct child *serving = supervisor_child(s, CHILD_SERVING);

	s->reload_again = false;
	if (s->stopping || s->successor.pid) {
		log_message(LOG_WARN, "reload.ignored", "the gateway is about to end");
		return;
	}
	if (s->next || supervisor_child(s, CHILD_STARTING)) {
		s->reload_again = true;
		return;
	}
	notify_reloading();
	watch_files(s, watched_files_state(s->config));
	if (config_load(s->options->config_path, &s->next, &problems) < 0) {
		log_problems(&problems);
		s->next = NULL;
		reload_ended(s, false);
		return;
	}
	log_problems(&problems);
	s->files_next_state = watched_files_state(s->next);
	/* One changed while it was read: the next look shall find that. */
	if (watched_files_state(s->config) != s->files_state)
		s->files_next_state ^= 2;
	/* After a crash: the next start takes it. */
	if (!serving) {
		replace_server(s);
		return;
	}
	s->in_process = !takes_new_server(s);
	if (s->in_process)
		tell(serving, CHANNEL_RELOAD, 0);
	else
		replace_server(s);
}

/* --- what servers say --- */

static void on_ready(struct supervisor *s, struct child *child)
{
	struct child *before = supervisor_child(s, CHILD_SERVING);
	struct err err;

	if (child->state != CHILD_STARTING)
		return;
	if (before)
		supervisor_drain(s, before);
	child->state = CHILD_SERVING;
	child->kill_at_ms = 0;
	child->since_ms = clock_ms();
	s->restart_at_ms = 0;
	if (s->next)
		reload_ended(s, true);
	sockets_close_unwanted(&s->sockets);
	log_message(LOG_INFO, "supervisor.serving", "server process %d, %u workers",
		    (int)child->pid, s->workers);
	if (s->ready)
		return;
	s->ready = true;
	if (s->options->pid_file && pid_file_write(s->options->pid_file, &err) < 0)
		log_message(LOG_ERROR, "pid_file.not_written", "%s", err.message);
	notify_send("READY=1");
	upgrade_tell(s);
}

static void on_message(struct supervisor *s, struct child *child,
		       const struct channel_message *message)
{
	switch ((enum channel_kind)message->kind) {
	case CHANNEL_READY: on_ready(s, child); break;
	case CHANNEL_RELOADED:
		if (s->in_process && child->state == CHILD_SERVING)
			reload_ended(s, true);
		break;
	case CHANNEL_REFUSED:
		if (!s->in_process || child->state != CHILD_SERVING)
			break;
		/* It may have been for lack of privileges, which a new server begins with. */
		log_message(LOG_WARN, "reload.refused", "%.*s", (int)message->len,
			    message->bytes);
		s->in_process = false;
		replace_server(s);
		break;
	case CHANNEL_TICKETS:
	case CHANNEL_RELOAD:
	case CHANNEL_DRAIN:
	case CHANNEL_REOPEN:
	case CHANNEL_EXPORT_TICKETS: break;
	}
}

static void on_channel(struct supervisor *s, struct child *child)
{
	struct channel_message message;

	/* An end is followed by SIGCHLD. */
	for (int i = 0; i < MESSAGES_AT_ONCE && child->state != CHILD_NONE &&
			channel_receive(child->channel, &message) == CHANNEL_MESSAGE;
	     i++)
		on_message(s, child, &message);
	secret_wipe(&message, sizeof(message));
}

/* --- the end of a server --- */

static void schedule_restart(struct supervisor *s, bool lived)
{
	if (lived || !s->backoff_ms)
		s->backoff_ms = BACKOFF_FIRST_MS;
	else if (s->backoff_ms < BACKOFF_MAX_MS)
		s->backoff_ms *= 2;
	s->restart_at_ms = clock_ms() + s->backoff_ms;
}

static void restart(struct supervisor *s)
{
	struct err err;

	s->restart_at_ms = 0;
	if (s->stopping || supervisor_child(s, CHILD_STARTING) ||
	    supervisor_child(s, CHILD_SERVING))
		return;
	if (start_child(s, s->config, &err) == 0)
		return;
	log_message(LOG_ERROR, "supervisor.restart_failed", "%s", err.message);
	schedule_restart(s, false);
}

/* A server ended before it was ready. */
static void on_start_failed(struct supervisor *s)
{
	struct err err;

	if (!s->ready) {
		s->stopping = true;
		s->exit_code = 1;
		return;
	}
	if (!s->next) {
		schedule_restart(s, false);
		return;
	}
	s->workers = worker_count(s->config);
	reload_ended(s, false);
	/* Marks what only the refused configuration wanted. */
	if (sockets_open(&s->sockets, s->config, s->workers, &err) < 0)
		log_message(LOG_ERROR, "supervisor.sockets", "%s", err.message);
	else
		sockets_close_unwanted(&s->sockets);
	if (!supervisor_child(s, CHILD_SERVING))
		schedule_restart(s, false);
}

static void on_child_exit(struct supervisor *s, struct child *child, int status)
{
	enum child_state state = child->state;
	bool lived = clock_ms() - child->since_ms > BACKOFF_FORGET_MS;
	bool failed = state != CHILD_DRAINING || status != 0;

	/* READY and the end may come together. */
	if (failed)
		log_message(LOG_ERROR, "supervisor.server_ended", "process %d: %s %d",
			    (int)child->pid, WIFSIGNALED(status) ? "signal" : "exit code",
			    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	close(child->channel);
	*child = (struct child){.channel = -1};
	if (s->stopping || state == CHILD_DRAINING)
		return;
	if (state == CHILD_STARTING) {
		on_start_failed(s);
		return;
	}
	if (s->in_process)
		reload_ended(s, false);
	/* Unless a replacement is coming already. */
	if (!supervisor_child(s, CHILD_STARTING))
		schedule_restart(s, lived);
}

static void reap(struct supervisor *s)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (upgrade_on_exit(s, pid))
			continue;
		for (size_t i = 0; i < CHILDREN_MAX; i++)
			if (s->children[i].state != CHILD_NONE && s->children[i].pid == pid)
				on_child_exit(s, &s->children[i], status);
	}
}

/* --- signals --- */

static void stop(struct supervisor *s)
{
	bool again = s->stopping;

	if (!again)
		notify_send("STOPPING=1");
	log_message(LOG_INFO, "supervisor.stopping", "%s",
		    again ? "at once" : "when all connections have ended");
	s->stopping = true;
	if (s->successor.pid)
		(void)kill(s->successor.pid, SIGTERM);
	for (size_t i = 0; i < CHILDREN_MAX; i++) {
		if (again && s->children[i].state != CHILD_NONE)
			(void)kill(s->children[i].pid, SIGKILL);
		else
			supervisor_drain(s, &s->children[i]);
	}
}

static void reopen_logs(struct supervisor *s)
{
	struct err err;

	if (confine_prepare_logs(s->config, &err) < 0)
		log_message(LOG_ERROR, "supervisor.logs", "%s", err.message);
	for (size_t i = 0; i < CHILDREN_MAX; i++)
		if (s->children[i].state != CHILD_NONE)
			tell(&s->children[i], CHANNEL_REOPEN, 0);
}

static void upgrade(struct supervisor *s)
{
	if (s->stopping || s->successor.pid || s->next || !supervisor_child(s, CHILD_SERVING))
		log_message(LOG_WARN, "upgrade.ignored",
			    "not while something else is changing");
	else
		upgrade_start(s);
}

static void on_signals(struct supervisor *s)
{
	struct signalfd_siginfo info;

	while (read(s->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGHUP: reload(s); break;
		case SIGUSR1: reopen_logs(s); break;
		case SIGUSR2: upgrade(s); break;
		case SIGCHLD: reap(s); break;
		default: stop(s); break;
		}
	}
}

static int take_signals(struct supervisor *s, struct err *err)
{
	static const int taken[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM,
				    SIGUSR1, SIGUSR2, SIGCHLD};
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < COUNT_OF(taken); i++)
		sigaddset(&set, taken[i]);
	/* Inherited "ignored" would lose exits. */
	signal(SIGCHLD, SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return err_set_errno(err, errno, "sigprocmask");
	s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->signals < 0 ? err_set_errno(err, errno, "signalfd") : 0;
}

/* --- the loop --- */

static void earlier(int64_t *at_ms, int64_t candidate_ms)
{
	if (candidate_ms && candidate_ms < *at_ms)
		*at_ms = candidate_ms;
}

static int wait_ms(const struct supervisor *s)
{
	int64_t at_ms = INT64_MAX, now_ms = clock_ms();

	earlier(&at_ms, s->restart_at_ms);
	earlier(&at_ms, s->look_at_ms);
	earlier(&at_ms, s->successor.kill_at_ms);
	for (size_t i = 0; i < CHILDREN_MAX; i++)
		earlier(&at_ms, s->children[i].kill_at_ms);
	if (at_ms == INT64_MAX)
		return -1;
	return at_ms <= now_ms ? 0 : (int)(at_ms - now_ms);
}

static void look_at_files(struct supervisor *s)
{
	s->look_at_ms = clock_ms() + WATCHED_FILES_EVERY_MS;
	if (watched_files_state(s->config) == s->files_state)
		return;
	log_message(LOG_INFO, "reload.file_changed", "a list of endpoints has changed");
	reload(s);
}

static void on_time(struct supervisor *s)
{
	int64_t now_ms = clock_ms();

	for (size_t i = 0; i < CHILDREN_MAX; i++) {
		struct child *child = &s->children[i];

		if (!child->kill_at_ms || child->kill_at_ms > now_ms)
			continue;
		log_message(LOG_ERROR, "supervisor.server_stuck", "process %d is killed",
			    (int)child->pid);
		child->kill_at_ms = 0;
		(void)kill(child->pid, SIGKILL);
	}
	if (s->successor.kill_at_ms && s->successor.kill_at_ms <= now_ms) {
		s->successor.kill_at_ms = 0;
		if (s->successor.pid)
			(void)kill(s->successor.pid, SIGKILL);
	}
	if (s->restart_at_ms && s->restart_at_ms <= now_ms)
		restart(s);
	if (s->look_at_ms && s->look_at_ms <= now_ms)
		look_at_files(s);
	if (s->reload_again && !s->next && !supervisor_child(s, CHILD_STARTING))
		reload(s);
}

static bool is_over(const struct supervisor *s)
{
	if (!s->stopping || s->successor.pid)
		return false;
	for (size_t i = 0; i < CHILDREN_MAX; i++)
		if (s->children[i].state != CHILD_NONE)
			return false;
	return true;
}

static void supervise(struct supervisor *s)
{
	while (!is_over(s)) {
		struct pollfd fds[CHILDREN_MAX + 2] = {
			{.fd = s->signals, .events = POLLIN},
			{.fd = s->successor.ready_fd, .events = POLLIN}};

		for (size_t i = 0; i < CHILDREN_MAX; i++)
			fds[i + 2] = (struct pollfd){
				.fd = s->children[i].state ? s->children[i].channel : -1,
				.events = POLLIN};
		if (poll(fds, COUNT_OF(fds), wait_ms(s)) < 0)
			continue;
		/* Messages before exits: a server may be ready and end, in this order. */
		for (size_t i = 0; i < CHILDREN_MAX; i++)
			if (fds[i + 2].revents)
				on_channel(s, &s->children[i]);
		if (fds[1].revents)
			upgrade_on_ready(s);
		if (fds[0].revents)
			on_signals(s);
		on_time(s);
	}
}

static int start(struct supervisor *s, struct err *err)
{
	/* What it starts inherits that. */
	if (s->config->sandbox && sandbox_hide_memory(err) < 0)
		return -1;
	s->program = upgrade_program(err);
	if (!s->program || upgrade_inherit(s, err) < 0 || take_signals(s, err) < 0)
		return -1;
	s->workers = worker_count(s->config);
	watch_files(s, watched_files_state(s->config));
	if (sockets_open(&s->sockets, s->config, s->workers, err) < 0)
		return -1;
	if (s->tell_fd < 0)
		sockets_check_admin(s->config);
	return start_child(s, s->config, err);
}

static void release(struct supervisor *s)
{
	/* A successor has both now. */
	if (!s->handed_over && s->options->pid_file && s->ready)
		pid_file_remove(s->options->pid_file);
	sockets_release(&s->sockets, !s->handed_over && s->tell_fd < 0);
	if (s->signals >= 0)
		close(s->signals);
	if (s->limits >= 0)
		close(s->limits);
	secret_release(&s->tickets);
	config_unref(s->next);
	config_unref(s->config);
	mem_free(s->program);
}

int gateway_main(const struct gateway_options *options)
{
	struct supervisor s = {.options = options,
			       .signals = -1,
			       .tell_fd = -1,
			       .limits = -1,
			       .successor.ready_fd = -1};
	struct config_problems problems = {0};
	struct err err;

	if (config_load(options->config_path, &s.config, &problems) < 0) {
		print_problems(&problems);
		return 1;
	}
	log_setup(STDERR_FILENO, s.config->log.level, s.config->log.format);
	log_problems(&problems);
	if (start(&s, &err) == 0) {
		supervise(&s);
	} else {
		log_message(LOG_ERROR, "supervisor.start_failed", "%s", err.message);
		s.exit_code = 1;
	}
	release(&s);
	return s.exit_code;
}
