#include "config/problem.h"

#include <stdarg.h>
#include <stdio.h>

void problem_add(struct config_problems *problems, enum config_severity severity,
		 struct config_where where, const char *format, ...)
{
	struct config_problem *problem;
	va_list args;

	if (severity == CONFIG_ERROR)
		problems->errors++;
	else
		problems->warnings++;
	if (problems->count == CONFIG_PROBLEMS_MAX)
		return;
	problem = &problems->at[problems->count++];
	problem->severity = severity;
	problem->line = where.line;
	problem->column = where.column;
	snprintf(problem->file, sizeof(problem->file), "%s", where.file ? where.file : "");
	va_start(args, format);
	vsnprintf(problem->message, sizeof(problem->message), format, args);
	va_end(args);
}

static int problem_compare(const struct config_problem *a, const struct config_problem *b)
{
	int order = strcmp(a->file, b->file);

	if (order != 0)
		return order;
	if (a->line != b->line)
		return a->line < b->line ? -1 : 1;
	return (a->column > b->column) - (a->column < b->column);
}

/* Insertion sort: stable, and there are never more than CONFIG_PROBLEMS_MAX. */
void problems_sort(struct config_problems *problems)
{
	for (size_t i = 1; i < problems->count; i++) {
		struct config_problem moving = problems->at[i];
		size_t j = i;

		while (j > 0 && problem_compare(&moving, &problems->at[j - 1]) < 0) {
			problems->at[j] = problems->at[j - 1];
			j--;
		}
		problems->at[j] = moving;
	}
}

const char *problem_quote(struct span value, char room[PROBLEM_QUOTE_MAX])
{
	bool cut = value.len > PROBLEM_QUOTE_MAX - 4;
	size_t len = cut ? PROBLEM_QUOTE_MAX - 4 : value.len;

	for (size_t i = 0; i < len; i++)
		room[i] = value.ptr[i];
	for (size_t i = 0; i < len; i++)
		if (room[i] < 0x20 || room[i] > 0x7e)
			room[i] = '?';
	for (size_t i = 0; cut && i < 3; i++)
		room[len++] = '.';
	room[len] = '\0';
	return room;
}

int config_problems_to_err(const struct config_problems *problems, struct err *err)
{
	for (size_t i = 0; i < problems->count; i++) {
		const struct config_problem *p = &problems->at[i];

		if (p->severity != CONFIG_ERROR)
			continue;
		if (p->line == 0)
			return err_set(err, ERR_INVALID, "%s: %s", p->file, p->message);
		return err_set(err, ERR_INVALID, "%s:%u:%u: %s", p->file, p->line, p->column,
			       p->message);
	}
	return err_set(err, ERR_INVALID, "there are errors");
}

void config_problems_print(const struct config_problems *problems, struct buf *out)
{
	size_t all = problems->errors + problems->warnings;

	for (size_t i = 0; i < problems->count; i++) {
		const struct config_problem *problem = &problems->at[i];

		buf_append_cstr(out, problem->file);
		if (problem->line > 0)
			buf_printf(out, ":%u:%u", problem->line, problem->column);
		buf_printf(out, ": %s: %s\n",
			   problem->severity == CONFIG_ERROR ? "error" : "warning",
			   problem->message);
	}
	if (all > problems->count)
		buf_printf(out, "... and %zu more\n", all - problems->count);
}
