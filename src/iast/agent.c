/*
 * agent.c - what is loaded into a service (LD_PRELOAD): it sees the requests that come in, and whether
 * values of them end up in statements, commands, paths, hosts or pages. It changes nothing: every call
 * is passed on as it came, and errno is kept. All memory is static; nothing is waited for; in doubt it
 * looks away. Only names of the C library and of database clients are exported.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <netdb.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "iast/record.h"

#define EXPORT __attribute__((visibility("default")))
#define SLOTS 32
#define FDS 4096
#define LIVE_S 30
#define SEEN 4096
#define SPINS 2000
#define AROUND ((size_t)60) /* bytes before a value that are told */
#define STATEMENT_BYTES_MAX ((size_t)64 * 1024)

/* A request that came in on a connection, and is being worked on. */
struct slot {
	int fd; /* -1: free */
	time_t since;
	bool html; /* the answer under way is a page */
	size_t len;
	char text[IAST_TEXT_BYTES];
	struct iast_request request;
	bool whole; /* its head has come */
};

static struct slot slots[SLOTS];
static _Atomic unsigned char is_server[FDS]; /* accepted here */
static _Atomic uint64_t seen[SEEN];
static atomic_flag lock = ATOMIC_FLAG_INIT;
static struct sockaddr_un collector;
static char program[128];
static _Atomic int ready; /* 1: there is a collector */
/* Calls that the agent makes itself, and what they call in turn. */
static __thread int inside;

__attribute__((constructor)) static void start(void)
{
	const char *path = getenv("SALLYPORT_IAST");
	ssize_t len = readlink("/proc/self/exe", program, sizeof(program) - 1);

	if (len > 0)
		program[len] = '\0';
	for (size_t i = 0; i < SLOTS; i++)
		slots[i].fd = -1;
	if (!path || strlen(path) >= sizeof(collector.sun_path))
		return;
	collector.sun_family = AF_UNIX;
	memcpy(collector.sun_path, path, strlen(path) + 1);
	ready = 1;
}

/* False when somebody else has it for long, as in the child of a process that forked then. */
static bool take_lock(void)
{
	for (int i = 0; i < SPINS; i++)
		if (!atomic_flag_test_and_set_explicit(&lock, memory_order_acquire))
			return true;
	return false;
}

static void give_lock(void)
{
	atomic_flag_clear_explicit(&lock, memory_order_release);
}

static time_t now_s(void)
{
	struct timespec now = {0};

	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return now.tv_sec;
}

/* ---- telling --------------------------------------------------------------------------------- */

/* Where it is noted that this was told, by a hash, in a table that forgets. NULL: it was. */
static _Atomic uint64_t *note(const struct iast_record *r)
{
	uint64_t hash = taint_hash(r->path, r->shape ^ r->value * 31 ^ (uint64_t)r->sink);
	_Atomic uint64_t *at;

	hash = taint_hash(r->parameter, hash) | 1;
	at = &seen[hash % SEEN];
	return atomic_exchange(at, hash) == hash ? NULL : at;
}

/* A socket of its own each time: it is rare, and services close what they do not know. */
static void tell(const struct iast_record *r)
{
	_Atomic uint64_t *noted = note(r);
	char text[IAST_RECORD_BYTES];
	size_t len;
	long sent = -1;
	int fd;

	if (!noted)
		return;
	len = iast_record_write(r, text);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0) {
		sent = syscall(SYS_sendto, fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL,
			       &collector, (socklen_t)sizeof(collector));
		(void)syscall(SYS_close, fd);
	}
	/* The collector is busy: the next time will do as well. */
	if (sent < 0)
		*noted = 0;
}

/* ---- sources --------------------------------------------------------------------------------- */

static struct slot *slot_of(int fd)
{
	for (size_t i = 0; i < SLOTS; i++)
		if (slots[i].fd == fd)
			return &slots[i];
	return NULL;
}

static struct slot *new_slot(int fd)
{
	struct slot *oldest = slot_of(fd);

	for (size_t i = 0; i < SLOTS && !oldest; i++)
		if (slots[i].fd < 0)
			oldest = &slots[i];
	if (!oldest)
		oldest = &slots[0];
	for (size_t i = 0; i < SLOTS && oldest->fd >= 0 && oldest->fd != fd; i++)
		if (slots[i].since < oldest->since)
			oldest = &slots[i];
	oldest->fd = fd;
	oldest->len = 0;
	oldest->whole = oldest->html = false;
	return oldest;
}

static bool serves(int fd)
{
	return ready && !inside && fd >= 0 && fd < FDS && is_server[fd];
}

/* A request, or more of the one before. */
static void came_in(int fd, struct span bytes)
{
	int error = errno;
	struct slot *slot;

	if (!serves(fd) || !bytes.len || !take_lock())
		return;
	inside++;
	slot = slot_of(fd);
	if (!slot || iast_request_starts(bytes))
		slot = iast_request_starts(bytes) ? new_slot(fd) : NULL;
	if (slot) {
		if (bytes.len > sizeof(slot->text) - slot->len)
			bytes.len = sizeof(slot->text) - slot->len;
		memcpy(slot->text + slot->len, bytes.ptr, bytes.len);
		slot->len += bytes.len;
		slot->since = now_s();
		slot->whole = iast_request_read(&slot->request, span_of(slot->text, slot->len));
	}
	inside--;
	give_lock();
	errno = error;
}

static void accepted(int fd)
{
	if (ready && fd >= 0 && fd < FDS)
		is_server[fd] = 1;
}

static void closed(int fd)
{
	struct slot *slot;

	if (!ready || fd < 0 || fd >= FDS || !is_server[fd])
		return;
	is_server[fd] = 0;
	if (!take_lock())
		return;
	slot = slot_of(fd);
	if (slot)
		slot->fd = -1;
	give_lock();
}

/* ---- sinks ----------------------------------------------------------------------------------- */

typedef struct taint_result taint_test(struct span text, struct span value);

static void look_at_slot(const struct slot *slot, enum iast_sink sink, struct span text,
			 taint_test *test)
{
	char masked[2048];

	for (size_t i = 0; i < slot->request.count; i++) {
		const struct iast_value *value = &slot->request.values[i];
		struct taint_result result = test(text, value->text);
		struct iast_record record = {.sink = sink,
					     .taint = result.taint,
					     .shape = result.shape,
					     .value = taint_hash(value->text, 0),
					     .origin = value->origin,
					     .parameter = value->name,
					     .method = slot->request.method,
					     .path = slot->request.path,
					     .program = span_cstr(program)};

		if (result.taint == TAINT_NONE)
			continue;
		/* Nobody's data is told: what is around the value is enough to find the place. */
		if (sink == IAST_SQL)
			record.detail =
				span_of(masked, taint_sql_masked(text, masked, sizeof(masked)));
		else
			record.detail = span_slice(
				text, result.at > AROUND ? result.at - AROUND : 0, result.at);
		tell(&record);
	}
}

static void look(enum iast_sink sink, struct span text, taint_test *test)
{
	int error = errno;
	time_t now;

	if (!ready || inside || !text.len || text.len > STATEMENT_BYTES_MAX || !take_lock())
		return;
	inside++;
	now = now_s();
	for (size_t i = 0; i < SLOTS; i++)
		if (slots[i].fd >= 0 && slots[i].whole && now - slots[i].since <= LIVE_S)
			look_at_slot(&slots[i], sink, text, test);
	inside--;
	give_lock();
	errno = error;
}

/* What is sent on a connection to a client: only its own request counts. */
static void goes_out(int fd, struct span bytes)
{
	static const struct span type = SPAN_INIT("text/html");
	int error = errno;
	struct slot *slot;

	if (!serves(fd) || !bytes.len || !take_lock())
		return;
	inside++;
	slot = slot_of(fd);
	if (bytes.len > STATEMENT_BYTES_MAX)
		bytes.len = STATEMENT_BYTES_MAX;
	if (slot && span_starts_with(bytes, SPAN("HTTP/1.")))
		slot->html = false;
	if (slot && !slot->html)
		slot->html = span_find(bytes, type) < bytes.len;
	if (slot && slot->html && slot->whole)
		look_at_slot(slot, IAST_PAGE, bytes, taint_html);
	inside--;
	give_lock();
	errno = error;
}

static void look_at_command(const char *path, char *const argv[])
{
	static const char *const shells[] = {"sh", "bash", "dash", "zsh", "ash", "ksh"};
	const char *name = path ? strrchr(path, '/') : NULL;

	if (!ready || inside || !path || !argv || !argv[0] || !argv[1])
		return;
	name = name ? name + 1 : path;
	for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++) {
		if (strcmp(name, shells[i]) != 0)
			continue;
		for (size_t j = 1; argv[j]; j++)
			if (strcmp(argv[j], "-c") == 0 && argv[j + 1])
				look(IAST_COMMAND, span_cstr(argv[j + 1]), taint_shell);
	}
}

/* ---- the names that are taken over ----------------------------------------------------------- */

/*
 * The function that would have been called. Modules that a program loads by itself, with the database's
 * library behind them, are not in the order in which RTLD_NEXT looks: then each library is asked.
 */
static void *next_of(const char *name, uintptr_t own)
{
	void *found = dlsym(RTLD_NEXT, name);
	struct link_map *map = NULL;
	void *self;

	if (found)
		return found;
	inside++;
	self = dlopen(NULL, RTLD_LAZY);
	if (self && dlinfo(self, RTLD_DI_LINKMAP, &map) != 0)
		map = NULL;
	for (map = map ? map->l_next : NULL; map && !found; map = map->l_next) {
		void *library =
			map->l_name[0] ? dlopen(map->l_name, RTLD_LAZY | RTLD_NOLOAD) : NULL;

		found = library ? dlsym(library, name) : NULL;
		if ((uintptr_t)found == own)
			found = NULL;
		if (library)
			(void)dlclose(library);
	}
	if (self)
		(void)dlclose(self);
	inside--;
	return found;
}

#define REAL(type, name, ...)                                                                  \
	static _Atomic uintptr_t next_address;                                                 \
	type (*real)(__VA_ARGS__);                                                             \
	if (!next_address)                                                                     \
		next_address = (uintptr_t)next_of(#name, (uintptr_t)name);                     \
	real = (type(*)(__VA_ARGS__))next_address
/* Of a library that may not be there: somebody has looked for the name, and found ours. */
#define REAL_OR(failure, type, name, ...)                                                      \
	REAL(type, name, __VA_ARGS__);                                                         \
	if (!real)                                                                             \
	return failure

EXPORT int accept(int fd, __SOCKADDR_ARG address, socklen_t *len)
{
	int new_fd;

	REAL(int, accept, int, struct sockaddr *, socklen_t *);
	new_fd = real(fd, address.__sockaddr__, len);
	accepted(new_fd);
	return new_fd;
}

EXPORT int accept4(int fd, __SOCKADDR_ARG address, socklen_t *len, int flags)
{
	int new_fd;

	REAL(int, accept4, int, struct sockaddr *, socklen_t *, int);
	new_fd = real(fd, address.__sockaddr__, len, flags);
	accepted(new_fd);
	return new_fd;
}

EXPORT int close(int fd)
{
	REAL(int, close, int);
	closed(fd);
	return real(fd);
}

EXPORT ssize_t read(int fd, void *to, size_t size)
{
	ssize_t n;

	REAL(ssize_t, read, int, void *, size_t);
	n = real(fd, to, size);
	if (n > 0)
		came_in(fd, span_of(to, (size_t)n));
	return n;
}

EXPORT ssize_t recv(int fd, void *to, size_t size, int flags)
{
	ssize_t n;

	REAL(ssize_t, recv, int, void *, size_t, int);
	n = real(fd, to, size, flags);
	if (n > 0 && !(flags & MSG_PEEK))
		came_in(fd, span_of(to, (size_t)n));
	return n;
}

EXPORT ssize_t recvfrom(int fd, void *to, size_t size, int flags, __SOCKADDR_ARG address,
			socklen_t *len)
{
	ssize_t n;

	REAL(ssize_t, recvfrom, int, void *, size_t, int, struct sockaddr *, socklen_t *);
	n = real(fd, to, size, flags, address.__sockaddr__, len);
	if (n > 0 && !(flags & MSG_PEEK))
		came_in(fd, span_of(to, (size_t)n));
	return n;
}

EXPORT ssize_t readv(int fd, const struct iovec *parts, int count)
{
	size_t left;
	ssize_t n;

	REAL(ssize_t, readv, int, const struct iovec *, int);
	n = real(fd, parts, count);
	left = n > 0 ? (size_t)n : 0;
	for (int i = 0; i < count && left; i++) {
		size_t len = parts[i].iov_len < left ? parts[i].iov_len : left;

		came_in(fd, span_of(parts[i].iov_base, len));
		left -= len;
	}
	return n;
}

EXPORT ssize_t write(int fd, const void *bytes, size_t len)
{
	REAL(ssize_t, write, int, const void *, size_t);
	goes_out(fd, span_of(bytes, len));
	return real(fd, bytes, len);
}

EXPORT ssize_t send(int fd, const void *bytes, size_t len, int flags)
{
	REAL(ssize_t, send, int, const void *, size_t, int);
	goes_out(fd, span_of(bytes, len));
	return real(fd, bytes, len, flags);
}

EXPORT ssize_t writev(int fd, const struct iovec *parts, int count)
{
	REAL(ssize_t, writev, int, const struct iovec *, int);
	for (int i = 0; i < count; i++)
		goes_out(fd, span_of(parts[i].iov_base, parts[i].iov_len));
	return real(fd, parts, count);
}

EXPORT int execve(const char *path, char *const argv[], char *const env[])
{
	REAL(int, execve, const char *, char *const[], char *const[]);
	look_at_command(path, argv);
	return real(path, argv, env);
}

EXPORT int execv(const char *path, char *const argv[])
{
	REAL(int, execv, const char *, char *const[]);
	look_at_command(path, argv);
	return real(path, argv);
}

EXPORT int execvp(const char *path, char *const argv[])
{
	REAL(int, execvp, const char *, char *const[]);
	look_at_command(path, argv);
	return real(path, argv);
}

EXPORT int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
		       const posix_spawnattr_t *attributes, char *const argv[],
		       char *const env[])
{
	REAL(int, posix_spawn, pid_t *, const char *, const posix_spawn_file_actions_t *,
	     const posix_spawnattr_t *, char *const[], char *const[]);
	look_at_command(path, argv);
	return real(pid, path, actions, attributes, argv, env);
}

EXPORT int posix_spawnp(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
			const posix_spawnattr_t *attributes, char *const argv[],
			char *const env[])
{
	REAL(int, posix_spawnp, pid_t *, const char *, const posix_spawn_file_actions_t *,
	     const posix_spawnattr_t *, char *const[], char *const[]);
	look_at_command(path, argv);
	return real(pid, path, actions, attributes, argv, env);
}

EXPORT int system(const char *line)
{
	REAL(int, system, const char *);
	if (line)
		look(IAST_COMMAND, span_cstr(line), taint_shell);
	return real(line);
}

EXPORT FILE *popen(const char *line, const char *mode)
{
	REAL(FILE *, popen, const char *, const char *);
	look(IAST_COMMAND, span_cstr(line), taint_shell);
	return real(line, mode);
}

static mode_t mode_of(int flags, va_list args)
{
	return flags & (O_CREAT | __O_TMPFILE) ? va_arg(args, mode_t) : 0;
}

#define OPEN(name)                                                                             \
	EXPORT int name(const char *path, int flags, ...)                                      \
	{                                                                                      \
		mode_t mode;                                                                   \
		va_list args;                                                                  \
                                                                                               \
		REAL(int, name, const char *, int, ...);                                       \
		va_start(args, flags);                                                         \
		mode = mode_of(flags, args);                                                   \
		va_end(args);                                                                  \
		look(IAST_FILE, span_cstr(path), taint_path);                                  \
		return real(path, flags, mode);                                                \
	}
#define OPENAT(name)                                                                           \
	EXPORT int name(int folder, const char *path, int flags, ...)                          \
	{                                                                                      \
		mode_t mode;                                                                   \
		va_list args;                                                                  \
                                                                                               \
		REAL(int, name, int, const char *, int, ...);                                  \
		va_start(args, flags);                                                         \
		mode = mode_of(flags, args);                                                   \
		va_end(args);                                                                  \
		look(IAST_FILE, span_cstr(path), taint_path);                                  \
		return real(folder, path, flags, mode);                                        \
	}
#define FOPEN(name)                                                                            \
	EXPORT FILE *name(const char *path, const char *mode)                                  \
	{                                                                                      \
		REAL(FILE *, name, const char *, const char *);                                \
		look(IAST_FILE, span_cstr(path), taint_path);                                  \
		return real(path, mode);                                                       \
	}

OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
FOPEN(fopen)
FOPEN(fopen64)

EXPORT int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
		       struct addrinfo **found)
{
	REAL(int, getaddrinfo, const char *, const char *, const struct addrinfo *,
	     struct addrinfo **);
	if (host)
		look(IAST_HOST, span_cstr(host), taint_host);
	return real(host, service, hints, found);
}

/* ---- database clients, as far as a program has them ------------------------------------------ */

/* Types of their headers, which are not needed to pass them on. */
struct sqlite3;
struct sqlite3_stmt;
struct pg_conn;
struct pg_result;
struct st_mysql;

static struct span statement(const char *text, int len)
{
	return len < 0 ? span_cstr(text) : span_of(text, strnlen(text, (size_t)len));
}

#define EXPORTED(type, name, ...)                                                              \
	EXPORT type name(__VA_ARGS__);                                                         \
	EXPORT type name(__VA_ARGS__)

EXPORTED(int, sqlite3_prepare_v2, struct sqlite3 *db, const char *text, int len,
	 struct sqlite3_stmt **to, const char **tail)
{
	REAL_OR(21, int, sqlite3_prepare_v2, struct sqlite3 *, const char *, int,
		struct sqlite3_stmt **, const char **);
	if (text)
		look(IAST_SQL, statement(text, len), taint_sql);
	return real(db, text, len, to, tail);
}

EXPORTED(int, sqlite3_prepare_v3, struct sqlite3 *db, const char *text, int len, unsigned flags,
	 struct sqlite3_stmt **to, const char **tail)
{
	REAL_OR(21, int, sqlite3_prepare_v3, struct sqlite3 *, const char *, int, unsigned,
		struct sqlite3_stmt **, const char **);
	if (text)
		look(IAST_SQL, statement(text, len), taint_sql);
	return real(db, text, len, flags, to, tail);
}

EXPORTED(int, sqlite3_exec, struct sqlite3 *db, const char *text,
	 int (*each)(void *, int, char **, char **), void *context, char **message)
{
	REAL_OR(21, int, sqlite3_exec, struct sqlite3 *, const char *,
		int (*)(void *, int, char **, char **), void *, char **);
	if (text)
		look(IAST_SQL, span_cstr(text), taint_sql);
	return real(db, text, each, context, message);
}

EXPORTED(struct pg_result *, PQexec, struct pg_conn *connection, const char *text)
{
	REAL_OR(NULL, struct pg_result *, PQexec, struct pg_conn *, const char *);
	look(IAST_SQL, span_cstr(text), taint_sql);
	return real(connection, text);
}

EXPORTED(struct pg_result *, PQexecParams, struct pg_conn *connection, const char *text,
	 int count, const unsigned *types, const char *const *values, const int *lengths,
	 const int *formats, int format)
{
	REAL_OR(NULL, struct pg_result *, PQexecParams, struct pg_conn *, const char *, int,
		const unsigned *, const char *const *, const int *, const int *, int);
	look(IAST_SQL, span_cstr(text), taint_sql);
	return real(connection, text, count, types, values, lengths, formats, format);
}

EXPORTED(int, PQsendQuery, struct pg_conn *connection, const char *text)
{
	REAL_OR(0, int, PQsendQuery, struct pg_conn *, const char *);
	look(IAST_SQL, span_cstr(text), taint_sql);
	return real(connection, text);
}

EXPORTED(struct pg_result *, PQprepare, struct pg_conn *connection, const char *name,
	 const char *text, int count, const unsigned *types)
{
	REAL_OR(NULL, struct pg_result *, PQprepare, struct pg_conn *, const char *,
		const char *, int, const unsigned *);
	look(IAST_SQL, span_cstr(text), taint_sql);
	return real(connection, name, text, count, types);
}

EXPORTED(int, mysql_real_query, struct st_mysql *connection, const char *text,
	 unsigned long len)
{
	REAL_OR(1, int, mysql_real_query, struct st_mysql *, const char *, unsigned long);
	look(IAST_SQL, span_of(text, len), taint_sql);
	return real(connection, text, len);
}
