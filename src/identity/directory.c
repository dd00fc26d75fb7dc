/*
 * Users, groups and roles. A user is kept under an id that is never another's; the name is a record
 * of its own ("user-name"), so that two users cannot have the same one.
 */
#include "base/clock.h"
#include "identity/idp_internal.h"
#include "identity/password.h"
#include "identity/permission.h"
#include "parse/mail_address.h"
#include "parse/utf8.h"

#define RECORD_BYTES ((size_t)256 * 1024)

struct span user_name_normal(struct span name, struct arena *arena)
{
	char *text = arena_alloc(arena, name.len + 1);

	if (!text || name.len == 0 || name.len > 128 || !utf8_valid(name))
		return SPAN_NONE;
	for (size_t i = 0; i < name.len; i++) {
		text[i] = ascii_lower(name.ptr[i]);
		if ((unsigned char)text[i] <= ' ' || text[i] == 0x7f)
			return SPAN_NONE;
	}
	text[name.len] = '\0';
	return span_of(text, name.len);
}

/* --- users as JSON --- */

static void write_passkeys(struct json_writer *w, const struct idp_user *user)
{
	json_key(w, SPAN("passkeys"));
	json_begin_array(w);
	for (size_t i = 0; i < user->passkey_count; i++) {
		const struct idp_passkey *key = &user->passkeys[i];

		json_begin_object(w);
		json_member_string(w, SPAN("id"), key->id);
		json_member_string(w, SPAN("name"), key->name);
		json_member_string(w, SPAN("key"), key->key);
		json_member_int(w, SPAN("algorithm"), key->algorithm);
		json_member_int(w, SPAN("counter"), key->counter);
		json_member_int(w, SPAN("created"), key->created_unix_s);
		json_member_int(w, SPAN("used"), key->used_unix_s);
		json_end_object(w);
	}
	json_end_array(w);
}

static int read_passkeys(const struct json *object, struct idp_user *user, struct arena *arena)
{
	const struct json *list = json_get(object, SPAN("passkeys"));
	size_t count = list && list->type == JSON_ARRAY ? list->array.count : 0;

	/* Room for one more. */
	user->passkeys = arena_array(arena, struct idp_passkey, USER_PASSKEYS_MAX + 1);
	user->passkey_count = 0;
	if (!user->passkeys)
		return -1;
	for (size_t i = 0; i < count && i < USER_PASSKEYS_MAX; i++) {
		const struct json *key = &list->array.items[i];

		user->passkeys[user->passkey_count++] = (struct idp_passkey){
			.id = json_text(key, "id"),
			.name = json_text(key, "name"),
			.key = json_text(key, "key"),
			.algorithm = json_number(key, "algorithm"),
			.counter = json_number(key, "counter"),
			.created_unix_s = json_number(key, "created"),
			.used_unix_s = json_number(key, "used"),
		};
	}
	return 0;
}

void user_write(struct json_writer *w, const struct idp_user *user, bool secrets)
{
	json_begin_object(w);
	json_member_string(w, SPAN("id"), user->id);
	json_member_string(w, SPAN("name"), user->name);
	json_member_string(w, SPAN("display"), user->display);
	json_member_string(w, SPAN("email"), user->email);
	json_member_bool(w, SPAN("email_verified"), user->email_verified);
	json_member_bool(w, SPAN("disabled"), user->disabled);
	json_member_bool(w, SPAN("must_change"), user->must_change);
	json_put_texts(w, "roles", &user->roles);
	json_put_texts(w, "groups", &user->groups);
	json_put_texts(w, "permissions", &user->permissions);
	json_member_int(w, SPAN("created"), user->created_unix_s);
	json_member_string(w, SPAN("phone"), user->phone);
	json_put_texts(w, "channels", &user->channels);
	json_put_texts(w, "links", &user->links);
	json_member_int(w, SPAN("passkey_count"), (int64_t)user->passkey_count);
	json_member_bool(w, SPAN("has_totp"), user->totp.len > 0);
	json_member_bool(w, SPAN("has_password"), user->password.len > 0);
	if (secrets) {
		json_member_string(w, SPAN("password_hash"), user->password);
		json_member_string(w, SPAN("totp"), user->totp);
		json_member_int(w, SPAN("totp_step"), user->totp_step);
		json_put_texts(w, "recovery", &user->recovery);
		write_passkeys(w, user);
	}
	json_end_object(w);
}

bool permissions_valid(const struct config_strings *list, struct arena *arena)
{
	struct permission parsed;

	for (size_t i = 0; i < list->count; i++)
		if (permission_parse(&parsed, list->at[i], arena) != PERMISSION_OK)
			return false;
	return true;
}

int user_read(const struct json *object, struct idp_user *user, struct arena *arena,
	      struct err *err)
{
	struct span name = json_text(object, "name");

	user->name = user_name_normal(name, arena);
	if (!user->name.ptr)
		return err_set(err, ERR_INVALID, "'name' is no name");
	user->id = json_text(object, "id");
	user->display = json_text(object, "display");
	user->email = json_text(object, "email");
	user->email_verified = json_flag(object, "email_verified");
	user->phone = json_text(object, "phone");
	user->disabled = json_flag(object, "disabled");
	user->must_change = json_flag(object, "must_change");
	user->password = json_text(object, "password_hash");
	user->totp = json_text(object, "totp");
	user->totp_step = json_number(object, "totp_step");
	user->created_unix_s = json_number(object, "created");
	if (json_texts(object, "recovery", arena, &user->recovery) < 0 ||
	    json_texts(object, "channels", arena, &user->channels) < 0 ||
	    json_texts(object, "links", arena, &user->links) < 0 ||
	    read_passkeys(object, user, arena) < 0 ||
	    json_texts(object, "roles", arena, &user->roles) < 0 ||
	    json_texts(object, "groups", arena, &user->groups) < 0 ||
	    json_texts(object, "permissions", arena, &user->permissions) < 0)
		return err_set(err, ERR_MEMORY, "out of memory");
	if (!permissions_valid(&user->permissions, arena))
		return err_set(err, ERR_INVALID, "'permissions' has one that is malformed");
	return 0;
}

/* --- changes by administrators --- */

static int patch_texts(const struct json *value, struct config_strings *to, struct arena *arena)
{
	size_t count = value->type == JSON_ARRAY ? value->array.count : 0;

	if (value->type != JSON_ARRAY && value->type != JSON_NULL)
		return -1;
	to->count = 0;
	to->at = arena_array(arena, struct span, count + 1);
	for (size_t i = 0; to->at && i < count; i++)
		if (!json_string(&value->array.items[i], &to->at[to->count++]))
			return -1;
	return to->at ? 0 : -1;
}

static int patch_text(const struct json *value, struct span *to)
{
	if (value->type == JSON_NULL)
		*to = SPAN("");
	else if (!json_string(value, to) || to->len > 1024)
		return -1;
	return 0;
}

static int patch_member(struct span name, const struct json *value, struct idp_user *user,
			struct arena *arena)
{
	const struct {
		struct span name;
		struct span *text;
		bool *flag;
		struct config_strings *texts;
	} members[] = {
		{SPAN("display"), &user->display, NULL, NULL},
		{SPAN("email"), &user->email, NULL, NULL},
		{SPAN("phone"), &user->phone, NULL, NULL},
		{SPAN("email_verified"), NULL, &user->email_verified, NULL},
		{SPAN("disabled"), NULL, &user->disabled, NULL},
		{SPAN("must_change"), NULL, &user->must_change, NULL},
		{SPAN("roles"), NULL, NULL, &user->roles},
		{SPAN("groups"), NULL, NULL, &user->groups},
		{SPAN("permissions"), NULL, NULL, &user->permissions},
		{SPAN("links"), NULL, NULL, &user->links},
	};

	for (size_t i = 0; i < COUNT_OF(members); i++) {
		if (!span_eq(name, members[i].name))
			continue;
		if (members[i].text)
			return patch_text(value, members[i].text);
		if (members[i].flag)
			return json_bool(value, members[i].flag) ? 0 : -1;
		return patch_texts(value, members[i].texts, arena);
	}
	return -1;
}

/* "ISSUER SUBJECT" */
static bool links_valid(const struct config_strings *links)
{
	for (size_t i = 0; i < links->count; i++) {
		size_t space = span_find_byte(links->at[i], ' ');

		if (space == 0 || space + 1 >= links->at[i].len ||
		    links->at[i].len > STORE_KEY_BYTES_MAX)
			return false;
	}
	return links->count <= USER_LINKS_MAX;
}

int user_patch(const struct json *object, struct idp_user *user, struct arena *arena,
	       struct err *err)
{
	/* Another address is nobody's yet. */
	if (json_get(object, SPAN("email")) &&
	    !span_eq_nocase(json_text(object, "email"), user->email))
		user->email_verified = false;
	for (size_t i = 0; i < object->object.count; i++) {
		const struct json_member *member = &object->object.members[i];

		if (span_eq(member->key, SPAN("name"))) {
			struct span name = SPAN("");

			(void)json_string(&member->value, &name);
			user->name = user_name_normal(name, arena);
			if (!user->name.ptr)
				return err_set(err, ERR_INVALID, "'name' is no name");
		} else if (patch_member(member->key, &member->value, user, arena) < 0) {
			return err_set(err, ERR_INVALID,
				       "'%.*s' cannot be changed, or not to that",
				       SPAN_ARG(span_slice(member->key, 0, 64)));
		}
	}
	if (user->email.len && !mail_address_valid(user->email))
		return err_set(err, ERR_INVALID, "'email' is no address");
	if (!permissions_valid(&user->permissions, arena))
		return err_set(err, ERR_INVALID, "'permissions' has one that is malformed");
	if (!links_valid(&user->links))
		return err_set(err, ERR_INVALID,
			       "'links' has too many, or one that is malformed");
	return 0;
}

/* --- users in the store --- */

static enum store_result read_user(const struct store_record *record, struct arena *arena,
				   struct idp_user *user, struct err *err)
{
	const struct json *object = idp_parse(record->value, arena, err);

	if (!object)
		return STORE_FAILED;
	*user = (struct idp_user){.version = record->version};
	if (user_read(object, user, arena, err) < 0)
		return STORE_FAILED;
	user->version = record->version;
	return STORE_OK;
}

enum store_result user_get(struct idp *idp, struct span id, struct arena *arena,
			   struct idp_user *user, struct err *err)
{
	struct store_record record;
	enum store_result result = store_get(idp->store, SPAN("user"), id, arena, &record, err);

	return result == STORE_OK ? read_user(&record, arena, user, err) : result;
}

enum store_result user_find(struct idp *idp, struct span name, struct arena *arena,
			    struct idp_user *user, struct err *err)
{
	struct span normal = user_name_normal(name, arena);
	struct store_record record;
	enum store_result result;

	if (!normal.ptr)
		return STORE_ABSENT;
	result = store_get(idp->store, SPAN("user-name"), normal, arena, &record, err);
	return result == STORE_OK ? user_get(idp, record.value, arena, user, err) : result;
}

/* The change of a name's record goes along when the user is new or has another name. */
static size_t name_changes(const struct idp_user *user, struct span old_name,
			   struct store_change *changes)
{
	size_t count = 0;

	if (span_eq(user->name, old_name))
		return 0;
	changes[count++] = (struct store_change){.kind = SPAN("user-name"),
						 .key = user->name,
						 .expect = STORE_EXPECT_ABSENT,
						 .value = user->id};
	if (old_name.len)
		changes[count++] = (struct store_change){
			.kind = SPAN("user-name"), .key = old_name, .remove = true};
	return count;
}

/* Found by address and by links to other providers. */
static size_t user_indexes(const struct idp_user *user, struct store_index *indexes)
{
	size_t count = 0;

	if (user->email.len)
		indexes[count++] = (struct store_index){SPAN("email"), user->email};
	for (size_t i = 0; i < user->links.count && i < USER_LINKS_MAX; i++)
		indexes[count++] = (struct store_index){SPAN("link"), user->links.at[i]};
	return count;
}

static enum store_result find_by(struct idp *idp, const struct store_index *index,
				 struct arena *arena, struct idp_user *user, struct err *err)
{
	struct store_page page;

	if (!index->value.len || index->value.len > STORE_KEY_BYTES_MAX)
		return STORE_ABSENT;
	if (store_find(idp->store, SPAN("user"), index, SPAN_NONE, 2, arena, &page, err) !=
	    STORE_OK)
		return STORE_FAILED;
	if (page.count != 1)
		return page.count ? STORE_CONFLICT : STORE_ABSENT;
	return read_user(&page.records[0], arena, user, err);
}

enum store_result user_find_email(struct idp *idp, struct span email, struct arena *arena,
				  struct idp_user *user, struct err *err)
{
	const struct store_index index = {SPAN("email"), email};

	return find_by(idp, &index, arena, user, err);
}

enum store_result user_find_link(struct idp *idp, struct span link, struct arena *arena,
				 struct idp_user *user, struct err *err)
{
	const struct store_index index = {SPAN("link"), link};

	return find_by(idp, &index, arena, user, err);
}

bool user_has_second_factor(const struct idp_user *user)
{
	return user->totp.len > 0 || user->channels.count > 0 || user->passkey_count > 0;
}

enum idp_acr user_acr_most(const struct idp_user *user)
{
	if (user->passkey_count)
		return IDP_ACR_PHR;
	return user_has_second_factor(user) ? IDP_ACR_MFA : IDP_ACR_PWD;
}

/* Switched off, or cut off from a login elsewhere. */
static bool is_shut_out(const struct idp_user *old, const struct idp_user *user)
{
	for (size_t i = 0; i < old->links.count; i++)
		if (!texts_have(&user->links, old->links.at[i]))
			return true;
	return user->disabled && !old->disabled;
}

enum store_result user_put(struct idp *idp, struct idp_user *user, struct arena *arena,
			   struct err *err)
{
	struct store_index indexes[1 + USER_LINKS_MAX];
	struct store_change changes[3] = {{.kind = SPAN("user")}};
	struct idp_user old = {.name = SPAN("")};
	enum store_result result;
	struct json_writer w;
	struct buf value;

	if (!user->id.len)
		user->id = idp_new_id(arena, 'u');
	user->email = text_lower(user->email, arena);
	if (!user->id.len || !user->email.ptr)
		return idp_no_memory(err);
	if (!user->created_unix_s)
		user->created_unix_s = clock_unix_s();
	if (user->version && user_get(idp, user->id, arena, &old, err) == STORE_FAILED)
		return STORE_FAILED;
	buf_init(&value, RECORD_BYTES);
	json_writer_init(&w, &value);
	user_write(&w, user, true);
	changes[0].key = user->id;
	changes[0].expect = user->version ? STORE_EXPECT_VERSION : STORE_EXPECT_ABSENT;
	changes[0].version = user->version;
	changes[0].indexes = indexes;
	changes[0].index_count = user_indexes(user, indexes);
	result = idp_commit(idp->store, changes, 1 + name_changes(user, old.name, changes + 1),
			    &value, err);
	/* What was allowed by somebody who could log in then, is not any more. */
	if (result == STORE_OK && is_shut_out(&old, user))
		return oauth_grants_end_all(idp, user->id, arena, err);
	return result;
}

enum store_result user_remove(struct idp *idp, const struct idp_user *user, struct arena *arena,
			      struct err *err)
{
	const struct store_change changes[] = {
		{.kind = SPAN("user"), .key = user->id, .remove = true},
		{.kind = SPAN("user-name"), .key = user->name, .remove = true}};
	const struct store_change known = {
		.kind = SPAN(LDAP_KNOWN_KIND), .key = user->id, .remove = true};

	if (session_end_all(idp, user->id, SPAN_NONE, arena, err) == STORE_FAILED ||
	    oauth_grants_end_all(idp, user->id, arena, err) == STORE_FAILED ||
	    store_commit(idp->shared, &known, 1, err) == STORE_FAILED)
		return STORE_FAILED;
	return store_commit(idp->store, changes, COUNT_OF(changes), err);
}

enum store_result user_list(struct idp *idp, struct span after, size_t limit,
			    struct arena *arena, struct idp_user **users, size_t *count,
			    bool *more, struct err *err)
{
	struct store_page page;

	if (store_list(idp->store, SPAN("user"), SPAN_NONE, after, limit, arena, &page, err) !=
	    STORE_OK)
		return STORE_FAILED;
	*users = arena_array(arena, struct idp_user, page.count + 1);
	if (!*users)
		return idp_no_memory(err);
	for (size_t i = 0; i < page.count; i++)
		if (read_user(&page.records[i], arena, &(*users)[i], err) != STORE_OK)
			return STORE_FAILED;
	*count = page.count;
	*more = page.more;
	return STORE_OK;
}

enum store_result user_reset_password(struct idp *idp, const struct config *cfg,
				      struct idp_user *user, struct arena *arena,
				      struct span *password, struct err *err)
{
	char text[PASSWORD_ONCE_SIZE];

	password_once(text);
	*password = arena_dup(arena, span_cstr(text));
	secret_wipe(text, sizeof(text));
	if (!password->ptr)
		return idp_no_memory(err);
	user->password = password_hash(&cfg->identity.password, *password, arena, err);
	user->must_change = true;
	if (!user->password.ptr ||
	    (user->version && oauth_grants_end_all(idp, user->id, arena, err) == STORE_FAILED))
		return STORE_FAILED;
	return user_put(idp, user, arena, err);
}

enum store_result user_import(struct idp *idp, const struct json *object, struct arena *arena,
			      bool *made, struct err *err)
{
	struct idp_user user = {.version = 0}, old = {.version = 0};
	enum store_result there;

	if (user_read(object, &user, arena, err) < 0)
		return STORE_FAILED;
	there = user_find(idp, user.name, arena, &old, err);
	if (there == STORE_FAILED)
		return there;
	*made = there == STORE_ABSENT;
	if (there == STORE_OK) {
		/* An export without secrets takes none away. */
		user.id = old.id;
		user.version = old.version;
		if (!user.password.len)
			user.password = old.password;
		if (!user.totp.len) {
			user.totp = old.totp;
			user.totp_step = old.totp_step;
			user.recovery = old.recovery;
		}
		if (!user.passkey_count) {
			user.passkeys = old.passkeys;
			user.passkey_count = old.passkey_count;
		}
	}
	there = user_put(idp, &user, arena, err);
	if (there == STORE_OK && is_shut_out(&old, &user))
		return session_end_all(idp, user.id, SPAN_NONE, arena, err);
	return there;
}
