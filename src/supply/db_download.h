/*
 * db_download.h - fetches files for the advisory database. libcurl rather than http/fetch.h, which
 * keeps a whole answer in memory: here hundreds of megabytes go to a file, and go on where an
 * earlier download has ended (RFC 9110, section 14, with If-Range).
 */
#ifndef SUPPLY_DB_DOWNLOAD_H
#define SUPPLY_DB_DOWNLOAD_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct db_download {
	const char *url; /* http or https */
	/*
	 * Where the file goes. While it is not whole it is PATH.part, with PATH.etag beside it; a
	 * later call goes on there if the server still has the same file.
	 */
	const char *path;
	uint64_t max_bytes;
	uint32_t connect_timeout_ms;
	uint32_t stall_timeout_s; /* gives up when nothing has come for so long */
	/* Told now and then; total is 0 while it is not known. May be NULL. */
	void (*progress)(void *context, uint64_t bytes, uint64_t total);
	void *context;
};

/*
 * 0 when PATH is the whole file. Where the server has URL.sha256 (hex digits first, as sha256sum
 * writes them), the file must have that digest. -1: ERR_NOT_FOUND (404), ERR_UNAVAILABLE,
 * ERR_TIMEOUT, ERR_LIMIT, ERR_INVALID (the digest; the file is removed), ERR_IO, ERR_MEMORY.
 */
int db_download(const struct db_download *download, struct err *err) MUST_CHECK;

/*
 * A small document into `to` (whose maximum counts), whole within `stall_timeout_s`; path, progress
 * and max_bytes of the job are not looked at. -1 as above.
 */
int db_download_text(const struct db_download *download, struct buf *to,
		     struct err *err) MUST_CHECK;

#endif
