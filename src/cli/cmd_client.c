#include "cli/admin_work.h"

static const struct operand_spec id_operand[] = {
	{.name = "ID", .help = "The client's id.", .required = true}, {.name = NULL}};

static void print_client(struct admin_work *w, const struct idp_client *client)
{
	struct json_writer out;

	json_writer_init(&out, &w->out);
	client_write(&out, client, false);
	admin_line(w);
}

static void print_secret(struct admin_work *w, const struct idp_client *client,
			 struct span secret)
{
	struct json_writer out;

	json_writer_init(&out, &w->out);
	json_begin_object(&out);
	json_member_string(&out, SPAN("client_id"), client->id);
	if (secret.ptr)
		json_member_string(&out, SPAN("client_secret"), secret);
	json_end_object(&out);
	admin_line(w);
}

/* What the words stand for in RFC 6749 and RFC 8628. */
static void long_grants(struct config_strings *grants)
{
	for (size_t i = 0; i < grants->count; i++) {
		if (span_eq(grants->at[i], SPAN("code")))
			grants->at[i] = SPAN("authorization_code");
		else if (span_eq(grants->at[i], SPAN("refresh")))
			grants->at[i] = SPAN("refresh_token");
		else if (span_eq(grants->at[i], SPAN("device")))
			grants->at[i] = SPAN("urn:ietf:params:oauth:grant-type:device_code");
		else if (span_eq(grants->at[i], SPAN("exchange")))
			grants->at[i] = SPAN("urn:ietf:params:oauth:grant-type:token-exchange");
	}
}

static int read_key_file(struct admin_work *w, struct idp_client *client, struct err *err)
{
	const char *path = options_text(w->given, "jwks");
	struct buf text;
	int result;

	if (!path)
		return 0;
	buf_init(&text, (size_t)64 * 1024);
	result = config_source_system.read_file(config_source_system.context, path, text.max,
						&text, err);
	if (result == 0)
		client->jwks = arena_dup(&w->arena, buf_span(&text));
	buf_release(&text);
	if (result == 0 && !client->jwks.ptr)
		return err_set(err, ERR_MEMORY, "out of memory");
	return result;
}

/* How it authenticates, and what its tokens are like. */
static int read_more(struct admin_work *w, struct idp_client *client, struct err *err)
{
	bool given;

	client->auth_method = admin_text(w, "auth");
	client->jwks_uri = admin_text(w, "jwks-url");
	client->tls_subject = admin_text(w, "tls-subject");
	client->tls_dns = admin_text(w, "tls-dns");
	client->tls_uri = admin_text(w, "tls-uri");
	client->logout_uri = admin_text(w, "logout-url");
	client->bound_tokens = options_flag(w->given, "bind-certificate");
	client->dpop = options_flag(w->given, "dpop");
	client->require_par = options_flag(w->given, "require-par");
	client->opaque = options_flag(w->given, "opaque");
	if (admin_list(w, "exchange", &client->exchange, &given, err) < 0)
		return -1;
	return read_key_file(w, client, err);
}

static void warn_of_grants(const struct admin_work *w, const struct idp_client *client)
{
	for (size_t i = 0; i < client->grants.count; i++) {
		struct span grant = client->grants.at[i];
		const char *section = span_eq(grant, SPAN("password"))	 ? "2.4"
				      : span_eq(grant, SPAN("implicit")) ? "2.1.2"
									 : NULL;

		if (section)
			fprintf(stderr,
				"warning: RFC 9700 section %s advises against the grant %.*s; "
				"it works while identity.oauth.%.*s_grant is on%s\n",
				section, SPAN_ARG(grant), SPAN_ARG(grant),
				(span_eq(grant, SPAN("password"))
					 ? w->cfg->identity.oauth.password_grant
					 : w->cfg->identity.oauth.implicit_grant)
					? ""
					: ", which it is not");
	}
}

static int create(struct admin_work *w, struct err *err)
{
	struct idp_client client = {.id = admin_operand(w, 0), .name = admin_text(w, "name")};
	struct span secret = SPAN_NONE;
	bool given;

	if (admin_list(w, "redirects", &client.redirects, &given, err) < 0 ||
	    admin_list(w, "logout-redirects", &client.logout_redirects, &given, err) < 0 ||
	    admin_list(w, "grants", &client.grants, &given, err) < 0 ||
	    admin_list(w, "scopes", &client.scopes, &given, err) < 0 ||
	    admin_list(w, "resources", &client.resources, &given, err) < 0 ||
	    admin_list(w, "roles", &client.roles, &given, err) < 0)
		return -1;
	long_grants(&client.grants);
	client.consent = options_flag(w->given, "consent");
	if (read_more(w, &client, err) < 0)
		return -1;
	if (!options_flag(w->given, "public") && !client.auth_method.len &&
	    client_new_secret(&client, &w->arena, &secret) < 0)
		return err_set(err, ERR_MEMORY, "out of memory");
	if (admin_result(client_put(w->idp, &client, err), "client", err) < 0)
		return -1;
	idp_audit(w->idp, "client.created", "client", client.id, NULL, SPAN_NONE);
	warn_of_grants(w, &client);
	print_secret(w, &client, secret);
	return 0;
}

static int find(struct admin_work *w, struct idp_client *client, struct err *err)
{
	return admin_result(client_get(w->idp, admin_operand(w, 0), &w->arena, client, err),
			    "client", err);
}

/* What is given replaces what there was. */
static int set_lists(struct admin_work *w, struct idp_client *client, struct err *err)
{
	const struct {
		const char *option;
		struct config_strings *list;
	} lists[] = {
		{"redirects", &client->redirects},
		{"logout-redirects", &client->logout_redirects},
		{"grants", &client->grants},
		{"scopes", &client->scopes},
		{"resources", &client->resources},
		{"roles", &client->roles},
		{"exchange", &client->exchange},
	};

	for (size_t i = 0; i < COUNT_OF(lists); i++) {
		struct config_strings list = {NULL, 0};
		bool given;

		if (admin_list(w, lists[i].option, &list, &given, err) < 0)
			return -1;
		if (given)
			*lists[i].list = list;
	}
	long_grants(&client->grants);
	return 0;
}

static int set(struct admin_work *w, struct err *err)
{
	struct idp_client client;

	if (find(w, &client, err) < 0 || set_lists(w, &client, err) < 0)
		return -1;
	if (options_text(w->given, "name"))
		client.name = admin_text(w, "name");
	if (options_text(w->given, "logout-url"))
		client.logout_uri = admin_text(w, "logout-url");
	if (options_flag(w->given, "disable"))
		client.disabled = true;
	if (options_flag(w->given, "enable"))
		client.disabled = false;
	if (admin_result(client_put(w->idp, &client, err), "client", err) < 0)
		return -1;
	idp_audit(w->idp, "client.changed", "client", client.id, NULL, SPAN_NONE);
	warn_of_grants(w, &client);
	print_client(w, &client);
	return 0;
}

static int show(struct admin_work *w, struct err *err)
{
	struct idp_client client;

	if (find(w, &client, err) < 0)
		return -1;
	print_client(w, &client);
	return 0;
}

static int new_secret(struct admin_work *w, struct err *err)
{
	struct idp_client client;
	struct span secret;

	if (find(w, &client, err) < 0)
		return -1;
	if (client_new_secret(&client, &w->arena, &secret) < 0)
		return err_set(err, ERR_MEMORY, "out of memory");
	if (admin_result(client_put(w->idp, &client, err), "client", err) < 0)
		return -1;
	idp_audit(w->idp, "client.secret_changed", "client", client.id, NULL, SPAN_NONE);
	print_secret(w, &client, secret);
	return 0;
}

static int remove_client(struct admin_work *w, struct err *err)
{
	struct idp_client client;

	if (find(w, &client, err) < 0 ||
	    admin_result(client_remove(w->idp, client.id, err), "client", err) < 0)
		return -1;
	idp_audit(w->idp, "client.removed", "client", client.id, NULL, SPAN_NONE);
	print_client(w, &client);
	return 0;
}

static int list(struct admin_work *w, struct err *err)
{
	struct span after = SPAN_NONE;
	struct idp_client *clients;
	size_t count;
	bool more;

	do {
		if (client_list(w->idp, after, 200, &w->arena, &clients, &count, &more, err) !=
		    STORE_OK)
			return -1;
		for (size_t i = 0; i < count; i++)
			print_client(w, &clients[i]);
		if (count)
			after = clients[count - 1].id;
	} while (more);
	return 0;
}

static enum exit_status run_create(const struct options *given)
{
	return admin_run(given, create);
}

static enum exit_status run_set(const struct options *given)
{
	return admin_run(given, set);
}

static enum exit_status run_show(const struct options *given)
{
	return admin_run(given, show);
}

static enum exit_status run_secret(const struct options *given)
{
	return admin_run(given, new_secret);
}

static enum exit_status run_remove(const struct options *given)
{
	return admin_run(given, remove_client);
}

static enum exit_status run_list(const struct options *given)
{
	return admin_run(given, list);
}

#define LIST_OPTION(option, text)                                                              \
	{                                                                                      \
		.name = (option), .kind = OPTION_TEXT, .argument = "LIST", .help = (text)      \
	}

static const char *const auth_methods[] = {"private_key_jwt", "tls_client_auth",
					   "self_signed_tls_client_auth", NULL};

static const struct option_spec create_options[] = {
	OPTION_CONFIG,
	{.name = "name", .kind = OPTION_TEXT, .argument = "NAME", .help = "Name for people."},
	LIST_OPTION("grants",
		    "What it may ask for: code, refresh, client_credentials, device, exchange; "
		    "password and implicit, which RFC 9700 advises against."),
	LIST_OPTION("scopes", "Scopes that it may ask for."),
	LIST_OPTION("redirects", "Redirect URIs, compared byte by byte."),
	LIST_OPTION("logout-redirects", "Where users may be sent after they have logged out."),
	LIST_OPTION("resources", "Audiences besides the issuer that it may ask for."),
	LIST_OPTION("roles", "Roles of the tokens that it gets for itself."),
	{.name = "public", .help = "It cannot keep a secret, and gets none."},
	{.name = "consent", .help = "Users are asked before it gets anything."},
	{.name = "auth",
	 .kind = OPTION_CHOICE,
	 .argument = "METHOD",
	 .help = "How it shows itself, when not by a secret: private_key_jwt, tls_client_auth "
		 "or "
		 "self_signed_tls_client_auth.",
	 .choices = auth_methods},
	{.name = "jwks",
	 .kind = OPTION_FILE,
	 .argument = "FILE",
	 .help = "Its public keys, a JSON Web Key set."},
	{.name = "jwks-url",
	 .kind = OPTION_TEXT,
	 .argument = "URL",
	 .help = "Where its public keys are."},
	{.name = "tls-subject",
	 .kind = OPTION_TEXT,
	 .argument = "NAME",
	 .help = "Subject of its certificate (RFC 4514)."},
	{.name = "tls-dns",
	 .kind = OPTION_TEXT,
	 .argument = "NAME",
	 .help = "DNS name in its certificate."},
	{.name = "tls-uri",
	 .kind = OPTION_TEXT,
	 .argument = "URI",
	 .help = "URI in its certificate."},
	{.name = "bind-certificate", .help = "Its tokens are bound to its certificate."},
	{.name = "dpop", .help = "Its tokens are bound to a key that it proves to have."},
	{.name = "require-par", .help = "It must push its authorization requests."},
	{.name = "opaque", .help = "Its access tokens are opaque, not JWTs."},
	LIST_OPTION("exchange", "Clients whose tokens it may exchange for its own; * for all."),
	{.name = "logout-url",
	 .kind = OPTION_TEXT,
	 .argument = "URL",
	 .help = "Where it is told that a user has logged out."},
	{.name = NULL}};

static const struct command_example create_examples[] = {
	{"sallyport client create shop --grants code,refresh --scopes openid,orders.read "
	 "--redirects https://shop.example/callback",
	 "Make a client, and print its secret."},
	{"sallyport client create job --grants client_credentials --auth private_key_jwt "
	 "--jwks job.jwks.json --opaque",
	 "Make one that has a key of its own, and gets opaque tokens."},
	{NULL, NULL}};

const struct command cmd_client_create = {
	.name = "client create",
	.summary = "make an OAuth client",
	.description = "Prints a JSON object with the client's secret, which is not kept: only "
		       "its SHA-256 is.",
	.options = create_options,
	.operands = id_operand,
	.examples = create_examples,
	.run = run_create};

static const struct option_spec set_options[] = {
	OPTION_CONFIG,
	{.name = "name", .kind = OPTION_TEXT, .argument = "NAME", .help = "Name for people."},
	LIST_OPTION("grants", "What it may ask for."),
	LIST_OPTION("scopes", "Scopes that it may ask for."),
	LIST_OPTION("redirects", "Redirect URIs, compared byte by byte."),
	LIST_OPTION("logout-redirects", "Where users may be sent after they have logged out."),
	LIST_OPTION("resources", "Audiences besides the issuer that it may ask for."),
	LIST_OPTION("roles", "Roles of the tokens that it gets for itself."),
	LIST_OPTION("exchange", "Clients whose tokens it may exchange for its own; * for all."),
	{.name = "logout-url",
	 .kind = OPTION_TEXT,
	 .argument = "URL",
	 .help = "Where it is told that a user has logged out."},
	{.name = "disable", .help = "It gets nothing any more."},
	{.name = "enable", .help = "It is as it was before."},
	{.name = NULL}};

const struct command cmd_client_set = {
	.name = "client set",
	.summary = "change an OAuth client",
	.description =
		"What is given replaces what there was; all else stays. Prints the client "
		"as a JSON object.",
	.options = set_options,
	.operands = id_operand,
	.run = run_set};

const struct command cmd_client_list = {.name = "client list",
					.summary = "print all clients as JSON, one a line",
					.description = "Prints a JSON object a line.",
					.options = admin_options,
					.run = run_list};

const struct command cmd_client_show = {.name = "client show",
					.summary = "print a client as JSON",
					.description = "Prints one JSON object.",
					.options = admin_options,
					.operands = id_operand,
					.run = run_show};

const struct command cmd_client_secret = {.name = "client secret",
					  .summary = "give a client a new secret",
					  .description =
						  "The old secret is refused from then on.",
					  .options = admin_options,
					  .operands = id_operand,
					  .run = run_secret};

const struct command cmd_client_remove = {.name = "client remove",
					  .summary = "remove a client",
					  .description = "Its refresh tokens are refused from "
							 "then on.",
					  .options = admin_options,
					  .operands = id_operand,
					  .run = run_remove};
