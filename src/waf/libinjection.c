#include "waf/libinjection.h"

#include <dlfcn.h>

#include "base/compiler.h"
#include "base/mem.h"

typedef int sqli_fn(const char *text, size_t len, char *fingerprint);
typedef int xss_fn(const char *text, size_t len);

struct libinjection {
	void *library;
	sqli_fn *sqli;
	xss_fn *xss;
};

/* A function's address out of an object pointer, in the way POSIX describes at dlsym. */
static bool find_function(void *library, const char *name, void *function_pointer)
{
	void *address = dlsym(library, name);

	memcpy(function_pointer, &address, sizeof(address));
	return address != NULL;
}

/* What this version of the library has always said of these texts. */
static bool answers_as_known(const struct libinjection *l)
{
	static const struct {
		struct span text;
		const char *fingerprint; /* NULL: no injection */
	} sqli[] = {
		{SPAN_INIT("1' OR '1'='1"), "s&sos"},
		{SPAN_INIT("-1 UNION SELECT 1,2,3"), "1UE1"},
		{SPAN_INIT("1; DROP TABLE users--"), "1;Tnn"},
		{SPAN_INIT("hello world"), NULL},
		{SPAN_INIT("O'Brien"), NULL},
		{SPAN_INIT(""), NULL},
	};
	static const struct {
		struct span text;
		bool xss;
	} xss[] = {
		{SPAN_INIT("<script>alert(1)</script>"), true},
		{SPAN_INIT("<img src=x onerror=alert(1)>"), true},
		{SPAN_INIT("a < b and c > d"), false},
		{SPAN_INIT("hello world"), false},
	};

	for (size_t i = 0; i < COUNT_OF(sqli); i++) {
		char fingerprint[LIBINJECTION_FINGERPRINT_SIZE] = "";
		bool found = libinjection_detect_sqli(l, sqli[i].text, fingerprint);

		if (found != (sqli[i].fingerprint != NULL) ||
		    (found &&
		     strncmp(fingerprint, sqli[i].fingerprint, sizeof(fingerprint)) != 0))
			return false;
	}
	for (size_t i = 0; i < COUNT_OF(xss); i++)
		if (libinjection_detect_xss(l, xss[i].text) != xss[i].xss)
			return false;
	return true;
}

struct libinjection *libinjection_open(const char *library, struct err *err)
{
	struct libinjection *l = mem_zalloc(1, sizeof(*l));

	if (!library)
		library = "libmodsecurity.so.3";
	if (!l) {
		err_set(err, ERR_MEMORY, "out of memory for libinjection");
		return NULL;
	}
	l->library = dlopen(library, RTLD_NOW | RTLD_LOCAL);
	if (!l->library) {
		const char *why = dlerror();

		err_set(err, ERR_NOT_FOUND, "libinjection: %s", why ? why : library);
		mem_free(l);
		return NULL;
	}
	if (!find_function(l->library, "libinjection_sqli", &l->sqli) ||
	    !find_function(l->library, "libinjection_xss", &l->xss)) {
		err_set(err, ERR_NOT_FOUND, "%s does not export libinjection's functions",
			library);
		libinjection_close(l);
		return NULL;
	}
	if (!answers_as_known(l)) {
		err_set(err, ERR_INVALID, "libinjection in %s does not know known attacks",
			library);
		libinjection_close(l);
		return NULL;
	}
	return l;
}

void libinjection_close(struct libinjection *l)
{
	if (!l)
		return;
	dlclose(l->library);
	mem_free(l);
}

bool libinjection_detect_sqli(const struct libinjection *l, struct span text,
			      char fingerprint[LIBINJECTION_FINGERPRINT_SIZE])
{
	return l->sqli(text.ptr ? text.ptr : "", text.len, fingerprint) != 0;
}

bool libinjection_detect_xss(const struct libinjection *l, struct span text)
{
	return l->xss(text.ptr ? text.ptr : "", text.len) != 0;
}
