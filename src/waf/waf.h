/*
 * waf.h - the web application firewall: reads rules in SecLang (the language of ModSecurity, in
 * which the OWASP Core Rule Set is published), compiles them, and asks them about exchanges. It
 * sees spans of bytes, never sockets, and waits for nothing itself: what rules ask of block lists
 * and programs goes through hooks. docs/waf.md describes what of the language is supported.
 *
 *	struct waf_rules	rules as compiled; immutable, counted, shared by all workers
 *	struct waf_policy	rules with mode, thresholds and exclusions; immutable, counted
 *	struct waf_worker	what a thread needs to ask: scratch space, reusable memory
 *	struct waf_transaction	one exchange
 *
 * The calls of a transaction, in this order; each of the four phase calls returns a verdict:
 *
 *	waf_transaction_new
 *	waf_set_connection, waf_set_request, waf_add_request_header ...
 *	waf_request_headers			phase 1
 *	waf_wants_request_body? waf_request_body_piece ...
 *	waf_request_body			phase 2, also when there is no body
 *	waf_set_response, waf_add_response_header ...
 *	waf_response_headers			phase 3
 *	waf_wants_response_body? waf_response_body_piece ...
 *	waf_response_body			phase 4
 *	waf_finish				phase 5: always, also after a block
 *	waf_transaction_free
 */
#ifndef WAF_WAF_H
#define WAF_WAF_H

#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

struct waf_rules;
struct waf_policy;
struct waf_worker;
struct waf_transaction;

/* ---- rules ----------------------------------------------------------------------------------- */

/* Rules given as text, not as a file: virtual patches. */
struct waf_text {
	struct span name; /* for messages, in place of a file name */
	struct span text;
	bool first; /* its rules run before those of the paths */
	bool observe; /* its rules report, and never block */
};

/*
 * Where ModSecurity 2 and libmodsecurity 3 read or run the same rule in two ways. The Core Rule
 * Set 3 was written against 2.
 */
enum waf_dialect {
	WAF_MODSECURITY_3,
	/*
	 * In quoted arguments two backslashes are one; REQUEST_BODY is set only for bodies that
	 * are urlencoded or that no processor reads, not for JSON, XML and multipart.
	 */
	WAF_MODSECURITY_2,
};

struct waf_sources {
	/*
	 * In this order. Each is
	 * - "owasp-crs": the rules and the set-up file of Debian's package modsecurity-crs;
	 * - a folder of the Core Rule Set (crs-setup.conf or crs-setup.conf.example, and rules/);
	 * - a folder of *.conf files, or a file.
	 */
	const struct span *paths;
	size_t path_count;
	const struct waf_text *texts; /* after the paths */
	size_t text_count;
	/*
	 * 1 to 4: overrides what the set-up file of the Core Rule Set says; rules of higher
	 * levels are not compiled. 0: the set-up file decides.
	 */
	unsigned paranoia;
	enum waf_dialect dialect;
	/* The programs, absolute paths, that rules may have run (inspectFile, exec); others are refused. */
	const struct span *programs;
	size_t program_count;
	/* Any may be named: for rules that are looked at, and will have no hooks to run one. */
	bool any_program;
	/* Where compiled pattern databases are kept; NULL: not kept. */
	const char *cache_folder;
	/* Compile no pattern databases: every rule is tried in turn. For tests and comparisons. */
	bool no_prefilter;
	/* Read rules and report; compile no databases. For `check`. */
	bool check_only;
};

/*
 * Reads and compiles; may take seconds without a warm cache, so call it in an offload thread.
 * NULL with err "FILE:LINE: what is wrong" for anything that is not understood. The caller owns
 * one reference.
 */
struct waf_rules *waf_rules_load(const struct waf_sources *sources, struct err *err);
struct waf_rules *waf_rules_ref(struct waf_rules *rules);
void waf_rules_unref(struct waf_rules *rules);

struct waf_rules_info {
	size_t files;
	size_t rules; /* as read, the links of a chain counted one by one */
	size_t active; /* left after paranoia and constants */
	size_t databases; /* pattern databases */
	size_t databases_cached; /* of them read from the cache folder */
	size_t patterns; /* in all databases */
	size_t memory_bytes; /* of the databases */
};

void waf_rules_info(const struct waf_rules *rules, struct waf_rules_info *info);
/* Directives that were read and are ignored on purpose: "FILE:LINE: SecX: why", one a call. */
struct span waf_rules_ignored(const struct waf_rules *rules, size_t index);

/* ---- policy ---------------------------------------------------------------------------------- */

enum waf_mode {
	WAF_OFF,
	WAF_OBSERVE, /* matches are reported, nothing is blocked */
	WAF_BLOCK,
};

/*
 * What rules must not look at. Fields that are empty (0, no bytes) do not restrict: an exclusion
 * with only a parameter takes this parameter from all rules.
 */
struct waf_exclusion {
	uint32_t rule_first; /* rule ids, first to last; last 0: only the first */
	uint32_t rule_last;
	struct span tag; /* rules with this tag */
	struct span source; /* all rules of this file or text; then nothing else is given */
	struct span
		target; /* "ARGS:name", "REQUEST_COOKIES:/^__utm/", "ARGS"; empty: the whole rule */
	struct span
		path; /* only where the path is this, or starts with it when it ends in "*" */
};

/* For 0, what the rules' own directives say, and without those the defaults. */
#define WAF_REQUEST_BODY_DEFAULT ((size_t)1 << 20)
#define WAF_RESPONSE_BODY_DEFAULT ((size_t)512 << 10)
#define WAF_MEMORY_DEFAULT ((size_t)16 << 20)

struct waf_limits {
	/*
	 * Bodies longer than these are not looked at beyond them; SecRequestBodyLimitAction and
	 * SecResponseBodyLimitAction say whether they are refused (413, 502).
	 */
	size_t request_body_bytes; /* SecRequestBodyLimit; default 1 MiB */
	size_t response_body_bytes; /* SecResponseBodyLimit; default 512 KiB */
	size_t memory_bytes; /* of a transaction, without the bodies; default 16 MiB */
	uint32_t arguments; /* SecArgumentsLimit; default 1000 */
	uint32_t json_depth; /* SecRequestBodyJsonDepthLimit; default 64 */
	/*
	 * Processor time of a transaction's patterns in values of more than 512 bytes; default 500 ms.
	 * Then the transaction fails where rules block, and rules find nothing more where they observe.
	 */
	uint32_t pattern_time_ms;
};

/* What happens to a response's body that is longer than its limit. */
enum waf_large {
	WAF_LARGE_RULES, /* what SecResponseBodyLimitAction says */
	WAF_LARGE_BEGINNING, /* only its beginning is looked at */
	WAF_LARGE_REFUSE, /* blocked with 502 */
};

struct waf_settings {
	enum waf_mode mode;
	bool no_responses; /* rules of phases 3 and 4 do not run */
	enum waf_large large_responses;
	/* Media types of the bodies that phase 4 looks at; none: SecResponseBodyMimeType. */
	const struct span *response_types;
	size_t response_type_count;
	uint32_t inbound_threshold; /* anomaly score at which to block; 0: the rules' own */
	uint32_t outbound_threshold;
	const struct waf_exclusion *exclusions;
	size_t exclusion_count;
	struct waf_limits limits;
};

/* Takes a reference of `rules` for itself; copies all it needs of `settings`. */
struct waf_policy *waf_policy_new(struct waf_rules *rules, const struct waf_settings *settings,
				  struct err *err);
struct waf_policy *waf_policy_ref(struct waf_policy *policy);
void waf_policy_unref(struct waf_policy *policy);

/* Whether some rule looks at responses, so that phases 3 to 5 have to wait for one. */
bool waf_policy_inspects_responses(const struct waf_policy *policy);
/* Whether phase 4 may look at the bodies of some responses. */
bool waf_policy_inspects_response_bodies(const struct waf_policy *policy);

/* ---- state that outlives a transaction ------------------------------------------------------- */

/*
 * The collections IP, SESSION, USER, GLOBAL and RESOURCE. Shared by workers, locked inside.
 * Entries live until they expire or `entries` is reached; then the oldest goes.
 */
struct waf_collections;

struct waf_collections *waf_collections_new(size_t entries, struct err *err);
void waf_collections_free(struct waf_collections *collections);

/* ---- worker ---------------------------------------------------------------------------------- */

/* For one thread. `collections` may be NULL: then initcol gives empty collections each time. */
struct waf_worker *waf_worker_new(struct waf_collections *collections, struct err *err);

enum waf_lookup {
	WAF_LOOKUP_FOUND,
	WAF_LOOKUP_NONE, /* there is no such name */
	WAF_LOOKUP_FAILED, /* nobody knows */
};

/* What a program is asked; spans are valid during the call. */
struct waf_program_call {
	uint32_t program; /* its place in waf_sources.programs */
	uint32_t rule_id;
	/*
	 * Its standard input. With a file name (letters, digits, "-", "_" and "."), also the content of
	 * a file of this name, whose path is its argument; without, the argument itself. An exec has
	 * neither: ptr NULL.
	 */
	struct span content;
	struct span file_name;
	struct span environment; /* "NAME=value", each ended by NUL */
};

/*
 * What rules ask of the world outside. A function that is NULL: it is not asked, and the rule does
 * not match. `lookup` and `inspect` may let other transactions of the worker go on meanwhile.
 */
struct waf_hooks {
	void *context;
	/* The first IPv4 address of a name, as a number. */
	enum waf_lookup (*lookup)(void *context, struct span name, uint32_t *address);
	/* The answer of a block list was none: it says that it does not serve us. May be NULL. */
	void (*no_list)(void *context, struct span list, uint32_t address);
	/*
	 * Runs the program and gives what it has written first, `size` bytes at most. 0, or -1 with *err:
	 * what it says is not known, and the transaction fails.
	 */
	int (*inspect)(void *context, const struct waf_program_call *call, char *output,
		       size_t size, size_t *len, struct err *err);
	/* Has the program run, and does not wait for it. */
	void (*execute)(void *context, const struct waf_program_call *call);
};

/* Before its transactions; copied. Without this call there are no hooks. */
void waf_worker_set_hooks(struct waf_worker *worker, const struct waf_hooks *hooks);
/* After the last of its transactions has been freed. */
void waf_worker_free(struct waf_worker *worker);

/* ---- transaction ----------------------------------------------------------------------------- */

/* What a rule found. Spans live as long as the transaction. */
struct waf_match {
	uint32_t rule_id;
	unsigned phase;
	struct span message; /* msg:, with macros expanded */
	struct span data; /* logdata:, with macros expanded; may hold what the client sent */
	struct span variable; /* "ARGS:name" */
	struct span piece; /* of what matched, masked: safe for logs */
	const struct span *tags;
	size_t tag_count;
	int severity; /* 0 emergency to 7 debug; -1: none given */
	int score; /* what it added to the anomaly score */
	bool disruptive; /* it asked to block */
	bool logged; /* false: nolog */
	struct span file; /* of the rule */
	uint32_t line;
};

enum waf_action {
	WAF_PASS,
	WAF_BLOCKED, /* answer with `status`, or redirect */
	WAF_DROP, /* close the connection */
};

struct waf_verdict {
	enum waf_action action;
	/* In mode observe the action is WAF_PASS, and this says what block would have done. */
	bool would_block;
	unsigned status; /* 403 unless the rule says otherwise */
	struct span redirect; /* empty: none */
	uint32_t rule_id; /* the rule that decided */
	int score; /* anomaly score so far: of the request, from phase 3 on of the response */
};

struct waf_connection {
	struct span client_address; /* as text */
	uint16_t client_port;
	struct span server_address;
	uint16_t server_port;
};

struct waf_request {
	struct span method;
	struct span target; /* as it was sent: path and query, or absolute */
	struct span protocol; /* "HTTP/1.1" */
	struct span unique_id; /* the request id; copied */
};

/*
 * NULL when out of memory. Takes a reference of the policy. All spans given to the calls below,
 * up to waf_request_headers, must live until the transaction is freed, except where a call says
 * that it copies.
 */
struct waf_transaction *waf_transaction_new(struct waf_worker *worker,
					    struct waf_policy *policy);
void waf_transaction_free(struct waf_transaction *t);

void waf_set_connection(struct waf_transaction *t, const struct waf_connection *connection);
void waf_set_request(struct waf_transaction *t, const struct waf_request *request);
void waf_add_request_header(struct waf_transaction *t, struct span name, struct span value);
/* Phase 1. All verdicts: 0, or -1 when memory ran out or a limit was hit: answer 5xx. */
int waf_request_headers(struct waf_transaction *t, struct waf_verdict *verdict,
			struct err *err);

/* Whether the rules look at bodies of this request. */
bool waf_wants_request_body(const struct waf_transaction *t);
/* Before the phases: no rule of this file or text runs. */
void waf_remove_source(struct waf_transaction *t, struct span source);
/* Copies what fits into the limit of the body. */
void waf_request_body_piece(struct waf_transaction *t, struct span piece);
/* The whole body at once, not copied: must live until the transaction is freed. */
void waf_request_body_whole(struct waf_transaction *t, struct span body);
int waf_request_body(struct waf_transaction *t, struct waf_verdict *verdict, struct err *err);

void waf_set_response(struct waf_transaction *t, unsigned status, struct span protocol);
/* Copies. */
void waf_add_response_header(struct waf_transaction *t, struct span name, struct span value);
int waf_response_headers(struct waf_transaction *t, struct waf_verdict *verdict,
			 struct err *err);
/* Whether the rules look at the body of this response, and at how many bytes of it. */
bool waf_wants_response_body(const struct waf_transaction *t);
size_t waf_response_body_limit(const struct waf_transaction *t);
/* Copies what fits into the limit of the body. */
void waf_response_body_piece(struct waf_transaction *t, struct span piece);
/* The whole body at once, not copied: must live until the transaction is freed. */
void waf_response_body_whole(struct waf_transaction *t, struct span body);
int waf_response_body(struct waf_transaction *t, struct waf_verdict *verdict, struct err *err);
/* Phase 5; its rules cannot block. */
int waf_finish(struct waf_transaction *t, struct err *err);

/* Matches in the order in which they happened; NULL past the end. */
const struct waf_match *waf_match_at(const struct waf_transaction *t, size_t index);
/*
 * The line of our configuration that would silence the match, as an item of `waf.exclusions`:
 * "{rule: 942100, target: \"ARGS:q\", path: \"/search\"}". In the transaction's memory; empty when
 * there is none left.
 */
struct span waf_match_exclusion(struct waf_transaction *t, const struct waf_match *match);
/* The value of a TX variable ("anomaly_score"), or no span. */
struct span waf_transaction_tx(struct waf_transaction *t, struct span name);

/*
 * For `waf explain`: called for each rule that was tried, with its outcome. May be NULL. Each rule
 * is then tried in turn, without pattern databases.
 */
struct waf_step {
	unsigned phase;
	uint32_t rule_id; /* 0: none (an action without id, a link of a chain) */
	struct span file;
	uint32_t line;
	struct span variable; /* empty when there was no such variable */
	struct span value; /* after transformation */
	bool matched;
	const char *note; /* "skipped", "excluded", ...; may be NULL */
};

typedef void waf_trace_fn(void *context, const struct waf_step *step);
void waf_transaction_trace(struct waf_transaction *t, waf_trace_fn *trace, void *context);

#endif
