#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/admin_work.h"
#include "cli/status_view.h"
#include "io/net_address.h"

#define ANSWER_MAX ((size_t)16 << 20)
#define ANSWER_TIMEOUT_MS 5000

/* ---- asking the admin listener --------------------------------------------------------------- */

static int wait_fd(int fd, short events, int64_t until_ms, struct err *err)
{
	for (;;) {
		struct pollfd one = {fd, events, 0};
		int64_t left_ms = until_ms - clock_ms();
		int ready = left_ms > 0 ? poll(&one, 1, (int)left_ms) : 0;

		if (ready > 0)
			return 0;
		if (ready == 0)
			return err_set(err, ERR_TIMEOUT, "the admin listener does not answer");
		if (errno != EINTR)
			return err_set_errno(err, errno, "poll");
	}
}

static int connect_to(const struct config_address *to, int64_t until_ms, struct err *err)
{
	struct net_address address;
	int fd, failed = 0;
	socklen_t size = sizeof(failed);

	if (net_address_parse(&address, to->text, err) < 0)
		return -1;
	fd = socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_set_errno(err, errno, "socket");
	if (connect(fd, (const struct sockaddr *)&address.storage, address.len) < 0 &&
	    errno != EINPROGRESS)
		failed = errno;
	else if (wait_fd(fd, POLLOUT, until_ms, err) < 0)
		goto close;
	else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &size) < 0)
		failed = errno;
	if (!failed)
		return fd;
	err_set_errno(err, failed, "%.*s (is it running, with `admin` on?)",
		      SPAN_ARG(to->text));
close:
	close(fd);
	return -1;
}

static int talk(int fd, int64_t until_ms, struct buf *answer, struct err *err)
{
	static const char request[] = "GET /status HTTP/1.1\r\nHost: localhost\r\n"
				      "Connection: close\r\n\r\n";
	char piece[16384];

	if (send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) != sizeof(request) - 1)
		return err_set_errno(err, errno, "cannot ask the admin listener");
	for (;;) {
		ssize_t got;

		if (wait_fd(fd, POLLIN, until_ms, err) < 0)
			return -1;
		got = recv(fd, piece, sizeof(piece), 0);
		if (got == 0)
			return 0;
		if (got < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (got < 0)
			return err_set_errno(err, errno, "the admin listener");
		if (buf_append_bytes(answer, piece, (size_t)got) < 0)
			return err_set(err, ERR_LIMIT, "the answer is too long");
	}
}

/* The body of /status; the caller releases the buffer that it lies in. */
static int fetch_status(const struct config *cfg, struct buf *answer, struct span *body,
			struct err *err)
{
	int64_t until_ms = clock_ms() + ANSWER_TIMEOUT_MS;
	int fd = connect_to(&cfg->admin.address, until_ms, err);
	struct span all;
	size_t head;
	int result;

	if (fd < 0)
		return -1;
	result = talk(fd, until_ms, answer, err);
	close(fd);
	if (result < 0)
		return -1;
	all = buf_span(answer);
	head = span_find(all, SPAN("\r\n\r\n"));
	if (!span_starts_with(all, SPAN("HTTP/1.1 200 ")) || head == all.len)
		return err_set(err, ERR_UNAVAILABLE,
			       "the admin listener gives another answer: \"%.*s\"",
			       SPAN_ARG(span_slice(all, 0, span_find_byte(all, '\r'))));
	*body = span_slice(all, head + 4, all.len);
	return 0;
}

/* One answer, with all that it points to. */
struct sample {
	struct arena arena;
	const struct json *status; /* NULL: none */
};

static int take_sample(const struct config *cfg, struct sample *sample, struct err *err)
{
	struct buf answer;
	struct span body;
	int result;

	arena_release(&sample->arena);
	arena_init(&sample->arena, 4 * ANSWER_MAX, 65536);
	sample->status = NULL;
	buf_init(&answer, ANSWER_MAX);
	result = fetch_status(cfg, &answer, &body, err);
	if (result == 0) {
		body = arena_dup(&sample->arena, body);
		sample->status = body.ptr ? json_parse(&sample->arena, body, NULL, err) : NULL;
		if (!sample->status)
			result = err_set(err, ERR_SYNTAX, "the answer is no JSON");
	}
	buf_release(&answer);
	return result;
}

/* ---- the terminal ---------------------------------------------------------------------------- */

struct terminal {
	struct termios before;
	bool changed;
	int signals; /* a signalfd; -1: none */
};

static void say(const char *sequence)
{
	/* A terminal that has gone away shows in the next poll. */
	if (write(STDOUT_FILENO, sequence, strlen(sequence)) < 0)
		return;
}

static int enter(struct terminal *t, struct err *err)
{
	struct termios raw;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGWINCH);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return err_set_errno(err, errno, "signals");
	t->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (t->signals < 0)
		return err_set_errno(err, errno, "signals");
	if (tcgetattr(STDIN_FILENO, &t->before) == 0) {
		raw = t->before;
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		raw.c_cc[VMIN] = 0;
		raw.c_cc[VTIME] = 0;
		t->changed = tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
	}
	say("\x1b[?1049h\x1b[?25l");
	return 0;
}

static void leave(struct terminal *t)
{
	if (t->signals < 0)
		return;
	say("\x1b[?25h\x1b[?1049l");
	if (t->changed)
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &t->before);
	close(t->signals);
}

/* Waits until it is time, or the size has changed. False: the user wants to leave. */
static bool wait_for_time(const struct terminal *t, int64_t until_ms)
{
	for (;;) {
		struct pollfd fds[2] = {{STDIN_FILENO, POLLIN, 0}, {t->signals, POLLIN, 0}};
		int64_t left_ms = until_ms - clock_ms();
		struct signalfd_siginfo signal;
		char key;

		if (left_ms <= 0 || poll(fds, 2, (int)left_ms) == 0)
			return true;
		if (fds[1].revents & POLLIN &&
		    read(t->signals, &signal, sizeof(signal)) == sizeof(signal)) {
			if (signal.ssi_signo == SIGWINCH)
				return true;
			return false;
		}
		if (fds[0].revents & (POLLIN | POLLHUP | POLLERR)) {
			if (read(STDIN_FILENO, &key, 1) != 1 || key == 'q' || key == 'Q' ||
			    key == 4)
				return false;
			/* Any other key looks again at once. */
			return true;
		}
	}
}

static int show_screen(const struct options *given, const struct json *now,
		       const struct json *before, struct err *err)
{
	struct winsize size = {.ws_col = 80, .ws_row = 24};
	struct status_view view = {.coloured = output_is_coloured(given, STDOUT_FILENO)};
	struct buf screen;
	int result = 0;

	(void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	view.width = size.ws_col ? size.ws_col : 80;
	view.height = size.ws_row ? size.ws_row : 24;
	buf_init(&screen, OUTPUT_MAX_BYTES);
	buf_append_cstr(&screen, "\x1b[H\x1b[2J");
	status_view_write(&view, now, before, &screen);
	/* The last line end would scroll. */
	if (screen.len && screen.ptr[screen.len - 1] == '\n')
		screen.len--;
	if (buf_failed(&screen))
		result = err_set(err, ERR_MEMORY, "no memory for the screen");
	else if (write(STDOUT_FILENO, screen.ptr, screen.len) < 0)
		result = err_set_errno(err, errno, "the terminal");
	buf_release(&screen);
	return result;
}

static int watch_live(const struct options *given, const struct config *cfg, struct err *err)
{
	struct terminal terminal = {.signals = -1};
	struct sample samples[2] = {0};
	int64_t interval_ms = (int64_t)options_number(given, "interval") * 1000;
	unsigned now = 0;
	int result = take_sample(cfg, &samples[0], err);

	if (result == 0)
		result = enter(&terminal, err);
	while (result == 0) {
		result = show_screen(given, samples[now].status, samples[!now].status, err);
		if (result < 0 || !wait_for_time(&terminal, clock_ms() + interval_ms))
			break;
		now = !now;
		result = take_sample(cfg, &samples[now], err);
	}
	leave(&terminal);
	arena_release(&samples[0].arena);
	arena_release(&samples[1].arena);
	return result;
}

/* ---- once ------------------------------------------------------------------------------------ */

static int print_json(const struct config *cfg, struct buf *out, struct err *err)
{
	struct buf answer;
	struct span body;
	int result;

	buf_init(&answer, ANSWER_MAX);
	result = fetch_status(cfg, &answer, &body, err);
	if (result == 0)
		buf_append(out, body);
	buf_release(&answer);
	return result;
}

/* Two looks, a second apart, because rates need time. */
static int print_once(const struct options *given, const struct config *cfg, struct buf *out,
		      struct err *err)
{
	struct status_view view = {.coloured = output_is_coloured(given, STDOUT_FILENO)};
	struct sample samples[2] = {0};
	int result = take_sample(cfg, &samples[0], err);

	if (result == 0) {
		usleep(1000000);
		result = take_sample(cfg, &samples[1], err);
	}
	if (result == 0)
		status_view_write(&view, samples[1].status, samples[0].status, out);
	arena_release(&samples[0].arena);
	arena_release(&samples[1].arena);
	return result;
}

static int work(const struct options *given, struct buf *out, struct err *err)
{
	bool live = isatty(STDOUT_FILENO) && isatty(STDIN_FILENO);
	struct config *cfg = admin_load(given, err);
	int result;

	if (!cfg)
		return -1;
	if (!cfg->admin.enabled)
		result = err_set(err, ERR_INVALID,
				 "the configuration has no admin listener (`admin`)");
	else if (options_flag(given, "json"))
		result = print_json(cfg, out, err);
	else if (options_flag(given, "once") || !live)
		result = print_once(given, cfg, out, err);
	else
		result = watch_live(given, cfg, err);
	config_unref(cfg);
	return result;
}

static enum exit_status run(const struct options *given)
{
	struct err err = {.code = ERR_NONE};
	struct buf out;

	if (options_number(given, "interval") < 1 || options_number(given, "interval") > 3600) {
		err_set(&err, ERR_INVALID, "--interval is 1 to 3600 seconds");
		output_error(given, &err);
		return EXIT_STATUS_USAGE;
	}
	buf_init(&out, OUTPUT_MAX_BYTES);
	if (work(given, &out, &err) == 0)
		return output_text(&out);
	buf_release(&out);
	output_error(given, &err);
	return EXIT_STATUS_FAILED;
}

static const struct option_spec status_options[] = {
	OPTION_CONFIG,
	{.name = "once", .kind = OPTION_FLAG, .help = "Print once, and end."},
	{.name = "json",
	 .kind = OPTION_FLAG,
	 .help = "Print once what the server says, as one JSON object."},
	{.name = "interval",
	 .short_name = 'n',
	 .kind = OPTION_NUMBER,
	 .argument = "SECONDS",
	 .help = "Time between two looks.",
	 .initial = "2"},
	{.name = NULL},
};

static const struct command_example status_examples[] = {
	{"sallyport status", "A live view; q leaves, any other key looks again."},
	{"sallyport status --once | grep open", "Which breakers are open?"},
	{"sallyport status --json | jq .guard.overload", "For programs."},
	{NULL, NULL},
};

const struct command cmd_status = {
	.name = "status",
	.summary = "show how the server and its services are",
	.description =
		"Shows services, endpoints, breakers, bulkheads, procedures, the pressure on "
		"the "
		"server, and rates and latencies of operations, as the admin listener of the "
		"configuration tells them. In a terminal it goes on until q is pressed; "
		"elsewhere it prints once.",
	.options = status_options,
	.examples = status_examples,
	.run = run,
};
