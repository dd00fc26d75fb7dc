#include "identity/ldap_login.h"

#include "base/clock.h"
#include "base/log.h"
#include "identity/ldap_call.h"
#include "identity/role_map.h"
#include "parse/mail_address.h"

#define LINK_PREFIX "directory:"
#define TRIES 4
/* A directory that has failed is left alone: each question holds a thread. */
#define REST_MS 2000

bool ldap_has_user(const struct idp_user *user)
{
	for (size_t i = 0; i < user->links.count; i++)
		if (span_starts_with(user->links.at[i], SPAN(LINK_PREFIX)))
			return true;
	return false;
}

struct span ldap_link(const struct config_ldap *config, struct span id, struct arena *arena)
{
	return arena_printf(arena, LINK_PREFIX "%.*s %.*s", SPAN_ARG(config->name),
			    SPAN_ARG(id));
}

static bool is_of(const struct config_ldap *config, const struct idp_user *user,
		  struct arena *arena, bool *failed)
{
	struct span prefix = arena_printf(arena, LINK_PREFIX "%.*s ", SPAN_ARG(config->name));

	*failed = *failed || !prefix.ptr;
	for (size_t i = 0; prefix.ptr && i < user->links.count; i++)
		if (span_starts_with(user->links.at[i], prefix))
			return true;
	return false;
}

/* ---- whose entry it is ---- */

struct entry {
	struct idp_exchange *x;
	const struct config_ldap *config;
	struct ldap_attempt *attempt;
	struct ldap_person person;
	struct span link;
};

static enum store_result refuse(const struct entry *e, const char *why)
{
	log_message(LOG_WARN, "identity.directory", "directory %.*s: %.*s is not let in: %s",
		    SPAN_ARG(e->config->name), SPAN_ARG(e->attempt->name), why);
	return STORE_ABSENT;
}

/* The id is the link's: of two who arrive at once, one is made. */
static enum store_result make_user(struct entry *e, struct idp_user *user, struct err *err)
{
	struct arena *arena = e->x->arena;
	char digest[DIGEST_HEX_SIZE];
	struct span *links = arena_array(arena, struct span, 1), id;
	enum store_result result;

	digest_hex(digest, e->link);
	id = arena_printf(arena, "u%.32s", digest);
	if (!id.ptr || !links)
		return idp_no_memory(err);
	result = user_get(e->x->idp, id, arena, user, err);
	if (result == STORE_OK)
		return texts_have(&user->links, e->link)
			       ? STORE_OK
			       : refuse(e, "it was cut off from its account");
	if (result != STORE_ABSENT)
		return result;
	links[0] = e->link;
	*user = (struct idp_user){.id = id,
				  .name = user_name_normal(e->person.username, arena),
				  .display = SPAN(""),
				  .email = SPAN(""),
				  .roles = e->config->roles,
				  .links = {links, 1}};
	if (!user->name.ptr)
		user->name = e->attempt->name;
	return STORE_OK;
}

/* Who is joined to the entry; or, where that is wanted, a new user. */
static enum store_result find_user(struct entry *e, struct idp_user *user, struct err *err)
{
	enum store_result result;

	if (e->attempt->known) {
		*user = *e->attempt->known;
		if (!texts_have(&user->links, e->link))
			return refuse(e, "the name is that of another entry now");
		return user_get(e->x->idp, user->id, e->x->arena, user, err);
	}
	result = user_find_link(e->x->idp, e->link, e->x->arena, user, err);
	if (result == STORE_CONFLICT)
		return refuse(e, "it is joined to several accounts");
	if (result != STORE_ABSENT)
		return result;
	if (!e->config->create)
		return refuse(e, "it is joined to no account ('create' is off)");
	return make_user(e, user, err);
}

static void take_text(struct span *to, struct span from, bool *changed)
{
	if (span_eq(*to, from))
		return;
	*to = from;
	*changed = true;
}

static bool same_texts(const struct config_strings *a, const struct config_strings *b)
{
	for (size_t i = 0; a->count == b->count && i < a->count; i++)
		if (!texts_have(b, a->at[i]))
			return false;
	return a->count == b->count;
}

/* By its name there, or its short one; letters count the same in capitals. */
static bool group_says(const void *context, struct span value)
{
	const struct ldap_person *person = context;

	for (size_t i = 0; i < person->groups.count; i++)
		if (span_eq_nocase(person->groups.at[i], value))
			return true;
	for (size_t i = 0; i < person->short_groups.count; i++)
		if (span_eq_nocase(person->short_groups.at[i], value))
			return true;
	return false;
}

int ldap_take_person(const struct config_ldap *config, const struct ldap_person *person,
		     struct idp_user *user, bool *changed, struct arena *arena)
{
	struct span email = SPAN("");

	if (person->name.len && text_displayable(person->name))
		take_text(&user->display, person->name, changed);
	if (mail_address_valid(person->email))
		email = text_lower(person->email, arena);
	if (!email.ptr)
		return -1;
	if (email.len) {
		bool verified = config->trust_email ||
				(user->email_verified && span_eq(user->email, email));

		take_text(&user->email, email, changed);
		*changed = *changed || user->email_verified != verified;
		user->email_verified = verified;
	}
	if (config->keep_groups && !same_texts(&user->groups, &person->short_groups)) {
		user->groups = person->short_groups;
		*changed = true;
	}
	return role_map_apply(config->role_map.at, config->role_map.count, group_says, person,
			      &user->roles, changed, arena);
}

static enum store_result try_arrival(struct entry *e, struct idp_user *user, struct err *err)
{
	enum store_result result = find_user(e, user, err);
	bool made, changed;

	if (result != STORE_OK)
		return result;
	if (user->disabled)
		return refuse(e, "the account is switched off here");
	if (e->person.off)
		return refuse(e, "the entry is switched off there");
	made = changed = user->version == 0;
	if (ldap_take_person(e->config, &e->person, user, &changed, e->x->arena) < 0)
		return idp_no_memory(err);
	if (!changed)
		return STORE_OK;
	result = user_put(e->x->idp, user, e->x->arena, err);
	if (result != STORE_OK)
		return result;
	idp_audit(e->x->idp, made ? "user.created_by_directory" : "user.changed_by_directory",
		  "user", user->id, "directory", e->config->name);
	/* With its new version. */
	return user_get(e->x->idp, user->id, e->x->arena, user, err);
}

static enum store_result arrive(struct entry *e, struct err *err)
{
	struct ldap_attempt *a = e->attempt;
	enum store_result result = STORE_CONFLICT;

	e->link = ldap_link(e->config, e->person.id, e->x->arena);
	if (!e->link.ptr)
		return idp_no_memory(err);
	for (unsigned i = 0; i < TRIES && result == STORE_CONFLICT; i++)
		result = try_arrival(e, &a->user, err);
	if (result == STORE_CONFLICT)
		result = refuse(e, "somebody else has the name here");
	if (result == STORE_OK)
		result = ldap_note_login(e->x, &a->user, e->config, e->link, a->name, err);
	a->right = result == STORE_OK;
	return result == STORE_ABSENT ? STORE_OK : result;
}

/* ---- one directory ---- */

bool ldap_rests(struct idp *idp, size_t place)
{
	return clock_ms() < atomic_load(&idp->ldap_rests_until_ms[place]);
}

void ldap_note_away(struct idp *idp, size_t place, const struct err *err)
{
	log_message(LOG_WARN, "identity.directory", "%s", err->message);
	atomic_store(&idp->ldap_rests_until_ms[place], clock_ms() + REST_MS);
}

static void note_away(struct idp_exchange *x, size_t place, struct ldap_attempt *a,
		      const struct err *err)
{
	ldap_note_away(x->idp, place, err);
	a->away = true;
}

/*
 * Failures are counted for the entry, too: a directory may know it by several names. Where there
 * is none, as much is counted.
 */
static enum store_result count_entry(struct idp_exchange *x, const struct config_ldap *config,
				     const struct ldap_call *call, bool asked,
				     struct ldap_attempt *a, bool *blocked, struct err *err)
{
	struct span who;
	int64_t wait_ms = 0;

	if (call && asked && ldap_call_found(call) && ldap_call_id(call).len)
		who = ldap_link(config, ldap_call_id(call), x->arena);
	else
		who = arena_printf(x->arena, "nobody in %.*s: %.*s", SPAN_ARG(config->name),
				   SPAN_ARG(a->name));
	if (!who.ptr)
		return idp_no_memory(err);
	if (throttle_check(x->idp, THROTTLE_ACCOUNT, who, &wait_ms, err) != STORE_OK)
		return STORE_FAILED;
	*blocked = wait_ms > 0;
	a->locked = a->locked || *blocked;
	if (*blocked)
		who = arena_printf(x->arena, "%.*s (locked)", SPAN_ARG(who));
	if (!who.ptr || texts_add(&a->counts, who, x->arena) < 0)
		return idp_no_memory(err);
	return STORE_OK;
}

static enum store_result ask(struct idp_exchange *x, size_t place, struct ldap_attempt *a,
			     struct err *err)
{
	const struct config_ldap *config = &x->config->identity.ldap.at[place];
	struct entry e = {.x = x, .config = config, .attempt = a};
	bool failed = false, asked, right = false, blocked = true;
	struct ldap_call *call = NULL;
	struct err problem;
	enum store_result result;

	/* Who has a password here, or belongs to another directory, is not this one's. */
	asked = !a->known || is_of(config, a->known, x->arena, &failed);
	if (failed)
		return idp_no_memory(err);
	if (ldap_rests(x->idp, place))
		a->away = true;
	else if (!(call = ldap_call_new(config, a->name, x->arena, &problem)))
		note_away(x, place, a, &problem);
	result = count_entry(x, config, call, asked, a, &blocked, err);
	if (result == STORE_OK && call) {
		bool dry = !asked || blocked || a->blocked;

		if (ldap_call_try(call, a->password, dry, &right, &problem) < 0 ||
		    (right && ldap_call_person(call, &e.person, &problem) < 0)) {
			note_away(x, place, a, &problem);
			right = false;
		}
	}
	ldap_call_free(call);
	if (result == STORE_OK && right)
		result = arrive(&e, err);
	return result;
}

enum store_result ldap_login(struct idp_exchange *x, struct ldap_attempt *a, struct err *err)
{
	enum store_result result = STORE_OK;

	a->right = a->away = a->locked = false;
	for (size_t i = 0; i < x->config->identity.ldap.count && !a->right; i++) {
		result = ask(x, i, a, err);
		if (result != STORE_OK)
			return result;
	}
	a->away = a->away && !a->right;
	return STORE_OK;
}
