/*
 * Token exchange (RFC 8693): a service that was called with a token gets one for the service that
 * it calls in turn. Always delegation: `act` says who acts. The new token allows no more than the
 * old one, lives no longer, and ends with it.
 */
#include "base/clock.h"
#include "identity/oauth.h"

#define TYPE_JWT "urn:ietf:params:oauth:token-type:jwt"
#define ACTORS_MAX 8

static bool is_access_type(struct span type)
{
	return span_eq(type, SPAN(TOKEN_TYPE_ACCESS)) || span_eq(type, SPAN(TYPE_JWT));
}

/* Policy: tokens of its own, and those of clients that it was given. */
static bool may_exchange(const struct idp_client *client, const struct json *subject)
{
	struct span from = json_text(subject, "client_id");

	return span_eq(from, client->id) || texts_have(&client->exchange, from) ||
	       texts_have(&client->exchange, SPAN("*"));
}

/* What both the token and the client have, or the part of it that is asked for. */
static bool narrow(struct idp_exchange *x, const struct idp_client *client, struct span had,
		   struct span asked, struct span *granted)
{
	struct config_strings list, kept;
	struct span scopes = asked.len ? asked : had;

	if (texts_split(scopes, ' ', x->arena, &list) < 0)
		return false;
	kept = (struct config_strings){list.at, 0};
	for (size_t i = 0; i < list.count; i++) {
		bool has = oauth_has_scope(had, list.at[i]) &&
			   texts_have(&client->scopes, list.at[i]);

		if (!has && asked.len)
			return false;
		if (has)
			kept.at[kept.count++] = list.at[i];
	}
	*granted = texts_join(&kept, ' ', x->arena);
	return granted->ptr != NULL;
}

/* `audience` names what `resource` names (section 2.1). */
static bool read_targets(struct idp_exchange *x, const struct form *form,
			 const struct idp_client *client, struct span *joined)
{
	struct span audience = form_get(form, SPAN("audience"));
	struct span resources;

	if (!oauth_resources(x, form, client, &resources))
		return false;
	*joined = resources;
	if (!audience.len || span_eq(audience, x->config->identity.issuer))
		return true;
	if (!texts_have(&client->resources, audience))
		return false;
	if (!oauth_has_scope(resources, audience))
		*joined = resources.len ? arena_printf(x->arena, "%.*s %.*s",
						       SPAN_ARG(resources), SPAN_ARG(audience))
					: audience;
	return joined->ptr != NULL;
}

/* Section 4.1: the actor, and within it who acted before. */
static struct span write_act(struct idp_exchange *x, struct span actor, struct span client,
			     const struct json *before)
{
	size_t depth = 1;
	struct json_writer w;
	struct span text;
	struct buf to;

	for (const struct json *a = before; a; a = json_get(a, SPAN("act")))
		if (++depth > ACTORS_MAX)
			return SPAN_NONE;
	buf_init(&to, 8192);
	json_writer_init(&w, &to);
	json_begin_object(&w);
	json_member_string(&w, SPAN("sub"), actor);
	json_member_string(&w, SPAN("client_id"), client);
	if (before) {
		json_key(&w, SPAN("act"));
		json_put_tree(&w, before);
	}
	json_end_object(&w);
	text = buf_failed(&to) ? SPAN_NONE : arena_dup(x->arena, buf_span(&to));
	buf_release(&to);
	return text;
}

/* Who acts: the client, or the subject of a token that it holds. False: it was answered. */
static bool read_actor(struct idp_exchange *x, const struct form *form,
		       const struct idp_client *client, const struct json *subject,
		       struct oauth_grant *grant)
{
	struct span token = form_get(form, SPAN("actor_token"));
	struct span type = form_get(form, SPAN("actor_token_type"));
	struct span actor = client->id;
	const struct json *claims;

	if (token.ptr ? !is_access_type(type) : type.ptr != NULL) {
		web_error(x, 400, "invalid_request", "actor_token and its type go together.");
		return false;
	}
	if (token.ptr) {
		claims = oauth_access_claims(x, token);
		if (!claims || !json_is(json_get(claims, SPAN("client_id")), client->id)) {
			web_error(x, 400, "invalid_request",
				  "The actor token is not valid, or not this client's.");
			return false;
		}
		actor = json_text(claims, "sub");
	}
	grant->act = write_act(x, actor, client->id, json_get(subject, SPAN("act")));
	if (!grant->act.ptr)
		web_error(x, 400, "invalid_request", "There are too many actors.");
	return grant->act.ptr != NULL;
}

static int read_subject(struct idp_exchange *x, const struct idp_client *client,
			const struct json *subject, struct oauth_grant *grant)
{
	struct span user = json_text(subject, "sub");

	grant->client = client->id;
	/* A client's own token has the client as its subject. */
	grant->user = span_eq(user, json_text(subject, "client_id")) ? SPAN("") : user;
	grant->subject = user;
	grant->session = json_text(subject, "sid");
	grant->id = json_text(subject, "grant");
	/* It ends with the token where that has no grant to end with. */
	if (!grant->id.len)
		grant->id = json_text(subject, "jti");
	grant->authenticated_unix_s = json_number(subject, "auth_time");
	grant->until_unix_s = json_number(subject, "exp");
	return json_texts(subject, "amr", x->arena, &grant->methods);
}

void oauth_exchange(struct idp_exchange *x, const struct form *form,
		    const struct idp_client *client)
{
	struct span wanted = form_get(form, SPAN("requested_token_type"));
	struct oauth_grant grant = {.scope = SPAN("")};
	const struct json *subject;

	if (!client_is_confidential(client) || (wanted.ptr && !is_access_type(wanted)) ||
	    !form_get(form, SPAN("subject_token")).len ||
	    !is_access_type(form_get(form, SPAN("subject_token_type")))) {
		web_error(x, 400, "invalid_request", "Access tokens are exchanged for such.");
		return;
	}
	subject = oauth_access_claims(x, form_get(form, SPAN("subject_token")));
	if (!subject || !may_exchange(client, subject)) {
		idp_audit(x->idp, "token.exchange_refused", "client", client->id, "address",
			  x->address);
		web_error(x, 400, "invalid_request",
			  "The subject token is not valid, or not for this client.");
		return;
	}
	if (!narrow(x, client, json_text(subject, "scope"), form_get(form, SPAN("scope")),
		    &grant.scope)) {
		web_error(x, 400, "invalid_scope", NULL);
		return;
	}
	if (!read_targets(x, form, client, &grant.resource)) {
		web_error(x, 400, "invalid_target", NULL);
		return;
	}
	if (!read_actor(x, form, client, subject, &grant))
		return;
	if (read_subject(x, client, subject, &grant) < 0) {
		web_unavailable(x, NULL);
		return;
	}
	idp_audit(x->idp, "token.exchanged", "client", client->id, "user", grant.subject);
	oauth_issue(x, client, &grant, grant.scope);
}
