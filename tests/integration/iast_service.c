/*
 * A service that asks a database by libpq: /joined writes the value of `q` into its statement, /bound
 * binds it. There is no server: what matters is what is asked. With an argument "fork" each connection
 * has a process of its own.
 */
#include <libpq-fe.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void ask(const char *request)
{
	PGconn *connection = PQconnectdb("host=/nonexistent");
	const char *value = strstr(request, "?q=");
	char text[256], q[64] = "";
	const char *values[] = {q};

	if (value)
		(void)sscanf(value, "?q=%63[^ ]", q);
	(void)snprintf(text, sizeof(text), "SELECT a FROM t WHERE b = '%s'", q);
	if (strncmp(request, "GET /joined", 11) == 0)
		PQclear(PQexec(connection, text));
	else
		PQclear(PQexecParams(connection, "SELECT a FROM t WHERE b = $1", 1, NULL,
				     values, NULL, NULL, 0));
	PQfinish(connection);
}

static void serve(int client)
{
	static const char answer[] = "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok";
	char request[4096];
	ssize_t n = read(client, request, sizeof(request) - 1);

	if (n > 0) {
		request[n] = '\0';
		ask(request);
		(void)!write(client, answer, sizeof(answer) - 1);
	}
	close(client);
}

int main(int argc, char **argv)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	if (argc < 2)
		return 2;
	(void)signal(SIGCHLD, SIG_IGN);
	address.sin_port = htons((unsigned short)strtoul(argv[1], NULL, 10));
	(void)setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(listener, 64) < 0)
		return 1;
	for (;;) {
		int client = accept(listener, NULL, NULL);

		if (client < 0)
			continue;
		if (argc > 2 && fork() == 0) {
			serve(client);
			_exit(0);
		}
		if (argc > 2)
			close(client);
		else
			serve(client);
	}
}
