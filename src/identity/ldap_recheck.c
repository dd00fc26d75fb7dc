/*
 * Are users of directories there still? A login by a directory leaves a record of how the entry was
 * found; a thread of upkeep looks again, and ends the sessions and grants of who has gone or was
 * switched off there. No request with a session waits for that. While a directory is away its users
 * keep what they have, for `recheck.grace`: an outage there is none here, and who can bring one
 * about gains a day, not three months.
 */
#include "base/clock.h"
#include "base/log.h"
#include "identity/ldap_login.h"

#define KIND SPAN(LDAP_KNOWN_KIND)
#define RECORD_BYTES ((size_t)8192)
/* A login may take a while, from the password until there is a session. */
#define LOGIN_S ((int64_t)3600)
/* A round goes on in the next one: a server that is to end does not wait for it. */
#define ROUND_MS 3000
#define PAGE 200
/* Parts of `every` between two rounds: a user is looked up after that at the latest. */
#define ROUND_PARTS 10
#define ROUND_MIN_MS 500
#define ROUND_MAX_MS 60000

struct known {
	struct span user; /* id */
	struct span directory;
	struct span link;
	struct span name; /* as it was typed */
	int64_t at_unix_s; /* the last look that was answered */
	int64_t login_unix_s;
	bool idle; /* there is nothing to end: rounds pass it over */
	uint64_t version; /* 0: not stored */
};

struct look {
	struct idp *idp;
	const struct config *cfg;
	struct arena *arena;
	struct known known;
	const struct config_ldap *config; /* NULL: no directory has a say */
	size_t place; /* of the directory */
	bool gone; /* what came of it */
};

/* ---- records ---- */

/* STORE_CONFLICT: a login or another replica was there at the same time, and knows as much. */
static enum store_result put(struct idp *idp, const struct known *k, enum store_expect expect,
			     struct err *err)
{
	const struct store_index live = {SPAN("state"), SPAN("live")};
	struct store_change change = {.kind = KIND,
				      .key = k->user,
				      .expect = expect,
				      .version = k->version,
				      .indexes = &live,
				      .index_count = k->idle ? 0 : 1};
	struct json_writer w;
	struct buf value;

	buf_init(&value, RECORD_BYTES);
	json_writer_init(&w, &value);
	json_begin_object(&w);
	json_member_string(&w, SPAN("directory"), k->directory);
	json_member_string(&w, SPAN("link"), k->link);
	json_member_string(&w, SPAN("name"), k->name);
	json_member_int(&w, SPAN("at"), k->at_unix_s);
	json_member_int(&w, SPAN("login"), k->login_unix_s);
	json_member_bool(&w, SPAN("idle"), k->idle);
	json_end_object(&w);
	return idp_commit(idp->shared, &change, 1, &value, err);
}

/* What was read, changed. */
static enum store_result put_again(const struct look *l, struct err *err)
{
	enum store_result result =
		put(l->idp, &l->known,
		    l->known.version ? STORE_EXPECT_VERSION : STORE_EXPECT_ABSENT, err);

	return result == STORE_CONFLICT ? STORE_OK : result;
}

static enum store_result read_known(const struct store_record *record, struct arena *arena,
				    struct known *k, struct err *err)
{
	const struct json *object = idp_parse(record->value, arena, err);

	if (!object)
		return STORE_FAILED;
	*k = (struct known){.user = record->key,
			    .directory = json_text(object, "directory"),
			    .link = json_text(object, "link"),
			    .name = json_text(object, "name"),
			    .at_unix_s = json_number(object, "at"),
			    .login_unix_s = json_number(object, "login"),
			    .idle = json_flag(object, "idle"),
			    .version = record->version};
	return STORE_OK;
}

static bool is_looked_into(const struct config_ldap *config)
{
	return config->recheck_ms && ldap_can_look(config);
}

enum store_result ldap_note_login(struct idp_exchange *x, const struct idp_user *user,
				  const struct config_ldap *config, struct span link,
				  struct span name, struct err *err)
{
	const struct known k = {.user = user->id,
				.directory = config->name,
				.link = link,
				.name = name,
				.at_unix_s = clock_unix_s(),
				.login_unix_s = clock_unix_s()};

	return is_looked_into(config) ? put(x->idp, &k, STORE_EXPECT_ANY, err) : STORE_OK;
}

/*
 * The directory that the user depends on, and what is known by its link alone. Who has a password
 * here as well depends on none.
 */
static enum store_result find_link(struct look *l, const struct idp_user *user, struct err *err)
{
	const struct config_identity *identity = &l->cfg->identity;

	if (user->password.len || !user->links.count)
		return STORE_OK;
	for (l->place = 0; l->place < identity->ldap.count; l->place++) {
		const struct config_ldap *config = &identity->ldap.at[l->place];
		struct span prefix = ldap_link(config, SPAN(""), l->arena);

		if (!prefix.ptr)
			return idp_no_memory(err);
		for (size_t i = 0; is_looked_into(config) && i < user->links.count; i++) {
			if (!span_starts_with(user->links.at[i], prefix))
				continue;
			l->config = config;
			l->known = (struct known){.user = user->id,
						  .directory = config->name,
						  .link = user->links.at[i],
						  .name = user->name,
						  .login_unix_s = clock_unix_s()};
			return STORE_OK;
		}
	}
	return STORE_OK;
}

/* The same, and what an earlier login or look has left; STORE_ABSENT: nothing. */
static enum store_result find_known(struct look *l, const struct idp_user *user,
				    struct err *err)
{
	struct store_record record;
	enum store_result result = find_link(l, user, err);

	if (result != STORE_OK || !l->config)
		return result;
	result = store_get(l->idp->shared, KIND, user->id, l->arena, &record, err);
	return result == STORE_OK ? read_known(&record, l->arena, &l->known, err) : result;
}

static enum store_result check_grace(const struct look *l, struct err *err)
{
	if (clock_unix_s() - l->known.at_unix_s <=
	    (int64_t)(l->config->recheck_grace_ms / 1000))
		return STORE_OK;
	(void)err_set(err, ERR_UNAVAILABLE,
		      "directory %.*s has not been asked about a user for too long",
		      SPAN_ARG(l->config->name));
	return STORE_FAILED;
}

enum store_result ldap_check_known(struct idp *idp, const struct config *cfg,
				   const struct idp_user *user, struct arena *arena,
				   struct err *err)
{
	struct look l = {.idp = idp, .cfg = cfg, .arena = arena};
	enum store_result result = find_known(&l, user, err);

	if (!l.config || result == STORE_FAILED)
		return result;
	if (result == STORE_OK && !l.known.idle)
		return check_grace(&l, err);
	/*
	 * A login from before there were records, or something that was under way when the last
	 * session ended: the next round looks.
	 */
	l.known.at_unix_s = clock_unix_s() - (int64_t)(l.config->recheck_ms / 1000);
	l.known.idle = false;
	return put_again(&l, err);
}

/* ---- one user ---- */

static enum store_result any(struct store *store, struct span kind, const struct look *l,
			     bool *found, struct err *err)
{
	const struct store_index index = {SPAN("user"), l->known.user};
	struct store_page page;

	if (*found)
		return STORE_OK;
	if (store_find(store, kind, &index, SPAN_NONE, 1, l->arena, &page, err) != STORE_OK)
		return STORE_FAILED;
	*found = page.count > 0;
	return STORE_OK;
}

/* Is there anything that would be ended? */
static enum store_result has_anything(const struct look *l, bool *has, struct err *err)
{
	*has = clock_unix_s() - l->known.login_unix_s < LOGIN_S;
	if (any(l->idp->shared, SPAN("session"), l, has, err) != STORE_OK ||
	    any(l->idp->shared, SPAN("remember"), l, has, err) != STORE_OK ||
	    any(l->idp->store, SPAN("grant"), l, has, err) != STORE_OK)
		return STORE_FAILED;
	return STORE_OK;
}

static enum store_result rest(struct look *l, struct err *err)
{
	l->known.idle = true;
	return put_again(l, err);
}

/* Who comes back later is asked for the password by the directory. */
static enum store_result end_all(struct look *l, const char *why, struct err *err)
{
	struct span user = l->known.user;

	l->gone = true;
	if (session_end_all(l->idp, user, SPAN_NONE, l->arena, err) != STORE_OK ||
	    oauth_grants_end_all(l->idp, user, l->arena, err) != STORE_OK)
		return STORE_FAILED;
	log_message(LOG_INFO, "identity.directory", "directory %.*s: %.*s is logged out: %s",
		    SPAN_ARG(l->known.directory), SPAN_ARG(l->known.name), why);
	idp_audit(l->idp, "user.gone_from_directory", "user", user, "directory",
		  l->known.directory);
	idp_count(l->idp, IDP_LOOKS_GONE);
	return rest(l, err);
}

/* Name, address and roles follow the directory without a login, too. */
static enum store_result take(const struct look *l, struct idp_user *user,
			      const struct ldap_person *person, struct err *err)
{
	enum store_result result;
	bool changed = false;

	if (ldap_take_person(l->config, person, user, &changed, l->arena) < 0)
		return idp_no_memory(err);
	result = changed ? user_put(l->idp, user, l->arena, err) : STORE_OK;
	if (changed && result == STORE_OK)
		idp_audit(l->idp, "user.changed_by_directory", "user", user->id, "directory",
			  l->config->name);
	/* Somebody else has changed it: the next look tells. */
	return result == STORE_CONFLICT ? STORE_OK : result;
}

static enum store_result judge(struct look *l, const struct ldap_person *person, bool found,
			       struct err *err)
{
	struct idp_user user = {.id = SPAN("")};
	enum store_result result;
	struct span link;

	if (!found)
		return end_all(l, "nobody there has the name any more", err);
	link = ldap_link(l->config, person->id, l->arena);
	if (!link.ptr)
		return idp_no_memory(err);
	if (!span_eq(link, l->known.link))
		return end_all(l, "the name is that of another entry now", err);
	if (person->off)
		return end_all(l, "the entry is switched off there", err);
	result = user_get(l->idp, l->known.user, l->arena, &user, err);
	if (result == STORE_FAILED)
		return result;
	if (result != STORE_OK || !texts_have(&user.links, link))
		return end_all(l, "it was cut off from its account", err);
	if (take(l, &user, person, err) != STORE_OK)
		return STORE_FAILED;
	l->known.at_unix_s = clock_unix_s();
	l->known.idle = false;
	idp_count(l->idp, IDP_LOOKS_THERE);
	return put_again(l, err);
}

/* False: the directory has not said, and is left alone for a while. */
static bool ask(const struct look *l, struct ldap_person *person, bool *found)
{
	struct err err;
	struct ldap_call *call = ldap_call_new(l->config, l->known.name, l->arena, &err);
	bool answered = call && ldap_call_look(call, person, found, &err) == 0;

	ldap_call_free(call);
	if (answered)
		return true;
	ldap_note_away(l->idp, l->place, &err);
	idp_count(l->idp, IDP_LOOKS_AWAY);
	return false;
}

static bool is_due(const struct look *l)
{
	return (clock_unix_s() - l->known.at_unix_s) * 1000 >= (int64_t)l->config->recheck_ms;
}

enum store_result ldap_confirm(struct idp *idp, const struct config *cfg,
			       const struct idp_user *user, struct arena *arena,
			       struct err *err)
{
	struct look l = {.idp = idp, .cfg = cfg, .arena = arena};
	struct ldap_person person = {.id = SPAN("")};
	enum store_result result = find_known(&l, user, err);
	bool found;

	if (!l.config || result == STORE_FAILED)
		return result;
	l.known.login_unix_s = clock_unix_s();
	if (!is_due(&l))
		return STORE_OK;
	if (ldap_rests(idp, l.place) || !ask(&l, &person, &found))
		return check_grace(&l, err);
	result = judge(&l, &person, found, err);
	return result == STORE_OK && l.gone ? STORE_ABSENT : result;
}

/* False: there is none of that name any more. */
static bool find_directory(struct look *l)
{
	const struct config_identity *identity = &l->cfg->identity;

	for (l->place = 0; l->place < identity->ldap.count; l->place++) {
		l->config = &identity->ldap.at[l->place];
		if (span_eq(l->config->name, l->known.directory))
			return true;
	}
	return false;
}

static enum store_result look_at(struct look *l, struct err *err)
{
	struct ldap_person person = {.id = SPAN("")};
	bool has, found;

	if (!find_directory(l))
		return end_all(l, "the directory is not configured any more", err);
	if (!is_looked_into(l->config))
		return rest(l, err);
	if (!is_due(l) || ldap_rests(l->idp, l->place))
		return STORE_OK;
	if (has_anything(l, &has, err) != STORE_OK)
		return STORE_FAILED;
	if (!has)
		return rest(l, err);
	return ask(l, &person, &found) ? judge(l, &person, found, err) : STORE_OK;
}

/* ---- rounds ---- */

/* The next round, or what is left of this one, begins after it. */
static void keep_place(struct idp *idp, struct span key)
{
	idp->looked_at_len = key.len <= sizeof(idp->looked_at) ? key.len : 0;
	if (idp->looked_at_len)
		memcpy(idp->looked_at, key.ptr, idp->looked_at_len);
}

/* What cannot be read is passed over by the next round, too. page->more: also for want of time. */
static enum store_result look_at_page(struct idp *idp, const struct config *cfg,
				      struct store_page *page, int64_t until_ms,
				      struct err *err)
{
	enum store_result result = STORE_OK;

	for (size_t i = 0; result == STORE_OK && i < page->count; i++) {
		struct look l = {.idp = idp, .cfg = cfg};
		struct arena arena;

		if (clock_ms() > until_ms) {
			page->more = true;
			break;
		}
		arena_init(&arena, SCRATCH_BYTES, 8192);
		l.arena = &arena;
		result = read_known(&page->records[i], &arena, &l.known, err);
		if (result == STORE_OK)
			result = look_at(&l, err);
		arena_release(&arena);
		keep_place(idp, page->records[i].key);
	}
	return result;
}

static int64_t round_ms(const struct config *cfg)
{
	int64_t least_ms = ROUND_MAX_MS;

	for (size_t i = 0; i < cfg->identity.ldap.count; i++) {
		int64_t part_ms = (int64_t)cfg->identity.ldap.at[i].recheck_ms / ROUND_PARTS;

		if (part_ms && part_ms < least_ms)
			least_ms = part_ms;
	}
	return least_ms > ROUND_MIN_MS ? least_ms : ROUND_MIN_MS;
}

int idp_recheck(struct idp *idp, const struct config *cfg, struct err *err)
{
	const struct store_index live = {SPAN("state"), SPAN("live")};
	int64_t until_ms = clock_ms() + ROUND_MS;
	enum store_result result = STORE_OK;
	struct store_page page = {.more = true};

	if (clock_ms() < idp->look_next_ms)
		return 0;
	while (page.more && result == STORE_OK && clock_ms() < until_ms) {
		struct arena arena;

		arena_init(&arena, SCRATCH_BYTES, 8192);
		result = store_find(idp->shared, KIND, &live,
				    span_of(idp->looked_at, idp->looked_at_len), PAGE, &arena,
				    &page, err);
		if (result == STORE_OK)
			result = look_at_page(idp, cfg, &page, until_ms, err);
		arena_release(&arena);
	}
	if (result != STORE_OK)
		return -1;
	if (page.more)
		return 0;
	keep_place(idp, SPAN(""));
	idp->look_next_ms = clock_ms() + round_ms(cfg);
	return 0;
}
