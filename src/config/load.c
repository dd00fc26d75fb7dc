#include "config/config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "config/built_in.h"
#include "config/check.h"
#include "config/include.h"
#include "config/reader.h"
#include "config/schema.h"
#include "config/value.h"

#define CONFIG_ARENA_CAP ((size_t)256 << 20)
#define TREE_ARENA_CAP ((size_t)256 << 20)
#define ARENA_CHUNK 16384

/* ---- the outside ----------------------------------------------------------------------------- */

/* An open descriptor of something that is a file, or -1 with err. */
static int open_file(const char *path, struct err *err)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return err_set_errno(err, errno, "cannot read '%s'", path);
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	close(fd);
	return err_set(err, ERR_INVALID, "'%s' is not a file", path);
}

static int system_check_file(void *context, const char *path, struct err *err)
{
	int fd = open_file(path, err);

	(void)context;
	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

static int system_read_file(void *context, const char *path, size_t max_bytes, struct buf *out,
			    struct err *err)
{
	int fd = open_file(path, err), result = -1;

	(void)context;
	if (fd < 0)
		return -1;
	for (;;) {
		ssize_t got;

		if (out->len > max_bytes) {
			err_set(err, ERR_LIMIT, "'%s' is larger than %zu bytes", path,
				max_bytes);
			break;
		}
		out->max = max_bytes + 4096;
		if (buf_reserve(out, 4096) != 0) {
			err_set(err, ERR_MEMORY, "cannot read '%s': out of memory", path);
			break;
		}
		got = read(fd, out->ptr + out->len, 4096);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			err_set_errno(err, errno, "cannot read '%s'", path);
			break;
		}
		if (got == 0) {
			result = 0;
			break;
		}
		out->len += (size_t)got;
	}
	close(fd);
	return result;
}

static int append_names(DIR *folder, const char *path, struct buf *out, struct err *err)
{
	const struct dirent *entry;

	errno = 0;
	while ((entry = readdir(folder))) {
		if (buf_append(out, span_of(entry->d_name, strlen(entry->d_name) + 1)) != 0)
			return err_set(err, ERR_LIMIT, "too many files in '%s'", path);
		errno = 0;
	}
	return errno ? err_set_errno(err, errno, "cannot read the folder '%s'", path) : 0;
}

static int system_list_folder(void *context, const char *path, struct buf *out, struct err *err)
{
	DIR *folder = opendir(path);
	int result;

	(void)context;
	if (!folder && (errno == ENOTDIR || errno == ENOENT))
		return 1;
	if (!folder)
		return err_set_errno(err, errno, "cannot read the folder '%s'", path);
	result = append_names(folder, path, out, err);
	closedir(folder);
	return result;
}

static const char *system_variable(void *context, const char *name)
{
	(void)context;
	return getenv(name);
}

const struct config_source config_source_system = {
	.read_file = system_read_file,
	.check_file = system_check_file,
	.variable = system_variable,
	.list_folder = system_list_folder,
};

const struct config_source config_source_unchecked = {
	.read_file = system_read_file,
	.variable = system_variable,
	.list_folder = system_list_folder,
};

/* ---- life ------------------------------------------------------------------------------------ */

/* What a struct config is part of. */
struct loaded {
	struct config cfg;
	struct config_private priv;
};

static struct config *config_new(void)
{
	struct loaded *loaded = mem_zalloc(1, sizeof(*loaded));

	if (!loaded)
		return NULL;
	loaded->cfg.priv = &loaded->priv;
	loaded->priv.references = 1;
	arena_init(&loaded->priv.arena, CONFIG_ARENA_CAP, ARENA_CHUNK);
	return &loaded->cfg;
}

struct config *config_ref(struct config *cfg)
{
	__atomic_add_fetch(&cfg->priv->references, 1, __ATOMIC_RELAXED);
	return cfg;
}

void config_unref(struct config *cfg)
{
	struct config_private *priv = cfg ? cfg->priv : NULL;

	if (!priv || __atomic_sub_fetch(&priv->references, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	for (struct config_mark *mark = priv->secrets; mark; mark = mark->next)
		secret_release(mark->secret);
	arena_release(&priv->arena);
	mem_free(CONTAINER_OF(cfg, struct loaded, cfg));
}

/* ---- loading --------------------------------------------------------------------------------- */

static void read_document(struct reader *reader, struct span text, const char *file,
			  struct config *cfg)
{
	struct tree_node *root =
		tree_parse(text, file, reader->source, reader->trees, reader->problems);

	if (!root)
		return;
	if (root->kind == TREE_MAP)
		include_files(reader, root);
	if (root->kind == TREE_MAP)
		include_endpoints(reader, root);
	reader_object(reader, &schema_config, root, cfg);
	if (!reader->out_of_memory)
		built_in_add(reader, cfg);
	if (!reader->out_of_memory)
		check_config(reader, cfg);
}

int config_load_text(struct span text, const char *name, const struct config_source *source,
		     struct config **out, struct config_problems *problems)
{
	static const struct reader_path root = {NULL, SPAN_INIT(""), 0};
	struct config_where nowhere = {name, 0, 0};
	struct config *cfg = config_new();
	struct arena trees;
	struct reader reader = {
		.source = source, .problems = problems, .trees = &trees, .path = &root};
	struct span file = SPAN_NONE;

	arena_init(&trees, TREE_ARENA_CAP, ARENA_CHUNK);
	if (cfg) {
		reader.priv = cfg->priv;
		file = arena_dup(&cfg->priv->arena, span_cstr(name));
	}
	if (file.ptr)
		read_document(&reader, text, file.ptr, cfg);
	else
		reader.out_of_memory = true;
	if (reader.out_of_memory)
		problem_add(problems, CONFIG_ERROR, nowhere, "out of memory");
	/* Trees hand their texts out as const; here they end. */
	for (struct config_mark *mark = reader.wipe; mark; mark = mark->next)
		secret_wipe((void *)(uintptr_t)mark->text, mark->len);
	arena_release(&trees);
	problems_sort(problems);
	if (problems->errors > 0) {
		config_unref(cfg);
		return -1;
	}
	*out = cfg;
	return 0;
}

int config_load(const char *path, struct config **out, struct config_problems *problems)
{
	struct config_where nowhere = {path, 0, 0};
	struct buf bytes;
	struct err err;
	int result = -1;

	buf_init(&bytes, TREE_BYTES_MAX);
	if (system_read_file(NULL, path, TREE_BYTES_MAX, &bytes, &err) != 0)
		problem_add(problems, CONFIG_ERROR, nowhere, "%s", err.message);
	else
		result = config_load_text(buf_span(&bytes), path, &config_source_system, out,
					  problems);
	if (bytes.ptr)
		secret_wipe(bytes.ptr, bytes.len);
	buf_release(&bytes);
	return result;
}

/* ---- looking things up ----------------------------------------------------------------------- */

const struct config_service *config_service_find(const struct config *cfg, struct span name)
{
	for (size_t i = 0; i < cfg->services.count; i++)
		if (span_eq(cfg->services.at[i].name, name))
			return &cfg->services.at[i];
	return NULL;
}

const struct config_role *config_role_find(const struct config *cfg, struct span name)
{
	for (size_t i = 0; i < cfg->identity.roles.count; i++)
		if (span_eq(cfg->identity.roles.at[i].name, name))
			return &cfg->identity.roles.at[i];
	return NULL;
}

const struct config_sensitive *config_sensitive_find(const struct config *cfg,
						     struct span operation)
{
	for (size_t i = 0; i < cfg->sensitive.count; i++)
		if (span_eq(cfg->sensitive.at[i].operation, operation))
			return &cfg->sensitive.at[i];
	return NULL;
}
