/*
 * rate.c - an open-loop HTTP/1.1 load generator: sends requests at a constant rate, whatever the
 * answers do, and reports how long they took. Time is counted from when a request was due, not
 * from when a connection was free to send it, so a server that stalls cannot hide the requests
 * that it kept from being sent ("coordinated omission").
 *
 * usage: rate PORT RATE WARMUP_SECONDS SECONDS CONNECTIONS
 * Asks 127.0.0.1:PORT for "/" RATE times a second; the answers need a Content-Length. Prints one
 * JSON object; exits with 1 when it could not run at all.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net.h"

#define NS_PER_S INT64_C(1000000000)
#define GRACE_NS (5 * NS_PER_S) /* for the last answers */
#define HEAD_BYTES 4096
#define CONNECTIONS_MAX 1024

static const char request[] = "GET / HTTP/1.1\r\nHost: bench.test\r\n\r\n";

struct connection {
	int fd;
	bool broken;
	int64_t slot; /* which request it waits for; -1: free */
	int64_t body_left; /* -1: the head is not complete */
	size_t head_len;
	char head[HEAD_BYTES + 1];
};

struct run {
	int epoll;
	int64_t start_ns;
	int64_t rate; /* a second */
	int64_t warmup; /* requests that are not counted */
	int64_t total; /* requests, with the warm-up */
	int64_t next; /* the first not sent */
	int64_t open; /* sent and not answered */
	int64_t done; /* answered after the warm-up */
	int64_t errors;
	int64_t last_ns; /* when the last answer came */
	uint32_t *latency_ns; /* `done` of them */
	struct connection *connections;
	struct connection *spare[CONNECTIONS_MAX];
	size_t spare_count;
};

/* When request `slot` is due. In two steps, as rate times slot would not fit for long runs. */
static int64_t due_ns(const struct run *run, int64_t slot)
{
	return run->start_ns + slot / run->rate * NS_PER_S +
	       slot % run->rate * NS_PER_S / run->rate;
}

static void connection_fail(struct run *run, struct connection *c)
{
	run->errors++;
	if (c->slot >= 0)
		run->open--;
	c->slot = -1;
	c->broken = true;
	close(c->fd);
}

static void connection_send(struct run *run, struct connection *c)
{
	c->slot = run->next++;
	c->head_len = 0;
	c->body_left = -1;
	run->open++;
	/* So small a request always fits into an idle connection's socket buffer. */
	if (send(c->fd, request, sizeof(request) - 1, MSG_NOSIGNAL) != sizeof(request) - 1)
		connection_fail(run, c);
}

static void connection_done(struct run *run, struct connection *c)
{
	int64_t now = clock_ns();
	int64_t took = now - due_ns(run, c->slot);

	if (c->slot >= run->warmup)
		run->latency_ns[run->done++] = took > UINT32_MAX ? UINT32_MAX : (uint32_t)took;
	run->last_ns = now;
	run->open--;
	c->slot = -1;
	run->spare[run->spare_count++] = c;
}

/* The length of the body from a complete head, or -1 when it is no 200 with a Content-Length. */
static int64_t head_body_bytes(const char *head)
{
	static const char field[] = "\r\ncontent-length:";
	const char *at;

	if (strncmp(head, "HTTP/1.1 200", 12) != 0)
		return -1;
	at = strcasestr(head, field);
	return at == NULL ? -1 : strtoll(at + sizeof(field) - 1, NULL, 10);
}

/* Takes `len` bytes that came; false when they are not what was asked for. */
static bool connection_take(struct connection *c, size_t len)
{
	const char *end;

	if (c->body_left < 0) {
		c->head_len += len;
		c->head[c->head_len] = '\0';
		end = strstr(c->head, "\r\n\r\n");
		if (end == NULL)
			return c->head_len < HEAD_BYTES;
		c->body_left = head_body_bytes(c->head);
		if (c->body_left < 0)
			return false;
		len = c->head_len - (size_t)(end + 4 - c->head);
	}
	c->body_left -= (int64_t)len;
	return c->body_left >= 0;
}

static void connection_read(struct run *run, struct connection *c)
{
	while (!c->broken) {
		char *to = c->body_left < 0 ? c->head + c->head_len : c->head;
		size_t room = c->body_left < 0 ? HEAD_BYTES - c->head_len : HEAD_BYTES;
		ssize_t got = recv(c->fd, to, room, 0);

		if (got < 0 && errno == EAGAIN)
			return;
		if (got <= 0 || c->slot < 0 || !connection_take(c, (size_t)got)) {
			connection_fail(run, c);
			return;
		}
		if (c->body_left == 0) {
			connection_done(run, c);
			return;
		}
	}
}

static void run_connect(struct run *run, unsigned port, size_t count)
{
	run->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (run->epoll < 0)
		net_die(errno, "epoll");
	run->connections = mem_zalloc(count, sizeof(*run->connections));
	if (run->connections == NULL)
		net_die(ENOMEM, "connections");
	for (size_t i = 0; i < count; i++) {
		struct connection *c = &run->connections[i];
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};

		c->fd = net_connect(port, false);
		if (c->fd < 0 || fcntl(c->fd, F_SETFL, O_NONBLOCK) < 0 ||
		    epoll_ctl(run->epoll, EPOLL_CTL_ADD, c->fd, &event) < 0)
			net_die(errno, "cannot connect to port %u", port);
		c->slot = -1;
		run->spare[run->spare_count++] = c;
	}
}

static void run_send_due(struct run *run)
{
	while (run->next < run->total && run->spare_count > 0 &&
	       due_ns(run, run->next) <= clock_ns())
		connection_send(run, run->spare[--run->spare_count]);
}

/* Sleeps until something came, a request is due, or `deadline_ns`. */
static void run_wait(struct run *run, int64_t deadline_ns)
{
	struct epoll_event events[64];
	struct timespec timeout;
	int64_t until = deadline_ns;
	int64_t wait;
	int count;

	if (run->next < run->total && run->spare_count > 0)
		until = due_ns(run, run->next);
	wait = until - clock_ns();
	if (wait < 0)
		wait = 0;
	timeout = (struct timespec){.tv_sec = wait / NS_PER_S, .tv_nsec = wait % NS_PER_S};
	count = epoll_pwait2(run->epoll, events, 64, &timeout, NULL);
	if (count < 0 && errno != EINTR)
		net_die(errno, "epoll_pwait2");
	for (int i = 0; i < count; i++)
		connection_read(run, events[i].data.ptr);
}

static void run_all(struct run *run, int64_t seconds)
{
	int64_t deadline_ns;

	run->start_ns = clock_ns();
	deadline_ns = run->start_ns + seconds * NS_PER_S + GRACE_NS;
	while ((run->next < run->total || run->open > 0) && clock_ns() < deadline_ns) {
		run_send_due(run);
		run_wait(run, deadline_ns);
	}
	run->errors += run->open;
}

static int by_size(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a;
	uint32_t right = *(const uint32_t *)b;

	return (left > right) - (left < right);
}

/* The latency that `permille` of a thousand requests stayed within. */
static double run_latency_us(const struct run *run, int64_t permille)
{
	return run->done == 0 ? 0 : run->latency_ns[(run->done - 1) * permille / 1000] / 1000.0;
}

static void run_report(struct run *run)
{
	double seconds = (double)(run->last_ns - due_ns(run, run->warmup)) / (double)NS_PER_S;

	qsort(run->latency_ns, (size_t)run->done, sizeof(*run->latency_ns), by_size);
	printf("{\"requests\": %lld, \"due\": %lld, \"errors\": %lld, \"rate\": %.1f, "
	       "\"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, "
	       "\"max_us\": %.1f}\n",
	       (long long)run->done, (long long)(run->total - run->warmup),
	       (long long)run->errors, seconds > 0 ? (double)run->done / seconds : 0,
	       run_latency_us(run, 500), run_latency_us(run, 900), run_latency_us(run, 990),
	       run_latency_us(run, 999), run_latency_us(run, 1000));
}

int main(int argc, char **argv)
{
	static struct run run;
	int64_t warmup_s, seconds;

	if (argc != 6)
		net_die(0, "usage: rate PORT RATE WARMUP_SECONDS SECONDS CONNECTIONS");
	run.rate = net_number(argv[2], 1, 1000000, "RATE");
	warmup_s = net_number(argv[3], 0, 60, "WARMUP_SECONDS");
	seconds = net_number(argv[4], 1, 60, "SECONDS");
	run.warmup = run.rate * warmup_s;
	run.total = run.warmup + run.rate * seconds;
	run.latency_ns = mem_zalloc((size_t)(run.total - run.warmup), sizeof(*run.latency_ns));
	if (run.latency_ns == NULL)
		net_die(ENOMEM, "latencies");
	/* Without this a timer may fire 50 us late, which is more than a request takes. */
	if (prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL) < 0)
		net_die(errno, "prctl");
	run_connect(&run, (unsigned)net_number(argv[1], 1, 65535, "PORT"),
		    (size_t)net_number(argv[5], 1, CONNECTIONS_MAX, "CONNECTIONS"));
	run_all(&run, warmup_s + seconds);
	run_report(&run);
	mem_free(run.latency_ns);
	mem_free(run.connections);
	return 0;
}
