/*
 * gateway.h - the gateway's processes. The supervisor (the process that calls gateway_main) reads
 * the configuration, holds the listening sockets, takes the signals and starts the server process,
 * which has the worker threads.
 *
 *	SIGHUP		reload; an error changes nothing
 *	SIGUSR1		open log files anew
 *	SIGUSR2		start the program's file anew with the same sockets, then hand over to it
 *	SIGTERM, SIGINT, SIGQUIT
 *			finish what is under way (limits.drain) and end; twice: end at once
 */
#ifndef GATEWAY_GATEWAY_H
#define GATEWAY_GATEWAY_H

struct gateway_options {
	const char *config_path;
	const char *pid_file; /* NULL: none */
};

/*
 * Runs until it is told to end, and returns the process's exit code: 0, or 1 when the gateway could
 * not be started, with the reasons on standard error. The calling process must have no threads.
 */
int gateway_main(const struct gateway_options *options);

#endif
