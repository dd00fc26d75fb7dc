#include "supply/detect.h"

#include "base/compiler.h"

/* Whole names. */
static const struct named {
	struct span name;
	struct detector detector;
} names[] = {
	{SPAN_INIT("package-lock.json"), {DETECT_FILE, lock_npm}},
	{SPAN_INIT("npm-shrinkwrap.json"), {DETECT_FILE, lock_npm}},
	{SPAN_INIT("yarn.lock"), {DETECT_FILE, lock_yarn}},
	{SPAN_INIT("pnpm-lock.yaml"), {DETECT_FILE, lock_pnpm}},
	{SPAN_INIT("bun.lock"), {DETECT_FILE, lock_bun}},
	{SPAN_INIT("bun.lockb"), {DETECT_FILE, lock_bun_binary}},
	{SPAN_INIT("poetry.lock"), {DETECT_FILE, lock_poetry}},
	{SPAN_INIT("uv.lock"), {DETECT_FILE, lock_uv}},
	{SPAN_INIT("Pipfile.lock"), {DETECT_FILE, lock_pipfile}},
	{SPAN_INIT("pdm.lock"), {DETECT_FILE, lock_pdm}},
	{SPAN_INIT("pylock.toml"), {DETECT_FILE, lock_pylock}},
	{SPAN_INIT("go.mod"), {DETECT_FILE, lock_go_mod}},
	{SPAN_INIT("go.sum"), {DETECT_GO_SUM, lock_go_sum}},
	{SPAN_INIT("Cargo.lock"), {DETECT_FILE, lock_cargo}},
	{SPAN_INIT("pom.xml"), {DETECT_FILE, lock_maven}},
	{SPAN_INIT("gradle.lockfile"), {DETECT_FILE, lock_gradle}},
	{SPAN_INIT("buildscript-gradle.lockfile"), {DETECT_FILE, lock_gradle}},
	{SPAN_INIT("verification-metadata.xml"), {DETECT_FILE, lock_gradle_verification}},
	{SPAN_INIT("Gemfile.lock"), {DETECT_FILE, lock_bundler}},
	{SPAN_INIT("gems.locked"), {DETECT_FILE, lock_bundler}},
	{SPAN_INIT("composer.lock"), {DETECT_FILE, lock_composer}},
	{SPAN_INIT("packages.lock.json"), {DETECT_FILE, lock_nuget}},
	{SPAN_INIT("packages.config"), {DETECT_FILE, lock_nuget_config}},
	{SPAN_INIT("conan.lock"), {DETECT_FILE, lock_conan}},
	{SPAN_INIT("mix.lock"), {DETECT_FILE, lock_mix}},
	{SPAN_INIT("pubspec.lock"), {DETECT_FILE, lock_pub}},
	{SPAN_INIT("Package.resolved"), {DETECT_FILE, lock_swift}},
	{SPAN_INIT("renv.lock"), {DETECT_FILE, lock_renv}},
	{SPAN_INIT("cabal.project.freeze"), {DETECT_FILE, lock_cabal}},
	{SPAN_INIT("stack.yaml.lock"), {DETECT_FILE, lock_stack}},
	{SPAN_INIT("Dockerfile"), {DETECT_FILE, lock_dockerfile}},
	{SPAN_INIT("Containerfile"), {DETECT_FILE, lock_dockerfile}},
	{SPAN_INIT("action.yml"), {DETECT_FILE, lock_workflow}},
	{SPAN_INIT("action.yaml"), {DETECT_FILE, lock_workflow}},
};

/* Whole paths of a root file system. */
static const struct named places[] = {
	{SPAN_INIT("etc/os-release"), {DETECT_SYSTEM, os_release}},
	{SPAN_INIT("usr/lib/os-release"), {DETECT_SYSTEM, os_release}},
	{SPAN_INIT("var/lib/dpkg/status"), {DETECT_PACKAGES, os_dpkg}},
	{SPAN_INIT("lib/apk/db/installed"), {DETECT_PACKAGES, os_apk}},
	{SPAN_INIT("usr/lib/apk/db/installed"), {DETECT_PACKAGES, os_apk}},
	{SPAN_INIT("var/lib/rpm/rpmdb.sqlite"), {DETECT_PACKAGES, os_rpm_sqlite}},
	{SPAN_INIT("usr/lib/sysimage/rpm/rpmdb.sqlite"), {DETECT_PACKAGES, os_rpm_sqlite}},
	{SPAN_INIT("usr/share/rpm/rpmdb.sqlite"), {DETECT_PACKAGES, os_rpm_sqlite}},
	{SPAN_INIT("var/lib/rpm/Packages.db"), {DETECT_PACKAGES, os_rpm_ndb}},
	{SPAN_INIT("usr/lib/sysimage/rpm/Packages.db"), {DETECT_PACKAGES, os_rpm_ndb}},
	{SPAN_INIT("var/lib/rpm/Packages"), {DETECT_PACKAGES, os_rpm_bdb}},
};

static const struct detector status_d = {DETECT_PACKAGES, os_dpkg};
static const struct detector copyright = {DETECT_OWNERS, os_dpkg_copyright};
static const struct detector file_list = {DETECT_OWNERS, os_dpkg_list};
static const struct detector requirements = {DETECT_FILE, lock_requirements};
static const struct detector gradle = {DETECT_FILE, lock_gradle};
static const struct detector dist_info = {DETECT_FILE, lock_dist_info};
static const struct detector dotnet_deps = {DETECT_FILE, lock_dotnet_deps};
static const struct detector package_json = {DETECT_FILE, lock_package_json};
static const struct detector gemspec = {DETECT_FILE, lock_gemspec};
static const struct detector workflow = {DETECT_FILE, lock_workflow};
static const struct detector dockerfile = {DETECT_FILE, lock_dockerfile};
static const struct detector pylock = {DETECT_FILE, lock_pylock};
static const struct detector java_archive = {DETECT_ARCHIVE, NULL};
static const struct detector binary = {DETECT_BINARY, lock_binary};

/* The last folder's and the file's names. */
struct parts {
	struct span folder;
	struct span name;
};

static struct parts split(struct span path)
{
	struct parts p = {SPAN(""), path};
	size_t cut;

	for (cut = path.len; cut > 0 && path.ptr[cut - 1] != '/'; cut--)
		;
	if (cut == 0)
		return p;
	p.name = span_slice(path, cut, path.len);
	p.folder = span_slice(path, 0, cut - 1);
	for (cut = p.folder.len; cut > 0 && p.folder.ptr[cut - 1] != '/'; cut--)
		;
	p.folder = span_slice(p.folder, cut, p.folder.len);
	return p;
}

static const struct detector *system_file(struct span path)
{
	static const struct span info = SPAN_INIT("var/lib/dpkg/info/");
	static const struct span status = SPAN_INIT("var/lib/dpkg/status.d/");
	static const struct span doc = SPAN_INIT("usr/share/doc/");

	for (size_t i = 0; i < COUNT_OF(places); i++) {
		if (span_eq(path, places[i].name))
			return &places[i].detector;
	}
	if (span_starts_with(path, info) && span_ends_with(path, SPAN(".list")))
		return &file_list;
	if (span_starts_with(path, doc) && span_ends_with(path, SPAN("/copyright")))
		return &copyright;
	if (span_starts_with(path, status))
		return span_ends_with(path, SPAN(".md5sums")) ? &file_list : &status_d;
	return NULL;
}

static bool is_java_archive(struct span name)
{
	static const struct span endings[] = {SPAN_INIT(".jar"), SPAN_INIT(".war"),
					      SPAN_INIT(".ear"), SPAN_INIT(".par"),
					      SPAN_INIT(".hpi")};

	for (size_t i = 0; i < COUNT_OF(endings); i++) {
		if (span_ends_with(name, endings[i]))
			return true;
	}
	return false;
}

/* "Dockerfile.md" is about one, "dockerfile.go" reads one, "Dockerfile.j2" becomes one. */
static bool is_other_form(struct span ending)
{
	static const struct span others[] = {SPAN_INIT("c"),	 SPAN_INIT("dockerignore"),
					     SPAN_INIT("erb"),	 SPAN_INIT("go"),
					     SPAN_INIT("h"),	 SPAN_INIT("html"),
					     SPAN_INIT("j2"),	 SPAN_INIT("java"),
					     SPAN_INIT("jinja"), SPAN_INIT("js"),
					     SPAN_INIT("json"),	 SPAN_INIT("md"),
					     SPAN_INIT("mjs"),	 SPAN_INIT("py"),
					     SPAN_INIT("rb"),	 SPAN_INIT("rs"),
					     SPAN_INIT("rst"),	 SPAN_INIT("sh"),
					     SPAN_INIT("tmpl"),	 SPAN_INIT("tpl"),
					     SPAN_INIT("ts"),	 SPAN_INIT("vim"),
					     SPAN_INIT("yaml"),	 SPAN_INIT("yml")};

	for (size_t i = 0; i < COUNT_OF(others); i++) {
		if (span_eq_nocase(ending, others[i]))
			return true;
	}
	return false;
}

bool detect_is_dockerfile(struct span name)
{
	static const struct span words[] = {SPAN_INIT("dockerfile"),
					    SPAN_INIT("containerfile")};

	for (size_t i = 0; i < COUNT_OF(words); i++) {
		struct span word = words[i];
		struct span start = span_slice(name, 0, word.len);

		if (span_eq_nocase(start, word) && name.len == word.len)
			return true;
		if (span_eq_nocase(start, word) && name.ptr[word.len] == '.')
			return !is_other_form(span_slice(name, word.len + 1, name.len));
		if (name.len > word.len + 1 && name.ptr[name.len - word.len - 1] == '.' &&
		    span_eq_nocase(span_slice(name, name.len - word.len, name.len), word))
			return true;
	}
	return false;
}

/* Names that only look alike: by their endings and folders. */
static const struct detector *by_shape(struct span path, struct parts p)
{
	bool yaml =
		span_ends_with(p.name, SPAN(".yml")) || span_ends_with(p.name, SPAN(".yaml"));

	if (span_ends_with(p.name, SPAN(".txt")) &&
	    (span_starts_with(p.name, SPAN("requirements")) ||
	     span_ends_with(p.name, SPAN("requirements.txt")) ||
	     span_eq(p.folder, SPAN("requirements"))))
		return &requirements;
	if (yaml && span_eq(p.folder, SPAN("workflows")) &&
	    span_find(path, SPAN(".github/workflows/")) < path.len)
		return &workflow;
	/* One a configuration, before Gradle 7. */
	if (span_eq(p.folder, SPAN("dependency-locks")) &&
	    span_ends_with(p.name, SPAN(".lockfile")))
		return &gradle;
	if (span_eq(p.name, SPAN("METADATA")) && span_ends_with(p.folder, SPAN(".dist-info")))
		return &dist_info;
	if (span_eq(p.name, SPAN("PKG-INFO")) && span_ends_with(p.folder, SPAN(".egg-info")))
		return &dist_info;
	if (span_ends_with(p.name, SPAN(".egg-info")))
		return &dist_info;
	if (span_ends_with(p.name, SPAN(".deps.json")))
		return &dotnet_deps;
	if (span_eq(p.name, SPAN("package.json")) &&
	    span_find(path, SPAN("node_modules/")) < path.len)
		return &package_json;
	if (span_ends_with(p.name, SPAN(".gemspec")) &&
	    span_eq(p.folder, SPAN("specifications")))
		return &gemspec;
	if (detect_is_dockerfile(p.name))
		return &dockerfile;
	if (span_starts_with(p.name, SPAN("pylock.")) && span_ends_with(p.name, SPAN(".toml")))
		return &pylock;
	return is_java_archive(p.name) ? &java_archive : NULL;
}

const struct detector *detect_file(struct span path, bool root)
{
	struct parts p = split(path);
	const struct detector *found;

	for (size_t i = 0; i < COUNT_OF(names); i++) {
		if (span_eq(p.name, names[i].name))
			return &names[i].detector;
	}
	if (root) {
		found = system_file(path);
		if (found)
			return found;
	}
	found = by_shape(path, p);
	if (found)
		return found;
	/* Programs mostly have no ending, and texts without one are few. */
	return span_find_byte(p.name, '.') == p.name.len ? &binary : NULL;
}

bool detect_skips_folder(struct span name)
{
	static const struct span skipped[] = {SPAN_INIT(".git"), SPAN_INIT(".hg"),
					      SPAN_INIT(".svn"), SPAN_INIT(".bzr"),
					      SPAN_INIT("CVS"),	 SPAN_INIT("__pycache__")};

	for (size_t i = 0; i < COUNT_OF(skipped); i++) {
		if (span_eq(name, skipped[i]))
			return true;
	}
	return false;
}
