#include "supply/waiver.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <unistd.h>

#include "parse/base64.h"
#include "supply/lock_parse.h"
#include "supply/osv.h"

#define FILE_MAX_BYTES ((size_t)4 << 20)
#define KEY_BYTES 32
#define SIGNATURE_BYTES 64
/* Longer texts in base64 are neither keys nor signatures. */
#define ENCODED_MAX 96
#define DECODED_BYTES (ENCODED_MAX / 4 * 3 + 2)

void waiver_list_init(struct waiver_list *list)
{
	*list = (struct waiver_list){0};
	arena_init(&list->arena, FILE_MAX_BYTES * 8, (size_t)1 << 14);
}

void waiver_list_release(struct waiver_list *list)
{
	arena_release(&list->arena);
	*list = (struct waiver_list){0};
}

static int read_file(const char *path, struct buf *to, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char piece[16384];
	ssize_t got;

	if (fd < 0)
		return err_set_errno(err, errno, "%s", path);
	while ((got = read(fd, piece, sizeof(piece))) > 0)
		buf_append_bytes(to, piece, (size_t)got);
	(void)close(fd);
	if (got < 0)
		return err_set_errno(err, errno, "%s", path);
	if (buf_failed(to))
		return err_set(err, ERR_LIMIT, "%s: too large", path);
	return 0;
}

/* A list at the top of a YAML file; NULL with the error set. */
static const struct node *read_list(struct arena *arena, const char *path, struct err *err)
{
	const struct node *root = NULL;
	struct buf text;

	buf_init(&text, FILE_MAX_BYTES);
	if (read_file(path, &text, err) == 0) {
		struct span copy = arena_dup(arena, buf_span(&text));

		if (!copy.ptr)
			(void)err_set(err, ERR_MEMORY, "out of memory");
		else if (!(root = lock_parse_yaml(arena, copy, err)))
			(void)err_wrap(err, "%s", path);
	}
	buf_release(&text);
	if (root && root->kind != NODE_LIST) {
		(void)err_set(err, ERR_INVALID, "%s: not a list", path);
		return NULL;
	}
	return root;
}

static int problem(struct waiver_list *list, const struct waiver *w, const char *what)
{
	if (list->problem_count == list->problem_capacity) {
		size_t capacity = list->problem_capacity ? list->problem_capacity * 2 : 16;
		struct span *problems = arena_array(&list->arena, struct span, capacity);

		if (!problems)
			return -1;
		if (list->problem_count)
			memcpy(problems, list->problems,
			       list->problem_count * sizeof(*problems));
		list->problems = problems;
		list->problem_capacity = capacity;
	}
	list->problems[list->problem_count++] =
		arena_printf(&list->arena, "line %u: the waiver of %.*s does not count: %s",
			     w->line, SPAN_ARG(w->id), what);
	return 0;
}

static void put_line(struct buf *to, struct span text)
{
	buf_append_byte(to, '"');
	buf_append_json(to, text);
	buf_append_cstr(to, "\"\n");
}

void waiver_text(const struct waiver *w, struct buf *to)
{
	buf_append_cstr(to, "sallyport waiver 1\n");
	put_line(to, w->id);
	put_line(to, w->subject);
	put_line(to, w->file);
	put_line(to, w->reason);
	put_line(to, w->owner);
	put_line(to, w->expires);
	put_line(to, w->champion);
}

static bool verify(const struct waiver *w, struct span key)
{
	unsigned char raw_key[DECODED_BYTES], signature[DECODED_BYTES];
	size_t key_len, signature_len;
	EVP_PKEY *pkey = NULL;
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	struct buf text;
	bool good = false;

	buf_init(&text, FILE_MAX_BYTES);
	waiver_text(w, &text);
	if (context && !buf_failed(&text) && key.len <= ENCODED_MAX &&
	    w->signature.len <= ENCODED_MAX && base64_decode(raw_key, &key_len, key) &&
	    key_len == KEY_BYTES && base64_decode(signature, &signature_len, w->signature) &&
	    signature_len == SIGNATURE_BYTES)
		pkey = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, raw_key, KEY_BYTES);
	if (pkey && EVP_DigestVerifyInit(context, NULL, NULL, NULL, pkey) == 1)
		good = EVP_DigestVerify(context, signature, SIGNATURE_BYTES,
					(const unsigned char *)text.ptr, text.len) == 1;
	EVP_PKEY_free(pkey);
	EVP_MD_CTX_free(context);
	buf_release(&text);
	return good;
}

static struct span key_of(const struct node *champions, struct span name)
{
	node_for_each(champion, champions)
	{
		if (name.len && span_eq(node_text_at(champion, SPAN("name")), name))
			return node_text_at(champion, SPAN("key"));
	}
	return SPAN_NONE;
}

static int read_waiver(struct waiver *w, const struct node *n, struct err *err)
{
	*w = (struct waiver){
		.id = node_text_at(n, SPAN("id")),
		.subject = node_text_at(n, SPAN("subject")),
		.file = node_text_at(n, SPAN("file")),
		.reason = node_text_at(n, SPAN("reason")),
		.owner = node_text_at(n, SPAN("owner")),
		.expires = node_text_at(n, SPAN("expires")),
		.champion = node_text_at(n, SPAN("champion")),
		.signature = node_text_at(n, SPAN("signature")),
		.line = n->line,
	};
	if (w->id.len == 0 || w->reason.len == 0 || w->owner.len == 0)
		return err_set(err, ERR_INVALID, "line %u: a waiver needs id, reason and owner",
			       n->line);
	if (w->expires.len != 10 || osv_time_s(w->expires) == 0)
		return err_set(err, ERR_INVALID,
			       "line %u: a waiver needs the day on which it ends, \"expires: "
			       "2026-12-31\"",
			       n->line);
	return 0;
}

/* Only the struct's texts; signatures are looked at by the caller. */
static int read_waivers(struct waiver_list *list, const char *path, struct err *err)
{
	const struct node *root = read_list(&list->arena, path, err);

	if (!root)
		return -1;
	list->at = arena_array(&list->arena, struct waiver, (size_t)root->count + 1);
	if (!list->at)
		return err_set(err, ERR_MEMORY, "out of memory");
	node_for_each(item, root)
	{
		if (read_waiver(&list->at[list->count], item, err) < 0)
			return err_wrap(err, "%s", path);
		list->count++;
	}
	return 0;
}

int waiver_list_read(struct waiver_list *list, const char *path, const char *champions_path,
		     struct err *err)
{
	const struct node *champions = read_list(&list->arena, champions_path, err);

	if (!champions || read_waivers(list, path, err) < 0)
		return -1;
	for (size_t i = 0; i < list->count; i++) {
		struct waiver *w = &list->at[i];
		struct span key = key_of(champions, w->champion);
		const char *why = NULL;

		if (w->signature.len == 0)
			why = "nobody has signed it";
		else if (key.len == 0)
			why = "its champion is not listed";
		else if (!verify(w, key))
			why = "the signature is wrong";
		w->good = !why;
		if (why && problem(list, w, why) < 0)
			return err_set(err, ERR_MEMORY, "out of memory");
	}
	return 0;
}

static bool fits_id(const struct waiver *w, const struct vulnerability *v)
{
	if (span_eq(w->id, v->id))
		return true;
	for (uint32_t i = 0; i < v->other_count; i++)
		if (span_eq(w->id, v->others[i]))
			return true;
	return false;
}

/* "pkg:npm/a" is "pkg:npm/a@1" too, and not "pkg:npm/ab". */
static bool fits_subject(const struct waiver *w, struct span purl)
{
	if (w->subject.len == 0 || span_eq(w->subject, purl))
		return true;
	return span_starts_with(purl, w->subject) &&
	       span_find_byte(SPAN("@?#"), purl.ptr[w->subject.len]) < 3;
}

static bool fits_file(const struct waiver *w, struct span file)
{
	return span_starts_with(file, w->file);
}

static const struct waiver *waiver_of_finding(const struct waiver_list *list,
					      const struct finding *f)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct waiver *w = &list->at[i];

		if (w->good && span_eq(w->id, f->rule) && fits_file(w, f->place.file) &&
		    (w->subject.len == 0 || fits_subject(w, f->subject)))
			return w;
	}
	return NULL;
}

static void waive(struct waiver_list *list, const struct component *c, struct vulnerability *v)
{
	for (size_t i = 0; i < list->count && v->waiver.len == 0; i++) {
		const struct waiver *w = &list->at[i];

		if (!w->good || !fits_id(w, v) || !fits_subject(w, c->purl) ||
		    !fits_file(w, c->file))
			continue;
		v->waiver = arena_printf(&list->arena, "%.*s, until %.*s, signed by %.*s: %.*s",
					 SPAN_ARG(w->owner), SPAN_ARG(w->expires),
					 SPAN_ARG(w->champion), SPAN_ARG(w->reason));
	}
}

void waiver_apply(struct waiver_list *list, const struct inventory *inv,
		  struct vulnerability_list *vulnerabilities, struct finding_list *findings,
		  int64_t now_s)
{
	size_t kept = 0;

	for (size_t i = 0; i < list->count; i++) {
		struct waiver *w = &list->at[i];

		if (!w->good || now_s < osv_time_s(w->expires) + 86400)
			continue;
		w->good = false;
		(void)problem(list, w, "it has expired");
	}
	for (size_t i = 0; i < vulnerabilities->count; i++) {
		struct vulnerability *v = &vulnerabilities->at[i];

		waive(list, &inv->at[v->component], v);
	}
	for (size_t i = 0; i < findings->count; i++)
		if (!waiver_of_finding(list, &findings->at[i]))
			findings->at[kept++] = findings->at[i];
	findings->count = kept;
}

static EVP_PKEY *read_key(const char *path, struct err *err)
{
	FILE *file = fopen(path, "rbe");
	EVP_PKEY *key;

	if (!file) {
		(void)err_set_errno(err, errno, "%s", path);
		return NULL;
	}
	key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
	(void)fclose(file);
	if (key && EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519)
		return key;
	EVP_PKEY_free(key);
	(void)err_set(err, ERR_INVALID, "%s: not a private key of Ed25519 in PEM", path);
	return NULL;
}

static int sign_one(const struct waiver *w, EVP_PKEY *key, struct buf *to, struct err *err)
{
	unsigned char signature[SIGNATURE_BYTES];
	char encoded[ENCODED_MAX];
	size_t len = sizeof(signature);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	struct buf text;
	bool good;

	buf_init(&text, FILE_MAX_BYTES);
	waiver_text(w, &text);
	good = context && !buf_failed(&text) &&
	       EVP_DigestSignInit(context, NULL, NULL, NULL, key) == 1 &&
	       EVP_DigestSign(context, signature, &len, (const unsigned char *)text.ptr,
			      text.len) == 1 &&
	       len == SIGNATURE_BYTES;
	EVP_MD_CTX_free(context);
	buf_release(&text);
	if (!good)
		return err_set(err, ERR_INTERNAL, "line %u: could not be signed", w->line);
	buf_printf(to, "%.*s, line %u: signature: ", SPAN_ARG(w->id), w->line);
	buf_append_bytes(to, encoded, base64_encode(encoded, span_of(signature, len)));
	buf_append_byte(to, '\n');
	return 0;
}

int waiver_sign(const char *path, const char *champion, const char *key_path, struct buf *to,
		struct err *err)
{
	EVP_PKEY *key = read_key(key_path, err);
	struct waiver_list list;
	int result;

	if (!key)
		return -1;
	waiver_list_init(&list);
	result = read_waivers(&list, path, err);
	for (size_t i = 0; i < list.count && result == 0; i++)
		if (span_eq(list.at[i].champion, span_cstr(champion)))
			result = sign_one(&list.at[i], key, to, err);
	waiver_list_release(&list);
	EVP_PKEY_free(key);
	return result;
}
