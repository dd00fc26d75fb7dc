#include "gateway/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "io/listener.h"

#define FIRST_MANAGER_FD 3
#define SOCKETS_MAX 65536

static int add(struct sockets *sockets, struct span text, int fd, struct err *err)
{
	struct socket_entry entry = {.fd = fd};
	struct socket_entry *at;

	if (sockets->count >= SOCKETS_MAX)
		return err_set(err, ERR_LIMIT, "too many listening sockets");
	at = mem_realloc(sockets->at, (sockets->count + 1) * sizeof(*at));
	if (!at)
		return err_set(err, ERR_MEMORY, "no memory for sockets");
	sockets->at = at;
	if (text.ptr) {
		entry.text = mem_strdup(text);
		if (!entry.text)
			return err_set(err, ERR_MEMORY, "no memory for sockets");
	}
	if (listener_address(fd, &entry.address, err) < 0) {
		mem_free(entry.text);
		return -1;
	}
	sockets->at[sockets->count++] = entry;
	return 0;
}

static void drop(struct sockets *sockets, size_t i)
{
	close(sockets->at[i].fd);
	mem_free(sockets->at[i].text);
	sockets->count--;
	memmove(&sockets->at[i], &sockets->at[i + 1],
		(sockets->count - i) * sizeof(*sockets->at));
}

static int close_on_exec(int fd, struct err *err)
{
	if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return err_set_errno(err, errno, "inherited descriptor %d", fd);
	return 0;
}

/* Lines "fd y address" of an older supervisor; "n": a Unix socket's file is not ours. */
static int inherit_from_supervisor(struct sockets *sockets, struct span rest, struct err *err)
{
	while (rest.ptr) {
		struct span line = span_cut(&rest, '\n');
		struct span number = span_cut(&line, ' ');
		struct span ours = span_cut(&line, ' ');
		uint64_t fd;

		if (number.len == 0)
			continue;
		if (!line.ptr || !span_to_u64(number, &fd) || fd > INT32_MAX)
			return err_set(err, ERR_SYNTAX, SOCKETS_VARIABLE " is malformed");
		if (close_on_exec((int)fd, err) < 0 || add(sockets, line, (int)fd, err) < 0)
			return -1;
		sockets->at[sockets->count - 1].opened_here = span_eq(ours, SPAN("y"));
	}
	return 0;
}

static int inherit_from_manager(struct sockets *sockets, struct err *err)
{
	uint64_t pid, count;

	if (!span_to_u64(span_cstr(getenv("LISTEN_PID")), &pid) || pid != (uint64_t)getpid())
		return 0;
	if (!span_to_u64(span_cstr(getenv("LISTEN_FDS")), &count) || count > SOCKETS_MAX)
		return err_set(err, ERR_SYNTAX, "LISTEN_FDS is malformed");
	for (int fd = FIRST_MANAGER_FD; fd < FIRST_MANAGER_FD + (int)count; fd++)
		if (close_on_exec(fd, err) < 0 || add(sockets, SPAN_NONE, fd, err) < 0)
			return -1;
	return 0;
}

int sockets_inherit(struct sockets *sockets, struct err *err)
{
	const char *inherited = getenv(SOCKETS_VARIABLE);
	int result = 0;

	if (inherited)
		result = inherit_from_supervisor(sockets, span_cstr(inherited), err);
	if (result == 0)
		result = inherit_from_manager(sockets, err);
	/* They are for this process alone. */
	unsetenv(SOCKETS_VARIABLE);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return result;
}

static int resolve(const struct config_address *from, struct net_address *to, struct err *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
	struct addrinfo *found = NULL;
	int result;

	if (from->unix_path.len)
		return net_address_parse(to, from->text, err);
	if (net_address_from_literal(to, from->host, from->port))
		return 0;
	result = getaddrinfo(from->host.len ? from->host.ptr : NULL, "0", &hints, &found);
	if (result != 0)
		return err_set(err, ERR_NOT_FOUND, "cannot listen on %.*s: %s",
			       SPAN_ARG(from->text), gai_strerror(result));
	*to = (struct net_address){.len = found->ai_addrlen};
	memcpy(&to->storage, found->ai_addr, found->ai_addrlen);
	freeaddrinfo(found);
	net_address_set_port(to, from->port);
	return 0;
}

/* The n-th socket of the address; NULL when there is none. */
static struct socket_entry *find(const struct sockets *sockets, struct span text, size_t n)
{
	for (size_t i = 0; i < sockets->count; i++)
		if (sockets->at[i].text && span_eq(span_cstr(sockets->at[i].text), text) &&
		    n-- == 0)
			return &sockets->at[i];
	return NULL;
}

static size_t count_of(const struct sockets *sockets, struct span text)
{
	size_t count = 0;

	while (find(sockets, text, count))
		count++;
	return count;
}

/* Gives sockets of the service manager that are bound to the address its name. */
static int claim(struct sockets *sockets, const struct net_address *address, struct span text,
		 struct err *err)
{
	for (size_t i = 0; i < sockets->count; i++) {
		struct socket_entry *entry = &sockets->at[i];

		if (entry->text || !net_address_eq(&entry->address, address))
			continue;
		entry->text = mem_strdup(text);
		if (!entry->text)
			return err_set(err, ERR_MEMORY, "no memory for sockets");
	}
	return 0;
}

static bool is_shared(const struct socket_entry *entry)
{
	int value = 0;
	socklen_t len = sizeof(value);

	return getsockopt(entry->fd, SOL_SOCKET, SO_REUSEPORT, &value, &len) < 0 || !value;
}

/* Where none of ours is, a second gateway would take connections from the first unnoticed. */
static bool has_port(const struct sockets *sockets, const struct net_address *address)
{
	for (size_t i = 0; i < sockets->count; i++)
		if (net_address_port(&sockets->at[i].address.storage) ==
		    net_address_port(&address->storage))
			return true;
	return false;
}

/* Sockets that the entry needs; those there may be more, from more workers, and stay. */
static int open_entry(struct sockets *sockets, const struct config_listen *listen,
		      unsigned workers, struct err *err)
{
	bool many = listen->reuse_port && workers > 1 && !listen->address.unix_path.len;
	struct listener_options options = {.reuse_port = many, .backlog = (int)listen->backlog};
	struct span text = listen->address.text;
	struct net_address address;
	size_t have;

	if (resolve(&listen->address, &address, err) < 0 ||
	    claim(sockets, &address, text, err) < 0)
		return -1;
	have = count_of(sockets, text);
	/* The kernel has chosen a port, or it is a socket that nobody can bind beside. */
	if (have) {
		address = find(sockets, text, 0)->address;
		if (is_shared(find(sockets, text, 0)))
			return 0;
	}
	options.first = !has_port(sockets, &address);
	for (; have < (many ? workers : 1); have++) {
		int fd = listener_open(&address, &options, err);

		if (fd < 0)
			return -1;
		if (add(sockets, text, fd, err) < 0) {
			close(fd);
			return -1;
		}
		options.first = false;
		sockets->at[sockets->count - 1].opened_here = true;
		address = sockets->at[sockets->count - 1].address;
	}
	return 0;
}

int sockets_open(struct sockets *sockets, const struct config *cfg, unsigned workers,
		 struct err *err)
{
	size_t before = sockets->count;

	for (size_t i = 0; i < cfg->listen.count; i++) {
		if (open_entry(sockets, &cfg->listen.at[i], workers, err) == 0)
			continue;
		while (sockets->count > before)
			drop(sockets, sockets->count - 1);
		return -1;
	}
	for (size_t i = 0; i < sockets->count; i++) {
		struct socket_entry *entry = &sockets->at[i];

		entry->wanted = false;
		for (size_t j = 0; entry->text && j < cfg->listen.count; j++)
			if (span_eq(span_cstr(entry->text), cfg->listen.at[j].address.text))
				entry->wanted = true;
		if (!entry->text)
			log_message(LOG_WARN, "listen.unused",
				    "inherited socket %d has no address that is configured",
				    entry->fd);
	}
	return 0;
}

void sockets_check_admin(const struct config *cfg)
{
	const struct listener_options options = {.backlog = 1};
	struct net_address address;
	struct err err;
	int fd;

	if (!cfg->admin.enabled || cfg->admin.address.unix_path.len ||
	    net_address_parse(&address, cfg->admin.address.text, NULL) < 0)
		return;
	fd = listener_open(&address, &options, &err);
	if (fd >= 0)
		close(fd);
	else
		log_message(LOG_WARN, "listen.admin_shared",
			    "the admin listener of another gateway may answer: %s",
			    err.message);
}

static void remove_file(const struct socket_entry *entry)
{
	struct sockaddr_un local;

	if (!entry->opened_here || entry->address.storage.ss_family != AF_UNIX)
		return;
	memcpy(&local, &entry->address.storage, sizeof(local));
	if (local.sun_path[0] && unlink(local.sun_path) < 0 && errno != ENOENT)
		log_message(LOG_WARN, "listen.not_removed", "%s: errno %d", local.sun_path,
			    errno);
}

void sockets_close_unwanted(struct sockets *sockets)
{
	for (size_t i = sockets->count; i-- > 0;) {
		if (sockets->at[i].wanted)
			continue;
		remove_file(&sockets->at[i]);
		drop(sockets, i);
	}
}

void sockets_release(struct sockets *sockets, bool remove_files)
{
	while (sockets->count) {
		if (remove_files)
			remove_file(&sockets->at[sockets->count - 1]);
		drop(sockets, sockets->count - 1);
	}
	mem_free(sockets->at);
	*sockets = (struct sockets){.at = NULL};
}

size_t sockets_per_worker(const struct sockets *sockets, const struct config *cfg,
			  unsigned workers)
{
	size_t most = 1;

	for (size_t i = 0; i < cfg->listen.count; i++) {
		size_t count = count_of(sockets, cfg->listen.at[i].address.text);
		size_t each = (count + workers - 1) / workers;

		if (each > most)
			most = each;
	}
	return most * cfg->listen.count;
}

/* -1 without an error: this worker has no n-th socket of the address. */
static int duplicate(const struct sockets *sockets, struct span text, unsigned index,
		     unsigned workers, size_t n, int *fd, struct err *err)
{
	size_t count = count_of(sockets, text);
	size_t place = index + n * workers;

	*fd = -1;
	if (count == 0)
		return err_set(err, ERR_INTERNAL, "no socket for %.*s", SPAN_ARG(text));
	if (n > 0 && place >= count)
		return 0;
	*fd = fcntl(find(sockets, text, place % count)->fd, F_DUPFD_CLOEXEC, 0);
	if (*fd < 0)
		return err_set_errno(err, errno, "cannot duplicate a socket");
	return 0;
}

int sockets_for_worker(const struct sockets *sockets, const struct config *cfg, unsigned index,
		       unsigned workers, int *fds, struct err *err)
{
	size_t total = sockets_per_worker(sockets, cfg, workers);

	for (size_t i = 0; i < total; i++) {
		struct span text = cfg->listen.at[i % cfg->listen.count].address.text;

		if (duplicate(sockets, text, index, workers, i / cfg->listen.count, &fds[i],
			      err) < 0)
			return -1;
	}
	return 0;
}

int sockets_describe(const struct sockets *sockets, struct buf *out)
{
	buf_append_cstr(out, SOCKETS_VARIABLE "=");
	for (size_t i = 0; i < sockets->count; i++)
		if (sockets->at[i].text)
			buf_printf(out, "%d %c %s\n", sockets->at[i].fd,
				   sockets->at[i].opened_here ? 'y' : 'n', sockets->at[i].text);
	return buf_failed(out) ? -1 : 0;
}

void sockets_keep_on_exec(const struct sockets *sockets)
{
	for (size_t i = 0; i < sockets->count; i++)
		if (sockets->at[i].text)
			(void)fcntl(sockets->at[i].fd, F_SETFD, 0);
}
