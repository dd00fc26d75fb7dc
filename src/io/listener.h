/*
 * listener.h - accepting connections in a loop. Opening a socket and accepting from it are
 * separate: the supervisor opens, a worker adopts.
 */
#ifndef IO_LISTENER_H
#define IO_LISTENER_H

#include "io/loop.h"
#include "io/net_address.h"

struct listener_options {
	bool reuse_port; /* one socket a worker, the kernel spreads connections */
	bool first; /* with reuse_port: fail where somebody listens, rather than share with them */
	bool v6_only; /* an IPv6 socket takes no IPv4 connections */
	bool defer_accept; /* TCP_DEFER_ACCEPT: wake only when the client has sent something */
	int backlog; /* 0: the kernel's maximum (somaxconn) */
	unsigned unix_mode; /* permissions of a Unix socket; 0: 0666 */
};

/*
 * Bound, listening, non-blocking, close-on-exec; the caller owns the descriptor. TCP_NODELAY is
 * set, and connections inherit it. The file of a Unix socket that nobody listens on any more is
 * replaced. -1 with *err, which names the address. Needs no loop.
 */
int listener_open(const struct net_address *address, const struct listener_options *options,
		  struct err *err) MUST_CHECK;

struct listener;
/* The non-blocking, close-on-exec descriptor belongs to the callee. */
typedef void accept_function(struct listener *listener, int fd,
			     const struct sockaddr_storage *peer);

struct listener {
	struct watch watch;
	struct timer backoff;
	struct deferred again;
	accept_function *on_accept;
	int reserve_fd; /* given up to refuse a connection when descriptors run out */
	bool paused;
	int64_t complained_ms;
};

/*
 * Accepts in the calling thread's loop. Takes over `fd`, which may be inherited: it must be a
 * listening stream socket, and is made non-blocking and close-on-exec. On failure it stays the
 * caller's. The struct must not move.
 */
int listener_start(struct listener *listener, int fd, accept_function *on_accept,
		   struct err *err) MUST_CHECK;
/* Connections wait in the kernel's queue meanwhile. Both may be called from on_accept. */
void listener_pause(struct listener *listener);
void listener_resume(struct listener *listener);
/* Stops accepting and hands the open descriptor back; -1 when it was stopped already. */
int listener_stop(struct listener *listener);
/* Stops and closes: connections still in the queue are reset, unless others share the socket. */
void listener_close(struct listener *listener);
/* The bound address, for a port that the kernel has chosen. */
int listener_address(int fd, struct net_address *address, struct err *err) MUST_CHECK;

#endif
