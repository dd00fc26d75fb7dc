/* Signatures are put into a file of waivers without touching the rest of its text. */
#include "config/tree.h"
#include "supply/waiver.h"
#include "supply/waiver_key.h"

#define TEXT_MAX ((size_t)16 << 20)
#define INSERT_MAX 512

/* Edits are made from the end of the text to its beginning, so that places stay right. */
struct signing {
	const struct waiver_signer *signer;
	struct waiver_key *key;
	struct span public_key;
	struct buf text;
	struct waiver_list list;
	int signed_count;
};

static void replace(struct buf *text, size_t from, size_t to, struct span by)
{
	struct buf next;

	buf_init(&next, TEXT_MAX);
	buf_append(&next, span_slice(buf_span(text), 0, from));
	buf_append(&next, by);
	buf_append(&next, span_slice(buf_span(text), to, text->len));
	buf_release(text);
	*text = next;
}

static size_t offset_of(struct span text, struct config_where where)
{
	size_t at = 0;

	for (uint32_t line = 1; line < where.line && at < text.len; line++)
		at += span_find_byte(span_slice(text, at, text.len), '\n') + 1;
	at += where.column ? where.column - 1 : 0;
	return at < text.len ? at : text.len;
}

/* Where a scalar that is written in one line ends. */
static size_t end_of_scalar(struct span text, size_t at)
{
	char quote = at < text.len ? text.ptr[at] : '\0';
	size_t end = at;

	if (quote == '"' || quote == '\'') {
		for (end = at + 1; end < text.len && text.ptr[end] != quote;)
			end++;
		return end < text.len ? end + 1 : end;
	}
	while (end < text.len && !strchr(" ,}\r\n", text.ptr[end]))
		end++;
	return end;
}

/* `key: "value"` into the mapping: in place of the value that is there, or before its first key. */
static void put(struct signing *s, const struct tree_node *item, const char *key,
		struct span value)
{
	struct span text = buf_span(&s->text);
	const struct tree_node *old = tree_get(item, key);
	size_t at = offset_of(text, (old ? old : item)->where);
	bool flow = at < text.len && text.ptr[at] == '{';
	struct buf insert;

	buf_init(&insert, INSERT_MAX);
	if (old) {
		buf_printf(&insert, "\"%.*s\"", SPAN_ARG(value));
		replace(&s->text, at, end_of_scalar(text, at), buf_span(&insert));
	} else if (flow) {
		buf_printf(&insert, "%s: \"%.*s\", ", key, SPAN_ARG(value));
		replace(&s->text, at + 1, at + 1, buf_span(&insert));
	} else {
		buf_printf(&insert, "%s: \"%.*s\"\n", key, SPAN_ARG(value));
		for (uint32_t column = 1; column < item->where.column; column++)
			buf_append_byte(&insert, ' ');
		replace(&s->text, at, at, buf_span(&insert));
	}
	if (buf_failed(&insert))
		s->text.failed = true;
	buf_release(&insert);
}

/* In the order of their places from behind. */
static void put_both(struct signing *s, const struct tree_node *item, struct span signature)
{
	const struct tree_node *one = tree_get(item, "champion");
	const struct tree_node *two = tree_get(item, "signature");
	bool champion_first =
		one &&
		(!two || one->where.line > two->where.line ||
		 (one->where.line == two->where.line && one->where.column > two->where.column));

	if (champion_first)
		put(s, item, "champion", s->signer->champion);
	put(s, item, "signature", signature);
	if (!champion_first)
		put(s, item, "champion", s->signer->champion);
}

static bool is_wanted(const struct signing *s, const struct waiver *w)
{
	struct buf text;
	bool good;

	if (s->signer->id.len && !span_eq(s->signer->id, w->id))
		return false;
	/* By its id, one that names somebody else can be taken over. */
	if (w->champion.len && !s->signer->id.len && !span_eq(w->champion, s->signer->champion))
		return false;
	buf_init(&text, TEXT_MAX);
	waiver_text(w, &text);
	good = waiver_key_verify(s->public_key, w->signature, buf_span(&text));
	buf_release(&text);
	return !good;
}

static int sign_one(struct signing *s, struct waiver *w, const struct tree_node *item,
		    struct err *err)
{
	char signature[WAIVER_SIGNATURE_CHARS];
	struct buf text;
	int result;

	w->champion = s->signer->champion;
	buf_init(&text, TEXT_MAX);
	waiver_text(w, &text);
	result = buf_failed(&text) ? err_set(err, ERR_MEMORY, "out of memory")
				   : waiver_key_sign(s->key, buf_span(&text), signature, err);
	buf_release(&text);
	if (result < 0)
		return -1;
	put_both(s, item, span_of(signature, sizeof(signature)));
	s->signed_count++;
	return 0;
}

/* What was written is read again: each must be as it was, and be signed now. */
static int check_again(const struct signing *s, const char *name, struct err *err)
{
	struct config_problems problems = {0};
	struct waiver_list again;
	bool open = false;
	int result = 0;

	if (waiver_list_load_text(&again, buf_span(&s->text), name, &problems) < 0)
		result = err_set(err, ERR_INVALID,
				 "%s: written in a way in which it cannot be signed", name);
	for (size_t i = 0; i < again.all.count; i++)
		open = open || is_wanted(s, &again.all.at[i]);
	if (result == 0 && (open || again.all.count != s->list.all.count))
		result = err_set(err, ERR_INVALID,
				 "%s: written in a way in which it cannot be signed", name);
	waiver_list_release(&again);
	return result;
}

static int sign_all(struct signing *s, struct span text, const char *name, struct err *err)
{
	static const struct config_source source = {0};
	struct config_problems problems = {0};
	const struct tree_node *root;
	struct arena trees;
	int result = 0;

	if (waiver_list_load_text(&s->list, text, name, &problems) < 0)
		return config_problems_to_err(&problems, err);
	buf_append(&s->text, text);
	arena_init(&trees, TEXT_MAX * 16, 16384);
	root = tree_parse(text, name, &source, &trees, &problems);
	if (!root)
		result = err_set(err, ERR_MEMORY, "out of memory");
	for (size_t i = s->list.all.count; result == 0 && i > 0; i--)
		if (is_wanted(s, &s->list.all.at[i - 1]))
			result = sign_one(s, &s->list.all.at[i - 1], root->items[i - 1], err);
	arena_release(&trees);
	if (result == 0 && buf_failed(&s->text))
		result = err_set(err, ERR_MEMORY, "out of memory");
	return result < 0 ? -1 : check_again(s, name, err);
}

int waiver_sign(struct span text, const char *name, const struct waiver_signer *signer,
		struct buf *to, struct err *err)
{
	struct signing s = {.signer = signer};
	struct buf public_key;
	int result = -1;

	buf_init(&s.text, TEXT_MAX);
	buf_init(&public_key, 64);
	s.key = waiver_key_read(signer->key_path, err);
	if (s.key && waiver_key_public(s.key, &public_key, err) == 0) {
		s.public_key = buf_span(&public_key);
		result = sign_all(&s, text, name, err);
	}
	if (result == 0)
		buf_append(to, buf_span(&s.text));
	waiver_list_release(&s.list);
	waiver_key_free(s.key);
	buf_release(&public_key);
	buf_release(&s.text);
	return result < 0 ? -1 : s.signed_count;
}
