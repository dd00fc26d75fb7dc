/* Requests during which the n-th allocation fails: they are refused, and nothing is half done. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rand.h"
#include "identity/idp_internal.h"
#include "identity/ldap_call.h"
#include "parse/base64.h"
#include "support.h"

#define ALLOCATIONS_MAX 2000

static char folder[64];
static struct config *cfg;
static struct idp *idp;
static struct arena arena;
static struct span basic;

/* ---- a directory that knows alice, and every password ---- */

static int listener = -1;
static pthread_t directory;
static atomic_bool nobody; /* it does not know her any more */

static void put(struct buf *to, unsigned char tag, struct span content)
{
	buf_append_byte(to, (char)tag);
	if (content.len > 127)
		buf_append_byte(to, (char)0x81);
	buf_append_byte(to, (char)content.len);
	buf_append(to, content);
}

static void put_attribute(struct buf *to, const char *name, const char *value)
{
	struct buf set, pair;

	buf_init(&set, 256);
	buf_init(&pair, 256);
	put(&set, 0x04, span_cstr(value));
	put(&pair, 0x04, span_cstr(name));
	put(&pair, 0x31, buf_span(&set));
	put(to, 0x30, buf_span(&pair));
	buf_release(&set);
	buf_release(&pair);
}

static void say(int fd, unsigned char id, unsigned char tag, struct span operation)
{
	struct buf content, message;

	buf_init(&content, 1024);
	buf_init(&message, 1024);
	put(&content, 0x02, span_of(&id, 1));
	put(&content, tag, operation);
	put(&message, 0x30, buf_span(&content));
	(void)!write(fd, message.ptr, message.len);
	buf_release(&content);
	buf_release(&message);
}

static void say_entry(int fd, unsigned char id)
{
	struct buf attributes, entry;

	buf_init(&attributes, 1024);
	buf_init(&entry, 1024);
	put_attribute(&attributes, "entryUUID", "11-22");
	put_attribute(&attributes, "uid", "alice");
	put_attribute(&attributes, "cn", "Alice");
	put_attribute(&attributes, "memberOf", "cn=staff,dc=x");
	put(&entry, 0x04, SPAN("uid=alice,dc=x"));
	put(&entry, 0x30, buf_span(&attributes));
	say(fd, id, 0x64, buf_span(&entry));
	buf_release(&attributes);
	buf_release(&entry);
}

/* Requests are short, come one at a time, and have numbers below 128. */
static void talk(int fd)
{
	static const struct span good = SPAN_INIT("\x0a\x01\x00\x04\x00\x04\x00");
	unsigned char message[2048];

	while (read(fd, message, sizeof(message)) > 6) {
		size_t at = message[1] & 0x80 ? 2 + (message[1] & 0x7f) : 2;

		switch (message[at + 3]) {
		case 0x60: say(fd, message[at + 2], 0x61, good); break;
		case 0x63:
			if (!atomic_load(&nobody))
				say_entry(fd, message[at + 2]);
			say(fd, message[at + 2], 0x65, good);
			break;
		default: return;
		}
	}
}

static void *serve_directory(void *arg)
{
	int fd;

	(void)arg;
	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		talk(fd);
		close(fd);
	}
	return NULL;
}

static void start_directory(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/ldap", folder);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 16), 0);
	assert_int_equal(pthread_create(&directory, NULL, serve_directory, NULL), 0);
}

/* ---- the server ---- */

static void make_client(void)
{
	struct span grants[] = {SPAN("authorization_code"), SPAN("client_credentials"),
				SPAN("urn:ietf:params:oauth:grant-type:token-exchange")};
	struct span scopes[] = {SPAN("openid"), SPAN("read")};
	struct span redirect = SPAN("https://shop.example/"), any = SPAN("*"), secret;
	struct idp_client client = {.id = SPAN("shop"),
				    .redirects = {&redirect, 1},
				    .grants = {grants, COUNT_OF(grants)},
				    .scopes = {scopes, COUNT_OF(scopes)},
				    .exchange = {&any, 1}};
	char encoded[256];
	struct span pair;
	struct err err;

	assert_int_equal(client_new_secret(&client, &arena, &secret), 0);
	assert_int_equal(client_put(idp, &client, &err), STORE_OK);
	pair = arena_printf(&arena, "shop:%.*s", SPAN_ARG(secret));
	basic = arena_printf(&arena, "Basic %.*s", (int)base64_encode(encoded, pair), encoded);
	assert_non_null(basic.ptr);
}

static int setup(void **state)
{
	const struct idp_options options = {.config = NULL};
	struct idp_options with;
	struct err err;

	(void)state;
	arena_init(&arena, (size_t)64 << 20, 4096);
	snprintf(folder, sizeof(folder), "/tmp/sallyport-memory.XXXXXX");
	assert_non_null(mkdtemp(folder));
	start_directory();
	cfg = config_of(
		"listen: [{address: \"127.0.0.1:0\"}]\n"
		"store: sqlite:%s/id.db\n"
		"identity:\n"
		"  issuer: \"http://localhost:1\"\n"
		"  password: {memory: 64k, passes: 1}\n"
		"  oauth: {registration: {enabled: true, per_hour: 100000, clients: 100000}}\n"
		"  federation: [{name: corp, issuer: \"http://127.0.0.1:1\", client_id: x}]\n"
		"  ldap: [{name: staff, url: \"ldapi://%%2Ftmp%%2F%s%%2Fldap\", base: "
		"\"dc=x\",\n"
		"    role_map: [{value: staff, roles: [clerk]}]}]\n",
		folder, folder + strlen("/tmp/"));
	with = options;
	with.config = cfg;
	idp = idp_open(&with, true, &err);
	if (!idp)
		print_error("%s\n", err.message);
	assert_non_null(idp);
	make_client();
	return 0;
}

static int teardown(void **state)
{
	char command[128];

	(void)state;
	shutdown(listener, SHUT_RDWR);
	close(listener);
	pthread_join(directory, NULL);
	idp_close(idp);
	config_unref(cfg);
	arena_release(&arena);
	remove_files();
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command); /* NOLINT(cert-env33-c): a folder that the test has made */
}

/* ---- requests ---- */

struct request {
	enum http_method method;
	const char *path;
	const char *query;
	const char *body;
	const char *content_type; /* NULL: a form */
	bool anonymous;
	unsigned usual; /* the answer when there is memory */
	bool proven; /* with a proof (RFC 9449) */
};

static EVP_PKEY *proof_key;

/* A proof is good once. */
static struct span proof_for(const char *path, struct arena *own)
{
	struct buf token, header, payload;
	char jti[33];
	struct span proof;

	rand_hex(jti, 16);
	jti[32] = '\0';
	buf_init(&token, 8192);
	buf_init(&header, 4096);
	buf_init(&payload, 4096);
	buf_append_cstr(&header, "\"typ\":\"dpop+jwt\",\"jwk\":");
	append_jwk(&header, proof_key, "");
	buf_printf(&payload,
		   "{\"jti\":\"%s\",\"htm\":\"POST\",\"htu\":\"http://localhost:1%s\",\"iat\":"
		   "%lld}",
		   jti, path, (long long)clock_unix_s());
	proof = arena_dup(own, span_cstr(sign_token(&token, proof_key, "ES256", "",
						    buf_cstr(&header), buf_cstr(&payload))));
	assert_non_null(proof.ptr);
	buf_release(&token);
	buf_release(&header);
	buf_release(&payload);
	return proof;
}

static struct idp_exchange exchange_of(const struct request *r, struct arena *own)
{
	return (struct idp_exchange){
		.idp = idp,
		.config = cfg,
		.arena = own,
		.method = r->method,
		.path = span_cstr(r->path),
		.query = span_cstr(r->query ? r->query : ""),
		.body = span_cstr(r->body ? r->body : ""),
		.cookie = SPAN(""),
		.authorization = r->anonymous ? SPAN("") : basic,
		.content_type =
			span_cstr(r->content_type ? r->content_type
						  : "application/x-www-form-urlencoded"),
		.origin = cfg->identity.issuer,
		.fetch_site = SPAN("same-origin"),
		.user_agent = SPAN("test"),
		.dpop = r->proven ? proof_for(r->path, own) : SPAN(""),
		.address = SPAN("127.0.0.1")};
}

/* All of it, as the gateway does; true when an allocation has failed meanwhile. */
static bool run(struct idp_exchange *x, unsigned long fail_at)
{
	bool failed;

	mem_fail_at(fail_at);
	idp_serve(x);
	if (x->rest)
		idp_serve_rest(x);
	failed = mem_fail_happened();
	mem_fail_at(0);
	assert_null(x->rest);
	assert_true(x->status >= 200 && x->status < 600);
	for (size_t i = 0; i < x->field_count; i++)
		assert_non_null(x->fields[i].value.ptr);
	assert_non_null(x->content.ptr);
	return failed;
}

/* Else there are more of them each time, and more to read. */
static void forget_registered(void)
{
	struct idp_client *clients;
	struct arena own;
	size_t count;
	struct err err;
	bool more;

	arena_init(&own, (size_t)4 << 20, 4096);
	assert_int_equal(client_list(idp, SPAN_NONE, 100, &own, &clients, &count, &more, &err),
			 STORE_OK);
	for (size_t i = 0; i < count; i++)
		if (clients[i].registered)
			assert_int_equal(client_remove(idp, clients[i].id, &err), STORE_OK);
	arena_release(&own);
}

static void each_allocation(const struct request *r)
{
	struct arena own;

	for (unsigned long n = 0; n < ALLOCATIONS_MAX; n++) {
		struct idp_exchange x;
		bool failed;

		arena_init(&own, (size_t)1 << 20, 64);
		x = exchange_of(r, &own);
		failed = run(&x, n);
		if (n == 0 && x.status != r->usual)
			print_error("%s: %u %.*s\n", r->path, x.status, SPAN_ARG(x.content));
		if (n == 0 || !failed)
			assert_int_equal(x.status, r->usual);
		else
			assert_true(x.status == r->usual || x.status >= 400);
		arena_release(&own);
		if (n > 0 && !failed)
			return;
		forget_registered();
	}
	fail_msg("%s allocates for ever", r->path);
}

static void requests_of_clients_are_refused_whole(void **state)
{
	static const struct request requests[] = {
		{HTTP_METHOD_POST, "/identity/token", NULL, "grant_type=client_credentials",
		 .usual = 200},
		{HTTP_METHOD_POST, "/identity/token", NULL, "grant_type=client_credentials",
		 .usual = 200, .proven = true},
		{HTTP_METHOD_POST, "/identity/par", NULL,
		 "response_type=code&client_id=shop&redirect_uri=https%3A%2F%2Fshop.example%2F&"
		 "scope=openid&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&"
		 "code_challenge_method=S256",
		 .usual = 201},
		{HTTP_METHOD_POST, "/identity/register", NULL,
		 "{\"redirect_uris\":[\"https://new.example/\"],\"client_name\":\"New\"}",
		 .content_type = "application/json", .anonymous = true, .usual = 201},
		{HTTP_METHOD_POST, "/identity/introspect", NULL, "token=x", .usual = 200},
		{HTTP_METHOD_POST, "/identity/revoke", NULL, "token=x", .usual = 200},
		{HTTP_METHOD_GET, "/.well-known/oauth-protected-resource", .usual = 200},
	};

	(void)state;
	proof_key = token_key_new(TOKEN_KEY_EC);
	for (size_t i = 0; i < COUNT_OF(requests); i++)
		each_allocation(&requests[i]);
	EVP_PKEY_free(proof_key);
}

static struct span text_between(struct span text, struct span before, char end)
{
	size_t at = span_find(text, before);

	assert_true(at < text.len);
	text = span_slice(text, at + before.len, text.len);
	return span_slice(text, 0, span_find_byte(text, end));
}

/* A token of our own, for those that exchange and introspect it. */
static void exchanges_and_introspections_are_refused_whole(void **state)
{
	static const struct request ask = {HTTP_METHOD_POST, "/identity/token", NULL,
					   "grant_type=client_credentials", .usual = 200};
	struct request swap = {HTTP_METHOD_POST, "/identity/token", .usual = 200};
	struct request look = {HTTP_METHOD_POST, "/identity/introspect", .usual = 200};
	struct idp_exchange x = exchange_of(&ask, &arena);
	struct span token;

	(void)state;
	run(&x, 0);
	assert_int_equal(x.status, 200);
	token = text_between(x.content, SPAN("\"access_token\":\""), '"');
	look.body = arena_printf(&arena, "token=%.*s", SPAN_ARG(token)).ptr;
	swap.body = arena_printf(&arena,
				 "grant_type=urn%%3Aietf%%3Aparams%%3Aoauth%%3Agrant-type%%3A"
				 "token-exchange&subject_token_type=urn%%3Aietf%%3Aparams%%3A"
				 "oauth%%3Atoken-type%%3Aaccess_token&subject_token=%.*s",
				 SPAN_ARG(token))
			    .ptr;
	each_allocation(&look);
	each_allocation(&swap);
}

static void logins_elsewhere_are_refused_whole(void **state)
{
	static const struct request requests[] = {
		/* Nobody is there: the time is spent on what is prepared, and on saying so. */
		{HTTP_METHOD_GET, "/identity/federation/corp/start", "return=%2Fa",
		 .anonymous = true, .usual = 503},
		{HTTP_METHOD_GET, "/identity/federation/corp/callback", "code=a&state=b",
		 .anonymous = true, .usual = 403},
		{HTTP_METHOD_POST, "/identity/federation/corp/link", NULL, "form_token=x",
		 .anonymous = true, .usual = 403},
		{HTTP_METHOD_GET, "/identity/login", .anonymous = true, .usual = 200},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(requests); i++)
		each_allocation(&requests[i]);
}

/* ---- a login by the directory ---- */

static bool sets_session(const struct idp_exchange *x)
{
	for (size_t i = 0; i < x->field_count; i++)
		if (span_starts_with(x->fields[i].value, SPAN("__Host-sallyport=")))
			return true;
	return false;
}

/* A browser with the page of the login form; x is what it sends. */
static struct idp_exchange form_of(struct arena *own)
{
	static const struct request get = {HTTP_METHOD_GET, "/identity/login",
					   .anonymous = true};
	struct request post = {HTTP_METHOD_POST, "/identity/login", .anonymous = true};
	struct idp_exchange page = exchange_of(&get, own), x;
	struct span token, cookie = SPAN_NONE;

	run(&page, 0);
	assert_int_equal(page.status, 200);
	token = text_between(page.content, SPAN("name=\"form_token\" value=\""), '"');
	for (size_t i = 0; i < page.field_count; i++)
		if (span_starts_with(page.fields[i].value, SPAN("__Host-sallyport-form=")))
			cookie = span_slice(page.fields[i].value, 0,
					    span_find_byte(page.fields[i].value, ';'));
	post.body = arena_printf(own, "form_token=%.*s&name=alice&password=whatever",
				 SPAN_ARG(token))
			    .ptr;
	assert_non_null(post.body);
	x = exchange_of(&post, own);
	x.cookie = cookie;
	return x;
}

static void a_login_by_a_directory_is_refused_whole(void **state)
{
	struct idp_user user, *all;
	struct arena own;
	size_t count;
	struct err err;
	bool more;

	(void)state;
	for (unsigned long n = 1; n < ALLOCATIONS_MAX; n++) {
		struct idp_exchange x;
		bool failed;

		/* A directory for which there was no memory is not left alone here. */
		atomic_store(&idp->ldap_rests_until_ms[0], 0);
		arena_init(&own, (size_t)1 << 20, 64);
		x = form_of(&own);
		failed = run(&x, n);
		if ((x.status == 303) != sets_session(&x))
			print_error("%lu: %u %d\n", n, x.status, sets_session(&x));
		assert_true((x.status == 303) == sets_session(&x));
		assert_true(x.status == 303 || x.status >= 400);
		arena_release(&own);
		if (!failed) {
			assert_int_equal(x.status, 303);
			break;
		}
	}
	assert_int_equal(user_find(idp, SPAN("alice"), &arena, &user, &err), STORE_OK);
	assert_int_equal(user.links.count, 1);
	assert_true(span_eq(user.links.at[0], SPAN("directory:staff 11-22")));
	assert_int_equal(user.roles.count, 1);
	assert_int_equal(user_list(idp, SPAN_NONE, 10, &arena, &all, &count, &more, &err),
			 STORE_OK);
	assert_int_equal(count, 2); /* with the administrator */
}

/* ---- looking her up again ---- */

static size_t sessions_of(struct span user)
{
	struct idp_session *all;
	struct arena own;
	size_t count;
	struct err err;

	arena_init(&own, (size_t)4 << 20, 4096);
	assert_int_equal(session_list(idp, user, &own, &all, &count, &err), STORE_OK);
	arena_release(&own);
	return count;
}

/* The last look was long ago. */
static void make_due(struct span user)
{
	const struct store_index live = {SPAN("state"), SPAN("live")};
	struct store_change change = {
		.kind = SPAN(LDAP_KNOWN_KIND), .key = user, .indexes = &live, .index_count = 1};
	struct err err;

	change.value = arena_printf(&arena,
				    "{\"directory\":\"staff\",\"link\":\"directory:staff "
				    "11-22\",\"name\":\"alice\",\"at\":%lld,\"login\":1}",
				    (long long)clock_unix_s() - 3600);
	assert_int_equal(store_commit(idp->shared, &change, 1, &err), STORE_OK);
	idp->look_next_ms = 0;
	idp->looked_at_len = 0; /* what fails is passed over until the next round */
	atomic_store(&idp->ldap_rests_until_ms[0], 0);
}

static bool look(unsigned long fail_at, int *result)
{
	struct err err;
	bool failed;

	mem_fail_at(fail_at);
	*result = idp_recheck(idp, cfg, &err);
	failed = mem_fail_happened();
	mem_fail_at(0);
	return failed;
}

static bool is_due_still(struct span user)
{
	struct store_record record;
	struct err err;

	assert_int_equal(
		store_get(idp->shared, SPAN(LDAP_KNOWN_KIND), user, &arena, &record, &err),
		STORE_OK);
	return span_find(record.value, SPAN("\"login\":1,\"idle\":true")) == record.value.len &&
	       span_find(record.value, SPAN("\"login\":1}")) < record.value.len;
}

static void a_look_without_memory_logs_nobody_out(void **state)
{
	struct idp_user user;
	struct err err;
	size_t before;
	int result;

	(void)state;
	assert_int_equal(user_find(idp, SPAN("alice"), &arena, &user, &err), STORE_OK);
	before = sessions_of(user.id);
	assert_true(before > 0);
	for (unsigned long n = 1; n < ALLOCATIONS_MAX; n++) {
		bool failed;

		make_due(user.id);
		failed = look(n, &result);
		assert_int_equal(sessions_of(user.id), before);
		if (failed)
			continue;
		assert_int_equal(result, 0);
		assert_false(is_due_still(user.id));
		break;
	}
	/* Nobody is logged out by halves: what failed is due again. */
	atomic_store(&nobody, true);
	for (unsigned long n = 1; n < ALLOCATIONS_MAX; n++) {
		bool failed;

		make_due(user.id);
		failed = look(n, &result);
		if (sessions_of(user.id) > 0)
			assert_true(is_due_still(user.id));
		if (!failed)
			break;
	}
	assert_int_equal(result, 0);
	assert_int_equal(sessions_of(user.id), 0);
	assert_false(is_due_still(user.id));
	atomic_store(&nobody, false);
}

/* ---- names in filters and DNs ---- */

static void what_is_typed_is_a_value_and_nothing_more(void **state)
{
	(void)state;
	assert_span(ldap_fill_filter(SPAN("(&(uid={name})(x={name}))"), SPAN("a.b-c_d@e1"),
				     SPAN(""), &arena),
		    "(&(uid=a.b-c_d@e1)(x=a.b-c_d@e1))");
	assert_span(ldap_fill_filter(SPAN("(uid={name})"), SPAN("*)(\\"), SPAN(""), &arena),
		    "(uid=\\2a\\29\\28\\5c)");
	assert_span(
		ldap_fill_filter(SPAN("(uid={name})"), span_of("a\0b", 3), SPAN(""), &arena),
		"(uid=a\\00b)");
	assert_span(
		ldap_fill_filter(SPAN("(uid={name})"), SPAN("\xc3\xa4{dn}"), SPAN("x"), &arena),
		"(uid=\\c3\\a4\\7bdn\\7d)");
	assert_span(
		ldap_fill_filter(SPAN("(member={dn})"), SPAN("a"), SPAN("uid=a,dc=x"), &arena),
		"(member=uid\\3da\\2cdc\\3dx)");
	assert_span(ldap_fill_dn(SPAN("uid={name},dc=x"), SPAN("a,b+c=\"d\" #"), &arena),
		    "uid=a\\2cb\\2bc\\3d\\22d\\22\\20\\23,dc=x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_of_clients_are_refused_whole),
		cmocka_unit_test(exchanges_and_introspections_are_refused_whole),
		cmocka_unit_test(logins_elsewhere_are_refused_whole),
		cmocka_unit_test(a_login_by_a_directory_is_refused_whole),
		cmocka_unit_test(a_look_without_memory_logs_nobody_out),
		cmocka_unit_test(what_is_typed_is_a_value_and_nothing_more),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
