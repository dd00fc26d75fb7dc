#include "registry/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/hex.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/secret.h"

#define CHUNK_BYTES ((size_t)64 * 1024)
#define PATH_BYTES 256
#define HEAD_BYTES_MAX (64 + CACHE_ETAG_BYTES)
#define MAGIC "sallyport-index 1 "

int cache_open(const char *folder, struct err *err)
{
	static const char *const below[] = {"index", "file", "new"};
	int fd;

	if (mkdir(folder, 0700) < 0 && errno != EEXIST)
		return err_set_errno(err, errno, "cannot make %s", folder);
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_set_errno(err, errno, "cannot open %s", folder);
	for (size_t i = 0; i < COUNT_OF(below); i++)
		if (mkdirat(fd, below[i], 0700) < 0 && errno != EEXIST) {
			(void)err_set_errno(err, errno, "cannot make %s/%s", folder, below[i]);
			close(fd);
			return -1;
		}
	return fd;
}

/* "TOP/KIND/ab/cdef...": makes the folders when asked to. */
static int place(int cache, const char *top, const char *kind, const unsigned char *bytes,
		 size_t len, bool make, char to[PATH_BYTES], struct err *err)
{
	char digits[2 * REGISTRY_DIGEST_BYTES_MAX + 1], folder[PATH_BYTES];

	hex_encode(digits, bytes, len);
	digits[2 * len] = '\0';
	(void)snprintf(to, PATH_BYTES, "%s/%s/%.2s/%s", top, kind, digits, digits + 2);
	if (!make)
		return 0;
	(void)snprintf(folder, sizeof(folder), "%s/%s", top, kind);
	if (mkdirat(cache, folder, 0700) < 0 && errno != EEXIST)
		return err_set_errno(err, errno, "cannot make %s", folder);
	(void)snprintf(folder, sizeof(folder), "%s/%s/%.2s", top, kind, digits);
	if (mkdirat(cache, folder, 0700) < 0 && errno != EEXIST)
		return err_set_errno(err, errno, "cannot make %s", folder);
	return 0;
}

static void new_name(char to[PATH_BYTES])
{
	uint64_t mark;

	rand_bytes(&mark, sizeof(mark));
	(void)snprintf(to, PATH_BYTES, "new/%016" PRIx64, mark);
}

static int write_all(int fd, struct span bytes, struct err *err)
{
	return fd_write_all(fd, bytes) < 0
		       ? err_set_errno(err, errno, "cannot write to the cache")
		       : 0;
}

static int open_new(int cache, char name[PATH_BYTES], struct err *err)
{
	int fd;

	new_name(name);
	fd = openat(cache, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_set_errno(err, errno, "cannot write to the cache");
	return fd;
}

/* Gives a temporary file its name once its bytes are on the disk; removes it otherwise. */
static int settle(int cache, int fd, const char *temporary, const char *name, struct err *err)
{
	int result = 0;

	if (fsync(fd) < 0 || renameat(cache, temporary, cache, name) < 0) {
		result = err_set_errno(err, errno, "cannot write to the cache");
		(void)unlinkat(cache, temporary, 0);
	}
	return result;
}

/* ---- indexes --------------------------------------------------------------------------------- */

static int index_place(int cache, const struct registry_protocol *protocol, struct span package,
		       bool make, char to[PATH_BYTES], struct err *err)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	char kind[32];

	if (EVP_Digest(package.ptr, package.len, digest, NULL, EVP_sha256(), NULL) != 1)
		return err_set(err, ERR_MEMORY, "out of memory");
	(void)snprintf(kind, sizeof(kind), "%.*s", SPAN_ARG(protocol->name));
	return place(cache, "index", kind, digest, 32, make, to, err);
}

/* "sallyport-index 1 TIME ETAG\n", then the text. */
static bool parse_index(struct span all, struct cached_index *found)
{
	struct span head = span_cut(&all, '\n');
	int64_t fetched_ms;

	if (!all.ptr || !span_starts_with(head, SPAN(MAGIC)))
		return false;
	head = span_slice(head, sizeof(MAGIC) - 1, head.len);
	if (!span_to_i64(span_cut(&head, ' '), &fetched_ms) || !head.ptr)
		return false;
	*found = (struct cached_index){fetched_ms, head, all};
	return true;
}

static int read_all(int fd, size_t len, char *to)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = read(fd, to + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		done += (size_t)n;
	}
	return 0;
}

int cache_read_index(int cache, const struct registry_protocol *protocol, struct span package,
		     size_t max_bytes, struct arena *arena, struct cached_index *found,
		     struct err *err)
{
	char name[PATH_BYTES];
	struct stat st;
	char *text;
	int fd, result = 0;

	if (index_place(cache, protocol, package, false, name, err) < 0)
		return -1;
	fd = openat(cache, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_set_errno(err, errno, "cannot read the cache");
	if (fstat(fd, &st) < 0)
		result = err_set_errno(err, errno, "cannot read the cache");
	else if ((uint64_t)st.st_size > max_bytes + HEAD_BYTES_MAX)
		result =
			err_set(err, ERR_LIMIT, "the index has more than %zu bytes", max_bytes);
	if (result == 0) {
		text = arena_alloc(arena, (size_t)st.st_size + 1);
		if (!text)
			result = err_set(err, ERR_MEMORY, "out of memory");
		else if (read_all(fd, (size_t)st.st_size, text) < 0)
			result = err_set(err, ERR_IO, "cannot read the cache");
		else
			result = parse_index(span_of(text, (size_t)st.st_size), found);
	}
	close(fd);
	return result;
}

int cache_write_index(int cache, const struct registry_protocol *protocol, struct span package,
		      const struct cached_index *index, struct err *err)
{
	char name[PATH_BYTES], temporary[PATH_BYTES], head[HEAD_BYTES_MAX];
	int fd, len, result;

	if (index_place(cache, protocol, package, true, name, err) < 0)
		return -1;
	fd = open_new(cache, temporary, err);
	if (fd < 0)
		return -1;
	len = snprintf(head, sizeof(head), MAGIC "%" PRId64 " %.*s\n", index->fetched_ms,
		       SPAN_ARG(span_slice(index->etag, 0, CACHE_ETAG_BYTES)));
	result = write_all(fd, span_of(head, (size_t)len), err);
	if (result == 0)
		result = write_all(fd, index->text, err);
	if (result == 0)
		result = settle(cache, fd, temporary, name, err);
	else
		(void)unlinkat(cache, temporary, 0);
	close(fd);
	return result;
}

/* ---- files ----------------------------------------------------------------------------------- */

static const EVP_MD *method_of(enum registry_hash hash)
{
	switch (hash) {
	case REGISTRY_SHA512: return EVP_sha512();
	case REGISTRY_SHA256: return EVP_sha256();
	case REGISTRY_SHA1: break;
	}
	return EVP_sha1();
}

static int file_place(int cache, const struct registry_digest *digest, bool make,
		      char to[PATH_BYTES], struct err *err)
{
	return place(cache, "file", registry_hash_name(digest->hash), digest->bytes,
		     registry_hash_bytes(digest->hash), make, to, err);
}

static bool digest_is(EVP_MD_CTX *context, const struct registry_digest *digest)
{
	unsigned char found[EVP_MAX_MD_SIZE];

	return EVP_DigestFinal_ex(context, found, NULL) == 1 &&
	       memcmp(found, digest->bytes, registry_hash_bytes(digest->hash)) == 0;
}

/* Reads it to its end and back again. */
static bool has_digest(int fd, const struct registry_digest *digest, uint64_t *size_bytes)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	char *chunk = mem_alloc(CHUNK_BYTES);
	bool good = context && chunk &&
		    EVP_DigestInit_ex(context, method_of(digest->hash), NULL) == 1;
	ssize_t n = 0;

	*size_bytes = 0;
	while (good) {
		n = read(fd, chunk, CHUNK_BYTES);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		*size_bytes += (uint64_t)n;
		good = EVP_DigestUpdate(context, chunk, (size_t)n) == 1;
	}
	good = good && n == 0 && digest_is(context, digest) && lseek(fd, 0, SEEK_SET) == 0;
	EVP_MD_CTX_free(context);
	mem_free(chunk);
	return good;
}

int cache_open_file(int cache, const struct registry_digest *digest, uint64_t *size_bytes)
{
	char name[PATH_BYTES];
	int fd;

	(void)file_place(cache, digest, false, name, NULL);
	fd = openat(cache, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (has_digest(fd, digest, size_bytes))
		return fd;
	close(fd);
	return -1;
}

struct cache_file {
	int cache;
	int fd;
	EVP_MD_CTX *context;
	struct registry_digest digest;
	char temporary[PATH_BYTES];
};

struct cache_file *cache_file_new(int cache, const struct registry_digest *digest,
				  struct err *err)
{
	struct cache_file *file = mem_zalloc(1, sizeof(*file));

	if (file)
		file->context = EVP_MD_CTX_new();
	if (!file || !file->context ||
	    EVP_DigestInit_ex(file->context, method_of(digest->hash), NULL) != 1) {
		(void)err_set(err, ERR_MEMORY, "out of memory");
		goto fail;
	}
	file->cache = cache;
	file->digest = *digest;
	file->fd = open_new(cache, file->temporary, err);
	if (file->fd >= 0)
		return file;
fail:
	if (file)
		EVP_MD_CTX_free(file->context);
	mem_free(file);
	return NULL;
}

int cache_file_write(struct cache_file *file, struct span bytes, struct err *err)
{
	if (EVP_DigestUpdate(file->context, bytes.ptr, bytes.len) != 1)
		return err_set(err, ERR_MEMORY, "out of memory");
	return write_all(file->fd, bytes, err);
}

int cache_file_end(struct cache_file *file, bool keep, struct err *err)
{
	char name[PATH_BYTES];
	int result = 0;

	if (keep && !digest_is(file->context, &file->digest))
		result = err_set(err, ERR_INVALID,
				 "it does not have the digest (%s) that the "
				 "index promises",
				 registry_hash_name(file->digest.hash));
	if (keep && result == 0)
		result = file_place(file->cache, &file->digest, true, name, err);
	if (keep && result == 0)
		result = settle(file->cache, file->fd, file->temporary, name, err);
	else
		(void)unlinkat(file->cache, file->temporary, 0);
	close(file->fd);
	EVP_MD_CTX_free(file->context);
	mem_free(file);
	return result;
}
