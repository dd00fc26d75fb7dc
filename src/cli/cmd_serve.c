#include "cli/command.h"
#include "gateway/gateway.h"

static const struct option_spec options[] = {
	OPTION_CONFIG,
	{.name = "pid-file",
	 .kind = OPTION_FILE,
	 .argument = "FILE",
	 .help = "Where to write the supervisor's process id."},
	{.name = NULL},
};

static const struct operand_spec operands[] = {
	{.name = "FILE", .help = "The configuration file, as --config.", .is_file = true},
	{.name = NULL},
};

static const struct command_example examples[] = {
	{"sallyport serve -c /etc/sallyport/sallyport.yaml", "Run the gateway."},
	{"kill -HUP $(cat /run/sallyport.pid)",
	 "Reload the configuration; an error changes nothing."},
	{NULL, NULL},
};

static enum exit_status run(const struct options *given)
{
	struct gateway_options gateway = {
		.config_path = options_operand(given, 0),
		.pid_file = options_text(given, "pid-file"),
	};

	if (!gateway.config_path)
		gateway.config_path = options_text(given, "config");
	return gateway_main(&gateway) == 0 ? EXIT_STATUS_OK : EXIT_STATUS_FAILED;
}

const struct command cmd_serve = {
	.name = "serve",
	.summary = "run the gateway",
	.description = "Runs the gateway in the foreground until SIGTERM or SIGINT, and then "
		       "finishes what "
		       "is under way. SIGHUP reloads the configuration, SIGUSR1 opens the log "
		       "files anew, "
		       "SIGUSR2 replaces the program without losing a request.",
	.options = options,
	.operands = operands,
	.examples = examples,
	.run = run,
};
