#include "identity/password.h"

#include <argon2.h>
#include <openssl/sha.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/secret.h"
#include "parse/utf8.h"

#define SALT_BYTES 16
#define HASH_BYTES 32
#define ENCODED_MAX 256
/* A hash from elsewhere must not make one login take minutes. */
#define MEMORY_KIB_MAX ((uint64_t)4 << 20)
#define PASSES_MAX 100
#define LANES_MAX 64

struct parameters {
	uint32_t memory_kib;
	uint32_t passes;
	uint32_t lanes;
};

static struct parameters wanted(const struct config_password *config)
{
	return (struct parameters){(uint32_t)(config->memory_bytes / 1024), config->passes,
				   config->lanes};
}

struct span password_hash(const struct config_password *config, struct span password,
			  struct arena *arena, struct err *err)
{
	struct parameters p = wanted(config);
	unsigned char salt[SALT_BYTES];
	char encoded[ENCODED_MAX];
	struct span copy = SPAN_NONE;
	int result;

	rand_bytes(salt, sizeof(salt));
	result = argon2id_hash_encoded(p.passes, p.memory_kib, p.lanes, password.ptr,
				       password.len, salt, sizeof(salt), HASH_BYTES, encoded,
				       sizeof(encoded));
	if (result == ARGON2_OK)
		copy = arena_dup(arena, span_cstr(encoded));
	secret_wipe(encoded, sizeof(encoded));
	if (!copy.ptr)
		(void)err_set(err, ERR_MEMORY, "argon2: %s",
			      result == ARGON2_OK ? "out of memory"
						  : argon2_error_message(result));
	return copy;
}

/* "m=19456,t=2,p=1" */
static bool read_parameters(struct span hash, struct parameters *to)
{
	static const char names[] = "mtp";
	struct span rest = hash, list, item;
	uint64_t values[3];

	if (!span_eq(span_cut(&rest, '$'), SPAN("")) ||
	    !span_eq(span_cut(&rest, '$'), SPAN("argon2id")) ||
	    !span_eq(span_cut(&rest, '$'), SPAN("v=19")))
		return false;
	list = span_cut(&rest, '$');
	for (size_t i = 0; i < COUNT_OF(values); i++) {
		item = span_cut(&list, ',');
		if (item.len < 3 || item.ptr[0] != names[i] || item.ptr[1] != '=' ||
		    !span_to_u64(span_slice(item, 2, item.len), &values[i]))
			return false;
	}
	if (list.ptr || values[0] > MEMORY_KIB_MAX || values[1] > PASSES_MAX ||
	    values[2] > LANES_MAX)
		return false;
	*to = (struct parameters){(uint32_t)values[0], (uint32_t)values[1],
				  (uint32_t)values[2]};
	return true;
}

bool password_is_outdated(const struct config_password *config, struct span hash)
{
	struct parameters have, want = wanted(config);

	return !read_parameters(hash, &have) || have.memory_kib != want.memory_kib ||
	       have.passes != want.passes || have.lanes != want.lanes;
}

bool password_verify(const struct config_password *config, struct span hash,
		     struct span password)
{
	struct parameters p = wanted(config), have;
	char encoded[ENCODED_MAX];
	unsigned char waste[HASH_BYTES];
	static const unsigned char salt[SALT_BYTES] = {0};
	bool right;

	if (hash.len == 0 || hash.len >= sizeof(encoded) || !read_parameters(hash, &have) ||
	    password.len > PASSWORD_BYTES_MAX) {
		/* Nobody's password takes as long as somebody's. */
		(void)argon2id_hash_raw(p.passes, p.memory_kib, p.lanes, password.ptr,
					password.len > PASSWORD_BYTES_MAX ? PASSWORD_BYTES_MAX
									  : password.len,
					salt, sizeof(salt), waste, sizeof(waste));
		return false;
	}
	memcpy(encoded, hash.ptr, hash.len);
	encoded[hash.len] = '\0';
	right = argon2id_verify(encoded, password.ptr, password.len) == ARGON2_OK;
	secret_wipe(encoded, sizeof(encoded));
	return right;
}

/* "HASH" or "HASH:COUNT": the SHA-1 of a password, as lists of breaches have it. */
static bool is_hash_of(struct span line, struct span password_sha1)
{
	return span_eq_nocase(span_slice(line, 0, span_find_byte(line, ':')), password_sha1);
}

enum known { KNOWN_NO, KNOWN_YES, KNOWN_UNREADABLE };

static enum known is_known(const char *path, struct span password)
{
	FILE *file = fopen(path, "re");
	char line[PASSWORD_BYTES_MAX + 2], sha1[SHA_DIGEST_LENGTH * 2 + 1];
	unsigned char digest[SHA_DIGEST_LENGTH];
	enum known known = KNOWN_NO;

	if (!file)
		return KNOWN_UNREADABLE;
	SHA1((const unsigned char *)password.ptr, password.len, digest);
	for (size_t i = 0; i < sizeof(digest); i++)
		snprintf(sha1 + 2 * i, 3, "%02x", digest[i]);
	while (known == KNOWN_NO && fgets(line, sizeof(line), file)) {
		struct span text = span_cstr(line);

		while (text.len &&
		       (text.ptr[text.len - 1] == '\n' || text.ptr[text.len - 1] == '\r'))
			text.len--;
		if (span_eq_nocase(text, password) || is_hash_of(text, span_cstr(sha1)))
			known = KNOWN_YES;
	}
	if (ferror(file))
		known = KNOWN_UNREADABLE;
	fclose(file);
	return known;
}

static const char *known_problem(const char *path, struct span password)
{
	switch (is_known(path, password)) {
	case KNOWN_NO: return NULL;
	case KNOWN_YES: return "The password is in a list of passwords that others know.";
	case KNOWN_UNREADABLE: break;
	}
	log_message(LOG_ERROR, "identity.breached", "cannot read %s", path);
	return "The password cannot be checked now. Try again later.";
}

static size_t count_characters(struct span text)
{
	size_t count = 0;

	for (size_t i = 0; i < text.len; i++)
		count += ((unsigned char)text.ptr[i] & 0xc0) != 0x80;
	return count;
}

/* NIST SP 800-63B section 5.1.1.2: length and known passwords, no rules about kinds of letters. */
const char *password_problem(const struct config_password *config, struct span name,
			     struct span password)
{
	if (!utf8_valid(password) || memchr(password.ptr, 0, password.len))
		return "The password holds characters that cannot be used.";
	if (count_characters(password) < config->min_chars)
		return "The password is too short.";
	if (password.len > PASSWORD_BYTES_MAX)
		return "The password is too long.";
	if (span_eq_nocase(password, name))
		return "The password is the name.";
	return config->breached.len ? known_problem(config->breached.ptr, password) : NULL;
}

void password_once(char to[PASSWORD_ONCE_SIZE])
{
	static const char letters[] = "abcdefghijkmnpqrstuvwxyz23456789";

	for (size_t i = 0; i < PASSWORD_ONCE_SIZE - 1; i++)
		to[i] = i % 6 == 5 ? '-' : letters[rand_below(sizeof(letters) - 1)];
	to[PASSWORD_ONCE_SIZE - 1] = '\0';
}
