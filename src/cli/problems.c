#include "cli/problems.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/output.h"

static void problems_json(const struct config_problems *problems, struct buf *out)
{
	size_t kept = problems->count;

	buf_printf(out, "{\"errors\":%zu,\"warnings\":%zu,\"problems\":[", problems->errors,
		   problems->warnings);
	for (size_t i = 0; i < kept; i++) {
		const struct config_problem *p = &problems->at[i];

		buf_printf(out, "%s{\"severity\":\"%s\",\"file\":\"", i ? "," : "",
			   p->severity == CONFIG_ERROR ? "error" : "warning");
		buf_append_json(out, span_cstr(p->file));
		buf_printf(out, "\",\"line\":%u,\"column\":%u,\"message\":\"", p->line,
			   p->column);
		buf_append_json(out, span_cstr(p->message));
		buf_append_cstr(out, "\"}");
	}
	buf_append_cstr(out, "]}\n");
}

/* "file:1:2: error: text" with the word coloured. */
static void print_coloured(struct span line)
{
	static const struct {
		struct span word;
		const char *colour;
	} words[] = {
		{SPAN_INIT(" error: "), OUTPUT_RED},
		{SPAN_INIT(" warning: "), OUTPUT_YELLOW},
	};

	for (size_t i = 0; i < COUNT_OF(words); i++) {
		size_t at = span_find(line, words[i].word);
		struct span before = span_slice(line, 0, at);
		struct span after = span_slice(line, at + words[i].word.len, line.len);

		if (at == line.len)
			continue;
		fprintf(stderr, "%.*s%s%.*s%s%.*s\n", SPAN_ARG(before), words[i].colour,
			SPAN_ARG(words[i].word), OUTPUT_PLAIN, SPAN_ARG(after));
		return;
	}
	fprintf(stderr, "%.*s\n", SPAN_ARG(line));
}

void problems_print(const struct options *given, const struct config_problems *problems)
{
	bool coloured = output_is_coloured(given, STDERR_FILENO);
	struct buf text;
	struct span rest;

	buf_init(&text, OUTPUT_MAX_BYTES);
	config_problems_print(problems, &text);
	rest = buf_span(&text);
	while (rest.len > 0) {
		struct span line = span_cut(&rest, '\n');

		if (coloured)
			print_coloured(line);
		else
			fprintf(stderr, "%.*s\n", SPAN_ARG(line));
	}
	if (buf_failed(&text))
		fputs("sallyport: out of memory\n", stderr);
	buf_release(&text);
}

enum exit_status problems_report(const struct options *given,
				 const struct config_problems *problems)
{
	struct buf out;

	if (strcmp(options_text(given, "format"), "json") != 0) {
		problems_print(given, problems);
		return EXIT_STATUS_FAILED;
	}
	buf_init(&out, OUTPUT_MAX_BYTES);
	problems_json(problems, &out);
	(void)output_text(&out);
	return EXIT_STATUS_FAILED;
}
