#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hex.h"
#include "base/mem.h"
#include "waf/prefilter_internal.h"

/* A file of the cache: this line, the digest of what follows, a database as Hyperscan writes it. */
#define CACHE_MAGIC "sallyport waf database 1\n"
#define DIGEST_SIZE 32
#define DATABASE_MAX ((size_t)512 << 20)

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

/* The name of the file: a digest of all that the database depends on. */
static int cache_key(const struct inputs *in, char name[2 * DIGEST_SIZE + 1], struct err *err)
{
	unsigned char digest[DIGEST_SIZE];
	hs_platform_info_t platform;
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	const char *version = hs_version();
	unsigned size = 0;
	int ok;

	memset(&platform, 0, sizeof(platform));
	ok = context && hs_populate_platform(&platform) == HS_SUCCESS &&
	     EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 &&
	     EVP_DigestUpdate(context, version, span_cstr(version).len + 1) == 1 &&
	     EVP_DigestUpdate(context, &platform, sizeof(platform)) == 1;
	for (unsigned i = 0; ok && i < in->count; i++)
		ok = EVP_DigestUpdate(context, in->texts[i], span_cstr(in->texts[i]).len + 1) ==
			     1 &&
		     EVP_DigestUpdate(context, &in->flags[i], sizeof(in->flags[i])) == 1 &&
		     EVP_DigestUpdate(context, &in->ids[i], sizeof(in->ids[i])) == 1;
	ok = ok && EVP_DigestFinal_ex(context, digest, &size) == 1;
	EVP_MD_CTX_free(context);
	if (!ok)
		return err_set(err, ERR_INTERNAL, "cannot compute a digest");
	hex_encode(name, digest, sizeof(digest));
	name[sizeof(digest) * 2] = '\0';
	return 0;
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

		if (buf_reserve(content, (size_t)1 << 20) != 0)
			return false;
		got = read(fd, content->ptr + content->len, (size_t)1 << 20);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return false;
		if (got == 0)
			return true;
		content->len += (size_t)got;
	}
}

/* False when there is none, or it is not good: then it is compiled again. */
static bool cache_read(const char *path, hs_database_t **database)
{
	size_t head = sizeof(CACHE_MAGIC) - 1 + DIGEST_SIZE;
	unsigned char digest[DIGEST_SIZE];
	struct buf content;
	struct span body;
	bool good = false;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return false;
	buf_init(&content, DATABASE_MAX);
	if (is_trustworthy(fd) && read_fd(fd, &content) && content.len > head &&
	    memcmp(content.ptr, CACHE_MAGIC, sizeof(CACHE_MAGIC) - 1) == 0) {
		body = span_slice(buf_span(&content), head, content.len);
		good = digest_of(body, digest) &&
		       memcmp(digest, content.ptr + sizeof(CACHE_MAGIC) - 1, DIGEST_SIZE) ==
			       0 &&
		       hs_deserialize_database(body.ptr, body.len, database) == HS_SUCCESS;
	}
	buf_release(&content);
	(void)close(fd);
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
static void cache_write(const char *path, const hs_database_t *database)
{
	unsigned char digest[DIGEST_SIZE];
	char temporary[4096];
	char *bytes = NULL;
	size_t size = 0;
	int written = snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path);
	int fd;

	if (written < 0 || (size_t)written >= sizeof(temporary) ||
	    hs_serialize_database(database, &bytes, &size) != HS_SUCCESS)
		return;
	fd = mkostemp(temporary, O_CLOEXEC);
	if (fd >= 0) {
		bool good = digest_of(span_of(bytes, size), digest) &&
			    write_fd(fd, SPAN(CACHE_MAGIC)) &&
			    write_fd(fd, span_of(digest, sizeof(digest))) &&
			    write_fd(fd, span_of(bytes, size));

		good = close(fd) == 0 && good;
		if (!good || rename(temporary, path) != 0)
			(void)unlink(temporary);
	}
	free(bytes); /* NOLINT: the library's */
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

static int compile_cached(const struct inputs *in, const char *folder,
			  struct prefilter_database *to, struct waf_rules_info *info,
			  struct err *err)
{
	char name[2 * DIGEST_SIZE + 1];
	char path[4096];
	int written;

	if (cache_key(in, name, err) != 0)
		return -1;
	written = snprintf(path, sizeof(path), "%s/%s.hs", folder, name);
	if (written < 0 || (size_t)written >= sizeof(path))
		return err_set(err, ERR_INVALID, "the name of the cache folder is too long");
	if (cache_read(path, &to->database)) {
		info->databases_cached++;
		return 0;
	}
	if (compile_inputs(in, &to->database, err) != 0)
		return -1;
	cache_write(path, to->database);
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
