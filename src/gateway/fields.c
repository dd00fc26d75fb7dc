#include "gateway/fields.h"

HOT struct span fields_find(const struct http1_head *head, struct span name)
{
	for (size_t i = 0; i < head->field_count; i++)
		if (span_eq_nocase(head->fields[i].name, name))
			return head->fields[i].value;
	return SPAN_NONE;
}

bool fields_edited(const struct config_header_edit *edit, struct span name)
{
	for (size_t i = 0; i < edit->remove.count; i++)
		if (http_field_names_alike(edit->remove.at[i], name))
			return true;
	for (size_t i = 0; i < edit->set.count; i++)
		if (http_field_names_alike(edit->set.at[i].name, name))
			return true;
	return false;
}

size_t fields_drop_edited(const struct config_header_edit *edit, struct http_field *trailers,
			  size_t count)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++)
		if (!fields_edited(edit, trailers[i].name))
			trailers[kept++] = trailers[i];
	return kept;
}

bool fields_is_named(const struct http1_head *head, struct span name)
{
	for (size_t i = 0; i < head->field_count; i++)
		if (head->fields[i].id == HTTP_FIELD_CONNECTION &&
		    http_list_has(head->fields[i].value, name))
			return true;
	return false;
}

bool fields_value_contains(const struct http1_head *head, struct span name, struct span text)
{
	struct span value = fields_find(head, name);

	return value.ptr && span_find(value, text) < value.len;
}

bool fields_want_page(const struct http1_head *head)
{
	return (head->method == HTTP_METHOD_GET || head->method == HTTP_METHOD_HEAD) &&
	       fields_value_contains(head, SPAN("accept"), SPAN("text/html"));
}
