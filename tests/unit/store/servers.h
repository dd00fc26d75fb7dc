/*
 * servers.h - real servers for tests of the store, in a folder of their own, on Unix sockets; they
 * end with the test.
 */
#ifndef TESTS_STORE_SERVERS_H
#define TESTS_STORE_SERVERS_H

#include <stdbool.h>
#include <sys/types.h>

struct test_server {
	pid_t pid;
	char folder[64];
	char url[160];
	char program[96];
};

/* A store's file in a folder of its own. */
void server_sqlite(struct test_server *server);
/* False when the program is not installed. */
bool server_postgres(struct test_server *server);
bool server_redis(struct test_server *server);
/* Ends it at once, as a crash would; the folder stays. */
void server_kill(struct test_server *server);
/* Starts what was killed, on its folder. */
void server_restart(struct test_server *server);
/* The same of Redis, which then takes a millisecond for each write that it reads back. */
void server_restart_slowly(struct test_server *server);
/* Ends it and removes the folder. */
void server_remove(struct test_server *server);

#endif
