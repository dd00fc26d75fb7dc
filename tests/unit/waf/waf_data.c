#include "waf_data.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

bool waf_data_open(struct waf_data *data)
{
	const char *folder = getenv("SALLYPORT_TEST_DATA");
	char path[1024], piece[65536];
	FILE *file;
	size_t got;

	snprintf(path, sizeof(path), "%s/waf/payload_train.csv",
		 folder && folder[0] ? folder : PROJECT "/../shared/data");
	file = fopen(path, "rb");
	if (!file) {
		print_message("skipped: there is no test data in %s\n", path);
		return false;
	}
	buf_init(&data->text, 1 << 26);
	buf_init(&data->value, 1 << 20);
	while ((got = fread(piece, 1, sizeof(piece), file)) > 0)
		buf_append_bytes(&data->text, piece, got);
	fclose(file);
	assert_false(buf_failed(&data->text));
	data->rest = buf_span(&data->text);
	(void)span_cut(&data->rest, '\n'); /* the names of the columns */
	return true;
}

void waf_data_close(struct waf_data *data)
{
	buf_release(&data->text);
	buf_release(&data->value);
}

/* "payload","length","type","label": the payload has its quotes doubled, and may have newlines. */
bool waf_data_next(struct waf_data *data, struct span *value, bool *attack)
{
	struct span text = data->rest, line;
	size_t at = 1;

	if (text.len == 0)
		return false;
	buf_clear(&data->value);
	for (; at < text.len; at++) {
		if (text.ptr[at] == '"' && (at + 1 == text.len || text.ptr[++at] != '"'))
			break;
		buf_append_byte(&data->value, text.ptr[at]);
	}
	data->rest = span_slice(text, at, text.len);
	line = span_cut(&data->rest, '\n');
	if (!data->rest.ptr)
		data->rest = SPAN_NONE;
	*value = buf_span(&data->value);
	if (attack)
		*attack = span_find(line, SPAN("\"anom\"")) < line.len;
	return true;
}
