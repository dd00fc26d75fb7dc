/* Users, roles, passwords, sessions, waits and keys, on a SQLite store in a folder of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "identity/idp_internal.h"
#include "identity/password.h"

static char folder[64];
static struct config *cfg;
static struct idp *idp;
static struct arena arena;
static char last_event[64];

static void on_audit(void *context, const char *event, struct span members)
{
	(void)context;
	(void)members;
	snprintf(last_event, sizeof(last_event), "%s", event);
}

static const struct idp_options *options(void)
{
	static struct idp_options o;

	o = (struct idp_options){.config = cfg, .audit = on_audit};
	return &o;
}

static int setup(void **state)
{
	struct config_problems problems = {0};
	char text[512];
	struct err err;

	(void)state;
	arena_init(&arena, (size_t)64 << 20, 4096);
	snprintf(folder, sizeof(folder), "/tmp/sallyport-idp.XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(text, sizeof(text),
		 "listen: [{address: \"127.0.0.1:0\"}]\n"
		 "store: sqlite:%s/id.db\n"
		 "identity: {issuer: \"http://localhost:1\", password: {memory: 64k, passes: "
		 "1},\n"
		 "  session: {per_user: 2}, lockout: {failures: 3, wait: 1m, max_wait: 3m}}\n",
		 folder);
	if (config_load_text(span_cstr(text), "test.yaml", &config_source_system, &cfg,
			     &problems) < 0) {
		print_error("%s\n", problems.at[0].message);
		return -1;
	}
	idp = idp_open(options(), true, &err);
	if (!idp)
		print_error("%s\n", err.message);
	return idp ? 0 : -1;
}

static int teardown(void **state)
{
	char command[128];

	(void)state;
	idp_close(idp);
	config_unref(cfg);
	arena_release(&arena);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command); /* NOLINT(cert-env33-c): a folder that the test has made */
}

static struct idp_user make_user(const char *name)
{
	struct idp_user user = {.name = span_cstr(name)};
	struct err err;

	assert_int_equal(user_put(idp, &user, &arena, &err), STORE_OK);
	assert_int_equal(user_find(idp, span_cstr(name), &arena, &user, &err), STORE_OK);
	return user;
}

static void the_first_start_makes_an_administrator_with_a_password_for_once(void **state)
{
	struct idp_user user;
	struct idp_access access;
	struct err err;
	struct idp *again;

	(void)state;
	assert_int_equal(user_find(idp, SPAN("ADMIN"), &arena, &user, &err), STORE_OK);
	assert_true(user.must_change);
	assert_true(password_verify(&cfg->identity.password, user.password,
				    idp_first_password(idp)));
	assert_int_equal(user_access(idp, &user, &arena, &access, &err), STORE_OK);
	assert_true(texts_have(&access.permissions, SPAN("*")));
	again = idp_open(options(), true, &err);
	assert_non_null(again);
	assert_int_equal(idp_first_password(again).len, 0);
	idp_close(again);
}

static void a_name_is_one_users_whatever_the_case(void **state)
{
	struct idp_user other = {.name = SPAN_NONE};
	struct idp_user user = make_user("alice");
	struct err err;

	(void)state;
	other.name = user_name_normal(SPAN("Alice"), &arena);
	assert_int_equal(user_put(idp, &other, &arena, &err), STORE_CONFLICT);
	user.name = SPAN("alicia");
	assert_int_equal(user_put(idp, &user, &arena, &err), STORE_OK);
	assert_int_equal(user_find(idp, SPAN("alice"), &arena, &other, &err), STORE_ABSENT);
	assert_int_equal(user_find(idp, SPAN("alicia"), &arena, &other, &err), STORE_OK);
	assert_true(span_eq(other.id, user.id));
	/* Somebody else has changed it since it was read. */
	assert_int_equal(user_put(idp, &user, &arena, &err), STORE_CONFLICT);
	assert_null(user_name_normal(SPAN("a b"), &arena).ptr);
	assert_null(user_name_normal(SPAN(""), &arena).ptr);
	assert_null(user_name_normal(SPAN("a\xff"), &arena).ptr);
}

static void a_user_is_written_and_read_with_everything(void **state)
{
	struct span roles[] = {SPAN("r1"), SPAN("r2")}, groups[] = {SPAN("g")};
	struct span permissions[] = {SPAN("orders:read,write:7")};
	struct idp_user user = {.name = SPAN("everything"),
				.display = SPAN("Every \"Thing\""),
				.email = SPAN("e@example.test"),
				.email_verified = true,
				.disabled = true,
				.password = SPAN("$argon2id$x"),
				.totp = SPAN("sealed"),
				.totp_step = 7,
				.recovery = {groups, 1},
				.roles = {roles, 2},
				.groups = {groups, 1},
				.permissions = {permissions, 1}};
	struct idp_user read;
	struct err err;

	(void)state;
	assert_int_equal(user_put(idp, &user, &arena, &err), STORE_OK);
	assert_int_equal(user_get(idp, user.id, &arena, &read, &err), STORE_OK);
	assert_true(span_eq(read.display, user.display));
	assert_true(span_eq(read.email, user.email));
	assert_true(read.email_verified && read.disabled && !read.must_change);
	assert_true(span_eq(read.password, user.password) && span_eq(read.totp, user.totp));
	assert_int_equal(read.totp_step, 7);
	assert_true(texts_have(&read.roles, SPAN("r2")));
	assert_true(texts_have(&read.groups, SPAN("g")));
	assert_true(texts_have(&read.permissions, permissions[0]));
	assert_int_equal(user_remove(idp, &read, &arena, &err), STORE_OK);
	assert_int_equal(user_find(idp, SPAN("everything"), &arena, &read, &err), STORE_ABSENT);
}

static void an_export_shows_no_hash_unless_it_is_asked_for(void **state)
{
	struct idp_user user = {.name = SPAN("x"), .password = SPAN("hash-of-it")};
	struct json_writer w;
	struct buf out;

	(void)state;
	for (int secrets = 0; secrets < 2; secrets++) {
		buf_init(&out, 4096);
		json_writer_init(&w, &out);
		user_write(&w, &user, secrets);
		assert_int_equal(span_find(buf_span(&out), SPAN("hash-of-it")) < out.len,
				 secrets);
		buf_release(&out);
	}
}

static void roles_and_groups_add_up_to_permissions(void **state)
{
	struct span staff[] = {SPAN("clerk")}, read[] = {SPAN("orders:read")};
	struct span write[] = {SPAN("orders:write")}, group[] = {SPAN("staff")};
	const struct idp_role clerk = {
		.name = SPAN("clerk"), .permissions = {write, 1}, .includes = {group, 0}};
	const struct idp_role reader = {.name = SPAN("reader"), .permissions = {read, 1}};
	const struct idp_role both = {
		.name = SPAN("clerk"), .permissions = {write, 1}, .includes = {staff, 1}};
	struct span reads[] = {SPAN("reader")};
	const struct idp_role includes = {
		.name = SPAN("clerk"), .permissions = {write, 1}, .includes = {reads, 1}};
	struct idp_user user = {.groups = {group, 1}};
	struct idp_access access;
	struct err err;

	(void)state;
	assert_int_equal(role_put(idp, &clerk, &arena, &err), STORE_OK);
	assert_int_equal(role_put(idp, &reader, &arena, &err), STORE_OK);
	assert_int_equal(role_put(idp, &both, &arena, &err), STORE_FAILED);
	assert_int_equal(err.code, ERR_INVALID);
	assert_int_equal(role_put(idp, &includes, &arena, &err), STORE_OK);
	assert_int_equal(
		group_put(idp, SPAN("staff"), &(struct config_strings){staff, 1}, &err),
		STORE_OK);
	assert_int_equal(user_access(idp, &user, &arena, &access, &err), STORE_OK);
	assert_int_equal(access.roles.count, 2);
	assert_true(texts_have(&access.roles, SPAN("reader")));
	assert_true(texts_have(&access.permissions, SPAN("orders:read")));
	assert_true(texts_have(&access.permissions, SPAN("orders:write")));
}

static void a_malformed_permission_is_no_permission(void **state)
{
	struct span bad[] = {SPAN("orders::7")};
	const struct idp_role role = {.name = SPAN("bad"), .permissions = {bad, 1}};
	struct err err;

	(void)state;
	assert_int_equal(role_put(idp, &role, &arena, &err), STORE_FAILED);
	assert_int_equal(err.code, ERR_INVALID);
}

static void a_password_is_kept_as_argon2id_and_upgraded(void **state)
{
	struct config_password config = cfg->identity.password;
	struct err err;
	struct span hash = password_hash(&config, SPAN("correct horse"), &arena, &err);

	(void)state;
	assert_true(span_starts_with(hash, SPAN("$argon2id$v=19$m=64,t=1,p=1$")));
	assert_true(password_verify(&config, hash, SPAN("correct horse")));
	assert_false(password_verify(&config, hash, SPAN("correct hors")));
	assert_false(password_verify(&config, hash, SPAN("")));
	assert_false(password_verify(&config, SPAN(""), SPAN("correct horse")));
	assert_false(password_verify(&config, SPAN("$argon2i$v=19$m=64,t=1,p=1$a$b"),
				     SPAN("correct horse")));
	assert_false(password_verify(&config, SPAN("$argon2id$v=19$m=99999999,t=1,p=1$a$b"),
				     SPAN("correct horse")));
	assert_false(password_is_outdated(&config, hash));
	config.passes = 2;
	assert_true(password_is_outdated(&config, hash));
	assert_true(password_verify(&config, hash, SPAN("correct horse")));
}

static void a_new_password_is_long_and_not_known(void **state)
{
	struct config_password config = cfg->identity.password;
	char path[96];
	FILE *file;

	(void)state;
	snprintf(path, sizeof(path), "%s/known", folder);
	file = fopen(path, "we");
	assert_non_null(file);
	fputs("password12\r\nletmeinplease\n", file);
	/* The SHA-1 of "correct horse", as lists of breaches have it. */
	fputs("2F9E53523B62ABC141A2B4D6019D23CBA835DBD0:12\n", file);
	fclose(file);
	config.breached = span_cstr(path);
	assert_null(password_problem(&config, SPAN("bob"), SPAN("a good one 77")));
	assert_non_null(password_problem(&config, SPAN("bob"), SPAN("short")));
	assert_non_null(password_problem(&config, SPAN("bob"), SPAN("LetMeInPlease")));
	assert_non_null(password_problem(&config, SPAN("bob"), SPAN("password12")));
	assert_non_null(password_problem(&config, SPAN("Bob-bob-bob"), SPAN("bob-bob-bob")));
	assert_non_null(password_problem(&config, SPAN("bob"), SPAN("a good one \xff")));
	assert_non_null(password_problem(&config, SPAN("bob"), SPAN("correct horse")));
	/* A list that cannot be read lets nothing through. */
	config.breached = SPAN("/nonexistent/list");
	assert_non_null(password_problem(&config, SPAN("bob"), SPAN("a good one 77")));
}

static struct span start_session(const char *user, struct idp_session *session)
{
	struct span methods[] = {SPAN("pwd")};
	struct span cookie;
	struct err err;

	*session = (struct idp_session){.user = span_cstr(user),
					.methods = {methods, 1},
					.authenticated_unix_s = clock_unix_s()};
	assert_int_equal(
		session_start(idp, &cfg->identity.session, session, &arena, &cookie, &err),
		STORE_OK);
	return cookie;
}

static enum store_result find_session(struct span cookie)
{
	struct idp_session session;
	struct err err;

	return session_find(idp, &cfg->identity.session, cookie, &arena, &session, &err);
}

static void a_session_is_found_by_its_cookie_and_ends(void **state)
{
	struct idp_session session;
	struct span cookie = start_session("u1", &session);
	struct err err;

	(void)state;
	assert_int_equal(find_session(cookie), STORE_OK);
	/* What is stored opens nothing. */
	assert_int_equal(find_session(session.id), STORE_ABSENT);
	assert_int_equal(find_session(SPAN("")), STORE_ABSENT);
	assert_int_equal(session_end(idp, session.id, &err), STORE_OK);
	assert_int_equal(find_session(cookie), STORE_ABSENT);
	assert_true(idp_is_revoked_id(idp, session.id));
}

static void the_oldest_of_too_many_sessions_ends(void **state)
{
	struct idp_session session;
	struct span first = start_session("u2", &session), second, third;

	(void)state;
	second = start_session("u2", &session);
	third = start_session("u2", &session);
	assert_int_equal((find_session(first) == STORE_OK) + (find_session(second) == STORE_OK),
			 1);
	assert_int_equal(find_session(third), STORE_OK);
}

static void a_session_ends_when_the_configuration_says_so(void **state)
{
	struct config_session strict = cfg->identity.session;
	struct idp_session session;
	struct span cookie = start_session("u3", &session);
	struct err err;

	(void)state;
	strict.absolute_ms = 0;
	assert_int_equal(session_find(idp, &strict, cookie, &arena, &session, &err),
			 STORE_ABSENT);
}

static void failures_are_followed_by_growing_waits_with_a_cap(void **state)
{
	static const int64_t expected_ms[] = {0, 0, 60000, 120000, 180000, 180000};
	int64_t wait_ms;
	struct err err;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(expected_ms); i++) {
		assert_int_equal(throttle_fail(idp, &cfg->identity.lockout, THROTTLE_ACCOUNT,
					       SPAN("alice"), &wait_ms, &err),
				 STORE_OK);
		assert_int_equal(wait_ms, expected_ms[i]);
	}
	assert_int_equal(throttle_check(idp, THROTTLE_ACCOUNT, SPAN("alice"), &wait_ms, &err),
			 STORE_OK);
	assert_in_range(wait_ms, 1, 180000);
	assert_int_equal(throttle_check(idp, THROTTLE_ADDRESS, SPAN("alice"), &wait_ms, &err),
			 STORE_OK);
	assert_int_equal(wait_ms, 0);
	assert_int_equal(throttle_clear(idp, THROTTLE_ACCOUNT, SPAN("alice"), &err), STORE_OK);
	assert_int_equal(throttle_check(idp, THROTTLE_ACCOUNT, SPAN("alice"), &wait_ms, &err),
			 STORE_OK);
	assert_int_equal(wait_ms, 0);
}

/* RFC 6238 appendix B: the secret "12345678901234567890", SHA-1, the last six digits. */
static void one_time_passwords_are_those_of_rfc_6238_and_are_used_once(void **state)
{
	struct span secret = SPAN("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
	int64_t step = totp_check(secret, SPAN("287082"), 0, 59);

	(void)state;
	assert_int_equal(step, 1);
	assert_int_equal(totp_check(secret, SPAN("287082"), step, 59), 0);
	assert_int_equal(totp_check(secret, SPAN("081804"), 0, 1111111109), 37037036);
	assert_int_equal(totp_check(secret, SPAN("081804"), 0, 1111111109 + 30), 37037036);
	assert_int_equal(totp_check(secret, SPAN("081804"), 0, 1111111109 + 60), 0);
	assert_int_equal(totp_check(secret, SPAN("08180"), 0, 1111111109), 0);
	assert_int_equal(totp_check(SPAN("!"), SPAN("081804"), 0, 1111111109), 0);
}

/* FIPS 180-2, appendix B: of one block and of two. */
static void check_digests(void)
{
	char digest[DIGEST_HEX_SIZE];

	for (int i = 0; i < 3; i++) {
		digest_hex(digest, SPAN("abc"));
		assert_string_equal(digest, "ba7816bf8f01cfea414140de5dae2223"
					    "b00361a396177a9cb410ff61f20015ad");
		digest_hex(digest,
			   SPAN("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"));
		assert_string_equal(digest, "248d6a61d20638b8e5c026930c3e6039"
					    "a33ce45964ff2167f6ecedd419db06c1");
		digest_hex(digest, SPAN(""));
		assert_string_equal(digest, "e3b0c44298fc1c149afbf4c8996fb924"
					    "27ae41e4649b934ca495991b7852b855");
	}
}

static void *digest_thread(void *arg)
{
	(void)arg;
	check_digests();
	return NULL;
}

static void a_digest_is_that_of_its_text_alone(void **state)
{
	pthread_t threads[4];

	(void)state;
	check_digests();
	for (size_t i = 0; i < COUNT_OF(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, digest_thread, NULL), 0);
	for (size_t i = 0; i < COUNT_OF(threads); i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	check_digests();
}

static void a_recovery_code_is_good_once(void **state)
{
	struct config_strings codes, digests;

	(void)state;
	assert_int_equal(totp_recovery(&arena, &codes, &digests), 0);
	assert_true(totp_recovery_use(&digests, codes.at[3]));
	assert_false(totp_recovery_use(&digests, codes.at[3]));
	assert_false(totp_recovery_use(&digests, SPAN("")));
	assert_int_equal(digests.count, TOTP_RECOVERY_CODES - 1);
}

static void what_is_sealed_opens_at_its_place_only(void **state)
{
	struct span sealed = vault_seal(idp->vault, SPAN("here"), SPAN("secret"), &arena);
	struct secret plain = SECRET_NONE;
	struct err err;
	char *bent;

	(void)state;
	assert_non_null(sealed.ptr);
	assert_true(span_find(sealed, SPAN("secret")) == sealed.len);
	assert_int_equal(vault_open_sealed(idp->vault, SPAN("here"), sealed, &plain, &err), 0);
	assert_true(span_eq(secret_span(&plain), SPAN("secret")));
	secret_release(&plain);
	assert_int_equal(vault_open_sealed(idp->vault, SPAN("there"), sealed, &plain, &err),
			 -1);
	bent = arena_alloc(&arena, sealed.len);
	memcpy(bent, sealed.ptr, sealed.len);
	bent[20] = bent[20] == 'A' ? 'B' : 'A';
	assert_int_equal(vault_open_sealed(idp->vault, SPAN("here"), span_of(bent, sealed.len),
					   &plain, &err),
			 -1);
	assert_int_equal(vault_open_sealed(idp->vault, SPAN("here"), SPAN("x"), &plain, &err),
			 -1);
}

static void the_key_file_is_its_owners_and_refused_when_others_can_read_it(void **state)
{
	struct span path = idp_key_file(cfg, &arena);
	struct stat stat_buf;
	struct err err;

	(void)state;
	assert_int_equal(stat(path.ptr, &stat_buf), 0);
	assert_int_equal(stat_buf.st_mode & 0777, 0600);
	assert_int_equal(chmod(path.ptr, 0640), 0);
	assert_null(vault_open(path.ptr, true, &err));
	assert_int_equal(err.code, ERR_INVALID);
	assert_int_equal(chmod(path.ptr, 0600), 0);
}

static void what_was_signed_is_verified_also_after_a_rotation(void **state)
{
	struct span payload = SPAN("{\"sub\":\"x\"}");
	struct buf token, jwks, keys;
	struct err err;

	(void)state;
	buf_init(&token, 4096);
	buf_init(&jwks, 8192);
	buf_init(&keys, 8192);
	assert_int_equal(signing_sign(idp, SPAN("at+jwt"), payload, &token, &err), 0);
	assert_true(span_eq(signing_verify(idp, SPAN("at+jwt"), buf_span(&token), &arena),
			    payload));
	assert_null(signing_verify(idp, SPAN("JWT"), buf_span(&token), &arena).ptr);
	assert_int_equal(signing_rotate(idp, cfg, &err), STORE_OK);
	assert_true(span_eq(signing_verify(idp, SPAN("at+jwt"), buf_span(&token), &arena),
			    payload));
	assert_int_equal(idp_jwks(idp, &jwks), 0);
	/* Private parts are in neither list. */
	assert_true(span_find(buf_span(&jwks), SPAN("\"d\"")) == jwks.len);
	assert_int_equal(signing_list(idp, &keys, &err), STORE_OK);
	assert_true(span_find(buf_span(&keys), SPAN("PRIVATE")) == keys.len);
	token.ptr[token.len - 3] ^= 1;
	assert_null(signing_verify(idp, SPAN("at+jwt"), buf_span(&token), &arena).ptr);
	buf_release(&token);
	buf_release(&jwks);
	buf_release(&keys);
}

static unsigned keys_in(struct span jwks)
{
	unsigned count = 0;

	for (size_t at = span_find(jwks, SPAN("\"kid\"")); at < jwks.len;
	     at = span_find(jwks, SPAN("\"kid\""))) {
		jwks = span_slice(jwks, at + 5, jwks.len);
		count++;
	}
	return count;
}

/* A key that is old enough gets a successor; it goes on signing until that was published for long. */
static void keys_rotate_by_themselves_and_overlap(void **state)
{
	uint64_t rotate_ms = cfg->identity.signing.rotate_ms;
	struct span payload = SPAN("{\"sub\":\"x\"}");
	struct buf token, jwks;
	unsigned before;
	bool changed;
	struct err err;

	(void)state;
	buf_init(&token, 4096);
	buf_init(&jwks, 8192);
	assert_int_equal(signing_sign(idp, SPAN("at+jwt"), payload, &token, &err), 0);
	assert_int_equal(idp_jwks(idp, &jwks), 0);
	before = keys_in(buf_span(&jwks));
	cfg->identity.signing.rotate_ms = 0;
	assert_int_equal(signing_load(idp, cfg, true, &changed, &err), STORE_OK);
	cfg->identity.signing.rotate_ms = rotate_ms;
	assert_true(changed);
	buf_clear(&jwks);
	assert_int_equal(idp_jwks(idp, &jwks), 0);
	assert_int_equal(keys_in(buf_span(&jwks)), before + 1);
	assert_true(span_eq(signing_verify(idp, SPAN("at+jwt"), buf_span(&token), &arena),
			    payload));
	/* Not due again. */
	assert_int_equal(signing_load(idp, cfg, true, &changed, &err), STORE_OK);
	assert_false(changed);
	buf_release(&token);
	buf_release(&jwks);
}

static void another_replica_learns_what_was_revoked(void **state)
{
	struct err err;
	struct idp *other = idp_open(options(), true, &err);
	bool changed;

	(void)state;
	assert_non_null(other);
	assert_int_equal(idp_revoke(idp, SPAN("t1"), clock_unix_ms() + 60000, &err), STORE_OK);
	assert_int_equal(idp_revoke(idp, SPAN("t2"), clock_unix_ms() - 1, &err), STORE_OK);
	assert_true(idp_is_revoked_id(idp, SPAN("t1")));
	assert_false(idp_is_revoked_id(idp, SPAN("t2")));
	assert_int_equal(idp_maintain(other, cfg, &changed, &err), 0);
	assert_true(idp_is_revoked_id(other, SPAN("t1")));
	assert_false(idp_is_revoked_id(other, SPAN("t2")));
	idp_close(other);
}

static void without_memory_nothing_is_half_done(void **state)
{
	struct err err;

	(void)state;
	for (unsigned long n = 1;; n++) {
		struct idp_user user = {.name = SPAN("memory")};
		struct idp_session session = {.user = SPAN("memory")};
		struct arena small;
		enum store_result result;
		struct span cookie;

		arena_init(&small, 1 << 20, 64);
		mem_fail_at(n);
		result = user_find(idp, SPAN("memory"), &small, &user, &err);
		if (result == STORE_ABSENT)
			result = user_put(idp, &user, &small, &err);
		if (result == STORE_OK)
			result = session_start(idp, &cfg->identity.session, &session, &small,
					       &cookie, &err);
		mem_fail_at(0);
		arena_release(&small);
		if (result == STORE_OK)
			break;
		assert_true(n < 10000);
	}
	assert_int_equal(user_find(idp, SPAN("memory"), &arena, &(struct idp_user){0}, &err),
			 STORE_OK);
}

static bool memory_failed; /* while serve() ran */

static unsigned serve(enum http_method method, const char *path, const char *query,
		      const char *body, unsigned long fail_at)
{
	struct idp_exchange x = {.idp = idp,
				 .config = cfg,
				 .method = method,
				 .path = span_cstr(path),
				 .query = span_cstr(query),
				 .body = span_cstr(body),
				 .cookie = SPAN("__Host-sallyport=none"),
				 .authorization = SPAN("Basic YTpi"),
				 .content_type = SPAN("application/x-www-form-urlencoded"),
				 .origin = cfg->identity.issuer,
				 .fetch_site = SPAN("same-origin"),
				 .user_agent = SPAN("test"),
				 .address = SPAN("127.0.0.1")};
	struct arena own;

	arena_init(&own, 1 << 20, 64);
	x.arena = &own;
	mem_fail_at(fail_at);
	idp_serve(&x);
	memory_failed = mem_fail_happened();
	mem_fail_at(0);
	assert_true(x.status >= 200 && x.status < 600);
	assert_true(x.field_count <= IDP_FIELDS_MAX);
	for (size_t i = 0; i < x.field_count; i++)
		assert_non_null(x.fields[i].value.ptr);
	assert_non_null(x.content.ptr);
	arena_release(&own);
	return x.status;
}

static void a_request_without_memory_is_refused_and_never_let_through(void **state)
{
	static const struct {
		enum http_method method;
		const char *path, *query, *body;
	} requests[] = {
		{HTTP_METHOD_GET, "/identity/login", "return=%2Fa", ""},
		{HTTP_METHOD_GET, "/identity", "", ""},
		{HTTP_METHOD_GET, "/identity/keys", "", ""},
		{HTTP_METHOD_GET, "/.well-known/openid-configuration", "", ""},
		{HTTP_METHOD_GET, "/identity/authorize", "client_id=a&redirect_uri=b", ""},
		{HTTP_METHOD_POST, "/identity/token", "", "grant_type=client_credentials"},
		{HTTP_METHOD_POST, "/identity/login", "", "name=a&password=b&form_token=c"},
		{HTTP_METHOD_GET, "/identity/logout", "state=x", ""},
		{HTTP_METHOD_GET, "/identity/style.css", "", ""},
		{HTTP_METHOD_GET, "/identity/unknown", "", ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(requests); i++) {
		unsigned usual = serve(requests[i].method, requests[i].path, requests[i].query,
				       requests[i].body, 0);

		assert_true(usual != 503);
		for (unsigned long n = 1; n < 400; n++) {
			unsigned status = serve(requests[i].method, requests[i].path,
						requests[i].query, requests[i].body, n);

			assert_true(status == usual || status >= 400);
			if (!memory_failed)
				break;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			the_first_start_makes_an_administrator_with_a_password_for_once),
		cmocka_unit_test(a_name_is_one_users_whatever_the_case),
		cmocka_unit_test(a_user_is_written_and_read_with_everything),
		cmocka_unit_test(an_export_shows_no_hash_unless_it_is_asked_for),
		cmocka_unit_test(roles_and_groups_add_up_to_permissions),
		cmocka_unit_test(a_malformed_permission_is_no_permission),
		cmocka_unit_test(a_password_is_kept_as_argon2id_and_upgraded),
		cmocka_unit_test(a_new_password_is_long_and_not_known),
		cmocka_unit_test(a_session_is_found_by_its_cookie_and_ends),
		cmocka_unit_test(the_oldest_of_too_many_sessions_ends),
		cmocka_unit_test(a_session_ends_when_the_configuration_says_so),
		cmocka_unit_test(failures_are_followed_by_growing_waits_with_a_cap),
		cmocka_unit_test(one_time_passwords_are_those_of_rfc_6238_and_are_used_once),
		cmocka_unit_test(a_digest_is_that_of_its_text_alone),
		cmocka_unit_test(a_recovery_code_is_good_once),
		cmocka_unit_test(what_is_sealed_opens_at_its_place_only),
		cmocka_unit_test(
			the_key_file_is_its_owners_and_refused_when_others_can_read_it),
		cmocka_unit_test(what_was_signed_is_verified_also_after_a_rotation),
		cmocka_unit_test(keys_rotate_by_themselves_and_overlap),
		cmocka_unit_test(another_replica_learns_what_was_revoked),
		cmocka_unit_test(without_memory_nothing_is_half_done),
		cmocka_unit_test(a_request_without_memory_is_refused_and_never_let_through),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
