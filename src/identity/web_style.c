/* How the pages look: one style sheet, made of the theme, and the picture that goes with it. */
#include <stdlib.h>

#include "base/mem.h"
#include "identity/web.h"

#define LOGO_BYTES_MAX ((size_t)256 * 1024)

static const char rules[] =
	"*{box-sizing:border-box}\n"
	"html{-webkit-text-size-adjust:100%}\n"
	"body{margin:0;background:var(--background);color:#1b1f24;font:1rem/1.5 "
	"system-ui,-apple-"
	"system,\"Segoe UI\",Roboto,\"Helvetica Neue\",Arial,sans-serif}\n"
	"main{max-width:27rem;margin:8vh auto 2rem;padding:2rem;background:#fff;"
	"border:1px solid #d5dae1;border-radius:.75rem;box-shadow:0 8px 24px "
	"rgba(15,23,42,.08)}\n"
	"@media(max-width:30rem){main{margin:0;min-height:100vh;padding:1.5rem "
	"1.25rem;border:0;"
	"border-radius:0;box-shadow:none}}\n"
	".brand{display:flex;align-items:center;gap:.6rem;margin:0 0 1.5rem;color:var(--ink);"
	"font-weight:600}\n"
	".brand img{max-height:2.5rem;max-width:8rem}\n"
	"h1{margin:0 0 1rem;font-size:1.5rem;line-height:1.25;letter-spacing:-.01em}\n"
	"h2{margin:1.75rem 0 .5rem;font-size:1.05rem}\n"
	"section{border-top:1px solid #e3e7ec;margin-top:1.5rem}section "
	"h2{margin-top:1.25rem}\n"
	"p{margin:.75rem 0}\n"
	"label{display:block;margin-bottom:.25rem;font-weight:600;font-size:.95rem}\n"
	"input:not([type=hidden]):not([type=checkbox]){width:100%;min-height:2.75rem;padding:."
	"5rem "
	".75rem;font:inherit;color:inherit;background:#fff;border:1px solid #6b7280;"
	"border-radius:.4rem}\n"
	".check{display:flex;align-items:center;gap:.6rem}.check "
	"label{margin:0;font-weight:400}\n"
	".check input{width:1.2rem;height:1.2rem;accent-color:var(--colour)}\n"
	"button{display:block;width:100%;min-height:2.75rem;padding:.5rem 1.2rem;font:inherit;"
	"font-weight:600;color:var(--on);background:var(--colour);border:1px solid "
	"var(--colour);"
	"border-radius:.4rem;cursor:pointer}\n"
	"a.button{display:block;width:100%;min-height:2.75rem;padding:.6rem 1.2rem;"
	"text-align:center;text-decoration:none;font-weight:600;background:#fff;"
	"border:1px solid #6b7280;border-radius:.4rem}\n"
	"a.button:hover{background:#f3f5f8}\n"
	"button:hover{filter:brightness(.93)}\n"
	"button.second{color:var(--ink);background:#fff;border-color:#6b7280}\n"
	"button.second:hover{background:#f3f5f8;filter:none}\n"
	"li button{width:auto;min-height:2.25rem;padding:.25rem .9rem;font-size:.9rem}\n"
	"li button,.said button{margin-top:.5rem}\n"
	".pair{display:flex;gap:.75rem}\n"
	":focus-visible{outline:3px solid #f59e0b;outline-offset:2px}\n"
	".alert,.note{padding:.7rem .9rem;border-radius:.4rem;border-left:4px solid #b91c1c;"
	"background:#fef2f2}\n"
	".note{border-color:#15803d;background:#f0fdf4}\n"
	"code{overflow-wrap:anywhere;font-size:1.05rem;letter-spacing:.04em}\n"
	"a{color:var(--ink)}\n"
	"ul{margin:.75rem 0;padding-left:1.2rem}\n"
	"ul.list{list-style:none;padding:0}\n"
	"ul.list li{padding:.75rem 0;border-bottom:1px solid #e3e7ec;overflow-wrap:anywhere}\n"
	"ul.list li p{margin:.4rem 0}\n"
	"ul.codes{columns:2;list-style:none;padding:0}\n"
	".small{color:#4b5563;font-size:.9rem}\n"
	".unseen{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}\n"
	"[hidden]{display:none}\n"
	"@media(prefers-reduced-motion:no-preference){button{transition:filter .1s}}\n";

/* ---- contrast (WCAG 2.1 section 1.4.3) ---- */

static double channel(struct span colour, size_t at)
{
	char digits[3] = {colour.ptr[at], colour.ptr[at + 1], '\0'};
	double value = (double)strtoul(digits, NULL, 16) / 255.0;

	/* The curve of sRGB, near enough for a choice of black or white. */
	return value <= 0.04 ? value / 12.92
			     : value * value * (value * 0.305 + 0.682) + value * 0.0125;
}

static double luminance(struct span colour)
{
	return 0.2126 * channel(colour, 1) + 0.7152 * channel(colour, 3) +
	       0.0722 * channel(colour, 5);
}

/* Against white; 4.5 is enough for text. */
static bool is_dark(struct span colour)
{
	return 1.05 / (luminance(colour) + 0.05) >= 4.5;
}

void page_style(struct idp_exchange *x)
{
	const struct config_theme *theme = &x->config->identity.theme;
	bool dark = is_dark(theme->colour);
	struct buf css;

	buf_init(&css, 16384);
	/* Words on the colour, and words in it on white, can be read whatever it is. */
	buf_printf(&css, ":root{--colour:%.*s;--background:%.*s;--on:%s;--ink:%.*s}\n",
		   SPAN_ARG(theme->colour), SPAN_ARG(theme->background), dark ? "#fff" : "#111",
		   SPAN_ARG(dark ? theme->colour : SPAN("#1b1f24")));
	buf_append_cstr(&css, rules);
	web_field(x, SPAN("content-type"), SPAN("text/css; charset=utf-8"));
	web_field(x, SPAN("cache-control"), SPAN("public, max-age=300"));
	web_content(x, 200, &css);
}

/* ---- the logo ---- */

static struct span type_of(struct span bytes)
{
	if (span_starts_with(bytes, SPAN("\x89PNG")))
		return SPAN("image/png");
	if (span_starts_with(bytes, SPAN("\xff\xd8\xff")))
		return SPAN("image/jpeg");
	if (span_find(span_slice(bytes, 0, 1024), SPAN("<svg")) <
	    span_slice(bytes, 0, 1024).len)
		return SPAN("image/svg+xml");
	return SPAN_NONE;
}

static int read_file(const char *path, struct buf *to)
{
	FILE *file = fopen(path, "re");
	char piece[8192];
	size_t got;
	int result;

	if (!file)
		return -1;
	while ((got = fread(piece, 1, sizeof(piece), file)) > 0)
		buf_append_bytes(to, piece, got);
	result = ferror(file) || buf_failed(to) ? -1 : 0;
	fclose(file);
	return result;
}

void page_logo(struct idp_exchange *x)
{
	struct span path = x->config->identity.theme.logo, type;
	struct buf bytes;

	buf_init(&bytes, LOGO_BYTES_MAX);
	type = path.len && read_file(path.ptr, &bytes) == 0 ? type_of(buf_span(&bytes))
							    : SPAN_NONE;
	if (!type.ptr) {
		buf_release(&bytes);
		page_message(x, 404, "Not found", "There is no such picture.");
		return;
	}
	web_field(x, SPAN("content-type"), type);
	web_field(x, SPAN("cache-control"), SPAN("public, max-age=300"));
	web_field(x, SPAN("x-content-type-options"), SPAN("nosniff"));
	/* A drawing that is opened by itself runs nothing. */
	web_field(x, SPAN("content-security-policy"),
		  SPAN("default-src 'none'; style-src 'unsafe-inline'; sandbox"));
	web_content(x, 200, &bytes);
}
