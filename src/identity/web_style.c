/* How the pages look: one style sheet, made of the theme, and the picture that goes with it. */
#include <stdlib.h>

#include "base/mem.h"
#include "identity/web.h"

#define LOGO_BYTES_MAX ((size_t)256 * 1024)

static const char rules[] =
	"*{box-sizing:border-box}\n"
	"html{-webkit-text-size-adjust:100%}\n"
	"body{margin:0;background:var(--background);color:var(--text);font:1rem/1.5 "
	"system-ui,-apple-"
	"system,\"Segoe UI\",Roboto,\"Helvetica Neue\",Arial,sans-serif}\n"
	"main{max-width:27rem;margin:8vh auto 2rem;padding:2rem;background:var(--surface);"
	"border:1px solid var(--line);border-radius:.75rem;box-shadow:0 8px 24px "
	"rgba(15,23,42,.08)}\n"
	"@media(max-width:30rem){main{margin:0;min-height:100vh;padding:1.5rem "
	"1.25rem;border:0;"
	"border-radius:0;box-shadow:none}}\n"
	".brand{display:flex;align-items:center;gap:.6rem;margin:0 0 1.5rem;color:var(--ink);"
	"font-weight:600;overflow-wrap:anywhere}\n"
	".brand img{max-height:2.5rem;max-width:8rem}\n"
	"h1{margin:0 0 1rem;font-size:1.5rem;line-height:1.25;letter-spacing:-.01em}\n"
	"h2{margin:1.75rem 0 .5rem;font-size:1.05rem}\n"
	"section{border-top:1px solid var(--line);margin-top:1.5rem}section "
	"h2{margin-top:1.25rem}\n"
	"p{margin:.75rem 0;overflow-wrap:anywhere}\n"
	"label{display:block;margin-bottom:.25rem;font-weight:600;font-size:.95rem}\n"
	"input:not([type=hidden]):not([type=checkbox]){width:100%;min-height:2.75rem;padding:."
	"5rem "
	".75rem;font:inherit;color:inherit;background:var(--field);border:1px solid "
	"var(--border);border-radius:.4rem}\n"
	"input[aria-invalid=true]:not([type=checkbox]){border-color:var(--bad);border-width:"
	"2px}"
	"\n"
	".check{display:flex;align-items:center;gap:.6rem;margin:.25rem 0}.check "
	"label{margin:0;padding:.65rem 0;font-weight:400;flex:1}\n"
	".check input{width:1.5rem;height:1.5rem;margin:0;accent-color:var(--colour)}\n"
	"button{display:block;width:100%;min-height:2.75rem;padding:.5rem 1.2rem;font:inherit;"
	"font-weight:600;color:var(--on);background:var(--colour);border:1px solid "
	"var(--colour);"
	"border-radius:.4rem;cursor:pointer}\n"
	"a.button{display:block;width:100%;min-height:2.75rem;padding:.6rem 1.2rem;"
	"text-align:center;text-decoration:none;font-weight:600;background:var(--field);"
	"border:1px solid var(--border);border-radius:.4rem}\n"
	"button:hover{filter:brightness(.93)}\n"
	"button.second{color:var(--ink);background:var(--field);border-color:var(--border)}\n"
	"a.button:hover,button.second:hover{background:var(--hover);filter:none}\n"
	"li button{width:auto;padding:.25rem 1rem}\n"
	"li button,.said button{margin-top:.5rem}\n"
	".pair{display:flex;gap:.75rem}\n"
	".way{margin:.25rem 0}.way a{display:inline-block;padding:.6rem 0}\n"
	":focus-visible{outline:3px solid var(--focus);outline-offset:2px}\n"
	".alert,.note{padding:.7rem .9rem;border-radius:.4rem;border-left:4px solid "
	"var(--bad);background:var(--bad-behind)}\n"
	".note{border-color:var(--good);background:var(--good-behind)}\n"
	"code{overflow-wrap:anywhere;font-size:1.05rem;letter-spacing:.04em}\n"
	"a{color:var(--ink)}\n"
	"ul{margin:.75rem 0;padding-left:1.2rem}\n"
	"ul.list{list-style:none;padding:0}\n"
	"ul.list li{padding:.75rem 0;border-bottom:1px solid var(--line);"
	"overflow-wrap:anywhere}\n"
	"ul.list li p{margin:.4rem 0}\n"
	"ul.codes{columns:2;list-style:none;padding:0}\n"
	".small{color:var(--quiet);font-size:.9rem}\n"
	".unseen{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}\n"
	"[hidden]{display:none}\n"
	"@media(prefers-reduced-motion:no-preference){button{transition:filter .1s}}\n";

/* What does not depend on the theme. */
static const char by_day[] =
	"--text:#1b1f24;--surface:#fff;--field:#fff;--line:#d5dae1;--border:#6b7280;"
	"--hover:#f3f5f8;--quiet:#4b5563;--bad:#b91c1c;--bad-behind:#fef2f2;--good:#15803d;"
	"--good-behind:#f0fdf4;--focus:#b45309";
static const char by_night[] =
	"--background:#0d1117;--text:#e6edf3;--surface:#161b22;--field:#0d1117;--line:#30363d;"
	"--border:#8b949e;--hover:#21262d;--quiet:#b1bac4;--bad:#f85149;--bad-behind:#3b1416;"
	"--good:#3fb950;--good-behind:#0f2f1c;--focus:#fbbf24";
#define NIGHT_SURFACE "#161b22"

/* ---- contrast (WCAG 2.1 section 1.4.3) ---- */

#define READABLE 4.5

struct colour {
	double part[3]; /* 0 to 255 */
};

/* "#rrggbb" */
static struct colour colour_of(struct span text)
{
	struct colour colour;

	for (size_t i = 0; i < 3; i++) {
		char digits[3] = {text.ptr[1 + 2 * i], text.ptr[2 + 2 * i], '\0'};

		colour.part[i] = (double)strtoul(digits, NULL, 16);
	}
	return colour;
}

static double channel(double part)
{
	double value = part / 255.0;

	/* The curve of sRGB, near enough for a choice of black or white. */
	return value <= 0.04 ? value / 12.92
			     : value * value * (value * 0.305 + 0.682) + value * 0.0125;
}

static double luminance(const struct colour *colour)
{
	return 0.2126 * channel(colour->part[0]) + 0.7152 * channel(colour->part[1]) +
	       0.0722 * channel(colour->part[2]);
}

static double contrast(const struct colour *a, const struct colour *b)
{
	double x = luminance(a) + 0.05, y = luminance(b) + 0.05;

	return x > y ? x / y : y / x;
}

/* White enough in it to be read on the surface of the night. */
static struct colour lightened(struct colour colour)
{
	const struct colour surface = colour_of(SPAN(NIGHT_SURFACE));

	for (unsigned i = 0; i < 20 && contrast(&colour, &surface) < READABLE; i++)
		for (size_t j = 0; j < 3; j++)
			colour.part[j] += (255.0 - colour.part[j]) * 0.1;
	return colour;
}

static void put_theme(const struct config_theme *theme, struct buf *css)
{
	const struct colour white = {{255, 255, 255}}, own = colour_of(theme->colour);
	const struct colour light = lightened(own);
	bool dark = contrast(&own, &white) >= READABLE;

	/* Words on the colour, and words in it, can be read whatever it is. */
	buf_printf(css, ":root{--colour:%.*s;--background:%.*s;--on:%s;--ink:%.*s;%s}\n",
		   SPAN_ARG(theme->colour), SPAN_ARG(theme->background), dark ? "#fff" : "#111",
		   SPAN_ARG(dark ? theme->colour : SPAN("#1b1f24")), by_day);
	if (!theme->dark)
		return;
	buf_printf(css,
		   "@media(prefers-color-scheme:dark){:root{color-scheme:dark;"
		   "--ink:#%02x%02x%02x;%s}}\n",
		   (unsigned)light.part[0], (unsigned)light.part[1], (unsigned)light.part[2],
		   by_night);
}

void page_style(struct idp_exchange *x)
{
	struct buf css;

	buf_init(&css, 16384);
	put_theme(&x->config->identity.theme, &css);
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
