#include "supply/licence.h"

#include "base/compiler.h"

/* Of the SPDX list: what packages of the ecosystems declare, by far most of the time. */
static const struct span ids[] = {
	SPAN_INIT("0BSD"),
	SPAN_INIT("AFL-2.1"),
	SPAN_INIT("AFL-3.0"),
	SPAN_INIT("AGPL-3.0"),
	SPAN_INIT("AGPL-3.0-only"),
	SPAN_INIT("AGPL-3.0-or-later"),
	SPAN_INIT("Apache-1.1"),
	SPAN_INIT("Apache-2.0"),
	SPAN_INIT("Artistic-1.0"),
	SPAN_INIT("Artistic-1.0-Perl"),
	SPAN_INIT("Artistic-2.0"),
	SPAN_INIT("BlueOak-1.0.0"),
	SPAN_INIT("BSD-1-Clause"),
	SPAN_INIT("BSD-2-Clause"),
	SPAN_INIT("BSD-2-Clause-Patent"),
	SPAN_INIT("BSD-3-Clause"),
	SPAN_INIT("BSD-3-Clause-Clear"),
	SPAN_INIT("BSD-4-Clause"),
	SPAN_INIT("BSL-1.0"),
	SPAN_INIT("BUSL-1.1"),
	SPAN_INIT("bzip2-1.0.6"),
	SPAN_INIT("CC-BY-3.0"),
	SPAN_INIT("CC-BY-4.0"),
	SPAN_INIT("CC-BY-SA-4.0"),
	SPAN_INIT("CC0-1.0"),
	SPAN_INIT("CDDL-1.0"),
	SPAN_INIT("CDDL-1.1"),
	SPAN_INIT("CPL-1.0"),
	SPAN_INIT("curl"),
	SPAN_INIT("ECL-2.0"),
	SPAN_INIT("EPL-1.0"),
	SPAN_INIT("EPL-2.0"),
	SPAN_INIT("EUPL-1.1"),
	SPAN_INIT("EUPL-1.2"),
	SPAN_INIT("FSFAP"),
	SPAN_INIT("FTL"),
	SPAN_INIT("GFDL-1.3"),
	SPAN_INIT("GPL-1.0-only"),
	SPAN_INIT("GPL-1.0-or-later"),
	SPAN_INIT("GPL-2.0"),
	SPAN_INIT("GPL-2.0-only"),
	SPAN_INIT("GPL-2.0-or-later"),
	SPAN_INIT("GPL-3.0"),
	SPAN_INIT("GPL-3.0-only"),
	SPAN_INIT("GPL-3.0-or-later"),
	SPAN_INIT("HPND"),
	SPAN_INIT("ICU"),
	SPAN_INIT("IJG"),
	SPAN_INIT("Info-ZIP"),
	SPAN_INIT("IPL-1.0"),
	SPAN_INIT("ISC"),
	SPAN_INIT("JSON"),
	SPAN_INIT("LGPL-2.0"),
	SPAN_INIT("LGPL-2.0-only"),
	SPAN_INIT("LGPL-2.0-or-later"),
	SPAN_INIT("LGPL-2.1"),
	SPAN_INIT("LGPL-2.1-only"),
	SPAN_INIT("LGPL-2.1-or-later"),
	SPAN_INIT("LGPL-3.0"),
	SPAN_INIT("LGPL-3.0-only"),
	SPAN_INIT("LGPL-3.0-or-later"),
	SPAN_INIT("Libpng"),
	SPAN_INIT("libtiff"),
	SPAN_INIT("MIT"),
	SPAN_INIT("MIT-0"),
	SPAN_INIT("MPL-1.0"),
	SPAN_INIT("MPL-1.1"),
	SPAN_INIT("MPL-2.0"),
	SPAN_INIT("MS-PL"),
	SPAN_INIT("MulanPSL-2.0"),
	SPAN_INIT("NCSA"),
	SPAN_INIT("OFL-1.1"),
	SPAN_INIT("OpenSSL"),
	SPAN_INIT("OSL-3.0"),
	SPAN_INIT("PHP-3.01"),
	SPAN_INIT("PostgreSQL"),
	SPAN_INIT("PSF-2.0"),
	SPAN_INIT("Python-2.0"),
	SPAN_INIT("Ruby"),
	SPAN_INIT("SSPL-1.0"),
	SPAN_INIT("Sleepycat"),
	SPAN_INIT("TCL"),
	SPAN_INIT("Unicode-3.0"),
	SPAN_INIT("Unicode-DFS-2016"),
	SPAN_INIT("Unlicense"),
	SPAN_INIT("UPL-1.0"),
	SPAN_INIT("Vim"),
	SPAN_INIT("W3C"),
	SPAN_INIT("WTFPL"),
	SPAN_INIT("X11"),
	SPAN_INIT("Zlib"),
	SPAN_INIT("ZPL-2.1"),
};

static const struct {
	struct span name;
	struct span id;
} names[] = {
	{SPAN_INIT("Apache 2.0"), SPAN_INIT("Apache-2.0")},
	{SPAN_INIT("Apache 2"), SPAN_INIT("Apache-2.0")},
	{SPAN_INIT("Apache License 2.0"), SPAN_INIT("Apache-2.0")},
	{SPAN_INIT("Apache License, Version 2.0"), SPAN_INIT("Apache-2.0")},
	{SPAN_INIT("Apache Software License"), SPAN_INIT("Apache-2.0")},
	{SPAN_INIT("Apache2"), SPAN_INIT("Apache-2.0")},
	{SPAN_INIT("BSD 3-Clause"), SPAN_INIT("BSD-3-Clause")},
	{SPAN_INIT("BSD 3-Clause License"), SPAN_INIT("BSD-3-Clause")},
	{SPAN_INIT("3-Clause BSD License"), SPAN_INIT("BSD-3-Clause")},
	{SPAN_INIT("New BSD License"), SPAN_INIT("BSD-3-Clause")},
	{SPAN_INIT("BSD 2-Clause"), SPAN_INIT("BSD-2-Clause")},
	{SPAN_INIT("GPL-2.0+"), SPAN_INIT("GPL-2.0-or-later")},
	{SPAN_INIT("GPL-3.0+"), SPAN_INIT("GPL-3.0-or-later")},
	{SPAN_INIT("GPLv2"), SPAN_INIT("GPL-2.0-only")},
	{SPAN_INIT("GPLv2+"), SPAN_INIT("GPL-2.0-or-later")},
	{SPAN_INIT("GPLv3"), SPAN_INIT("GPL-3.0-only")},
	{SPAN_INIT("GPLv3+"), SPAN_INIT("GPL-3.0-or-later")},
	{SPAN_INIT("ISC License"), SPAN_INIT("ISC")},
	{SPAN_INIT("LGPLv2+"), SPAN_INIT("LGPL-2.0-or-later")},
	{SPAN_INIT("LGPLv2.1+"), SPAN_INIT("LGPL-2.1-or-later")},
	{SPAN_INIT("LGPLv3+"), SPAN_INIT("LGPL-3.0-or-later")},
	{SPAN_INIT("LGPL-2.0+"), SPAN_INIT("LGPL-2.0-or-later")},
	{SPAN_INIT("LGPL-2.1+"), SPAN_INIT("LGPL-2.1-or-later")},
	{SPAN_INIT("LGPL-3.0+"), SPAN_INIT("LGPL-3.0-or-later")},
	{SPAN_INIT("MIT License"), SPAN_INIT("MIT")},
	{SPAN_INIT("The MIT License"), SPAN_INIT("MIT")},
	{SPAN_INIT("MPLv2.0"), SPAN_INIT("MPL-2.0")},
	{SPAN_INIT("Mozilla Public License 2.0 (MPL 2.0)"), SPAN_INIT("MPL-2.0")},
	{SPAN_INIT("Python Software Foundation License"), SPAN_INIT("PSF-2.0")},
};

static const struct span exceptions[] = {
	SPAN_INIT("Classpath-exception-2.0"), SPAN_INIT("GCC-exception-3.1"),
	SPAN_INIT("LLVM-exception"),	      SPAN_INIT("OpenSSL-exception"),
	SPAN_INIT("Linux-syscall-note"),      SPAN_INIT("Autoconf-exception-3.0"),
	SPAN_INIT("Bison-exception-2.2"),     SPAN_INIT("Font-exception-2.0"),
	SPAN_INIT("Libtool-exception"),	      SPAN_INIT("Autoconf-exception-2.0")};

struct span licence_id(struct span text)
{
	text = span_trim(text);
	for (size_t i = 0; i < COUNT_OF(ids); i++) {
		if (span_eq_nocase(text, ids[i]))
			return ids[i];
	}
	for (size_t i = 0; i < COUNT_OF(names); i++) {
		if (span_eq_nocase(text, names[i].name))
			return names[i].id;
	}
	return SPAN("");
}

static bool is_known(struct span word, bool exception)
{
	if (exception) {
		for (size_t i = 0; i < COUNT_OF(exceptions); i++) {
			if (span_eq(word, exceptions[i]))
				return true;
		}
		return false;
	}
	for (size_t i = 0; i < COUNT_OF(ids); i++) {
		if (span_eq(word, ids[i]))
			return true;
	}
	return false;
}

/* The next word or parenthesis. */
static struct span next_word(struct span *rest)
{
	struct span word;
	size_t end = 0;

	*rest = span_trim(*rest);
	if (rest->len && (rest->ptr[0] == '(' || rest->ptr[0] == ')'))
		end = 1;
	while (end < rest->len && rest->ptr[end] != ' ' && rest->ptr[end] != '(' &&
	       rest->ptr[end] != ')' &&
	       !(end == 1 && (rest->ptr[0] == '(' || rest->ptr[0] == ')')))
		end++;
	word = span_slice(*rest, 0, end);
	*rest = span_slice(*rest, end, rest->len);
	return word;
}

bool licence_is_expression(struct span text)
{
	bool want_id = true, exception = false;
	unsigned open = 0, words = 0;

	for (;;) {
		struct span word = next_word(&text);

		if (!word.len)
			return words > 0 && !want_id && open == 0;
		words++;
		if (want_id && !exception && span_eq(word, SPAN("("))) {
			open++;
		} else if (want_id) {
			if (!is_known(word, exception))
				return false;
			want_id = exception = false;
		} else if (span_eq(word, SPAN(")")) && open > 0) {
			open--;
		} else if (span_eq(word, SPAN("AND")) || span_eq(word, SPAN("OR"))) {
			want_id = true;
		} else if (span_eq(word, SPAN("WITH"))) {
			want_id = exception = true;
		} else {
			return false;
		}
	}
}

/* ---- judging --------------------------------------------------------------------------------- */

#define DEPTH_MAX 32

struct judge {
	enum licence_verdict (*one)(void *context, struct span licence);
	void *context;
	struct span rest;
	bool wrong;
};

static struct span peek(const struct judge *j)
{
	struct span rest = j->rest;

	return next_word(&rest);
}

static bool is_operator(struct span word)
{
	return span_eq_nocase(word, SPAN("AND")) || span_eq_nocase(word, SPAN("OR")) ||
	       span_eq_nocase(word, SPAN("WITH"));
}

static enum licence_verdict judge_or(struct judge *j, unsigned depth);

static enum licence_verdict judge_licence(struct judge *j)
{
	struct span name = next_word(&j->rest), with;

	if (name.len == 0 || is_operator(name) || name.ptr[0] == '(' || name.ptr[0] == ')') {
		j->wrong = true;
		return LICENCE_UNKNOWN;
	}
	if (!span_eq_nocase(peek(j), SPAN("WITH")))
		return j->one(j->context, name);
	(void)next_word(&j->rest);
	with = next_word(&j->rest);
	if (with.len == 0 || is_operator(with)) {
		j->wrong = true;
		return LICENCE_UNKNOWN;
	}
	/* Both stand in one text; an exception gives rights, it takes none away. */
	name = span_of(name.ptr, (size_t)(with.ptr + with.len - name.ptr));
	return j->one(j->context, name);
}

static enum licence_verdict judge_part(struct judge *j, unsigned depth)
{
	enum licence_verdict verdict;

	if (!span_eq(peek(j), SPAN("(")))
		return judge_licence(j);
	(void)next_word(&j->rest);
	if (depth == DEPTH_MAX) {
		j->wrong = true;
		return LICENCE_UNKNOWN;
	}
	verdict = judge_or(j, depth + 1);
	if (!span_eq(next_word(&j->rest), SPAN(")")))
		j->wrong = true;
	return verdict;
}

static enum licence_verdict judge_and(struct judge *j, unsigned depth)
{
	enum licence_verdict worst = judge_part(j, depth);

	while (!j->wrong && span_eq_nocase(peek(j), SPAN("AND"))) {
		enum licence_verdict verdict;

		(void)next_word(&j->rest);
		verdict = judge_part(j, depth);
		worst = verdict > worst ? verdict : worst;
	}
	return worst;
}

static enum licence_verdict judge_or(struct judge *j, unsigned depth)
{
	enum licence_verdict best = judge_and(j, depth);

	while (!j->wrong && span_eq_nocase(peek(j), SPAN("OR"))) {
		enum licence_verdict verdict;

		(void)next_word(&j->rest);
		verdict = judge_and(j, depth);
		best = verdict < best ? verdict : best;
	}
	return best;
}

enum licence_verdict
licence_judge(struct span expression,
	      enum licence_verdict (*one)(void *context, struct span licence), void *context)
{
	struct judge j = {.one = one, .context = context, .rest = expression};
	enum licence_verdict verdict = judge_or(&j, 0);

	return j.wrong || span_trim(j.rest).len ? LICENCE_UNKNOWN : verdict;
}
