/*
 * json_write.h - writes compact JSON into a buffer, setting the commas. The caller keeps begins
 * and ends paired and gives each value of an object its key. Failures show in buf_failed().
 */
#ifndef PARSE_JSON_WRITE_H
#define PARSE_JSON_WRITE_H

#include "base/buf.h"

struct json_writer {
	struct buf *to;
	bool need_comma;
};

static inline void json_writer_init(struct json_writer *w, struct buf *to)
{
	*w = (struct json_writer){to, false};
}

void json_begin_object(struct json_writer *w);
void json_end_object(struct json_writer *w);
void json_begin_array(struct json_writer *w);
void json_end_array(struct json_writer *w);
void json_key(struct json_writer *w, struct span key);
/* Bytes that are not UTF-8 become U+FFFD. */
void json_put_string(struct json_writer *w, struct span value);
void json_put_int(struct json_writer *w, int64_t value);
void json_put_uint(struct json_writer *w, uint64_t value);
/* Shortest of 15 to 17 digits that reads back the same; null when not finite. */
void json_put_double(struct json_writer *w, double value);
void json_put_bool(struct json_writer *w, bool value);
void json_put_null(struct json_writer *w);
/* A value that is JSON already. */
void json_put_raw(struct json_writer *w, struct span json);

/* A key with its value. */
void json_member_string(struct json_writer *w, struct span key, struct span value);
void json_member_int(struct json_writer *w, struct span key, int64_t value);
void json_member_bool(struct json_writer *w, struct span key, bool value);

struct json;
/* A whole tree of json.h. */
void json_put_tree(struct json_writer *w, const struct json *value);

#endif
