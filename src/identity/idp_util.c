#include "base/rand.h"
#include "identity/idp_internal.h"
#include "parse/base64.h"

struct span idp_new_id(struct arena *arena, char letter)
{
	char *text = arena_alloc(arena, 34);

	if (!text)
		return SPAN_NONE;
	text[0] = letter;
	rand_hex(text + 1, 16);
	text[33] = '\0';
	return span_of(text, 33);
}

struct span idp_new_secret(struct arena *arena)
{
	size_t size = base64url_encoded_size(32);
	char *text = arena_alloc(arena, size + 1);
	unsigned char bytes[32];

	if (!text)
		return SPAN_NONE;
	rand_bytes(bytes, sizeof(bytes));
	base64url_encode(text, span_of(bytes, sizeof(bytes)));
	secret_wipe(bytes, sizeof(bytes));
	text[size] = '\0';
	return span_of(text, size);
}

enum store_result idp_no_memory(struct err *err)
{
	(void)err_set(err, ERR_MEMORY, "identity: out of memory");
	return STORE_FAILED;
}

enum store_result idp_commit(struct store *store, struct store_change *changes, size_t count,
			     struct buf *value, struct err *err)
{
	enum store_result result = STORE_FAILED;

	changes[0].value = buf_span(value);
	if (buf_failed(value))
		(void)idp_no_memory(err);
	else
		result = store_commit(store, changes, count, err);
	if (value->ptr)
		secret_wipe(value->ptr, value->len);
	buf_release(value);
	return result;
}

const struct json *idp_parse(struct span value, struct arena *arena, struct err *err)
{
	const struct json *object = json_parse(arena, value, NULL, err);

	if (object && object->type == JSON_OBJECT)
		return object;
	(void)err_set(err, ERR_INTERNAL, "identity: a record is not what it should be");
	return NULL;
}

struct span json_text(const struct json *object, const char *name)
{
	struct span text = SPAN("");

	(void)json_string(json_get(object, span_cstr(name)), &text);
	return text;
}

int64_t json_number(const struct json *object, const char *name)
{
	int64_t number = 0;

	(void)json_int(json_get(object, span_cstr(name)), &number);
	return number;
}

bool json_flag(const struct json *object, const char *name)
{
	bool flag = false;

	(void)json_bool(json_get(object, span_cstr(name)), &flag);
	return flag;
}

int json_texts(const struct json *object, const char *name, struct arena *arena,
	       struct config_strings *to)
{
	const struct json *list = json_get(object, span_cstr(name));
	size_t count = list && list->type == JSON_ARRAY ? list->array.count : 0;

	to->count = 0;
	to->at = arena_array(arena, struct span, count + 1);
	if (!to->at)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (json_string(&list->array.items[i], &to->at[to->count]))
			to->count++;
	return 0;
}

void json_put_texts(struct json_writer *w, const char *name, const struct config_strings *list)
{
	json_key(w, span_cstr(name));
	json_begin_array(w);
	for (size_t i = 0; i < list->count; i++)
		json_put_string(w, list->at[i]);
	json_end_array(w);
}

bool texts_have(const struct config_strings *list, struct span text)
{
	for (size_t i = 0; i < list->count; i++)
		if (span_eq(list->at[i], text))
			return true;
	return false;
}

bool text_displayable(struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f)
			return false;
	return text.len <= DISPLAY_BYTES_MAX;
}

struct span text_lower(struct span text, struct arena *arena)
{
	char *copy = arena_alloc(arena, text.len + 1);

	if (!copy)
		return SPAN_NONE;
	for (size_t i = 0; i < text.len; i++)
		copy[i] = ascii_lower(text.ptr[i]);
	copy[text.len] = '\0';
	return span_of(copy, text.len);
}

int texts_remove(struct config_strings *list, struct span text, struct arena *arena)
{
	struct span *left = arena_array(arena, struct span, list->count + 1);
	size_t count = 0;

	if (!left)
		return -1;
	for (size_t i = 0; i < list->count; i++)
		if (!span_eq(list->at[i], text))
			left[count++] = list->at[i];
	*list = (struct config_strings){left, count};
	return 0;
}

int texts_add(struct config_strings *list, struct span text, struct arena *arena)
{
	struct span *all;

	if (texts_have(list, text))
		return 0;
	all = arena_array(arena, struct span, list->count + 1);
	if (!all)
		return -1;
	if (list->count)
		memcpy(all, list->at, list->count * sizeof(*all));
	all[list->count] = text;
	*list = (struct config_strings){all, list->count + 1};
	return 0;
}

int texts_split(struct span text, char separator, struct arena *arena,
		struct config_strings *to)
{
	struct span rest = text;

	to->count = 0;
	to->at = arena_array(arena, struct span, text.len / 2 + 2);
	if (!to->at)
		return -1;
	while (rest.ptr) {
		struct span word = span_trim(span_cut(&rest, separator));

		if (word.len && !texts_have(to, word))
			to->at[to->count++] = word;
	}
	return 0;
}

struct span texts_join(const struct config_strings *list, char separator, struct arena *arena)
{
	size_t len = 0;
	char *text;

	for (size_t i = 0; i < list->count; i++)
		len += list->at[i].len + 1;
	text = arena_alloc(arena, len + 1);
	if (!text)
		return SPAN_NONE;
	len = 0;
	for (size_t i = 0; i < list->count; i++) {
		if (i)
			text[len++] = separator;
		memcpy(text + len, list->at[i].ptr, list->at[i].len);
		len += list->at[i].len;
	}
	text[len] = '\0';
	return span_of(text, len);
}

static void put_member(struct buf *to, const char *name, struct span value)
{
	buf_printf(to, ",\"%s\":\"", name);
	buf_append_json(to, span_slice(value, 0, 512));
	buf_append_byte(to, '"');
}

void idp_audit(struct idp *idp, const char *event, const char *name, struct span value,
	       const char *second, struct span second_value)
{
	struct buf members;

	if (!idp->audit)
		return;
	buf_init(&members, 8192);
	if (name)
		put_member(&members, name, value);
	if (second)
		put_member(&members, second, second_value);
	idp->audit(idp->audit_context, event,
		   buf_failed(&members) ? SPAN_NONE : buf_span(&members));
	buf_release(&members);
}
