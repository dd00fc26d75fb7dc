/*
 * exchange.h - an exchange on its way through the phases. The phases stand in one array in
 * pipeline.c; each is one file.
 */
#ifndef GATEWAY_EXCHANGE_H
#define GATEWAY_EXCHANGE_H

#include "contract/contract.h"
#include "gateway/spool.h"
#include "gateway/worker.h"
#include "http/exchange.h"

enum phase_id {
	PHASE_ADMIT,
	PHASE_ROUTE,
	PHASE_AUTHENTICATE,
	PHASE_AUTHORIZE,
	PHASE_LIMIT,
	PHASE_VALIDATE,
	PHASE_INSPECT,
	PHASE_APPROVE,
	PHASE_PROTECT,
	PHASE_FORWARD,
	PHASE_COUNT,
};

enum phase_result {
	PHASE_NEXT,
	PHASE_ANSWERED, /* a response was sent, or at least begun */
	PHASE_GONE, /* the client is not there any more */
};

#define EXCHANGE_ID_BYTES 32

struct exchange {
	struct http_exchange *x;
	struct worker *worker;
	struct view *view;
	struct snapshot *snapshot; /* the view's */
	int64_t now_ns; /* when the exchange began */
	int64_t deadline_ms; /* of the whole exchange */

	struct address client; /* behind trusted proxies */
	bool from_trusted_proxy;
	bool secure; /* the client's connection, or what a trusted proxy says of it */
	struct span host; /* without port where routes name hosts, else as sent */
	struct span path; /* normalised */
	struct span query;
	const struct snapshot_route *route;
	struct metrics_series *metrics; /* the route's, or of requests that found none */
	/* of the service's contract; NULL: it has none, or does not know this request */
	const struct snapshot_operation *operation;
	const struct contract_route *contract_route;
	struct contract_check *check; /* of the request */
	enum contract_result check_result;
	bool check_streams; /* content is passed on while it is checked */
	bool contract_broken; /* and that is enforced */
	bool check_noted;
	const struct identity *identity;
	struct identity *identity_held; /* reference to give back */
	uint32_t overload; /* actions in force when it began */
	const struct config_service
		*alternate; /* asked in the place of the route's; NULL: none */
	const struct approval *approval; /* approved, and not used yet; NULL: none is needed */
	const struct config_degraded *degraded; /* the alternate is that; NULL: it is not */
	struct identity *reduced; /* what it gets to know; a reference */
	struct protection *protection; /* NULL: none; see protect.h */

	struct inspection *inspection; /* by the firewall, still under way; see inspect.h */
	struct spool spool; /* the request's body, where it is held back */

	struct span request_id;
	struct span traceparent;

	size_t extra_count; /* of `extra` */

	/* for metrics and logs */
	enum phase_id phase; /* the one that is running, and at the end the one that answered */
	const char *reason; /* why it was refused, a stable word; NULL when forwarded */
	const struct endpoint *endpoint;
	unsigned attempts;
	bool timed; /* keep phase_ns */

	/* What follows begins without a value: most exchanges have no use for it. */

	char id[EXCHANGE_ID_BYTES]; /* ours, when request_id points here */
	int64_t phase_ns[PHASE_COUNT]; /* when it began, of those that were entered, if timed */
	/* Fields that the answer gets whoever makes it (RateLimit, WWW-Authenticate, CORS ...). */
	struct http_field extra[12];
};

struct approval;

struct phase {
	const char *name;
	enum phase_result (*enter)(struct exchange *e);
};

enum phase_result phase_admit(struct exchange *e);
enum phase_result phase_route(struct exchange *e);
enum phase_result phase_authenticate(struct exchange *e);
enum phase_result phase_authorize(struct exchange *e);
enum phase_result phase_limit(struct exchange *e);
enum phase_result phase_validate(struct exchange *e);
enum phase_result phase_inspect(struct exchange *e);
enum phase_result phase_approve(struct exchange *e);
enum phase_result phase_protect(struct exchange *e);
enum phase_result phase_forward(struct exchange *e);

/* The server's handler: runs the phases and records what became of the exchange. */
void exchange_serve(struct http_exchange *x);
/* The server's on_close: frees what authenticate keeps with a connection. */
void gateway_connection_closed(struct http_server *server, struct http_peer *peer);
/* A Unix socket's peer counts as 127.0.0.1. */
struct address exchange_peer_address(const struct sockaddr_storage *from);
const char *phase_name(enum phase_id id);

/* Answers with these fields and body. Returns what the phase returns. */
enum phase_result answer_with(struct exchange *e, unsigned status,
			      const struct http_field *fields, size_t count, struct span body);
/* The certificate of the client's connection, worked out once; NULL unless *peer says that there
   is one (TLS_PEER_VERIFIED, TLS_PEER_UNVERIFIED). */
const struct tls_identity *exchange_certificate(struct exchange *e, enum tls_peer *peer);
/* For logs: the path, as it was sent where it has not been normalised; a query may hold secrets. */
static inline struct span exchange_log_path(const struct exchange *e)
{
	struct span target = e->x->request.target;

	return e->path.ptr ? e->path : span_slice(target, 0, span_find_byte(target, '?'));
}
/* scheme://authority/path as the client knows the request; ptr NULL without memory. */
struct span exchange_url(struct exchange *e) MUST_CHECK;

/*
 * Answers with application/problem+json (RFC 9457). `type` is a stable word that becomes
 * urn:sallyport:problem:<type>; `detail` may be NULL. Returns what the phase returns.
 */
enum phase_result answer_problem(struct exchange *e, unsigned status, const char *type,
				 const char *detail) COLD;
/*
 * Reads the body up to limits.body_buffer, waiting for each piece as long as the route allows.
 * PHASE_NEXT: *whole says whether e->spool.held is all of it. Otherwise it has been answered.
 */
enum phase_result spool_hold(struct exchange *e, bool *whole);
/* Whether the body is announced to be longer: whoever needs all of it need not read any. */
bool spool_cannot_hold(const struct exchange *e);
/*
 * Before a body is looked at: one in a content coding is held, decoded up to limits.body_buffer, and
 * forwarded as it is then, so that what is looked at is what the service gets. PHASE_NEXT, or it has
 * been answered.
 */
enum phase_result decode_body(struct exchange *e);
/* When a step that may take step_ms (0: any time) must be done: the exchange's deadline counts too. */
static inline int64_t exchange_step_deadline_ms(const struct exchange *e, uint64_t step_ms)
{
	int64_t deadline_ms = step_ms ? loop_deadline_ms((int64_t)step_ms) : FIBER_FOREVER;

	return deadline_ms < e->deadline_ms ? deadline_ms : e->deadline_ms;
}
/* The answer to a body that could not be read, or is over a limit. Returns what the phase does. */
enum phase_result answer_bad_body(struct exchange *e, enum io_result why) COLD;
/* The same with one more member, whose value is JSON; ptr NULL: without it. */
enum phase_result answer_problem_with(struct exchange *e, unsigned status, const char *type,
				      const char *detail, struct span name,
				      struct span json) COLD;
/* A fixed answer from the configuration; `file` has the content of answer->file if there is one. */
enum phase_result answer_fixed(struct exchange *e, const struct config_answer *answer,
			       const struct buf *file);
/* Adds a field to whatever will be answered; ignored when there is no room (8 are enough). */
void exchange_add_field(struct exchange *e, struct span name, struct span value);

/*
 * The last phase of every answer: sends the head with the fields that all responses get (security
 * defaults, request id, the route's edits, Date), without those that must not leave.
 */
enum io_result respond_head(struct exchange *e, const struct http_response *response, int flags,
			    int64_t deadline_ms);
/* Passes a service's early hints on (RFC 8297), without what must not leave. */
enum io_result respond_hints(struct exchange *e, const struct http1_head *from,
			     int64_t deadline_ms);

#endif
