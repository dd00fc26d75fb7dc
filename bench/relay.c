/*
 * relay.c - the floor of the benchmark: the cheapest honest user-space proxy. One thread, epoll
 * edge-triggered, each client connection paired with one to the upstream, bytes passed on unread
 * through one 16 KiB buffer. What a proxy costs above this is its own doing.
 *
 * usage: relay LISTEN_PORT UPSTREAM_PORT     (both on 127.0.0.1; runs until it is killed)
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "net.h"

#define BUFFER_BYTES 16384
#define SIDES_MAX 65536
#define EVENTS_MAX 256

/* One end of a pair; its index in `sides` is its descriptor. */
struct side {
	int peer; /* the other end's descriptor; 0: not in use (0 is standard input) */
	bool ended; /* it sent its last byte, and its peer was told */
	bool doomed; /* to be closed when the batch of events is through */
	unsigned char *rest; /* what could not be written to it yet; NULL: nothing */
	size_t rest_at;
	size_t rest_len;
};

static struct side sides[SIDES_MAX];
static unsigned char buffer[BUFFER_BYTES];
/* Closing waits for the end of a batch, or an event of it could meet a reused descriptor. */
static int doomed[SIDES_MAX];
static size_t doomed_count;

static void doom(int fd)
{
	if (sides[fd].doomed)
		return;
	sides[fd].doomed = true;
	sides[sides[fd].peer].doomed = true;
	doomed[doomed_count++] = fd;
}

static void side_close(int fd)
{
	mem_free(sides[fd].rest);
	memset(&sides[fd], 0, sizeof(sides[fd]));
	close(fd);
}

static void bury(void)
{
	for (size_t i = 0; i < doomed_count; i++) {
		int peer = sides[doomed[i]].peer;

		side_close(doomed[i]);
		side_close(peer);
	}
	doomed_count = 0;
}

/* Writes all, or keeps the rest for when `fd` can take it. False: the connection is broken. */
static bool side_write(int fd, size_t len)
{
	struct side *side = &sides[fd];
	ssize_t done = send(fd, buffer, len, MSG_NOSIGNAL);

	if (done == (ssize_t)len)
		return true;
	if (done < 0) {
		if (errno != EAGAIN)
			return false;
		done = 0;
	}
	side->rest = mem_alloc(BUFFER_BYTES);
	if (side->rest == NULL)
		return false;
	side->rest_at = 0;
	side->rest_len = len - (size_t)done;
	memcpy(side->rest, buffer + done, side->rest_len);
	return true;
}

/* Passes on what `fd` has to read, unless its peer is still busy with an earlier piece. */
static void side_pump(int fd)
{
	struct side *side = &sides[fd];

	while (!side->ended && sides[side->peer].rest == NULL) {
		ssize_t got = recv(fd, buffer, sizeof(buffer), 0);

		if (got < 0) {
			if (errno != EAGAIN)
				doom(fd);
			return;
		}
		if (got == 0) {
			side->ended = true;
			shutdown(side->peer, SHUT_WR);
			if (sides[side->peer].ended)
				doom(fd);
			return;
		}
		if (!side_write(side->peer, (size_t)got)) {
			doom(fd);
			return;
		}
		/* A short read has emptied the socket: the next byte is a new edge (epoll(7)). */
		if ((size_t)got < sizeof(buffer))
			return;
	}
}

/* Writes what was left over, and then lets the peer go on. */
static void side_flush(int fd)
{
	struct side *side = &sides[fd];

	while (side->rest_len > 0) {
		ssize_t done =
			send(fd, side->rest + side->rest_at, side->rest_len, MSG_NOSIGNAL);

		if (done < 0) {
			if (errno != EAGAIN)
				doom(fd);
			return;
		}
		side->rest_at += (size_t)done;
		side->rest_len -= (size_t)done;
	}
	mem_free(side->rest);
	side->rest = NULL;
	side_pump(side->peer);
}

static bool watch(int epoll, int fd)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
				    .data.fd = fd};

	return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

static void accept_all(int epoll, int listener, unsigned upstream_port)
{
	const int on = 1;

	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		int up;

		if (fd < 0) {
			if (errno == EAGAIN || errno == ECONNABORTED)
				return;
			net_die(errno, "accept");
		}
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		up = net_connect(upstream_port, true);
		if (up < 0 || up >= SIDES_MAX || fd >= SIDES_MAX)
			net_die(errno, "cannot connect to port %u", upstream_port);
		sides[fd] = (struct side){.peer = up};
		sides[up] = (struct side){.peer = fd};
		if (!watch(epoll, fd) || !watch(epoll, up))
			net_die(errno, "epoll_ctl");
	}
}

static void side_event(int fd, uint32_t events)
{
	if (events & EPOLLERR) {
		doom(fd);
		return;
	}
	if ((events & EPOLLOUT) && sides[fd].rest != NULL)
		side_flush(fd);
	if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP)) && !sides[fd].doomed)
		side_pump(fd);
}

int main(int argc, char **argv)
{
	struct epoll_event events[EVENTS_MAX];
	struct epoll_event event = {.events = EPOLLIN};
	unsigned upstream_port;
	int epoll, listener;

	if (argc != 3)
		net_die(0, "usage: relay LISTEN_PORT UPSTREAM_PORT");
	listener = net_listen((unsigned)net_number(argv[1], 1, 65535, "LISTEN_PORT"));
	upstream_port = (unsigned)net_number(argv[2], 1, 65535, "UPSTREAM_PORT");
	epoll = epoll_create1(EPOLL_CLOEXEC);
	event.data.fd = listener;
	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) < 0)
		net_die(errno, "epoll");
	for (;;) {
		int count = epoll_wait(epoll, events, EVENTS_MAX, -1);

		if (count < 0 && errno != EINTR)
			net_die(errno, "epoll_wait");
		for (int i = 0; i < count; i++) {
			int fd = events[i].data.fd;

			if (fd == listener)
				accept_all(epoll, listener, upstream_port);
			else if (!sides[fd].doomed)
				side_event(fd, events[i].events);
		}
		bury();
	}
}
