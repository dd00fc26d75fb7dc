#include "gateway/overload.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "io/offload.h"

#define PERIOD_MS FAIR_SHARE_STEP_MS
#define FILE_MAX_BYTES 8192

enum file { FILE_USED, FILE_LIMIT, FILE_STAT, FILE_STATM, FILES };

struct overload_watch {
	struct gateway_shared *shared;
	const struct config *cfg;
	struct loop *const *loops;
	size_t loop_count;
	struct timer timer;
	DIR *descriptors; /* NULL: not counted */
	int files[FILES]; /* -1: not there */
};

/* --- opening --- */

/* The path of our cgroup for this controller in /proc/self/cgroup: "7:memory:/path" or "0::/path". */
static bool own_cgroup(const char *controller, char *path, size_t size)
{
	char line[1024];
	bool found = false;
	FILE *file = fopen("/proc/self/cgroup", "re");

	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file)) {
		struct span rest = span_trim(span_cstr(line));
		struct span controllers;

		(void)span_cut(&rest, ':');
		controllers = span_cut(&rest, ':');
		found = rest.ptr && span_eq(controllers, span_cstr(controller)) &&
			rest.len < size;
		if (found) {
			memcpy(path, rest.ptr, rest.len);
			path[rest.len] = '\0';
		}
	}
	fclose(file);
	return found;
}

static int open_in(const char *root, const char *cgroup, const char *name)
{
	char path[1280];

	snprintf(path, sizeof(path), "%s%s/%s", root, cgroup, name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static bool open_cgroup(struct overload_watch *watch, const char *root, const char *controller,
			const char *used, const char *limit)
{
	char path[1024];
	bool known = own_cgroup(controller, path, sizeof(path));

	/* In a container the path may be that of outside: what is mounted is then our own. */
	watch->files[FILE_USED] = known ? open_in(root, path, used) : -1;
	if (watch->files[FILE_USED] < 0) {
		path[0] = '\0';
		watch->files[FILE_USED] = open_in(root, path, used);
	}
	if (watch->files[FILE_USED] < 0)
		return false;
	watch->files[FILE_LIMIT] = open_in(root, path, limit);
	watch->files[FILE_STAT] = open_in(root, path, "memory.stat");
	return true;
}

struct overload_watch *overload_watch_new(struct gateway_shared *shared, struct err *err)
{
	struct overload_watch *watch = mem_zalloc(1, sizeof(*watch));

	if (!watch) {
		err_set(err, ERR_MEMORY, "no memory for the watch on overload");
		return NULL;
	}
	watch->shared = shared;
	for (unsigned i = 0; i < FILES; i++)
		watch->files[i] = -1;
	if (!open_cgroup(watch, "/sys/fs/cgroup", "", "memory.current", "memory.max"))
		(void)open_cgroup(watch, "/sys/fs/cgroup/memory", "memory",
				  "memory.usage_in_bytes", "memory.limit_in_bytes");
	watch->files[FILE_STATM] = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	watch->descriptors = opendir("/proc/self/fd");
	return watch;
}

/* --- measuring --- */

static struct span read_file(const struct overload_watch *watch, enum file file,
			     char buffer[FILE_MAX_BYTES])
{
	ssize_t got = watch->files[file] >= 0
			      ? pread(watch->files[file], buffer, FILE_MAX_BYTES, 0)
			      : -1;

	return got > 0 ? span_of(buffer, (size_t)got) : SPAN_NONE;
}

/* The second number of statm, in pages. */
static uint64_t resident_bytes(const struct overload_watch *watch)
{
	char buffer[FILE_MAX_BYTES];
	struct span rest = read_file(watch, FILE_STATM, buffer);
	uint64_t pages;

	(void)span_cut(&rest, ' ');
	if (!rest.ptr || !span_to_u64(span_cut(&rest, ' '), &pages))
		return 0;
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* What is configured is compared with resident memory, a cgroup's limit with what it counts. */
static uint32_t memory_pressure(const struct overload_watch *watch,
				const struct config_overload *config)
{
	char buffer[FILE_MAX_BYTES];
	uint64_t used, limit, inactive;

	if (config->memory_bytes)
		return overload_percent(resident_bytes(watch), config->memory_bytes);
	if (!overload_cgroup_number(read_file(watch, FILE_LIMIT, buffer), &limit) ||
	    !overload_cgroup_number(read_file(watch, FILE_USED, buffer), &used))
		return 0;
	inactive = overload_cgroup_inactive(read_file(watch, FILE_STAT, buffer));
	return overload_percent(used > inactive ? used - inactive : 0, limit);
}

static uint64_t open_descriptors(const struct overload_watch *watch)
{
	const struct dirent *entry;
	uint64_t open = 0;

	if (!watch->descriptors)
		return 0;
	rewinddir(watch->descriptors);
	while ((entry = readdir(watch->descriptors)))
		open += entry->d_name[0] != '.';
	return open;
}

static uint32_t descriptor_pressure(const struct overload_watch *watch)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 0;
	return overload_percent(open_descriptors(watch), limit.rlim_cur);
}

static uint32_t lag_pressure(const struct overload_watch *watch,
			     const struct config_overload *config)
{
	int64_t most_us = 0;

	for (size_t i = 0; i < watch->loop_count; i++) {
		int64_t lag_us = loop_lag_us(watch->loops[i]);

		if (lag_us > most_us)
			most_us = lag_us;
	}
	return overload_percent((uint64_t)most_us, config->lag_ms * 1000);
}

static uint32_t queue_pressure(const struct gateway_shared *shared,
			       const struct config_overload *config)
{
	return overload_percent(atomic_load_explicit(&shared->waiting, memory_order_relaxed) +
					offload_waiting(),
				config->queued);
}

static void log_changes(uint32_t before, uint32_t now, const uint32_t *pressure)
{
	for (unsigned i = 0; i < OVERLOAD_ACTIONS; i++) {
		bool begins = now & OVERLOAD_BIT(i);

		if (!((before ^ now) & OVERLOAD_BIT(i)))
			continue;
		log_message(begins ? LOG_WARN : LOG_INFO,
			    begins ? "overload.begins" : "overload.ends",
			    "%s: memory %u%%, descriptors %u%%, lag %u%%, connections %u%%, "
			    "queues %u%%",
			    overload_action_name((enum overload_action)i),
			    pressure[OVERLOAD_MEMORY], pressure[OVERLOAD_DESCRIPTORS],
			    pressure[OVERLOAD_LAG], pressure[OVERLOAD_CONNECTIONS],
			    pressure[OVERLOAD_QUEUES]);
	}
}

static void measure(struct overload_watch *watch)
{
	const struct config_overload *config = watch->cfg->overload;
	struct gateway_shared *shared = watch->shared;
	uint32_t pressure[OVERLOAD_RESOURCES] = {0};
	uint32_t before = atomic_load_explicit(&shared->overload, memory_order_relaxed);
	uint32_t now = 0;

	if (config) {
		pressure[OVERLOAD_MEMORY] = memory_pressure(watch, config);
		pressure[OVERLOAD_DESCRIPTORS] = descriptor_pressure(watch);
		pressure[OVERLOAD_LAG] = lag_pressure(watch, config);
		pressure[OVERLOAD_CONNECTIONS] = overload_percent(
			atomic_load_explicit(&shared->connections, memory_order_relaxed),
			watch->cfg->limits.connections);
		pressure[OVERLOAD_QUEUES] = queue_pressure(shared, config);
		now = overload_step(config, before, pressure);
	}
	for (unsigned i = 0; i < OVERLOAD_RESOURCES; i++)
		atomic_store_explicit(&shared->pressure[i], pressure[i], memory_order_relaxed);
	log_changes(before, now, pressure);
	atomic_store_explicit(&shared->overload, now, memory_order_relaxed);
	fair_share_step(&shared->fair_share, now & OVERLOAD_BIT(OVERLOAD_FAIR_SHARE));
}

static void on_timer(struct timer *timer)
{
	struct overload_watch *watch = CONTAINER_OF(timer, struct overload_watch, timer);

	measure(watch);
	timer_set(timer, loop_deadline_ms(PERIOD_MS));
}

void overload_watch_start(struct overload_watch *watch, const struct config *cfg,
			  struct loop *const *loops, size_t loop_count)
{
	watch->loops = loops;
	watch->loop_count = loop_count;
	timer_init(&watch->timer, on_timer);
	overload_watch_use(watch, cfg);
}

void overload_watch_use(struct overload_watch *watch, const struct config *cfg)
{
	watch->cfg = cfg;
	timer_clear(&watch->timer);
	if (cfg->overload)
		timer_set(&watch->timer, loop_deadline_ms(1));
	else
		measure(watch); /* ends what is in force */
}

void overload_watch_read(struct overload_watch *watch, struct overload_usage *usage)
{
	usage->resident_bytes = resident_bytes(watch);
	usage->descriptors = open_descriptors(watch);
}

void overload_watch_stop(struct overload_watch *watch)
{
	timer_clear(&watch->timer);
	watch->loop_count = 0;
}

void overload_watch_free(struct overload_watch *watch)
{
	if (!watch)
		return;
	for (unsigned i = 0; i < FILES; i++)
		if (watch->files[i] >= 0)
			close(watch->files[i]);
	if (watch->descriptors)
		closedir(watch->descriptors);
	mem_free(watch);
}
