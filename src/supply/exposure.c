#include "supply/exposure.h"

#include "config/config.h"
#include "parse/json.h"
#include "supply/db_download.h"

#define DOCUMENT_BYTES_MAX ((size_t)16 << 20)

void exposure_init(struct exposure_map *map)
{
	*map = (struct exposure_map){0};
	arena_init(&map->arena, DOCUMENT_BYTES_MAX, 16384);
}

void exposure_release(struct exposure_map *map)
{
	arena_release(&map->arena);
	*map = (struct exposure_map){0};
}

static struct exposed_service *find(const struct exposure_map *map, struct span name)
{
	for (size_t i = 0; i < map->count; i++)
		if (span_eq(map->at[i].name, name))
			return &map->at[i];
	return NULL;
}

static struct exposed_service *add(struct exposure_map *map, struct span name)
{
	struct exposed_service *at = find(map, name);

	if (at)
		return at;
	at = arena_grow(&map->arena, map->at, map->count, sizeof(*at));
	if (!at)
		return NULL;
	map->at = at;
	at += map->count;
	*at = (struct exposed_service){.name = arena_dup(&map->arena, name)};
	at->exposure = EXPOSURE_NONE;
	at->route = SPAN("");
	if (!at->name.ptr)
		return NULL;
	map->count++;
	return at;
}

static int add_route(struct exposure_map *map, struct span service, struct span path,
		     bool is_public)
{
	struct exposed_service *s = add(map, service);
	enum exposure exposure = is_public ? EXPOSURE_PUBLIC : EXPOSURE_AUTHENTICATED;

	if (!s)
		return -1;
	s->routes++;
	s->public_routes += is_public;
	if (exposure <= s->exposure)
		return 0;
	s->exposure = exposure;
	s->route = arena_dup(&map->arena, path);
	return s->route.ptr ? 0 : -1;
}

/* `optional` lets requests without credentials through too. */
static bool is_public(struct span auth)
{
	return span_eq(auth, SPAN("none")) || span_eq(auth, SPAN("optional"));
}

static int read_json(struct exposure_map *map, const struct json *root)
{
	const struct json *services = json_get(root, SPAN("services"));
	const struct json *routes = json_get(root, SPAN("routes"));

	for (size_t i = 0; services->type == JSON_OBJECT && i < services->object.count; i++)
		if (!add(map, services->object.members[i].key))
			return -1;
	for (size_t i = 0; json_at(routes, i); i++) {
		struct span service = SPAN_NONE, auth = SPAN_NONE, path = SPAN_NONE;

		(void)json_string(json_get(json_at(routes, i), SPAN("path")), &path);
		(void)json_string(json_get(json_at(routes, i), SPAN("auth")), &auth);
		if (json_string(json_get(json_at(routes, i), SPAN("service")), &service) &&
		    service.len && add_route(map, service, path, is_public(auth)) < 0)
			return -1;
	}
	return 0;
}

int exposure_read_json(struct exposure_map *map, struct span text, struct err *err)
{
	struct arena arena;
	const struct json *root;
	int result = 0;

	arena_init(&arena, DOCUMENT_BYTES_MAX * 8, 65536);
	root = json_parse(&arena, text, NULL, err);
	if (!root)
		result = -1;
	else if (!json_get(root, SPAN("services")) || !json_get(root, SPAN("routes")))
		result = err_set(err, ERR_INVALID, "no configuration of a gateway");
	else if (read_json(map, root) < 0)
		result = err_set(err, ERR_MEMORY, "out of memory");
	arena_release(&arena);
	return result;
}

static int read_url(struct exposure_map *map, const char *url, struct err *err)
{
	struct db_download job = {.connect_timeout_ms = 3000, .stall_timeout_s = 10};
	struct span base = span_cstr(url);
	struct buf full, text;
	int result = -1;

	while (base.len && base.ptr[base.len - 1] == '/')
		base.len--;
	buf_init(&full, 4096);
	buf_init(&text, DOCUMENT_BYTES_MAX);
	buf_append(&full, base);
	if (!span_ends_with(base, SPAN("/config")))
		buf_append_cstr(&full, "/config");
	job.url = buf_cstr(&full);
	if (!job.url)
		(void)err_set(err, ERR_LIMIT, "the URL is too long");
	else
		result = db_download_text(&job, &text, err);
	if (result == 0)
		result = exposure_read_json(map, buf_span(&text), err);
	buf_release(&text);
	buf_release(&full);
	return result;
}

static int read_config(struct exposure_map *map, const char *path, struct err *err)
{
	struct config_problems problems = {0};
	struct config *cfg = NULL;
	int result = 0;

	if (config_load(path, &cfg, &problems) < 0)
		return config_problems_to_err(&problems, err);
	for (size_t i = 0; i < cfg->services.count && result == 0; i++)
		result = add(map, cfg->services.at[i].name) ? 0 : -1;
	for (size_t i = 0; i < cfg->routes.count && result == 0; i++) {
		const struct config_route *route = &cfg->routes.at[i];

		if (route->service)
			result = add_route(map, route->service_name, route->path,
					   route->auth == CONFIG_AUTH_NONE ||
						   route->auth == CONFIG_AUTH_OPTIONAL);
	}
	config_unref(cfg);
	return result < 0 ? err_set(err, ERR_MEMORY, "out of memory") : 0;
}

int exposure_read(struct exposure_map *map, const char *from, struct err *err)
{
	struct span text = span_cstr(from);
	bool url = span_starts_with(text, SPAN("http://")) ||
		   span_starts_with(text, SPAN("https://"));
	int result = url ? read_url(map, from, err) : read_config(map, from, err);

	return result < 0 && url ? err_wrap(err, "%s", from) : result;
}

enum exposure exposure_of(const struct exposure_map *map, struct span service)
{
	const struct exposed_service *s;

	if (service.len == 0 || map->count == 0)
		return EXPOSURE_UNKNOWN;
	s = find(map, service);
	return s ? s->exposure : EXPOSURE_NONE;
}

struct span exposure_route(const struct exposure_map *map, struct span service)
{
	const struct exposed_service *s = service.len ? find(map, service) : NULL;

	return s ? s->route : SPAN("");
}
