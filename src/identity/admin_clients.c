/* Clients in the admin API. */
#include "base/clock.h"
#include "identity/admin_call.h"

static void show_client(struct admin_call *c, unsigned status, struct span id,
			struct span secret)
{
	struct idp_client client;
	enum store_result result = client_get(c->x->idp, id, c->x->arena, &client, &c->err);
	struct json_writer *w;

	if (result != STORE_OK) {
		admin_refuse(c, result);
		return;
	}
	w = admin_begin(c);
	if (secret.len) {
		json_begin_object(w);
		json_key(w, SPAN("client"));
	}
	client_write(w, &client, false);
	if (secret.len) {
		json_member_string(w, SPAN("client_secret"), secret);
		json_end_object(w);
	}
	admin_answer(c, status, client.version);
}

static void list_clients(struct admin_call *c)
{
	struct idp_client *all;
	struct json_writer *w;
	size_t count;
	bool more;

	if (client_list(c->x->idp, form_get(&c->query, SPAN("after")), ADMIN_LIST_DEFAULT,
			c->x->arena, &all, &count, &more, &c->err) != STORE_OK) {
		admin_refuse(c, STORE_FAILED);
		return;
	}
	w = admin_begin(c);
	json_begin_object(w);
	json_key(w, SPAN("clients"));
	json_begin_array(w);
	for (size_t i = 0; i < count; i++)
		client_write(w, &all[i], false);
	json_end_array(w);
	if (more)
		json_member_string(w, SPAN("next"), all[count - 1].id);
	json_end_object(w);
	admin_answer(c, 200, 0);
}

/* POST makes one, with a secret unless it shows itself otherwise; PUT replaces what is changeable. */
static void put_client(struct admin_call *c)
{
	bool create = c->x->method == HTTP_METHOD_POST;
	struct idp_client client = {.created_unix_s = clock_unix_s()};
	struct span secret = SPAN_NONE;
	enum store_result result = STORE_OK;

	if (!admin_need_body(c))
		return;
	if (!create)
		result = client_get(c->x->idp, c->name, c->x->arena, &client, &c->err);
	if (result != STORE_OK) {
		admin_refuse(c, result);
		return;
	}
	if (!create && !admin_matches(c, client.version))
		return;
	if (create)
		client.id = json_text(c->body, "client_id");
	if (client_read(c->body, &client, c->x->arena) < 0) {
		web_unavailable(c->x, NULL);
		return;
	}
	if (create && !client.auth_method.len &&
	    client_new_secret(&client, c->x->arena, &secret) < 0) {
		web_unavailable(c->x, NULL);
		return;
	}
	if (span_eq(client.auth_method, SPAN("none")))
		client.auth_method = SPAN("");
	result = client_put(c->x->idp, &client, &c->err);
	if (result != STORE_OK) {
		admin_refuse(c, result);
		return;
	}
	admin_audit(c, create ? "client.created" : "client.changed", "client", client.id);
	show_client(c, create ? 201 : 200, client.id, secret);
}

static void act_on_client(struct admin_call *c)
{
	struct idp_client client;
	struct span secret = SPAN_NONE;
	enum store_result result =
		client_get(c->x->idp, c->name, c->x->arena, &client, &c->err);

	if (result == STORE_OK && !admin_matches(c, client.version))
		return;
	if (result == STORE_OK && c->x->method == HTTP_METHOD_DELETE)
		result = client_remove(c->x->idp, c->name, &c->err);
	else if (result == STORE_OK && client_new_secret(&client, c->x->arena, &secret) < 0)
		result = idp_no_memory(&c->err);
	else if (result == STORE_OK)
		result = client_put(c->x->idp, &client, &c->err);
	if (result != STORE_OK) {
		admin_refuse(c, result);
		return;
	}
	admin_audit(c, secret.len ? "client.new_secret" : "client.removed", "client", c->name);
	if (secret.len)
		show_client(c, 200, c->name, secret);
	else
		admin_done(c);
}

void admin_clients(struct admin_call *c)
{
	enum http_method method = c->x->method;

	if (span_eq(c->action, SPAN("secret")) && method == HTTP_METHOD_POST)
		act_on_client(c);
	else if (c->action.len)
		admin_refuse(c, STORE_ABSENT);
	else if (!c->name.len && method == HTTP_METHOD_GET)
		list_clients(c);
	else if (!c->name.len && method == HTTP_METHOD_POST)
		put_client(c);
	else if (!c->name.len)
		admin_not_allowed(c, "GET, POST");
	else if (method == HTTP_METHOD_GET)
		show_client(c, 200, c->name, SPAN_NONE);
	else if (method == HTTP_METHOD_PUT)
		put_client(c);
	else if (method == HTTP_METHOD_DELETE)
		act_on_client(c);
	else
		admin_not_allowed(c, "GET, PUT, DELETE");
}
