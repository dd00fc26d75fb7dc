/* Which files are looked at, and what comments in them allow. */
#include "base/compiler.h"
#include "supply/leak.h"
#include "supply/leak_internal.h"

#define TEXT_PROBE_BYTES 8192

struct span leak_base_name(struct span path)
{
	for (size_t i = path.len; i > 0; i--)
		if (path.ptr[i - 1] == '/')
			return span_slice(path, i, path.len);
	return path;
}

/* Written by tools: checksums in them look like secrets, and people do not write there. */
static const struct span names[] = {
	SPAN_INIT("package-lock.json"),
	SPAN_INIT("npm-shrinkwrap.json"),
	SPAN_INIT("yarn.lock"),
	SPAN_INIT("pnpm-lock.yaml"),
	SPAN_INIT("bun.lock"),
	SPAN_INIT("bun.lockb"),
	SPAN_INIT("poetry.lock"),
	SPAN_INIT("uv.lock"),
	SPAN_INIT("pdm.lock"),
	SPAN_INIT("Pipfile.lock"),
	SPAN_INIT("go.sum"),
	SPAN_INIT("Cargo.lock"),
	SPAN_INIT("composer.lock"),
	SPAN_INIT("Gemfile.lock"),
	SPAN_INIT("packages.lock.json"),
	SPAN_INIT("mix.lock"),
	SPAN_INIT("pubspec.lock"),
	SPAN_INIT("flake.lock"),
};

static const struct span endings[] = {
	SPAN_INIT(".png"),   SPAN_INIT(".jpg"),	   SPAN_INIT(".jpeg"),
	SPAN_INIT(".gif"),   SPAN_INIT(".webp"),   SPAN_INIT(".ico"),
	SPAN_INIT(".bmp"),   SPAN_INIT(".svg"),	   SPAN_INIT(".pdf"),
	SPAN_INIT(".zip"),   SPAN_INIT(".gz"),	   SPAN_INIT(".tgz"),
	SPAN_INIT(".bz2"),   SPAN_INIT(".xz"),	   SPAN_INIT(".zst"),
	SPAN_INIT(".7z"),    SPAN_INIT(".tar"),	   SPAN_INIT(".jar"),
	SPAN_INIT(".war"),   SPAN_INIT(".ear"),	   SPAN_INIT(".whl"),
	SPAN_INIT(".class"), SPAN_INIT(".o"),	   SPAN_INIT(".a"),
	SPAN_INIT(".so"),    SPAN_INIT(".dll"),	   SPAN_INIT(".exe"),
	SPAN_INIT(".pyc"),   SPAN_INIT(".mo"),	   SPAN_INIT(".woff"),
	SPAN_INIT(".woff2"), SPAN_INIT(".ttf"),	   SPAN_INIT(".otf"),
	SPAN_INIT(".eot"),   SPAN_INIT(".mp3"),	   SPAN_INIT(".mp4"),
	SPAN_INIT(".webm"),  SPAN_INIT(".ogg"),	   SPAN_INIT(".wasm"),
	SPAN_INIT(".map"),   SPAN_INIT(".min.js"), SPAN_INIT(".min.css"),
	SPAN_INIT(".css"),   SPAN_INIT(".deb"),	   SPAN_INIT(".rpm"),
	SPAN_INIT(".apk"),   SPAN_INIT(".sqlite"), SPAN_INIT(".lockfile"),
};

bool leak_wants(struct span path)
{
	struct span name = leak_base_name(path);

	for (size_t i = 0; i < COUNT_OF(names); i++)
		if (span_eq(name, names[i]))
			return false;
	for (size_t i = 0; i < COUNT_OF(endings); i++) {
		size_t cut = name.len - endings[i].len;

		if (name.len > endings[i].len &&
		    span_eq_nocase(span_slice(name, cut, name.len), endings[i]))
			return false;
	}
	return true;
}

bool leak_is_text(struct span bytes)
{
	struct span start = span_slice(bytes, 0, TEXT_PROBE_BYTES);

	return start.len > 0 && span_find_byte(start, '\0') == start.len;
}

/* --- Comments. */

static bool is_id_byte(char c)
{
	return (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_' || c == '.';
}

/* Ids behind the mark: none allow every rule. */
static bool names_rule(struct span rest, struct span rule)
{
	bool any = false;

	while (rest.len) {
		size_t n = 0;

		while (rest.len && (rest.ptr[0] == ' ' || rest.ptr[0] == ',' ||
				    rest.ptr[0] == ':' || rest.ptr[0] == '='))
			rest = span_slice(rest, 1, rest.len);
		while (n < rest.len && is_id_byte(rest.ptr[n]))
			n++;
		/* What follows and is no id of a rule is the reason. */
		if (span_find_byte(span_slice(rest, 0, n), '-') == n)
			break;
		any = true;
		if (span_eq(span_slice(rest, 0, n), rule))
			return true;
		rest = span_slice(rest, n, rest.len);
	}
	return !any;
}

static bool line_allows(struct span line, struct span rule)
{
	static const struct span own = SPAN_INIT("sallyport:allow");
	/* Of other scanners, so that what was decided for them counts here too. */
	static const struct span others[] = {SPAN_INIT("gitleaks:allow"),
					     SPAN_INIT("pragma: allowlist secret")};
	size_t at = span_find(line, own);

	if (at < line.len)
		return names_rule(span_slice(line, at + own.len, line.len), rule);
	for (size_t i = 0; i < COUNT_OF(others); i++)
		if (span_find(line, others[i]) < line.len)
			return true;
	return false;
}

/* Nothing but a comment, in one of the usual forms. */
static bool is_comment(struct span line)
{
	static const struct span starts[] = {SPAN_INIT("#"), SPAN_INIT("//"), SPAN_INIT("--"),
					     SPAN_INIT(";"), SPAN_INIT("/*"), SPAN_INIT("<!--"),
					     SPAN_INIT("*"), SPAN_INIT("%")};

	line = span_trim(line);
	for (size_t i = 0; i < COUNT_OF(starts); i++)
		if (span_starts_with(line, starts[i]))
			return true;
	return false;
}

bool leak_is_allowed(struct span text, size_t at, struct span rule)
{
	size_t start = at, end = at, before;
	struct span above;

	while (start > 0 && text.ptr[start - 1] != '\n')
		start--;
	end += span_find_byte(span_slice(text, at, text.len), '\n');
	if (line_allows(span_slice(text, start, end), rule))
		return true;
	if (start == 0)
		return false;
	before = start - 1;
	while (before > 0 && text.ptr[before - 1] != '\n')
		before--;
	above = span_slice(text, before, start - 1);
	return is_comment(above) && line_allows(above, rule);
}
