/* operator_fuzzy.c - fuzzyHash: how like a value is to what is known, by ssdeep's hashes. */
#include "waf/operator_internal.h"

/* Each match compares with all of them. */
#define HASHES_MAX 20000

int fuzzy_parameter(struct span parameter, struct span *file, int *score, struct err *err)
{
	size_t at = parameter.len;
	uint64_t number;

	while (at > 0 && parameter.ptr[at - 1] != ' ')
		at--;
	*file = span_trim(span_slice(parameter, 0, at));
	if (file->len == 0)
		return err_set(err, ERR_SYNTAX, "it takes FILE SCORE");
	if (!span_to_u64(span_slice(parameter, at, parameter.len), &number) || number > 100)
		return err_set(err, ERR_SYNTAX, "\"%.*s\" is no score from 0 to 100",
			       SPAN_ARG(span_slice(parameter, at, parameter.len)));
	*score = (int)number;
	return 0;
}

#ifdef HAVE_FUZZY
#include <fuzzy.h>

struct fuzzy_hashes {
	int score;
	size_t count;
	char *text; /* lines, each ended by NUL */
	const char *at[];
};

/* The first line that ssdeep writes, and what people write between. */
static bool is_hash(struct span line)
{
	return line.len > 0 && line.ptr[0] != '#' && !span_starts_with(line, SPAN("ssdeep,"));
}

static size_t count_lines(struct span text)
{
	size_t count = 1;

	for (size_t i = 0; i < text.len; i++)
		count += text.ptr[i] == '\n';
	return count;
}

static int take_lines(struct fuzzy_hashes *hashes, struct span text, struct span name,
		      struct err *err)
{
	struct span rest = span_of(hashes->text, text.len);

	for (unsigned line_number = 1; rest.ptr; line_number++) {
		struct span line = span_trim(span_cut(&rest, '\n'));
		char *start = hashes->text + (line.ptr - hashes->text);

		if (!is_hash(line))
			continue;
		start[line.len] = '\0';
		if (memchr(start, '\0', line.len) || fuzzy_compare(start, start) < 0)
			return err_set(err, ERR_SYNTAX, "%.*s:%u: not a hash of ssdeep",
				       SPAN_ARG(name), line_number);
		if (hashes->count == HASHES_MAX)
			return err_set(err, ERR_LIMIT, "%.*s:%u: more than %d hashes",
				       SPAN_ARG(name), line_number, HASHES_MAX);
		hashes->at[hashes->count++] = start;
	}
	return 0;
}

struct fuzzy_hashes *fuzzy_hashes_new(struct span text, struct span name, int score,
				      struct err *err)
{
	size_t lines = count_lines(text);
	size_t room = lines < HASHES_MAX ? lines : HASHES_MAX;
	struct fuzzy_hashes *hashes =
		mem_zalloc(1, sizeof(*hashes) + room * sizeof(hashes->at[0]));

	if (hashes)
		hashes->text = mem_strdup(text);
	if (!hashes || !hashes->text) {
		err_set(err, ERR_MEMORY, "no memory for hashes");
		fuzzy_hashes_free(hashes);
		return NULL;
	}
	hashes->score = score;
	if (take_lines(hashes, text, name, err) == 0)
		return hashes;
	fuzzy_hashes_free(hashes);
	return NULL;
}

void fuzzy_hashes_free(struct fuzzy_hashes *hashes)
{
	if (!hashes)
		return;
	mem_free(hashes->text);
	mem_free(hashes);
}

bool fuzzy_hashes_match(const struct fuzzy_hashes *hashes, struct span value)
{
	char own[FUZZY_MAX_RESULT];

	if (value.len > UINT32_MAX ||
	    fuzzy_hash_buf((const unsigned char *)(value.ptr ? value.ptr : ""),
			   (uint32_t)value.len, own) != 0)
		return false;
	for (size_t i = 0; i < hashes->count; i++)
		if (fuzzy_compare(hashes->at[i], own) >= hashes->score)
			return true;
	return false;
}

#else

struct fuzzy_hashes *fuzzy_hashes_new(struct span text, struct span name, int score,
				      struct err *err)
{
	(void)text;
	(void)name;
	(void)score;
	err_set(err, ERR_UNAVAILABLE, "built without libfuzzy");
	return NULL;
}

void fuzzy_hashes_free(struct fuzzy_hashes *hashes)
{
	(void)hashes;
}

bool fuzzy_hashes_match(const struct fuzzy_hashes *hashes, struct span value)
{
	(void)hashes;
	(void)value;
	return false;
}
#endif
