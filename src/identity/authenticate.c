/* The phase authenticate: which credentials a request brings, and what they are worth. */
#include "base/mem.h"
#include "identity/dpop.h"
#include "identity/opaque.h"
#include "identity/worker.h"

/* How long a refusal is remembered. */
#define REFUSAL_MS 5000
/* No token is longer; what is has no business in a header. */
#define TOKEN_BYTES_MAX ((size_t)16 * 1024)
#define API_KEY_BYTES_MAX ((size_t)4 * 1024)
#define PROOF_SCRATCH_BYTES ((size_t)256 * 1024)

static void refuse(struct auth_outcome *outcome, enum auth_status status,
		   enum auth_reason reason)
{
	*outcome = (struct auth_outcome){.status = status, .reason = reason};
}

static void succeed(struct auth_outcome *outcome, struct identity *identity, bool cached)
{
	*outcome = (struct auth_outcome){
		.status = AUTH_OK, .identity = identity, .cached = cached};
}

/* --- bearer tokens --- */

/* RFC 6750 section 2.1: b64token. */
static bool is_b64token(struct span token)
{
	size_t i = 0;

	while (i < token.len) {
		char c = token.ptr[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		      (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~' ||
		      c == '+' || c == '/'))
			break;
		i++;
	}
	if (!i)
		return false;
	while (i < token.len && token.ptr[i] == '=')
		i++;
	return i == token.len;
}

/* RFC 8705 section 3: the same token is good for one client and not for another. */
static bool is_bound_elsewhere(const struct identity_private *p,
			       const struct tls_identity *certificate)
{
	return p->bound && (!certificate ||
			    memcmp(p->thumbprint, certificate->thumbprint, SHA256_BYTES) != 0);
}

/* What a request shows beside its token. */
struct shown {
	const struct tls_identity *certificate; /* NULL: none */
	bool dpop; /* the scheme is DPoP: a proof will be asked for */
};

/*
 * Takes over the identity's reference. A token that is bound to a key comes with the scheme DPoP,
 * and no other does (RFC 9449 section 7.2).
 */
HOT static void accept_token(struct auth_outcome *outcome, struct identity *identity,
			     bool cached, const struct shown *shown)
{
	if (!is_bound_elsewhere(identity->priv, shown->certificate) &&
	    shown->dpop == (identity->priv->jkt.len > 0)) {
		succeed(outcome, identity, cached);
		return;
	}
	identity_unref(identity);
	refuse(outcome, AUTH_INVALID_TOKEN, AUTH_REASON_NOT_BOUND);
	outcome->cached = cached;
}

static bool has_two_dots(struct span token)
{
	unsigned dots = 0;

	for (size_t i = 0; i < token.len; i++)
		dots += token.ptr[i] == '.';
	return dots == 2;
}

static void remember(struct auth_worker *worker, const struct authenticator *a,
		     struct hash_tag tag, uint64_t generation, const struct verdict *verdict)
{
	struct token_now now = auth_worker_now(worker);
	struct identity_private *p = verdict->identity;
	int64_t max_age_ms = (int64_t)a->config->identity.token_cache_max_age_ms;
	struct token_entry entry = {
		.tag = tag,
		.generation = generation,
		.identity = p ? &p->public : NULL,
		.until_unix_s = p ? p->public.expires_unix_s : INT64_MAX,
		.status = verdict->status,
		.reason = verdict->reason,
	};

	if (verdict->max_age_ms && max_age_ms > verdict->max_age_ms)
		max_age_ms = verdict->max_age_ms;
	if (!p && max_age_ms > REFUSAL_MS)
		max_age_ms = REFUSAL_MS;
	entry.until_ms = now.ms + max_age_ms;
	token_cache_put(&worker->tokens, &entry, now);
}

/* A token that we have sealed ourselves: it opens without asking anybody. */
static struct verdict open_opaque(struct auth_worker *worker, const struct authenticator *a,
				  struct span token)
{
	const struct provider *own = authenticator_own_provider(a);
	struct identity_private *p = identity_begin();
	const struct json *claims = NULL;
	struct span text;
	struct err err;

	if (!p || !own) {
		identity_discard(p);
		return p ? verdict_refused(AUTH_REASON_UNKNOWN_ISSUER, false)
			 : verdict_unavailable(AUTH_REASON_NO_MEMORY);
	}
	text = opaque_open(a->vault, token, &p->arena);
	if (text.ptr)
		claims = json_parse(&p->arena, text, NULL, &err);
	if (claims)
		return token_identity(worker, a, own, IDENTITY_OPAQUE, claims, p);
	identity_discard(p);
	return verdict_refused(AUTH_REASON_BAD_SIGNATURE, true);
}

static void verify(struct auth_worker *worker, struct authenticator *a, struct span token,
		   struct hash_tag tag, const struct shown *shown, int64_t deadline_ms,
		   struct auth_outcome *outcome)
{
	/* Read before anything is verified: keys that change meanwhile make the entry stale. */
	uint64_t generation = authenticator_generation(a);
	struct verdict verdict;

	auth_worker_count(&worker->misses);
	if (!is_b64token(token)) {
		refuse(outcome, AUTH_INVALID_REQUEST, AUTH_REASON_MALFORMED);
		return;
	}
	if (a->vault && opaque_is(token)) {
		verdict = open_opaque(worker, a, token);
	} else if (has_two_dots(token)) {
		verdict = jwt_verify(worker, a, token, tag, deadline_ms);
	} else if (a->introspecting) {
		verdict = introspect(worker, a, a->introspecting, token, tag, deadline_ms);
	} else {
		verdict = verdict_refused(AUTH_REASON_NOT_A_JWT, false);
	}
	if (verdict.keep)
		remember(worker, a, tag, generation, &verdict);
	if (verdict.status == AUTH_OK)
		accept_token(outcome, &verdict.identity->public, false, shown);
	else
		refuse(outcome, verdict.status, verdict.reason);
}

HOT static void check_token(struct auth_worker *worker, struct authenticator *a,
			    struct span token, const struct shown *shown, int64_t deadline_ms,
			    struct auth_outcome *outcome)
{
	struct token_entry *entry;
	struct hash_tag tag;

	if (!token.len || token.len > TOKEN_BYTES_MAX) {
		refuse(outcome, AUTH_INVALID_REQUEST,
		       token.len ? AUTH_REASON_TOO_LONG : AUTH_REASON_MALFORMED);
		return;
	}
	tag = hash_tag_of(token);
	entry = token_cache_find(&worker->tokens, tag, authenticator_generation(a),
				 auth_worker_now(worker));
	if (!entry) {
		verify(worker, a, token, tag, shown, deadline_ms, outcome);
		return;
	}
	auth_worker_count(&worker->hits);
	if (entry->identity) {
		accept_token(outcome, identity_ref(entry->identity), true, shown);
	} else {
		refuse(outcome, entry->status, entry->reason);
		outcome->cached = true;
	}
}

HOT void auth_bearer(struct auth_worker *worker, struct authenticator *a, struct span token,
		     const struct tls_identity *certificate, int64_t deadline_ms,
		     struct auth_outcome *outcome)
{
	const struct shown shown = {.certificate = certificate};

	check_token(worker, a, token, &shown, deadline_ms, outcome);
}

/* --- proofs of possession --- */

HOT static const struct http_field *find_proof(const struct http1_head *head)
{
	const struct http_field *found = NULL;

	for (size_t i = 0; i < head->field_count; i++) {
		if (!span_eq_nocase(head->fields[i].name, SPAN("dpop")))
			continue;
		if (found)
			return NULL; /* RFC 9449 section 4.3: not more than one */
		found = &head->fields[i];
	}
	return found;
}

static enum auth_reason check_proof(struct auth_worker *worker, const struct authenticator *a,
				    const struct auth_input *input, struct span token,
				    const struct identity_private *p)
{
	const struct http_field *field = find_proof(input->head);
	const struct dpop_request request = {
		.proof = field ? field->value : SPAN(""),
		.method = input->method,
		.url = input->url,
		.token = token,
		.now_unix_s = worker->now_unix_s(),
		.window_s = (int64_t)(a->config->identity.oauth.dpop.window_ms / 1000),
	};
	enum auth_reason reason = AUTH_REASON_BAD_PROOF;
	struct dpop_proof proof;
	struct arena scratch;

	if (!field || !input->url.len)
		return reason;
	arena_init(&scratch, PROOF_SCRATCH_BYTES, 4096);
	switch (dpop_check(worker->jws, &request, &scratch, &proof)) {
	case DPOP_OK:
		if (!span_eq(p->jkt, span_of(proof.jkt, sizeof(proof.jkt))))
			reason = AUTH_REASON_NOT_BOUND;
		else if (dpop_is_new(&proof, request.now_unix_s, request.window_s))
			reason = AUTH_REASON_NONE;
		break;
	case DPOP_NO_MEMORY: reason = AUTH_REASON_NO_MEMORY; break;
	case DPOP_MALFORMED:
	case DPOP_BAD_ALGORITHM:
	case DPOP_BAD_SIGNATURE:
	case DPOP_BAD_CLAIMS:
	case DPOP_OTHER_REQUEST:
	case DPOP_STALE:
	case DPOP_OTHER_TOKEN: break;
	}
	arena_release(&scratch);
	return reason;
}

static void use_dpop(struct auth_worker *worker, struct authenticator *a,
		     const struct auth_input *input, struct span token, int64_t deadline_ms,
		     struct auth_outcome *outcome)
{
	const struct shown shown = {.certificate = input->certificate, .dpop = true};
	enum auth_reason reason = AUTH_REASON_NONE;

	check_token(worker, a, token, &shown, deadline_ms, outcome);
	if (outcome->status == AUTH_OK)
		reason = check_proof(worker, a, input, token, outcome->identity->priv);
	if (reason != AUTH_REASON_NONE) {
		identity_unref(outcome->identity);
		refuse(outcome,
		       reason == AUTH_REASON_NO_MEMORY ? AUTH_UNAVAILABLE : AUTH_INVALID_TOKEN,
		       reason);
	}
	outcome->dpop = true;
}

/* --- API keys --- */

void auth_api_key(struct auth_worker *worker, struct authenticator *a, struct span key,
		  struct auth_outcome *outcome)
{
	uint8_t digest[SHA256_BYTES];
	struct identity_private *p;

	if (!key.len || key.len > API_KEY_BYTES_MAX) {
		refuse(outcome, AUTH_INVALID_REQUEST,
		       key.len ? AUTH_REASON_TOO_LONG : AUTH_REASON_MALFORMED);
		return;
	}
	if (!jws_sha256(worker->jws, key, digest)) {
		refuse(outcome, AUTH_UNAVAILABLE, AUTH_REASON_NO_MEMORY);
		return;
	}
	/*
	 * The map compares bytes only where its keyed 64-bit hash of the digest is the same: how
	 * long it takes says nothing about the keys that it holds.
	 */
	p = map_get(&a->by_api_key, span_of(digest, SHA256_BYTES));
	if (!p)
		refuse(outcome, AUTH_INVALID_TOKEN, AUTH_REASON_UNKNOWN_API_KEY);
	else if (worker->now_unix_s() >= p->public.expires_unix_s)
		refuse(outcome, AUTH_INVALID_TOKEN, AUTH_REASON_EXPIRED);
	else
		succeed(outcome, &p->public, true);
}

/* --- client certificates --- */

/* SPIFFE ID section 2.2: no empty, "." or ".." segments, no percent-encoding. */
static bool is_plain_spiffe_path(struct span path)
{
	if (span_find_byte(path, '%') < path.len)
		return false;
	while (path.ptr) {
		struct span segment = span_cut(&path, '/');

		if (!segment.len || span_eq(segment, SPAN(".")) || span_eq(segment, SPAN("..")))
			return false;
	}
	return true;
}

static bool spiffe_matches(struct span pattern, struct span id)
{
	struct span prefix = pattern;

	if (!span_ends_with(pattern, SPAN("/*")))
		return span_eq(pattern, id);
	prefix.len--;
	return id.len > prefix.len && span_starts_with(id, prefix) &&
	       is_plain_spiffe_path(span_slice(id, prefix.len, id.len));
}

/* X.509-SVID section 2: exactly one URI name; a certificate with more is none. */
static struct span spiffe_id(const struct tls_identity *certificate)
{
	if (certificate->uri_count != 1 ||
	    !span_starts_with(certificate->uris[0], SPAN("spiffe://")))
		return SPAN_NONE;
	return certificate->uris[0];
}

/* The name by which the mapping takes the certificate; ptr NULL: it does not. */
static struct span matched_name(const struct config_client_identity *mapping,
				const struct tls_identity *certificate)
{
	struct span id = spiffe_id(certificate);

	if (mapping->spiffe.len)
		return id.ptr && spiffe_matches(mapping->spiffe, id) ? id : SPAN_NONE;
	if (mapping->subject.len)
		return span_eq(mapping->subject, certificate->subject) ? certificate->subject
								       : SPAN_NONE;
	for (size_t i = 0; i < certificate->dns_name_count; i++) {
		if (mapping->dns.len && span_eq_nocase(mapping->dns, certificate->dns_names[i]))
			return certificate->dns_names[i];
	}
	return SPAN_NONE;
}

static void accept_certificate(const struct authenticator *a,
			       const struct config_client_identity *mapping, struct span name,
			       const struct tls_identity *certificate,
			       struct auth_outcome *outcome)
{
	struct identity_private *p = identity_begin();
	struct span identity = mapping->identity.len ? mapping->identity : name;
	const struct identity_draft draft = {
		.kind = IDENTITY_CERTIFICATE,
		.subject = identity,
		.client = identity,
		.provider = SPAN(""),
		.issuer = SPAN(""),
		.scopes = mapping->scopes,
		.roles = mapping->roles,
		.expires_unix_s = certificate->not_after_s,
	};

	if (p && identity_finish(p, &draft, a->roles) == 0) {
		succeed(outcome, &p->public, false);
		return;
	}
	identity_discard(p);
	refuse(outcome, AUTH_UNAVAILABLE, AUTH_REASON_NO_MEMORY);
}

void auth_certificate(struct auth_worker *worker, struct authenticator *a,
		      const struct tls_identity *certificate, struct auth_outcome *outcome)
{
	const struct config_identity *config = &a->config->identity;

	if (worker->now_unix_s() > certificate->not_after_s) {
		refuse(outcome, AUTH_INVALID_TOKEN, AUTH_REASON_EXPIRED);
		return;
	}
	for (size_t i = 0; i < config->client_certificates.count; i++) {
		const struct config_client_identity *mapping =
			&config->client_certificates.at[i];
		struct span name = matched_name(mapping, certificate);

		if (!name.ptr)
			continue;
		accept_certificate(a, mapping, name, certificate, outcome);
		return;
	}
	refuse(outcome, AUTH_INVALID_TOKEN, AUTH_REASON_UNKNOWN_CERTIFICATE);
}

/* --- requests --- */

enum found { FOUND_NONE, FOUND_ONE, FOUND_MANY };

HOT static enum found find_authorization(const struct http1_head *head, struct span *value)
{
	size_t first = head->first[HTTP_FIELD_AUTHORIZATION];

	if (!first)
		return FOUND_NONE;
	*value = head->fields[first - 1].value;
	for (size_t i = first; i < head->field_count; i++) {
		if (head->fields[i].id == HTTP_FIELD_AUTHORIZATION)
			return FOUND_MANY;
	}
	return FOUND_ONE;
}

static enum found find_api_key(const struct authenticator *a, const struct http1_head *head,
			       struct span *value)
{
	const struct config_api_keys *config = a->config->identity.api_keys;
	enum found found = FOUND_NONE;

	if (!config)
		return FOUND_NONE;
	for (size_t i = 0; i < head->field_count; i++) {
		if (!span_eq_nocase(head->fields[i].name, config->header))
			continue;
		if (found != FOUND_NONE)
			return FOUND_MANY;
		found = FOUND_ONE;
		*value = head->fields[i].value;
	}
	return found;
}

/* RFC 9110 section 11.4: the scheme compares without case; one space or more follows. */
HOT static bool has_scheme(struct span value, struct span scheme, struct span *token)
{
	if (!span_eq_nocase(span_slice(value, 0, scheme.len), scheme))
		return false;
	if (value.len > scheme.len && value.ptr[scheme.len] != ' ')
		return false;
	*token = span_slice(value, scheme.len, value.len);
	while (token->len && *token->ptr == ' ')
		*token = span_slice(*token, 1, token->len);
	return true;
}

static void use_certificate(struct auth_worker *worker, struct authenticator *a,
			    const struct auth_input *input, struct auth_outcome *outcome)
{
	struct identity *known = input->certificate_identity;

	if (known && worker->now_unix_s() <= known->expires_unix_s)
		succeed(outcome, identity_ref(known), true);
	else
		auth_certificate(worker, a, input->certificate, outcome);
}

HOT void auth_request(struct auth_worker *worker, struct authenticator *a,
		      const struct auth_input *input, int64_t deadline_ms,
		      struct auth_outcome *outcome)
{
	struct span authorization = SPAN_NONE;
	struct span token = SPAN_NONE;
	struct span key = SPAN_NONE;
	enum found authorizations = find_authorization(input->head, &authorization);
	enum found keys = find_api_key(a, input->head, &key);
	bool bearer = authorizations != FOUND_NONE &&
		      has_scheme(authorization, SPAN("Bearer"), &token);
	bool dpop = authorizations != FOUND_NONE && !bearer &&
		    has_scheme(authorization, SPAN("DPoP"), &token);

	if (authorizations == FOUND_MANY || keys == FOUND_MANY)
		refuse(outcome, AUTH_INVALID_REQUEST, AUTH_REASON_REPEATED);
	else if ((bearer || dpop) && keys != FOUND_NONE)
		refuse(outcome, AUTH_INVALID_REQUEST, AUTH_REASON_MIXED);
	else if (bearer)
		auth_bearer(worker, a, token, input->certificate, deadline_ms, outcome);
	else if (dpop)
		use_dpop(worker, a, input, token, deadline_ms, outcome);
	else if (keys != FOUND_NONE)
		auth_api_key(worker, a, key, outcome);
	else if (input->certificate && !input->certificate_is_unverified &&
		 a->config->identity.client_certificates.count)
		use_certificate(worker, a, input, outcome);
	else
		*outcome = (struct auth_outcome){
			.status = AUTH_NONE,
			.reason = AUTH_REASON_NO_CREDENTIALS,
			.identity = identity_anonymous(),
		};
}
