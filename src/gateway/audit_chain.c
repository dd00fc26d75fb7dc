#include "gateway/audit_chain.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/mem.h"
#include "gateway/audit.h"

#define TAIL_BYTES ((size_t)1 << 20)
/* More than a few half lines: somebody has named another file. */
#define TORN_MAX_BYTES ((size_t)256 * 1024)

static const struct span hash_key = SPAN_INIT(",\"hash\":\"");
static const struct span prev_key = SPAN_INIT(",\"prev\":\"");
static const struct span seq_key = SPAN_INIT("{\"seq\":");
static const struct span time_key = SPAN_INIT(",\"time\":\"");

void audit_chain_start(struct audit_chain *chain)
{
	chain->seq = 0;
	memset(chain->hash, '0', AUDIT_HASH_DIGITS);
}

bool audit_hash(struct span bytes, char to[AUDIT_HASH_DIGITS])
{
	unsigned char digest[32];

	if (EVP_Digest(bytes.len ? bytes.ptr : "", bytes.len, digest, NULL, EVP_sha256(),
		       NULL) != 1)
		return false;
	hex_encode(to, digest, sizeof(digest));
	return true;
}

int audit_chain_append(struct audit_chain *chain, struct span members, struct buf *out)
{
	size_t start = out->len;
	char hash[AUDIT_HASH_DIGITS];

	buf_printf(out, "%.*s%llu,", SPAN_ARG(seq_key), (unsigned long long)chain->seq + 1);
	buf_append(out, members);
	buf_append(out, prev_key);
	buf_append_bytes(out, chain->hash, sizeof(chain->hash));
	buf_append_byte(out, '"');
	if (buf_failed(out))
		return -1;
	if (!audit_hash(span_slice(buf_span(out), start, out->len), hash)) {
		out->failed = true;
		return -1;
	}
	buf_append(out, hash_key);
	buf_append_bytes(out, hash, sizeof(hash));
	if (buf_append_cstr(out, "\"}\n") < 0 || buf_failed(out))
		return -1;
	chain->seq++;
	memcpy(chain->hash, hash, sizeof(hash));
	return 0;
}

/* --- reading --- */

struct record {
	uint64_t seq;
	struct span prev;
	struct span hash;
	struct span members; /* between the number and "prev" */
};

#define TRAILER_BYTES (9 + AUDIT_HASH_DIGITS + 1)

/* NULL: a record whose own hash is right. All parts have fixed places, so no value can fake one. */
static const char *read_record(struct span line, struct record *record)
{
	char hash[AUDIT_HASH_DIGITS];
	struct span number;
	size_t body;

	if (line.len < seq_key.len + 2 * TRAILER_BYTES + 1)
		return "not a record of an audit log";
	body = line.len - TRAILER_BYTES - 1;
	record->hash = span_slice(line, body + hash_key.len, line.len - 2);
	record->prev = span_slice(line, body - TRAILER_BYTES + prev_key.len, body - 1);
	number = span_slice(line, seq_key.len, line.len);
	number.len = span_find_byte(number, ',');
	record->members = span_slice(line, seq_key.len + number.len, body - TRAILER_BYTES);
	if (!span_starts_with(span_slice(line, body, line.len), hash_key) ||
	    !span_ends_with(line, SPAN("\"}")))
		return "no hash at its end";
	if (!span_starts_with(line, seq_key) || !span_to_u64(number, &record->seq) ||
	    !span_starts_with(span_slice(line, body - TRAILER_BYTES, line.len), prev_key))
		return "not a record of an audit log";
	if (!audit_hash(span_slice(line, 0, body), hash))
		return "no memory to check it";
	if (!span_eq(record->hash, span_of(hash, sizeof(hash))))
		return "the line was changed";
	return NULL;
}

static const char *check_line(struct audit_chain *chain, struct span line,
			      struct record *record)
{
	const char *problem = read_record(line, record);

	if (problem)
		return problem;
	if (!span_eq(record->prev, span_of(chain->hash, sizeof(chain->hash))))
		return "it does not follow the line before";
	if (record->seq != chain->seq + 1)
		return "lines are missing before it";
	return NULL;
}

static void chain_advance(struct audit_chain *chain, const struct record *record)
{
	chain->seq = record->seq;
	memcpy(chain->hash, record->hash.ptr, sizeof(chain->hash));
}

void audit_recovered_members(const struct audit_tail *tail, struct buf *out)
{
	buf_printf(out, "\"event\":\"recovered\",\"torn_bytes\":%llu,\"torn_sha256\":\"%.*s\"",
		   (unsigned long long)tail->torn_bytes, AUDIT_HASH_DIGITS, tail->torn_hash);
}

/* --- the end of a file --- */

static int describe_tail(struct span bytes, size_t good, struct audit_tail *tail,
			 struct err *err)
{
	struct span torn = span_slice(bytes, good, bytes.len);

	tail->open_line = bytes.len > 0 && bytes.ptr[bytes.len - 1] != '\n';
	tail->torn = torn.len > 0;
	if (torn.len > TORN_MAX_BYTES)
		return err_set(err, ERR_INVALID, "it does not end with an audit record");
	if (torn.len && !tail->open_line)
		torn.len--;
	tail->torn_bytes = torn.len;
	if (!audit_hash(torn, tail->torn_hash))
		return err_set(err, ERR_MEMORY, "no memory to read it");
	return 0;
}

/* `whole`: the bytes are the file's from its beginning. */
static int parse_tail(struct span bytes, bool whole, struct audit_tail *tail, struct err *err)
{
	size_t end = bytes.len;

	audit_chain_start(&tail->chain);
	while (end > 0) {
		size_t line_end = bytes.ptr[end - 1] == '\n' ? end - 1 : end;
		size_t start = line_end;
		struct record record;

		while (start > 0 && bytes.ptr[start - 1] != '\n')
			start--;
		if (!read_record(span_slice(bytes, start, line_end), &record)) {
			chain_advance(&tail->chain, &record);
			return describe_tail(bytes, end, tail, err);
		}
		end = start;
	}
	if (!whole)
		return err_set(err, ERR_INVALID, "it does not end with an audit record");
	return describe_tail(bytes, 0, tail, err);
}

int audit_tail_read(int fd, uint64_t size, struct audit_tail *tail, struct err *err)
{
	size_t want = size < TAIL_BYTES ? (size_t)size : TAIL_BYTES;
	uint64_t from = size - want;
	char *bytes = mem_alloc(want + 1);
	size_t got = 0;
	int result;

	*tail = (struct audit_tail){.torn = false};
	if (!bytes)
		return err_set(err, ERR_MEMORY, "no memory to read it");
	while (got < want) {
		ssize_t n = pread(fd, bytes + got, want - got, (off_t)(from + got));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		got += (size_t)n;
	}
	result = got < want ? err_set(err, ERR_IO, "its end cannot be read")
			    : parse_tail(span_of(bytes, got), from == 0, tail, err);
	mem_free(bytes);
	return result;
}

/* --- the whole file --- */

/* Lines that are no records, until a "recovered" record accounts for them. */
struct stretch {
	EVP_MD_CTX *digest;
	bool begun;
	uint64_t bytes;
	uint64_t first_line;
	const char *problem;
	bool failed;
};

static void stretch_add(struct stretch *s, struct span line)
{
	if (!s->begun) {
		s->bytes = 0;
		s->failed |= EVP_DigestInit_ex(s->digest, EVP_sha256(), NULL) != 1;
	} else {
		s->bytes++;
		s->failed |= EVP_DigestUpdate(s->digest, "\n", 1) != 1;
	}
	s->begun = true;
	s->bytes += line.len;
	s->failed |= EVP_DigestUpdate(s->digest, line.ptr, line.len) != 1;
}

/* Whether the record says of exactly these bytes that they are what a crash has left. */
static bool accounts_for(const struct record *record, struct stretch *s)
{
	struct span members = record->members;
	struct audit_tail tail = {.torn_bytes = s->bytes};
	unsigned char digest[32];
	struct buf expected;
	bool equal;

	if (EVP_DigestFinal_ex(s->digest, digest, NULL) != 1)
		return false;
	hex_encode(tail.torn_hash, digest, sizeof(digest));
	buf_init(&expected, 1024);
	audit_recovered_members(&tail, &expected);
	equal = !buf_failed(&expected) && span_starts_with(members, time_key);
	members = span_slice(members, time_key.len + CLOCK_RFC3339_SIZE - 1 + 2, members.len);
	equal = equal && span_eq(members, buf_span(&expected));
	buf_release(&expected);
	return equal;
}

/* False: the chain is broken here. */
static bool verify_line(struct audit_chain *chain, struct stretch *s, struct span line,
			bool ended, struct audit_report *report)
{
	struct record record;
	const char *problem = ended ? check_line(chain, line, &record) : "its end is missing";

	if (problem) {
		if (!s->begun) {
			s->first_line = report->lines;
			s->problem = problem;
		}
		stretch_add(s, line);
		return true;
	}
	if (s->begun) {
		if (!accounts_for(&record, s))
			return false;
		s->begun = false;
		report->recoveries++;
	}
	chain_advance(chain, &record);
	return true;
}

/*
 * Up to where the file was whole when we came: a writer that goes on meanwhile does no harm. Its
 * lock is held for a moment only; whoever may read the log must not be able to stop it.
 */
static int64_t settled_size(int fd)
{
	struct stat status;
	int result;

	if (flock(fd, LOCK_SH) < 0)
		return -1;
	result = fstat(fd, &status);
	flock(fd, LOCK_UN);
	return result < 0 ? -1 : (int64_t)status.st_size;
}

static int verify_file(FILE *file, struct stretch *s, struct span known,
		       struct audit_report *report, struct err *err)
{
	int64_t left = settled_size(fileno(file));
	struct audit_chain chain;
	bool good = true, found = known.len == 0;
	char *line = NULL;
	size_t cap = 0;
	ssize_t len = 0;

	if (left < 0)
		return err_set_errno(err, errno, "cannot read");
	audit_chain_start(&chain);
	while (good && left > 0 && (len = getline(&line, &cap, file)) > 0) {
		bool ended = line[len - 1] == '\n';

		left -= len;
		report->lines++;
		good = verify_line(&chain, s, span_of(line, (size_t)len - ended), ended,
				   report);
		found = found || span_eq(known, span_of(chain.hash, AUDIT_HASH_DIGITS));
	}
	free(line);
	if (ferror(file) || s->failed)
		return err_set(err, ERR_IO, "cannot read, or out of memory");
	if (s->begun) {
		report->bad_line = s->first_line;
		report->problem = s->problem;
	} else if (good && !found) {
		report->bad_line = report->lines + 1;
		report->problem = "lines that were here are missing, or it is another log";
	}
	memcpy(report->last_hash, chain.hash, AUDIT_HASH_DIGITS);
	return 0;
}

int audit_verify(const char *path, struct span known, struct audit_report *report,
		 struct err *err)
{
	struct stretch s = {.digest = EVP_MD_CTX_new()};
	FILE *file = fopen(path, "re");
	int result;

	*report = (struct audit_report){.lines = 0};
	if (!file)
		result = err_set_errno(err, errno, "%s", path);
	else if (!s.digest)
		result = err_set(err, ERR_MEMORY, "%s: out of memory", path);
	else if ((result = verify_file(file, &s, known, report, err)) < 0)
		err_wrap(err, "%s", path);
	if (file)
		fclose(file);
	EVP_MD_CTX_free(s.digest);
	return result;
}
