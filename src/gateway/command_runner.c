#include "gateway/command_runner.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "gateway/command_channel.h"

#define AT_ONCE 8
#define STEP_MAX_MS 600000
#define ANSWER_MORE_MS 5000

struct question {
	uint32_t id;
	uint32_t procedure;
	uint32_t step;
};

/* ---- in the helper --------------------------------------------------------------------------- */

static void run_step(const struct config_procedure *procedure,
		     const struct config_procedure_step *step, struct command_result *result)
{
	char folder[sizeof(COMMAND_FOLDER)], name[256], service[256];
	char *const variables[] = {name, service};
	const char *argv[COMMAND_ARGUMENTS_MAX + 1] = {NULL};
	struct command command = {.argv = argv,
				  .write = &step->write,
				  .variables = variables,
				  .variable_count = COUNT_OF(variables),
				  .folder = folder,
				  .input = -1,
				  .errors = true,
				  .until_ms = clock_ms() + (int64_t)step->timeout_ms};

	snprintf(name, sizeof(name), "SALLYPORT_PROCEDURE=%.*s", SPAN_ARG(procedure->name));
	snprintf(service, sizeof(service), "SALLYPORT_SERVICE=%.*s",
		 SPAN_ARG(procedure->service_name));
	for (size_t i = 0; i < step->run.count && i < COMMAND_ARGUMENTS_MAX; i++)
		argv[i] = step->run.at[i].ptr;
	if (!command_folder_make(folder))
		return;
	command_run(&command, result);
	command_folder_remove(folder);
}

static void serve(const struct config *cfg, struct span bytes, int fd,
		  struct command_result *result)
{
	struct question question;

	(void)fd;
	if (bytes.len != sizeof(question))
		return;
	memcpy(&question, bytes.ptr, sizeof(question));
	if (question.procedure < cfg->procedures.count &&
	    question.step < cfg->procedures.at[question.procedure].steps.count) {
		const struct config_procedure *procedure =
			&cfg->procedures.at[question.procedure];
		const struct config_procedure_step *step = &procedure->steps.at[question.step];

		if (step->run.count)
			run_step(procedure, step, result);
	}
}

/* ---- the server's side ----------------------------------------------------------------------- */

struct command_runner {
	int fd;
	pid_t pid;
	struct command_channel channel;
};

static bool has_commands(const struct config *cfg)
{
	for (size_t i = 0; i < cfg->procedures.count; i++)
		for (size_t j = 0; j < cfg->procedures.at[i].steps.count; j++)
			if (cfg->procedures.at[i].steps.at[j].run.count)
				return true;
	return false;
}

static bool same_steps(const struct config_procedure *a, const struct config_procedure *b)
{
	if (!span_eq(a->name, b->name) || !span_eq(a->service_name, b->service_name) ||
	    a->steps.count != b->steps.count)
		return false;
	for (size_t i = 0; i < a->steps.count; i++)
		if (!command_texts_same(&a->steps.at[i].run, &b->steps.at[i].run) ||
		    !command_texts_same(&a->steps.at[i].write, &b->steps.at[i].write) ||
		    a->steps.at[i].timeout_ms != b->steps.at[i].timeout_ms)
			return false;
	return true;
}

bool command_runner_same(const struct config *a, const struct config *b)
{
	if (!has_commands(a) && !has_commands(b))
		return true;
	if (a->procedures.count != b->procedures.count)
		return false;
	for (size_t i = 0; i < a->procedures.count; i++)
		if (!same_steps(&a->procedures.at[i], &b->procedures.at[i]))
			return false;
	return true;
}

int command_runner_new(struct command_runner **out, const struct config *cfg, struct err *err)
{
	struct command_helper_options options = {
		.cfg = cfg, .name = "commands", .at_once = AT_ONCE, .serve = serve};
	struct command_runner *runner;

	*out = NULL;
	if (!has_commands(cfg))
		return 0;
	runner = mem_zalloc(1, sizeof(*runner));
	if (!runner)
		return err_set(err, ERR_MEMORY, "no memory for the helper that runs commands");
	runner->channel.watch.fd = -1;
	if (command_helper_start(&options, &runner->fd, 1, &runner->pid, err) < 0) {
		mem_free(runner);
		return -1;
	}
	*out = runner;
	return 0;
}

int command_runner_start(struct command_runner *runner, struct err *err)
{
	return runner ? command_channel_start(&runner->channel, runner->fd, err) : 0;
}

void command_runner_free(struct command_runner *runner)
{
	if (!runner)
		return;
	command_channel_stop(&runner->channel);
	close(runner->fd);
	command_helper_stop(runner->pid);
	mem_free(runner);
}

int command_runner_call(struct command_runner *runner, uint32_t procedure, uint32_t step,
			struct command_result *result, struct err *err)
{
	struct question question = {.procedure = procedure, .step = step};

	/* Longer than any step: the helper keeps the step's own time. */
	return command_channel_ask(&runner->channel, &question, sizeof(question), -1,
				   loop_deadline_ms(STEP_MAX_MS + ANSWER_MORE_MS), result, err);
}
