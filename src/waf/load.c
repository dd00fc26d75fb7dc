#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "waf/compile.h"
#include "waf/operator_geo.h"
#include "waf/prefilter.h"
#include "waf/prelude.h"

/* Memory of compiled rules without the databases; the Core Rule Set needs some 3 MiB. */
#define RULES_ARENA_MAX ((size_t)512 << 20)

#define CRS_FOLDER "/usr/share/modsecurity-crs/"
#define CRS_SETTINGS "/etc/modsecurity/crs/"

/*
 * What a rule set expects to stand around it: which body processor reads what, and what happens to
 * bodies that cannot be read. The ids are those that ModSecurity's own settings use for the same
 * ends, so that exclusions written for it hold; rules given by the user with such an id replace
 * ours.
 */
static const char prelude[] =
	"SecRequestBodyAccess On\n"
	"SecResponseBodyAccess On\n"
	"SecResponseBodyMimeType text/plain text/html text/xml\n"
	"SecRule REQUEST_HEADERS:Content-Type"
	" \"@rx ^(?:application|text)/(?:[a-z0-9.+-]{1,80}\\+)?xml\""
	" \"id:200000,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=XML\"\n"
	"SecRule REQUEST_HEADERS:Content-Type"
	" \"@rx ^application/(?:[a-z0-9.+-]{1,80}\\+)?json\""
	" \"id:200001,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=JSON\"\n"
	"SecRule REQBODY_ERROR \"!@eq 0\" \"id:200002,phase:2,t:none,log,deny,status:400,"
	"severity:2,msg:'The request body cannot be read',logdata:'%{reqbody_error_msg}'\"\n"
	"SecRule MULTIPART_STRICT_ERROR \"!@eq 0\" \"id:200003,phase:2,t:none,log,deny,"
	"status:400,severity:2,msg:'The multipart body is malformed'\"\n"
	"SecRule MULTIPART_UNMATCHED_BOUNDARY \"@eq 1\" \"id:200004,phase:2,t:none,log,deny,"
	"status:400,severity:2,msg:'The multipart body may have another boundary'\"\n"
	"SecRule TX:/^MSC_/ \"!@streq 0\" \"id:200005,phase:2,t:none,log,deny,"
	"msg:'A limit of pattern matching was reached: %{MATCHED_VAR_NAME}'\"\n";

struct span waf_prelude(void)
{
	return span_of(prelude, sizeof(prelude) - 1);
}

/* ---- sources --------------------------------------------------------------------------------- */

struct loader {
	struct sec_document *document;
	const struct waf_sources *sources;
	bool paranoia_said;
	struct err *err;
};

static bool exists(const char *path, bool folder)
{
	struct stat status;

	return stat(path, &status) == 0 &&
	       (folder ? S_ISDIR(status.st_mode) : S_ISREG(status.st_mode));
}

static int say_paranoia(struct loader *l)
{
	struct span text;
	unsigned level = l->sources->paranoia;

	if (l->paranoia_said || level == 0)
		return 0;
	l->paranoia_said = true;
	text = arena_printf(&l->document->arena,
			    "SecAction \"id:199999,phase:1,pass,nolog,t:none,"
			    "setvar:tx.paranoia_level=%u,setvar:tx.executing_paranoia_level=%u,"
			    "setvar:tx.blocking_paranoia_level=%u,"
			    "setvar:tx.detection_paranoia_level=%u\"\n",
			    level, level, level, level);
	if (!text.ptr)
		return err_set(l->err, ERR_MEMORY, "no memory for rules");
	return sec_read_text(l->document, SPAN("configuration"), text, l->err);
}

static int by_name(const void *a, const void *b)
{
	return span_compare(*(const struct span *)a, *(const struct span *)b);
}

struct names {
	struct span *at;
	size_t count;
	size_t cap;
};

static int add_name(struct loader *l, struct names *names, struct span folder, const char *name)
{
	if (names->count == names->cap) {
		size_t cap = names->cap ? 2 * names->cap : 64;
		struct span *grown = mem_realloc(names->at, cap * sizeof(*grown));

		if (!grown)
			return err_set(l->err, ERR_MEMORY, "no memory for file names");
		names->at = grown;
		names->cap = cap;
	}
	names->at[names->count] =
		arena_printf(&l->document->arena, "%.*s%s", SPAN_ARG(folder), name);
	if (!names->at[names->count].ptr)
		return err_set(l->err, ERR_MEMORY, "no memory for file names");
	names->count++;
	return 0;
}

static int list_names(struct loader *l, DIR *dir, struct span folder, struct span ending,
		      struct names *names)
{
	const struct dirent *entry;

	while ((entry = readdir(dir))) { /* NOLINT(concurrency-mt-unsafe): a DIR of our own */
		struct span name = span_cstr(entry->d_name);

		if (name.len > 0 && name.ptr[0] != '.' && span_ends_with(name, ending) &&
		    add_name(l, names, folder, entry->d_name) != 0)
			return -1;
	}
	return 0;
}

/* All files of the folder (its name ends in "/") with the ending, in the order of their names. */
static int read_folder(struct loader *l, struct span folder, struct span ending, size_t *count)
{
	struct names names = {NULL, 0, 0};
	DIR *dir = opendir(folder.ptr);
	int result;

	*count = 0;
	if (!dir)
		return err_set_errno(l->err, errno, "cannot open %.*s", SPAN_ARG(folder));
	result = list_names(l, dir, folder, ending, &names);
	(void)closedir(dir);
	if (result == 0 && names.count)
		qsort(names.at, names.count, sizeof(*names.at), by_name);
	for (size_t i = 0; result == 0 && i < names.count; i++)
		result = sec_read_file(l->document, names.at[i], l->err);
	*count = names.count;
	mem_free(names.at);
	return result;
}

static int read_optional(struct loader *l, const char *path)
{
	if (!exists(path, false))
		return 0;
	return sec_read_file(l->document, span_cstr(path), l->err);
}

static int read_plugins(struct loader *l, struct span folder, const char *ending)
{
	struct span plugins =
		arena_printf(&l->document->arena, "%.*splugins/", SPAN_ARG(folder));
	size_t count;

	if (!plugins.ptr)
		return err_set(l->err, ERR_MEMORY, "no memory for a path");
	if (!exists(plugins.ptr, true))
		return 0;
	return read_folder(l, plugins, span_cstr(ending), &count);
}

/* A folder of the Core Rule Set; its name ends in "/". */
static int read_crs_folder(struct loader *l, struct span folder, struct span rules)
{
	struct arena *arena = &l->document->arena;
	struct span setup = arena_printf(arena, "%.*scrs-setup.conf", SPAN_ARG(folder));
	struct span example =
		arena_printf(arena, "%.*scrs-setup.conf.example", SPAN_ARG(folder));
	size_t count;

	if (!setup.ptr || !example.ptr)
		return err_set(l->err, ERR_MEMORY, "no memory for a path");
	if (exists(setup.ptr, false)) {
		if (sec_read_file(l->document, setup, l->err) != 0)
			return -1;
	} else if (exists(example.ptr, false)) {
		if (sec_read_file(l->document, example, l->err) != 0)
			return -1;
	} else {
		return err_set(l->err, ERR_NOT_FOUND, "%.*s has no crs-setup.conf",
			       SPAN_ARG(folder));
	}
	if (say_paranoia(l) != 0 || read_plugins(l, folder, "-config.conf") != 0 ||
	    read_plugins(l, folder, "-before.conf") != 0 ||
	    read_folder(l, rules, SPAN(".conf"), &count) != 0)
		return -1;
	if (count == 0)
		return err_set(l->err, ERR_NOT_FOUND, "%.*s has no rules", SPAN_ARG(rules));
	return read_plugins(l, folder, "-after.conf");
}

static int read_debian_crs(struct loader *l)
{
	size_t count;

	if (!exists(CRS_FOLDER "rules/", true))
		return err_set(
			l->err, ERR_NOT_FOUND,
			"the rules owasp-crs are not installed (package modsecurity-crs)");
	if (sec_read_file(l->document, SPAN(CRS_SETTINGS "crs-setup.conf"), l->err) != 0 ||
	    say_paranoia(l) != 0 ||
	    read_optional(l, CRS_SETTINGS "REQUEST-900-EXCLUSION-RULES-BEFORE-CRS.conf") != 0 ||
	    read_folder(l, SPAN(CRS_FOLDER "rules/"), SPAN(".conf"), &count) != 0)
		return -1;
	return read_optional(l, CRS_SETTINGS "RESPONSE-999-EXCLUSION-RULES-AFTER-CRS.conf");
}

static int read_path(struct loader *l, struct span path)
{
	struct arena *arena = &l->document->arena;
	const char *slash = path.len > 0 && path.ptr[path.len - 1] == '/' ? "" : "/";
	struct span folder = arena_printf(arena, "%.*s%s", SPAN_ARG(path), slash);
	struct span rules = arena_printf(arena, "%.*s%srules/", SPAN_ARG(path), slash);
	size_t count;

	if (!folder.ptr || !rules.ptr)
		return err_set(l->err, ERR_MEMORY, "no memory for a path");
	if (span_eq(path, SPAN("owasp-crs")))
		return read_debian_crs(l);
	if (!exists(folder.ptr, true)) {
		if (say_paranoia(l) != 0)
			return -1;
		return sec_read_file(l->document, span_slice(folder, 0, path.len), l->err);
	}
	if (exists(rules.ptr, true))
		return read_crs_folder(l, folder, rules);
	if (say_paranoia(l) != 0 || read_folder(l, folder, SPAN(".conf"), &count) != 0)
		return -1;
	if (count == 0)
		return err_set(l->err, ERR_NOT_FOUND, "%.*s has no *.conf files",
			       SPAN_ARG(path));
	return 0;
}

/* Rules of the prelude (the first of the list, up to `last`) give way to others with their id. */
static void drop_replaced(struct sec_document *document, const struct sec_rule *last)
{
	struct sec_rule **at = &document->rules;
	bool more = last != NULL;

	while (more && *at) {
		struct sec_rule *ours = *at;
		const struct sec_rule *other = last->next;

		more = ours != last;
		while (other && other->actions.id != ours->actions.id)
			other = other->next;
		if (other)
			*at = ours->next;
		else
			at = &ours->next;
	}
}

/* Those that run before the paths do not know the level: nothing of theirs depends on it. */
static int read_texts(struct loader *l, bool first)
{
	for (size_t i = 0; i < l->sources->text_count; i++) {
		const struct waf_text *text = &l->sources->texts[i];

		if (text->first != first)
			continue;
		l->document->observe = text->observe;
		if ((!first && say_paranoia(l) != 0) ||
		    sec_read_text(l->document, text->name, text->text, l->err) != 0)
			return -1;
		l->document->observe = false;
	}
	return 0;
}

static int load_document(struct loader *l)
{
	const struct waf_sources *sources = l->sources;
	const struct sec_rule *last;

	if (sec_read_text(l->document, SPAN("prelude"), waf_prelude(), l->err) != 0)
		return -1;
	last = CONTAINER_OF(l->document->rules_end, struct sec_rule, next);
	l->document->file_count = 0;
	if (read_texts(l, true) != 0)
		return -1;
	for (size_t i = 0; i < sources->path_count; i++)
		if (read_path(l, sources->paths[i]) != 0)
			return -1;
	if (read_texts(l, false) != 0)
		return -1;
	if (sec_finish(l->document, l->err) != 0)
		return -1;
	drop_replaced(l->document, last);
	return 0;
}

/* ---- rules ----------------------------------------------------------------------------------- */

static void rules_free(struct waf_rules *rules)
{
	prefilter_free(rules->prefilter);
	for (size_t i = 0; i < rules->operator_count; i++)
		operator_free(rules->operators[i]);
	mem_free(rules->operators);
	libinjection_close(rules->libinjection);
	geo_close(rules->geo);
	mem_free(rules->unicode_map);
	sec_document_release(&rules->document);
	arena_release(&rules->arena);
	mem_free(rules);
}

struct waf_rules *waf_rules_load(const struct waf_sources *sources, struct err *err)
{
	struct waf_rules *rules = mem_zalloc(1, sizeof(*rules));
	struct err why = {.code = ERR_NONE};
	struct loader loader = {.sources = sources, .err = &why};

	if (!rules) {
		err_set(err, ERR_MEMORY, "no memory for rules");
		return NULL;
	}
	atomic_init(&rules->references, 1);
	sec_document_init(&rules->document, sources->dialect);
	arena_init(&rules->arena, RULES_ARENA_MAX, (size_t)256 << 10);
	loader.document = &rules->document;
	if (load_document(&loader) != 0 || compile_rules(rules, sources, &why) != 0) {
		err_set(err, why.code, "%s", why.message);
		rules_free(rules);
		return NULL;
	}
	rules->info.files = rules->document.file_count;
	rules->info.rules = rules->document.rule_count;
	return rules;
}

struct waf_rules *waf_rules_ref(struct waf_rules *rules)
{
	atomic_fetch_add_explicit(&rules->references, 1, memory_order_relaxed);
	return rules;
}

void waf_rules_unref(struct waf_rules *rules)
{
	if (rules &&
	    atomic_fetch_sub_explicit(&rules->references, 1, memory_order_acq_rel) == 1)
		rules_free(rules);
}

void waf_rules_info(const struct waf_rules *rules, struct waf_rules_info *info)
{
	*info = rules->info;
}

struct span waf_rules_ignored(const struct waf_rules *rules, size_t index)
{
	const struct sec_ignored *note = rules->document.ignored;

	while (note && index-- > 0)
		note = note->next;
	return note ? note->text : SPAN_NONE;
}
