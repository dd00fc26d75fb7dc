#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "gateway/server_process.h"
#include "io/sandbox.h"

/* --- folders --- */

#define FOLDERS_MAX 256

/* Folders that the configuration's files are in: links are followed, so that both ends count. */
struct folders {
	char *at[FOLDERS_MAX];
	size_t count;
	bool failed;
};

static void folders_release(struct folders *folders)
{
	for (size_t i = 0; i < folders->count; i++)
		mem_free(folders->at[i]);
	folders->count = 0;
}

static struct span folder_of(struct span path)
{
	size_t len = path.len;

	while (len > 0 && path.ptr[len - 1] != '/')
		len--;
	if (len == 0)
		return SPAN(".");
	return len == 1 ? SPAN("/") : span_slice(path, 0, len - 1);
}

static bool folders_contain(const struct folders *folders, struct span folder)
{
	for (size_t i = 0; i < folders->count; i++)
		if (span_eq(span_cstr(folders->at[i]), folder))
			return true;
	return false;
}

static void add_folder(struct folders *folders, struct span folder)
{
	if (folders_contain(folders, folder))
		return;
	if (folders->count < FOLDERS_MAX)
		folders->at[folders->count] = mem_strdup(folder);
	if (folders->count == FOLDERS_MAX || !folders->at[folders->count])
		folders->failed = true;
	else
		folders->count++;
}

/* Spans of a configuration end in NUL. */
static void add_file(struct folders *folders, struct span path)
{
	char target[PATH_MAX];

	if (!path.len)
		return;
	add_folder(folders, folder_of(path));
	if (realpath(path.ptr, target))
		add_folder(folders, folder_of(span_cstr(target)));
}

static void add_listen(struct folders *folders, const struct config *cfg)
{
	for (size_t i = 0; i < cfg->listen.count; i++) {
		const struct config_listen_tls *tls = cfg->listen.at[i].tls;

		for (size_t j = 0; tls && j < tls->certificates.count; j++) {
			add_file(folders, tls->certificates.at[j].certificate);
			add_file(folders, tls->certificates.at[j].key);
			add_file(folders, tls->certificates.at[j].ocsp);
		}
		if (tls)
			add_file(folders, tls->client_ca);
	}
}

/* Rules are read again at a reload, and the Core Rule Set has folders of its own. */
static void add_waf(struct folders *folders, const struct config_waf *waf)
{
	for (size_t i = 0; i < waf->rules.count; i++) {
		if (waf->rules.at[i].ptr[0] != '/')
			continue; /* a set that is known by its name */
		add_folder(folders, waf->rules.at[i]);
		add_file(folders, waf->rules.at[i]);
	}
	add_folder(folders, SPAN("/usr/share/modsecurity-crs"));
	add_folder(folders, SPAN("/etc/modsecurity"));
}

static void add_services(struct folders *folders, const struct config *cfg)
{
	for (size_t i = 0; i < cfg->services.count; i++) {
		const struct config_service *service = &cfg->services.at[i];

		add_file(folders, service->endpoints_file);
		if (service->discover && service->discover->kubernetes) {
			add_file(folders, service->discover->kubernetes->token);
			add_file(folders, service->discover->kubernetes->ca);
		}
		add_file(folders, service->tls.ca);
		add_file(folders, service->tls.certificate);
		add_file(folders, service->tls.key);
		add_file(folders, service->identity.jwt.key);
		if (service->contract)
			add_file(folders, service->contract->file);
		if (service->fallback)
			add_file(folders, service->fallback->answer.file);
	}
	if (cfg->waf)
		add_waf(folders, cfg->waf);
	for (size_t i = 0; i < cfg->patches.count; i++)
		add_file(folders, cfg->patches.at[i].rules);
	for (size_t i = 0; i < cfg->routes.count; i++)
		if (cfg->routes.at[i].respond)
			add_file(folders, cfg->routes.at[i].respond->file);
}

static void add_providers(struct folders *folders, const struct config *cfg)
{
	for (size_t i = 0; i < cfg->identity.providers.count; i++) {
		const struct config_provider *provider = &cfg->identity.providers.at[i];

		add_file(folders, provider->jwks_file);
		add_file(folders, provider->jwks_ca);
		if (provider->introspection)
			add_file(folders, provider->introspection->ca);
	}
}

static void add_webhooks(struct folders *folders, const struct config *cfg)
{
	for (size_t i = 0; i < cfg->webhooks.count; i++)
		add_file(folders, cfg->webhooks.at[i].ca);
}

static void add_registry(struct folders *folders, const struct config_registry *registry)
{
	add_file(folders, registry->database);
	add_file(folders, registry->policy);
	for (size_t i = 0; i < registry->upstreams.count; i++)
		add_file(folders, registry->upstreams.at[i].ca);
}

/* A file, a folder, or "FOLDER/PATTERN"; written from where the configuration is. */
static void add_include(struct folders *folders, const char *config_path, struct span name)
{
	struct span base = folder_of(span_cstr(config_path));
	char path[PATH_MAX], target[PATH_MAX];
	struct stat st;
	int len = name.ptr[0] == '/' ? snprintf(path, sizeof(path), "%.*s", SPAN_ARG(name))
				     : snprintf(path, sizeof(path), "%.*s/%.*s", SPAN_ARG(base),
						SPAN_ARG(name));

	if (len < 0 || (size_t)len >= sizeof(path)) {
		folders->failed = true;
		return;
	}
	add_file(folders, span_cstr(path));
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode) && realpath(path, target))
		add_folder(folders, span_cstr(target));
}

static void collect(struct folders *folders, const char *config_path, const struct config *cfg)
{
	add_file(folders, span_cstr(config_path));
	for (size_t i = 0; i < cfg->include.count; i++)
		add_include(folders, config_path, cfg->include.at[i]);
	add_listen(folders, cfg);
	add_services(folders, cfg);
	add_providers(folders, cfg);
	add_webhooks(folders, cfg);
	add_file(folders, cfg->identity.password.breached);
	add_file(folders, cfg->identity.theme.logo);
	for (size_t i = 0; i < cfg->identity.federation.count; i++)
		add_file(folders, cfg->identity.federation.at[i].ca);
	for (size_t i = 0; i < cfg->identity.ldap.count; i++)
		add_file(folders, cfg->identity.ldap.at[i].ca);
	if (cfg->identity.sms)
		add_file(folders, cfg->identity.sms->ca);
	if (cfg->mail)
		add_file(folders, cfg->mail->ca);
	if (cfg->registry)
		add_registry(folders, cfg->registry);
}

bool confine_covers(const char *config_path, const struct config *old,
		    const struct config *next)
{
	struct folders have = {.count = 0}, want = {.count = 0};
	bool covers;

	if (!old->sandbox)
		return true;
	collect(&have, config_path, old);
	collect(&want, config_path, next);
	covers = !have.failed && !want.failed;
	for (size_t i = 0; covers && i < want.count; i++)
		covers = folders_contain(&have, span_cstr(want.at[i]));
	folders_release(&have);
	folders_release(&want);
	return covers;
}

/* --- user --- */

static bool is_number(struct span text, unsigned *id)
{
	uint64_t value;

	if (!span_to_u64(text, &value) || value > INT32_MAX)
		return false;
	*id = (unsigned)value;
	return true;
}

int confine_user(const struct config *cfg, unsigned *uid, unsigned *gid, struct err *err)
{
	const struct passwd *user = NULL;
	const struct group *group;

	*uid = geteuid();
	*gid = getegid();
	if (cfg->user.len) {
		user = getpwnam(cfg->user.ptr);
		if (!user && !is_number(cfg->user, uid))
			return err_set(err, ERR_NOT_FOUND, "there is no user \"%.*s\"",
				       SPAN_ARG(cfg->user));
		if (!user)
			user = getpwuid(*uid);
	}
	if (user) {
		*uid = user->pw_uid;
		*gid = user->pw_gid;
	}
	if (!cfg->group.len)
		return 0;
	group = getgrnam(cfg->group.ptr);
	if (group)
		*gid = group->gr_gid;
	else if (!is_number(cfg->group, gid))
		return err_set(err, ERR_NOT_FOUND, "there is no group \"%.*s\"",
			       SPAN_ARG(cfg->group));
	return 0;
}

int confine_drop(const struct config *cfg, struct err *err)
{
	unsigned uid, gid;

	if (confine_user(cfg, &uid, &gid, err) < 0)
		return -1;
	if (geteuid() == 0 && !cfg->user.len) {
		log_message(LOG_WARN, "server.root",
			    "serving as root: set \"user\" to an unprivileged user");
		return 0;
	}
	/* Containers that run as a user of the group root have nothing to give up. */
	if (geteuid() != 0 && gid == 0 && uid == geteuid() && gid == getegid())
		return 0;
	return sandbox_drop_root(uid, gid, err);
}

/* --- files --- */

static const struct sandbox_path system_paths[] = {
	{"/etc/hosts", SANDBOX_READ, true},
	{"/etc/host.conf", SANDBOX_READ, true},
	{"/etc/resolv.conf", SANDBOX_READ, true},
	{"/etc/nsswitch.conf", SANDBOX_READ, true},
	{"/run/systemd/resolve", SANDBOX_READ, true},
	{"/etc/ssl", SANDBOX_READ, true},
	{"/usr/lib/ssl", SANDBOX_READ, true},
	{"/usr/share/ca-certificates", SANDBOX_READ, true},
	{"/usr/local/share/ca-certificates", SANDBOX_READ, true},
	{"/etc/localtime", SANDBOX_READ, true},
	{"/usr/share/zoneinfo", SANDBOX_READ, true},
	{"/dev/null", SANDBOX_READ, true},
	{"/dev/urandom", SANDBOX_READ, true},
	{"/sys/devices/system/cpu", SANDBOX_READ, true},
	/* Stacks are printed with the names of functions. */
	{"/usr/lib", SANDBOX_EXECUTE, true},
	{"/lib", SANDBOX_EXECUTE, true},
	{"/lib64", SANDBOX_EXECUTE, true},
	{"/etc/ld.so.cache", SANDBOX_READ, true},
};

/* SQLite keeps files beside its own. */
static void add_store_folder(struct folders *folders, const struct config *cfg)
{
	struct span url = secret_span(&cfg->store.url);

	if (span_starts_with(url, SPAN("sqlite:")))
		add_folder(folders, folder_of(span_slice(url, SPAN("sqlite:").len, url.len)));
	if (cfg->identity.key_file.len)
		add_folder(folders, folder_of(cfg->identity.key_file));
	if (cfg->waf && cfg->waf->cache.len)
		add_folder(folders, cfg->waf->cache);
	if (cfg->waf && cfg->waf->log.len)
		add_folder(folders, folder_of(cfg->waf->log));
	if (cfg->registry)
		add_folder(folders, cfg->registry->cache);
}

static void add_log_folders(struct folders *folders, const struct config *cfg)
{
	if (cfg->log.access == CONFIG_ACCESS_LOG_FILE)
		add_folder(folders, folder_of(cfg->log.access_path));
	if (cfg->log.audit_path.len)
		add_folder(folders, folder_of(cfg->log.audit_path));
}

static int restrict_paths(const char *config_path, const struct config *cfg, struct err *err)
{
	struct sandbox_path paths[COUNT_OF(system_paths) + 2 * FOLDERS_MAX];
	struct folders read = {.count = 0}, written = {.count = 0};
	size_t count = COUNT_OF(system_paths);
	int level = 0, result;

	memcpy(paths, system_paths, sizeof(system_paths));
	collect(&read, config_path, cfg);
	add_log_folders(&written, cfg);
	add_store_folder(&written, cfg);
	for (size_t i = 0; i < read.count; i++)
		paths[count++] = (struct sandbox_path){read.at[i], SANDBOX_READ, true};
	for (size_t i = 0; i < written.count; i++)
		paths[count++] = (struct sandbox_path){written.at[i], SANDBOX_WRITE, true};
	if (read.failed || written.failed)
		result = err_set(err, ERR_LIMIT, "files in too many folders for the sandbox");
	else
		result = sandbox_paths(paths, count, &level, err);
	folders_release(&read);
	folders_release(&written);
	if (result == 0 && level == 0)
		log_message(LOG_WARN, "sandbox.no_landlock",
			    "this kernel has no Landlock: files are not confined");
	return result;
}

int confine_process(const char *config_path, const struct config *cfg, struct err *err)
{
	if (confine_drop(cfg, err) < 0)
		return -1;
	/* A folder that is not there cannot be allowed. */
	if (cfg->registry && mkdir(cfg->registry->cache.ptr, 0700) < 0 && errno != EEXIST)
		return err_set_errno(err, errno, "cannot make %s", cfg->registry->cache.ptr);
	return cfg->sandbox ? restrict_paths(config_path, cfg, err) : 0;
}

/* --- log files --- */

/*
 * As root in a folder that the user may change: never through a link, only regular files that are
 * nowhere else.
 */
static int prepare_log(struct span path, unsigned uid, unsigned gid, struct err *err)
{
	struct stat stat;
	int result = 0;
	int fd;

	if (!path.len)
		return 0;
	fd = open(path.ptr, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
		  0640);
	if (fd < 0)
		return err_set_errno(err, errno, "%.*s", SPAN_ARG(path));
	if (fstat(fd, &stat) < 0)
		result = err_set_errno(err, errno, "%.*s", SPAN_ARG(path));
	else if (!S_ISREG(stat.st_mode) || stat.st_nlink != 1)
		result = err_set(err, ERR_DENIED, "%.*s is not a file of its own",
				 SPAN_ARG(path));
	else if (stat.st_uid != uid && fchown(fd, uid, gid) < 0)
		result = err_set_errno(err, errno, "%.*s", SPAN_ARG(path));
	close(fd);
	return result;
}

int confine_prepare_logs(const struct config *cfg, struct err *err)
{
	unsigned uid, gid;

	if (geteuid() != 0 || !cfg->user.len)
		return 0;
	if (confine_user(cfg, &uid, &gid, err) < 0)
		return -1;
	if (cfg->log.access == CONFIG_ACCESS_LOG_FILE &&
	    prepare_log(cfg->log.access_path, uid, gid, err) < 0)
		return -1;
	if (cfg->waf && prepare_log(cfg->waf->log, uid, gid, err) < 0)
		return -1;
	return prepare_log(cfg->log.audit_path, uid, gid, err);
}
