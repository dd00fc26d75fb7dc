#include "identity/oauth.h"

#include <openssl/evp.h>

#include "base/clock.h"
#include "parse/base64.h"

#define VERIFIER_MIN 43
#define VERIFIER_MAX 128

/* ---- parameters ---- */

void oauth_drop_empty(struct form *form)
{
	size_t kept = 0;

	for (size_t i = 0; i < form->count; i++)
		if (form->pairs[i].value.len)
			form->pairs[kept++] = form->pairs[i];
	form->count = kept;
}

bool oauth_form(struct idp_exchange *x, struct form *form)
{
	if (!web_form(x, form))
		return false;
	oauth_drop_empty(form);
	return true;
}

bool oauth_is_repeated(const struct form *form)
{
	for (size_t i = 0; i < form->count; i++)
		for (size_t j = 0; j < i; j++)
			if (span_eq(form->pairs[i].name, form->pairs[j].name) &&
			    !span_eq(form->pairs[i].name, SPAN("resource")))
				return true;
	return false;
}

bool oauth_resources(const struct idp_exchange *x, const struct form *form,
		     const struct idp_client *client, struct span *joined)
{
	struct span values[FORM_PAIRS_MAX];
	struct config_strings list = {values, 0};

	*joined = SPAN("");
	/* Mostly there is none, and a list need not be laid out. */
	if (!form_get(form, SPAN("resource")).ptr)
		return true;
	for (size_t i = 0; i < form->count; i++) {
		struct span value = form->pairs[i].value;

		if (!span_eq(form->pairs[i].name, SPAN("resource")))
			continue;
		if (!span_eq(value, x->config->identity.issuer) &&
		    !texts_have(&client->resources, value))
			return false;
		if (!texts_have(&list, value))
			values[list.count++] = value;
	}
	if (list.count)
		*joined = texts_join(&list, ' ', x->arena);
	return joined->ptr != NULL;
}

bool oauth_has_scope(struct span scopes, struct span scope)
{
	struct span rest = scopes;

	while (rest.ptr)
		if (span_eq(span_cut(&rest, ' '), scope))
			return true;
	return false;
}

bool oauth_scopes(const struct idp_exchange *x, struct span asked,
		  const struct idp_client *client, struct span *granted)
{
	struct config_strings list;

	if (!asked.len) {
		*granted = texts_join(&client->scopes, ' ', x->arena);
		return granted->ptr != NULL;
	}
	if (texts_split(asked, ' ', x->arena, &list) < 0)
		return false;
	for (size_t i = 0; i < list.count; i++)
		if (!texts_have(&client->scopes, list.at[i]))
			return false;
	*granted = texts_join(&list, ' ', x->arena);
	return granted->ptr != NULL;
}

bool oauth_is_on(const struct idp_exchange *x, struct span grant)
{
	const struct config_oauth *config = &x->config->identity.oauth;

	if (span_eq(grant, SPAN(GRANT_PASSWORD)))
		return config->password_grant;
	return config->implicit_grant || !span_eq(grant, SPAN(GRANT_IMPLICIT));
}

bool oauth_verifier_fits(struct span verifier, struct span challenge)
{
	unsigned char digest[32];
	char text[44];

	if (verifier.len < VERIFIER_MIN || verifier.len > VERIFIER_MAX)
		return false;
	for (size_t i = 0; i < verifier.len; i++) {
		char c = ascii_lower(verifier.ptr[i]);

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
		      c == '.' || c == '_' || c == '~'))
			return false;
	}
	if (!EVP_Digest(verifier.ptr, verifier.len, digest, NULL, EVP_sha256(), NULL))
		return false;
	return secret_eq(span_of(text, base64url_encode(text, span_of(digest, sizeof(digest)))),
			 challenge);
}

/* ---- grants ---- */

void oauth_grant_write(struct json_writer *w, const struct oauth_grant *grant)
{
	json_member_string(w, SPAN("client"), grant->client);
	json_member_string(w, SPAN("user"), grant->user);
	json_member_string(w, SPAN("sid"), grant->session);
	json_member_string(w, SPAN("scope"), grant->scope);
	json_member_string(w, SPAN("resource"), grant->resource);
	json_member_string(w, SPAN("nonce"), grant->nonce);
	if (grant->jkt.len)
		json_member_string(w, SPAN("jkt"), grant->jkt);
	if (grant->x5t.len)
		json_member_string(w, SPAN("x5t"), grant->x5t);
	json_put_texts(w, "amr", &grant->methods);
	json_member_int(w, SPAN("auth_time"), grant->authenticated_unix_s);
	json_member_int(w, SPAN("created"), grant->created_unix_s);
}

int oauth_grant_read(const struct json *object, struct oauth_grant *grant, struct arena *arena,
		     struct err *err)
{
	*grant = (struct oauth_grant){.id = grant->id, .version = grant->version};
	grant->client = json_text(object, "client");
	grant->user = json_text(object, "user");
	grant->session = json_text(object, "sid");
	grant->scope = json_text(object, "scope");
	grant->resource = json_text(object, "resource");
	grant->nonce = json_text(object, "nonce");
	grant->jkt = json_text(object, "jkt");
	grant->x5t = json_text(object, "x5t");
	grant->authenticated_unix_s = json_number(object, "auth_time");
	grant->created_unix_s = json_number(object, "created");
	if (json_texts(object, "amr", arena, &grant->methods) < 0)
		return err_set(err, ERR_MEMORY, "identity: out of memory");
	return 0;
}

void oauth_grant_bind(const struct idp_exchange *x, const struct idp_client *client,
		      struct oauth_grant *grant)
{
	if (client_is_confidential(client))
		return;
	grant->jkt = x->token_jkt;
	grant->x5t = x->token_x5t;
}

int64_t oauth_grant_end_ms(const struct idp_exchange *x, const struct oauth_grant *grant)
{
	int64_t end_ms = grant->created_unix_s * 1000 +
			 (int64_t)x->config->identity.tokens.refresh_absolute_ms;

	if (grant->until_unix_s && grant->until_unix_s * 1000 < end_ms)
		return grant->until_unix_s * 1000;
	return end_ms;
}

enum store_result oauth_grant_put(struct idp_exchange *x, struct oauth_grant *grant,
				  struct err *err)
{
	const struct store_index indexes[] = {{SPAN("client"), grant->client},
					      {SPAN("user"), grant->user},
					      {SPAN("sid"), grant->session}};
	struct store_change change = {.kind = SPAN("grant"),
				      .key = grant->id,
				      .expect = STORE_EXPECT_ABSENT,
				      .expires_unix_ms = oauth_grant_end_ms(x, grant),
				      .indexes = indexes,
				      .index_count = 1};
	struct json_writer w;
	struct buf value;

	/* A client's own grant has no user, and one that outlives the session has no session. */
	if (grant->user.len)
		change.index_count = grant->session.len ? 3 : 2;
	buf_init(&value, 65536);
	json_writer_init(&w, &value);
	json_begin_object(&w);
	oauth_grant_write(&w, grant);
	json_end_object(&w);
	return idp_commit(x->idp->store, &change, 1, &value, err);
}

enum store_result oauth_grant_get(struct idp_exchange *x, struct span id,
				  struct oauth_grant *grant, struct err *err)
{
	struct store_record record;
	const struct json *object;
	enum store_result result =
		store_get(x->idp->store, SPAN("grant"), id, x->arena, &record, err);

	if (result != STORE_OK)
		return result;
	object = idp_parse(record.value, x->arena, err);
	*grant = (struct oauth_grant){.id = id, .version = record.version};
	if (!object || oauth_grant_read(object, grant, x->arena, err) < 0)
		return STORE_FAILED;
	return STORE_OK;
}

enum store_result oauth_grant_end(struct idp_exchange *x, struct span id, struct err *err)
{
	const struct store_change change = {.kind = SPAN("grant"), .key = id, .remove = true};
	int64_t until_ms =
		clock_unix_ms() + (int64_t)x->config->identity.tokens.access_ms + 60000;

	if (store_commit(x->idp->store, &change, 1, err) != STORE_OK)
		return STORE_FAILED;
	return idp_revoke(x->idp, id, until_ms, err);
}

/* Access tokens live for a day at most. */
#define REVOKED_MS ((int64_t)24 * 3600 * 1000)

enum store_result oauth_grants_end_all(struct idp *idp, struct span user, struct arena *arena,
				       struct err *err)
{
	const struct store_index index = {SPAN("user"), user};
	struct store_page page = {.more = true};
	struct span after = SPAN_NONE;

	while (page.more) {
		if (store_find(idp->store, SPAN("grant"), &index, after, STORE_PAGE_MAX, arena,
			       &page, err) != STORE_OK)
			return STORE_FAILED;
		for (size_t i = 0; i < page.count; i++) {
			const struct store_change change = {.kind = SPAN("grant"),
							    .key = page.records[i].key,
							    .remove = true};

			if (store_commit(idp->store, &change, 1, err) == STORE_FAILED ||
			    idp_revoke(idp, change.key, clock_unix_ms() + REVOKED_MS, err) !=
				    STORE_OK)
				return STORE_FAILED;
			after = change.key;
		}
	}
	return STORE_OK;
}
