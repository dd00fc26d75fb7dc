/*
 * redis.c - Redis by hiredis. Each operation is one script, which Redis runs as one step.
 *
 * Keys, all in one hash slot:
 *   {sallyport}:r:KIND:KEY       hash: v value, n version, e expiry, i indexes (msgpack)
 *   {sallyport}:k:KIND           sorted set of the kind's keys, all with score 0: by their bytes
 *   {sallyport}:x:KIND:NAME      the same of VALUE NUL KEY
 *   {sallyport}:e                sorted set of KIND NUL KEY by expiry, for the sweep
 *   {sallyport}:c:KEY            counter
 */
#include <hiredis/hiredis.h>
#include <stdarg.h>

#include "base/buf.h"
#include "base/mem.h"
#include "store/backend.h"

#define PREFIX "{sallyport}:"
#define ARGUMENTS_MAX (4 + STORE_CHANGES_MAX * (9 + 2 * STORE_INDEXES_MAX))
#define NUMBER_SIZE 24

/* Takes a record out of all sets: `forget(kind, key)`. */
#define LUA_FORGET                                                                             \
	"local function forget(kind,key)\n"                                                    \
	" local id=P..'r:'..kind..':'..key\n"                                                  \
	" local i=redis.call('HGET',id,'i')\n"                                                 \
	" if i then for _,x in ipairs(cmsgpack.unpack(i)) do\n"                                \
	"  redis.call('ZREM',P..'x:'..kind..':'..x[1],x[2]..'\\0'..key) end end\n"             \
	" redis.call('ZREM',P..'k:'..kind,key)\n"                                              \
	" redis.call('ZREM',P..'e',kind..'\\0'..key)\n"                                        \
	" redis.call('DEL',id)\n"                                                              \
	"end\n"
#define LUA_START "local P=KEYS[1]\nlocal now=tonumber(ARGV[1])\n"

static const char lua_commit[] = LUA_START LUA_FORGET
	"local a=3\n"
	"local list={}\n"
	"for i=1,tonumber(ARGV[2]) do\n"
	" local c={kind=ARGV[a],key=ARGV[a+1],remove=ARGV[a+4],value=ARGV[a+5],\n"
	"  new=ARGV[a+6],expires=ARGV[a+7],x={}}\n"
	" local expect,version=ARGV[a+2],ARGV[a+3]\n"
	" local nx=tonumber(ARGV[a+8])\n"
	" a=a+9\n"
	" for j=1,nx do c.x[j]={ARGV[a],ARGV[a+1]}; a=a+2 end\n"
	" c.id=P..'r:'..c.kind..':'..c.key\n"
	" local have=redis.call('HMGET',c.id,'n','e')\n"
	" local live=have[1] and (have[2]=='0' or tonumber(have[2])>now)\n"
	" if expect=='1' and live then return 0 end\n"
	" if expect=='2' and not (live and have[1]==version) then return 0 end\n"
	" list[i]=c\n"
	"end\n"
	"for _,c in ipairs(list) do\n"
	" forget(c.kind,c.key)\n"
	" if c.remove=='0' then\n"
	"  redis.call('HSET',c.id,'v',c.value,'n',c.new,'e',c.expires,'i',cmsgpack.pack(c.x))\n"
	"  redis.call('ZADD',P..'k:'..c.kind,0,c.key)\n"
	"  for _,x in ipairs(c.x) do\n"
	"   redis.call('ZADD',P..'x:'..c.kind..':'..x[1],0,x[2]..'\\0'..c.key)\n"
	"  end\n"
	"  if c.expires~='0' then redis.call('ZADD',P..'e',c.expires,c.kind..'\\0'..c.key) "
	"end\n"
	" end\n"
	"end\n"
	"return 1\n";

/* ARGV: now, kind, set, least, most, bytes before the key in a member, limit. */
static const char lua_range[] =
	LUA_START "local out={}\n"
		  "local min,limit,skip=ARGV[4],tonumber(ARGV[7]),tonumber(ARGV[6])\n"
		  "while true do\n"
		  " local got=redis.call('ZRANGEBYLEX',ARGV[3],min,ARGV[5],'LIMIT',0,limit)\n"
		  " for _,m in ipairs(got) do\n"
		  "  local key=string.sub(m,skip+1)\n"
		  "  local r=redis.call('HMGET',P..'r:'..ARGV[2]..':'..key,'v','n','e')\n"
		  "  if r[1] and (r[3]=='0' or tonumber(r[3])>now) then\n"
		  "   out[#out+1]=key; out[#out+1]=r[1]; out[#out+1]=r[2]; out[#out+1]=r[3]\n"
		  "   if #out>=4*limit then return out end\n"
		  "  end\n"
		  "  min='('..m\n"
		  " end\n"
		  " if #got<limit then return out end\n"
		  "end\n";

/* ARGV: now, by, ttl, sliding. */
static const char lua_count[] = "local id=KEYS[1]\n"
				"local by=tonumber(ARGV[2])\n"
				"if by~=0 then\n"
				" redis.call('INCRBY',id,ARGV[2])\n"
				" if ARGV[4]=='1' or redis.call('PTTL',id)<0 then\n"
				"  redis.call('PEXPIRE',id,ARGV[3]) end\n"
				"end\n"
				"local v=redis.call('GET',id)\n"
				"if not v then return {'0','0'} end\n"
				"return {v,tostring(redis.call('PTTL',id))}\n";

/* ARGV: now, limit. */
static const char lua_sweep[] = LUA_START LUA_FORGET
	"local old=redis.call('ZRANGEBYSCORE',P..'e','-inf',ARGV[1],'LIMIT',0,ARGV[2])\n"
	"for _,m in ipairs(old) do\n"
	" local cut=string.find(m,'\\0',1,true)\n"
	" forget(string.sub(m,1,cut-1),string.sub(m,cut+1))\n"
	"end\n"
	"return #old\n";

struct redis {
	struct store_connection base; /* first */
	redisContext *context;
};

static struct redis *redis_of(struct store_connection *connection)
{
	return CONTAINER_OF(connection, struct redis, base);
}

/* --- talking --- */

struct arguments {
	const char *at[ARGUMENTS_MAX];
	size_t lengths[ARGUMENTS_MAX];
	int count;
	struct buf numbers; /* reserved beforehand: pointers into it stay */
};

static void add(struct arguments *args, struct span s)
{
	args->at[args->count] = s.len ? s.ptr : "";
	args->lengths[args->count++] = s.len;
}

static void add_number(struct arguments *args, int64_t number)
{
	size_t from = args->numbers.len;

	buf_append_i64(&args->numbers, number);
	add(args, span_slice(buf_span(&args->numbers), from, args->numbers.len));
}

static int begin(struct arguments *args, const char *script, struct span key)
{
	args->count = 0;
	buf_init(&args->numbers, (size_t)ARGUMENTS_MAX * NUMBER_SIZE);
	if (buf_reserve(&args->numbers, (size_t)ARGUMENTS_MAX * NUMBER_SIZE) < 0)
		return -1;
	add(args, SPAN("EVAL"));
	add(args, span_cstr(script));
	add(args, SPAN("1"));
	add(args, key);
	return 0;
}

static enum store_result out_of_memory(struct err *err)
{
	(void)err_set(err, ERR_MEMORY, "store: out of memory");
	return STORE_FAILED;
}

/* What Redis says about an error may hold what it was sent: only its first word is told. */
static redisReply *talk(struct redis *r, struct arguments *args, int type, struct err *err)
{
	redisReply *reply = redisCommandArgv(r->context, args->count, args->at, args->lengths);
	struct span word;

	if (!reply) {
		r->base.broken = true;
		(void)err_set(err, ERR_UNAVAILABLE, "store: Redis: %s", r->context->errstr);
		return NULL;
	}
	if (reply->type == type)
		return reply;
	word = span_of(reply->str, reply->type == REDIS_REPLY_ERROR ? reply->len : 0);
	(void)err_set(err, ERR_UNAVAILABLE, "store: Redis answers with an error (%.*s)",
		      SPAN_ARG(span_slice(word, 0, span_find_byte(word, ' '))));
	freeReplyObject(reply);
	return NULL;
}

static struct span text_of(const redisReply *reply)
{
	return reply->type == REDIS_REPLY_STRING ? span_of(reply->str, reply->len) : SPAN_NONE;
}

static int64_t number_of(const redisReply *reply)
{
	int64_t number = 0;

	(void)span_to_i64(text_of(reply), &number);
	return number;
}

/* --- records --- */

static int keep(struct arena *arena, struct span *to, const redisReply *from)
{
	*to = arena_dup(arena, text_of(from));
	return to->ptr ? 0 : -1;
}

static enum store_result redis_get(struct store_connection *connection, struct span kind,
				   struct span key, int64_t now_ms, struct arena *arena,
				   struct store_record *record, struct err *err)
{
	struct redis *r = redis_of(connection);
	struct span id =
		arena_printf(arena, PREFIX "r:%.*s:%.*s", SPAN_ARG(kind), SPAN_ARG(key));
	struct arguments args = {.count = 0};
	enum store_result result = STORE_OK;
	redisReply *reply;

	if (!id.ptr)
		return out_of_memory(err);
	add(&args, SPAN("HMGET"));
	add(&args, id);
	add(&args, SPAN("v"));
	add(&args, SPAN("n"));
	add(&args, SPAN("e"));
	reply = talk(r, &args, REDIS_REPLY_ARRAY, err);
	if (!reply)
		return STORE_FAILED;
	if (reply->elements != 3 || reply->element[0]->type != REDIS_REPLY_STRING) {
		result = STORE_ABSENT;
	} else {
		record->version = (uint64_t)number_of(reply->element[1]);
		record->expires_unix_ms = number_of(reply->element[2]);
		if (record->expires_unix_ms && record->expires_unix_ms <= now_ms)
			result = STORE_ABSENT;
		else if (keep(arena, &record->value, reply->element[0]) < 0)
			result = out_of_memory(err);
	}
	freeReplyObject(reply);
	return result;
}

static void add_change(struct arguments *args, const struct store_change *change,
		       uint64_t version)
{
	add(args, change->kind);
	add(args, change->key);
	add_number(args, (int64_t)change->expect);
	add_number(args, (int64_t)change->version);
	add_number(args, change->remove);
	add(args, change->value);
	add_number(args, (int64_t)version);
	add_number(args, change->expires_unix_ms);
	add_number(args, (int64_t)change->index_count);
	for (size_t i = 0; i < change->index_count; i++) {
		add(args, change->indexes[i].name);
		add(args, change->indexes[i].value);
	}
}

static enum store_result redis_commit(struct store_connection *connection,
				      const struct store_change *changes,
				      const uint64_t *versions, size_t count, int64_t now_ms,
				      struct err *err)
{
	struct arguments *args = mem_alloc(sizeof(*args));
	enum store_result result = STORE_FAILED;
	redisReply *reply;

	if (!args || begin(args, lua_commit, SPAN(PREFIX)) < 0) {
		mem_free(args);
		return out_of_memory(err);
	}
	add_number(args, now_ms);
	add_number(args, (int64_t)count);
	for (size_t i = 0; i < count; i++)
		add_change(args, &changes[i], versions[i]);
	reply = talk(redis_of(connection), args, REDIS_REPLY_INTEGER, err);
	if (reply) {
		result = reply->integer ? STORE_OK : STORE_CONFLICT;
		freeReplyObject(reply);
	}
	buf_release(&args->numbers);
	mem_free(args);
	return result;
}

/* The sorted set that the range is in, its bounds, and how many bytes stand before keys. */
struct bounds {
	struct buf set, least, most;
	size_t skip;
};

static void bounds_release(struct bounds *b)
{
	buf_release(&b->set);
	buf_release(&b->least);
	buf_release(&b->most);
}

static int bounds_make(struct bounds *b, const struct store_range *range)
{
	buf_init(&b->set, 1024);
	buf_init(&b->least, 2048);
	buf_init(&b->most, 2048);
	b->skip = 0;
	buf_printf(&b->set, PREFIX "%c:%.*s", range->index ? 'x' : 'k', SPAN_ARG(range->kind));
	buf_append_byte(&b->least, range->after.len ? '(' : '[');
	buf_append_byte(&b->most, '(');
	if (range->index) {
		buf_append_byte(&b->set, ':');
		buf_append(&b->set, range->index->name);
		buf_append(&b->least, range->index->value);
		buf_append_byte(&b->least, '\0');
		buf_append(&b->most, range->index->value);
		buf_append_byte(&b->most, '\0');
		b->skip = range->index->value.len + 1;
	}
	/* A page starts after the last key, or where the prefix does, whichever is later. */
	if (range->after.len && span_compare(range->after, range->prefix) >= 0) {
		buf_append(&b->least, range->after);
	} else {
		if (b->least.ptr)
			b->least.ptr[0] = '[';
		buf_append(&b->least, range->prefix);
	}
	buf_append(&b->most, range->prefix);
	buf_append_byte(&b->most, (char)0xff);
	return buf_failed(&b->set) || buf_failed(&b->least) || buf_failed(&b->most) ? -1 : 0;
}

static int read_page(const redisReply *reply, struct arena *arena, struct store_page *page)
{
	page->count = 0;
	page->records = arena_array(arena, struct store_record, reply->elements / 4 + 1);
	if (!page->records)
		return -1;
	for (size_t i = 0; i + 4 <= reply->elements; i += 4) {
		struct store_record *record = &page->records[page->count++];

		if (keep(arena, &record->key, reply->element[i]) < 0 ||
		    keep(arena, &record->value, reply->element[i + 1]) < 0)
			return -1;
		record->version = (uint64_t)number_of(reply->element[i + 2]);
		record->expires_unix_ms = number_of(reply->element[i + 3]);
	}
	return 0;
}

static enum store_result redis_range(struct store_connection *connection,
				     const struct store_range *range, int64_t now_ms,
				     struct arena *arena, struct store_page *page,
				     struct err *err)
{
	struct arguments *args = mem_alloc(sizeof(*args));
	enum store_result result = STORE_FAILED;
	struct bounds bounds;
	redisReply *reply = NULL;

	if (!args || begin(args, lua_range, SPAN(PREFIX)) < 0) {
		mem_free(args);
		return out_of_memory(err);
	}
	if (bounds_make(&bounds, range) < 0) {
		result = out_of_memory(err);
		goto out;
	}
	add_number(args, now_ms);
	add(args, range->kind);
	add(args, buf_span(&bounds.set));
	add(args, buf_span(&bounds.least));
	add(args, buf_span(&bounds.most));
	add_number(args, (int64_t)bounds.skip);
	add_number(args, (int64_t)range->limit);
	reply = talk(redis_of(connection), args, REDIS_REPLY_ARRAY, err);
	if (reply)
		result = read_page(reply, arena, page) < 0 ? out_of_memory(err) : STORE_OK;
	freeReplyObject(reply);
out:
	bounds_release(&bounds);
	buf_release(&args->numbers);
	mem_free(args);
	return result;
}

/* --- counters --- */

static enum store_result redis_count(struct store_connection *connection, struct span key,
				     int64_t by, int64_t ttl_ms, enum store_count_life life,
				     int64_t now_ms, struct store_counter *counter,
				     struct err *err)
{
	struct arguments *args = mem_alloc(sizeof(*args));
	char id[STORE_KEY_BYTES_MAX + 32];
	int len = snprintf(id, sizeof(id), PREFIX "c:%.*s", SPAN_ARG(key));
	enum store_result result = STORE_FAILED;
	redisReply *reply;

	if (!args || begin(args, lua_count, span_of(id, (size_t)len)) < 0) {
		mem_free(args);
		return out_of_memory(err);
	}
	add_number(args, now_ms);
	add_number(args, by);
	add_number(args, ttl_ms);
	add_number(args, life == STORE_COUNT_SLIDING);
	reply = talk(redis_of(connection), args, REDIS_REPLY_ARRAY, err);
	if (reply && reply->elements == 2) {
		counter->value = number_of(reply->element[0]);
		counter->expires_unix_ms =
			counter->value ? now_ms + number_of(reply->element[1]) : 0;
		result = STORE_OK;
	}
	freeReplyObject(reply);
	buf_release(&args->numbers);
	mem_free(args);
	return result;
}

static enum store_result redis_count_clear(struct store_connection *connection, struct span key,
					   struct err *err)
{
	char id[STORE_KEY_BYTES_MAX + 32];
	int len = snprintf(id, sizeof(id), PREFIX "c:%.*s", SPAN_ARG(key));
	struct arguments args = {.count = 0};
	redisReply *reply;

	add(&args, SPAN("DEL"));
	add(&args, span_of(id, (size_t)len));
	reply = talk(redis_of(connection), &args, REDIS_REPLY_INTEGER, err);
	freeReplyObject(reply);
	return reply ? STORE_OK : STORE_FAILED;
}

static enum store_result redis_sweep(struct store_connection *connection, size_t limit,
				     int64_t now_ms, size_t *removed, struct err *err)
{
	struct arguments *args = mem_alloc(sizeof(*args));
	enum store_result result = STORE_FAILED;
	redisReply *reply;

	if (!args || begin(args, lua_sweep, SPAN(PREFIX)) < 0) {
		mem_free(args);
		return out_of_memory(err);
	}
	add_number(args, now_ms);
	add_number(args, (int64_t)limit);
	reply = talk(redis_of(connection), args, REDIS_REPLY_INTEGER, err);
	if (reply) {
		*removed = (size_t)reply->integer;
		result = STORE_OK;
		freeReplyObject(reply);
	}
	buf_release(&args->numbers);
	mem_free(args);
	return result;
}

/* --- connecting --- */

/* redis://[user:password@]host[:port][/db], or redis:///path of a socket. */
struct place {
	struct span user, password;
	char host[256];
	unsigned port;
	struct span database;
	const char *path; /* NULL: TCP */
};

static int place_parse(struct place *place, struct span url)
{
	struct span rest = span_slice(url, SPAN("redis://").len, url.len);
	struct span authority;
	uint64_t port = 6379;
	size_t at, colon;

	*place = (struct place){.path = NULL};
	if (rest.len && rest.ptr[0] == '/') {
		place->path = rest.ptr;
		return 0;
	}
	authority = span_cut(&rest, '/');
	place->database = rest;
	at = span_find_byte(authority, '@');
	if (at < authority.len) {
		place->password = span_slice(authority, 0, at);
		authority = span_slice(authority, at + 1, authority.len);
		place->user = span_cut(&place->password, ':');
		if (!place->password.ptr) {
			place->password = place->user;
			place->user = SPAN_NONE;
		}
	}
	colon = span_find_byte(authority, ':');
	if (colon < authority.len &&
	    (!span_to_u64(span_slice(authority, colon + 1, authority.len), &port) ||
	     port > 65535))
		return -1;
	authority.len = colon;
	if (!authority.len || authority.len >= sizeof(place->host))
		return -1;
	memcpy(place->host, authority.ptr, authority.len);
	place->port = (unsigned)port;
	return 0;
}

/* Sends a command that is answered with a status, and empties the arguments. */
static int command(struct redis *r, struct arguments *args, struct err *err)
{
	redisReply *reply = talk(r, args, REDIS_REPLY_STATUS, err);

	args->count = 0;
	if (!reply)
		return -1;
	freeReplyObject(reply);
	return 0;
}

static int say_hello(struct redis *r, const struct place *place, struct err *err)
{
	struct arguments args = {.count = 0};

	if (place->password.len) {
		add(&args, SPAN("AUTH"));
		if (place->user.len)
			add(&args, place->user);
		add(&args, place->password);
		if (command(r, &args, err) < 0)
			return -1;
	}
	add(&args, SPAN("SELECT"));
	add(&args, place->database.len ? place->database : SPAN("0"));
	return command(r, &args, err);
}

/* A server that is still reading its data takes connections and SELECT, but answers PING so. */
static int ask_whether_loaded(struct redis *r, struct err *err)
{
	struct arguments args = {.count = 0};

	add(&args, SPAN("PING"));
	return command(r, &args, err);
}

static void redis_close(struct store_connection *connection)
{
	struct redis *r = redis_of(connection);

	if (r->context)
		redisFree(r->context);
	mem_free(r);
}

static struct store_connection *redis_connect(const struct store_target *target, bool first,
					      struct err *err)
{
	struct timeval timeout = {.tv_sec = target->timeout_ms / 1000,
				  .tv_usec = target->timeout_ms % 1000 * 1000};
	struct redis *r = mem_zalloc(1, sizeof(*r));
	struct place place;

	if (!r) {
		(void)out_of_memory(err);
		return NULL;
	}
	r->base.backend = &store_redis;
	if (place_parse(&place, target->url) < 0) {
		(void)err_set(err, ERR_INVALID, "store: not redis://host[:port][/db]");
		goto fail;
	}
	r->context = place.path ? redisConnectUnixWithTimeout(place.path, timeout)
				: redisConnectWithTimeout(place.host, (int)place.port, timeout);
	if (!r->context || r->context->err) {
		(void)err_set(err, ERR_UNAVAILABLE, "store: Redis: %s",
			      r->context ? r->context->errstr : "out of memory");
		goto fail;
	}
	if (redisSetTimeout(r->context, timeout) != REDIS_OK) {
		(void)err_set(err, ERR_UNAVAILABLE, "store: Redis: %s", r->context->errstr);
		goto fail;
	}
	if (say_hello(r, &place, err) == 0 && (!first || ask_whether_loaded(r, err) == 0))
		return &r->base;
fail:
	redis_close(&r->base);
	return NULL;
}

const struct store_backend store_redis = {
	.connect = redis_connect,
	.close = redis_close,
	.get = redis_get,
	.commit = redis_commit,
	.range = redis_range,
	.count = redis_count,
	.count_clear = redis_count_clear,
	.sweep = redis_sweep,
};
