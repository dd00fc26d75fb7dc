/*
 * lsp.h - a language server (LSP 3.17) for editors: known vulnerabilities, misconfigurations and
 * secrets in what is open, a hover with why and fix, and a quick fix to the version that ends the
 * vulnerabilities. JSON-RPC 2.0 over a pair of descriptors. Texts come from the editor alone: no file
 * is opened, so the process may be confined. Blocking, for a single-threaded caller.
 */
#ifndef SUPPLY_LSP_H
#define SUPPLY_LSP_H

#include "supply/advisory_db.h"
#include "supply/check.h"

struct lsp_options {
	const struct advisory_db *db; /* NULL: no vulnerabilities are told */
	struct checker *checker;
	struct span version; /* of the program */
	size_t max_message_bytes;
	size_t max_text_bytes; /* larger documents are not looked at */
	unsigned max_documents; /* open at once; those beyond are not looked at */
	unsigned debounce_ms; /* after the last change */
};
#define LSP_MESSAGE_BYTES ((size_t)64 << 20)
#define LSP_TEXT_BYTES ((size_t)16 << 20)
#define LSP_DOCUMENTS 256
#define LSP_DEBOUNCE_MS 200

/*
 * Serves until the client says "exit" or closes its end. 0 after "shutdown" and "exit", 1 when the
 * client went without them (as the protocol has it); -1: ERR_SYNTAX when no message can be found in
 * what comes, ERR_LIMIT, ERR_IO, ERR_MEMORY.
 */
int lsp_serve(int in, int out, const struct lsp_options *options, struct err *err) MUST_CHECK;

/* --- The same without descriptors, for tests. */

struct lsp_server;

struct lsp_server *lsp_server_new(const struct lsp_options *options);
void lsp_server_free(struct lsp_server *s);
/*
 * Takes the content of one message at a time of a monotonic clock; answers are appended to
 * lsp_server_output, with their heads. -1 (ERR_MEMORY).
 */
int lsp_server_take(struct lsp_server *s, struct span content, int64_t now_ms,
		    struct err *err) MUST_CHECK;
/* Publishes what is due; returns when the next is (INT64_MAX: nothing waits). */
int64_t lsp_server_tick(struct lsp_server *s, int64_t now_ms);
/* What is to be sent; the caller clears it. */
struct buf *lsp_server_output(struct lsp_server *s);
/* -1: it goes on; else the status of lsp_serve. */
int lsp_server_exit(const struct lsp_server *s);
/* The ids of requests that are not to be answered any more: "$/cancelRequest" read ahead. */
void lsp_server_cancel(struct lsp_server *s, struct span content);

#endif
