/* fields.h - questions about header fields that several phases ask. Private to src/gateway. */
#ifndef GATEWAY_FIELDS_H
#define GATEWAY_FIELDS_H

#include "config/config.h"
#include "parse/http1.h"

/* A field's bit in a set of ids. */
#define FIELD_BIT(id) ((uint64_t)1 << (id))
_Static_assert(HTTP_FIELD_COUNT <= 64, "field ids must fit a 64-bit set");

/* The first value of a field by its name, any case; ptr NULL when absent. With an id: http1_field. */
struct span fields_find(const struct http1_head *head, struct span name);
/* Whether content follows the head; chunked content may still turn out to be empty. */
static inline bool fields_announce_content(const struct http1_head *head)
{
	return head->framing != HTTP1_NO_BODY &&
	       !(head->framing == HTTP1_LENGTH && head->content_length == 0);
}
/*
 * Whether there is anything to edit, and whether the edit removes or replaces the field, or one that
 * others may take for it (http_field_names_alike).
 */
static inline bool fields_has_edits(const struct config_header_edit *edit)
{
	return edit->remove.count || edit->set.count;
}
bool fields_edited(const struct config_header_edit *edit, struct span name);
/* Takes those that are edited out of trailers; returns how many are left. */
size_t fields_drop_edited(const struct config_header_edit *edit, struct http_field *trailers,
			  size_t count);
/* Whether a field's value has the text in it. */
bool fields_value_contains(const struct http1_head *head, struct span name, struct span text);
/* A browser that wants to show a page, which can be sent elsewhere first. */
bool fields_want_page(const struct http1_head *head);
/*
 * Whether the head's Connection fields name this one, which then ends here (RFC 9110 section
 * 7.6.1). Only to be asked when head->connection_names.
 */
bool fields_is_named(const struct http1_head *head, struct span name);

#endif
