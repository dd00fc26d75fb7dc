#include "io/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"

/* Connections taken in one round, so that those there are get their turn. */
#define ACCEPT_BATCH 64
#define BACKOFF_MS 100
#define COMPLAIN_EVERY_MS 10000
#define DEFER_ACCEPT_S 5

static int set_flag(int fd, int level, int option, int value)
{
	return setsockopt(fd, level, option, &value, sizeof(value));
}

static int set_options(int fd, int family, const struct listener_options *options)
{
	if (family == AF_UNIX)
		return 0;
	if (set_flag(fd, SOL_SOCKET, SO_REUSEADDR, 1) < 0 ||
	    (options->reuse_port && set_flag(fd, SOL_SOCKET, SO_REUSEPORT, 1) < 0) ||
	    (family == AF_INET6 &&
	     set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY, options->v6_only) < 0) ||
	    set_flag(fd, IPPROTO_TCP, TCP_NODELAY, 1) < 0 ||
	    (options->defer_accept &&
	     set_flag(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, DEFER_ACCEPT_S) < 0))
		return -1;
	return 0;
}

/* True when the file is a socket that refuses connections: its owner is gone. */
static bool is_stale(const struct net_address *address, const char *path)
{
	struct stat stat;
	bool stale;
	int fd;

	if (lstat(path, &stat) < 0 || !S_ISSOCK(stat.st_mode))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	stale = connect(fd, net_address_sockaddr(address), address->len) < 0 &&
		errno == ECONNREFUSED;
	close(fd);
	return stale;
}

static int bind_unix(int fd, const struct net_address *address, unsigned mode)
{
	struct sockaddr_un local;
	int result;

	memcpy(&local, &address->storage, sizeof(local));
	result = bind(fd, net_address_sockaddr(address), address->len);
	if (result < 0 && errno == EADDRINUSE) {
		if (!is_stale(address, local.sun_path)) {
			errno = EADDRINUSE;
			return -1;
		}
		if (unlink(local.sun_path) < 0)
			return -1;
		result = bind(fd, net_address_sockaddr(address), address->len);
	}
	/* Nobody can connect before listen, so the permissions are right in time. */
	if (result == 0)
		result = chmod(local.sun_path, mode ? mode : 0666);
	return result;
}

/* Sharing must be wanted by both sides: a socket that does not want it finds who is there. */
static int find_others(const struct net_address *address,
		       const struct listener_options *options)
{
	int family = address->storage.ss_family;
	const struct listener_options alone = {.v6_only = options->v6_only};
	int fd, result;

	if (!options->first || !options->reuse_port || family == AF_UNIX ||
	    net_address_port(&address->storage) == 0)
		return 0;
	fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	result = set_options(fd, family, &alone);
	if (result == 0)
		result = bind(fd, net_address_sockaddr(address), address->len);
	if (result < 0) {
		int error = errno;

		close(fd);
		errno = error;
		return -1;
	}
	close(fd);
	return 0;
}

int listener_open(const struct net_address *address, const struct listener_options *options,
		  struct err *err)
{
	int family = address->storage.ss_family;
	int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	char text[NET_ADDRESS_TEXT_MAX];
	int result;

	if (fd < 0)
		return err_set_errno(err, errno, "socket");
	result = find_others(address, options);
	if (result == 0)
		result = set_options(fd, family, options);
	if (result == 0 && family == AF_UNIX)
		result = bind_unix(fd, address, options->unix_mode);
	else if (result == 0)
		result = bind(fd, net_address_sockaddr(address), address->len);
	if (result == 0)
		result = listen(fd, options->backlog > 0 ? options->backlog : INT32_MAX);
	if (result == 0)
		return fd;
	err_set_errno(err, errno, "cannot listen on %.*s",
		      SPAN_ARG(net_address_format(&address->storage, true, text)));
	close(fd);
	return -1;
}

int listener_address(int fd, struct net_address *address, struct err *err)
{
	address->len = sizeof(address->storage);
	if (getsockname(fd, (struct sockaddr *)&address->storage, &address->len) < 0)
		return err_set_errno(err, errno, "getsockname");
	return 0;
}

static int open_reserve(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void complain(struct listener *listener, const char *what)
{
	int64_t now_ms = loop_now_ms();

	if (listener->complained_ms && now_ms - listener->complained_ms < COMPLAIN_EVERY_MS)
		return;
	listener->complained_ms = now_ms;
	log_message(LOG_ERROR, "listener.accept_failed", "%s", what);
}

/* Out of descriptors: the one in reserve lets us refuse a connection instead of stalling it. */
static void refuse_one(struct listener *listener)
{
	int fd;

	if (listener->reserve_fd < 0)
		return;
	close(listener->reserve_fd);
	fd = accept4(listener->watch.fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		close(fd);
	listener->reserve_fd = open_reserve();
}

enum accepted { ACCEPTED, ACCEPT_SKIPPED, ACCEPT_EMPTY, ACCEPT_BACKOFF };

static enum accepted accept_one(struct listener *listener)
{
	struct sockaddr_storage peer = {.ss_family = AF_UNSPEC};
	socklen_t len = sizeof(peer);
	int fd = accept4(listener->watch.fd, (struct sockaddr *)&peer, &len,
			 SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0) {
		listener->on_accept(listener, fd, &peer);
		return ACCEPTED;
	}
	switch (errno) {
	case EAGAIN: return ACCEPT_EMPTY;
	case EMFILE:
	case ENFILE:
		complain(listener, "no file descriptors left: connections are refused");
		refuse_one(listener);
		return ACCEPT_BACKOFF;
	case ENOBUFS:
	case ENOMEM:
		complain(listener, "the kernel has no memory left for connections");
		return ACCEPT_BACKOFF;
	case EBADF:
	case EINVAL:
	case ENOTSOCK:
		complain(listener, "the listening socket is not usable");
		return ACCEPT_BACKOFF;
	default: return ACCEPT_SKIPPED; /* that connection has failed (accept(2)) */
	}
}

static void accept_some(struct listener *listener)
{
	if (listener->backoff.armed)
		return;
	for (int i = 0; i < ACCEPT_BATCH; i++) {
		enum accepted result;

		if (listener->paused || listener->watch.fd < 0)
			return;
		result = accept_one(listener);
		if (result == ACCEPT_EMPTY)
			return;
		if (result == ACCEPT_BACKOFF) {
			timer_set(&listener->backoff, loop_deadline_ms(BACKOFF_MS));
			return;
		}
	}
	/* There may be more, and no new edge will tell of them. */
	if (!listener->paused && listener->watch.fd >= 0)
		loop_defer_next(&listener->again);
}

static void on_readable(struct watch *watch, uint32_t events)
{
	if (events & (EPOLLIN | EPOLLERR))
		accept_some(CONTAINER_OF(watch, struct listener, watch));
}

static void on_again(struct deferred *deferred)
{
	accept_some(CONTAINER_OF(deferred, struct listener, again));
}

static void on_backoff(struct timer *timer)
{
	accept_some(CONTAINER_OF(timer, struct listener, backoff));
}

/* An adopted socket may come from systemd or an older release: check and complete it. */
static int prepare(int fd, struct err *err)
{
	struct sockaddr_storage own = {.ss_family = AF_UNSPEC};
	socklen_t own_len = sizeof(own);
	int listening = 0, type = 0;
	socklen_t len = sizeof(int);
	int flags = fcntl(fd, F_GETFL);

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || flags < 0 ||
	    getsockname(fd, (struct sockaddr *)&own, &own_len) < 0)
		return err_set_errno(err, errno, "descriptor %d is not a socket", fd);
	if (!listening || type != SOCK_STREAM)
		return err_set(err, ERR_INVALID,
			       "descriptor %d is not a listening stream socket", fd);
	if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return err_set_errno(err, errno, "fcntl");
	if (own.ss_family != AF_UNIX && set_flag(fd, IPPROTO_TCP, TCP_NODELAY, 1) < 0)
		return err_set_errno(err, errno, "TCP_NODELAY");
	return 0;
}

int listener_start(struct listener *listener, int fd, accept_function *on_accept,
		   struct err *err)
{
	*listener = (struct listener){.watch.fd = -1, .on_accept = on_accept, .reserve_fd = -1};
	timer_init(&listener->backoff, on_backoff);
	deferred_init(&listener->again, on_again);
	if (prepare(fd, err) < 0)
		return -1;
	listener->reserve_fd = open_reserve();
	if (watch_add(&listener->watch, fd, on_readable, err) < 0) {
		if (listener->reserve_fd >= 0)
			close(listener->reserve_fd);
		return -1;
	}
	return 0;
}

void listener_pause(struct listener *listener)
{
	listener->paused = true;
}

void listener_resume(struct listener *listener)
{
	if (!listener->paused)
		return;
	listener->paused = false;
	/* Edges that came meanwhile were ignored. */
	if (listener->watch.fd >= 0)
		loop_defer_next(&listener->again);
}

int listener_stop(struct listener *listener)
{
	int fd = listener->watch.fd;

	if (fd < 0)
		return -1;
	watch_remove(&listener->watch);
	timer_clear(&listener->backoff);
	loop_undefer(&listener->again);
	if (listener->reserve_fd >= 0)
		close(listener->reserve_fd);
	listener->reserve_fd = -1;
	return fd;
}

void listener_close(struct listener *listener)
{
	int fd = listener_stop(listener);

	if (fd >= 0)
		close(fd);
}
