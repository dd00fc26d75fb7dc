#include "waf/collection.h"

#include <pthread.h>

#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "waf/operator.h"

struct variable {
	struct variable *next;
	char *name;
	char *value;
	size_t name_len;
	size_t value_len;
	int64_t expires_ms; /* 0: with the collection */
};

struct collection {
	struct list used; /* in waf_collections.used, oldest first */
	char *key; /* the kind as a letter, then the key */
	size_t key_len;
	struct variable *variables;
	size_t count;
	int64_t expires_ms;
};

struct waf_collections {
	pthread_mutex_t lock;
	struct map map;
	struct list used;
	size_t max;
	size_t count;
};

#define KEY_MAX 512

struct waf_collections *waf_collections_new(size_t entries, struct err *err)
{
	struct waf_collections *c = mem_zalloc(1, sizeof(*c));

	if (!c) {
		err_set(err, ERR_MEMORY, "no memory for collections");
		return NULL;
	}
	c->max = entries ? entries : 1;
	list_init(&c->used);
	pthread_mutex_init(&c->lock, NULL);
	return c;
}

static void variable_free(struct variable *v)
{
	mem_free(v->name);
	mem_free(v->value);
	mem_free(v);
}

static void collection_drop(struct waf_collections *c, struct collection *one)
{
	(void)map_remove(&c->map, span_of(one->key, one->key_len));
	list_remove(&one->used);
	c->count--;
	while (one->variables) {
		struct variable *v = one->variables;

		one->variables = v->next;
		variable_free(v);
	}
	mem_free(one->key);
	mem_free(one);
}

void waf_collections_free(struct waf_collections *c)
{
	if (!c)
		return;
	list_for_each (node, &c->used)
		collection_drop(c, list_entry(node, struct collection, used));
	map_release(&c->map);
	pthread_mutex_destroy(&c->lock);
	mem_free(c);
}

static struct span make_key(char to[KEY_MAX], enum collection_kind kind, struct span key)
{
	size_t len = key.len < KEY_MAX - 1 ? key.len : KEY_MAX - 1;

	to[0] = (char)('a' + (int)kind);
	if (len)
		memcpy(to + 1, key.ptr, len);
	return span_of(to, len + 1);
}

static struct collection *find(struct waf_collections *c, enum collection_kind kind,
			       struct span key)
{
	char text[KEY_MAX];

	return map_get(&c->map, make_key(text, kind, key));
}

static struct collection *find_or_add(struct waf_collections *c, enum collection_kind kind,
				      struct span key)
{
	char text[KEY_MAX];
	struct span whole = make_key(text, kind, key);
	struct collection *one = map_get(&c->map, whole);

	if (one)
		return one;
	if (c->count >= c->max)
		collection_drop(c, list_entry(c->used.next, struct collection, used));
	one = mem_zalloc(1, sizeof(*one));
	if (!one)
		return NULL;
	one->key = mem_strdup(whole);
	one->key_len = whole.len;
	if (!one->key || map_put(&c->map, span_of(one->key, one->key_len), one) != 0) {
		mem_free(one->key);
		mem_free(one);
		return NULL;
	}
	list_push_back(&c->used, &one->used);
	c->count++;
	return one;
}

static struct variable **find_variable(struct collection *one, struct span name)
{
	struct variable **at = &one->variables;

	while (*at && !span_eq_nocase(span_of((*at)->name, (*at)->name_len), name))
		at = &(*at)->next;
	return at;
}

static void remove_expired(struct collection *one, int64_t now_ms)
{
	struct variable **at = &one->variables;

	while (*at) {
		struct variable *v = *at;

		if (v->expires_ms != 0 && v->expires_ms <= now_ms) {
			*at = v->next;
			one->count--;
			variable_free(v);
		} else {
			at = &v->next;
		}
	}
}

static int copy_out(const struct collection *one, struct arena *arena,
		    struct collection_variable **variables, size_t *count)
{
	struct collection_variable *all =
		arena_array(arena, struct collection_variable, one->count);
	size_t n = 0;

	if (!all)
		return -1;
	for (const struct variable *v = one->variables; v; v = v->next, n++) {
		all[n].name = arena_dup(arena, span_of(v->name, v->name_len));
		all[n].value = arena_dup(arena, span_of(v->value, v->value_len));
		if (!all[n].name.ptr || !all[n].value.ptr)
			return -1;
	}
	*variables = all;
	*count = n;
	return 0;
}

int collection_read(struct waf_collections *c, enum collection_kind kind, struct span key,
		    int64_t now_ms, struct arena *arena, struct collection_variable **variables,
		    size_t *count)
{
	struct collection *one;
	int result = 0;

	*variables = NULL;
	*count = 0;
	if (!c)
		return 0;
	pthread_mutex_lock(&c->lock);
	one = find(c, kind, key);
	if (one && one->expires_ms <= now_ms) {
		collection_drop(c, one);
		one = NULL;
	}
	if (one) {
		remove_expired(one, now_ms);
		if (one->count)
			result = copy_out(one, arena, variables, count);
	}
	pthread_mutex_unlock(&c->lock);
	return result;
}

static bool set_locked(struct collection *one, struct collection_variable variable)
{
	struct variable **at = find_variable(one, variable.name);
	char *value;

	if (!*at) {
		struct variable *v;

		if (one->count >= COLLECTION_VARIABLES_MAX ||
		    variable.name.len > COLLECTION_NAME_MAX)
			return false;
		v = mem_zalloc(1, sizeof(*v));
		if (!v)
			return false;
		v->name = mem_strdup(variable.name);
		v->value = mem_strdup(variable.value);
		if (!v->name || !v->value) {
			variable_free(v);
			return false;
		}
		v->name_len = variable.name.len;
		v->value_len = variable.value.len;
		*at = v;
		one->count++;
		return true;
	}
	value = mem_strdup(variable.value);
	if (!value)
		return false;
	mem_free((*at)->value);
	(*at)->value = value;
	(*at)->value_len = variable.value.len;
	return true;
}

/* Under the lock; NULL when there is no memory for it. */
static struct collection *use(struct waf_collections *c, enum collection_kind kind,
			      struct span key, uint32_t timeout_s, int64_t now_ms)
{
	struct collection *one = find_or_add(c, kind, key);

	if (!one)
		return NULL;
	one->expires_ms = now_ms + (int64_t)timeout_s * 1000;
	list_remove(&one->used);
	list_push_back(&c->used, &one->used);
	return one;
}

void collection_set(struct waf_collections *c, enum collection_kind kind, struct span key,
		    struct collection_variable variable, uint32_t timeout_s, int64_t now_ms)
{
	struct collection *one;

	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	one = use(c, kind, key, timeout_s, now_ms);
	if (one)
		(void)set_locked(one, variable);
	pthread_mutex_unlock(&c->lock);
}

static bool add_locked(struct collection *one, struct span name, int64_t change, int64_t *sum)
{
	const struct variable *now = *find_variable(one, name);
	int64_t value = now ? operator_to_int(span_of(now->value, now->value_len)) : 0;
	char text[24];
	int len;

	*sum = (int64_t)(int32_t)(uint32_t)(uint64_t)(value + change);
	len = snprintf(text, sizeof(text), "%lld", (long long)*sum);
	return set_locked(one, (struct collection_variable){name, span_of(text, (size_t)len)});
}

bool collection_add(struct waf_collections *c, enum collection_kind kind, struct span key,
		    struct span name, int64_t change, uint32_t timeout_s, int64_t now_ms,
		    int64_t *sum)
{
	struct collection *one;
	bool kept;

	if (!c)
		return false;
	pthread_mutex_lock(&c->lock);
	one = find(c, kind, key);
	if (one && one->expires_ms <= now_ms)
		collection_drop(c, one);
	one = use(c, kind, key, timeout_s, now_ms);
	if (one)
		remove_expired(one, now_ms);
	kept = one && add_locked(one, name, change, sum);
	pthread_mutex_unlock(&c->lock);
	return kept;
}

void collection_remove(struct waf_collections *c, enum collection_kind kind, struct span key,
		       struct span name)
{
	struct collection *one;

	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	one = find(c, kind, key);
	if (one) {
		struct variable **at = find_variable(one, name);
		struct variable *v = *at;

		if (v) {
			*at = v->next;
			one->count--;
			variable_free(v);
		}
	}
	pthread_mutex_unlock(&c->lock);
}

void collection_expire(struct waf_collections *c, enum collection_kind kind, struct span key,
		       struct span name, int64_t at_ms)
{
	struct collection *one;

	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	one = find(c, kind, key);
	if (one) {
		struct variable *v = *find_variable(one, name);

		if (v)
			v->expires_ms = at_ms;
	}
	pthread_mutex_unlock(&c->lock);
}

int collection_kind_of(struct span name)
{
	static const struct span names[COLLECTION_KINDS] = {
		[COLLECTION_IP] = SPAN_INIT("IP"),
		[COLLECTION_SESSION] = SPAN_INIT("SESSION"),
		[COLLECTION_USER] = SPAN_INIT("USER"),
		[COLLECTION_GLOBAL] = SPAN_INIT("GLOBAL"),
		[COLLECTION_RESOURCE] = SPAN_INIT("RESOURCE"),
	};

	for (int i = 0; i < COLLECTION_KINDS; i++)
		if (span_eq_nocase(name, names[i]))
			return i;
	return -1;
}
