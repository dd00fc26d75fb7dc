/*
 * sockets.h - the listening sockets, held by the supervisor and shared with every server process.
 * A socket is known by its address as the configuration writes it, and by its place among those of
 * one address (with reuse_port there is one for each worker).
 */
#ifndef GATEWAY_SOCKETS_H
#define GATEWAY_SOCKETS_H

#include "base/buf.h"
#include "config/config.h"
#include "io/net_address.h"

struct socket_entry {
	char *text; /* the address as configured; NULL: from the service manager, not used yet */
	struct net_address address; /* bound */
	int fd;
	bool opened_here; /* a Unix socket's file is ours to remove */
	bool wanted; /* by the last configuration */
};

struct sockets {
	struct socket_entry *at;
	size_t count;
};

/*
 * Takes over sockets that this process has inherited: those of an older supervisor
 * (SALLYPORT_SOCKETS) and of the service manager (LISTEN_FDS, sd_listen_fds(3)).
 */
int sockets_inherit(struct sockets *sockets, struct err *err) MUST_CHECK;
/*
 * Opens what the configuration wants and is not there yet, and marks what it does not want any
 * more. On failure those opened by this call are closed again.
 */
int sockets_open(struct sockets *sockets, const struct config *cfg, unsigned workers,
		 struct err *err) MUST_CHECK;
/*
 * Warns when somebody listens at the admin listener's address, which each server process opens for
 * itself beside the one before it: to be asked when none of ours can be there.
 */
void sockets_check_admin(const struct config *cfg);
/* Closes those that are not wanted, once the servers that used them have stopped accepting. */
void sockets_close_unwanted(struct sockets *sockets);
/* Closes all; removes the files of Unix sockets if asked to. */
void sockets_release(struct sockets *sockets, bool remove_files);

/*
 * Fills in `fds` (sockets_per_worker of them) with own duplicates for worker `index`: element i
 * belongs to cfg's listen entry i modulo their count; -1: none. Workers without a socket of their
 * own share one, and where there are more sockets than workers each takes several: none may be left
 * without somebody who accepts.
 */
int sockets_for_worker(const struct sockets *sockets, const struct config *cfg, unsigned index,
		       unsigned workers, int *fds, struct err *err) MUST_CHECK;
size_t sockets_per_worker(const struct sockets *sockets, const struct config *cfg,
			  unsigned workers);

/* For the next program: "SALLYPORT_SOCKETS=fd y address\n..." of all sockets. */
#define SOCKETS_VARIABLE "SALLYPORT_SOCKETS"
int sockets_describe(const struct sockets *sockets, struct buf *out) MUST_CHECK;
/* Lets a program that is executed next inherit them. In the child, before exec. */
void sockets_keep_on_exec(const struct sockets *sockets);

#endif
