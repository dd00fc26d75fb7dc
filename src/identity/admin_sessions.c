/* Sessions and signing keys in the admin API. */
#include "identity/admin_call.h"

static void list_sessions(struct admin_call *c)
{
	struct span user = form_get(&c->query, SPAN("user"));
	struct idp_session *all;
	struct json_writer *w;
	size_t count;

	if (session_list(c->x->idp, user.ptr ? user : SPAN(""), c->x->arena, &all, &count,
			 &c->err) != STORE_OK) {
		admin_refuse(c, STORE_FAILED);
		return;
	}
	w = admin_begin(c);
	json_begin_object(w);
	json_key(w, SPAN("sessions"));
	json_begin_array(w);
	for (size_t i = 0; i < count; i++) {
		json_begin_object(w);
		json_member_string(w, SPAN("id"), all[i].id);
		json_member_string(w, SPAN("user"), all[i].user);
		json_member_string(w, SPAN("address"), all[i].address);
		json_member_string(w, SPAN("agent"), all[i].agent);
		json_put_texts(w, "amr", &all[i].methods);
		json_member_int(w, SPAN("created"), all[i].created_unix_s);
		json_member_int(w, SPAN("seen"), all[i].seen_unix_s);
		json_member_int(w, SPAN("expires"), all[i].expires_unix_s);
		json_end_object(w);
	}
	json_end_array(w);
	json_end_object(w);
	admin_answer(c, 200, 0);
}

void admin_sessions(struct admin_call *c)
{
	struct span user = form_get(&c->query, SPAN("user"));
	enum store_result result;

	if (c->x->method == HTTP_METHOD_GET && !c->name.len) {
		list_sessions(c);
		return;
	}
	if (c->x->method != HTTP_METHOD_DELETE || (!c->name.len && !user.len)) {
		admin_not_allowed(c, c->name.len ? "DELETE" : "GET");
		return;
	}
	result = c->name.len
			 ? session_end(c->x->idp, c->name, &c->err)
			 : session_end_all(c->x->idp, user, SPAN_NONE, c->x->arena, &c->err);
	if (result != STORE_OK) {
		admin_refuse(c, result);
		return;
	}
	admin_audit(c, "session.ended", c->name.len ? "session" : "user",
		    c->name.len ? c->name : user);
	admin_done(c);
}

void admin_keys(struct admin_call *c)
{
	struct span rest;
	struct buf lines;

	if (span_eq(c->name, SPAN("rotate")) && c->x->method == HTTP_METHOD_POST) {
		if (signing_rotate(c->x->idp, c->x->config, &c->err) != STORE_OK) {
			admin_refuse(c, STORE_FAILED);
			return;
		}
		admin_audit(c, "key.rotated", NULL, SPAN_NONE);
	} else if (c->name.len || c->x->method != HTTP_METHOD_GET) {
		admin_not_allowed(c, c->name.len ? "POST" : "GET");
		return;
	}
	buf_init(&lines, 65536);
	if (signing_list(c->x->idp, &lines, &c->err) != STORE_OK) {
		buf_release(&lines);
		admin_refuse(c, STORE_FAILED);
		return;
	}
	admin_begin(c);
	buf_append_cstr(&c->out, "{\"keys\":[");
	rest = span_trim(buf_span(&lines));
	while (rest.ptr && rest.len) {
		buf_append(&c->out, span_cut(&rest, '\n'));
		if (rest.ptr)
			buf_append_byte(&c->out, ',');
	}
	buf_append_cstr(&c->out, "]}");
	buf_release(&lines);
	admin_answer(c, 200, 0);
}
