/* authenticate: who is it? Credentials that are there must be good, whatever the route asks. */
#include "base/mem.h"
#include "gateway/exchange.h"
#include "gateway/identity_service.h"

/* What is known of a client certificate is worked out once a connection. */
struct connection_data {
	enum tls_peer peer;
	struct arena arena;
	struct tls_identity certificate;
	uint64_t generation; /* of the snapshot that `identity` was made for */
	struct identity *identity;
};

void gateway_connection_closed(struct http_server *server, struct http_peer *peer)
{
	struct connection_data *data = peer->data;

	(void)server;
	if (!data)
		return;
	identity_unref(data->identity);
	arena_release(&data->arena);
	mem_free(data);
	peer->data = NULL;
}

static struct connection_data *connection_data(struct exchange *e)
{
	struct http_peer *peer = e->x->peer;
	struct connection_data *data = peer->data;

	if (data)
		return data;
	data = mem_zalloc(1, sizeof(*data));
	if (!data)
		return NULL;
	arena_init(&data->arena, (size_t)64 * 1024, 1024);
	data->peer = tls_peer_identity(peer->ssl, &data->certificate, &data->arena);
	peer->data = data;
	return data;
}

static bool asks_for_certificates(const struct exchange *e)
{
	const struct worker_listener *listener = e->x->peer->listener;
	const struct config_listen *config;

	if (!e->x->peer->ssl || listener->index >= e->snapshot->config->listen.count)
		return false;
	config = e->snapshot->listens[listener->index].config;
	return config->tls && config->tls->client_auth != CONFIG_CLIENT_AUTH_NONE;
}

static enum phase_result refuse(struct exchange *e, const struct auth_outcome *outcome)
{
	unsigned status = auth_status_code(outcome->status);
	struct span challenge;

	e->reason = auth_reason_word(outcome->reason);
	if (status != 503) {
		challenge = auth_challenge(e->snapshot->authenticator, outcome, &e->x->arena);
		exchange_add_field(e, SPAN("www-authenticate"), challenge);
	} else {
		exchange_add_field(e, SPAN("retry-after"), SPAN("1"));
	}
	return answer_problem(e, status, status == 503 ? "unavailable" : "unauthenticated",
			      auth_reason_text(outcome->reason));
}

const struct tls_identity *exchange_certificate(struct exchange *e, enum tls_peer *peer)
{
	const struct connection_data *data;

	*peer = TLS_PEER_NONE;
	if (!asks_for_certificates(e))
		return NULL;
	data = connection_data(e);
	*peer = data ? data->peer : TLS_PEER_NO_MEMORY;
	return *peer == TLS_PEER_VERIFIED || *peer == TLS_PEER_UNVERIFIED ? &data->certificate
									  : NULL;
}

/* Fills the input's certificate; 0 or the status to refuse with. */
static unsigned add_certificate(struct exchange *e, struct auth_input *input)
{
	const struct connection_data *data;
	enum tls_peer peer;

	input->certificate = exchange_certificate(e, &peer);
	switch (peer) {
	case TLS_PEER_NO_MEMORY: return 503;
	case TLS_PEER_UNUSABLE: return 400;
	case TLS_PEER_NONE: return 0;
	case TLS_PEER_UNVERIFIED: input->certificate_is_unverified = true; break;
	case TLS_PEER_VERIFIED: break;
	}
	data = e->x->peer->data;
	if (data && data->generation == e->snapshot->generation)
		input->certificate_identity = data->identity;
	return 0;
}

struct span exchange_url(struct exchange *e)
{
	struct span host = http1_field(&e->x->request, HTTP_FIELD_HOST);

	return arena_printf(&e->x->arena, "%s://%.*s%.*s", e->secure ? "https" : "http",
			    SPAN_ARG(host), SPAN_ARG(e->path));
}

/* What a proof must be for; only those who send one need it. False without memory. */
static bool add_request(struct exchange *e, struct auth_input *input)
{
	struct span authorization = http1_field(&e->x->request, HTTP_FIELD_AUTHORIZATION);

	if (!span_eq_nocase(span_slice(authorization, 0, 4), SPAN("DPoP")))
		return true;
	input->method = e->x->request.method_name;
	input->url = exchange_url(e);
	return input->url.ptr != NULL;
}

static void remember_certificate(struct exchange *e, const struct auth_outcome *outcome)
{
	struct connection_data *data = e->x->peer->data;

	if (!data || outcome->status != AUTH_OK ||
	    outcome->identity->kind != IDENTITY_CERTIFICATE ||
	    data->generation == e->snapshot->generation)
		return;
	identity_unref(data->identity);
	data->identity = identity_ref(outcome->identity);
	data->generation = e->snapshot->generation;
}

HOT enum phase_result phase_authenticate(struct exchange *e)
{
	struct auth_input input = {.head = &e->x->request};
	struct auth_outcome outcome;
	unsigned status;

	if (!access_rule_wants_identity(e->route->access))
		return PHASE_NEXT;
	if (e->route->config->auth == CONFIG_AUTH_SESSION)
		return identity_service_session(e);
	status = add_request(e, &input) ? add_certificate(e, &input) : 503;
	if (status) {
		e->reason = "certificate";
		return answer_problem(e, status,
				      status == 503 ? "out-of-memory" : "unusable-certificate",
				      NULL);
	}
	auth_request(e->worker->auth, e->snapshot->authenticator, &input,
		     loop_deadline_ms(10000), &outcome);
	switch (outcome.status) {
	case AUTH_OK:
		if (identity_service_revoked(e, outcome.identity)) {
			identity_unref(outcome.identity);
			outcome = (struct auth_outcome){.status = AUTH_INVALID_TOKEN,
							.reason = AUTH_REASON_NOT_ACTIVE};
			break;
		}
		remember_certificate(e, &outcome);
		e->identity = e->identity_held = outcome.identity;
		return PHASE_NEXT;
	case AUTH_NONE: return PHASE_NEXT;
	case AUTH_CANCELLED: return PHASE_GONE;
	case AUTH_INVALID_REQUEST:
	case AUTH_INVALID_TOKEN:
	case AUTH_UNAVAILABLE: break;
	}
	return refuse(e, &outcome);
}
