/*
 * Pushed authorization requests (RFC 9126): the client sends the parameters itself, and the browser
 * carries only a reference to them.
 */
#include "base/clock.h"
#include "identity/oauth.h"

#define URN "urn:ietf:params:oauth:request_uri:"
/* From when the browser has come with it: time to log in. */
#define STARTED_MS ((int64_t)15 * 60 * 1000)
#define RECORD_BYTES ((size_t)32 * 1024)

bool oauth_is_pushed(const struct form *form)
{
	return span_starts_with(form_get(form, SPAN("request_uri")), SPAN(URN));
}

/* Credentials are not a part of the request. */
static bool is_kept(struct span name)
{
	static const char *const not_kept[] = {"client_secret", "client_assertion",
					       "client_assertion_type"};

	for (size_t i = 0; i < COUNT_OF(not_kept); i++)
		if (span_eq(name, span_cstr(not_kept[i])))
			return false;
	return true;
}

static struct span join(struct idp_exchange *x, const struct form *form,
			const struct idp_client *client)
{
	struct span text;
	struct buf to;

	buf_init(&to, RECORD_BYTES);
	for (size_t i = 0; i < form->count; i++)
		if (is_kept(form->pairs[i].name) &&
		    !span_eq(form->pairs[i].name, SPAN("client_id")) &&
		    !span_eq(form->pairs[i].name, SPAN("dpop_jkt")))
			form_append(&to, form->pairs[i].name, form->pairs[i].value);
	form_append(&to, SPAN("client_id"), client->id);
	/* RFC 9449 section 10.1: the proof of this request says which key it is. */
	if (x->token_jkt.len)
		form_append(&to, SPAN("dpop_jkt"), x->token_jkt);
	else if (form_get(form, SPAN("dpop_jkt")).len)
		form_append(&to, SPAN("dpop_jkt"), form_get(form, SPAN("dpop_jkt")));
	text = buf_failed(&to) ? SPAN_NONE : arena_dup(x->arena, buf_span(&to));
	buf_release(&to);
	return text;
}

static enum store_result put(struct idp_exchange *x, struct store_change *change,
			     struct span client, struct span parameters, int64_t until_ms,
			     int64_t started_unix_s, struct err *err)
{
	struct json_writer w;
	struct buf value;

	buf_init(&value, 2 * RECORD_BYTES);
	json_writer_init(&w, &value);
	json_begin_object(&w);
	json_member_string(&w, SPAN("client"), client);
	json_member_string(&w, SPAN("parameters"), parameters);
	json_member_int(&w, SPAN("until_ms"), until_ms);
	json_member_int(&w, SPAN("started"), started_unix_s);
	json_end_object(&w);
	change->kind = SPAN("par");
	change->expires_unix_ms = until_ms;
	return idp_commit(x->idp->shared, change, 1, &value, err);
}

static void answer(struct idp_exchange *x, const struct form *form,
		   const struct idp_client *client)
{
	int64_t life_ms = (int64_t)x->config->identity.oauth.par_ms;
	struct store_change change = {.expect = STORE_EXPECT_ABSENT};
	struct span secret = idp_new_secret(x->arena);
	struct span parameters = join(x, form, client);
	char digest[DIGEST_HEX_SIZE];
	struct json_writer w;
	struct buf body;
	struct err err;

	if (!secret.ptr || !parameters.ptr) {
		web_unavailable(x, NULL);
		return;
	}
	digest_hex(digest, secret);
	change.key = span_cstr(digest);
	if (put(x, &change, client->id, parameters, clock_unix_ms() + life_ms, 0, &err) !=
	    STORE_OK) {
		web_unavailable(x, &err);
		return;
	}
	buf_init(&body, 1024);
	json_writer_init(&w, &body);
	json_begin_object(&w);
	json_member_string(&w, SPAN("request_uri"),
			   arena_printf(x->arena, URN "%.*s", SPAN_ARG(secret)));
	json_member_int(&w, SPAN("expires_in"), life_ms / 1000);
	json_end_object(&w);
	web_json(x, 201, &body);
}

void oauth_par(struct idp_exchange *x)
{
	struct idp_client client;
	const char *error, *why;
	struct span jkt;
	struct form form;

	if (!oauth_form(x, &form) || !oauth_client(x, &form, false, &client))
		return;
	if (x->dpop.len || x->dpop_repeated) {
		if (!oauth_bind(x, &client))
			return;
		jkt = form_get(&form, SPAN("dpop_jkt"));
		if (jkt.len && !span_eq(jkt, x->token_jkt)) {
			web_error(x, 400, "invalid_dpop_proof", "It has another key.");
			return;
		}
	}
	error = oauth_check_pushed(x, &client, &form, &why);
	if (error)
		web_error(x, 400, error, why);
	else
		answer(x, &form, &client);
}

/* The browser has come: from now on there is time to log in. */
static enum store_result start(struct idp_exchange *x, const struct store_record *record,
			       const struct json *object, struct oauth_pushed *pushed,
			       struct err *err)
{
	struct store_change change = {
		.key = pushed->key, .expect = STORE_EXPECT_VERSION, .version = record->version};
	enum store_result result;

	pushed->started_unix_s = clock_unix_s();
	result = put(x, &change, json_text(object, "client"), json_text(object, "parameters"),
		     clock_unix_ms() + STARTED_MS, pushed->started_unix_s, err);
	return result == STORE_CONFLICT ? STORE_ABSENT : result;
}

enum store_result oauth_pushed_get(struct idp_exchange *x, struct form *form,
				   struct oauth_pushed *pushed, struct err *err)
{
	struct span uri = form_get(form, SPAN("request_uri"));
	struct span client = form_get(form, SPAN("client_id"));
	char digest[DIGEST_HEX_SIZE];
	struct store_record record;
	const struct json *object;
	enum store_result result;

	digest_hex(digest, span_slice(uri, SPAN(URN).len, uri.len));
	pushed->key = arena_dup(x->arena, span_cstr(digest));
	if (!pushed->key.ptr)
		return idp_no_memory(err);
	result = store_get(x->idp->shared, SPAN("par"), pushed->key, x->arena, &record, err);
	if (result != STORE_OK)
		return result;
	object = idp_parse(record.value, x->arena, err);
	if (!object)
		return STORE_FAILED;
	/* Section 4: the browser's client_id must be that of who has pushed it. */
	if (!span_eq(json_text(object, "client"), client))
		return STORE_ABSENT;
	pushed->started_unix_s = json_number(object, "started");
	if (!pushed->started_unix_s)
		result = start(x, &record, object, pushed, err);
	if (result == STORE_OK &&
	    form_parse(x->arena, json_text(object, "parameters"), form) != FORM_OK)
		return idp_no_memory(err);
	return result;
}

enum store_result oauth_pushed_end(struct idp_exchange *x, const struct oauth_pushed *pushed,
				   struct err *err)
{
	struct store_change change = {.kind = SPAN("par"),
				      .key = pushed->key,
				      .expect = STORE_EXPECT_VERSION,
				      .remove = true};
	struct store_record record;
	enum store_result result =
		store_get(x->idp->shared, change.kind, change.key, x->arena, &record, err);

	if (result != STORE_OK)
		return result;
	change.version = record.version;
	return store_commit(x->idp->shared, &change, 1, err);
}
