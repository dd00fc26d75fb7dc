#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hex.h"
#include "base/mem.h"
#include "waf/prefilter_internal.h"

/* A file of the cache: this line, the digest of what follows, the content. */
#define CACHE_MAGIC "sallyport waf cache 1\n"
#define DIGEST_SIZE 32
#define DATABASE_MAX ((size_t)512 << 20)
#define PATH_SIZE 4096
#define READ_PIECE ((size_t)64 << 10)

struct inputs {
	const char **texts;
	unsigned *flags;
	unsigned *ids;
	unsigned count;
};

/* ---- what is compiled ------------------------------------------------------------------------ */

static void inputs_release(struct inputs *in)
{
	mem_free(in->texts);
	mem_free(in->flags);
	mem_free(in->ids);
}

static int inputs_collect(struct inputs *in, const struct prefilter *p,
			  const struct prefilter_database *database)
{
	*in = (struct inputs){
		.texts = mem_zalloc(p->pattern_count + 1, sizeof(char *)),
		.flags = mem_zalloc(p->pattern_count + 1, sizeof(unsigned)),
		.ids = mem_zalloc(p->pattern_count + 1, sizeof(unsigned)),
	};
	if (!in->texts || !in->flags || !in->ids) {
		inputs_release(in);
		return -1;
	}
	for (uint32_t i = 0; i < p->pattern_count; i++) {
		const struct prefilter_pattern *pattern = &p->patterns[i];

		if (!bit_get(database->rules, pattern->rule))
			continue;
		in->texts[in->count] = pattern->text.ptr;
		in->flags[in->count] = pattern->flags;
		in->ids[in->count] = pattern->rule;
		in->count++;
	}
	return 0;
}

/* ---- names in the cache ---------------------------------------------------------------------- */

/* The name of a file is a digest of all that its content depends on. */
struct key {
	EVP_MD_CTX *context;
	bool good;
};

static void key_add(struct key *key, const void *bytes, size_t len)
{
	key->good = key->good && EVP_DigestUpdate(key->context, bytes, len) == 1;
}

static void key_add_text(struct key *key, struct span text)
{
	key_add(key, &text.len, sizeof(text.len));
	key_add(key, text.ptr, text.len);
}

static void key_begin(struct key *key, const char *what)
{
	hs_platform_info_t platform;

	memset(&platform, 0, sizeof(platform));
	key->context = EVP_MD_CTX_new();
	key->good = key->context && hs_populate_platform(&platform) == HS_SUCCESS &&
		    EVP_DigestInit_ex(key->context, EVP_sha256(), NULL) == 1;
	key_add_text(key, span_cstr(what));
	key_add_text(key, span_cstr(hs_version()));
	key_add(key, &platform, sizeof(platform));
}

/* False when there is no digest, or the name is too long. */
static bool key_path(struct key *key, const char *folder, char path[PATH_SIZE])
{
	unsigned char digest[DIGEST_SIZE];
	char name[2 * DIGEST_SIZE + 1];
	unsigned size = 0;
	int written;

	key->good = key->good && EVP_DigestFinal_ex(key->context, digest, &size) == 1;
	EVP_MD_CTX_free(key->context);
	if (!key->good)
		return false;
	hex_encode(name, digest, sizeof(digest));
	name[sizeof(name) - 1] = '\0';
	written = snprintf(path, PATH_SIZE, "%s/%s.waf", folder, name);
	return written > 0 && written < PATH_SIZE;
}

/* ---- the cache ------------------------------------------------------------------------------- */

static bool digest_of(struct span bytes, unsigned char digest[DIGEST_SIZE])
{
	unsigned size = 0;

	return EVP_Digest(bytes.ptr, bytes.len, digest, &size, EVP_sha256(), NULL) == 1;
}

/* Whoever can write there could make rules match nothing. */
static bool is_trustworthy(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
	       (status.st_uid == geteuid() || status.st_uid == 0) &&
	       (status.st_mode & (S_IWGRP | S_IWOTH)) == 0 &&
	       (uint64_t)status.st_size <= DATABASE_MAX;
}

static bool read_fd(int fd, struct buf *content)
{
	for (;;) {
		ssize_t got;

		if (buf_reserve(content, READ_PIECE) != 0)
			return false;
		got = read(fd, content->ptr + content->len, READ_PIECE);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return false;
		if (got == 0)
			return true;
		content->len += (size_t)got;
	}
}

/* The content of a file of the cache; false when there is none, or it is not good. */
static bool cache_read(const char *path, struct buf *content)
{
	size_t head = sizeof(CACHE_MAGIC) - 1 + DIGEST_SIZE;
	unsigned char digest[DIGEST_SIZE];
	bool good;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return false;
	good = is_trustworthy(fd) && read_fd(fd, content) && content->len >= head &&
	       memcmp(content->ptr, CACHE_MAGIC, sizeof(CACHE_MAGIC) - 1) == 0 &&
	       digest_of(span_slice(buf_span(content), head, content->len), digest) &&
	       memcmp(digest, content->ptr + sizeof(CACHE_MAGIC) - 1, DIGEST_SIZE) == 0;
	(void)close(fd);
	if (good)
		buf_consume(content, head);
	return good;
}

static bool write_fd(int fd, struct span bytes)
{
	while (bytes.len > 0) {
		ssize_t wrote = write(fd, bytes.ptr, bytes.len);

		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote <= 0)
			return false;
		bytes = span_slice(bytes, (size_t)wrote, bytes.len);
	}
	return true;
}

/* A file that is there is whole: it is written beside and renamed. */
static void cache_write(const char *path, struct span content)
{
	unsigned char digest[DIGEST_SIZE];
	char temporary[PATH_SIZE];
	int written = snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path);
	bool good;
	int fd;

	if (written < 0 || (size_t)written >= sizeof(temporary))
		return;
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return;
	good = digest_of(content, digest) && write_fd(fd, SPAN(CACHE_MAGIC)) &&
	       write_fd(fd, span_of(digest, sizeof(digest))) && write_fd(fd, content);
	good = close(fd) == 0 && good;
	if (!good || rename(temporary, path) != 0)
		(void)unlink(temporary);
}

/* ---- answers --------------------------------------------------------------------------------- */

static bool answers_path(const struct waf_rules *rules, const char *folder,
			 char path[PATH_SIZE])
{
	struct key key;

	key_begin(&key, "answers");
	for (size_t i = 0; i < rules->operator_count; i++)
		key_add_text(&key, operator_parameter(rules->operators[i]));
	return key_path(&key, folder, path);
}

void prefilter_answers_read(struct prefilter *p, const struct waf_rules *rules,
			    const struct waf_sources *sources)
{
	char path[PATH_SIZE];

	if (!sources->cache_folder || !answers_path(rules, sources->cache_folder, path))
		return;
	if (!cache_read(path, &p->answers))
		buf_clear(&p->answers);
}

void prefilter_answers_write(struct prefilter *p, const struct waf_rules *rules,
			     const struct waf_sources *sources)
{
	char path[PATH_SIZE];

	if (sources->cache_folder && !buf_failed(&p->answers) &&
	    answers_path(rules, sources->cache_folder, path) && access(path, F_OK) != 0)
		cache_write(path, buf_span(&p->answers));
}

/* ---- all ------------------------------------------------------------------------------------- */

static int compile_inputs(const struct inputs *in, hs_database_t **database, struct err *err)
{
	hs_compile_error_t *problem = NULL;
	hs_error_t result = hs_compile_multi(in->texts, in->flags, in->ids, in->count,
					     HS_MODE_BLOCK, NULL, database, &problem);

	if (result == HS_SUCCESS)
		return 0;
	(void)err_set(err, result == HS_NOMEM ? ERR_MEMORY : ERR_INTERNAL,
		      "Hyperscan does not compile the patterns: %s",
		      problem ? problem->message : "no reason given");
	hs_free_compile_error(problem);
	return -1;
}

static bool database_path(const struct inputs *in, const char *folder, char path[PATH_SIZE])
{
	struct key key;

	key_begin(&key, "database");
	for (unsigned i = 0; i < in->count; i++) {
		key_add_text(&key, span_cstr(in->texts[i]));
		key_add(&key, &in->flags[i], sizeof(in->flags[i]));
		key_add(&key, &in->ids[i], sizeof(in->ids[i]));
	}
	return key_path(&key, folder, path);
}

static void write_database(const char *path, const hs_database_t *database)
{
	char *bytes = NULL;
	size_t size = 0;

	if (hs_serialize_database(database, &bytes, &size) != HS_SUCCESS)
		return;
	cache_write(path, span_of(bytes, size));
	free(bytes); /* NOLINT: the library's */
}

static int compile_cached(const struct inputs *in, const char *folder,
			  struct prefilter_database *to, struct waf_rules_info *info,
			  struct err *err)
{
	char path[PATH_SIZE];
	struct buf content;
	bool good;

	/* A cache that does not work is none. */
	if (!database_path(in, folder, path))
		return compile_inputs(in, &to->database, err);
	buf_init(&content, DATABASE_MAX);
	good = cache_read(path, &content) &&
	       hs_deserialize_database(content.ptr, content.len, &to->database) == HS_SUCCESS;
	buf_release(&content);
	if (good) {
		info->databases_cached++;
		return 0;
	}
	if (compile_inputs(in, &to->database, err) != 0)
		return -1;
	write_database(path, to->database);
	return 0;
}

int prefilter_compile(struct prefilter *p, struct prefilter_database *to,
		      const struct waf_sources *sources, struct waf_rules_info *info,
		      struct err *err)
{
	struct inputs in;
	size_t size = 0;
	int result;

	if (inputs_collect(&in, p, to) != 0)
		return err_set(err, ERR_MEMORY, "no memory for pattern databases");
	if (in.count == 0) {
		inputs_release(&in);
		return 0;
	}
	if (sources->cache_folder)
		result = compile_cached(&in, sources->cache_folder, to, info, err);
	else
		result = compile_inputs(&in, &to->database, err);
	if (result == 0 && hs_database_size(to->database, &size) == HS_SUCCESS)
		info->memory_bytes += size;
	inputs_release(&in);
	return result;
}
