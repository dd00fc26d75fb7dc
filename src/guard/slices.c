#include "guard/slices.h"

#include "base/arena.h"
#include "base/list.h"
#include "base/mem.h"
#include "parse/address.h"
#include "parse/json.h"

/* Trees take several times the bytes of their text. */
#define TREE_BYTES_MAX (SLICES_LIST_MAX * 8)
#define TREE_CHUNK ((size_t)64 << 10)
#define SLICE_BYTES_MAX ((size_t)4 << 20)
#define VERSION_MAX 128
#define CONTINUE_MAX 4096
#define SLICES_MAX 10000

enum family { FAMILY_IPV4, FAMILY_IPV6, FAMILY_NAME, FAMILY_COUNT };

enum condition { CONDITION_READY, CONDITION_ENDING, CONDITION_NONE };

struct target {
	struct span host;
	enum condition condition;
};

struct slice {
	struct list node;
	struct arena arena;
	struct span name;
	uint32_t round; /* of the list that it was in last */
	enum family family;
	uint16_t port; /* 0: it has none of those that are wanted */
	struct target *targets;
	size_t count;
};

struct slices {
	const struct config_discover *config;
	struct list all;
	size_t count;
	uint32_t round;
	char version[VERSION_MAX + 1];
	struct buf more;
	char server_name[160];
};

/* --- life --- */

struct slices *slices_new(const struct config_discover *config, struct err *err)
{
	const struct config_kubernetes *kubernetes = config->kubernetes;
	struct slices *slices = mem_zalloc(1, sizeof(*slices));

	if (!slices) {
		err_set(err, ERR_MEMORY, "no memory for endpoint slices");
		return NULL;
	}
	slices->config = config;
	list_init(&slices->all);
	buf_init(&slices->more, CONTINUE_MAX);
	snprintf(slices->server_name, sizeof(slices->server_name), "%.*s.%.*s.svc",
		 SPAN_ARG(kubernetes->service), SPAN_ARG(kubernetes->namespace_name));
	return slices;
}

static void free_slice(struct slices *slices, struct slice *slice)
{
	list_remove(&slice->node);
	slices->count--;
	arena_release(&slice->arena);
	mem_free(slice);
}

void slices_free(struct slices *slices)
{
	if (!slices)
		return;
	while (!list_empty(&slices->all))
		free_slice(slices, list_entry(slices->all.next, struct slice, node));
	buf_release(&slices->more);
	mem_free(slices);
}

struct span slices_version(const struct slices *slices)
{
	return span_cstr(slices->version);
}

static struct slice *find(const struct slices *slices, struct span name)
{
	list_for_each (node, &slices->all) {
		struct slice *slice = list_entry(node, struct slice, node);

		if (span_eq(slice->name, name))
			return slice;
	}
	return NULL;
}

/* --- one slice --- */

static int out_of_memory(struct err *err)
{
	return err_set(err, ERR_MEMORY, "no memory for endpoint slices");
}

static bool family_of(const struct json *type, enum family *family)
{
	if (json_is(type, SPAN("IPv4")))
		*family = FAMILY_IPV4;
	else if (json_is(type, SPAN("IPv6")))
		*family = FAMILY_IPV6;
	else if (json_is(type, SPAN("FQDN")))
		*family = FAMILY_NAME;
	else
		return false;
	return true;
}

static bool is_wanted(const struct json *port, struct span wanted, int64_t number)
{
	struct span name = SPAN_NONE;
	uint64_t wanted_number;

	(void)json_string(json_get(port, SPAN("name")), &name);
	if (span_eq(name, wanted))
		return true;
	return span_to_u64(wanted, &wanted_number) && wanted_number == (uint64_t)number;
}

/* 0 when there is none, or more than one and nothing says which. */
static uint16_t choose_port(const struct json *ports, struct span wanted)
{
	uint16_t chosen = 0;
	size_t usable = 0;
	const struct json *port;

	for (size_t i = 0; (port = json_at(ports, i)) != NULL; i++) {
		const struct json *protocol = json_get(port, SPAN("protocol"));
		int64_t number = 0;

		if (protocol && protocol->type == JSON_STRING &&
		    !json_is(protocol, SPAN("TCP")))
			continue;
		if (!json_int(json_get(port, SPAN("port")), &number) || number < 1 ||
		    number > UINT16_MAX)
			continue;
		if (wanted.len && !is_wanted(port, wanted, number))
			continue;
		usable++;
		chosen = (uint16_t)number;
	}
	return usable == 1 ? chosen : 0;
}

/* What is not said counts as said by the API: ready, serving, and not terminating. */
static enum condition condition_of(const struct json *conditions)
{
	bool ready = true, serving, terminating = false;

	(void)json_bool(json_get(conditions, SPAN("ready")), &ready);
	serving = ready;
	(void)json_bool(json_get(conditions, SPAN("serving")), &serving);
	(void)json_bool(json_get(conditions, SPAN("terminating")), &terminating);
	if (ready)
		return CONDITION_READY;
	return serving && terminating ? CONDITION_ENDING : CONDITION_NONE;
}

static bool is_host(struct span host, enum family family)
{
	struct address address;

	if (family != FAMILY_NAME)
		return address_parse(host, &address) &&
		       address_is_ipv4(&address) == (family == FAMILY_IPV4);
	if (host.len == 0 || host.len > 253)
		return false;
	for (size_t i = 0; i < host.len; i++) {
		char c = ascii_lower(host.ptr[i]);

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.'))
			return false;
	}
	return true;
}

static int take_targets(struct slice *slice, const struct json *endpoints, struct err *err)
{
	const struct json *endpoint;
	size_t count = 0;

	while (json_at(endpoints, count))
		count++;
	slice->targets = arena_array(&slice->arena, struct target, count + 1);
	if (!slice->targets)
		return out_of_memory(err);
	for (size_t i = 0; (endpoint = json_at(endpoints, i)) != NULL; i++) {
		struct target *target = &slice->targets[slice->count];
		struct span host;

		/* Of several addresses consumers take the first. */
		if (!json_string(json_at(json_get(endpoint, SPAN("addresses")), 0), &host) ||
		    !is_host(host, slice->family))
			continue;
		target->condition = condition_of(json_get(endpoint, SPAN("conditions")));
		if (target->condition == CONDITION_NONE)
			continue;
		target->host = arena_dup(&slice->arena, host);
		if (!target->host.ptr)
			return out_of_memory(err);
		slice->count++;
	}
	return 0;
}

static int fill(const struct slices *slices, struct slice *slice, struct span name,
		const struct json *object, struct err *err)
{
	slice->name = arena_dup(&slice->arena, name);
	if (!slice->name.ptr)
		return out_of_memory(err);
	/* Of a type that is not known: it is there, and of no use. */
	if (!family_of(json_get(object, SPAN("addressType")), &slice->family))
		return 0;
	slice->port =
		choose_port(json_get(object, SPAN("ports")), slices->config->kubernetes->port);
	return take_targets(slice, json_get(object, SPAN("endpoints")), err);
}

/* Puts a slice in the place of the one of the same name. */
static int put_slice(struct slices *slices, struct span name, const struct json *object,
		     struct err *err)
{
	struct slice *before = find(slices, name);
	struct slice *slice;

	if (!before && slices->count == SLICES_MAX)
		return err_set(err, ERR_LIMIT, "more than %d endpoint slices", SLICES_MAX);
	slice = mem_zalloc(1, sizeof(*slice));
	if (!slice)
		return out_of_memory(err);
	arena_init(&slice->arena, SLICE_BYTES_MAX, 4096);
	list_push_back(&slices->all, &slice->node);
	slices->count++;
	slice->round = slices->round;
	if (fill(slices, slice, name, object, err) < 0) {
		free_slice(slices, slice);
		return -1;
	}
	if (before)
		free_slice(slices, before);
	return 0;
}

static bool name_of(const struct json *object, struct span *name)
{
	return json_string(json_pointer(object, SPAN("/metadata/name")), name) && name->len;
}

/* --- versions --- */

/* Opaque to us, and put into URLs: digits in practice. */
static bool is_version(struct span version)
{
	if (version.len == 0 || version.len > VERSION_MAX)
		return false;
	for (size_t i = 0; i < version.len; i++) {
		char c = ascii_lower(version.ptr[i]);

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
		      c == '.' || c == '_'))
			return false;
	}
	return true;
}

static bool take_version(struct slices *slices, const struct json *object)
{
	struct span version;

	if (!json_string(json_pointer(object, SPAN("/metadata/resourceVersion")), &version) ||
	    !is_version(version))
		return false;
	memcpy(slices->version, version.ptr, version.len);
	slices->version[version.len] = '\0';
	return true;
}

/* --- lists --- */

void slices_begin_list(struct slices *slices)
{
	slices->round++;
	buf_clear(&slices->more);
}

static void end_list(struct slices *slices)
{
	list_for_each (node, &slices->all) {
		struct slice *slice = list_entry(node, struct slice, node);

		if (slice->round != slices->round)
			free_slice(slices, slice);
	}
}

static int take_items(struct slices *slices, const struct json *items, struct err *err)
{
	const struct json *item;
	struct span name;

	for (size_t i = 0; (item = json_at(items, i)) != NULL; i++) {
		if (!name_of(item, &name))
			return err_set(err, ERR_SYNTAX, "a slice without a name");
		if (put_slice(slices, name, item, err) < 0)
			return -1;
	}
	return 0;
}

static int take_list(struct slices *slices, const struct json *list, struct span *more,
		     struct err *err)
{
	const struct json *items = json_get(list, SPAN("items"));
	struct span next = SPAN_NONE;

	if (!json_is(json_get(list, SPAN("kind")), SPAN("EndpointSliceList")))
		return err_set(err, ERR_SYNTAX, "not a list of endpoint slices");
	if (take_items(slices, items, err) < 0)
		return -1;
	(void)json_string(json_pointer(list, SPAN("/metadata/continue")), &next);
	buf_clear(&slices->more);
	if (next.len) {
		if (buf_append(&slices->more, next) < 0)
			return err_set(err, ERR_LIMIT, "'continue' is too long");
		*more = buf_span(&slices->more);
		return 0;
	}
	if (!take_version(slices, list))
		return err_set(err, ERR_SYNTAX, "the list has no usable resourceVersion");
	end_list(slices);
	return 0;
}

int slices_take_page(struct slices *slices, struct span json, struct span *more,
		     struct err *err)
{
	const struct json *list;
	struct arena arena;
	int result = -1;

	*more = SPAN_NONE;
	arena_init(&arena, TREE_BYTES_MAX, TREE_CHUNK);
	list = json_parse(&arena, json, NULL, err);
	if (list)
		result = take_list(slices, list, more, err);
	arena_release(&arena);
	return result;
}

/* --- events --- */

static enum slices_event take_status(const struct json *status, struct err *err)
{
	struct span message = SPAN_NONE;
	int64_t code = 0;

	(void)json_int(json_get(status, SPAN("code")), &code);
	(void)json_string(json_get(status, SPAN("message")), &message);
	if (code == 410)
		return SLICES_EXPIRED;
	if (message.len > 160)
		message.len = 160;
	err_set(err, ERR_UNAVAILABLE, "the watch was ended with %lld: %.*s", (long long)code,
		SPAN_ARG(message));
	return SLICES_FAILED;
}

static enum slices_event take_change(struct slices *slices, const struct json *type,
				     const struct json *object, struct err *err)
{
	struct slice *slice;
	struct span name;

	if (json_is(type, SPAN("ERROR")))
		return take_status(object, err);
	if (!take_version(slices, object)) {
		err_set(err, ERR_SYNTAX, "an event without a usable resourceVersion");
		return SLICES_FAILED;
	}
	if (json_is(type, SPAN("BOOKMARK")))
		return SLICES_BOOKMARK;
	if (!name_of(object, &name)) {
		err_set(err, ERR_SYNTAX, "an event about a slice without a name");
		return SLICES_FAILED;
	}
	if (json_is(type, SPAN("DELETED"))) {
		slice = find(slices, name);
		if (slice)
			free_slice(slices, slice);
		return SLICES_CHANGED;
	}
	if (!json_is(type, SPAN("ADDED")) && !json_is(type, SPAN("MODIFIED"))) {
		err_set(err, ERR_SYNTAX, "an event of an unknown type");
		return SLICES_FAILED;
	}
	if (put_slice(slices, name, object, err) < 0)
		return SLICES_FAILED;
	return SLICES_CHANGED;
}

enum slices_event slices_take_event(struct slices *slices, struct span json, struct err *err)
{
	enum slices_event event = SLICES_FAILED;
	const struct json *change;
	struct arena arena;

	arena_init(&arena, SLICES_EVENT_MAX * 8, TREE_CHUNK);
	change = json_parse(&arena, json, NULL, err);
	if (change)
		event = take_change(slices, json_get(change, SPAN("type")),
				    json_get(change, SPAN("object")), err);
	arena_release(&arena);
	return event;
}

/* --- endpoints --- */

static bool has(const struct slices *slices, enum family family, enum condition condition)
{
	list_for_each (node, &slices->all) {
		const struct slice *slice = list_entry(node, struct slice, node);

		if (slice->family != family || !slice->port)
			continue;
		for (size_t i = 0; i < slice->count; i++)
			if (slice->targets[i].condition == condition)
				return true;
	}
	return false;
}

static int add_all(const struct slices *slices, enum family family, enum condition condition,
		   struct endpoint_list *list, struct err *err)
{
	struct endpoint_found found = {.scheme = slices->config->scheme};

	if (found.scheme == CONFIG_SCHEME_HTTPS)
		found.server_name = span_cstr(slices->server_name);
	list_for_each (node, &slices->all) {
		const struct slice *slice = list_entry(node, struct slice, node);

		if (slice->family != family || !slice->port)
			continue;
		for (size_t i = 0; i < slice->count; i++) {
			if (slice->targets[i].condition != condition)
				continue;
			found.host = slice->targets[i].host;
			found.port = slice->port;
			if (endpoint_list_add(list, &found, err) < 0)
				return -1;
		}
	}
	return 0;
}

int slices_endpoints(const struct slices *slices, struct endpoint_list *list, struct err *err)
{
	for (int condition = CONDITION_READY; condition <= CONDITION_ENDING; condition++)
		for (int family = 0; family < FAMILY_COUNT; family++)
			if (has(slices, (enum family)family, (enum condition)condition))
				return add_all(slices, (enum family)family,
					       (enum condition)condition, list, err);
	return 0;
}
