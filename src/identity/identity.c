#include "identity/identity.h"

#include <stdatomic.h>

#include "base/hash.h"
#include "base/mem.h"
#include "identity/internal.h"

#define ARENA_CAP_BYTES ((size_t)4 * 1024 * 1024)
#define ARENA_CHUNK_BYTES ((size_t)2 * 1024)

/* Kinds of limiter keys; mixed in, so that a user and a client of one name differ. */
enum { HASH_USER = 1, HASH_CLIENT = 2, HASH_KEY = 3 };

static struct identity_private anonymous = {
	.public = {.kind = IDENTITY_ANONYMOUS,
		   .subject = SPAN_INIT(""),
		   .client = SPAN_INIT(""),
		   .provider = SPAN_INIT(""),
		   .issuer = SPAN_INIT(""),
		   .expires_unix_s = INT64_MAX,
		   .priv = &anonymous},
	.shared = true,
};

HOT struct identity *identity_anonymous(void)
{
	return &anonymous.public;
}

uint64_t identity_next_serial(void)
{
	static atomic_uint_least64_t last;

	return atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
}

struct identity_private *identity_begin(void)
{
	struct identity_private *p = mem_zalloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->public.priv = p;
	arena_init(&p->arena, ARENA_CAP_BYTES, ARENA_CHUNK_BYTES);
	return p;
}

void identity_discard(struct identity_private *p)
{
	if (!p)
		return;
	role_table_unref(p->table);
	arena_release(&p->arena);
	mem_free(p);
}

HOT struct identity *identity_ref(struct identity *identity)
{
	if (identity && !identity->priv->shared)
		identity->priv->references++;
	return identity;
}

HOT void identity_unref(struct identity *identity)
{
	if (identity && !identity->priv->shared && --identity->priv->references == 0)
		identity_discard(identity->priv);
}

static int keep(struct identity_private *p, struct span *to, struct span from)
{
	*to = arena_dup(&p->arena, from);
	return to->ptr ? 0 : -1;
}

static int keep_names(struct identity_private *p, struct names *to,
		      const struct config_strings *from)
{
	struct span *copies = arena_array(&p->arena, struct span, from->count + 1);

	if (!copies)
		return -1;
	for (size_t i = 0; i < from->count; i++) {
		if (keep(p, &copies[i], from->at[i]) < 0)
			return -1;
	}
	return names_make(to, copies, from->count, &p->arena);
}

/* The roles named, with what they include; also roles that the configuration does not define. */
static int expand_roles(struct identity_private *p, const struct config_strings *named)
{
	const struct role **found;
	struct config_strings all = {.count = 0};
	size_t room = 0;
	size_t sets = 0;

	for (size_t i = 0; i < named->count; i++) {
		const struct role *role = role_table_find(p->table, named->at[i]);

		room += role ? role->closure_count : 1;
	}
	all.at = arena_array(&p->arena, struct span, room + 1);
	found = arena_array(&p->arena, const struct role *, room + 1);
	/* One more for the token's own permissions. */
	p->permissions = arena_array(&p->arena, const struct permission_set *, room + 1);
	if (!all.at || !found || !p->permissions)
		return -1;
	for (size_t i = 0; i < named->count; i++) {
		const struct role *role = role_table_find(p->table, named->at[i]);

		if (!role)
			all.at[all.count++] = named->at[i];
		for (size_t j = 0; role && j < role->closure_count; j++) {
			const struct role *one = role->closure[j];
			bool seen = false;

			for (size_t k = 0; k < sets && !seen; k++)
				seen = found[k] == one;
			if (seen)
				continue;
			found[sets] = one;
			p->permissions[sets++] = &one->permissions;
			all.at[all.count++] = one->name;
		}
	}
	p->permission_set_count = sets;
	return keep_names(p, &p->roles, &all);
}

/* A malformed permission of a token grants nothing; it must not take the others away either. */
static int add_permissions(struct identity_private *p, const struct config_strings *texts)
{
	struct permission_set *set;
	struct permission *all;
	size_t count = 0;

	if (!texts->count)
		return 0;
	set = arena_new(&p->arena, struct permission_set);
	all = arena_array(&p->arena, struct permission, texts->count);
	if (!set || !all)
		return -1;
	for (size_t i = 0; i < texts->count; i++) {
		struct span text;

		if (keep(p, &text, texts->at[i]) < 0)
			return -1;
		switch (permission_parse(&all[count], text, &p->arena)) {
		case PERMISSION_OK: count++; break;
		case PERMISSION_MALFORMED: break;
		case PERMISSION_NO_MEMORY: return -1;
		}
	}
	*set = (struct permission_set){all, count};
	p->permissions[p->permission_set_count++] = set;
	return 0;
}

static uint64_t key_hash(uint64_t kind, struct span realm, struct span text)
{
	uint64_t hash;

	if (!text.len)
		return 0;
	hash = hash_mix(hash_mix(hash_span(realm), kind), hash_span(text));
	return hash ? hash : 1;
}

static void set_hashes(struct identity_private *p, const struct identity_draft *draft)
{
	struct identity *identity = &p->public;
	/* Keys and certificates are named by the configuration, not by a provider. */
	struct span realm = draft->provider;

	identity->user_hash = key_hash(HASH_USER, realm, draft->subject);
	identity->client_hash = key_hash(HASH_CLIENT, realm, draft->client);
	if (draft->api_key)
		identity->key_hash =
			key_hash(HASH_KEY, realm, span_of(draft->api_key, SHA256_BYTES));
}

int identity_finish(struct identity_private *p, const struct identity_draft *draft,
		    struct role_table *table)
{
	struct identity *identity = &p->public;

	p->table = role_table_ref(table);
	identity->kind = draft->kind;
	identity->expires_unix_s = draft->expires_unix_s;
	if (keep(p, &identity->subject, draft->subject) < 0 ||
	    keep(p, &identity->client, draft->client) < 0 ||
	    keep(p, &identity->provider, draft->provider) < 0 ||
	    keep(p, &identity->issuer, draft->issuer) < 0 ||
	    keep_names(p, &p->scopes, &draft->scopes) < 0 ||
	    expand_roles(p, &draft->roles) < 0 || add_permissions(p, &draft->permissions) < 0)
		return -1;
	identity->scopes = p->scopes.at;
	identity->scope_count = p->scopes.count;
	identity->roles = p->roles.at;
	identity->role_count = p->roles.count;
	identity->serial = identity_next_serial();
	p->claims = draft->claims;
	if (keep(p, &p->jkt, draft->jkt) < 0)
		return -1;
	if (draft->thumbprint) {
		p->bound = true;
		memcpy(p->thumbprint, draft->thumbprint, SHA256_BYTES);
	}
	set_hashes(p, draft);
	p->references = 1;
	return 0;
}

/* Of the wanted ones those that `has` finds; -1: no memory. */
static int keep_some(struct identity_private *p, struct config_strings *kept,
		     const struct config_strings *wanted, const struct identity *identity,
		     bool (*has)(const struct identity *identity, struct span name))
{
	kept->at = arena_zalloc(&p->arena, wanted->count + 1, sizeof(*kept->at));
	if (!kept->at)
		return -1;
	for (size_t i = 0; i < wanted->count; i++)
		if (has(identity, wanted->at[i]))
			kept->at[kept->count++] = wanted->at[i];
	return 0;
}

struct identity *identity_reduce(const struct identity *identity,
				 const struct config_strings *scopes,
				 const struct config_strings *roles)
{
	struct identity_draft draft = {.kind = identity->kind,
				       .subject = identity->subject,
				       .client = identity->client,
				       .provider = identity->provider,
				       .issuer = identity->issuer,
				       .expires_unix_s = identity->expires_unix_s};
	struct identity_private *p;

	if (identity->kind == IDENTITY_ANONYMOUS)
		return identity_anonymous();
	p = identity_begin();
	if (p && keep_some(p, &draft.scopes, scopes, identity, identity_has_scope) == 0 &&
	    keep_some(p, &draft.roles, roles, identity, identity_has_role) == 0 &&
	    identity_finish(p, &draft, identity->priv->table) == 0)
		return &p->public;
	identity_discard(p);
	return NULL;
}

bool identity_has_scope(const struct identity *identity, struct span scope)
{
	struct name name = name_of(scope);

	return names_have(&identity->priv->scopes, &name);
}

bool identity_has_role(const struct identity *identity, struct span role)
{
	struct name name = name_of(role);

	return names_have(&identity->priv->roles, &name);
}

bool identity_implies(const struct identity *identity, const struct permission *wanted)
{
	const struct identity_private *p = identity->priv;

	for (size_t i = 0; i < p->permission_set_count; i++) {
		if (permission_set_implies(p->permissions[i], wanted))
			return true;
	}
	return false;
}

bool identity_has_permission(const struct identity *identity, struct span permission)
{
	struct permission wanted;
	struct arena arena;
	bool has;

	arena_init(&arena,
		   PERMISSION_PARTS_MAX * PERMISSION_OPTIONS_MAX * sizeof(struct span) * 2,
		   1024);
	has = permission_parse(&wanted, permission, &arena) == PERMISSION_OK &&
	      identity_implies(identity, &wanted);
	arena_release(&arena);
	return has;
}

const char *identity_kind_name(enum identity_kind kind)
{
	switch (kind) {
	case IDENTITY_ANONYMOUS: return "anonymous";
	case IDENTITY_JWT: return "jwt";
	case IDENTITY_OPAQUE: return "opaque";
	case IDENTITY_API_KEY: return "api_key";
	case IDENTITY_CERTIFICATE: return "certificate";
	case IDENTITY_SESSION: return "session";
	}
	return "unknown";
}
