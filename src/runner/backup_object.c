#include "runner/backup_object.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "base/fd.h"
#include "base/hex.h"
#include "base/mem.h"
#include "base/rand.h"

#define CHUNK_BYTES ((size_t)64 * 1024)
/* A content is read back with what zstd's ordinary levels need at most. */
#define WINDOW_LOG_MAX 27
#define NAME_MAX_BYTES 128

/* One content on its way through the hash and zstd. */
struct transfer {
	EVP_MD_CTX *digest;
	ZSTD_CCtx *pack;
	ZSTD_DCtx *unpack;
	char *in, *out; /* CHUNK_BYTES each */
	uint64_t size_bytes;
};

static void transfer_release(struct transfer *t)
{
	EVP_MD_CTX_free(t->digest);
	ZSTD_freeCCtx(t->pack);
	ZSTD_freeDCtx(t->unpack);
	mem_free(t->in);
	mem_free(t->out);
}

static int transfer_init(struct transfer *t, bool is_pack, struct err *err)
{
	*t = (struct transfer){.digest = EVP_MD_CTX_new(),
			       .pack = is_pack ? ZSTD_createCCtx() : NULL,
			       .unpack = is_pack ? NULL : ZSTD_createDCtx(),
			       .in = mem_alloc(CHUNK_BYTES),
			       .out = mem_alloc(CHUNK_BYTES)};
	if (t->digest && (t->pack || t->unpack) && t->in && t->out &&
	    EVP_DigestInit_ex(t->digest, EVP_sha256(), NULL) == 1 &&
	    (!t->unpack || !ZSTD_isError(ZSTD_DCtx_setParameter(t->unpack, ZSTD_d_windowLogMax,
								WINDOW_LOG_MAX))))
		return 0;
	transfer_release(t);
	return err_set(err, ERR_MEMORY, "out of memory");
}

static void put_hash(char to[BACKUP_ID_CHARS + 1], const unsigned char *digest)
{
	hex_encode(to, digest, BACKUP_ID_CHARS / 2);
	to[BACKUP_ID_CHARS] = '\0';
}

static int transfer_hash(struct transfer *t, char to[BACKUP_ID_CHARS + 1], struct err *err)
{
	unsigned char digest[EVP_MAX_MD_SIZE];

	if (EVP_DigestFinal_ex(t->digest, digest, NULL) != 1)
		return err_set(err, ERR_MEMORY, "out of memory");
	put_hash(to, digest);
	return 0;
}

int backup_hash(struct span bytes, char to[BACKUP_ID_CHARS + 1], struct err *err)
{
	unsigned char digest[EVP_MAX_MD_SIZE];

	if (EVP_Digest(bytes.len ? bytes.ptr : "", bytes.len, digest, NULL, EVP_sha256(),
		       NULL) != 1)
		return err_set(err, ERR_MEMORY, "out of memory");
	put_hash(to, digest);
	return 0;
}

int backup_write_all(int fd, const void *bytes, size_t len, struct err *err)
{
	return fd_write_all(fd, span_of(bytes, len)) < 0
		       ? err_set_errno(err, errno, "cannot write")
		       : 0;
}

int backup_store_open(const char *store, bool make, struct err *err)
{
	int fd;

	if (make && mkdir(store, 0700) < 0 && errno != EEXIST)
		return err_set_errno(err, errno, "cannot make %s", store);
	fd = open(store, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_set_errno(err, errno, "cannot open %s", store);
	if (make && ((mkdirat(fd, "objects", 0700) < 0 && errno != EEXIST) ||
		     (mkdirat(fd, "snapshots", 0700) < 0 && errno != EEXIST))) {
		(void)err_set_errno(err, errno, "cannot make the folders of %s", store);
		close(fd);
		return -1;
	}
	return fd;
}

static void object_name(char name[NAME_MAX_BYTES], struct span hash)
{
	(void)snprintf(name, NAME_MAX_BYTES, "objects/%.2s/%.64s", hash.ptr, hash.ptr);
}

/* Empty at the end of the file. */
static int read_chunk(struct transfer *t, int from, struct span *chunk, struct err *err)
{
	ssize_t n;

	do
		n = read(from, t->in, CHUNK_BYTES);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_set_errno(err, errno, "cannot read");
	*chunk = span_of(t->in, (size_t)n);
	return 0;
}

/* Passes `bytes` to the hash and what zstd makes of them to the file. */
static int pack(struct transfer *t, struct span bytes, bool is_last, int to, struct err *err)
{
	ZSTD_inBuffer in = {bytes.ptr, bytes.len, 0};
	size_t left;

	if (bytes.len && EVP_DigestUpdate(t->digest, bytes.ptr, bytes.len) != 1)
		return err_set(err, ERR_MEMORY, "out of memory");
	t->size_bytes += bytes.len;
	do {
		ZSTD_outBuffer out = {t->out, CHUNK_BYTES, 0};

		left = ZSTD_compressStream2(t->pack, &out, &in,
					    is_last ? ZSTD_e_end : ZSTD_e_continue);
		if (ZSTD_isError(left))
			return err_set(err, ERR_MEMORY, "cannot compress: %s",
				       ZSTD_getErrorName(left));
		if (backup_write_all(to, t->out, out.pos, err) < 0)
			return -1;
	} while (is_last ? left != 0 : in.pos < in.size);
	return 0;
}

static int pack_file(struct transfer *t, int from, int to, struct err *err)
{
	struct span chunk;

	do {
		if (read_chunk(t, from, &chunk, err) < 0 ||
		    pack(t, chunk, chunk.len == 0, to, err) < 0)
			return -1;
	} while (chunk.len);
	return 0;
}

/* Gives the finished temporary file its name; one that is there already has the same content. */
static int settle(int store, const char *temporary, const char *hash, struct err *err)
{
	char name[NAME_MAX_BYTES], folder[NAME_MAX_BYTES];

	object_name(name, span_cstr(hash));
	(void)snprintf(folder, sizeof(folder), "objects/%.2s", hash);
	if (mkdirat(store, folder, 0700) < 0 && errno != EEXIST)
		return err_set_errno(err, errno, "cannot make %s", folder);
	if (renameat(store, temporary, store, name) < 0)
		return err_set_errno(err, errno, "cannot make %s", name);
	return 0;
}

/* Of the file `from`, or where that is -1 of the bytes. */
static int put(int store, int from, struct span bytes, char hash[BACKUP_ID_CHARS + 1],
	       uint64_t *size_bytes, struct err *err)
{
	char temporary[NAME_MAX_BYTES];
	struct transfer t;
	uint64_t mark;
	int to, done;

	rand_bytes(&mark, sizeof(mark));
	(void)snprintf(temporary, sizeof(temporary), "objects/.new-%016llx",
		       (unsigned long long)mark);
	if (transfer_init(&t, true, err) < 0)
		return -1;
	to = openat(store, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (to < 0) {
		transfer_release(&t);
		return err_set_errno(err, errno, "cannot write to the store");
	}
	done = from < 0 ? pack(&t, bytes, true, to, err) : pack_file(&t, from, to, err);
	close(to);
	if (done < 0 || transfer_hash(&t, hash, err) < 0 ||
	    settle(store, temporary, hash, err) < 0) {
		(void)unlinkat(store, temporary, 0);
		done = -1;
	}
	*size_bytes = t.size_bytes;
	transfer_release(&t);
	return done;
}

int backup_object_put(int store, int from, char hash[BACKUP_ID_CHARS + 1], uint64_t *size_bytes,
		      struct err *err)
{
	return put(store, from, SPAN_NONE, hash, size_bytes, err);
}

int backup_object_put_bytes(int store, struct span bytes, char hash[BACKUP_ID_CHARS + 1],
			    struct err *err)
{
	uint64_t size_bytes;

	return put(store, -1, bytes, hash, &size_bytes, err);
}

static int changed(struct span hash, struct err *err)
{
	return err_set(err, ERR_INVALID, "the content %.*s was changed", SPAN_ARG(hash));
}

struct sink {
	int fd; /* -1: none */
	struct buf *text; /* NULL: none */
	struct span hash; /* as expected */
	uint64_t max_bytes;
};

/* *left is 0 at the end of a frame. */
static int unpack(struct transfer *t, struct span bytes, const struct sink *sink, size_t *left,
		  struct err *err)
{
	ZSTD_inBuffer in = {bytes.ptr, bytes.len, 0};
	ZSTD_outBuffer out;

	do {
		out = (ZSTD_outBuffer){t->out, CHUNK_BYTES, 0};
		*left = ZSTD_decompressStream(t->unpack, &out, &in);
		t->size_bytes += out.pos;
		if (ZSTD_isError(*left) || t->size_bytes > sink->max_bytes)
			return changed(sink->hash, err);
		if (out.pos && EVP_DigestUpdate(t->digest, t->out, out.pos) != 1)
			return err_set(err, ERR_MEMORY, "out of memory");
		if (sink->fd >= 0 && backup_write_all(sink->fd, t->out, out.pos, err) < 0)
			return -1;
		if (sink->text && buf_append_bytes(sink->text, t->out, out.pos) < 0)
			return err_set(err, ERR_MEMORY, "out of memory");
	} while (in.pos < in.size || out.pos == CHUNK_BYTES);
	return 0;
}

static int unpack_file(struct transfer *t, int from, const struct sink *sink, struct err *err)
{
	struct span chunk;
	size_t left = 1;

	for (;;) {
		if (read_chunk(t, from, &chunk, err) < 0)
			return -1;
		if (!chunk.len)
			return left == 0 ? 0 : changed(sink->hash, err);
		if (unpack(t, chunk, sink, &left, err) < 0)
			return -1;
	}
}

int backup_object_get(int store, struct span hash, uint64_t size_bytes, int to,
		      struct buf *text, struct err *err)
{
	struct sink sink = {to, text, hash, size_bytes};
	char name[NAME_MAX_BYTES], found[BACKUP_ID_CHARS + 1];
	struct transfer t;
	int from, done;

	object_name(name, hash);
	from = openat(store, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (from < 0)
		return err_set_errno(err, errno, "cannot read the content %.*s",
				     SPAN_ARG(hash));
	if (transfer_init(&t, false, err) < 0) {
		close(from);
		return -1;
	}
	done = unpack_file(&t, from, &sink, err);
	if (done == 0)
		done = transfer_hash(&t, found, err);
	if (done == 0 && (t.size_bytes != size_bytes || !span_eq(span_cstr(found), hash)))
		done = changed(hash, err);
	close(from);
	transfer_release(&t);
	return done;
}
