/* What every back end of the store must do, on the real servers. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"
#include "servers.h"
#include "store/store.h"

static struct test_server server;
static struct store *store;
static struct arena arena;

static const struct store_options *options(void)
{
	static struct store_options o;

	o = (struct store_options){.url = span_cstr(server.url), .timeout_ms = 10000};
	return &o;
}

static int open_store(void)
{
	struct err err;

	store = store_open(options(), &err);
	if (!store)
		print_error("%s\n", err.message);
	return store ? 0 : -1;
}

static int setup_sqlite(void **state)
{
	(void)state;
	arena_init(&arena, (size_t)64 << 20, 4096);
	server_sqlite(&server);
	return open_store();
}

static int setup_postgres(void **state)
{
	(void)state;
	arena_init(&arena, (size_t)64 << 20, 4096);
	return server_postgres(&server) ? open_store() : 0;
}

static int setup_redis(void **state)
{
	(void)state;
	arena_init(&arena, (size_t)64 << 20, 4096);
	return server_redis(&server) ? open_store() : 0;
}

static int teardown(void **state)
{
	(void)state;
	store_close(store);
	store = NULL;
	server_remove(&server);
	arena_release(&arena);
	return 0;
}

static void need_store(void)
{
	if (!store) {
		print_message("the server is not installed\n");
		skip();
	}
}

static enum store_result commit_one(const struct store_change *change)
{
	struct err err = {.message = ""};
	enum store_result result = store_commit(store, change, 1, &err);

	if (result == STORE_FAILED)
		print_error("%s\n", err.message);
	return result;
}

static void put(const char *kind, const char *key, const char *value)
{
	const struct store_change change = {
		.kind = span_cstr(kind), .key = span_cstr(key), .value = span_cstr(value)};

	assert_int_equal(commit_one(&change), STORE_OK);
}

static enum store_result get(const char *kind, const char *key, struct store_record *record)
{
	struct err err;

	return store_get(store, span_cstr(kind), span_cstr(key), &arena, record, &err);
}

static void assert_holds(const char *kind, const char *key, const char *value)
{
	struct store_record record;

	assert_int_equal(get(kind, key, &record), STORE_OK);
	assert_int_equal(record.value.len, strlen(value));
	assert_memory_equal(record.value.ptr, value, strlen(value));
}

static void assert_absent(const char *kind, const char *key)
{
	struct store_record record;

	assert_int_equal(get(kind, key, &record), STORE_ABSENT);
}

static void what_is_put_is_found_by_kind_and_key(void **state)
{
	static const char bytes[] = {'a', 0, '\r', '\n', (char)0xff, '\'', '"'};
	const struct store_change change = {.kind = SPAN("plain"),
					    .key = SPAN("b\xc3\xa4'\"%_"),
					    .value = span_of(bytes, sizeof(bytes))};
	struct store_record record;

	(void)state;
	need_store();
	assert_absent("plain", "a");
	put("plain", "a", "one");
	put("other", "a", "two");
	assert_holds("plain", "a", "one");
	assert_holds("other", "a", "two");
	assert_absent("plain", "A");
	put("plain", "a", "");
	assert_holds("plain", "a", "");
	assert_int_equal(commit_one(&change), STORE_OK);
	assert_int_equal(get("plain", "b\xc3\xa4'\"%_", &record), STORE_OK);
	assert_true(span_eq(record.value, change.value));
}

static void what_is_removed_is_gone(void **state)
{
	const struct store_change change = {
		.kind = SPAN("removed"), .key = SPAN("a"), .remove = true};

	(void)state;
	need_store();
	put("removed", "a", "one");
	assert_int_equal(commit_one(&change), STORE_OK);
	assert_absent("removed", "a");
	assert_int_equal(commit_one(&change), STORE_OK);
}

static void a_new_record_must_be_new_where_that_is_expected(void **state)
{
	const struct store_change change = {.kind = SPAN("new"),
					    .key = SPAN("a"),
					    .expect = STORE_EXPECT_ABSENT,
					    .value = SPAN("one")};

	(void)state;
	need_store();
	assert_int_equal(commit_one(&change), STORE_OK);
	assert_int_equal(commit_one(&change), STORE_CONFLICT);
}

static void a_version_holds_until_the_next_write(void **state)
{
	struct store_change change = {.kind = SPAN("versions"),
				      .key = SPAN("a"),
				      .expect = STORE_EXPECT_VERSION,
				      .value = SPAN("two")};
	struct store_record first, second;

	(void)state;
	need_store();
	put("versions", "a", "one");
	assert_int_equal(get("versions", "a", &first), STORE_OK);
	change.version = first.version;
	assert_int_equal(commit_one(&change), STORE_OK);
	assert_int_equal(get("versions", "a", &second), STORE_OK);
	assert_true(first.version != second.version);
	assert_int_equal(commit_one(&change), STORE_CONFLICT);
	change.remove = true;
	assert_int_equal(commit_one(&change), STORE_CONFLICT);
	change.version = second.version;
	assert_int_equal(commit_one(&change), STORE_OK);
	assert_absent("versions", "a");
	/* Not again for what comes after it. */
	put("versions", "a", "three");
	change.remove = false;
	assert_int_equal(commit_one(&change), STORE_CONFLICT);
	assert_holds("versions", "a", "three");
}

static void a_commit_does_all_or_nothing(void **state)
{
	struct store_index index = {SPAN("colour"), SPAN("red")};
	struct store_change changes[] = {
		{.kind = SPAN("all"),
		 .key = SPAN("a"),
		 .value = SPAN("x"),
		 .indexes = &index,
		 .index_count = 1},
		{.kind = SPAN("all"), .key = SPAN("gone"), .remove = true},
		{.kind = SPAN("all"),
		 .key = SPAN("b"),
		 .expect = STORE_EXPECT_ABSENT,
		 .value = SPAN("x")},
	};
	struct store_page page;
	struct err err;

	(void)state;
	need_store();
	put("all", "gone", "here");
	put("all", "b", "old");
	assert_int_equal(store_commit(store, changes, 3, &err), STORE_CONFLICT);
	assert_absent("all", "a");
	assert_holds("all", "gone", "here");
	assert_holds("all", "b", "old");
	assert_int_equal(
		store_find(store, SPAN("all"), &index, SPAN_NONE, 10, &arena, &page, &err),
		STORE_OK);
	assert_int_equal(page.count, 0);
	changes[2].key = SPAN("c");
	assert_int_equal(store_commit(store, changes, 3, &err), STORE_OK);
	assert_holds("all", "a", "x");
	assert_absent("all", "gone");
	assert_holds("all", "c", "x");
}

static void what_has_expired_is_not_there(void **state)
{
	struct store_index index = {SPAN("colour"), SPAN("red")};
	struct store_change change = {.kind = SPAN("expiring"),
				      .key = SPAN("a"),
				      .value = SPAN("x"),
				      .expires_unix_ms = clock_unix_ms() + 60000,
				      .indexes = &index,
				      .index_count = 1};
	struct store_record record;
	struct store_page page;
	size_t removed;
	struct err err;

	(void)state;
	need_store();
	assert_int_equal(commit_one(&change), STORE_OK);
	assert_int_equal(get("expiring", "a", &record), STORE_OK);
	assert_true(record.expires_unix_ms == change.expires_unix_ms);
	change.expires_unix_ms = clock_unix_ms() - 1;
	assert_int_equal(commit_one(&change), STORE_OK);
	assert_absent("expiring", "a");
	assert_int_equal(store_list(store, SPAN("expiring"), SPAN_NONE, SPAN_NONE, 10, &arena,
				    &page, &err),
			 STORE_OK);
	assert_int_equal(page.count, 0);
	assert_int_equal(
		store_find(store, SPAN("expiring"), &index, SPAN_NONE, 10, &arena, &page, &err),
		STORE_OK);
	assert_int_equal(page.count, 0);
	/* It counts as absent for who expects that, and no version of it holds. */
	change.expect = STORE_EXPECT_VERSION;
	change.version = record.version;
	assert_int_equal(commit_one(&change), STORE_CONFLICT);
	change.expect = STORE_EXPECT_ABSENT;
	assert_int_equal(commit_one(&change), STORE_OK);
	assert_int_equal(store_sweep(store, 100, &removed, &err), STORE_OK);
	assert_int_equal(removed, 1);
	assert_int_equal(store_sweep(store, 100, &removed, &err), STORE_OK);
	assert_int_equal(removed, 0);
}

static void records_are_listed_by_prefix_in_pages_in_order(void **state)
{
	struct span after = SPAN_NONE;
	struct store_page page;
	unsigned seen = 0;
	struct err err;
	char key[16];

	(void)state;
	need_store();
	for (int i = 24; i >= 0; i--) {
		snprintf(key, sizeof(key), "p/%02d", i);
		put("listed", key, key);
	}
	put("listed", "p", "before");
	put("listed", "p0", "after");
	do {
		assert_int_equal(store_list(store, SPAN("listed"), SPAN("p/"), after, 10,
					    &arena, &page, &err),
				 STORE_OK);
		assert_true(page.count <= 10);
		for (size_t i = 0; i < page.count; i++) {
			snprintf(key, sizeof(key), "p/%02u", seen++);
			assert_true(span_eq(page.records[i].key, span_cstr(key)));
			assert_true(span_eq(page.records[i].value, span_cstr(key)));
		}
		after = page.count ? page.records[page.count - 1].key : SPAN_NONE;
	} while (page.more);
	assert_int_equal(seen, 25);
	assert_int_equal(store_list(store, SPAN("listed"), SPAN_NONE, SPAN("p/24"), 10, &arena,
				    &page, &err),
			 STORE_OK);
	assert_int_equal(page.count, 1);
	assert_true(span_eq(page.records[0].key, SPAN("p0")));
}

static size_t count_found(struct span name, struct span value)
{
	const struct store_index index = {name, value};
	struct store_page page;
	struct err err;

	assert_int_equal(
		store_find(store, SPAN("indexed"), &index, SPAN_NONE, 100, &arena, &page, &err),
		STORE_OK);
	return page.count;
}

static void records_are_found_by_each_index_that_they_have_now(void **state)
{
	struct store_index indexes[] = {{SPAN("user"), SPAN("u1")},
					{SPAN("group"), SPAN("g1")},
					{SPAN("group"), SPAN("g2")}};
	struct store_change change = {.kind = SPAN("indexed"),
				      .value = SPAN("x"),
				      .indexes = indexes,
				      .index_count = 3};
	struct store_page page;
	struct err err;

	(void)state;
	need_store();
	for (int i = 0; i < 5; i++) {
		static const char *const keys[] = {"a", "b", "c", "d", "e"};

		change.key = span_cstr(keys[i]);
		assert_int_equal(commit_one(&change), STORE_OK);
	}
	assert_int_equal(count_found(SPAN("user"), SPAN("u1")), 5);
	assert_int_equal(count_found(SPAN("group"), SPAN("g2")), 5);
	assert_int_equal(count_found(SPAN("group"), SPAN("g")), 0);
	change.index_count = 2;
	assert_int_equal(commit_one(&change), STORE_OK);
	assert_int_equal(count_found(SPAN("group"), SPAN("g2")), 4);
	assert_int_equal(count_found(SPAN("group"), SPAN("g1")), 5);
	change.remove = true;
	assert_int_equal(commit_one(&change), STORE_OK);
	assert_int_equal(count_found(SPAN("group"), SPAN("g1")), 4);
	assert_int_equal(store_find(store, SPAN("indexed"), &indexes[0], SPAN("b"), 1, &arena,
				    &page, &err),
			 STORE_OK);
	assert_int_equal(page.count, 1);
	assert_true(page.more);
	assert_true(span_eq(page.records[0].key, SPAN("c")));
}

static void counters_count_and_end_by_themselves(void **state)
{
	struct store_counter counter;
	struct err err;

	(void)state;
	need_store();
	assert_int_equal(store_count_get(store, SPAN("c"), &counter, &err), STORE_OK);
	assert_int_equal(counter.value, 0);
	for (int i = 1; i <= 3; i++) {
		assert_int_equal(store_count(store, SPAN("c"), 2, 60000, STORE_COUNT_FIXED,
					     &counter, &err),
				 STORE_OK);
		assert_int_equal(counter.value, 2 * i);
		assert_true(counter.expires_unix_ms > clock_unix_ms());
	}
	assert_int_equal(store_count_clear(store, SPAN("c"), &err), STORE_OK);
	assert_int_equal(store_count_get(store, SPAN("c"), &counter, &err), STORE_OK);
	assert_int_equal(counter.value, 0);
	assert_int_equal(
		store_count(store, SPAN("d"), 1, 20, STORE_COUNT_FIXED, &counter, &err),
		STORE_OK);
	do {
		usleep(10000);
		assert_int_equal(store_count_get(store, SPAN("d"), &counter, &err), STORE_OK);
	} while (counter.value);
	assert_int_equal(
		store_count(store, SPAN("d"), 1, 60000, STORE_COUNT_FIXED, &counter, &err),
		STORE_OK);
	assert_int_equal(counter.value, 1);
}

static void a_sliding_counter_lives_on_while_it_is_counted(void **state)
{
	struct store_counter first, second;
	struct err err;

	(void)state;
	need_store();
	assert_int_equal(
		store_count(store, SPAN("f"), 1, 60000, STORE_COUNT_FIXED, &first, &err),
		STORE_OK);
	assert_int_equal(
		store_count(store, SPAN("f"), 1, 600000, STORE_COUNT_FIXED, &second, &err),
		STORE_OK);
	assert_true(second.expires_unix_ms < first.expires_unix_ms + 30000);
	assert_int_equal(
		store_count(store, SPAN("f"), 1, 600000, STORE_COUNT_SLIDING, &second, &err),
		STORE_OK);
	assert_true(second.expires_unix_ms > first.expires_unix_ms + 30000);
}

static void keys_that_no_back_end_can_keep_are_refused(void **state)
{
	static char longest[STORE_KEY_BYTES_MAX + 1];
	struct store_change change = {.kind = SPAN("refused"), .value = SPAN("x")};
	struct err err;

	(void)state;
	need_store();
	memset(longest, 'k', sizeof(longest));
	change.key = SPAN("");
	assert_int_equal(store_commit(store, &change, 1, &err), STORE_FAILED);
	assert_int_equal(err.code, ERR_INVALID);
	change.key = SPAN("a\0b");
	assert_int_equal(store_commit(store, &change, 1, &err), STORE_FAILED);
	change.key = SPAN("a\xff");
	assert_int_equal(store_commit(store, &change, 1, &err), STORE_FAILED);
	change.key = span_of(longest, sizeof(longest));
	assert_int_equal(store_commit(store, &change, 1, &err), STORE_FAILED);
	change.key.len--;
	assert_int_equal(store_commit(store, &change, 1, &err), STORE_OK);
	change.kind = SPAN("a:b");
	assert_int_equal(store_commit(store, &change, 1, &err), STORE_FAILED);
}

#define THREADS 4
#define ROUNDS 25

/* Reads, adds one, and puts it back if nobody was faster. */
static void *add_up(void *arg)
{
	uintptr_t failures = 0;

	(void)arg;
	for (int i = 0; i < ROUNDS;) {
		struct store_change change = {.kind = SPAN("race"),
					      .key = SPAN("sum"),
					      .expect = STORE_EXPECT_VERSION};
		struct store_record record;
		struct store_counter counter;
		enum store_result result;
		struct arena local;
		uint64_t value = 0;
		struct err err;

		arena_init(&local, 65536, 1024);
		if (store_get(store, SPAN("race"), SPAN("sum"), &local, &record, &err) !=
			    STORE_OK ||
		    !span_to_u64(record.value, &value))
			failures++;
		change.version = record.version;
		change.value = arena_printf(&local, "%llu", (unsigned long long)value + 1);
		result = store_commit(store, &change, 1, &err);
		arena_release(&local);
		failures += result == STORE_FAILED;
		if (result == STORE_CONFLICT)
			continue;
		i++;
		if (store_count(store, SPAN("race"), 1, 600000, STORE_COUNT_FIXED, &counter,
				&err) != STORE_OK)
			failures++;
	}
	return (void *)failures;
}

static void writers_at_once_lose_no_update(void **state)
{
	pthread_t threads[THREADS];
	struct store_counter counter;
	char sum[16];
	struct err err;

	(void)state;
	need_store();
	put("race", "sum", "0");
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, add_up, NULL), 0);
	for (int i = 0; i < THREADS; i++) {
		void *failures;

		assert_int_equal(pthread_join(threads[i], &failures), 0);
		assert_null(failures);
	}
	snprintf(sum, sizeof(sum), "%d", THREADS * ROUNDS);
	assert_holds("race", "sum", sum);
	assert_int_equal(store_count_get(store, SPAN("race"), &counter, &err), STORE_OK);
	assert_int_equal(counter.value, THREADS * ROUNDS);
}

#define WRITERS 8
#define WRITES 30

struct writer {
	struct store *store;
	unsigned number;
	unsigned failures;
};

static void *write_much(void *arg)
{
	struct writer *w = arg;

	for (unsigned i = 0; i < WRITES; i++) {
		char key[32];
		struct store_change change = {.kind = SPAN("crowd"), .value = SPAN("x")};
		struct store_counter counter;
		struct err err;

		snprintf(key, sizeof(key), "%u-%u", w->number, i);
		change.key = span_cstr(key);
		if (store_commit(w->store, &change, 1, &err) != STORE_OK ||
		    store_count(w->store, SPAN("crowd"), 1, 600000, STORE_COUNT_FIXED, &counter,
				&err) != STORE_OK ||
		    (i % 8 == 0 && store_count_clear(w->store, span_cstr(key), &err))) {
			print_error("%s\n", err.message);
			w->failures++;
		}
	}
	return NULL;
}

/* A second handle stands for another process: it does not know of the first one's turns. */
static void many_writers_here_and_in_another_process_are_never_turned_away(void **state)
{
	struct writer writers[WRITERS + 2];
	pthread_t threads[COUNT_OF(writers)];
	struct store_counter counter;
	struct store *other;
	struct err err;

	(void)state;
	need_store();
	other = store_open(options(), &err);
	assert_non_null(other);
	for (unsigned i = 0; i < COUNT_OF(writers); i++) {
		writers[i] = (struct writer){i < WRITERS ? store : other, i, 0};
		assert_int_equal(pthread_create(&threads[i], NULL, write_much, &writers[i]), 0);
	}
	for (unsigned i = 0; i < COUNT_OF(writers); i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(writers[i].failures, 0);
	}
	store_close(other);
	assert_int_equal(store_count_get(store, SPAN("crowd"), &counter, &err), STORE_OK);
	assert_int_equal(counter.value, COUNT_OF(writers) * WRITES);
}

static void what_was_acknowledged_is_there_after_a_crash(void **state)
{
	struct store_record record;
	struct err err = {.code = ERR_NONE};

	(void)state;
	need_store();
	put("crash", "a", "one");
	if (server.pid) {
		const struct store_change change = {
			.kind = SPAN("crash"), .key = SPAN("b"), .value = SPAN("x")};

		server_kill(&server);
		assert_int_equal(
			store_get(store, SPAN("crash"), SPAN("a"), &arena, &record, &err),
			STORE_FAILED);
		assert_int_equal(err.code, ERR_UNAVAILABLE);
		assert_int_equal(store_commit(store, &change, 1, &err), STORE_FAILED);
		assert_int_equal(err.code, ERR_UNAVAILABLE);
		server_restart(&server);
	} else {
		store_close(store);
		assert_int_equal(open_store(), 0);
	}
	assert_holds("crash", "a", "one");
	put("crash", "c", "works again");
}

#define COUNTS_TO_LOAD 4000

/* Redis takes connections while it reads its data, and refuses most commands until it has. */
static void a_store_opens_only_when_its_server_has_its_data(void **state)
{
	struct store_counter counter;
	struct err err;

	(void)state;
	need_store();
	for (int i = 0; i < COUNTS_TO_LOAD; i++)
		assert_int_equal(store_count(store, SPAN("loaded"), 1, 600000,
					     STORE_COUNT_FIXED, &counter, &err),
				 STORE_OK);
	store_close(store);
	store = NULL;
	server_kill(&server);
	server_restart_slowly(&server);
	assert_int_equal(open_store(), 0);
	assert_int_equal(store_count_get(store, SPAN("loaded"), &counter, &err), STORE_OK);
	assert_int_equal(counter.value, COUNTS_TO_LOAD);
}

#define KILL_ROUNDS 20
#define KILL_AFTER_US_MAX 60000

/* Writes one after the other, and tells of each that was acknowledged, until it is killed. */
static int write_on(const char *url, const char *round)
{
	const struct store_options o = {.url = span_cstr(url)};
	struct store *own;
	struct err err;
	char key[32];

	own = store_open(&o, &err);
	for (unsigned i = 0; own; i++) {
		const struct store_index index = {SPAN("round"), span_cstr(round)};
		struct store_change changes[2] = {{.kind = SPAN("killed"), .value = SPAN("x")},
						  {.kind = SPAN("killed-too")}};

		snprintf(key, sizeof(key), "%s/%06u", round, i);
		changes[0].key = changes[1].key = span_cstr(key);
		changes[0].indexes = &index;
		changes[0].index_count = 1;
		if (store_commit(own, changes, 2, &err) != STORE_OK ||
		    write(STDOUT_FILENO, &i, sizeof(i)) != sizeof(i))
			return 1;
	}
	return 2;
}

/* How many writes the killed process has told of. */
static unsigned kill_a_writer(const char *round)
{
	unsigned last = 0, told = 0;
	int ends[2];
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		dup2(ends[1], STDOUT_FILENO);
		close(ends[0]);
		execl("/proc/self/exe", "contract", "write", server.url, round, (char *)NULL);
		_exit(127);
	}
	close(ends[1]);
	/* Once it is at work. */
	assert_int_equal(read(ends[0], &last, sizeof(last)), sizeof(last));
	usleep((unsigned)rand_below(KILL_AFTER_US_MAX));
	kill(pid, SIGKILL);
	do
		told = last + 1;
	while (read(ends[0], &last, sizeof(last)) == sizeof(last));
	close(ends[0]);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return told;
}

static unsigned count_records(struct span kind, struct span prefix)
{
	struct store_page page = {.more = true};
	struct span after = SPAN_NONE;
	unsigned count = 0;
	struct err err;

	while (page.more) {
		assert_int_equal(
			store_list(store, kind, prefix, after, 1000, &arena, &page, &err),
			STORE_OK);
		count += (unsigned)page.count;
		if (page.count)
			after = page.records[page.count - 1].key;
	}
	return count;
}

static void what_a_killed_writer_was_told_is_there(void **state)
{
	unsigned all = 0;

	(void)state;
	need_store();
	for (int i = 0; i < KILL_ROUNDS; i++) {
		unsigned told, found, other;
		char round[16];

		snprintf(round, sizeof(round), "r%02d", i);
		told = kill_a_writer(round);
		all += told;
		found = count_records(SPAN("killed"), span_cstr(round));
		other = count_records(SPAN("killed-too"), span_cstr(round));
		/* A server may still be at the last commit of the killed: between the two looks. */
		for (int tries = 0; tries < 100 && found != other; tries++) {
			usleep(20000);
			found = count_records(SPAN("killed"), span_cstr(round));
			other = count_records(SPAN("killed-too"), span_cstr(round));
		}
		/* The last one may have happened without being told of; never a half of it. */
		assert_true(found == told || found == told + 1);
		assert_int_equal(other, found);
	}
	print_message("%u acknowledged writes in %d killed processes\n", all, KILL_ROUNDS);
}

static void without_memory_a_call_fails_and_changes_nothing(void **state)
{
	const struct store_change change = {.kind = SPAN("memory"),
					    .key = SPAN("a"),
					    .expect = STORE_EXPECT_ABSENT,
					    .value = SPAN("x")};
	struct store_record record;
	struct store_page page;
	struct err err;

	(void)state;
	need_store();
	put("memory", "b", "y");
	for (unsigned long n = 1;; n++) {
		struct arena small;
		enum store_result result;

		arena_init(&small, 65536, 64);
		mem_fail_at(n);
		result = store_get(store, SPAN("memory"), SPAN("b"), &small, &record, &err);
		if (result == STORE_OK)
			result = store_list(store, SPAN("memory"), SPAN_NONE, SPAN_NONE, 5,
					    &small, &page, &err);
		if (result == STORE_OK)
			result = store_commit(store, &change, 1, &err);
		mem_fail_at(0);
		arena_release(&small);
		if (result == STORE_OK)
			break;
		assert_int_equal(result, STORE_FAILED);
		assert_absent("memory", "a");
	}
	assert_holds("memory", "a", "x");
}

/* This program again: what it knows of open files must not be that of the first one. */
static bool another_process_sees(const char *key)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		execl("/proc/self/exe", "contract", "see", server.url, key, (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int see(const char *url, const char *key)
{
	const struct store_options o = {.url = span_cstr(url)};
	struct store_record record;
	enum store_result result;
	struct store *other;
	struct err err;

	arena_init(&arena, 65536, 1024);
	other = store_open(&o, &err);
	if (!other)
		return 2;
	result = store_get(other, SPAN("shared"), span_cstr(key), &arena, &record, &err);
	store_close(other);
	arena_release(&arena);
	return result == STORE_OK ? 0 : 1;
}

static void other_processes_come_and_go_and_nothing_is_lost(void **state)
{
	struct store *second;
	struct err err;
	char key[16];

	(void)state;
	for (int i = 0; i < 10; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		put("shared", key, "x");
		second = store_open(options(), &err);
		assert_non_null(second);
		assert_true(another_process_sees(key));
		store_close(second);
		assert_holds("shared", key, "x");
		assert_true(another_process_sees(key));
	}
}

static void the_file_is_for_its_owner_only(void **state)
{
	struct stat stat_buf;

	(void)state;
	assert_int_equal(stat(server.url + 7, &stat_buf), 0);
	assert_int_equal(stat_buf.st_mode & 0777, 0600);
}

static void a_url_of_no_store_is_refused(void **state)
{
	static const char *const urls[] = {"",	       "sqlite:",     "mysql://x",
					   "redis://", "redis://:x@", "redis://host:99999"};
	struct err err;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(urls); i++) {
		const struct store_options o = {.url = span_cstr(urls[i]), .timeout_ms = 100};

		assert_null(store_open(&o, &err));
		assert_int_equal(err.code, ERR_INVALID);
	}
}

static int run_contract(const char *name, CMFixtureFunction setup)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_put_is_found_by_kind_and_key),
		cmocka_unit_test(what_is_removed_is_gone),
		cmocka_unit_test(a_new_record_must_be_new_where_that_is_expected),
		cmocka_unit_test(a_version_holds_until_the_next_write),
		cmocka_unit_test(a_commit_does_all_or_nothing),
		cmocka_unit_test(what_has_expired_is_not_there),
		cmocka_unit_test(records_are_listed_by_prefix_in_pages_in_order),
		cmocka_unit_test(records_are_found_by_each_index_that_they_have_now),
		cmocka_unit_test(counters_count_and_end_by_themselves),
		cmocka_unit_test(a_sliding_counter_lives_on_while_it_is_counted),
		cmocka_unit_test(keys_that_no_back_end_can_keep_are_refused),
		cmocka_unit_test(writers_at_once_lose_no_update),
		cmocka_unit_test(
			many_writers_here_and_in_another_process_are_never_turned_away),
		cmocka_unit_test(without_memory_a_call_fails_and_changes_nothing),
		cmocka_unit_test(what_a_killed_writer_was_told_is_there),
		cmocka_unit_test(what_was_acknowledged_is_there_after_a_crash),
	};

	return _cmocka_run_group_tests(name, tests, COUNT_OF(tests), setup, teardown);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest sqlite_only[] = {
		cmocka_unit_test(other_processes_come_and_go_and_nothing_is_lost),
		cmocka_unit_test(the_file_is_for_its_owner_only),
		cmocka_unit_test(a_url_of_no_store_is_refused),
	};
	const struct CMUnitTest redis_only[] = {
		cmocka_unit_test(a_store_opens_only_when_its_server_has_its_data),
	};
	struct span which = span_cstr(argc > 1 ? argv[1] : "");

	signal(SIGPIPE, SIG_IGN);
	if (span_eq(which, SPAN("see")) && argc > 3)
		return see(argv[2], argv[3]);
	if (span_eq(which, SPAN("write")) && argc > 3)
		return write_on(argv[2], argv[3]);
	if (span_eq(which, SPAN("postgres")))
		return run_contract("postgres", setup_postgres);
	if (span_eq(which, SPAN("redis")))
		return run_contract("redis", setup_redis) +
		       cmocka_run_group_tests(redis_only, setup_redis, teardown);
	return run_contract("sqlite", setup_sqlite) +
	       cmocka_run_group_tests(sqlite_only, setup_sqlite, teardown);
}
