#include "io/dns.h"

#include <ares.h>
#include <arpa/nameser.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>

#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"

#define NAME_MAX_BYTES DNS_NAME_MAX
/* c-ares uses a UDP and a TCP socket a server. */
#define SOCKETS_MAX 32
/* Turns of c-ares on one socket in one event: it reads once a turn, edges come once. */
#define TURNS_MAX 64

enum outcome { OUTCOME_NONE, OUTCOME_FOUND, OUTCOME_NO_NAME, OUTCOME_FAILED };

struct entry {
	struct list node; /* in dns->entries, least recently used first */
	struct dns *dns;
	struct list waiters;
	unsigned users; /* fibers in dns_resolve: woken is not yet run */
	bool asking; /* c-ares has our query */
	enum outcome outcome; /* of the last query */
	int64_t fresh_until_ms; /* until then the outcome stands */
	int64_t usable_until_ms; /* until then the addresses may serve as stale */
	size_t count;
	struct net_address *addresses; /* without port */
	const char *failure; /* c-ares' static text */
	size_t name_len;
	char name[];
};

struct waiter {
	struct list node;
	struct fiber *fiber;
	bool done;
};

struct socket {
	struct watch watch;
	struct dns *dns;
};

struct dns {
	ares_channel channel;
	struct dns_options options;
	struct map by_name;
	struct list entries;
	size_t entry_count;
	struct timer timer;
	struct socket *sockets[SOCKETS_MAX];
};

/* --- c-ares and the loop --- */

static void arm_timer(struct dns *dns)
{
	struct timeval wait;

	if (!ares_timeout(dns->channel, NULL, &wait)) {
		timer_clear(&dns->timer);
		return;
	}
	timer_set(&dns->timer,
		  loop_deadline_ms((int64_t)wait.tv_sec * 1000 + wait.tv_usec / 1000 + 1));
}

static void on_timer(struct timer *timer)
{
	struct dns *dns = CONTAINER_OF(timer, struct dns, timer);

	ares_process_fd(dns->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	arm_timer(dns);
}

static struct socket **find_socket(struct dns *dns, int fd)
{
	for (size_t i = 0; i < SOCKETS_MAX; i++)
		if (dns->sockets[i] ? dns->sockets[i]->watch.fd == fd : fd < 0)
			return &dns->sockets[i];
	return NULL;
}

static short wanted_now(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

	return poll(&poll_fd, 1, 0) > 0 ? poll_fd.revents : 0;
}

static void on_socket(struct watch *watch, uint32_t events)
{
	struct dns *dns = CONTAINER_OF(watch, struct socket, watch)->dns;
	int fd = watch->fd;
	bool readable = events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR);

	/* c-ares may close the socket, and with it our watch, in any turn. */
	for (int turn = 0; turn < TURNS_MAX; turn++) {
		ares_process_fd(dns->channel, readable ? fd : ARES_SOCKET_BAD,
				turn == 0 && events & EPOLLOUT ? fd : ARES_SOCKET_BAD);
		if (!find_socket(dns, fd) || !wanted_now(fd))
			break;
		readable = true;
	}
	arm_timer(dns);
}

static void drop_socket(struct socket **slot)
{
	watch_remove(&(*slot)->watch);
	mem_free(*slot);
	*slot = NULL;
}

/* c-ares opens, uses or closes a socket. Without a watch the query ends by its timeout. */
static void on_socket_state(void *arg, ares_socket_t fd, int read, int write)
{
	struct dns *dns = arg;
	struct socket **slot = find_socket(dns, fd);
	struct err err;

	if (!read && !write) {
		if (slot)
			drop_socket(slot);
		return;
	}
	if (slot)
		return;
	slot = find_socket(dns, -1);
	if (!slot)
		return;
	*slot = mem_zalloc(1, sizeof(**slot));
	if (!*slot)
		return;
	(*slot)->dns = dns;
	if (watch_add(&(*slot)->watch, fd, on_socket, &err) < 0) {
		mem_free(*slot);
		*slot = NULL;
		log_message(LOG_ERROR, "dns.watch_failed", "%s", err.message);
	}
}

/* --- life --- */

static pthread_once_t library_once = PTHREAD_ONCE_INIT;
static int library_status;

static void init_library(void)
{
	library_status = ares_library_init(ARES_LIB_INIT_ALL);
}

static int64_t or_default(int64_t value, int64_t otherwise)
{
	return value > 0 ? value : otherwise;
}

static void fill_options(struct dns_options *to, const struct dns_options *from)
{
	*to = *from;
	to->min_ttl_ms = or_default(from->min_ttl_ms, 1000);
	to->max_ttl_ms = or_default(from->max_ttl_ms, 3600 * 1000);
	to->negative_ttl_ms = or_default(from->negative_ttl_ms, 5000);
	to->failure_ttl_ms = or_default(from->failure_ttl_ms, 1000);
	to->stale_ms = or_default(from->stale_ms, 600 * 1000);
	to->try_ms = or_default(from->try_ms, 2000);
	to->tries = from->tries ? from->tries : 3;
	to->entries_max = from->entries_max ? from->entries_max : 1024;
}

static int open_channel(struct dns *dns, struct err *err)
{
	char lookups[3] = "fb"; /* files, then servers */
	struct ares_options options = {
		.flags = ARES_FLAG_EDNS,
		.timeout = (int)dns->options.try_ms,
		.tries = (int)dns->options.tries,
		.ednspsz = 1232,
		.lookups = lookups,
		.sock_state_cb = on_socket_state,
		.sock_state_cb_data = dns,
	};
	int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_EDNSPSZ |
		   ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB;
	int status;

	if (dns->options.whole_names) {
		mask |= ARES_OPT_DOMAINS; /* none */
		memcpy(lookups, "b", 2);
	}
	pthread_once(&library_once, init_library);
	status = library_status;
	if (status == ARES_SUCCESS)
		status = ares_init_options(&dns->channel, &options, mask);
	if (status != ARES_SUCCESS)
		return err_set(err, ERR_IO, "name resolution: %s", ares_strerror(status));
	if (dns->options.servers)
		status = ares_set_servers_ports_csv(dns->channel, dns->options.servers);
	if (status == ARES_SUCCESS)
		return 0;
	err_set(err, ERR_INVALID, "name servers \"%s\": %s", dns->options.servers,
		ares_strerror(status));
	ares_destroy(dns->channel);
	return -1;
}

struct dns *dns_new(const struct dns_options *options, struct err *err)
{
	struct dns *dns = mem_zalloc(1, sizeof(*dns));

	if (!dns) {
		err_set(err, ERR_MEMORY, "no memory for name resolution");
		return NULL;
	}
	fill_options(&dns->options, options);
	dns->by_name = MAP_INIT;
	list_init(&dns->entries);
	timer_init(&dns->timer, on_timer);
	if (open_channel(dns, err) < 0) {
		mem_free(dns);
		return NULL;
	}
	dns->options.servers = NULL; /* the caller's */
	return dns;
}

static void free_entry(struct dns *dns, struct entry *entry)
{
	map_remove(&dns->by_name, span_of(entry->name, entry->name_len));
	list_remove(&entry->node);
	dns->entry_count--;
	mem_free(entry->addresses);
	mem_free(entry);
}

void dns_free(struct dns *dns)
{
	if (!dns)
		return;
	/* Ends all queries, which calls back for each of them. */
	ares_destroy(dns->channel);
	timer_clear(&dns->timer);
	while (!list_empty(&dns->entries))
		free_entry(dns, list_entry(dns->entries.next, struct entry, node));
	map_release(&dns->by_name);
	mem_free(dns);
}

void dns_flush(struct dns *dns)
{
	list_for_each (node, &dns->entries) {
		struct entry *entry = list_entry(node, struct entry, node);

		entry->fresh_until_ms = 0;
	}
}

/* --- answers --- */

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
	if (value < low)
		return low;
	return value > high ? high : value;
}

static size_t copy_family(struct net_address *to, size_t count,
			  const struct ares_addrinfo *found, int family, int64_t *ttl_ms)
{
	for (const struct ares_addrinfo_node *node = found->nodes; node; node = node->ai_next) {
		int64_t node_ttl_ms = (int64_t)node->ai_ttl * 1000;

		if (node->ai_family != family || count == DNS_ADDRESSES_MAX ||
		    node->ai_addrlen > sizeof(to->storage))
			continue;
		to[count] = (struct net_address){.len = (socklen_t)node->ai_addrlen};
		memcpy(&to[count].storage, node->ai_addr, node->ai_addrlen);
		count++;
		if (node_ttl_ms < *ttl_ms)
			*ttl_ms = node_ttl_ms;
	}
	return count;
}

static void keep_answer(struct entry *entry, const struct ares_addrinfo *found)
{
	const struct dns_options *options = &entry->dns->options;
	struct net_address addresses[DNS_ADDRESSES_MAX];
	int64_t ttl_ms = options->max_ttl_ms;
	size_t count = copy_family(addresses, 0, found, AF_INET, &ttl_ms);
	struct net_address *copy;

	count = copy_family(addresses, count, found, AF_INET6, &ttl_ms);
	if (count == 0) {
		entry->outcome = OUTCOME_NO_NAME;
		return;
	}
	copy = mem_alloc(count * sizeof(*copy));
	if (!copy) {
		entry->outcome = OUTCOME_FAILED;
		entry->failure = "out of memory";
		return;
	}
	memcpy(copy, addresses, count * sizeof(*copy));
	mem_free(entry->addresses);
	entry->addresses = copy;
	entry->count = count;
	entry->outcome = OUTCOME_FOUND;
	ttl_ms = clamp(ttl_ms, options->min_ttl_ms, options->max_ttl_ms);
	entry->fresh_until_ms = loop_deadline_ms(ttl_ms);
	entry->usable_until_ms = loop_deadline_ms(ttl_ms + options->stale_ms);
}

static void wake_waiters(struct entry *entry)
{
	struct list *node;

	while ((node = list_pop_front(&entry->waiters))) {
		struct waiter *waiter = list_entry(node, struct waiter, node);

		waiter->done = true;
		fiber_wake(waiter->fiber);
	}
}

static void on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *found)
{
	struct entry *entry = arg;
	const struct dns_options *options = &entry->dns->options;

	(void)timeouts;
	entry->asking = false;
	if (status == ARES_SUCCESS) {
		keep_answer(entry, found);
	} else if (status == ARES_ENOTFOUND || status == ARES_ENODATA) {
		entry->outcome = OUTCOME_NO_NAME;
	} else {
		entry->outcome = OUTCOME_FAILED;
		entry->failure = ares_strerror(status);
	}
	if (entry->outcome == OUTCOME_NO_NAME) {
		entry->fresh_until_ms = loop_deadline_ms(options->negative_ttl_ms);
		entry->usable_until_ms = 0; /* the servers have spoken */
	} else if (entry->outcome == OUTCOME_FAILED) {
		entry->fresh_until_ms = loop_deadline_ms(options->failure_ttl_ms);
	}
	if (found)
		ares_freeaddrinfo(found);
	wake_waiters(entry);
}

static void ask(struct entry *entry)
{
	const struct ares_addrinfo_hints hints = {
		.ai_flags = ARES_AI_NOSORT,
		.ai_family = entry->dns->options.ipv4_only ? AF_INET : AF_UNSPEC,
		.ai_socktype = SOCK_STREAM};

	entry->asking = true;
	ares_getaddrinfo(entry->dns->channel, entry->name, NULL, &hints, on_answer, entry);
	arm_timer(entry->dns);
}

/* --- questions --- */

/* Lower case, without the final dot; false for what cannot be a host name. */
static bool normalise(char to[NAME_MAX_BYTES + 1], size_t *len, struct span host)
{
	if (host.len && host.ptr[host.len - 1] == '.')
		host.len--;
	if (host.len == 0 || host.len > NAME_MAX_BYTES)
		return false;
	for (size_t i = 0; i < host.len; i++) {
		char c = ascii_lower(host.ptr[i]);

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
		      c == '_' || (c == '.' && i && host.ptr[i - 1] != '.')))
			return false;
		to[i] = c;
	}
	to[host.len] = '\0';
	*len = host.len;
	return true;
}

/* Makes room for one more; false when every entry is in use. */
static bool make_room(struct dns *dns)
{
	if (dns->entry_count < dns->options.entries_max)
		return true;
	list_for_each (node, &dns->entries) {
		struct entry *entry = list_entry(node, struct entry, node);

		if (!entry->asking && entry->users == 0) {
			free_entry(dns, entry);
			return true;
		}
	}
	return false;
}

static struct entry *new_entry(struct dns *dns, struct span name, struct err *err)
{
	struct entry *entry;

	if (!make_room(dns)) {
		err_set(err, ERR_UNAVAILABLE, "too many names are being resolved");
		return NULL;
	}
	entry = mem_zalloc(1, sizeof(*entry) + name.len + 1);
	if (!entry) {
		err_set(err, ERR_MEMORY, "no memory for a host name");
		return NULL;
	}
	entry->dns = dns;
	list_init(&entry->waiters);
	memcpy(entry->name, name.ptr, name.len);
	entry->name_len = name.len;
	if (map_put(&dns->by_name, span_of(entry->name, entry->name_len), entry) < 0) {
		mem_free(entry);
		err_set(err, ERR_MEMORY, "no memory for a host name");
		return NULL;
	}
	list_push_back(&dns->entries, &entry->node);
	dns->entry_count++;
	return entry;
}

static struct entry *take_entry(struct dns *dns, struct span name, struct err *err)
{
	struct entry *entry = map_get(&dns->by_name, name);

	if (!entry)
		return new_entry(dns, name, err);
	list_remove(&entry->node);
	list_push_back(&dns->entries, &entry->node);
	return entry;
}

static enum fiber_wake wait_for_answer(struct entry *entry, int64_t deadline_ms)
{
	struct waiter waiter = {.fiber = fiber_self()};
	enum fiber_wake wake = FIBER_EVENT;

	list_push_back(&entry->waiters, &waiter.node);
	while (!waiter.done && wake == FIBER_EVENT)
		wake = fiber_park(deadline_ms);
	if (waiter.done)
		return FIBER_EVENT;
	list_remove(&waiter.node);
	return wake;
}

static bool has_addresses(const struct entry *entry)
{
	return entry->count && loop_now_ms() < entry->usable_until_ms;
}

static void give(const struct entry *entry, unsigned port, struct dns_result *result)
{
	result->count = entry->count;
	for (size_t i = 0; i < entry->count; i++) {
		result->addresses[i] = entry->addresses[i];
		net_address_set_port(&result->addresses[i], port);
	}
	result->stale =
		entry->outcome != OUTCOME_FOUND || loop_now_ms() >= entry->fresh_until_ms;
	result->expires_ms = entry->fresh_until_ms;
}

static int refuse(const struct entry *entry, enum fiber_wake wake, struct err *err)
{
	if (wake == FIBER_TIMEOUT)
		return err_set(err, ERR_TIMEOUT, "resolving %s took too long", entry->name);
	if (entry->outcome == OUTCOME_NO_NAME)
		return err_set(err, ERR_NOT_FOUND, "%s: no such host", entry->name);
	return err_set(err, ERR_UNAVAILABLE, "resolving %s: %s", entry->name,
		       entry->failure ? entry->failure : "failed");
}

/* The entry's addresses, after asking where they are not known or no longer fresh. */
static int resolve_entry(struct entry *entry, unsigned port, int64_t deadline_ms,
			 struct dns_result *result, struct err *err)
{
	enum fiber_wake wake = FIBER_EVENT;

	if (loop_now_ms() >= entry->fresh_until_ms) {
		if (!entry->asking)
			ask(entry);
		/* An answer from the hosts file is there already. */
		if (entry->asking)
			wake = wait_for_answer(entry, deadline_ms);
	}
	if (wake == FIBER_CANCELLED)
		return err_set(err, ERR_CANCELLED, "cancelled while resolving %s", entry->name);
	if (!has_addresses(entry))
		return refuse(entry, wake, err);
	give(entry, port, result);
	return 0;
}

int dns_resolve(struct dns *dns, struct span host, unsigned port, int64_t deadline_ms,
		struct dns_result *result, struct err *err)
{
	char name[NAME_MAX_BYTES + 1];
	struct entry *entry;
	size_t len;
	int outcome;

	if (net_address_from_literal(&result->addresses[0], host, port)) {
		result->count = 1;
		result->expires_ms = FIBER_FOREVER;
		result->stale = false;
		return 0;
	}
	if (!normalise(name, &len, host))
		return err_set(err, ERR_INVALID, "not a host name: %.*s", SPAN_ARG(host));
	entry = take_entry(dns, span_of(name, len), err);
	if (!entry)
		return -1;
	entry->users++;
	outcome = resolve_entry(entry, port, deadline_ms, result, err);
	entry->users--;
	return outcome;
}

/* --- services --- */

/* Outlives a fiber that has stopped waiting: c-ares cannot be told to forget one question. */
struct service_query {
	struct dns *dns;
	struct fiber *fiber; /* NULL: nobody waits any more */
	bool done;
	int status;
	struct dns_services *result; /* the waiting caller's */
};

static int64_t service_ttl_ms(const struct dns *dns, size_t count, uint32_t ttl_s)
{
	if (count == 0)
		return dns->options.negative_ttl_ms;
	return clamp((int64_t)ttl_s * 1000, dns->options.min_ttl_ms, dns->options.max_ttl_ms);
}

static void on_services(void *arg, int status, int timeouts, unsigned char *bytes, int len)
{
	struct service_query *query = arg;
	struct dns_services *result = query->result;
	uint32_t ttl_s = 0;

	(void)timeouts;
	if (!query->fiber) {
		mem_free(query);
		return;
	}
	query->done = true;
	query->status = status;
	result->count = 0;
	if (status == ARES_SUCCESS &&
	    !dns_message_services(span_of(bytes, (size_t)len), result->at, DNS_SERVICES_MAX,
				  &result->count, &ttl_s))
		query->status = ARES_EBADRESP;
	if (status == ARES_ENOTFOUND || status == ARES_ENODATA)
		query->status = ARES_SUCCESS;
	result->expires_ms = loop_deadline_ms(service_ttl_ms(query->dns, result->count, ttl_s));
	fiber_wake(query->fiber);
}

int dns_find_services(struct dns *dns, struct span name, int64_t deadline_ms,
		      struct dns_services *result, struct err *err)
{
	char text[NAME_MAX_BYTES + 1];
	enum fiber_wake wake = FIBER_EVENT;
	struct service_query *query;
	size_t len;
	int status;

	if (!normalise(text, &len, name))
		return err_set(err, ERR_INVALID, "not a host name: %.*s", SPAN_ARG(name));
	query = mem_zalloc(1, sizeof(*query));
	if (!query)
		return err_set(err, ERR_MEMORY, "no memory for a question");
	*query = (struct service_query){.dns = dns, .fiber = fiber_self(), .result = result};
	ares_query(dns->channel, text, ns_c_in, ns_t_srv, on_services, query);
	arm_timer(dns);
	while (!query->done && wake == FIBER_EVENT)
		wake = fiber_park(deadline_ms);
	if (!query->done) {
		query->fiber = NULL; /* freed with the answer */
		return wake == FIBER_CANCELLED
			       ? err_set(err, ERR_CANCELLED, "cancelled while asking for %s",
					 text)
			       : err_set(err, ERR_TIMEOUT, "asking for %s took too long", text);
	}
	status = query->status;
	mem_free(query);
	if (status != ARES_SUCCESS)
		return err_set(err, status == ARES_ENOMEM ? ERR_MEMORY : ERR_UNAVAILABLE,
			       "asking for %s: %s", text, ares_strerror(status));
	return 0;
}
